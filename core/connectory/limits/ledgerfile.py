"""The file a SQLite ledger lives in: made for its user alone, checked, and moved aside when it is broken.

What fails safe here: a file that cannot be read any more is moved aside and a new one begun in which every limit
counts as used up at that moment, since nobody knows what was spent. Short windows are free again after their length,
a day's after a day; the warning says how to begin afresh instead. A file of a newer format, or one that is no ledger
but another program's database, is refused and left as it is.

`synchronous=NORMAL` with a write-ahead log: a process that dies loses nothing, a power cut may lose the records of the
last seconds but never breaks the file. OFF was half as fast again and may break it, FULL a quarter as fast.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
import time
import warnings
from pathlib import Path
from typing import Final

import attrs

from connectory.limits.ledger import LedgerError, LedgerWarning
from connectory.limits.tables import SCHEMA, TABLES, UPGRADE

FORMAT: Final = 2
BUSY_SECONDS: Final = 30.0
_LOOK_EVERY: Final = 0.005  # seconds; those who open one ledger at the same moment should begin at the same moment
_LOOK_AGAIN_MS: Final = 2  # SQLite's own waits grow to 100 ms: whoever has waited longest would look least often
_APPLICATION: Final = 0x436E4C67  # "CnLg", so that another program's database is known as such
_BLIND_LEASES: Final = 600.0  # for so long may somebody hold a permit that the lost file knew of
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

Identity = tuple[int, int]


class Broken(Exception):
    """The file cannot be read as a ledger any more."""


@attrs.frozen
class Opened:
    """A connection, whose file it is on, and since when and until when its ledger is blind (see `open_account`)."""

    db: sqlite3.Connection
    identity: Identity | None
    blind: tuple[float, float] | None


def is_broken(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in _BROKEN


def patiently(db: sqlite3.Connection, statements: str) -> None:
    """Run statements that need the file for themselves, as soon as nobody else has it. Raises sqlite3.Error."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.executescript(statements)
        except sqlite3.OperationalError as why:
            if (why.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        else:
            return


def identity_of(path: Path) -> Identity | None:
    """What tells this file from another one put in its place; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_file(path: Path, now: float, *, own_folder: bool, broken: Identity | None = None) -> Opened:
    """Open the ledger, making it where there is none. One process at a time does this.

    `broken` is a file known to be damaged: where it still lies there it is moved aside. Raises LedgerError.
    """
    from filelock import FileLock  # here, since most calls are of vendors whose limits nobody has to count

    try:
        _prepare_folder(path.parent, own_folder)
        with FileLock(f"{path}.lock", timeout=BUSY_SECONDS, mode=0o600, poll_interval=_LOOK_EVERY):
            if broken is not None and identity_of(path) == broken:
                _begin_blind(path, now)
            elif not path.exists():
                _create(path, None)
            try:
                return _connect(path)
            except Broken:
                _begin_blind(path, now)
                return _connect(path)
    except (OSError, sqlite3.Error) as why:
        raise unusable(path, why) from why


def unusable(path: Path | str, why: Exception) -> LedgerError:
    """Limits fail safe: without a ledger no call is made."""
    reason = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
    if isinstance(why, TimeoutError) or "locked" in reason:
        reason = f"another process has kept it locked for {BUSY_SECONDS:g} s"
    return LedgerError(f"the ledger of limits at {path} cannot be used: {reason}. No call is made without it")


def _prepare_folder(folder: Path, own: bool) -> None:
    """Folders we make are for their user alone; one that was there is left alone unless it is ours."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)
        place.chmod(0o700)
    if own and not missing and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        folder.chmod(0o700)


def _create(path: Path, blind: float | None) -> None:
    """Make a whole ledger beside its place and put it there in one step, so that half a one is never met."""
    fresh = path.with_name(path.name + ".new")
    for leftover in (fresh, *_companions(fresh)):
        leftover.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    os.chmod(fresh, 0o600)
    db = sqlite3.connect(fresh, isolation_level=None)
    try:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(f"BEGIN; {SCHEMA} PRAGMA application_id={_APPLICATION}; PRAGMA user_version={FORMAT}; COMMIT;")
        if blind is not None:
            db.executemany("INSERT INTO note VALUES (?, ?)", [("blind", blind), ("leases", blind + _BLIND_LEASES)])
    finally:
        db.close()
    for leftover in _companions(path):
        leftover.unlink(missing_ok=True)  # the log of a ledger that somebody deleted must not be played into this one
    fresh.replace(path)


def _companions(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _connect(path: Path) -> Opened:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)
    identity = identity_of(path)
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _check(db, path)
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA busy_timeout={_LOOK_AGAIN_MS}")
        db.execute("PRAGMA journal_size_limit=4194304")
        notes = dict(db.execute("SELECT name, value FROM note").fetchall())
    except BaseException as why:
        db.close()
        if isinstance(why, sqlite3.Error) and is_broken(why):
            raise Broken(str(why)) from why
        raise
    return Opened(db, identity, (notes["blind"], notes["leases"]) if "blind" in notes else None)


def _check(db: sqlite3.Connection, path: Path) -> None:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    if pages == 0:
        raise Broken("the file is empty")
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION:
        raise LedgerError(f"{path} is another program's database, not a ledger of limits; it is left as it is")
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        raise LedgerError(
            f"the ledger of limits at {path} was written by a newer Connectory (format {found}, this one knows "
            f"{FORMAT}). Update Connectory; it is left as it is, and no call is made without it"
        )
    if found == FORMAT - 1:
        db.executescript(f"BEGIN IMMEDIATE; {UPGRADE} PRAGMA user_version={FORMAT}; COMMIT;")
        found = FORMAT
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if found != FORMAT or not {"note", "budget", *TABLES} <= tables:
        raise Broken("parts of it are missing")


def _begin_blind(path: Path, now: float) -> None:
    """Move a broken file aside, with what belongs to it, and begin one in which everything counts as used up."""
    name = f"{path.name}.broken-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    aside = next(place for place in map(path.with_name, names) if not place.exists())
    log, shared = _companions(path)
    path.replace(aside)
    if log.exists():
        log.replace(_companions(aside)[0])
    shared.unlink(missing_ok=True)
    _create(path, now)
    warnings.warn(
        f"the ledger of limits at {path} was broken and has been moved to {aside}. Since nobody knows what was spent, "
        f"every limit counts as used up now: a minute's is free again in a minute, a day's in a day. If you know that "
        f"nothing was spent, delete {path} to begin afresh",
        LedgerWarning,
        stacklevel=2,
    )
