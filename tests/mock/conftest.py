"""Mocks of small made-up specs, and connectors to them with everything new and no time passing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory import Connector, Parts, connect
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.connecting import load_registry, open_spec
from connectory.limits.memory import MemoryLedger
from connectory.mock import MockServer


@attrs.frozen
class Stage:
    """A mock, a connector to it, and the clock that both live by."""

    mock: MockServer
    connector: Connector
    clock: ManualClock


Staging = Callable[..., Stage]


@contextmanager
def staged(
    vendor: str, folder: Path, project: Path | None = None, settings: dict[str, Any] | None = None, **options: Any
) -> Iterator[Stage]:
    """A vendor's mock and a connector to it; tokens lie in `folder`, `options` are the mock's."""
    clock = options.pop("clock", None) or ManualClock()
    loaded = open_spec(vendor, project)
    with MockServer(loaded, load_registry(project), clock=clock, **options) as mock:
        parts = Parts(clock=clock, ledger=MemoryLedger(clock), tokens=TokenStore(folder / "tokens"), environ={})
        given = {"server": mock.url, **(settings or {})}
        with connect(vendor, project=project, parts=parts, **given) as connector:
            yield Stage(mock, connector, clock)


def write_spec(project: Path, spec: str) -> None:
    """A project with one spec, `acme`."""
    (project / "specs").mkdir(exist_ok=True)
    (project / "specs" / "acme.yaml").write_text(f"name: acme\n{spec}", encoding="utf-8")
    (project / "connectory.toml").touch()


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    """`staging(spec, settings={...}, records=7)`: a project with that spec, its mock and a connector to it."""
    with ExitStack() as opened:

        def make(spec: str, **options: Any) -> Stage:
            write_spec(tmp_path, spec)
            return opened.enter_context(staged("acme", tmp_path, tmp_path, **options))

        yield make
