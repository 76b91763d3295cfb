"""YAML text to a tree of texts, tables and arrays that remember where in the file they stand.

Scalars stay the texts that were written: the place where one stands decides what it means (`parse_int`,
`parse_bool`, ...); only places of type `any` use YAML's own reading (`as_data`, YAML 1.2 core schema).
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from itertools import islice
from math import isinf
from os import PathLike, fspath
from typing import Any, Final, TypeAlias

import attrs
import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from connectory.errors import Fault, SpecError, nearest
from connectory.spec.yamlevents import Events, open_events
from connectory.spec.yamlfaults import (
    Spot,
    characters_at_fault,
    complex_key_at_fault,
    directives_at_fault,
    encoding_at_fault,
    explain,
    header_at_fault,
    place_of,
    tabs_at_fault,
)

MAX_BYTES: Final = 6_000_000  # a spec of 5,000 operations with their descriptions has about 4 MB
MAX_NODES: Final = 500_000  # as written
MAX_ALIASED_NODES: Final = 50_000  # added by aliases, each counted as if its anchor were written out again
MAX_DEPTH: Final = 64
MAX_FAULTS: Final = 100


class Text(str):
    """A scalar as the text that was written, without its quotes. `line` and `column` count from 1."""

    line: int = 0
    column: int = 0
    file: str = ""
    plain: bool = True  # written without quotes and not as a block (`|`, `>`)
    block: bool = False  # written behind `|` or `>`
    binary: bool = False  # base64 behind `!!binary`, where the reader takes that


class Table(dict[Text, "Node"]):
    """A mapping; its keys know their own places. `line` and `column` count from 1."""

    line: int = 0
    column: int = 0
    file: str = ""


class Array(list["Node"]):
    """A sequence. `line` and `column` count from 1."""

    line: int = 0
    column: int = 0
    file: str = ""


Node: TypeAlias = Text | Table | Array


def read_yaml_file(path: str | PathLike[str]) -> Node:
    """The tree of a file. Raises `SpecError` where it cannot be read or `read_yaml` refuses it."""
    name = fspath(path)
    try:
        with open(name, "rb") as file:
            source = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SpecError([Fault(name, 1, 1, "", f"the file cannot be read: {why}")]) from None
    return read_yaml(source, name)


def read_yaml(
    source: str | bytes, file: str, open_events: Callable[[str], Events] = open_events, *, binary: bool = False
) -> Node:
    """The tree of one YAML document; `file` is the name that faults carry. `binary` takes the tag `!!binary` as well.

    Raises `SpecError` with every fault that can be found: what breaks YAML's grammar, and what it allows but a spec
    does not (duplicate and complex keys, tags, merge keys, directives, several documents, endless or huge aliases).
    """
    text = _decode(source, file)
    lines = text.split("\n")
    faults = [_fault_at(file, text, index, why) for index, why in islice(characters_at_fault(text), MAX_FAULTS)]
    faults += [Fault(file, number, 1, "", why) for number, why in directives_at_fault(lines)]
    if faults:
        raise SpecError(faults)
    tree = _Tree(file, lines, binary=binary)
    _grow_all(tree, lines, open_events)
    if tree.faults:
        raise SpecError(sorted(tree.faults, key=lambda fault: (fault.line, fault.column))[:MAX_FAULTS])
    if tree.root is None or (tree.root == "" and isinstance(tree.root, Text) and tree.root.plain):
        raise SpecError([Fault(file, 1, 1, "", "the file is empty")])
    return tree.root


def _grow_all(tree: _Tree, lines: list[str], open_events: Callable[[str], Events]) -> None:
    """Parse; where the grammar breaks, go on at the next key of the outermost mapping, to find what else is wrong."""
    first = 0
    while first < len(lines) and len(tree.faults) < MAX_FAULTS:
        try:
            tree.grow(open_events("\n".join(lines[first:])), first)
        except yaml.YAMLError as error:
            line, column = place_of(error)
            tree.add(first + line, column, explain(error, lines, first))
            first = next(
                (n for n in range(first + line + 1, len(lines)) if _TOP_KEY.match(lines[n])),
                len(lines),
            )
        else:
            if not first:
                tree.add_tabs()
            return


def _decode(source: str | bytes, file: str) -> str:
    """The text, without byte order mark and with `\\n` as the only line end."""
    size = len(source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise SpecError([Fault(file, 1, 1, "", f"the file is too large: at most {MAX_BYTES:,} bytes are read")])
    if isinstance(source, bytes):
        if wide := encoding_at_fault(source):
            raise SpecError([Fault(file, 1, 1, "", wide)])
        try:
            text = source.decode("utf-8")
        except UnicodeDecodeError as error:
            before = source[: error.start].decode("utf-8")
            why = f"byte {error.start:,} of the file (0x{source[error.start]:02X}) is not UTF-8: save the file as UTF-8"
            raise SpecError([_fault_at(file, before, len(before), why)]) from None
    else:
        text = source
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _fault_at(file: str, text: str, index: int, message: str) -> Fault:
    begin = text.rfind("\n", 0, index) + 1
    return Fault(file, text.count("\n", 0, index) + 1, index - begin + 1, "", message)


@attrs.define(eq=False)
class _Open:
    """A table or array whose end has not been read."""

    node: Table | Array
    anchor: str | None
    key: Text | None = None  # of a table: the key whose value comes next
    size: int = 1  # nodes in it and itself, aliases written out
    height: int = 0  # levels below it


class _Stop(Exception):
    """No more of this text needs to be read."""


_BINARY: Final = "tag:yaml.org,2002:binary"
_REFUSED: Final = Text()  # stands for a key at fault: its value is read and left out
_TOP_KEY: Final = re.compile(r"""[^\s#%&*!|>@`\[\]{},?:-][^:]*:(\s|$)""")


class _Tree:
    """Grows the tree from events, and collects the faults."""

    def __init__(self, file: str, lines: list[str], *, binary: bool = False) -> None:
        self.root: Node | None = None
        self.faults: set[Fault] = set()
        self._file = file
        self._lines = lines
        self._binary = binary
        self._first = 0  # line of the file at which the text that is parsed begins
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}  # name -> node, size, height
        self._anchored: dict[str, int] = {}  # name -> line, from 1
        self._texts: list[tuple[Spot, Spot]] | None = [] if any("\t" in line for line in lines) else None
        self._nodes = self._aliased = self._documents = 0
        self._take: dict[type[Event], Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._start,
            SequenceStartEvent: self._start,
            MappingEndEvent: self._end,
            SequenceEndEvent: self._end,
            AliasEvent: self._alias,
            DocumentStartEvent: self._document,
        }

    def add(self, line: int, column: int, message: str) -> None:
        """Note a fault at a line and column that count from 0."""
        steps = (o.key if isinstance(o.node, Table) else str(len(o.node)) for o in self._open)
        path = "".join(f"/{step}" for step in steps if step)
        self.faults.add(Fault(self._file, line + 1, column + 1, path, message))

    def add_tabs(self) -> None:
        """Note the tabs that stand between texts; one parser takes some of them, the other none."""
        if self._texts is None:
            return
        for line, column, why in islice(tabs_at_fault(self._lines, self._texts), MAX_FAULTS):
            self.add(line, column, why)

    def grow(self, events: Events, first: int) -> None:
        """Read all events of a text that begins at line `first`, from 0. Raises `yaml.YAMLError`."""
        self._first, self._documents = first, 0
        self._open.clear()
        read, take = events.get_event, self._take
        try:
            while (event := read()) is not None:
                if act := take.get(type(event)):
                    act(event)
        except _Stop:
            pass

    def _refuse(self, event: Any, message: str) -> None:
        self.add(self._first + event.start_mark.line, event.start_mark.column, message)
        if len(self.faults) >= MAX_FAULTS:
            raise _Stop

    def _stop(self, event: Any, message: str) -> None:
        self._refuse(event, message)
        raise _Stop

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(event, "a second document begins here: a file holds one")

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        text = Text(event.value)
        text.line = self._first + mark.line + 1
        text.column = mark.column + 1
        if event.style:
            self._not_plain(event, text)
        if event.tag is not None or event.anchor is not None:
            text.binary = self._binary and event.tag == _BINARY
            self._properties(event, None if text.binary else event.tag, event.anchor)
            if event.anchor is not None:
                self._anchors[event.anchor] = (text, 1, 0)
        self._put(event, text, 1, 0)

    def _not_plain(self, event: Any, text: Text) -> None:
        text.plain = False
        text.block = event.style in "|>"
        begin = (self._first + event.start_mark.line, event.start_mark.column)
        if text.block:
            fault = header_at_fault(self._lines, begin, event.style)
            if fault is not None:
                self.add(*fault)
            begin = (begin[0] + 1, 0)
        if self._texts is not None:
            self._texts.append((begin, (self._first + event.end_mark.line, event.end_mark.column)))

    def _start(self, event: Any) -> None:
        node: Table | Array = Table() if type(event) is MappingStartEvent else Array()
        node.line = self._first + event.start_mark.line + 1
        node.column = event.start_mark.column + 1
        if event.tag is not None or event.anchor is not None:
            self._properties(event, event.tag, event.anchor)
        if len(self._open) >= MAX_DEPTH:
            self._stop(event, f"more than {MAX_DEPTH} levels inside each other")
        self._open.append(_Open(node, event.anchor))

    def _end(self, event: Any) -> None:
        done = self._open.pop()
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.node, done.size, done.height)
        self._put(event, done.node, done.size, done.height)

    def _properties(self, event: Any, tag: str | None, anchor: str | None) -> None:
        if tag is not None:
            self._refuse(event, f"the tag '{_short(tag)}' is not used here: the place decides the type")
        if anchor is None:
            return
        if anchor in self._anchored:
            self._refuse(event, f"the anchor '&{_short(anchor)}' stands twice: first in line {self._anchored[anchor]}")
        self._anchored.setdefault(anchor, self._first + event.start_mark.line + 1)

    def _alias(self, event: Any) -> None:
        name = str(event.anchor)
        if name not in self._anchors:
            self._unknown_alias(event, name)
            self._put(event, Text(), 1, 0)
            return
        node, size, height = self._anchors[name]
        self._aliased += size
        if self._aliased > MAX_ALIASED_NODES:
            self._stop(event, f"the aliases ('*') stand for more than {MAX_ALIASED_NODES:,} values")
        if len(self._open) + height > MAX_DEPTH:
            self._stop(event, f"more than {MAX_DEPTH} levels inside each other")
        if isinstance(node, Text):  # where it is used says more than where it was written
            plain, block, node = node.plain, node.block, Text(node)
            node.line, node.column = self._first + event.start_mark.line + 1, event.start_mark.column + 1
            node.plain, node.block = plain, block
        self._put(event, node, size, height)

    def _unknown_alias(self, event: AliasEvent, name: str) -> None:
        if any(o.anchor == name for o in self._open):
            self._refuse(event, f"the alias '*{_short(name)}' stands inside what it stands for")
        elif not self._first:  # else its anchor may stand in what could not be read
            hint = nearest(name, self._anchors) if len(self._anchors) < 100 and len(name) < 100 else ""
            self._refuse(event, f"the alias '*{_short(name)}' has no anchor '&{_short(name)}' above it{hint}")

    def _put(self, event: Any, node: Node, size: int, height: int) -> None:
        """Place a finished node: the root, an item, a key or a value."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop(event, f"the file has more than {MAX_NODES:,} values")
        if not self._open:
            self.root = node
            return
        into = self._open[-1]
        into.size += size
        if height >= into.height:
            into.height = height + 1
        if isinstance(into.node, Array):
            into.node.append(node)
        elif into.key is None:
            into.key = self._key(event, into.node, node)
        else:
            if into.key is not _REFUSED:
                into.node[into.key] = node
            into.key = None

    def _key(self, event: Any, table: Table, node: Node) -> Text:
        """The key, or `_REFUSED` where it cannot be one."""
        if not isinstance(node, Text):
            column, why = complex_key_at_fault(self._lines[node.line - 1], node.column - 1)
            self.add(node.line - 1, column, why)
            return _REFUSED
        if node in table:
            first = next(key for key in table if key == node)
            self._refuse(event, f"the key '{_short(node)}' stands twice: first in line {first.line}")
        elif node.plain and node == "<<":
            self._refuse(event, "'<<' (merge) is not YAML 1.2: write the keys out, or begin the file with 'extends'")
        elif node.plain and node in _NULLS:
            self._refuse(event, f"a key is missing here{': write it in quotes if it is meant' if node else ''}")
        else:
            return node
        return _REFUSED


def position(tree: Node, path: tuple[str | int, ...], at_key: bool = False) -> tuple[int, int]:
    """Line and column, from 1, of what stands at `path`, or of its key; of the nearest ancestor where nothing does."""
    node: Node = tree
    place: Node = tree
    for step in path:
        if isinstance(node, Array) and str(step).isdecimal() and int(step) < len(node):
            node = place = node[int(step)]
        elif isinstance(node, Table) and str(step) in node:
            place = next(key for key in node if key == str(step))
            node = node[place]
        else:
            return node.line, node.column
    return (place.line, place.column) if at_key else (node.line, node.column)


def position_in(text: Text, offset: int) -> tuple[int, int]:
    """Line and column of a character of a text; where that is not known (blocks, several lines), of its beginning.

    Escapes before the character are counted as one column each.
    """
    if text.block or "\n" in text:
        return text.line, text.column
    return text.line, text.column + offset + (0 if text.plain else 1)


def as_data(node: Node) -> Any:
    """A node as the YAML 1.2 core schema reads it: quoted texts are texts, plain ones go through `plain_data`.

    Raises `ValueError` for a binary text that is no base64.
    """
    if isinstance(node, Table):
        return {str(key): as_data(value) for key, value in node.items()}
    if isinstance(node, Array):
        return [as_data(value) for value in node]
    if node.binary:
        return b64decode("".join(node.split()), validate=True)
    return plain_data(node) if node.plain else str(node)


_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(
    r"[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)


def plain_data(text: str) -> Any:
    """What an unquoted text means in YAML 1.2: None, a bool, an int of any size, a float, else the text itself.

    A number that Python cannot hold (more than 4,300 digits, a float beyond 1.8e308) stays the text.
    """
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    try:
        if _INT.fullmatch(text):
            return parse_int(text)
        if _FLOAT.fullmatch(text):
            return parse_float(text)
    except ValueError:
        pass
    return str(text)


def parse_int(text: str) -> int:
    """A whole number: `12`, `-3`, `0o17`, `0xff`; leading zeros are harmless. Raises `ValueError` with a message."""
    if not _INT.fullmatch(text):
        raise ValueError(f"expected a whole number, found '{_short(text)}'")
    try:
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    except ValueError:
        raise ValueError(f"the number has too many digits ({len(text):,})") from None


def parse_float(text: str) -> float:
    """A number: `1`, `1.5`, `1e3`, `.inf`, `.nan`. Raises `ValueError` with a message."""
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"expected a number, found '{_short(text)}'")
    words = text.lower().endswith((".inf", ".nan"))
    number = float(text.lower().replace(".", "") if words else text)
    if isinf(number) and not words:
        raise ValueError(f"the number '{_short(text)}' is too large")
    return number


def parse_bool(text: str) -> bool:
    """`true` or `false`. Raises `ValueError` with a message."""
    if text not in _BOOLS:
        raise ValueError(f"expected true or false, found '{_short(text)}'")
    return _BOOLS[text]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
