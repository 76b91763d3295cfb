"""The file that a journal lives in: made whole, for its user alone, checked, and never replaced by a new one."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from connectory.errors import DestinationError
from connectory.private_files import sync_folder

VERSION: Final = 1
_APPLICATION: Final = 0x436E4A6E  # "CnJn", so that another program's database is known as such
_TABLES: Final = frozenset({"note", "state", "chunk", "flight", "outcome", "accepted", "held"})
_SCHEMA: Final = f"""
CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE state (state BLOB NOT NULL, counts TEXT NOT NULL, under_way INTEGER NOT NULL);
CREATE TABLE chunk (kind TEXT NOT NULL, operation TEXT NOT NULL, rows BLOB NOT NULL, state BLOB, id TEXT NOT NULL);
CREATE TABLE flight (rows TEXT NOT NULL);
CREATE TABLE outcome (id INTEGER PRIMARY KEY, outcomes TEXT NOT NULL);
CREATE TABLE accepted (
  key TEXT PRIMARY KEY, hash BLOB NOT NULL, row BLOB NOT NULL, id TEXT, pass TEXT NOT NULL, seen TEXT NOT NULL,
  mended BLOB
) WITHOUT ROWID;
CREATE TABLE held (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, hash BLOB, run TEXT NOT NULL, at REAL NOT NULL, word TEXT NOT NULL,
  field TEXT NOT NULL, words TEXT NOT NULL, code TEXT NOT NULL, status INTEGER, attempts INTEGER NOT NULL,
  repeatable INTEGER NOT NULL, row BLOB NOT NULL
);
CREATE UNIQUE INDEX held_key ON held (key) WHERE key IS NOT NULL;
PRAGMA application_id={_APPLICATION};
PRAGMA user_version={VERSION};
"""


class JournalError(DestinationError):
    """The journal cannot be used; nothing is sent without it."""


def unusable(path: Path, reason: str) -> JournalError:
    """The error that names the journal and says what to do."""
    return JournalError(
        f"the journal at {path} cannot be used: {reason}. Nothing is sent without it, for only it knows what was sent. "
        "Put a copy of it back; or move it away if everything may be sent again"
    )


def journal_path(root: Path, recipe: str) -> Path:
    """Where a project keeps the journal of a recipe."""
    return root / ".connectory" / "journals" / f"{quote(recipe, safe=' ')}.sqlite"


def prepare_folder(folder: Path) -> None:
    """Make the folder, and those above it that are not there, for their user alone. Raises OSError."""
    if not folder.exists():
        prepare_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def create(path: Path) -> None:
    """Make a whole journal beside its place and put it there in one step."""
    fresh = path.with_name(path.name + ".new")
    for leftover in _with_companions(fresh):
        leftover.unlink(missing_ok=True)
    for leftover in _with_companions(path):
        if leftover.exists():  # its journal is gone: what was in it last lies here alone
            raise unusable(path, f"it is gone, but {leftover.name} is there")
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    os.chmod(fresh, 0o600)
    db = sqlite3.connect(fresh, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
    finally:
        db.close()
    fresh.replace(path)
    sync_folder(path.parent)


def _with_companions(path: Path) -> tuple[Path, ...]:
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def connect(path: Path) -> sqlite3.Connection:
    path.chmod(0o600)
    size = path.stat().st_size
    if size == 0:
        raise unusable(path, "the file is empty")
    db = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    try:
        _check(db, path, size)
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA journal_size_limit=16777216")
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path, size: int) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION:
        raise unusable(path, "it is another program's database")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise JournalError(
            f"the journal at {path} was written by a later Connectory (version {version}, this one knows {VERSION}): "
            "update Connectory. It is left as it is"
        )
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if version != VERSION or not tables >= _TABLES:
        raise unusable(path, "parts of it are missing")
    _check_pages(db, path)


def _check_pages(db: sqlite3.Connection, path: Path) -> None:
    """A cut or scribbled file is found before anything is sent. Large ones are looked at where they are read."""
    if path.stat().st_size <= _LOOKED_THROUGH:
        found = db.execute("PRAGMA quick_check(1)")
        for (said,) in found:
            if said != "ok":
                raise unusable(path, f"it is damaged ({said.splitlines()[-1]})")


_LOOKED_THROUGH: Final = 64_000_000  # bytes
