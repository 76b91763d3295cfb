"""A plan on disk: a first line that says what it is of, then a row a line, then a line that closes it.

It holds rows, so it is as personal as the data: 0600, in `.connectory/plans` unless it is asked for elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs
import msgspec

from connectory.errors import ArgumentError
from connectory.private_files import make_private_folder
from connectory.recipes.source import Chunk, Position, Row
from connectory.recipes.state import dump, load
from connectory.values.shapes import Record

FOLDER: Final = Path(".connectory", "plans")
VERSION: Final = 1
_ROWS: Final = 1000  # of a chunk


class PlanHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is of. `digest` is of the recipe's file, `journal` of what the vendor last accepted."""

    recipe: str
    file: str
    made: float
    digest: str
    journal: str
    rows: int
    words: dict[str, int]
    id: str = ""
    version: int = VERSION


def digest_of_file(file: Path) -> str:
    """What a recipe's file holds, as one text."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


class PlanWriter:
    """Writes a plan beside its place, and puts it there whole in the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            if file.parent.name == FOLDER.name and file.parent.parent.name == FOLDER.parent.name:
                make_private_folder(file.parent)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=f"{file.name}.", suffix=".new", dir=file.parent)
        except OSError as why:
            raise ArgumentError(f"the plan {file} cannot be written: {why.strerror}") from None
        self._rows: BinaryIO = os.fdopen(descriptor, "w+b")
        self._name: str | None = name
        self._digest = hashlib.sha256()

    def add(self, rows: Sequence[Row]) -> None:
        """More rows."""
        for row in rows:
            line = dump(row) + b"\n"
            self._digest.update(line)
            self._rows.write(line)

    def finish(self, header: PlanHeader) -> None:
        """The plan is whole. Raises ArgumentError where it cannot be written."""
        assert self._name is not None
        id_ = self._digest.hexdigest()
        try:
            with open(f"{self._name}2", "wb", opener=_private) as whole:
                named = msgspec.structs.replace(header, id=f"{header.made:.0f}-{id_[:12]}")
                whole.write(msgspec.json.encode(named) + b"\n")
                self._rows.seek(0)
                while piece := self._rows.read(1 << 20):
                    whole.write(piece)
                whole.write(msgspec.json.encode({"end": header.rows, "digest": id_}) + b"\n")
                whole.flush()
                os.fsync(whole.fileno())
            os.replace(f"{self._name}2", self._file)
        except OSError as why:
            raise ArgumentError(f"the plan {self._file} cannot be written: {why.strerror}") from None

    def close(self) -> None:
        """Let go of what was not put in place."""
        self._rows.close()
        if self._name is not None:
            for name in (self._name, f"{self._name}2"):
                Path(name).unlink(missing_ok=True)
            self._name = None


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def read_header(file: Path) -> PlanHeader:
    """What a plan is of, once it is known to be whole. Raises ArgumentError."""
    try:
        with file.open("rb") as opened:
            header = msgspec.json.decode(opened.readline(), type=PlanHeader)
            digest, last = hashlib.sha256(), b""
            for line in opened:
                if last:
                    digest.update(last)
                last = line
        end: Mapping[str, Any] = msgspec.json.decode(last or b"{}", type=dict)
    except OSError as why:
        raise ArgumentError(f"plan {file}: {why.strerror}") from None
    except msgspec.DecodeError:
        raise ArgumentError(
            f"{file} is no plan, or a damaged one: connectory plan RECIPE --out FILE makes one"
        ) from None
    if header.version > VERSION:
        raise ArgumentError(f"{file} is a plan of a newer Connectory (version {header.version})")
    if end.get("end") != header.rows or end.get("digest") != digest.hexdigest():
        raise ArgumentError(f"{file} is damaged or was changed: make another plan")
    return header


@attrs.define
class PlanSource:
    """The rows of a plan; the position is how many lines lie before it."""

    file: Path
    rows: int
    shape: Record | None = None
    keys: tuple[str, ...] = ()

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """A thousand rows each."""
        done = int(position or 0)
        with self.file.open("rb") as opened:
            for _ in range(done + 1):  # the header too
                opened.readline()
            while done < self.rows:
                rows = [load(opened.readline()) for _ in range(min(_ROWS, self.rows - done))]
                done += len(rows)
                yield Chunk(rows, done, total=self.rows)

    def mark(self) -> Any:
        """A plan has no mark."""

    def forget(self) -> None:
        """The plan stays: it says what was sent."""

    def close(self) -> None:
        """Nothing is kept open."""
