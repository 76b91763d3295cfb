"""The built-in ways of paging. Each is pure: it reads a page and says what to ask for next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from connectory.answers import Answer, find, to_number
from connectory.paging import play
from connectory.plugins.kinds import Page, PageRequest, PagerKind
from connectory.spec.language import Pager
from connectory.spec.places import MISSING, AnswerPath, parse_path
from connectory.spec.words import Place, Records, Slot, word


@attrs.frozen(kw_only=True)
class PageNumber:
    """Pages are numbered."""

    page: Slot = word("the parameter")
    first: int = word("number of the first page", 1)


@attrs.frozen(kw_only=True)
class Offset:
    """A page starts after so many records."""

    offset: Slot = word("the parameter")


@attrs.frozen(kw_only=True)
class Cursor:
    """The answer holds the word that asks for the next page."""

    cursor: Slot = word("the parameter")
    next: Place = word("the next cursor")
    alone: bool = word("the cursor stands for the whole query: the next pages are asked for by it alone", False)


@attrs.frozen(kw_only=True)
class LastRecord:
    """The next page starts after the last record of this one."""

    cursor: Slot = word("the parameter")
    field: AnswerPath = word("field of the last record that is sent")


@attrs.frozen(kw_only=True)
class NextUrl:
    """The answer holds the URL of the next page; it is followed on the vendor's own origin only."""

    next: Place = word("the next URL")


@attrs.frozen(kw_only=True)
class Connection:
    """A GraphQL connection: `records` names the object that holds edges (or nodes), pageInfo and totalCount."""

    cursor: Slot = word("the parameter", Slot(variables="after"))


def _size(pager: Pager) -> tuple[tuple[Slot, Any], ...]:
    return ((pager.size, pager.largest),) if pager.size is not None and pager.largest is not None else ()


def _asked_number(page: Page, slot: Slot) -> int:
    return next(int(value) for asked, value in page.asked.slots if asked == slot)


def _first_numbered(pager: Pager) -> PageRequest:
    return PageRequest(((pager.options.page, pager.options.first), *_size(pager)))


def _next_numbered(pager: Pager, page: Page) -> PageRequest | None:
    number = _asked_number(page, pager.options.page) + 1
    return _with_slot(page.asked, pager.options.page, number)


def _numbered_ahead(pager: Pager, page: Page, pages: int) -> Sequence[PageRequest]:
    slot, first = pager.options.page, pager.options.first
    return [_with_slot(page.asked, slot, number) for number in range(first + 1, first + pages)]


def _first_offset(pager: Pager) -> PageRequest:
    return PageRequest(((pager.options.offset, 0), *_size(pager)))


def _next_offset(pager: Pager, page: Page) -> PageRequest | None:
    start = _asked_number(page, pager.options.offset) + len(page.records)
    return _with_slot(page.asked, pager.options.offset, start)


def _offsets_ahead(pager: Pager, page: Page, pages: int) -> Sequence[PageRequest]:
    step = len(page.records)
    return [_with_slot(page.asked, pager.options.offset, number * step) for number in range(1, pages)]


def _with_slot(asked: PageRequest, slot: Slot, value: Any) -> PageRequest:
    kept = tuple(pair for pair in asked.slots if pair[0] != slot)
    return PageRequest(((slot, value), *kept))


def _first_plain(pager: Pager) -> PageRequest:
    return PageRequest(_size(pager))


def _cursor_of(value: Any) -> str | int | None:
    """A cursor that leads on; null, empty and missing do not."""
    return value if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def _next_cursor(pager: Pager, page: Page) -> PageRequest | None:
    cursor = _cursor_of(find(pager.options.next, page.answer))
    if cursor is None:
        return None
    if pager.options.alone:
        return PageRequest(((pager.options.cursor, cursor),), alone=True)
    return _with_slot(page.asked, pager.options.cursor, cursor)


def _next_after_last(pager: Pager, page: Page) -> PageRequest | None:
    if not page.records:
        return None
    cursor = _cursor_of(pager.options.field.find(page.records[-1]))
    return None if cursor is None else _with_slot(page.asked, pager.options.cursor, cursor)


def _next_by_url(pager: Pager, page: Page) -> PageRequest | None:
    url = find(pager.options.next, page.answer)
    return PageRequest(url=url) if isinstance(url, str) and url else None


def _below(where: Records, tail: str) -> AnswerPath:
    head = where.path[0].text
    return parse_path(tail if head == "." else f"{head}.{tail}")


def _connection_records(where: Records, answer: Answer) -> Any:
    edges = _below(where, "edges").find(answer.data)
    if isinstance(edges, list):
        return [edge.get("node") if isinstance(edge, dict) else edge for edge in edges]
    return _below(where, "nodes").find(answer.data)


def _next_connection(pager: Pager, page: Page) -> PageRequest | None:
    info = _below(page.where, "pageInfo").find(page.answer.data)
    if not isinstance(info, dict) or info.get("hasNextPage") is False:
        return None
    cursor = _cursor_of(info.get("endCursor"))
    return None if cursor is None else _with_slot(page.asked, pager.options.cursor, cursor)


def _connection_total(page: Page) -> int | None:
    found = _below(page.where, "totalCount").find(page.answer.data)
    number = None if found is MISSING else to_number(found)
    return None if number is None else int(number)


def _sized(words: str) -> Any:
    return lambda pager: words + (f", {pager.largest} records a page" if pager.largest else "")


PAGERS: Mapping[str, PagerKind] = {
    "page_number": PagerKind(
        PageNumber, _first_numbered, _next_numbered, _numbered_ahead, about=_sized("page number"), play=play.numbered
    ),
    "offset": PagerKind(
        Offset, _first_offset, _next_offset, _offsets_ahead, about=_sized("offset"), play=play.from_offset
    ),
    "cursor": PagerKind(Cursor, _first_plain, _next_cursor, about=_sized("cursor"), play=play.by_cursor),
    "last_record": PagerKind(
        LastRecord, _first_plain, _next_after_last, about=_sized("after the last record"), play=play.after_last
    ),
    "next_url": PagerKind(NextUrl, _first_plain, _next_by_url, about=_sized("next link"), play=play.by_url),
    "connection": PagerKind(
        Connection, _first_plain, _next_connection, records=_connection_records, total=_connection_total,
        about=_sized("GraphQL connection"), play=play.connection,
    ),
}  # fmt: skip
