"""When so many calls would have gone, by the rules of the ledger and what it knows so far.

What others will spend meanwhile nobody knows; what they have spent is in the histories.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from connectory.limits.budgets import Budget, Window, grain_of
from connectory.limits.hours import Hours


@attrs.frozen
class History:
    """What a ledger knows of a budget at `now`. Moments are epoch seconds.

    `ended` holds for each of `budget.rolling` the calls that still count, as (moment, calls), oldest first; `days` for
    each of `budget.days` what its current day has used; `bucket_full` when the bucket will be full again.
    """

    budget: Budget
    now: float
    held_until: float
    ended: tuple[tuple[tuple[float, int], ...], ...]
    days: tuple[int, ...]
    bucket_full: float


@attrs.frozen
class Forecast:
    """When the last call would have ended, and the seconds of waiting by what was waited for."""

    ends: float
    waits: Mapping[str, float]


class _Rule(Protocol):
    """One thing that a call has to wait for."""

    why: str

    def room(self, now: float, under_way: int) -> float:
        """The earliest moment from `now` on; only another call's end helps where it is infinite."""

    def count(self, ended: float) -> None:
        """A call has ended."""


@attrs.define
class _Rolling:
    why: str
    most: int
    window: Window
    ended: deque[list[float]]
    used: int

    def room(self, now: float, under_way: int) -> float:
        ended, span = self.ended, self.window.seconds
        while self.used + under_way >= self.most and ended:
            if ended[0][0] + span > now:
                return ended[0][0] + span
            self.used -= int(ended.popleft()[1])
        return now if self.used + under_way < self.most else float("inf")

    def count(self, ended: float) -> None:
        self.used += 1
        last = self.ended[-1] if self.ended else None
        if last is not None and (grain := grain_of(self.window)) and last[0] // grain == ended // grain:
            last[0], last[1] = ended, last[1] + 1
        else:
            self.ended.append([ended, 1])


@attrs.define
class _Day:
    why: str
    most: int
    window: Window
    until: float
    used: int

    def room(self, now: float, under_way: int) -> float:
        if now >= self.until:
            self.used, self.until = 0, self.window.next_day(now)
        return now if self.used + under_way < self.most else self.until

    def count(self, ended: float) -> None:
        if ended >= self.until:
            self.used, self.until = 0, self.window.next_day(ended)
        self.used += 1


@attrs.define
class _Bucket:
    why: str
    most: int
    refill: float
    full: float

    def room(self, now: float, under_way: int) -> float:
        lacking = under_way + max(0.0, self.full - now) * self.refill + 1 - self.most
        if lacking <= 1e-6:
            return now
        return now + lacking / self.refill

    def count(self, ended: float) -> None:
        self.full = max(self.full, ended) + 1 / self.refill


@attrs.define
class _Hours:
    why: str
    hours: Hours

    def room(self, now: float, under_way: int) -> float:
        return self.hours.opens(now)

    def count(self, ended: float) -> None:
        """Time is not used up."""


def forecast(
    histories: Sequence[History],
    calls: int,
    *,
    seconds: float,
    at_once: int = 1,
    hours: Hours | None = None,
) -> Forecast:
    """So many calls of `seconds` each, `at_once` of them under way, each one call of every budget.

    Without a history the calls begin at 0.
    """
    begun = max((one.now for one in histories), default=0.0)
    now = max([begun, *(one.held_until for one in histories)])
    rules: list[_Rule] = [rule for history in histories for rule in _rules(history)]
    if hours is not None:
        rules.append(_Hours(f"only at {hours}", hours))
    least = [one.budget.concurrent for one in histories if one.budget.concurrent is not None]
    places = min([at_once, *least])
    waits: dict[str, float] = defaultdict(float)
    under_way: deque[float] = deque()
    end = now
    if now > begun:
        waits["the vendor asked for a pause"] = now - begun
    for _ in range(calls):
        now = _next_grant(now, rules, under_way, places, waits)
        end = now + seconds
        under_way.append(end)
    return Forecast(end, dict(waits))


def _next_grant(
    now: float, rules: Sequence[_Rule], under_way: deque[float], places: int, waits: dict[str, float]
) -> float:
    """When the next call goes."""
    settled = False
    while not settled:
        if len(under_way) >= places:
            now = max(now, under_way[0])
        while under_way and under_way[0] <= now:
            ended = under_way.popleft()
            for rule in rules:
                rule.count(ended)
        settled = True
        for rule in rules:
            room = rule.room(now, len(under_way))
            if room > now:
                until = min(room, under_way[0]) if under_way else room
                waits[rule.why] += until - now
                now, settled = until, False
                break
    return now


def _rules(history: History) -> list[_Rule]:
    """What a budget asks of its calls, less what is left for others."""
    budget, part = history.budget, history.budget.restraint.of
    rules: list[_Rule] = []
    for window, ended in zip(budget.rolling, history.ended, strict=True):
        queue = deque([at, float(count)] for at, count in ended)
        why = f"{budget.name}: {window}"
        rules.append(_Rolling(why, part(window.count), window, queue, sum(count for _, count in ended)))
    for window, used in zip(budget.days, history.days, strict=True):
        rules.append(_Day(f"{budget.name}: {window}", part(window.count), window, window.next_day(history.now), used))
    if budget.burst is not None:
        why = f"{budget.name}: a bucket of {budget.burst}"
        rules.append(_Bucket(why, part(budget.burst), budget.refill, history.bucket_full))
    return rules
