"""HubSpot by its spec alone: one family for every kind of object, pages and searches, and results of single inputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from connectory import Connector, Denied, LimitReached, PagingError, Parts, Rejected
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from connectory.recipes.sync import run_recipe
from vendors.calling import Call, Carrier, Sent, assert_sent, run
from vendors.conftest import Cli, Meet
from vendors.hubspot.server import CLIENT, CLIENT_SECRET, KINDS, PRIVATE_TOKEN, REFRESH_TOKEN, HubSpot

HEADERS = {"Authorization": f"Bearer {PRIVATE_TOKEN}", "Host": "api.hubapi.com"}


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[HubSpot]:
    with HubSpot(clock=clock) as running:
        yield running


@pytest.fixture
def hubspot(vendor: HubSpot, meet: Meet) -> Connector:
    return meet(vendor.url, access_token=PRIVATE_TOKEN)


def upsert(number: int, email: str = "") -> dict[str, object]:
    email = email or f"r{number}@x.example"
    return {"objectWriteTraceId": f"t{number}", "id": email, "idProperty": "email", "properties": {"email": email}}


def sent(line: str, body: object = None) -> Sent:
    method, _, rest = line.partition(" ")
    return Sent(f"{method} /crm/v3/objects/{rest}", body, headers=HEADERS)


GROUPS = [{"filters": [{"propertyName": "email", "operator": "EQ", "value": "r1@x.example"}]}]
SORTS = [{"propertyName": "createdate", "direction": "DESCENDING"}]
CALLS = {
    f"{kind}.{verb}": call
    for kind in KINDS
    for verb, call in {
        "list": Call(
            {"properties": ["email", "name"], "archived": True},
            [sent(f"GET {kind}?properties=email,name&archived=true&limit=100")],
        ),
        "search": Call(
            {"filter_groups": GROUPS, "sorts": SORTS, "properties": ["email"]},
            [
                sent(
                    f"POST {kind}/search",
                    {"filterGroups": GROUPS, "sorts": SORTS, "properties": ["email"], "limit": 200},
                )
            ],
        ),
        "upsert_many": Call({"inputs": [upsert(1)]}, [sent(f"POST {kind}/batch/upsert", {"inputs": [upsert(1)]})]),
    }.items()
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_reference_says(hubspot: Connector, vendor: HubSpot, operation: str) -> None:
    run(hubspot, operation, CALLS[operation].given)
    assert_sent(vendor.requests(), CALLS[operation].sends)


def test_all_operations_are_called(project: Path) -> None:
    assert set(CALLS) == set(open_spec("hubspot", project).spec.operations)


def test_a_list_and_a_search_of_three_pages(hubspot: Connector, vendor: HubSpot) -> None:
    vendor.add_records("deals", 450)
    assert len({one["id"] for one in hubspot.deals.list()}) == 450
    assert [exchange.argument("after") for exchange in vendor.requests()] == [None, "100", "200", "300", "400"]
    vendor.exchanges.clear()
    assert len({one["id"] for one in hubspot.deals.search()}) == 450
    assert [exchange.json().get("after") for exchange in vendor.requests()] == [None, "200", "400"]


def test_a_search_that_finds_more_than_the_vendor_gives_is_told(hubspot: Connector, vendor: HubSpot) -> None:
    vendor.add_records("tickets", 10_001)
    with pytest.raises(PagingError, match="10000"):
        list(hubspot.tickets.search())


def test_a_token_that_expires_in_mid_list_is_asked_for_anew(vendor: HubSpot, meet: Meet) -> None:
    vendor.add_records("contacts", 250)
    hubspot = meet(vendor.url, client_id=CLIENT, client_secret=CLIENT_SECRET, refresh_token=REFRESH_TOKEN)
    contacts = iter(hubspot.contacts.list())
    first = next(contacts)
    vendor.expire_tokens()
    assert len({one["id"] for one in [first, *contacts]}) == 250
    assert len(vendor.issued) == 2
    assert [exchange.status for exchange in vendor.requests("/crm")] == [200, 401, 200, 200]


def test_an_apps_own_token_that_is_taken_away_is_told(hubspot: Connector, vendor: HubSpot) -> None:
    vendor.expire_tokens()
    with pytest.raises(Denied, match="The OAuth token used to make this call expired") as caught:
        list(hubspot.contacts.list())
    assert (caught.value.code, PRIVATE_TOKEN in str(caught.value)) == ("EXPIRED_AUTHENTICATION", False)


def test_limits_are_waited_for_or_told(hubspot: Connector, vendor: HubSpot, clock: ManualClock) -> None:
    vendor.throttled = 2
    assert list(hubspot.contacts.list()) == []
    assert ([exchange.status for exchange in vendor.requests()], len(clock.slept)) == ([429, 429, 200], 2)
    vendor.day_used_up = True
    with pytest.raises(LimitReached, match="You have reached your daily limit"):
        list(hubspot.contacts.list())


def test_each_input_of_a_batch_has_its_own_result(hubspot: Connector, vendor: HubSpot) -> None:
    inputs = [upsert(number) for number in range(250)]
    inputs[130] = upsert(130, "nobody")
    delivery = hubspot.contacts.upsert_many(inputs)
    assert str(delivery.accounts) == "250 read = 249 delivered + 1 rejected"
    (refused,) = delivery.rejected
    assert (refused.row, refused.code) == (131, "VALIDATION_ERROR")
    assert "Email address nobody is invalid" in refused.words
    assert [len(exchange.json()["inputs"]) for exchange in vendor.requests()] == [100, 100, 50]


def test_a_refusal_is_told_in_the_vendors_words(hubspot: Connector, vendor: HubSpot) -> None:
    del vendor.records["deals"]
    with pytest.raises(Rejected, match="Unable to infer object type from: deals"):
        list(hubspot.deals.list())


@pytest.mark.parametrize(("kind", "changed"), [("contacts", "lastmodifieddate"), ("deals", "hs_lastmodifieddate")])
def test_what_changed_since_is_searched_for(
    vendor: HubSpot, project: Path, parts: Parts, kind: str, changed: str
) -> None:
    vendor.add_records(kind, 3)
    recipe = project / "recipes" / "changed.yaml"
    recipe.parent.mkdir()
    recipe.write_text(
        "name: changed\n"
        f"from: {{connector: hubspot, operation: {kind}.search, since: updatedAt}}\n"
        "to: {duckdb: crm.duckdb, table: changed, mode: merge, key: id}\n"
    )
    carried = attrs.evolve(parts, transport=Carrier(vendor.url))
    settings = {"access_token": PRIVATE_TOKEN}
    assert str(run_recipe(recipe, settings=settings, parts=carried, root=project).accounts) == "3 read = 3 delivered"
    again = run_recipe(recipe, settings=settings, parts=carried, root=project)
    assert str(again.accounts) == "1 read = 0 delivered + 1 unchanged"
    (filters,) = vendor.requests()[-1].json()["filterGroups"]
    assert filters["filters"] == [{"propertyName": changed, "operator": "GTE", "value": "2026-09-21T14:13:22Z"}]


def test_an_accounts_own_objects_become_operations_and_stay_when_it_is_away(
    vendor: HubSpot, meet: Meet, project: Path
) -> None:
    vendor.add_kind("pet", call_name="What it is called")
    found = meet(vendor.url, access_token=PRIVATE_TOKEN).discover()
    assert (found.added, found.objects["object"]) == (("p7878787_pet",), ("p7878787_pet",))
    vendor.add_records("p7878787_pet", 2)
    hubspot = meet(vendor.url, access_token=PRIVATE_TOKEN)
    assert len(list(hubspot.p7878787_pet.list())) == 2
    assert hubspot.engine.spec.types["P7878787_petProperties"]["call_name"].about == "What it is called"
    vendor.add_kind("toy")
    assert "new: p7878787_toy" in str(meet(vendor.url, access_token=PRIVATE_TOKEN).discover())
    kept = project / ".connectory" / "discovered" / "hubspot.json"
    before = kept.read_bytes()
    vendor.expire_tokens()
    with pytest.raises(Denied, match=r"the 2 objects kept in .* stay in use"):
        hubspot.discover()
    assert kept.read_bytes() == before
    assert "p7878787_toy" in dir(meet(vendor.url, access_token=PRIVATE_TOKEN))


def test_the_command_line_checks_it(cli: Cli) -> None:
    assert "0 faults" in cli("check").output
