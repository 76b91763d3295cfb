"""12Build's emulator keeps to the fact page: the token, the parameters' patterns, the encodings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from connectory.clock import ManualClock
from emulators.talk import Talk
from emulators.twelvebuild import TwelveBuild


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_450_337_452)


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[TwelveBuild]:
    with TwelveBuild(clock=clock) as running:
        yield running


@pytest.fixture
def anyone(vendor: TwelveBuild) -> Iterator[Talk]:
    with Talk(vendor.root_url) as client:
        yield client


@pytest.fixture
def talk(vendor: TwelveBuild, anyone: Talk) -> Talk:
    anyone.headers["X-Auth-Token"] = token(vendor, anyone)
    return anyone


def key(vendor: TwelveBuild) -> dict[str, str]:
    return {"login": vendor.login, "apiKey": vendor.api_key}


def token(vendor: TwelveBuild, talk: Talk, **more: str) -> str:
    answer = talk.call("POST", "/tokens", form=key(vendor) | more)
    assert answer.status == 200, answer.data
    return str(answer.json()["token"])


# The token


def test_the_token_is_hex_and_its_end_an_epoch_in_text(vendor: TwelveBuild, anyone: Talk) -> None:
    answer = anyone.call("POST", "/tokens", form=key(vendor)).json()
    assert answer["expireDate"] == "1450341052"
    assert int(answer["token"], 16) > 0
    vendor.announced_seconds = 60
    assert anyone.call("POST", "/tokens", form=key(vendor)).json()["expireDate"] == "1450337512"
    vendor.expire_date = False
    assert anyone.call("POST", "/tokens", form=key(vendor)).json().keys() == {"token"}


def test_it_goes_in_its_own_header_and_with_no_authorization(vendor: TwelveBuild, anyone: Talk) -> None:
    value, path = token(vendor, anyone), "/project/phases/"
    assert anyone.call("GET", path, headers={"X-Auth-Token": value}).status == 200
    for headers in (
        {},
        {"X-Auth-Token": "wrong"},
        {"Authorization": f"Bearer {value}"},
        {"X-Auth-Token": value, "Authorization": f"Bearer {value}"},
        {"X-Auth-Token": vendor.api_key},
    ):
        assert anyone.call("GET", path, headers=headers).status == 401


def test_it_is_good_for_exactly_an_hour(vendor: TwelveBuild, talk: Talk, clock: ManualClock) -> None:
    clock.wind(3599)
    assert talk.call("GET", "/project/phases/").status == 200
    clock.wind(1)
    assert talk.call("GET", "/project/phases/").status == 401
    talk.headers["X-Auth-Token"] = token(vendor, talk)
    assert talk.call("GET", "/project/phases/").status == 200


def test_a_valid_token_comes_again_unless_a_new_one_is_forced(
    vendor: TwelveBuild, anyone: Talk, clock: ManualClock
) -> None:
    first = token(vendor, anyone)
    clock.wind(1800)
    assert token(vendor, anyone) == token(vendor, anyone, forceNew="0") == first
    second = token(vendor, anyone, forceNew="1")
    assert second != first
    assert anyone.call("GET", "/project/phases/", headers={"X-Auth-Token": first}).status == 200
    vendor.new_token_ends_old = True
    third = token(vendor, anyone, forceNew="1")
    tried = [anyone.call("GET", "/project/phases/", headers={"X-Auth-Token": t}).status for t in (second, third)]
    assert tried == [401, 200]


def test_a_refused_token_may_come_again_too(vendor: TwelveBuild, anyone: Talk) -> None:
    first = token(vendor, anyone)
    vendor.revoke()
    second = token(vendor, anyone)
    assert second != first
    vendor.hands_out_refused, vendor.expire_after_calls = True, 1
    calls = [anyone.call("GET", "/project/phases/", headers={"X-Auth-Token": second}).status for _ in range(2)]
    assert calls == [200, 401]
    assert token(vendor, anyone) == second
    assert token(vendor, anyone, forceNew="1") != second


def test_a_token_is_asked_for_with_login_and_key_in_a_form(vendor: TwelveBuild, anyone: Talk) -> None:
    def status(form: Mapping[str, str], **query: str) -> int:
        return anyone.call("POST", "/tokens", form=form, query=query).status

    assert status({"apiKey": vendor.api_key}) == 400
    assert status({"login": vendor.login}) == 400
    assert status({}, **key(vendor)) == 400
    assert status(key(vendor) | {"apiKey": "wrong"}) == 401
    assert status(key(vendor) | {"login": "other"}) == 401
    assert status(key(vendor) | {"forceNew": "true"}) == 400
    assert status(key(vendor) | {"remember": "1"}) == 400
    assert anyone.call("GET", "/tokens", query=key(vendor)).status == 405
    assert anyone.call("POST", "/tokens", json_body=key(vendor)).status == 400
    vendor.login_required = False
    assert status({"apiKey": vendor.api_key}) == 200
    assert status({"apiKey": vendor.api_key, "login": ""}) == 401


def test_the_encoding_is_one_of_three(vendor: TwelveBuild, anyone: Talk) -> None:
    vendor.encoding = "query"
    assert anyone.call("POST", "/tokens", query=key(vendor)).status == 200
    assert anyone.call("POST", "/tokens", form=key(vendor)).status == 400
    vendor.encoding = "json"
    assert anyone.call("POST", "/tokens", json_body=key(vendor)).status == 200
    assert anyone.call("POST", "/tokens", json_body=key(vendor) | {"forceNew": 1}).status == 400
    assert anyone.call("POST", "/tokens", form=key(vendor)).status == 400


# Functions


def test_the_locale_and_the_version_stand_in_the_path(vendor: TwelveBuild, talk: Talk) -> None:
    phases = "/project/phases/"
    for root, status in (
        ("/nl/rest/bs_1.0", 200),
        ("/nl_NL/rest/1.1/api", 200),
        ("/dutch/rest/1.1", 404),
        ("/nl/rest/2.0", 404),
        ("", 404),
    ):
        with Talk(vendor.url + root, talk.headers) as other:
            assert other.call("GET", phases).status == status
    assert talk.call("GET", "/project/phases").status == 404


def test_phases(vendor: TwelveBuild, talk: Talk) -> None:
    assert talk.read("/project/phases/")[1] == {"id": "2", "name": "Inkoop"}
    vendor.phases_as = "object"
    assert len(talk.read("/project/phases/")["phases"]) == 3
    assert talk.call("GET", "/project/phases/", query={"x": 1}).status == 400
    assert talk.call("POST", "/project/phases/").status == 405


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FULL = {
    "name": "Brug 1: 'Zuid' – 50% + 3 × 2 (fase a/b)?",
    "product": "tender",
    "companyGroupId": "12",
    "phase": "Calculatie",
    "phaseId": "1",
    "classificationSystems": "stabu,nlsfb",
    **dict.fromkeys(("calcNumber", "status", "workNumber", "address_1", "address_2", "zip", "city", "country"), "x é"),
    "countryCode": "NL",
    **dict.fromkeys(("client", "manager", "architect", "constructor", "calculator", "inkoper"), "Jan"),
    **dict.fromkeys(("werkvoorbereider", "plannedStart", "plannedComplete"), "2027-01"),
    **dict.fromkeys(("deadlineDate", "questionsDate", "updateDate", "tenderDate", "inspectionDate"), "1450341052"),
    "questionsTime": "1",
    "updateTime": "23",
    "reason": "start van het inkooptraject",
    "buildingSectors": "Bouw,Offshore Maritiem",
}


def test_a_project_with_every_parameter_is_kept(vendor: TwelveBuild, talk: Talk) -> None:
    answer = talk.call("POST", "/project", form=FULL)
    assert answer.status == 200, answer.data
    stored = talk.read(f"/project/{answer.json()['id']}")
    assert stored == FULL | {"id": answer.json()["id"]}
    short = talk.call("POST", "/project", form={"name": "Tunnel"}).json()
    assert vendor.stored[short["id"]]["product"] == "tender"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", "costs 5 €"),
        ("name", "Brug №1"),
        ("name", "two\nlines"),
        ("product", "Tender"),
        ("companyGroupId", "twelve"),
        ("phase", "calculatie"),
        ("phaseId", "-1"),
        ("countryCode", "NLD"),
        ("deadlineDate", "145034105"),
        ("tenderDate", "14503410520"),
        ("inspectionDate", "2015-12-17"),
        ("questionsTime", "0"),
        ("updateTime", "24"),
        ("updateTime", "09"),
        ("reason", "other"),
        ("buildingSectors", "Bouw, Infra"),
        ("buildingSectors", "Bouw,"),
        ("colour", "red"),
    ],
)
def test_parameters_that_break_their_pattern_are_refused(
    vendor: TwelveBuild, talk: Talk, name: str, value: str
) -> None:
    refused = talk.call("POST", "/project", form={"name": "Tunnel", name: value})
    assert (refused.status, name in refused.json()["error"], len(vendor.stored)) == (400, True, 3)


def test_a_project_needs_a_name_and_a_hidden_product_needs_a_right(vendor: TwelveBuild, talk: Talk) -> None:
    assert talk.call("POST", "/project", form={"city": "Delft"}).status == 400
    assert talk.call("POST", "/project", form={"name": "T", "product": "none"}).status == 403
    vendor.group_manager = True
    assert talk.call("POST", "/project", form={"name": "T", "product": "none"}).status == 200
    assert talk.call("POST", "/project", body=b"name=T&name=U", headers=FORM).status == 400


def test_reads_by_get_with_templates_and_by_post_with_parameters(vendor: TwelveBuild, talk: Talk) -> None:
    assert talk.read("/project/100001")["name"] == "Bridge 0"
    assert talk.call("GET", "/project/9").status == 404
    found = talk.call("POST", "/project/search", form={"city": "Delft", "largest": "1"}).json()["projects"]
    assert [row["name"] for row in found] == ["Bridge 0"]
    assert len(talk.call("POST", "/project/search").json()["projects"]) == 3
    assert talk.call("GET", "/project/search").status == 404
