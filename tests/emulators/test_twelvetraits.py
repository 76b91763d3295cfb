"""12traits' emulator keeps to the fact page: the key's places, the feeds' fields, uploads, the assessment calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from urllib3.filepost import encode_multipart_formdata

from connectory.clock import ManualClock
from emulators.talk import Talk
from emulators.twelvetraits import TwelveTraits

STAMP = "2021-02-25 03:51:11"
GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "actions": (
        "actions",
        {
            **{"timestamp": STAMP, "user_id": "7", "action_id": "a", "action_name": "jump"},
            "action_params": [{"key": "height", "value": "2"}],
        },
    ),
    "logins": (
        "users",
        {
            **{"timestamp": STAMP, "user_id": "7", "clan_id": "c", "level": 3, "device": "phone", "country": "NL"},
            **{"platform": "ios", "language": "pt-BR", "register_date": "2020-02-29", "last_login_timestamp": STAMP},
        },
    ),
    "purchases": (
        "purchases",
        {"timestamp": STAMP, "user_id": "7", "item_id": "i", "count": 2, "price": 9.98, "platform": "ios"},
    ),
    "virtual-purchases": (
        "virtual_purchases",
        {"timestamp": STAMP, "user_id": "7", "item_id": "i", "count": 2, "virtual_price": 300.0, "currency": "gems"},
    ),
    "level-ups": ("level_ups", {"timestamp": STAMP, "user_id": "7", "level": 4}),
    "items": ("items", {"item_id": "i", "price": 4.99, "currency": "EUR", "name": "sword", "type": "weapon"}),
    "social-dynamics": (
        "social_dynamics",
        {
            **{"timestamp": STAMP, "user_id": "7", "target_user_id": "8"},
            **{"connection": "unllinked", "interaction": "party"},
        },
    ),
}
REQUIRED = {
    "actions": {"user_id", "action_id", "action_name"},
    "logins": {"user_id"},
    "purchases": {"user_id", "item_id", "count", "price"},
    "virtual-purchases": {"user_id", "item_id", "count", "virtual_price", "currency"},
    "level-ups": {"user_id", "level"},
    "items": {"item_id", "price", "currency", "name"},
    "social-dynamics": {"user_id", "target_user_id", "connection", "interaction"},
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_700_000_000)


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[TwelveTraits]:
    with TwelveTraits(clock=clock) as running:
        yield running


@pytest.fixture
def talk(vendor: TwelveTraits) -> Iterator[Talk]:
    with Talk(vendor.url, {"Authorization": f"Bearer {vendor.api_key}"}) as client:
        yield client


def test_the_key_stands_behind_bearer(vendor: TwelveTraits) -> None:
    key = vendor.api_key
    with Talk(vendor.url) as talk:
        refused = talk.call("GET", "/v1/assessment")
        assert (refused.status, refused.json()) == (401, {"code": 401, "message": "unauthorized", "errors": {}})
        for headers in ({"Authorization": key}, {"Authorization": "Bearer x"}, {"X-Auth-Token": key}):
            assert talk.call("GET", "/v1/assessment", headers=headers).status == 401
        assert talk.call("GET", "/v1/assessment", query={"api_key": key}).status == 401
        bearer = {"Authorization": f"Bearer {key}"}
        assert talk.call("GET", "/v1/assessment", query={"api_key": key}, headers=bearer).status == 401
        assert talk.call("GET", "/v1/assessment", headers=bearer).status == 200


def test_the_playfab_receiver_takes_the_key_in_its_query_alone(vendor: TwelveTraits, talk: Talk) -> None:
    key = {"api_key": vendor.api_key}
    assert talk.call("POST", "/v1/playfab", json_body={}).status == 401
    assert talk.call("POST", "/v1/playfab", query=key, json_body={}).status == 401
    with Talk(vendor.url) as other:
        payload = [{"EventName": "player_logged_in", "PlayFabId": "1"}]
        assert other.call("POST", "/v1/playfab", query=key, json_body=payload).status == 200
        assert other.call("POST", "/v1/playfab", query={"api_key": "x"}, json_body={}).status == 401
        assert other.call("POST", "/v1/playfab", query=key, body=b"no JSON").status == 400
    assert vendor.forwarded == [payload]


# Pushing


@pytest.mark.parametrize("name", GOOD)
def test_every_feed_takes_its_items_under_its_own_key(vendor: TwelveTraits, talk: Talk, name: str) -> None:
    key, item = GOOD[name]
    least = {field: value for field, value in item.items() if field in REQUIRED[name]}
    answer = talk.call("POST", f"/v1/{name}", json_body={key: [item, least]})
    words = f"2 {name} have been successfully ingested"
    assert (answer.status, answer.json()) == (201, {"code": 201, "message": words, "data": None})
    assert vendor.items[name] == [item, least]
    for field in REQUIRED[name]:
        lacking = {other: value for other, value in item.items() if other != field}
        refused = talk.call("POST", f"/v1/{name}", json_body={key: [item, lacking]})
        assert (refused.status, refused.json()["errors"]) == (400, {field: f"{field} is required"})
    assert talk.call("POST", f"/v1/{name}", json_body={"records": [item]}).status == 400
    assert talk.call("POST", f"/v1/{name}", json_body=[item]).status == 400
    assert vendor.pushed[name] == 2


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        *((name, "timestamp", "2021-02-25T03:51:11Z") for name in ("actions", "logins", "level-ups")),
        ("actions", "timestamp", 1614225071),
        ("actions", "timestamp", "2021-02-30 03:51:11"),
        ("actions", "user_id", 7),
        ("actions", "action_params", {"height": "2"}),
        ("actions", "action_params", [{"key": "height", "value": 2}]),
        ("actions", "action_params", [{"key": "height"}]),
        ("logins", "country", "NLD"),
        ("logins", "country", "nl"),
        ("logins", "language", "pt_BR"),
        ("logins", "register_date", "2020-02-30"),
        ("logins", "level", "3"),
        ("purchases", "count", 2.5),
        ("purchases", "price", "9.98"),
        ("purchases", "price", -1),
        ("items", "price", 0),
        ("virtual-purchases", "virtual_price", True),
        ("level-ups", "level", None),
        ("social-dynamics", "connection", "unlinked"),
        ("social-dynamics", "interaction", "enemy"),
        ("items", "colour", "red"),
    ],
)
def test_fields_that_are_refused(vendor: TwelveTraits, talk: Talk, name: str, field: str, value: object) -> None:
    key, item = GOOD[name]
    refused = talk.call("POST", f"/v1/{name}", json_body={key: [item, item | {field: value}]})
    assert (refused.status, refused.json()["message"], list(refused.json()["errors"])) == (400, "bad request", [field])
    assert vendor.items[name] == []  # the good one goes down with it


def test_the_one_sampled_message(talk: Talk) -> None:
    refused = talk.call("POST", "/v1/purchases", json_body={"purchases": [GOOD["purchases"][1] | {"price": "free"}]})
    assert refused.json() == {
        "code": 400,
        "message": "bad request",
        "errors": {"price": "price must have a positive float value"},
    }


def test_a_push_holds_1000_items(vendor: TwelveTraits, talk: Talk) -> None:
    item = {"user_id": "7"}
    assert talk.call("POST", "/v1/logins", json_body={"users": [item] * 1000}).status == 201
    assert talk.call("POST", "/v1/logins", json_body={"users": [item] * 1001}).status == 400
    assert talk.call("POST", "/v1/logins", json_body={"users": []}).status == 400
    assert vendor.pushed["logins"] == 1000
    vendor.too_many_status, vendor.empty_status = 413, 201
    assert talk.call("POST", "/v1/logins", json_body={"users": [item] * 1001}).status == 413
    assert talk.call("POST", "/v1/logins", json_body={"users": []}).status == 201


def test_pushing_by_knob(vendor: TwelveTraits, talk: Talk) -> None:
    body = {"users": [{"user_id": "7"}, {"user_id": 8}]}
    vendor.partial = True
    assert (talk.call("POST", "/v1/logins", json_body=body).status, vendor.pushed["logins"]) == (400, 1)
    vendor.push_status, vendor.miscount, vendor.keep_items = 200, -1, False
    answer = talk.call("POST", "/v1/logins", json_body={"users": [{"user_id": "7"}] * 50})
    assert (answer.status, answer.json()["code"], answer.json()["message"][:2]) == (200, 201, "49")
    assert (vendor.pushed["logins"], len(vendor.items["logins"])) == (51, 1)
    vendor.unknown_fields = "ignore"
    assert talk.call("POST", "/v1/logins", json_body={"users": [{"user_id": "7", "shoe": 42}]}).status == 200


def test_a_body_is_json_and_says_so(talk: Talk) -> None:
    assert talk.call("POST", "/v1/logins", body=b'{"users": [{"user_id": "7"}]}').status == 400
    typed = {"Content-Type": "application/json"}
    assert talk.call("POST", "/v1/items", body=b'{"items": [{"price": NaN}]}', headers=typed).status == 400
    assert talk.call("POST", "/v1/items", body=b'{"items": "\xff"}', headers=typed).status == 400


# Uploads


@pytest.mark.parametrize("path", ["/v1/survey-data/csv", "/v1/kpis/csv"])
def test_a_file_arrives_byte_for_byte(vendor: TwelveTraits, talk: Talk, path: str) -> None:
    content = "user_id;näme\r\n7;\r8\n\r\n--x\r\n".encode() + bytes(range(256))
    body, kind = encode_multipart_formdata({"file": ("2021-02-25.csv", content, "text/csv")})
    answer = talk.call("POST", path, body=body, headers={"Content-Type": kind})
    assert answer.status == 201
    assert answer.json() == {
        **{"code": 201, "message": "ingestion has been started"},
        "data": {"estimated_time_to_complete": 125},
    }
    (upload,) = vendor.uploads
    assert (upload.path, upload.filename, upload.content_type) == (path, "2021-02-25.csv", "text/csv")
    assert upload.content == content


def test_uploads_that_are_refused(vendor: TwelveTraits, talk: Talk) -> None:
    def status(fields: dict[str, Any], kind: str | None = None) -> int:
        body, true_kind = encode_multipart_formdata(fields)
        return talk.call("POST", "/v1/kpis/csv", body=body, headers={"Content-Type": kind or true_kind}).status

    good = ("kpis.csv", b"user_id\n7\n")
    assert status({"upload": good}) == 400
    assert status({"file": good, "other": "x"}) == 400
    assert status({"file": b"user_id\n7\n"}) == 400
    assert status({"file": good}, "text/csv") == 400
    assert status({"file": good}, "multipart/form-data; boundary=wrong") == 400
    vendor.dated_names = True
    assert (status({"file": good}), status({"file": ("2020-01-31.csv", b"x")}), len(vendor.uploads)) == (400, 201, 1)


# Assessment


def test_users_come_500_a_page_with_times_in_est(talk: Talk) -> None:
    pages = [talk.read("/v1/assessment/users", page=n) for n in (1, 2, 3, 4)]
    assert [len(page["data"]["users"]) for page in pages] == [500, 500, 203, 0]
    first = pages[0]["data"]
    assert (pages[0]["code"], pages[0]["message"]) == (200, "")
    assert (first["current_page"], first["total_pages"]) == (1, 3)
    assert first["users"][0] == {"id": "1000000", "completed_at": "2020-09-13 07:26:40 EST"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d EST", user["completed_at"]) for user in first["users"])
    assert talk.read("/v1/assessment/users") == pages[0]
    for page in ("0", "-1", "two", ""):
        assert talk.call("GET", "/v1/assessment/users", query={"page": page}).status == 400


def test_the_users_list_is_an_hour_old_at_most(vendor: TwelveTraits, talk: Talk, clock: ManualClock) -> None:
    def last() -> list[Any]:
        return list(talk.read("/v1/assessment/users", page=3)["data"]["users"])

    assert len(last()) == 203
    vendor.complete("late")
    clock.wind(3599)
    assert len(last()) == 203
    clock.wind(1)
    assert last()[203]["id"] == "late"
    vendor.beyond_end = "refuse"
    assert talk.call("GET", "/v1/assessment/users", query={"page": 4}).status == 404


def test_registration_and_status(vendor: TwelveTraits, talk: Talk) -> None:
    path = "/v1/assessment/user/status"
    assert talk.call("GET", path, query={"id": "new"}).status == 404
    registered = talk.call("POST", "/v1/assessment/user/register", json_body={"id": "new"}).json()["data"]
    assert (registered["expires_at"], registered["status"]) == (1_700_604_800, "requested")
    assert int(registered["token"], 16) > 0
    assert talk.read(path, id="new")["data"] == {"completed": False, "completed_at": 0}
    vendor.complete("new")
    assert talk.read(path, id="new")["data"] == {"completed": True, "completed_at": 1_700_000_000}
    assert talk.call("GET", path).status == 400
    assert talk.call("POST", "/v1/assessment/user/register", json_body={"id": 7}).status == 400


def test_the_assessment_is_an_envelope_within_an_envelope(talk: Talk) -> None:
    answer = talk.read("/v1/assessment")
    assert (answer["code"], answer["data"]["result_ok"]) == (200, True)
    inner = answer["data"]["data"]
    assert inner.keys() == {
        *("status", "created_on", "modified_on", "completed_at", "type", "title", "internal_title", "statistics"),
    }
    assert (inner["status"], inner["completed_at"], inner["statistics"]["Complete"]) == ("Launched", 0, 1203)


def test_a_user_is_deleted_by_a_body(vendor: TwelveTraits, talk: Talk) -> None:
    talk.call("POST", "/v1/logins", json_body={"users": [{"user_id": "1000000"}, {"user_id": "8"}]})
    assert talk.call("DELETE", "/v1/userData").status == 400
    assert talk.call("DELETE", "/v1/userData", query={"id": "1000000"}).status == 400
    assert talk.call("POST", "/v1/userData", json_body={"id": "1000000"}).status == 404
    answer = talk.call("DELETE", "/v1/userData", json_body={"id": "1000000"})
    assert (answer.status, answer.json()) == (200, {"code": 200, "message": "", "data": None})
    assert ("1000000" in vendor.completed, vendor.items["logins"]) == (False, [{"user_id": "8"}])
    assert talk.call("DELETE", "/v1/userData", json_body={"id": "1000000"}).status == 404
    vendor.deleted_answer = "empty"
    assert talk.call("DELETE", "/v1/userData", json_body={"id": "8"}).data == b""
    assert vendor.deleted == ["1000000", "8"]


def test_segments_and_their_personas(talk: Talk) -> None:
    def path(segment: str, persona: str, what: str = "user-ids") -> str:
        return f"/v1/segments/{segment}/personas/{persona}/{what}"

    parts = [talk.read(path("default", str(n)))["data"]["ids"] for n in (1, 2, 3, 4)]
    assert sorted(id for part in parts for id in part) == sorted(talk.read(path("seg-1", "all"))["data"]["ids"])
    traits = talk.read(path("default", "2", "traits"))["data"]
    assert isinstance(traits["motivation"]["social"], float)
    for segment, persona in (("other", "1"), ("default", "0"), ("default", "5"), ("default", "first")):
        assert talk.call("GET", path(segment, persona)).status == 404


def test_what_is_not_there_is_a_404_envelope(talk: Talk) -> None:
    for method, path in (("GET", "/v1/logins"), ("POST", "/v1/virtual_purchases"), ("POST", "/logins")):
        refused = talk.call(method, path, json_body={"users": []})
        assert (refused.status, refused.json()) == (404, {"code": 404, "message": "not found", "errors": {}})
