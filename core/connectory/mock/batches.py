"""Batches: each item judged by its type, applied as the spec says, and told of in the shape of `results`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import msgspec

from connectory.mock.checks import Checker
from connectory.mock.desks import Desk
from connectory.mock.exchange import Refused
from connectory.mock.reading import Heard
from connectory.mock.shapes import Draft, put, put_list, satisfying, violating
from connectory.mock.singles import same_record, taken_by, written
from connectory.mock.store import Record, Scope, Shelf, Store
from connectory.outcomes import condition_holds
from connectory.plugins.kinds import Codec
from connectory.spec.language import Results
from connectory.spec.places import MISSING
from connectory.spec.typeexpr import ANY, ListOf, TypeExpr

_TWICE: Final = "duplicate entry"


@attrs.frozen
class Judged:
    """One item, and why it is refused (nothing: it is good)."""

    item: Any
    why: str = ""
    record: Record | None = None


@attrs.frozen
class Batches:
    """Does one call of a batch operation. `refuses(item)` gives a reason why an item that is well formed is bad."""

    store: Store
    checker: Checker
    codecs: Mapping[str, Codec]
    refuses: Callable[[Any], str]

    def answer(self, desk: Desk, scope: Scope, heard: Heard) -> Draft:
        """The answer that tells of every item. Raises Refused where the call as a whole is refused."""
        batch = desk.operation.batch
        assert batch is not None  # it is a batch
        items = items_of(desk, heard)
        if len(items) > batch.largest:
            raise Refused("rejected", f"{len(items)} items, at most {batch.largest} go together", status=413)
        if batch.bytes is not None and len(heard.asked.body) > batch.bytes:
            raise Refused("rejected", f"more than {batch.bytes} bytes", status=413)
        shelf = self.store.shelf(desk, scope)
        judged = self._judged(desk, shelf, scope, items)
        bad = [one for one in judged if one.why]
        told = [results for results in desk.operation.results if results.count is None]
        if bad and not (told and all(map(_can_refuse, told))):
            where = judged.index(bad[0])
            word = "exists" if bad[0].why.startswith(_TWICE) else "rejected"
            raise Refused(word, f"item {where}: {bad[0].why}; nothing was written", {str(where): bad[0].why})
        if not (bad and batch.atomic):
            judged = [one if one.why else self._applied(desk, shelf, scope, one, heard) for one in judged]
        return self._told(desk, judged)

    def _judged(self, desk: Desk, shelf: Shelf, scope: Scope, items: Sequence[Any]) -> list[Judged]:
        kind = item_type(desk)
        seen: set[str] = set()
        found = []
        for item in items:
            why = "; ".join(f"{at}: {wrong}" if at else wrong for at, wrong in self.checker.faults(item, kind))
            found.append(Judged(item, why or self.refuses(item) or self._clash(desk, shelf, scope, item, seen)))
        return found

    def _clash(self, desk: Desk, shelf: Shelf, scope: Scope, item: Any, seen: set[str]) -> str:
        """Why an item does not go with the records there are: made twice, or changed though it is not there."""
        if not isinstance(item, dict):
            gone = desk.act == "update" and shelf.find(scope, item) is None
            return f"there is no {desk.shelf} {item}" if gone else ""
        if desk.act != "create" or _is_upsert(desk):
            return ""
        taken = taken_by(shelf, scope, item)
        key = item.get(shelf.key)
        twice = shelf.key in shelf.unique() and key is not None and str(key) in seen
        seen.add(str(key))
        return f"{_TWICE}: there is one with this {taken or shelf.key} already" if taken or twice else ""

    def _applied(self, desk: Desk, shelf: Shelf, scope: Scope, one: Judged, heard: Heard) -> Judged:
        if not isinstance(one.item, dict):
            return attrs.evolve(one, record=self._by_key(desk, shelf, scope, one.item, heard))
        found = same_record(shelf, scope, one.item) if desk.act != "create" or _is_upsert(desk) else None
        if desk.act == "delete":
            return attrs.evolve(one, record=shelf.remove(scope, one.item.get(shelf.key)) or one.item)
        if found is None:
            return attrs.evolve(one, record=self.store.create(shelf, scope, one.item))
        self.store.change(shelf, found, one.item)
        return attrs.evolve(one, record=found)

    def _by_key(self, desk: Desk, shelf: Shelf, scope: Scope, key: Any, heard: Heard) -> Record | None:
        """An item that is a bare key: the change that stands beside the list, or the removal."""
        if desk.act == "delete":
            return shelf.remove(scope, key) or {shelf.key: key}
        found = shelf.find(scope, key)
        if found is not None:
            self.store.change(shelf, found, written(desk, heard))
        return found

    # What is told -------------------------------------------------------------------------------------------------

    def _told(self, desk: Desk, judged: Sequence[Judged]) -> Draft:
        bad = any(one.why for one in judged)
        example = next((e for e in desk.operation.examples if _shows(desk, e.answer, bad=bad)), desk.example)
        status = example.status if example else 200
        draft = Draft.like(example.answer if example else None, status, example.headers if example else {})
        for results in desk.operation.results:
            if results.count is not None:
                draft.say(results.count, sum(one.record is not None for one in judged), self.codecs)
                continue
            entries = [
                self._entry(results, number, one, draft.example)
                for number, one in enumerate(judged)
                if _is_told(results, one, bad=bad)
            ]
            draft.body = put_list(draft.body, results.at.steps, entries)
        return draft

    def _entry(self, results: Results, number: int, one: Judged, example: Any) -> Any:
        good = not one.why
        entry: Any = copy.deepcopy(_example_entry(results, example, good=good)) or {}
        for path, test in results.ok.items():
            value = (satisfying if good else violating)(test, path.find(entry))
            if value is not MISSING:
                entry = put(entry, path.steps, value)
        record = one.record if one.record is not None else one.item
        key = results.key.item.find(one.item) if results.key else MISSING
        if results.id is not None:
            held = results.id.find(record)
            entry = put(entry, results.id.steps, _id_of(record) if held is MISSING and good else held or None)
        if results.key is not None:
            entry = put(entry, results.key.result.steps, _id_of(record) if key is MISSING else key)
        if results.index is not None:
            entry = put(entry, results.index.steps, number)
        if results.message is not None:
            entry = put(entry, results.message.steps, one.why or None)
        if results.code is not None and not good:
            entry = put(entry, results.code.steps, "INVALID")
        return entry


def items_of(desk: Desk, heard: Heard) -> list[Any]:
    """The items of a batch. Raises Refused where they are no list."""
    batch = desk.operation.batch
    assert batch is not None  # it is a batch
    held: Any = heard.body
    if batch.items is not None:
        spot = next(p.spot for p in desk.plan.parameters.values() if p.wire == batch.items)
        held = heard.spot(spot).get(batch.items)
    if not isinstance(held, list):
        raise Refused("rejected", f"{batch.items or 'the body'} must be a list")
    return held


def item_type(desk: Desk) -> TypeExpr:
    """The type of one item."""
    batch = desk.operation.batch
    assert batch is not None  # it is a batch
    kind: TypeExpr | None = desk.operation.body
    if batch.items is not None:
        kind = next(p.field.type for p in desk.plan.parameters.values() if p.wire == batch.items)
    return kind.item if isinstance(kind, ListOf) else ANY


def identity(item: Any) -> bytes:
    """What makes an item the same one when it is sent again."""
    return msgspec.json.encode(item, order="sorted")


def _is_upsert(desk: Desk) -> bool:
    return "upsert" in desk.name.rpartition(".")[2].split("_") or desk.act == "upsert"


def _can_refuse(results: Results) -> bool:
    """Whether an entry can say that its item was refused."""
    return bool(results.ok or results.only)


def _is_told(results: Results, one: Judged, *, bad: bool) -> bool:
    """Whether there is an entry for an item here."""
    if results.only is not None:
        return (results.only == "delivered") == (not one.why)
    return bool(one.why) if bad and results.reports == "failures" else True


def _shows(desk: Desk, answer: Any, *, bad: bool) -> bool:
    """Whether an example shows a refused item, or none."""
    entries = [entry for r in desk.operation.results if r.ok for entry in _entries(r, answer)]
    refused = [r for r in desk.operation.results if r.ok for entry in _entries(r, answer) if not _is_good(r, entry)]
    return bool(entries) and bool(refused) == bad


def _entries(results: Results, answer: Any) -> list[Any]:
    found = results.at.find(answer)
    return found if isinstance(found, list) else []


def _is_good(results: Results, entry: Any) -> bool:
    return all(condition_holds(test, [path.find(entry)]) for path, test in results.ok.items())


def _example_entry(results: Results, example: Any, *, good: bool) -> Any:
    return next((one for one in _entries(results, example) if _is_good(results, one) == good), None)


def _id_of(record: Any) -> Any:
    if not isinstance(record, dict):
        return record
    named: Sequence[str] = [name for name in record if name.lower() == "id"]
    return record[named[0]] if named else next(iter(record.values()), None)
