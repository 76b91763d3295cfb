"""The examples of a recipe: rows as the source gives them, and the rows that its change must make of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.connecting import open_spec
from connectory.describe import plan_of
from connectory.errors import ConnectoryError, Fault, SpecError
from connectory.plugins.registry import Registry
from connectory.recipes.recipe import FromFiles, FromOperation, LoadedRecipe, RecipeExample
from connectory.recipes.source import Row
from connectory.recipes.sources.looks import named_look
from connectory.values.reading import Readers
from connectory.values.shapes import Record

NOTHING: Final = object()


@attrs.frozen
class Difference:
    """Where the rows of an example are not those expected. `row` counts from 1; without a `field` the row is meant.

    `expected` and `found` are NOTHING where there is none.
    """

    row: int
    field: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        place = f"row {self.row}" + (f", {self.field}" if self.field else "")
        return f"{place}: expected {_shown(self.expected)}, found {_shown(self.found)}"


def run_example(
    loaded: LoadedRecipe, example: RecipeExample, registry: Registry, root: Path | None = None
) -> list[Difference]:
    """What the change makes of the example's rows, against what it says; empty where both are the same.

    Nothing is sent or written; lookups are read, relative to `root` (default: the recipe's folder). A null is the same
    as no field. Raises SpecError where the SQL fails, InputError for a lookup.
    """
    rows = [row if isinstance(row, Mapping) else {"": row} for row in example.rows]
    found, refused = _changed(loaded, rows, registry, root)
    differences = [*refused]
    for number in range(max(len(found), len(example.gives))):
        expected = example.gives[number] if number < len(example.gives) else NOTHING
        made = found[number] if number < len(found) else NOTHING
        differences += _between(number + 1, expected, made)
    return differences


def example_faults(loaded: LoadedRecipe, registry: Registry, root: Path | None) -> Iterator[Fault]:
    """The differences of all examples of a recipe, each at its line."""
    for number, example in enumerate(loaded.recipe.examples):
        try:
            differences = run_example(loaded, example, registry, root)
        except SpecError as why:
            yield from why.faults
            return
        except ConnectoryError as why:
            yield loaded.fault(("examples", number), str(why))
            continue
        for difference in differences:
            path: tuple[str | int, ...] = ("examples", number, "gives")
            row = difference.row - 1
            if row < len(example.gives):
                expected: Any = example.gives[row]
                there = isinstance(expected, Mapping) and difference.field in expected
                path = (*path, row, difference.field) if there else (*path, row)
            yield loaded.fault(path, str(difference))


def _changed(
    loaded: LoadedRecipe, rows: Sequence[Row], registry: Registry, root: Path | None
) -> tuple[Sequence[Row], list[Difference]]:
    source = loaded.recipe.from_.options
    shape: Record | None = None
    if isinstance(source, FromOperation):
        spec = open_spec(source.connector, root).spec
        plan = plan_of(spec, registry, source.operation)
        declared = Readers(spec.types, plan.styles.datetime, registry.codecs).shape(plan.operation.returns)
        shape = declared if isinstance(declared, Record) else None
        codecs = Readers(spec.types, plan.styles.datetime, registry.codecs, iso_as_text=True)
        read = codecs.of(plan.operation.returns)
        rows = rows if read is None else [read(row) for row in rows]
    elif isinstance(source, FromFiles):
        shape = Record({name: named_look(type_).shape for name, type_ in source.columns.items()})
    if loaded.recipe.change is None:
        return rows, []
    from connectory.recipes.changing.change import Change

    change = Change(loaded, root or loaded.file.parent, shape, complete=False)
    try:
        changed = change.apply(rows)
    finally:
        change.close()
    refused = [
        Difference(rows.index(problem.row) + 1, problem.field, "a row for the change", problem.reason)
        for problem in changed.invalid
    ]
    return changed.rows, refused


def _between(row: int, expected: Any, found: Any) -> Iterator[Difference]:
    if not isinstance(expected, Mapping) or not isinstance(found, Mapping):
        if expected != found:
            yield Difference(row, "", expected, found)
        return
    for name in dict.fromkeys([*expected, *found]):
        if not _same(expected.get(name), found.get(name)):
            yield Difference(row, name, expected.get(name, NOTHING), found.get(name, NOTHING))


def _same(expected: Any, found: Any) -> bool:
    """Whether a value as YAML writes it is the one found."""
    match expected, found:
        case Mapping(), Mapping():
            return all(_same(expected.get(name), found.get(name)) for name in {*expected, *found})
        case list(), list() | tuple():
            return len(expected) == len(found) and all(map(_same, expected, found))
        case bool(), _:
            return found is expected
        case str(), datetime():
            return _moment(expected) == (found if found.tzinfo else found.replace(tzinfo=UTC))
        case str(), date() | time():
            return expected == found.isoformat()
        case str(), bytes():
            return expected == b64encode(found).decode()
        case str() | int() | float(), Decimal():
            return Decimal(str(expected)) == found if _is_number(expected) else False
        case float(), float():
            return expected == found or abs(expected - found) <= 1e-12 * abs(expected)
    return bool(expected == found) and not isinstance(found, bool)


def _is_number(value: Any) -> bool:
    try:
        return Decimal(str(value)).is_finite()
    except ArithmeticError:
        return False


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(value: Any) -> str:
    if value is NOTHING:
        return "nothing"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
