"""Clocks that can be set, and both ledgers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectory.clock import ManualClock
from connectory.limits.memory import MemoryLedger
from connectory.limits.sqlite import SqliteLedger


class SetClock(ManualClock):
    """A manual clock whose wall time can be set, as people and time servers do."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        super().__init__(start)
        self.ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def set(self, by: float) -> None:
        self.ahead += by


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture(params=["file", "memory"])
def ledger(request: pytest.FixtureRequest, path: Path, clock: SetClock) -> Iterator[SqliteLedger]:
    with SqliteLedger(path, clock) if request.param == "file" else MemoryLedger(clock) as made:
        yield made


@pytest.fixture
def reopen(path: Path, clock: SetClock) -> Iterator[Callable[[], SqliteLedger]]:
    """Another process's view of the file: a ledger of its own on it."""
    made: list[SqliteLedger] = []

    def another() -> SqliteLedger:
        made.append(SqliteLedger(path, clock))
        return made[-1]

    yield another
    for one in made:
        one.close()
