"""The ledger in a SQLite file: one for all of a user's threads and processes on a machine, remembered over restarts."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import platformdirs

from connectory.errors import ConnectoryError
from connectory.limits.budgets import Budget
from connectory.limits.ledger import Lease, Wait

VERSION = 1
_MARGIN = 0.002  # seconds added to a known wait: timers and clocks are not exact to the microsecond
_TICKET_LIFE = 3.0  # seconds that a waiter keeps its place beyond the time it was told to wait
_BUSY_SECONDS = 30.0
_FUTURE = 60.0  # a moment further ahead than this was written by a clock that has since been set back

_SCHEMA = """
create table if not exists calls (lease text, key text, granted real, expires real, ended real);
create index if not exists calls_by_end on calls (key, ended);
create index if not exists calls_by_lease on calls (lease);
create table if not exists gaps (key text primary key, last real);
create table if not exists buckets (key text primary key, tokens real, at real);
create table if not exists holds (key text primary key, until real);
create table if not exists tickets (place integer primary key autoincrement, ticket text, key text, alive real);
create index if not exists tickets_by_key on tickets (key, place);
create index if not exists tickets_by_ticket on tickets (ticket);
"""


class SqliteLedger:
    """Implements Ledger. `path` may be ":memory:" for one process. Threads share it; a forked child opens its own.

    How windows stay exact at the vendor: a call counts from its grant until `seconds` after its *end*. The vendor
    received it in between, so whatever the network does, no window there holds more than was granted here.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._path = str(path) if path is not None else str(platformdirs.user_state_path("connectory") / "ledger.sqlite")
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._since_pruning = 0

    def try_acquire(self, budgets: Sequence[Budget], ticket: str, now: float, lease_seconds: float) -> Lease | Wait:
        with self._transaction() as db:
            waits = [wait for budget in budgets if (wait := self._wait_for(db, budget, now)) is not None]
            queued = self._ahead(db, budgets, ticket, now)
            if not waits and queued is None:
                return self._grant(db, budgets, ticket, now, lease_seconds)
            certain = [wait for wait in waits if wait.certain]
            wait = max(certain, key=lambda w: w.seconds) if certain else (waits[0] if waits else Wait(0.0, queued or "", False))
            self._queue(db, budgets, ticket, now + wait.seconds + _TICKET_LIFE)
            return wait

    def leave(self, ticket: str) -> None:
        with self._transaction() as db:
            db.execute("delete from tickets where ticket = ?", (ticket,))

    def release(self, lease: Lease, now: float) -> None:
        if lease.keys:
            with self._transaction() as db:
                db.execute("update calls set ended = ? where lease = ?", (now, lease.id))

    def hold(self, key: str, until: float) -> None:
        with self._transaction() as db:
            db.execute("insert into holds values (?, ?) on conflict (key) do update set until = max(until, excluded.until)", (key, until))

    def room_at(self, budget: Budget, now: float) -> float | None:
        with self._transaction() as db:
            wait = self._wait_for(db, budget, now)
        return now + wait.seconds if wait is not None and wait.certain else None

    def _wait_for(self, db: sqlite3.Connection, budget: Budget, now: float) -> Wait | None:
        """The longest wait that one budget asks for; known ones before the unknown one of concurrency."""
        self._settle(db, budget.key, now)
        known = [self._held(db, budget, now), self._gap(db, budget, now), *self._windows(db, budget, now)]
        longest = max(known)
        if longest > 0:
            return Wait(longest + _MARGIN, budget.name, True)
        most = min([w.count for w in budget.windows], default=budget.concurrent)
        most = min(most, budget.concurrent) if most is not None and budget.concurrent is not None else most
        return Wait(0.0, budget.name, False) if most is not None and self._flying(db, budget) >= most else None

    def _flying(self, db: sqlite3.Connection, budget: Budget) -> int:
        (flying,) = db.execute("select count(*) from calls where key = ? and ended is null", (budget.key,)).fetchone()
        return int(flying)

    def _settle(self, db: sqlite3.Connection, key: str, now: float) -> None:
        """End the leases of dead holders, and bring moments back that a wrong clock put into the future."""
        db.execute("update calls set ended = expires where key = ? and ended is null and expires <= ?", (key, now))
        db.execute("update calls set ended = ? where key = ? and ended > ?", (now, key, now + _FUTURE))
        db.execute("update gaps set last = ? where key = ? and last > ?", (now, key, now + _FUTURE))

    def _held(self, db: sqlite3.Connection, budget: Budget, now: float) -> float:
        row = db.execute("select until from holds where key = ?", (budget.key,)).fetchone()
        return max(0.0, row[0] - now) if row else 0.0

    def _gap(self, db: sqlite3.Connection, budget: Budget, now: float) -> float:
        if not budget.gap:
            return 0.0
        row = db.execute("select last from gaps where key = ?", (budget.key,)).fetchone()
        return max(0.0, row[0] + budget.gap - now) if row else 0.0

    def _windows(self, db: sqlite3.Connection, budget: Budget, now: float) -> Iterator[float]:
        windows = budget.windows
        if budget.burst is not None and windows:
            tokens = self._tokens(db, budget, now)
            yield 0.0 if tokens >= 1 else (1 - tokens) / budget.refill
            windows = windows[1:]
        flying = self._flying(db, budget)
        for window in windows:
            # The call whose leaving makes room: the count-th from the newest, those in flight being the newest.
            place = window.count - flying - 1
            if place < 0:
                continue  # all of it is in flight: somebody must finish first
            row = db.execute(
                "select ended from calls where key = ? and ended > ? order by ended desc limit 1 offset ?",
                (budget.key, window.start(now), place),
            ).fetchone()
            if row is not None:
                yield (window.next_start(now) if window.zone else row[0] + window.seconds) - now

    def _tokens(self, db: sqlite3.Connection, budget: Budget, now: float) -> float:
        assert budget.burst is not None
        row = db.execute("select tokens, at from buckets where key = ?", (budget.key,)).fetchone()
        if row is None:
            return float(budget.burst)
        return min(float(budget.burst), float(row[0]) + max(0.0, now - row[1]) * budget.refill)

    def _ahead(self, db: sqlite3.Connection, budgets: Sequence[Budget], ticket: str, now: float) -> str | None:
        """The budget in whose queue a living waiter stands before us, if any."""
        for budget in budgets:
            row = db.execute(
                "select ticket from tickets where key = ? and alive >= ? order by place limit 1", (budget.key, now)
            ).fetchone()
            if row is not None and row[0] != ticket:
                return budget.name
        return None

    def _queue(self, db: sqlite3.Connection, budgets: Sequence[Budget], ticket: str, alive: float) -> None:
        if db.execute("update tickets set alive = ? where ticket = ?", (alive, ticket)).rowcount == 0:
            db.executemany("insert into tickets (ticket, key, alive) values (?, ?, ?)", [(ticket, b.key, alive) for b in budgets])

    def _grant(self, db: sqlite3.Connection, budgets: Sequence[Budget], ticket: str, now: float, lease_seconds: float) -> Lease:
        lease = Lease(uuid.uuid4().hex, tuple(budget.key for budget in budgets))
        for budget in budgets:
            db.execute("insert into calls values (?, ?, ?, ?, null)", (lease.id, budget.key, now, now + lease_seconds))
            if budget.gap:
                db.execute("insert into gaps values (?, ?) on conflict (key) do update set last = excluded.last", (budget.key, now))
            if budget.burst is not None and budget.windows:
                left = self._tokens(db, budget, now) - 1
                db.execute("insert or replace into buckets values (?, ?, ?)", (budget.key, left, now))
        db.execute("delete from tickets where ticket = ?", (ticket,))
        self._prune(db, budgets, now)
        return lease

    def _prune(self, db: sqlite3.Connection, budgets: Sequence[Budget], now: float) -> None:
        """Forget calls that no window can see any more, every now and then."""
        self._since_pruning += 1
        if self._since_pruning < 200:
            return
        self._since_pruning = 0
        for budget in budgets:
            db.execute("delete from calls where key = ? and ended < ?", (budget.key, now - budget.memory - _FUTURE))
        db.execute("delete from tickets where alive < ?", (now - _FUTURE,))
        db.execute("delete from holds where until < ?", (now - _FUTURE,))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            db = self._open()
            try:
                db.execute("begin immediate")
                yield db
                db.execute("commit")
            except sqlite3.DatabaseError as why:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("rollback")
                raise _unusable(self._path, why) from why
            except BaseException:
                db.execute("rollback")
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        if self._path != ":memory:":
            _prepare(Path(self._path))
        try:
            db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = normal")  # a power cut may cost the last calls' records, never the file
            (version,) = db.execute("pragma user_version").fetchone()
            if version > VERSION:
                raise ConnectoryError(f"{self._path}: written by a newer Connectory; install that, or remove the file (limits spent are then forgotten)")
            db.executescript(_SCHEMA + f"pragma user_version = {VERSION};")
        except sqlite3.DatabaseError as why:
            raise _unusable(self._path, why) from why
        self._connection, self._pid = db, os.getpid()
        return db


def _prepare(path: Path) -> None:
    """The file and its folder, for their user alone whatever the umask."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        os.chmod(path, 0o600)
    except OSError as why:
        raise ConnectoryError(f"the ledger of limits cannot be kept at {path}: {why.strerror}") from None


def _unusable(path: str, why: Exception) -> ConnectoryError:
    """Limits fail safe: without a ledger no call is made."""
    return ConnectoryError(
        f"the ledger of limits at {path} cannot be used ({why}); no call is made without it. If the file is broken, "
        "remove it: the calls spent in the current windows are then forgotten"
    )
