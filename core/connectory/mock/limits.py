"""The vendor's limits as the vendor counts them: by when requests come in, on the mock's own clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from connectory.clock import Clock
from connectory.limits.budgets import Window, parse_rate
from connectory.spec.language import Limit

JITTER: Final = 0.05  # seconds by which a request may come early: it was on time when it was sent


@attrs.frozen
class Throttled:
    """A limit that is used up, and for how many seconds."""

    limit: str
    words: str
    wait: float


@attrs.define
class Counter:
    """One limit's count."""

    name: str
    limit: Limit
    windows: tuple[Window, ...]
    came: deque[float]
    under_way: int = 0
    tokens: float = 0.0
    filled: float | None = None

    @classmethod
    def of(cls, name: str, limit: Limit) -> Counter:
        windows = tuple(parse_rate(rate, limit.zone) for rate in limit.rate)
        most = max((window.count for window in windows), default=0) + 1
        return cls(name, limit, windows, deque(maxlen=most), tokens=float(limit.burst or 0))

    def refusal(self, now: float) -> Throttled | None:
        """Why a request that comes now is one too many; None where it is not."""
        if self.limit.concurrent is not None and self.under_way >= self.limit.concurrent:
            return Throttled(self.name, f"more than {self.limit.concurrent} requests at once", 1.0)
        if self.limit.gap and self.came and now - self.came[-1] < self.limit.gap - JITTER:
            wait = self.limit.gap - (now - self.came[-1])
            return Throttled(self.name, f"less than {self.limit.gap:g} s between two requests", wait)
        for window in self.windows:
            if self.limit.burst is not None and window is self._bucket:
                self._refill(window, now)
                if self.tokens < 1.0 - JITTER * window.count / window.seconds:
                    wait = (1.0 - self.tokens) * window.seconds / window.count
                    return Throttled(self.name, f"the bucket of {self.limit.burst} is empty", wait)
                continue
            counted = [one for one in self.came if self._within(window, one, now)]
            if len(counted) >= window.count:
                return Throttled(self.name, f"more than {window}", self._free_again(window, counted[0], now))
        return None

    def enter(self, now: float) -> None:
        """Count a request that was let in."""
        self.came.append(now)
        self.under_way += 1
        self.tokens = max(0.0, self.tokens - 1.0)

    def leave(self) -> None:
        """Its answer is about to be sent."""
        self.under_way -= 1

    @property
    def _bucket(self) -> Window | None:
        plain = [window for window in self.windows if window.zone is None]
        return min(plain, key=lambda window: window.seconds) if plain else None

    def _refill(self, window: Window, now: float) -> None:
        burst = float(self.limit.burst or 0)
        if self.filled is not None:
            self.tokens = min(burst, self.tokens + (now - self.filled) * window.count / window.seconds)
        self.filled = now

    def _within(self, window: Window, one: float, now: float) -> bool:
        if window.zone is None:
            return now - one < window.seconds - JITTER
        zone = ZoneInfo(window.zone)
        return datetime.fromtimestamp(one, zone).date() == datetime.fromtimestamp(now, zone).date()

    def _free_again(self, window: Window, oldest: float, now: float) -> float:
        if window.zone is None:
            return max(0.1, oldest + window.seconds - now)
        here = datetime.fromtimestamp(now, ZoneInfo(window.zone))
        tomorrow = datetime.combine(here.date() + timedelta(days=1), datetime.min.time(), here.tzinfo)
        return max(1.0, tomorrow.timestamp() - now)


@attrs.define
class Gate:
    """All limits of a spec."""

    counters: dict[str, Counter]
    clock: Clock

    def enter(self, names: Sequence[str]) -> Throttled | None:
        """Let a request in under these limits, or say which one refuses it. One that is refused is not counted."""
        now = self.clock.now()
        held = [self.counters[name] for name in names]
        for counter in held:
            if refusal := counter.refusal(now):
                return refusal
        for counter in held:
            counter.enter(now)
        return None

    def leave(self, names: Sequence[str]) -> None:
        """The request has its answer."""
        for name in names:
            self.counters[name].leave()
