"""Lists and single records: no more calls than wanted, nothing lost or cut in silence, nothing left running."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory import Parts, connect
from connectory.clock import SystemClock
from connectory.errors import ArgumentError, BadAnswer, ConnectoryError, Denied
from connectory.invoke import VanishedWarning
from connectory.limits.memory import MemoryLedger
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor

SPEC = """
servers: {production: https://api.acme.example}
limits: {calls: {concurrent: 2}}
pagers:
  fixed: {use: page_number, page: page, records: items}
  sized: {use: page_number, page: page, size: size, largest: 50, total_records: total, records: items}
operations:
  things.list: {get: /things, pages: fixed}
  parts.list: {get: /parts, pages: fixed, detail: {operation: parts.get, with: {id: id}}}
  parts.get: {get: "/parts/{id}", record: part}
  parts.create: {post: /parts, fields: {n: int}, detail: {operation: parts.get, with: {id: id}}}
  parts.delete: {delete: "/parts/{id}"}
  rows.list: {get: /rows, pages: sized}
  rows.of_part: {get: "/parts/{id}/rows", does: read, pages: sized, parent: {operation: parts.list, with: {id: id}}}
"""


def parts_of(count: int) -> Any:
    """A vendor with so many parts, all on one page, and details."""

    def reply(ask: Ask) -> Answer:
        if ask.path == "/parts":
            page = int(ask.argument("page") or 1)
            return Answer.json({"items": [{"id": n} for n in range(count)] if page == 1 else []})
        number = int(ask.path.split("/")[2])
        return Answer.json({"part": {"id": number, "name": f"part {number}"}})

    return reply


def test_first_completes_one_record_and_no_more(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = parts_of(30)
    assert connecting(SPEC).parts.list(complete=True).first() == {"id": 0, "name": "part 0"}
    assert vendor.routes == ["GET /parts", "GET /parts/0"]


def test_a_list_left_half_way_asks_for_nothing_more(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = parts_of(300)
    for record in connecting(SPEC).parts.list(complete=True):
        assert record["name"] == "part 0"
        break
    gc.collect()
    assert len(vendor.requests("GET /parts/")) < 10


def test_an_error_in_the_consumer_ends_the_calls_under_way(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = parts_of(300)
    parts = connecting(SPEC).parts.list(complete=True)
    with pytest.raises(ZeroDivisionError):
        sum(1 / part["id"] for part in parts)
    gc.collect()
    assert len(vendor.requests("GET /parts/")) < 10


def test_a_limit_of_none_asks_for_nothing(connecting: Connecting, vendor: Vendor) -> None:
    assert list(connecting(SPEC).rows.list().limit(0)) == []
    assert vendor.requests() == []


def test_a_limit_holds_over_parents_and_pages(connecting: Connecting, vendor: Vendor) -> None:
    def reply(ask: Ask) -> Answer:
        if ask.path == "/parts":
            return Answer.json(
                {"items": [{"id": n} for n in range(5)]} if ask.argument("page") == "1" else {"items": []}
            )
        size, page = int(ask.argument("size") or 0), int(ask.argument("page") or 1)
        rows = [{"part": ask.path, "n": n} for n in range(3)]
        return Answer.json({"total": 3, "items": rows[(page - 1) * size : page * size]})

    vendor.reply = reply
    rows = connecting(SPEC).rows.of_part(parents=True).limit(7)
    assert [row["n"] for row in rows] == [0, 1, 2, 0, 1, 2, 0]
    assert len(vendor.requests("/rows")) == 3


def test_ids_that_are_numbers_fit_a_path_of_text(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = parts_of(2)
    assert [part["name"] for part in connecting(SPEC).parts.list(complete=True)] == ["part 0", "part 1"]


def test_complete_without_a_detail_call_is_refused_before_anything_is_sent(
    connecting: Connecting, vendor: Vendor
) -> None:
    acme = connecting(SPEC)
    with pytest.raises(ArgumentError, match="no detail call"):
        acme.parts.delete(id="1", complete=True)
    with pytest.raises(ArgumentError, match="no detail call"):
        list(acme.rows.list(complete=True))
    with pytest.raises(ArgumentError, match="no parent"):
        list(acme.rows.list(parents=True))
    assert vendor.requests() == []


def test_a_detail_that_is_empty_is_no_record_lost_in_silence(connecting: Connecting, vendor: Vendor) -> None:
    whole = parts_of(3)
    vendor.reply = lambda ask: Answer(200) if ask.path == "/parts/1" else whole(ask)
    with pytest.raises(BadAnswer, match=r"parts\.get"):
        list(connecting(SPEC).parts.list(complete=True))


def test_a_read_that_promises_a_record_and_is_empty_is_an_error(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer(200)
    with pytest.raises(BadAnswer, match="empty"):
        connecting(SPEC).parts.get(id="1")


def test_what_was_made_is_told_even_where_it_cannot_be_read_yet(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.json({"id": 7}, 201) if ask.method == "POST" else Answer.json({}, 404)
    with pytest.warns(VanishedWarning):
        assert connecting(SPEC).parts.create(n=1, complete=True) == {"id": 7}


def test_an_error_after_a_write_says_that_the_write_was_done(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.json({"id": 7}, 201) if ask.method == "POST" else Answer.json({}, 403)
    with pytest.raises(Denied) as caught:
        connecting(SPEC).parts.create(n=1, complete=True)
    assert "parts.create was done" in "".join(caught.value.__notes__)


def test_a_later_page_without_the_records_path_is_no_end(connecting: Connecting, vendor: Vendor) -> None:
    def reply(ask: Ask) -> Answer:
        return Answer.json({"items": [{"id": 1}]} if ask.argument("page") == "1" else {"error": "internal"})

    vendor.reply = reply
    with pytest.raises(BadAnswer, match="no records at 'items'") as caught:
        list(connecting(SPEC).things.list())
    assert (caught.value.vendor, caught.value.operation) == ("acme", "things.list")


def test_every_fault_of_paging_says_whose_it_is(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.json({"items": [{"id": 1}]})
    with pytest.raises(ConnectoryError, match="repeats") as caught:
        list(connecting(SPEC).things.list())
    assert (caught.value.vendor, caught.value.operation) == ("acme", "things.list")  # type: ignore[attr-defined]


def test_a_vanished_record_is_made_up_for_by_the_next(connecting: Connecting, vendor: Vendor) -> None:
    whole = parts_of(5)
    vendor.reply = lambda ask: Answer.json({}, 404) if ask.path == "/parts/0" else whole(ask)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VanishedWarning)
        names = [part["name"] for part in connecting(SPEC).parts.list(complete=True).limit(2)]
    assert names == ["part 1", "part 2"]


def test_a_list_left_while_its_threads_wait_does_not_wait_for_them(
    tmp_path: Path, vendor: Vendor, parts: Parts
) -> None:
    """An hour's pause of a page under way must not hold up who has left the list, by Ctrl-C for one."""
    clock = SystemClock()
    vendor.clock = clock
    pager = "{use: page_number, page: page, size: size, largest: 1, total_records: total, records: items}"
    spec = f"""
name: acme
servers: {{production: https://api.acme.example}}
limits: {{calls: {{concurrent: 3}}}}
pagers: {{all: {pager}}}
operations: {{things.list: {{get: /things, pages: all}}}}
"""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "acme.yaml").write_text(spec)
    (tmp_path / "connectory.toml").touch()

    def reply(ask: Ask) -> Answer:
        page = int(ask.argument("page") or 1)
        if page > 2:
            return Answer(429, headers=(("Retry-After", "3600"),))
        return Answer.json({"total": 9, "items": [{"id": page}]})

    vendor.reply = reply
    real = attrs.evolve(parts, clock=clock, ledger=MemoryLedger(clock))
    with connect("acme", project=tmp_path, server=vendor.url, parts=real, max_wait=7200) as acme:
        records = iter(acme.things.list())
        assert next(records) == {"id": 1}
        assert next(records) == {"id": 2}
        while len(vendor.requests()) < 3:
            clock.sleep(0.01)
        started = clock.monotonic()
        records.close()
        assert clock.monotonic() - started < 5
