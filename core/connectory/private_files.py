"""Files that only their user can use: 0600 in folders of 0700, whatever the umask."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

_LARGEST = 1_000_000


def make_private_folder(folder: Path) -> None:
    """Make a folder and the one around it (ours too) for this user alone. Raises OSError."""
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    for made in (folder.parent, folder):
        try:
            made.mkdir(mode=0o700)
            made.chmod(0o700)  # the umask may have taken even the user's own rights
        except FileExistsError:
            continue
    if os.name != "posix":
        return
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user")
    if stat.S_IMODE(status.st_mode) != 0o700:
        folder.chmod(0o700)


def read_private_file(file: Path) -> bytes | None:
    """The file's bytes, or None when it is not there. Raises OSError, also where others may use it or it is no file."""
    try:
        descriptor = os.open(file, os.O_RDONLY | _flags("O_NOFOLLOW", "O_BINARY", "O_NONBLOCK"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if fault := _fault_of(os.fstat(descriptor)):
            raise PermissionError(0, fault)
        return os.read(descriptor, _LARGEST)
    finally:
        os.close(descriptor)


def write_private_file(file: Path, body: bytes) -> None:
    """Replace the file as a whole: on the disk before it takes the place of the one before. Raises OSError."""
    make_private_folder(file.parent)
    for left in file.parent.glob(f"{file.stem}.*.new"):  # of a process that was killed while it wrote
        left.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f"{file.stem}.", suffix=".new", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            os.chmod(name, 0o600)
            opened.write(body)
            opened.flush()
            os.fsync(descriptor)
        os.replace(name, file)
        sync_folder(file.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: that of a new file is only there with its folder."""
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _fault_of(status: os.stat_result) -> str:
    """What is wrong with a file before it is read."""
    if not stat.S_ISREG(status.st_mode):
        return "it is no file"
    if os.name == "posix" and status.st_uid != os.geteuid():
        return "it belongs to another user"
    return "other users may use it" if os.name == "posix" and status.st_mode & 0o077 else ""


def _flags(*names: str) -> int:
    """The flags that this system has."""
    return sum(getattr(os, name, 0) for name in names)
