"""What may be spent: windows, gaps, concurrency and buckets, as frozen values."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs

DAY: Final = 86400.0
_UNITS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": DAY, "week": 7 * DAY, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)?\s*([a-z]+)")


@attrs.frozen
class Window:
    """At most `count` calls in any `seconds`; with a `zone`, in each calendar day there."""

    count: int
    seconds: float
    zone: str | None = None

    def start(self, now: float) -> float:
        """Calls that ended after this moment count."""
        if self.zone is None:
            return now - self.seconds
        today = datetime.fromtimestamp(now, ZoneInfo(self.zone))
        return today.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()

    def next_start(self, now: float) -> float:
        """When a calendar day ends: the next midnight there, whatever daylight saving does in between."""
        assert self.zone is not None
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return (today + timedelta(days=1)).replace(tzinfo=zone).timestamp()


@attrs.frozen
class Budget:
    """One limit as spent by one owner. `key` says whose it is; all windows hold at once.

    `gap` is the least time between two calls in seconds, `concurrent` how many may be in flight. With `burst` the
    first window is a bucket of that size which refills at the window's rate.
    """

    key: str
    name: str
    windows: tuple[Window, ...] = ()
    gap: float = 0.0
    concurrent: int | None = None
    burst: int | None = None

    @property
    def bounds(self) -> bool:
        """Whether it limits anything at all."""
        return bool(self.windows or self.gap or self.concurrent)

    @property
    def refill(self) -> float:
        """Calls a second that refill the bucket."""
        return self.windows[0].count / self.windows[0].seconds

    @property
    def memory(self) -> float:
        """For how many seconds a call must be remembered; a calendar day may have 25 hours."""
        return max((w.seconds + (3600.0 if w.zone else 0.0) for w in self.windows), default=0.0) + self.gap


def parse_rate(text: str, zone: str | None = None) -> Window:
    """`5000/day`, `100/10s`, `2/second`, `0.0167/second`. Raises ValueError in words a spec's author understands.

    A fraction is the same pace with a whole count: 0.0167/second is one call in 59.88 seconds. A zone makes days
    calendar days.
    """
    found = _RATE.fullmatch(text.strip())
    if not found or found[3] not in _UNITS or float(found[1]) == 0 or (found[2] is not None and float(found[2]) == 0):
        raise ValueError(f"'{text}' is no rate: write a count, '/' and a time, as 5000/day, 100/10s or 2/second")
    count, seconds = float(found[1]), float(found[2] or 1) * _UNITS[found[3]]
    if count != int(count):
        count, seconds = 1.0, seconds / count
    return Window(int(count), seconds, zone if zone and seconds == DAY else None)
