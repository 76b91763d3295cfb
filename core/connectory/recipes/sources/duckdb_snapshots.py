"""Rows of a query on DuckDB kept in a DuckDB file of their own, beside the other snapshots: they never become Python
objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb

from connectory.destinations.duckdb_file import connect, plain_words
from connectory.errors import DestinationError, SourceError
from connectory.recipes.changing.values import relation_of
from connectory.recipes.sources.snapshots import TABLE, Heading, Snapshots
from connectory.table import Relation


def keep(snapshots: Snapshots, query: str, rows: Relation) -> Path | None:
    """Write a file, whole on the disk before it has its name; None where there are no rows, and then nothing is left.
    `query` is a digest of where they come from. Raises SourceError, and DuckDB's errors with the rows."""
    with snapshots.making(TABLE) as (path, part):
        with closing(connect(part)) as connection:
            part.chmod(0o600)
            connection.execute("SET threads = 1")  # the rows come one after the other anyway
            connection.register("given", rows)
            [[count]] = connection.execute("CREATE TABLE kept AS FROM given").fetchall()
            connection.unregister("given")
            connection.execute("CREATE TABLE heading AS SELECT $1 AS query", [query])
        if not count:
            part.unlink()
    return path if count else None


def read_heading(path: Path) -> Heading | None:
    """What the file holds; None where it is none of ours."""
    try:
        with closing(connect(path, read_only=True)) as connection:
            [[query]] = connection.execute("SELECT query FROM heading").fetchall()
            return Heading(tuple(connection.sql("FROM kept").columns), query)
    except (duckdb.Error, ValueError):
        return None


def read(path: Path, row: int, size: int) -> Iterator[Relation]:
    """The rows behind the first `row`, some at a time. Raises SourceError."""
    try:
        with plain_words(path, "of what was kept"), closing(connect(path, read_only=True)) as connection:
            [[count]] = connection.execute("SELECT count(*) FROM kept").fetchall()
            for start in range(row, count, size):
                yield relation_of(connection, f"SELECT * FROM kept WHERE rowid BETWEEN {start} AND {start + size - 1}")
    except DestinationError as why:
        raise SourceError(f"{why}; read everything anew with --full-refresh") from None
