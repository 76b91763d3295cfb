"""Duplicates by an object's criteria, and groups with aggregates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from emulators.exchange import Record
from emulators.twenty_server import refusals
from emulators.twenty_server.model import ObjectType
from emulators.twenty_server.pages import Page, encode_cursor
from emulators.twenty_server.store import Store
from emulators.twenty_server.values import COMPOSITES, is_empty

# Recorded for person; for the others assumed.
CRITERIA: dict[str, list[list[str]]] = {
    "person": [["name.firstName", "name.lastName"], ["linkedinLink.primaryLinkUrl"], ["emails.primaryEmail"]],
    "company": [["name"], ["domainName.primaryLinkUrl"]],
}


def at(record: Record, path: str) -> Any:
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def find_duplicates(store: Store, thing: ObjectType, body: dict[str, Any]) -> list[Page]:
    """For each given record or id those like it. Raises Refusal."""
    data, ids = (body.get(name) or [] for name in ("data", "ids"))
    if data and ids:
        raise refusals.Refusal('You cannot provide both "data" and "ids" arguments')
    if not data and not ids:
        raise refusals.Refusal('You have to provide either "data" or "ids" argument')
    if not isinstance(data, list) or not isinstance(ids, list):
        raise refusals.Refusal('"data" and "ids" must be arrays')  # wording assumed
    if ids:
        probes = [store.get(thing, str(record_id)) for record_id in ids]
    else:
        probes = [store.accepted(thing, item) for item in data]
    return [_duplicates_of(store, thing, probe) for probe in probes]


def _duplicates_of(store: Store, thing: ObjectType, probe: Record) -> Page:
    criteria = CRITERIA.get(thing.singular, [])
    found = [
        record
        for record in store.matching(thing, None)
        if record["id"] != probe.get("id") and any(_alike(record, probe, paths) for paths in criteria)
    ]
    cursors = [encode_cursor(record, []) for record in found]
    info = {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": cursors[0] if cursors else None,
        "endCursor": cursors[-1] if cursors else None,
    }
    return Page(found, cursors, info, len(found))


def _alike(record: Record, probe: Record, paths: list[str]) -> bool:
    return all(not is_empty(at(probe, path)) and at(record, path) == at(probe, path) for path in paths)


# Groups --------------------------------------------------------------------------------------------------------------


Groups = dict[tuple[Any, ...], list[Record]]


def group_records(records: list[Record], group_by: Any, thing: ObjectType) -> Groups:
    """Records by the values of the grouping fields. A date's granularity is not emulated."""
    paths = [_group_path(term, thing) for term in (group_by if isinstance(group_by, list) else [group_by])]
    groups: Groups = {}
    for record in records:
        groups.setdefault(tuple(_hashable(at(record, path)) for path in paths), []).append(record)
    return groups


def _group_path(term: Any, thing: ObjectType) -> str:
    if not isinstance(term, dict) or not term:
        raise refusals.bad_value("Invalid group by: expected objects")  # wording assumed
    (name, value), *_ = term.items()
    field = thing.by_column(name)
    if field is None:
        raise refusals.unknown_field(thing.singular, name)
    if isinstance(value, dict) and value and field.type in COMPOSITES:
        return f"{name}.{next(iter(value))}"
    return str(name)


def _hashable(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "countNotEmpty": lambda values: sum(not is_empty(value) for value in values),
    "countEmpty": lambda values: sum(is_empty(value) for value in values),
    "countUniqueValues": lambda values: len({str(value) for value in values}),
    "min": lambda values: min((value for value in values if value is not None), default=None),
    "max": lambda values: max((value for value in values if value is not None), default=None),
    "sum": lambda values: sum(value for value in values if value is not None),
    "avg": lambda values: sum(known) / len(known) if (known := [v for v in values if v is not None]) else None,
}


def aggregate(name: str, records: list[Record], thing: ObjectType) -> Any:
    """`totalCount`, `countNotEmptyId`, `sumAmountAmountMicros`… Raises Refusal."""
    if name == "totalCount":
        return len(records)
    for kind in sorted(AGGREGATES, key=len, reverse=True):
        if name.startswith(kind):
            path = _aggregate_path(name.removeprefix(kind), thing)
            return AGGREGATES[kind]([at(record, path) for record in records])
    raise refusals.bad_value(f'Unknown aggregate operation "{name}"')  # wording assumed


def _aggregate_path(name: str, thing: ObjectType) -> str:
    plain = name[:1].lower() + name[1:]
    for column, field in thing.columns():
        if column == plain:
            return column
        rest = plain.removeprefix(column)
        if field.type in COMPOSITES and rest != plain and re.match("[A-Z]", rest):
            return f"{column}.{rest[:1].lower()}{rest[1:]}"
    raise refusals.unknown_field(thing.singular, plain)
