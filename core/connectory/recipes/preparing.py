"""One start of a recipe, put together: its file checked, its project, its connectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectory.connecting import Parts, load_registry, open_project
from connectory.plugins.registry import Registry
from connectory.recipes.checks import check_recipe
from connectory.recipes.context import Connectors, Context


def surroundings(file: Path, root: Path | None) -> tuple[Path, Registry]:
    """The folder that paths of a recipe are relative to, and the plug-ins of its project.

    The folder is `root` where it is given, else the project, else the recipe's own folder. Raises InputError.
    """
    folder = file.resolve().parent
    project = open_project(folder) or (open_project(root) if root else None)
    return root or (project.root if project else folder), load_registry(project.root if project else None)


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
    root, registry = surroundings(file, root)
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
