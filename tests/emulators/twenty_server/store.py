"""The records, and what can be done to them. Every change is made whole or not at all."""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import attrs

from connectory.clock import Clock
from emulators.exchange import Record
from emulators.twenty_server import refusals
from emulators.twenty_server.filters import Match, Matcher, mentions
from emulators.twenty_server.keys import Key
from emulators.twenty_server.model import NOT_NULL_FIELDS, Field, Model, ObjectType, named_id
from emulators.twenty_server.values import COMPOSITES, EMPTY, UNIQUE_PART, accept, empty_value, is_empty, iso

Table = dict[str, Record]
# What a trial merge shows of phones that have a country and no number.
WITHOUT_NUMBER = {
    "primaryPhoneNumber": "",
    "primaryPhoneCountryCode": None,
    "primaryPhoneCallingCode": "",
    "additionalPhones": None,
}


@attrs.define(eq=False)
class Store:
    """Records by object and id. `most` is the largest batch."""

    model: Model
    clock: Clock
    most: int = 200
    tables: dict[str, Table] = attrs.field(factory=dict)
    _random: Random = attrs.field(factory=lambda: Random(20))

    # Looking ---------------------------------------------------------------------------------------------------------

    def table(self, thing: ObjectType) -> Table:
        return self.tables.setdefault(thing.singular, {})

    def new_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def find(self, singular: str, record_id: str) -> Record | None:
        """A record that is not deleted."""
        record = self.tables.get(singular, {}).get(record_id)
        return record if record is not None and record["deletedAt"] is None else None

    def get(self, thing: ObjectType, record_id: str, *, deleted_too: bool = False) -> Record:
        record = self.table(thing).get(record_id)
        if record is None or (record["deletedAt"] is not None and not deleted_too):
            raise refusals.not_found()
        return record

    def matching(self, thing: ObjectType, condition: Record | None, *, deleted_too: bool = False) -> list[Record]:
        """The records of a filter; deleted ones only when the filter speaks of deletedAt, or when asked for."""
        matches = self.match(thing, condition)
        deleted_too = deleted_too or mentions(condition, "deletedAt")
        records = self.table(thing).values()
        return [record for record in records if (deleted_too or record["deletedAt"] is None) and matches(record)]

    def match(self, thing: ObjectType, condition: Record | None) -> Match:
        return Matcher(self.model, self.find).compiled(thing, condition)

    def related(self, field: Field, record: Record) -> list[Record]:
        """The records of a relation to many."""
        inverse = self.model.objects[field.target].fields[field.inverse]
        others = self.tables.get(field.target, {}).values()
        return [other for other in others if other[inverse.column] == record["id"] and other["deletedAt"] is None]

    # Loading ---------------------------------------------------------------------------------------------------------

    def load(self, thing: ObjectType, records: Iterable[Record]) -> None:
        """Put records in as they are; columns they lack get their empty values."""
        table, now = self.table(thing), iso(self.clock.now())
        for given in records:
            record = {"id": given.get("id") or self.new_id(), "createdAt": now, "updatedAt": now}
            for column, field in thing.columns():
                if column in given:
                    value = copy.deepcopy(given[column])
                    whole = field.type in COMPOSITES and isinstance(value, dict)
                    record[column] = empty_value(field) | value if whole else value
                elif column not in record:
                    record[column] = len(table) + 1 if field.type == "POSITION" else empty_value(field)
            record["searchVector"] = given.get("searchVector") or search_vector(thing, record)
            table[record["id"]] = record

    # Writing ---------------------------------------------------------------------------------------------------------

    def create(self, thing: ObjectType, inputs: list[Record], key: Key, *, upsert: bool) -> list[Record]:
        """New records; with `upsert` those that match by id or a unique field are updated instead, and come first."""
        if len(inputs) > self.most:
            raise refusals.too_many(self.most)
        drafts = [self.accepted(thing, item) for item in inputs]
        work = _Work(thing, dict(self.table(thing)))
        changed: dict[str, Record] = {}
        fresh: list[Record] = []
        for draft in drafts:
            existing = work.match(draft) if upsert else None
            if existing is None:
                fresh.append(draft)
            else:
                changes = {"deletedAt": None} | {name: value for name, value in draft.items() if name != "createdBy"}
                changed[existing["id"]] = self._change(work, existing, changes, key)
        position = min((record["position"] for record in work.table.values()), default=1)
        for number, draft in enumerate(fresh, 1):
            record = self._new(thing, draft, key, position - number)
            work.put(record, new=True)
            changed[record["id"]] = record
        self.tables[thing.singular] = work.table
        return list(changed.values())

    def update(self, thing: ObjectType, records: list[Record], changes: Record, key: Key) -> list[Record]:
        accepted = self.accepted(thing, changes)
        work = _Work(thing, dict(self.table(thing)))
        done = [self._change(work, record, accepted, key) for record in records]
        self.tables[thing.singular] = work.table
        return done

    def soft_delete(self, thing: ObjectType, records: list[Record]) -> list[Record]:
        return self._mark(thing, records, iso(self.clock.now()))

    def restore(self, thing: ObjectType, records: list[Record]) -> list[Record]:
        return self._mark(thing, records, None)

    def _mark(self, thing: ObjectType, records: list[Record], deleted: str | None) -> list[Record]:
        now = iso(self.clock.now())
        done = [record | {"deletedAt": deleted, "updatedAt": now} for record in records]
        self.table(thing).update({record["id"]: record for record in done})
        return done

    def destroy(self, thing: ObjectType, records: list[Record]) -> list[Record]:
        """Gone for good; what pointed at them points nowhere."""
        for record in records:
            del self.table(thing)[record["id"]]
        self._repoint(thing, {record["id"] for record in records}, None)
        return records

    def _repoint(self, thing: ObjectType, old: set[str], new: str | None) -> None:
        for field in thing.relations():
            if field.to_many:
                column = self.model.objects[field.target].fields[field.inverse].column
                for other in self.tables.get(field.target, {}).values():
                    if other[column] in old:
                        other[column] = new

    def merge(self, thing: ObjectType, ids: list[str], priority: int, *, dry_run: bool, key: Key) -> Record:
        """One record out of several: the priority's values, and the others' where it has none."""
        if not isinstance(ids, list) or not isinstance(priority, int):
            raise refusals.bad_value("The ids and a priority index are needed")  # wording assumed
        if len(ids) < 2 or not 0 <= priority < len(ids):
            raise refusals.bad_value("At least two records and a valid priority index are needed")  # wording assumed
        records = [self.get(thing, str(record_id)) for record_id in ids]
        first = records[priority]
        merged = copy.deepcopy(first)
        for other in records:
            if other is not first:
                _absorb(thing, merged, other)
        now = iso(self.clock.now())
        if dry_run:
            return merged | {"id": self.new_id(), "deletedAt": now}
        for column, value in merged.items():
            if value is WITHOUT_NUMBER:
                merged[column] = copy.deepcopy(EMPTY["PHONES"])
        merged |= {"updatedAt": now, "updatedBy": key.actor, "searchVector": search_vector(thing, merged)}
        gone = [record for record in records if record is not first]
        self._repoint(thing, {record["id"] for record in gone}, first["id"])
        self.destroy(thing, gone)
        self.table(thing)[first["id"]] = merged
        return merged

    # Checking --------------------------------------------------------------------------------------------------------

    def accepted(self, thing: ObjectType, given: Any) -> Record:
        """A caller's record by columns, checked and rewritten. Raises Refusal."""
        if isinstance(given, list):
            given = {str(at): item for at, item in enumerate(given)}
        if not isinstance(given, dict):
            raise refusals.type_error("Cannot use 'in' operator to search for 'id'")  # wording assumed
        columns = dict(thing.columns())
        result: Record = {}
        for name, value in given.items():
            if value is None and name in NOT_NULL_FIELDS:
                continue  # as if it was not given: assumed
            if name in columns:
                result[name] = accept(columns[name], value, name)
            elif name in thing.fields and not thing.fields[name].to_many:
                result[thing.fields[name].column] = self._connected(thing.fields[name], value)
            else:
                raise refusals.unknown_field(thing.singular, name)
        return result

    def _connected(self, field: Field, value: Any) -> str | None:
        """`{"connect": {"where": {unique field: value}}}` or `{"disconnect": true}` as the related record's id."""
        if not isinstance(value, dict) or not value.keys() & {"connect", "disconnect"}:
            raise refusals.bad_value(f'Relation "{field.name}" requires connect or disconnect operation')
        if "disconnect" in value:
            return None
        other = self.model.objects[field.target]
        connect = value["connect"]
        where = self.accepted(other, connect.get("where") if isinstance(connect, dict) else connect)
        named = {_column_text(name, value): value for name, value in where.items()}
        found = [
            record
            for record in self.table(other).values()
            if record["deletedAt"] is None and all(_holds(record, name, value) for name, value in where.items())
        ]
        if len(found) != 1:
            texts = " and ".join(f"{name} = {_leaf(value)}" for name, value in named.items())
            raise refusals.bad_value(
                f"Expected 1 record to connect to {field.name}, but found {len(found)} for {texts}"
            )
        return str(found[0]["id"])

    def _check_references(self, thing: ObjectType, draft: Record) -> None:
        for field in thing.relations():
            wanted = None if field.to_many else draft.get(field.column)
            if wanted is not None and wanted not in self.tables.get(field.target, {}):
                constraint = named_id(thing.singular, field.name).replace("-", "")[:27]
                raise refusals.bad_value(
                    f'insert or update on table "{thing.singular}" violates foreign key constraint "FK_{constraint}"'
                )

    # One record ------------------------------------------------------------------------------------------------------

    def _new(self, thing: ObjectType, draft: Record, key: Key, position: float) -> Record:
        self._check_references(thing, draft)
        now = iso(self.clock.now())
        record: Record = {}
        for column, field in thing.columns():
            given = draft.get(column)
            empty = empty_value(field)
            record[column] = empty | (given or {}) if isinstance(empty, dict) else empty if given is None else given
        record["id"] = draft.get("id") or self.new_id()
        record["position"] = draft.get("position", position)
        record["createdBy"] = key.actor | (draft.get("createdBy") or {})
        record["updatedBy"] = key.actor
        for name in ("createdAt", "updatedAt"):
            record[name] = draft.get(name) or now
        record["searchVector"] = search_vector(thing, record)
        return record

    def _change(self, work: _Work, record: Record, changes: Record, key: Key) -> Record:
        self._check_references(work.thing, changes)
        done = dict(record)
        for column, value in changes.items():
            field = work.thing.by_column(column)
            whole = field is not None and field.type in COMPOSITES and isinstance(value, dict)
            done[column] = done[column] | value if whole else value
        done |= {"id": record["id"], "updatedAt": iso(self.clock.now()), "updatedBy": key.actor}
        done["searchVector"] = search_vector(work.thing, done)
        work.put(done, new=False)
        return done


class _Work:
    """A copy of a table that is being changed, and who holds which unique value in it."""

    def __init__(self, thing: ObjectType, table: Table) -> None:
        self.thing = thing
        self.table = table
        self.keys = [(column, UNIQUE_PART.get(field.type), field) for column, field in thing.columns() if field.unique]
        self.holders = {(name, value): record["id"] for record in table.values() for name, value in self.values(record)}

    def values(self, record: Record) -> Iterator[tuple[str, str]]:
        """The unique values of a record: (`emails.primaryEmail`, the address)."""
        for column, part, _ in self.keys:
            value = record.get(column)
            if part is not None and isinstance(value, dict):
                value = value.get(part)
            if not is_empty(value):
                yield (f"{column}.{part}" if part else column), str(value)

    def match(self, draft: Record) -> Record | None:
        """The record that an upsert is about, deleted ones too. Raises Refusal when there are several."""
        found: dict[str, str] = {}
        if (given := draft.get("id")) in self.table:
            found[str(given)] = f"id: {given}"
        for name, value in self.values(draft):
            if holder := self.holders.get((name, value)):
                found.setdefault(holder, f"{name}: {value}")
        if len(found) > 1:
            raise refusals.ambiguous_upsert(list(found.values()))
        return self.table[next(iter(found))] if found else None

    def put(self, record: Record, *, new: bool) -> None:
        """Raises Refusal when a unique value is taken."""
        if new and record["id"] in self.table:
            raise refusals.duplicate("Id", self.thing.singular, record["id"])
        old = self.table.get(record["id"])
        for name, value in self.values(old) if old else ():
            self.holders.pop((name, value), None)
        for name, value in self.values(record):
            if holder := self.holders.get((name, value)):
                label = self.thing.fields[name.split(".")[0]].label
                raise refusals.duplicate(label, self.thing.singular, holder)
            self.holders[name, value] = record["id"]
        self.table[record["id"]] = record


def _holds(record: Record, column: str, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(record[column] == wanted)
    return all(record[column].get(part) == value for part, value in wanted.items())


def _column_text(column: str, value: Any) -> str:
    """`domainName` and `{"primaryLinkUrl": …}` as the database's `domainNamePrimaryLinkUrl`."""
    part = next(iter(value)) if isinstance(value, dict) else ""
    return column + part[:1].upper() + part[1:]


def _leaf(value: Any) -> Any:
    return next(iter(value.values())) if isinstance(value, dict) else value


def _absorb(thing: ObjectType, merged: Record, other: Record) -> None:
    for column, field in thing.columns():
        if column in ("id", "createdAt", "updatedAt", "deletedAt", "position", "createdBy", "updatedBy"):
            continue
        mine, theirs = merged[column], other[column]
        if field.type == "EMAILS":
            texts = [text for one in (mine, theirs) for text in (one["primaryEmail"], *(one["additionalEmails"] or ()))]
            first, *rest = list(dict.fromkeys(filter(None, texts))) or [""]
            merged[column] = {"primaryEmail": first, "additionalEmails": rest}
        elif field.type == "PHONES" and not mine["primaryPhoneNumber"] and not theirs["primaryPhoneNumber"]:
            merged[column] = WITHOUT_NUMBER if mine["primaryPhoneCountryCode"] else mine
        elif isinstance(mine, dict):
            merged[column] = {part: theirs.get(part) if is_empty(value) else value for part, value in mine.items()}
        elif is_empty(mine):
            merged[column] = theirs


def search_vector(thing: ObjectType, record: Record) -> str:
    """Words and their places, roughly as the database's text search has them."""
    texts: list[str] = []
    for column, field in thing.columns():
        if field.type in ("TEXT", "FULL_NAME", "EMAILS") and column != "avatarUrl":
            value = record.get(column)
            texts += [str(part) for part in (value.values() if isinstance(value, dict) else [value]) if part]
    words = re.findall(r"[\w.@+-]+", " ".join(texts).lower())
    places: dict[str, list[str]] = {}
    for number, word in enumerate(words, 1):
        places.setdefault(word, []).append(str(number))
    return " ".join(f"'{word}':{','.join(numbers)}" for word, numbers in sorted(places.items()))
