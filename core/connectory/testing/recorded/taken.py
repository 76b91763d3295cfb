"""What a played call takes besides answers: the time that it waits, and its calls of each limit."""

from __future__ import annotations

from collections.abc import Sequence

from connectory.clock import ManualClock
from connectory.connector import Connector
from connectory.limits.budgets import Budget
from connectory.limits.ledger import Lease, Ticket, Wait
from connectory.limits.memory import MemoryLedger
from connectory.testing.recorded.outcome import Gives


class NoChance(ManualClock):
    """Waits are those that the vendor or the spec names: chance adds nothing to them."""

    def random(self) -> float:
        return 0.0


class Tally(MemoryLedger):
    """A ledger that counts the calls that it granted, by the name of the limit."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.counts: dict[str, int] = {}

    def try_acquire(self, budgets: Sequence[Budget], ticket: Ticket, lease_seconds: float) -> Lease | Wait:
        got = super().try_acquire(budgets, ticket, lease_seconds)
        if isinstance(got, Lease):
            for budget in budgets:
                self.counts[budget.name] = self.counts.get(budget.name, 0) + 1
        return got


def taken(connector: Connector) -> Gives:
    """What a call took besides answers: seconds that it waited, and calls of each limit."""
    line = connector.engine.line
    took: Gives = {}
    if isinstance(line.ledger, Tally) and line.ledger.counts:
        took["limits"] = line.ledger.counts
    if waited := round(line.clock.monotonic(), 3):
        took["waited"] = waited
    return took
