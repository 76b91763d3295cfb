"""How many calls a day a vendor still grants."""

from __future__ import annotations

from collections import Counter, deque
from typing import Literal

DAY = 86_400


class DayTally:
    """Calls of the last 24 hours and of calendar days. Times are epoch seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._days: Counter[int] = Counter()

    def used(self, now: float, kind: Literal["rolling", "calendar"], zone_hours: float = 0.0) -> int:
        """Calls in the 24 hours up to `now`, or since midnight in the zone that many hours ahead of UTC."""
        if kind == "rolling":
            while self._times and self._times[0] <= now - DAY:
                self._times.popleft()
            return len(self._times)
        return self._days[int((now + zone_hours * 3600) // DAY)]

    def spend(self, now: float, zone_hours: float = 0.0) -> None:
        self._times.append(now)
        self._days[int((now + zone_hours * 3600) // DAY)] += 1
