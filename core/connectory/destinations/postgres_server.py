"""Reaching a PostgreSQL server, what stands in it, and its errors in plain words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict

from connectory.destinations.columns import COMMENT, Column, Layout, quote
from connectory.destinations.postgres_columns import LONGEST_NAME, tree_from
from connectory.destinations.tablenames import read_table_name
from connectory.errors import DestinationError

CONNECTS_WITHIN: Final = 15  # seconds
LOCKED_FOR: Final = "30s"  # how long another's lock is waited for
# A server would go on for two hours with a client whose machine is gone.
_KEEPALIVE: Final = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6;"


@attrs.frozen
class TableName:
    """A table and its schema, as they are; without a schema it is found, or made, on the search path."""

    schema: str
    table: str

    @property
    def sql(self) -> str:
        return f"{quote(self.schema)}.{quote(self.table)}"

    def beside(self, table: str) -> TableName:
        """Another table of the same schema."""
        return TableName(self.schema, table)

    def __str__(self) -> str:
        return self.table if self.schema == "public" else f"{self.schema}.{self.table}"

    @property
    def lock(self) -> int:
        """The number of the advisory lock of its writer."""
        digest = hashlib.sha256(f"connectory {self.schema}.{self.table}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)


def read_name(text: str) -> tuple[str | None, str]:
    """The schema, where one is named, and the table. Raises DestinationError."""
    schema, table = read_table_name(text)
    for part in filter(None, (schema, table)):
        if len(part.encode()) > LONGEST_NAME:
            raise DestinationError(f"'{part[:80]}' is too long: PostgreSQL's names have at most {LONGEST_NAME} bytes")
    return schema, table


@attrs.frozen
class Server:
    """How a database is reached. `place` names it without user and password."""

    address: str = attrs.field(repr=False)
    place: str
    password: str = attrs.field(repr=False)

    def connect(self, run: str) -> psycopg.Connection[Any]:
        """A new connection, in UTC. Raises psycopg.Error."""
        connection = psycopg.connect(
            self.address,
            autocommit=True,
            prepare_threshold=None,  # columns change under a prepared statement
            client_encoding="utf8",
            **self._missing({"connect_timeout": CONNECTS_WITHIN, "application_name": f"connectory {run}"[:60]}),
        )
        try:
            connection.execute(f"SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; {_KEEPALIVE}".encode())
            if connection.execute("SHOW lock_timeout").fetchone() == ("0",):
                connection.execute(f"SET lock_timeout = '{LOCKED_FOR}'".encode())
        except BaseException:
            connection.close()
            raise
        return connection

    def _missing(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        given = conninfo_to_dict(self.address)
        return {name: value for name, value in defaults.items() if name not in given}

    @contextmanager
    def plain_words(self, table: str) -> Iterator[None]:
        """Turns PostgreSQL's errors into a DestinationError that says what to do, without the password."""
        try:
            yield
        except psycopg.Error as error:
            raise DestinationError(self.words(table, error)) from None

    def words(self, table: str, error: psycopg.Error) -> str:
        """One line about an error."""
        said = " ".join((error.diag.message_primary or str(error)).split())[:300]
        if self.password:
            said = said.replace(self.password, "***")
        for pattern, words in _WORDS:
            if re.search(pattern, f"{error.sqlstate or ''} {said}"):
                detail = f"; {error.diag.message_detail}" if "unique index" in said else ""  # it shows the key alone
                return f"{self.place}: {words.format(table=table)} (PostgreSQL says: {said}{detail})"
        return f"{self.place}: PostgreSQL cannot do this with table {table}: {said}"


# What is found in the code and the words of PostgreSQL's error, and what it means. The first match wins.
_WORDS: Final[tuple[tuple[str, str], ...]] = (
    (r"password authentication failed|no password supplied", "the password or the user is wrong"),
    (r"^3D000|database .* does not exist", "there is no such database; make it, or name another"),
    (r"role .* does not exist", "there is no such user"),
    (r"no pg_hba.conf entry", "the server does not let this user in from here; ask its administrator"),
    (r"^53300|too many connections|connection slots", "the server has no connection left; try later"),
    (r"^57P0|starting up|shutting down|recovery mode", "the server starts or stops just now; try later"),
    (r"[Cc]onnection refused|timeout expired|No such file|translate host|resolve host|unreachable|timed out",
     "the server cannot be reached; is it running, and are host and port right?"),
    (r"closed the connection|connection .*lost|consuming input|SSL connection|server closed|EOF detected",
     "the connection was lost; what was kept before is whole"),
    (r"^42501", "no permission for this with table {table}; ask the owner to grant it"),
    (r"^55P03", "table {table} is locked by another program; end it or wait for it"),
    (r"^53100", "the disk is full; what was kept before is whole"),
    (r"^25006", "the database is read-only; is it a copy of another?"),
    (r"^23505 could not create unique index",
     "merging needs a unique index on the key, but a key is there twice in table {table}"),
    (r"^23", "a constraint of table {table} refuses a row; nothing of the chunk was written"),
    (r"^57014", "the server cancelled the work: it took longer than its statement_timeout allows"),
    (r"^2BP01", "something else needs what must change in table {table}"),
    (r"^0A000 cannot alter type",
     "a view or another column needs a column of table {table} whose type must change; drop that first"),
    (r"^54", "table {table} has a limit of PostgreSQL's own that this breaks"),
)  # fmt: skip


def read_server(address: str) -> Server:
    """The server that a connection string names. Raises DestinationError, which does not quote it."""
    try:
        given = conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        raise DestinationError(
            "the connection string cannot be read: expected one such as postgresql://user@host:5432/database"
        ) from None
    host, port = str(given.get("host") or "local server"), given.get("port")
    place = f"PostgreSQL at {host}{f':{port}' if port else ''}"
    database = given.get("dbname")
    return Server(address, f"{place}, database {database}" if database else place, str(given.get("password") or ""))


def find_schema(connection: psycopg.Connection[Any], schema: str | None, table: str) -> str:
    """The schema of a table: the one named, that of the table as the search path finds it, or where it would be made.

    Raises DestinationError where there is none.
    """
    if schema is not None:
        if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone() is None:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}".encode())
        return schema
    found = connection.execute(
        "SELECT coalesce((SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE c.oid = to_regclass(%s)), current_schema())",
        [quote(table)],
    ).fetchone()
    if found is None or found[0] is None:
        raise DestinationError(f"no schema of the search path is there to hold table {table}; name one: schema.{table}")
    return str(found[0])


def kind_of(connection: psycopg.Connection[Any], name: TableName) -> str:
    """'table', 'view' or 'other', '' where there is nothing of that name."""
    found = connection.execute(
        "SELECT relkind FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relname = %s",
        [quote(name.schema), name.table],
    ).fetchone()
    kinds = {"r": "table", "p": "table", "f": "table", "v": "view", "m": "view"}
    return kinds.get(_text(found[0]), "other") if found else ""


def read_layout(connection: psycopg.Connection[Any], name: TableName) -> tuple[Layout, frozenset[str]]:
    """The columns that a table has and may be written, and the wire names of those with a default of their own."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum),"
        " atthasdef OR attidentity <> '' FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
        " AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a' ORDER BY attnum",
        [name.sql],
    ).fetchall()
    listed, defaulted = [], set()
    for column, kind, comment, has_default in rows:
        wire = comment.removeprefix(COMMENT) if comment and comment.startswith(COMMENT) else column
        listed.append(Column(column, wire, tree_from(kind)))
        if has_default:
            defaulted.add(wire)
    return Layout(tuple(listed)), frozenset(defaulted)


def take_lock(connection: psycopg.Connection[Any], name: TableName, within: str) -> None:
    """Be the only writer of a table until the connection ends. Raises DestinationError that names the other writer.

    A writer that was killed is still there for a moment, so it is waited for.
    """
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{within}'".encode())
            connection.execute("SELECT pg_advisory_lock(%s)", [name.lock])
    except psycopg.errors.LockNotAvailable:
        key = name.lock & (2**64 - 1)
        found = connection.execute(
            "SELECT pid, application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'"
            " AND classid::bigint = %s AND objid::bigint = %s AND granted",
            [key >> 32, key & (2**32 - 1)],
        ).fetchone()
        who = f": {found[1]}, process {found[0]} of the server" if found else ""
        raise DestinationError(f"table {name} is being written by another program{who}; wait for it") from None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
