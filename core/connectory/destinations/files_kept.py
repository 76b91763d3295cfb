"""What is kept beside files of data: which of them count, what is on its way, and the state of the sync.

`manifest.json` is replaced as a whole, so it is always of one moment. Rows come into a working file first; the manifest
says how much of it counts. Files are made elsewhere in full, then the manifest names them, then they are moved to their
places: a start that finds some not moved moves them. So a kill at any moment neither loses nor doubles a row.
"""

from __future__ import annotations

import base64
import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from connectory.destinations.destination import Kept
from connectory.errors import DestinationError
from connectory.private_files import sync_folder

_VERSION: Final = 1


@attrs.frozen
class Move:
    """A file that is made and goes to its place; both are relative to the folder of the data."""

    made: str
    place: str
    rows: int


@attrs.frozen
class Manifest:
    """Of one moment. `states` are of the runs that fill the files, by name; `state` is what an earlier version kept for
    all of them. `working` is how many bytes of the working file count and `rows` how many rows that is.

    `columns` says what columns there are, `published` those that every file can be read with. `run` and what begins
    with `pending` are of a replace in the making, whose rows are in the working file. `moves` and `leaving` are decided
    and not yet carried out.
    """

    state: bytes | None = None
    counts: Mapping[str, int] = attrs.Factory(dict)
    states: Mapping[str, Kept] = attrs.Factory(dict)
    parts: Mapping[str, int] = attrs.Factory(dict)  # rows by place
    columns: Any = None
    published: Any = None
    working: int = 0
    rows: int = 0
    run: str = ""
    pending: bool = False
    pending_state: bytes | None = None
    pending_counts: Mapping[str, int] = attrs.Factory(dict)
    pending_columns: Any = None
    moves: tuple[Move, ...] = ()
    leaving: tuple[str, ...] = ()

    def state_of(self, run: str) -> Kept | None:
        """What a run kept last, of finished files."""
        before = None if self.state is None else Kept(self.state, self.counts)
        return self.states.get(run, before)

    def keeping(self, run: str, kept: Kept, *, alone: bool = False) -> Manifest:
        """The same with a run's state; `alone` without those of others, whose rows are gone."""
        return attrs.evolve(self, state=None, counts={}, states={**({} if alone else self.states), run: kept})

    def to_bytes(self) -> bytes:
        """As JSON."""
        values = attrs.asdict(self)
        for held, name in [
            (values, "state"),
            (values, "pending_state"),
            *((kept, "state") for kept in values["states"].values()),
        ]:
            held[name] = None if held[name] is None else base64.b64encode(held[name]).decode()
        return msgspec.json.format(msgspec.json.encode({"version": _VERSION, **values}), indent=1)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a file, an empty one where there is none. Raises DestinationError."""
    try:
        values = msgspec.json.decode(path.read_bytes())
        if values.pop("version") != _VERSION:
            raise ValueError("its version is another")
        for name in ("state", "pending_state"):
            values[name] = None if values[name] is None else base64.b64decode(values[name])
        values["states"] = {
            run: Kept(base64.b64decode(kept["state"]), kept["counts"]) for run, kept in values.get("states", {}).items()
        }
        values["moves"] = tuple(Move(**move) for move in values["moves"])
        values["leaving"] = tuple(values["leaving"])
        return Manifest(**values)
    except FileNotFoundError:
        return Manifest()
    except (ValueError, KeyError, TypeError, AttributeError) as why:
        raise DestinationError(
            f"{path} cannot be read ({str(why)[:100]}); remove it with the files of data beside it, and sync again"
        ) from None


class Keeper:
    """The manifest and the working file of one set of files."""

    def __init__(self, folder: Path, kept: Path, label: str) -> None:
        self.folder = folder
        self._kept = kept
        self._label = label
        self._path = kept / f"{label}.manifest.json"
        self._working_path = kept / f"{label}.working"
        self._number = 0
        self.manifest = read_manifest(self._path)
        self._clean()

    def _clean(self) -> None:
        """Finish what was decided, and remove what was not."""
        if self.manifest.moves or self.manifest.leaving:
            self._carry_out()
        for leftover in self._kept.glob("*.making"):
            if leftover.name.startswith(f"{self._label}."):
                leftover.unlink()
        size = self.manifest.working
        if not size:
            self._working_path.unlink(missing_ok=True)
        elif not self._working_path.exists() or self._working_path.stat().st_size < size:
            raise DestinationError(f"{self._working_path} was changed by another program: rows of it are gone")
        else:
            os.truncate(self._working_path, size)

    def save(self, manifest: Manifest) -> None:
        """Make this the manifest, in one step that outlives a power cut."""
        write_whole(self._path, manifest.to_bytes())
        self.manifest = manifest

    def append(self, data: bytes) -> int:
        """Add rows to the working file behind what counts; its size then. Nothing counts until `save`."""
        with open(self._working_path, "ab", opener=_private) as file:
            file.truncate(self.manifest.working)
            file.seek(0, os.SEEK_END)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def lines(self) -> Iterator[bytes]:
        """The rows in the working file that count, one a line."""
        left = self.manifest.working
        if left:
            with self._working_path.open("rb") as file:
                for line in file:
                    if left <= 0:
                        return
                    left -= len(line)
                    yield line

    def lines_at(self, offsets: Iterable[int]) -> Iterator[bytes]:
        """The rows that begin at some places of the working file."""
        with self._working_path.open("rb") as file:
            for offset in offsets:
                file.seek(offset)
                yield file.readline()

    def second_name(self, path: Path) -> None:
        """All rows that count as a file with the rights of a new one: the working file itself where the system gives a
        file two names, else a copy."""
        path.touch()
        if not self.manifest.working:
            return
        os.truncate(self._working_path, self.manifest.working)
        rights = path.stat().st_mode
        path.unlink()
        try:
            os.link(self._working_path, path)
        except OSError:
            with self._working_path.open("rb") as rows, path.open("xb") as file:
                shutil.copyfileobj(rows, file)
                file.flush()
                os.fsync(file.fileno())
        else:
            path.chmod(rights)

    def new_path(self) -> Path:
        """Where a file may be made; it does not count, and is removed at the next start unless it was moved."""
        self._number += 1
        return self._kept / f"{self._label}.{self._number}.making"

    def publish(self, manifest: Manifest) -> None:
        """Make the manifest count, and move its files to their places."""
        self.save(manifest)
        if manifest.moves or manifest.leaving:
            self._carry_out()
        if not manifest.working:
            self._working_path.unlink(missing_ok=True)

    def _carry_out(self) -> None:
        folders = set()
        for move in self.manifest.moves:
            made, place = self.folder / move.made, self.folder / move.place
            if made.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(made, place)
                folders.add(place.parent)
        for gone in self.manifest.leaving:
            (self.folder / gone).unlink(missing_ok=True)
            folders.add((self.folder / gone).parent)
            with suppress(OSError):  # not empty, or not ours
                if (self.folder / gone).parent != self.folder:
                    (self.folder / gone).parent.rmdir()
        for folder in folders:
            sync_folder(folder)
        self.save(attrs.evolve(self.manifest, moves=(), leaving=()))


def write_whole(path: Path, data: bytes) -> None:
    """A file that is there as a whole or as it was before."""
    beside = path.with_name(f"{path.name}.new")
    with open(beside, "wb", opener=_private) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    sync_folder(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def plain_words(folder: Path) -> Iterator[None]:
    """Turns the system's errors into a DestinationError that says what to do."""
    try:
        yield
    except OSError as error:
        words = {
            errno.ENOSPC: "the disk is full; what was kept before is whole",
            errno.EDQUOT: "the disk is full for this user; what was kept before is whole",
            errno.EFBIG: "the disk is full; what was kept before is whole",
            errno.EROFS: "the folder is read-only",
            errno.EACCES: "the folder is read-only for this user",
            errno.EPERM: "the folder is read-only for this user",
            errno.ENOTDIR: "there is a file where a folder is needed",
            errno.EEXIST: "there is a file where a folder is needed",
            errno.ENAMETOOLONG: "a name is too long for this file system",
            errno.EMFILE: "too many files are open",
        }.get(error.errno or 0, error.strerror or str(error))
        raise DestinationError(f"{error.filename2 or error.filename or folder}: {words}") from error
