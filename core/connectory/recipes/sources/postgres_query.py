"""A query on a PostgreSQL database: by a cursor on the server, in a transaction that can only read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import attrs

from connectory.destinations.kinds import read_address
from connectory.errors import ArgumentError, DestinationError, SettingError, SourceError, SpecError
from connectory.recipes.changing.faults import sql_fault, statement_of
from connectory.recipes.context import Context
from connectory.recipes.exact import Column
from connectory.recipes.recipe import FromPostgres, LoadedRecipe
from connectory.recipes.sources.queries import QueryReader
from connectory.secrets import built_in_resolvers
from connectory.values.shapes import Kind, ListOf, Plain, Record, Shape

_PATH: Final = ("from", "query")
_KINDS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), "int"),
    **dict.fromkeys(("float4", "float8"), "float"),
    **dict.fromkeys(("timestamp", "timestamptz"), "datetime"),
    **dict.fromkeys(("json", "jsonb"), "any"),
    **{"bool": "bool", "numeric": "decimal", "date": "date", "time": "time", "bytea": "bytes"},
}
_PLAIN: Final = frozenset({str, int, float, bool, type(None), Decimal, datetime, date, time, bytes})
_SQL: Final = re.compile(r"^(42|22|21|0A|54|25006)")  # classes of errors that are the query's own


def open_query(context: Context, options: FromPostgres) -> QueryReader:
    """The query that a recipe names, with its connection string looked up. Raises SpecError, SourceError and
    ArgumentError; never shows a password."""
    sql = statement_of(options.query)
    try:
        from connectory.destinations.postgres_server import read_server
    except ImportError:
        raise ArgumentError(
            "a query on a PostgreSQL database needs psycopg: pip install 'connectory[postgres]'"
        ) from None
    try:
        query = PostgresQuery(context.loaded, read_server(_address(context, options.postgres)), sql)
    except (SettingError, DestinationError) as why:
        raise context.wrong(("from", "postgres"), str(why)) from None
    return QueryReader(query, sql, context)


def _address(context: Context, text: str) -> str:
    resolvers = {**context.registry.secrets, **built_in_resolvers(context.parts.environ, context.root)}
    return read_address(text, context.root, resolvers)


@attrs.frozen
class PostgresQuery:
    """One SELECT on one database. Types that Python has no plain value for come as text."""

    loaded: LoadedRecipe
    server: Any = attrs.field(repr=False)
    sql: str

    def describe(self) -> Record:
        """See `Query`."""
        with self._open() as connection, self._told(len(_BEFORE)):
            cursor = connection.execute(f"{_BEFORE}{self.sql}\n) AS described LIMIT 0".encode())
            return Record({name: _shape(connection, oid) for name, oid in self._columns(cursor)})

    def batches(self, size: int) -> Iterator[Sequence[Column]]:
        """See `Query`."""
        with self._open() as connection, self._told(None), connection.cursor("connectory") as cursor:
            cursor.itersize = size
            cursor.execute(self.sql.encode())
            self._columns(cursor)
            while found := cursor.fetchmany(size):
                yield [_plain_column(column) for column in zip(*found, strict=True)]

    def _columns(self, cursor: Any) -> list[tuple[str, int]]:
        found = [(column.name, column.type_code) for column in cursor.description or ()]
        names = [name for name, _ in found]
        if twice := next((name for at, name in enumerate(names) if name in names[:at]), None):
            raise SpecError(
                [sql_fault(self.loaded, _PATH, None, f"the query gives two columns '{twice}': name one of them anew")]
            )
        return found

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import psycopg
        from psycopg.types.string import TextLoader

        try:
            connection = self.server.connect(self.loaded.recipe.name)
        except psycopg.Error as why:
            raise SourceError(self._words(why)) from None
        with closing(connection):
            connection.adapters.register_loader("interval", TextLoader)  # months have no number of days
            connection.autocommit = False
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield connection

    @contextmanager
    def _told(self, before: int | None) -> Iterator[None]:
        """psycopg's errors in words; `before` is what stands before the query in the statement."""
        import psycopg

        try:
            yield
        except psycopg.Error as why:
            if not _SQL.match(why.sqlstate or "") and not isinstance(why, psycopg.DataError | psycopg.ProgrammingError):
                raise SourceError(self._words(why)) from None
            place = why.diag.statement_position
            offset = int(place) - 1 - before if place and before is not None else None
            said = " ".join((why.diag.message_primary or str(why)).split())
            if why.sqlstate in ("25006", "42601") and not re.match(r"\s*(select|with|values|table|\()", self.sql, re.I):
                said, offset = f"expected one SELECT: a source is only read ({said})", None
            hint = f"; {why.diag.message_hint}" if why.diag.message_hint else ""
            raise SpecError([sql_fault(self.loaded, _PATH, offset, f"{said}{hint}")]) from None

    def _words(self, why: Any) -> str:
        return str(self.server.words("of the query", why))


_BEFORE: Final = "SELECT * FROM (\n"


def _shape(connection: Any, oid: int) -> Shape:
    info = connection.adapters.types.get(oid)
    if info is None:
        return Plain("text")
    plain = Plain(_KINDS.get(info.name, "text"))
    return ListOf(plain) if oid == info.array_oid else plain


def _plain_column(column: Column) -> Column:
    return column if _PLAIN.issuperset(map(type, column)) else [_plain(value) for value in column]


def _plain(value: Any) -> Any:
    """What psycopg gives -> plain values; intervals, ranges, addresses and UUIDs as text."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list):
        return [_plain(held) for held in value]
    if isinstance(value, dict):
        return value
    return str(value)
