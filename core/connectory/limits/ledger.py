"""The ledger's promise, and the waiting that is built on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from connectory.clock import Clock
from connectory.errors import LimitReached
from connectory.limits.budgets import Budget


@attrs.frozen
class Lease:
    """The right to one call. It is given back when the call has ended, or ends by itself with a dead holder."""

    id: str
    keys: tuple[str, ...]


@attrs.frozen
class Wait:
    """Not yet: `seconds` until it may pass. `certain` when the time is known, else somebody must finish first."""

    seconds: float
    budget: str
    certain: bool


class Ledger(Protocol):
    """Who has spent what. One step takes all budgets of a call, or none."""

    def try_acquire(self, budgets: Sequence[Budget], ticket: str, now: float, lease_seconds: float) -> Lease | Wait:
        """Take one call of every budget, or say how long to wait; `ticket` keeps one's place in the queue."""

    def leave(self, ticket: str) -> None:
        """Give up one's place in the queue."""

    def release(self, lease: Lease, now: float) -> None:
        """The call has ended. It counts in windows from now on: the vendor cannot have counted it later."""

    def hold(self, key: str, until: float) -> None:
        """The vendor refused: nobody with this key calls before `until` (epoch seconds)."""

    def room_at(self, budget: Budget, now: float) -> float | None:
        """When the next call may go, as far as windows, gap and holds tell; None when it may go now."""


_POLL_FIRST, _POLL_MOST = 0.02, 0.25  # seconds between looks while another call must finish first


def acquire(
    ledger: Ledger,
    budgets: Sequence[Budget],
    clock: Clock,
    max_wait: float,
    lease_seconds: float,
    on_wait: Callable[[float, str], None] | None = None,
) -> Lease:
    """Wait for one's turn and take one call of every budget.

    Raises LimitReached at once, without sleeping, when the known wait is longer than `max_wait` seconds, and after
    `max_wait` when it was not known.
    """
    if not budgets:
        return Lease("", ())
    ticket = uuid.uuid4().hex
    deadline = clock.now() + max_wait
    poll = _POLL_FIRST
    try:
        while True:
            now = clock.now()
            got = ledger.try_acquire(budgets, ticket, now, lease_seconds)
            if isinstance(got, Lease):
                return got
            if now + got.seconds > deadline:
                until = now + got.seconds
                raise LimitReached(f"the limit '{got.budget}' is used up; the next call may go in {_spoken(got.seconds)}", until=until, limit=got.budget)
            pause = got.seconds
            if not got.certain:
                poll = min(_POLL_MOST, poll * 1.5)
                pause = poll * (0.5 + clock.random())
            elif on_wait is not None and pause > 1.0:
                on_wait(pause, f"limit '{got.budget}'")
            clock.sleep(pause)
    finally:
        ledger.leave(ticket)


def _spoken(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
