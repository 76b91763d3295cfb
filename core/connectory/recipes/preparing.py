"""One start of a recipe, put together: its file checked, its project, its connectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectory.connecting import Parts, load_registry, open_project
from connectory.recipes.checks import check_recipe
from connectory.recipes.context import Connectors, Context


@contextmanager
def prepared(
    file: Path,
    *,
    root: Path | None,
    parts: Parts,
    settings: Mapping[str, Any],
    profile: str | None,
    max_wait: float,
    confirmed: bool = False,
) -> Iterator[Context]:
    """What reading and writing need. The connectors are closed in the end. Raises InputError."""
    project = open_project(file.resolve().parent)
    root = root or (project.root if project else file.resolve().parent)
    registry = load_registry(project.root if project else None)
    loaded = check_recipe(registry, file, root)
    connectors = Connectors(root, parts, profile, max_wait, settings)
    context = Context(
        loaded=loaded,
        root=root,
        registry=registry,
        parts=parts,
        connectors=connectors,
        now=parts.clock.now(),
        confirmed=confirmed,
    )
    try:
        yield context
    finally:
        connectors.close()
