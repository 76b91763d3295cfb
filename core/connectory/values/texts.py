"""Text from a command line or a CSV cell -> a value of its declared type."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar, TypeExpr
from connectory.spec.words import Field

_INTEGERS = ("int", "byte", "int16", "int32", "int64")
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


def parse_text(text: str, expression: TypeExpr) -> Any:
    """The value that a text stands for. Raises ValueError in words a user understands.

    Lists of simple values may be written with commas, objects and lists of objects as JSON.
    """
    match expression:
        case Scalar(name=name) if name in _INTEGERS:
            return _integer(text)
        case OneOf(base="int"):
            return _integer(text)
        case Scalar(name="float"):
            return float(_number(text))
        case Scalar(name="decimal"):
            return _number(text)
        case Scalar(name="bool"):
            if text.lower() not in _TRUE + _FALSE:
                raise ValueError(f"expected true or false, got '{text}'")
            return text.lower() in _TRUE
        case ListOf(item=item):
            if text.lstrip().startswith("["):
                return _json(text)
            return [parse_text(part.strip(), item) for part in text.split(",")] if text else []
        case MapOf() | Named() | Either():
            return _json(text) if text.lstrip().startswith(("{", "[", '"')) else _bare(text)
        case Scalar(name="any"):
            return _json(text) if text.lstrip().startswith(("{", "[")) else text
        case _:
            return text


def parse_row(row: Mapping[str, str], fields: Mapping[str, Field]) -> dict[str, Any]:
    """One row of a CSV file -> an item: empty cells are left out, cells of undeclared columns stay text.

    A cell that is no value of its type stays text too, so that the type's own check names it.
    """
    item: dict[str, Any] = {}
    for name, cell in row.items():
        if cell == "" or cell is None:
            continue
        field = fields.get(name)
        try:
            item[name] = parse_text(cell, field.type) if field else cell
        except ValueError:
            item[name] = cell
    return item


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected an integer, got '{text}'") from None


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"expected a number, got '{text}'") from None
    if not number.is_finite():
        raise ValueError(f"expected a number, got '{text}'")
    return number


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError as why:
        raise ValueError(f"expected JSON, got '{text[:40]}' ({why})") from None


def _bare(text: str) -> Any:
    """A bare value for an object that points at another record: an integer where it reads as one."""
    return int(text) if text.lstrip("-").isdecimal() else text
