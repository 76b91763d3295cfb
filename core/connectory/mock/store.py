"""The records that the mock holds: shelf by shelf, seeded from examples and types, kept in a file where wanted."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from connectory.clock import Clock
from connectory.mock.desks import Desk, hinted_fields, is_list, key_field
from connectory.mock.fakes import Fakes, text_named
from connectory.mock.shapes import moment
from connectory.mock.touches import is_changed, is_created
from connectory.plugins.kinds import Codec
from connectory.spec.language import Spec
from connectory.spec.places import MISSING
from connectory.spec.typeexpr import Named, Scalar
from connectory.spec.words import Field, Records
from connectory.values.codecs import find_codec

Record = dict[str, Any]
Scope = tuple[str, ...]

_MADE: Final = uuid.UUID("6d6f636b-0000-4000-8000-000000000001")


@attrs.define(eq=False)
class Shelf:
    """The records of one kind. `key` is the field that tells them apart; rows of a scope are its own list."""

    name: str
    key: str
    fields: Mapping[str, Field]
    rows: dict[Scope, list[Record]] = attrs.Factory(dict)
    gone: list[Record] = attrs.Factory(list)
    made: int = 0

    def all(self, scope: Scope) -> list[Record]:
        """The rows of a scope, in order."""
        return self.rows.setdefault(scope, [])

    def find(self, scope: Scope, key: Any) -> Record | None:
        """The record of a key; numbers and texts that read alike are the same."""
        return next((one for one in self.all(scope) if _same(one.get(self.key), key)), None)

    def remove(self, scope: Scope, key: Any) -> Record | None:
        """Take a record out; it stays among those gone."""
        found = self.find(scope, key)
        if found is not None:
            self.all(scope).remove(found)
            self.gone.append(found)
        return found

    def bring_back(self, scope: Scope, key: Any) -> Record | None:
        """A record that was removed, back in its place."""
        found = next((one for one in self.gone if _same(one.get(self.key), key)), None)
        if found is not None:
            self.gone.remove(found)
            self.all(scope).append(found)
        return found

    def unique(self) -> Iterator[str]:
        """Fields of which no two records may have the same value."""
        yield from (wire for wire, field in self.fields.items() if field.key or field.unique)


def _same(held: Any, key: Any) -> bool:
    return held is not None and not isinstance(held, bool | dict | list) and str(held) == str(key)


@attrs.define(eq=False)
class Store:
    """All shelves. `count` is how many records a shelf begins with."""

    spec: Spec
    desks: Mapping[str, Desk]
    fakes: Fakes
    codecs: Mapping[str, Codec]
    datetime: str
    clock: Clock
    count: int
    data: dict[str, list[Record]]
    keep: Path | None = None
    shelves: dict[str, Shelf] = attrs.Factory(dict)
    _seeds: dict[tuple[str, Scope, int], bytes] = attrs.Factory(dict)

    def shelf(self, desk: Desk, scope: Scope) -> Shelf:
        """The shelf of an operation, with the records that it begins with."""
        shelf = self.shelves.get(desk.shelf)
        if shelf is None:
            shelf = self.shelves[desk.shelf] = self._new(desk.shelf)
        if scope not in shelf.rows:
            shelf.rows[scope] = []
            self._seed(shelf, scope)
        return shelf

    def clear(self) -> None:
        """As it was in the beginning."""
        self.shelves.clear()

    def _new(self, name: str) -> Shelf:
        kind = self._type_name(name)
        shown = next((record for record, _ in self._examples(name)), {})
        return Shelf(name, key_field(self.spec, self.desks, name, shown), self.spec.types[kind] if kind else {})

    def _seed(self, shelf: Shelf, scope: Scope) -> None:
        if shelf.name in self.data:
            shelf.rows[scope] += [dict(record) for record in self.data[shelf.name]]
            return
        seed = self._seeds.get((shelf.name, scope, self.count))
        if seed is None:
            self._make_seed(shelf, scope)
            self._seeds[shelf.name, scope, self.count] = msgspec.json.encode(shelf.rows[scope])
        else:
            shelf.rows[scope] = msgspec.json.decode(seed)

    def _make_seed(self, shelf: Shelf, scope: Scope) -> None:
        kind = self._type_name(shelf.name)
        for record, at in self._examples(shelf.name):
            if at == scope:
                self._merge(shelf, scope, record)
        for number, record in enumerate(shelf.all(scope) if kind else ()):
            record.update(self._lacking(shelf, str(kind), record, number))
        lists = any(desk.shelf == shelf.name and is_list(desk.operation) for desk in self.desks.values())
        if kind is None and shelf.all(scope) and not self._is_paged(shelf):
            return  # nobody knows what more of these would look like
        for number in range(self.count - len(shelf.all(scope)) if kind or lists else 0):
            self._merge(shelf, scope, self._made_up(shelf, kind, number))

    def _lacking(self, shelf: Shelf, kind: str, record: Record, number: int) -> Record:
        """What an example leaves out though it is always there."""
        wanted = [wire for wire, field in shelf.fields.items() if field.required and wire not in record]
        made = self.fakes.record(kind, number) if wanted else {}
        return {wire: made[wire] for wire in wanted if wire in made}

    def _merge(self, shelf: Shelf, scope: Scope, record: Record) -> None:
        """A new row, or more of what is known of one."""
        found = shelf.find(scope, record.get(shelf.key))
        if found is None:
            shelf.all(scope).append(dict(record))
        else:
            found.update(record)

    def _type_name(self, shelf: str) -> str | None:
        return next((d.type_name for d in self.desks.values() if d.shelf == shelf and d.type_name), None)

    def _is_paged(self, shelf: Shelf) -> bool:
        return any(desk.shelf == shelf.name and desk.plan.pager is not None for desk in self.desks.values())

    def _made_up(self, shelf: Shelf, kind: str | None, number: int) -> Record:
        """Record `number`: of the declared type, else like an example, else of the fields that the spec names."""
        if kind is not None:
            made = self.fakes.record(kind, number)
            shown = next((rows[0].get(shelf.key) for rows in shelf.rows.values() if rows), None)
            counted = isinstance(shown, str) and shown.isdecimal()  # numbers as texts, as the example has them
            return {**made, shelf.key: str(1001 + number)} if counted else made
        key = self._new_id(shelf, number)
        like = next((rows[0] for rows in shelf.rows.values() if rows), None)
        if like is not None:
            return {**like, shelf.key: key}
        hinted = [name for name, _ in hinted_fields(self.spec, self.desks, shelf.name)]
        record: Record = {shelf.key: key, "name": text_named("name", number)}
        return record | {name: 1001 + number for name in hinted if name not in record}

    def _new_id(self, shelf: Shelf, number: int) -> Any:
        """A key as the parameters that ask for it are declared, else a number."""
        for desk in self.desks.values():
            if desk.shelf == shelf.name and desk.key is not None:
                field = desk.operation.path.get(desk.key[1])
                made = self.fakes.field(shelf.key, field, number) if field is not None else None
                if made is not None:
                    return made
        return 1001 + number

    def _examples(self, shelf: str) -> Iterator[tuple[Record, Scope]]:
        """The records in the examples of a shelf's reads, each in the scope that the example asked for."""
        for desk in self.desks.values():
            if desk.shelf != shelf or desk.act not in ("list", "get"):
                continue
            for example in desk.operation.examples:
                answer: Any = example.answer
                if example.status >= 300 or not isinstance(answer, dict | list):
                    continue
                given: Mapping[str, Any] = example.with_
                names = {p.wire: p.name for p in desk.plan.parameters.values()}
                scope = tuple(str(given.get(names[wire], "")) for wire in desk.scope)
                for record in _records_in(desk, answer):
                    yield record, scope

    # Changes ------------------------------------------------------------------------------------------------------

    def create(self, shelf: Shelf, scope: Scope, values: Record) -> Record:
        """A new record of these values, with what the vendor adds: its key, and the moments of its making."""
        record = dict(values)
        shelf.made += 1
        if record.get(shelf.key) in (None, ""):
            record = {shelf.key: self._new_key(shelf, scope), **{k: v for k, v in record.items() if k != shelf.key}}
        for wire, field in shelf.fields.items():
            if wire not in record and wire != "*":
                added = self._added(wire, field)
                if added is not None:
                    record[wire] = added
        shelf.all(scope).append(record)
        return record

    def _added(self, wire: str, field: Field) -> Any:
        if isinstance(field.type, Scalar) and field.type.name == "datetime":
            return self._now(field) if field.read_only or is_created(wire) or is_changed(wire) else None
        return field.default

    def _now(self, field: Field) -> Any:
        codec = field.type.codec if isinstance(field.type, Scalar) else None
        return find_codec(codec or self.datetime, self.codecs).write(moment(self.clock.now()))

    def _new_key(self, shelf: Shelf, scope: Scope) -> Any:
        field = shelf.fields.get(shelf.key)
        if field is not None and field.type == Scalar("uuid"):
            return str(uuid.uuid5(_MADE, f"{shelf.name} {shelf.made}"))
        held = [one.get(shelf.key) for rows in shelf.rows.values() for one in rows]
        numbers = [int(one) for one in held if isinstance(one, int) or (isinstance(one, str) and one.isdecimal())]
        texts = field is not None and field.type == Scalar("str")
        if numbers or not texts:
            number = max(numbers, default=1000) + 1
            return str(number) if texts or any(isinstance(one, str) for one in held) else number
        return text_named(shelf.key, len(held) + shelf.made + 1000)

    def change(self, shelf: Shelf, record: Record, values: Record, *, whole: bool = False) -> None:
        """Lay values over a record; as a whole, what is left out is cleared but for key and read-only fields."""
        if whole:
            stays = {wire for wire, field in shelf.fields.items() if field.read_only} | {shelf.key}
            for wire in [wire for wire in record if wire not in stays]:
                del record[wire]
        record.update({wire: held for wire, held in values.items() if wire != shelf.key})
        for wire, field in shelf.fields.items():
            is_moment = isinstance(field.type, Scalar) and field.type.name == "datetime"
            if is_moment and is_changed(wire) and (field.read_only or wire not in values):
                record[wire] = self._now(field)

    # Keeping ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write everything to the kept file, whole or not at all, for this user only."""
        if self.keep is None:
            return
        held = {
            name: {"rows": [[list(scope), rows] for scope, rows in shelf.rows.items()], "gone": shelf.gone}
            for name, shelf in self.shelves.items()
        }
        fresh = self.keep.with_name(f".{self.keep.name}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode({"vendor": self.spec.name, "shelves": held}), indent=1))
        fresh.replace(self.keep)

    def load(self) -> None:
        """Take up what an earlier run kept. Raises ValueError for a file that is none of this vendor's."""
        if self.keep is None or not self.keep.exists():
            return
        try:
            held = msgspec.json.decode(self.keep.read_bytes())
            if held["vendor"] != self.spec.name:
                raise ValueError(f"{self.keep} was kept by a mock of '{held['vendor']}'")
            for name, one in held["shelves"].items():
                shelf = self.shelves[name] = self._new(name)
                shelf.rows = {tuple(scope): rows for scope, rows in one["rows"]}
                shelf.gone = one["gone"]
                shelf.made = sum(map(len, shelf.rows.values())) + len(shelf.gone)
        except (msgspec.DecodeError, KeyError, TypeError):
            raise ValueError(f"{self.keep} is no file that a mock kept") from None


def _records_in(desk: Desk, answer: Any) -> Iterator[Record]:
    """The records that an example's answer holds."""
    found = _many(desk.plan.records, answer) if desk.plan.records else [_one(desk, answer)]
    for record in found:
        if isinstance(record, dict) and "edges" in record:
            yield from (edge["node"] for edge in record["edges"] if isinstance(edge, dict) and "node" in edge)
        elif isinstance(record, dict) and "nodes" in record:
            yield from record["nodes"]
        elif isinstance(record, dict):
            yield record


def _one(desk: Desk, answer: Any) -> Any:
    paths = desk.operation.record
    found = (path.find(answer) for path in paths)
    return next((one for one in found if one is not MISSING), None) if paths else answer


def _many(where: Records, answer: Any) -> Sequence[Any]:
    for path in where.path:
        found = list(path.each(answer))
        if not found:
            continue
        if path.many:
            return found
        if where.key_as is not None and isinstance(found[0], dict):
            return [{where.key_as: key, **value} for key, value in found[0].items() if isinstance(value, dict)]
        if where.value_as is not None and isinstance(found[0], list):
            return [{where.value_as: value} for value in found[0]]
        return found[0] if isinstance(found[0], list) else found
    return []


def wrapped_type(fields: Mapping[str, Field]) -> str | None:
    """The one field that holds the record of a body which only wraps it: `field` of `{field: FieldMetadata!}`."""
    named = [wire for wire, field in fields.items() if isinstance(field.type, Named)]
    return named[0] if len(fields) == 1 and named else None
