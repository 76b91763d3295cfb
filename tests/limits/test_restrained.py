"""A caller that leaves a part of a limit to others never goes above its own, and others still get the rest."""

from __future__ import annotations

from fractions import Fraction

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectory.clock import ManualClock
from connectory.errors import LimitReached
from connectory.limits.budgets import DAY, NO_RESTRAINT, Budget, Restraint, Window, parse_share
from connectory.limits.ledger import Lease, Ticket, Wait, acquire
from connectory.limits.memory import MemoryLedger

SCHOOL = Budget("school", "school", (Window(100, DAY), Window(10, 1.0)), concurrent=5)
MODEST = attrs.evolve(SCHOOL, restraint=Restraint(Fraction(4, 5), 0))


def take(ledger: MemoryLedger, budget: Budget) -> bool:
    ticket = Ticket()
    got = ledger.try_acquire([budget], ticket, 300.0)
    if isinstance(got, Lease):
        ledger.release(got)
        return True
    ledger.withdraw(ticket)
    return False


@settings(max_examples=60)
@given(
    windows=st.lists(
        st.builds(Window, st.integers(1, 30), st.sampled_from([1.0, 60.0, DAY]))
        | st.builds(Window, st.integers(1, 30), st.just(DAY), st.just("Europe/Amsterdam")),
        min_size=1,
        max_size=3,
        unique_by=lambda window: (window.seconds, window.zone),
    ),
    restraint=st.builds(Restraint, st.sampled_from([Fraction(4, 5), Fraction(1, 2), Fraction(1)]), st.integers(0, 12)),
    turns=st.lists(st.tuples(st.booleans(), st.floats(0.0, 0.2)), min_size=1, max_size=80),
)
def test_it_stays_below_its_part_and_the_rest_is_there_for_others(
    windows: list[Window], restraint: Restraint, turns: list[tuple[bool, float]]
) -> None:
    clock = ManualClock()
    ledger, whole = MemoryLedger(clock), Budget("k", "k", tuple(windows))
    modest = attrs.evolve(whole, restraint=restraint)
    waiting = Ticket()
    for is_modest, pause in turns:
        clock.wind(pause)
        used = [spent.used for spent in ledger.spent(whole).windows]
        if not is_modest:
            assert take(ledger, whole) == all(u < w.count for u, w in zip(used, windows, strict=True))
            continue
        got = ledger.try_acquire([modest], waiting, 300.0)
        may = all(u < restraint.of(w.count) for u, w in zip(used, windows, strict=True))
        assert isinstance(got, Lease) == may
        if isinstance(got, Lease):
            ledger.release(got)
            waiting = Ticket()
        elif not all(u < w.count for u, w in zip(used, windows, strict=True)):
            ledger.withdraw(waiting)  # it also waits for the whole now, as everybody does


def test_its_own_limit_is_told_with_the_time_to_come_back(clock: ManualClock) -> None:
    ledger, start = MemoryLedger(clock), clock.now()
    for _ in range(80):
        ledger.release(acquire(ledger, [MODEST], clock, 5.0, 300.0))
    with pytest.raises(LimitReached, match="80 in 24 hours are used up, and the rest of the limit is left") as caught:
        acquire(ledger, [MODEST], clock, 5.0, 300.0)
    assert caught.value.until == pytest.approx(start + DAY)
    assert ledger.spent(MODEST).room_at == pytest.approx(start + DAY)
    assert ledger.spent(SCHOOL).room_at == clock.now()


def test_many_that_wait_for_their_part_keep_nobody_from_the_rest(clock: ManualClock) -> None:
    ledger = MemoryLedger(clock)
    for _ in range(80):
        ledger.release(acquire(ledger, [SCHOOL], clock, 5.0, 300.0))
    clock.wind(2.0)
    for _ in range(30):
        assert isinstance(ledger.try_acquire([MODEST], Ticket(), 300.0), Wait)
    for number in range(20):
        clock.wind(0.2)
        assert take(ledger, SCHOOL), number
    assert not take(ledger, SCHOOL)


def test_those_who_leave_as_much_are_served_in_turn(clock: ManualClock) -> None:
    ledger = MemoryLedger(clock)
    one = attrs.evolve(Budget("k", "k", (Window(10, 60.0),)), restraint=Restraint(Fraction(1, 10)))
    assert take(ledger, one)
    first, second = Ticket(), Ticket()
    assert isinstance(ledger.try_acquire([one], first, 300.0), Wait)
    wait = ledger.try_acquire([one], second, 300.0)
    assert isinstance(wait, Wait)
    assert wait.seconds == pytest.approx(120.0)
    for _ in range(29):
        clock.wind(2.0)
        assert isinstance(ledger.try_acquire([one], second, 300.0), Wait)
        assert isinstance(ledger.try_acquire([one], first, 300.0), Wait)
    clock.wind(2.0)
    assert isinstance(ledger.try_acquire([one], second, 300.0), Wait)
    assert isinstance(ledger.try_acquire([one], first, 300.0), Lease)


def test_its_turn_at_the_pace_comes_as_everybodys(clock: ManualClock) -> None:
    """Below its part it stands in the common queue, and is not overtaken there."""
    ledger, spaced = MemoryLedger(clock), Budget("k", "k", (Window(100, DAY),), gap=1.0)
    modest = attrs.evolve(spaced, restraint=Restraint(Fraction(1, 2)))
    assert take(ledger, spaced)
    mine = Ticket()
    assert isinstance(ledger.try_acquire([modest], mine, 300.0), Wait)
    assert isinstance(ledger.try_acquire([spaced], Ticket(), 300.0), Wait)
    clock.wind(1.0)
    assert not take(ledger, spaced)
    assert isinstance(ledger.try_acquire([modest], mine, 300.0), Lease)


def test_a_bucket_is_left_as_full_as_was_asked(clock: ManualClock) -> None:
    ledger, bucket = MemoryLedger(clock), Budget("k", "k", (Window(1, 1.0),), burst=10)
    modest = attrs.evolve(bucket, restraint=Restraint(Fraction(1), 6))
    assert [take(ledger, modest) for _ in range(5)] == [True] * 4 + [False]
    assert [take(ledger, bucket) for _ in range(7)] == [True] * 6 + [False]


@pytest.mark.parametrize(
    ("restraint", "count", "part"),
    [
        (NO_RESTRAINT, 100, 100),
        (Restraint(Fraction(4, 5)), 5000, 4000),
        (Restraint(Fraction(1, 3)), 100, 33),
        (Restraint(Fraction(1, 100)), 5, 1),
        (Restraint(reserve=500), 5000, 4500),
        (Restraint(reserve=500), 100, 100),  # a pace, not a quota
        (Restraint(Fraction(1, 2), 4000), 5000, 1000),
    ],
)
def test_the_part_of_a_window(restraint: Restraint, count: int, part: int) -> None:
    assert restraint.of(count) == part


@pytest.mark.parametrize("text", ["0%", "101%", "80", "-5%", "eighty", "", "0.8", "80 %%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a percentage above 0% and up to 100%, as 80%"):
        parse_share(text)


def test_shares_are_exact() -> None:
    assert parse_share("12.5 %") == Fraction(1, 8)
