"""The demo: recipes that come with an installed spec, run against recorded exchanges served again on loopback."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.resources import as_file
from pathlib import Path

import attrs

from connectory.auth.tokens import TokenStore
from connectory.connecting import Parts, load_registry
from connectory.errors import ArgumentError
from connectory.limits.memory import MemoryLedger
from connectory.recipes.sync import Observer, Report, run_recipe
from connectory.replay import ReplayServer, read_exchanges


@attrs.frozen
class Demo:
    """One recipe of a demo and how it ended."""

    recipe: Path
    report: Report


def run_demo(folder: Path, watch: Callable[[str], Observer]) -> Iterator[Demo]:
    """Run every packaged demo recipe in `folder`, one after the other; what they keep stays in there.

    `watch` gives the observer of a recipe by its name.
    Raises ArgumentError where no installed package brings a demo.
    """
    for source in _demo_folders():
        recipes = folder / "recipes"
        recipes.mkdir(parents=True, exist_ok=True)
        with (
            ReplayServer(read_exchanges(source / "exchanges.jsonl")) as server,
            tempfile.TemporaryDirectory() as scratch,
        ):
            # The demo's server is nobody's vendor: what is spent and learnt there must not reach the user's own ledger.
            parts = Parts(ledger=MemoryLedger(), tokens=TokenStore(Path(scratch)))
            for packaged in sorted(source.glob("*.yaml")):
                recipe = Path(shutil.copy(packaged, recipes))
                settings = {"server": server.url, "api_key": "demo"}
                observers = [watch(recipe.stem)]
                yield Demo(recipe, run_recipe(recipe, settings=settings, parts=parts, root=folder, observers=observers))


def _demo_folders() -> list[Path]:
    folders: list[Path] = []
    for spec in load_registry().packaged.values():
        with as_file(spec.file) as file:
            demo = file.parent / "demo"
        if (demo / "exchanges.jsonl").is_file() and demo not in folders:
            folders.append(demo)
    if not folders:
        raise ArgumentError("no installed package brings a demo")
    return folders
