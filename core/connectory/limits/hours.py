"""Hours of the day at which a run may call, on the clocks of a zone."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

_TIME: Final = r"([01]?\d|2[0-3]):([0-5]\d)"
_HOURS: Final = re.compile(rf"{_TIME}\s*-\s*(?:{_TIME}|24:00)\s+(\S+)")
_MOMENT: Final = re.compile(rf"{_TIME}(?:\s+(\S+))?")


@attrs.frozen
class Hours:
    """From `start` to `end` on each day in `zone`; past midnight where `end` is not later than `start`."""

    start: time
    end: time
    zone: str

    def open_at(self, now: float) -> bool:
        """Whether calls may go at `now` (epoch seconds)."""
        return self.closes(now) is not None

    def closes(self, now: float) -> float | None:
        """When the hours that are open at `now` end; None where they are not open."""
        for opened, closed in self._around(now):
            if opened <= now < closed:
                return closed
        return None

    def opens(self, now: float) -> float:
        """`now` where calls may go, else when the next hours begin."""
        return now if self.open_at(now) else min(opened for opened, _ in self._around(now) if opened > now)

    def _around(self, now: float) -> list[tuple[float, float]]:
        """The hours that begin yesterday, today and in the next two days."""
        today = datetime.fromtimestamp(now, ZoneInfo(self.zone)).date()
        return [self._of(today + timedelta(days=days)) for days in (-1, 0, 1, 2)]

    def _of(self, day: date) -> tuple[float, float]:
        last = day if self.end > self.start else day + timedelta(days=1)
        return self._moment(day, self.start), self._moment(last, self.end)

    def _moment(self, day: date, at: time) -> float:
        return datetime.combine(day, at, ZoneInfo(self.zone)).timestamp()

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M} {self.zone}"


def parse_hours(text: str) -> Hours:
    """`20:00-06:00 Europe/Amsterdam`. Raises ValueError."""
    found = _HOURS.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}' are no hours: write two times and a zone, as 20:00-06:00 Europe/Amsterdam")
    end = time(int(found[3]), int(found[4])) if found[3] else time(0)
    hours = Hours(time(int(found[1]), int(found[2])), end, _zone(found[5]))
    if hours.start == hours.end:
        raise ValueError(f"'{text}' begin and end at the same time: leave them out for the whole day")
    return hours


def next_time(text: str, now: float) -> float:
    """When it is `06:00` or `06:00 Europe/Amsterdam` next, as epoch seconds; without a zone on this machine's clock.

    Raises ValueError.
    """
    found = _MOMENT.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}' is no time of day: write it as 06:00, or with a zone as '06:00 Europe/Amsterdam'")
    zone = ZoneInfo(_zone(found[3])) if found[3] else None
    at, today = time(int(found[1]), int(found[2])), datetime.fromtimestamp(now, zone).date()
    days = (datetime.combine(today + timedelta(days=days), at, zone).timestamp() for days in (0, 1, 2))
    return next(moment for moment in days if moment > now)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called '{name}': write it as Europe/Amsterdam or UTC") from None
    return name
