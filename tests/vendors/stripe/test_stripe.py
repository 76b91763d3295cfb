"""Stripe by its spec alone: forms with brackets, lists behind their last record, keys that make writes repeatable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import attrs
import duckdb
import pytest

from connectory import Connector, Denied, Failed, Missing, Parts, Rejected
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from connectory.recipes.sync import run_recipe
from emulators.exchange import Exchange
from emulators.multipart import parts_of
from vendors.calling import Call, Carrier, Sent, assert_sent, run
from vendors.conftest import Cli, Meet
from vendors.stripe.server import CSV, DECLINED, KEY, Stripe

HEADERS = {"Authorization": f"Bearer {KEY}", "Stripe-Version": "2024-06-20", "Host": "api.stripe.com"}
FORM = {**HEADERS, "Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Stripe]:
    with Stripe(clock=clock) as running:
        running.add_customers(250)
        yield running


@pytest.fixture
def stripe(vendor: Stripe, meet: Meet) -> Connector:
    return meet(vendor.url, api_key=KEY)


def get(line: str, **headers: str) -> Sent:
    return Sent(f"GET /v1/{line}", headers={**HEADERS, **headers})


def post(line: str, body: str) -> Sent:
    return Sent(f"POST /v1/{line}", body.replace("[", "%5B").replace("]", "%5D").replace("@", "%40"), headers=FORM)


CALLS = {
    "customers.list": Call(
        {
            "email": "c7@shop.example",
            "created": {"gte": "2026-01-01T00:00:00Z"},
            "expand": ["data.sources", "data.tax"],
        },
        [
            get(
                "customers?email=c7@shop.example&created[gte]=1767225600"
                "&expand[0]=data.sources&expand[1]=data.tax&limit=100"
            )
        ],
    ),
    "customers.get": Call({"id": "cus_0001"}, [get("customers/cus_0001")]),
    "customers.create": Call(
        {"body": {"email": "a@b.example", "address": {"city": "Delft"}, "metadata": {"order": "6735"}}},
        [post("customers", "email=a@b.example&address[city]=Delft&metadata[order]=6735")],
    ),
    "customers.update": Call({"id": "cus_0001", "body": {"name": "Ada"}}, [post("customers/cus_0001", "name=Ada")]),
    "customers.delete": Call({"id": "cus_0001"}, [Sent("DELETE /v1/customers/cus_0001", headers=HEADERS)]),
    "payment_intents.create": Call(
        {"amount": 2000, "currency": "eur", "automatic_payment_methods": {"enabled": True}},
        [post("payment_intents", "amount=2000&currency=eur&automatic_payment_methods[enabled]=true")],
    ),
    "report_runs.create": Call(
        {
            "report_type": "balance.summary.1",
            "parameters": {"interval_end": "2026-02-01T00:00:00Z", "columns": ["net"]},
        },
        [
            post(
                "reporting/report_runs",
                "report_type=balance.summary.1&parameters[interval_end]=1769904000&parameters[columns][0]=net",
            )
        ],
    ),
    "report_runs.get": Call({"id": "frr_0"}, [get("reporting/report_runs/frr_0")]),
    "files.contents": Call(
        {"id": "file_0"}, [get("files/file_0/contents", Host="files.stripe.com", Accept="text/csv, */*")]
    ),
    "reports.run": Call(
        {"report_type": "balance.summary.1"},
        [
            post("reporting/report_runs", "report_type=balance.summary.1"),
            *[get("reporting/report_runs/frr_1")] * 4,
            get("files/file_1/contents", Host="files.stripe.com"),
        ],
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_reference_says(stripe: Connector, vendor: Stripe, operation: str) -> None:
    vendor.runs["frr_0"] = {"id": "frr_0", "status": "failed", "left": 0}
    vendor.files["file_0"] = ("finance_report_run", CSV)
    call = CALLS[operation]
    run(stripe, operation, call.given)
    assert_sent(vendor.requests(), call.sends)


def test_a_file_is_uploaded_in_parts(stripe: Connector, vendor: Stripe, tmp_path: Path) -> None:
    file = tmp_path / "evidence.pdf"
    file.write_bytes(b"%PDF\x00\xff")
    assert stripe.files.upload(purpose="dispute_evidence", file=file)["id"] == "file_0"
    (sent,) = vendor.requests()
    parts = parts_of(sent.header("Content-Type") or "", sent.body)
    assert [(part.name, part.filename, part.content) for part in parts] == [
        ("purpose", "", b"dispute_evidence"),
        ("file", "evidence.pdf", b"%PDF\x00\xff"),
    ]
    assert set(CALLS) | {"files.upload"} == set(open_spec("stripe", tmp_path).spec.operations)


def keys(exchanges: list[Exchange]) -> list[str | None]:
    return [exchange.header("Idempotency-Key") for exchange in exchanges]


def test_a_list_goes_on_behind_its_last_record(stripe: Connector, vendor: Stripe) -> None:
    found = list(stripe.customers.list())
    assert [one["id"] for one in found] == [f"cus_{number:04}" for number in range(250, 0, -1)]
    assert found[0]["created"].isoformat() == "2026-09-21T18:22:20+00:00"
    assert [exchange.argument("starting_after") for exchange in vendor.requests()] == [None, "cus_0151", "cus_0051"]
    assert keys(vendor.requests()) == [None] * 3


def test_what_is_refused_for_the_rate_or_a_lock_is_sent_again(
    stripe: Connector, vendor: Stripe, clock: ManualClock
) -> None:
    vendor.throttled, vendor.locked = 2, 1
    assert len(list(stripe.customers.list())) == 250
    assert [exchange.status for exchange in vendor.requests()] == [429, 429, 429, 200, 200, 200]
    assert len(clock.slept) == 3


def test_a_key_that_expires_in_mid_list_ends_it_with_the_vendors_words(stripe: Connector, vendor: Stripe) -> None:
    records = iter(stripe.customers.list())
    first = [next(records)["id"] for _ in range(100)]
    vendor.key_expired = True
    with pytest.raises(Denied, match="Expired API Key provided") as caught:
        first += [one["id"] for one in records]
    assert (caught.value.code, len(set(first))) == ("api_key_expired", len(first))
    assert KEY not in str(caught.value)


def test_a_write_whose_answer_is_lost_is_done_once(stripe: Connector, vendor: Stripe) -> None:
    vendor.drop(match="POST", after_applying=True)
    vendor.fail(status=500, match="POST", headers={"Stripe-Should-Retry": "true"})
    made = stripe.customers.create(body={"email": "once@shop.example"})
    assert [one["id"] for one in vendor.customers if one["email"] == "once@shop.example"] == [made["id"]]
    sent = vendor.requests("POST")
    assert len(sent) == 3
    assert len(set(keys(sent))) == 1
    stripe.customers.create(body={"email": "twice@shop.example"})
    assert len(set(keys(vendor.requests("POST")))) == 2


def test_what_the_vendor_will_never_take_is_not_sent_again(stripe: Connector, vendor: Stripe) -> None:
    vendor.fail(status=500, match="POST", headers={"Stripe-Should-Retry": "false"})
    with pytest.raises(Failed):
        stripe.customers.create(body={"email": "a@b.example"})
    assert len(vendor.requests()) == 1


def test_refusals_name_the_parameter_and_the_code(stripe: Connector) -> None:
    with pytest.raises(Rejected, match="email: Invalid email address: nobody") as caught:
        stripe.customers.create(body={"email": "nobody"})
    assert caught.value.code == "email_invalid"
    with pytest.raises(Rejected, match=r"Your card was declined\.") as caught:
        stripe.payment_intents.create(amount=100, currency="eur", payment_method=DECLINED, confirm=True)
    assert (caught.value.code, caught.value.status) == ("card_declined", 402)
    with pytest.raises(Missing, match="id: No such customer: 'cus_9'"):
        stripe.customers.get(id="cus_9")


def test_a_report_is_polled_until_it_is_there_or_has_failed(
    stripe: Connector, vendor: Stripe, clock: ManualClock
) -> None:
    report = {"report_type": "balance_change_from_activity.itemized.1"}
    assert list(stripe.reports.run(**report)) == [
        {"created": "2026-01-01 00:00:00", "reporting_category": "charge", "net": "9.71"},
        {"created": "2026-01-02 00:00:00", "reporting_category": "refund", "net": "-10.00"},
    ]
    assert (len(vendor.requests("GET .*report_runs")), clock.slept.count(30.0)) == (4, 3)
    vendor.reports_fail = True
    with pytest.raises(Failed, match=r"report_runs\.get says status: failed"):
        list(stripe.reports.run(**report))
    assert len(vendor.requests("contents")) == 1


def test_what_is_new_comes_into_a_table(vendor: Stripe, project: Path, parts: Parts) -> None:
    recipe = project / "recipes" / "customers.yaml"
    recipe.parent.mkdir()
    recipe.write_text(
        "name: customers\n"
        "from: {connector: stripe, operation: customers.list, since: created}\n"
        "to: {duckdb: shop.duckdb, table: customers, mode: merge, key: id}\n"
    )
    carried = attrs.evolve(parts, transport=Carrier(vendor.url))
    first = run_recipe(recipe, settings={"api_key": KEY}, parts=carried, root=project)
    assert str(first.accounts) == "250 read = 250 delivered"
    vendor.customers.insert(0, {**vendor.customers[0], "id": "cus_new", "created": 1_800_000_000, "address": None})
    again = run_recipe(recipe, settings={"api_key": KEY}, parts=carried, root=project)
    assert str(again.accounts) == "2 read = 1 delivered + 1 unchanged"
    assert vendor.requests()[-1].argument("created[gte]") == str(1_790_000_000 + 60 * 249)
    with duckdb.connect(str(project / "shop.duckdb"), read_only=True) as database:
        table = database.execute("select count(*), epoch(max(created)) from customers").fetchone()
    assert table == (251, 1_800_000_000)


def test_the_command_line_calls_it(vendor: Stripe, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTORY_STRIPE_SERVER", f"{vendor.url}/v1")
    monkeypatch.setenv("CONNECTORY_STRIPE_API_KEY", KEY)
    monkeypatch.setenv("CONNECTORY_STRIPE_ACCOUNT", "acct_1")
    assert "0 faults" in cli("check").output
    shown = cli("call", "stripe", "customers.list", "--limit", "2", "--output", "jsonl").stdout.splitlines()
    assert [json.loads(line)["id"] for line in shown] == ["cus_0250", "cus_0249"]
    refused = cli("call", "stripe", "customers.create", "--data", '{"email": "nobody"}')
    assert (refused.exit_code, "email: Invalid email address: nobody" in refused.output) == (1, True)
    assert {exchange.header("Stripe-Account") for exchange in vendor.requests()} == {"acct_1"}
