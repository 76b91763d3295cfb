"""Opening a DuckDB file, what stands in it, and DuckDB's errors in plain words."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import attrs
import duckdb
import msgspec

from connectory.destinations.columns import (
    BITS,
    BOOLEAN,
    COMMENT,
    DATE,
    DECIMAL,
    DOUBLE,
    JSON,
    Column,
    Layout,
    Leaf,
    quote,
    tree_from,
)
from connectory.destinations.tablenames import read_table_name
from connectory.errors import DestinationError

# Everything needed is built in: nothing may be fetched, and no query may read another file.
_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}
_WAYS: Final[tuple[dict[str, Any], ...]] = ({"read_only": True, "config": _SETTINGS}, {"config": _SETTINGS}, {})
PATIENCE = 10.0  # seconds that another program may have the file open: another recipe may be about to end
_LOOK_EVERY: Final = 0.2


@attrs.frozen
class TableName:
    """A table and its schema, as they are."""

    schema: str
    table: str

    @property
    def sql(self) -> str:
        return f"{quote(self.schema)}.{quote(self.table)}"

    def __str__(self) -> str:
        return self.table if self.schema == "main" else f"{self.schema}.{self.table}"


def read_name(text: str) -> TableName:
    """A table as a recipe names it. Raises DestinationError."""
    schema, table = read_table_name(text)
    return TableName(schema or "main", table)


def connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection of its own. A file that this process has open already is shared as it was opened, since DuckDB
    opens no file twice with different settings. Raises duckdb.Error."""
    for options in _WAYS[0 if read_only else 1 :]:
        with suppress(duckdb.ConnectionException):
            connection = duckdb.connect(str(path), **options)
            break
    else:
        connection = duckdb.connect(str(path), read_only=read_only)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def connect_in_turn(path: Path) -> duckdb.DuckDBPyConnection:
    """The same for writing, once no other program has the file open; it is waited for a little. Raises duckdb.Error.

    A file that could not be begun whole (a full disk) is removed: DuckDB would find it damaged the next time.
    """
    until = time.monotonic() + PATIENCE
    new = not path.exists()
    while True:
        try:
            return connect(path)
        except duckdb.IOException as why:
            locked = "Could not set lock" in str(why)
            if new and not locked:
                path.unlink(missing_ok=True)
            if not locked or time.monotonic() >= until:
                raise
        time.sleep(_LOOK_EVERY)


def kind_of(connection: duckdb.DuckDBPyConnection, name: TableName) -> str:
    """'table', 'view' or '' where there is neither."""
    for kind in ("table", "view"):
        found = connection.execute(
            f"SELECT 1 FROM duckdb_{kind}s() WHERE database_name = current_database()"
            f" AND lower(schema_name) = lower($1) AND lower({kind}_name) = lower($2)",
            [name.schema, name.table],
        ).fetchone()
        if found:
            return kind
    return ""


def read_layout(connection: duckdb.DuckDBPyConnection, name: TableName) -> Layout:
    """The columns that a table has; none where there is no table."""
    if not kind_of(connection, name):
        return Layout()
    comments = connection.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE database_name = current_database()"
        " AND lower(schema_name) = lower($1) AND lower(table_name) = lower($2)",
        [name.schema, name.table],
    ).fetchall()
    wires = {column: text.removeprefix(COMMENT) for column, text in comments if text and text.startswith(COMMENT)}
    relation = connection.sql(f"SELECT * FROM {name.sql} LIMIT 0")
    pairs = zip(relation.columns, relation.types, strict=True)
    return Layout(tuple(Column(column, wires.get(column, column), tree_from(kind)) for column, kind in pairs))


def glance(path: Path | str, table: str, limit: int = 5) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """The names of the columns and some rows, in the order they were written, to be shown to a person.

    Nested and JSON values are Python lists and dicts; moments are text in UTC. Both are empty where there is no table.
    Raises DestinationError.
    """
    with _looking(Path(path), table) as (connection, name):
        layout = read_layout(connection, name)
        if not layout.columns:
            return (), []
        listed = ", ".join(f"{_shown(column)} AS {quote(column.name)}" for column in layout.columns)
        rows = connection.execute(f"SELECT {listed} FROM {name.sql} LIMIT {int(limit)}").fetchall()
    nested = [not _is_plain(column) for column in layout.columns]
    return tuple(column.name for column in layout.columns), [
        tuple(
            msgspec.json.decode(value) if parts and value is not None else value
            for value, parts in zip(row, nested, strict=True)
        )
        for row in rows
    ]


def count(path: Path | str, table: str) -> int:
    """How many rows a table has; 0 where there is none. Raises DestinationError."""
    with _looking(Path(path), table) as (connection, name):
        if not kind_of(connection, name):
            return 0
        [[number]] = connection.execute(f"SELECT count(*) FROM {name.sql}").fetchall()
        return int(number)


@contextmanager
def _looking(path: Path, table: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, TableName]]:
    name = read_name(table)
    if not path.exists():
        raise DestinationError(f"there is no file {path}")
    with plain_words(path, table), closing(connect(path, read_only=True)) as connection:
        yield connection, name


def _is_plain(column: Column) -> bool:
    return isinstance(column.tree, Leaf) and column.tree.type != JSON


def _shown(column: Column) -> str:
    name = quote(column.name)
    if not isinstance(column.tree, Leaf):
        return f"CAST(to_json({name}) AS VARCHAR)"
    as_it_is = column.tree.type in (BOOLEAN, DOUBLE, DATE, DECIMAL, *BITS)
    return name if as_it_is else f"CAST({name} AS VARCHAR)"


@contextmanager
def plain_words(path: Path, table: str) -> Iterator[None]:
    """Turns DuckDB's errors into a DestinationError that says what to do."""
    try:
        yield
    except duckdb.Error as error:
        raise DestinationError(_in_words(path, table, str(error))) from error


# What is found in DuckDB's error, and what it means for the file. The first match wins; `{}` is what was found.
_WORDS: Final[tuple[tuple[str, str], ...]] = (
    (
        r"Could not set lock.*?held in (.*?) \(PID (\d+)\)",
        "is in use by another program: {}, process {}; close it or wait for it",
    ),
    (r"Could not set lock", "is in use by another program; close it or wait for it"),
    (r"different configuration", "is open in this program with settings that do not go together; close it there first"),
    (r"sqlite|external extensions is disabled", "is a file of another database, not of DuckDB; name another file"),
    (r"not a valid DuckDB database", "is not a DuckDB file; name another file, or remove it"),
    (r"Is a directory", "is a folder; name a file in it"),
    (r"No space left|File too large|Disk quota", "cannot be written: the disk is full; what was kept before is whole"),
    (r"Read-only file system|Permission denied|read-only mode", "cannot be written: it or its folder is read-only"),
    (r"No such file or directory", "cannot be opened: there is no such file or folder"),
    (
        r"orrupt|checksum|Could not read enough bytes|Serialization Error|Failed to deserialize",
        "is damaged; restore it from a copy, or remove it and sync again",
    ),
)


def _in_words(path: Path, table: str, error: str) -> str:
    first = error.partition("\n")[0]
    for pattern, words in _WORDS:
        if found := re.search(pattern, error, re.DOTALL):
            return f"{path} {words.format(*found.groups())} (DuckDB says: {first[:300]})"
    return f"{path}: DuckDB cannot do this with table {table}: {first[:500]}"
