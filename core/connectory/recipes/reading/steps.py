"""One read of a list operation, step by step; each chunk carries the `Place` where the next one begins.

Details that wait are completed first; else the next page is read; else the next window begins; else the next parent.
Everything that a later process needs to know is in the place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final

import attrs

from connectory.errors import ArgumentError, ConnectoryError, Missing, PagingError, Rejected
from connectory.invoke import Engine, VanishedWarning
from connectory.lines import Lines
from connectory.nesting import Inside, for_parent, for_parents, inside, needs_parents
from connectory.operation import Plan, readers_of
from connectory.outcomes import conditions_hold
from connectory.paging.walk import Trail, digest
from connectory.plugins.kinds import Page
from connectory.recipes.reading.details import AT_ONCE, complete
from connectory.recipes.reading.marks import Filter, MarkWarning, Seen, Value, comparable, earlier
from connectory.recipes.reading.places import Place, place_to_json
from connectory.recipes.reading.together import Part, Together, chunk_of
from connectory.recipes.recipe import FromOperation
from connectory.recipes.source import Chunk
from connectory.values.reading import Readers

# Records that are listed before the first of them is completed: pages that are counted must not move meanwhile.
MOST_PENDING: Final = 10_000

Pages = Iterator[tuple[Page, Callable[[], Trail]]]
Render = Callable[[datetime, Value | None, Value | None], Mapping[str, Any]]


class StartedAgainWarning(UserWarning):
    """A list was begun again, since the vendor no longer knows where its reading had stopped."""


@attrs.frozen(kw_only=True)
class Wish:
    """What is wanted of an operation, checked.

    `render(now, since, until)` gives the arguments. `filter` says how the mark is asked for; None: no mark. `span` is
    a back-fill. `appends` says that a row read twice would stand there twice, `merges` that a list may be read again.
    Pages that come fast are one chunk of about `together` rows; with 1 each page is one.
    """

    engine: Engine
    plan: Plan
    options: FromOperation
    render: Render
    filter: Filter | None = None
    span: tuple[Value | None, Value | None] | None = None
    appends: bool = False
    merges: bool = False
    together: int = 1


@attrs.define
class Reading:
    """One read under way: `place`, and the iterators and counts that belong to it in this process."""

    wish: Wish
    keys: tuple[str, ...]
    place: Place
    seen: Seen | None
    read: Callable[[Any], Any] | None
    together: Together
    as_text: bool = False
    _pages: Pages | None = None
    _parents: Pages | None = None
    _overlap: bool = False
    _older_told: bool = False
    _first_checked: bool = False
    _page: Sequence[Any] | None = None  # what was read last of a list that is counted; digested for the next chunk

    @classmethod
    def at(cls, wish: Wish, keys: tuple[str, ...], place: Place, *, as_text: bool = False) -> Reading:
        """Begin, or go on, at a place. `as_text` leaves records as they came, where nobody looks at them here."""
        read = readers(wish, iso_as_text=True).of(wish.plan.operation.returns)
        seen = None
        if wish.filter is not None:
            seen = Seen(
                field=wish.filter.field,
                base=place.mark,
                began=place.clock or datetime.fromtimestamp(place.began, UTC),
                lookback=wish.options.lookback,
                remember=wish.appends,
                largest=place.seen,
                before={held: value for held, value in place.near},
                near={held: value for held, value in place.around},
            )
            seen.records, seen.empty, seen.absent = place.counts
        together = Together(wish.engine.line.clock, 1 if wish.engine.counts_calls(wish.plan) else wish.together)
        return cls(wish, keys, place, seen, read, together, as_text, first_checked=any(place.counts))

    # The steps ------------------------------------------------------------------------------------------------------

    def chunks(self) -> Iterator[Chunk]:
        """Step by step to the end. Pages that come fast make one chunk."""
        try:
            while not self.place.done:
                for part in self._step():
                    if self.together.add(part):
                        yield self._chunk(self.together.take())
        except ConnectoryError:  # raised where the place stands behind all that was added
            if self.together.parts:
                yield self._chunk(self.together.take())
            raise
        if self.together.parts:
            yield self._chunk(self.together.take())
        if self.seen is not None:
            self.seen.tell()

    def _step(self) -> Iterator[Part]:
        place = self.place
        if self._nested and place.parent is None:
            yield from self._next_parent()
        elif not place.list_done and (not place.pending or self._lists_on()):
            yield from self._next_page()
        elif place.pending:
            yield from self._next_details()
        elif (following := self._window_after(place.window)) is not None:
            self._next_list(window=following)
        elif self._nested:
            self._next_list(parent=None, window=None)
        else:
            self._move(done=True)
            yield Part()

    @property
    def _nested(self) -> bool:
        """Whether the list is read several times: for each parent, or for each record with something inside."""
        return self.wish.options.parents or self.wish.options.recurse

    @property
    def _unseen(self) -> bool:
        """Whether nobody looks at a record here."""
        return self.seen is None and self.read is None and not (self._nested or self.wish.options.complete)

    def _lists_on(self) -> bool:
        """Whether more is listed while records wait for their detail: pages that are counted move meanwhile."""
        return self._counted and len(self.place.pending) < MOST_PENDING

    def _next_list(self, **changes: Any) -> None:
        self._page = None
        self._move(trail=None, list_done=False, tail=(), **changes)

    def _next_page(self) -> Iterator[Part]:
        if self._pages is None:
            if self.place.window is None:
                self._move(window=self._first_window())
            trail = self.place.trail
            self._overlap = trail is not None
            self._pages = self._walk(trail)
        try:
            found = next(self._pages, None)
        except Rejected as why:
            if not self._gone(why):
                raise
            return
        if found is None:
            self._pages = None
            self._move(list_done=True)
            return
        page, trail_of = found
        trail = trail_of()
        self._learn_clock(page)
        if trail.progress is not None:  # on the way to the list
            self._move(trail=trail)
            yield Part(waits=False)
            return
        records = self._not_again(page.records)
        if self.wish.options.recurse:
            deeper = inside(self.wish.plan, records, _inside(self.place.parent))
            self._move(queue=[*self.place.queue, *map(list, deeper)])
        older = 0
        if self.wish.options.complete:
            waiting = [record for record in records if not self._older(record)]
            older = len(records) - len(waiting)
            self._move(trail=trail, list_done=trail.following is None, pending=[*self.place.pending, *waiting])
            yield Part(pages=1, left_out={"older": older})
        else:
            rows, left_out = self._rows(records)
            self._move(trail=trail, list_done=trail.following is None)
            yield Part(rows, pages=1, left_out=left_out)
        if trail.following is None and self._pages is not None:
            next(self._pages, None)  # the walk checks its count
            self._pages = None

    def _next_details(self) -> Iterator[Part]:
        pending = self.place.pending
        done = complete(self.wish.engine, self.wish.plan, pending[:AT_ONCE])
        rows, left_out = self._rows(done.rows)
        left_out["vanished"] = done.vanished
        self._move(pending=[*done.left, *pending[AT_ONCE:]])
        if rows or done.refused or len(done.left) < min(len(pending), AT_ONCE):
            refused = [self._refused(one) for one in done.refused]
            yield Part(rows, left_out=left_out, refused=refused, waits=False)
        if done.stopped is not None:
            raise done.stopped

    def _next_parent(self) -> Iterator[Part]:
        place = self.place
        if place.queue:
            self._move(parent=place.queue[0], queue=place.queue[1:])
        elif place.parents_done:
            self._move(done=True)
            yield Part()
        else:
            yield from self._more_parents()

    def _more_parents(self) -> Iterator[Part]:
        engine, plan = self.wish.engine, self.wish.plan
        if not self.wish.options.parents:
            self._move(queue=[[{}, {}, 0]], parents_done=True)
            return
        link = plan.operation.parent
        assert link is not None  # seen to when the recipe was checked
        if needs_parents(engine.plan(link.operation)):
            self._move(queue=[list(pair) for pair in for_parents(engine, plan, {})], parents_done=True)
            yield Part()
            return
        if self._parents is None:
            self._parents = engine.walk(engine.plan(link.operation), {}, start=self.place.parents)
        found = next(self._parents, None)
        if found is None:
            self._move(parents_done=True)
            return
        page, trail_of = found
        self._learn_clock(page)
        pairs = [for_parent(plan, record) for record in page.records if conditions_hold(link.when, record)]
        self._move(queue=[list(pair) for pair in pairs], parents=trail_of())
        yield Part()

    # What is asked for ----------------------------------------------------------------------------------------------

    def _walk(self, trail: Trail | None) -> Pages:
        since, until = self.place.window or (None, None)
        now = datetime.fromtimestamp(self.place.began, UTC)
        given = {**self.wish.render(now, since, until), **(self.place.parent[0] if self.place.parent else {})}
        if self.wish.filter is not None:
            given = self.wish.filter.arguments(given, since, until)
        if trail is not None and trail.following is None:
            return iter(())
        return self.wish.engine.walk(
            self.wish.plan, given, start=trail, known=self._known, as_text=self.as_text and self._unseen
        )

    def _first_window(self) -> Sequence[Value | None]:
        if self.place.span is not None:
            since, end = self.place.span
        else:
            since, end = earlier(self.place.mark, self.wish.options.lookback), None
        return self._cut_window(since, end)

    def _cut_window(self, since: Value | None, end: Value | None) -> Sequence[Value | None]:
        """`since` to `end`, or the first piece of it where it is longer than is asked for or allowed at once."""
        length = self._window_length()
        if length is None or not isinstance(since, datetime):
            return [since, end]
        last = end if isinstance(end, datetime) else datetime.fromtimestamp(self.place.began, UTC)
        piece = earlier(since, -length)
        return [since, end] if not isinstance(piece, datetime) or piece >= last else [since, piece]

    def _window_after(self, window: Sequence[Value | None] | None) -> Sequence[Value | None] | None:
        end = self.place.span[1] if self.place.span is not None else None
        if window is None or window[1] is None or window[1] == end:
            return None
        return self._cut_window(window[1], end)

    def _window_length(self) -> float | None:
        wish = self.wish
        if wish.filter is None or not wish.filter.upper:
            return None
        allowed = wish.filter.mark.window if wish.filter.mark is not None else None
        lengths = [length for length in (wish.options.window, allowed) if length]
        return min(lengths) if lengths else None

    # What came ------------------------------------------------------------------------------------------------------

    def _rows(self, records: Sequence[Any]) -> tuple[Sequence[Any], dict[str, int]]:
        """Records as rows, those of this run only."""
        kept = self.place.parent[1] if self.place.parent else {}
        if isinstance(records, Lines):
            return records, {}
        if not kept and self.seen is None and self.read is None and set(map(type, records)) <= {dict}:
            return list(records), {}
        rows, left_out = [], {"older": 0, "again": 0}
        for record in records:
            row = {**record, **kept} if isinstance(record, dict) else {"value": record, **kept}
            if self.seen is not None:
                raw = self.seen.field.found(row)
                value = self.seen.field.read(raw)
                if self._outside(value):
                    left_out["older"] += 1
                    continue
                if not self.seen.take(raw, value, partial(self._identity, row)):
                    left_out["again"] += 1
                    continue
            rows.append(row if self.read is None else self.read(row))
        self._check_first(records)
        return rows, left_out

    def _older(self, record: Any) -> bool:
        """Whether a record is outside of what is wanted."""
        filter_ = self.wish.filter
        return filter_ is not None and self._outside(filter_.field.read(filter_.field.found(record)))

    def _outside(self, value: Value | None) -> bool:
        """Whether the value of a record's mark is outside of what is wanted.

        Where the vendor sees to the lower end, its word is taken, but for rows that would be there twice.
        """
        filter_ = self.wish.filter
        if filter_ is None or value is None or self.place.window is None:
            return False
        since, until = self.place.window
        if since is not None and comparable(value, since) and value < since:
            if not filter_.lower:
                self._tell_older()
            return self.wish.appends or not filter_.lower
        return until is not None and comparable(value, until) and value >= until

    def _tell_older(self) -> None:
        if not self._older_told and self.wish.filter is not None:
            self._older_told = True
            warnings.warn(
                f"{self.wish.plan.name}: the vendor has no filter by {self.wish.filter.field.name}: the whole list is"
                " read each time, and records older than the mark are left out here",
                MarkWarning,
                stacklevel=2,
            )

    def _check_first(self, records: Sequence[Any]) -> None:
        """A field that no record of the first chunk has is a slip of the pen."""
        if self._first_checked or self.seen is None or not records:
            return
        self._first_checked = True
        if self.seen.records and self.seen.absent == self.seen.records and self.seen.field.kind is None:
            raise ArgumentError(
                f"{self.wish.plan.name}: no record has a field '{self.seen.field.name}' to take the mark from"
            )

    def _identity(self, record: Any) -> Any:
        """What tells a record from others: its keys, or all of it."""
        if not isinstance(record, Mapping):
            return record
        found = [record.get(key) for key in self.keys]
        return found if found and None not in found else sorted(map(str, record.items()))

    def _not_again(self, records: Sequence[Any]) -> Sequence[Any]:
        """The records of a page without those of the page that was read before a stop, where pages have moved."""
        overlap, self._overlap = self._overlap, False
        if not self._counted:
            return records
        known = set(self._tail()) if overlap else frozenset()
        self._page = records
        if not known:
            return records
        fresh = [one for one in records if digest(self._identity(one)) not in known]
        self._overlap = len(fresh) < len(records)
        return fresh

    def _known(self, records: Sequence[Any]) -> bool:
        """Whether some of these records were on the page that was read last."""
        tail = set(self._tail())
        return any(digest(self._identity(one)) in tail for one in records)

    def _tail(self) -> Sequence[str]:
        """Digests of the keys of the page that was read last."""
        return self.place.tail if self._page is None else [digest(self._identity(one)) for one in self._page]

    @property
    def _counted(self) -> bool:
        """Whether pages are counted from the beginning of the list, so that they move when records come or go."""
        kind = self.wish.plan.pager_kind
        return kind is not None and kind.ahead is not None

    def _refused(self, problem: Any) -> Any:
        kept = self.place.parent[1] if self.place.parent else {}
        return attrs.evolve(problem, row={**problem.row, **kept})

    def _gone(self, why: Rejected) -> bool:
        """Whether the vendor refuses to go on with an earlier walk, or a parent has vanished, and that was seen to."""
        plan = self.wish.plan
        trail = self.place.trail
        if trail is None and self.place.parent is not None and isinstance(why, Missing):
            warnings.warn(f"{plan.name}: {why}", VanishedWarning, stacklevel=2)
            self._pages = None
            self._move(list_done=True)
            return True
        if not self._overlap or trail is None or self._counted:
            return False
        if not self.wish.merges and trail.progress is None:
            raise PagingError(
                f"{plan.name}: the vendor no longer knows where the reading had stopped ({why.words or why}); begun"
                " again, rows would be there twice: --full-refresh reads everything anew",
                vendor=self.wish.engine.spec.name,
                operation=plan.name,
            ) from why
        warnings.warn(
            f"{plan.name}: the vendor no longer knows where the reading had stopped ({why.words or why}); the list is"
            " read from its beginning, and rows that are there are merged again",
            StartedAgainWarning,
            stacklevel=2,
        )
        self._pages = None
        self._next_list(window=self._from_here())
        return True

    def _from_here(self) -> Sequence[Value | None] | None:
        """What of the window is left where records come in the order of their marks."""
        filter_, window = self.wish.filter, self.place.window
        if filter_ is None or filter_.mark is None or not filter_.mark.ordered or self.seen is None or window is None:
            return window
        return [self.seen.largest or window[0], window[1]]

    def _learn_clock(self, page: Page) -> None:
        """A mark of moments stays behind the vendor's own clock, as it was at the first answer."""
        if self.place.clock is not None:
            return
        moments = [datetime.fromtimestamp(self.place.began, UTC)]
        with suppress(KeyError, ValueError, TypeError):
            moments.append(parsedate_to_datetime(page.answer.headers["Date"]).astimezone(UTC))
        self._move(clock=min(moments))
        if self.seen is not None:
            self.seen.began = min(moments)

    # Where we are ---------------------------------------------------------------------------------------------------

    def _move(self, **changes: Any) -> None:
        self.place = attrs.evolve(self.place, **changes)

    def _chunk(self, parts: Sequence[Part]) -> Chunk:
        """These parts, and where the read is behind them."""
        trail = self.place.trail
        if self.seen is not None:
            self.seen.page = trail.size if trail is not None else 0
            counts = (self.seen.records, self.seen.empty, self.seen.absent)
            self._move(seen=self.seen.largest, around=self.seen.kept(), counts=counts)
        self._move(tail=self._tail())
        return chunk_of(
            parts, place_to_json(self.place), trail.total if trail is not None and not self._nested else None
        )

    def mark(self) -> Any:
        """What the next run needs: the mark, and the records around it that were delivered."""
        if self.seen is None or self.seen.mark is None:
            return None
        return {"next": self.seen.mark, "near": self.seen.left()}


def _inside(parent: Sequence[Any] | None) -> Inside:
    """The list that is read, as `Engine.inside` wants it."""
    given, kept, *depth = parent or [{}, {}]
    return given, kept, depth[0] if depth else 0


def readers(wish: Wish, *, iso_as_text: bool) -> Readers:
    """What reads the values of this operation's records."""
    return readers_of(wish.engine.spec, wish.engine.registry, wish.plan.styles, iso_as_text=iso_as_text)
