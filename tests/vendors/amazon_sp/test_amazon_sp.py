"""Amazon's Selling Partner API by its spec alone: reports are asked for, polled, and fetched packed from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory import ArgumentError, Connector, Denied, Failed, LimitReached, Parts, Rejected, Unavailable
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from connectory.recipes.sync import run_recipe
from vendors.amazon_sp.server import CLIENT, CLIENT_SECRET, FILES, LOGIN, MARKET, REFRESH_TOKEN, AmazonSp
from vendors.calling import Call, Carrier, Sent, assert_sent, run
from vendors.conftest import Cli, Meet

KEYS = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
LISTINGS = "GET_MERCHANT_LISTINGS_ALL_DATA"
HEADERS = {"x-amz-access-token": "Atza|access-1", "Host": "sellingpartnerapi-na.amazon.com"}
ASKED = {"report_type": LISTINGS, "marketplace_ids": [MARKET]}
START, END = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
FROM, TO = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
LINES = [
    {"sku": "A-1", "asin": "B00X", "price": "9.50", "quantity": "3"},
    {"sku": "B-2", "asin": "B00Y", "price": "12.00", "quantity": None},
]


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[AmazonSp]:
    with AmazonSp(clock=clock) as running:
        running.add_reports(250)
        yield running


@pytest.fixture
def amazon(vendor: AmazonSp, meet: Meet) -> Connector:
    return meet(vendor.url, **KEYS)


def get(line: str) -> Sent:
    return Sent(f"GET /reports/2021-06-30/{line}", headers=HEADERS)


LOGGED_IN = Sent(
    "POST /auth/o2/token",
    "grant_type=refresh_token&refresh_token=Atzr%7CIwEBIA-refresh&client_id=amzn1.application-oa2-client.1"
    "&client_secret=lwa-secret-71",
    headers={"Host": LOGIN, "Content-Type": "application/x-www-form-urlencoded"},
)
CREATED = Sent(
    "POST /reports/2021-06-30/reports",
    {"reportType": LISTINGS, "marketplaceIds": [MARKET], "dataStartTime": START, "dataEndTime": END},
    headers=HEADERS,
)
OPTIONS = {"reportOptions": {"custom": "true"}}


def fetched(document: str) -> Sent:
    return Sent(f"GET /{document}?X-Amz-Expires=300&X-Amz-Signature=a+b", headers={"Host": FILES})


CALLS = {
    "reports.list": Call(
        {
            "report_types": [LISTINGS, "GET_FLAT_FILE_OPEN_LISTINGS_DATA"],
            "processing_statuses": ["FATAL"],
            "marketplace_ids": [MARKET],
            "created_since": FROM,
            "created_until": TO,
        },
        [
            LOGGED_IN,
            get(
                f"reports?reportTypes={LISTINGS},GET_FLAT_FILE_OPEN_LISTINGS_DATA&processingStatuses=FATAL"
                f"&marketplaceIds={MARKET}&createdSince={START}&createdUntil={END}&pageSize=100"
            ),
        ],
    ),
    "reports.create": Call(
        {**ASKED, "data_start_time": FROM, "data_end_time": TO, "report_options": OPTIONS["reportOptions"]},
        [LOGGED_IN, attrs.evolve(CREATED, body={**CREATED.body, **OPTIONS})],
    ),
    "reports.get": Call({"report_id": "50007"}, [LOGGED_IN, get("reports/50007")]),
    "documents.get": Call({"document_id": "amzn1.tortuga.7"}, [LOGGED_IN, get("documents/amzn1.tortuga.7")]),
    "documents.download": Call(
        {"url": f"https://{FILES}/amzn1.tortuga.7?X-Amz-Expires=300&X-Amz-Signature=a%2Bb"},
        [fetched("amzn1.tortuga.7")],
    ),
    "reports.run": Call(
        {**ASKED, "start": FROM, "end": TO},
        [
            LOGGED_IN,
            CREATED,
            *[get("reports/50250")] * 4,
            get("documents/amzn1.tortuga.50250"),
            fetched("amzn1.tortuga.50250"),
        ],
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_models_say(amazon: Connector, vendor: AmazonSp, operation: str) -> None:
    run(amazon, operation, CALLS[operation].given)
    assert_sent(vendor.requests(), CALLS[operation].sends)


def test_all_operations_are_called(project: Path) -> None:
    assert set(CALLS) == set(open_spec("amazon_sp", project).spec.operations)


def test_pages_behind_the_first_are_asked_for_by_their_token_alone(amazon: Connector, vendor: AmazonSp) -> None:
    found = list(amazon.reports.list(report_types=[LISTINGS]))
    assert [report["reportId"] for report in found] == [str(number) for number in range(50249, 49999, -1)]
    assert found[0]["createdTime"].isoformat() == "2026-10-01T23:13:20+00:00"
    pages = [dict(exchange.query) for exchange in vendor.requests("GET")]
    assert pages == [{"reportTypes": LISTINGS, "pageSize": "100"}, {"nextToken": "token-1"}, {"nextToken": "token-2"}]


def test_a_token_that_expires_in_mid_list_is_renewed_though_the_status_is_403(
    amazon: Connector, vendor: AmazonSp
) -> None:
    reports = iter(amazon.reports.list(report_types=[LISTINGS]))
    first = next(reports)
    vendor.expire_tokens()
    assert len([first, *reports]) == 250
    assert vendor.issued == ["Atza|access-1", "Atza|access-2"]
    assert [exchange.status for exchange in vendor.requests()] == [200, 200, 403, 200, 200, 200]


@pytest.mark.parametrize(
    ("operation", "given", "burst", "rate"),
    [
        ("reports.list", {"report_types": [LISTINGS], "processing_statuses": ["FATAL"]}, 10, 0.0222),
        ("reports.create", ASKED, 15, 0.0167),
        ("reports.get", {"report_id": "50007"}, 15, 2),
        ("documents.get", {"document_id": "amzn1.tortuga.7"}, 15, 0.0167),
    ],
)
def test_the_usage_plan_of_each_operation_is_kept_and_used(
    amazon: Connector,
    vendor: AmazonSp,
    clock: ManualClock,
    operation: str,
    given: dict[str, Any],
    burst: int,
    rate: float,
) -> None:
    for _ in range(burst + 6):
        run(amazon, operation, given)
    assert {exchange.status for exchange in vendor.requests("reports")} <= {200, 202}
    assert sum(clock.slept) == pytest.approx(6 / rate, rel=0.01)


def test_what_is_refused_for_the_quota_is_sent_again(amazon: Connector, vendor: AmazonSp, clock: ManualClock) -> None:
    vendor.fail(status=429, match="reports", times=2)
    assert amazon.reports.get(report_id="50007")["processingStatus"] == "DONE"
    assert [exchange.status for exchange in vendor.requests("reports")] == [429, 429, 200]
    assert len(clock.slept) == 2


def test_refusals_are_told_in_the_vendors_words(amazon: Connector, vendor: AmazonSp, meet: Meet) -> None:
    with pytest.raises(Rejected, match="Report type GET_NOTHING is not supported") as caught:
        amazon.reports.create(report_type="GET_NOTHING", marketplace_ids=[MARKET])
    assert caught.value.code == "InvalidInput"
    with pytest.raises(ArgumentError, match="report_types"):
        amazon.reports.list()
    for call in (amazon.reports.create, amazon.reports.run):
        for name in ASKED:
            with pytest.raises(ArgumentError, match=name):
                call(**{other: value for other, value in ASKED.items() if other != name})
    vendor.revoked = True
    with pytest.raises(Denied, match="Access to requested resource is denied"):
        amazon.reports.get(report_id="50007")
    assert vendor.issued == ["Atza|access-1"]
    stranger = meet(vendor.url, **{**KEYS, "refresh_token": "Atzr|revoked"})
    with pytest.raises(Denied) as denied:
        stranger.reports.get(report_id="50007")
    assert "Atzr|revoked" not in str(denied.value)


@pytest.mark.parametrize("packed", [True, False])
def test_a_report_is_polled_unpacked_and_read_as_records(
    amazon: Connector, vendor: AmazonSp, clock: ManualClock, packed: bool
) -> None:
    vendor.packed = packed
    assert list(amazon.reports.run(**ASKED)) == LINES
    assert clock.slept.count(30.0) == 3
    assert "dataStartTime" not in vendor.requests("POST .*reports")[0].json()
    assert "x-amz-access-token" not in dict(vendor.requests("GET /amzn1")[0].headers)


def test_a_report_without_data_is_empty_and_one_that_fails_is_an_error(amazon: Connector, vendor: AmazonSp) -> None:
    vendor.ends = "CANCELLED"
    assert list(amazon.reports.run(**ASKED)) == []
    vendor.ends = "FATAL"
    with pytest.raises(Failed, match=r"reports\.get says processingStatus: FATAL"):
        list(amazon.reports.run(**ASKED))
    assert vendor.requests("documents") == []


def test_a_report_that_is_never_done_ends_after_its_hours(amazon: Connector, vendor: AmazonSp) -> None:
    vendor.polls = 10_000
    with pytest.raises(Unavailable, match=r"still says processingStatus: IN_PROGRESS after 14400 s"):
        list(amazon.reports.run(**ASKED))


def test_a_report_in_whose_middle_a_limit_ends_the_run_is_polled_on_by_the_next(
    vendor: AmazonSp, project: Path, parts: Parts, clock: ManualClock
) -> None:
    recipe = project / "recipes" / "stock.yaml"
    recipe.parent.mkdir()
    asked = json.dumps(ASKED)
    recipe.write_text(
        "name: stock\n"
        f"from: {{connector: amazon_sp, operation: reports.run, with: {asked}}}\n"
        "to: {duckdb: seller.duckdb, table: stock, mode: replace}\n"
    )
    carried = attrs.evolve(parts, transport=Carrier(vendor.url))
    vendor.fail(status=429, match="GET /reports", skip=1, headers={"Retry-After": "90000"})
    first = run_recipe(recipe, settings=KEYS, parts=carried, root=project)
    assert isinstance(first.error, LimitReached)
    clock.wind(90_000)
    again = run_recipe(recipe, settings=KEYS, parts=carried, root=project)
    assert str(again.accounts) == "2 read = 2 delivered"
    assert len(vendor.requests("POST /reports")) == 1


def test_a_list_that_broke_off_goes_on_by_its_token(
    vendor: AmazonSp, project: Path, parts: Parts, clock: ManualClock
) -> None:
    recipe = project / "recipes" / "reports.yaml"
    recipe.parent.mkdir()
    recipe.write_text(
        "name: reports\n"
        f"from: {{connector: amazon_sp, operation: reports.list, with: {{report_types: [{LISTINGS}]}}}}\n"
        "to: {duckdb: seller.duckdb, table: reports, mode: merge, key: reportId}\n"
    )
    carried = attrs.evolve(parts, transport=Carrier(vendor.url))
    vendor.fail(status=429, match="GET", skip=2, headers={"Retry-After": "90000"})
    first = run_recipe(recipe, settings=KEYS, parts=carried, root=project)
    assert isinstance(first.error, LimitReached)
    vendor.exchanges.clear()
    clock.wind(90_000)
    again = run_recipe(recipe, settings=KEYS, parts=carried, root=project)
    assert str(again.accounts) == "250 read = 250 delivered"
    assert [exchange.query for exchange in vendor.requests("GET")] == [(("nextToken", "token-2"),)]


@pytest.mark.parametrize("region", ["eu", "fe"])
def test_another_region_is_another_host(vendor: AmazonSp, meet: Meet, region: str) -> None:
    report = meet(vendor.url, server=region, **KEYS).reports.get(report_id="50007")
    assert report["createdTime"].isoformat() == "2026-09-21T21:13:20+00:00"
    hosts = [exchange.header("Host") for exchange in vendor.requests()]
    assert hosts == [LOGIN, f"sellingpartnerapi-{region}.amazon.com"]


def test_a_lost_answer_is_asked_for_again(amazon: Connector, vendor: AmazonSp) -> None:
    vendor.drop(match="GET", times=2)
    assert list(amazon.reports.run(**ASKED)) == LINES
    vendor.drop(match="GET /amzn1")
    assert list(amazon.reports.run(**ASKED)) == LINES


def test_the_command_line_knows_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(f"CONNECTORY_AMAZON_SP_{name.upper()}", value)
    assert "0 faults" in cli("check").output
    shown = cli("show", "amazon_sp", "reports.run", "--output", "json")
    assert shown.exit_code in (0, 2)
    assert json.dumps(CLIENT_SECRET) not in shown.output
