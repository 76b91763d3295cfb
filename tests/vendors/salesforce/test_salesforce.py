"""Salesforce by its spec alone: a host told by the token's answer, queries in pages, and jobs with results by item."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import attrs
import pytest

from connectory import Connector, Denied, LimitReached, Missing, Parts, Rejected, Unavailable
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from connectory.recipes.sync import run_recipe
from vendors.calling import Call, Carrier, Sent, assert_sent, run
from vendors.conftest import Cli, Meet
from vendors.salesforce.server import CLIENT, CLIENT_SECRET, INSTANCE, LOGIN, REFRESH_TOKEN, Salesforce

SETTINGS = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
HEADERS = {"Authorization": "Bearer 00Dx0!session-1", "Host": INSTANCE}


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Salesforce]:
    with Salesforce(clock=clock) as running:
        running.add_accounts(3)
        yield running


@pytest.fixture
def salesforce(vendor: Salesforce, meet: Meet) -> Connector:
    return meet(vendor.url, **SETTINGS)


def sent(line: str, body: object = None, **headers: str) -> Sent:
    method, _, rest = line.partition(" ")
    return Sent(f"{method} /services/data/v62.0/{rest}", body, headers={**HEADERS, **headers})


ALL = "SELECT Id, Name, SystemModstamp FROM Account"
JOB = "7505e" + "0" * 13
NEW = {"attributes": {"type": "Account"}, "Name": "New", "Key__c": "n1"}
ROWS = [{"Key__c": "k0", "Name": "Changed, again"}]
ASKED = {"object": "Account", "operation": "upsert", "externalIdFieldName": "Key__c"}
MADE = {**ASKED, "contentType": "CSV", "lineEnding": "LF"}
CSV = 'Key__c,Name\nk0,"Changed, again"\n'
CLOSED = {"state": "UploadComplete"}
CALLS = {
    "limits.get": Call({}, [sent("GET limits")]),
    "accounts.list": Call({}, [sent(f"GET query?q={ALL}")]),
    "records.create_many": Call(
        {"records": [NEW]}, [sent("POST composite/sobjects", {"allOrNone": False, "records": [NEW]})]
    ),
    "records.upsert_many": Call(
        {"object": "Account", "external_id": "Key__c", "records": [NEW]},
        [sent("PATCH composite/sobjects/Account/Key__c", {"allOrNone": False, "records": [NEW]})],
    ),
    "jobs.create": Call({"object": "Account", "external_id_field_name": "Key__c"}, [sent("POST jobs/ingest", MADE)]),
    "jobs.put_data": Call({"id": JOB, "body": ROWS}, [sent(f"PUT jobs/ingest/{JOB}/batches", CSV)]),
    "jobs.close": Call({"id": JOB}, [sent(f"PATCH jobs/ingest/{JOB}", CLOSED)]),
    "jobs.get": Call({"id": JOB}, [sent(f"GET jobs/ingest/{JOB}")]),
    "jobs.successes": Call({"id": JOB}, [sent(f"GET jobs/ingest/{JOB}/successfulResults")]),
    "jobs.failures": Call({"id": JOB}, [sent(f"GET jobs/ingest/{JOB}/failedResults")]),
    "bulk.upsert": Call(
        {"object": "Account", "external_id": "Key__c", "rows": ROWS},
        [
            sent("POST jobs/ingest", MADE),
            sent(f"PUT jobs/ingest/{JOB}/batches", CSV, **{"Content-Type": ANY}),
            sent(f"PATCH jobs/ingest/{JOB}", CLOSED),
            *[sent(f"GET jobs/ingest/{JOB}")] * 4,
            sent(f"GET jobs/ingest/{JOB}/successfulResults"),
            sent(f"GET jobs/ingest/{JOB}/failedResults"),
        ],
    ),
}
READY = ["jobs.create", "jobs.put_data", "jobs.close", *["jobs.get"] * 4]


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_guide_says(salesforce: Connector, vendor: Salesforce, operation: str) -> None:
    for each in READY[: (*READY, operation).index(operation)] if operation.startswith("jobs.") else ():
        run(salesforce, each, CALLS[each].given)
    salesforce.limits.get()
    vendor.exchanges.clear()
    run(salesforce, operation, CALLS[operation].given)
    assert_sent(vendor.requests(), CALLS[operation].sends)


def test_all_operations_are_called(project: Path) -> None:
    assert set(CALLS) == set(open_spec("salesforce", project).spec.operations)


def test_the_tokens_answer_tells_the_host(salesforce: Connector, vendor: Salesforce) -> None:
    assert salesforce.limits.get()["DailyApiRequests"]["Remaining"] == 99998
    assert [exchange.header("Host") for exchange in vendor.requests()] == [LOGIN, INSTANCE]


def test_a_query_of_three_pages_and_a_session_that_expires_in_its_middle(
    salesforce: Connector, vendor: Salesforce
) -> None:
    vendor.add_accounts(4500)
    accounts = salesforce.accounts.list()
    rows = iter(accounts)
    first = next(rows)
    vendor.expire_tokens()
    found = [first, *rows]
    assert [exchange.status for exchange in vendor.requests("/query")] == [200, 401, 200, 200]
    assert accounts.total == len({one["Id"] for one in found}) == len(found) == 4503
    assert found[0]["SystemModstamp"].isoformat() == "2026-09-21T14:13:20+00:00"
    assert len(vendor.issued) == 2


def test_the_days_calls_used_up_are_waited_for_or_told(
    salesforce: Connector, vendor: Salesforce, clock: ManualClock
) -> None:
    vendor.over_limit = 1
    assert len(list(salesforce.accounts.list())) == 3
    assert [exchange.status for exchange in vendor.requests("/query")] == [403, 200]
    assert clock.slept
    vendor.over_limit = 1000
    with pytest.raises(LimitReached, match=r"TotalRequests Limit exceeded\.\); come back at"):
        list(salesforce.accounts.list())


def test_each_record_of_a_collection_has_its_own_result(salesforce: Connector, vendor: Salesforce) -> None:
    given = [{"attributes": {"type": "Account"}, "Name": f"N{number}"} for number in range(450)]
    given[201]["Name"] = ""
    delivery = salesforce.records.create_many(given)
    assert str(delivery.accounts) == "450 read = 449 delivered + 1 rejected"
    (refused,) = delivery.rejected
    assert (refused.row, refused.code, refused.words) == (
        202,
        "REQUIRED_FIELD_MISSING",
        "Required fields are missing: [Name]",
    )
    assert [len(exchange.json()["records"]) for exchange in vendor.requests("POST /services/data")] == [200, 200, 50]


def test_a_job_tells_what_became_of_each_row(salesforce: Connector, vendor: Salesforce, clock: ManualClock) -> None:
    rows = [{"Key__c": f"k{number}", "Name": f'Quoted "{number}", Ltd' if number != 2 else ""} for number in range(5)]
    delivery = salesforce.bulk.upsert(rows, object="Account", external_id="Key__c")
    assert str(delivery.accounts) == "5 read = 4 delivered + 1 rejected"
    (refused,) = delivery.rejected
    assert (refused.item["Key__c"], "Required fields are missing: [Name]" in refused.words) == ("k2", True)
    assert vendor.accounts[1]["Name"] == 'Quoted "1", Ltd'
    assert (len(vendor.accounts), clock.slept.count(10.0)) == (5, 3)


@pytest.mark.parametrize("end", ["Failed", "Aborted"])
def test_of_a_job_that_failed_nobody_knows(salesforce: Connector, vendor: Salesforce, end: str) -> None:
    vendor.jobs_end = end
    delivery = salesforce.bulk.upsert(ROWS, object="Account", external_id="Key__c")
    assert str(delivery.accounts) == "1 read = 0 delivered + 1 unknown"
    assert f"jobs.get says state: {end}" in delivery.unknown[0].words
    assert not vendor.requests("Results")


def test_refusals_are_told_in_the_vendors_words(salesforce: Connector, vendor: Salesforce, meet: Meet) -> None:
    with pytest.raises(Rejected, match="unexpected token: SELECT") as caught:
        list(salesforce.accounts.list(q="SELECT"))
    assert caught.value.code == "MALFORMED_QUERY"
    with pytest.raises(Missing, match="The requested resource does not exist"):
        salesforce.jobs.get(id="7505e9")
    with pytest.raises(Denied, match="expired access/refresh token") as denied:
        meet(vendor.url, **{**SETTINGS, "refresh_token": "taken-away"}).limits.get()
    assert "taken-away" not in str(denied.value)


def test_what_changed_since_is_asked_for_in_the_vendors_language(
    vendor: Salesforce, project: Path, parts: Parts
) -> None:
    recipe = project / "recipes" / "accounts.yaml"
    recipe.parent.mkdir()
    recipe.write_text(
        "name: accounts\n"
        "from: {connector: salesforce, operation: accounts.list, since: SystemModstamp}\n"
        "to: {duckdb: crm.duckdb, table: accounts, mode: merge, key: Id}\n"
    )
    carried = attrs.evolve(parts, transport=Carrier(vendor.url))
    first = run_recipe(recipe, settings=SETTINGS, parts=carried, root=project)
    assert str(first.accounts) == "3 read = 3 delivered"
    vendor.accounts[0] |= {"Name": "Renamed", "SystemModstamp": vendor.accounts[2]["SystemModstamp"]}
    again = run_recipe(recipe, settings=SETTINGS, parts=carried, root=project)
    assert str(again.accounts) == "2 read = 1 delivered + 1 unchanged"
    asked = vendor.requests("/query")[-1].argument("q")
    assert asked == f"{ALL} WHERE SystemModstamp >= 2026-09-21T14:13:22Z ORDER BY SystemModstamp"


def test_an_organisations_own_objects_become_operations(vendor: Salesforce, meet: Meet, project: Path) -> None:
    vendor.custom["Invoice__c"] = ["Amount__c"]
    found = meet(vendor.url, **SETTINGS).discover()
    assert found.added == ("Invoice__c",)
    salesforce = meet(vendor.url, **SETTINGS)
    assert list(salesforce.invoice__c.list()) == []
    asked = vendor.requests("/query")[-1].argument("q")
    assert asked == "SELECT Id, Name, SystemModstamp, Amount__c FROM Invoice__c"
    vendor.custom["Invoice__c"].append("Vat__c")
    assert "changed: Invoice__c" in str(meet(vendor.url, **SETTINGS).discover())
    kept = project / ".connectory" / "discovered" / "salesforce.json"
    before = kept.read_bytes()
    vendor.fail(times=99, status=503)
    with pytest.raises(Unavailable, match="stay in use"):
        salesforce.discover()
    assert kept.read_bytes() == before


def test_the_command_line_checks_it(cli: Cli) -> None:
    assert "0 faults" in cli("check").output
