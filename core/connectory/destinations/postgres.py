"""Rows into a table of a PostgreSQL database, with the state of the sync in the same transaction.

Columns. A declared field has the type it was declared with: text text, int bigint (numeric from the first value that
needs it), float double precision, decimal numeric, bool boolean, date date, time time, datetime timestamptz (no zone
means UTC; kept to the microsecond), bytes text as the vendor writes them. Lists, objects and `any` are jsonb: arrays
hold no lists of different lengths. A field that is not declared has the narrowest type that holds all its values:
boolean, bigint, double precision, numeric, text, jsonb; one that was always null has no column until there is a value.
A column that is there keeps its type and grows in the same way; types that we never make are left to PostgreSQL's cast,
and a column with a default that no row names is left to it.

The column has the field's name; where that is empty, too long or taken it gets a number, and a comment on the column
names the field. A null and a missing field are both NULL. A NUL character cannot be stored: its row is invalid.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, Final, Literal, TypeVar

import psycopg

from connectory.destinations import columns
from connectory.destinations import postgres_columns as growth
from connectory.destinations.columns import Column, Layout, Leaf, Tree, quote
from connectory.destinations.destination import Contract, Kept, Written
from connectory.destinations.postgres_rows import compared, copy_values, refused_at
from connectory.destinations.postgres_server import (
    Server,
    TableName,
    find_schema,
    kind_of,
    read_layout,
    read_name,
    read_server,
    take_lock,
)
from connectory.destinations.postgres_state import StateTable
from connectory.destinations.rows import Fitted, Rules, account, fit_exactly, hardened
from connectory.errors import DestinationError
from connectory.values.shapes import Record

Mode = Literal["append", "replace", "merge"]
Rows = Sequence[Mapping[str, Any]]
T = TypeVar("T")

_INCOMING: Final = "pg_temp._connectory_incoming"
_CHECKED_AT_ONCE: Final = 500  # rows; one that is refused costs the others of its lot another way
_VALIDATED_AT_ONCE: Final = 20_000  # rows
_RECONNECTS: Final = (0.0, 0.5, 2.0, 5.0)  # seconds before each try
_LOCK_WITHIN: Final = "5s"


def open_postgres(
    address: str,
    table: str,
    shape: Record | None,
    key: Sequence[str],
    mode: Mode,
    run: str,
    contract: Contract = "evolve",
    sleep: Callable[[float], None] = time.sleep,
) -> PostgresTable:
    """Open a table (`people` or `crm.people`) for writing; schema and table are made when they are not there.

    `address` is a connection string; the rest is as for a DuckDB table. Raises DestinationError.
    """
    schema, name = read_name(table)
    if mode == "merge" and not key:
        raise DestinationError(f"merging into table {table} needs a key")
    server = read_server(address)
    rules = Rules(
        tuple(key) if mode == "merge" else (), contract, f"table {table}", nested=False, nul=False, numeric=True
    )
    with server.plain_words(table):
        return PostgresTable(server, schema, name, shape, rules, mode, run, sleep)


def count(address: str, table: str) -> int:
    """How many rows a table has; 0 where there is none. Raises DestinationError."""
    with _looking(address, table) as (connection, name, _):
        if not kind_of(connection, name):
            return 0
        found = connection.execute(f"SELECT count(*) FROM {name.sql}".encode()).fetchone()
        return int(found[0]) if found else 0


def glance(address: str, table: str, limit: int = 5) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """The names of the columns and some rows, to be shown to a person; moments are text in UTC.

    Both are empty where there is no table. Raises DestinationError.
    """
    with _looking(address, table) as (connection, name, layout):
        if not layout.columns:
            return (), []
        listed = ", ".join(f"{_shown(column)} AS {quote(column.name)}" for column in layout.columns)
        rows = connection.execute(f"SELECT {listed} FROM {name.sql} LIMIT {int(limit)}".encode()).fetchall()
    return tuple(column.name for column in layout.columns), [tuple(row) for row in rows]


def _shown(column: Column) -> str:
    as_it_is = isinstance(column.tree, Leaf) and not column.tree.foreign and column.tree.type != columns.MOMENT
    return quote(column.name) if as_it_is else f"{quote(column.name)}::text"


@contextmanager
def _looking(address: str, table: str) -> Iterator[tuple[psycopg.Connection[Any], TableName, Layout]]:
    schema, bare = read_name(table)
    server = read_server(address)
    with server.plain_words(table), closing(server.connect("glance")) as connection:
        connection.execute(b"SET default_transaction_read_only = on")
        name = TableName(schema or find_schema(connection, None, bare), bare)
        yield connection, name, read_layout(connection, name)[0]


class PostgresTable:
    """One table, open for writing. Each `write` is one transaction: what it returns as delivered is committed.

    A connection that is lost is made anew. Whether the transaction under way was committed the state's row tells; it
    is repeated as a whole only when it was not. In `merge` the last of several rows with one key in a chunk is kept,
    and a row that equals what is there is `unchanged`. `replace` gathers the rows in a table beside, and at its end
    puts them into the table in the place of those there: what others made of it (rights, views, indexes) stays.
    """

    def __init__(
        self,
        server: Server,
        schema: str | None,
        table: str,
        shape: Record | None,
        rules: Rules,
        mode: Mode,
        run: str,
        sleep: Callable[[float], None],
    ) -> None:
        self._server, self._rules, self._mode, self._run, self._sleep = server, rules, mode, run, sleep
        self._declared = {wire: growth.tree_of(held) for wire, held in shape.fields.items()} if shape else {}
        self._connection = server.connect(run)
        try:
            self._name = TableName(find_schema(self._connection, schema, table), table)
            beside = f"_connectory_new_{table}"
            if len(beside.encode()) > growth.LONGEST_NAME:
                beside = f"_connectory_new_{self._name.lock & (2**64 - 1):x}"
            self._into = self._name.beside(beside) if mode == "replace" else self._name
            take_lock(self._connection, self._name, _LOCK_WITHIN)
            self._state = StateTable(self._name, run)
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        if (kind := kind_of(self._connection, self._name)) not in ("", "table"):
            raise DestinationError(
                f"{self._server.place}: {self._name} is {'a view' if kind == 'view' else 'no table'};"
                " rows can only be written into a table"
            )
        self._state.make(self._connection)
        if self._mode == "replace" and self._state.read(self._connection, pending=True) is None:
            with self._connection.transaction():  # what another run, or one without a state, left unfinished
                self._execute(f"DROP TABLE IF EXISTS {self._into.sql}")
                self._state.forget_pending(self._connection)
        self._indexed = False
        self._temporary: Layout | None = None
        self._look()

    def _look(self) -> None:
        """What the table has, and what it is to have."""
        known, self._defaulted = read_layout(self._connection, self._into)
        self._there = known if kind_of(self._connection, self._into) else None
        if self._there is None and self._mode == "replace":
            known, _ = read_layout(self._connection, self._name)  # the rows will stand in its columns
        self._layout = growth.grown(known, growth.settle_all(known.trees, self._declared))

    @property
    def rows_per_write(self) -> None:
        """As they come."""

    def resume(self) -> None:
        """Nothing is ever half done here: a write is one transaction."""

    def write(self, rows: Rows, state: bytes | None = None) -> Written:
        """One chunk; see `Destination`. The rows are looked at as a whole first, and one by one where that fails."""
        rows = rows if isinstance(rows, list) else list(rows)
        with self._server.plain_words(str(self._name)):
            if self._conform(rows):
                with suppress(psycopg.DataError, UnicodeEncodeError, TypeError):
                    return self._deliver(rows, self._layout, state)
            fitted = fit_exactly(rows, self._layout.trees, self._rules, self._inexact)
            layout = growth.grown(self._layout, {wire: hardened(tree) for wire, tree in fitted.trees.items()})
            layout = self._layout if layout == self._layout else layout  # it holds what msgspec compiled
            if not layout.has_foreign:
                with suppress(psycopg.DataError):
                    return self._deliver(fitted.rows, layout, state, fitted)
            fitted = self._refused(fitted, layout)
            return self._deliver(fitted.rows, layout, state, fitted)

    def read_state(self) -> Kept | None:
        """What was kept last: by the same run's `replace` in the making, else for the finished table."""
        with self._server.plain_words(str(self._name)):
            pending = self._state.read(self._connection, pending=True) if self._mode == "replace" else None
            return pending if pending is not None else self._state.read(self._connection, pending=False)

    def finish(self, state: bytes | None = None) -> None:
        """See `Destination`. A table without rows has the declared columns; without those nothing is made."""

        def work(token: str) -> None:
            if growth.stored(self._layout):
                self._grow(self._layout)
            if self._mode == "replace":
                self._swap()
            self._state.finish(self._connection, state, token, self._mode == "replace")

        with self._server.plain_words(str(self._name)):
            self._committed(work, pending=False)
            self._temporary = None
            if self._mode == "replace":
                self._there = None
            elif growth.stored(self._layout):
                self._there = self._layout

    def close(self) -> None:
        """Let go of it. A `replace` that was not finished leaves the table as it was."""
        self._connection.close()

    def _conform(self, rows: Rows) -> bool:
        """Whether every row is of the layout, as far as that can be seen at once."""
        if not all(rows) or any(None in [row.get(field) for row in rows] for field in self._rules.key):
            return False
        if self._layout.has_foreign:
            return False
        try:
            for start in range(0, len(rows), _VALIDATED_AT_ONCE):
                self._layout.read(rows[start : start + _VALIDATED_AT_ONCE])
        except (KeyError, TypeError, ValueError, RecursionError):
            return False
        return True

    def _inexact(self, grown: Mapping[str, Tree]) -> set[str]:
        """Fields whose stored integers would lose digits as floats."""
        lossy = set()
        for column in growth.stored(self._there or Layout()):
            test = growth.inexact(quote(column.name), column.tree, grown[column.wire])
            if test and self._execute(f"SELECT 1 FROM {self._into.sql} WHERE {test} LIMIT 1").fetchone():
                lossy.add(column.wire)
        return lossy

    def _refused(self, fitted: Fitted, layout: Layout) -> Fitted:
        """Sort out the rows with values that only PostgreSQL knows to be wrong, by letting it read them once."""
        reasons: dict[int, tuple[str, str]] = {}
        listed = self._columns(fitted.rows, layout)
        named = {column.name: column.wire for column in listed}
        start = 0
        with self._connection.transaction(force_rollback=True):
            types = ", ".join(f"{quote(column.name)} {growth.sql_type(column.tree)}" for column in listed)
            self._execute(
                f"DROP TABLE IF EXISTS pg_temp._connectory_check; CREATE TEMP TABLE _connectory_check ({types})"
            )
            while start < len(fitted.rows):
                lot = fitted.rows[start : start + _CHECKED_AT_ONCE]
                try:
                    with self._connection.transaction():
                        self._copy("pg_temp._connectory_check", lot, listed)
                    start += len(lot)
                except psycopg.DataError as error:
                    place, column = refused_at(error)
                    field = named.get(column, column)
                    reasons[start + place] = (field, " ".join((error.diag.message_primary or str(error)).split()))
                    start += place + 1
        return fitted.without(reasons)

    def _deliver(self, rows: Rows, layout: Layout, state: bytes | None, fitted: Fitted | None = None) -> Written:
        """Write and commit, with the state and what became of the rows."""
        pending = self._mode == "replace"

        def work(token: str) -> Written:
            delivered = self._insert(rows, layout) if rows else 0
            written = account(delivered, len(rows), fitted)
            self._state.keep(self._connection, state, written.counts, token, pending=pending)
            return written

        written = self._committed(work, pending=pending)
        self._layout = layout
        self._there = layout if rows else self._there
        return written

    def _committed(self, work: Callable[[str], T], *, pending: bool) -> T:
        """Do the work in one transaction; again where the connection is lost and it is known not to have committed."""
        for wait in (*_RECONNECTS, None):
            token, results = uuid.uuid4().hex, list[T]()
            try:
                with self._connection.transaction():
                    results.append(work(token))
                return results[0]
            except psycopg.OperationalError:
                self._temporary, self._indexed = None, False
                if not self._connection.closed or wait is None:
                    raise
                if self._reconnect(wait) and self._state.token(self._connection, pending=pending) == token:
                    return results[0]
            except BaseException:
                self._temporary, self._indexed = None, False
                raise
        raise AssertionError("the last try returns or raises")

    def _reconnect(self, first_wait: float) -> bool:
        """A new connection; its lock is free only when the old one's transaction has ended, one way or the other."""
        waits = [first_wait, *(wait for wait in _RECONNECTS if wait > first_wait)]
        for number, wait in enumerate(waits, start=1):
            self._sleep(wait)
            try:
                connection = self._server.connect(self._run)
            except psycopg.OperationalError:
                if number == len(waits):
                    raise
                continue
            self._connection = connection
            take_lock(connection, self._name, _LOCK_WITHIN)
            return True
        return False

    def _execute(self, sql: str) -> psycopg.Cursor[Any]:
        return self._connection.execute(sql.encode())

    def _grow(self, layout: Layout) -> None:
        for statement in growth.statements(self._into.sql, self._there, layout):
            self._execute(statement)

    def _columns(self, rows: Rows, layout: Layout) -> list[Column]:
        """The columns to write: those with a default only where a row names them."""
        listed = growth.stored(layout)
        if not self._defaulted:
            return listed
        named = set().union(*(row.keys() for row in rows))
        return [column for column in listed if column.wire not in self._defaulted or column.wire in named]

    def _copy(self, table: str, rows: Rows, listed: Sequence[Column]) -> None:
        if not listed:  # every row is null throughout
            self._execute(f"INSERT INTO {table} SELECT FROM generate_series(1, {len(rows)})")
            return
        names = ", ".join(quote(column.name) for column in listed)
        with self._connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
            write = copy.write_row
            for values in copy_values(rows, listed):
                write(values)

    def _insert(self, rows: Rows, layout: Layout) -> int:
        """How many rows were written."""
        self._grow(layout)
        if self._rules.key:
            return self._merge(rows, layout)
        self._copy(self._into.sql, rows, self._columns(rows, layout))
        return len(rows)

    def _merge(self, rows: Rows, layout: Layout) -> int:
        """How many rows were new or not the same as those of their keys."""
        listed = self._columns(rows, layout)
        self._make_temporary(layout)
        self._copy(_INCOMING, rows, listed)
        self._make_index([layout.by_wire[field].name for field in self._rules.key])
        keys = [quote(layout.by_wire[field].name) for field in self._rules.key]
        names = [quote(column.name) for column in listed]
        others = [column for column in listed if column.wire not in self._rules.key]
        differ = " OR ".join(f"{compared('old', c)} IS DISTINCT FROM {compared('excluded', c)}" for c in others)
        update = ", ".join(f"{quote(column.name)} = excluded.{quote(column.name)}" for column in others)
        key, all_names = ", ".join(keys), ", ".join(names)
        done = self._execute(
            f"INSERT INTO {self._into.sql} AS old ({all_names}) SELECT DISTINCT ON ({key}) {all_names}"
            f" FROM {_INCOMING} ORDER BY {key}, ctid DESC ON CONFLICT ({key})"
            + (f" DO UPDATE SET {update} WHERE {differ}" if others else " DO NOTHING")
        )
        return done.rowcount

    def _make_temporary(self, layout: Layout) -> None:
        if self._temporary == layout:
            self._execute(f"TRUNCATE {_INCOMING}")
            return
        types = ", ".join(f"{quote(column.name)} {growth.sql_type(column.tree)}" for column in growth.stored(layout))
        self._execute(f"DROP TABLE IF EXISTS {_INCOMING}; CREATE TEMP TABLE _connectory_incoming ({types})")
        self._temporary = layout

    def _make_index(self, keys: Sequence[str]) -> None:
        """A merge finds its rows by a unique index."""
        if self._indexed:
            return
        found = self._connection.execute(
            "SELECT array_agg(attname::text) FROM pg_index JOIN pg_attribute ON attrelid = indrelid"
            " AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1]) WHERE indrelid = to_regclass(%s) AND indisunique"
            " AND indisvalid AND indimmediate AND indpred IS NULL AND indexprs IS NULL GROUP BY indexrelid",
            [self._into.sql],
        ).fetchall()
        if not any(set(names) == set(keys) for (names,) in found):
            self._execute(f"CREATE UNIQUE INDEX ON {self._into.sql} ({', '.join(map(quote, keys))})")
        self._indexed = True

    def _swap(self) -> None:
        """Put the gathered rows in the place of those there."""
        if not kind_of(self._connection, self._into):
            if kind_of(self._connection, self._name):
                self._execute(f"DELETE FROM {self._name.sql}")
        elif not kind_of(self._connection, self._name):
            self._execute(f"ALTER TABLE {self._into.sql} RENAME TO {quote(self._name.table)}")
        else:
            there, _ = read_layout(self._connection, self._name)
            for statement in growth.statements(self._name.sql, there, self._layout):
                self._execute(statement)
            names = ", ".join(quote(column.name) for column in growth.stored(self._layout))
            self._execute(f"DELETE FROM {self._name.sql}")
            self._execute(f"INSERT INTO {self._name.sql} ({names}) SELECT {names} FROM {self._into.sql}")
            self._execute(f"DROP TABLE {self._into.sql}")
