"""Rows, one by one: what does not fit is found and named, and types grow for the rest as far as the contract lets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from connectory.destinations import columns
from connectory.destinations.columns import Fields, Items, Leaf, Tree
from connectory.destinations.destination import Contract, Problem, Written
from connectory.destinations.scalars import (
    DECLARED,
    AlwaysInvalid,
    Misfit,
    check_json,
    check_text,
    fits_integer,
    infer,
    join,
    told,
)
from connectory.errors import DestinationError, nearest

_PLACE: Final = re.compile(r"\[\d+\]")
_NUL_IN_JSON: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_encode = msgspec.json.Encoder().encode
_NUMERIC: Final = (columns.HUGEINT, columns.DECIMAL, columns.JSON, columns.VARCHAR)  # of an integer or a decimal
_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(columns.BITS, "an integer that its column holds"),
    columns.BOOLEAN: "true or false",
    columns.DOUBLE: "a number that a float holds",
    columns.DECIMAL: "a decimal number that its column holds",
    columns.VARCHAR: "a text",
    columns.DATE: "a date",
    columns.TIME: "a time",
    columns.MOMENT: "a date and time",
}


class ContractBroken(DestinationError):
    """A row has a field or a type that the table does not, and the contract is `freeze`."""


@attrs.frozen
class Rules:
    """What a table asks of its rows besides their types.

    `key` names the fields that must be there, `where` the table in errors. With `nested` lists and objects have types
    of their own, else they are JSON; without `nul` no text may hold a NUL character; with `numeric` NUMERAL holds every
    number, so that neither HUGEINT (but for declared integers) nor DECIMAL is needed.
    """

    key: tuple[str, ...] = ()
    contract: Contract = "evolve"
    where: str = "the table"
    nested: bool = True
    nul: bool = True
    numeric: bool = False


@attrs.frozen
class Fitted:
    """The rows that fit, made ready for `trees` (by wire name) and as they were `given`; and the others.

    `dropped` counts the values that `discard_value` left out, by field.
    """

    rows: list[dict[str, Any]]
    given: list[Mapping[str, Any]]
    trees: Mapping[str, Tree]
    invalid: list[Problem]
    dropped: Mapping[str, int] = attrs.Factory(dict)

    def without(self, reasons: Mapping[int, tuple[str, str]]) -> Fitted:
        """The same with some more rows invalid: their places in `rows`, with field and reason."""
        kept = [place for place in range(len(self.rows)) if place not in reasons]
        return attrs.evolve(
            self,
            rows=[self.rows[place] for place in kept],
            given=[self.given[place] for place in kept],
            invalid=self.invalid + [Problem(self.given[place], *why) for place, why in sorted(reasons.items())],
        )


def fit_rows(rows: Sequence[Mapping[str, Any]], trees: Mapping[str, Tree], rules: Rules) -> Fitted:
    """Look at every value of every row. An invalid row makes no type grow.

    A table without columns gets them from its first rows, whatever the contract. Raises ContractBroken.
    """
    if not trees:
        rules = attrs.evolve(rules, contract="evolve")
    fitter = _Fitter(rules)
    fitted = Fitted([], [], trees, [])
    for number, row in enumerate(rows, start=1):
        try:
            ready, trees = fitter.row(row, trees)
            fitted.rows.append(ready)
            fitted.given.append(row)
        except Misfit as misfit:
            if rules.contract == "freeze" and not isinstance(misfit, AlwaysInvalid):
                raise ContractBroken(_broken(rules, number, row, misfit)) from None
            fitted.invalid.append(Problem(row, misfit.field, misfit.reason))
        except RecursionError:
            fitted.invalid.append(Problem(row, "", "the row is nested too deeply"))
    return attrs.evolve(fitted, trees=trees, dropped=fitter.dropped)


def fit_exactly(
    rows: Sequence[Mapping[str, Any]],
    trees: Mapping[str, Tree],
    rules: Rules,
    inexact: Callable[[Mapping[str, Tree]], Collection[str]],
) -> Fitted:
    """The same for a table that has rows: integers grow to floats only where those stored stay exact.

    `inexact` is given the grown types and tells the fields where one would not.
    """
    if rules.contract != "evolve":
        return fit_rows(rows, trees, rules)
    fitted = fit_rows(rows, {wire: _softened(tree) for wire, tree in trees.items()}, rules)
    if strict := inexact(fitted.trees):
        partly = {wire: tree if wire in strict else _softened(tree) for wire, tree in trees.items()}
        fitted = fit_rows(rows, partly, rules)
    return fitted


def _softened(tree: Tree) -> Tree:
    """The same with every undeclared BIGINT as SMALL: it may grow to DOUBLE unless `inexact` says otherwise."""
    match tree:
        case Leaf(type=columns.BIGINT, fixed=False):
            return Leaf(columns.SMALL)
        case Items(item=item):
            return attrs.evolve(tree, item=_softened(item))
        case Fields(fields=fields):
            return attrs.evolve(tree, fields={name: _softened(held) for name, held in fields.items()})
    return tree


def hardened(tree: Tree) -> Tree:
    """The same as the table knows it: nothing remains of what was only seen in the values of a chunk."""
    match tree:
        case Leaf(type=columns.SMALL):
            return attrs.evolve(tree, type=columns.BIGINT)
        case Items(item=item):
            return attrs.evolve(tree, item=hardened(item))
        case Fields(fields=fields):
            kept = {name: hardened(held) for name, held in fields.items()}
            return attrs.evolve(tree, fields=kept) if kept else columns.TEXT
    return tree


def account(delivered: int, number: int, fitted: Fitted | None) -> Written:
    """What became of a chunk of which `number` rows fitted and `delivered` of them were new or changed."""
    invalid, dropped = (tuple(fitted.invalid), fitted.dropped) if fitted else ((), {})
    return Written(delivered, number - delivered, invalid, dropped=dropped)


def _broken(rules: Rules, number: int, row: Mapping[str, Any], misfit: Misfit) -> str:
    named = ", ".join(f"{field} {told(row.get(field))}" for field in rules.key)
    which = f"row {number} of the chunk" + (f" ({named})" if named else "")
    why = f"{which}: {misfit.field}: {misfit.reason}"
    return f"{rules.where} is frozen by its contract: {why}; nothing of the chunk was written"


class _Fitter:
    """Fits rows by some rules. `free` below says that a type may grow: always in `evolve`, else where there is none."""

    def __init__(self, rules: Rules) -> None:
        self.dropped: Counter[str] = Counter()
        self._rules = rules
        self._evolves = rules.contract == "evolve"
        self._drops = False

    def row(self, row: Mapping[str, Any], trees: Mapping[str, Tree]) -> tuple[dict[str, Any], Mapping[str, Tree]]:
        """The row ready to be written, and the types, grown where they had to. Raises Misfit."""
        if not isinstance(row, Mapping):
            raise AlwaysInvalid(f"expected an object with fields, got {told(row)}")
        if not row:
            raise AlwaysInvalid("the row is empty: it has no field")
        fitted: dict[str, Any] = {}
        grown: dict[str, Tree] = {}
        for name, value in row.items():
            self._check(check_text(name, "a field's name"), str(name))
            tree = trees.get(name, columns.ANYTHING)
            self._drops = self._rules.contract == "discard_value" and name not in self._rules.key
            if not self._evolves and name not in trees:
                self._new_field(value, name)
                continue
            fitted[name], held = self._value(value, tree, name, 1, self._evolves)
            if held is not tree or name not in trees:
                grown[name] = held
        for field in self._rules.key:
            if fitted.get(field) is None:
                raise AlwaysInvalid(_no_key(field, row), field)
        return fitted, {**trees, **grown} if grown else trees

    def _value(self, value: Any, tree: Tree, path: str, level: int, free: bool) -> tuple[Any, Tree]:
        """The value as the tree's type takes it, and the tree, grown where it had to. Raises Misfit."""
        try:
            return self._fit(value, tree, path, level, free)
        except Misfit as misfit:
            self._drop(misfit)
            return None, tree

    def _drop(self, misfit: Misfit) -> None:
        if not self._drops:
            raise misfit
        self.dropped[_PLACE.sub("[]", misfit.field)] += 1

    def _new_field(self, value: Any, path: str) -> None:
        if value is not None:
            self._drop(Misfit(f"a field that is not there yet, got {told(value)}", path))

    def _fit(self, value: Any, tree: Tree, path: str, level: int, free: bool) -> tuple[Any, Tree]:
        if value is None:
            return None, tree
        if tree == columns.ANYTHING:
            free = True
            if self._rules.nested and level < columns.MOST_LEVELS:
                tree = _beginning(value)
        if isinstance(tree, Leaf):
            return self._fit_leaf(value, tree, path, free)
        if isinstance(tree, Items) and isinstance(value, list | tuple):
            return self._fit_items(value, tree, path, level, free)
        if isinstance(tree, Fields) and isinstance(value, Mapping):
            return self._fit_fields(value, tree, path, level, free)
        if tree.fixed or not free:
            raise Misfit(f"expected {'a list' if isinstance(tree, Items) else 'an object'}, got {told(value)}", path)
        return self._as_json(value, path)

    def _fit_items(self, value: Sequence[Any], tree: Items, path: str, level: int, free: bool) -> tuple[Any, Tree]:
        item = tree.item
        fitted = []
        for number, held in enumerate(value):
            ready, item = self._value(held, item, f"{path}[{number}]", level + 1, free)
            fitted.append(ready)
        return fitted, tree if item is tree.item else attrs.evolve(tree, item=item)

    def _fit_fields(
        self, value: Mapping[str, Any], tree: Fields, path: str, level: int, free: bool
    ) -> tuple[Any, Tree]:
        new = [name for name in value if name not in tree.fields]
        if new and not free:
            for name in new:
                self._new_field(value[name], f"{path}.{name}")
            value, new = {name: held for name, held in value.items() if name in tree.fields}, []
        if new:
            names = [*tree.fields, *new]
            if not all(isinstance(name, str) for name in new):
                raise AlwaysInvalid("the name of a field is not text", path)
            if not columns.holdable(names) or (not tree.fixed and len(names) > columns.MOST_INFERRED_FIELDS):
                return self._as_json(value, path)
        fitted = {}
        grown: dict[str, Tree] = {}
        for name, held in value.items():
            child = tree.fields.get(name, columns.ANYTHING)
            check_text(name, path)
            fitted[name], ready = self._value(held, child, f"{path}.{name}", level + 1, free)
            if ready is not child or name not in tree.fields:
                grown[name] = ready
        return fitted, attrs.evolve(tree, fields={**tree.fields, **grown}) if grown else tree

    def _fit_leaf(self, value: Any, leaf: Leaf, path: str, free: bool) -> tuple[Any, Tree]:
        if leaf.type == columns.JSON or leaf.foreign:
            return self._check(check_json(value, path), path), leaf
        try:
            if leaf.fixed:
                if value == "" and leaf.type != columns.VARCHAR:
                    return None, leaf  # how many vendors write that there is none
                ready, kind = DECLARED[leaf.type](value, leaf.type)
                if kind == columns.NUMERAL and self._rules.numeric:
                    ready = columns.read_decimal(ready)
                return self._check(ready, path), self._grown(leaf, kind, value, free)
            if isinstance(value, list | tuple | Mapping):
                self._grown(leaf, columns.JSON, value, free)
                return self._as_json(value, path)
            if leaf.type in columns.BITS and type(value) is int and fits_integer(value, leaf.type):
                return value, leaf
            ready, kind = infer(value)
            if self._rules.numeric and isinstance(value, int | Decimal) and kind in _NUMERIC:
                ready, kind = value, columns.NUMERAL
            joined = join(leaf.type, kind, numeric=self._rules.numeric)
            grown = self._grown(leaf, joined, value, free)
        except Misfit as misfit:
            raise misfit.at(path) from None
        return self._as_json(ready, path) if grown == columns.TEXT else (self._check(ready, path), grown)

    def _grown(self, leaf: Leaf, kind: str, value: Any, free: bool) -> Leaf:
        if kind == leaf.type:
            return leaf
        if not free:
            raise Misfit(f"expected {_WORDS.get(leaf.type, leaf.type)}, got {told(value)}")
        return Leaf(kind, fixed=leaf.fixed)

    def _as_json(self, value: Any, path: str) -> tuple[Any, Tree]:
        return self._check(check_json(value, path), path), columns.TEXT

    def _check(self, value: Any, path: str) -> Any:
        """The value, unless it holds a NUL character where none may be."""
        if not self._rules.nul:
            nested = isinstance(value, list | tuple | Mapping)
            if _NUL_IN_JSON.search(_encode(value)) if nested else isinstance(value, str) and "\0" in value:
                raise AlwaysInvalid("the text holds a NUL character, which cannot be stored here", path)
        return value


def _beginning(value: Any) -> Tree:
    """The type of a value whose parts are not looked at yet."""
    if isinstance(value, list | tuple):
        return Items(columns.ANYTHING)
    return Fields({}) if isinstance(value, Mapping) else columns.ANYTHING


def _no_key(field: str, row: Mapping[str, Any]) -> str:
    if field not in row:
        return f"the key is missing: the row has no field '{field}'{nearest(field, row)}"
    return "the key is null" if row[field] is None else f"the key is {told(row[field])}, which stands for null"
