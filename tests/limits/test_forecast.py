"""A forecast ends when the ledger really grants the last call, whatever the windows."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectory.clock import ManualClock
from connectory.limits.budgets import DAY, Budget, Restraint, Window
from connectory.limits.forecast import forecast
from connectory.limits.hours import parse_hours
from connectory.limits.ledger import Ticket, Wait
from connectory.limits.memory import MemoryLedger

SPANS = [0.5, 2.0, 7.0, 60.0, 3600.0, DAY]

windows = st.builds(Window, st.integers(1, 12), st.sampled_from(SPANS))
days = st.builds(Window, st.integers(2, 20), st.just(DAY), st.sampled_from(["UTC", "Europe/Amsterdam"]))
restraints = st.builds(Restraint, st.sampled_from([Fraction(1), Fraction(4, 5), Fraction(1, 3)]), st.integers(0, 5))


@st.composite
def budgets(draw: st.DrawFn, key: str = "a") -> Budget:
    found = draw(st.lists(windows, min_size=1, max_size=3)) + draw(st.lists(days, max_size=1))
    burst = draw(st.none() | st.integers(1, 5))
    gap = draw(st.sampled_from([0.0, 0.62]))
    return Budget(key, key, tuple(found), gap=gap, burst=burst, restraint=draw(restraints))


def call(ledger: MemoryLedger, clock: ManualClock, budgets: Sequence[Budget], seconds: float) -> None:
    """One call as soon as it may go, without looking again and again meanwhile as `acquire` does."""
    ticket = Ticket()
    while isinstance(got := ledger.try_acquire(budgets, ticket, 300.0), Wait):
        clock.wind(max(got.seconds, 0.001))
    clock.wind(seconds)
    ledger.release(got)


@settings(max_examples=40)
@given(
    first=budgets(),
    second=st.none() | budgets("b"),
    before=st.lists(st.floats(0.0, 4000.0), max_size=15),
    calls=st.integers(1, 40),
    seconds=st.sampled_from([0.0, 0.25, 3.0]),
)
def test_the_forecast_is_what_the_ledger_then_grants(
    first: Budget, second: Budget | None, before: list[float], calls: int, seconds: float
) -> None:
    clock = ManualClock()
    ledger = MemoryLedger(clock)
    together = [first] if second is None else [first, second]
    everybodys = [attrs.evolve(budget, restraint=Restraint()) for budget in together]
    for pause in before:
        clock.wind(pause)
        call(ledger, clock, everybodys, 0.0)
    told = forecast([ledger.history(budget) for budget in together], calls, seconds=seconds)
    start = clock.now()
    for _ in range(calls):
        call(ledger, clock, together, seconds)
    # Each wait of the ledger may be longer by a millisecond, the least it sleeps.
    assert told.ends == pytest.approx(clock.now(), rel=0, abs=0.005 * calls)
    assert sum(told.waits.values()) == pytest.approx(clock.now() - start - calls * seconds, abs=0.01 * calls)


def test_a_days_limit_is_told_with_what_was_spent_before() -> None:
    clock = ManualClock()
    ledger, school = MemoryLedger(clock), Budget("s", "school", (Window(5000, DAY),), concurrent=1)
    for _ in range(812):
        call(ledger, clock, [school], 0.0)
    history = ledger.history(school)
    assert forecast([history], 4188, seconds=0.5).ends == clock.now() + 4188 * 0.5
    late = forecast([history], 4189, seconds=0.5)
    assert late.ends == clock.now() + DAY + 0.5
    assert list(late.waits) == ["school: 5000 in 24 hours"]


def test_several_at_once_are_as_many_times_faster_where_the_limit_lets_them() -> None:
    clock = ManualClock()
    ledger, three = MemoryLedger(clock), Budget("s", "s", (Window(100_000, DAY),), concurrent=3)
    history = ledger.history(three)
    assert forecast([history], 30, seconds=1.0, at_once=3).ends == clock.now() + 10
    assert forecast([history], 30, seconds=1.0, at_once=9).ends == clock.now() + 10
    assert forecast([history], 30, seconds=1.0).ends == clock.now() + 30


def test_hours_end_and_begin_again_inside_a_forecast() -> None:
    clock = ManualClock(start=1_800_000_000.0)  # 09:00 in Amsterdam
    history = MemoryLedger(clock).history(Budget("s", "s", (Window(100_000, DAY),)))
    hours = parse_hours("08:00-10:00 Europe/Amsterdam")
    told = forecast([history], 120, seconds=60.0, hours=hours)
    assert told.ends == clock.now() + DAY + 3600 - 3600 + 0.0
    assert list(told.waits) == ["only at 08:00-10:00 Europe/Amsterdam"]


def test_a_pause_that_the_vendor_asked_for_comes_first() -> None:
    clock = ManualClock()
    ledger, any_ = MemoryLedger(clock), Budget("s", "s", (Window(10, 1.0),))
    ledger.hold("s", clock.now() + 50)
    told = forecast([ledger.history(any_)], 1, seconds=0.0)
    assert (told.ends, told.waits) == (clock.now() + 50, {"the vendor asked for a pause": 50.0})
