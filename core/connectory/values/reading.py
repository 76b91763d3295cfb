"""What an answer holds -> Python values: declared moments, days and decimals; everything else stays as it came."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import date, time
from decimal import Decimal
from typing import Any

from connectory.plugins.kinds import Codec
from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar, TypeExpr, told_apart
from connectory.spec.words import Field
from connectory.values import shapes
from connectory.values.codecs import find_codec
from connectory.values.texts import parse_text
from connectory.values.writing import ValueWarning

Read = Callable[[Any], Any]
Fields = Mapping[str, Field]


class Readers:
    """Compiles types into functions that read; None where there is nothing to convert.

    With `iso_as_text` moments, days and decimals that stand in the answer as ISO 8601 or as numbers stay as they are,
    for destinations that read those themselves; only the vendor's own writings (Unix seconds, patterns) are converted.

    With `textual` every value is a text, as in a table: numbers and booleans are read from it too.

    A value that cannot be read as declared is handed over as it came, with a ValueWarning: one odd date must not cost
    the other records.
    """

    def __init__(
        self,
        types: Mapping[str, Fields],
        datetime: str,
        codecs: Mapping[str, Codec],
        *,
        iso_as_text: bool = False,
        textual: bool = False,
    ) -> None:
        self._textual = textual
        self._iso_as_text = iso_as_text
        self._types = types
        self._datetime = datetime
        self._codecs = codecs
        self._objects: dict[str, Read | None] = {}
        self._open: set[str] = set()

    def of(self, expression: TypeExpr) -> Read | None:
        """The function of one type, or None."""
        match expression:
            case Scalar(name="datetime"):
                codec = expression.codec or self._datetime
                return None if self._iso_as_text and codec in _ISO else _lenient(find_codec(codec, self._codecs).read)
            case Scalar(name="date" | "time" | "decimal") if self._iso_as_text:
                return None
            case Scalar(name="date"):
                return _lenient(lambda value: date.fromisoformat(value))
            case Scalar(name="time"):
                return _lenient(lambda value: time.fromisoformat(value))
            case Scalar(name="decimal"):
                return _lenient(_read_decimal)
            case OneOf():
                watched = _watched(expression)
                return _lenient(lambda value: watched(_read_text(value, expression))) if self._textual else watched
            case Scalar(name=name):
                numeric = self._textual and name in _FROM_TEXT
                return _lenient(lambda value: _read_text(value, expression)) if numeric else None
            case ListOf(item=item):
                inner = self.of(item)
                if self._textual:  # one element of a name is no list in XML, and a cell of a table holds one
                    return _read_list_of_text(inner or _as_it_came)
                return None if inner is None else _read_list(inner)
            case MapOf(value=held):
                inner = self.of(held)
                return None if inner is None else _read_map(inner)
            case Named(name=name):
                return self._named(name)
            case Either():
                return self._either(expression)

    def _either(self, either: Either) -> Read:
        """Each object by its own type; one of a new kind is kept as it came, and told."""
        chosen = {value: self._named(name) for value, name in told_apart(either, self._types).items()}
        watch = _watched(OneOf("str", tuple(chosen)))

        def read(value: Any) -> Any:
            if not isinstance(value, dict):
                return value
            said = watch(value.get(either.by))
            one = chosen.get(said) if isinstance(said, str | int) else None
            return value if one is None else one(value)

        return read

    def _named(self, name: str) -> Read | None:
        if name in self._objects:
            return self._objects[name]
        if name in self._open:  # a type that holds itself: resolved when the outer one is done
            return lambda value: (self._objects[name] or _as_it_came)(value)
        self._open.add(name)
        fields = {wire: read for wire, field in self._types[name].items() if (read := self.of(field.type)) is not None}
        watched = {wire for wire in fields if isinstance(self._types[name][wire].type, OneOf) and not self._textual}
        self._open.discard(name)
        self._objects[name] = _read_object(fields, watched) if fields else None
        return self._objects[name]

    def shape(self, expression: TypeExpr, seen: tuple[str, ...] = ()) -> shapes.Shape:
        """The resolved shape of a type, for destinations that make columns. A type inside itself is `any` there."""
        match expression:
            case Scalar(name=name):
                return shapes.Plain(_KINDS[name])
            case OneOf(base=base):
                return shapes.Plain("int" if base == "int" else "text")
            case ListOf(item=item):
                return shapes.ListOf(self.shape(item, seen))
            case MapOf(value=held):
                return shapes.MapOf(self.shape(held, seen))
            case Either(types=types):
                return _joined([self.shape(one, seen) for one in types])
            case Named(name=name):
                if name in seen:
                    return shapes.Plain("any")
                fields = self._types[name].items()
                return shapes.Record(
                    {w: self.shape(f.type, (*seen, name)) for w, f in fields if w != "*" and not f.write_only}
                )


def _joined(records: Sequence[shapes.Shape]) -> shapes.Shape:
    """The fields of several records; what one field is in each of them, or anything where they differ."""
    fields: dict[str, shapes.Shape] = {}
    for record in records:
        for name, shape in record.fields.items() if isinstance(record, shapes.Record) else ():
            fields[name] = shape if fields.get(name, shape) == shape else shapes.Plain("any")
    return shapes.Record(fields)


_FROM_TEXT = frozenset({"int", "byte", "int16", "int32", "int64", "float", "bool"})
_ISO = frozenset({"rfc3339", "utc", "utc_naive"})
_KINDS: Mapping[str, shapes.Kind] = {
    **dict.fromkeys(("str", "uuid", "url", "secret", "file"), "text"),
    **dict.fromkeys(("int", "byte", "int16", "int32", "int64"), "int"),
    **{kind: kind for kind in ("float", "decimal", "bool", "date", "time", "datetime", "bytes", "any")},
}


def _as_it_came(value: Any) -> Any:
    return value


def _read_decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("no number")
    try:
        return Decimal(str(value))
    except ArithmeticError:
        raise ValueError("no number") from None


def _lenient(read: Read) -> Read:
    def lenient(value: Any) -> Any:
        if value is None or value == "":
            return value
        try:
            return read(value)
        except (ValueError, TypeError, OverflowError) as why:
            warnings.warn(f"a value is not what the spec declares: {why}", ValueWarning, stacklevel=2)
            return value

    return lenient


_MOST_TOLD = 20  # values of one list that are told as new: what has more is no list of values


def _watched(expression: OneOf) -> Read:
    """A value of a list that may have grown since the spec was written: a new one is kept, and told once."""
    known: set[Any] = set(expression.values)
    most = len(known) + _MOST_TOLD

    def read(value: Any) -> Any:
        if value.__hash__ is None or value in known or value is None or value == "":
            return value
        if len(known) < most:
            known.add(value)
            warnings.warn(f"the vendor sends '{value}', which is not in: {expression}", ValueWarning, stacklevel=2)
        return value

    return read


def _read_text(value: Any, expression: TypeExpr) -> Any:
    if not isinstance(value, str):
        return value
    found = parse_text(value, expression)
    return float(found) if isinstance(found, Decimal) else found


def _read_list_of_text(inner: Read) -> Read:
    return lambda value: [inner(item) for item in value] if isinstance(value, list) else [inner(value)]


def _read_list(inner: Read) -> Read:
    return lambda value: [inner(item) for item in value] if isinstance(value, list) else value


def _read_map(inner: Read) -> Read:
    return lambda value: {name: inner(held) for name, held in value.items()} if isinstance(value, dict) else value


def _read_object(fields: Mapping[str, Read], watched: Set[str]) -> Read:
    """A record with its fields read; those that are only watched stay as they are."""
    pairs = tuple((wire, read) for wire, read in fields.items() if wire not in watched)
    looks = tuple((wire, read) for wire, read in fields.items() if wire in watched)

    def look(value: Any) -> Any:
        if isinstance(value, dict):
            for wire, watch in looks:
                watch(value.get(wire))
        return value

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if looks:
            look(value)
        record = dict(value)
        for wire, convert in pairs:
            if (held := record.get(wire)) is not None:
                record[wire] = convert(held)
        return record

    return read if pairs else look
