"""A project of its own, recipes in it, and a clock that its vendors share and nobody waits for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectory import Parts
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.connecting import load_registry
from connectory.limits.memory import MemoryLedger
from connectory.recipes.sync import Report, run_recipe
from recipes.pushes import Pushes

Sync = Callable[..., Report]
Push = Callable[..., Pushes]
Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def parts(tmp_path: Path, clock: ManualClock) -> Parts:
    return Parts(clock=clock, ledger=MemoryLedger(clock), tokens=TokenStore(tmp_path / "tokens"), environ={})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project."""
    root = tmp_path / "project"
    (root / "recipes").mkdir(parents=True)
    (root / "connectory.toml").write_text("")
    return root


@pytest.fixture
def start(project: Path, parts: Parts) -> Sync:
    """Write a recipe and start it; `settings` go to the connector, `flags` to the run."""

    def run(text: str, *, flags: dict[str, Any] | None = None, **settings: Any) -> Report:
        file = project / "recipes" / "r.yaml"
        file.write_text(text)
        return run_recipe(file, settings=settings, parts=parts, root=project, **(flags or {}))

    return run


@pytest.fixture
def query(project: Path) -> Query:
    """Ask the table file that the recipes write."""

    def ask(text: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(project / "x.duckdb"), read_only=True) as database:
            return database.execute(text).fetchall()

    return ask


def shrink(project: Path, vendor: str, **words: tuple[str, str]) -> None:
    """Put the spec of a vendor into the project with some of its words replaced."""
    text = load_registry().packaged[vendor].file.read_text(encoding="utf-8")
    for before, after in words.values():
        assert re.search(re.escape(before), text), before
        text = text.replace(before, after)
    (project / "specs").mkdir(exist_ok=True)
    (project / "specs" / f"{vendor}.yaml").write_text(text)


@pytest.fixture
def pushes(tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Push:
    """`pushes(to, server=..., api_key=...)`: a recipe with that destination."""

    def make(to: str, **settings: Any) -> Pushes:
        return Pushes(tmp_path, parts, to, settings, monkeypatch)

    return make
