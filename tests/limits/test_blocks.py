"""Permits by the block: few transactions, nothing kept from others for longer than a second, nothing lost for good."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory.limits.blocks import Blocks
from connectory.limits.budgets import Budget, Restraint, Window
from connectory.limits.ledger import Lease, Ticket, Wait
from connectory.limits.sqlite import SqliteLedger
from connectory.limits.told import Told
from limits.conftest import SetClock

WIDE = Budget("wide", "wide", (Window(100_000, 60),), concurrent=2)


class Counted(SqliteLedger):
    """Counts its transactions."""

    transactions = 0

    def _transact(self, *work: Any, **how: Any) -> Any:
        self.transactions += 1
        return super()._transact(*work, **how)


@pytest.fixture
def file(path: Path, clock: SetClock) -> Iterator[Counted]:
    with Counted(path, clock) as made:
        yield made


@pytest.fixture
def blocks(file: Counted, clock: SetClock) -> Blocks:
    return Blocks(file, clock, watched=False)


def call(blocks: Blocks, *budgets: Budget, told: dict[str, Told] | None = None) -> Lease:
    got = blocks.try_acquire(budgets, Ticket(), 20.0)
    assert isinstance(got, Lease), got
    blocks.release(got, 0.0, told or {})
    return got


def used(file: SqliteLedger, budget: Budget = WIDE) -> int:
    return file.spent(budget).windows[0].used


def test_many_fast_calls_take_few_transactions_and_each_is_counted(blocks: Blocks, file: Counted) -> None:
    for _ in range(1000):
        call(blocks, WIDE)
    assert file.transactions < 40
    blocks.give_back()
    assert used(file) == 1000


def test_slow_calls_are_asked_for_one_by_one(blocks: Blocks, file: Counted, clock: SetClock) -> None:
    for number in range(1, 10):
        call(blocks, WIDE)
        clock.wind(1.5)
        assert (used(file), file.spent(WIDE).in_flight) == (number, 0)


def test_what_is_left_of_a_block_comes_back(blocks: Blocks, file: Counted, clock: SetClock) -> None:
    for _ in range(10):
        call(blocks, WIDE)
    assert used(file) > 10
    assert blocks.look()
    assert not blocks.look()  # nobody has used it since
    assert (used(file), file.spent(WIDE).in_flight) == (10, 0)
    for _ in range(10):
        call(blocks, WIDE)
    clock.wind(1.5)
    call(blocks, WIDE)  # too late for the block
    assert not blocks.look()
    assert used(file) == 21


def test_a_slot_is_given_to_whoever_needs_it(file: Counted, clock: SetClock) -> None:
    one = attrs.evolve(WIDE, concurrent=1)
    other = Budget("other", "other", (Window(100_000, 60),))
    blocks = Blocks(file, clock, watched=False)
    for _ in range(3):
        for _ in range(5):
            call(blocks, one)
        call(blocks, one, other)  # another operation of the same vendor
    mine = blocks.try_acquire((one,), Ticket(), 20.0)
    assert isinstance(mine, Lease)
    assert isinstance(blocks.try_acquire((one,), Ticket(), 20.0), Wait)


@pytest.mark.parametrize(
    "budget",
    [
        Budget("k", "k", (Window(100, 60),)),
        Budget("k", "k", (Window(100_000, 60),), gap=0.001),
        Budget("k", "k", (Window(600, 60),), burst=10),
        Budget("k", "k", (Window(100_000, 60), Window(500, 86_400))),
        attrs.evolve(WIDE, restraint=Restraint(reserve=10)),
    ],
    ids=["few", "gap", "burst", "day", "restraint"],
)
def test_where_little_is_allowed_nothing_is_kept_from_others(
    blocks: Blocks, file: Counted, clock: SetClock, budget: Budget
) -> None:
    for number in range(1, 6):
        call(blocks, budget)
        assert file.spent(budget).windows[0].used <= number
        assert file.spent(budget).in_flight == 0
        clock.wind(0.01)


def test_a_vendor_who_tells_what_is_left_is_believed_at_once(blocks: Blocks, file: Counted, clock: SetClock) -> None:
    for _ in range(10):
        call(blocks, WIDE)
    call(blocks, WIDE, told={"wide": Told(left=1, reset=clock.now() + 30)})
    call(blocks, WIDE)
    assert isinstance(blocks.try_acquire((WIDE,), Ticket(), 20.0), Wait)


def test_what_one_call_is_told_ends_the_blocks_of_others(blocks: Blocks, clock: SetClock) -> None:
    """Another operation's block, and one of the same operation that was taken while the telling call was under way."""
    calls, other = Budget("calls", "calls", WIDE.windows), Budget("other", "other", WIDE.windows)
    lone = blocks.try_acquire((calls,), Ticket(), 20.0)
    assert isinstance(lone, Lease)
    for budgets in [(calls, other), (calls,)]:
        for _ in range(10):
            call(blocks, *budgets)
    blocks.release(lone, 0.0, {"calls": Told(left=1, reset=clock.now() + 30)})
    call(blocks, calls, other)
    assert isinstance(blocks.try_acquire((calls,), Ticket(), 20.0), Wait)
    assert isinstance(blocks.try_acquire((calls, other), Ticket(), 20.0), Wait)


def test_a_hold_ends_the_block(blocks: Blocks, clock: SetClock) -> None:
    for _ in range(10):
        call(blocks, WIDE)
    blocks.hold("wide", clock.now() + 5)
    assert isinstance(blocks.try_acquire((WIDE,), Ticket(), 20.0), Wait)


def test_calls_at_once_take_as_many_slots_as_there_are(blocks: Blocks, file: Counted) -> None:
    for _ in range(10):
        call(blocks, WIDE)
    first, second = (blocks.try_acquire((WIDE,), Ticket(), 20.0) for _ in range(2))
    assert isinstance(first, Lease)
    assert isinstance(second, Lease)
    ticket = Ticket()
    assert isinstance(blocks.try_acquire((WIDE,), ticket, 20.0), Wait)
    blocks.release(first)
    assert isinstance(blocks.try_acquire((WIDE,), ticket, 20.0), Lease)


def test_a_killed_process_loses_its_block_and_no_more(path: Path) -> None:
    script = f"""
import os, signal
from connectory.limits.blocks import Blocks
from connectory.limits.budgets import Budget, Window
from connectory.limits.ledger import Ticket
from connectory.limits.sqlite import SqliteLedger
blocks, wide = Blocks(SqliteLedger({str(path)!r})), Budget("wide", "wide", (Window(100_000, 60),), concurrent=2)
for _ in range(20):
    blocks.release(blocks.try_acquire((wide,), Ticket(), 20.0))
END
"""
    for end, least, most in (("", 20, 20), ("os.kill(os.getpid(), signal.SIGKILL)", 40, 140)):
        subprocess.run([sys.executable, "-c", script.replace("END", end)], check=not end)
        with SqliteLedger(path) as ledger:
            assert least <= used(ledger) <= most


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_no_block_of_its_parents(path: Path) -> None:
    blocks = Blocks(SqliteLedger(path))
    for _ in range(20):
        call(blocks, WIDE)
    assert blocks._idle  # with room for more
    child = os.fork()
    if not child:
        for _ in range(3):
            call(blocks, WIDE)
        blocks.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    for _ in range(3):
        call(blocks, WIDE)
    blocks.close()
    with SqliteLedger(path) as ledger:
        assert used(ledger) == 26


def test_idle_blocks_are_ended_without_being_asked(path: Path) -> None:
    file = SqliteLedger(path)
    blocks = Blocks(file)
    for _ in range(20):
        call(blocks, WIDE)
    watching = [thread for thread in threading.enumerate() if thread.name == "connectory-blocks"]
    assert watching
    for thread in watching:
        thread.join(10)
        assert not thread.is_alive()
    assert (used(file), file.spent(WIDE).in_flight) == (20, 0)
