"""What of a spec only tells: changed, it alters no request, no page walk, no batch and no outcome."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from connectory.spec.edits import node_at
from connectory.spec.problems import Path
from connectory.spec.spots import Spot
from connectory.spec.trees import Array, Node, Table, Text
from connectory.spec.typeexpr import parse_field

_TALK: Final = re.compile(
    r"Spec\.(name|connectory|extends|docs|verify|assumed|sources)|Family\.discover|(Example|Discover)\b.*"
    r"|.*\.(about|obtain|example|examples|labels|personal|deprecated)"
)
_PLAIN: Final = re.compile(r"((list|map) of )*(str|int\d*|byte|bool|float|any|uuid|url)")
_CONVERTED: Final = re.compile(r"\b(date|time|datetime|decimal)\b")
_SAID: Final = frozenset({"about", "example", "labels", "personal", "deprecated"})
_FOR_WRITERS: Final = frozenset(
    {"required", "read_only", "write_only", "unique", "default", "pattern", "least", "most"}
)
_NAME: Final = re.compile(r"\b[A-Z]\w*")
_INPUTS: Final = ("path", "query", "headers", "fields", "variables")


def is_silent(tree: Table, spot: Spot, written: frozenset[str]) -> bool:
    """Whether a key or a scalar says nothing that a call would show if it were missing or another. `written` are the
    types whose values are sent."""
    if _TALK.fullmatch(spot.place):
        return True
    if not spot.is_key:
        return False
    if spot.place == "Operation.path" and spot.path[-2:-1] == ("path",):
        return facts(node_at(tree, spot.path)) == ("str", frozenset())  # as a name in the path is without being named
    if spot.place == "Field.type":
        return _PLAIN.fullmatch(facts(node_at(tree, spot.path[:-1]))[0]) is not None  # `any` takes what it takes
    if spot.path[0] != "types":
        return False
    if spot.place.startswith("Field."):
        return spot.path[1] not in written and spot.text in _FOR_WRITERS
    return len(spot.path) == 3 and _is_undeclared_alike(tree, spot.path, spot.path[1] in written)


def _is_undeclared_alike(tree: Table, path: Path, written: bool) -> bool:
    """Whether a field of a type is handled the same when it is not declared."""
    if path[2] == "*":
        return not written  # what is read may always hold more
    kind, marks = facts(node_at(tree, path))
    fields = node_at(tree, path[:2])
    if written and not (isinstance(fields, Table) and Text("*") in fields):
        return False
    if written:
        return _PLAIN.fullmatch(kind) is not None and not marks
    return not _is_converted(tree, kind, ()) and not marks - _FOR_WRITERS


def _is_converted(tree: Table, kind: str, seen: tuple[str, ...]) -> bool:
    """Whether a value of a type, or something in it, is read as more than what it came as."""
    if _CONVERTED.search(kind):
        return True
    types = tree.get(Text("types"))
    declared = types if isinstance(types, Table) else Table()
    for name in _NAME.findall(kind):
        fields = declared.get(Text(name))
        if isinstance(fields, Table) and name not in seen:
            inner = [facts(field)[0] for field in fields.values()]
            if any(_is_converted(tree, one, (*seen, name)) for one in inner):
                return True
    return False


def is_the_same(tree: Table, spot: Spot, after: str, written: frozenset[str]) -> bool:
    """Whether another expression for a field differs only in what is asked of those who write it, and nobody does:
    the type is only read, or the list is filled by a batch."""
    if spot.place == "Operation.fields" and after == spot.text.replace("!", "", 1):
        batch = node_at(tree, spot.path[:-2])
        held = batch.get(Text("batch")) if isinstance(batch, Table) else None
        return isinstance(held, Table) and held.get(Text("items")) == spot.path[-1]
    if spot.path[0] != "types" or len(spot.path) != 3:
        return False
    if spot.path[2] == "*":
        return True  # it opens the type; of what kind is not looked at
    if spot.path[1] in written:
        return False
    (one, marks), (other, others) = facts(spot.text), facts(Text(after))
    return (
        one == other or (other == "any" and _PLAIN.fullmatch(one) is not None)
    ) and marks - _FOR_WRITERS == others - _FOR_WRITERS


def facts(field: Node) -> tuple[str, frozenset[str]]:
    """The type of a field, and what else is said of it that is more than talk."""
    if isinstance(field, Table):
        kind = field.get(Text("type"), Text("any"))
        return str(kind), frozenset(map(str, field)) - {"type"} - _SAID
    try:
        said = parse_field(str(field))
    except ValueError:
        return str(field), frozenset()
    marks = {"required"} if said.required else set()
    marks |= {"default"} if said.default is not None else set()
    return str(said.type), frozenset(marks | said.modifiers) - _SAID


def written_types(tree: Table) -> frozenset[str]:
    """The types whose values are sent: by a body, a parameter, or inside one that is."""
    types = tree.get(Text("types"))
    declared = types if isinstance(types, Table) else Table()
    found: set[str] = set()
    waiting = [name for text in _inputs(tree) for name in _named(tree, text)]
    while waiting:
        name = waiting.pop()
        fields = declared.get(Text(name))
        if name not in found and isinstance(fields, Table):
            found.add(name)
            waiting += [inner for field in fields.values() for inner in _NAME.findall(facts(field)[0])]
    return frozenset(found)


def _inputs(tree: Table) -> Iterator[str]:
    """The types of everything that a caller may give."""
    for operation in _operations(tree):
        if isinstance(body := operation.get(Text("body")), Text):
            yield str(body)
        for spot in _INPUTS:
            fields = operation.get(Text(spot))
            if isinstance(fields, Table):
                yield from (facts(field)[0] for field in fields.values())


def _operations(tree: Table) -> Iterator[Table]:
    families = tree.get(Text("families"))
    groups = [tree.get(Text("operations"))]
    if isinstance(families, Table):
        groups += [family.get(Text("operations")) for family in families.values() if isinstance(family, Table)]
    for group in groups:
        if isinstance(group, Table):
            yield from (operation for operation in group.values() if isinstance(operation, Table))


def _named(tree: Table, text: str) -> Iterator[str]:
    """The types that a text names; where it is filled in by a family, those of its objects."""
    yield from _NAME.findall(text)
    families = tree.get(Text("families"))
    if "{{" in text and isinstance(families, Table):
        for family in families.values():
            known = family.get(Text("known")) if isinstance(family, Table) else None
            rows = known if isinstance(known, Array) else []
            yield from (str(value) for row in rows if isinstance(row, Table) for value in row.values())
