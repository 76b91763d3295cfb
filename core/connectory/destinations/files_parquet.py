"""Parquet: columns with native types, nested ones too.

text STRING, int INT64 (DECIMAL(38,0) from the first value that needs it), float DOUBLE, decimal DECIMAL(38,9), date
DATE, time TIME, datetime TIMESTAMP in UTC, lists LIST, objects STRUCT; what has no common type is JSON.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from connectory.destinations import columns
from connectory.destinations.columns import Column, Fields, Items, Layout, Leaf, Tree
from connectory.destinations.files_formats import batches

_ROWS_PER_GROUP: Final = 50_000
_FIELD: Final = b"field"  # metadata of a column that has not its field's name
_TYPES: Final[Mapping[str, Any]] = {
    columns.BOOLEAN: pa.bool_(),
    **dict.fromkeys(columns.INTEGERS[:5], pa.int64()),
    columns.HUGEINT: pa.decimal128(38, 0),
    columns.DOUBLE: pa.float64(),
    columns.DECIMAL: pa.decimal128(columns.DECIMAL_INTEGER_DIGITS + columns.DECIMAL_PLACES, columns.DECIMAL_PLACES),
    columns.NUMERAL: pa.string(),
    columns.VARCHAR: pa.string(),
    columns.DATE: pa.date32(),
    columns.TIME: pa.time64("us"),
    columns.MOMENT: pa.timestamp("us", tz="UTC"),
}
_read_row = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(enc_hook=columns.write_special).encode


def write_parquet(path: Path, lines: Iterable[bytes], layout: Layout, left_out: Sequence[str]) -> None:
    """Columns that only ever were null are left out, unless there are no others: rows need a column."""
    kept = [(place, column) for place, column in enumerate(layout.columns) if column.wire not in left_out]
    listed = [(place, column, kind) for place, column in kept if (kind := _kind(column.tree)) is not None]
    listed = listed or [(place, column, pa.json_()) for place, column in kept[:1]]
    schema = pa.schema([pa.field(column.name, kind, metadata=_named(column)) for _, column, kind in listed])
    read = _reader(layout)
    with path.open("wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for some in batches(lines, _ROWS_PER_GROUP):
                rows = read(some)
                arrays = [
                    _array([*map(attrgetter(f"f{place}"), rows)], column.tree, kind) for place, column, kind in listed
                ]
                writer.write_table(pa.table(arrays, schema=schema))
        file.flush()
        os.fsync(file.fileno())


def _named(column: Column) -> dict[bytes, bytes] | None:
    return {_FIELD: column.wire.encode()} if column.name != column.wire else None


def _reader(layout: Layout) -> Callable[[list[bytes]], list[Any]]:
    """What reads lines as objects with every column, `f0` the first, moments and numbers read."""
    if not layout.renames:
        decode = msgspec.json.Decoder(layout.row_type, dec_hook=columns.read_special).decode_lines
        return lambda lines: decode(b"".join(lines))
    return lambda lines: layout.read([*map(_read_row, lines)])


def _array(values: list[Any], tree: Tree, kind: Any) -> Any:
    if not isinstance(tree, Leaf):
        values = msgspec.to_builtins(
            values, builtin_types=(datetime, date, time, Decimal), enc_hook=columns.write_special
        )
    if (make := _maker(tree)) is not None:
        values = [None if value is None else make(value) for value in values]
    plain = _storage(kind)
    made = pa.array(values, plain)
    return made if plain == kind else made.cast(kind)


def _kind(tree: Tree) -> Any:
    """The type in Arrow, or None where there is nothing but null."""
    match tree:
        case Leaf(type=columns.UNKNOWN):
            return None
        case Leaf(type=columns.JSON):
            return pa.json_()
        case Leaf(type=kind):
            return _TYPES[kind]
        case Items(item=item):
            return pa.list_(_kind(item) or pa.json_())
        case Fields(fields=fields):
            kinds = [pa.field(name, kind) for name, held in fields.items() if (kind := _kind(held)) is not None]
            return pa.struct(kinds) if kinds else pa.json_()


def _storage(kind: Any) -> Any:
    """The same with texts for JSON, since Arrow makes no nested JSON of Python's values."""
    if isinstance(kind, pa.JsonType):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_storage(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(kind.field(n).name, _storage(kind.field(n).type)) for n in range(kind.num_fields)])
    return kind


def _maker(tree: Tree) -> Callable[[Any], Any] | None:
    """What makes JSON texts of the JSON in a value; None where there is none."""
    match tree:
        case Leaf(type=columns.JSON | columns.UNKNOWN):
            return _json_text
        case Leaf(type=columns.HUGEINT | columns.DECIMAL):
            return Decimal
        case Items(item=item) if make := _maker(item):
            return lambda value: [None if held is None else make(held) for held in value]
        case Fields(fields=fields):
            if not isinstance(_kind(tree), pa.StructType):
                return _json_text
            makers = [(name, make) for name, held in fields.items() if (make := _maker(held)) is not None]
            return _struct_maker(makers) if makers else None
    return None


def _struct_maker(makers: Sequence[tuple[str, Callable[[Any], Any]]]) -> Callable[[Any], Any]:
    def make(value: Any) -> Any:
        made = {name: None if value[name] is None else part(value[name]) for name, part in makers}
        return {**value, **made}

    return make


def _json_text(value: Any) -> str:
    return bytes(_encode(value)).decode()


def lines_of(path: Path) -> Iterator[bytes]:
    """The rows of a part as lines of JSON, under their fields' own names."""
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        wires = [(field.metadata or {}).get(_FIELD, field.name.encode()).decode() for field in schema]
        for batch in file.iter_batches(_ROWS_PER_GROUP):
            cells = [
                [_plain(value, field.type) for value in batch.column(n).to_pylist()] for n, field in enumerate(schema)
            ]
            for number in range(batch.num_rows):
                row = {wire: cell[number] for wire, cell in zip(wires, cells, strict=True) if cell[number] is not None}
                yield bytes(_encode(row)) + b"\n"


def _plain(value: Any, kind: Any) -> Any:
    """A value of a part as it is written in JSON."""
    if value is None:
        return None
    if isinstance(kind, pa.JsonType):
        return msgspec.Raw(value.encode())
    if pa.types.is_list(kind):
        return [_plain(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {
            kind.field(n).name: _plain(value[kind.field(n).name], kind.field(n).type) for n in range(kind.num_fields)
        }
    if pa.types.is_decimal(kind):
        return int(value) if kind.scale == 0 else str(value)
    return value


def readable_together(before: Layout, now: Layout) -> bool:
    """Whether readers that join columns by their names see the types of `now` in files of both."""
    if not any(_kind(column.tree) for column in before.columns):
        return False  # what stands there for nothing but null has a type
    return all(_goes_with(column.tree, now.by_wire[column.wire].tree) for column in before.columns)


def _goes_with(old: Tree, new: Tree) -> bool:
    match old, new:
        case Leaf(type=columns.UNKNOWN), _:
            return True
        case Items(item=Leaf(type=columns.UNKNOWN)), Items():
            return old == new
        case Items(item=item), Items(item=grown):
            return _goes_with(item, grown)
        case Fields(fields=fields), Fields(fields=grown):
            if not isinstance(_kind(old), pa.StructType):
                return bool(_kind(old) == _kind(new))
            return all(_goes_with(held, grown[name]) for name, held in fields.items())
    return bool(_kind(old) == _kind(new))
