"""The ledger of one process: forgotten when it ends, shared with nobody."""

from __future__ import annotations

import sqlite3

from connectory.clock import Clock
from connectory.limits.ledgerfile import Opened
from connectory.limits.sqlite import SqliteLedger
from connectory.limits.tables import SCHEMA


class MemoryLedger(SqliteLedger):
    """Implements Ledger for the threads of one process, by the very rules of the file: its tables lie in memory.

    A forked child goes on with a copy of its own.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__("memory", clock)
        db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        db.executescript(SCHEMA)
        self._tables = Opened(db, None, None)

    def _ready(self) -> Opened:
        return self._tables

    def _close(self) -> None:
        """Nothing is let go of: what is closed is forgotten."""

    def __del__(self) -> None:
        self._tables.db.close()
