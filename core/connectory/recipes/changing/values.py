"""What DuckDB answers -> plain Python values, exact: how each type is asked for and read, and the shape of a row.

Moments are aware and in UTC, those without a zone stay without; DECIMAL is Decimal, integers of any size int, BLOB
bytes, STRUCT and MAP dict, LIST list, JSON what it holds; UUID, INTERVAL, TIME WITH TIME ZONE and what else Python has
no plain value for is text as DuckDB writes it. DuckDB itself would need pytz for moments; it gives them as UTC here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any, Final

import attrs
import msgspec

from connectory.destinations.columns import MOMENT, quote
from connectory.errors import ArgumentError
from connectory.table import Relation
from connectory.values import shapes

Convert = Callable[[Any], Any]

_MOMENT: Final = "timestamp with time zone"
_KINDS: Final[dict[str, shapes.Kind]] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint", "hugeint"), "int"),
    **dict.fromkeys(("utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"), "int"),
    **dict.fromkeys(("timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", _MOMENT), "datetime"),
    **dict.fromkeys(("float", "double"), "float"),
    **{"boolean": "bool", "decimal": "decimal", "date": "date", "time": "time", "blob": "bytes"},
    "varchar": "text",
}
_ANY_DECIMAL: Final = "DECIMAL(38,9)"
_EXACT: Final = Context(prec=60)
_ONE: Final = Decimal(1)
_ANY: Final = ("null", "union", "tuple", '"null"')


@attrs.frozen
class Answer:
    """The columns of a query: their names, how they are selected (SQL), what is done to each value, and the shape.

    `stays` selects them where they stay in DuckDB: what Python would have as text is text there too.
    """

    names: tuple[str, ...]
    select: str
    stays: str
    converts: tuple[tuple[int, Convert], ...]
    shape: shapes.Record

    def columns(self, found: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
        """The columns of rows as DuckDB gave them."""
        columns: list[Sequence[Any]] = list(zip(*found, strict=True))
        for place, convert in self.converts if columns else ():
            columns[place] = [None if value is None else convert(value) for value in columns[place]]
        return columns

    def rows(self, found: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """Rows as DuckDB gave them, as records."""
        made = found if not self.converts else zip(*self.columns(found), strict=True)
        return [dict(zip(self.names, row, strict=True)) for row in made]


def answer_of(names: Sequence[str], types: Sequence[Any], *, trim: bool = False) -> Answer:
    """How to ask for columns of these DuckDB types. Names must differ.

    With `trim` a DECIMAL(38,9), which nobody chose, loses the zeros at its end.
    """
    converts = tuple(
        (place, convert) for place, kind in enumerate(types) if (convert := _convert(kind, trim)) is not None
    )
    select, stays = (
        ", ".join(_selected(name, kind, moment) for name, kind in zip(names, types, strict=True))
        for moment in ("TIMESTAMP", MOMENT)
    )
    shape = shapes.Record({name: _shape(kind) for name, kind in zip(names, types, strict=True)})
    return Answer(tuple(names), select, stays, converts, shape)


def relation_of(connection: Any, sql: str, *, trim: bool = False) -> Relation:
    """The rows that a query gives, left in DuckDB. It is asked again whenever somebody reads them."""
    relation = connection.sql(sql)

    def read() -> list[dict[str, Any]]:
        answer = answer_of(relation.columns, relation.types, trim=trim)
        return answer.rows(connection.execute(f"SELECT {answer.select} FROM ({sql})").fetchall())

    return Relation(relation, read)


def import_duckdb(what: str) -> Any:
    """DuckDB's module. Raises ArgumentError that names the extra."""
    try:
        import duckdb
    except ImportError:
        raise ArgumentError(f"{what} needs DuckDB: pip install 'connectory[duckdb]'") from None
    return duckdb


def named_twice(names: Sequence[str]) -> str | None:
    """A column that has the name of one before it, for SQL, which knows no case and would give the values of that."""
    folded = [name.casefold() for name in names]
    return next((name for at, name in enumerate(names) if folded[at] in folded[:at]), None)


def _is_json(kind: Any) -> bool:
    return str(kind) == "JSON"


def _selected(name: str, kind: Any, moment: str) -> str:
    target = _asked(kind, moment)
    return quote(name) if target == str(kind) else f"CAST({quote(name)} AS {target}) AS {quote(name)}"


def _asked(kind: Any, moment: str) -> str:
    """The type as which a value is asked for, `moment` for those that have a zone."""
    match kind.id:
        case "timestamp with time zone":
            return moment
        case "struct":
            return f"STRUCT({', '.join(f'{quote(name)} {_asked(held, moment)}' for name, held in kind.children)})"
        case "list":
            return f"{_asked(kind.children[0][1], moment)}[]"
        case "array":
            return f"{_asked(kind.children[0][1], moment)}[{kind.children[1][1]}]"
        case "map":
            return f"MAP({_asked(kind.children[0][1], moment)}, {_asked(kind.children[1][1], moment)})"
        case known if known in _KINDS or known in _ANY or _is_json(kind):
            return str(kind)
        case _:
            return "VARCHAR"


def _convert(kind: Any, trim: bool = False) -> Convert | None:
    match kind.id:
        case "decimal" if trim and str(kind) == _ANY_DECIMAL:
            return _trimmed
        case "timestamp with time zone":
            return _aware
        case "struct":
            return _of_struct([(name, _convert(held, trim)) for name, held in kind.children])
        case "list" | "array":
            item = _convert(kind.children[0][1], trim)
            return None if item is None and kind.id == "list" else _of_list(item)
        case "map":
            return _of_map(_convert(kind.children[0][1], trim), _convert(kind.children[1][1], trim))
        case "tuple":
            return list
    return msgspec.json.decode if _is_json(kind) else None


def _aware(value: Any) -> Any:
    # `replace` takes six times as long
    return datetime.combine(value, value.time(), UTC) if isinstance(value, datetime) else value


def _trimmed(value: Any) -> Any:
    number = _EXACT.normalize(value)
    return _EXACT.quantize(number, _ONE) if number == number.to_integral_value() else number  # 100, not 1E+2


def _of_struct(parts: Sequence[tuple[str, Convert | None]]) -> Convert | None:
    converted = [(name, convert) for name, convert in parts if convert is not None]
    if not converted:
        return None

    def convert_struct(value: Any) -> Any:
        record = dict(value)
        for name, convert in converted:
            if (held := record.get(name)) is not None:
                record[name] = convert(held)
        return record

    return convert_struct


def _of_list(item: Convert | None) -> Convert:
    if item is None:
        return list
    return lambda value: [None if held is None else item(held) for held in value]


def _of_map(key: Convert | None, inner: Convert | None) -> Convert:
    def convert_map(value: Any) -> Any:
        return {
            _as_name(held if key is None else key(held)): one if inner is None or one is None else inner(one)
            for held, one in _pairs(value)
        }

    return convert_map


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    """DuckDB gives a map whose keys Python cannot hash as two lists."""
    if set(value) == {"key", "value"} and isinstance(value["key"], list) and isinstance(value["value"], list):
        yield from zip(value["key"], value["value"], strict=True)
    else:
        yield from value.items()


def _as_name(key: Any) -> str:
    """A map's key as the name of a field."""
    return key if isinstance(key, str) else key.isoformat() if hasattr(key, "isoformat") else str(key)


def _shape(kind: Any) -> shapes.Shape:
    match kind.id:
        case "struct":
            return shapes.Record({name: _shape(held) for name, held in kind.children})
        case "list" | "array":
            return shapes.ListOf(_shape(kind.children[0][1]))
        case "map":
            return shapes.MapOf(_shape(kind.children[1][1]))
        case known if known in _ANY or _is_json(kind):
            return shapes.Plain("any")
        case known:
            return shapes.Plain(_KINDS.get(known, "text"))
