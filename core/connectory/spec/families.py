"""Operations written once for many objects -> operations written out, before anything else is checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeGuard

import attrs

from connectory.errors import Fault
from connectory.spec.expressions import Expression, ExpressionFault, compile_expression, expression_names
from connectory.spec.naming import capital, snake
from connectory.spec.trees import Array, Node, Table, Text, as_data, copy_place, file_of

Filters = Mapping[str, Callable[..., Any]]
Row = Mapping[str, str]
_CHUNK: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
NAMING: Final[Filters] = {"snake": snake, "capital": capital}


def expand_families(
    tree: Table, discovered: Mapping[str, Sequence[Row]], filters: Filters, faults: list[Fault]
) -> Table:
    """The tree with each family's operations among `operations`, once for each known or discovered object.

    An object found by discovery replaces a known one with the same first column.
    """
    families = tree.get(Text("families"))
    if not isinstance(families, Table):
        return tree
    written = tree.get(Text("operations"))
    operations = copy_place(Table(written if isinstance(written, Table) else {}), tree)
    notes = {section: tree.get(Text(section)) for section in ("assumed", "sources")}
    expanded = {section: copy_place(Table(node), node) for section, node in notes.items() if isinstance(node, Table)}
    for name, family in families.items():
        if not _can_be_expanded(family):
            continue  # the structure check says what is wrong
        compiled: dict[str, Expression | None] = {}
        for row in _rows(family, discovered.get(str(name), ())):
            texts = _Texts(str(name), row, {**NAMING, **filters}, faults, compiled)
            _expand_object(texts, family, operations, expanded)
    result = copy_place(Table(tree), tree)
    result[Text("operations")] = operations
    for section, node in expanded.items():
        result[_key(tree, section)] = node
    return result


def _key(tree: Table, name: str) -> Text:
    return next(key for key in tree if key == name)


def _can_be_expanded(family: Node) -> TypeGuard[Table]:
    if not isinstance(family, Table) or not isinstance(family.get(Text("operations")), Table):
        return False
    return isinstance(family.get(Text("resource")), Text)


def _rows(family: Table, discovered: Sequence[Row]) -> list[Row]:
    known = family.get(Text("known"))
    listed = as_data(known) if isinstance(known, Array) else [] if known is None else [as_data(known)]
    rows: dict[str, Row] = {}
    for row in [*listed, *discovered]:
        if isinstance(row, dict) and row:
            rows[str(next(iter(row.values())))] = {str(k): str(v) for k, v in row.items()}
    return list(rows.values())


def _expand_object(texts: _Texts, family: Table, operations: Table, notes: Mapping[str, Table]) -> None:
    """Adds the operations of one object."""
    name = texts.family
    before = len(texts.faults)
    resource = str(texts.fill(family[Text("resource")], f"/families/{name}/resource"))
    named = len(texts.faults) == before
    written = family[Text("operations")]
    assert isinstance(written, Table)
    for verb, operation in written.items():
        path = f"/families/{name}/operations/{verb}"
        word = str(texts.fill(verb, path))
        full = _placed(Text(word if "." in word else f"{resource}.{word}"), verb)
        filled = texts.fill(operation, path)
        if not named:
            continue
        if full in operations:
            texts.faults.append(
                Fault(file_of(verb), verb.line, verb.column, path, f"operation '{full}' exists already")
            )
            continue
        operations[full] = filled
        for section in notes.values():
            _copy_notes(section, path.removeprefix("/"), f"operations/{full}")


def _copy_notes(section: Table, prefix: str, replacement: str) -> None:
    """What is assumed of a family's operation is assumed of each object's."""
    for place in list(section):
        if place == prefix or place.startswith(f"{prefix}/"):
            section[_placed(Text(replacement + place[len(prefix) :]), place)] = section[place]


@attrs.frozen
class _Texts:
    """The texts of a family, to be filled for one object; `compiled` serves all its objects."""

    family: str
    row: Row
    filters: Filters
    faults: list[Fault]
    compiled: dict[str, Expression | None]

    def fill(self, node: Node, path: str) -> Node:
        """The node with what speaks of the family filled in, keys too; other `{{ }}` are left for later."""
        if isinstance(node, Table):
            filled = copy_place(Table(), node)
            for key, value in node.items():
                new_key = self.fill(key, f"{path}/{key}")
                assert isinstance(new_key, Text)
                if new_key in filled:
                    self._refuse(key, path, f"the key '{new_key}' stands twice once it is filled in")
                filled[new_key] = self.fill(value, f"{path}/{key}")
            return filled
        if isinstance(node, Array):
            return copy_place(Array(self.fill(item, f"{path}/{number}") for number, item in enumerate(node)), node)
        if "{{" not in node:
            return node
        return _placed(Text(_CHUNK.sub(lambda found: self._render(found[0], node, path), node)), node)

    def _render(self, chunk: str, node: Text, path: str) -> str:
        try:
            if chunk not in self.compiled:
                own = self.family in expression_names(chunk)
                self.compiled[chunk] = compile_expression(chunk, self.filters) if own else None
            expression = self.compiled[chunk]
            return chunk if expression is None else expression.render({self.family: self.row})
        except ExpressionFault as why:
            self._refuse(node, path, str(why))
            return ""

    def _refuse(self, at: Text, path: str, message: str) -> None:
        self.faults.append(Fault(file_of(at), at.line, at.column, path, message))


def _placed(text: Text, at: Text) -> Text:
    placed = copy_place(text, at)
    placed.plain = at.plain
    return placed
