"""Where each node of a YAML text begins and ends, so that a piece of it can be moved or shortened and nothing else
is touched.

A library that writes a tree back (ruamel.yaml 0.19) keeps comments, but it folds and indents every line its own way
(up to half of a spec's lines) and ties a comment to the key above it, which is the wrong one once keys change places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
from yaml.events import AliasEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from connectory.spec.trees import Array, Node, Table, Text
from connectory.spec.yamlevents import Events, open_events

_ENDS: Final = ("MappingEndEvent", "SequenceEndEvent")


@attrs.define(eq=False)
class Piece:
    """A node of the text: its characters from `start` to `end`, without what follows in its last line.

    `inner` are the keys and values of a mapping by turns, or the items of a list. A block mapping begins at the
    comments above its first key, where these stand on lines of their own, and a block ends behind the comments below
    it that are indented like it. A piece is `anchored` where it has an anchor
    or is an alias, and `tied` where something in it is: what that means depends on where it stands.
    """

    node: Node
    start: int
    end: int
    flow: bool = True
    block_text: bool = False
    anchored: bool = False
    tied: bool = False
    outermost: bool = False
    inner: list[Piece] = attrs.field(factory=list)

    @property
    def entries(self) -> Sequence[tuple[Piece, Piece]]:
        """The keys of a mapping, each with its value."""
        return list(zip(self.inner[::2], self.inner[1::2], strict=True))


def read_layout(text: str) -> Piece:
    """The pieces of a text that `read_tree` takes. Lines end in `\\n`."""
    events = open_events(text)
    anchors: dict[str, Node] = {}
    for event in iter(events.get_event, None):
        if isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent):
            root = _read(event, events, text, anchors)
            root.outermost = True
            return root
    raise ValueError("an empty text has no pieces")


def _read(event: Any, events: Events, text: str, anchors: dict[str, Node]) -> Piece:
    start, end = event.start_mark.index, event.end_mark.index
    if isinstance(event, AliasEvent):
        return Piece(anchors[str(event.anchor)], start, end, anchored=True, tied=True)
    if isinstance(event, ScalarEvent):
        piece = _scalar(event, text, start, end)
        piece.anchored = event.anchor is not None
    else:
        node: Node = Table() if isinstance(event, MappingStartEvent) else Array()
        piece = Piece(node, start, end, flow=bool(event.flow_style), anchored=event.anchor is not None)
        for inner in _inner(piece, events, text, anchors):
            piece.inner.append(inner)
        _close(piece, text)
    piece.tied = piece.anchored or any(inner.tied for inner in piece.inner)
    if event.anchor is not None:
        anchors[event.anchor] = piece.node
    return piece


def _inner(piece: Piece, events: Events, text: str, anchors: dict[str, Node]) -> Iterator[Piece]:
    while type(event := events.get_event()).__name__ not in _ENDS:
        yield _read(event, events, text, anchors)
    if piece.flow:
        piece.end = event.end_mark.index


def _scalar(event: Any, text: str, start: int, end: int) -> Piece:
    node = Text(event.value)
    node.plain = not event.style
    node.block = event.style in ("|", ">")
    if node.block:  # its end is the beginning of what follows
        end = start + len(text[start:end].rstrip())
    return Piece(node, start, end, block_text=node.block)


def _close(piece: Piece, text: str) -> None:
    """Fill the node, and say where a block begins and ends."""
    if isinstance(piece.node, Table):
        for key, value in piece.entries:
            assert isinstance(key.node, Text)
            piece.node[key.node] = value.node
    elif isinstance(piece.node, Array):
        piece.node.extend(inner.node for inner in piece.inner)
    if piece.flow or not piece.inner:
        return
    first = piece.inner[0].start if isinstance(piece.node, Table) else piece.start + 1  # behind the dash
    column = first - text.rfind("\n", 0, first) - 1
    piece.end = _below(text, end_of_line(text, piece.inner[-1].end), column)
    if isinstance(piece.node, Table) and not piece.anchored:
        piece.start = _above(text, piece.start)


def _above(text: str, start: int) -> int:
    """Where the lines of comments above a place begin that stands first in its own line; else the place itself."""
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip():
        return start
    found = line
    while found and re.fullmatch(r" *(#.*)?", text[text.rfind("\n", 0, found - 1) + 1 : found - 1]):
        found = text.rfind("\n", 0, found - 1) + 1
    return found


def _below(text: str, end: int, column: int) -> int:
    """The end of the comments below a line that are indented so far at least."""
    line = end + 1
    while line < len(text):
        after = end_of_line(text, line)
        said = text[line:after].lstrip(" ")
        if said and not (said.startswith("#") and after - line - len(said) >= column):
            break
        end = after if said else end
        line = after + 1
    return end


def end_of_line(text: str, index: int) -> int:
    """The end of the line that a character stands in, its line end not counted."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found
