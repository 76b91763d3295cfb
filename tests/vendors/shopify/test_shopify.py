"""Shopify by its spec alone: GraphQL with errors inside of 200, a bucket of points, and exports as files of lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import duckdb
import pytest

from connectory import Connector, Denied, Failed, LimitReached, Parts, Rejected
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from connectory.recipes.sync import run_recipe
from vendors.calling import Carrier, run
from vendors.conftest import Cli, Meet
from vendors.shopify.server import ACCESS_TOKEN, CLIENT, CLIENT_SECRET, FILES, MOST, Shopify

HATS = "{ products { edges { node { id title variants { edges { node { id price } } } } } } }"
HAT = "gid://shopify/Product/1000"


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Shopify]:
    with Shopify(clock=clock) as running:
        running.add_products(600)
        yield running


@pytest.fixture
def shopify(vendor: Shopify, meet: Meet) -> Connector:
    return meet(vendor.url, shop="shop", access_token=ACCESS_TOKEN)


def metafield(owner: str = HAT, key: str = "rank", value: str = "1") -> dict[str, str]:
    return {"ownerId": owner, "namespace": "custom", "key": key, "type": "number_integer", "value": value}


BULK = "gid://shopify/BulkOperation/1"
FIRST = {"first": 250}
CALLS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "products.list": (
        {"query": "updated_at:>='2026-11-01T00:00:00Z'"},
        [("products", {"query": "updated_at:>='2026-11-01T00:00:00Z'", **FIRST})],
    ),
    "metafields.upsert_many": (
        {"metafields": [metafield()]},
        [("metafieldsSet", {"metafields": [metafield()]})],
    ),
    "bulk.start": ({"query": HATS}, [("bulkOperationRunQuery", {"query": HATS})]),
    "bulk.get": ({"id": BULK}, [("node", {"id": BULK})]),
    "bulk.download": ({"url": f"https://{FILES}/f.jsonl?X-Goog-Signature=4f2c"}, [f"GET /f.jsonl at {FILES}"]),
    "bulk.run": (
        {"query": HATS},
        [
            ("bulkOperationRunQuery", {"query": HATS}),
            *[("node", {"id": BULK})] * 4,
            f"GET /shopify-tiers-assets/bulk-1.jsonl at {FILES}",
        ],
    ),
}


def sent(vendor: Shopify) -> list[Any]:
    """Of each request the GraphQL field and variables, else what was got and where."""
    found: list[Any] = []
    for exchange in vendor.requests():
        if exchange.method == "GET":
            found.append(f"{exchange.route} at {exchange.header('Host')}")
            continue
        assert (exchange.path, exchange.header("Host")) == ("/admin/api/2025-07/graphql.json", "shop.myshopify.com")
        assert exchange.header("X-Shopify-Access-Token") == ACCESS_TOKEN
        asked = exchange.json()
        found.append((asked["query"].partition("{ ")[2].partition("(")[0], asked["variables"]))
    return found


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_reference_says(shopify: Connector, vendor: Shopify, operation: str) -> None:
    vendor.files["/f.jsonl"] = b'{"id": "a"}\n{"id": "b"}\n'
    given, wanted = CALLS[operation]
    run(shopify, operation, given)
    assert sent(vendor) == wanted


def test_all_operations_are_called(project: Path) -> None:
    assert set(CALLS) == set(open_spec("shopify", project).spec.operations)


def test_a_connection_is_read_to_its_end(shopify: Connector, vendor: Shopify) -> None:
    products = list(shopify.products.list())
    assert [product["title"] for product in products] == [f"Hat {number}" for number in range(600)]
    assert set(products[0]) == {"id", "title", "status", "updatedAt"}
    assert products[0]["updatedAt"].isoformat() == "2026-09-21T14:13:20+00:00"
    assert [variables.get("after") for _, variables in sent(vendor)] == [None, "250", "500"]


def test_an_empty_bucket_is_waited_for(shopify: Connector, vendor: Shopify, clock: ManualClock) -> None:
    vendor.available = 0
    assert len(list(shopify.products.list())) == 600
    refused = [exchange for exchange in vendor.requests() if b"THROTTLED" in exchange.answer]
    assert refused
    assert {exchange.status for exchange in refused} == {200}
    assert sum(clock.slept) >= 2


def test_a_token_that_expires_in_mid_list_is_asked_for_anew(vendor: Shopify, meet: Meet) -> None:
    shopify = meet(vendor.url, shop="shop", client_id=CLIENT, client_secret=CLIENT_SECRET)
    products = iter(shopify.products.list())
    first = next(products)
    vendor.expire_tokens()
    assert len([first, *products]) == 600
    assert vendor.issued == ["shpca_1", "shpca_2"]
    assert [exchange.status for exchange in vendor.requests()] == [200, 200, 401, 200, 200, 200]


def test_refusals_are_told_though_their_status_is_200(shopify: Connector, vendor: Shopify, meet: Meet) -> None:
    with pytest.raises(Rejected, match="must contain at least one connection") as caught:
        shopify.bulk.start(query="{ shop { name } }")
    assert (caught.value.code, caught.value.status) == ("INVALID", 200)
    with pytest.raises(Denied, match="Invalid API key or access token"):
        list(meet(vendor.url, shop="shop", access_token="shpat_wrong").products.list())
    vendor.scopes = frozenset()
    with pytest.raises(Denied, match="Access denied for products field") as denied:
        list(shopify.products.list())
    assert denied.value.code == "ACCESS_DENIED"
    vendor.most_a_query = 100
    with pytest.raises(Denied, match="exceeds the single query max"):
        list(shopify.products.list())


def test_of_an_atomic_batch_the_bad_are_told_and_the_others_sent_again(shopify: Connector, vendor: Shopify) -> None:
    fields = [metafield(key=f"k{number}", value=str(number)) for number in range(60)]
    fields[7]["value"] = "seven"
    fields[50]["ownerId"] = "gid://shopify/Product/1"
    delivery = shopify.metafields.upsert_many(fields)
    assert str(delivery.accounts) == "60 read = 58 delivered + 2 rejected"
    assert [(one.row, one.code, one.words) for one in delivery.rejected] == [
        (8, "INVALID_VALUE", "Value must be an integer."),
        (51, "INVALID", "Owner does not exist."),
    ]
    assert len(vendor.metafields) == 58
    assert [len(variables["metafields"]) for _, variables in sent(vendor)] == [25, 24, 25, 10, 9]


def test_an_export_is_polled_and_its_lines_are_records(shopify: Connector, vendor: Shopify, clock: ManualClock) -> None:
    records = list(shopify.bulk.run(query=HATS))
    assert records[:2] == [
        {"id": HAT, "title": "Hat 0"},
        {"id": "gid://shopify/ProductVariant/1000", "price": "9.50", "__parentId": HAT},
    ]
    assert (len(records), clock.slept.count(10.0)) == (1200, 3)
    assert "X-Shopify-Access-Token" not in dict(vendor.requests("GET")[0].headers)


def test_an_export_that_finds_nothing_is_empty_and_one_that_fails_is_an_error(
    shopify: Connector, vendor: Shopify
) -> None:
    vendor.bulk_finds = False
    assert list(shopify.bulk.run(query=HATS)) == []
    for end in ("FAILED", "CANCELED", "EXPIRED"):
        vendor.bulk_ends = end
        with pytest.raises(Failed, match=rf"bulk\.get says data\.node\.status: {end}"):
            list(shopify.bulk.run(query=HATS))
    assert vendor.requests("GET") == []


def test_an_export_may_be_started_and_looked_at_by_hand(shopify: Connector) -> None:
    assert shopify.bulk.start(query=HATS) == {"id": BULK, "status": "CREATED"}
    assert shopify.bulk.get(id=BULK)["status"] == "RUNNING"


def test_another_export_under_way_is_waited_for(shopify: Connector, vendor: Shopify, clock: ManualClock) -> None:
    vendor.busy_until = clock.now() + 5
    assert len(list(shopify.bulk.run(query=HATS))) == 1200
    assert clock.now() > vendor.busy_until
    assert len([one for one in sent(vendor) if one[0] == "bulkOperationRunQuery"]) > 1


def test_an_export_in_whose_middle_a_limit_ends_the_run_is_polled_on_by_the_next(
    vendor: Shopify, project: Path, parts: Parts, clock: ManualClock
) -> None:
    recipe = project / "recipes" / "hats.yaml"
    recipe.parent.mkdir()
    recipe.write_text(
        "name: hats\n"
        f"from: {{connector: shopify, operation: bulk.run, with: {{query: '{HATS}'}}}}\n"
        "to: {duckdb: shop.duckdb, table: hats, mode: replace}\n"
    )
    carried = attrs.evolve(parts, transport=Carrier(vendor.url))
    settings = {"shop": "shop", "access_token": ACCESS_TOKEN}
    vendor.fail(status=429, match="graphql", skip=2, headers={"Retry-After": "90000"})
    first = run_recipe(recipe, settings=settings, parts=carried, root=project)
    assert isinstance(first.error, LimitReached)
    clock.wind(90_000)
    again = run_recipe(recipe, settings=settings, parts=carried, root=project)
    assert str(again.accounts) == "1,200 read = 1,200 delivered"
    assert list(vendor.bulks) == [BULK]


def test_what_changed_since_comes_into_a_table(vendor: Shopify, project: Path, parts: Parts) -> None:
    recipe = project / "recipes" / "products.yaml"
    recipe.parent.mkdir()
    recipe.write_text(
        "name: products\n"
        "from: {connector: shopify, operation: products.list, since: updatedAt}\n"
        "to: {duckdb: shop.duckdb, table: products, mode: merge, key: id}\n"
    )
    carried = attrs.evolve(parts, transport=Carrier(vendor.url))
    settings = {"shop": "shop", "access_token": ACCESS_TOKEN}
    assert (
        str(run_recipe(recipe, settings=settings, parts=carried, root=project).accounts) == "600 read = 600 delivered"
    )
    vendor.products[3] |= {"status": "DRAFT", "updatedAt": "2026-12-01T00:00:00Z"}
    again = run_recipe(recipe, settings=settings, parts=carried, root=project)
    assert str(again.accounts) == "2 read = 1 delivered + 1 unchanged"
    with duckdb.connect(str(project / "shop.duckdb"), read_only=True) as database:
        assert database.execute("select count(*), count(*) filter (status = 'DRAFT') from products").fetchone() == (
            600,
            1,
        )


def test_the_command_line_calls_it(vendor: Shopify, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"SERVER": f"{vendor.url}/admin/api/2025-07", "SHOP": "shop", "ACCESS_TOKEN": ACCESS_TOKEN}
    for name, value in settings.items():
        monkeypatch.setenv(f"CONNECTORY_SHOPIFY_{name}", value)
    assert "0 faults" in cli("check").output
    shown = cli("call", "shopify", "products.list", "--limit", "1", "--output", "jsonl").stdout.splitlines()
    assert [json.loads(line)["id"] for line in shown] == [HAT]
    assert vendor.available < MOST
