"""The vendor's limits as the vendor counts them: by when requests come in, on the mock's own clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from connectory.clock import Clock
from connectory.limits.budgets import Window, parse_rate
from connectory.mock.shapes import Draft
from connectory.plugins.kinds import Codec
from connectory.spec.language import Limit
from connectory.spec.words import Place

NO_COSTS: Final[Mapping[str, int]] = {}
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

    def refusal(self, now: float, cost: int = 1) -> Throttled | None:
        """Why a request that comes now is one too many; None where it is not. One that costs more than there ever is
        takes all."""
        if self.limit.concurrent is not None and self.under_way >= self.limit.concurrent:
            return Throttled(self.name, f"more than {self.limit.concurrent} requests at once", 1.0)
        if self.limit.gap and self.came and now - self.came[-1] < self.limit.gap - JITTER:
            wait = self.limit.gap - (now - self.came[-1])
            return Throttled(self.name, f"less than {self.limit.gap:g} s between two requests", wait)
        for window in self.windows:
            if self.limit.burst is not None and window is self._bucket:
                self._refill(window, now)
                wanted = float(min(cost, self.limit.burst))
                if self.tokens < wanted - JITTER * window.count / window.seconds:
                    wait = (wanted - self.tokens) * window.seconds / window.count
                    return Throttled(self.name, f"the bucket of {self.limit.burst} is empty", wait)
                continue
            counted = [one for one in self.came if self._within(window, one, now)]
            above = len(counted) + min(cost, window.count) - window.count
            if above > 0:
                wait = self._free_again(window, counted[above - 1], now)
                return Throttled(self.name, f"more than {window}", wait)
        return None

    def enter(self, now: float, cost: int = 1) -> None:
        """Count a request that was let in."""
        self.came.extend([now] * min(cost, self.came.maxlen or cost))
        self.under_way += 1
        self.tokens = max(0.0, self.tokens - cost)

    def tell(self, draft: Draft, cost: int, now: float, codecs: Mapping[str, Codec]) -> None:
        """Write into an answer what its vendor tells there of this limit."""
        learn = self.limit.learn
        if learn is None or not self.windows:
            return
        size, left, whole = self._standing(now)
        window = self._bucket or self.windows[0]
        values = {
            "limit": size, "remaining": left, "used": size - left, "cost": cost,
            "refill": window.count / window.seconds,
            "reset": datetime.fromtimestamp(whole, UTC) if learn.reset and learn.reset.codec else whole - now,
        }  # fmt: skip
        for name, value in values.items():
            place: Place | None = getattr(learn, name)
            if place is not None:
                draft.say(place, value, codecs)

    def _standing(self, now: float) -> tuple[int, int, float]:
        """Size, what is left, and when all is back, of the bucket or else of the first window."""
        window = self._bucket
        if self.limit.burst is not None and window is not None:
            self._refill(window, now)
            missing = self.limit.burst - self.tokens
            return self.limit.burst, int(self.tokens), now + missing * window.seconds / window.count
        window = self.windows[0]
        counted = [one for one in self.came if self._within(window, one, now)]
        whole = now + self._free_again(window, counted[-1], now) if counted else now
        return window.count, max(0, window.count - len(counted)), whole

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

    def enter(self, names: Sequence[str], costs: Mapping[str, int] = NO_COSTS) -> Throttled | None:
        """Let a request in under these limits, or say which one refuses it. One that is refused is not counted.

        `costs` are those of limits of which it takes other than 1.
        """
        now = self.clock.now()
        held = [self.counters[name] for name in names]
        for counter in held:
            if refusal := counter.refusal(now, costs.get(counter.name, 1)):
                return refusal
        for counter in held:
            counter.enter(now, costs.get(counter.name, 1))
        return None

    def tell(self, names: Sequence[str], costs: Mapping[str, int], draft: Draft, codecs: Mapping[str, Codec]) -> None:
        """Write into an answer what it tells of these limits."""
        for name in names:
            self.counters[name].tell(draft, costs.get(name, 1), self.clock.now(), codecs)

    def leave(self, names: Sequence[str]) -> None:
        """The request has its answer."""
        for name in names:
            self.counters[name].leave()
