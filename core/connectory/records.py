"""What a list operation gives back: records, lazily, page by page."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import attrs

from connectory.answers import find, to_number
from connectory.errors import ArgumentError
from connectory.invoke import Engine
from connectory.nesting import Inside, for_parents, inside
from connectory.operation import Plan, bind
from connectory.plugins.kinds import Page

if TYPE_CHECKING:
    import pyarrow


@attrs.define(eq=False, repr=False)
class Records:
    """The records of one list call. Nothing is sent until they are asked for; each iteration reads anew.

    `complete` asks the detail call for each record, `parents` walks the parent operation for the arguments that are
    missing, `recurse` reads what is inside of the records too, `most` stops after so many records. `stated_total` is
    what the vendor said in the page read last.
    """

    engine: Engine
    plan: Plan
    given: Mapping[str, Any]
    complete: bool = False
    parents: bool = False
    recurse: bool = attrs.field(default=False, kw_only=True)
    most: int | None = None
    stated_total: int | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        if self.complete and self.plan.operation.detail is None:
            raise ArgumentError(f"{self.plan.name}: the spec names no detail call that completes its records")
        if self.parents and self.plan.operation.parent is None:
            raise ArgumentError(f"{self.plan.name}: the spec names no parent")
        if self.recurse and self.plan.operation.recurse is None:
            raise ArgumentError(f"{self.plan.name}: the spec says of no record that more is inside of it")

    def __iter__(self) -> Iterator[Any]:
        read = self.plan.read
        for records in self._streams():
            yield from records if read is None else map(read, records)

    def pages(self) -> Iterator[list[Any]]:
        """Lists of records, one for each page of the vendor's, declared moments read as aware datetimes."""
        read = self.plan.read
        for page in self.raw_pages():
            yield page if read is None else [read(record) for record in page]

    def raw_pages(self) -> Iterator[list[Any]]:
        """Lists of records as the vendor wrote them."""
        return map(list, self._streams())

    def _streams(self) -> Iterator[Iterator[Any]]:
        """The records of each page, to be taken before the next page is asked for."""
        taken = 0

        def counted(records: Iterable[Any]) -> Iterator[Any]:
            nonlocal taken
            for record in records:
                taken += 1
                yield record

        if self.most is not None and self.most <= 0:
            return
        for page, kept in self._pages():
            left = None if self.most is None else self.most - taken
            yield islice(counted(self._completed(page, kept, left)), left)
            if self.most is not None and taken >= self.most:
                return

    def _pages(self) -> Iterator[tuple[Page, Mapping[str, Any]]]:
        """Each page, with what is kept of the record that it was asked for."""
        if not self.parents and not self.recurse:
            for page in self.engine.pages(self.plan, self.given, self.most):
                self.stated_total = self._total_in(page)
                yield page, {}
            return
        lists = for_parents(self.engine, self.plan, self.given) if self.parents else iter([(self.given, {})])
        for given, kept in lists:
            yield from self._pages_inside((given, kept, 0))

    def _pages_inside(self, outer: Inside) -> Iterator[tuple[Page, Mapping[str, Any]]]:
        """The pages of a list, and with `recurse` those of every list inside of it, level by level."""
        waiting = deque([outer])
        while waiting:
            asked = waiting.popleft()
            for page in self.engine.pages(self.plan, asked[0], self.most):
                yield page, asked[1]
                if self.recurse:
                    waiting.extend(inside(self.plan, page.records, asked))

    def _completed(self, page: Page, kept: Mapping[str, Any], most: int | None) -> Iterator[Any]:
        records: Iterable[Any] = page.records
        if self.complete:
            records = self.engine.complete(self.plan, records, most)
        return ({**record, **kept} for record in records) if kept else iter(records)

    def limit(self, most: int) -> Records:
        """The same list, ended after so many records."""
        return attrs.evolve(self, most=most)

    def first(self) -> Any:
        """The first record, or None. One page is read."""
        return next(iter(self.limit(1)), None)

    @property
    def total(self) -> int | None:
        """How many records the vendor says there are, asked with one page; None when it does not say."""
        pages = self.engine.pages(self.plan, self.given, None if self.plan.pager is None else 1)
        return self._total_in(next(pages))

    def _total_in(self, page: Page) -> int | None:
        pager, kind = self.plan.pager, self.plan.pager_kind
        if pager is None or kind is None:
            return len(page.records)
        if pager.total_records is None:
            return kind.total(page) if kind.total else None
        number = to_number(find(pager.total_records, page.answer))
        return None if number is None else int(number)

    def arrow(self) -> pyarrow.Table:
        """All records as an Arrow table. Raises ImportError, with what to install, where pyarrow is missing."""
        try:
            import pyarrow
        except ImportError:
            raise ImportError("records.arrow() needs pyarrow: pip install pyarrow") from None
        records = list(self)
        columns = dict.fromkeys(name for record in records for name in record)  # from_pylist takes the first one's only
        return pyarrow.table({name: [record.get(name) for record in records] for name in columns})

    def __repr__(self) -> str:
        return f"<Records of {self.engine.spec.name} {self.plan.name}>"


def check_arguments(plan: Plan, given: Mapping[str, Any], *, parents: bool) -> None:
    """Refuse wrong names and values at once, before anybody iterates. Raises ArgumentError."""
    link = plan.operation.parent
    filled = tuple(link.with_) if parents and link is not None else ()
    bind(plan, given, filled=filled)
