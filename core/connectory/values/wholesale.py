"""Many objects of one type, checked all at once by msgspec; only fields that it cannot judge are looked at one by one.

It says yes or it says nothing: where one object is not as it should be, `values.writing` looks at each and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Annotated, Any, Final, Literal

import attrs
import msgspec

from connectory.spec.typeexpr import ListOf, Named, OneOf, Scalar, TypeExpr
from connectory.spec.words import Field
from connectory.table import Table
from connectory.values.writing import OPEN, Fields, Write, Writers, is_bounded, may_be_null

_LARGEST: Final = 1.7976931348623157e308  # of finite floats


def _integer(bits: int) -> Any:
    return Annotated[int, msgspec.Meta(ge=-(2**bits), le=2**bits - 1)]


# What msgspec judges as `values.writing` does. Of every other type it is told nothing.
_TYPES: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("str", "secret"), str),
    **dict.fromkeys(("int", "byte"), int),
    **{"int16": _integer(15), "int32": _integer(31), "int64": _integer(63)},
    "float": int | Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)],
    "bool": bool,
}
_zone: Final = attrgetter("tzinfo")
_encode: Final = msgspec.json.Encoder(enc_hook=str).encode

WriteAll = Callable[[Sequence[Any]], list[Any]]


@attrs.frozen
class Wholesale:
    """The check of one type. `shape` is what msgspec knows, `rest` are the fields that are written one by one; `table`
    and `columns` are the same for columns."""

    shape: Any
    rest: Mapping[str, Write]
    table: Any
    columns: Mapping[str, WriteAll]

    @classmethod
    def of(cls, expression: TypeExpr | None, types: Mapping[str, Fields], writers: Writers) -> Wholesale | None:
        """None: objects of this type can only be looked at one by one."""
        if not isinstance(expression, Named):
            return None
        fields = types[expression.name]
        if not _closed(fields):
            return None
        shapes = {wire: _shape(field, types, (expression.name,)) for wire, field in fields.items()}
        allowed = {wire: _allowed(field, shapes[wire]) for wire, field in fields.items()}
        lists = {wire: list.__class_getitem__(shape) for wire, shape in allowed.items()}
        rest = {wire: fields[wire] for wire, shape in shapes.items() if shape is None}
        return cls(
            shape=_struct(fields, allowed, partial=expression.partial),
            rest={wire: writers.of_field(field) for wire, field in rest.items()},
            table=_struct(fields, lists, partial=expression.partial),
            columns={wire: _column_writer(field, writers) for wire, field in rest.items()},
        )

    def write(self, rows: Sequence[Any]) -> Sequence[Any] | None:
        """The objects as they are sent, or None where one is not of the type. The given ones stay as they are."""
        try:
            if isinstance(rows, Table):
                return self._of_columns(rows)
            msgspec.convert(rows, list[self.shape])  # type: ignore[name-defined]
            _encode(rows)  # no text may hold half a character
            return [self._finished(row) for row in rows] if self.rest else rows
        except (TypeError, ValueError, OverflowError, RecursionError):  # ValueFault and msgspec's own are ValueErrors
            return None

    def _of_columns(self, rows: Table) -> Sequence[Any]:
        columns = dict(zip(rows.names, rows.columns, strict=True))
        msgspec.convert(columns, self.table)
        _encode(rows.columns)
        for wire, write_all in self.columns.items():
            if wire in columns:
                columns[wire] = write_all(columns[wire])
        return Table(rows.names, tuple(columns.values())).rows if self.rest else rows.rows

    def _finished(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        written = dict(row)
        for wire, write in self.rest.items():
            if wire in row:
                written[wire] = write(row[wire])
        return written


def _column_writer(field: Field, writers: Writers) -> WriteAll:
    """Writes each value of a column as the field's own function does."""
    write = writers.of_field(field)
    codec = writers.codec(field.type) if isinstance(field.type, Scalar) and field.type.name == "datetime" else None
    write_all = codec.write_all if codec is not None and not is_bounded(field) else None
    if codec is None or write_all is None:
        return lambda values: list(map(write, values))
    kinds = {datetime, type(None)} if may_be_null(field) else {datetime}
    zones = {UTC, None} if codec.zoneless else {UTC}

    def write_moments(values: Sequence[Any]) -> list[Any]:
        if kinds.issuperset(map(type, values)) and zones.issuperset(map(_zone, filter(None, values))):
            return write_all(values)
        return list(map(write, values))

    return write_moments


def _closed(fields: Fields) -> bool:
    """Whether an object of these fields is written as it is given, field by field."""
    return not any(
        wire == OPEN or field.reference or field.read_only or field.after or field.default is not None
        for wire, field in fields.items()
    )


def _shape(field: Field, types: Mapping[str, Fields], around: tuple[str, ...]) -> Any:
    """The type of a field for msgspec, null left aside; None where it cannot judge it."""
    if is_bounded(field):
        return None
    return _judged(field.type, types, around)


def _judged(expression: TypeExpr, types: Mapping[str, Fields], around: tuple[str, ...]) -> Any:
    match expression:
        case Scalar(name=name):
            return _TYPES.get(name)
        case OneOf(values=values, grows=False):
            return Literal[values]
        case ListOf(item=item):
            inner = _judged(item, types, around)
            return None if inner is None else list.__class_getitem__(inner)
        case Named(name=name, partial=partial) if name not in around and _closed(types[name]):
            shapes = {wire: _shape(field, types, (*around, name)) for wire, field in types[name].items()}
            return None if None in shapes.values() else _object(types[name], shapes, partial=partial)
    return None


def _object(fields: Fields, shapes: Mapping[str, Any], *, partial: bool) -> Any:
    return _struct(fields, {wire: _allowed(field, shapes[wire]) for wire, field in fields.items()}, partial=partial)


def _allowed(field: Field, shape: Any) -> Any:
    """The type of a field's values, null among them where it may be."""
    shape = Any if shape is None else shape
    return shape | None if may_be_null(field) else shape


def _struct(fields: Fields, shapes: Mapping[str, Any], *, partial: bool) -> Any:
    places = {f"f{number}": wire for number, wire in enumerate(fields)}
    declared: list[Any] = []
    for place, wire in places.items():
        needed = fields[wire].required and not partial
        declared.append((place, shapes[wire]) if needed else (place, shapes[wire], None))
    return msgspec.defstruct("Object", declared, rename=places, forbid_unknown_fields=True, kw_only=True, gc=False)
