"""The file of past runs, `.connectory/runs.sqlite`: made for its user alone, checked, and put aside when it is broken.

A sync never fails for it. A damaged file is moved aside and a new one begun; one of a later version, of another
program, or in a place that cannot be written is left as it is, and the run goes unrecorded. Each is said.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from connectory.errors import ConnectoryError
from connectory.private_files import make_private_folder

PLACE: Final = Path(".connectory", "runs.sqlite")
VERSION: Final = 1
_APPLICATION: Final = 0x436E5275  # "CnRu"
_BUSY_SECONDS: Final = 5.0
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SCHEMA: Final = f"""
BEGIN;
CREATE TABLE run (
    id TEXT PRIMARY KEY,
    recipe TEXT NOT NULL,
    file TEXT NOT NULL,
    words TEXT NOT NULL,      -- rows by word, JSON
    rows_in INTEGER NOT NULL, -- before the recipe's change
    rows_out INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    pages INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE start (
    run TEXT NOT NULL,
    number INTEGER NOT NULL,
    started REAL NOT NULL,    -- all moments are epoch seconds
    seen REAL NOT NULL,       -- the last sign of life
    ended REAL,               -- NULL: under way, or killed
    exit INTEGER,
    error TEXT NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    calls INTEGER NOT NULL,
    sent INTEGER NOT NULL,    -- bytes
    received INTEGER NOT NULL,
    waits TEXT NOT NULL,      -- seconds by cause, JSON
    limits TEXT NOT NULL,     -- calls by vendor and limit, JSON
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE TABLE problem (
    run TEXT NOT NULL,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    key TEXT NOT NULL,
    row TEXT NOT NULL,
    word TEXT NOT NULL,
    field TEXT NOT NULL,
    words TEXT NOT NULL,
    code TEXT NOT NULL,
    status INTEGER,
    attempts INTEGER NOT NULL,
    repeatable INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE INDEX start_by_time ON start (started);
PRAGMA application_id={_APPLICATION};
PRAGMA user_version={VERSION};
COMMIT;
"""


class RunsError(ConnectoryError):
    """The file of past runs cannot be used."""


class RunsWarning(UserWarning):
    """A run is not recorded, or what was recorded is lost."""


class _Damaged(Exception):
    """The file is no database, or only parts of one."""


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the file, for reading or one change. Raises RunsError."""
    try:
        db = _connect(file)
    except _Damaged as why:
        raise RunsError(f"the record of runs at {file} is damaged ({why}); remove it to begin another") from why
    except (OSError, sqlite3.Error) as why:
        raise RunsError(f"the record of runs at {file} cannot be used: {_reason(why)}") from why
    try:
        with db:
            yield db
    except sqlite3.Error as why:
        raise RunsError(f"the record of runs at {file} cannot be used: {_reason(why)}") from why
    finally:
        db.close()


def make(file: Path, now: float) -> str:
    """Make the file where there is none, put aside a broken one. What was done about it, to be said.

    Raises RunsError.
    """
    told = ""
    try:
        make_private_folder(file.parent)
        if file.exists():
            try:
                _connect(file).close()
                return ""
            except _Damaged:
                aside = _put_aside(file, now)
                told = f"the record of runs at {file} was damaged and has been moved to {aside}; another one begins"
        _create(file)
    except (OSError, sqlite3.Error) as why:
        raise RunsError(f"the record of runs at {file} cannot be used: {_reason(why)}") from why
    return told


def _connect(file: Path) -> sqlite3.Connection:
    if not file.exists():
        raise FileNotFoundError(2, "there is no such file")
    db = sqlite3.connect(file, timeout=_BUSY_SECONDS)
    try:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        if pages == 0:
            raise _Damaged("it is empty")
        if application != _APPLICATION:
            raise RunsError(f"{file} is another program's database; it is left as it is")
        if version > VERSION:
            raise RunsError(
                f"the record of runs at {file} was written by a newer Connectory (version {version}, this one knows "
                f"{VERSION}); it is left as it is"
            )
        db.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.Error as why:
        db.close()
        if (getattr(why, "sqlite_errorcode", 0) & 0xFF) in _BROKEN:
            raise _Damaged(str(why)) from why
        raise
    except BaseException:
        db.close()
        raise
    return db


def _create(file: Path) -> None:
    """Whole or not at all: made beside its place and put there in one step."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        db = sqlite3.connect(fresh, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(_SCHEMA)
        finally:
            db.close()
        with contextlib.suppress(FileExistsError):  # another run was faster, which is as good
            os.link(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)


def _put_aside(file: Path, now: float) -> Path:
    aside = file.with_name(f"{file.name}.broken-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}")
    file.replace(aside)
    for more in ("-wal", "-shm"):
        file.with_name(file.name + more).unlink(missing_ok=True)
    return aside


def _reason(why: Exception) -> str:
    return why.strerror if isinstance(why, OSError) and why.strerror else str(why)
