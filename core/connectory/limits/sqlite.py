"""The ledger in a SQLite file: one for all of a user's threads and processes on a machine, remembered over restarts."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

import platformdirs

from connectory.clock import Clock, SystemClock
from connectory.limits.accounts import Account, Lack, open_account
from connectory.limits.budgets import Budget
from connectory.limits.instants import Instant, read_instant
from connectory.limits.learning import take_in
from connectory.limits.ledger import LONGEST_HOLD, Lease, LedgerError, LedgerWarning, Spent, Ticket, Wait
from connectory.limits.ledgerfile import Opened, identity_of, is_broken, open_file, patiently, unusable
from connectory.limits.restrained import all_restrained, open_restrained
from connectory.limits.tables import TABLES
from connectory.limits.told import NOTHING, Told

if TYPE_CHECKING:
    from connectory.limits.forecast import History

_SWEEP_EVERY: Final = 1000  # releases between two looks for accounts that nobody needs any more
_SWEEP_MOST: Final = 100
_LEAST_HOPE: Final = 1.0  # when to come back where another call has to end first

Result = TypeVar("Result")


class SqliteLedger:
    """Implements Ledger. Give it a `path`, or it lies in the user's state folder.

    Every change is one `BEGIN IMMEDIATE` transaction, which is what makes several budgets one step. Threads share one
    connection. It is closed before a fork and opened again when needed, on both sides: SQLite forbids to carry one
    over. A file that was removed or replaced meanwhile is noticed at the next call.
    """

    def __init__(self, path: Path | str | None = None, clock: Clock | None = None) -> None:
        self._own_folder = path is None
        self.path = Path(path) if path is not None else usual_path()
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._releases = 0
        _ledgers.add(self)

    # The promise of Ledger ------------------------------------------------------------------------------------------

    def try_acquire(self, budgets: Sequence[Budget], ticket: Ticket, lease_seconds: float) -> Lease | Wait:
        if len({budget.key for budget in budgets}) != len(budgets):
            raise ValueError("two budgets of one call have the same key: what they mean together is not known")

        def work(opened: Opened, instant: Instant) -> Lease | Wait:
            accounts = [open_account(opened.db, budget, instant, opened.blind) for budget in budgets]
            for account in accounts:
                account.read_queue(ticket)
            restrained = list(all_restrained(accounts, instant, ticket))
            queues, held_back = [one.queue for one in restrained], [one.lack for one in restrained]
            if any(held_back):
                for account in accounts:
                    account.leave_queue()
                return _refuse(queues, held_back, ticket)
            lacks = [max(account.lacks(), key=lambda lack: lack.seconds, default=None) for account in accounts]
            if not any(lacks):
                return _grant(accounts, queues, ticket, lease_seconds, instant)
            return _refuse([*accounts, *queues], [*lacks, *held_back], ticket)

        return self._run(work)

    def withdraw(self, ticket: Ticket) -> None:
        def work(opened: Opened, _: Instant) -> None:
            opened.db.execute("DELETE FROM ticket WHERE id=?", (ticket.id,))

        self._try(work, "a place in a queue")

    def release(self, lease: Lease, linger: float = 0.0, told: Mapping[str, Told] = NOTHING) -> None:
        if not lease.budgets:
            return

        def work(opened: Opened, instant: Instant) -> None:
            for budget in lease.budgets:
                account = open_account(opened.db, budget, instant, opened.blind)
                before, said = account.known, told.get(budget.key)
                held = account.end(lease.id, linger, said)
                if held is not None and said is not None:
                    take_in(account, said, before, held.granted)
                account.keep_time(instant)
            self._releases += 1
            if self._releases % _SWEEP_EVERY == 0:
                _sweep(opened.db, instant)

        self._try(work, "a permit")

    def hold(self, key: str, until: float) -> None:
        def work(opened: Opened, instant: Instant) -> None:
            account = open_account(opened.db, Budget(key, key), instant, opened.blind, leases=False)
            account.hold(min(until, account.now + LONGEST_HOLD))
            account.keep_time(instant)

        self._run(work)

    def spent(self, budget: Budget) -> Spent:
        def work(opened: Opened, instant: Instant) -> Spent:
            account = open_account(opened.db, budget, instant, opened.blind)
            account.read_queue(None)
            own = open_restrained(account, instant, None)
            waits = [lack.seconds for lack in account.lacks()]
            waits += [own.lack.seconds] if own is not None and own.lack is not None else []
            return Spent(
                now=account.now,
                windows=tuple(account.window_spent(window) for window in account.budget.windows),
                in_flight=len(account.leases),
                waiting=len(account.queue),
                held_until=account.held if account.held > account.now else None,
                room_at=account.now + max(waits, default=0.0),
            )

        return self._run(work, keep=False)

    def history(self, budget: Budget) -> History:
        from connectory.limits.histories import read_history

        def work(opened: Opened, instant: Instant) -> History:
            return read_history(open_account(opened.db, budget, instant, opened.blind))

        return self._run(work, keep=False)

    # The connection -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the file. The ledger can still be used: it opens the file again."""
        with self._lock:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: Callable[[Opened, Instant], Result], *, keep: bool = True) -> Result:
        """One transaction. A file that turns out to be broken is replaced, and the work done on the new one."""
        with self._lock:
            try:
                return self._transact(work, keep)
            except sqlite3.Error as why:
                if not is_broken(why) or self._opened is None:
                    raise unusable(self.path, why) from why
                broken = self._opened.identity
                self._close()
                self._opened = self._open(broken)
            try:
                return self._transact(work, keep)
            except sqlite3.Error as why:
                raise unusable(self.path, why) from why

    def _transact(self, work: Callable[[Opened, Instant], Result], keep: bool) -> Result:
        opened = self._ready()
        db = opened.db
        try:
            patiently(db, "BEGIN IMMEDIATE")
            # The clock is read when it is our turn: a moment read before waiting for others would be an old one.
            result = work(opened, read_instant(self._clock))
            db.execute("COMMIT" if keep else "ROLLBACK")
        except BaseException:
            if db.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
            raise
        return result

    def _try(self, work: Callable[[Opened, Instant], object], what: str) -> None:
        try:
            self._run(work)
        except LedgerError as why:
            warnings.warn(f"{why}; {what} was not given back and ends by itself", LedgerWarning, stacklevel=3)

    def _ready(self) -> Opened:
        if self._opened is not None:
            if self._opened.identity == identity_of(self.path):
                return self._opened
            self._close()
        self._opened = self._open(None)
        self._transact(lambda opened, instant: _sweep(opened.db, instant), keep=True)
        patiently(self._opened.db, "PRAGMA incremental_vacuum(1000)")  # by `execute` it would give back one page
        return self._opened

    def _open(self, broken: tuple[int, int] | None) -> Opened:
        return open_file(self.path, self._clock.now(), own_folder=self._own_folder, broken=broken)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.db.close()
            self._opened = None


def _grant(
    accounts: Sequence[Account], queues: Sequence[Account], ticket: Ticket, lease_seconds: float, instant: Instant
) -> Lease:
    expires = [account.grant(ticket.id, lease_seconds) for account in accounts]
    for account in accounts:
        account.keep_time(instant)
    if any(account.place is not None for account in (*accounts, *queues)):
        accounts[0].db.execute("DELETE FROM ticket WHERE id=?", (ticket.id,))
    return Lease(ticket.id, tuple(account.budget for account in accounts), accounts[0].now, min(expires))


def _refuse(accounts: Sequence[Account], lacks: Sequence[Lack | None], ticket: Ticket) -> Wait:
    db = accounts[0].db
    (number,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM ticket").fetchone()
    for place, account in enumerate(accounts):
        elsewhere = max((lack.seconds for at, lack in enumerate(lacks) if lack and at != place), default=0.0)
        account.stand_in_queue(ticket, number, account.now + elsewhere)
    reasons = [(lack, account) for lack, account in zip(lacks, accounts, strict=True) if lack is not None]
    lack, account = max(reasons, key=lambda reason: reason[0].seconds)
    until = account.now + (lack.seconds or _LEAST_HOPE)
    ahead = max(len(account.queue) for account in accounts)
    return Wait(lack.seconds, until, account.budget.name, lack.why, known=lack.seconds > 0, ahead=ahead)


def _sweep(db: sqlite3.Connection, instant: Instant) -> None:
    """Forget accounts in which nothing matters any more by either clock, a few at a time."""
    unused = db.execute(
        "SELECT id FROM budget WHERE wall + memory < ?1 AND held < ?1 AND (mono > ?2 OR mono + min(memory, 3600) < ?2)"
        " AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.budget = budget.id AND expires > ?1)"
        " AND NOT EXISTS (SELECT 1 FROM ticket WHERE ticket.budget = budget.id AND expires > ?1) LIMIT ?3",
        (instant.wall, instant.mono, _SWEEP_MOST),
    ).fetchall()
    for table in TABLES:
        db.executemany(f"DELETE FROM {table} WHERE budget=?", unused)
    db.executemany("DELETE FROM budget WHERE id=?", unused)


def usual_path() -> Path:
    """Where the ledger of this user lies."""
    return platformdirs.user_state_path("connectory", appauthor=False) / "ledger.sqlite"


# Forks ------------------------------------------------------------------------------------------------------------

_ledgers: weakref.WeakSet[SqliteLedger] = weakref.WeakSet()
_forking: list[SqliteLedger] = []


def _before_fork() -> None:
    """No thread may be in the middle of a transaction, and no connection open, when the process is doubled."""
    for ledger in list(_ledgers):
        ledger._lock.acquire()
        _forking.append(ledger)
        ledger._close()


def _after_fork() -> None:
    while _forking:
        _forking.pop()._lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
