"""Copies of rows that cannot be read a second time from the middle: a killed run goes on from its copy.

They lie in `.connectory/snapshots/`, for this user alone, and are removed when their run has ended well; what a run
left that nobody took up again is removed after some weeks.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

import attrs
import msgspec

from connectory.errors import InputError, SourceError
from connectory.private_files import make_private_folder, sync_folder
from connectory.recipes.exact import Column, pack, unpack
from connectory.table import Table

MOST_KEPT: Final = 5  # of one recipe
KEPT_FOR: Final = 30 * 24 * 3600.0  # seconds
ROWS: Final = "rows"  # how the names of files with rows of queries end
TABLE: Final = "table"  # the same, where the rows are a table of DuckDB
_VERSION: Final = 2
_LENGTH: Final = 8  # bytes before each batch that say how many it takes


@attrs.frozen
class Snapshots:
    """The snapshots of one recipe in a project."""

    root: Path
    recipe: str

    @property
    def folder(self) -> Path:
        return self.root / ".connectory" / "snapshots"

    def write(self, ending: str, fill: Callable[[IO[bytes]], None]) -> Path:
        """A new one. Raises SourceError, and what `fill` raises."""
        with self.making(ending) as (path, part):
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb", buffering=1 << 20) as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
        return path

    @contextlib.contextmanager
    def making(self, ending: str) -> Iterator[tuple[Path, Path]]:
        """Where a new one will be, and the file to write until it is whole and gets its name; if that file is not there
        in the end, or on an error, nothing is left. Raises SourceError."""
        path = self.place(ending)
        part = path.with_name(f"{path.name}.part")
        try:
            yield path, part
            if part.exists():
                os.replace(part, path)
                sync_folder(self.folder)
        except OSError as why:
            raise SourceError(f"{path}: the rows cannot be kept there: {why.strerror or why}") from None
        finally:
            for left in self.folder.glob(f"{part.name}*"):
                left.unlink(missing_ok=True)

    def place(self, ending: str) -> Path:
        """Where a new one may be made. Raises SourceError."""
        path = self.folder / f"{self._stem}-{secrets.token_hex(6)}.{ending}"
        try:
            make_private_folder(self.folder)
            self._tidy()
        except OSError as why:
            raise SourceError(f"{path}: the rows cannot be kept there: {why.strerror or why}") from None
        return path

    def find(self, name: str) -> Path:
        """One that an unfinished run kept. Raises InputError where it is gone."""
        path = self.folder / Path(name).name
        if not path.is_file():
            raise InputError(f"{path}: an unfinished run goes on from this file, which is gone; read everything anew"
                             " with --full-refresh")  # fmt: skip
        return path

    def newest(self) -> Path | None:
        """The one written last, or None."""
        found = [path for path in self._own() if path.suffix[1:] in (ROWS, TABLE) and path.is_file()]
        return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)

    @property
    def _stem(self) -> str:
        return re.sub(r"[^A-Za-z0-9_.-]", "_", self.recipe)[:80] or "_"

    def _own(self) -> list[Path]:
        """Those of this recipe, and of none whose name only begins with its own."""
        named = re.compile(rf"{re.escape(self._stem)}-[0-9a-f]{{12}}\..+")
        return [path for path in self.folder.glob(f"{self._stem}-*") if named.fullmatch(path.name)]

    def _tidy(self) -> None:
        """Remove what nobody will come back for: the old, and more than a few, which runs leave that fail at once."""
        kept = []
        for path in self._own():
            with contextlib.suppress(OSError):
                kept.append((path.stat().st_mtime, path))
        for number, (changed, path) in enumerate(sorted(kept, reverse=True), 1):
            if number >= MOST_KEPT or changed < time.time() - KEPT_FOR:
                path.unlink(missing_ok=True)


@attrs.frozen
class Heading:
    """What stands before the rows of a snapshot, as a line of JSON: the names of the columns, and a digest of the query
    they are of."""

    names: tuple[str, ...]
    query: str


def write_rows(snapshots: Snapshots, heading: Heading, batches: Iterable[Sequence[Column]]) -> Path | None:
    """Keep the rows of a query, some at a time as their columns; None where there are none, and then nothing is left on
    the disk."""
    first = next(iterator := iter(batches), None)
    if not first:
        return None

    def fill(file: IO[bytes]) -> None:
        kept = {"version": _VERSION, "names": heading.names, "query": heading.query}
        file.write(msgspec.json.encode(kept) + b"\n")
        for batch in chain([first], iterator):
            packed = pack(batch)
            file.write(len(packed).to_bytes(_LENGTH, "big"))
            file.write(packed)

    return snapshots.write(ROWS, fill)


def read_heading(path: Path) -> Heading | None:
    """The heading of a snapshot; None where it is none of ours."""
    try:
        with path.open("rb") as file:
            kept = msgspec.json.decode(file.readline())
        return Heading(tuple(kept["names"]), kept["query"]) if kept["version"] == _VERSION else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


Place = tuple[int, int]  # the byte of the file where a batch begins, and how many of its rows lie before


def read_rows(path: Path, place: Place, size: int) -> Iterator[tuple[Sequence[dict[str, Any]], Place]]:
    """The rows of a snapshot behind a place, (0, 0) for all, some at a time, each time with the place behind them.

    Raises SourceError.
    """
    heading = read_heading(path)
    if heading is None:
        raise SourceError(f"{path}: this is not what a run kept; read everything anew with --full-refresh")
    at, skip = place
    try:
        most = path.stat().st_size
        with path.open("rb") as file:
            at = max(at, len(file.readline()))
            file.seek(at)
            while length := file.read(_LENGTH):
                wanted = int.from_bytes(length, "big")
                packed = file.read(min(wanted, most))
                if len(packed) < wanted:
                    raise ValueError("it ends too early")
                rows = Table(heading.names, unpack(packed))
                for start in range(skip, len(rows), size):
                    some = rows[start : start + size]
                    whole = start + len(some) == len(rows)
                    yield some, (at + _LENGTH + len(packed), 0) if whole else (at, start + len(some))
                at, skip = at + _LENGTH + len(packed), 0
    except (OSError, ValueError) as why:
        raise SourceError(f"{path}: cannot be read: {why}; read everything anew with --full-refresh") from None


def copy_stream(snapshots: Snapshots, ending: str, stream: IO[bytes]) -> Path:
    """Keep all bytes of a stream."""
    return snapshots.write(ending, lambda file: shutil.copyfileobj(stream, file))
