"""The project a command works in, its plug-ins, and the names in its specs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

FOLDERS: Final = ("specs", "recipes", "connectors")

if TYPE_CHECKING:
    from connectory.plugins.registry import Registry
    from connectory.spec.language import Spec


def project_root(project: str | None) -> Path | None:
    """The folder of the project given, or of the one around the working directory; None where there is none."""
    from connectory.connecting import open_project

    home = open_project(project)
    return home.root if home else None


def root_of(path: Path) -> Path | None:
    """The project that a spec, recipe or plug-in belongs to, or that a folder is."""
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    return project_root(str(folder)) or (project_root(str(folder.parent)) if folder.name in FOLDERS else None)


def folder_of(recipe: Path) -> Path:
    """What a recipe's paths are relative to: its project, else its own folder."""
    return root_of(recipe) or recipe.resolve().parent


def root_here(project: str | None) -> Path:
    """The project, or the folder where it would be."""
    return project_root(project) or Path.cwd()


def registry_of(project: str | None) -> Registry:
    """The plug-ins installed, and those of the project."""
    from connectory.connecting import load_registry

    return load_registry(project_root(project))


def cassettes_of(project: str | None) -> Path:
    """Where the project keeps its recorded calls."""
    return root_here(project) / "cassettes"


def vendors_of(project: str | None, named: Sequence[str]) -> list[str]:
    """The vendors named, else those whose specs the project holds. Raises ArgumentError for one that nobody brings."""
    from connectory.errors import ArgumentError, nearest

    known = registry_of(project).specs
    root = str(project_root(project))
    vendors = list(named) or [vendor for vendor, source in known.items() if source.origin == root]
    for vendor in vendors:
        if vendor not in known:
            raise ArgumentError(f"no connector '{vendor}'{nearest(vendor, known)} (there are {', '.join(known)})")
    if not vendors:
        raise ArgumentError("no specs/ here: name a VENDOR, or go to a project")
    return vendors


def check_operation(spec: Spec, operation: str) -> None:
    """Raises ArgumentError, with the nearest right name, for an operation that there is not."""
    from connectory.errors import ArgumentError, nearest

    if operation not in spec.operations:
        hint = nearest(operation, spec.operations) or f" (connectory show {spec.name} lists them)"
        raise ArgumentError(f"{spec.name}: no operation '{operation}'{hint}")
