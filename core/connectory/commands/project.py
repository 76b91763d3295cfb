"""The project a command works in, its plug-ins, and the names in its specs."""

from __future__ import annotations

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


def registry_of(project: str | None) -> Registry:
    """The plug-ins installed, and those of the project."""
    from connectory.connecting import load_registry

    return load_registry(project_root(project))


def check_operation(spec: Spec, operation: str) -> None:
    """Raises ArgumentError, with the nearest right name, for an operation that there is not."""
    from connectory.errors import ArgumentError, nearest

    if operation not in spec.operations:
        hint = nearest(operation, spec.operations) or f" (connectory show {spec.name} lists them)"
        raise ArgumentError(f"{spec.name}: no operation '{operation}'{hint}")
