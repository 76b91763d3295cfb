"""What may be spent: windows, gaps, concurrency and buckets, as frozen values, and how they are written."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Any, Final

import attrs

from connectory.errors import nearest
from connectory.spec.words import parse_duration

DAY: Final = 86400.0
# A month is any 31 days: never too fast, whichever month it is.
_PERIODS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": DAY, "week": 7 * DAY, "month": 31 * DAY}
_EXACT: Final = 10_000  # windows of more calls are remembered by ten-thousandths of their length, rounded up
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")
RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(?:([a-z]+)|(\d.*))")


def parse_rate(text: str, zone: str | None = None) -> Window:
    """`5000/day`, `100/10s`, `2/second`, `0.0167/second`. Raises ValueError in words a spec's author understands.

    Less than one call in a time is one call in a longer time: 0.0167/second is one in 59.88 seconds. More than one
    must be whole, since 1.5/second may mean 3 in 2 seconds or never 2 in one. With a `zone` a `day` is a calendar
    day there; `24h` is any 24 hours all the same.
    """
    found = RATE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}' is no rate: write a count, '/' and a time, as 5000/day, 100/10s or 2/second")
    period = found[2]
    if period is not None and period not in _PERIODS:
        known = f"{nearest(period, _PERIODS)} (there are {', '.join(_PERIODS)})"
        raise ValueError(f"'{text}': no time is called '{period}'{known}")
    try:
        seconds = _PERIODS[period] if period is not None else parse_duration(found[3])
    except ValueError as why:
        raise ValueError(f"'{text}': {why}") from None
    count = Fraction(found[1])
    if count <= 0 or seconds <= 0:
        raise ValueError(f"'{text}' would allow no call at all: write a count and a time above 0")
    if count < 1:
        return Window(1, float(Fraction(seconds) / count))
    if count.denominator != 1:
        whole = f"{count.numerator}/{_shown(float(Fraction(seconds) * count.denominator))}"
        raise ValueError(f"'{text}' is not a whole number of calls: write {whole}")
    return Window(int(count), seconds, zone if period == "day" else None)


def _shown(seconds: float) -> str:
    return f"{seconds:g}s"


def _positive(_: Any, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise ValueError(f"'{attribute.name}' must be above 0, got {value}")


def _zone(name: str | None) -> tzinfo:
    """UTC where none is named. Raises KeyError, ValueError or OSError for one that is not known."""
    from zoneinfo import ZoneInfo  # here, since few limits are of a day somewhere

    return ZoneInfo(name or "UTC")


@attrs.frozen
class Window:
    """At most `count` calls in any `seconds`; with an IANA `zone`, in each calendar day there.

    Raises ValueError for a count or time that is not above 0, an unknown zone, or a zone with anything but a day.
    """

    count: int = attrs.field(validator=_positive)
    seconds: float = attrs.field(validator=_positive, converter=float)
    zone: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.zone is None:
            return
        if self.seconds != DAY:
            raise ValueError(f"a zone goes with a day, not with {_shown(self.seconds)}")
        try:
            _zone(self.zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"no time zone is called '{self.zone}': write it as Europe/Amsterdam or UTC") from None

    @property
    def memory(self) -> float:
        """For how many seconds a call matters; a calendar day may have 25 hours."""
        return self.seconds if self.zone is None else self.seconds + 7200.0

    def day(self, now: float) -> int:
        """The ordinal (as of `date.toordinal`) of the calendar day in the zone at `now` (epoch seconds)."""
        return self._date(now).toordinal()

    def next_day(self, now: float) -> float:
        """When the next calendar day in the zone begins, in epoch seconds, whatever daylight saving does before it."""
        tomorrow = self._date(now) + timedelta(days=1)
        return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=_zone(self.zone)).timestamp()

    def _date(self, now: float) -> date:
        return datetime.fromtimestamp(now, _zone(self.zone)).date()

    def __str__(self) -> str:
        if self.zone is not None:
            return f"{self.count} a day in {self.zone}"
        words = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour", DAY: "in 24 hours"}
        return f"{self.count} {words.get(self.seconds, f'in {_shown(self.seconds)}')}"


def parse_share(text: str) -> Fraction:
    """`80%` as a part of 1. Raises ValueError."""
    found = _SHARE.fullmatch(text.strip())
    share = Fraction(found[1]) / 100 if found else Fraction(0)
    if not 0 < share <= 1:
        raise ValueError(f"'{text}' is no share: write a percentage above 0% and up to 100%, as 80%")
    return share


@attrs.frozen
class Restraint:
    """What one caller leaves to others of a limit: its calls go only while all that was used stays below its part.

    `share` is the part of each window that may be in use when it calls, `reserve` how many calls of each window are
    left besides. Windows of no more calls than the reserve, and those of a single call, are not touched: they set the
    pace and come back soon.
    """

    share: Fraction = attrs.field(default=Fraction(1))
    reserve: int = 0

    def of(self, count: int) -> int:
        """The part of a window of so many calls."""
        left = count - self.reserve if count > self.reserve else count
        return max(1, min(left, int(self.share * count)))


NO_RESTRAINT: Final = Restraint()


def grain_of(window: Window) -> float:
    """The length of time whose ended calls a ledger remembers as one, at the moment of the last; 0: each by itself."""
    return window.seconds / _EXACT if window.count > _EXACT else 0.0


@attrs.frozen(cache_hash=True)
class Budget:
    """One limit as one owner spends it. All that it says holds at once.

    `key` says whose budget it is: the same key means the same budget in every process. `gap` is the least time in
    seconds between two calls as the vendor receives them, `concurrent` how many may be under way. With `burst` the
    shortest window is a bucket of that size, refilled at the window's rate.

    `transit` is for how many seconds a call that has not ended may still be on its way to the vendor's counter
    (connecting, queueing). After that it counts as received, however long its answer takes.

    `restraint` is what this caller leaves to others; those who share the key each have their own.

    `cost` is how many `unit`s of it one call takes, as far as is known before the answer tells.

    Raises ValueError for numbers that are not above 0 and for a burst without a window.
    """

    key: str
    name: str
    windows: tuple[Window, ...] = ()
    gap: float = attrs.field(default=0.0, converter=float)
    concurrent: int | None = attrs.field(default=None, validator=_positive)
    burst: int | None = attrs.field(default=None, validator=_positive)
    transit: float = attrs.field(default=30.0, converter=float, validator=_positive)
    restraint: Restraint = NO_RESTRAINT
    cost: int = attrs.field(default=1, validator=_positive)
    unit: str = "calls"
    # The windows again, sorted by how they are counted, so that no call has to. A gap is one call in so many seconds.
    rolling: tuple[Window, ...] = attrs.field(init=False, eq=False, repr=False)
    days: tuple[Window, ...] = attrs.field(init=False, eq=False, repr=False)
    bucket: Window | None = attrs.field(init=False, eq=False, repr=False)

    @gap.validator
    def _check_gap(self, _: Any, value: float) -> None:
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"'gap' must not be below 0, got {value}")

    @bucket.default
    def _bucket(self) -> Window | None:
        plain = [window for window in self.windows if window.zone is None]
        if self.burst is None:
            return None
        if not plain:
            raise ValueError(f"'{self.name}': a burst is the size of a bucket that a rate refills: say the rate")
        return min(plain, key=lambda window: window.seconds)

    @days.default
    def _days(self) -> tuple[Window, ...]:
        counts: dict[str, int] = {}
        for window in self.windows:
            if window.zone is not None:
                counts[window.zone] = min(window.count, counts.get(window.zone, window.count))
        return tuple(Window(count, DAY, zone) for zone, count in counts.items())

    @rolling.default
    def _rolling(self) -> tuple[Window, ...]:
        bucket = self._bucket()
        counts = {self.gap: 1} if self.gap else {}
        for window in self.windows:
            if window.zone is None and window is not bucket:
                counts[window.seconds] = min(window.count, counts.get(window.seconds, window.count))
        return tuple(Window(count, seconds) for seconds, count in counts.items())

    @property
    def restrained(self) -> Budget | None:
        """The windows and the bucket again where the restraint makes them smaller; None where it changes nothing.

        The key is that of a queue for those who leave as much: they do not stand in the way of those who leave less.
        """
        part = self.restraint.of
        smaller = [
            attrs.evolve(window, count=part(window.count))
            for window in (*self.rolling, *self.days)
            if part(window.count) < window.count
        ]
        burst = None if self.burst is None else part(self.burst)
        if not smaller and burst == self.burst:
            return None
        bucket = () if self.bucket is None else (self.bucket,)
        key = f"{self.key}/{self.restraint.share}/{self.restraint.reserve}"
        return Budget(
            key, self.name, (*bucket, *smaller), burst=burst, transit=self.transit, cost=self.cost, unit=self.unit
        )

    def as_told(self, most: int | None, refill: float | None) -> Budget:
        """The same budget with the size and the refill (units a second) that the vendor has told of it."""
        windows, burst = self.windows, self.burst
        if burst is not None and refill is not None:
            bucket = Window(round(refill), 1.0) if refill == round(refill) else Window(1, 1.0 / refill)
            windows = tuple(bucket if window is self.bucket else window for window in windows)
        if most is not None and burst is not None:
            burst = most
        elif most is not None:
            windows = tuple(attrs.evolve(window, count=most) for window in windows)
        return attrs.evolve(self, windows=windows, burst=burst)

    @property
    def bounds(self) -> bool:
        """Whether it limits anything at all."""
        return bool(self.windows or self.gap or self.concurrent)

    @property
    def refill(self) -> float:
        """Calls a second that refill the bucket; 0 where there is none."""
        return self.bucket.count / self.bucket.seconds if self.bucket is not None else 0.0

    @property
    def memory(self) -> float:
        """For how many seconds a call matters at all."""
        full = self.burst / self.refill if self.burst is not None else 0.0
        return max([self.gap, full, *(window.memory for window in self.windows)]) + self.transit
