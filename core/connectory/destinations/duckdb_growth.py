"""How a DuckDB table follows when its columns' types grow: no stored value is lost or changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from connectory.destinations import columns
from connectory.destinations.columns import (
    ANYTHING,
    Fields,
    Items,
    Layout,
    Leaf,
    Tree,
    literal,
    quote,
    sql_type,
)

# Types of single values that a cast alone makes, and the column in which the others are worked out.
_CAST: Final = frozenset({columns.SMALL, columns.BIGINT, columns.HUGEINT, columns.DOUBLE, columns.DECIMAL})
_BESIDE: Final = "_connectory_beside"


def settle(have: Tree, declared: Tree) -> Tree:
    """The type of a column that is there and was declared.

    What is there stays, since data is in it, and is widened by the values as if undeclared; the declared type holds
    where nothing but null was seen, where both are the same or integers, and where it is text, which takes all.
    """
    match have, declared:
        case Leaf(foreign=True), _:
            return have  # somebody made this column; DuckDB casts to it
        case _, Leaf(type=columns.UNKNOWN):
            return have
        case Leaf(type=columns.UNKNOWN), _:
            return declared
        case _, Leaf(type=columns.VARCHAR):
            return declared
        case Leaf(type=columns.VARCHAR), Leaf(type=columns.DECIMAL):
            return Leaf(columns.NUMERAL, fixed=True)  # it was made a text when a number had too many digits
        case Leaf(type=kind), Leaf(type=columns.BIGINT) if kind in columns.BITS:
            return Leaf(kind, fixed=True)
        case Items(item=item), Items(item=wanted):
            return Items(settle(item, wanted), fixed=True)
        case Fields(fields=fields), Fields(fields=wanted):
            return Fields(settle_all(fields, wanted), fixed=True)
    return declared if sql_type(have) == sql_type(declared) else have


def settle_all(have: Mapping[str, Tree], declared: Mapping[str, Tree]) -> dict[str, Tree]:
    """The types of the fields that are there or declared."""
    return {**have, **{name: settle(have.get(name, ANYTHING), tree) for name, tree in declared.items()}}


def inexact(value: str, old: Tree, new: Tree) -> str:
    """SQL that is true where an integer would become a float and lose digits, or '' where none becomes one."""
    return f"NOT ({exact})" if (exact := _exact(value, old, new, 0)) else ""


def _exact(value: str, old: Tree, new: Tree, level: int) -> str:
    match old, new:
        case Leaf(type=kind), Leaf(type=columns.DOUBLE) if kind in columns.BITS:
            return f"coalesce({value} BETWEEN -{columns.EXACT_IN_FLOAT} AND {columns.EXACT_IN_FLOAT}, true)"
        case Items(item=item), Items(item=grown):
            inner = _exact(f"x{level}", item, grown, level + 1)
            return inner and f"coalesce(list_bool_and(list_transform({value}, lambda x{level}: {inner})), true)"
        case Fields(fields=fields), Fields(fields=grown):
            parts = [_exact(_part(value, name), held, grown[name], level) for name, held in fields.items()]
            return " AND ".join(part for part in parts if part)
    return ""


def converted(value: str, old: Tree, new: Tree, level: int = 0) -> str:
    """SQL that turns a stored value of one type into a type that it grew to."""
    target = sql_type(new)
    if sql_type(old) == target:
        return value
    match old, new:
        case Leaf(type=columns.UNKNOWN), _:
            return _null(new)
        case Items(item=item), Items(item=grown):
            return f"list_transform({value}, lambda x{level}: {converted(f'x{level}', item, grown, level + 1)})"
        case Fields(fields=fields), Fields(fields=grown):
            parts = [
                f"{literal(name)}: "
                + (converted(_part(value, name), fields[name], held, level) if name in fields else _null(held))
                for name, held in grown.items()
            ]
            return f"CASE WHEN {value} IS NOT NULL THEN {{{', '.join(parts)}}} END"
    if target == columns.JSON:
        return f"to_json({value})"
    if target == columns.VARCHAR and sql_type(old) == columns.JSON:
        return f"CASE json_type({value}) WHEN 'VARCHAR' THEN {value}->>'$' ELSE CAST({value} AS VARCHAR) END"
    if target == columns.VARCHAR and not isinstance(old, Leaf):
        return f"CAST(to_json({value}) AS VARCHAR)"
    return f"CAST({value} AS {target})"


def _null(tree: Tree) -> str:
    return f"CAST(NULL AS {sql_type(tree)})"


def _part(value: str, name: str) -> str:
    return f"struct_extract({value}, {literal(name)})"


def statements(table: str, old: Layout, new: Layout) -> Iterator[str]:
    """SQL that gives a table (quoted) the columns of `new`; without old columns it is made, if there are any new."""
    if new.columns and not old.columns:
        listed = ", ".join(f"{quote(column.name)} {sql_type(column.tree)}" for column in new.columns)
        yield f"CREATE TABLE {table} ({listed})"
    for column in new.columns:
        had, name, kind = old.by_wire.get(column.wire), quote(column.name), sql_type(column.tree)
        if had is None:
            if old.columns:
                yield f"ALTER TABLE {table} ADD COLUMN {name} {kind}"
            if column.name != column.wire:
                yield f"COMMENT ON COLUMN {table}.{name} IS {literal(columns.COMMENT + column.wire)}"
        elif sql_type(had.tree) != kind:
            yield from _conversion(table, name, had.tree, column.tree)


def _conversion(table: str, name: str, old: Tree, new: Tree) -> Iterator[str]:
    """SQL that changes the type of a column that has values.

    DuckDB logs how a column was altered, and a file whose writer was killed is opened by doing so again, before the
    functions of its extensions are there: so what needs more than a cast is worked out beside, where values are logged.
    """
    kind, value = sql_type(new), converted(name, old, new)
    if isinstance(new, Leaf) and new.type in _CAST and isinstance(old, Leaf):
        yield f"ALTER TABLE {table} ALTER COLUMN {name} SET DATA TYPE {kind} USING {value}"
        return
    yield f"ALTER TABLE {table} ADD COLUMN {_BESIDE} {kind}"
    yield f"UPDATE {table} SET {_BESIDE} = {value}"
    yield f"ALTER TABLE {table} ALTER COLUMN {name} SET DATA TYPE {kind} USING {_BESIDE}"
    yield f"ALTER TABLE {table} DROP COLUMN {_BESIDE}"
