"""Permits for several calls at once: where calls come fast, not each of them takes two transactions on the ledger.

A block is one permit of the ledger that costs as much as several calls. The calls of this process use it one after
another, for at most a second; then it is given back, and what none of them used is free again. Until then all of it
counts as used, so nobody ever calls more than the ledger allows. A killed process loses no more than its block.

Blocks grow while calls come fast, and are small beside what a limit allows: who shares it hardly notices.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from connectory.clock import Clock, SystemClock
from connectory.limits.budgets import NO_RESTRAINT, Budget
from connectory.limits.ledger import Lease, Ledger, Spent, Ticket, Wait
from connectory.limits.sqlite import SqliteLedger, usual_path
from connectory.limits.told import NOTHING, Told

if TYPE_CHECKING:
    from connectory.limits.forecast import History

LONGEST: Final = 1.0  # seconds that a block is used
_LOOK_EVERY: Final = LONGEST / 4  # seconds between two looks for blocks that nobody uses
_KEPT_PACES: Final = 1000
_SHARE: Final = 1000  # a block is at most this part of what any window or bucket holds
_MOST: Final = 1000  # calls of a block where nothing counts them
_NOBODY: Final = Told()

Key = tuple[Budget, ...]


@attrs.define(eq=False)
class _Block:
    """The permit of `size` calls with these budgets, `used` of them so far; `until` is by the monotonic clock."""

    key: Key
    lease: Lease
    size: int
    until: float
    names: frozenset[str]  # keys of the budgets
    used: int = 1
    touched: bool = True  # since somebody looked last
    shut: bool = False  # no more calls


@attrs.define(eq=False)
class _Pace:
    """How large the last block was, and when it began."""

    size: int
    began: float


class Blocks:
    """Implements Ledger in front of another one. Safe between threads.

    Where the vendor tells what is left, or a caller leaves some to others, each call is asked for by itself. A `hold`
    ends this process's blocks at once; those of others go on for at most a second. Without `watched` somebody has to
    call `look` now and then.
    """

    def __init__(
        self, ledger: Ledger, clock: Clock | None = None, *, share: int = _SHARE, watched: bool = True
    ) -> None:
        self._ledger = ledger
        self._clock: Clock = clock or SystemClock()
        self._share = share
        self._watches = watched
        self._forget()
        _all.add(self)

    def _forget(self) -> None:
        """Have no blocks: none was taken yet, or they are another process's."""
        self._lock = threading.Lock()
        self._idle: dict[Key, list[_Block]] = {}
        self._busy: dict[str, _Block] = {}
        self._paces: dict[Key, _Pace] = {}
        self._waiting: set[str] = set()
        self._told: set[str] = set()  # keys of budgets of which the vendor tells what is left
        self._watched = not self._watches

    # The promise of Ledger ------------------------------------------------------------------------------------------

    def try_acquire(self, budgets: Sequence[Budget], ticket: Ticket, lease_seconds: float) -> Lease | Wait:
        key = tuple(budgets)
        block = self._next(key)
        waited = ticket.id in self._waiting
        if block is None and not waited:
            block = self._reserve(key, lease_seconds)
        if block is not None:
            if waited:
                self.withdraw(ticket)
            return block.lease
        got = self._ledger.try_acquire(budgets, ticket, lease_seconds)
        if not isinstance(got, Lease) and self._give_way(key):
            got = self._ledger.try_acquire(budgets, ticket, lease_seconds)
        with self._lock:
            if isinstance(got, Lease):
                self._waiting.discard(ticket.id)
                self._keep_pace(key, 1, self._clock.monotonic())
            else:
                self._waiting.add(ticket.id)
                self._paces.pop(key, None)
        return got

    def withdraw(self, ticket: Ticket) -> None:
        self._waiting.discard(ticket.id)
        self._ledger.withdraw(ticket)

    def release(self, lease: Lease, linger: float = 0.0, told: Mapping[str, Told] = NOTHING) -> None:
        self._told.update(told)
        for name in told:
            self.give_back(name)  # less may be left than the blocks are of, whoever took them
        with self._lock:
            block = self._busy.pop(lease.id, None)
            if block is not None and not (linger or self._is_over(block)):
                block.touched = True
                self._idle.setdefault(block.key, []).append(block)
                return
        if block is None:
            self._ledger.release(lease, linger, told)
        else:
            self._end(block, linger, told)

    def hold(self, key: str, until: float) -> None:
        self.give_back(key)
        self._ledger.hold(key, until)

    def spent(self, budget: Budget) -> Spent:
        self.give_back(budget.key)
        return self._ledger.spent(budget)

    def history(self, budget: Budget) -> History:
        self.give_back(budget.key)
        return self._ledger.history(budget)

    # Blocks ---------------------------------------------------------------------------------------------------------

    def give_back(self, budget: str | None = None) -> None:
        """End the blocks of a budget, by its key, or all: at once where no call is under way, else behind it."""
        with self._lock:
            for block in self._busy.values():
                block.shut = block.shut or budget is None or budget in block.names
        self._end_idle(lambda block: budget is None or budget in block.names)

    def close(self) -> None:
        """Give back what is not under way. It can still be used."""
        self.give_back()

    def _next(self, key: Key) -> _Block | None:
        """A block that has room for one more call, taken."""
        with self._lock:
            block = next((one for one in self._idle.get(key, ()) if not self._is_over(one)), None)
            if block is not None:
                self._idle[key].remove(block)
                block.used += 1
                self._busy[block.lease.id] = block
        return block

    def _reserve(self, key: Key, lease_seconds: float) -> _Block | None:
        """A new block where calls come fast and there is room for it, its first call taken."""
        now = self._clock.monotonic()
        size = self._size(key, now)
        if size < 2:
            return None
        # In a window from its grant until its last call has ended, which may begin a second later than the block.
        whole = [attrs.evolve(one, cost=size * one.cost, transit=one.transit + LONGEST) for one in key]
        ticket = Ticket()  # of its own: it must not cost the caller's place
        got = self._ledger.try_acquire(whole, ticket, lease_seconds + LONGEST)
        if not isinstance(got, Lease):
            self._ledger.withdraw(ticket)
            return None
        block = _Block(key, got, size, now + LONGEST, frozenset(one.key for one in key))
        with self._lock:
            self._busy[got.id] = block
            self._keep_pace(key, size, now)
            watch, self._watched = not self._watched, True
        if watch:
            threading.Thread(target=self._watch, name="connectory-blocks", daemon=True).start()
        return block

    def _size(self, key: Key, now: float) -> int:
        """Twice as many calls as the last time, where that was less than a second ago."""
        most = _most(key, self._share)
        pace = self._paces.get(key)
        if most < 2 or pace is None or now - pace.began > LONGEST:
            return 1
        return 1 if self._told and not self._told.isdisjoint(one.key for one in key) else min(most, 2 * pace.size)

    def _keep_pace(self, key: Key, size: int, now: float) -> None:
        if len(self._paces) >= _KEPT_PACES:
            self._paces.clear()
        self._paces[key] = _Pace(size, now)

    def _give_way(self, key: Key) -> bool:
        """End blocks that keep something from these budgets while no call uses them; whether there were any."""
        names = {budget.key for budget in key}
        return self._end_idle(lambda block: not names.isdisjoint(block.names))

    def _is_over(self, block: _Block) -> bool:
        return block.shut or block.used >= block.size or self._clock.monotonic() >= block.until

    def _end_idle(self, wanted: Callable[[_Block], bool]) -> bool:
        """End those that are wanted of the blocks that no call uses; whether there were any."""
        with self._lock:
            ended = [block for held in self._idle.values() for block in held if wanted(block)]
            for block in ended:
                self._idle[block.key].remove(block)
            self._idle = {key: held for key, held in self._idle.items() if held}
        for block in ended:
            self._end(block)
        return bool(ended)

    def _end(self, block: _Block, linger: float = 0.0, told: Mapping[str, Told] = NOTHING) -> None:
        """Give a block back; the ledger counts what was used of it."""
        costs = {}
        for budget in block.key:
            said = told.get(budget.key, _NOBODY)
            last = budget.cost if said.cost is None else said.cost
            costs[budget.key] = attrs.evolve(said, cost=(block.used - 1) * budget.cost + last)
        self._ledger.release(block.lease, linger, costs)

    def look(self) -> bool:
        """End blocks whose time is over, and those that nobody has used since the last look; whether any is left."""
        self._end_idle(lambda block: not block.touched or self._is_over(block))
        with self._lock:
            for held in self._idle.values():
                for block in held:
                    block.touched = False
            return bool(self._idle or self._busy)

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(_LOOK_EVERY)
            if self.look():
                continue
            with self._lock:
                self._watched = bool(self._idle or self._busy)
                if not self._watched:
                    return


@lru_cache(1000)
def _most(key: Key, share: int) -> int:
    """How many calls a block may be of."""
    sizes = [_MOST]
    for budget in key:
        if budget.gap or budget.restraint != NO_RESTRAINT:
            return 1
        counts = [window.count for window in budget.windows]
        counts += [] if budget.burst is None else [budget.burst]
        sizes += [count // (share * budget.cost) for count in counts]
    return min(sizes)


_usual: weakref.WeakValueDictionary[Path, Blocks] = weakref.WeakValueDictionary()
_usual_lock = threading.Lock()


def usual_ledger() -> Blocks:
    """The one in the user's state folder, by the system's clock. All who ask for it in a process share it, since each
    costs two descriptors and a programme may have a connector for each of a thousand tenants.
    """
    path = usual_path()
    with _usual_lock:
        ledger = _usual.get(path)
        if ledger is None:
            ledger = _usual[path] = Blocks(SqliteLedger())
        return ledger


_all: weakref.WeakSet[Blocks] = weakref.WeakSet()


def _give_all_back() -> None:
    for blocks in list(_all):
        with warnings.catch_warnings(), contextlib.suppress(Exception):  # the interpreter ends: they end by themselves
            warnings.simplefilter("ignore")
            blocks.close()


def _forget_all() -> None:
    for blocks in list(_all):
        blocks._forget()


atexit.register(_give_all_back)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
