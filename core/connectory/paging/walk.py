"""From page to page: asks for the next one, in order, ahead where it can, and refuses to go in circles."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import attrs

from connectory.ahead import in_order
from connectory.answers import Answer, find, to_number
from connectory.errors import BadAnswer, PagingError, nearest, plugin_code
from connectory.outcomes import conditions_hold
from connectory.plugins.kinds import Page, PageRequest, PagerKind
from connectory.spec.language import Pager
from connectory.spec.places import MISSING
from connectory.spec.words import Records

MOST_EMPTY = 100  # empty pages in a row that still promise more

Fetch = Callable[[PageRequest], Answer]
T = TypeVar("T")


class CountWarning(UserWarning):
    """A list did not hold as many records as the vendor said."""


@attrs.define
class Walk:
    """One walk through a list. `fetch` does one call; `ahead` is how many may be under way at once."""

    name: str
    pager: Pager
    kind: PagerKind
    where: Records
    fetch: Fetch
    ahead: int = 1
    total: int | None = None
    _read: int = 0
    _total_moved: bool = False
    _empty: int = 0
    _seen: set[PageRequest] = attrs.Factory(set)
    _before: Sequence[Any] = ()

    def pages(self) -> Iterator[Page]:
        """Each page once, in order. Raises PagingError, BadAnswer and whatever `fetch` raises."""
        first = self._take(self._plugged(self.kind.first, self.pager))
        yield first
        rest = self._computed(first)
        if rest is not None:
            yield from self._take_ahead(rest)
        else:
            asked = self._after(first)
            while asked is not None:
                page = self._take(asked)
                yield page
                asked = self._after(page)
        self._check_count()

    def _plugged(self, step: Callable[..., T], *given: Any) -> T:
        with plugin_code(f"{self.name}: the pager '{self.pager.use}'"):
            return step(*given)

    def _take(self, asked: PageRequest) -> Page:
        return self._accept(asked, self.fetch(asked))

    def _accept(self, asked: PageRequest, answer: Answer) -> Page:
        if asked in self._seen:
            raise PagingError(f"{self.name}: the vendor repeats a cursor: the pages would run in circles")
        self._seen.add(asked)
        page = Page(asked, self.where, self._records(answer), answer)
        if page.records and page.records == self._before:
            raise PagingError(f"{self.name}: page {len(self._seen)} repeats the page before it")
        self._before = page.records
        self._empty = 0 if page.records else self._empty + 1
        if self._empty > MOST_EMPTY:
            raise PagingError(f"{self.name}: {MOST_EMPTY} empty pages in a row that promise more")
        self._read += len(page.records)
        self._learn_total(page)
        if self.pager.cap is not None and self._read >= self.pager.cap:
            raise PagingError(
                f"{self.name}: the vendor gives no more than {self.pager.cap} records per query; narrow the query"
            )
        return page

    def _records(self, answer: Answer) -> Sequence[Any]:
        found = self._plugged(self.kind.records or find_records, self.where, answer)
        if isinstance(found, list):
            return found
        if len(self._seen) > 1 and (found is None or (found is MISSING and self._may_be_beyond(answer))):
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
            total = self._plugged(self.kind.total, page)
        if total is not None:
            self._total_moved = self._total_moved or (self.total is not None and total != self.total)
            self.total = total

    def _after(self, page: Page) -> PageRequest | None:
        """What to ask for next: by `more`, else the total, else the kind's own word, else a short page ends it."""
        if self.pager.more and not conditions_hold(self.pager.more, page.answer.data):
            return None
        following = self._plugged(self.kind.next, self.pager, page)
        if following is None:
            if self.pager.more:
                raise PagingError(f"{self.name}: the vendor says there are more pages, but not how to ask for them")
            return None
        if self.pager.more or self._leads_on(page):
            return following
        pages = self._stated_pages(page.answer)
        if pages is not None:
            return following if len(self._seen) < pages else None
        if self.total is not None:
            return following if page.records and self._read < self.total else None
        short = not page.records or (self.pager.largest is not None and len(page.records) < self.pager.largest)
        return None if short else following

    def _leads_on(self, page: Page) -> bool:
        """Whether the answer itself holds the way to the next page, so that an empty page need not be the last."""
        return self.kind.ahead is None and self.pager.use != "last_record"

    def _stated_pages(self, answer: Answer) -> int | None:
        number = to_number(find(self.pager.total_pages, answer)) if self.pager.total_pages else None
        return None if number is None else int(number)

    def _computed(self, first: Page) -> Sequence[PageRequest] | None:
        """The other pages, where kind and total allow to compute them and more than one may be under way."""
        if self.kind.ahead is None or self.ahead < 2 or self.pager.more or not first.records:
            return None
        pages = self._stated_pages(first.answer)
        if pages is None and self.total is not None:
            # The page size is what the vendor gave, not what was asked: some clamp it in silence.
            pages = math.ceil(self.total / len(first.records))
        return None if pages is None else self._plugged(self.kind.ahead, self.pager, first, pages)

    def _take_ahead(self, rest: Sequence[PageRequest]) -> Iterator[Page]:
        for asked, answer in in_order(lambda one: (one, self.fetch(one)), rest, self.ahead, "connectory-page"):
            yield self._accept(asked, answer)

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
