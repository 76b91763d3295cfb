"""Connectors as a user has them, against emulated vendors, on a clock that only moves when somebody waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectory import Parts
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.limits.memory import MemoryLedger


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def parts(clock: ManualClock, tmp_path: Path) -> Parts:
    """Everything that a connector keeps, new and empty."""
    return Parts(clock=clock, ledger=MemoryLedger(clock), tokens=TokenStore(tmp_path / "tokens"), environ={})
