"""What a ledger grants and when, on one clock, for one process and for the file alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import pytest

from connectory.clock import SystemClock
from connectory.errors import LimitReached
from connectory.limits.budgets import DAY, Budget, Window, parse_rate
from connectory.limits.ledger import HEARTBEAT_SECONDS, TICKET_SECONDS, Lease, Ledger, Ticket, Wait, acquire
from connectory.limits.memory import MemoryLedger
from connectory.limits.sqlite import SqliteLedger
from limits.conftest import SetClock

LEASE = 300.0


def budget(
    *rates: str, key: str = "key", gap: float = 0.0, concurrent: int | None = None, burst: int | None = None
) -> Budget:
    return Budget(key, f"limit {key}", tuple(map(parse_rate, rates)), gap=gap, concurrent=concurrent, burst=burst)


def call(ledger: Ledger, clock: SetClock, *budgets: Budget, takes: float = 0.0) -> None:
    """One call that must pass at once and takes so long."""
    lease = take(ledger, *budgets)
    clock.wind(takes)
    ledger.release(lease)


def take(ledger: Ledger, *budgets: Budget) -> Lease:
    got = ledger.try_acquire(budgets, Ticket(), LEASE)
    assert isinstance(got, Lease), got
    return got


def refused(ledger: Ledger, *budgets: Budget, ticket: Ticket | None = None) -> Wait:
    """The answer to one who may not pass yet. Without a ticket it stands in no queue afterwards."""
    place = ticket or Ticket()
    got = ledger.try_acquire(budgets, place, LEASE)
    assert isinstance(got, Wait), got
    if ticket is None:
        ledger.withdraw(place)
    return got


# Windows --------------------------------------------------------------------------------------------------------------


def test_a_window_opens_again_to_the_moment(ledger: Ledger, clock: SetClock) -> None:
    three = budget("3/10s")
    for _ in range(3):
        call(ledger, clock, three)
        clock.wind(1.0)
    assert refused(ledger, three).seconds == pytest.approx(7.0)
    clock.wind(6.999)
    assert refused(ledger, three).seconds == pytest.approx(0.001, abs=1e-5)
    clock.wind(0.00101)
    call(ledger, clock, three)
    assert refused(ledger, three).seconds == pytest.approx(0.999, abs=1e-3)


def test_a_call_counts_from_its_end_since_the_vendor_may_have_counted_it_as_late(
    ledger: Ledger, clock: SetClock
) -> None:
    one = budget("1/10s")
    call(ledger, clock, one, takes=4.0)
    assert refused(ledger, one).seconds == pytest.approx(10.0)


def test_a_long_answer_counts_from_when_the_vendor_must_have_received_the_call(ledger: Ledger, clock: SetClock) -> None:
    one = budget("1/10s")
    lease = take(ledger, one)
    clock.wind(one.transit + 6)
    assert refused(ledger, one).seconds == pytest.approx(4.0)
    clock.wind(4.01)
    call(ledger, clock, one)
    clock.wind(5)
    ledger.release(lease)  # counted once, not again
    clock.wind(5.01)
    call(ledger, clock, one)


def test_every_window_of_every_budget_holds(ledger: Ledger, clock: SetClock) -> None:
    both = budget("5/10s", "7/100s")
    for _ in range(5):
        call(ledger, clock, both)
    assert refused(ledger, both).seconds == pytest.approx(10.0)
    clock.wind(10.1)
    for _ in range(2):
        call(ledger, clock, both)
    assert refused(ledger, both).seconds == pytest.approx(89.9)


def test_all_budgets_are_taken_in_one_step_or_none(ledger: Ledger, clock: SetClock) -> None:
    wide, narrow = budget("100/hour", key="wide"), budget("1/hour", key="narrow")
    call(ledger, clock, narrow)
    assert refused(ledger, wide, narrow).limit == "limit narrow"
    assert ledger.spent(wide).windows[0].used == 0


def test_a_rate_below_one_a_second(ledger: Ledger, clock: SetClock) -> None:
    slow = budget("0.0167/second")
    call(ledger, clock, slow)
    assert refused(ledger, slow).seconds == pytest.approx(59.88, abs=0.01)


def test_a_limit_that_was_raised_or_lowered_keeps_what_is_known(ledger: Ledger, clock: SetClock) -> None:
    for _ in range(3):
        call(ledger, clock, budget("2/10s"))
        call(ledger, clock, budget("2/10s"))
        clock.wind(10.001)
    clock.wind(-5.0)
    raised = budget("4/10s")
    call(ledger, clock, raised)
    call(ledger, clock, raised)
    refused(ledger, raised)
    assert refused(ledger, budget("1/10s")).seconds == pytest.approx(10.0)


def test_large_windows_are_rounded_up_and_stay_small(ledger: Ledger, clock: SetClock) -> None:
    large = budget("20000/day")
    calls = 300
    for _ in range(calls):
        call(ledger, clock, large)
        clock.wind(0.01)
    standing = ledger.spent(large).windows[0]
    assert (standing.used, standing.left) == (calls, 20000 - calls)
    clock.wind(DAY - 3)
    assert ledger.spent(large).windows[0].used in (0, calls)  # up to 8.64 s late, never early
    clock.wind(8.64)
    assert ledger.spent(large).windows[0].used == 0


def test_a_gap_is_kept_between_calls_as_the_vendor_receives_them(ledger: Ledger, clock: SetClock) -> None:
    spaced = budget("100/minute", gap=0.62)
    call(ledger, clock, spaced, takes=0.2)
    assert refused(ledger, spaced).seconds == pytest.approx(0.62)
    clock.wind(0.621)
    call(ledger, clock, spaced)


def test_a_bucket_gives_its_burst_and_then_its_rate(ledger: Ledger, clock: SetClock) -> None:
    bucket = budget("2/second", burst=15)
    for _ in range(15):
        call(ledger, clock, bucket)
    assert refused(ledger, bucket).seconds == pytest.approx(0.5)
    clock.wind(0.4)
    assert refused(ledger, bucket).seconds == pytest.approx(0.1)
    clock.wind(1.601)
    for _ in range(4):
        call(ledger, clock, bucket)
    assert refused(ledger, bucket).seconds == pytest.approx(0.5, abs=0.01)
    clock.wind(1000)
    assert ledger.spent(bucket).windows[0].left == 15


def test_a_call_under_way_has_its_place_in_buckets_and_days(ledger: Ledger, clock: SetClock) -> None:
    bucket = budget("1/second", key="bucket", burst=2)
    day = Budget("day", "day", (parse_rate("2/day", "UTC"),))
    leases = [take(ledger, bucket, day), take(ledger, bucket, day)]
    clock.wind(20)
    refused(ledger, bucket)
    refused(ledger, day)
    for lease in leases:
        ledger.release(lease)
    assert refused(ledger, bucket).seconds == pytest.approx(1.0)


def test_a_day_in_a_zone_ends_at_midnight_there_and_not_after_24_hours(ledger: Ledger, clock: SetClock) -> None:
    day = Budget("key", "day", (parse_rate("2/day", "Europe/Amsterdam"),))
    at = datetime.fromisoformat
    # The last Sunday of October has 25 hours there.
    clock.wind(at("2026-10-25T00:30:00+02:00").timestamp() - clock.now())
    call(ledger, clock, day)
    call(ledger, clock, day)
    wait = refused(ledger, day)
    assert wait.until == at("2026-10-26T00:00:00+01:00").timestamp()
    assert wait.seconds == 24.5 * 3600
    clock.wind(24.5 * 3600 - 1)
    refused(ledger, day)
    clock.wind(1)
    call(ledger, clock, day)
    assert ledger.spent(day).windows[0].left == 1


def test_a_call_under_way_at_midnight_counts_for_the_new_day_too(ledger: Ledger, clock: SetClock) -> None:
    day = Budget("key", "day", (parse_rate("1/day", "UTC"),))
    clock.wind(DAY - clock.now() % DAY - 5)
    call(ledger, clock, day, takes=10)
    assert refused(ledger, day).seconds == pytest.approx(DAY - 5)


# Calls at once --------------------------------------------------------------------------------------------------------


def test_no_more_than_so_many_at_once(ledger: Ledger, clock: SetClock) -> None:
    three = budget(concurrent=3)
    leases = [take(ledger, three) for _ in range(3)]
    wait = refused(ledger, three)
    assert not wait.known
    ledger.release(leases.pop())
    ledger.release(take(ledger, three))
    ledger.release(leases[0])
    ledger.release(leases[0])  # giving back twice frees one
    leases[0] = take(ledger, three)
    take(ledger, three)
    refused(ledger, three)


def test_a_lost_holder_blocks_until_its_lease_ends(ledger: Ledger, clock: SetClock) -> None:
    one = budget(concurrent=1)
    lost = take(ledger, one)
    clock.wind(LEASE - 0.1)
    refused(ledger, one)
    clock.wind(0.2)
    kept = take(ledger, one)
    ledger.release(lost)  # come back from the dead: it must not free what another holds
    refused(ledger, one)
    ledger.release(kept)


def test_a_call_given_up_without_an_answer_can_linger(ledger: Ledger, clock: SetClock) -> None:
    one = budget(concurrent=1)
    ledger.release(take(ledger, one), linger=5.0)
    refused(ledger, one)
    clock.wind(5.1)
    take(ledger, one)


# Holds ----------------------------------------------------------------------------------------------------------------


def test_after_a_429_nobody_with_the_key_calls_before_the_time(ledger: Ledger, clock: SetClock) -> None:
    wide, other = budget("100/second"), budget("100/second", key="other")
    ledger.hold("key", clock.now() + 30)
    ledger.hold("key", clock.now() + 10)  # a shorter one takes nothing back
    assert refused(ledger, wide).seconds == pytest.approx(30)
    call(ledger, clock, other)
    clock.wind(30.01)
    call(ledger, clock, wide)


def test_a_misread_date_holds_for_a_month_at_most(ledger: Ledger, clock: SetClock) -> None:
    ledger.hold("key", clock.now() * 1000)
    assert refused(ledger, budget("1/second")).seconds == pytest.approx(31 * DAY)


# Waiting --------------------------------------------------------------------------------------------------------------


def test_waiting_takes_exactly_as_long_as_it_must(ledger: Ledger, clock: SetClock) -> None:
    one = budget("1/10s")
    told: list[tuple[float, str]] = []
    start = clock.monotonic()
    for _ in range(4):
        ledger.release(acquire(ledger, [one], clock, None, LEASE, lambda seconds, why: told.append((seconds, why))))
    assert clock.monotonic() - start == pytest.approx(30.0, abs=0.01)
    assert [why for _, why in told] == ["limit 'limit key': 1 in 10s are used up"] * 3  # once a wait, not once a look
    assert [seconds for seconds, _ in told] == pytest.approx([10.0] * 3)
    assert max(clock.slept) <= HEARTBEAT_SECONDS


def test_a_known_wait_beyond_what_is_allowed_raises_at_once(ledger: Ledger, clock: SetClock) -> None:
    day = budget("1/day")
    call(ledger, clock, day)
    with pytest.raises(LimitReached, match="1 in 24 hours are used up") as reached:
        acquire(ledger, [day], clock, 3600.0, LEASE)
    assert reached.value.until == pytest.approx(clock.now() + DAY)
    assert reached.value.limit == "limit key"
    assert reached.value.exit_code == 75
    assert clock.slept == []
    assert ledger.spent(day).waiting == 0


def test_an_unknown_wait_ends_when_it_was_allowed_to(ledger: Ledger, clock: SetClock) -> None:
    one = budget(concurrent=1)
    take(ledger, one)
    start = clock.monotonic()
    with pytest.raises(LimitReached, match="1 at once are under way; another call has to end first"):
        acquire(ledger, [one], clock, 5.0, LEASE)
    assert clock.monotonic() - start == pytest.approx(5.0)
    with pytest.raises(LimitReached):
        acquire(ledger, [one], clock, 0.0, LEASE)
    assert clock.monotonic() - start == pytest.approx(5.0)
    assert ledger.spent(one).waiting == 0


def test_an_interrupted_waiter_leaves_the_queue(ledger: Ledger, clock: SetClock) -> None:
    class Interrupted(SetClock):
        def sleep(self, seconds: float) -> None:
            raise KeyboardInterrupt

    day = budget("1/day")
    call(ledger, clock, day)
    with pytest.raises(KeyboardInterrupt):
        acquire(ledger, [day], Interrupted(), None, LEASE)
    assert ledger.spent(day).waiting == 0


def test_no_limits_need_no_ledger(clock: SetClock) -> None:
    class None_:
        pass

    lease = acquire(None_(), [], clock, 0.0, LEASE)  # type: ignore[arg-type]
    assert lease.budgets == ()


def test_two_budgets_of_one_key_are_refused(ledger: Ledger, clock: SetClock) -> None:
    with pytest.raises(ValueError, match="the same key"):
        acquire(ledger, [budget("1/day"), budget("2/day")], clock, 0.0, LEASE)


# The queue ------------------------------------------------------------------------------------------------------------


def test_first_come_first_served_and_nobody_pushes_in(ledger: Ledger, clock: SetClock) -> None:
    one = budget("1/10s")
    call(ledger, clock, one)
    tickets = [Ticket() for _ in range(4)]
    waits = [refused(ledger, one, ticket=ticket).seconds for ticket in tickets]
    assert waits == pytest.approx([10, 20, 30, 40], abs=0.01)
    served: list[Ticket] = []
    for _ in range(40):
        clock.wind(1.001)
        refused(ledger, one)  # a newcomer finds everybody before it
        for ticket in reversed(tickets):
            if ticket not in served and isinstance(got := ledger.try_acquire([one], ticket, LEASE), Lease):
                ledger.release(got)
                served.append(ticket)
    assert served == tickets


def test_whoever_stopped_asking_loses_the_place(ledger: Ledger, clock: SetClock) -> None:
    one = budget("1/10s")
    call(ledger, clock, one)
    dead, living = Ticket(), Ticket()
    refused(ledger, one, ticket=dead)
    clock.wind(10.1 - TICKET_SECONDS)
    refused(ledger, one, ticket=living)
    clock.wind(TICKET_SECONDS)
    assert isinstance(ledger.try_acquire([one], living, LEASE), Lease)


def test_one_who_waits_elsewhere_for_long_is_passed(ledger: Ledger, clock: SetClock) -> None:
    shared, hourly = budget(key="shared", concurrent=1), budget("1/hour", key="hourly")
    call(ledger, clock, shared, hourly)
    refused(ledger, shared, hourly, ticket=Ticket())
    call(ledger, clock, shared)


def test_one_who_waits_elsewhere_keeps_a_place_in_windows_that_matter_to_it(ledger: Ledger, clock: SetClock) -> None:
    shared, short = budget("2/minute", key="shared"), budget("1/10s", key="short")
    call(ledger, clock, shared, short)
    waiting = Ticket()
    refused(ledger, shared, short, ticket=waiting)
    refused(ledger, shared)  # one is left in this minute, and it is kept for whoever came first
    clock.wind(4)
    refused(ledger, shared, short, ticket=waiting)
    clock.wind(4)
    refused(ledger, shared, short, ticket=waiting)
    clock.wind(2.01)
    assert isinstance(ledger.try_acquire([shared, short], waiting, LEASE), Lease)


def test_whoever_goes_by_a_smaller_number_is_not_kept_out(ledger: Ledger, clock: SetClock) -> None:
    """One process goes by the one at once that is advised, another by the three that are allowed."""
    modest, bold = budget(concurrent=1), budget(concurrent=3)
    under_way = [take(ledger, bold), take(ledger, bold)]
    waiting = Ticket()
    refused(ledger, modest, ticket=waiting)
    refused(ledger, bold)
    for lease in under_way:
        refused(ledger, bold)
        ledger.release(lease)
    assert isinstance(ledger.try_acquire([modest], waiting, LEASE), Lease)


# Standing -------------------------------------------------------------------------------------------------------------


def test_what_is_spent_can_be_shown(ledger: Ledger, clock: SetClock) -> None:
    mixed = budget("3/10s", "100/day", concurrent=2)
    assert ledger.spent(mixed).room_at == clock.now()
    call(ledger, clock, mixed)
    clock.wind(4)
    call(ledger, clock, mixed)
    lease = take(ledger, mixed)
    now = clock.now()
    spent = ledger.spent(mixed)
    short, day = spent.windows
    assert (short.used, short.left) == (3, 0)
    assert short.room_at == pytest.approx(now + 6)
    assert (day.used, day.left, day.room_at) == (3, 97, now)
    assert short.whole_at == pytest.approx(now + 10)
    assert (spent.in_flight, spent.waiting, spent.held_until) == (1, 0, None)
    assert spent.room_at == pytest.approx(now + 6)
    ledger.hold("key", now + 60)
    assert ledger.spent(mixed).held_until == pytest.approx(now + 60)
    ledger.release(lease)


# Clocks that are set --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [0.05, 0.5, 3.0, 3600.0, 400 * DAY])
def test_a_clock_set_back_grants_nothing_more_and_blocks_nothing(ledger: Ledger, clock: SetClock, back: float) -> None:
    two = budget("2/10s", "50/day", concurrent=2)
    call(ledger, clock, two)
    clock.wind(4)
    call(ledger, clock, two)
    lease = take(ledger, budget(key="other", concurrent=1))
    ledger.hold("held", clock.now() + 20)
    clock.set(-back)
    assert refused(ledger, two).seconds == pytest.approx(6.0, abs=0.11)
    clock.wind(6.11)
    call(ledger, clock, two)
    refused(ledger, budget(key="other", concurrent=1))
    # Nobody looked since the clock was set, so the time since then is not known to have passed: at worst it waits anew.
    assert 13.88 < refused(ledger, budget("1/second", key="held")).seconds <= 20.0
    clock.wind(20.01)
    call(ledger, clock, budget("1/second", key="held"))
    ledger.release(lease)


@pytest.mark.parametrize("forward", [0.5, 3.0, 3600.0, 400 * DAY])
def test_a_clock_set_forward_opens_no_short_window_and_takes_no_permit(
    ledger: Ledger, clock: SetClock, forward: float
) -> None:
    two, busy = budget("2/10s"), budget(key="busy", concurrent=1)
    call(ledger, clock, two)
    call(ledger, clock, two)
    lease = take(ledger, busy)
    clock.set(forward)
    refused(ledger, busy)
    assert refused(ledger, two).seconds == pytest.approx(10.0, abs=0.01)
    clock.set(-forward)  # the mistake is noticed
    assert refused(ledger, two).seconds == pytest.approx(10.0, abs=0.01)
    refused(ledger, busy)
    clock.wind(10.01)
    call(ledger, clock, two)
    ledger.release(lease)
    call(ledger, clock, busy)


def test_a_day_spent_under_a_wrong_date_comes_home(ledger: Ledger, clock: SetClock) -> None:
    day = Budget("key", "day", (Window(3, DAY, "Europe/Amsterdam"),))
    call(ledger, clock, day)
    clock.set(30 * DAY)
    call(ledger, clock, day)
    clock.set(-30 * DAY)
    call(ledger, clock, day)
    refused(ledger, day)
    clock.wind(DAY)
    call(ledger, clock, day)
    assert ledger.spent(day).windows[0].left == 2


def test_a_computer_that_slept_finds_its_day_gone_by(ledger: Ledger, clock: SetClock) -> None:
    day = budget("1/day")
    call(ledger, clock, day)
    clock.set(DAY + 1)  # the wall clock went on, the monotonic one stood still
    call(ledger, clock, day)


# Memory ---------------------------------------------------------------------------------------------------------------


def test_a_restart_forgets_nothing(reopen: Callable[[], SqliteLedger], clock: SetClock) -> None:
    mixed = budget("2/day", key="windows")
    bucket, held, busy = (
        budget("1/hour", key="bucket", burst=2),
        budget("1/second", key="held"),
        budget(key="busy", concurrent=1),
    )
    before = reopen()
    for _ in range(2):
        call(before, clock, mixed)
        call(before, clock, bucket)
    take(before, busy)
    before.hold("held", clock.now() + 50)
    before.close()
    after = reopen()
    assert refused(after, mixed).seconds == pytest.approx(DAY, abs=1)
    assert refused(after, bucket).seconds == pytest.approx(3600, abs=1)
    assert refused(after, held).seconds == pytest.approx(50, abs=1)
    refused(after, busy)


def test_two_ledgers_on_one_file_spend_the_same(reopen: Callable[[], SqliteLedger], clock: SetClock) -> None:
    one, two = reopen(), reopen()
    budget_ = budget("3/minute")
    for ledger in (one, two, one):
        call(ledger, clock, budget_)
    refused(one, budget_)
    refused(two, budget_)


def test_memory_is_of_one_process_alone(clock: SetClock) -> None:
    one = budget("1/day")
    call(MemoryLedger(clock), clock, one)
    call(MemoryLedger(clock), clock, one)


def test_threads_share_a_ledger() -> None:
    clock = SystemClock()
    ledger, budget_ = MemoryLedger(clock), budget("1000/minute", concurrent=2)
    at_once, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        for _ in range(10):
            lease = acquire(ledger, [budget_], clock, 30.0, LEASE)
            with lock:
                at_once += 1
                most = max(most, at_once)
            with lock:
                at_once -= 1
            ledger.release(lease)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 2
    assert ledger.spent(budget_).windows[0].used == 40


def test_a_hold_forgets_no_call_of_which_nothing_was_heard(ledger: SqliteLedger, clock: SetClock) -> None:
    budget = Budget("k", "k", (Window(2, 3600),), transit=5)
    ledger.try_acquire([budget], Ticket(), 20.0)  # and its process is killed
    clock.wind(30.0)
    ledger.hold("k", clock.now())
    assert ledger.spent(budget).windows[0].used == 1


def test_a_hold_notices_that_the_clock_was_set_back_for_the_days_too(ledger: SqliteLedger, clock: SetClock) -> None:
    budget = Budget("k", "k", (Window(1, DAY, "UTC"),))
    lease = ledger.try_acquire([budget], Ticket(), 20.0)
    assert isinstance(lease, Lease)
    ledger.release(lease)
    clock.set(-40 * DAY)
    ledger.hold("k", clock.now())
    clock.wind(DAY)
    assert isinstance(ledger.try_acquire([budget], Ticket(), 20.0), Lease)
