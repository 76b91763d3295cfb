"""The one place where plug-ins are found, registered and checked."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pluggy

from connectory.errors import PluginError, nearest
from connectory.plugins import builtin, hookspecs
from connectory.plugins.guarding import guard
from connectory.plugins.kinds import (
    AuthKind,
    BatchKind,
    Codec,
    DestinationKind,
    Discoverer,
    Format,
    OutcomeKind,
    PagerKind,
)

ENTRY_POINTS = "connectory"


@attrs.frozen
class Plugin:
    """One registered plug-in and where it came from."""

    name: str
    origin: str
    hooks: tuple[str, ...] = ()


@attrs.frozen
class SpecFile:
    """A spec that can be loaded, and who brings it."""

    vendor: str
    file: Traversable
    origin: str


@attrs.frozen(eq=False)
class Registry:
    """Everything that plug-ins supply, by name. Built once; nothing is registered later: it equals itself only."""

    plugins: tuple[Plugin, ...]
    broken: Mapping[str, str]
    specs: Mapping[str, SpecFile]
    packaged: Mapping[str, SpecFile]
    auth: Mapping[str, AuthKind]
    pagers: Mapping[str, PagerKind]
    batches: Mapping[str, BatchKind]
    outcomes: Mapping[str, OutcomeKind]
    codecs: Mapping[str, Codec]
    formats: Mapping[str, Format]
    filters: Mapping[str, Callable[..., Any]]
    discover: Mapping[str, Discoverer]
    destinations: Mapping[str, DestinationKind]
    secrets: Mapping[str, Callable[[str], str]]


_TABLES = (
    *("auth", "pagers", "batches", "outcomes", "codecs"),
    *("formats", "filters", "discover", "destinations", "secrets"),
)

# What each hook's values must be; those of the others are functions.
_KINDS: Mapping[str, type] = {
    "auth": AuthKind,
    "pagers": PagerKind,
    "batches": BatchKind,
    "outcomes": OutcomeKind,
    "codecs": Codec,
    "formats": Format,
    "discover": Discoverer,
    "destinations": DestinationKind,
}


def load_registry(project: Path | None = None) -> Registry:
    """Register the built-ins, the installed packages' plug-ins and the project's `connectors/*.py`.

    A project's spec of a packaged vendor's name wins. A plug-in that cannot be imported is kept under `broken` and the
    others go on. Raises PluginError for a hook that does not exist or has the wrong arguments, and for two plug-ins
    that supply the same word.
    """
    manager = pluggy.PluginManager("connectory")
    manager.add_hookspecs(hookspecs)
    broken: dict[str, str] = {}
    plugins: list[Plugin] = []
    for name, origin, module in [
        ("builtin", "connectory", builtin),
        *_installed(broken),
        *_of_project(project, broken),
    ]:
        plugins.append(_register(manager, name, origin, module))
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as why:
        raise PluginError(_misspelt(str(why))) from None
    packaged = _packaged_specs(manager)
    own = {} if project is None else _spec_files((project / "specs").glob("*.yaml"), str(project))
    tables: dict[str, Any] = {table: _table(manager, table) for table in _TABLES}
    return Registry(plugins=tuple(plugins), broken=broken, specs={**packaged, **own}, packaged=packaged, **tables)


def _register(manager: pluggy.PluginManager, name: str, origin: str, module: ModuleType) -> Plugin:
    try:
        manager.register(module, name=f"{origin}:{name}")
    except (pluggy.PluginValidationError, ValueError) as why:
        raise PluginError(f"plug-in {name} ({origin}): {why}") from None
    hooks = tuple(
        sorted(hook for hook in dir(module) if hook.startswith("connectory_") and callable(getattr(module, hook)))
    )
    return Plugin(name, origin, hooks)


def _installed(broken: dict[str, str]) -> list[tuple[str, str, ModuleType]]:
    found: list[tuple[str, str, ModuleType]] = []
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        told = point.dist.metadata if point.dist else None  # a file, read anew each time that it is asked for
        origin = f"{told['Name']} {told['Version']}" if told else point.value
        try:
            loaded = point.load()
            modules = loaded() if callable(loaded) else [loaded]
        except Exception as why:  # a stranger's code may raise anything; the others must still work
            broken[point.name] = f"{type(why).__name__}: {why}"
            continue
        found += [(module.__name__.rpartition(".")[2], origin, module) for module in modules]
    return found


def _of_project(project: Path | None, broken: dict[str, str]) -> list[tuple[str, str, ModuleType]]:
    found: list[tuple[str, str, ModuleType]] = []
    for file in sorted((project / "connectors").glob("*.py")) if project else []:
        if file.stem.startswith("_"):
            continue
        name = f"connectory_project_{file.stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # attrs resolves the annotations of options classes through it
        try:
            spec.loader.exec_module(module)
        except Exception as why:
            broken[file.stem] = f"{file}: {type(why).__name__}: {why}"
            continue
        found.append((file.stem, str(file), module))
    return found


def _call_hook(manager: pluggy.PluginManager, hook: str) -> Iterable[tuple[str, Any]]:
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        try:
            yield implementation.plugin_name, implementation.function()
        except Exception as why:
            raise PluginError(
                f"plug-in {implementation.plugin_name}: {hook} raised {type(why).__name__}: {why}"
            ) from why


def _table(manager: pluggy.PluginManager, table: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for plugin, words in _call_hook(manager, f"connectory_{table}"):
        if not isinstance(words, Mapping):
            raise PluginError(f"plug-in {plugin}: connectory_{table} must return a mapping, not {type(words).__name__}")
        for word, kind in words.items():
            _check_kind(plugin, table, word, kind)
            if word in merged:
                raise PluginError(f"{table}: both {owners[word]} and {plugin} supply '{word}'")
            merged[word] = kind if plugin.startswith("connectory:") else guard(word, kind)
            owners[word] = plugin
    return merged


def _check_kind(plugin: str, table: str, word: str, kind: Any) -> None:
    expected = _KINDS.get(table)
    if isinstance(kind, expected) if expected else callable(kind):
        return
    article = "an" if table in ("auth", "outcomes") else "a"
    name = expected.__name__ if expected else "function"
    raise PluginError(
        f"plug-in {plugin}: connectory_{table}: '{word}' must be {article} {name}, not {type(kind).__name__}"
    )


def _packaged_specs(manager: pluggy.PluginManager) -> dict[str, SpecFile]:
    merged: dict[str, SpecFile] = {}
    for plugin, files in _call_hook(manager, "connectory_specs"):
        for vendor, spec in _spec_files(files, plugin.partition(":")[0]).items():
            if vendor in merged:
                raise PluginError(f"both {merged[vendor].origin} and {spec.origin} bring a spec '{vendor}'")
            merged[vendor] = spec
    return merged


def _spec_files(files: Iterable[Traversable], origin: str) -> dict[str, SpecFile]:
    named = {file.name.removesuffix(".yaml"): file for file in files}
    return {vendor: SpecFile(vendor, named[vendor], origin) for vendor in sorted(named)}


def _misspelt(message: str) -> str:
    known = [hook for hook in dir(hookspecs) if hook.startswith("connectory_")]
    wrong = next((word.strip("'\"") for word in message.split() if word.strip("'\"").startswith("connectory_")), "")
    return f"{message}{nearest(wrong, known)}" if wrong else message
