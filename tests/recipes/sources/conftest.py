"""A recipe of some source, and its reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectory.connecting import Parts, load_registry
from connectory.recipes.context import Connectors, Context
from connectory.recipes.opening import SOURCES
from connectory.recipes.recipe import load_recipe
from connectory.recipes.source import SourceReader

OpenSource = Callable[..., SourceReader]


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
