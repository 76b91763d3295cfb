"""What GraphQL introspection shows of the workspace: the types of its objects, not their arguments."""

from __future__ import annotations

from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedOutputType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    graphql_sync,
    specified_scalar_types,
)

from emulators.twenty_server.model import Field, Model, ObjectType, capital
from emulators.twenty_server.openapi import SIMPLE
from emulators.twenty_server.selection import located

SCALARS = {
    "UUID": "UUID",
    "DATE_TIME": "DateTime",
    "DATE": "Date",
    "POSITION": "Position",
    "NUMBER": "Float",
    "NUMERIC": "BigFloat",
    "BOOLEAN": "Boolean",
    "RAW_JSON": "RawJSONScalar",
    "TEXT": "String",
    "TS_VECTOR": "TSVector",
}
COMPOSITE_NAMES = {
    "FULL_NAME": "FullName",
    "EMAILS": "Emails",
    "LINKS": "Links",
    "PHONES": "Phones",
    "CURRENCY": "Currency",
    "ADDRESS": "Address",
    "ACTOR": "Actor",
    "RICH_TEXT": "RichText",
}


class _Types:
    """Types by name, made once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.known: dict[str, GraphQLNamedOutputType] = dict(specified_scalar_types)

    def scalar(self, name: str) -> GraphQLNamedOutputType:
        if name not in self.known:
            self.known[name] = GraphQLScalarType(name)
        return self.known[name]

    def of_field(self, field: Field) -> GraphQLOutputType:
        if field.is_relation:
            name = capital(field.target)
            return self.connection(name) if field.to_many else self.known[name]
        if field.type in COMPOSITE_NAMES:
            return self.composite(COMPOSITE_NAMES[field.type], field.type)
        if field.type in ("MULTI_SELECT", "ARRAY", "FILES"):
            return GraphQLList(GraphQLString)
        kind = self.scalar(SCALARS.get(field.type, "String"))
        return kind if field.nullable else GraphQLNonNull(kind)

    def composite(self, name: str, kind: str) -> GraphQLNamedOutputType:
        parts = SIMPLE.get(kind, {}).get("properties") or {"source": {}, "workspaceMemberId": {}, "name": {}}
        fields = {part: GraphQLField(GraphQLString) for part in parts}
        return self.known.setdefault(name, GraphQLObjectType(name, fields))

    def connection(self, name: str) -> GraphQLNamedOutputType:
        edge = GraphQLObjectType(
            f"{name}Edge",
            lambda: {"node": GraphQLField(self.known[name]), "cursor": GraphQLField(self.scalar("ConnectionCursor"))},
        )
        edge = self.known.setdefault(edge.name, edge)  # type: ignore[assignment]
        fields = {"edges": GraphQLField(GraphQLList(edge)), "totalCount": GraphQLField(GraphQLInt)}
        return self.known.setdefault(f"{name}Connection", GraphQLObjectType(f"{name}Connection", fields))

    def of_object(self, thing: ObjectType) -> GraphQLObjectType:
        def fields() -> dict[str, GraphQLField]:
            result: dict[str, GraphQLField] = {}
            for field in thing.fields.values():
                result[field.name] = GraphQLField(self.of_field(field))
                if field.is_relation and not field.to_many:
                    result[field.column] = GraphQLField(self.scalar("UUID"))
            return result

        return GraphQLObjectType(thing.type_name, fields)


def introspect(model: Model, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a query of `__schema`, `__type` or `__typename`."""
    types = _Types(model)
    for thing in model.objects.values():
        types.known[thing.type_name] = types.of_object(thing)
    lists = {thing.plural: GraphQLField(types.connection(thing.type_name)) for thing in model.objects.values()}
    schema = GraphQLSchema(GraphQLObjectType("Query", lists))
    result = graphql_sync(schema, str(body.get("query")), variable_values=body.get("variables"))
    errors = {"errors": [located(error) for error in result.errors]} if result.errors else {}
    return ({"data": result.data} if result.data is not None else {}) | errors
