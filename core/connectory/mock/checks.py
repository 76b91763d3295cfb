"""Whether what came over the wire is what the spec declares: the vendor's side of the types."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import attrs

from connectory.plugins.kinds import Codec
from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar, TypeExpr, told_apart
from connectory.spec.words import Field
from connectory.values.codecs import find_codec

Fields = Mapping[str, Field]
Found = tuple[str, str]  # where (`StartTime`, `tags.2`), and what is wrong there

_BITS: Final = {"int16": 15, "int32": 31, "int64": 63}
_INTEGERS: Final = ("int", "byte", *_BITS)


@attrs.frozen
class Checker:
    """Checks values of one spec's types; it takes what the wire may hold and nothing that only a caller may give."""

    types: Mapping[str, Fields]
    datetime: str
    codecs: Mapping[str, Codec]

    def faults(
        self, value: Any, kind: TypeExpr, at: str = "", *, partial: bool = False, lenient: bool = False
    ) -> Iterator[Found]:
        """Everything wrong with a value. `lenient` lets read-only fields pass, as in a record sent back whole."""
        match kind:
            case ListOf(item=item):
                if not isinstance(value, list):
                    yield at, "must be a list"
                    return
                for number, one in enumerate(value):
                    yield from self.faults(one, item, _below(at, number), lenient=lenient)
            case MapOf(value=held):
                if not isinstance(value, dict):
                    yield at, "must be an object"
                    return
                for name, one in value.items():
                    if one is not None:
                        yield from self.faults(one, held, _below(at, name), lenient=lenient)
            case Named(name=name):
                yield from self.object(value, self.types[name], at, partial=partial or kind.partial, lenient=lenient)
            case Either():
                said = value.get(kind.by) if isinstance(value, dict) else None
                chosen = told_apart(kind, self.types)
                if not isinstance(said, str | int) or said not in chosen:
                    yield _below(at, kind.by), f"must be one of {', '.join(map(str, chosen))}"
                    return
                yield from self.object(value, self.types[chosen[said]], at, partial=partial, lenient=lenient)
            case OneOf(values=values, grows=grows):
                if not grows and not any(type(value) is type(one) and value == one for one in values):
                    yield at, f"must be one of {', '.join(map(str, values))}"
            case Scalar():
                wrong = self._scalar(value, kind)
                if wrong:
                    yield at, wrong

    def object(
        self, value: Any, fields: Fields, at: str = "", *, partial: bool = False, lenient: bool = False
    ) -> Iterator[Found]:
        """Everything wrong with an object of these fields."""
        if not isinstance(value, dict):
            yield at, "must be an object"
            return
        for name, field in fields.items():
            needed = field.required and not field.read_only and field.default is None
            if name != "*" and needed and not partial and name not in value:
                yield _below(at, name), "is required"
        for name, held in value.items():
            known = fields.get(name)
            if known is None:
                if "*" not in fields:
                    yield _below(at, name), "is no field that is known here"
            elif known.read_only and not lenient:
                yield _below(at, name), "is read-only"
            else:
                yield from self.field(held, known, _below(at, name), lenient=lenient)

    def field(self, value: Any, field: Field, at: str, *, lenient: bool = False) -> Iterator[Found]:
        """Everything wrong with one field's value; null stands for none where it is not required."""
        if value is None:
            if field.required and not field.nullable:
                yield at, "must not be null"
            return
        found = list(self.faults(value, field.type, at, lenient=lenient))
        yield from found
        if not found:
            yield from ((at, wrong) for wrong in _bounds(value, field))

    def _scalar(self, value: Any, kind: Scalar) -> str:
        if kind.name == "datetime":
            return self._moment(value, find_codec(kind.codec or self.datetime, self.codecs))
        if kind.name in _INTEGERS:
            bits = _BITS.get(kind.name)
            fits = type(value) is int and (bits is None or -(2**bits) <= value < 2**bits)
            return "" if fits else "must be a whole number" + (f" of {bits + 1} bits" if bits else "")
        fits, words = _DECIMAL_TEXT if kind.name == "decimal" and kind.codec else _SCALARS[kind.name]
        return "" if fits(value) else f"must be {words}"

    def _moment(self, value: Any, codec: Codec) -> str:
        try:
            codec.read(value)
        except (ValueError, TypeError, OverflowError):
            return "must be a moment as this vendor writes them"
        return ""


def _below(at: str, step: str | int) -> str:
    return f"{at}.{step}" if at else str(step)


def _parses(read: Callable[[str], Any]) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            read(value)
        except (ValueError, ArithmeticError, binascii.Error):
            return False
        return True

    return fits


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_SCALARS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "str": (_is_text, "a text"),
    "secret": (_is_text, "a text"),
    "url": (lambda value: isinstance(value, str) and ":" in value, "a URL"),
    "uuid": (_parses(uuid.UUID), "a UUID"),
    "date": (_parses(date.fromisoformat), "a day such as 2026-05-20"),
    "time": (_parses(time.fromisoformat), "a time such as 18:25:43"),
    "bytes": (_parses(lambda text: base64.b64decode(text, validate=True)), "bytes in base 64"),
    "float": (_is_number, "a number"),
    "decimal": (_is_number, "a number"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "any": (lambda value: True, "anything"),
    "file": (lambda value: isinstance(value, str | bytes), "a file"),
}


_DECIMAL_TEXT: Final = (_parses(Decimal), 'a number as a text, as "19.90"')


def _bounds(value: Any, field: Field) -> Iterator[str]:
    if field.pattern is not None and not re.fullmatch(field.pattern, str(value)):
        yield f"must look like {field.pattern}"
    if field.least is None and field.most is None:
        return
    size = len(value) if isinstance(value, str | list | dict) else value
    if field.least is not None and size < field.least:
        yield f"must not be below {field.least:g}"
    if field.most is not None and size > field.most:
        yield f"must not be above {field.most:g}"


def read_moment(value: Any, codec: str, codecs: Mapping[str, Codec]) -> datetime | None:
    """A moment as a record or a parameter holds it; None where it is none. Numbers may come as texts in a query."""
    for one in (value, int(value)) if isinstance(value, str) and value.isdecimal() else (value,):
        try:
            return find_codec(codec, codecs).read(one)
        except (ValueError, TypeError, OverflowError):
            continue
    return None
