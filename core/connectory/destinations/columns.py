"""The columns of a table as trees of types: from declared shapes and from the table itself, and as SQL."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache, cached_property
from operator import attrgetter
from typing import Annotated, Any, Final

import attrs
import msgspec

from connectory.lines import FloatHook, Lines
from connectory.values import shapes

# Types of single values, as DuckDB writes them. Any other text is a type that somebody else gave the column.
UNKNOWN: Final = "NULL"  # nothing but null was seen so far
BOOLEAN: Final = "BOOLEAN"
BIGINT: Final = "BIGINT"
HUGEINT: Final = "HUGEINT"
DOUBLE: Final = "DOUBLE"
VARCHAR: Final = "VARCHAR"
JSON: Final = "JSON"
DATE: Final = "DATE"
TIME: Final = "TIME"
MOMENT: Final = "TIMESTAMP WITH TIME ZONE"
DECIMAL: Final = "DECIMAL(38,9)"
# Two that DuckDB does not know: integers that a float holds exactly, and decimals with too many digits for DECIMAL.
SMALL: Final = "SMALL"
NUMERAL: Final = "NUMERAL"

# Narrow to wide. SMALL stands between the types of 32 and of 64 bits.
INTEGERS: Final = ("TINYINT", "SMALLINT", "INTEGER", SMALL, BIGINT, HUGEINT)
BITS: Final[Mapping[str, int]] = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, SMALL: 64, BIGINT: 64, HUGEINT: 128}
EXACT_IN_FLOAT: Final = 2**53
DECIMAL_INTEGER_DIGITS: Final = 29
DECIMAL_PLACES: Final = 9

_ESCAPED: Final = re.compile(r'["\\\x00-\x1f]')
_OWN: Final = frozenset({UNKNOWN, BOOLEAN, *BITS, DOUBLE, VARCHAR, JSON, DATE, TIME, MOMENT, DECIMAL, NUMERAL})
_OF_KIND: Final[Mapping[shapes.Kind, str]] = {
    "text": VARCHAR, "int": BIGINT, "float": DOUBLE, "decimal": DECIMAL, "bool": BOOLEAN, "date": DATE, "time": TIME,
    "datetime": MOMENT, "bytes": VARCHAR,
}  # fmt: skip

# Marks a column whose name is not that of its field. It moves with the column when a table is renamed.
COMMENT: Final = "field: "

# Beyond these an object is kept as JSON: free keys would make a field each, and SQL takes no type of any depth.
MOST_INFERRED_FIELDS: Final = 200
MOST_LEVELS: Final = 16


@attrs.frozen
class Leaf:
    """A value without parts. A `fixed` type was declared: a value that breaks it makes its row invalid; any other type
    grows with the values."""

    type: str
    fixed: bool = False

    @property
    def foreign(self) -> bool:
        """Whether only DuckDB knows what this type can hold."""
        return self.type not in _OWN


@attrs.frozen
class Items:
    """A list."""

    item: Tree
    fixed: bool = False


@attrs.frozen
class Fields:
    """An object with named fields."""

    fields: Mapping[str, Tree]
    fixed: bool = False


Tree = Leaf | Items | Fields
ANYTHING: Final = Leaf(UNKNOWN)
TEXT: Final = Leaf(JSON)


@attrs.frozen
class Column:
    """A column, the wire name of the field it holds, and its type."""

    name: str
    wire: str
    tree: Tree


@attrs.frozen
class Layout:
    """The columns of a table, in order."""

    columns: tuple[Column, ...] = ()

    @cached_property
    def by_wire(self) -> Mapping[str, Column]:
        return {column.wire: column for column in self.columns}

    @property
    def trees(self) -> dict[str, Tree]:
        """The types by wire name."""
        return {column.wire: column.tree for column in self.columns}

    @property
    def has_foreign(self) -> bool:
        """Whether a column has a type that only its database knows."""
        return any(has_foreign(column.tree) for column in self.columns)

    @cached_property
    def names_in_lines(self) -> Mapping[str, str]:
        """Wire name to the name in the lines of JSON that DuckDB reads: the column's, where msgspec can write it."""
        taken = {column.name.casefold() for column in self.columns}
        names = {}
        for column in self.columns:
            names[column.wire] = column.name if _writable(column.name) else free_name("column", taken)
            taken.add(names[column.wire].casefold())
        return names

    @cached_property
    def renames(self) -> bool:
        """Whether a field has another name in the lines of JSON."""
        return any(wire != name for wire, name in self.names_in_lines.items())

    @cached_property
    def row_type(self) -> Any:
        """What msgspec checks a row against: wrong types and unknown fields are refused, a missing one becomes None."""
        return _object_type({self.names_in_lines[column.wire]: column.tree for column in self.columns})

    @cached_property
    def _decoder(self) -> Callable[[FloatHook | None], msgspec.json.Decoder[Any]]:
        kind = self.row_type
        return cache(lambda hook: msgspec.json.Decoder(kind, dec_hook=read_special, float_hook=hook))

    def read(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The rows as objects of `row_type`. Raises KeyError, TypeError, ValueError (msgspec's own errors are such) or
        RecursionError where one is not of the layout."""
        if isinstance(rows, Lines) and not self.renames:
            return self._decoder(rows.float_hook).decode_lines(rows.text)
        if self.renames:
            rows = [{self.names_in_lines[wire]: value for wire, value in row.items()} for row in rows]
        read: list[Any] = msgspec.convert(list(rows), list[self.row_type], dec_hook=read_special)  # type: ignore[name-defined]
        return read

    def keys_in(self, objects: Sequence[Any], wire: str) -> list[Any]:
        """The values of a field in objects of `row_type`."""
        place = list(self.names_in_lines).index(wire)
        return list(map(attrgetter(f"f{place}"), objects))

    @cached_property
    def structure(self) -> str:
        """What DuckDB's from_json is told about a row: JSON text."""
        parts = {self.names_in_lines[column.wire]: _structure(column.tree) for column in self.columns}
        return msgspec.json.encode(parts).decode()

    def grown(self, trees: Mapping[str, Tree]) -> Layout:
        """The same columns with the types of `trees` (by wire name), and new columns for new names."""
        columns = [attrs.evolve(column, tree=trees.get(column.wire, column.tree)) for column in self.columns]
        taken = {column.name.casefold() for column in columns}
        for wire, tree in trees.items():
            if wire not in self.by_wire:
                name = free_name(wire, taken)
                taken.add(name.casefold())
                columns.append(Column(name, wire, tree))
        return Layout(tuple(columns))


def free_name(wire: str, taken: Collection[str]) -> str:
    """A column name for a field: the same, but never empty, with a NUL, or equal to another but for case."""
    name = base = wire.replace("\0", "_") or "_"
    number = 1
    while name.casefold() in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def holdable(names: Iterable[str]) -> bool:
    """Whether an object with these fields can be a STRUCT: SQL takes no empty name and knows no case."""
    listed = list(names)
    return all(name and _writable(name) for name in listed) and len({n.casefold() for n in listed}) == len(listed)


def _writable(name: str) -> bool:
    """Whether msgspec writes this name of a field; it refuses what JSON has to escape."""
    return not _ESCAPED.search(name)


def tree_of(shape: shapes.Shape, level: int = 1) -> Tree:
    """The type of a declared shape. `any` is found out from the values; an object with free keys is JSON."""
    match shape:
        case shapes.Plain(kind="any"):
            return ANYTHING
        case shapes.Plain(kind=kind):
            return Leaf(_OF_KIND[kind], fixed=True)
        case shapes.ListOf(item=item) if level < MOST_LEVELS:
            return Items(tree_of(item, level + 1), fixed=True)
        case shapes.Record(fields=fields) if fields and holdable(fields) and level < MOST_LEVELS:
            return Fields({name: tree_of(held, level + 1) for name, held in fields.items()}, fixed=True)
        case _:
            return TEXT


def tree_from(dtype: Any) -> Tree:
    """The type of a column as DuckDB's Python types tell it."""
    if dtype.id == "list":
        return Items(tree_from(dtype.children[0][1]))
    if dtype.id == "struct":
        return Fields({name: tree_from(held) for name, held in dtype.children})
    return Leaf(UNKNOWN) if dtype.id == "null" else Leaf(str(dtype))


def describe(tree: Tree) -> Any:
    """The type as a JSON value, to be kept."""
    match tree:
        case Leaf(type=kind):
            return kind
        case Items(item=item):
            return [describe(item)]
        case Fields(fields=fields):
            return {name: describe(held) for name, held in fields.items()}


def from_description(described: Any) -> Tree:
    """The type that `describe` told of."""
    if isinstance(described, list):
        return Items(from_description(described[0]))
    if isinstance(described, dict):
        return Fields({name: from_description(held) for name, held in described.items()})
    return Leaf(described)


def quote(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


def sql_type(tree: Tree) -> str:
    """The type as SQL."""
    match tree:
        case Leaf(type=kind):
            return {UNKNOWN: '"NULL"', SMALL: BIGINT, NUMERAL: VARCHAR}.get(kind, kind)
        case Items(item=item):
            return f"{sql_type(item)}[]"
        case Fields(fields=fields):
            if not fields:
                return JSON
            return f"STRUCT({', '.join(f'{quote(name)} {sql_type(held)}' for name, held in fields.items())})"


def holds(tree: Tree, *types: str) -> bool:
    """Whether one of these types stands anywhere in the tree."""
    match tree:
        case Leaf(type=kind):
            return kind in types
        case Items(item=item):
            return holds(item, *types)
        case Fields(fields=fields):
            return any(holds(held, *types) for held in fields.values())


def has_foreign(tree: Tree) -> bool:
    """Whether a type stands in the tree that only DuckDB knows."""
    match tree:
        case Leaf():
            return tree.foreign
        case Items(item=item):
            return has_foreign(item)
        case Fields(fields=fields):
            return any(map(has_foreign, fields.values()))


def _structure(tree: Tree) -> Any:
    if has_foreign(tree):
        return VARCHAR  # cast by DuckDB when it is inserted
    match tree:
        case Items(item=item):
            return [_structure(item)]
        case Fields(fields=fields) if fields:
            return {name: _structure(held) for name, held in fields.items()}
    return sql_type(tree)


def as_text(value: Any) -> str | None:
    """A value as the text that DuckDB casts to a type of its own."""
    if value is None or isinstance(value, str):
        return value
    text = msgspec.json.encode(value).decode()
    return str(msgspec.json.decode(text)) if text.startswith('"') else text


class Exact(Decimal):
    """A number that DECIMAL(38,9) holds to the last digit."""


class Numeral(str):
    """A finite decimal number of any length, as text."""


def fits_decimal(number: Decimal) -> bool:
    """Whether DECIMAL(38,9) holds the number to the last digit. The number must be finite."""
    _, digits, exponent = number.as_tuple()
    places = -int(exponent)
    while places > DECIMAL_PLACES and digits and digits[-1] == 0:
        digits, places = digits[:-1], places - 1
    return not number or (places <= DECIMAL_PLACES and number.adjusted() < DECIMAL_INTEGER_DIGITS)


def read_decimal(value: Any) -> Decimal:
    """A number or its text as a finite Decimal. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("no number")
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        raise ValueError("no number") from None
    if not number.is_finite():
        raise ValueError("no finite number")
    return number


def read_special(kind: type, value: Any) -> Any:
    """msgspec's hook for the types of decimals. Raises ValueError."""
    number = read_decimal(value)
    if kind is Numeral:
        return Numeral(value if isinstance(value, str) else number)
    if not fits_decimal(number):
        raise ValueError("too many digits")
    return Exact(number)


def write_special(value: Any) -> str:
    """msgspec's hook for the types of decimals. Raises TypeError for anything else."""
    if isinstance(value, Exact | Numeral):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be kept")


def _integer_type(bits: int) -> Any:
    return Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]


_FINITE: Final = 1.7976931348623157e308
_SCALARS: Final[Mapping[str, Any]] = {
    UNKNOWN: None,
    BOOLEAN: bool,
    **{kind: _integer_type(bits) for kind, bits in BITS.items() if bits <= 64},
    SMALL: Annotated[int, msgspec.Meta(ge=-EXACT_IN_FLOAT, le=EXACT_IN_FLOAT)],
    HUGEINT: int,
    DOUBLE: Annotated[int, msgspec.Meta(ge=-EXACT_IN_FLOAT, le=EXACT_IN_FLOAT)]
    | Annotated[float, msgspec.Meta(ge=-_FINITE, le=_FINITE)],
    VARCHAR: str,
    DATE: datetime.date,
    TIME: Annotated[datetime.time, msgspec.Meta(tz=False)],
    MOMENT: datetime.datetime,
    DECIMAL: Exact,
    NUMERAL: Numeral,
}


def _check_type(tree: Tree) -> Any:
    if has_foreign(tree):
        return Any
    match tree:
        case Leaf(type=kind):
            return _SCALARS.get(kind, Any)
        case Items(item=item):
            inner = _check_type(item)
            return list[inner | None] if inner is not None else list[None]  # type: ignore[valid-type]
        case Fields(fields=fields):
            return _object_type(fields) if fields else Any


def _object_type(fields: Mapping[str, Tree]) -> Any:
    places = {f"f{number}": name for number, name in enumerate(fields)}
    declared = []
    for place, name in places.items():
        held = _check_type(fields[name])
        declared.append((place, None if held is None else held | None, None))
    return msgspec.defstruct("Row", declared, rename=places, forbid_unknown_fields=True, gc=False)
