"""Stops between pages, parents and details: where the next start goes on, and what it does when that is forgotten."""

from __future__ import annotations

import json

import pytest

from connectory import PagingError, Unavailable
from connectory.clock import ManualClock
from connectory.recipes.reading.steps import StartedAgainWarning
from emulators.server import Emulator
from emulators.twelvetwenty import TwelveTwenty
from emulators.twenty import Twenty
from recipes.conftest import Query, Sync

PEOPLE = """
name: r
from: {connector: twenty, operation: people.list}
to: {duckdb: x.duckdb, table: people, key: id, mode: MODE}
"""
OPTIONS = """
name: r
from: {connector: 12twenty, operation: lookups.options, parents: true, settings: {school: hilltop}}
to: {duckdb: x.duckdb, table: options, mode: MODE}
"""
STUDENTS = """
name: r
from: {connector: 12twenty, operation: students.list, complete: true, with: {year: 2018}, settings: {school: hilltop}}
to: {duckdb: x.duckdb, table: students, key: Id, mode: merge}
"""


def falls_ill(vendor: Emulator, match: str, skip: int) -> None:
    """From the request after so many on, for as long as one start tries."""
    vendor.fail(times=TRIES, status=503, match=match, skip=skip)


TRIES = 5  # of a read, before the start gives up


@pytest.mark.parametrize("mode", ["merge", "append", "replace"])
def test_a_walk_by_cursor_goes_on_behind_the_page_that_was_kept(
    start: Sync, query: Query, clock: ManualClock, mode: str
) -> None:
    with Twenty(clock=clock, people=200) as vendor:
        settings = {"server": vendor.url, "api_key": vendor.key}
        falls_ill(vendor, "rest/people", skip=3)
        stopped = start(PEOPLE.replace("MODE", mode), **settings)
        assert isinstance(stopped.error, Unavailable)
        assert str(stopped.accounts) == "180 read = 180 delivered"
        ended = start(PEOPLE.replace("MODE", mode), **settings)
        assert ended.error is None, ended.error
        assert (ended.run, ended.starts, ended.earlier) == (stopped.run, 2, 180)
        assert str(ended.accounts) == "200 read = 200 delivered"
        good = [str(exchange.query) for exchange in vendor.requests("rest/people") if exchange.status == 200]
    assert len(good) == len(set(good)) == 4
    assert query("select count(*), count(distinct id) from people") == [(200, 200)]


EXPIRED = json.dumps({"statusCode": 400, "error": "BadRequestException", "messages": ["Invalid cursor"]}).encode()


def test_a_cursor_that_the_vendor_has_forgotten_begins_the_list_again_where_that_does_no_harm(
    start: Sync, query: Query, clock: ManualClock
) -> None:
    with Twenty(clock=clock, people=200) as vendor:
        settings = {"server": vendor.url, "api_key": vendor.key}
        falls_ill(vendor, "rest/people", skip=3)
        start(PEOPLE.replace("MODE", "merge"), **settings)
        vendor.fail(status=400, match="rest/people", body=EXPIRED, content_type="application/json")
        with pytest.warns(StartedAgainWarning, match="no longer knows where the reading had stopped"):
            ended = start(PEOPLE.replace("MODE", "merge"), **settings)
    assert ended.error is None, ended.error
    assert str(ended.accounts) == "380 read = 200 delivered + 180 unchanged"
    assert query("select count(*), count(distinct id) from people") == [(200, 200)]


def test_a_forgotten_cursor_is_an_error_where_rows_would_be_there_twice(
    start: Sync, query: Query, clock: ManualClock
) -> None:
    with Twenty(clock=clock, people=200) as vendor:
        settings = {"server": vendor.url, "api_key": vendor.key}
        falls_ill(vendor, "rest/people", skip=3)
        start(PEOPLE.replace("MODE", "replace"), **settings)
        vendor.fail(status=400, match="rest/people", body=EXPIRED, content_type="application/json")
        stopped = start(PEOPLE.replace("MODE", "replace"), **settings)
        assert isinstance(stopped.error, PagingError)
        assert "--full-refresh reads everything anew" in str(stopped.error)
        anew = start(PEOPLE.replace("MODE", "replace"), flags={"full_refresh": True}, **settings)
    assert str(anew.accounts) == "200 read = 200 delivered"
    assert query("select count(*), count(distinct id) from people") == [(200, 200)]


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_children_go_on_with_the_parent_where_they_stopped(
    start: Sync, query: Query, clock: ManualClock, mode: str
) -> None:
    with TwelveTwenty(clock=clock) as school:
        settings = {"server": school.url, "api_key": school.api_key}
        falls_ill(school, "options$", skip=4)
        stopped = start(OPTIONS.replace("MODE", mode), **settings)
        assert isinstance(stopped.error, Unavailable)
        ended = start(OPTIONS.replace("MODE", mode), **settings)
        assert ended.error is None, ended.error
        good = [exchange.path for exchange in school.requests("options$") if exchange.status == 200]
        assert len(good) == len(set(good))
        assert len([one for one in school.requests("lookups$") if one.status == 200]) == 1
    counted = query("select count(*), count(distinct (LookupId, Id)), count(distinct LookupId) from options")
    assert counted[0][0] == counted[0][1] == ended.accounts.read
    assert counted[0][2] == len(good)


def test_one_record_whose_detail_is_refused_or_gone_does_not_block_the_others(
    start: Sync, query: Query, clock: ManualClock
) -> None:
    with TwelveTwenty(clock=clock) as school:
        settings = {"server": school.url, "api_key": school.api_key}
        ids = list(school.tables["students"])
        words = json.dumps({"Message": "no rights on this student"}).encode()
        school.fail(status=400, match=f"students/{ids[3]}$", body=words, content_type="application/json")
        school.fail(status=404, match=f"students/{ids[60]}$")
        with pytest.warns(UserWarning, match="404"):
            report = start(STUDENTS, **settings)
    assert report.exit_code == 3
    assert str(report.accounts) == "276 read = 275 delivered + 1 rejected"
    assert dict(report.left_out) == {"vanished": 1}
    assert (report.problems[0].row["Id"], report.problems[0].word) == (ids[3], "rejected")
    assert query("select count(*) from students") == [(275,)]
