"""A source with the recipe's change laid over it: its chunks are what the SQL makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from connectory.recipes.changing.change import Change
from connectory.recipes.recipe import LoadedRecipe
from connectory.recipes.source import Chunk, Position, SizedReader, SourceReader, TextReader, leave_in_duckdb
from connectory.values.shapes import Record


def open_change(loaded: LoadedRecipe, root: Path, reader: SourceReader, *, complete: bool) -> SourceReader:
    """The reader, changed as the recipe says. `complete`: its shape names every field that a row may have.

    Raises InputError where the SQL is wrong, pointing into the recipe.
    """
    if isinstance(reader, TextReader):
        reader.as_text = True  # rows become lines for DuckDB here anyway
    if loaded.recipe.change_over == "all":
        from connectory.recipes.changing.gathered import GatheredReader

        return GatheredReader(reader, loaded, root, complete=complete)
    change = Change(loaded, root, reader.shape, complete=complete)
    return SizedChangedReader(reader, change) if isinstance(reader, SizedReader) else ChangedReader(reader, change)


class ChangedReader:
    """The change chunk by chunk. Positions and marks are the source's own."""

    def __init__(self, reader: SourceReader, change: Change) -> None:
        self._reader = reader
        self._change = change
        leave_in_duckdb(reader, change, to_the_end=False)

    @property
    def shape(self) -> Record | None:
        return self._change.shape

    @property
    def keys(self) -> tuple[str, ...]:
        """The source's, where the SQL has kept them all."""
        names = self.shape.fields if self.shape is not None else {}
        return self._reader.keys if all(key in names for key in self._reader.keys) else ()

    @property
    def kinds(self) -> Mapping[str, Any] | None:
        """See `RelationReader`."""
        return self._change.kinds

    def leave_in_duckdb(self, *, to_the_end: bool) -> None:
        """See `RelationReader`."""
        self._change.stays = True
        leave_in_duckdb(self._reader, self._change, to_the_end=to_the_end)

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """See `SourceReader`. Raises SpecError where the SQL fails."""
        for chunk in self._reader.chunks(position):
            changed = self._change.apply(chunk.rows)
            refused = (*chunk.refused, *changed.invalid)
            came = len(chunk.rows) + len(chunk.refused)
            yield attrs.evolve(chunk, rows=changed.rows, refused=refused, came=came)

    def mark(self) -> Any:
        """The source's."""
        return self._reader.mark()

    def forget(self) -> None:
        """See `SourceReader`."""
        self._reader.forget()

    def close(self) -> None:
        """Let go of both."""
        self._change.close()
        self._reader.close()


class SizedChangedReader(ChangedReader):
    """The same of a source whose chunks can be of any size."""

    @property
    def rows_per_chunk(self) -> int:
        return self._reader.rows_per_chunk if isinstance(self._reader, SizedReader) else 0

    @rows_per_chunk.setter
    def rows_per_chunk(self, rows: int) -> None:
        if isinstance(self._reader, SizedReader):
            self._reader.rows_per_chunk = rows
