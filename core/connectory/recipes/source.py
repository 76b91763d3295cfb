"""What a sync needs of the place where rows come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

import attrs

from connectory.destinations.destination import Destination, Problem, TakesColumns, TakesRelation, TakesText
from connectory.values.shapes import Record

Row = Mapping[str, Any]
Position = Any
"""Where reading goes on: a JSON value that only its own source understands; None is the beginning."""


@attrs.frozen
class Chunk:
    """Rows that were read together. `position` is where reading goes on behind them, by another process if need be.

    `pages` counts what was fetched for them, `total` is how many rows the source says it has in all, `came` how many
    rows there were before the recipe's change, where it has one. `refused` are rows that the source could not
    complete, in the vendor's words, or that the change could not be given; they are not among `rows`. `left_out`
    counts records that are no rows of this run, by the reason.
    """

    rows: Sequence[Row]
    position: Position
    pages: int = 0
    total: int | None = None
    came: int | None = None
    refused: Sequence[Problem] = ()
    left_out: Mapping[str, int] = attrs.Factory(dict)


class SourceReader(Protocol):
    """One open source. Not shared between threads.

    `shape` is what is known of a row before any is read, `keys` the fields that identify it.
    """

    @property
    def shape(self) -> Record | None: ...

    @property
    def keys(self) -> tuple[str, ...]: ...

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """The rows behind a position, in order. A chunk without rows only moves the position.

        A run begins at the mark of the last complete one, or at None. Read again from a position that an earlier
        process got, the rows behind it come, each once, and none before.
        Raises InputError where the source is not what the recipe says, and the source's own ConnectoryErrors.
        """

    def mark(self) -> Any:
        """The position at which the next run begins; known once all chunks were taken. None: at the start."""

    def forget(self) -> None:
        """The run ended well, and nobody will ask for its positions again: let go of what was kept for that."""

    def close(self) -> None:
        """Let go of it."""


@runtime_checkable
class SizedReader(Protocol):
    """A source whose chunks can be of any size. What a chunk holds beyond one write is kept in the state meanwhile."""

    rows_per_chunk: int


@runtime_checkable
class TextReader(Protocol):
    """A source that can leave its rows as the text they came as, for a destination that takes it; see `Lines`."""

    as_text: bool


@runtime_checkable
class ColumnsReader(Protocol):
    """A source that can leave its rows as their columns, for a destination that takes these; see `Table`."""

    by_columns: bool


@runtime_checkable
class RelationReader(Protocol):
    """A source that can leave its rows in DuckDB, for another DuckDB that takes them over; see `Relation`."""

    kinds: Mapping[str, Any] | None
    """DuckDB's types of the columns; None while they are not known."""

    def leave_in_duckdb(self, *, to_the_end: bool) -> None:
        """Do so. With `to_the_end` nobody makes Python objects of them, so that a chunk may hold many."""


ROWS_IN_DUCKDB: Final = 122_880  # in a chunk of which nobody makes Python objects; DuckDB keeps so many together
_FEWEST: Final = 20
_MOST: Final = 20_000


def agree(source: SourceReader, destination: Destination) -> None:
    """Let a chunk hold as many rows as the destination takes at a time; as text, as columns or in DuckDB, where both
    can."""
    fit_chunks(source, destination.rows_per_write)
    if isinstance(source, TextReader):
        source.as_text = isinstance(destination, TakesText) and destination.takes_text
    if isinstance(source, ColumnsReader):
        source.by_columns = isinstance(destination, TakesColumns) and destination.takes_columns
    leave_in_duckdb(source, destination, to_the_end=True)


def leave_in_duckdb(source: SourceReader, taker: object, *, to_the_end: bool) -> None:
    """Let a source leave its rows in DuckDB, where it can and `taker` can take them over from there."""
    if isinstance(source, RelationReader) and isinstance(taker, TakesRelation):
        kinds = source.kinds
        if kinds is not None and taker.takes_relation(kinds):
            source.leave_in_duckdb(to_the_end=to_the_end)


def fit_chunks(source: SourceReader, rows_per_write: int | None) -> None:
    """Let a chunk hold as many rows as a write of the destination, or as some small ones, where the source can."""
    if rows_per_write is not None and rows_per_write <= _MOST and isinstance(source, SizedReader):
        source.rows_per_chunk = rows_per_write * max(1, _FEWEST // rows_per_write)
