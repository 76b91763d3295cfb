"""One run of a recipe at once: a lock of the operating system, which ends with its process however that ends."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import attrs
import msgspec
from filelock import FileLock, Timeout

from connectory.errors import ConnectoryError
from connectory.private_files import make_private_folder, write_private_file

FOLDER: Final = Path(".connectory", "locks")


class RecipeBusy(ConnectoryError):
    """Another run of this recipe is under way. Nothing was sent (exit 1)."""


class Holder(msgspec.Struct, frozen=True):
    """Who has a recipe: the process, its machine, and since when (epoch seconds)."""

    pid: int
    host: str
    since: float

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since, UTC)
        return f"process {self.pid} on {self.host}, since {since:%Y-%m-%d %H:%M:%S} UTC"


@attrs.frozen
class _Place:
    lock: Path
    holder: Path


def _place(root: Path, recipe: str) -> _Place:
    folder = root / FOLDER
    name = quote(recipe, safe=" ")
    return _Place(folder / f"{name}.lock", folder / f"{name}.json")


@contextmanager
def alone(root: Path, recipe: str, now: float) -> Iterator[None]:
    """Be the only run of a recipe meanwhile. Raises RecipeBusy at once where there is one, naming it."""
    place = _place(root, recipe)
    try:
        make_private_folder(place.lock.parent)
        lock = FileLock(place.lock, timeout=0, mode=0o600)
        lock.acquire()
    except Timeout:
        holder = _read(place.holder)
        who = f": {holder}" if holder is not None else ""
        raise RecipeBusy(f"{recipe}: another run of this recipe is under way{who}. Nothing was done here") from None
    except OSError as why:
        raise RecipeBusy(f"{recipe}: the lock {place.lock} cannot be taken: {why.strerror or why}") from why
    try:
        with contextlib.suppress(OSError):  # it only says who we are
            write_private_file(place.holder, msgspec.json.encode(Holder(os.getpid(), socket.gethostname(), now)))
        yield
    finally:
        with contextlib.suppress(OSError):
            place.holder.unlink()
        lock.release()


def _read(file: Path) -> Holder | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None
