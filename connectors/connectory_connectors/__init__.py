"""The connectors that come with connectory: one module a vendor, each bringing its spec."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType


def plugins() -> list[ModuleType]:
    """Every vendor's module: each is a plug-in of its own."""
    return [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]


def spec_file(name: str) -> Traversable:
    """A spec of this bundle: packaged beside the modules, or in a checkout's top-level `specs/`."""
    packaged = files(__name__) / "specs" / name
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "specs" / name
