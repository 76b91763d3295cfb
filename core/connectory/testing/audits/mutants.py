"""Every change of one thing in a spec that would alter a request, a page walk, a batch or an outcome."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, cast

import attrs

from connectory.plugins.registry import Registry
from connectory.spec import language, words
from connectory.spec.edits import node_at, with_key, with_swap, with_text, without_node
from connectory.spec.language import METHODS
from connectory.spec.problems import Path
from connectory.spec.spots import Spot, spots_in
from connectory.spec.trees import Array, Node, Table, Text
from connectory.testing.audits.rewording import beside, other_addresses, other_paths, rewordings
from connectory.testing.audits.silence import is_silent, is_the_same, written_types

_KINDS: Final = {"Auth": "auth", "Pager": "pagers", "Rule": "outcomes", "Batch": "batches"}
_ADDRESSES: Final = frozenset(
    {*(f"Operation.{method}" for method in METHODS), "Token.get", "Token.post", "Spec.servers"}
)


@attrs.frozen
class Mutant:
    """A spec with one thing changed: where (in the file as it is written), and into what."""

    path: Path
    line: int
    column: int
    change: str
    tree: Table = attrs.field(repr=False, eq=False)

    @property
    def key(self) -> str:
        """What names it in whatever is kept about it: the same as long as what stands at its place is."""
        return f"{'/'.join(map(str, self.path))}: {self.change}"


def mutants_of(registry: Registry, tree: Table) -> Iterator[Mutant]:
    """Every mutant of a spec, in the order of its file. The loader may refuse some of them."""
    lists: set[Path] = set()
    written = written_types(tree)
    for spot in spots_in(registry, tree):
        if is_silent(tree, spot, written):
            continue
        yield from _of_key(tree, spot) if spot.is_key else _of_scalar(registry, tree, spot, written)
        for length, step in enumerate(spot.path):
            if isinstance(step, int) and (path := spot.path[:length]) not in lists:
                lists.add(path)
                yield from _of_list(tree, path)


def _mutant(path: Path, at: Node, change: str, tree: Node) -> Mutant:
    return Mutant(path, at.line, at.column, change, cast(Table, tree))


def _of_key(tree: Table, spot: Spot) -> Iterator[Mutant]:
    named_by_author = spot.field is None
    yield _mutant(spot.path, spot.text, f"without '{spot.text}'", without_node(tree, spot.path))
    if named_by_author and spot.text != "*":
        condition = spot.kind is words.Test
        for name in other_paths(spot.text, ()) if condition else [f"{spot.text}x"]:
            yield _mutant(spot.path, spot.text, f"key '{name}' for '{spot.text}'", with_key(tree, spot.path, name))


def _of_list(tree: Table, path: Path) -> Iterator[Mutant]:
    items = node_at(tree, path)
    assert isinstance(items, Array)
    if len(items) < 2:
        return  # without its only item it is as if the key were not there
    for number, item in enumerate(items):
        shown = f" '{item}'" if isinstance(item, Text) else ""
        here = (*path, number)
        yield _mutant(here, item, f"without item {number + 1}{shown}", without_node(tree, here))
        if number + 1 < len(items):
            yield _mutant(here, item, f"items {number + 1} and {number + 2} swapped", with_swap(tree, here))


def _of_scalar(registry: Registry, tree: Table, spot: Spot, written: frozenset[str]) -> Iterator[Mutant]:
    for after in dict.fromkeys(_changes(registry, tree, spot)):
        if after != spot.text and not is_the_same(tree, spot, after, written):
            said = _difference(str(spot.text), after)
            yield _mutant(spot.path, spot.text, said, with_text(tree, spot.path, after))


def _changes(registry: Registry, tree: Table, spot: Spot) -> Iterator[str]:
    metadata = spot.field.metadata if spot.field is not None else {}
    section = "operations" if spot.kind is language.Link else metadata.get("ref")
    if section:
        yield from beside(spot.text, cast(Table, tree.get(Text(section), Table())))
    elif spot.kind is bool and spot.field is not None and spot.field.default is (spot.text != "true"):
        return  # as if the key were not there
    elif spot.place == "Operation.does":
        yield "write" if spot.text == "read" else "read"  # a write that destroys is asked about, and called the same
    elif spot.place.endswith(".use"):
        yield from beside(spot.text, getattr(registry, _KINDS[cast(Any, re.match(r"\w+", spot.place))[0]]))
    elif spot.place in _ADDRESSES:
        yield from other_addresses(spot.text, _names(tree, spot))
    else:
        yield from rewordings(registry, spot, _names(tree, spot))


def _names(tree: Table, spot: Spot) -> list[str]:
    """The names that `{{ }}` sees at a place: the columns of its family, or the settings."""
    if spot.path[0] == "families" and len(spot.path) > 1:
        known = node_at(tree, ("families", spot.path[1])).get(Text("known"))  # type: ignore[union-attr]
        row = known[0] if isinstance(known, Array) and known else known
        if isinstance(row, Table):
            return [f"{spot.path[1]}.{column}" for column in row]
    settings = tree.get(Text("settings"))
    token = ["token"] if spot.place.startswith("Auth.") else []
    return [*(settings if isinstance(settings, Table) else ()), *token]


def _difference(before: str, after: str) -> str:
    """What is changed into what, with some letters around it where the text is long."""
    at = next((n for n, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), len(after))
    begin, end = max(0, at - 25), at + 25
    cuts = [
        f"{'...' if begin else ''}{' '.join(text[begin:end].split())}{'...' if end < len(text) else ''}"
        if len(text) > 60
        else text
        for text in (after, before)
    ]
    return f"'{cuts[0]}' for '{cuts[1]}'"
