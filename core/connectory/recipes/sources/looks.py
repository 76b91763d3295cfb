"""What the cells of a CSV column are: by the type that the recipe gives it, else as they look.

As they look, over every cell of the column in every file, empty ones aside: `true` and `false` are bool; integers of
64 bits int; numbers with at most 18 digits before the point and 9 behind it decimal; other numbers, where a float
holds every digit, float; 2026-05-20 is date; 2026-05-20T18:25:43 and the like, all with a zone or all without,
datetime. All else is text. A number with a leading zero or a plus, or too long to be exact, is text: `007` and card
numbers keep their digits. An empty cell is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import attrs
import msgspec

from connectory.destinations.columns import EXACT_IN_FLOAT
from connectory.errors import nearest
from connectory.values.shapes import Kind, Plain

Parse = Callable[[str], Any]
"""From a cell to its value. Raises ValueError where the cell is no such thing."""


@attrs.frozen
class Look:
    """A type of cells: what kind of value, whether a cell has it, and how it is read."""

    kind: Kind
    fits: Callable[[str], object]
    parse: Parse

    @property
    def shape(self) -> Plain:
        return Plain(self.kind)


_BOOL: Final = re.compile(r"true|false", re.IGNORECASE)
_INT: Final = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)
_SHORT: Final = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,9})?", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_FEW_DIGITS: Final = re.compile(r"-?(0|[1-9]\d{0,7})(\.\d{1,7})?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_MOMENT: Final = re.compile(_LOCAL.pattern + r"(Z|[+-]\d\d(:?\d\d)?)", re.ASCII)


def _is_integer(cell: str) -> bool:
    return bool(_SHORT.fullmatch(cell) or (_INT.fullmatch(cell) and -(2**63) <= int(cell) < 2**63))


def _is_float(cell: str) -> bool:
    """A number that a float gives back to the last digit."""
    if _FEW_DIGITS.fullmatch(cell):
        return True
    if not _NUMBER.fullmatch(cell):
        return False
    number = float(cell)
    if cell.lstrip("-").isdecimal():
        return abs(number) <= EXACT_IN_FLOAT  # a longer one is no amount but a name made of digits
    return number - number == 0 and Decimal(repr(number)) == Decimal(cell)


def _reads(pattern: re.Pattern[str], parse: Parse) -> Callable[[str], bool]:
    def fits(cell: str) -> bool:
        try:
            return pattern.fullmatch(cell) is not None and parse(cell) is not None
        except ValueError:
            return False

    return fits


def _read_bool(cell: str) -> bool:
    if not _BOOL.fullmatch(cell):
        raise ValueError("expected true or false")
    return cell.lower() == "true"


# The first that fits every cell is taken.
LOOKS: Final[Sequence[Look]] = (
    Look("bool", _BOOL.fullmatch, _read_bool),
    Look("int", _is_integer, int),
    Look("decimal", _DECIMAL.fullmatch, Decimal),
    Look("float", _is_float, float),
    Look("date", _reads(_DATE, date.fromisoformat), date.fromisoformat),
    Look("datetime", _reads(_MOMENT, datetime.fromisoformat), datetime.fromisoformat),
    Look("datetime", _reads(_LOCAL, datetime.fromisoformat), datetime.fromisoformat),
)
TEXT: Final = Look("text", lambda _: True, str)


@attrs.define
class Column:
    """A column while its cells are looked at."""

    possible: list[Look] = attrs.Factory(lambda: list(LOOKS))
    seen: bool = False

    def see(self, cells: Iterable[str]) -> None:
        """Cross out what these cells are not."""
        if not self.possible:
            return
        different = set(cells)
        different.discard("")
        if different:
            self.seen = True
            self.possible = [look for look in self.possible if all(map(look.fits, different))]

    @property
    def look(self) -> Look:
        """What all cells were. A column without any is text."""
        return self.possible[0] if self.possible and self.seen else TEXT


def _integer(bits: int) -> Parse:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1)

    def parse(cell: str) -> int:
        if re.fullmatch(r"[-+]?\d+", cell, re.ASCII) and low <= (number := int(cell)) < high:
            return number
        raise ValueError(f"expected an integer of {bits} bits")

    return parse


def _float(cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        raise ValueError("expected a number") from None
    if number - number != 0:
        raise ValueError("expected a finite number")
    return number


def _decimal(digits: int, places: int) -> Parse:
    def parse(cell: str) -> Decimal:
        try:
            number = Decimal(cell)
        except InvalidOperation:
            raise ValueError("expected a number") from None
        if not number.is_finite() or abs(number.adjusted()) > 100 or not _has_room(number, digits - places, places):
            raise ValueError(f"expected a number of at most {digits - places} digits before the point, {places} behind")
        return number

    return parse


def _has_room(number: Decimal, before: int, behind: int) -> bool:
    whole, _, part = format(abs(number), "f").partition(".")
    return len(whole.lstrip("0")) <= before and len(part.rstrip("0")) <= behind


def _uuid(cell: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", cell):
        return cell
    raise ValueError("expected a UUID")


def _iso(kind: Any, example: str) -> Parse:
    def parse(cell: str) -> Any:
        try:
            return kind.fromisoformat(cell)
        except ValueError:
            raise ValueError(f"expected one such as {example}") from None

    return parse


def _moment(cell: str) -> datetime:
    """As DuckDB reads it here: without a zone it is UTC."""
    moment: datetime = _iso(datetime, "2026-05-20T18:25:43Z")(cell)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _json(cell: str) -> Any:
    try:
        return msgspec.json.decode(cell)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise ValueError("expected JSON") from None


_BITS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("TINYINT", "INT1"), 8),
    **dict.fromkeys(("SMALLINT", "INT2", "INT16", "SHORT"), 16),
    **dict.fromkeys(("INTEGER", "INT", "INT4", "INT32", "SIGNED"), 32),
    **dict.fromkeys(("BIGINT", "INT8", "INT64", "LONG"), 64),
    **dict.fromkeys(("HUGEINT", "INT128"), 128),
}
_TEXTS: Final = ("VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR")
_NAMED: Final[Mapping[str, tuple[Kind, Parse]]] = {
    **{name: ("int", _integer(bits)) for name, bits in _BITS.items()},
    **{name: ("text", str) for name in _TEXTS},
    **{name: ("float", _float) for name in ("DOUBLE", "FLOAT", "FLOAT8", "FLOAT4", "REAL")},
    **{name: ("bool", _read_bool) for name in ("BOOLEAN", "BOOL", "LOGICAL")},
    **{name: ("datetime", _iso(datetime, "2026-05-20T18:25:43")) for name in ("TIMESTAMP", "DATETIME")},
    **{name: ("datetime", _moment) for name in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")},
    "DATE": ("date", _iso(date, "2026-05-20")),
    "TIME": ("time", _iso(time, "18:25:43")),
    "UUID": ("text", _uuid),
    "JSON": ("any", _json),
}


def named_look(name: str) -> Look:
    """The type that DuckDB calls so, `decimal(18,2)` among them. Raises ValueError with the nearest right name."""
    upper = " ".join(name.upper().split())
    if found := re.fullmatch(r"(DECIMAL|NUMERIC|DEC) ?(?:\( ?(\d+) ?(?:, ?(\d+) ?)?\))?", upper):
        digits, places = (int(found[2]), int(found[3] or 0)) if found[2] else (18, 3)
        if not 0 < digits <= 38 or places > digits:
            raise ValueError(f"'{name}' is no type: a decimal has at most 38 digits, not more of them behind the point")
        return Look("decimal", lambda _: True, _decimal(digits, places))
    if upper not in _NAMED:
        raise ValueError(f"'{name}' is no type of a column{nearest(upper, [*_NAMED, 'DECIMAL'])}")
    kind, parse = _NAMED[upper]
    return Look(kind, lambda _: True, parse)
