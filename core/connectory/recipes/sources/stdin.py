"""Standard input as a source. It can be read once only, so its bytes are kept, and then read as a file is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import attrs

from connectory.errors import InputError
from connectory.recipes.context import Context
from connectory.recipes.recipe import FromInput
from connectory.recipes.source import Chunk, Position
from connectory.recipes.sources.files import FilesReader, read_places
from connectory.recipes.sources.places import local_place
from connectory.recipes.sources.snapshots import Snapshots, copy_stream
from connectory.values.shapes import Record

NAME = "standard input"


class InputReader:
    """The rows of standard input. A position is a row of the bytes kept.

    A run that goes on needs no input: what it had is still there. Other rows than those it had are refused, since
    those of the unfinished run would be lost.
    """

    keys: tuple[str, ...] = ()

    def __init__(self, form: str, snapshots: Snapshots, stream: IO[bytes]) -> None:
        self._form = form
        self._snapshots = snapshots
        self._kept = copy_stream(snapshots, form, stream)
        self._given = False
        try:
            self._reader = self._open(self._kept)
        except BaseException:
            self._kept.unlink(missing_ok=True)
            raise

    @property
    def shape(self) -> Record | None:
        return self._reader.shape

    @property
    def rows_per_chunk(self) -> int:
        return self._reader.rows_per_chunk

    @rows_per_chunk.setter
    def rows_per_chunk(self, rows: int) -> None:
        self._reader.rows_per_chunk = rows

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """See `SourceReader`. Raises InputError where an unfinished run had other rows."""
        if position is not None:
            self._go_on(self._snapshots.find(position["snapshot"]))
            position, self._given = position["position"], True
        for chunk in self._reader.chunks(position):
            self._given = True
            yield attrs.evolve(chunk, position={"snapshot": self._kept.name, "position": chunk.position})

    def _go_on(self, before: Path) -> None:
        if self._kept.stat().st_size and not _same(before, self._kept):
            raise InputError(
                "a run with other rows on standard input is not at its end: let it end with no input (</dev/null),"
                " or forget it with --full-refresh"
            )
        self._kept.unlink()
        self._kept = before
        size = self._reader.rows_per_chunk
        self._reader = self._open(before)
        self._reader.rows_per_chunk = size

    def _open(self, path: Path) -> FilesReader:
        if self._form == "csv" and not path.stat().st_size:
            return FilesReader([], read_places([], "jsonl", {}, _never))
        place = local_place(NAME, path)
        return FilesReader([place], read_places([place], self._form, {}, _never))

    def mark(self) -> None:
        """Each run has rows of its own."""

    def forget(self) -> None:
        """Remove what was kept."""
        self._kept.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove what was kept, where nobody got a row of it."""
        if not self._given:
            self.forget()


def open_input(context: Context, options: FromInput, stream: IO[bytes] | None = None) -> InputReader:
    """Standard input, read to its end. Raises InputError for what is no row, naming its line."""
    stream = stream or sys.stdin.buffer
    if stream.isatty():
        raise context.wrong(("from", "stdin"), "standard input is a terminal: rows come in by a pipe or a < FILE")
    return InputReader(options.stdin, Snapshots(context.root, context.loaded.recipe.name), stream)


def _never(path: tuple[str | int, ...], message: str) -> InputError:
    return InputError(message)


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        while block := first.read(1 << 20):
            if block != second.read(len(block)):
                return False
        return not second.read(1)
