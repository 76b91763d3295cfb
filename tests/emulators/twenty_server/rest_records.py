"""The records API over REST: paths, parameters and envelopes."""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

import attrs

from emulators.exchange import Answer, Ask, Record
from emulators.twenty_server import refusals
from emulators.twenty_server.answers import answer_json, body_json
from emulators.twenty_server.filters import parse_filter
from emulators.twenty_server.keys import Key
from emulators.twenty_server.model import Field, Model, ObjectType, capital
from emulators.twenty_server.pages import Order, Wanted, check_order, cut_page, parse_order
from emulators.twenty_server.refusals import Refusal
from emulators.twenty_server.similar import aggregate, find_duplicates, group_records
from emulators.twenty_server.store import Store

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
DEFAULT_LIMIT = 60
VERBS = ("duplicates", "merge", "groupBy")


class Workspace(Protocol):
    """What the APIs need of the emulator as a whole."""

    model: Model
    store: Store
    max_records: int
    lose_nulls: bool

    def spend_token(self) -> None:
        """Raises Refusal when there is none."""


@attrs.frozen
class Place:
    """A parsed path: the object, and an id or a verb (`batch`, `restore`, `duplicates`, `merge`, `groupBy`)."""

    thing: ObjectType
    record_id: str = ""
    verb: str = ""


def parse_place(path: str, model: Model) -> Place:
    """Raises Refusal for what is no path, no UUID, no object."""
    # The server removes "/rest" wherever it stands: "/restore" becomes "ore", and so does its error message.
    segments = [part for part in path.replace("/rest", "").split("/") if part]
    invalid = (
        f"Query path '{path}' invalid. Valid examples: /rest/companies/id or /rest/companies or /rest/batch/companies"
    )
    if not 1 <= len(segments) <= 2:
        raise Refusal(invalid)
    if len(segments) == 1:
        return Place(_object(segments[0], model))
    first, second = segments
    if first == "batch":
        return Place(_object(second, model), verb="batch")
    if path.startswith("/rest/restore/"):
        return Place(_object(second, model), verb="restore")
    if second in VERBS:
        return Place(_object(first, model), verb=second)
    if not UUID.fullmatch(second):
        raise Refusal(f"'{second}' is not a valid UUID")
    return Place(_object(first, model), record_id=second.lower())


def _object(name: str, model: Model) -> ObjectType:
    if thing := model.plural(name):
        return thing
    singular = model.objects.get(name)
    hint = f"Did you mean '{singular.plural}'?" if singular else "eg: companies"
    raise Refusal(f"object '{name}' not found. {hint}")


@attrs.frozen
class Parameters:
    """The query, parsed. Raises Refusal for what cannot be read; costs no token."""

    condition: Record | None
    orders: list[Order]
    limit: int
    depth: int
    after: str | None
    before: str | None
    upsert: bool
    soft_delete: bool

    @classmethod
    def of(cls, ask: Ask, thing: ObjectType, most: int) -> Parameters:
        text = ask.argument("filter")
        return cls(
            parse_filter(text, thing) if text else None,
            parse_order(ask.argument("order_by") or "", thing),
            _limit(ask.argument("limit"), most),
            _depth(ask.argument("depth")),
            ask.argument("starting_after"),
            ask.argument("ending_before"),
            ask.argument("upsert") == "true",
            ask.argument("soft_delete") == "true",
        )


def _limit(text: str | None, most: int) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not text.isdigit():
        raise Refusal(f"limit '{text}' is invalid. Should be an integer")
    return min(int(text), most)


def _depth(text: str | None) -> int:
    if text not in (None, "0", "1"):
        raise Refusal(f"'depth={text}' parameter invalid. Allowed values are 0, 1")
    return int(text or 0)


@attrs.frozen
class RestApi:
    """`/rest/<plural>` and its kin, for one request with a good key."""

    workspace: Workspace
    ask: Ask
    key: Key

    @property
    def store(self) -> Store:
        return self.workspace.store

    def answer(self) -> Answer:
        """Raises Refusal."""
        method = "PATCH" if self.ask.method == "PUT" else "GET" if self.ask.method == "HEAD" else self.ask.method
        place = parse_place(self.ask.path, self.workspace.model)
        kind = place.verb or ("one" if place.record_id else "many")
        parameters = Parameters.of(self.ask, place.thing, self.workspace.max_records)
        act = {
            ("GET", "many"): self._list,
            ("GET", "one"): self._get,
            ("GET", "groupBy"): self._group,
            ("POST", "many"): self._create,
            ("POST", "batch"): self._create_many,
            ("POST", "duplicates"): self._duplicates,
            ("PATCH", "one"): self._update,
            ("PATCH", "many"): self._update_many,
            ("PATCH", "restore"): self._restore,
            ("PATCH", "merge"): self._merge,
            ("DELETE", "one"): self._delete,
            ("DELETE", "many"): self._delete_many,
        }.get((method, kind))
        if act is None:
            text = f"Cannot {self.ask.method} {self.ask.path}"
            return answer_json({"message": text, "error": "Not Found", "statusCode": 404}, 404)
        return act(place, parameters)

    def _admit(self, right: str) -> None:
        """A token is spent before the key's right is looked at."""
        self.workspace.spend_token()
        if not getattr(self.key.rights, right):
            raise refusals.permission_denied()

    # Reading ---------------------------------------------------------------------------------------------------------

    def _list(self, place: Place, parameters: Parameters) -> Answer:
        thing = place.thing
        self._admit("read")
        check_order(parameters.orders, thing)
        wanted = Wanted(parameters.limit, parameters.after, parameters.before)
        records = self.store.matching(thing, parameters.condition)
        page = cut_page(records, parameters.orders, wanted, lose_nulls=self.workspace.lose_nulls)
        data = {thing.plural: [self._shown(thing, record, parameters.depth) for record in page.records]}
        return answer_json({"data": data, "totalCount": page.total, "pageInfo": page.info})

    def _get(self, place: Place, parameters: Parameters) -> Answer:
        self._admit("read")
        record = self.store.get(place.thing, place.record_id)
        return self._one(place.thing.singular, place.thing, record, parameters.depth)

    def _group(self, place: Place, parameters: Parameters) -> Answer:
        """A bare array; numbers of aggregates are texts."""
        thing = place.thing
        terms, names = self._list_argument("group_by"), self._list_argument("aggregate")
        if not terms:
            raise Refusal("'group_by' parameter is required")  # wording assumed
        self._admit("read")
        groups = group_records(self.store.matching(thing, parameters.condition), terms, thing)
        result = []
        for values, records in list(groups.items())[: parameters.limit]:
            group: Record = {name: _text_number(aggregate(name, records, thing)) for name in names}
            group["groupByDimensionValues"] = list(values)
            if self.ask.argument("include_records_sample") == "true":
                group["records"] = [self._shown(thing, record, 0) for record in records[:10]]
            result.append(group)
        return answer_json(result)

    def _list_argument(self, name: str) -> list[Any]:
        try:
            value = json.loads(self.ask.argument(name) or "[]")
        except ValueError:
            value = None
        if not isinstance(value, list):
            raise Refusal(f"'{name}' parameter invalid. Should be a JSON array")  # wording assumed
        return value

    def _duplicates(self, place: Place, parameters: Parameters) -> Answer:
        thing = place.thing
        body = body_json(self.ask)
        self._admit("read")
        found = find_duplicates(self.store, thing, body if isinstance(body, dict) else {})
        data = [
            {
                f"{thing.singular}Duplicates": [self._shown(thing, one, parameters.depth) for one in page.records],
                "totalCount": page.total,
                "pageInfo": page.info,
            }
            for page in found
        ]
        return answer_json({"data": data})

    # Writing ---------------------------------------------------------------------------------------------------------

    def _create(self, place: Place, parameters: Parameters) -> Answer:
        body = body_json(self.ask)
        if body is None:
            raise refusals.type_error("Cannot read properties of undefined (reading 'position')")
        self._admit("write")
        (record,) = self.store.create(place.thing, [body], self.key, upsert=parameters.upsert)
        return self._one(f"create{place.thing.type_name}", place.thing, record, parameters.depth, 201)

    def _create_many(self, place: Place, parameters: Parameters) -> Answer:
        body = body_json(self.ask)
        if not isinstance(body, list):
            raise refusals.type_error("args.data.forEach is not a function")
        self._admit("write")
        records = self.store.create(place.thing, body, self.key, upsert=parameters.upsert)
        return self._several(f"create{capital(place.thing.plural)}", place.thing, records, parameters.depth, 201)

    def _update(self, place: Place, parameters: Parameters) -> Answer:
        self._admit("write")
        record = self.store.get(place.thing, place.record_id)
        (done,) = self.store.update(place.thing, [record], self._changes(), self.key)
        return self._one(f"update{place.thing.type_name}", place.thing, done, parameters.depth)

    def _update_many(self, place: Place, parameters: Parameters) -> Answer:
        """Without a filter: every record, as the real server does."""
        self._admit("write")
        records = self.store.matching(place.thing, parameters.condition)
        done = self.store.update(place.thing, records, self._changes(), self.key)
        return self._several(f"update{capital(place.thing.plural)}", place.thing, done, parameters.depth)

    def _changes(self) -> Record:
        body = body_json(self.ask)
        return body if body is not None else {}

    def _delete(self, place: Place, parameters: Parameters) -> Answer:
        self._admit("delete")
        thing, name = place.thing, f"delete{place.thing.type_name}"
        record = self.store.get(thing, place.record_id, deleted_too=True)
        if parameters.soft_delete:
            (done,) = self.store.soft_delete(thing, [record])
            return self._one(name, thing, done, 0)
        self.store.destroy(thing, [record])
        return answer_json({"data": {name: {"id": record["id"]}}})

    def _delete_many(self, place: Place, parameters: Parameters) -> Answer:
        thing, name = place.thing, f"delete{capital(place.thing.plural)}"
        if parameters.condition is None:
            raise Refusal("Filters are mandatory to delete many records")  # wording assumed
        self._admit("delete")
        records = self.store.matching(thing, parameters.condition)
        if parameters.soft_delete:
            return self._several(name, thing, self.store.soft_delete(thing, records), 0)
        return answer_json({"data": {name: [{"id": record["id"]} for record in self.store.destroy(thing, records)]}})

    def _restore(self, place: Place, parameters: Parameters) -> Answer:
        if parameters.condition is None:
            raise Refusal("Filters are mandatory to restore many records")  # wording assumed
        self._admit("delete")
        found = self.store.matching(place.thing, parameters.condition, deleted_too=True)
        done = self.store.restore(place.thing, [record for record in found if record["deletedAt"] is not None])
        return self._several(f"restore{capital(place.thing.plural)}", place.thing, done, parameters.depth)

    def _merge(self, place: Place, parameters: Parameters) -> Answer:
        body = body_json(self.ask)
        body = body if isinstance(body, dict) else {}
        self._admit("write")
        ids, priority = body.get("ids") or [], body.get("conflictPriorityIndex", 0)
        dry_run = body.get("dryRun") is True
        merged = self.store.merge(place.thing, ids, priority, dry_run=dry_run, key=self.key)
        return self._one(f"merge{place.thing.type_name}", place.thing, merged, parameters.depth)

    # Showing ---------------------------------------------------------------------------------------------------------

    def _one(self, name: str, thing: ObjectType, record: Record, depth: int, status: int = 200) -> Answer:
        return answer_json({"data": {name: self._shown(thing, record, depth)}}, status)

    def _several(self, name: str, thing: ObjectType, records: list[Record], depth: int, status: int = 200) -> Answer:
        return answer_json({"data": {name: [self._shown(thing, record, depth) for record in records]}}, status)

    def _shown(self, thing: ObjectType, record: Record, depth: int) -> Record:
        if depth == 0:
            return record
        return record | {field.name: self._relation(field, record) for field in thing.relations()}

    def _relation(self, field: Field, record: Record) -> Any:
        if field.to_many:
            return self.store.related(field, record)
        other = record[field.column]
        return self.store.find(field.target, other) if other else None


def _text_number(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
