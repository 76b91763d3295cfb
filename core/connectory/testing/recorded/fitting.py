"""Whether the values of a record are what its type declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar, TypeExpr, told_apart
from connectory.spec.words import Field

Types = Mapping[str, Mapping[str, Field]]

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(("str", "uuid", "url", "secret", "bytes", "file"), (str,)),
    **dict.fromkeys(("int", "byte", "int16", "int32", "int64"), (int,)),
    "float": (int, float),
    "decimal": (Decimal, int),
    "bool": (bool,),
    "datetime": (datetime,),
    "date": (date,),
    "time": (time,),
}
_WORDS: Final[Mapping[type, str]] = {str: "a text", bool: "true or false", dict: "an object", list: "a list"}


def misfits(types: Types, expression: TypeExpr, value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each place whose value is not of its declared type, and what is there. Null fits everywhere.

    `value` has been read: its moments are datetimes where they could be read as declared.
    """
    if value is None:
        return
    match expression:
        case ListOf(item=item) if isinstance(value, list | tuple):
            for held in value:
                yield from misfits(types, item, held, f"{path}.*")
        case MapOf(value=inner) if isinstance(value, Mapping):
            for held in value.values():
                yield from misfits(types, inner, held, f"{path}.*")
        case Named(name=name) if isinstance(value, Mapping):
            for wire, field in types[name].items():
                if wire != "*" and wire in value:
                    yield from misfits(types, field.type, value[wire], f"{path}.{wire}" if path else wire)
        case Named(name=name) if any(field.reference for field in types[name].values()):
            return  # a bare value stands for the object
        case Either() if isinstance(value, Mapping):
            chosen = told_apart(expression, types).get(value.get(expression.by, ""))
            if chosen is None:
                yield path, f"declared {expression}, got {_said(value.get(expression.by))}"
            else:
                yield from misfits(types, Named(chosen), value, path)
        case OneOf():
            if value not in expression.values and not expression.grows:
                yield path, f"declared {expression}, got {_said(value)}"
        case Scalar(name="any"):
            return
        case Scalar(name=name):
            kinds = _KINDS.get(name, (object,))
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds and object not in kinds):
                yield path, f"declared {expression}, got {_said(value)}"
        case _:
            yield path, f"declared {expression}, got {_said(value)}"


def _said(value: Any) -> str:
    if isinstance(value, str | bool):
        return _WORDS[type(value)]
    return "a number" if isinstance(value, int | float) else _WORDS.get(type(value), type(value).__name__)
