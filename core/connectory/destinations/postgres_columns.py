"""The columns of a PostgreSQL table: their types as SQL, their names, and how they grow without losing a value."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

import attrs

from connectory.destinations import columns
from connectory.destinations.columns import ANYTHING, COMMENT, TEXT, Column, Layout, Leaf, Tree, quote
from connectory.values import shapes

LONGEST_NAME: Final = 63  # bytes
# Columns that every table has.
_SYSTEM: Final = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
_TYPES: Final[Mapping[str, str]] = {
    columns.BOOLEAN: "boolean",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    columns.SMALL: "bigint",
    columns.BIGINT: "bigint",
    columns.HUGEINT: "numeric",
    columns.NUMERAL: "numeric",
    columns.DOUBLE: "double precision",
    columns.VARCHAR: "text",
    columns.JSON: "jsonb",
    columns.DATE: "date",
    columns.TIME: "time without time zone",
    columns.MOMENT: "timestamp with time zone",
}
_READ: Final[Mapping[str, str]] = {
    **{sql: kind for kind, sql in _TYPES.items() if kind != columns.SMALL},
    "numeric": columns.NUMERAL,
    "character varying": columns.VARCHAR,
}


def sql_type(tree: Tree) -> str:
    """The type as SQL. Nested values have none of their own: they are jsonb."""
    return _TYPES.get(tree.type, tree.type) if isinstance(tree, Leaf) else "jsonb"


def tree_from(name: str) -> Leaf:
    """The type of a column as PostgreSQL names it."""
    return Leaf(_READ.get(name, name))


def tree_of(shape: shapes.Shape) -> Tree:
    """The type of a declared shape: lists, objects and `any` are JSON."""
    match shape:
        case shapes.Plain(kind="any"):
            return TEXT
        case shapes.Plain(kind="decimal"):
            return Leaf(columns.NUMERAL, fixed=True)
    return columns.tree_of(shape, columns.MOST_LEVELS)


def settle(have: Tree, declared: Tree) -> Tree:
    """The type of a column that is there and was declared: what is there stays, but for a text, which takes all."""
    match have, declared:
        case Leaf(foreign=True), _:
            return have
        case Leaf(type=columns.UNKNOWN), _:
            return declared
        case _, Leaf(type=columns.VARCHAR):
            return declared
        case Leaf(type=columns.NUMERAL), Leaf(type=columns.BIGINT):
            return Leaf(columns.HUGEINT, fixed=True)
        case Leaf(type=kind), Leaf(type=columns.BIGINT) if kind in columns.BITS:
            return Leaf(kind, fixed=True)
    return declared if sql_type(have) == sql_type(declared) else have


def settle_all(have: Mapping[str, Tree], declared: Mapping[str, Tree]) -> dict[str, Tree]:
    """The types of the fields that are there or declared."""
    return {**have, **{name: settle(have.get(name, ANYTHING), tree) for name, tree in declared.items()}}


def free_name(wire: str, taken: Collection[str]) -> str:
    """A column name for a field: the same, but not empty, not of the system's own, and of at most 63 bytes."""
    number = 1
    name = _cut(wire or "_", LONGEST_NAME)
    while name in taken or name in _SYSTEM:
        number += 1
        end = f"_{number}"
        name = _cut(wire or "_", LONGEST_NAME - len(end)) + end
    return name


def _cut(name: str, size: int) -> str:
    """As much of the name as goes into so many bytes."""
    return name.encode(errors="replace")[:size].decode(errors="ignore")


def grown(layout: Layout, trees: Mapping[str, Tree]) -> Layout:
    """The same columns with the types of `trees` (by wire name), and new columns for new names."""
    listed = [attrs.evolve(column, tree=trees.get(column.wire, column.tree)) for column in layout.columns]
    taken = {column.name for column in listed}
    for wire, tree in trees.items():
        if wire not in layout.by_wire:
            name = free_name(wire, taken)
            taken.add(name)
            listed.append(Column(name, wire, tree))
    return Layout(tuple(listed))


def stored(layout: Layout) -> list[Column]:
    """The columns that the table has: one that only ever was null is not made."""
    return [column for column in layout.columns if column.tree != ANYTHING]


def statements(table: str, old: Layout | None, new: Layout) -> Iterator[str]:
    """SQL that gives a table (quoted) the columns of `new`; it is made where there is none (`old` is None)."""
    had = {column.wire: column for column in stored(old)} if old is not None else {}
    wanted = stored(new)
    if old is None:
        listed = ", ".join(f"{quote(column.name)} {sql_type(column.tree)}" for column in wanted)
        yield f"CREATE TABLE {table} ({listed})"
    added, changed = [], []
    for column in wanted:
        name, kind = quote(column.name), sql_type(column.tree)
        if (before := had.get(column.wire)) is None:
            added.append(column)
            if old is not None:
                changed.append(f"ADD COLUMN {name} {kind}")
        elif sql_type(before.tree) != kind:
            changed.append(f"ALTER COLUMN {name} TYPE {kind} USING {converted(name, before.tree, column.tree)}")
    if changed:
        yield f"ALTER TABLE {table} {', '.join(changed)}"
    for column in added:
        if column.name != column.wire:
            yield f"COMMENT ON COLUMN {table}.{quote(column.name)} IS {columns.literal(COMMENT + column.wire)}"


def converted(value: str, old: Tree, new: Tree) -> str:
    """SQL that turns a stored value of one type into a type that it grew to."""
    was, target = sql_type(old), sql_type(new)
    if target == "jsonb":
        return f"to_jsonb({value})"
    if target == "text" and was == "jsonb":
        return f"CASE jsonb_typeof({value}) WHEN 'string' THEN {value} #>> '{{}}' ELSE {value}::text END"
    if target == "numeric" and was == "double precision":
        return f"{value}::text::numeric"  # the direct way keeps 15 digits only
    return f"{value}::{target}"


def inexact(value: str, old: Tree, new: Tree) -> str:
    """SQL that is true where an integer would become a float and lose digits, or '' where none becomes one."""
    if isinstance(old, Leaf) and old.type in columns.BITS and new == Leaf(columns.DOUBLE):
        return f"{value} NOT BETWEEN -{columns.EXACT_IN_FLOAT} AND {columns.EXACT_IN_FLOAT}"
    return ""
