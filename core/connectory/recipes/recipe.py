"""A recipe file -> a checked Recipe, or every fault of it at once.

Read it top-down from `Recipe`: that is the file. `from` and `to` are of a kind that one of their keys names; every
attribute of the kind's class is a key, documented where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

import attrs
from cattrs import Converter
from cattrs.errors import BaseValidationError

from connectory.errors import ArgumentError, Fault, SpecError, nearest
from connectory.plugins.registry import Registry
from connectory.recipes.hints import Kind, unknown_key
from connectory.recipes.running.courtesy import ALL, NONE, TEXTS, Between, CallCount, Share
from connectory.spec.problems import problems_of
from connectory.spec.structure import make_converter
from connectory.spec.trees import Table, Text, locate, read_tree, without
from connectory.spec.words import Anything, Duration, Texts, word


@attrs.frozen(kw_only=True)
class FromOperation:
    """The records of a vendor's list operation."""

    connector: str = word("the vendor")
    operation: str = word("one of its lists")
    with_: Mapping[str, Texts] = word("arguments; their texts may hold {{ }}", attrs.Factory(dict))
    settings: Mapping[str, Anything] = word("settings of the connector, no secrets", attrs.Factory(dict))
    complete: bool = word("complete each record by its detail call", False)
    parents: bool = word("once for each record of the parent operation", False)
    recurse: bool = word("and what is inside of the records, as far down as it goes", False)
    since: str | None = word(
        "only what is new or changed since the last run, by this field of the record; where the vendor requires a "
        "beginning, `with` gives that of the first run",
        None,
    )
    lookback: Duration = word("how far before the mark each run begins again", Duration(0.0))
    window: Duration | None = word("read a long span in pieces of this length", None)


@attrs.frozen(kw_only=True)
class FromDuckDB:
    """The rows of a query on a DuckDB file."""

    duckdb: str = word("the file")
    query: str = word("SQL")


@attrs.frozen(kw_only=True)
class FromSQLite:
    """The rows of a query on a SQLite file."""

    sqlite: str = word("the file")
    query: str = word("SQL")


@attrs.frozen(kw_only=True)
class FromPostgres:
    """The rows of a query on a PostgreSQL database."""

    postgres: str = word("connection string, or a reference to it: env:NAME, file:PATH, keyring:NAME")
    query: str = word("SQL")


@attrs.frozen(kw_only=True)
class FromFiles:
    """The rows of files, in the order of their names."""

    files: tuple[str, ...] = word("paths or globs, local or fsspec URLs")
    format: Literal["csv", "jsonl", "parquet"] | None = word("what they are; default: by their ending", None)
    columns: Mapping[str, str] = word(
        "types of CSV columns (DuckDB's names); default: as they look", attrs.Factory(dict)
    )


@attrs.frozen(kw_only=True)
class FromInput:
    """The rows that come in on standard input."""

    stdin: Literal["csv", "jsonl"] = word("what they are")


@attrs.frozen(kw_only=True)
class ToOperation:
    """A vendor's write operation."""

    connector: str = word("the vendor")
    operation: str = word("one of its writes")
    with_: Mapping[str, Texts] = word("arguments besides the rows; their texts may hold {{ }}", attrs.Factory(dict))
    settings: Mapping[str, Anything] = word("settings of the connector, no secrets", attrs.Factory(dict))
    key: tuple[str, ...] = word("fields that tell rows apart; default: the key of the item's type", ())
    mode: Literal["upsert", "create_only", "update_only", "mirror"] = word(
        "what is sent: every row, only keys never delivered, only keys delivered before, or every row and then the "
        "removal of what we delivered and the source no longer has",
        "upsert",
    )
    changed_only: bool = word("only rows that differ from what the vendor last accepted", False)
    remove: str | None = word("the operation that removes a row, for `mode: mirror`", None)
    most_removed: str = word("the largest share of our delivered rows that one run may remove", "10%")
    read_back: str | None = word("the operation that shows whether a row of unknown outcome arrived", None)
    rejects: str | None = word("a file (.jsonl or .csv) of the rows held back, with the reasons", None)
    destroys: bool = word("says that an operation that destroys is meant; else it needs --yes", False)


@attrs.frozen
class SourceKind:
    """A kind of source: the class of its keys, and a sentence."""

    options: type
    about: str


SOURCES: Final[Mapping[str, SourceKind]] = {
    "connector": SourceKind(FromOperation, "a vendor's list operation"),
    "duckdb": SourceKind(FromDuckDB, "a query on a DuckDB file"),
    "sqlite": SourceKind(FromSQLite, "a query on a SQLite file"),
    "postgres": SourceKind(FromPostgres, "a query on a PostgreSQL database"),
    "files": SourceKind(FromFiles, "CSV, JSON Lines or Parquet files"),
    "stdin": SourceKind(FromInput, "rows on standard input"),
}
VENDOR: Final = SourceKind(ToOperation, "a vendor's write operation")


@attrs.frozen(kw_only=True)
class Source:
    """Where the rows come from: the key that names a kind of source, and that kind's own keys beside it."""

    kind: str = word("the kind of source")
    options: Any = attrs.field(default=None)


@attrs.frozen(kw_only=True)
class Target:
    """Where the rows go: the key that names a kind of destination, and that kind's own keys beside it."""

    kind: str = word("the kind of destination")
    options: Any = attrs.field(default=None)


@attrs.frozen(kw_only=True)
class RecipeExample:
    """Rows in, and what must come of them: a test of the recipe without a vendor."""

    about: str = word("what it shows", "")
    rows: tuple[Anything, ...] = word("rows as the source gives them")
    gives: tuple[Anything, ...] = word("rows as the destination gets them, after the change")


@attrs.frozen(kw_only=True)
class Recipe:
    """One file: a source, perhaps a change, and a destination."""

    name: str = word("the recipe")
    about: str = word("one sentence", "")
    from_: Source = word("where the rows come from")
    change: str | None = word("SQL from `records`, run by DuckDB", None)
    change_over: Literal["chunk", "all"] = word(
        "what the SQL sees: each chunk as it comes, or all rows at once (needed to group, sort, limit or window)",
        "chunk",
    )
    lookups: Mapping[str, str] = word(
        "tables that the SQL may join: name to file (csv, jsonl, parquet)", attrs.Factory(dict)
    )
    to: Target = word("where they go")
    share: Share = word(
        "it calls only while less than this part of each of the vendor's limits is used; default: 100%", ALL
    )
    reserve: CallCount = word(
        "calls of each of the vendor's limits that are left for others; limits of no more calls are not touched",
        NONE,
    )
    between: Between | None = word("it calls only at these hours, as 20:00-06:00 Europe/Amsterdam", None)
    examples: tuple[RecipeExample, ...] = word("tests of the recipe", ())


def target_kinds(registry: Registry) -> Mapping[str, Kind]:
    """Every kind of destination by the key that names it: a vendor, and what plug-ins bring."""
    return {"connector": VENDOR, **registry.destinations}


@attrs.frozen
class LoadedRecipe:
    """A checked recipe and where it stands."""

    recipe: Recipe
    tree: Table
    file: Path

    def fault(self, path: tuple[str | int, ...], message: str, *, at_key: bool = False) -> Fault:
        """A fault at a place of this file."""
        file, line, column = locate(self.tree, path, at_key=at_key)
        return Fault(file, line, column, "/" + "/".join(map(str, path)), message)


@attrs.frozen
class Draft:
    """A recipe file as far as it can be read: its faults, and the recipe that its faultless keys make."""

    loaded: LoadedRecipe
    faults: tuple[Fault, ...]


def load_recipe(registry: Registry, file: Path) -> LoadedRecipe:
    """The recipe in a file. Raises SpecError with every fault, ArgumentError when there is no such file."""
    draft = draft_recipe(registry, file)
    if draft.faults:
        raise SpecError(draft.faults)
    return draft.loaded


def draft_recipe(registry: Registry, file: Path) -> Draft:
    """What a file says, faults and all. Raises SpecError where it is no YAML, ArgumentError when there is no file."""
    try:
        source = file.read_bytes()
    except OSError as why:
        raise ArgumentError(f"recipe {file}: {why.strerror}") from None
    tree = read_tree(source, str(file))
    converter = make_converter(registry)
    for kind, parse in TEXTS.items():
        converter.register_structure_hook(kind, parse)
    converter.register_structure_hook(Source, lambda node, _: Source(**_of_kind(converter, "source", SOURCES, node)))
    targets = target_kinds(registry)
    converter.register_structure_hook(
        Target, lambda node, _: Target(**_of_kind(converter, "destination", targets, node))
    )
    try:
        return Draft(LoadedRecipe(converter.structure(tree, Recipe), tree, file), ())
    except BaseValidationError as group:
        parts = {"from": SOURCES, "to": targets}
        problems = problems_of(group, lambda key, cls, _: unknown_key(key, cls, Recipe, parts))
    faults = sorted((_fault(tree, *problem) for problem in problems), key=lambda fault: (fault.line, fault.column))
    recipe = _readable(converter, tree, [path for path, _, _ in problems])
    return Draft(LoadedRecipe(recipe, tree, file), tuple(faults))


def _readable(converter: Converter, tree: Table, wrong: Iterable[tuple[str | int, ...]]) -> Recipe:
    """The recipe that the faultless keys make, so that what they mean can be checked as well; a part that cannot be
    read without its faulty keys is of no kind."""
    left = tree
    for path in wrong:
        left = without(left, path) if path else left
    parts = {key: left[key] for key in left if key in ("from", "to")}
    source, target = Source(kind="", options=None), Target(kind="", options=None)
    with suppress(BaseValidationError, ValueError):
        source = converter.structure(parts.get(Text("from")), Source)
    with suppress(BaseValidationError, ValueError):
        target = converter.structure(parts.get(Text("to")), Target)
    others = {key: value for key, value in left.items() if key not in ("from", "to", "name")}
    rest: dict[str, Any] = {}
    for field in attrs.fields(Recipe):
        if field.name in others:
            with suppress(BaseValidationError, ValueError):
                rest[field.name] = converter.structure(others[Text(field.name)], field.type or object)
    return Recipe(name="", from_=source, to=target, **rest)


def _of_kind(converter: Converter, what: str, kinds: Mapping[str, Kind], node: Any) -> dict[str, Any]:
    """The kind that one key of the mapping names, and the mapping as that kind reads it."""
    if not isinstance(node, dict):
        raise ValueError(f"expected a mapping with one of {', '.join(kinds)}")
    kind = _named_kind(what, kinds, node)
    return {"kind": kind, "options": converter.structure(node, kinds[kind].options)}


def _named_kind(what: str, kinds: Mapping[str, Kind], keys: Iterable[Any]) -> str:
    named = [str(key) for key in keys if key in kinds]
    if len(named) > 1:
        raise ValueError(f"one {what}, found {' and '.join(named)}")
    if not named:
        guess = next((hint for key in keys if (hint := nearest(str(key), kinds))), "")
        raise ValueError(f"no kind of {what} named here" + (guess or f" (there are: {', '.join(kinds)})"))
    return named[0]


def _fault(tree: Table, path: tuple[str | int, ...], message: str, at_key: bool) -> Fault:
    file, line, column = locate(tree, path, at_key=at_key)
    return Fault(file, line, column, "/" + "/".join(map(str, path)), message)
