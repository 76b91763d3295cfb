"""The records API over GraphQL: one endpoint, errors inside HTTP 200, no check of what is selected."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import attrs
from graphql import GraphQLError

from emulators.exchange import Answer, Ask, Record
from emulators.twenty_server import refusals
from emulators.twenty_server.answers import JSON, answer_plain, body_json
from emulators.twenty_server.introspection import introspect
from emulators.twenty_server.keys import Key, Rejection
from emulators.twenty_server.model import Field, ObjectType, capital
from emulators.twenty_server.pages import Page, Wanted, check_order, cut_page, read_order
from emulators.twenty_server.refusals import Refusal
from emulators.twenty_server.rest_records import DEFAULT_LIMIT, Workspace
from emulators.twenty_server.selection import Selected, Unreadable, cannot_query, located, read_request
from emulators.twenty_server.similar import aggregate, find_duplicates, group_records
from emulators.twenty_server.store import Store

LIST_ARGUMENTS = {"filter", "orderBy", "first", "last", "after", "before", "offset"}
GROUP_ARGUMENTS = LIST_ARGUMENTS | {"groupBy", "viewId", "orderByForRecords", "limit"}


@attrs.frozen
class Root:
    """What a root field stands for: an action on an object, one record or several."""

    action: str
    thing: ObjectType
    several: bool
    arguments: frozenset[str]


def find_root(kind: str, name: str, things: list[ObjectType]) -> Root | None:
    """`people`, `person`, `personDuplicates`, `peopleGroupBy`; `createPerson`, `createPeople`, …"""
    for thing in things:
        for action, several, text, arguments in _names(thing, kind):
            if text == name:
                return Root(action, thing, several, frozenset(arguments))
    return None


def _names(thing: ObjectType, kind: str) -> list[tuple[str, bool, str, set[str]]]:
    one, many = thing.type_name, capital(thing.plural)
    if kind == "query":
        return [
            ("list", True, thing.plural, LIST_ARGUMENTS),
            ("get", False, thing.singular, {"filter"}),
            ("duplicates", True, f"{thing.singular}Duplicates", {"ids", "data"}),
            (
                "group",
                True,
                f"{thing.plural}GroupBy",
                GROUP_ARGUMENTS,
            ),
        ]
    names = [
        ("create", False, f"create{one}", {"data", "upsert"}),
        ("create", True, f"create{many}", {"data", "upsert"}),
        ("update", False, f"update{one}", {"id", "data"}),
        ("update", True, f"update{many}", {"filter", "data"}),
        ("merge", True, f"merge{many}", {"ids", "conflictPriorityIndex", "dryRun"}),
    ]
    for action in ("delete", "destroy", "restore"):
        names += [(action, False, f"{action}{one}", {"id"}), (action, True, f"{action}{many}", {"filter"})]
    return names


def without_key(ask: Ask, rejection: Rejection) -> Answer:
    """A bad key is an error inside 200; without any the schema is simply empty."""
    if rejection.error != "FORBIDDEN_EXCEPTION" or "revoked" in rejection.message:
        return answer_plain({"errors": [rejection.graphql()]})
    try:
        request = read_request(_body(ask))
    except Unreadable as unreadable:
        return answer_plain({"errors": unreadable.errors}, 200, JSON)
    return answer_plain(
        {"errors": [cannot_query(r.name, capital(request.kind), r.node) for r in request.roots]}, 200, JSON
    )


def _body(ask: Ask) -> dict[str, Any]:
    if ask.method == "GET":
        return {"query": ask.argument("query")}
    body = body_json(ask)
    return body if isinstance(body, dict) else {}


@attrs.frozen
class GraphqlApi:
    """`/graphql`, for one request with a good key."""

    workspace: Workspace
    ask: Ask
    key: Key

    @property
    def store(self) -> Store:
        return self.workspace.store

    def answer(self) -> Answer:
        if self.ask.method == "POST" and isinstance(body_json(self.ask), list):
            return answer_plain({"errors": [{"message": "Batching is not supported."}]}, 400, JSON)
        try:
            return self._executed()
        except Unreadable as unreadable:
            return answer_plain({"errors": unreadable.errors}, 200, JSON)

    def _executed(self) -> Answer:
        body = _body(self.ask)
        request = read_request(body)
        if self.ask.method == "GET":  # recorded: a GET does not know the workspace's schema
            raise Unreadable([cannot_query(root.name, capital(request.kind), root.node) for root in request.roots])
        if any(root.name.startswith("__") for root in request.roots):
            return answer_plain(introspect(self.workspace.model, body))
        roots = [(selected, self._root(request.kind, selected)) for selected in request.roots]
        names = [selected.name for selected in request.roots]
        if twice := next((name for name in names if names.count(name) > 1), None):
            error = {"message": f'Duplicate root resolver: "{twice}"', "extensions": {"code": "BAD_USER_INPUT"}}
            return answer_plain({"data": {}, "errors": [error]})
        return self._answered(roots)

    def _root(self, kind: str, selected: Selected) -> Root:
        things = [thing for thing in self.workspace.model.objects.values() if thing.active]
        root = find_root(kind, selected.name, things)
        if root is None:
            raise Unreadable([cannot_query(selected.name, capital(kind), selected.node)])
        for argument in selected.node.arguments or ():
            if argument.name.value not in root.arguments:  # assumed: no recording has one
                text = f'Unknown argument "{argument.name.value}" on field "{capital(kind)}.{selected.name}".'
                raise Unreadable([located(GraphQLError(text, argument))])
        return root

    def _answered(self, roots: list[tuple[Selected, Root]]) -> Answer:
        """All roots of one request cost one token; each may fail alone."""
        try:
            self.workspace.spend_token()
        except Refusal as refusal:
            errors = [refusal.graphql() for _ in roots]
            return answer_plain({"data": {selected.alias: None for selected, _ in roots}, "errors": errors})
        data: Record = {}
        errors = []
        for selected, root in roots:
            try:
                if not getattr(self.key.rights, ACTIONS[root.action][0]):
                    raise refusals.permission_denied()
                data[selected.alias] = ACTIONS[root.action][1](self, root, selected)
            except Refusal as refusal:
                data[selected.alias] = None
                errors.append(refusal.graphql())
        return answer_plain({"data": data} | ({"errors": errors} if errors else {}))

    # Reading ---------------------------------------------------------------------------------------------------------

    def find_many(self, root: Root, selected: Selected) -> Record:
        arguments = selected.arguments
        records = self.store.matching(root.thing, arguments.get("filter"))
        return self._connection(root.thing, records, arguments, selected)

    def find_one(self, root: Root, selected: Selected) -> Record | None:
        found = self.store.matching(root.thing, selected.arguments.get("filter"))
        if not found:
            raise refusals.not_found()
        return self._node(root.thing, found[0], selected)

    def duplicates(self, root: Root, selected: Selected) -> list[Record]:
        found = find_duplicates(self.store, root.thing, selected.arguments)
        return [self._page(root.thing, page, selected) for page in found]

    def group(self, root: Root, selected: Selected) -> list[Record]:
        thing, arguments = root.thing, selected.arguments
        records = self.store.matching(thing, arguments.get("filter"))
        groups = group_records(records, arguments.get("groupBy") or [], thing)
        return [
            {field.alias: _group_value(field.name, values, group, thing) for field in selected.fields}
            for values, group in itertools.islice(groups.items(), arguments.get("limit"))
        ]

    # Writing ---------------------------------------------------------------------------------------------------------

    def create(self, root: Root, selected: Selected) -> Any:
        data = selected.arguments.get("data")
        if data is None:
            raise refusals.missing_argument("data", "array" if root.several else "object")
        inputs = data if root.several and isinstance(data, list) else [data]
        upsert = selected.arguments.get("upsert") is True
        return self._written(root, selected, self.store.create(root.thing, inputs, self.key, upsert=upsert))

    def update(self, root: Root, selected: Selected) -> Any:
        data = selected.arguments.get("data")
        if data is None:
            raise refusals.missing_argument("data", "object")
        records = self._meant(root, selected, deleted_too=False)
        return self._written(root, selected, self.store.update(root.thing, records, data, self.key))

    def delete(self, root: Root, selected: Selected) -> Any:
        records = self._meant(root, selected, deleted_too=not root.several)
        return self._written(root, selected, self.store.soft_delete(root.thing, records))

    def destroy(self, root: Root, selected: Selected) -> Any:
        records = self._meant(root, selected, deleted_too=True)
        return self._written(root, selected, self.store.destroy(root.thing, records))

    def restore(self, root: Root, selected: Selected) -> Any:
        records = self._meant(root, selected, deleted_too=True)
        if root.several:
            records = [record for record in records if record["deletedAt"] is not None]
        return self._written(root, selected, self.store.restore(root.thing, records))

    def merge(self, root: Root, selected: Selected) -> Any:
        given = selected.arguments
        ids, priority, dry_run = (
            given.get("ids") or [],
            given.get("conflictPriorityIndex", 0),
            given.get("dryRun") is True,
        )
        merged = self.store.merge(root.thing, ids, priority, dry_run=dry_run, key=self.key)
        return self._node(root.thing, merged, selected)

    def _meant(self, root: Root, selected: Selected, *, deleted_too: bool) -> list[Record]:
        """The records of the argument `id`, or `filter` for several."""
        if not root.several:
            record_id = selected.arguments.get("id")
            if record_id is None:
                raise refusals.missing_argument("id", "string")  # wording assumed
            return [self.store.get(root.thing, str(record_id), deleted_too=deleted_too)]
        condition = selected.arguments.get("filter")
        if condition is None:
            raise refusals.missing_argument("filter", "object")  # wording assumed
        return self.store.matching(root.thing, condition, deleted_too=deleted_too)

    def _written(self, root: Root, selected: Selected, records: list[Record]) -> Any:
        shown = [self._node(root.thing, record, selected) for record in records]
        return shown if root.several else shown[0]

    # Showing ---------------------------------------------------------------------------------------------------------

    def _connection(self, thing: ObjectType, records: list[Record], given: Record, selected: Selected) -> Record:
        first, last = given.get("first"), given.get("last")
        for name, count in (("first", first), ("last", last)):
            if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
                raise refusals.bad_value(f"{capital(name)} argument must be a number")  # wording assumed
            if count is not None and count < 0:
                text = f"{capital(name)} argument must be non-negative"
                raise Refusal(text, sub_code=f"INVALID_ARGS_{name.upper()}")
        limit = first if first is not None else last if last is not None else DEFAULT_LIMIT  # the default is assumed
        orders = read_order(given.get("orderBy") or [], thing)
        check_order(orders, thing)
        after, before = (None if given.get(name) is None else str(given[name]) for name in ("after", "before"))
        wanted = Wanted(limit, after, before)
        page = cut_page(records, orders, wanted, lose_nulls=self.workspace.lose_nulls)
        return self._page(thing, page, selected)

    def _page(self, thing: ObjectType, page: Page, selected: Selected) -> Record:
        parts: dict[str, Callable[[Selected], Any]] = {
            "totalCount": lambda field: page.total,
            "pageInfo": lambda field: {part.alias: page.info.get(part.name) for part in field.fields},
            "edges": lambda field: [
                {part.alias: self._edge_part(thing, part, record, cursor) for part in field.fields}
                for record, cursor in zip(page.records, page.cursors, strict=True)
            ],
            "__typename": lambda field: f"{thing.type_name}Connection",
        }
        return {field.alias: parts[field.name](field) if field.name in parts else None for field in selected.fields}

    def _edge_part(self, thing: ObjectType, part: Selected, record: Record, cursor: str) -> Any:
        if part.name == "node":
            return self._node(thing, record, part)
        return {"cursor": cursor, "__typename": f"{thing.type_name}Edge"}.get(part.name)

    def _node(self, thing: ObjectType, record: Record, selected: Selected) -> Record:
        return {field.alias: self._value(thing, record, field) for field in selected.fields}

    def _value(self, thing: ObjectType, record: Record, field: Selected) -> Any:
        if field.name == "__typename":
            return thing.type_name
        known = thing.fields.get(field.name)
        if known is not None and known.is_relation:
            return self._relation(known, record, field)
        value = record.get(field.name)  # recorded: an unknown field is null and no error
        if isinstance(value, dict) and field.fields:
            return {part.alias: value.get(part.name) for part in field.fields}
        return value

    def _relation(self, relation: Field, record: Record, field: Selected) -> Any:
        other = self.workspace.model.objects[relation.target]
        if relation.to_many:
            matches = self.store.match(other, field.arguments.get("filter"))
            records = [one for one in self.store.related(relation, record) if matches(one)]
            return self._connection(other, records, field.arguments, field)
        related_id = record[relation.column]
        related = self.store.find(other.singular, related_id) if related_id else None
        return self._node(other, related, field) if related is not None else None


def _group_value(name: str, values: tuple[Any, ...], group: list[Record], thing: ObjectType) -> Any:
    return list(values) if name == "groupByDimensionValues" else aggregate(name, group, thing)


Act = Callable[[GraphqlApi, Root, Selected], Any]
ACTIONS: dict[str, tuple[str, Act]] = {
    "list": ("read", GraphqlApi.find_many),
    "get": ("read", GraphqlApi.find_one),
    "duplicates": ("read", GraphqlApi.duplicates),
    "group": ("read", GraphqlApi.group),
    "create": ("write", GraphqlApi.create),
    "update": ("write", GraphqlApi.update),
    "merge": ("write", GraphqlApi.merge),
    "delete": ("delete", GraphqlApi.delete),
    "destroy": ("delete", GraphqlApi.destroy),
    "restore": ("delete", GraphqlApi.restore),
}
"""The right that an action needs, and what does it."""
