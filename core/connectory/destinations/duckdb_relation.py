"""From the rows of one DuckDB to the columns of another, without a look at any value: only where each type holds all
that the other one can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectory.destinations.columns import (
    BIGINT,
    BOOLEAN,
    DATE,
    DECIMAL,
    DECIMAL_INTEGER_DIGITS,
    DECIMAL_PLACES,
    DOUBLE,
    HUGEINT,
    MOMENT,
    TIME,
    VARCHAR,
    Fields,
    Items,
    Layout,
    Tree,
    quote,
    sql_type,
)

_INTEGERS: Final = frozenset({"TINYINT", "SMALLINT", "INTEGER", BIGINT, "UTINYINT", "USMALLINT", "UINTEGER"})
# Types that do not arrive in another DuckDB as they are have no place here: JSON becomes text, HUGEINT a float.
_HELD: Final[Mapping[str, frozenset[str]]] = {
    BOOLEAN: frozenset({BOOLEAN}),
    BIGINT: _INTEGERS,
    HUGEINT: _INTEGERS | {"UBIGINT"},
    DOUBLE: frozenset({"FLOAT", DOUBLE}),
    VARCHAR: frozenset({VARCHAR}),
    DATE: frozenset({DATE}),
    TIME: frozenset({TIME}),
    MOMENT: frozenset({MOMENT, "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"}),
}


def selected(kinds: Mapping[str, Any], layout: Layout) -> str | None:
    """The columns of a layout as SQL, made of rows with these types (DuckDB's, by wire name); None where a field is not
    among them, or its type holds what the column does not."""
    if not kinds or not kinds.keys() <= layout.by_wire.keys():
        return None
    parts = []
    for column in layout.columns:
        kind = kinds.get(column.wire)
        if kind is not None and not _holds(column.tree, kind):
            return None
        value = "NULL" if kind is None else quote(column.wire)
        parts.append(f"CAST({value} AS {sql_type(column.tree)}) AS {quote(column.name)}")
    return ", ".join(parts)


def _holds(tree: Tree, kind: Any) -> bool:
    match tree:
        case Items(item=item):
            return bool(kind.id == "list") and _holds(item, kind.children[0][1])
        case Fields(fields=fields):
            return bool(
                kind.id == "struct"
                and list(fields) == [name for name, _ in kind.children]
                and all(_holds(fields[name], held) for name, held in kind.children)
            )
    if tree.type == DECIMAL:
        return _is_small_decimal(kind)
    return str(kind) in _HELD.get(tree.type, ())


def _is_small_decimal(kind: Any) -> bool:
    if kind.id != "decimal":
        return False
    (_, digits), (_, places) = kind.children
    return bool(places <= DECIMAL_PLACES and digits - places <= DECIMAL_INTEGER_DIGITS)
