"""Rows, one by one: what does not fit its declared type is found and named, and types grow to hold the rest."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import attrs
import msgspec

from connectory.destinations import duckdb_columns as columns
from connectory.destinations.destination import Problem
from connectory.destinations.duckdb_columns import Fields, Items, Leaf, Tree
from connectory.errors import nearest

_INTEGER: Final = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_encode = msgspec.json.Encoder().encode


class Misfit(Exception):
    """A value cannot be held. `field` is its path in the row, `reason` says why in plain words."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


@attrs.frozen
class Fitted:
    """The rows that fit, made ready for `trees` (by wire name) and as they were `given`; and the others."""

    rows: list[dict[str, Any]]
    given: list[Mapping[str, Any]]
    trees: Mapping[str, Tree]
    invalid: list[Problem]

    def without(self, reasons: Mapping[int, tuple[str, str]]) -> Fitted:
        """The same with some more rows invalid: their places in `rows`, with field and reason."""
        kept = [place for place in range(len(self.rows)) if place not in reasons]
        return Fitted(
            [self.rows[place] for place in kept],
            [self.given[place] for place in kept],
            self.trees,
            self.invalid + [Problem(self.given[place], *why) for place, why in sorted(reasons.items())],
        )


def fit_rows(rows: Sequence[Mapping[str, Any]], trees: Mapping[str, Tree], key: Sequence[str]) -> Fitted:
    """Look at every value of every row. An invalid row makes no type grow."""
    ready: list[dict[str, Any]] = []
    given: list[Mapping[str, Any]] = []
    invalid: list[Problem] = []
    for row in rows:
        try:
            fitted, trees = _fit_row(row, trees, key)
            ready.append(fitted)
            given.append(row)
        except Misfit as misfit:
            invalid.append(Problem(row, misfit.field, misfit.reason))
        except RecursionError:
            invalid.append(Problem(row, "", "the row is nested too deeply"))
    return Fitted(ready, given, trees, invalid)


def _fit_row(
    row: Mapping[str, Any], trees: Mapping[str, Tree], key: Sequence[str]
) -> tuple[dict[str, Any], Mapping[str, Tree]]:
    if not isinstance(row, Mapping):
        raise Misfit(f"expected an object with fields, got {_told(row)}")
    if not row:
        raise Misfit("the row is empty: it has no field")
    fitted: dict[str, Any] = {}
    grown: dict[str, Tree] = {}
    for name, value in row.items():
        _check_text(name, "a field's name")
        tree = trees.get(name, columns.ANYTHING)
        fitted[name], held = _fit(value, tree, name, 1)
        if held is not tree or name not in trees:
            grown[name] = held
    for field in key:
        if fitted.get(field) is None:
            raise Misfit(_no_key(field, row), field)
    return fitted, {**trees, **grown} if grown else trees


def _no_key(field: str, row: Mapping[str, Any]) -> str:
    if field not in row:
        return f"the key is missing: the row has no field '{field}'{nearest(field, row)}"
    return "the key is null" if row[field] is None else f"the key is {_told(row[field])}, which stands for null"


def _fit(value: Any, tree: Tree, path: str, level: int) -> tuple[Any, Tree]:
    """The value as the tree's type takes it, and the tree, grown where it had to. Raises Misfit."""
    if value is None:
        return None, tree
    if tree == columns.ANYTHING and level < columns.MOST_LEVELS:
        tree = Items(tree) if isinstance(value, list | tuple) else Fields({}) if isinstance(value, Mapping) else tree
    if isinstance(tree, Leaf):
        return _fit_leaf(value, tree, path)
    if isinstance(tree, Items) and isinstance(value, list | tuple):
        return _fit_items(value, tree, path, level)
    if isinstance(tree, Fields) and isinstance(value, Mapping):
        return _fit_fields(value, tree, path, level)
    if tree.fixed:
        raise Misfit(f"expected {'a list' if isinstance(tree, Items) else 'an object'}, got {_told(value)}", path)
    return _as_json(value, path)


def _fit_items(value: Sequence[Any], tree: Items, path: str, level: int) -> tuple[Any, Tree]:
    item = tree.item
    fitted = []
    for number, held in enumerate(value):
        ready, item = _fit(held, item, f"{path}[{number}]", level + 1)
        fitted.append(ready)
    return fitted, tree if item is tree.item else attrs.evolve(tree, item=item)


def _fit_fields(value: Mapping[str, Any], tree: Fields, path: str, level: int) -> tuple[Any, Tree]:
    new = [name for name in value if name not in tree.fields]
    if new:
        names = [*tree.fields, *new]
        if not all(isinstance(name, str) for name in new):
            raise Misfit("the name of a field is not text", path)
        if not columns.holdable(names) or (not tree.fixed and len(names) > columns.MOST_INFERRED_FIELDS):
            return _as_json(value, path)
    fitted = {}
    grown: dict[str, Tree] = {}
    for name, held in value.items():
        child = tree.fields.get(name, columns.ANYTHING)
        _check_text(name, path)
        fitted[name], ready = _fit(held, child, f"{path}.{name}", level + 1)
        if ready is not child or name not in tree.fields:
            grown[name] = ready
    return fitted, attrs.evolve(tree, fields={**tree.fields, **grown}) if grown else tree


def _fit_leaf(value: Any, leaf: Leaf, path: str) -> tuple[Any, Tree]:
    if leaf.type == columns.JSON or leaf.foreign:
        return _check_json(value, path), leaf
    try:
        if leaf.fixed:
            if value == "" and leaf.type != columns.VARCHAR:
                return None, leaf  # how many vendors write that there is none
            ready, kind = _DECLARED[leaf.type](value, leaf.type)
            return ready, leaf if kind == leaf.type else Leaf(kind, fixed=True)
        if isinstance(value, list | tuple | Mapping):
            return _as_json(value, path)
        if leaf.type in columns.BITS and type(value) is int and _fits_integer(value, leaf.type):
            return value, leaf
        ready, kind = _infer(value)
    except Misfit as misfit:
        raise Misfit(misfit.reason, path) from None
    joined = _join(leaf.type, kind)
    if joined == columns.JSON:
        return _as_json(ready, path)
    return ready, leaf if joined == leaf.type else Leaf(joined)


def _join(have: str, seen: str) -> str:
    """The narrowest type that holds all values of two types without loss."""
    if have in (seen, columns.UNKNOWN):
        return seen
    if have in columns.INTEGERS and seen in columns.INTEGERS:
        return max(have, seen, key=columns.INTEGERS.index)
    pair = {have, seen}
    for wide, narrow in ((columns.DOUBLE, columns.INTEGERS[:4]), (columns.DECIMAL, columns.INTEGERS[:5])):
        if wide in pair and pair - {wide} <= set(narrow):
            return wide
    return columns.JSON


def _infer(value: Any) -> tuple[Any, str]:
    """An undeclared single value, ready to be written, and its narrowest type."""
    match value:
        case bool():
            return value, columns.BOOLEAN
        case int():
            return value, _integer_type(value)
        case float():
            return _finite(value), columns.DOUBLE
        case str():
            return _check_text(value, ""), columns.VARCHAR
        case datetime():
            return value, columns.MOMENT
        case date():
            return value, columns.DATE
        case time() if value.tzinfo is None:
            return value, columns.TIME
        case Decimal() if value.is_finite() and columns.fits_decimal(value):
            return value, columns.DECIMAL
        case time() | Decimal() | uuid.UUID():
            return str(value), columns.VARCHAR
        case bytes() | bytearray():
            return base64.b64encode(value).decode(), columns.VARCHAR
    raise Misfit(f"a value of type {type(value).__name__} cannot be kept")


def _integer_type(value: int) -> str:
    fitting = (kind for kind in (columns.SMALL, columns.BIGINT, columns.HUGEINT) if _fits_integer(value, kind))
    return next(fitting, columns.JSON)


def _fits_integer(value: int, kind: str) -> bool:
    if kind == columns.SMALL:
        return abs(value) <= columns.EXACT_IN_FLOAT
    limit = 1 << (columns.BITS[kind] - 1)
    return -limit <= value < limit


def _declared_integer(value: Any, kind: str) -> tuple[Any, str]:
    if isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) < 50:
        value = int(value)
    if isinstance(value, float | Decimal) and _fits_integer(whole := _whole(value), columns.SMALL) and whole == value:
        value = whole
    if isinstance(value, bool) or not isinstance(value, int):
        raise Misfit(f"expected an integer, got {_told(value)}")
    for wider in dict.fromkeys((kind, columns.BIGINT, columns.HUGEINT)):
        if _fits_integer(value, wider):
            return value, wider
    raise Misfit(f"{_told(value)} is too large: an integer has at most 38 digits")


def _whole(value: float | Decimal) -> int:
    try:
        return int(value)
    except (ValueError, OverflowError):  # not a number, or infinite
        return 0


def _declared_float(value: Any, kind: str) -> tuple[Any, str]:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value) if not _INTEGER.fullmatch(value) else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Misfit(f"expected a number, got {_told(value)}")
    try:
        number = _finite(float(value))
    except OverflowError:
        raise Misfit(f"{_told(value)} is too large for a float") from None
    if isinstance(value, int) and number != value:
        raise Misfit(f"{_told(value)} cannot be held by a float to the last digit")
    return number, kind


def _declared_decimal(value: Any, kind: str) -> tuple[Any, str]:
    try:
        number = columns.read_decimal(value)
    except ValueError:
        raise Misfit(f"expected a decimal number, got {_told(value)}") from None
    if kind == columns.DECIMAL and columns.fits_decimal(number):
        return number, columns.DECIMAL
    return value if isinstance(value, str) else number, columns.NUMERAL


def _declared_boolean(value: Any, kind: str) -> tuple[Any, str]:
    if isinstance(value, bool):
        return value, kind
    known = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, int | str) and str(value).lower() in known:
        return known[str(value).lower()], kind
    raise Misfit(f"expected true or false, got {_told(value)}")


def _declared_text(value: Any, kind: str) -> tuple[Any, str]:
    match value:
        case str():
            return _check_text(value, ""), kind
        case bool() | int() | float() | list() | tuple() | Mapping():
            return _encode(_check_json(value, "")).decode(), kind
        case datetime() | date() | time():
            return value.isoformat(), kind
    return str(_infer(value)[0]), kind


def _declared_date(value: Any, kind: str) -> tuple[Any, str]:
    day = _parse(value, (date, datetime), "expected a date such as 2026-05-20")
    if not isinstance(day, datetime):
        return day, kind
    if day.time() != time():
        raise Misfit(f"expected a date, got {_told(value)}, which has a time of day")
    return day.date(), kind


def _declared_time(value: Any, kind: str) -> tuple[Any, str]:
    moment = _parse(value, (time,), "expected a time such as 18:25:43")
    if moment.tzinfo is not None:
        raise Misfit(f"expected a time, got {_told(value)}, which has an offset")
    return moment, kind


def _declared_moment(value: Any, kind: str) -> tuple[Any, str]:
    moment = _parse(value, (datetime, date), "expected a date and time such as 2026-05-20T18:25:43Z")
    return moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day), kind


def _parse(value: Any, kinds: tuple[Any, ...], expected: str) -> Any:
    """The value as the first of these types that reads it. msgspec rounds a fraction to microseconds, as in the quick
    look at a whole chunk; what it refuses may still be ISO 8601."""
    if isinstance(value, kinds):
        return value
    if isinstance(value, str):
        for kind in kinds:
            for read in (lambda text, kind=kind: msgspec.convert(text, kind), kind.fromisoformat):
                try:
                    return read(value)
                except ValueError:
                    continue
    raise Misfit(f"{expected}, got {_told(value)}")


_DECLARED: Final[Mapping[str, Callable[[Any, str], tuple[Any, str]]]] = {
    **dict.fromkeys(columns.INTEGERS, _declared_integer),
    columns.DOUBLE: _declared_float,
    columns.DECIMAL: _declared_decimal,
    columns.NUMERAL: _declared_decimal,
    columns.BOOLEAN: _declared_boolean,
    columns.VARCHAR: _declared_text,
    columns.DATE: _declared_date,
    columns.TIME: _declared_time,
    columns.MOMENT: _declared_moment,
}


def _as_json(value: Any, path: str) -> tuple[Any, Tree]:
    return _check_json(value, path), columns.TEXT


def _check_json(value: Any, path: str) -> Any:
    try:
        _encode(value)
    except (TypeError, ValueError) as why:  # UnicodeEncodeError is a ValueError
        raise Misfit(f"cannot be written as JSON: {why}", path) from None
    return value


def _check_text(text: Any, path: str) -> Any:
    try:
        text.isascii() or text.encode()
    except AttributeError:
        raise Misfit("the name of a field is not text", path) from None
    except UnicodeEncodeError:
        raise Misfit("the text is no valid Unicode: it holds half of a surrogate pair", path) from None
    return text


def _finite(number: float) -> float:
    if number - number != 0:
        raise Misfit(f"{number} is no finite number")
    return number


def _told(value: Any) -> str:
    shown = repr(value) if isinstance(value, str) else str(value)
    return f"{type(value).__name__} {shown[:40]}{'…' if len(shown) > 40 else ''}"
