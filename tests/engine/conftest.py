"""Connectors of small made-up specs, against a vendor on loopback that each test writes for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory import Connector, Parts, connect
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.limits.memory import MemoryLedger
from emulators.exchange import Answer, Ask
from emulators.server import Emulator


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class Vendor(Emulator):
    """Answers by `reply`, which a test sets. It shows nothing of its log by repr: tests look for secrets in frames."""

    def __repr__(self) -> str:
        return "<Vendor>"

    reply: Callable[[Ask], Answer] = lambda ask: Answer.json({})

    def answer(self, ask: Ask) -> Answer:
        return self.reply(ask)

    @property
    def routes(self) -> list[str]:
        """`METHOD /path` of every request so far."""
        return [exchange.route for exchange in self.requests()]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def parts(clock: ManualClock, tmp_path: Path) -> Parts:
    """Everything that a connector keeps, new and empty."""
    return Parts(clock=clock, ledger=MemoryLedger(clock), tokens=TokenStore(tmp_path / "tokens"), environ={})


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Vendor]:
    with Vendor(clock=clock) as running:
        yield running


Connecting = Callable[..., Connector]


@pytest.fixture
def connecting(tmp_path: Path, vendor: Vendor, parts: Parts) -> Iterator[Connecting]:
    """`connecting(spec, api_key=...)`: a project with that spec alone, connected to the vendor."""
    opened: list[Connector] = []

    def make(spec: str, **settings: Any) -> Connector:
        (tmp_path / "specs").mkdir(exist_ok=True)
        text = spec if spec.startswith("name:") or "\nname:" in spec else f"name: acme\n{spec}"
        name = next(line for line in text.splitlines() if line.startswith("name:")).split()[1]
        (tmp_path / "specs" / f"{name}.yaml").write_text(text)
        (tmp_path / "connectory.toml").touch()
        given = {"server": vendor.url, "parts": parts, **settings}
        opened.append(connect(name, project=tmp_path, **given))
        return opened[-1]

    yield make
    for connector in opened:
        connector.close()
