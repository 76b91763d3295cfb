"""A spec file -> a checked Spec, or every fault of it at once."""

from __future__ import annotations

import gc
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import attrs
import msgspec
from cattrs.errors import BaseValidationError

from connectory.errors import ArgumentError, Fault, SpecError, nearest
from connectory.plugins.registry import Registry, SpecFile
from connectory.spec.checks import check_spec, references, templates
from connectory.spec.checks.walking import walk
from connectory.spec.families import expand_families
from connectory.spec.grants import expand_grants
from connectory.spec.language import LANGUAGE_VERSION, Spec
from connectory.spec.problems import Path, Problem, problems_of
from connectory.spec.structure import shared_converter
from connectory.spec.trees import Array, Table, Text, as_written, copy_place, locate, read_tree, unite, without


@attrs.frozen
class Discovered:
    """What `connectory discover` kept: rows by family, types in the language's own form, and numbers of pagers."""

    objects: Mapping[str, Sequence[Mapping[str, str]]] = attrs.Factory(dict)
    types: Mapping[str, Any] = attrs.Factory(dict)
    pagers: Mapping[str, Mapping[str, int]] = attrs.Factory(dict)


@attrs.frozen
class Loaded:
    """A checked spec and the tree it was made from."""

    spec: Spec
    tree: Table
    file: str


def load_spec(registry: Registry, vendor: str, discovered: Discovered | None = None) -> Loaded:
    """The spec of a vendor. Raises ArgumentError for a vendor nobody brings, SpecError with every fault."""
    if vendor not in registry.specs:
        known = ", ".join(registry.specs)
        raise ArgumentError(f"no connector '{vendor}'{nearest(vendor, registry.specs)} (there are {known})")
    return load_file(registry, registry.specs[vendor], discovered or Discovered())


def load_file(registry: Registry, source: SpecFile, discovered: Discovered) -> Loaded:
    """The spec in one file, united with what it extends and what was discovered.

    A file that was read before and still holds the same is not read again: a run checks its recipe by the spec and
    then connects by it.
    """
    text = source.file.read_bytes()
    known = (registry, str(source.file), source.vendor, text, msgspec.json.encode(attrs.asdict(discovered)))
    loaded = _kept.get(known)
    if loaded is None:
        with _uncollected():
            tree = read_tree(text, str(source.file))
            loaded = load_tree(registry, tree, source, discovered)
        if Text("extends") not in tree:  # else the other file may change as well
            if len(_kept) >= _MOST_KEPT:
                _kept.clear()
            _kept[known] = loaded
    return loaded


@contextmanager
def _uncollected() -> Iterator[None]:
    """Python does not look for cycles meanwhile: all that a file is made into stays, and each look goes through it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


_MOST_KEPT: Final = 8
_kept: dict[tuple[Registry, str, str, bytes, bytes], Loaded] = {}


def load_tree(registry: Registry, tree: Table, source: SpecFile, discovered: Discovered) -> Loaded:
    """The same of a tree that was read already. The tree is not changed."""
    file = str(source.file)
    _check_version(tree)
    faults: list[Fault] = []
    tree = _with_base(registry, tree, source, faults)
    tree = expand_grants(tree)
    tree = _with_types(tree, discovered.types)
    tree = _with_pagers(tree, discovered.pagers)
    unfilled: list[Fault] = []
    tree = expand_families(tree, discovered.objects, registry.filters, unfilled)
    spec, problems = _structure(registry, tree)
    if spec is None:
        problems = [*problems, *_references_besides(registry, tree, problems)]
    elif not unfilled:
        problems = [*_check_name(spec, source), *check_spec(spec, registry)]
    spoilt = {(fault.file, fault.line, fault.column) for fault in unfilled}  # nothing more can be said of these texts
    found = [_fault(tree, *problem) for problem in problems]
    faults += [*unfilled, *(fault for fault in found if (fault.file, fault.line, fault.column) not in spoilt)]
    if faults or spec is None:
        broken = [
            Fault(file, 1, 1, "", f"plug-in {name} is not loaded: {why}") for name, why in registry.broken.items()
        ]
        raise SpecError([*_sorted(faults), *broken])
    return Loaded(spec, tree, file)


def _references_besides(registry: Registry, tree: Table, problems: Sequence[Problem]) -> list[Problem]:
    """Wrong references in a file whose keys or types are wrong too: found in what is left without those.

    Nothing is said of the names that were taken out; where something required is missing, all of its place is.
    """
    pruned = tree
    for path, _, _ in problems:
        if not path:
            return []
        pruned = without(pruned, path)
    spec, _ = _structure(registry, pruned)
    if spec is None:
        return []
    names = {name for path, _, _ in problems for name in _names_at(tree, path)}
    gone = {said for name in names for said in (f"'{name}'", f"{{{{ {name} }}}}")}
    nodes = walk(spec)
    wrong = [*references.check(spec, registry, nodes), *templates.check(spec, registry, nodes)]
    gone.add("is used nowhere")  # it may be used in what was taken out
    return [problem for problem in wrong if not any(name in problem[1] for name in gone)]


def _names_at(tree: Table, path: Path) -> Iterator[str]:
    """The key that was taken out, and the names below it."""
    yield str(path[-1]) if path else ""
    node: Any = tree
    for step in path:
        node = node.get(Text(step)) if isinstance(node, Table) else None
    yield from map(str, node if isinstance(node, Table) else ())


def _check_version(tree: Table) -> None:
    """Nothing else is said of a file in words that this version may not know."""
    said = tree.get(Text("connectory"))
    if isinstance(said, Text) and said.isdecimal() and int(said[:9]) > LANGUAGE_VERSION:
        own = f"this Connectory reads up to {LANGUAGE_VERSION}: install a newer one"
        message = f"this spec is written in version {said} of the language, {own}"
        raise SpecError([_fault(tree, ("connectory",), message, False)])


def _with_base(registry: Registry, tree: Table, source: SpecFile, faults: list[Fault]) -> Table:
    base = tree.get(Text("extends"))
    if not isinstance(base, Text):
        return tree
    packaged = registry.packaged.get(str(base))
    if packaged is None or packaged.file == source.file:
        message = f"no packaged connector '{base}'{nearest(base, registry.packaged)}"
        raise SpecError([_fault(tree, ("extends",), message, False)])
    return unite(read_tree(packaged.file.read_bytes(), str(packaged.file)), tree, faults)


def _with_types(tree: Table, types: Mapping[str, Any]) -> Table:
    """Discovered types replace those of the same name: the workspace knows itself better."""
    if not types:
        return tree
    grown = copy_place(Table(tree), tree)
    own = tree.get(Text("types"))
    joined = copy_place(Table(own if isinstance(own, Table) else {}), tree)
    for name, fields in types.items():
        joined[Text(name)] = _as_tree(fields, tree)
    grown[next((key for key in tree if key == "types"), copy_place(Text("types"), tree))] = joined
    return grown


def _with_pagers(tree: Table, pagers: Mapping[str, Mapping[str, int]]) -> Table:
    """Numbers that the workspace states of itself, such as its largest page, in place of the documented ones."""
    own = tree.get(Text("pagers"))
    if not pagers or not isinstance(own, Table):
        return tree
    joined = copy_place(Table(own), own)
    for name, numbers in pagers.items():
        pager = own.get(Text(name))
        if isinstance(pager, Table):
            kept = {key: value for key, value in pager.items() if key not in numbers}
            joined[_own_key(own, name)] = copy_place(Table({**kept, **_as_tree(numbers, pager)}), pager)
    grown = copy_place(Table(tree), tree)
    grown[_own_key(tree, "pagers")] = joined
    return grown


def _own_key(table: Table, name: str) -> Text:
    """The key as it stands in the file, which knows its line."""
    return next(key for key in table if key == name)


def _as_tree(value: Any, at: Table) -> Any:
    if isinstance(value, Mapping):
        table = copy_place(Table(), at)
        for key, held in value.items():
            table[copy_place(Text(key), at)] = _as_tree(held, at)
        return table
    if isinstance(value, list | tuple):
        return copy_place(Array(_as_tree(item, at) for item in value), at)
    text = copy_place(Text(value if isinstance(value, str) else msgspec.json.encode(value).decode()), at)
    text.plain = not isinstance(value, str)
    return text


def _structure(registry: Registry, tree: Table) -> tuple[Spec | None, list[Problem]]:
    try:
        return shared_converter(registry).structure(tree, Spec), []
    except BaseValidationError as group:
        return None, problems_of(group)


def _check_name(spec: Spec, source: SpecFile) -> Iterator[Problem]:
    if source.vendor != spec.name:
        yield (
            ("name",),
            f"the file is named {source.vendor}.yaml, the connector '{spec.name}': one name for both",
            False,
        )


def _fault(tree: Table, path: Path, message: str, at_key: bool) -> Fault:
    file, line, column = locate(tree, path, at_key=at_key)
    written = as_written(tree, path)
    return Fault(file, line, column, "/" + "/".join(map(str, written)) if written else "", message)


def _sorted(faults: list[Fault]) -> list[Fault]:
    """In the order of the file; what a family says wrongly once is told once."""
    told: dict[tuple[str, int, int, str], Fault] = {}
    for fault in faults:
        told.setdefault((fault.file, fault.line, fault.column, fault.message), fault)
    return sorted(told.values(), key=lambda fault: (fault.file, fault.line, fault.column))


def read_discovered(file: pathlib.Path) -> Discovered:
    """The kept result of a discovery; empty when there is none. Raises SpecError when it is broken."""
    if not file.exists():
        return Discovered()
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Discovered)
        if "{{" in msgspec.json.encode(found).decode():  # what a server says is data, never a template
            raise OSError("it holds '{{'")
        return found
    except (msgspec.DecodeError, OSError) as why:
        raise SpecError(
            [Fault(str(file), 1, 1, "", f"not a kept discovery ({why}); delete it and run `connectory discover` again")]
        ) from None
