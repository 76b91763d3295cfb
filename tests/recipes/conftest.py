"""A project for recipes that push, and the clock that its vendors share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectory import Parts
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.limits.memory import MemoryLedger
from recipes.pushes import Pushes

Push = Callable[..., Pushes]


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    clock = ManualClock()
    return Parts(clock=clock, ledger=MemoryLedger(clock), tokens=TokenStore(tmp_path / "tokens"), environ={})


@pytest.fixture
def pushes(tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Push:
    """`pushes(to, server=..., api_key=...)`: a recipe with that destination."""

    def make(to: str, **settings: Any) -> Pushes:
        return Pushes(tmp_path, parts, to, settings, monkeypatch)

    return make
