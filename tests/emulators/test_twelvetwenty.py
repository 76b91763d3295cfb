"""12Twenty's emulator keeps to the fact page: credentials, limits, pages, writes, the calendar batch."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectory.clock import ManualClock
from emulators.talk import Talk
from emulators.twelvetwenty import TwelveTwenty

TOKEN = "/api/client/generateAuthenticationToken"
STUDENTS = "/api/v2/students"
BATCH = "/api/v2/calendar-events/batch"


def login(vendor: TwelveTwenty, talk: Talk) -> None:
    answer = talk.call("GET", TOKEN, query={"key": vendor.api_key})
    assert answer.status == 200
    talk.headers["Authorization"] = f"Bearer {answer.data.decode()}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000)


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[TwelveTwenty]:
    with TwelveTwenty(clock=clock) as running:
        yield running


@pytest.fixture
def talk(vendor: TwelveTwenty) -> Iterator[Talk]:
    with Talk(vendor.url) as client:
        login(vendor, client)
        yield client


# Credentials


def test_the_token_is_the_raw_text_of_the_answer(vendor: TwelveTwenty) -> None:
    with Talk(vendor.url) as talk:
        answer = talk.call("GET", TOKEN, query={"key": vendor.api_key})
        text = answer.data.decode()
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert all(sign in text for sign in "/+=")
        assert talk.call("GET", STUDENTS, headers={"Authorization": f"Bearer {text}"}).status == 200


def test_the_key_is_taken_from_the_query_of_a_get_alone(vendor: TwelveTwenty) -> None:
    key = vendor.api_key
    with Talk(vendor.url) as talk:
        assert talk.call("GET", TOKEN).status == 401
        assert talk.call("GET", TOKEN, query={"key": "wrong"}).status == 401
        assert talk.call("GET", TOKEN, headers={"Authorization": f"Bearer {key}"}).status == 401
        assert talk.call("POST", TOKEN, query={"key": key}).status == 405
        assert talk.call("GET", TOKEN, query={"api_key": key}).status == 400
        assert talk.call("GET", STUDENTS, query={"key": key}).status == 401
        assert talk.call("GET", STUDENTS, headers={"Authorization": f"Bearer {key}"}).status == 401


def test_a_token_stands_behind_bearer_and_nowhere_else(vendor: TwelveTwenty, talk: Talk) -> None:
    token = talk.headers["Authorization"].removeprefix("Bearer ")
    for headers in ({"Authorization": token}, {"Authorization": f"Token {token}"}, {"X-Auth-Token": token}):
        with Talk(vendor.url, headers) as other:
            assert other.call("GET", STUDENTS).status == 401


def test_a_token_lives_a_day_on_the_emulators_clock(talk: Talk, clock: ManualClock) -> None:
    clock.wind(86_399)
    assert talk.call("GET", STUDENTS).status == 200
    clock.wind(1)
    assert talk.call("GET", STUDENTS).status == 401


def test_tokens_end_by_use_by_decree_and_by_the_next_token(vendor: TwelveTwenty, talk: Talk) -> None:
    vendor.expire_after_calls = 2
    assert [talk.call("GET", STUDENTS).status for _ in range(3)] == [200, 200, 401]
    login(vendor, talk)
    assert talk.call("GET", STUDENTS).status == 200
    vendor.revoke()
    assert talk.call("GET", STUDENTS).status == 401
    vendor.expire_after_calls, vendor.new_token_ends_old = None, True
    login(vendor, talk)
    with Talk(vendor.url) as other:
        login(vendor, other)
        assert (talk.call("GET", STUDENTS).status, other.call("GET", STUDENTS).status) == (401, 200)


# Limits


def test_a_fourth_request_at_once_is_refused_without_a_time(vendor: TwelveTwenty, talk: Talk) -> None:
    with ThreadPoolExecutor(3) as threads, vendor.hold(STUDENTS):
        calls = [threads.submit(talk.call, "GET", STUDENTS) for _ in range(3)]
        vendor.wait_in_flight(3)
        refused = talk.call("GET", STUDENTS)
        assert talk.call("GET", TOKEN, query={"key": vendor.api_key}).status == 429
    assert (refused.status, refused.data, "Retry-After" in refused.headers) == (429, b"Too many requests", False)
    assert [call.result().status for call in calls] == [200, 200, 200]
    assert vendor.refusals == {"concurrent": 2}
    vendor.other_in_flight = 3
    assert talk.call("GET", STUDENTS).status == 429


def test_the_day_is_5000_calls_of_any_24_hours(clock: ManualClock) -> None:
    with TwelveTwenty(clock=clock, used_today=4_997) as vendor, Talk(vendor.url) as talk:
        login(vendor, talk)
        clock.wind(3600)
        assert [talk.call("GET", STUDENTS).status for _ in range(4)] == [200, 200, 429, 429]
        clock.wind(86_400 - 3600)  # the token call is a day old now, the refused ones never counted
        login(vendor, talk)
        assert talk.call("GET", STUDENTS).status == 429
        clock.wind(3600)
        assert talk.call("GET", STUDENTS).status == 200
    assert vendor.refusals == {"per_day": 3}


def test_the_day_may_begin_at_midnight_somewhere(clock: ManualClock) -> None:
    # 2023-11-14 22:13:20 UTC is 17:13:20 five hours behind.
    knobs: dict[str, Any] = {"day": "calendar", "day_zone_hours": -5, "per_day": 1, "token_call_counts": False}
    with TwelveTwenty(clock=clock, **knobs) as vendor, Talk(vendor.url) as talk:
        login(vendor, talk)
        assert [talk.call("GET", STUDENTS).status for _ in range(2)] == [200, 429]
        clock.wind(6 * 3600 + 46 * 60 + 39)
        assert talk.call("GET", STUDENTS).status == 429
        clock.wind(1)
        assert talk.call("GET", STUDENTS).status == 200
        assert talk.read("/_log")["by_day"] == {"2023-11-14": 3, "2023-11-15": 2}


def test_refused_calls_count_and_name_a_time_when_asked(clock: ManualClock) -> None:
    knobs: dict[str, Any] = {"per_day": 1, "refused_calls_count": True, "retry_after": "30"}
    with TwelveTwenty(clock=clock, **knobs) as vendor, Talk(vendor.url) as talk:
        login(vendor, talk)
        assert talk.call("GET", STUDENTS).headers["Retry-After"] == "30"
        clock.wind(86_399)
        talk.call("GET", STUDENTS)
        clock.wind(1)
        assert talk.call("GET", STUDENTS).status == 429


# Pages


def test_a_list_ends_by_its_total(talk: Talk) -> None:
    first = talk.read(STUDENTS, year=2018)
    assert {name: value for name, value in first.items() if name != "Items"} == {
        **{"PageSize": 25, "PageNumber": 1, "Total": 277},
        **{"NumberOfPages": 12},
    }
    pages = [talk.read(STUDENTS, year=2018, PageSize=100, PageNumber=n)["Items"] for n in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [100, 100, 77, 0]
    assert len({item["Id"] for page in pages for item in page}) == 277
    assert talk.read(STUDENTS)["Total"] == 300


def test_pages_are_from_1_to_500(vendor: TwelveTwenty, talk: Talk) -> None:
    assert len(talk.read(STUDENTS, PageSize=500)["Items"]) == 300
    for query in ({"PageSize": 501}, {"PageSize": 0}, {"PageNumber": 0}, {"PageSize": "ten"}, {"PageSize": "1_0"}):
        assert talk.call("GET", STUDENTS, query=query).status == 400
    vendor.over_largest = "clamp"
    assert talk.read(STUDENTS, PageSize=501)["PageSize"] == 500
    vendor.beyond_end, vendor.number_of_pages, vendor.total_error = "refuse", False, 1
    assert talk.call("GET", STUDENTS, query={"PageNumber": 13}).status == 400
    assert talk.read(STUDENTS).keys() == {"PageSize", "PageNumber", "Total", "Items"}
    assert talk.read(STUDENTS)["Total"] == 301


def test_paths_and_parameters_may_be_written_in_any_case(talk: Talk) -> None:
    assert talk.read("/Api/V2/Students", pagesize=3, pageNumber=2)["PageNumber"] == 2


def test_filters_are_known_or_refused(vendor: TwelveTwenty, talk: Talk) -> None:
    assert talk.call("GET", STUDENTS, query={"yaer": 2018}).status == 400
    assert talk.call("GET", STUDENTS, query={"ModifyFromDate": "2024-01-01T00:00:00"}).status == 400
    vendor.unknown_query = "ignore"
    assert talk.read(STUDENTS, yaer=2018)["Total"] == 300


def test_one_student_number_may_stand_for_two_accounts(talk: Talk) -> None:
    items = talk.read(STUDENTS, StudentId="S0000088")["Items"]
    linked = [talk.read(f"{STUDENTS}/{item['Id']}") for item in items]
    assert [student["IsMultipleEnrollmentLinkedAccount"] for student in linked] == [False, True]
    assert linked[1]["MultipleEnrollmentLinkedAccountUserId"] == linked[0]["Id"]


def test_list_items_are_partial_and_some_have_no_mark(vendor: TwelveTwenty, talk: Talk) -> None:
    items = talk.read(STUDENTS, PageSize=30)["Items"]
    assert {"ModifyDate" in item for item in items} == {True, False}
    assert "Program" not in items[0]
    whole = talk.read(f"{STUDENTS}/{items[0]['Id']}")
    assert whole.keys() > items[0].keys()
    assert whole["Program"].keys() == {"Id", "Name", "AttributeId"}
    assert whole["CustomAttributeValues"]["custom_attribute_10607302981935"] in ("True", "False")
    for knob, seen in (("all", {True}), ("none", {False})):
        vendor.marks_in_lists = knob  # type: ignore[assignment]
        assert {"ModifyDate" in item for item in talk.read(STUDENTS, PageSize=30)["Items"]} == seen


@pytest.mark.parametrize("path", ["companies", "contacts"])
def test_what_changed_since_is_found_by_modify_date(vendor: TwelveTwenty, talk: Talk, path: str) -> None:
    everything = talk.read(f"/api/v2/{path}", ModifyFromDate="", PageSize=500)["Items"]
    middle = vendor.tables[path][everything[40]["Id"]]["ModifyDate"]
    later = talk.read(f"/api/v2/{path}", ModifyFromDate=middle, PageSize=500)["Items"]
    assert [item["Id"] for item in later] == [item["Id"] for item in everything[40:]]
    vendor.modify_from_inclusive = False
    assert talk.read(f"/api/v2/{path}", ModifyFromDate=middle)["Total"] == len(later) - 1
    vendor.change(path, everything[0]["Id"], Website="https://new.example")
    assert talk.read(f"/api/v2/{path}", ModifyFromDate=middle)["Total"] == len(later) - 1  # 2023 is before
    for text in ("2024-01-08", "2024-01-08T06:00:00Z", "2024-01-08T06:00:00+00:00", "yesterday"):
        assert talk.call("GET", f"/api/v2/{path}", query={"ModifyFromDate": text}).status == 400


def test_dates_have_no_zone_and_fractions_of_any_length(vendor: TwelveTwenty) -> None:
    dates = [row["ModifyDate"] for row in vendor.tables["companies"].values()]
    assert {len(date.partition(".")[2]) for date in dates} == {0, 1, 2, 3}
    assert not any(date.endswith("Z") or "+" in date for date in dates)


def test_notes_are_listed_by_their_entity_type(talk: Talk) -> None:
    assert talk.call("GET", "/api/v2/notes").status == 400
    totals = [talk.read("/api/v2/notes", EntityTypeId=kind)["Total"] for kind in (2201, 2301, 1)]
    assert totals == [40, 40, 0]


def test_the_other_reads(vendor: TwelveTwenty, talk: Talk) -> None:
    event = next(iter(vendor.tables["events"]))
    assert talk.read(f"/api/v2/events/{event}").keys() >= {"CompanyId", "StartDate"}
    assert talk.read("/api/v2/job-postings", statusId=3)["Total"] == 20
    posting = talk.read("/api/v2/job-postings", pageSize=1)["Items"][0]
    assert "Description" not in posting
    assert "<p>" in talk.read(f"/api/v2/job-postings/{posting['Id']}")["Description"]
    assert 285 in [lookup["Id"] for lookup in talk.read("/api/v2/lookups", PageSize=3, PageNumber=4)["Items"]]
    vendor.lookups_as = "array"
    assert len(talk.read("/api/v2/lookups")) == 11
    assert [option["Name"] for option in talk.read("/api/v2/lookups/141/options")] == ["MBA", "MS", "BA"]
    attributes = talk.read("/api/v2/attributes")
    assert isinstance(attributes, list)
    assert len(talk.read(f"/api/v2/attributes/{attributes[0]['Id']}")["Options"]) == 4
    assert talk.call("POST", "/api/v2/attributes", json_body={}).status == 405
    assert talk.call("GET", "/api/v2/documentation").headers["Content-Type"].startswith("text/html")
    for path in (f"{STUDENTS}/1", f"{STUDENTS}/one", "/api/v2/lookups/1/options", "/api/v2/nothing", "/v2/students"):
        assert talk.call("GET", path).status == 404


def test_a_query_sent_as_a_post(talk: Talk) -> None:
    path = "/api/v2/job-postings/post-query"
    asked = {"PageNumber": 1, "PageSize": 1000, "ShouldCalculateTotal": True, "IsSortAsc": False, "Filters": []}
    answer = talk.call("POST", path, json_body=asked).json()
    assert (len(answer["Items"]), answer["Total"]) == (40, 40)
    assert talk.call("POST", path, json_body={"PageSize": 1001}).status == 400
    assert talk.call("POST", path, json_body={"PageSise": 10}).status == 400


def test_the_current_user_is_the_portals_alone(vendor: TwelveTwenty, talk: Talk) -> None:
    path = "/api/v2/account/current-user"
    assert talk.call("GET", path).status == 401
    answer = talk.call("GET", path, headers={"Cookie": f"a=b; session={vendor.session}"})
    assert answer.json().keys() == {"FullName", "FirstName", "EmailAddress"}


# Writes


def test_a_student_is_created_patched_replaced_and_deleted(vendor: TwelveTwenty, talk: Talk) -> None:
    fields = {"FirstName": "Mei", "GraduationYearId": 2018, "YearIds": [2018], "Program": {"Id": 10607302981934}}
    created = talk.call("POST", STUDENTS, json_body=fields)
    assert (created.status, created.json().keys()) == (201, {"Id"})
    path = f"{STUDENTS}/{created.json()['Id']}"
    assert talk.read(path)["Program"]["Id"] == 10607302981934
    patched = talk.call("PATCH", path, json_body={"LastName": "Wu"})
    assert (patched.status, patched.json()) == (200, created.json())
    stored = talk.read(path)
    assert (stored["FirstName"], stored["LastName"], stored["YearIds"]) == ("Mei", "Wu", [2018])
    replaced = talk.call("PUT", path, json_body={"FirstName": "Mei Lin"})
    assert (replaced.status, replaced.data) == (204, b"")
    stored = talk.read(path)
    assert (stored["FirstName"], stored["LastName"], stored["Program"], stored["YearIds"]) == (
        "Mei Lin",
        None,
        None,
        [],
    )
    deleted = talk.call("DELETE", path)
    assert (deleted.status, deleted.data, talk.call("GET", path).status) == (200, b"", 404)
    assert talk.call("DELETE", path).status == 404
    assert [update.verb for update in vendor.updates] == ["create", "update", "replace", "delete"]
    assert vendor.updates[1].changed == ("LastName",)


def test_what_was_read_can_be_put_back_and_changes_nothing(vendor: TwelveTwenty, talk: Talk) -> None:
    for kind in ("students", "companies", "contacts", "notes"):
        path = f"/api/v2/{kind}/{next(iter(vendor.tables[kind]))}"
        before = talk.read(path)
        assert talk.call("PUT", path, json_body=before).status == 204
        after = talk.read(path)
        assert after | {"ModifyDate": None} == before | {"ModifyDate": None}
        assert after["ModifyDate"] == "2023-11-14T22:13:20"
    assert [update.changed for update in vendor.updates] == [(), (), (), ()]


def test_a_patch_keeps_the_custom_attributes_it_does_not_name(vendor: TwelveTwenty, talk: Talk) -> None:
    path = f"{STUDENTS}/{next(iter(vendor.tables['students']))}"
    talk.call("PATCH", path, json_body={"CustomAttributeValues": {"custom_attribute_10607302981934": "new"}})
    values = talk.read(path)["CustomAttributeValues"]
    assert (values["custom_attribute_10607302981934"], len(values)) == ("new", 3)
    talk.call("PUT", path, json_body={"CustomAttributeValues": {"custom_attribute_1": "only"}})
    assert talk.read(path)["CustomAttributeValues"] == {"custom_attribute_1": "only"}


def test_success_takes_the_forms_that_are_documented(vendor: TwelveTwenty, talk: Talk) -> None:
    vendor.created_answer, vendor.created_status, vendor.replaced_answer = "object", 200, "object"
    created = talk.call("POST", "/api/v2/companies", json_body={"Name": "Acme"})
    assert (created.status, created.json()["Name"]) == (200, "Acme")
    replaced = talk.call("PUT", f"/api/v2/companies/{created.json()['Id']}", json_body={"Name": "Acme 2"})
    assert (replaced.status, replaced.json()["Name"]) == (200, "Acme 2")
    for kind in ("contacts", "notes"):
        assert talk.call("POST", f"/api/v2/{kind}", json_body={}).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"Program": 12345},
        {"Program": "MBA"},
        {"IsEnrolled": "True"},
        {"GraduationYearId": "2018"},
        {"FirstName": 7},
        {"JoinDate": "2018-05-20T18:25:43+02:00"},
        {"JoinDate": "20 May 2018"},
        {"StudentGroups": {}},
        {"CustomAttributeValues": {"favourite": "x"}},
        {"Id": 1},
        [],
    ],
)
def test_values_of_a_wrong_kind_are_refused(vendor: TwelveTwenty, talk: Talk, fields: object) -> None:
    id = next(iter(vendor.tables["students"]))
    before = dict(vendor.tables["students"][id])
    assert talk.call("PATCH", f"{STUDENTS}/{id}", json_body=fields).status == 400
    vendor.validation_status = 500
    refused = talk.call("PATCH", f"{STUDENTS}/{id}", json_body=fields)
    assert (refused.status, bool(refused.json()["Message"])) == (500, True)
    assert (vendor.tables["students"][id], vendor.updates) == (before, [])


def test_a_body_is_json_and_says_so(talk: Talk) -> None:
    assert talk.call("POST", STUDENTS, body=b"{}").status == 415
    assert talk.call("POST", STUDENTS, form={"FirstName": "Mei"}).status == 415
    assert talk.call("POST", STUDENTS, body=b"{", headers={"Content-Type": "application/json"}).status == 400
    typed = {"Content-Type": "application/json; charset=utf-8"}
    assert talk.call("POST", STUDENTS, body=b'{"FirstName": null}', headers=typed).status == 201


def test_required_and_unknown_fields_by_knob(vendor: TwelveTwenty, talk: Talk) -> None:
    vendor.required["students"] = ("StudentId", "LastName")
    refused = talk.call("POST", STUDENTS, json_body={"LastName": "Wu"})
    assert (refused.status, refused.json()) == (400, {"Message": "StudentId is required."})
    vendor.unknown_fields = "refuse"
    assert talk.call("POST", STUDENTS, json_body={"StudentId": "1", "LastName": "Wu", "Shoe": 42}).status == 400


# The calendar batch


def event(number: int, **changes: object) -> dict[str, object]:
    times = {"StartTime": "2027-01-15T09:00:00Z", "EndTime": "2027-01-15T10:30:00.5Z"}
    return {"ExternalId": f"e{number}", "UserId": 270067010400000, "TypeId": 1, **times, "Title": "Exam", **changes}


def test_a_batch_is_written_whole_and_again_by_its_external_ids(vendor: TwelveTwenty, talk: Talk) -> None:
    first = talk.call("PUT", BATCH, json_body=[event(n) for n in range(1000)])
    assert (first.status, len(first.json()), len(vendor.calendar)) == (200, 1000, 1000)
    wanted = {"Id": 270067010486464, "ExternalId": "e0", "ErrorMessage": None, "IsSuccessful": True}
    assert first.json()[0] == wanted
    again = talk.call("PUT", BATCH, json_body=[event(0, Title="Moved"), event(1000)])
    assert again.json()[0] == wanted
    assert (vendor.calendar["e0"]["Title"], len(vendor.calendar)) == ("Moved", 1001)
    assert talk.call("PUT", BATCH, json_body=[event(n) for n in range(1001)]).status == 400
    assert talk.call("PUT", BATCH, json_body={"events": []}).status == 400
    assert talk.call("PUT", BATCH, json_body=[]).json() == []


def test_one_bad_event_and_nothing_is_written_and_it_alone_is_named(vendor: TwelveTwenty, talk: Talk) -> None:
    vendor.calendar["e2"] = {"Id": 1, **event(2, UserId=7)}
    vendor.refuse["e5"] = "Not on a holiday."
    answer = talk.call("PUT", BATCH, json_body=[event(n) for n in range(8)])
    assert (answer.status, list(vendor.calendar)) == (200, ["e2"])
    assert answer.json() == [
        {"ExternalId": "e2", "ErrorMessage": "Event is owned by another student.", "IsSuccessful": False},
        {"ExternalId": "e5", "ErrorMessage": "Not on a holiday.", "IsSuccessful": False},
    ]
    vendor.refuse.clear()
    assert len(talk.call("PUT", BATCH, json_body=[event(n) for n in range(8) if n != 2]).json()) == 7


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("ExternalId", "UserId", "TypeId", "StartTime", "EndTime", "Title")),
        {"UserId": "270067010400000"},
        {"TypeId": 4},
        {"TypeId": "1"},
        {"StartTime": "2027-01-15T09:00:00"},
        {"StartTime": "2027-01-15T09:00:00+00:00"},
        {"StartTime": "2027-02-30T09:00:00Z"},
        {"EndTime": "2027-01-15T09:00:00Z"},
        {"EndTime": "2027-01-15T08:59:59.9Z"},
        {"Location": "Room 1"},
    ],
)
def test_events_that_are_refused(vendor: TwelveTwenty, talk: Talk, changes: dict[str, object]) -> None:
    (result,) = talk.call("PUT", BATCH, json_body=[event(1), event(2, **changes)]).json()
    assert (result["IsSuccessful"], result["ExternalId"]) == (False, changes.get("ExternalId", "e2"))
    assert (bool(result["ErrorMessage"]), vendor.calendar) == (True, {})


def test_12000_students_are_there_at_once(clock: ManualClock) -> None:
    with TwelveTwenty(clock=clock, students=12_000) as vendor, Talk(vendor.url) as talk:
        login(vendor, talk)
        last = talk.read(STUDENTS, year=2018, PageSize=500, PageNumber=24)
        assert (last["Total"], len(last["Items"])) == (12_000, 500)
