"""The 12Build connector against the emulated vendor: its token, its parameters, and a user's own functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from connectory import ArgumentError, Connector, Denied, Missing, Parts, Rejected, SettingError, connect
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from connectory.operation import DeprecatedWarning
from emulators.exchange import Exchange
from emulators.twelvebuild import ADD_PROJECT, TwelveBuild

MINUTE = 60.0


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[TwelveBuild]:
    with TwelveBuild(clock=clock) as running:
        yield running


@pytest.fixture
def builder(vendor: TwelveBuild, parts: Parts) -> Iterator[Connector]:
    with connected(vendor, parts) as connector:
        yield connector


def connected(vendor: TwelveBuild, parts: Parts, **settings: Any) -> Connector:
    given = {"api_key": vendor.api_key, "login": vendor.login, "server": vendor.url, **settings}
    return connect("12build", parts=parts, **given)


def exchanges_of_tokens(vendor: TwelveBuild) -> list[Exchange]:
    return vendor.requests("/tokens$")


def form(exchange: Exchange) -> dict[str, str]:
    return dict(parse_qsl(exchange.body.decode(), keep_blank_values=True))


EXERCISES: dict[str, Callable[[Connector], Any]] = {
    "phases.list": lambda builder: list(builder.phases.list()),
    "projects.add": lambda builder: builder.projects.add(name="Nieuwbouw school"),
}


@pytest.mark.parametrize("name", sorted(open_spec("12build").spec.operations))
def test_every_operation_is_taken_by_the_vendor(builder: Connector, vendor: TwelveBuild, name: str) -> None:
    assert EXERCISES[name](builder)
    assert {exchange.status for exchange in vendor.exchanges} == {200}


# The token -----------------------------------------------------------------------------------------------------------


def test_the_token_stands_in_its_own_header_and_nowhere_else(builder: Connector, vendor: TwelveBuild) -> None:
    assert [phase["name"] for phase in builder.phases.list()] == ["Calculatie", "Inkoop", "Uitvoering"]
    exchange, call = vendor.exchanges
    assert exchange.route == "POST /nl/rest/bs_1.0/tokens"
    assert form(exchange) == {"login": vendor.login, "apiKey": vendor.api_key}
    assert exchange.header("X-Auth-Token") is None
    assert call.header("X-Auth-Token") == vendor.tokens.tokens[0].value
    assert [e.header("Authorization") for e in vendor.exchanges] == [None, None]
    assert vendor.api_key not in call.path + str(call.query) + call.body.decode()


def test_without_a_login_the_field_is_not_sent(vendor: TwelveBuild, parts: Parts) -> None:
    vendor.login_required = False
    with connected(vendor, parts, login=None) as builder:
        list(builder.phases.list())
    assert form(vendor.exchanges[0]) == {"apiKey": vendor.api_key}


def test_a_token_without_expiredate_lives_59_minutes_and_is_renewed_before_60(
    builder: Connector, vendor: TwelveBuild, clock: ManualClock
) -> None:
    vendor.expire_date = False
    list(builder.phases.list())
    clock.wind(59 * MINUTE)
    list(builder.phases.list())
    assert len(exchanges_of_tokens(vendor)) == 1
    clock.wind(0.9 * MINUTE)
    list(builder.phases.list())
    assert len(exchanges_of_tokens(vendor)) == 2
    assert {exchange.status for exchange in vendor.exchanges} == {200}, "renewed before the vendor had to refuse"


def test_an_old_token_that_comes_back_is_found_out_and_forced_anew(
    builder: Connector, vendor: TwelveBuild, clock: ManualClock
) -> None:
    """Without forceNew the vendor may hand out the token that is about to end, and without expireDate nothing tells."""
    vendor.expire_date = False
    list(builder.phases.list())
    clock.wind(59.9 * MINUTE)
    list(builder.phases.list())
    assert len(vendor.tokens.tokens) == 1
    clock.wind(0.2 * MINUTE)
    list(builder.phases.list())
    list(builder.phases.list())
    assert [form(exchange).get("forceNew") for exchange in exchanges_of_tokens(vendor)] == [None, None, "1"]
    assert [exchange.status for exchange in vendor.exchanges].count(401) == 1


def test_an_expiredate_before_the_hour_wins(builder: Connector, vendor: TwelveBuild, clock: ManualClock) -> None:
    vendor.token_seconds = 20 * MINUTE
    list(builder.phases.list())
    clock.wind(19 * MINUTE)
    list(builder.phases.list())
    assert len(exchanges_of_tokens(vendor)) == 1
    clock.wind(1 * MINUTE)
    list(builder.phases.list())
    assert len(exchanges_of_tokens(vendor)) == 2
    assert {exchange.status for exchange in vendor.exchanges} == {200}


def test_an_expiredate_after_the_hour_does_not(builder: Connector, vendor: TwelveBuild, clock: ManualClock) -> None:
    vendor.announced_seconds = 7200
    list(builder.phases.list())
    clock.wind(60 * MINUTE)
    list(builder.phases.list())
    assert len(exchanges_of_tokens(vendor)) == 2
    assert {exchange.status for exchange in vendor.exchanges} == {200}


def test_forcenew_is_sent_only_after_a_refusal(builder: Connector, vendor: TwelveBuild, clock: ManualClock) -> None:
    vendor.hands_out_refused = True
    list(builder.phases.list())
    vendor.revoke()
    list(builder.phases.list())
    clock.wind(60 * MINUTE)
    list(builder.phases.list())
    assert [form(exchange).get("forceNew") for exchange in exchanges_of_tokens(vendor)] == [None, "1", None]
    assert [exchange.status for exchange in vendor.exchanges].count(401) == 1


def test_a_post_is_repeated_with_the_new_token_once(builder: Connector, vendor: TwelveBuild) -> None:
    list(builder.phases.list())
    vendor.revoke()
    assert builder.projects.add(name="Brug")["id"]
    assert [exchange.status for exchange in vendor.requests("/project$")] == [401, 200]
    assert len(vendor.stored) == vendor.projects + 1


def test_a_wrong_key_is_denied_with_the_way_to_get_one(vendor: TwelveBuild, parts: Parts) -> None:
    with connected(vendor, parts, api_key="canary-77aa") as builder, pytest.raises(Denied) as caught:
        list(builder.phases.list())
    assert "12Build Support switches the API module on" in str(caught.value)
    assert "in that person's name" in str(caught.value)
    assert "canary-77aa" not in str(caught.value) + caught.value.request
    assert len(vendor.exchanges) == 1


def test_the_locale_is_a_part_of_every_path(vendor: TwelveBuild, parts: Parts) -> None:
    with connected(vendor, parts, locale="en_GB") as builder:
        list(builder.phases.list())
    assert [exchange.path for exchange in vendor.exchanges] == [
        "/en_GB/rest/bs_1.0/tokens",
        "/en_GB/rest/bs_1.0/project/phases/",
    ]
    with pytest.raises(SettingError, match="locale"):
        connected(vendor, parts, locale="../nl")


# Parameters ----------------------------------------------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    **{"name": "Nieuwbouw school – fase 1", "product": "tender", "company_group_id": "12", "phase": "Inkoop"},
    **{"phase_id": "2", "classification_systems": ["STABU", "NL/SfB"], "calc_number": "C1", "status": "open"},
    **{"work_number": "W1", "address_1": "Straat 1", "address_2": "2e", "zip": "2611 AA", "city": "Delft"},
    **{"country": "Nederland", "country_code": "NL", "client": "Gemeente", "manager": "M", "architect": "A"},
    **{"constructor": "C", "calculator": "R", "inkoper": "I", "werkvoorbereider": "W", "planned_start": "week 3"},
    **{"planned_complete": "week 50", "deadline_date": datetime(2026, 12, 24, 12, tzinfo=UTC)},
    **{"questions_date": "2026-12-20T13:00:00+01:00", "questions_time": 17, "update_date": 1_797_768_000},
    **{"update_time": 23, "tender_date": "1797768000", "inspection_date": "2026-12-20T12:00:00Z"},
    **{"reason": "start van het inkooptraject", "building_sectors": ["Bouw", "Offshore Maritiem"]},
}
AS_WRITTEN = {
    **{"questionsDate": "1797768000", "updateDate": "1797768000", "tenderDate": "1797768000"},
    **{"inspectionDate": "1797768000", "deadlineDate": "1798113600", "questionsTime": "17", "updateTime": "23"},
    **{"classificationSystems": "STABU,NL/SfB", "buildingSectors": "Bouw,Offshore Maritiem"},
}


def test_every_parameter_of_a_project_arrives(builder: Connector, vendor: TwelveBuild) -> None:
    with pytest.warns(DeprecatedWarning) as said:
        project = vendor.stored[builder.projects.add(**EVERYTHING)["id"]]
    assert [str(one.message).split("'")[1] for one in said] == ["phase", "country"]
    assert project.keys() == {*ADD_PROJECT, "id"}
    assert {name: project[name] for name in AS_WRITTEN} == AS_WRITTEN
    assert project["name"] == EVERYTHING["name"]
    sent = vendor.exchanges[-1]
    assert (sent.media_type, sent.query) == ("application/x-www-form-urlencoded", ())


@pytest.mark.parametrize("write_as", ["form", "query", "json"])
def test_how_a_post_is_written_is_a_setting(vendor: TwelveBuild, parts: Parts, write_as: Any) -> None:
    with connected(vendor, parts, write_as=write_as) as builder:
        list(builder.phases.list())
        vendor.encoding = write_as
        deadline = datetime(2026, 12, 24, 14, tzinfo=timezone(timedelta(hours=2)))
        id = builder.projects.add(name="Brug & viaduct", city="Delft", deadline_date=deadline)["id"]
    wanted = {"name": "Brug & viaduct", "city": "Delft", "deadlineDate": "1798113600"}
    assert wanted.items() <= vendor.stored[id].items()
    sent = vendor.exchanges[-1]
    read: dict[str, Callable[[], dict[str, str]]] = {
        "form": lambda: form(sent),
        "query": lambda: dict(sent.query),
        "json": lambda: dict(sent.json()),
    }
    assert read[write_as]() == {"product": "tender", **wanted}


def test_another_way_to_write_is_refused_at_once(vendor: TwelveBuild, parts: Parts) -> None:
    with pytest.raises(SettingError, match="form, query, json"):
        connected(vendor, parts, write_as="xml")


@pytest.mark.parametrize(
    "bad",
    [
        {"name": ""},
        {"product": "auction"},
        {"company_group_id": "12a"},
        {"phase": "Sloop"},
        {"phase_id": "two"},
        {"country_code": "NLD"},
        {"deadline_date": "24.12.2026"},
        {"deadline_date": "2026-12-24T12:00:00"},  # of which zone?
        {"questions_time": 24},
        {"update_time": 0},
        {"reason": "zomaar"},
        {"building_sectors": ["Bouw", "Ruimtevaart"]},
        {"nam": "typing error"},
    ],
)
def test_what_breaks_a_pattern_is_refused_before_anything_is_sent(
    builder: Connector, vendor: TwelveBuild, bad: dict[str, Any]
) -> None:
    with pytest.raises(ArgumentError, match=next(iter(bad))) as caught:
        builder.projects.add(**{"name": "Brug", **bad})
    assert caught.value.exit_code == 2
    assert vendor.exchanges == []


def test_only_the_name_is_required(builder: Connector, vendor: TwelveBuild) -> None:
    with pytest.raises(ArgumentError, match="'name' is required"):
        builder.projects.add(city="Delft")
    assert vendor.exchanges == []
    assert builder.projects.add("Brug")["id"]


def test_a_refusal_has_the_vendors_status_and_is_not_repeated(builder: Connector, vendor: TwelveBuild) -> None:
    with pytest.raises(Denied):
        builder.projects.add(name="Brug", product="none")
    vendor.group_manager = True
    assert builder.projects.add(name="Brug", product="none")["id"]
    vendor.fail(status=422, match="/project$")
    with pytest.raises(Rejected) as caught:
        builder.projects.add(name="Brug")
    assert caught.value.status == 422
    assert len(vendor.requests("/project$")) == 3


# A user's own functions ----------------------------------------------------------------------------------------------

OWN_SPEC = """
name: 12build
extends: 12build
operations:
  projects.get: {get: "/{{ locale }}/rest/bs_1.0/project/{id}", path: {id: {type: str, pattern: "[0-9]+"}}}
  projects.search:
    {post: "/{{ locale }}/rest/bs_1.0/project/search", does: read, records: projects,
     fields: {city: str, status: {type: bool, as: open}, largest: int}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "specs").mkdir(parents=True)
    (folder / "specs" / "12build.yaml").write_text(OWN_SPEC, encoding="utf-8")
    return folder


def test_a_get_with_template_parameters_is_added_without_copying(
    vendor: TwelveBuild, parts: Parts, project: Path
) -> None:
    id = next(iter(vendor.stored))
    with connected(vendor, parts, project=project) as builder:
        assert builder.projects.get(id=id) == vendor.stored[id]
        assert vendor.exchanges[-1].header("X-Auth-Token")
        with pytest.raises(Missing):
            builder.projects.get(id="999")
        with pytest.raises(ArgumentError, match="id"):
            builder.projects.get(id="../phases")
        assert list(builder.phases.list()), "what the packaged spec has is there still"


def test_a_post_that_reads_is_added_and_repeated_after_an_illness(
    vendor: TwelveBuild, parts: Parts, project: Path
) -> None:
    with connected(vendor, parts, project=project) as builder:
        vendor.fail(status=503, match="/project/search$")
        found = list(builder.projects.search(city="Delft", largest=1))
        assert [row["city"] for row in found] == ["Delft"]
        assert form(vendor.exchanges[-1]) == {"city": "Delft", "largest": "1"}
        vendor.fail(status=503, match="/project$")
        before = len(vendor.requests("/project$"))
        with pytest.raises(Exception, match="it may have been done or not"):
            builder.projects.add(name="Brug")
        assert len(vendor.requests("/project$")) == before + 1


def test_a_boolean_is_written_as_0_or_1(vendor: TwelveBuild, parts: Parts, project: Path) -> None:
    vendor.stored["7"] = {"id": "7", "name": "Brug", "status": "1"}
    with connected(vendor, parts, project=project) as builder:
        assert [row["id"] for row in builder.projects.search(open=True)] == ["7"]
        assert list(builder.projects.search(open=False)) == []
    assert form(vendor.exchanges[-1]) == {"status": "0"}
