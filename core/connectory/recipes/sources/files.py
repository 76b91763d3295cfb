"""Files as a source: the rows of each, in the order of their names; read on from a file and a row of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from connectory.errors import InputError, SourceError
from connectory.recipes.recipe import FromFiles
from connectory.recipes.source import Chunk, Position, Row
from connectory.recipes.sources.csv_rows import CsvRows, UnknownColumn
from connectory.recipes.sources.jsonl_rows import JsonRows
from connectory.recipes.sources.looks import Look, named_look
from connectory.recipes.sources.parquet_rows import ParquetRows
from connectory.recipes.sources.places import FORMATS, Place, Wrong, find_places, prints
from connectory.values.shapes import Record

ROWS_PER_CHUNK: Final = 10_000


class FileRows(Protocol):
    """Some files of one format: their shape, how many rows they have in all, and the rows."""

    shape: Record
    total: int

    def batches(self, place: Place, skip: int, size: int) -> Iterator[Sequence[Row]]:
        """The rows of one file behind the first `skip`, some at a time."""


class FilesReader:
    """The rows of files. A position is a file and how many of its rows were read, with what tells that the file and
    those before it are still the same."""

    keys: tuple[str, ...] = ()
    by_columns = False

    def __init__(self, places: Sequence[Place], rows: FileRows) -> None:
        self._places = places
        self._rows = rows
        self.rows_per_chunk = ROWS_PER_CHUNK

    @property
    def shape(self) -> Record:
        return self._rows.shape

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """See `SourceReader`. Raises InputError where a file is not what it was when the position was kept."""
        first, row = (0, 0) if position is None else self._find(position)
        for number in range(first, len(self._places)):
            place = self._places[number]
            before = prints(self._places[:number])
            for rows in self._rows.batches(place, row, self.rows_per_chunk):
                row += len(rows)
                there = {"file": place.name, "row": row, "print": place.print, "before": before}
                yield Chunk(rows if self.by_columns else list(rows), there, total=self._rows.total)
            if place.now() != place:
                raise SourceError(f"{place.name}: the file changed while it was read; run again")
            row = 0

    def _find(self, position: Any) -> tuple[int, int]:
        name, anew = position["file"], "read everything anew with --full-refresh"
        number = next((n for n, place in enumerate(self._places) if place.name == name), None)
        if number is None:
            raise InputError(f"{name}: an unfinished run got to this file, which is gone; put it back, or {anew}")
        if self._places[number].print != position["print"]:
            raise InputError(f"{name}: the file changed since an unfinished run read part of it; {anew}")
        if prints(self._places[:number]) != position["before"]:
            raise InputError(f"{name}: of the files before it some changed, came or went since an unfinished run read"
                             f" them; {anew}")  # fmt: skip
        return number, position["row"]

    def mark(self) -> None:
        """Each run reads all files."""

    def forget(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Let go of them."""
        if isinstance(self._rows, ParquetRows):
            self._rows.close()


def open_files(options: FromFiles, root: Path, wrong: Wrong) -> FilesReader:
    """The files of a recipe, looked at to their ends: what is wrong in one is told before anything is sent.

    `root` is what local paths are relative to. Raises InputError.
    """
    places = find_places(options.files, root, wrong)
    form = _format(options, places, wrong)
    if options.columns and form != "csv":
        raise wrong(("from", "columns"), f"the columns of {form} files have types of their own")
    return FilesReader(places, read_places(places, form, _declared(options, wrong), wrong))


def read_places(places: Sequence[Place], form: str, declared: dict[str, Look], wrong: Wrong) -> FileRows:
    """The rows of files of one format."""
    if form == "jsonl":
        return JsonRows(places)
    if form == "parquet":
        return ParquetRows(places)
    try:
        return CsvRows(places, declared)
    except UnknownColumn as why:
        raise wrong(("from", "columns", why.name), str(why)) from None


def _format(options: FromFiles, places: Sequence[Place], wrong: Wrong) -> str:
    if options.format is not None:
        return options.format
    forms = {place.format: place.name for place in places}
    if None in forms:
        known = ", ".join(FORMATS)
        raise wrong(("from", "files"), f"{forms[None]}: 'format' says what a file is that does not end in {known}")
    if len(forms) > 1:
        raise wrong(("from", "files"), f"files of one format, found {' and '.join(sorted(map(str, forms)))}")
    return str(next(iter(forms)))


def _declared(options: FromFiles, wrong: Wrong) -> dict[str, Look]:
    looks = {}
    for name, type_ in options.columns.items():
        try:
            looks[name] = named_look(type_)
        except ValueError as why:
            raise wrong(("from", "columns", name), str(why)) from None
    return looks
