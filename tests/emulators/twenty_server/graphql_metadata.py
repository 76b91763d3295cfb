"""The metadata API over GraphQL at `/metadata`: a real schema, so unknown fields are errors here.

Recorded: `objects`, `apiKeys`, `currentWorkspace`, `createWebhook` and the errors. The mutations on objects and
fields, their input types and `relation` are assumed; their names follow the REST answers (`createOneObject`).
"""

from __future__ import annotations

import base64
from typing import Any

import attrs
from graphql import GraphQLError, GraphQLResolveInfo, build_schema, graphql_sync

from emulators.exchange import Answer, Ask, Record
from emulators.twenty_server.answers import JSON, answer_plain, body_json
from emulators.twenty_server.keys import WORKSPACE, Key
from emulators.twenty_server.metadata import (
    change_field,
    change_object,
    drop_field,
    drop_object,
    make_field,
    make_object,
    show_field,
    show_object,
)
from emulators.twenty_server.metadata_faults import field_not_found, object_not_found
from emulators.twenty_server.model import Field, ObjectType
from emulators.twenty_server.refusals import Refusal, permission_denied
from emulators.twenty_server.rest_metadata import MOST, MetadataWorkspace, make_webhook, show_key
from emulators.twenty_server.selection import located

SCHEMA = build_schema(
    """
    scalar UUID
    scalar DateTime
    scalar JSON
    scalar ConnectionCursor

    input CursorPaging { first: Int, after: ConnectionCursor, last: Int, before: ConnectionCursor }
    input BooleanFieldComparison { is: Boolean, isNot: Boolean }
    input UUIDFilterComparison { eq: UUID, in: [UUID!] }
    input ObjectFilter { id: UUIDFilterComparison, isActive: BooleanFieldComparison, isSystem: BooleanFieldComparison }
    input FieldFilter {
      id: UUIDFilterComparison, objectMetadataId: UUIDFilterComparison, isActive: BooleanFieldComparison
    }

    type PageInfo {
      hasNextPage: Boolean, hasPreviousPage: Boolean, startCursor: ConnectionCursor, endCursor: ConnectionCursor
    }
    type RelatedObject { id: UUID!, nameSingular: String!, namePlural: String! }
    type RelatedField { id: UUID!, name: String! }
    type Relation {
      type: String!
      sourceObjectMetadata: RelatedObject!
      targetObjectMetadata: RelatedObject!
      sourceFieldMetadata: RelatedField!
      targetFieldMetadata: RelatedField!
    }
    type Field {
      id: UUID!, universalIdentifier: UUID, applicationId: UUID, type: String!, name: String!, label: String!
      description: String, icon: String, isActive: Boolean, isSystem: Boolean, isUIEditable: Boolean
      isUIReadOnly: Boolean, isNullable: Boolean, isUnique: Boolean, defaultValue: JSON, options: JSON, settings: JSON
      workspaceId: UUID, objectMetadataId: UUID!, isLabelSyncedWithName: Boolean, morphId: UUID
      createdAt: DateTime!, updatedAt: DateTime!, relation: Relation
    }
    type Object {
      id: UUID!, universalIdentifier: UUID, applicationId: UUID, nameSingular: String!, namePlural: String!
      labelSingular: String!, labelPlural: String!, description: String, icon: String, shortcut: String
      isRemote: Boolean, isActive: Boolean, isSystem: Boolean, isUIEditable: Boolean, isUICreatable: Boolean
      isUIReadOnly: Boolean, isSearchable: Boolean, isLabelSyncedWithName: Boolean, workspaceId: UUID
      labelIdentifierFieldMetadataId: UUID, imageIdentifierFieldMetadataId: UUID, duplicateCriteria: JSON
      createdAt: DateTime!, updatedAt: DateTime!
      fieldsList: [Field!]!
      fields(paging: CursorPaging, filter: FieldFilter): ObjectFieldsConnection!
    }
    type FieldEdge { node: Field!, cursor: ConnectionCursor! }
    type ObjectFieldsConnection { edges: [FieldEdge!]!, pageInfo: PageInfo! }
    type ObjectEdge { node: Object!, cursor: ConnectionCursor! }
    type ObjectConnection { edges: [ObjectEdge!]!, pageInfo: PageInfo! }
    type ApiKey { id: UUID!, name: String!, expiresAt: DateTime!, revokedAt: DateTime }
    type Workspace { id: UUID!, displayName: String, subdomain: String, metadataVersion: Int! }
    type Webhook { id: UUID!, targetUrl: String!, operations: [String!]!, description: String, secret: String }

    input CreateObjectInput {
      nameSingular: String!, namePlural: String!, labelSingular: String!, labelPlural: String!
      description: String, icon: String, isLabelSyncedWithName: Boolean
    }
    input UpdateObjectPayload {
      labelSingular: String, labelPlural: String, description: String, icon: String, isActive: Boolean
    }
    input CreateFieldInput {
      objectMetadataId: UUID!, type: String!, name: String!, label: String!, description: String, icon: String
      defaultValue: JSON, isNullable: Boolean, isUnique: Boolean, options: JSON, settings: JSON
      relationCreationPayload: JSON
    }
    input UpdateFieldInput {
      label: String, description: String, icon: String, defaultValue: JSON, isActive: Boolean, isNullable: Boolean
      options: JSON, settings: JSON
    }
    input CreateOneObjectInput { object: CreateObjectInput! }
    input UpdateOneObjectInput { id: UUID!, update: UpdateObjectPayload! }
    input DeleteOneObjectInput { id: UUID! }
    input CreateOneFieldMetadataInput { field: CreateFieldInput! }
    input UpdateOneFieldMetadataInput { id: UUID!, update: UpdateFieldInput! }
    input DeleteOneFieldInput { id: UUID! }
    input CreateWebhookInput { targetUrl: String!, operations: [String!], description: String, secret: String }

    type Query {
      objects(paging: CursorPaging, filter: ObjectFilter): ObjectConnection!
      object(id: UUID!): Object!
      fields(paging: CursorPaging, filter: FieldFilter): ObjectFieldsConnection!
      field(id: UUID!): Field!
      apiKeys: [ApiKey!]!
      webhooks: [Webhook!]!
      currentWorkspace: Workspace!
    }
    type Mutation {
      createOneObject(input: CreateOneObjectInput!): Object!
      updateOneObject(input: UpdateOneObjectInput!): Object!
      deleteOneObject(input: DeleteOneObjectInput!): Object!
      createOneField(input: CreateOneFieldMetadataInput!): Field!
      updateOneField(input: UpdateOneFieldMetadataInput!): Field!
      deleteOneField(input: DeleteOneFieldInput!): Field!
      createWebhook(input: CreateWebhookInput!): Webhook!
    }
    """
)


Info = GraphQLResolveInfo[Any]


@attrs.frozen
class MetadataGraphqlApi:
    """`/metadata`, for one request with a good key. Root fields are methods."""

    workspace: MetadataWorkspace
    ask: Ask
    key: Key

    def answer(self) -> Answer:
        body = body_json(self.ask)
        if not isinstance(body, dict):
            return answer_plain({"errors": [{"message": "Batching is not supported."}]}, 400, JSON)
        result = graphql_sync(
            SCHEMA,
            str(body.get("query")),
            root_value=self,
            variable_values=body.get("variables"),
            operation_name=body.get("operationName"),
        )
        errors = {"errors": [_error(error) for error in result.errors]} if result.errors else {}
        data = {"data": result.data} if result.data is not None or not errors else {}
        return answer_plain(errors | data, 200, JSON)

    def _check(self) -> None:
        if not self.key.rights.data_model:
            raise permission_denied(403)

    # Queries: the names are those of the schema ----------------------------------------------------------------------

    def objects(self, info: Info, paging: Record | None = None, filter: Record | None = None) -> Record:
        self._check()
        shown = [self._object(thing) for thing in self.workspace.model.objects.values()]
        return _connection([one for one in shown if _passes(one, filter)], paging)

    def object(self, info: Info, id: str) -> Record:
        self._check()
        return self._object(self._find_object(id))

    def fields(self, info: Info, paging: Record | None = None, filter: Record | None = None) -> Record:
        self._check()
        things = self.workspace.model.objects.values()
        shown = [self._field(thing, field) for thing in things for field in thing.fields.values()]
        return _connection([one for one in shown if _passes(one, filter)], paging)

    def field(self, info: Info, id: str) -> Record:
        self._check()
        return self._field(*self._find_field(id))

    def apiKeys(self, info: Info) -> list[Record]:
        return [show_key(key) for key in self.workspace.keys.values()]

    def webhooks(self, info: Info) -> list[Record]:
        return self.workspace.webhooks

    def currentWorkspace(self, info: Info) -> Record:
        return {"id": WORKSPACE, "displayName": "Apple", "subdomain": "apple", "metadataVersion": 28}

    # Mutations -------------------------------------------------------------------------------------------------------

    def createOneObject(self, info: Info, input: Record) -> Record:
        self._check()
        return self._object(make_object(self.workspace, input["object"], self.workspace.now()))

    def updateOneObject(self, info: Info, input: Record) -> Record:
        self._check()
        thing = self._find_object(input["id"])
        change_object(thing, input["update"], self.workspace.now())
        return self._object(thing)

    def deleteOneObject(self, info: Info, input: Record) -> Record:
        self._check()
        thing = self._find_object(input["id"])
        shown = self._object(thing)
        drop_object(self.workspace, thing)
        return shown

    def createOneField(self, info: Info, input: Record) -> Record:
        self._check()
        return self._field(*make_field(self.workspace, input["field"], self.workspace.now()))

    def updateOneField(self, info: Info, input: Record) -> Record:
        self._check()
        thing, field = self._find_field(input["id"])
        change_field(field, input["update"], self.workspace.now())
        return self._field(thing, field)

    def deleteOneField(self, info: Info, input: Record) -> Record:
        self._check()
        thing, field = self._find_field(input["id"])
        shown = self._field(thing, field)
        drop_field(self.workspace, thing, field)
        return shown

    def createWebhook(self, info: Info, input: Record) -> Record:
        hook = make_webhook(self.workspace, input)
        self.workspace.webhooks.append(hook)
        return hook

    # Finding and showing ---------------------------------------------------------------------------------------------

    def _find_object(self, object_id: str) -> ObjectType:
        thing = self.workspace.model.by_id(object_id)
        if thing is None:
            raise object_not_found()
        return thing

    def _find_field(self, field_id: str) -> tuple[ObjectType, Field]:
        found = self.workspace.model.field_by_id(field_id)
        if found is None:
            raise field_not_found()
        return found

    def _object(self, thing: ObjectType) -> Record:
        shown = show_object(thing)
        shown["fieldsList"] = fields = [self._field(thing, field) for field in thing.fields.values()]

        def connection(info: Info, paging: Record | None = None, filter: Record | None = None) -> Record:
            return _connection([one for one in fields if _passes(one, filter)], paging)

        return shown | {"fields": connection}

    def _field(self, thing: ObjectType, field: Field) -> Record:
        return show_field(thing, field) | {"relation": self._relation(thing, field)}

    def _relation(self, thing: ObjectType, field: Field) -> Record | None:
        if not field.is_relation:
            return None
        other = self.workspace.model.objects[field.target]
        back = next((f for f in other.relations() if f.inverse == field.name and f.target == thing.singular), None)
        back = other.fields[field.inverse] if field.to_many else back
        return {
            "type": "ONE_TO_MANY" if field.to_many else "MANY_TO_ONE",
            "sourceObjectMetadata": _names(thing),
            "targetObjectMetadata": _names(other),
            "sourceFieldMetadata": {"id": field.id, "name": field.name},
            "targetFieldMetadata": {"id": back.id, "name": back.name} if back else None,
        }


def _names(thing: ObjectType) -> Record:
    return {"id": thing.id, "nameSingular": thing.singular, "namePlural": thing.plural}


def _passes(shown: Record, condition: Record | None) -> bool:
    for name, comparison in (condition or {}).items():
        for comparator, operand in comparison.items():
            value = shown.get(name)
            right = value in operand if comparator == "in" else (value == operand) is (comparator != "isNot")
            if not right:
                return False
    return True


def _connection(shown: list[Record], paging: Record | None) -> Record:
    """Cursors count: `arrayconnection:0` in base64."""
    paging = paging or {}
    after = paging.get("after")
    start = 0 if after is None else int(base64.b64decode(after).decode().removeprefix("arrayconnection:")) + 1
    end = start + min(paging.get("first") or MOST, MOST)
    edges = [{"node": node, "cursor": _cursor(start + at)} for at, node in enumerate(shown[start:end])]
    info = {
        "hasNextPage": end < len(shown),
        "hasPreviousPage": start > 0,
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
    }
    return {"edges": edges, "pageInfo": info}


def _cursor(number: int) -> str:
    return base64.b64encode(f"arrayconnection:{number}".encode()).decode()


def _error(error: GraphQLError) -> dict[str, Any]:
    original = error.original_error
    if isinstance(original, Refusal):
        return original.graphql()
    if original is not None:
        raise original
    return located(error)
