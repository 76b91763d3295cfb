"""Operations written once for many objects -> operations written out, before anything else is checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectory.errors import Fault
from connectory.spec.expressions import ExpressionFault, compile_expression, expression_names
from connectory.spec.naming import capital, snake
from connectory.spec.trees import Array, Node, Table, Text, as_data, copy_place, file_of

Filters = Mapping[str, Callable[..., Any]]
Row = Mapping[str, str]
_CHUNK = re.compile(r"\{\{.*?\}\}", re.DOTALL)
NAMING: Filters = {"snake": snake, "capital": capital}


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
        if not isinstance(family, Table) or not isinstance(family.get(Text("operations")), Table):
            continue  # the structure check says what is wrong
        for row in _rows(family, discovered.get(str(name), ())):
            _expand_object(str(name), family, row, {**NAMING, **filters}, operations, expanded, faults)
    result = copy_place(Table(tree), tree)
    result[Text("operations")] = operations
    for section, node in expanded.items():
        result[_key(tree, section)] = node
    return result


def _key(tree: Table, name: str) -> Text:
    return next(key for key in tree if key == name)


def _rows(family: Table, discovered: Sequence[Row]) -> list[Row]:
    known = family.get(Text("known"))
    listed = as_data(known) if isinstance(known, Array) else []
    rows: dict[str, Row] = {}
    for row in [*listed, *discovered]:
        if isinstance(row, dict) and row:
            rows[str(next(iter(row.values())))] = {str(k): str(v) for k, v in row.items()}
    return list(rows.values())


def _expand_object(
    name: str,
    family: Table,
    row: Row,
    filters: Filters,
    operations: Table,
    notes: Mapping[str, Table],
    faults: list[Fault],
) -> None:
    def fill(node: Node) -> Node:
        return _fill(node, name, row, filters, faults)

    resource = str(fill(family.get(Text("resource"), Text(""))))
    written = family[Text("operations")]
    assert isinstance(written, Table)
    for verb, operation in written.items():
        word = str(fill(verb))
        full = _placed(Text(word if "." in word else f"{resource}.{word}"), verb)
        if full in operations:
            faults.append(
                Fault(
                    file_of(verb),
                    verb.line,
                    verb.column,
                    f"/families/{name}/operations/{verb}",
                    f"operation '{full}' exists already",
                )
            )
            continue
        operations[full] = fill(operation)
        for section in notes.values():
            _copy_notes(section, f"families/{name}/operations/{verb}", f"operations/{full}")


def _copy_notes(section: Table, prefix: str, replacement: str) -> None:
    """What is assumed of a family's operation is assumed of each object's."""
    for place in list(section):
        if place == prefix or place.startswith(f"{prefix}/"):
            section[_placed(Text(replacement + place[len(prefix) :]), place)] = section[place]


def _fill(node: Node, family: str, row: Row, filters: Filters, faults: list[Fault]) -> Node:
    if isinstance(node, Table):
        filled = copy_place(Table(), node)
        for key, value in node.items():
            new_key = _fill(key, family, row, filters, faults)
            assert isinstance(new_key, Text)
            filled[new_key] = _fill(value, family, row, filters, faults)
        return filled
    if isinstance(node, Array):
        return copy_place(Array(_fill(item, family, row, filters, faults) for item in node), node)
    if "{{" not in node:
        return node
    return _placed(Text(_CHUNK.sub(lambda found: _render(found[0], node, family, row, filters, faults), node)), node)


def _render(chunk: str, node: Text, family: str, row: Row, filters: Filters, faults: list[Fault]) -> str:
    """One `{{ }}`: filled when it speaks of the family, else left for later."""
    try:
        if family not in expression_names(chunk):
            return chunk
        return compile_expression(chunk, filters).render({family: row})
    except ExpressionFault as why:
        faults.append(Fault(file_of(node), node.line, node.column, "", str(why)))
        return ""


def _placed(text: Text, at: Text) -> Text:
    placed = copy_place(text, at)
    placed.plain = at.plain
    return placed
