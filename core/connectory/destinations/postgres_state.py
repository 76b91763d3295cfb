"""Where a PostgreSQL schema keeps the states of the tables in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import psycopg

from connectory.destinations.columns import quote
from connectory.destinations.destination import Kept
from connectory.destinations.postgres_server import TableName, kind_of

_NAME: Final = "_connectory_state"


class StateTable:
    """The rows of one table in `_connectory_state`: one of each run, and one of a `replace` in the making.

    `token` names the transaction that wrote the row last, so that it can be seen whether it was committed.
    """

    def __init__(self, table: TableName, run: str) -> None:
        self._sql = table.beside(_NAME)
        self._table = table.table
        self._run = run

    def make(self, connection: psycopg.Connection[Any]) -> None:
        """Make it where it is not there; asking first needs no right to make anything."""
        if kind_of(connection, self._sql):
            self._widen(connection)
            return
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [self._sql.lock])
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._sql.sql} (table_name text, pending boolean, run text, state bytea,"
                " counts text, token text, saved_at timestamptz, PRIMARY KEY (table_name, pending, run))".encode()
            )

    def _widen(self, connection: psycopg.Connection[Any]) -> None:
        """Earlier versions kept one state for all the runs that fill a table."""
        narrow = connection.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'"
            " AND cardinality(conkey) = 2",
            [self._sql.sql],
        ).fetchone()
        if narrow:
            connection.execute(
                f"ALTER TABLE {self._escaped} DROP CONSTRAINT {quote(narrow[0])},"
                " ADD PRIMARY KEY (table_name, pending, run)".encode()
            )

    def read(self, connection: psycopg.Connection[Any], *, pending: bool) -> Kept | None:
        """The state of this run."""
        found = self._row(connection, "state, counts", pending)
        return Kept(bytes(found[0]), msgspec.json.decode(found[1] or "{}")) if found and found[0] is not None else None

    def token(self, connection: psycopg.Connection[Any], *, pending: bool) -> str | None:
        """The name of the last transaction that was committed."""
        found = self._row(connection, "token", pending)
        return found[0] if found else None

    def _row(self, connection: psycopg.Connection[Any], what: str, pending: bool) -> Any:
        return connection.execute(
            f"SELECT {what} FROM {self._escaped} WHERE table_name = %s AND pending = %s AND run = %s".encode(),
            [self._table, pending, self._run],
        ).fetchone()

    def keep(
        self,
        connection: psycopg.Connection[Any],
        state: bytes | None,
        counts: Mapping[str, int],
        token: str,
        *,
        pending: bool,
    ) -> None:
        """Keep a state; without one that which is there stays."""
        told = None if state is None else msgspec.json.encode(counts).decode()
        connection.execute(
            f"INSERT INTO {self._escaped} AS old VALUES (%s, %s, %s, %s, %s, %s, now())"
            " ON CONFLICT (table_name, pending, run) DO UPDATE SET token = excluded.token,"
            " state = coalesce(excluded.state, old.state), counts = coalesce(excluded.counts, old.counts),"
            " saved_at = excluded.saved_at".encode(),
            [self._table, pending, self._run, state, told, token],
        )

    def finish(self, connection: psycopg.Connection[Any], state: bytes | None, token: str, replaced: bool) -> None:
        """Keep the state of the finished table: the one given, or what the `replace` kept last."""
        counts: Mapping[str, int] = {}
        if replaced:
            if state is None and (kept := self.read(connection, pending=True)) is not None:
                state, counts = kept.state, kept.counts
            self.forget_pending(connection)
            self._forget_others(connection)
        self.keep(connection, state, counts, token, pending=False)

    def forget_pending(self, connection: psycopg.Connection[Any]) -> None:
        """A `replace` in the making is given up, or at its end."""
        connection.execute(f"DELETE FROM {self._escaped} WHERE table_name = %s AND pending".encode(), [self._table])

    def _forget_others(self, connection: psycopg.Connection[Any]) -> None:
        """The rows that other runs wrote are gone with the table that was replaced."""
        connection.execute(
            f"DELETE FROM {self._escaped} WHERE table_name = %s AND run <> %s".encode(), [self._table, self._run]
        )

    @property
    def _escaped(self) -> str:
        return self._sql.sql.replace("%", "%%")
