"""Queries as sources. A query cannot be read on from its middle, so its rows are kept in a snapshot before the first of
them is given, and a position is a place in that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from connectory.errors import ConnectoryError
from connectory.recipes.context import Context
from connectory.recipes.exact import Column
from connectory.recipes.source import Chunk, Position, Row
from connectory.recipes.sources.files import ROWS_PER_CHUNK
from connectory.recipes.sources.snapshots import Heading, Snapshots, read_heading, read_rows, write_rows
from connectory.values.shapes import Plain, Record


class Query(Protocol):
    """A query on a database, asked anew each time."""

    def describe(self) -> Record:
        """The columns. Raises SpecError where the SQL is wrong, SourceError where the database fails."""

    def batches(self, size: int) -> Iterator[Sequence[Column]]:
        """The rows as their columns, some at a time, all as they were at one moment."""


class QueryReader:
    """The rows of a query. Nothing is asked of the database but its columns until the first chunk is wanted."""

    keys: tuple[str, ...] = ()
    by_columns = False

    def __init__(self, query: Query, sql: str, context: Context) -> None:
        self._query = query
        self._digest = hashlib.sha256(sql.encode()).hexdigest()[:16]
        self._snapshots = Snapshots(context.root, context.loaded.recipe.name)
        self._snapshot: Path | None = None
        self._given = False  # whether somebody may come back with a position
        self.rows_per_chunk = ROWS_PER_CHUNK
        self.shape: Record = self._describe()

    def _describe(self) -> Record:
        """The columns; where the database cannot tell, those of rows that an unfinished run kept."""
        try:
            return self._query.describe()
        except ConnectoryError:
            newest = self._snapshots.newest()
            heading = self._heading(newest) if newest is not None else None
            if heading is None or heading.query != self._digest:
                raise
            return Record({name: Plain("any") for name in heading.names})

    def _heading(self, snapshot: Path) -> Heading | None:
        return read_heading(snapshot)

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """See `SourceReader`. Raises InputError where the snapshot of a position is gone."""
        if position is None:
            self._snapshot = self._keep()
        else:
            self._snapshot, self._given = self._snapshots.find(position["snapshot"]), True
        if self._snapshot is None:
            return
        position = position or {"row": 0, "at": 0, "skip": 0}
        row = position["row"]
        for rows, place in self._read(self._snapshot, position):
            row += len(rows)
            self._given = True
            yield Chunk(rows, {"snapshot": self._snapshot.name, **place, "row": row})

    def _keep(self) -> Path | None:
        """Write the snapshot; None where there are no rows."""
        heading = Heading(tuple(self.shape.fields), self._digest)
        return write_rows(self._snapshots, heading, self._query.batches(self.rows_per_chunk))

    def _read(self, snapshot: Path, position: Position) -> Iterator[tuple[Sequence[Row], Mapping[str, int]]]:
        """The rows behind a position, some at a time, with what the position behind them says besides the row."""
        for rows, (at, skip) in read_rows(snapshot, (position["at"], position["skip"]), self.rows_per_chunk):
            yield rows if self.by_columns else list(rows), {"at": at, "skip": skip}

    def mark(self) -> None:
        """Each run asks for all rows."""

    def forget(self) -> None:
        """Remove the snapshot."""
        if self._snapshot is not None:
            self._snapshot.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove a snapshot of which nobody got a row."""
        if not self._given:
            self.forget()
