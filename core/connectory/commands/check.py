"""`connectory check`: every fault of specs, recipes and plug-ins, all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import attrs
import click

from connectory.commands.connection import parse_settings, settings_options
from connectory.commands.messages import note
from connectory.commands.project import FOLDERS, project_root, root_of

if TYPE_CHECKING:
    from connectory.errors import Fault
    from connectory.plugins.registry import Registry, SpecFile

WRONG_INPUT: Final = 2
Kind = Literal["spec", "recipe", "plug-in"]


@attrs.frozen
class Subject:
    """One file to check, and the project whose plug-ins it is checked with."""

    kind: Kind
    file: Path | SpecFile
    root: Path | None


@click.command(
    epilog="""\b
Examples:
  connectory check                                   the project's specs, recipes and plug-ins
  connectory check specs/acme.yaml recipes/orders.yaml
  connectory check connectors/signing.py
  connectory check --live acme                       asks acme again what was recorded, and says what drifted
  connectory check --live acme --server http://127.0.0.1:8012

Each fault is one line: file:line:column path: what is wrong, and the nearest right word.""",
)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path))
@click.option("--live", metavar="VENDOR", help="Compare a vendor's answers with the recordings instead.")
@settings_options
@click.pass_context
def command(
    ctx: click.Context,
    paths: tuple[Path, ...],
    live: str | None,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
) -> None:
    """Check specs, recipes and plug-ins: the files or folders at PATH, else the project's, else the installed specs.

    With --live, ask a vendor (its server named sandbox, unless told otherwise) again what was recorded of calls that
    read, and compare the answers by shape. Ends with 1 where something drifted or a call failed.
    """
    if live is not None:
        from connectory.commands.live import check_live

        ctx.exit(check_live(ctx.obj, live, parse_settings(assignments, None), server, profile, max_wait))
    subjects = subjects_of(paths, ctx.obj)
    faults = _faults(subjects)
    for fault in faults:
        click.echo(str(fault))
    counts = Counter(subject.kind for subject in subjects)
    told = (
        ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()) or "nothing to check"
    )
    note(f"{told}: {len(faults)} fault{'' if len(faults) == 1 else 's'}" if subjects else told)
    if faults:
        ctx.exit(WRONG_INPUT)


def subjects_of(paths: Iterable[Path], project: str | None) -> list[Subject]:
    """The files to check: those at the paths, else the project's, else the specs that are installed."""
    return list(_given(paths, project) if paths else _everything(project))


def check_files(paths: Iterable[Path]) -> list[Fault]:
    """Every fault of these specs, recipes and plug-ins, each with its own project's plug-ins."""
    return _faults(_given(paths, None))


def _faults(subjects: Iterable[Subject]) -> list[Fault]:
    return list(dict.fromkeys(fault for subject in subjects for fault in _CHECKS[subject.kind](subject)))


def _given(paths: Iterable[Path], project: str | None) -> Iterator[Subject]:
    for path in paths:
        root = project_root(project) if project else root_of(path)
        yield from _in_folder(path, root) if path.is_dir() else [_subject(path, root)]


def _everything(project: str | None) -> Iterator[Subject]:
    """What the project holds; without one, or where it holds nothing, the specs that are installed."""
    from connectory.connecting import load_registry

    root = project_root(project)
    own = list(_in_folder(root, root)) if root else []
    yield from own or (Subject("spec", spec, None) for spec in load_registry(None).packaged.values())


def _in_folder(folder: Path, root: Path | None) -> Iterator[Subject]:
    """The specs, recipes and plug-ins of a project's folder, or the files of a folder that is one of these."""
    inner = [folder / name for name in FOLDERS if (folder / name).is_dir()]
    for place in inner or [folder]:
        pattern = "*.py" if place.name == "connectors" else "*.yaml"
        yield from (_subject(path, root) for path in sorted(place.glob(pattern)) if not path.name.startswith("_"))


def _subject(path: Path, root: Path | None) -> Subject:
    from connectory.errors import ArgumentError

    if path.suffix == ".py":
        if path.resolve().parent.name != "connectors":
            raise ArgumentError(f"{path}: a plug-in takes effect in a project's connectors/ folder; check it there")
        return Subject("plug-in", path, path.resolve().parent.parent)
    if path.suffix not in (".yaml", ".yml"):
        raise ArgumentError(f"{path}: expected a spec or recipe (.yaml) or a plug-in (.py)")
    return Subject("recipe" if _is_recipe(path) else "spec", path, root)


def _is_recipe(path: Path) -> bool:
    """By its top-level keys; by its folder where it cannot be read."""
    from connectory.errors import SpecError
    from connectory.spec.trees import read_tree

    try:
        tree = read_tree(path.read_bytes(), str(path))
    except SpecError:
        return path.resolve().parent.name == "recipes"
    keys = set(map(str, tree))
    return bool(keys & {"from", "to", "change"}) or (path.resolve().parent.name == "recipes" and "servers" not in keys)


def _registry(root: Path | None) -> Registry | list[Fault]:
    """The plug-ins, or the fault that keeps them from being loaded."""
    from connectory.connecting import load_registry
    from connectory.errors import Fault, PluginError

    try:
        return load_registry(root)
    except PluginError as why:
        return [Fault(str(root / "connectors" if root else "installed plug-ins"), 1, 1, "", str(why))]


def _check_spec(subject: Subject) -> list[Fault]:
    from connectory.connecting import discovery_file, open_project
    from connectory.errors import SpecError
    from connectory.plugins.registry import SpecFile
    from connectory.spec.load import load_file, read_discovered

    registry = _registry(subject.root)
    if isinstance(registry, list):
        return registry
    source = (
        subject.file
        if isinstance(subject.file, SpecFile)
        else SpecFile(subject.file.stem, subject.file, str(subject.root))
    )
    try:
        home = open_project(subject.root) if subject.root else None
        spec = load_file(registry, source, read_discovered(discovery_file(home, source.vendor))).spec
    except SpecError as why:
        return list(why.faults)
    bare = [name for name, operation in spec.operations.items() if not operation.examples]
    if bare:
        note(f"note: {source.file}: no example says what these answer: {', '.join(bare)}")
    return []


def _check_recipe(subject: Subject) -> list[Fault]:
    from connectory.errors import SpecError
    from connectory.recipes.checks import advice, check_recipe

    registry = _registry(subject.root)
    if isinstance(registry, list):
        return registry
    assert isinstance(subject.file, Path)
    try:
        if told := advice(check_recipe(registry, subject.file, subject.root)):
            note(f"note: {subject.file}: {told}")
    except SpecError as why:
        return list(why.faults)
    return []


def _check_plugin(subject: Subject) -> list[Fault]:
    from connectory.errors import Fault

    assert isinstance(subject.file, Path)
    try:
        compile(subject.file.read_bytes(), str(subject.file), "exec", dont_inherit=True)
    except SyntaxError as why:
        return [Fault(str(subject.file), why.lineno or 1, why.offset or 1, "", why.msg)]
    registry = _registry(subject.root)
    if isinstance(registry, list):
        return registry
    reason = registry.broken.get(subject.file.stem)
    return [Fault(str(subject.file), 1, 1, "", reason)] if reason else []


_CHECKS: Final[Mapping[Kind, Callable[[Subject], list[Fault]]]] = {
    "spec": _check_spec,
    "recipe": _check_recipe,
    "plug-in": _check_plugin,
}
