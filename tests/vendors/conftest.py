"""A vendor's spec as a user has it: in a project of its own, with everything new and no time passing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result

from connectory import Connector, Parts, connect, connecting
from connectory.auth.rotation import Rotation
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.commands.main import main
from connectory.limits.memory import MemoryLedger
from vendors.calling import Carrier, write_project

Meet = Callable[..., Connector]
Cli = Callable[..., Result]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def parts(clock: ManualClock, tmp_path: Path) -> Parts:
    """Everything that a connector keeps, new and empty."""
    return Parts(
        clock=clock,
        ledger=MemoryLedger(clock),
        tokens=TokenStore(tmp_path / "tokens"),
        rotation=Rotation(tmp_path / "rotation"),
        environ={},
    )


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project with the spec, and the plug-ins, that lie beside the test."""
    return write_project(request.path.parent, tmp_path)


@pytest.fixture
def meet(project: Path, parts: Parts) -> Iterator[Meet]:
    """`meet(url, api_key=...)`: a connector, made anew each time as another process would. Its requests go to the hosts
    that the spec names, and are carried to that URL on loopback."""
    made: list[Connector] = []
    (spec,) = (project / "specs").iterdir()

    def anew(url: str, **settings: Any) -> Connector:
        carried = attrs.evolve(parts, transport=Carrier(url))
        made.append(connect(spec.stem, project=project, **{"parts": carried, **settings}))
        return made[-1]

    yield anew
    for connector in made:
        connector.close()


@pytest.fixture
def cli(project: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("call", "acme", "things.list")`: one command in the project's folder, as a new process would run it."""
    monkeypatch.chdir(project)

    def run(*words: str) -> Result:
        connecting.load_registry.cache_clear()
        return CliRunner(catch_exceptions=False).invoke(main, list(words), prog_name="connectory")

    return run
