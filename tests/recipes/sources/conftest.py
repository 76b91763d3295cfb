"""A recipe of some source, and its reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectory.connecting import Parts, load_registry
from connectory.destinations.duckdb import DuckDBTable
from connectory.errors import DestinationError
from connectory.recipes.context import Connectors, Context
from connectory.recipes.opening import SOURCES
from connectory.recipes.recipe import load_recipe
from connectory.recipes.source import SourceReader
from connectory.recipes.sync import Report, run_recipe

OpenSource = Callable[..., SourceReader]
Run = Callable[..., Report]


@pytest.fixture
def open_source(tmp_path: Path) -> OpenSource:
    """Opens the source that the YAML behind `from:` says, in a project of the test's own."""

    def opened(source: str, environ: Mapping[str, str] | None = None) -> Any:
        file = tmp_path / "recipes" / "r.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"name: r\nfrom:\n{source}\nto: {{duckdb: out.duckdb, table: t}}\n")
        parts = Parts(environ=environ or {})
        loaded = load_recipe(load_registry(), file)
        context = Context(
            loaded=loaded,
            root=tmp_path,
            registry=load_registry(),
            parts=parts,
            connectors=Connectors(tmp_path, parts),
        )
        reader: Any = SOURCES[loaded.recipe.from_.kind](context, loaded.recipe.from_.options)
        return reader

    return opened


@pytest.fixture
def snapshots(tmp_path: Path) -> Callable[[], list[Path]]:
    """What is kept at this moment."""
    return lambda: sorted((tmp_path / ".connectory" / "snapshots").glob("*"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the recipe of a text."""

    def run(text: str, **options: Any) -> Report:
        file = tmp_path / "recipes" / "r.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return run_recipe(file, parts=Parts(environ={}), root=tmp_path, **options)

    return run


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets a DuckDB table refuse the n-th write from now on, once, and gives three rows to each."""
    real = DuckDBTable.write
    left = [-1]

    def write(self: DuckDBTable, *arguments: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise DestinationError("the disk is full")
        return real(self, *arguments)

    monkeypatch.setattr(DuckDBTable, "write", write)
    monkeypatch.setattr("connectory.recipes.sources.files.ROWS_PER_CHUNK", 3)
    monkeypatch.setattr("connectory.recipes.sources.queries.ROWS_PER_CHUNK", 3)
    monkeypatch.setattr("connectory.recipes.sources.duckdb_query.ROWS_IN_DUCKDB", 3)
    monkeypatch.setattr("connectory.recipes.changing.gathered.ROWS_IN_DUCKDB", 3)

    def at(number: int) -> None:
        left[0] = number

    return at
