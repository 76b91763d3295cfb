"""A spec's text in the order of the language and in its shortest form, of the same value and with all its comments.

Three things change: keys take the order in which the language lists them, what has a short form is written in it, and
what says no more than the default is left out. Everything else stays as its author wrote it, to the character. What a
short form means is not written down here a second time: it is taken where the loader makes the same value of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, get_args, get_origin

import attrs
from cattrs.errors import BaseValidationError

from connectory.plugins.registry import Registry
from connectory.spec.grants import granted
from connectory.spec.keys import key_of
from connectory.spec.language import Spec
from connectory.spec.layout import Piece, end_of_line, read_layout
from connectory.spec.places import AnswerPath
from connectory.spec.spots import fields_of, mapping_of, without_none
from connectory.spec.structure import FIELD_CLASSES, SHORT_FORMS, shared_converter
from connectory.spec.trees import Array, Node, Table, Text
from connectory.spec.typeexpr import MODIFIERS

_SAID_THOUGH_USUAL: Final = frozenset({"Spec.connectory"})
_ALWAYS_LISTS: Final = frozenset({"Family.known"})  # an extension of the spec adds to this list
_NOTHING: Final = object()
_COMMENT: Final = re.compile(r"(?:^|\s)#", re.MULTILINE)
_PLAIN: Final = re.compile(r"[A-Za-z0-9](?:[^\n\[\]{},:#]|:(?=\S)|(?<=\S)#)*")

Expected = Callable[[str], tuple[Any, str]]  # key of a mapping -> the type of its value, and the place that this is


_EXPLICIT_KEY: Final = re.compile(r"(?m)^[ -]*\? ")


def format_spec(registry: Registry, text: str) -> str:
    """The text of a spec that loads, formatted. Formatting it again changes nothing.

    Where keys are written behind question marks (`? key`), as programs write an empty one, the text stays as it is.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if _EXPLICIT_KEY.search(text):
        return text
    root = read_layout(text)
    assert isinstance(root.node, Table)  # it loads
    written = _Writer(registry, text, root.node).write(root, Spec, "")
    return f"{text[: root.start]}{written.text}{text[root.end :]}".rstrip("\n") + "\n"


def same_value(one: Spec, other: Spec) -> bool:
    """Whether two specs say the same. Of families it is their operations that count, however these are written."""
    return _bare(one) == _bare(other)


def _bare(spec: Spec) -> Spec:
    families = {name: attrs.evolve(family, operations={}) for name, family in spec.families.items()}
    return attrs.evolve(spec, families=families)


@attrs.frozen
class _Written:
    """What shall stand in place of a piece, and what it says; `inline` where it fits into the line of its key."""

    text: str
    node: Node
    inline: bool


@attrs.frozen
class _Entry:
    """A key of a mapping as it shall stand, with the lines of comments above it."""

    name: str
    text: str
    value: _Written
    above: Sequence[str]
    commented: bool
    tied: bool


@attrs.frozen
class _Writer:
    _registry: Registry
    _text: str
    _tree: Table

    def write(self, piece: Piece, kind: Any, place: str) -> _Written:
        """A piece where a type is expected; `place` is the class and the key that it belongs to."""
        kind = without_none(kind)
        item = get_args(kind)[0] if get_origin(kind) is tuple else None
        if piece.anchored or not piece.inner:
            return self._as_it_is(piece)
        if isinstance(piece.node, Array):
            return self._list(piece, kind, item, place)
        kind = kind if item is None else item
        if not (isinstance(kind, type) and attrs.has(kind) and kind is not AnswerPath):
            inner = get_args(kind)[1] if get_origin(kind) is Mapping else Any
            entries = self._entries(piece, lambda _: (inner, place))
            return self._mapping(piece, entries, entries)
        assert isinstance(piece.node, Table)
        name, fields = fields_of(self._registry, kind, piece.node)
        entries = self._entries(piece, lambda key: _expected(fields[key], f"{name}.{key}"))
        order = list(fields)
        preset = granted(Table({Text(entry.name): entry.value.node for entry in entries}), self._tree)
        said = [entry for entry in entries if not self._is_usual(entry, fields[entry.name], name, preset)]
        wanted = sorted(said, key=lambda entry: order.index(entry.name))
        whole = self._mapping(piece, entries, wanted)
        if piece.tied or any(entry.commented for entry in entries):
            return whole
        return self._expressed(entries, kind) or self._shortened(wanted, whole, kind) or whole

    def _as_it_is(self, piece: Piece) -> _Written:
        return _Written(self._between(piece.start, piece.end), piece.node, piece.flow)

    def _between(self, start: int, end: int) -> str:
        return self._text[start:end]

    def _made(self, node: Node, kind: Any) -> Any:
        """What the loader makes of a node; nothing of one that has to be filled in first."""
        try:
            return shared_converter(self._registry).structure(node, kind)
        except (BaseValidationError, ValueError, KeyError, TypeError):
            return _NOTHING

    def _same(self, node: Node, other: Node, kind: Any) -> bool:
        made = self._made(node, kind)
        return made is not _NOTHING and bool(made == self._made(other, kind))

    def _is_usual(self, entry: _Entry, field: attrs.Attribute[Any], name: str, preset: Mapping[str, Node]) -> bool:
        """Whether a key says no more than its default, or than its neighbour `grant`, and nobody says anything about
        it."""
        default: Any = field.default
        if entry.commented or entry.tied or entry.name == "use":
            return False
        if entry.name in preset:
            return self._same(entry.value.node, preset[entry.name], without_none(field.type))
        if default in (attrs.NOTHING, None):
            return False
        usual = default.factory() if hasattr(default, "factory") else default
        said = f"{name}.{entry.name}" in _SAID_THOUGH_USUAL
        return not said and bool(self._made(entry.value.node, without_none(field.type)) == usual)

    def _list(self, piece: Piece, kind: Any, item: Any, place: str) -> _Written:
        items = [self.write(inner, Any if item is None else item, "") for inner in piece.inner]
        node = Array(written.node for written in items)
        if item is not None and place not in _ALWAYS_LISTS and self._is_one(piece, node, kind):
            return self._alone(piece, items[0])
        parts, at = [], piece.start
        for inner, written in zip(piece.inner, items, strict=True):
            before = self._between(at, inner.start)
            moved = written.inline and not inner.flow and not _COMMENT.search(before)
            parts += [re.sub(r"-\s*\Z", "- ", before) if moved else before, written.text]
            at = inner.end
        return _Written("".join(parts) + self._between(at, piece.end), node, piece.flow)

    def _is_one(self, piece: Piece, node: Array, kind: Any) -> bool:
        """Whether a list may be written as its only item."""
        if len(node) != 1 or piece.tied or isinstance(node[0], Array) or piece.inner[0].block_text:
            return False
        inner = piece.inner[0]
        around = self._between(piece.start, inner.start) + self._between(inner.end, piece.end)
        return not _COMMENT.search(around) and self._same(node, node[0], kind)

    def _alone(self, piece: Piece, item: _Written) -> _Written:
        """A list of one as its item: without its brackets, or without its dash."""
        if piece.flow or item.inline:
            return item
        before = self._between(piece.start, piece.inner[0].start)
        return _Written(before.replace("-", " ", 1) + item.text, item.node, False)

    def _entries(self, piece: Piece, expected: Expected) -> list[_Entry]:
        """The entries of a mapping in their order."""
        found = []
        column = piece.inner[0].start - (self._text.rfind("\n", 0, piece.inner[0].start) + 1)
        pairs = piece.entries
        above: Sequence[str] = self._between(piece.start, pairs[0][0].start).split("\n")[:-1]
        for number, (key, value) in enumerate(pairs):
            assert isinstance(key.node, Text)
            written = self.write(value, *expected(str(key.node)))
            end = value.end if piece.flow else end_of_line(self._text, value.end)
            last = number + 1 == len(pairs)
            after = self._between(end, piece.end if last else pairs[number + 1][0].start)
            below, next_above = ([], []) if piece.flow else self._comments(after, column, last)
            text = self._entry_text(key, value, written, column) + "\n".join([self._between(value.end, end), *below])
            around = self._between(key.end, value.start) + self._between(value.end, end) + "\n".join([*above, *below])
            if piece.flow:
                around += after
            inside = not value.flow and _COMMENT.search(self._between(value.start, value.end))
            commented = bool(_COMMENT.search(around) or inside)
            found.append(_Entry(str(key.node), text, written, above, commented, key.tied or value.tied))
            above = next_above
        return found

    def _comments(self, after: str, column: int, last: bool) -> tuple[Sequence[str], Sequence[str]]:
        """The lines behind an entry: those that end it, and those above the next one."""
        lines = after.split("\n")
        return (lines[1:], []) if last else _divide(lines[1:-1], column)

    def _entry_text(self, key: Piece, value: Piece, written: _Written, column: int) -> str:
        gap = self._between(key.end, value.start)
        if isinstance(value.node, Array) and isinstance(written.node, Table) and not written.inline:
            gap = self._as_above(gap, value)
        if written.inline and not value.flow:  # it was a block of its own
            gap = f"{gap.rstrip(' ')}{' ' * (column + 2)}" if _COMMENT.search(gap) else ": "
        return self._between(key.start, key.end) + gap + written.text

    def _as_above(self, gap: str, value: Piece) -> str:
        """What stands between a key and its list of one, which is a mapping now: comments are indented as above one."""
        first = value.inner[0].inner[0].start
        column = first - self._text.rfind("\n", 0, first) - 1
        head, *lines, last = gap.split("\n")
        return "\n".join([head, *(" " * column + line.strip() for line in lines if line.strip()), last])

    def _mapping(self, piece: Piece, entries: Sequence[_Entry], wanted: Sequence[_Entry]) -> _Written:
        """A mapping with these of its entries, in this order unless something hinders it."""
        if [entry for entry in wanted if entry.tied] != [entry for entry in entries if entry.tied]:
            wanted = entries  # an alias would come before its anchor
        make = self._flow if piece.flow else self._block
        text, kept = make(piece, entries, wanted) if wanted else ("{}", wanted)
        return _Written(text, Table({Text(entry.name): entry.value.node for entry in kept}), piece.flow or not wanted)

    def _flow(self, piece: Piece, entries: Sequence[_Entry], wanted: Sequence[_Entry]) -> tuple[str, Sequence[_Entry]]:
        pairs = piece.entries
        ends = [value.end for _, value in pairs]
        head = self._between(piece.start, pairs[0][0].start)
        between = [self._between(end, key.start) for end, (key, _) in zip(ends, pairs[1:], strict=False)]
        if any(_COMMENT.search(text) for text in (head, *between, self._between(ends[-1], piece.end))):
            wanted = entries  # it could not be told what a comment is about
        left_out = len(entries) - len(wanted)
        joints = between[: len(between) - left_out] if wanted else []
        texts = [entry.text for entry in wanted]
        body = "".join(text + joint for text, joint in zip(texts, [*joints, ""], strict=True))
        return head + body + self._between(ends[-1], piece.end), wanted

    def _block(self, piece: Piece, entries: Sequence[_Entry], wanted: Sequence[_Entry]) -> tuple[str, Sequence[_Entry]]:
        first = piece.inner[0]
        begin = self._text.rfind("\n", 0, first.start) + 1
        indent = " " * (first.start - begin)
        behind_dash = bool(self._text[begin : first.start].strip())
        head: Sequence[str] = ()
        if behind_dash and any(wanted[0].above):
            wanted = entries  # its comment would stand between the dash and the key
        if piece.outermost:
            head = entries[0].above  # what a file begins with is about the file
        lines = list(head)
        for entry in wanted:
            above = () if head and entry is entries[0] else entry.above
            lines += [indent + line.strip() if line.strip() else "" for line in (above if lines else _from_text(above))]
            lines.append(entry.text if behind_dash and entry is wanted[0] else indent + entry.text)
        return "\n".join(lines), wanted

    def _expressed(self, entries: Sequence[_Entry], kind: type) -> _Written | None:
        """A field in one line, `TYPE[!] [modifiers] [= default]`, where that says all of it."""
        field = Table({Text(entry.name): entry.value.node for entry in entries})
        text = _expression(field) if kind in FIELD_CLASSES else None
        if text is None or not self._same(field, Text(text), kind):
            return None
        return _Written(_quoted(text), Text(text), True)

    def _shortened(self, entries: Sequence[_Entry], whole: _Written, kind: type) -> _Written | None:
        """A mapping as the value of its one key, where its class has such a short form and that says the same."""
        names = [key_of(name) for name in SHORT_FORMS.get(kind, ())]
        said = {entry.name: entry.value for entry in entries}
        if not names or set(said) - set(names) or names[0] not in said:
            return None
        value = said[names[0]]
        fits = value.inline and not isinstance(value.node, Table) and not getattr(value.node, "block", False)
        return value if fits and self._same(whole.node, value.node, kind) else None


def _expected(field: attrs.Attribute[Any], place: str) -> tuple[Any, str]:
    filled = field.metadata.get("filled")
    return (mapping_of(filled) if filled else field.type), place


def _divide(lines: Sequence[str], column: int) -> tuple[Sequence[str], Sequence[str]]:
    """The lines between two entries: comments that are indented more than the keys end the first, the others are
    about the second."""
    inner = [number for number, line in enumerate(lines) if line.strip() and len(line) - len(line.lstrip()) > column]
    cut = inner[-1] + 1 if inner else 0
    return lines[:cut], lines[cut:]


def _from_text(lines: Sequence[str]) -> Sequence[str]:
    """The lines from the first that is not blank."""
    first = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    return lines[first:]


def _expression(field: Table) -> str | None:
    """`TYPE[!] [modifiers] [= default]`, where that can say all that a field says."""
    texts = {str(key): value for key, value in field.items() if isinstance(value, Text) and "\n" not in value}
    if "type" not in texts or len(texts) < len(field) or set(texts) - {"type", "required", "default", *MODIFIERS}:
        return None
    words = [name for name in MODIFIERS if texts.get(name) == "true"]
    required = "!" if texts.get("required") == "true" else ""
    default = f" = {texts['default']}" if "default" in texts else ""
    return " ".join([f"{texts['type']}{required}", *words]) + default


def _quoted(text: str) -> str:
    """A text as YAML, without quotes where it can do without."""
    return text if _PLAIN.fullmatch(text) and not text.endswith(" ") else json.dumps(text, ensure_ascii=False)
