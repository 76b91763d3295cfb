"""The ledger's promise, and the waiting that is built on it.

A call is counted at the vendor somewhere between the moment it was granted and the moment it ended; nobody on this
side knows when. So a ledger counts a call in every window from its grant until the window's length after its *end*.
Whatever the network does to requests (delays, bunching, reordering), no window at the vendor then ever holds more
than the budget allows. The price is the time of one answer per window: 100 a minute with answers of 0.2 s is 100 in
60.2 s. `Budget.transit` bounds it for long answers. The same holds for gaps and buckets.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from connectory.clock import Clock
from connectory.errors import ConnectoryError, LimitReached
from connectory.limits.budgets import DAY, Budget, Window
from connectory.limits.told import NOTHING, Told

if TYPE_CHECKING:
    from connectory.limits.forecast import History

# A waiter shows at least so often that it is alive; its place is given away when it was silent for TICKET_SECONDS.
HEARTBEAT_SECONDS: Final = 2.0
TICKET_SECONDS: Final = 5.0
# Looks while another call has to end first. Those further back in the queue look less often.
_POLL_FIRST: Final = 0.01
_POLL_MOST: Final = 1.5
_LEAST_PAUSE: Final = 0.001  # below this a clock may not move at all
_WORTH_TELLING: Final = 1.0
# For so long the call of a process that died counts as under way: the vendor may still be at work on it.
DEAD_SECONDS: Final = 5.0
LONGEST_HOLD: Final = 31 * DAY  # a misread date must not stop a vendor for ever


class LedgerError(ConnectoryError):
    """The ledger cannot be read or written. Nothing may be called without it, so nothing was."""


class LedgerWarning(UserWarning):
    """The ledger lost something, and what was done about it."""


@attrs.frozen
class Ticket:
    """A place in the queue, known by an `id` that no other thread, process or machine has."""

    id: str = attrs.field(factory=lambda: f"{os.urandom(12).hex()}@{os.getpid()}@{socket.gethostname()}")


def owner_is_dead(id: str) -> bool:
    """Whether the process of a ticket or lease is known to have ended: it was of this machine, and is no more."""
    _, _, owner = id.partition("@")
    pid, _, host = owner.partition("@")
    if os.name != "posix" or host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


@attrs.frozen
class Lease:
    """The right to one call. It is given back when the call has ended, or ends by itself (epoch seconds)."""

    id: str
    budgets: tuple[Budget, ...]
    granted_at: float
    expires_at: float


@attrs.frozen
class Wait:
    """Not yet.

    `seconds` is the least time to wait; exact where `known`, else another call has to end first. `until` is the same
    as a moment. `ahead` counts those before us in the queue. `limit` names the budget, `why` says what is used up.
    """

    seconds: float
    until: float
    limit: str
    why: str
    known: bool
    ahead: int = 0


@attrs.frozen
class WindowSpent:
    """How a window stands. `room_at` and `whole_at` are moments: when one more call may go, when all is back."""

    window: Window
    used: int
    left: int
    room_at: float
    whole_at: float


@attrs.frozen
class Spent:
    """How a budget stands at `now`, calls under way counted as used. Moments are in epoch seconds.

    `room_at` is when the next call may go as far as anything known tells: `now` if it may go at once.
    """

    now: float
    windows: tuple[WindowSpent, ...]
    in_flight: int
    waiting: int
    held_until: float | None
    room_at: float


class Ledger(Protocol):
    """Who has spent what. A ledger keeps time itself, since all who share it must agree about the time.

    Every method is safe between threads and raises LedgerError when the ledger cannot be used: without it nothing may
    be called.
    """

    def try_acquire(self, budgets: Sequence[Budget], ticket: Ticket, lease_seconds: float) -> Lease | Wait:
        """Take one call of every budget in one step, or of none and say how long to wait.

        The first refusal gives the ticket its place at the end of the queue of each budget; it is kept while the
        ticket asks again at least every HEARTBEAT_SECONDS. Nobody is granted what one before him waits for, except
        while that one has to wait elsewhere for longer than the call would be missed.
        """

    def withdraw(self, ticket: Ticket) -> None:
        """Give up one's place in the queue. Warns like `release`: the place is lost soon anyway."""

    def release(self, lease: Lease, linger: float = 0.0, told: Mapping[str, Told] = NOTHING) -> None:
        """The call has ended. Where its lease has ended already nothing happens.

        Where the ledger cannot be used it warns and does not raise, since the call was made: the lease ends by itself.

        With `linger` it counts as under way for so many seconds more: for a call that was given up without an
        answer, which the vendor may still be working on. `told` is what its answer tells of budgets, by their keys.
        """

    def hold(self, key: str, until: float) -> None:
        """The vendor said "too many": nobody with this key calls before `until` (epoch seconds, at most 31 days)."""

    def spent(self, budget: Budget) -> Spent:
        """How a budget stands. Changes nothing."""

    def history(self, budget: Budget) -> History:
        """What a forecast has to know of a budget. Changes nothing."""


def acquire(
    ledger: Ledger,
    budgets: Sequence[Budget],
    clock: Clock,
    max_wait: float | None,
    lease_seconds: float,
    on_wait: Callable[[float, str], None] | None = None,
) -> Lease:
    """Wait for one's turn and take one call of every budget.

    Raises LimitReached at once, without sleeping, when the known wait is longer than `max_wait` seconds (None: no
    bound), and after `max_wait` when it was not known. `on_wait(seconds, why)` is told of waits of a second and more.
    Raises ValueError when two budgets have one key, LedgerError when the ledger cannot be used.
    """
    if not budgets:
        return Lease("", (), clock.now(), clock.now() + lease_seconds)
    ticket = Ticket()
    got = ledger.try_acquire(budgets, ticket, lease_seconds)
    if isinstance(got, Lease):
        return got
    try:
        return _queue(ledger, budgets, clock, max_wait, lease_seconds, on_wait, ticket, got)
    except BaseException:
        ledger.withdraw(ticket)
        raise


def _queue(
    ledger: Ledger,
    budgets: Sequence[Budget],
    clock: Clock,
    max_wait: float | None,
    lease_seconds: float,
    on_wait: Callable[[float, str], None] | None,
    ticket: Ticket,
    wait: Wait,
) -> Lease:
    start, told = clock.monotonic(), ""
    while True:
        left = None if max_wait is None else max_wait - (clock.monotonic() - start)
        if left is not None and (left <= 0 or wait.seconds > left):
            raise _limit_reached(wait, max_wait or 0.0)
        if on_wait is not None and wait.seconds >= _WORTH_TELLING and wait.why != told:
            told = wait.why
            on_wait(wait.seconds, f"limit '{wait.limit}': {wait.why}")
        pause = min(_pause(wait, clock), HEARTBEAT_SECONDS)
        clock.sleep(pause if left is None else min(pause, left))
        got = ledger.try_acquire(budgets, ticket, lease_seconds)
        if isinstance(got, Lease):
            return got
        wait = got


def _pause(wait: Wait, clock: Clock) -> float:
    """Exactly what is known; else a little, with jitter so that those who wait do not look all at once."""
    if wait.known:
        return max(wait.seconds, _LEAST_PAUSE)
    return wait.seconds + min(_POLL_FIRST * (1 + wait.ahead), _POLL_MOST) * (0.5 + clock.random())


def _limit_reached(wait: Wait, allowed: float) -> LimitReached:
    moment = datetime.fromtimestamp(wait.until, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    when = f"the next call may go in {spoken(wait.seconds)}, at {moment}"
    when = when if wait.known else "another call has to end first"
    message = f"limit '{wait.limit}': {wait.why}; {when}, and waiting was allowed for {spoken(allowed)}"
    return LimitReached(message, until=wait.until, limit=wait.limit)


def spoken(seconds: float) -> str:
    """A length of time for people: `0.6 s`, `45 s`, `12 min`, `5.3 h`, `3.1 days`."""
    for limit, unit, word in ((10, 1, "s"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.{1 if limit == 10 or unit == 3600 else 0}f} {word}"
    return f"{seconds / 86400:.1f} days"
