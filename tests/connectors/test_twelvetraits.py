"""The 12traits connector against the emulated vendor: every operation, and what its documents warn of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import pytest

from connectory import ArgumentError, Connector, Denied, Missing, Parts, Rejected, connect
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from connectory.delivery.results import PartialCountWarning
from emulators.exchange import Exchange
from emulators.twelvetraits import TwelveTraits


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[TwelveTraits]:
    with TwelveTraits(clock=clock) as running:
        yield running


@pytest.fixture
def game(vendor: TwelveTraits, parts: Parts) -> Iterator[Connector]:
    with connect("12traits", api_key=vendor.api_key, server=vendor.url, parts=parts) as connector:
        yield connector


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "secret place"
    folder.mkdir()
    file = folder / "2026-05-20.csv"
    file.write_bytes(b"user_id;q1\r\n1;\xc3\xa9\r\n")
    return file


def sent(vendor: TwelveTraits) -> Any:
    return json.loads(vendor.exchanges[-1].body)


def login(number: int, **more: Any) -> dict[str, Any]:
    return {"user_id": str(number), **more}


def purchase(number: int, **more: Any) -> dict[str, Any]:
    return {"user_id": "1", "item_id": str(number), "count": 1, "price": 9.99, **more}


# Items with every field of the vendor's documents, and the required ones alone.
ITEMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "actions": (
        {"user_id": "1", "action_id": "a", "action_name": "A"},
        {"timestamp": "2026-05-20 18:25:43", "action_params": [{"key": "k", "value": "7"}]},
    ),
    "logins": (
        {"user_id": "1"},
        {
            **{"timestamp": "2026-05-20 18:25:43", "clan_id": "c", "level": 3, "device": "d", "country": "AT"},
            **{"platform": "ios", "language": "de-AT", "register_date": "2026-01-31"},
            **{"last_login_timestamp": "2026-05-19 00:00:00"},
        },
    ),
    "purchases": (
        {"user_id": "1", "item_id": "2", "count": 1, "price": 9.99},
        {"timestamp": "2026-05-20 18:25:43", "platform": "ios"},
    ),
    "virtual_purchases": (
        {"user_id": "1", "item_id": "2", "count": 1, "virtual_price": 50, "currency": "gems"},
        {"timestamp": "2026-05-20 18:25:43"},
    ),
    "level_ups": ({"user_id": "1", "level": 2}, {"timestamp": "2026-05-20 18:25:43"}),
    "items": ({"item_id": "2", "price": 9.99, "currency": "EUR", "name": "Sword"}, {"type": "weapon"}),
    "social_dynamics": (
        {"user_id": "1", "target_user_id": "2", "connection": "unllinked", "interaction": "party"},
        {"timestamp": "2026-05-20 18:25:43"},
    ),
}
WRAPPERS = {name: name for name in ITEMS} | {"logins": "users"}


def push(game: Connector, name: str) -> None:
    required, optional = ITEMS[name]
    delivery = game.operation(f"{name}.push")([required, {**required, **optional}])
    assert (delivery.delivered, delivery.calls) == (2, 1)


def upload(game: Connector, name: str, file: Path) -> None:
    assert game.operation(f"{name}.upload")(file=file) == {"estimated_time_to_complete": 125}


EXERCISES: dict[str, Callable[[Connector, TwelveTraits, Path], object]] = {
    **{f"{name}.push": lambda game, vendor, file, name=name: push(game, name) for name in ITEMS},  # type: ignore[misc]
    "survey_data.upload": lambda game, vendor, file: upload(game, "survey_data", file),
    "kpis.upload": lambda game, vendor, file: upload(game, "kpis", file),
    "playfab.forward": lambda game, vendor, file: game.playfab.forward({"EventName": "player_logged_in"}),
    "assessment.get": lambda game, vendor, file: game.assessment.get(),
    "assessment.users": lambda game, vendor, file: list(game.assessment.users()),
    "assessment.register": lambda game, vendor, file: game.assessment.register(id="new"),
    "assessment.status": lambda game, vendor, file: game.assessment.status(id=next(iter(vendor.completed))),
    "segments.user_ids": lambda game, vendor, file: list(game.segments.user_ids(segment_id="default", persona="1")),
    "segments.traits": lambda game, vendor, file: game.segments.traits(segment_id="seg-1", persona="all"),
    "user_data.delete": lambda game, vendor, file: game.user_data.delete(id=next(iter(vendor.completed))),
}


@pytest.mark.parametrize("name", sorted(open_spec("12traits").spec.operations))
def test_every_operation_is_taken_by_the_vendor(game: Connector, vendor: TwelveTraits, survey: Path, name: str) -> None:
    EXERCISES[name](game, vendor, survey)
    assert vendor.exchanges
    assert {exchange.status for exchange in vendor.exchanges} <= {200, 201}


# Pushes --------------------------------------------------------------------------------------------------------------


def test_1001_logins_are_two_posts_of_1000_and_1_wrapped_in_users(game: Connector, vendor: TwelveTraits) -> None:
    delivery = game.logins.push(login(number) for number in range(1001))
    assert (delivery.delivered, delivery.calls) == (1001, 2)
    assert {exchange.route for exchange in vendor.exchanges} == {"POST /v1/logins"}
    bodies = [json.loads(exchange.body) for exchange in vendor.exchanges]
    assert [list(body) for body in bodies] == [["users"], ["users"]]
    assert [len(body["users"]) for body in bodies] == [1000, 1]
    assert [user["user_id"] for body in bodies for user in body["users"]] == [str(number) for number in range(1001)]


@pytest.mark.parametrize("name", list(ITEMS))
def test_exactly_what_the_vendor_requires_is_required(game: Connector, vendor: TwelveTraits, name: str) -> None:
    required, optional = ITEMS[name]
    call = game.operation(f"{name}.push")
    assert call([{**required, **optional}]).delivered == 1
    assert sent(vendor) == {WRAPPERS[name]: [{**required, **optional}]}
    before = len(vendor.exchanges)
    for field in required:
        (result,) = call([{key: value for key, value in required.items() if key != field}]).invalid
        assert field in result.words
    assert len(vendor.exchanges) == before


def test_prices_are_numbers_and_ids_are_strings(game: Connector, vendor: TwelveTraits) -> None:
    rows = [
        purchase(1),
        purchase(2, price="9.99"),
        purchase(3, user_id=7),
        purchase(4, item_id=7),
        purchase(5, price=5),
    ]
    delivery = game.purchases.push(rows)
    assert [(result.row, result.words.split(":")[0]) for result in delivery.invalid] == [
        (2, "price"),
        (3, "user_id"),
        (4, "item_id"),
    ]
    assert delivery.delivered == 2
    assert [item["item_id"] for item in sent(vendor)["purchases"]] == ["1", "5"]
    assert delivery.accounts.balanced


@pytest.mark.parametrize(
    "bad",
    [
        {"country": "Austria"},
        {"country": "at"},
        {"level": "3"},
        {"timestamp": "yesterday"},
        {"register_date": "31.01.2026"},
        {"nosuchfield": 1},
    ],
)
def test_a_login_that_breaks_its_type_is_kept_back(game: Connector, vendor: TwelveTraits, bad: dict[str, Any]) -> None:
    delivery = game.logins.push([login(1, **bad)])
    (result,) = delivery.invalid
    assert next(iter(bad)) in result.words
    assert vendor.exchanges == []


def test_only_the_printed_words_connect_players(game: Connector, vendor: TwelveTraits) -> None:
    required, _ = ITEMS["social_dynamics"]
    (result,) = game.social_dynamics.push([{**required, "connection": "unlinked"}]).invalid
    assert "unllinked" in result.words
    assert vendor.exchanges == []


@pytest.mark.parametrize(
    "moment",
    [
        "2026-05-20T20:25:43+02:00",
        "2026-05-20T18:25:43Z",
        "2026-05-20 18:25:43",
        datetime(2026, 5, 20, 20, 25, 43, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 5, 20, 18, 25, 43, tzinfo=UTC),
    ],
)
def test_moments_go_out_in_utc_with_a_space_and_no_zone(
    game: Connector, vendor: TwelveTraits, moment: str | datetime
) -> None:
    game.logins.push([login(1, timestamp=moment, register_date=date(2026, 1, 31))])
    assert sent(vendor)["users"] == [
        {"user_id": "1", "timestamp": "2026-05-20 18:25:43", "register_date": "2026-01-31"}
    ]


def test_a_level_that_falls_warns_and_is_sent(game: Connector, vendor: TwelveTraits) -> None:
    levels = [("1", 2), ("2", 9), ("1", 3), ("1", 1)]
    with pytest.warns(UserWarning, match="row 4: level falls from 3 to 1 for one user_id"):
        delivery = game.level_ups.push([{"user_id": user, "level": level} for user, level in levels])
    assert delivery.delivered == 4
    assert len(sent(vendor)["level_ups"]) == 4


def test_a_refused_push_is_rejected_as_a_whole_in_the_vendors_words(game: Connector, vendor: TwelveTraits) -> None:
    """Nothing says that a push is one transaction, so no part of it is sent again."""
    delivery = game.purchases.push([purchase(number, price=-1.0 if number == 7 else 1.0) for number in range(10)])
    assert (len(delivery.rejected), delivery.delivered, delivery.calls) == (10, 0, 1)
    assert all("price must have a positive float value" in result.words for result in delivery.rejected)
    assert {(result.status, result.code) for result in delivery.rejected} == {(400, "400")}
    assert delivery.accounts.balanced


def test_the_other_batches_go_on_after_a_refused_one(game: Connector, vendor: TwelveTraits) -> None:
    delivery = game.purchases.push(purchase(number, price=-1.0 if number == 7 else 1.0) for number in range(1500))
    assert (len(delivery.rejected), delivery.delivered, delivery.calls) == (1000, 500, 2)


@pytest.mark.parametrize("lost", ["cut", "500"])
def test_a_push_whose_answer_is_lost_is_unknown_and_not_sent_again(
    game: Connector, vendor: TwelveTraits, lost: str
) -> None:
    if lost == "cut":
        vendor.drop(match="/v1/actions", after_applying=True)
    else:
        vendor.fail(match="/v1/actions", after_applying=True)
    delivery = game.actions.push([ITEMS["actions"][0]])
    assert (len(delivery.unknown), len(vendor.exchanges)) == (1, 1)
    assert vendor.pushed["actions"] == 1


def test_a_count_in_prose_that_differs_warns_and_no_more(game: Connector, vendor: TwelveTraits) -> None:
    vendor.miscount = -1
    with pytest.warns(PartialCountWarning, match="took 1 of 2 items"):
        delivery = game.actions.push([ITEMS["actions"][0]] * 2)
    assert delivery.delivered == 2


@pytest.mark.parametrize("status", [200, 201])
def test_both_good_statuses_of_a_push_are_good(game: Connector, vendor: TwelveTraits, status: int) -> None:
    vendor.push_status = status
    assert game.items.push([ITEMS["items"][0]]).delivered == 1


# Files, the key, deleting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["survey_data", "kpis"])
def test_an_upload_is_accepted_with_the_estimate_and_shows_the_base_name_only(
    game: Connector, vendor: TwelveTraits, survey: Path, name: str
) -> None:
    vendor.dated_names = True
    call = game.operation(f"{name}.upload")
    word, record = game.engine.perform(call.plan, {"file": survey})
    assert (word, record) == ("accepted", {"estimated_time_to_complete": 125})
    (upload,) = vendor.uploads
    assert (upload.filename, upload.content) == ("2026-05-20.csv", survey.read_bytes())
    assert b'name="file"' in vendor.exchanges[-1].body
    assert b"secret place" not in vendor.exchanges[-1].body


def test_a_file_that_is_not_there_is_refused_before_anything_is_sent(game: Connector, vendor: TwelveTraits) -> None:
    with pytest.raises(ArgumentError, match="nowhere"):
        game.kpis.upload(file="nowhere.csv")
    assert vendor.exchanges == []


def test_playfab_has_the_key_in_the_query_and_no_authorization(game: Connector, vendor: TwelveTraits) -> None:
    game.playfab.forward({"EventName": "player_logged_in"})
    (exchange,) = vendor.exchanges
    assert exchange.query == (("api_key", vendor.api_key),)
    assert exchange.header("Authorization") is None
    assert vendor.forwarded == [{"EventName": "player_logged_in"}]


def test_the_key_stands_behind_bearer_everywhere_else(game: Connector, vendor: TwelveTraits, survey: Path) -> None:
    for name, exercise in EXERCISES.items():
        if name != "playfab.forward":
            exercise(game, vendor, survey)
    assert {exchange.header("Authorization") for exchange in vendor.exchanges} == {f"Bearer {vendor.api_key}"}
    assert not any("api_key" in dict(exchange.query) for exchange in vendor.exchanges)


def test_a_wrong_key_is_denied_with_the_place_where_keys_are_and_is_not_shown(
    vendor: TwelveTraits, parts: Parts
) -> None:
    with connect("12traits", api_key="canary-9f2c", server=vendor.url, parts=parts) as game:
        for name, given in [("assessment.get", {}), ("playfab.forward", {"body": {"a": 1}})]:
            with pytest.raises(Denied, match="12traits dashboard shows it") as caught:
                game.operation(name)(**given)
            assert "canary-9f2c" not in str(caught.value) + caught.value.request


def test_deleting_sends_a_json_body_by_delete(game: Connector, vendor: TwelveTraits) -> None:
    id = next(iter(vendor.completed))
    answers: tuple[Literal["envelope", "empty"], ...] = ("envelope", "empty")
    for answer in answers:
        vendor.deleted_answer = answer
        vendor.complete(id)
        game.user_data.delete(id=id)
        exchange: Exchange = vendor.exchanges[-1]
        assert (exchange.route, exchange.query) == ("DELETE /v1/userData", ())
        assert json.loads(exchange.body) == {"id": id}
        assert exchange.media_type == "application/json"
        assert id not in vendor.completed
    with pytest.raises(Missing):
        game.user_data.delete(id="nobody")


# Assessment and segments ---------------------------------------------------------------------------------------------


def test_pages_of_500_users_end_by_the_total_of_pages(game: Connector, vendor: TwelveTraits) -> None:
    pages = [len(page) for page in game.assessment.users().pages()]
    assert pages == [500, 500, 203]
    assert [dict(exchange.query) for exchange in vendor.exchanges] == [{"page": "1"}, {"page": "2"}, {"page": "3"}]
    users = list(game.assessment.users())
    assert [user["id"] for user in users] == list(vendor.completed)


def test_a_last_page_that_is_full_is_the_last(vendor: TwelveTraits, game: Connector) -> None:
    vendor.beyond_end = "refuse"
    for id in list(vendor.completed)[1000:]:
        del vendor.completed[id]
    assert len(list(game.assessment.users())) == 1000
    assert len(vendor.exchanges) == 2


def test_no_users_at_all_are_an_empty_list(vendor: TwelveTraits, game: Connector) -> None:
    vendor.completed.clear()
    assert list(game.assessment.users()) == []


def test_est_moments_are_aware(game: Connector, vendor: TwelveTraits) -> None:
    first = game.assessment.users().first()
    assert first["completed_at"] == datetime.fromtimestamp(vendor.completed[first["id"]] or 0, UTC)
    assert first["completed_at"].utcoffset() == timedelta(hours=-5)


def test_every_other_moment_is_aware_too(game: Connector, vendor: TwelveTraits, clock: ManualClock) -> None:
    registration = game.assessment.register(id="new")
    assert registration["expires_at"] == datetime.fromtimestamp(int(clock.now() + vendor.registration_seconds), UTC)
    assert (registration["status"], len(registration["token"])) == ("requested", 64)
    id = next(iter(vendor.completed))
    status = game.assessment.status(id=id)
    assert status == {"completed": True, "completed_at": datetime.fromtimestamp(vendor.completed[id] or 0, UTC)}
    assert game.assessment.status(id="new")["completed"] is False


def test_the_survey_is_taken_out_of_both_envelopes(game: Connector) -> None:
    survey = game.assessment.get()
    assert survey["status"] == "Launched"
    assert survey["created_on"] == datetime(2020, 9, 1, 8, tzinfo=UTC)
    assert survey["completed_at"] == 0
    assert survey["statistics"] == {"Partial": 0, "Disqualified": 0, "Complete": 1203}


def test_segments(game: Connector, vendor: TwelveTraits) -> None:
    everyone = list(game.segments.user_ids(segment_id="default", persona="all"))
    assert [user["id"] for user in everyone] == list(vendor.completed)
    assert len(list(game.segments.user_ids(segment_id="default", persona="1"))) == 301
    traits = game.segments.traits(segment_id="seg-1", persona="2")
    assert set(traits) == {"motivation", "personality"}
    assert all(isinstance(score, float) for scores in traits.values() for score in scores.values())
    with pytest.raises(Missing):
        game.segments.traits(segment_id="nowhere", persona="1")
    before = len(vendor.exchanges)
    for persona in ("0", "first", "-1"):
        with pytest.raises(ArgumentError, match="persona"):
            game.segments.user_ids(segment_id="default", persona=persona)
    assert len(vendor.exchanges) == before


def test_a_status_that_is_refused_has_the_vendors_words(game: Connector, vendor: TwelveTraits) -> None:
    with pytest.raises(Missing, match="not found"):
        game.assessment.status(id="nobody")
    vendor.unknown_user_status = 400
    with pytest.raises(Rejected, match="bad request") as caught:
        game.assessment.status(id="nobody")
    assert (caught.value.status, caught.value.code) == (400, "400")


def test_the_server_named_sandbox_is_there() -> None:
    assert open_spec("12traits").spec.servers["sandbox"] == "https://sandbox.api.12traits.com"
