"""Marks: the largest value seen of a field, so that the next run reads only what is new or changed.

A mark moves only at the end of a complete read. For moments it never passes the moment at which the read began: a
record that changed while the list was read, on a page that was read already, is of a later moment and comes next time.
Records at or behind the mark that were delivered are remembered where they would be appended twice, and those of the
page before: a vendor's cursors may count in secret, so that a record which comes before them moves others behind them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal

import attrs

from connectory.operation import Plan
from connectory.paging.walk import digest
from connectory.plugins.kinds import Codec
from connectory.spec.expressions import ExpressionFault, compile_expression, expression_names
from connectory.spec.language import Mark
from connectory.spec.places import MISSING, AnswerPath, parse_path
from connectory.spec.typeexpr import ANY, Scalar, TypeExpr
from connectory.values.codecs import find_codec, read_iso

Value = datetime | date | float | str  # an int is a float here, as in Python's types
Kind = Literal["moment", "day", "number", "text"]

MOST_REMEMBERED: Final = 20_000  # records at or behind the mark
FEWEST_REMEMBERED: Final = 200  # of this run: all records of a small page may move while nobody reads
_STEP: Final = timedelta(milliseconds=1)  # how far before the mark an exclusive filter begins
_INTEGERS: Final = frozenset({"int", "byte", "int16", "int32", "int64"})


class MarkWarning(UserWarning):
    """The field of a mark does not say for every record when it changed."""


@attrs.frozen
class MarkField:
    """The field that a mark is of. `kind` is None where the type does not say what it holds."""

    name: str
    path: AnswerPath
    kind: Kind | None
    codec: Codec

    @classmethod
    def of(cls, name: str, expression: TypeExpr, datetime_codec: str, codecs: Mapping[str, Codec]) -> MarkField:
        """The field of a record, as its type declares it."""
        kind: Kind | None = None
        codec = datetime_codec
        if isinstance(expression, Scalar):
            codec = expression.codec or datetime_codec
            if expression.name == "datetime":
                kind = "moment"
            elif expression.name == "date":
                kind, codec = "day", expression.codec or "rfc3339"
            elif expression.name in _INTEGERS or expression.name in ("float", "decimal"):
                kind = "number"
            elif expression != ANY:
                kind = "text"
        return cls(name, parse_path(name), kind, find_codec(codec, codecs))

    def found(self, record: Any) -> Any:
        """What stands in a record: MISSING, None, or a value as the vendor wrote it."""
        return self.path.find(record) if isinstance(record, Mapping) else MISSING

    def read(self, raw: Any) -> Value | None:
        """What stood in a record, so that it can be compared; None where it is empty or cannot be read."""
        if raw is MISSING or raw is None or raw == "" or isinstance(raw, bool | dict | list):
            return None
        try:
            match self.kind:
                case "moment":
                    return raw.astimezone(UTC) if isinstance(raw, datetime) else self.codec.read(raw).astimezone(UTC)
                case "day":
                    return date.fromisoformat(raw) if len(raw) == 10 else self.codec.read(raw).date()
                case "number":
                    number = float(raw)
                    return None if math.isnan(number) else int(raw) if number.is_integer() else number
                case "text":
                    return str(raw)
                case None:
                    return _guessed(raw)
        except (ValueError, TypeError, OverflowError, AttributeError):
            return None

    def parse(self, text: str) -> Value:
        """A value that a person writes: a day, a moment (UTC where no zone is said), a number. Raises ValueError."""
        if self.kind == "number":
            return int(text) if text.lstrip("-").isdigit() else float(text)
        if self.kind == "text":
            return text
        if self.kind == "day":
            return date.fromisoformat(text)
        return read_iso(text, zoneless=True).astimezone(UTC)


def _guessed(raw: Any) -> Value | None:
    if isinstance(raw, int | float):
        return raw
    text = str(raw)
    try:
        return read_iso(text, zoneless=True).astimezone(UTC) if "-" in text[:8] else text
    except ValueError:
        return text


def earlier(value: Value | None, seconds: float) -> Value | None:
    """A moment or day before another one; numbers and texts stay as they are."""
    if isinstance(value, datetime):
        return value - timedelta(seconds=seconds)
    if isinstance(value, date):
        return value - timedelta(days=math.ceil(seconds / 86400))
    return value


def _reaches(value: Value | None, floor: Value | None) -> bool:
    return value is None or floor is None or not comparable(value, floor) or value >= floor  # type: ignore[operator]


def comparable(a: Value, b: Value) -> bool:
    """Whether two values of a field are of one kind."""
    return type(a) is type(b) or (isinstance(a, int | float) and isinstance(b, int | float))


@attrs.define
class Seen:
    """What a read has seen of its mark: the largest value, and records that must not be appended twice.

    `base` is the mark of the last complete run, `began` where the largest may move at most. `before` are the records
    that the last run delivered at its mark or behind it, `near` those of this one and the latest of it, as many as a
    page holds and some hundred more: digest -> value (None: it has none).
    """

    field: MarkField
    base: Value | None
    began: datetime
    lookback: float = 0.0
    remember: bool = False
    largest: Value | None = None
    before: Mapping[str, Value | None] = attrs.Factory(dict)
    near: dict[str, Value | None] = attrs.Factory(dict)
    page: int = 0
    records: int = 0
    empty: int = 0
    absent: int = 0

    def take(self, raw: Any, value: Value | None, identity: Callable[[], Any]) -> bool:
        """Count a record in, by its mark as it was found and read, and by what tells the record from others.

        False: it was delivered before, at the same mark."""
        self.records += 1
        self.absent += raw is MISSING
        if value is None:
            self.empty += 1
        elif self.largest is None or (comparable(value, self.largest) and value > self.largest):  # type: ignore[operator]
            self.largest = value
        if not self.remember:
            return True
        held = digest([identity(), str(value)])
        known = held in self.near or held in self.before
        self.near.pop(held, None)  # so that the latest stand last
        self.near[held] = value
        if len(self.near) >= 2 * MOST_REMEMBERED:
            self._forget()
        return not known

    @property
    def mark(self) -> Value | None:
        """Where the mark is moved to when everything was read: never back, never past the beginning of this read."""
        seen, base = self.largest, self.base
        if isinstance(seen, datetime):
            seen = min(seen, self.began)
        elif isinstance(seen, date):
            seen = min(seen, self.began.date())
        if seen is None or base is None or not comparable(seen, base):
            return base if seen is None else seen
        return max(seen, base)

    def kept(self) -> list[list[Any]]:
        """The records delivered so far that this run, or the next, may meet again."""
        self._forget()
        return [[held, value] for held, value in self.near.items()]

    def left(self) -> list[list[Any]]:
        """The same at the end, with those of the last run that are not behind the mark yet."""
        floor, known = self._floor, {**self.before, **self.near}
        return [[held, value] for held, value in known.items() if _reaches(value, floor)][-MOST_REMEMBERED:]

    @property
    def _floor(self) -> Value | None:
        return earlier(self.mark, self.lookback + 1.0)

    def _forget(self) -> None:
        floor, latest = self._floor, len(self.near) - max(self.page, FEWEST_REMEMBERED)
        numbered = enumerate(self.near.items())
        self.near = {held: value for n, (held, value) in numbered if n >= latest or _reaches(value, floor)}
        if len(self.near) > MOST_REMEMBERED:
            self.near = dict(list(self.near.items())[-MOST_REMEMBERED:])
            warnings.warn(
                f"more than {MOST_REMEMBERED:,} records at the mark of {self.field.name}: some may be appended twice",
                MarkWarning,
                stacklevel=2,
            )

    def tell(self) -> None:
        """Say what the field did not say."""
        if self.empty:
            said = "do not hold it" if self.absent == self.empty else "hold none"
            warnings.warn(
                f"{self.empty:,} of {self.records:,} records {said}: {self.field.name}; they do not move the mark",
                MarkWarning,
                stacklevel=2,
            )


@attrs.frozen
class Filter:
    """How the vendor filters by the field of a mark: as the spec says, or by arguments of the recipe that name
    `since` and `until` (`by_hand`). Where it does not, what is older is left out here."""

    plan: Plan
    field: MarkField
    mark: Mark | None
    codecs: Mapping[str, Codec]
    by_hand: frozenset[str] = frozenset()

    @property
    def lower(self) -> bool:
        """Whether the vendor takes the lower end."""
        return "since" in self.by_hand or (self.mark is not None and self.mark.from_ is not None)

    @property
    def upper(self) -> bool:
        """Whether the vendor takes the upper end."""
        if "until" in self.by_hand:
            return True
        return self.mark is not None and (self.mark.until is not None or "until" in names_in(self.mark.as_))

    def arguments(self, given: Mapping[str, Any], since: Value | None, until: Value | None) -> dict[str, Any]:
        """The caller's arguments and, in their places, the ends of what is wanted."""
        mark, filled = self.mark, dict(given)
        if mark is None or "since" in self.by_hand:
            return filled
        by_wire = {parameter.wire: parameter for parameter in self.plan.parameters.values()}
        if since is not None and mark.from_ is not None:
            parameter = by_wire[mark.from_]
            begin = since if mark.inclusive else before(since)
            filled[parameter.name] = (
                self._written(begin, parameter.field.type)
                if mark.as_ is None
                else fill(mark.as_, self._texts(begin, until, given.get(parameter.name)))
            )
        if until is not None and mark.until is not None:
            parameter = by_wire[mark.until]
            filled[parameter.name] = self._written(until, parameter.field.type)
        return filled

    def _texts(self, since: Value, until: Value | None, given: Any) -> dict[str, Any]:
        return {
            "since": self._text(since),
            "until": "" if until is None else self._text(until),
            "given": "" if given is None else given,
        }

    def _text(self, value: Value) -> str:
        written = self._written(value, Scalar("str"))
        return written.isoformat() if isinstance(written, date) else str(written)

    def _written(self, value: Value, expression: TypeExpr) -> Any:
        """A value for a parameter: moments as the mark's codec, else as the parameter's or the field's type says."""
        assert self.mark is not None
        if isinstance(value, datetime):
            if self.mark.codec is not None:
                return find_codec(self.mark.codec, self.codecs).write(value)
            if expression == Scalar("date"):
                return value.date()
            is_moment = isinstance(expression, Scalar) and expression.name == "datetime"
            return value if is_moment else self.field.codec.write(value)
        if isinstance(value, date) and self.mark.codec is not None:
            return find_codec(self.mark.codec, self.codecs).write(datetime.combine(value, time(), UTC))
        if isinstance(value, date) and isinstance(expression, Scalar) and expression.name == "datetime":
            return datetime.combine(value, time(), UTC)
        if isinstance(value, date) and expression == Scalar("str"):
            return value.isoformat()
        return str(value) if expression == Scalar("str") else value


def before(value: Value) -> Value:
    """The next value below, for vendors that give only what is strictly behind."""
    if isinstance(value, datetime):
        return value - _STEP
    if isinstance(value, date):
        return value - timedelta(days=1)
    return value - 1 if isinstance(value, int) else value


def names_in(held: Any) -> frozenset[str]:
    """The names that the texts of a YAML value use."""
    if isinstance(held, str):
        try:
            return expression_names(held) if "{{" in held else frozenset()
        except ExpressionFault:  # told where the text is checked
            return frozenset()
    inner: Sequence[Any] = list(held.values()) if isinstance(held, Mapping) else held if isinstance(held, list) else ()
    return frozenset[str]().union(*map(names_in, inner))


def fill(held: Any, names: Mapping[str, Any]) -> Any:
    """The texts of a YAML value with their names filled in; what stands for nothing is left out of lists and maps."""
    if isinstance(held, str):
        return compile_expression(held).value(names) if "{{" in held else held
    if isinstance(held, Mapping):
        filled = {name: fill(value, names) for name, value in held.items()}
        return {name: value for name, value in filled.items() if value != ""}
    if isinstance(held, list | tuple):
        return [value for value in (fill(one, names) for one in held) if value != ""]
    return held
