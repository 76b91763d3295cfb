"""Lists: which records match, which of them are on this page, and what the answer says beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from connectory.mock.checks import read_moment
from connectory.mock.desks import Desk
from connectory.mock.exchange import Asked, Refused
from connectory.mock.faults import Fault
from connectory.mock.reading import Heard, template_pattern
from connectory.mock.shapes import Draft, put, put_list, satisfying, shown_path, violating, wrapped
from connectory.mock.store import Record, Shelf
from connectory.plugins.kinds import Codec, Played, Turn
from connectory.spec.language import Mark, Pager
from connectory.spec.naming import snake
from connectory.spec.places import MISSING, AnswerPath
from connectory.spec.typeexpr import ListOf, Scalar
from connectory.spec.words import Slot

PAGE: Final = 20  # records a page where neither request nor spec says
ELSEWHERE: Final = "https://elsewhere.example"

Faults = Mapping[str, Fault]
Pairs = tuple[tuple[str, str], ...]


@attrs.frozen
class Window:
    """A page that was given: what was said of it, for the faults that give it again."""

    start: int
    stop: int


@attrs.define
class Lists:
    """Serves the lists of one spec. `before` holds the last page of each operation, `begun` the query of its first one
    where a cursor stands for it."""

    codecs: Mapping[str, Codec]
    datetime: str
    refuse_large: bool = False
    before: dict[str, Window] = attrs.Factory(dict)
    begun: dict[str, Pairs] = attrs.Factory(dict)

    def clear(self) -> None:
        """As it was in the beginning."""
        self.before.clear()
        self.begun.clear()

    def whole(self, desk: Desk, asked: Asked) -> Asked:
        """The request with the query that its cursor stands for. Raises Refused for a cursor that does not stand alone
        where it should."""
        options: Any = desk.plan.pager.options if desk.plan.pager is not None else None
        if not getattr(options, "alone", False) or options.cursor.query is None:
            return asked
        if asked.argument(options.cursor.query) is None:
            self.begun[desk.name] = asked.query
            return asked
        own = {parameter.wire for parameter in desk.plan.parameters.values() if parameter.spot == "query"}
        beside = [name for name, _ in asked.query if name.partition("[")[0] in own]
        if beside:
            raise Refused("rejected", f"{options.cursor.query} must be the only parameter, not beside {beside[0]}")
        return attrs.evolve(asked, query=(*self.begun.get(desk.name, ()), *asked.query))

    def answer(self, desk: Desk, shelf: Shelf, rows: Sequence[Record], heard: Heard, url: str, hit: Faults) -> Draft:
        """One page, or the whole list where it is not paged. Raises Refused for a page that cannot be asked for."""
        example = desk.example
        draft = Draft.like(desk.answer, example.status if example else 200, example.headers if example else {})
        matching = self._matching(desk, shelf, rows, heard)
        where, pager = desk.plan.records, desk.plan.pager
        assert where is not None  # it is a list
        path = shown_path(where.path, desk.answer)
        if pager is None or desk.plan.pager_kind is None or desk.plan.pager_kind.play is None:
            draft.body = _placed(draft.body, path, wrapped(where, matching))
            return draft
        turn = self._turn(pager, matching, heard, url, path.find(desk.answer), hit)
        try:
            played = desk.plan.pager_kind.play(pager, turn)
        except ValueError as why:
            raise Refused("rejected", str(why)) from None
        played = self._with_faults(desk, played, turn, hit)
        given = matching[played.start : played.stop]
        if played.shape is not None:
            draft.body = put(draft.body, path.steps, played.shape(given))
        else:
            draft.body = _placed(draft.body, path, wrapped(where, given))
        self._say(draft, pager, turn, played, hit)
        return draft

    def _turn(self, pager: Pager, matching: Sequence[Record], heard: Heard, url: str, shown: Any, hit: Faults) -> Turn:
        size = self._size(pager, heard)
        most = 0 if "empty-page" in hit else max(1, size - 1) if "short-page" in hit else size
        return Turn(matching, size, most, heard.slot, url, None if shown is MISSING else shown)

    def _size(self, pager: Pager, heard: Heard) -> int:
        """The size asked for, no larger than the largest; what is larger is cut down, or refused where that is said."""
        asked = heard.slot(pager.size) if pager.size is not None else None
        largest = pager.largest
        if asked is None:
            return min(PAGE, largest or PAGE) if pager.size is not None else largest or PAGE
        if not str(asked).isdecimal() or int(asked) < 1:
            raise Refused("rejected", f"'{str(asked)[:40]}' is no page size")
        if largest is not None and int(asked) > largest:
            if self.refuse_large:
                raise Refused("rejected", f"a page holds at most {largest} records, not {asked}")
            return largest
        return int(asked)

    # Faults of pages ----------------------------------------------------------------------------------------------

    def _with_faults(self, desk: Desk, played: Played, turn: Turn, hit: Faults) -> Played:
        before = self.before.get(desk.name)
        self.before[desk.name] = Window(played.start, played.stop)
        if "repeat-page" in hit and before is not None:
            played = attrs.evolve(played, start=before.start, stop=before.stop)
        if "repeat-cursor" in hit or "foreign-link" in hit:
            played = _misled(desk, played, turn, foreign="foreign-link" in hit)
        return played

    def _say(self, draft: Draft, pager: Pager, turn: Turn, played: Played, hit: Faults) -> None:
        """Totals, more or not, and the words of the page itself that the example shows (`PageNumber: 1`)."""
        total = len(turn.records) + (1 if "change-total" in hit else 0)
        if pager.total_records is not None:
            draft.say(pager.total_records, total, self.codecs)
        if pager.total_pages is not None:
            draft.say(pager.total_pages, max(1, -(-total // turn.size)), self.codecs)
        more = played.stop < len(turn.records)
        for path, test in pager.more.items():
            value = (satisfying if more else violating)(test, path.find(draft.example))
            draft.body = put(draft.body, path.steps, None if value is MISSING else value)
        for place, value in played.says:
            draft.say(place, value, self.codecs)
        for slot in _slots(pager):
            name = slot.query or slot.fields
            asked = turn.asked(slot)
            if name and isinstance(draft.body, dict) and isinstance(draft.body.get(name), int) and asked is not None:
                draft.body[name] = int(asked) if str(asked).isdecimal() else draft.body[name]

    # Filters ------------------------------------------------------------------------------------------------------

    def _matching(self, desk: Desk, shelf: Shelf, rows: Sequence[Record], heard: Heard) -> list[Record]:
        """The records that the request's own parameters leave: by equality, and by marks."""
        kept = list(rows)
        for field, wanted in self._equal(desk, shelf, rows, heard):
            kept = [one for one in kept if _is_one_of(one.get(field), wanted)]
        for field, mark in desk.operation.marks.items():
            kept = self._since(desk, shelf, field, mark, kept, heard)
        return kept

    def _equal(self, desk: Desk, shelf: Shelf, rows: Sequence[Record], heard: Heard) -> Iterator[tuple[str, list[Any]]]:
        """Parameters that are named as a field of the records is, and hold something to compare with."""
        names = {snake(wire): wire for wire in (*(rows[0] if rows else ()), *shelf.fields)}
        marked = {word for mark in desk.operation.marks.values() for word in (mark.from_, mark.until)}
        for parameter in desk.plan.parameters.values():
            if parameter.spot not in ("query", "fields", "variables") or parameter.wire in marked:
                continue
            value = heard.spot(parameter.spot).get(parameter.wire)
            field = names.get(snake(parameter.wire))
            if field is None or value is None or isinstance(value, dict) or value == parameter.field.default:
                continue  # a default that left nothing out would be no default of a list
            yield field, value if isinstance(parameter.field.type, ListOf) and isinstance(value, list) else [value]

    def _since(
        self, desk: Desk, shelf: Shelf, field: str, mark: Mark, rows: list[Record], heard: Heard
    ) -> list[Record]:
        since = self._bound(desk, shelf, field, mark, mark.from_, heard)
        until = self._bound(desk, shelf, field, mark, mark.until, heard)
        kept = rows
        if since is not None:
            kept = [one for one in kept if (at := self._at(shelf, field, one)) is None or _reaches(at, since, mark)]
        if until is not None:
            kept = [one for one in kept if (at := self._at(shelf, field, one)) is None or at <= until]
        if mark.ordered:
            kept.sort(key=lambda one: str(self._at(shelf, field, one) or one.get(field) or ""))
        return kept

    def _bound(self, desk: Desk, shelf: Shelf, field: str, mark: Mark, name: str | None, heard: Heard) -> Any:
        parameter = next((p for p in desk.plan.parameters.values() if p.wire == name), None)
        value = heard.spot(parameter.spot).get(parameter.wire) if parameter is not None else None
        if parameter is None or value is None:
            return None
        written: Any = mark.as_
        if name == mark.from_ and isinstance(written, str) and isinstance(value, str):
            found = template_pattern(written).fullmatch(value)
            if not found or not found.groups():
                return None
            value = found[1]
        kinds = [parameter.field.type, shelf.fields[field].type if field in shelf.fields else None]
        codecs = [mark.codec, *(kind.codec for kind in kinds if isinstance(kind, Scalar)), self.datetime]
        return next((read for codec in codecs if codec and (read := read_moment(value, codec, self.codecs))), None)

    def _at(self, shelf: Shelf, field: str, record: Record) -> Any:
        declared = shelf.fields.get(field)
        codec = declared.type.codec if declared is not None and isinstance(declared.type, Scalar) else None
        return read_moment(record.get(field), codec or self.datetime, self.codecs)


def _placed(body: Any, path: AnswerPath, records: Any) -> Any:
    return (put_list if isinstance(records, list) else put)(body, path.steps, records)


def _reaches(at: Any, since: Any, mark: Mark) -> bool:
    return bool(at >= since if mark.inclusive else at > since)


def _is_one_of(held: Any, wanted: Sequence[Any]) -> bool:
    """Equality as servers have it: a number and its text are the same, an object is known by its id."""
    if isinstance(held, list):
        return any(_is_one_of(one, wanted) for one in held)
    if isinstance(held, dict):
        held = next((held[name] for name in held if snake(name) == "id"), None)
    return any(held == one or (held is not None and _text(held) == _text(one)) for one in wanted)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _slots(pager: Pager) -> list[Slot]:
    options = [getattr(pager.options, f.name) for f in attrs.fields(type(pager.options))] if pager.options else []
    return [held for held in (pager.size, *options) if isinstance(held, Slot)]


def _misled(desk: Desk, played: Played, turn: Turn, *, foreign: bool) -> Played:
    """The page with its way on turned back to itself, or to another host."""
    pager = desk.plan.pager
    assert pager is not None  # only pages are misled
    cursor = getattr(pager.options, "cursor", None)
    here: Any = turn.asked(cursor) or f"left-{len(turn.records)}" if cursor is not None else turn.url
    said = tuple((place, f"{ELSEWHERE}/next" if foreign else here) for place, _ in played.says)
    shape = played.shape
    if shape is None or foreign:
        return attrs.evolve(played, says=said)

    def turned(records: Sequence[Any]) -> Any:
        shaped = shape(records)
        return {**shaped, "pageInfo": {"hasNextPage": True, "endCursor": here}}

    return attrs.evolve(played, says=said, shape=turned)
