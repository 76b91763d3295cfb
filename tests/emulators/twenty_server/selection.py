"""GraphQL documents: parsed, their variables put in, fragments and directives followed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs
from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    parse,
)
from graphql.utilities import value_from_ast_untyped


class Unreadable(Exception):
    """A document refused before anything of it is done; `errors` are the answer's."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


def located(error: GraphQLError) -> dict[str, Any]:
    """Message and places, as the server shows errors of syntax and validation (it quotes with double quotes)."""
    places = [{"line": place.line, "column": place.column} for place in error.locations or []]
    message = re.sub(r"'([^']*)'", r'"\1"', error.message)
    return {"message": message} | ({"locations": places} if places else {})


def cannot_query(name: str, type_name: str, node: FieldNode) -> dict[str, Any]:
    return located(GraphQLError(f'Cannot query field "{name}" on type "{type_name}".', node))


@attrs.frozen
class Selected:
    """One field of a selection with its arguments filled in; the same fields selected twice are one."""

    node: FieldNode
    name: str
    alias: str
    arguments: dict[str, Any]
    fields: tuple[Selected, ...]


@attrs.frozen
class Request:
    """One operation of a document: `query` or `mutation`, and its root fields."""

    kind: str
    roots: tuple[Selected, ...]


def read_request(body: dict[str, Any]) -> Request:
    """Raises Unreadable."""
    try:
        document = parse(str(body.get("query") or ""))
    except GraphQLError as error:
        raise Unreadable([located(error)]) from None
    operation = _operation(document, body.get("operationName"))
    variables = body.get("variables") or {}
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    reader = _Reader(
        {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)},
        defaults | variables,
    )
    return Request(operation.operation.value, reader.selected(operation.selection_set))


def _operation(document: DocumentNode, name: Any) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if not name and len(operations) == 1:
        return operations[0]
    for operation in operations:
        if name and operation.name is not None and operation.name.value == name:
            return operation
    unnamed = "Must provide operation name if query contains multiple operations."
    text = f'Unknown operation named "{name}".' if name else unnamed
    raise Unreadable([{"message": text}])


@attrs.frozen
class _Reader:
    fragments: dict[str, FragmentDefinitionNode]
    variables: dict[str, Any]

    def selected(self, selections: SelectionSetNode | None) -> tuple[Selected, ...]:
        merged: dict[str, Selected] = {}
        for node in self._fields(selections):
            alias = node.alias.value if node.alias else node.name.value
            fields = self.selected(node.selection_set)
            if alias in merged:
                fields = tuple({field.alias: field for field in (*merged[alias].fields, *fields)}.values())
            arguments = dict(self._arguments(node))
            merged[alias] = Selected(node, node.name.value, alias, arguments, fields)
        return tuple(merged.values())

    def _fields(self, selections: SelectionSetNode | None) -> Iterator[FieldNode]:
        for node in selections.selections if selections else ():
            if self._left_out(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from self._fields(node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments.get(node.name.value)
                if fragment is None:
                    error = GraphQLError(f'Unknown fragment "{node.name.value}".', node)
                    raise Unreadable([located(error)])
                yield from self._fields(fragment.selection_set)

    def _left_out(self, node: Any) -> bool:
        for directive in node.directives or ():
            wanted = next((self._value(argument.value) for argument in directive.arguments or ()), None)
            if (directive.name.value, wanted) in (("skip", True), ("include", False)):
                return True
        return False

    def _arguments(self, node: FieldNode) -> Iterator[tuple[str, Any]]:
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode) and argument.value.name.value not in self.variables:
                continue  # a variable that was not given is an argument that was not given
            yield argument.name.value, self._value(argument.value)

    def _value(self, node: ValueNode) -> Any:
        if isinstance(node, VariableNode):
            return self.variables.get(node.name.value)
        if isinstance(node, ListValueNode):
            return [self._value(item) for item in node.values]
        if isinstance(node, ObjectValueNode):
            return {field.name.value: self._value(field.value) for field in node.fields}
        if isinstance(node, NullValueNode):
            return None
        return node.value if isinstance(node, BooleanValueNode) else value_from_ast_untyped(node)
