"""Where files lie: local paths and fsspec URLs, one by one or by glob, in the order of their names."""

from __future__ import annotations

import glob
import gzip
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

import attrs

from connectory.errors import InputError, SourceError

Wrong = Callable[[tuple[str | int, ...], str], InputError]
"""From a path in the recipe and what is wrong there to the error that points at its line."""

FORMATS: Final = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_MAGIC: Final = re.compile(r"[*?\[]")
_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*(::|://)")
_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]*@")
_STAMPS: Final = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "modified", "created")


@attrs.frozen
class Place:
    """One file. `size` (bytes) and `stamp` tell whether it is still the file that it was."""

    name: str
    size: int
    stamp: str
    path: str
    remote: Any = None  # the fsspec file system that has it

    @property
    def format(self) -> str | None:
        """csv, jsonl or parquet by the ending; None where that says nothing."""
        return FORMATS.get(Path(self.name.removesuffix(".gz")).suffix.lower())

    @property
    def zipped(self) -> bool:
        """Whether it is compressed by gzip, by its ending."""
        return self.name.endswith(".gz")

    @property
    def print(self) -> str:
        """What changes when the file does."""
        return hashlib.sha256(f"{self.name}\0{self.size}\0{self.stamp}".encode()).hexdigest()[:16]

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes, unpacked. Raises SourceError."""
        try:
            with self._open() as file:
                if self.zipped:
                    with gzip.open(file) as unpacked:
                        yield cast(IO[bytes], unpacked)
                else:
                    yield file
        except (OSError, EOFError) as why:  # gzip says EOFError where a file was cut
            raise SourceError(f"{self.name}: {_told(why)}") from None

    def _open(self) -> IO[bytes]:
        if self.remote is None:
            return open(self.path, "rb")
        return cast(IO[bytes], self.remote.open(self.path, "rb"))

    def now(self) -> Place:
        """The file as it is at this moment. Raises SourceError."""
        try:
            if self.remote is None:
                return local_place(self.name, Path(self.path))
            self.remote.invalidate_cache()
            return _remote(self.remote, self.path)
        except OSError as why:
            raise SourceError(f"{self.name}: {_told(why)}") from None


def find_places(patterns: Sequence[str], root: Path, wrong: Wrong) -> list[Place]:
    """Every file that the patterns name, once each, in the order of their names.

    Local paths are relative to `root`. Raises InputError, pointing into the recipe, where a pattern names nothing.
    """
    found: dict[str, Place] = {}
    for number, pattern in enumerate(patterns):
        try:
            places = _on_url(pattern) if _URL.match(pattern) else _on_disk(pattern, root)
        except ImportError as why:
            raise wrong(("from", "files", number), _lacking(pattern, why)) from None
        except Exception as why:  # file systems raise errors of their own libraries
            raise wrong(("from", "files", number), f"{_shown(pattern)}: {_told(why)}") from None
        if not places:
            raise wrong(("from", "files", number), f"{_shown(pattern)}: no file has such a name")
        found.update((place.name, place) for place in places)
    return [found[name] for name in sorted(found)]


def prints(places: Sequence[Place]) -> str:
    """What changes when one of these files does, or one comes or goes."""
    return hashlib.sha256("\0".join(place.print for place in places).encode()).hexdigest()[:16]


def _on_disk(pattern: str, root: Path) -> list[Place]:
    if (root / pattern).is_file() or not _MAGIC.search(pattern):
        return [local_place(pattern, root / pattern)]
    names = glob.glob(pattern, root_dir=root, recursive=True)
    return [local_place(name, root / name) for name in names if (root / name).is_file()]


def local_place(name: str, path: Path) -> Place:
    """A file of this machine, called `name`. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(21, f"is a folder; name its files, as {name.rstrip('/')}/*.csv")
    status = path.stat()
    return Place(name, status.st_size, str(status.st_mtime_ns), str(path))


def _on_url(url: str) -> list[Place]:
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url)
    paths = sorted(system.glob(path)) if _MAGIC.search(path) else [path]
    return [_remote(system, found) for found in paths if system.isfile(found) or found == path]


def _remote(system: Any, path: str) -> Place:
    info = system.info(path)
    stamp = next((str(info[name]) for name in _STAMPS if info.get(name) is not None), "")
    return Place(system.unstrip_protocol(path), int(info.get("size") or 0), stamp, path, system)


def _lacking(url: str, why: ImportError) -> str:
    if (why.name or "").partition(".")[0] == "fsspec":
        return f"reading {_shown(url)} needs fsspec: pip install fsspec"
    return f"reading {_shown(url)} needs another package: {_PASSWORD.sub('***@', str(why))}"


def _shown(url: str) -> str:
    return _PASSWORD.sub("***@", url)


def _told(why: Exception) -> str:
    if isinstance(why, FileNotFoundError):
        return "there is no such file"
    words = getattr(why, "strerror", None) or str(why) or type(why).__name__
    return _PASSWORD.sub("***@", words)
