"""Single values as a column's type takes them: declared types are checked, undeclared values get their narrowest."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import msgspec

from connectory.destinations import columns

_INTEGER: Final = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
MOST_DIGITS: Final = 10**38  # what the widest integers and decimals of every format hold
_NUMBERS: Final = frozenset({*columns.INTEGERS, columns.DOUBLE, columns.DECIMAL, columns.NUMERAL})
_encode = msgspec.json.Encoder().encode


class Misfit(Exception):
    """A value cannot be held. `field` is its path in the row, `reason` says why in plain words."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field

    def at(self, field: str) -> Misfit:
        """The same with its place."""
        return type(self)(self.reason, field)


class AlwaysInvalid(Misfit):
    """Invalid whatever the columns and the contract are."""


def join(have: str, seen: str, *, numeric: bool = False) -> str:
    """The narrowest type that holds all values of two types without loss; with `numeric` any two numbers have one."""
    if have in (seen, columns.UNKNOWN):
        return seen
    if have in columns.INTEGERS and seen in columns.INTEGERS:
        return max(have, seen, key=columns.INTEGERS.index)
    pair = {have, seen}
    for wide, narrow in ((columns.DOUBLE, columns.INTEGERS[:4]), (columns.DECIMAL, columns.INTEGERS[:5])):
        if wide in pair and pair - {wide} <= set(narrow):
            return wide
    return columns.NUMERAL if numeric and pair <= _NUMBERS else columns.JSON


def infer(value: Any) -> tuple[Any, str]:
    """An undeclared single value, ready to be written, and its narrowest type."""
    match value:
        case bool():
            return value, columns.BOOLEAN
        case int():
            return value, _integer_type(value)
        case float():
            return _finite(value), columns.DOUBLE
        case str():
            return check_text(value, ""), columns.VARCHAR
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
    fitting = (kind for kind in (columns.SMALL, columns.BIGINT, columns.HUGEINT) if fits_integer(value, kind))
    return next(fitting, columns.JSON)


def fits_integer(value: int, kind: str) -> bool:
    if kind == columns.SMALL:
        return abs(value) <= columns.EXACT_IN_FLOAT
    if kind == columns.HUGEINT:
        return abs(value) < MOST_DIGITS
    limit = 1 << (columns.BITS[kind] - 1)
    return -limit <= value < limit


def _declared_integer(value: Any, kind: str) -> tuple[Any, str]:
    if isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) < 50:
        value = int(value)
    if isinstance(value, float | Decimal) and fits_integer(whole := _whole(value), columns.SMALL) and whole == value:
        value = whole
    if isinstance(value, bool) or not isinstance(value, int):
        raise Misfit(f"expected an integer, got {told(value)}")
    for wider in dict.fromkeys((kind, columns.BIGINT, columns.HUGEINT)):
        if fits_integer(value, wider):
            return value, wider
    raise Misfit(f"{told(value)} is too large: an integer has at most 38 digits")


def _whole(value: float | Decimal) -> int:
    try:
        return int(value)
    except (ValueError, OverflowError):  # not a number, or infinite
        return 0


def _declared_float(value: Any, kind: str) -> tuple[Any, str]:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value) if not _INTEGER.fullmatch(value) else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Misfit(f"expected a number, got {told(value)}")
    try:
        number = _finite(float(value))
    except OverflowError:
        raise Misfit(f"{told(value)} is too large for a float") from None
    if isinstance(value, int) and number != value:
        raise Misfit(f"{told(value)} cannot be held by a float to the last digit")
    return number, kind


def _declared_decimal(value: Any, kind: str) -> tuple[Any, str]:
    try:
        number = columns.read_decimal(value)
    except ValueError:
        raise Misfit(f"expected a decimal number, got {told(value)}") from None
    if kind == columns.DECIMAL and columns.fits_decimal(number):
        return number, columns.DECIMAL
    return value if isinstance(value, str) else number, columns.NUMERAL


def _declared_boolean(value: Any, kind: str) -> tuple[Any, str]:
    if isinstance(value, bool):
        return value, kind
    known = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, int | str) and str(value).lower() in known:
        return known[str(value).lower()], kind
    raise Misfit(f"expected true or false, got {told(value)}")


def _declared_text(value: Any, kind: str) -> tuple[Any, str]:
    match value:
        case str():
            return check_text(value, ""), kind
        case bool() | int() | float() | list() | tuple() | Mapping():
            return _encode(check_json(value, "")).decode(), kind
        case datetime() | date() | time():
            return value.isoformat(), kind
    return str(infer(value)[0]), kind


def _declared_date(value: Any, kind: str) -> tuple[Any, str]:
    day = _parse(value, (date, datetime), "expected a date such as 2026-05-20")
    if not isinstance(day, datetime):
        return day, kind
    if day.time() != time():
        raise Misfit(f"expected a date, got {told(value)}, which has a time of day")
    return day.date(), kind


def _declared_time(value: Any, kind: str) -> tuple[Any, str]:
    moment = _parse(value, (time,), "expected a time such as 18:25:43")
    if moment.tzinfo is not None:
        raise Misfit(f"expected a time, got {told(value)}, which has an offset")
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
    raise Misfit(f"{expected}, got {told(value)}")


DECLARED: Final[Mapping[str, Callable[[Any, str], tuple[Any, str]]]] = {
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


def check_json(value: Any, path: str) -> Any:
    try:
        _encode(value)
    except (TypeError, ValueError) as why:  # UnicodeEncodeError is a ValueError
        raise AlwaysInvalid(f"cannot be written as JSON: {why}", path) from None
    return value


def check_text(text: Any, path: str) -> Any:
    try:
        text.isascii() or text.encode()
    except AttributeError:
        raise AlwaysInvalid("the name of a field is not text", path) from None
    except UnicodeEncodeError:
        raise AlwaysInvalid("the text is no valid Unicode: it holds half of a surrogate pair", path) from None
    return text


def _finite(number: float) -> float:
    if number - number != 0:
        raise AlwaysInvalid(f"{number} is no finite number")
    return number


def told(value: Any) -> str:
    shown = repr(value) if isinstance(value, str) else str(value)
    return f"{type(value).__name__} {shown[:40]}{'…' if len(shown) > 40 else ''}"
