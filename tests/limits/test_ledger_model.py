"""Whatever happens in whatever order, the vendor never receives more than it allows.

The machine plays several processes on one ledger, and afterwards the vendor: it knows when each call really was under
way, lets it arrive at any moment in between, and counts strictly in true time. Clocks are set, processes die, the
ledger is closed and opened again.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from bisect import bisect_left
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from connectory.limits.blocks import Blocks
from connectory.limits.budgets import DAY, Budget, Window
from connectory.limits.ledger import TICKET_SECONDS, Lease, Ledger, Ticket
from connectory.limits.memory import MemoryLedger
from connectory.limits.sqlite import SqliteLedger
from limits.conftest import SetClock

LEASE = 20.0
ROUNDING = 1e-5

A = Budget("a", "a", (Window(3, 2), Window(5, 7)), concurrent=2)
MODEST = attrs.evolve(A, concurrent=1)
B = Budget("b", "b", (Window(1, 3),), burst=4, transit=5)
C = Budget("c", "c", (Window(6, 60),), gap=0.62, transit=5)
D = Budget("d", "d", (Window(9, DAY, "Europe/Amsterdam"), Window(12, DAY)), concurrent=3)
CALLS = [(A,), (MODEST,), (B,), (C,), (D,), (A, B), (A, D), (B, C), (A, B, C, D)]


@attrs.define
class Call:
    """One call in true time. It arrives between `start` and `end`, at `fraction` of the way."""

    lease: Lease
    start: float
    fraction: float
    end: float | None = None

    def names(self) -> set[str]:
        return {budget.key for budget in self.lease.budgets}

    def latest(self, budget: Budget, now: float) -> float:
        end = now if self.end is None else self.end
        return min(end, self.start + budget.transit, self.start + LEASE)

    def arrival(self, budget: Budget, now: float) -> float:
        return self.start + (self.latest(budget, now) - self.start) * self.fraction


class Vendor(RuleBasedStateMachine):
    """Grants are kept as a list; the rules of the vendor are checked on it after every step that could break them."""

    calls: list[Call]
    tickets: list[tuple[Ticket, tuple[Budget, ...]]]
    leapt = False

    @initialize()
    def begin(self) -> None:
        self.clock = SetClock()
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = self.make()
        self.calls, self.tickets = [], []

    def make(self) -> Ledger:
        self.file = SqliteLedger(self.folder / "ledger.sqlite", self.clock)
        return self.file

    def now(self) -> float:
        return self.clock.monotonic()

    @rule(budgets=st.sampled_from(CALLS), fraction=st.sampled_from([0.0, 0.5, 1.0]))
    def ask(self, budgets: tuple[Budget, ...], fraction: float) -> None:
        self.try_with(Ticket(), budgets, fraction)

    @precondition(lambda self: self.tickets)
    @rule(which=st.integers(0, 100), fraction=st.sampled_from([0.0, 0.5, 1.0]))
    def ask_again(self, which: int, fraction: float) -> None:
        ticket, budgets = self.tickets.pop(which % len(self.tickets))
        self.try_with(ticket, budgets, fraction)

    def try_with(self, ticket: Ticket, budgets: tuple[Budget, ...], fraction: float) -> None:
        got = self.ledger.try_acquire(budgets, ticket, LEASE)
        if isinstance(got, Lease):
            self.calls.append(Call(got, self.now(), fraction))
            self.owned()
            self.check()
        else:
            assert got.seconds >= 0
            assert got.seconds < 3 * DAY
            self.tickets.append((ticket, budgets))

    def owned(self) -> None:
        """The last call is this process's."""

    def all_ended(self) -> None:
        """Nobody calls any more."""

    @precondition(lambda self: any(call.end is None for call in self.calls))
    @rule(which=st.integers(0, 100), linger=st.sampled_from([0.0, 0.0, 0.0, 1.5]))
    def end(self, which: int, linger: float) -> None:
        under_way = [call for call in self.calls if call.end is None]
        call = under_way[which % len(under_way)]
        self.released(call, linger)
        call.end = self.now() + linger

    def released(self, call: Call, linger: float = 0.0) -> None:
        self.ledger.release(call.lease, linger)

    @precondition(lambda self: self.tickets)
    @rule()
    def give_up(self) -> None:
        self.ledger.withdraw(self.tickets.pop()[0])

    @rule(seconds=st.sampled_from([0.01, 0.3, 0.62, 1.0, 2.0, 3.0, 7.0, 25.0, 61.0, 3 * 3600.0, DAY]))
    def pass_time(self, seconds: float) -> None:
        self.clock.wind(seconds)

    @rule(by=st.sampled_from([-0.05, -0.7, -30.0, -3601.0, -40 * DAY, 0.7, 30.0, 3601.0, 40 * DAY]))
    def set_clock(self, by: float) -> None:
        self.clock.set(by)
        self.leapt = self.leapt or by > 0

    @rule()
    def restart(self) -> None:
        self.file.close()
        self.ledger = self.make()

    @rule(key=st.sampled_from("abcd"), seconds=st.sampled_from([0.5, 5.0]))
    def hold(self, key: str, seconds: float) -> None:
        self.ledger.hold(key, self.clock.now() + seconds)

    @rule(budget=st.sampled_from([A, B, C, D]))
    def look(self, budget: Budget) -> None:
        spent = self.ledger.spent(budget)
        assert spent.room_at >= spent.now
        assert all(window.used + window.left >= window.window.count for window in spent.windows if budget is not B)

    # The vendor's side ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        for budget in (A, B, C, D):
            calls = [call for call in self.calls if budget.key in call.names()]
            arrivals = sorted(call.arrival(budget, self.now()) for call in calls)
            for window in budget.rolling:
                # Long windows believe a wall clock that leaps: it may be that the computer slept.
                if window.seconds < 3600 or not self.leapt:
                    self.check_window(arrivals, window)
            if budget.burst is not None:
                self.check_bucket(arrivals, budget)
            if budget.concurrent is not None:
                under_way = [call for call in calls if self.may_run(call)]
                assert len(under_way) <= budget.concurrent, f"{len(under_way)} calls at once on {budget.name}"
        if self.clock.ahead == 0 and not self.leapt:
            self.check_days()

    def may_run(self, call: Call) -> bool:
        end = math.inf if call.end is None else call.end
        return min(end, call.start + LEASE) > self.now()

    def check_window(self, arrivals: list[float], window: Window) -> None:
        for first, last in zip(arrivals, arrivals[window.count :], strict=False):
            assert last - first >= window.seconds - ROUNDING, f"{window.count + 1} calls in {last - first} s: {window}"

    def check_bucket(self, arrivals: list[float], budget: Budget) -> None:
        assert budget.burst is not None
        tokens, before = float(budget.burst), -math.inf
        for arrival in arrivals:
            tokens = min(budget.burst, tokens + (arrival - before) * budget.refill) - 1
            before = arrival
            assert tokens >= -ROUNDING, "the vendor's bucket was empty"

    def check_days(self) -> None:
        window = D.days[0]
        arrivals = [call.arrival(D, self.now()) for call in self.calls if "d" in call.names()]
        days = sorted(window.day(1_800_000_000.0 + arrival) for arrival in arrivals)
        assert all(bisect_left(days, day + 1) - bisect_left(days, day) <= window.count for day in days)

    def teardown(self) -> None:
        """At the end everybody gets through: nothing is blocked for ever, and what was said about waits was true."""
        if not hasattr(self, "ledger"):
            return
        try:
            for call in self.calls:
                if call.end is None:
                    self.released(call)
                    call.end = self.now()
            self.check()
            self.all_ended()
            self.clock.wind(TICKET_SECONDS + 31.0)
            for budgets in CALLS:
                self.finally_pass(budgets)
        finally:
            self.file.close()
            shutil.rmtree(self.folder)

    def finally_pass(self, budgets: tuple[Budget, ...]) -> None:
        ticket = Ticket()
        for _ in range(12):  # one wait may end where another's begins, and a clock set back keeps places alive anew
            got = self.ledger.try_acquire(budgets, ticket, LEASE)
            if isinstance(got, Lease):
                self.calls.append(Call(got, self.now(), 0.5, self.now()))
                self.check()
                self.ledger.release(got)
                return
            self.clock.wind(got.seconds + 1e-4 if got.known else 1.0)
        raise AssertionError(f"{[budget.name for budget in budgets]} stay blocked")


class VendorOfOneProcess(Vendor):
    def make(self) -> Ledger:
        self.file = MemoryLedger(self.clock)
        return self.file

    def restart(self) -> None:
        """What is in memory does not outlive it."""


class VendorOfBlocks(Vendor):
    """Several processes that each take permits by the block, as large as the limits themselves; some are killed."""

    def make(self) -> Ledger:
        self.file = SqliteLedger(self.folder / "ledger.sqlite", self.clock)
        self.others: list[Ledger] = [self.begun(), self.begun()]
        self.owners: dict[int, Ledger] = {}  # of calls, by their place in `calls`
        return self.begun()

    def begun(self) -> Blocks:
        return Blocks(self.file, self.clock, share=1, watched=False)

    def all_ended(self) -> None:
        for one in self.blocks():
            one.look()
            one.look()  # unused since
        for _ in range(2):  # what killed ones held ends by itself, once a clock that was set is known of
            self.clock.wind(60.0)
            for budget in (A, B, C, D):
                self.file.hold(budget.key, self.clock.now())

    def blocks(self) -> list[Blocks]:
        return [one for one in (self.ledger, *self.others) if isinstance(one, Blocks)]

    def owned(self) -> None:
        self.owners[len(self.calls) - 1] = self.ledger

    @rule()
    def another_process(self) -> None:
        self.others.append(self.ledger)
        self.ledger = self.others.pop(0)

    @rule()
    def look_for_idle_ones(self) -> None:
        for one in self.blocks():
            one.look()

    @rule(budgets=st.sampled_from(CALLS), calls=st.integers(2, 9))
    def call_fast(self, budgets: tuple[Budget, ...], calls: int) -> None:
        for _ in range(calls):
            got = self.ledger.try_acquire(budgets, ticket := Ticket(), LEASE)
            if not isinstance(got, Lease):
                self.ledger.withdraw(ticket)
                return
            self.calls.append(Call(got, self.now(), 1.0, self.now()))
            self.check()
            self.ledger.release(got)

    def released(self, call: Call, linger: float = 0.0) -> None:
        """By the process that made it; where that was killed, by nobody."""
        owner = self.owners.get(self.calls.index(call))
        if owner is not None:
            owner.release(call.lease, linger)


quick = settings(max_examples=40, stateful_step_count=40, suppress_health_check=list(HealthCheck))
long = settings(quick, max_examples=1500, stateful_step_count=80)


@pytest.mark.parametrize("vendor", [Vendor, VendorOfOneProcess, VendorOfBlocks])
def test_the_vendor_never_receives_more_than_it_allows(vendor: type[Vendor]) -> None:
    run_state_machine_as_test(vendor, settings=quick)


@pytest.mark.fuzz
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("vendor", [VendorOfOneProcess, VendorOfBlocks])
def test_long(vendor: type[Vendor]) -> None:
    run_state_machine_as_test(vendor, settings=long)
