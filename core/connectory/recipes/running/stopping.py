"""Runs that stop when they are asked to: by a signal, at a time of day, outside their hours."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import attrs

from connectory.clock import Clock
from connectory.errors import Interrupted, LimitReached
from connectory.limits.hours import Hours

_LOOK_EVERY = 0.5  # seconds of a wait between two looks whether to stop


@attrs.define(eq=False)
class Stop:
    """Whether to stop. Safe to set from a signal handler and from other threads.

    `when_leaving` is called with the exit code when the process is left in the middle of something.
    """

    exit_code: int = 130
    when_leaving: Callable[[int], None] | None = None
    _asked: threading.Event = attrs.Factory(threading.Event)

    def ask(self, exit_code: int) -> None:
        """Stop before the next call."""
        self.exit_code = exit_code
        self._asked.set()

    def leave(self) -> None:
        """What has not stopped by now is left as it is."""
        if self.when_leaving is not None:
            self.when_leaving(self.exit_code)

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def check(self) -> None:
        """Raises Interrupted when it was asked to stop."""
        if self.asked:
            raise Interrupted("interrupted; what was done is kept", exit_code=self.exit_code)


class StoppableClock:
    """A clock whose waits end when it is asked to stop."""

    def __init__(self, clock: Clock, stop: Stop) -> None:
        self._clock = clock
        self._stop = stop

    def now(self) -> float:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def random(self) -> float:
        return self._clock.random()

    def sleep(self, seconds: float) -> None:
        """Raises Interrupted."""
        while seconds > 0:
            self._stop.check()
            self._clock.sleep(min(seconds, _LOOK_EVERY))
            seconds -= _LOOK_EVERY
        self._stop.check()

    def sleep_until(self, moment: float, most: float = 30.0) -> None:
        """Wait until the wall clock says so, also where it is set or the machine sleeps. Raises Interrupted."""
        while (left := moment - self.now()) > 0:
            self.sleep(min(left, most))


@attrs.frozen
class Times:
    """When a run may call: before `until` (epoch seconds), and at these hours of the day."""

    clock: Clock
    stop: Stop
    until: float | None = None
    hours: Hours | None = None

    def gate(self) -> float:
        """Until when calls may go. Raises Interrupted and LimitReached where none may go now."""
        self.stop.check()
        now = self.clock.now()
        ends = float("inf")
        if self.until is not None:
            if now >= self.until:
                raise Interrupted(f"stopped at {_told(self.until)}, as asked; what was done is kept")
            ends = self.until
        if self.hours is not None:
            closes = self.hours.closes(now)
            if closes is None:
                opens = self.hours.opens(now)
                raise LimitReached(f"this recipe runs only at {self.hours}", until=opens, limit="between")
            ends = min(ends, closes)
        return ends

    def come_back(self, until: float) -> float:
        """When to go on after a limit that is used up until then."""
        return until if self.hours is None else self.hours.opens(until)


def _told(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
