"""What calls cost: of each limit, in bytes, in waiting."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

import attrs

from connectory.limits.budgets import Budget

Gate = Callable[[], float]
"""Asked before each call: raises where none may go any more, else returns until when it may (epoch seconds)."""


def always_open() -> float:
    """The gate of those who may call at any time."""
    return float("inf")


class Tally:
    """Requests sent: `total` in all, `here` by the thread that asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._local = threading.local()
        self.total = 0

    @property
    def here(self) -> int:
        return getattr(self._local, "count", 0)

    def add(self) -> None:
        self._local.count = self.here + 1
        with self._lock:
            self.total += 1


@attrs.define(eq=False)
class Costs:
    """Counts of some work, by all of its threads and connectors.

    `limits` holds what was taken by (vendor, name of the limit), in its unit as estimated, `waits` seconds by cause;
    where several threads wait at once each second counts for each of them. Bytes are those of bodies, unpacked.
    """

    calls: int = 0
    sent: int = 0
    received: int = 0
    limits: Counter[tuple[str, str]] = attrs.Factory(Counter)
    waits: dict[str, float] = attrs.Factory(dict)
    budgets: dict[tuple[str, str], Budget] = attrs.Factory(dict)
    _lock: threading.Lock = attrs.Factory(threading.Lock)

    def call(self, vendor: str, budgets: Sequence[Budget], sent: int) -> None:
        """A request leaves."""
        with self._lock:
            self.calls += 1
            self.sent += sent
            for budget in budgets:
                self.limits[vendor, budget.name] += budget.cost
                self.budgets[vendor, budget.name] = budget

    def with_(self, other: Costs) -> Costs:
        """Both together."""
        waits = {
            cause: self.waits.get(cause, 0.0) + other.waits.get(cause, 0.0) for cause in {**self.waits, **other.waits}
        }
        return Costs(
            self.calls + other.calls,
            self.sent + other.sent,
            self.received + other.received,
            self.limits + other.limits,
            waits,
            {**self.budgets, **other.budgets},
        )

    def answered(self, received: int) -> None:
        """An answer came."""
        with self._lock:
            self.received += received

    def waited(self, cause: str, seconds: float) -> None:
        """Somebody has waited."""
        if seconds <= 0:
            return
        with self._lock:
            self.waits[cause] = self.waits.get(cause, 0.0) + seconds
