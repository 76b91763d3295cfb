"""Calls about one record: read, created, changed, removed; and calls of which only the answer is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from connectory.mock.desks import Desk
from connectory.mock.exchange import Refused
from connectory.mock.fakes import Fakes
from connectory.mock.reading import Heard
from connectory.mock.shapes import Draft, put, shown_path
from connectory.mock.store import Record, Scope, Shelf, Store, wrapped_type
from connectory.spec.naming import snake
from connectory.spec.places import MISSING
from connectory.spec.typeexpr import ANY, ListOf, MapOf, Named

NOTHING: Any = object()  # an answer without a record of its own


@attrs.frozen
class Singles:
    """Does one call of an operation that is neither a list nor a batch."""

    store: Store
    fakes: Fakes

    def answer(self, desk: Desk, scope: Scope, heard: Heard) -> Draft:
        """What the vendor answers. Raises Refused for a record that is not there, or is there already."""
        if desk.act == "other" or desk.free_filter:
            return self._as_shown(desk, scope, heard)
        shelf = self.store.shelf(desk, scope)
        acts: Mapping[str, Callable[[Desk, Shelf, Scope, Heard], Any]] = {
            "get": self._get,
            "create": self._create,
            "upsert": self._upsert,
            "update": self._update,
            "replace": self._update,
            "delete": self._delete,
            "restore": self._restore,
        }
        return self._shown(desk, acts[desk.act](desk, shelf, scope, heard))

    # Reading ------------------------------------------------------------------------------------------------------

    def _get(self, desk: Desk, shelf: Shelf, scope: Scope, heard: Heard) -> Any:
        if desk.key is None:
            return self._lone(desk, shelf, scope)
        found = shelf.find(scope, self._key(desk, heard))
        if found is not None:
            return found
        if desk.type_name is None and not any(shelf.rows.values()):  # a record that nobody describes
            return {shelf.key: self._key(desk, heard)}
        raise self._missing(desk, heard)

    def _lone(self, desk: Desk, shelf: Shelf, scope: Scope) -> Any:
        """The only record of its kind, or a value that the spec's example or type shows."""
        if isinstance(desk.operation.returns, Named) and (rows := shelf.all(scope)):
            return rows[0]
        return NOTHING

    def _key(self, desk: Desk, heard: Heard) -> Any:
        assert desk.key is not None
        return heard.spot(desk.key[0]).get(desk.key[1])

    def _missing(self, desk: Desk, heard: Heard) -> Refused:
        return Refused("missing", f"there is no {desk.shelf} {self._key(desk, heard)}")

    # Writing ------------------------------------------------------------------------------------------------------

    def _create(self, desk: Desk, shelf: Shelf, scope: Scope, heard: Heard) -> Any:
        values = written(desk, heard)
        taken = taken_by(shelf, scope, values)
        if taken:
            if _asks_to_replace(heard):
                return self._laid_over(desk, shelf, scope, values)
            raise Refused("exists", f"there is one with this {taken} already", {taken: "is taken"})
        return self.store.create(shelf, scope, values)

    def _upsert(self, desk: Desk, shelf: Shelf, scope: Scope, heard: Heard) -> Any:
        values = written(desk, heard)
        if desk.key is not None:
            values = {shelf.key: self._key(desk, heard), **values}
        return self._laid_over(desk, shelf, scope, values)

    def _laid_over(self, desk: Desk, shelf: Shelf, scope: Scope, values: Record) -> Record:
        found = same_record(shelf, scope, values)
        if found is None:
            return self.store.create(shelf, scope, values)
        self.store.change(shelf, found, values)
        return found

    def _update(self, desk: Desk, shelf: Shelf, scope: Scope, heard: Heard) -> Any:
        values = written(desk, heard)
        found = shelf.find(scope, self._key(desk, heard)) if desk.key is not None else None
        if found is None and desk.key is None:
            found = same_record(shelf, scope, values) or next(iter(shelf.all(scope)), None)
        if found is None:
            raise self._missing(desk, heard) if desk.key else Refused("missing", f"there is no such {desk.shelf}")
        self.store.change(shelf, found, values, whole=desk.act == "replace")
        return found

    def _delete(self, desk: Desk, shelf: Shelf, scope: Scope, heard: Heard) -> Any:
        if desk.key is None:
            return NOTHING
        found = shelf.remove(scope, self._key(desk, heard))
        if found is None:
            if desk.type_name is None and not any(shelf.rows.values()):
                return NOTHING
            raise self._missing(desk, heard)
        return found

    def _restore(self, desk: Desk, shelf: Shelf, scope: Scope, heard: Heard) -> Any:
        if desk.key is None:
            return NOTHING
        key = self._key(desk, heard)
        found = shelf.bring_back(scope, key) or shelf.find(scope, key)
        if found is None:
            raise self._missing(desk, heard)
        return found

    # Answers ------------------------------------------------------------------------------------------------------

    def _as_shown(self, desk: Desk, scope: Scope, heard: Heard) -> Draft:
        """The example's answer; without one a value of the type, with the record that the request names in it."""
        if desk.key is not None and isinstance(desk.operation.returns, Named) and not desk.scope:
            found = self.store.shelf(desk, scope).find(scope, self._key(desk, heard))
            if found is not None and desk.plan.does != "read":
                return self._shown(desk, found)
        return self._shown(desk, NOTHING)

    def _shown(self, desk: Desk, record: Any) -> Draft:
        example = desk.example
        draft = Draft.like(desk.answer, self._status(desk), example.headers if example else {})
        if example is not None and example.answer is None and not desk.operation.record:
            return draft  # the example says that nothing is answered
        path = shown_path(desk.operation.record, desk.answer) if desk.operation.record else None
        shown = path.find(desk.answer) if path else (MISSING if example is None else desk.answer)
        if record is NOTHING:
            if example is None:
                made = self._made_up(desk)
                draft.body = put(None, path.steps if path else (), made)
            return draft
        told = _as_told(desk, record, shown)
        draft.body = put(draft.body, path.steps, told) if path else told
        return draft

    def _status(self, desk: Desk) -> int:
        if desk.example is not None:
            return desk.example.status
        if desk.act == "delete" and not desk.operation.record and desk.operation.returns == ANY:
            return 204
        return 201 if desk.act == "create" and desk.operation.method == "post" else 200

    def _made_up(self, desk: Desk) -> Any:
        form, kind = desk.plan.styles.answer, desk.operation.returns
        if form == "text":
            return f"what {desk.name} answers"
        if form == "bytes":
            return "bytes"
        value = self.fakes.value(kind, desk.name, 0)
        if value is None and not isinstance(kind, ListOf | MapOf):
            return {"name": desk.name} if desk.plan.does == "read" else {"done": True}
        return value


def _as_told(desk: Desk, record: Record, shown: Any) -> Any:
    """The record as the answer tells it: whole, or only the fields of an example that is known to be short."""
    short = desk.act == "delete" or (desk.operation.detail is not None and desk.plan.does != "read")
    untyped = desk.operation.returns == ANY and desk.plan.does != "read"
    if isinstance(shown, dict) and (short or untyped):
        by_name = {snake(name): held for name, held in record.items()}
        return {name: _like(held, by_name.get(snake(name), held)) for name, held in shown.items()}
    if isinstance(desk.operation.returns, ListOf):
        return [record]
    return record


def _like(shown: Any, value: Any) -> Any:
    """A number as a text, where the example shows one."""
    return str(value) if isinstance(shown, str) and type(value) is int else value


def written(desk: Desk, heard: Heard) -> Record:
    """The record that a request writes: its body, its fields, or the GraphQL variable that holds it."""
    if desk.operation.graphql is not None:
        for wire, field in desk.operation.variables.items():
            held = heard.variables.get(wire)
            if isinstance(field.type, Named) and isinstance(held, dict):
                return _unwrapped(desk, field.type.name, held)
        return {}
    body = heard.body if isinstance(heard.body, dict) else {}
    return dict(body) if desk.operation.body is not None else dict(heard.fields)


def _unwrapped(desk: Desk, type_name: str, held: Record) -> Record:
    wrapper = wrapped_type(desk.types[type_name])
    inner = held.get(wrapper) if wrapper else None
    return dict(inner) if isinstance(inner, dict) else dict(held)


def _identifying(shelf: Shelf, values: Record) -> Mapping[str, Any]:
    """Those of the values that tell a record apart: the key first."""
    wires = dict.fromkeys((shelf.key, *shelf.unique()))
    return {wire: value for wire in wires if (value := values.get(wire)) not in (None, "")}


def taken_by(shelf: Shelf, scope: Scope, values: Record) -> str | None:
    """The identifying field of which another record has this value already."""
    told = _identifying(shelf, values).items()
    return next((wire for wire, value in told if any(_equal(one.get(wire), value) for one in shelf.all(scope))), None)


def same_record(shelf: Shelf, scope: Scope, values: Record) -> Record | None:
    """The record that has the same key, or the same value of another identifying field."""
    told = _identifying(shelf, values)
    for wire, value in told.items():
        found = next((one for one in shelf.all(scope) if _equal(one.get(wire), value)), None)
        if found is not None:
            return found
    if told:
        return None
    # Nothing says which record it is: the one that has all of these values already.
    alike = (one for one in shelf.all(scope) if all(one.get(name) == value for name, value in values.items()))
    return next(alike, None) if values else None


def _equal(held: Any, value: Any) -> bool:
    return held is not None and not isinstance(value, dict | list) and str(held) == str(value)


def _asks_to_replace(heard: Heard) -> bool:
    """Whether the request says `upsert=true`, the usual word for it."""
    return str(heard.query.get("upsert", heard.asked.argument("upsert"))).lower() in ("true", "1")
