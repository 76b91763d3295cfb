"""Rows of CSV files (RFC 4180, UTF-8), typed by the recipe or as they look; see `looks`.

The first line names the columns. Cells are parted by commas, or by the semicolons or tabs of a heading without commas.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import IO, Final

from connectory.errors import InputError, SourceError, nearest
from connectory.recipes.source import Row
from connectory.recipes.sources.looks import TEXT, Column, Look
from connectory.recipes.sources.places import Place
from connectory.values.shapes import Record

_LOOKED_AT: Final = 2_000  # rows at a time, when columns are looked at
_LONGEST_CELL: Final = 64 * 1024 * 1024
_MARKS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00": "UTF-32"}


class CsvRows:
    """Some CSV files, looked at to their ends. Raises InputError for what is no row, naming file and line."""

    def __init__(self, places: Sequence[Place], declared: Mapping[str, Look]) -> None:
        self._looks: dict[str, Look] = {}
        self.total = 0
        columns: dict[str, Column] = {}
        for place in places:
            self._look(place, declared, columns)
        if unknown := next((name for name in declared if name not in columns), None):
            raise UnknownColumn(unknown, columns)
        self._looks = {name: declared.get(name) or column.look for name, column in columns.items()}
        self.shape = Record({name: look.shape for name, look in self._looks.items()})

    def _look(self, place: Place, declared: Mapping[str, Look], columns: dict[str, Column]) -> None:
        with place.open() as file:
            records = _Records(file, place.name)
            for name in records.heading:
                columns.setdefault(name, Column())
            while batch := records.take(_LOOKED_AT):
                self.total += len(batch)
                for name, cells in zip(records.heading, zip(*batch, strict=True), strict=True):
                    if name in declared:
                        _check(cells, declared[name], name, records)
                    else:
                        columns[name].see(cells)

    def batches(self, place: Place, skip: int, size: int) -> Iterator[Sequence[Row]]:
        """The rows of one file behind the first `skip`, some at a time."""
        with place.open() as file:
            records = _Records(file, place.name)
            records.skip(skip)
            names = records.heading
            looks = [self._looks.get(name, TEXT) for name in names]
            while batch := records.take(size):
                try:
                    columns = [
                        [look.parse(cell) if cell else None for cell in cells]
                        for look, cells in zip(looks, zip(*batch, strict=True), strict=True)
                    ]
                except ValueError:
                    raise SourceError(f"{place.name}: the file changed while it was read") from None
                yield [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


class UnknownColumn(InputError):
    """`columns` of the recipe names a column that no file has."""

    def __init__(self, name: str, columns: Mapping[str, Column]) -> None:
        super().__init__(f"no file has a column '{name}'{nearest(name, columns)}")
        self.name = name


class _Records:
    """The records of one file: lists of cells, as many as the heading has."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._name = name
        self._lines = _lines(file, name)
        first = next(self._lines, "")
        self._reader = csv.reader(chain([first], self._lines), strict=True, delimiter=_delimiter(first))
        self.lines: list[int] = []  # of the records taken last
        self._line = 0
        csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
        self.heading = next(self._each(), [])
        if not self.heading:
            raise InputError(f"{name}: the file is empty; its first line names the columns")
        if "" in self.heading:
            raise InputError(f"{name}:1: column {self.heading.index('') + 1} has no name")
        if twice := next((name for at, name in enumerate(self.heading) if name in self.heading[:at]), None):
            raise InputError(f"{self._name}:1: the heading names '{twice}' twice")

    def take(self, count: int) -> list[list[str]]:
        """The next records, with their lines in `lines`. Empty at the end."""
        taken: list[list[str]] = []
        self.lines = []
        width = len(self.heading)
        for cells in self._each():
            if len(cells) != width:
                raise InputError(f"{self._name}:{self._line}: {len(cells)} cells, but the heading has {width}")
            taken.append(cells)
            self.lines.append(self._line)
            if len(taken) == count:
                break
        return taken

    def skip(self, count: int) -> None:
        """Pass over some records."""
        for _ in range(count):
            if next(self._each(), None) is None:
                return

    def line(self, place: int) -> str:
        """File and line of a record taken last."""
        return f"{self._name}:{self.lines[place]}"

    def _each(self) -> Iterator[list[str]]:
        while True:
            self._line = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except csv.Error as why:
                raise InputError(f"{self._name}:{self._line}: no row of a CSV file: {_told(why)}") from None
            if cells is None:
                return
            if cells:
                yield cells


def _told(why: csv.Error) -> str:
    if "unexpected end" in str(why):
        return "a quote that is opened here is never closed"
    if "new-line character" in str(why):
        return "a line ends in a bare carriage return; save the file with the line ends of Unix or Windows"
    return str(why)


def _delimiter(heading: str) -> str:
    return next((mark for mark in (",", ";", "\t") if mark in heading), ",")


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    at = 0
    for raw in file:
        try:
            text = raw.decode()
        except UnicodeDecodeError as why:
            mark = _MARKS.get(raw[:2]) if at == 0 else None
            byte = f"byte {at + why.start + 1:,} (0x{raw[why.start]:02X}) is not UTF-8"
            raise InputError(f"{name}: {f'it is {mark}, not UTF-8' if mark else byte}: save it as UTF-8") from None
        yield text if at else text.removeprefix("\ufeff")
        at += len(raw)


def _check(cells: Sequence[str], look: Look, name: str, records: _Records) -> None:
    for place, cell in enumerate(cells):
        if cell:
            try:
                look.parse(cell)
            except ValueError as why:
                shown = cell if len(cell) <= 40 else f"{cell[:37]}..."
                raise InputError(f"{records.line(place)}: {name}: {why}, got '{shown}'") from None
