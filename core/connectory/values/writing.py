"""A caller's value -> the value on the wire, checked. Each type is compiled once into one function."""

from __future__ import annotations

import base64
import re
import uuid
import warnings
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.errors import nearest
from connectory.plugins.kinds import Codec
from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar, TypeExpr, told_apart
from connectory.spec.words import Field
from connectory.values.codecs import BUILT_IN, find_codec, to_moment

Write = Callable[[Any], Any]
Fields = Mapping[str, Field]
OPEN: Final = "*"  # the field that opens a type for names of the vendor's


class ValueWarning(UserWarning):
    """A value is not what the spec declares; it is handed over as it came."""


class ValueFault(ValueError):
    """A value that is not what its type says. `path` leads to it (`StartTime`, `tags/2`)."""

    def __init__(self, reason: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"{'/'.join(map(str, path))}: {reason}" if path else reason)
        self.reason = reason
        self.path = path

    def under(self, step: str | int) -> ValueFault:
        """The same fault seen from one level up."""
        return ValueFault(self.reason, (step, *self.path))


_INTEGERS: Final = {"int": None, "byte": None, "int16": 15, "int32": 31, "int64": 63}


def _say(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _say_nothing(value: Any) -> str:
    return "the secret"


def _expected(what: str, value: Any) -> ValueFault:
    return ValueFault(f"expected {what}, got {_say(value)}")


def _write_integer(bits: int | None) -> Write:
    if bits is None:

        def write_any(value: Any) -> Any:
            if type(value) is int:
                return value
            raise _expected("an integer", value)

        return write_any
    low, high = -(2**bits), 2**bits

    def write(value: Any) -> Any:
        if type(value) is int and low <= value < high:
            return value
        raise _expected(f"an integer of {bits + 1} bits", value)

    return write


def _write_text(value: Any) -> Any:
    if isinstance(value, str):
        if not value.isascii():
            _check_encodable(value)
        return value
    raise _expected("a text", value)


def _check_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueFault("the text holds half a character (a lone surrogate), which cannot be sent") from None


def _write_secret(value: Any) -> Any:
    if isinstance(value, str):
        return _write_text(value)
    raise ValueFault(f"expected a text, got {type(value).__name__}")


def _write_float(value: Any) -> Any:
    if type(value) is float and value - value == 0:
        return value
    if type(value) is int or (isinstance(value, Decimal) and value.is_finite()):
        return value
    raise _expected("a number", value)


_EXACT_DIGITS: Final = 15  # of a float: so many come back as they were written (IEEE 754 binary64)


def _write_decimal(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d+)?", value):
        return Decimal(value)
    if type(value) is float and value - value == 0:
        exact = Decimal(repr(value))
        if len(exact.as_tuple().digits) <= _EXACT_DIGITS:
            return exact
    if type(value) is int or (isinstance(value, Decimal) and value.is_finite()):
        return value
    raise _expected("a decimal number (Decimal, int or text; a float of this many digits is not exact)", value)


def _write_bool(value: Any) -> Any:
    if value is True or value is False:
        return value
    raise _expected("true or false", value)


_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


def _write_uuid(value: Any) -> Any:
    if isinstance(value, str) and _UUID.fullmatch(value):
        return value
    if isinstance(value, uuid.UUID):
        return str(value)
    raise _expected("a UUID", value)


def _write_url(value: Any) -> Any:
    if isinstance(value, str) and re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:\S+$", value):
        return value
    raise _expected("a URL", value)


def _write_date(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        try:
            date.fromisoformat(value)
        except ValueError:
            raise _expected("a day of the calendar", value) from None
        return value
    raise _expected("a date such as 2026-05-20", value)


def _write_time(value: Any) -> Any:
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, str):
        try:
            time.fromisoformat(value)
        except ValueError:
            raise _expected("a time such as 18:25:43", value) from None
        return value
    raise _expected("a time such as 18:25:43", value)


def _write_bytes(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    raise _expected("bytes", value)


def write_plain_bytes(value: Any) -> Any:
    """Bytes as they are. Raises ValueFault for anything else."""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise _expected("bytes", value)


def _write_file(value: Any) -> Any:
    if isinstance(value, str | Path):
        return Path(value)
    raise _expected("a path of a file", value)


def _write_anything(value: Any) -> Any:
    """Whatever can be sent. What JSON has no word for would go out as null, or end the whole run."""
    match value:
        case str():
            return _write_text(value)
        case float() | Decimal():
            return _write_float(value)
        case Mapping():
            return _write_entries(value)
        case list() | tuple():
            return _write_list(_write_anything)(value)
        case None | int() | datetime() | date() | time() | uuid.UUID() | bytes() | bytearray():
            return value
    raise _expected("what JSON can hold", value)


def _write_entries(value: Mapping[Any, Any]) -> Any:
    written = {}
    for name, held in value.items():
        if not isinstance(name, str):
            raise _expected("texts as names", name)
        try:
            written[_write_text(name)] = _write_anything(held)
        except ValueFault as fault:
            raise fault.under(name) from None
    return written


_SCALARS: Final[Mapping[str, Write]] = {
    "str": _write_text,
    "secret": _write_secret,
    "float": _write_float,
    "decimal": _write_decimal,
    "bool": _write_bool,
    "uuid": _write_uuid,
    "url": _write_url,
    "date": _write_date,
    "time": _write_time,
    "bytes": _write_bytes,
    "file": _write_file,
    "any": _write_anything,
    **{name: _write_integer(bits) for name, bits in _INTEGERS.items()},
}


def _write_one_of(expression: OneOf, labels: Mapping[str, str]) -> Write:
    allowed: frozenset[Any] = frozenset(expression.values)
    kind = int if expression.base == "int" else str

    def write(value: Any) -> Any:
        if type(value) is kind and value in allowed:
            return value
        if type(value) is kind and expression.grows:
            warnings.warn(f"'{value}' is none of the values known so far: {expression}", ValueWarning, stacklevel=2)
            return value
        known = ", ".join(f"{v} ({labels[str(v)]})" if str(v) in labels else str(v) for v in expression.values)
        hint = nearest(value, allowed) if isinstance(value, str) else ""
        raise ValueFault(f"expected one of {known}, got {_say(value)}{hint}")

    return write


class Writers:
    """Compiles types into functions that check and write; one of these serves one spec.

    `types` are the spec's, `datetime` is the codec of the bare word `datetime`, `codecs` those installed.
    """

    def __init__(self, types: Mapping[str, Fields], datetime: str, codecs: Mapping[str, Codec]) -> None:
        self._types = types
        self._datetime = datetime
        self._codecs = codecs
        self._objects: dict[tuple[str, bool], Write] = {}

    def codec(self, expression: Scalar) -> Codec:
        """The codec of a `datetime`."""
        return find_codec(expression.codec or self._datetime, self._codecs)

    def of(self, expression: TypeExpr, labels: Mapping[str, str] | None = None) -> Write:
        """The function of one type. It returns the wire value or raises ValueFault."""
        match expression:
            case Scalar(name="datetime"):
                return _write_moment(self.codec(expression))
            case Scalar(name="decimal", codec="text"):
                return lambda value: format(Decimal(_write_decimal(value)), "f")
            case Scalar(name=name):
                return _SCALARS[name]
            case OneOf():
                return _write_one_of(expression, labels or {})
            case ListOf(item=item):
                return _write_list(self.of(item))
            case MapOf(value=inner):
                return _write_map(self.of(inner))
            case Named(name=name, partial=partial):
                return self._named(name, partial)
            case Either():
                return self._either(expression)

    def of_field(self, field: Field) -> Write:
        """The function of one field: its type, null where it is not required, and its own bounds."""
        return _with_null(_with_bounds(self.of(field.type, field.labels), field), field)

    def _named(self, name: str, partial: bool) -> Write:
        known = (name, partial)
        if known not in self._objects:
            # A type may hold itself: it is reached through the table until its own function stands there.
            self._objects[known] = lambda value: self._objects[known](value)
            self._objects[known] = self._compile_object(name, self._types[name], partial)
        return self._objects[known]

    def _either(self, either: Either) -> Write:
        chosen = {value: self._named(name, False) for value, name in told_apart(either, self._types).items()}
        known = ", ".join(map(str, chosen))

        def write(value: Any) -> Any:
            if not isinstance(value, Mapping):
                raise _expected(f"an object ({either})", value)
            said = value.get(either.by)
            if type(said) not in (str, int) or said not in chosen:
                found = "it is missing" if said is None else f"got {_say(said)}{nearest(str(said), map(str, chosen))}"
                raise ValueFault(f"says which kind of object this is: expected one of {known}, {found}", (either.by,))
            return chosen[said](value)

        return write

    def _compile_object(self, name: str, fields: Fields, partial: bool) -> Write:
        reference = next((wire for wire, field in fields.items() if field.reference), None)
        if reference is not None:
            return _write_reference(reference, self.of_field(fields[reference]))
        return write_object(name, {wire: (field, self.of_field(field)) for wire, field in fields.items()}, partial)


def _write_moment(codec: Codec) -> Write:
    def write(value: Any) -> Any:
        try:
            return codec.write(to_moment(value, codec))
        except (ValueError, OverflowError) as why:
            raise ValueFault(str(why)) from None

    return write


def _write_list(item: Write) -> Write:
    def write(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _expected("a list", value)
        written = []
        for number, inner in enumerate(value):
            try:
                written.append(item(inner))
            except ValueFault as fault:
                raise fault.under(number) from None
        return written

    return write


def _write_map(inner: Write) -> Write:
    def write(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _expected("an object", value)
        written = {}
        for name, held in value.items():
            try:
                written[name] = None if held is None else inner(held)
            except ValueFault as fault:
                raise fault.under(str(name)) from None
        return written

    return write


def _write_reference(wire: str, inner: Write) -> Write:
    """An object that only points at another record: `{"Id": 5, "Name": ...}` and `5` are both written `{"Id": 5}`."""

    def write(value: Any) -> Any:
        pointed = value.get(wire) if isinstance(value, Mapping) else value
        if pointed is None:
            raise ValueFault(f"expected a bare {wire} or an object with '{wire}', got {_say(value)}")
        try:
            return {wire: inner(pointed)}
        except ValueFault as fault:
            raise fault.under(wire) from None

    return write


@attrs.frozen
class _ObjectRules:
    """What an object's function looks up: compiled once, used for every item."""

    name: str
    writers: Mapping[str, Write]
    refused: frozenset[str]
    required: tuple[str, ...]
    defaults: Mapping[str, Any]
    after: tuple[tuple[str, str], ...]
    open: bool


def write_object(name: str, fields: Mapping[str, tuple[Field, Write]], partial: bool) -> Write:
    """The function of an object: unknown and read-only names are refused, required ones must be there."""
    named = {wire: pair for wire, pair in fields.items() if wire != OPEN}
    rules = _ObjectRules(
        name,
        {wire: write for wire, (_, write) in named.items()},
        frozenset(wire for wire, (field, _) in named.items() if field.read_only),
        ()
        if partial
        else tuple(wire for wire, (f, _) in named.items() if f.required and f.default is None and not f.read_only),
        {} if partial else {wire: f.default for wire, (f, _) in named.items() if f.default is not None},
        tuple((wire, f.after) for wire, (f, _) in named.items() if f.after),
        OPEN in fields,
    )
    return lambda value: _check_object(rules, value)


def _check_object(rules: _ObjectRules, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise _expected(f"an object ({rules.name})", value)
    written: dict[str, Any] = {}
    for wire, held in value.items():
        write = rules.writers.get(wire)
        if write is None:
            if not rules.open:
                raise ValueFault(f"{rules.name} has no such field{nearest(str(wire), rules.writers)}", (str(wire),))
            try:
                written[wire] = _write_anything(held)
            except ValueFault as fault:
                raise fault.under(str(wire)) from None
            continue
        if wire in rules.refused:
            raise ValueFault("is set by the vendor and cannot be sent", (wire,))
        try:
            written[wire] = write(held)
        except ValueFault as fault:
            raise fault.under(wire) from None
    for wire in rules.required:
        if wire not in written:
            raise ValueFault("is required", (wire,))
    for wire, default in rules.defaults.items():
        written.setdefault(wire, default)
    for later, earlier in rules.after:
        _check_order(value, later, earlier)
    return written


def _check_order(value: Mapping[str, Any], later: str, earlier: str) -> None:
    if value.get(later) is None or value.get(earlier) is None:
        return
    try:
        in_order = to_moment(value[later], BUILT_IN["utc"]) > to_moment(value[earlier], BUILT_IN["utc"])
    except ValueError:
        return  # written in a way only the vendor's codec reads: the vendor checks it
    if not in_order:
        raise ValueFault(f"must come after {earlier}", (later,))


def may_be_null(field: Field) -> bool:
    """Whether null is a value of the field."""
    return not field.required or field.nullable


def _with_null(write: Write, field: Field) -> Write:
    if not may_be_null(field):
        return write

    def nullable(value: Any) -> Any:
        return None if value is None else write(value)

    return nullable


def is_bounded(field: Field) -> bool:
    """Whether the field has bounds besides its type."""
    return field.pattern is not None or field.least is not None or field.most is not None


def _with_bounds(write: Write, field: Field) -> Write:
    if not is_bounded(field):
        return write
    pattern = re.compile(field.pattern) if field.pattern is not None else None
    say: Callable[[Any], str] = _say_nothing if field.type == Scalar("secret") else _say

    def bounded(value: Any) -> Any:
        written = write(value)
        if pattern is not None and not pattern.fullmatch(str(written)):
            raise ValueFault(f"{say(value)} does not look like {field.pattern}")
        size = len(value) if isinstance(value, str | list | tuple | dict) else value
        if field.least is not None and size < field.least:
            raise ValueFault(f"{say(value)} is below {field.least:g}, the least")
        if field.most is not None and size > field.most:
            raise ValueFault(f"{say(value)} is above {field.most:g}, the most")
        return written

    return bounded
