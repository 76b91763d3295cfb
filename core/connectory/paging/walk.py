"""From page to page: asks for the next one, in order, ahead where it can, and refuses to go in circles.

A walk can be left behind any page and gone on with later, by another process: `Walk.trail` says where it is then.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import attrs
import msgspec

from connectory.ahead import in_order
from connectory.answers import Answer, find, to_number
from connectory.errors import BadAnswer, PagingError, nearest, plugin_code
from connectory.lines import Lines
from connectory.outcomes import conditions_hold
from connectory.plugins.kinds import Page, PageRequest, PagerKind
from connectory.progress import Progress
from connectory.spec.language import Pager
from connectory.spec.places import MISSING
from connectory.spec.words import Records

MOST_EMPTY = 100  # empty pages in a row that still promise more
MOST_REMEMBERED = 200  # requests that a trail remembers, lest the pages run in circles from start to start

Fetch = Callable[[PageRequest], Answer]
T = TypeVar("T")


class CountWarning(UserWarning):
    """A list did not hold as many records as the vendor said."""


@attrs.frozen
class Trail:
    """A walk so far: what to ask for next (None: all was read), what was asked last, and what the guards know.

    `size` is how many records the first page had, `seen` are digests of the last requests, `last` are the records of
    the last page, or their digest.
    `progress` says how far the steps have come whose last one is the list; then nothing was read yet.
    """

    following: PageRequest | None
    current: PageRequest | None = None
    pages: int = 0
    read: int = 0
    total: int | None = None
    total_moved: bool = False
    empty: int = 0
    size: int = 0
    seen: tuple[str, ...] = ()
    last: Sequence[Any] | str = ()
    progress: Progress | None = None


@attrs.define
class Walk:
    """One walk through a list. `fetch` does one call; `ahead` is how many may be under way at once.

    `start` is the trail of an earlier walk that this one goes on with, `known` tells whether some of these records were
    on the page that it read last.
    """

    name: str
    pager: Pager
    kind: PagerKind
    where: Records
    fetch: Fetch
    ahead: int = 1
    start: Trail | None = None
    known: Callable[[Sequence[Any]], bool] = lambda records: True
    total: int | None = None
    _following: PageRequest | None = None
    _current: PageRequest | None = None
    _read: int = 0
    _count: int = 0
    _size: int = 0
    _total_moved: bool = False
    _empty: int = 0
    _seen: dict[str, None] = attrs.Factory(dict)
    _before: Sequence[Any] | str = ()  # the records of the last page, or the digest of an earlier walk's

    def __attrs_post_init__(self) -> None:
        if (begun := self.start) is not None:
            self.total, self._total_moved = begun.total, begun.total_moved
            self._read, self._count, self._size, self._empty = begun.read, begun.pages, begun.size, begun.empty
            self._seen, self._before = dict.fromkeys(begun.seen), begun.last

    def pages(self) -> Iterator[Page]:
        """Each page once, in order. Raises PagingError, BadAnswer and whatever `fetch` raises."""
        first = self._begin() if self.start is None else self._go_on(self.start)
        if first is not None:
            rest = self._computed(first)
            yield from self._one_by_one(first) if rest is None else self._take_ahead(first, rest)
        self._check_count()

    def _begin(self) -> Page:
        return self._take(self._plugged(self.kind.first, self.pager, gives=PageRequest))

    def _go_on(self, begun: Trail) -> Page | None:
        """The page behind those of an earlier walk; None where there is none.

        Pages that are counted from the beginning move when records come or go before them. Where the list is not as
        long as it was, or does not say how long it is, the walk goes back to a page with records that were read.
        """
        if begun.following is None:
            return None
        if self.kind.ahead is None or begun.current is None or not begun.size:
            return self._take(begun.following)
        answer = self.fetch(begun.following if self.total is not None else begun.current)
        total = self._stated_total(answer)
        if self.total is not None and total in (None, self.total):
            return self._accept(begun.following, answer)
        pages = begun.pages - 1
        if self.total is not None:
            self.total, self._total_moved = total, True
        elif pages == 0 or self.known(self._records(answer)):
            return self._accept_again(begun.current, answer, pages)
        return self._step_back(begun, answer)

    def _step_back(self, begun: Trail, answer: Answer) -> Page:
        first = Page(
            self._plugged(self.kind.first, self.pager, gives=PageRequest), self.where, [None] * begun.size, answer
        )
        assert self.kind.ahead is not None
        requests = [first.asked, *self._plugged(self.kind.ahead, self.pager, first, begun.pages, gives=Sequence)]
        for pages in range(begun.pages - 1, 0, -1):
            answer = self.fetch(requests[pages])
            if self.known(self._records(answer)):
                return self._accept_again(requests[pages], answer, pages)
        return self._accept_again(requests[0], self.fetch(requests[0]), 0)

    def _accept_again(self, asked: PageRequest, answer: Answer, pages: int) -> Page:
        """A page that an earlier walk has read as well: so many lie before it."""
        self._count, self._read = pages, pages * self._size
        self._seen, self._before = {}, ()
        return self._accept(asked, answer)

    def _one_by_one(self, page: Page) -> Iterator[Page]:
        while True:
            asked = self._after(page)
            self._following = asked
            yield page
            if asked is None:
                return
            page = self._take(asked)

    def _plugged(self, step: Callable[..., T], *given: Any, gives: Any = object) -> T:
        with plugin_code(f"{self.name}: the pager '{self.pager.use}'", gives) as told:
            return told(step(*given))

    def _take(self, asked: PageRequest) -> Page:
        return self._accept(asked, self.fetch(asked))

    def _accept(self, asked: PageRequest, answer: Answer) -> Page:
        request = digest(asked)
        if request in self._seen:
            raise PagingError(f"{self.name}: the vendor repeats a cursor: the pages would run in circles")
        self._seen[request] = None
        page = Page(asked, self.where, self._records(answer), answer)
        self._empty = 0 if page.records else self._empty + 1
        if self._empty > MOST_EMPTY:
            raise PagingError(f"{self.name}: {MOST_EMPTY} empty pages in a row that promise more")
        self._current = asked
        self._count += 1
        self._size = self._size or len(page.records)
        self._read += len(page.records)
        moved, repeats = self.total, self._repeats(page)
        self._learn_total(page)
        self._before = page.records
        if repeats and moved == self.total:  # a list that changes while it is read may move its records by a page
            raise PagingError(f"{self.name}: page {self._count} repeats the page before it")
        if self.pager.cap is not None and self._read >= self.pager.cap:
            raise PagingError(
                f"{self.name}: the vendor gives no more than {self.pager.cap} records per query; narrow the query"
            )
        return page

    def _repeats(self, page: Page) -> bool:
        before = page_digest(page.records) if isinstance(self._before, str) else page.records
        return bool(page.records) and self._before == before

    @property
    def trail(self) -> Trail:
        """Where this walk is, behind the page yielded last."""
        return Trail(
            self._following,
            self._current,
            self._count,
            self._read,
            self.total,
            self._total_moved,
            self._empty,
            self._size,
            tuple(islice(reversed(self._seen), MOST_REMEMBERED))[::-1],
            self._before,
        )

    def _records(self, answer: Answer) -> Sequence[Any]:
        found = self._plugged(self.kind.records or find_records, self.where, answer)
        if isinstance(found, list | Lines):
            return found
        if self._count > 0 and (found is None or (found is MISSING and self._may_be_beyond(answer))):
            return []
        if found is None and self._stated_total(answer) == 0:
            return []
        raise no_records(self.name, self.where, answer, found)

    def _may_be_beyond(self, answer: Answer) -> bool:
        """Whether an answer without records may be a page beyond the end: it says nothing, or the total will tell."""
        return not answer.data or self.total is not None

    def _stated_total(self, answer: Answer) -> int | None:
        number = to_number(find(self.pager.total_records, answer)) if self.pager.total_records else None
        return None if number is None else int(number)

    def _learn_total(self, page: Page) -> None:
        total = self._stated_total(page.answer)
        if total is None and self.kind.total is not None:
            total = self._plugged(self.kind.total, page, gives=int | None)
        if total is not None:
            self._total_moved = self._total_moved or (self.total is not None and total != self.total)
            self.total = total

    def _after(self, page: Page) -> PageRequest | None:
        """What to ask for next: by `more`, else the total, else the kind's own word, else a short page ends it."""
        if self.pager.more and not conditions_hold(self.pager.more, page.answer.data):
            return None
        following = self._plugged(self.kind.next, self.pager, page, gives=PageRequest | None)
        if following is None:
            if self.pager.more:
                raise PagingError(f"{self.name}: the vendor says there are more pages, but not how to ask for them")
            return None
        if self.pager.more or self._leads_on():
            return following
        pages = self._stated_pages(page.answer)
        if pages is not None:
            return following if self._count < pages else None
        if self.total is not None:
            return following if page.records and self._read < self.total else None
        short = not page.records or (self.pager.largest is not None and len(page.records) < self.pager.largest)
        return None if short else following

    def _leads_on(self) -> bool:
        """Whether the answer itself holds the way to the next page, so that an empty page need not be the last."""
        return self.kind.ahead is None and self.pager.use != "last_record"

    def _stated_pages(self, answer: Answer) -> int | None:
        number = to_number(find(self.pager.total_pages, answer)) if self.pager.total_pages else None
        return None if number is None else int(number)

    def _computed(self, first: Page) -> Sequence[PageRequest] | None:
        """The pages behind this one, where kind and total allow to compute them and more than one may be under way."""
        if self.kind.ahead is None or self.ahead < 2 or self.pager.more or not first.records:
            return None
        pages = self._stated_pages(first.answer)
        if pages is None and self.total is not None:
            # The page size is what the vendor gave, not what was asked: some clamp it in silence.
            pages = math.ceil(self.total / self._size)
        if pages is None:
            return None
        full = attrs.evolve(first, records=[None] * self._size)  # gone on with, the first may be the last and short
        return self._plugged(self.kind.ahead, self.pager, full, pages, gives=Sequence)[self._count - 1 :]

    def _take_ahead(self, first: Page, rest: Sequence[PageRequest]) -> Iterator[Page]:
        following = [*rest[1:], None]
        self._following = rest[0] if rest else None
        yield first
        taken = in_order(lambda one: (one, self.fetch(one)), rest, self.ahead, "connectory-page")
        for (asked, answer), after in zip(taken, following, strict=False):
            page = self._accept(asked, answer)
            self._following = after
            yield page

    def _check_count(self) -> None:
        if self.total is None or self._read == self.total:
            return
        said = f"{self.name}: the vendor said {self.total} records, its pages held {self._read}"
        if self.pager.count == "warn" or self._total_moved:
            warnings.warn(
                f"{said}{' (the list changed while it was read)' if self._total_moved else ''}",
                CountWarning,
                stacklevel=3,
            )
            return
        raise PagingError(said)


def find_records(where: Records, answer: Answer) -> Any:
    """What stands at a records path: a list, or whatever else was found there, or MISSING."""
    if answer.status == 204:  # RFC 9110, 15.3.5: a success without content
        return []
    for path in where.path:
        if path.many:
            found: Any = list(path.each(answer.data))
            if not found:
                continue
        else:
            found = path.find(answer.data)
        if where.key_as is not None and isinstance(found, dict):
            return [
                {where.key_as: key, **value} if isinstance(value, dict) else {where.key_as: key, "value": value}
                for key, value in found.items()
            ]
        if where.value_as is not None and isinstance(found, list):
            return [{where.value_as: value} for value in found]
        if found is not MISSING:
            return found
    return MISSING


def no_records(name: str, where: Records, answer: Answer, found: Any) -> BadAnswer:
    """The error for a path that leads to no list; it names what is there instead."""
    paths = ", ".join(str(path) for path in where.path)
    if answer.fault:
        return BadAnswer(f"{name}: the answer is {answer.fault}", status=answer.status)
    if found is MISSING and isinstance(answer.data, dict):
        last = str(where.path[0]).rpartition(".")[2]
        keys = ", ".join(sorted(map(str, answer.data))[:12]) or "nothing"
        return BadAnswer(
            f"{name}: no records at '{paths}'; the answer holds {keys}{nearest(last, answer.data)}",
            status=answer.status,
        )
    there = "nothing" if found is MISSING or answer.data is None else "null" if found is None else type(found).__name__
    return BadAnswer(f"{name}: expected a list of records at '{paths}', found {there}", status=answer.status)


def digest(value: Any) -> str:
    """A short text that is the same for the same requests or records."""
    if isinstance(value, PageRequest):
        value = [[(attrs.astuple(slot), held) for slot, held in value.slots], value.url]
    return hashlib.blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def page_digest(records: Sequence[Any]) -> str:
    """The same for the records of a page. Packed, for it is made of every page, and repr takes ten times as long."""
    try:
        packed = msgspec.msgpack.encode(list(records))
    except (TypeError, ValueError, OverflowError):  # integers of any size, and what plug-ins make of records
        return digest(records)
    return hashlib.blake2b(packed, digest_size=8).hexdigest()
