"""The 12Twenty connector against the emulated vendor: every operation, and what its documents warn of."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectory import (
    ArgumentError,
    Connector,
    Denied,
    LimitReached,
    Missing,
    Parts,
    Rejected,
    SettingError,
    Unavailable,
    connect,
)
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.limits.memory import MemoryLedger
from emulators.twelvetwenty import TwelveTwenty


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[TwelveTwenty]:
    with TwelveTwenty(clock=clock) as running:
        yield running


@pytest.fixture
def school(vendor: TwelveTwenty, parts: Parts) -> Iterator[Connector]:
    with connect("12twenty", school="hilltop", api_key=vendor.api_key, server=vendor.url, parts=parts) as connector:
        yield connector


def event(number: int, user: int, **more: Any) -> dict[str, Any]:
    times = {"StartTime": "2026-05-20T18:25:43Z", "EndTime": "2026-05-20T19:25:43Z"}
    return {"ExternalId": f"x-{number}", "UserId": user, "TypeId": 1, "Title": "Algebra", **times, **more}


def last_body(vendor: TwelveTwenty) -> Any:
    return json.loads(vendor.exchanges[-1].body)


def test_students_end_by_the_total_and_their_ids_survive(school: Connector, vendor: TwelveTwenty) -> None:
    students = list(school.students.list(year=2018))
    assert len(students) == school.students.list(year=2018).total == 277
    assert len({student["Id"] for student in students}) == 277
    added = school.students.create(
        {"FirstName": "A", "YearIds": [2018], "YearsExperience": {"Id": 10607302981934}}, complete=True
    )
    assert added["YearIds"] == [2018]
    assert added["YearsExperience"]["Id"] == 10607302981934
    written = last_body_of(vendor, "POST")
    assert written["YearsExperience"] == {"Id": 10607302981934}


def last_body_of(vendor: TwelveTwenty, method: str) -> Any:
    return next(json.loads(exchange.body) for exchange in reversed(vendor.exchanges) if exchange.method == method)


def test_the_token_is_the_raw_text_behind_bearer_and_asked_for_once(school: Connector, vendor: TwelveTwenty) -> None:
    school.attributes.list().first()
    list(school.students.list())
    asked = [exchange for exchange in vendor.exchanges if exchange.path.endswith("generateAuthenticationToken")]
    assert len(asked) == 1
    assert dict(asked[0].query) == {"key": vendor.api_key}
    others = [exchange for exchange in vendor.exchanges if exchange not in asked]
    tokens = {exchange.header("Authorization") or "" for exchange in others}
    assert len(tokens) == 1
    assert tokens.pop().startswith("Bearer ")


def test_lists_come_in_pages_of_500_and_only_one_request_at_a_time(school: Connector, vendor: TwelveTwenty) -> None:
    everyone = list(school.students.list())
    pages = [dict(e.query) for e in vendor.exchanges if e.path == "/api/v2/students"]
    assert {page["PageSize"] for page in pages} == {"500"}
    assert len(pages) == -(-len(everyone) // 500)
    assert vendor.max_in_flight == 1


def test_a_date_filter_is_written_without_a_zone(school: Connector, vendor: TwelveTwenty) -> None:
    list(school.companies.list(modify_from_date=datetime(2020, 5, 20, 18, 25, 43, tzinfo=UTC)))
    assert dict(vendor.exchanges[-1].query)["ModifyFromDate"] == "2020-05-20T18:25:43"


def test_complete_brings_the_details(school: Connector) -> None:
    partial = list(school.students.list(year=2018).limit(3))
    completed = list(school.students.list(year=2018, complete=True).limit(3))
    assert [student["Id"] for student in completed] == [student["Id"] for student in partial]
    assert all(set(student) > set(before) for student, before in zip(completed, partial, strict=True))
    assert all(isinstance(student["ModifyDate"], datetime) for student in completed)


@pytest.mark.parametrize(
    ("resource", "body"),
    [
        ("students", {"FirstName": "Bart"}),
        ("companies", {"Website": "https://globex.example"}),
        ("contacts", {"JobTitle": "President"}),
        ("notes", {"Text": "Called again"}),
    ],
)
def test_replace_sends_the_whole_record_back_with_only_the_change(
    school: Connector, vendor: TwelveTwenty, resource: str, body: dict[str, Any]
) -> None:
    """What the GET answered goes back byte for byte, dates and read-only fields too; no change, no PUT."""
    given = {"entity_type_id": 2201} if resource == "notes" else {}
    call = getattr(school, resource)
    record = call.list(**given).first()["Id"]
    raw = json.loads(call.get.raw(id=record).body)
    call.replace(id=record, body=body)
    assert vendor.exchanges[-1].method == "PUT"
    assert last_body(vendor) == {**raw, **body}
    sent = len(vendor.exchanges)
    call.replace(id=record, body=body)
    assert [exchange.method for exchange in vendor.exchanges[sent:]] == ["GET"]


def test_a_204_put_and_an_empty_delete_succeed(school: Connector, vendor: TwelveTwenty) -> None:
    student = school.students.list(year=2018).first()["Id"]
    assert school.students.replace(id=student, body={"FirstName": "Bart"})["FirstName"] == "Bart"
    assert vendor.exchanges[-1].status == 204
    assert school.students.delete(id=student) is None
    with pytest.raises(Missing):
        school.students.get(id=student)


def test_update_patches_only_what_is_given(school: Connector, vendor: TwelveTwenty) -> None:
    student = school.students.list(year=2018).first()["Id"]
    school.students.update(id=student, body={"FirstName": "Bart"})
    assert (vendor.exchanges[-1].method, last_body(vendor)) == ("PATCH", {"FirstName": "Bart"})
    assert school.students.update(id=student, body={"LastName": "S"}, complete=True)["FirstName"] == "Bart"


def test_every_other_operation_answers(school: Connector) -> None:
    assert len(list(school.attributes.list())) > 10
    assert "Options" in school.attributes.get(id=school.attributes.list().first()["Id"])
    lookup = school.lookups.list().first()["Id"]
    assert {"Id", "Name"} <= set(school.lookups.options(lookup_id=lookup).first())
    walked = list(school.lookups.options(parents=True))
    assert {"LookupId", "LookupName"} <= set(walked[0])
    assert len({option["LookupId"] for option in walked}) > 1
    posting = school.job_postings.list(status_id=4).first()
    assert "Description" in school.job_postings.get(id=posting["Id"])
    assert list(school.job_postings.query(is_sort_asc=True).limit(2))
    assert isinstance(school.documentation.get(), str)
    company = school.companies.create({"Name": "Globex"})["Id"]
    contact = school.contacts.create({"FirstName": "Hank", "LastName": "Scorpio", "CompanyId": company}, complete=True)
    assert contact["CompanyId"] == company
    note = school.notes.create({"Text": "Called", "PrimaryEntityTypeId": 2201, "PrimaryEntityId": company})["Id"]
    assert school.notes.get(id=note)["Text"] == "Called"


def test_events_get(school: Connector, vendor: TwelveTwenty) -> None:
    event = next(iter(vendor.tables["events"]))
    assert school.events.get(id=event)["CompanyId"]
    with pytest.raises(Missing):
        school.events.get(id=1)


def test_page_sizes_and_arguments_are_refused_before_anything_is_sent(school: Connector, vendor: TwelveTwenty) -> None:
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: school.students.list(page_size=501), "no argument 'page_size'"),
        (lambda: school.students.list(yeer=2018), "did you mean 'year'"),
        (lambda: school.students.list(year="2018"), "expected an integer"),
        (lambda: school.notes.list(), "'entity_type_id' is required"),
        (lambda: school.notes.list(entity_type_id=7), "2201 (company notes), 2301 (contact notes)"),
        (lambda: school.students.get(id="../companies/7"), "expected an integer"),
        (lambda: school.studnts, "did you mean 'students'"),
    ]
    for call, said in wrong:
        with pytest.raises(ArgumentError) as caught:
            call()
        assert said in str(caught.value)
    assert vendor.exchanges == []


def test_one_bad_event_of_a_thousand_costs_one_more_call(school: Connector, vendor: TwelveTwenty) -> None:
    user = school.students.list().first()["Id"]
    vendor.refuse["x-500"] = "Event is owned by another student"
    delivery = school.calendar_events.upsert(event(n, user) for n in range(1000))
    assert (delivery.delivered, len(delivery.rejected), delivery.calls) == (999, 1, 2)
    (rejected,) = delivery.rejected
    assert rejected.item["ExternalId"] == "x-500"
    assert "owned by another student" in rejected.words
    assert len(vendor.calendar) == 999


def test_5000_events_with_bad_ones_at_both_ends(school: Connector, vendor: TwelveTwenty) -> None:
    user = school.students.list().first()["Id"]
    for bad in (0, 1499, 4999):
        vendor.refuse[f"x-{bad}"] = "refused"
    delivery = school.calendar_events.upsert(event(n, user) for n in range(5000))
    assert (delivery.delivered, len(delivery.rejected)) == (4997, 3)
    assert delivery.calls <= 9
    assert delivery.accounts.balanced


def test_invalid_events_are_kept_back_and_the_times_go_out_with_z(school: Connector, vendor: TwelveTwenty) -> None:
    user = school.students.list().first()["Id"]
    start = datetime(2026, 5, 20, 18, 25, 43, tzinfo=UTC)
    events = [event(1, user, StartTime=start), event(2, user, EndTime="2026-05-20T18:25:43Z"), event(3, user, TypeId=4)]
    delivery = school.calendar_events.upsert(events)
    assert [(r.row, r.words) for r in delivery.invalid] == [
        (2, "EndTime: must come after StartTime"),
        (3, "TypeId: expected one of 1 (Class), 2 (Interview), 3 (Other), got 4"),
    ]
    assert last_body(vendor)[0]["StartTime"] == "2026-05-20T18:25:43Z"


def test_a_token_that_expires_five_times_during_one_list_costs_no_record(clock: ManualClock, parts: Parts) -> None:
    with TwelveTwenty(clock=clock, students=2800, expire_after_calls=1) as vendor:
        with connect("12twenty", school="hilltop", api_key=vendor.api_key, server=vendor.url, parts=parts) as school:
            assert len(list(school.students.list(year=2018))) == 2800
        asked = [e for e in vendor.exchanges if e.path.endswith("generateAuthenticationToken")]
        assert len(asked) == 6
        assert len({e.header("Authorization") for e in vendor.exchanges if e.status == 200 and e not in asked}) == 6


def test_a_refused_write_is_rejected_with_the_vendors_words_not_an_outage(
    school: Connector, vendor: TwelveTwenty
) -> None:
    vendor.fail(times=1, status=500, match="/api/v2/students")
    with pytest.raises(Rejected):
        school.students.create({"FirstName": "A"})
    assert len([e for e in vendor.exchanges if e.method == "POST"]) == 1


def test_a_read_is_tried_again_after_500_and_then_gives_up_in_words(
    school: Connector, vendor: TwelveTwenty, clock: ManualClock
) -> None:
    vendor.fail(times=2, status=500, match="/api/v2/attributes")
    assert school.attributes.list().first()
    vendor.fail(times=9, status=503, match="/api/v2/attributes")
    with pytest.raises(Unavailable, match="answered 503"):
        school.attributes.list().first()


def test_a_429_on_a_post_is_repeated_and_the_first_pause_is_not_under_the_base(
    school: Connector, vendor: TwelveTwenty, clock: ManualClock
) -> None:
    school.attributes.list().first()
    clock.slept.clear()
    vendor.fail(times=1, status=429, match="/api/v2/students")
    assert school.students.create({"FirstName": "A"})["Id"]
    assert sum(clock.slept) >= 1.0


def test_a_429_that_persists_is_the_days_quota_and_says_when_to_come_back(
    school: Connector, vendor: TwelveTwenty
) -> None:
    vendor.used_today = vendor.per_day
    with pytest.raises(LimitReached) as caught:
        list(school.students.list())
    assert caught.value.exit_code == 75
    assert caught.value.until > vendor.clock.now()


def test_the_day_is_spent_to_its_last_call_and_no_429_is_caused(
    vendor: TwelveTwenty, parts: Parts, clock: ManualClock
) -> None:
    vendor.per_day = 5000
    with connect("12twenty", school="hilltop", api_key=vendor.api_key, server=vendor.url, parts=parts) as school:
        for _ in range(4999):  # the token call was the first
            school.documentation.get()
        with pytest.raises(LimitReached):
            school.documentation.get()
    assert not vendor.refusals


def test_a_wrong_key_says_where_keys_come_from_and_shows_none(
    vendor: TwelveTwenty, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-5ae1/+&key"
    school = connect("12twenty", school="hilltop", api_key=canary, server=vendor.url, parts=parts)
    with school, pytest.raises(Denied) as caught:
        school.attributes.list().first()
    assert "customer success team" in str(caught.value)
    for text in (
        str(caught.value),
        repr(caught.value),
        caught.value.request,
        caplog.text,
        repr(school),
        repr(school.engine.line),
    ):
        assert "5ae1" not in text


def test_verify_proves_the_key_by_one_cheap_call(vendor: TwelveTwenty, parts: Parts) -> None:
    with connect("12twenty", school="hilltop", api_key=vendor.api_key, server=vendor.url, parts=parts) as school:
        school.verify()
    assert [exchange.path for exchange in vendor.exchanges][1:] == ["/api/v2/attributes"]
    school = connect("12twenty", school="hilltop", api_key="wrong-key", server=vendor.url, parts=parts)
    with school, pytest.raises(Denied):
        school.verify()


def test_missing_settings_name_every_place_looked_at(parts: Parts) -> None:
    with pytest.raises(SettingError) as caught:
        connect("12twenty", parts=parts)
    said = str(caught.value)
    assert "CONNECTORY_12TWENTY_SCHOOL" in said
    assert "CONNECTORY_12TWENTY_API_KEY" in said
    assert "customer success team" in said


def test_concurrency_is_raised_by_the_caller_up_to_what_the_vendor_allows(vendor: TwelveTwenty, parts: Parts) -> None:
    vendor.delay = 0.01
    with connect(
        "12twenty",
        school="hilltop",
        api_key=vendor.api_key,
        server=vendor.url,
        concurrent=3,
        parts=Parts(ledger=MemoryLedger(), tokens=parts.tokens, environ={}),
    ) as school:
        threads = [threading.Thread(target=school.documentation.get) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert vendor.max_in_flight == 3
    with pytest.raises(SettingError, match="above the 3"):
        connect("12twenty", school="hilltop", api_key="k", concurrent=4, parts=parts)


_PROCESS = """
import sys, threading
from connectory import connect
with connect("12twenty", school="hilltop", api_key=sys.argv[2], server=sys.argv[1], concurrent=3) as school:
    threads = [threading.Thread(target=lambda: [school.documentation.get() for _ in range(8)]) for _ in range(4)]
    [t.start() for t in threads]; [t.join() for t in threads]
"""


def test_three_processes_of_four_threads_never_pass_the_schools_three_at_once(tmp_path: Path) -> None:
    """Real processes, real clock: one ledger for all, the token call counted, one login."""
    with TwelveTwenty(delay=0.005) as vendor:
        script = tmp_path / "calls.py"
        script.write_text(_PROCESS)
        running = [subprocess.Popen([sys.executable, str(script), vendor.url, vendor.api_key]) for _ in range(3)]
        assert [process.wait(60) for process in running] == [0, 0, 0]
        statuses = [exchange.status for exchange in vendor.exchanges]
        assert statuses.count(429) == 0
        assert vendor.max_in_flight <= 3
        assert len([e for e in vendor.exchanges if "generateAuthenticationToken" in e.path]) == 1
        assert len(statuses) == 3 * 4 * 8 + 1


def test_a_second_connector_uses_the_kept_token_and_another_key_does_not(
    vendor: TwelveTwenty, parts: Parts, tmp_path: Path
) -> None:
    for _ in range(2):
        with connect("12twenty", school="hilltop", api_key=vendor.api_key, server=vendor.url, parts=parts) as school:
            school.documentation.get()
    store = Parts(clock=parts.clock, ledger=parts.ledger, tokens=TokenStore(tmp_path / "tokens"), environ={})
    with (
        connect("12twenty", school="hilltop", api_key="other", server=vendor.url, parts=store) as school,
        pytest.raises(Denied),
    ):
        school.documentation.get()
    keys = [dict(e.query)["key"] for e in vendor.exchanges if "generateAuthenticationToken" in e.path]
    assert keys[0] == vendor.api_key
    assert set(keys[1:]) == {"other"}
