"""Trees of YAML put together from several files: every node still knows its file, line and column."""

from __future__ import annotations

from typing import TypeVar

from connectory.errors import Fault, SpecError
from connectory.spec.yamltext import Array, Node, Table, Text, as_data, read_yaml

N = TypeVar("N", Text, Table, Array)

__all__ = [
    "Array",
    "Node",
    "Table",
    "Text",
    "as_data",
    "copy_place",
    "file_of",
    "locate",
    "read_tree",
    "unite",
    "without",
]


def read_tree(source: bytes, file: str) -> Table:
    """The tree of a file that must hold a mapping, each node marked with its file. Raises SpecError."""
    tree = read_yaml(source, file)
    if not isinstance(tree, Table):
        raise SpecError([Fault(file, 1, 1, "", "expected a mapping such as 'name: ...'")])
    _mark(tree, file, set())
    return tree


def _mark(node: Node, file: str, seen: set[int]) -> None:
    if id(node) in seen:  # an alias: the same node in two places
        return
    seen.add(id(node))
    node.file = file
    if isinstance(node, Table):
        for key, value in node.items():
            key.file = file
            _mark(value, file, seen)
    elif isinstance(node, Array):
        for item in node:
            _mark(item, file, seen)


def file_of(node: Node) -> str:
    """The file a node was read from."""
    return node.file


def copy_place(node: N, at: Node) -> N:
    """The node, standing where `at` stands."""
    node.line, node.column = at.line, at.column
    node.file = file_of(at)
    return node


def as_written(tree: Table, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The path without what a short form leaves out: the positions of lists of one, the keys behind a scalar."""
    node: Node | None = tree
    steps: list[str | int] = []
    for step in path:
        if isinstance(node, Text):
            break
        if isinstance(step, int) and isinstance(node, Table):
            continue
        steps.append(step)
        if isinstance(node, Table):
            node = node.get(Text(step))
        else:
            node = (
                node[int(step)] if isinstance(node, Array) and str(step).isdecimal() and int(step) < len(node) else None
            )
    return tuple(steps)


def locate(tree: Table, path: tuple[str | int, ...], *, at_key: bool) -> tuple[str, int, int]:
    """File, line and column of what stands at a path, or of its key; of the nearest ancestor where nothing does."""
    node: Node = tree
    place: Node = tree
    for step in as_written(tree, path):
        if isinstance(node, Table):
            key = next((key for key in node if key == str(step)), None)
            if key is None:
                return file_of(node), node.line, node.column
            place, node = key, node[key]
        elif isinstance(node, Array) and str(step).isdecimal() and int(step) < len(node):
            node = place = node[int(step)]
        else:
            break
    found = place if at_key else node
    return file_of(found), found.line, found.column


def without(tree: Table, path: tuple[str | int, ...]) -> Table:
    """The tree without the key at a path; what does not lie on the path is shared, not copied."""
    first, rest = (str(path[0]) if path else ""), path[1:]
    kept = copy_place(Table(), tree)
    for key, value in tree.items():
        if key != first:
            kept[key] = value
        elif rest and isinstance(value, Table):
            kept[key] = without(value, rest)
    return kept


def unite(base: Table, more: Table, faults: list[Fault], path: str = "") -> Table:
    """Two mappings as one, at any depth. A text or list in both is a clash, but for the objects known of a family."""
    united = copy_place(Table(base), more)
    for key, value in more.items():
        place = f"{path}/{key}"
        before = base.get(key)
        if before is None or place in ("/name", "/about", "/docs", "/connectory", "/extends"):
            united.pop(key, None)
            united[key] = value
        elif isinstance(before, Table) and isinstance(value, Table):
            united[key] = unite(before, value, faults, place)
        elif (
            place.startswith("/families/") and key == "known" and isinstance(before, Array) and isinstance(value, Array)
        ):
            united[key] = copy_place(Array([*before, *value]), value)
        else:
            there = f"{file_of(before)}:{before.line}"
            faults.append(
                Fault(
                    file_of(key),
                    key.line,
                    key.column,
                    place,
                    f"stands already in {there}; an extension adds, it does not change",
                )
            )
    return united
