"""A tree of YAML with one thing in it changed; all the rest is shared with the tree it was, places too."""

from __future__ import annotations

from connectory.spec.problems import Path
from connectory.spec.trees import Array, Node, Table, Text, copy_place


def node_at(tree: Node, path: Path) -> Node:
    """What stands at a path. Raises LookupError."""
    for step in path:
        if isinstance(tree, Table):
            tree = tree[Text(step)]
        elif isinstance(tree, Array):
            tree = tree[int(step)]
        else:
            raise LookupError(step)
    return tree


def with_node(tree: Node, path: Path, node: Node) -> Node:
    """With another node at a path."""
    if not path:
        return node
    if isinstance(tree, Array):
        at = int(path[0])
        return copy_place(
            Array(with_node(held, path[1:], node) if n == at else held for n, held in enumerate(tree)), tree
        )
    assert isinstance(tree, Table)
    changed = copy_place(Table(), tree)
    for key, held in tree.items():
        changed[key] = with_node(held, path[1:], node) if key == str(path[0]) else held
    return changed


def with_text(tree: Node, path: Path, text: str) -> Node:
    """With another text at a path, as plain or quoted as the one there."""
    return with_node(tree, path, _like(node_at(tree, path), text))


def without_node(tree: Node, path: Path) -> Node:
    """Without the key or the item at a path."""
    around = node_at(tree, path[:-1])
    if isinstance(around, Array):
        left: Node = copy_place(Array(held for n, held in enumerate(around) if n != int(path[-1])), around)
    else:
        assert isinstance(around, Table)
        left = copy_place(Table({key: held for key, held in around.items() if key != str(path[-1])}), around)
    return with_node(tree, path[:-1], left)


def with_key(tree: Node, path: Path, name: str) -> Node:
    """With the key at a path renamed, in its place among the others."""
    around = node_at(tree, path[:-1])
    assert isinstance(around, Table)
    renamed = copy_place(Table(), around)
    for key, held in around.items():
        renamed[_like(key, name) if key == str(path[-1]) else key] = held
    return with_node(tree, path[:-1], renamed)


def with_swap(tree: Node, path: Path) -> Node:
    """With the item at a path and the one behind it in each other's place."""
    items = node_at(tree, path[:-1])
    assert isinstance(items, Array)
    at = int(path[-1])
    swapped = [*items[:at], items[at + 1], items[at], *items[at + 2 :]]
    return with_node(tree, path[:-1], copy_place(Array(swapped), items))


def _like(node: Node, text: str) -> Text:
    assert isinstance(node, Text)
    other = copy_place(Text(text), node)
    other.plain, other.block = node.plain, node.block
    return other
