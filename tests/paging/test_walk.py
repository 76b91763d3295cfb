"""Walks over made-up vendors: whatever the paging, each record comes once, in order, and silence is no success."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.answers import Answer
from connectory.errors import BadAnswer, PagingError, PluginError
from connectory.messages import Headers, Response
from connectory.paging.kinds import PAGERS, Connection, Cursor, LastRecord, NextUrl, Offset, PageNumber
from connectory.paging.walk import CountWarning, Walk
from connectory.plugins.kinds import PageRequest
from connectory.spec.language import Pager
from connectory.spec.places import parse_path
from connectory.spec.words import Anything, Place, Records, Slot, Test


def equals(value: object) -> Test:
    return Test(in_=(Anything(value),))


def answer(body: Any, headers: dict[str, str] | None = None) -> Answer:
    return Answer(Response(200, Headers(headers or {}), msgspec.json.encode(body)), body)


def path(text: str) -> Place:
    return Place(body=(parse_path(text),))


ITEMS = Records(path=(parse_path("items"),))


def pager(use: str, options: Any, **more: Any) -> Pager:
    return Pager(use=use, options=options, records=ITEMS, **more)


def walk(chosen: Pager, fetch: Callable[[PageRequest], Answer], ahead: int = 1, where: Records = ITEMS) -> list[Any]:
    walking = Walk(name="v x.list", pager=chosen, kind=PAGERS[chosen.use], where=where, fetch=fetch, ahead=ahead)
    return [record for page in walking.pages() for record in page.records]


def value(asked: PageRequest, name: str, default: Any = None) -> Any:
    return next((held for slot, held in asked.slots if slot.query == name), default)


NUMBERED = PageNumber(page=Slot(query="page"))


@given(total=st.integers(0, 60), size=st.integers(1, 13), clamp=st.integers(1, 13), ahead=st.integers(1, 4))
def test_numbered_pages_give_each_record_once_in_order(total: int, size: int, clamp: int, ahead: int) -> None:
    """Also where the vendor gives smaller pages than asked for, and when several are fetched at once."""
    records = [{"id": n} for n in range(total)]

    def fetch(asked: PageRequest) -> Answer:
        real = min(value(asked, "size"), clamp)
        start = (value(asked, "page") - 1) * real
        return answer({"items": records[start : start + real], "total": total})

    chosen = pager("page_number", NUMBERED, size=Slot(query="size"), largest=size, total_records=path("total"))
    assert walk(chosen, fetch, ahead) == records


@given(total=st.integers(0, 60), size=st.integers(1, 13), ahead=st.integers(1, 4))
def test_offsets_give_each_record_once_in_order(total: int, size: int, ahead: int) -> None:
    records = [{"id": n} for n in range(total)]

    def fetch(asked: PageRequest) -> Answer:
        start = value(asked, "offset")
        return answer({"items": records[start : start + size], "total": total})

    chosen = pager(
        "offset",
        Offset(offset=Slot(query="offset")),
        size=Slot(query="limit"),
        largest=size,
        total_records=path("total"),
    )
    assert walk(chosen, fetch, ahead) == records


@given(total=st.integers(0, 60), size=st.integers(1, 13))
def test_pages_end_with_a_short_one_where_nothing_else_tells(total: int, size: int) -> None:
    records = [{"id": n} for n in range(total)]
    calls = 0

    def fetch(asked: PageRequest) -> Answer:
        nonlocal calls
        calls += 1
        start = (value(asked, "page") - 1) * size
        return answer({"items": records[start : start + size]})

    assert walk(pager("page_number", NUMBERED, size=Slot(query="size"), largest=size), fetch) == records
    assert calls == total // size + 1


@given(pages=st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_a_cursor_leads_over_empty_pages_to_the_end(pages: list[int]) -> None:
    """An empty page whose answer holds the way on is not the end."""
    numbers = iter(range(1000))
    chunks = [[{"id": next(numbers)} for _ in range(count)] for count in pages]

    def fetch(asked: PageRequest) -> Answer:
        at = int(value(asked, "after", 0))
        return answer({"items": chunks[at], "next": str(at + 1) if at + 1 < len(chunks) else None})

    chosen = pager("cursor", Cursor(cursor=Slot(query="after"), next=path("next")))
    assert walk(chosen, fetch) == [record for chunk in chunks for record in chunk]


@given(total=st.integers(0, 40), size=st.integers(1, 9))
def test_the_last_record_leads_on(total: int, size: int) -> None:
    def fetch(asked: PageRequest) -> Answer:
        start = int(value(asked, "after", -1)) + 1
        found = [{"id": n} for n in range(start, min(start + size, total))]
        return answer({"items": found, "has_more": start + size < total})

    more = {parse_path("has_more"): equals(True)}
    chosen = pager("last_record", LastRecord(cursor=Slot(query="after"), field=parse_path("id")), more=more)
    assert walk(chosen, fetch) == [{"id": n} for n in range(total)]


def test_a_link_header_leads_on_and_its_absence_ends() -> None:
    def fetch(asked: PageRequest) -> Answer:
        at = int((asked.url or "https://v/x?page=1").rpartition("=")[2])
        link = {"Link": f'<https://v/x?page={at + 1}>; rel="next", <https://v/x?page=9>; rel="last"'} if at < 3 else {}
        return answer({"items": [at]}, link)

    assert walk(pager("next_url", NextUrl(next=Place(link="next"))), fetch) == [1, 2, 3]


def test_a_connection_reads_edges_and_page_info_below_the_records_path() -> None:
    def fetch(asked: PageRequest) -> Answer:
        at = next((int(held) for slot, held in asked.slots if slot.variables == "after"), 0)
        people = {
            "edges": [{"node": {"id": at}}],
            "pageInfo": {"hasNextPage": at < 2, "endCursor": str(at + 1)},
            "totalCount": 3,
        }
        return answer({"data": {"people": people}})

    where = Records(path=(parse_path("data.people"),))
    assert walk(pager("connection", Connection()), fetch, where=where) == [{"id": 0}, {"id": 1}, {"id": 2}]


def test_total_pages_ends_the_walk_without_a_further_call() -> None:
    asked_for: list[int] = []

    def fetch(asked: PageRequest) -> Answer:
        asked_for.append(value(asked, "page"))
        return answer({"items": [asked_for[-1]], "pages": 3})

    assert walk(pager("page_number", NUMBERED, total_pages=path("pages")), fetch) == [1, 2, 3]
    assert asked_for == [1, 2, 3]


def test_a_repeated_cursor_is_an_error() -> None:
    count = iter(range(100))
    chosen = pager("cursor", Cursor(cursor=Slot(query="after"), next=path("next")))
    with pytest.raises(PagingError, match="repeats a cursor"):
        walk(chosen, lambda asked: answer({"items": [next(count)], "next": "same"}))


def test_a_cycle_of_three_cursors_is_an_error() -> None:
    count = iter(range(100))

    def fetch(asked: PageRequest) -> Answer:
        at = int(value(asked, "after", 0))
        return answer({"items": [next(count)], "next": str((at + 1) % 3 or 3)})

    with pytest.raises(PagingError, match="circles"):
        walk(pager("cursor", Cursor(cursor=Slot(query="after"), next=path("next"))), fetch)


def test_a_vendor_that_clamps_to_its_last_page_is_an_error() -> None:
    with pytest.raises(PagingError, match="page 2 repeats the page before"):
        walk(pager("page_number", NUMBERED, size=Slot(query="s"), largest=1), lambda _: answer({"items": [{"id": 1}]}))


def test_endless_empty_pages_end_in_an_error() -> None:
    count = iter(range(10_000))
    chosen = pager("cursor", Cursor(cursor=Slot(query="after"), next=path("next")))
    with pytest.raises(PagingError, match="empty pages in a row"):
        walk(chosen, lambda _: answer({"items": [], "next": str(next(count))}))


def test_a_page_lost_in_silence_is_noticed_by_the_total() -> None:
    """A real server answers an empty second page with hasNextPage false when it orders by a field that is null."""
    more = {parse_path("more"): equals(True)}
    chosen = pager(
        "cursor", Cursor(cursor=Slot(query="after"), next=path("next")), more=more, total_records=path("total")
    )
    pages = iter(
        [
            {"items": [1, 2], "next": "b", "more": True, "total": 1200},
            {"items": [], "next": None, "more": False, "total": 1200},
        ]
    )
    with pytest.raises(PagingError, match="said 1200 records, its pages held 2"):
        walk(chosen, lambda _: answer(next(pages)))


def test_a_total_that_moves_while_reading_only_warns() -> None:
    pages = iter([{"items": [1], "next": "b", "total": 3}, {"items": [2], "total": 4}])
    chosen = pager("cursor", Cursor(cursor=Slot(query="after"), next=path("next")), total_records=path("total"))
    with pytest.warns(CountWarning, match="changed while it was read"):
        assert walk(chosen, lambda _: answer(next(pages))) == [1, 2]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"itms": [1], "total": 1}, "no records at 'items'; the answer holds itms, total; did you mean 'itms'?"),
        ({"items": {"a": 1}}, "found dict"),
        ({"items": None}, "found null"),
        ([1, 2], "found nothing"),
    ],
)
def test_a_path_that_leads_to_no_list_names_what_is_there(body: Any, said: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        walk(pager("page_number", NUMBERED), lambda _: answer(body))
    assert said in str(caught.value)


def test_more_records_than_the_cap_are_an_error() -> None:
    def fetch(asked: PageRequest) -> Answer:
        return answer({"items": [value(asked, "page")]})

    with pytest.raises(PagingError, match="no more than 3 records per query"):
        walk(pager("page_number", NUMBERED, cap=3), fetch)


def test_more_without_a_way_on_is_an_error() -> None:
    more = {parse_path("more"): equals(True)}
    chosen = pager("cursor", Cursor(cursor=Slot(query="after"), next=path("next")), more=more)
    with pytest.raises(PagingError, match="not how to ask"):
        walk(chosen, lambda _: answer({"items": [1], "more": True}))


def test_pages_ahead_are_bounded_and_in_order() -> None:
    import threading

    lock, flying, most = threading.Lock(), 0, 0
    gate = threading.Semaphore(0)

    def fetch(asked: PageRequest) -> Answer:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        if value(asked, "page") > 1:
            gate.release()
        with lock:
            flying -= 1
        return answer({"items": [value(asked, "page")], "total": 40})

    chosen = pager("page_number", NUMBERED, size=Slot(query="s"), largest=1, total_records=path("total"))
    assert walk(chosen, fetch, ahead=3) == list(range(1, 41))
    assert most <= 3


@given(st.integers(1, 30), st.integers(1, 7))
def test_a_keyed_object_and_bare_values_become_records(count: int, size: int) -> None:
    assert math.ceil(count / size) >= 1
    keyed = {str(n): {"v": n} for n in range(count)}
    chosen = pager("page_number", NUMBERED, total_pages=path("pages"))
    where = Records(path=(parse_path("items"),), key_as="id")
    assert walk(chosen, lambda _: answer({"items": keyed, "pages": 1}), where=where) == [
        {"id": str(n), "v": n} for n in range(count)
    ]
    bare = Records(path=(parse_path("items"),), value_as="id")
    assert walk(chosen, lambda _: answer({"items": list(keyed), "pages": 1}), where=bare) == [
        {"id": str(n)} for n in range(count)
    ]


def test_a_pager_plug_in_that_raises_is_named() -> None:
    broken = attrs.evolve(PAGERS["page_number"], next=lambda pager, page: page.records[99])
    chosen = pager("page_number", NUMBERED)
    walking = Walk(name="v x.list", pager=chosen, kind=broken, where=ITEMS, fetch=lambda _: answer({"items": [1]}))
    with pytest.raises(PluginError, match=r"v x\.list: the pager 'page_number' raised IndexError"):
        list(walking.pages())
