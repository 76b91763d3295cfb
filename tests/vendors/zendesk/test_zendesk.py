"""Zendesk by its spec alone: three ways to log in, exports behind a cursor, and writes by jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import ANY

import attrs
import duckdb
import pytest

from connectory import Connector, Denied, LimitReached, Parts, Rejected, SpecError
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from connectory.recipes.sync import run_recipe
from vendors.calling import Call, Carrier, Sent, assert_sent, run
from vendors.conftest import Cli, Meet
from vendors.zendesk.server import ACCESS_TOKEN, API_TOKEN, CLIENT, CLIENT_SECRET, EMAIL, Zendesk, changed_at

HOST = {"Host": "acme.zendesk.com"}
BASIC = {"Authorization": "Basic amRvZUBleGFtcGxlLmNvbS90b2tlbjo2d2lJQldiR2tCTW8xbVJETXVWd2t3MUVQc05rZVVqOTVQSXoyYWt2"}
START = "2026-01-01T00:00:00Z"


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Zendesk]:
    with Zendesk(clock=clock) as running:
        running.add_users(250)
        running.add_tickets(2500, before=clock.now())
        yield running


@pytest.fixture
def zendesk(vendor: Zendesk, meet: Meet) -> Connector:
    return meet(vendor.url, subdomain="acme", email=EMAIL, api_token=API_TOKEN)


def sent(line: str, body: object = None, **headers: str) -> Sent:
    method, _, path = line.partition(" ")
    return Sent(f"{method} /api/v2{path}", body, headers={**HOST, **BASIC, **headers})


JOB = f"{1:032x}"
CHANGE = {"id": 35001, "status": "solved"}
CALLS = {
    "users.me": Call({}, [sent("GET /users/me")]),
    "users.list": Call({"role": "agent"}, [sent("GET /users?role=agent&page[size]=100")]),
    "tickets.export": Call(
        {"start_time": "2026-12-31T23:59:59Z", "exclude_deleted": True},
        [sent("GET /incremental/tickets/cursor?start_time=1798761599&exclude_deleted=true&per_page=1000")] + [ANY] * 2,
    ),
    "tickets.create": Call(
        {"ticket": {"subject": "Hello", "comment": {"body": "The smoke is very colorful."}}},
        [sent("POST /tickets", {"ticket": {"subject": "Hello", "comment": {"body": "The smoke is very colorful."}}})],
    ),
    "tickets.start_update_many": Call({"tickets": [CHANGE]}, [sent("PUT /tickets/update_many", {"tickets": [CHANGE]})]),
    "job_statuses.get": Call({"id": JOB}, [sent(f"GET /job_statuses/{JOB}")]),
    "tickets.update_many": Call(
        {"tickets": [CHANGE]},
        [sent("PUT /tickets/update_many", {"tickets": [CHANGE]})] + [sent(f"GET /job_statuses/{JOB}")] * 4,
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_reference_says(zendesk: Connector, vendor: Zendesk, operation: str) -> None:
    if operation == "job_statuses.get":
        zendesk.tickets.start_update_many(tickets=[CHANGE])
        vendor.exchanges.clear()
    run(zendesk, operation, CALLS[operation].given)
    wanted = [one for one in CALLS[operation].sends if one is not ANY]
    assert_sent(vendor.requests()[: len(wanted)], wanted)
    assert len(vendor.requests()) == len(CALLS[operation].sends)


def test_all_operations_are_called(project: Path) -> None:
    assert set(CALLS) == set(open_spec("zendesk", project).spec.operations)


def test_a_job_may_be_started_and_looked_at_by_hand(zendesk: Connector) -> None:
    assert zendesk.tickets.start_update_many(tickets=[CHANGE])["job_status"]["id"] == JOB
    assert zendesk.job_statuses.get(id=JOB)["status"] == "queued"


def test_a_list_goes_on_while_there_is_more(zendesk: Connector, vendor: Zendesk) -> None:
    assert [user["id"] for user in zendesk.users.list()] == list(range(900, 1150))
    assert len(vendor.requests("GET /api/v2/users")) == 3


def test_an_export_ends_with_the_stream_and_keeps_to_ten_a_minute(
    zendesk: Connector, vendor: Zendesk, clock: ManualClock
) -> None:
    vendor.tickets[35003]["status"] = "deleted"
    tickets = []
    for _ in range(4):
        tickets = list(zendesk.tickets.export(start_time=START))
        assert [ticket["id"] for ticket in tickets] == list(range(35000, 37500))
    assert tickets[0]["updated_at"].isoformat() == "2027-01-15T07:17:19+00:00"
    assert {exchange.status for exchange in vendor.requests()} == {200}
    assert len(vendor.requests()) == 12
    assert sum(clock.slept) >= 59


def test_a_token_that_expires_in_mid_list_is_asked_for_anew(vendor: Zendesk, meet: Meet) -> None:
    zendesk = meet(vendor.url, subdomain="acme", client_id=CLIENT, client_secret=CLIENT_SECRET)
    users = iter(zendesk.users.list())
    first = next(users)
    vendor.expire_tokens()
    assert [first["id"], *(user["id"] for user in users)] == list(range(900, 1150))
    assert vendor.issued == ["oauth-1", "oauth-2"]
    assert [exchange.status for exchange in vendor.requests()] == [200, 200, 401, 200, 200, 200]
    assert vendor.requests("oauth")[0].json()["scope"] == "read write"


def test_a_token_given_out_by_hand_is_sent_as_it_is(vendor: Zendesk, meet: Meet) -> None:
    assert meet(vendor.url, subdomain="acme", access_token=ACCESS_TOKEN).users.me()["id"] == 900
    with pytest.raises(Denied, match="expired, revoked, malformed") as caught:
        meet(vendor.url, subdomain="acme", access_token="revoked-token").users.me()
    assert (caught.value.code, "revoked-token" in str(caught.value)) == ("invalid_token", False)
    with pytest.raises(Denied, match="Couldn't authenticate you"):
        meet(vendor.url, subdomain="acme", email=EMAIL, api_token="another").users.me()


def test_what_is_refused_for_the_rate_or_the_moment_is_sent_again(
    zendesk: Connector, vendor: Zendesk, clock: ManualClock
) -> None:
    vendor.throttled, vendor.unavailable = 1, 1
    assert len(list(zendesk.users.list())) == 250
    assert [exchange.status for exchange in vendor.requests()] == [429, 503, 200, 200, 200]
    assert sum(clock.slept) >= 18


def test_a_ticket_whose_answer_is_lost_is_made_once(zendesk: Connector, vendor: Zendesk) -> None:
    vendor.conflicts = 1
    vendor.drop(match="POST", after_applying=True, skip=1)
    ticket = zendesk.tickets.create(ticket={"subject": "Once", "comment": {"body": "Hello"}})
    assert [one["id"] for one in vendor.tickets.values() if one["subject"] == "Once"] == [ticket["id"]]
    assert ticket["updated_at"].timestamp() == pytest.approx(vendor.clock.now(), abs=60)
    assert len({exchange.header("Idempotency-Key") for exchange in vendor.requests("POST")}) == 1
    assert [exchange.status for exchange in vendor.requests("POST")] == [409, 0, 201]


def test_a_refusal_tells_the_field(zendesk: Connector, vendor: Zendesk) -> None:
    with pytest.raises(
        Rejected, match="Record validation errors; base: Description: cannot be blank; BlankValue"
    ) as caught:
        zendesk.tickets.create(ticket={"subject": "No comment"})
    assert (caught.value.code, caught.value.status) == ("RecordInvalid", 422)
    with pytest.raises(Rejected, match="Too recent start_time"):
        list(zendesk.tickets.export(start_time="2027-01-15T08:00:00Z"))
    vendor.forbidden = True
    with pytest.raises(Denied, match="You do not have access to this page") as denied:
        zendesk.users.me()
    assert denied.value.code == "Forbidden"


def test_changes_are_sent_as_jobs_whose_results_tell_each_ticket(
    zendesk: Connector, vendor: Zendesk, clock: ManualClock
) -> None:
    vendor.tickets[35005]["status"] = "closed"
    changes = [{"id": id, "status": "solved"} for id in range(35000, 35249)] + [{"id": 1, "status": "solved"}]
    delivery = zendesk.tickets.update_many(changes)
    assert str(delivery.accounts) == "250 read = 248 delivered + 2 rejected"
    assert [(one.item["id"], one.code, one.words) for one in delivery.rejected] == [
        (35005, "TicketUpdateFailed", "Status: closed prevents ticket update"),
        (1, "TicketNotFound", "Ticket does not exist"),
    ]
    assert [one.id for one in delivery.rejected] == [35005, 1]
    assert [len(exchange.json()["tickets"]) for exchange in vendor.requests("update_many")] == [100, 100, 50]
    assert len(vendor.requests("job_statuses")) == 12
    assert clock.slept.count(2.0) == 9
    assert sum(ticket["status"] == "solved" for ticket in vendor.tickets.values()) == 248


@pytest.mark.parametrize("end", ["failed", "killed"])
def test_of_a_job_that_failed_nobody_knows(zendesk: Connector, vendor: Zendesk, end: str) -> None:
    vendor.jobs_end = end
    delivery = zendesk.tickets.update_many([CHANGE])
    assert str(delivery.accounts) == "1 read = 0 delivered + 1 unknown"
    assert f"job_statuses.get says job_status.status: {end}" in delivery.unknown[0].words


def test_a_lost_answer_is_asked_for_again(zendesk: Connector, vendor: Zendesk) -> None:
    vendor.drop(match="PUT", after_applying=True)
    assert str(zendesk.tickets.update_many([CHANGE]).accounts) == "1 read = 1 delivered"
    vendor.drop(match="GET", times=2)
    assert zendesk.users.me()["id"] == 900
    vendor.drop(match="GET", skip=1)
    assert len(list(zendesk.tickets.export(start_time=START))) == 2500


def test_a_full_queue_of_jobs_is_waited_for(zendesk: Connector, vendor: Zendesk) -> None:
    vendor.queued_elsewhere = 32
    assert str(zendesk.tickets.update_many([CHANGE]).accounts) == "1 read = 1 delivered"
    assert [exchange.status for exchange in vendor.requests("update_many")] == [429, 429, 429, 200]


def test_what_changed_since_comes_into_a_table(vendor: Zendesk, project: Path, parts: Parts) -> None:
    recipe = project / "recipes" / "tickets.yaml"
    recipe.parent.mkdir()
    recipe.write_text(
        "name: tickets\n"
        f"from: {{connector: zendesk, operation: tickets.export, since: updated_at, with: {{start_time: '{START}'}}}}\n"
        "to: {duckdb: desk.duckdb, table: tickets, mode: merge, key: id}\n"
    )
    carried = attrs.evolve(parts, transport=Carrier(vendor.url))
    settings = {"subdomain": "acme", "email": EMAIL, "api_token": API_TOKEN}
    first = run_recipe(recipe, settings=settings, parts=carried, root=project)
    assert str(first.accounts) == "2,500 read = 2,500 delivered"
    assert vendor.requests()[0].argument("start_time") == "1767225600"
    vendor.tickets[35000] |= {"status": "hold", "updated_at": vendor.tickets[37499]["updated_at"]}
    again = run_recipe(recipe, settings=settings, parts=carried, root=project)
    assert str(again.accounts) == "2 read = 1 delivered + 1 unchanged"
    assert vendor.requests()[-1].argument("start_time") == str(int(changed_at(vendor.tickets[37499])))
    recipe.write_text(recipe.read_text().replace(f", with: {{start_time: '{START}'}}", ""))
    with pytest.raises(SpecError, match=r"tickets\.export: 'start_time' is required"):
        run_recipe(recipe, settings=settings, parts=carried, root=project)
    with duckdb.connect(str(project / "desk.duckdb"), read_only=True) as database:
        assert database.execute("select count(*), count(*) filter (status = 'hold') from tickets").fetchone() == (
            2500,
            1,
        )


def test_a_job_in_whose_middle_a_limit_ends_the_run_is_polled_on_by_the_next(
    vendor: Zendesk, project: Path, parts: Parts, clock: ManualClock
) -> None:
    recipe = project / "recipes" / "changes.yaml"
    recipe.parent.mkdir()
    recipe.write_text(
        "name: changes\n"
        "from: {files: changes.jsonl}\n"
        "to: {connector: zendesk, operation: tickets.update_many, key: id}\n"
    )
    (project / "changes.jsonl").write_text(json.dumps(CHANGE))
    carried = attrs.evolve(parts, transport=Carrier(vendor.url))
    settings = {"subdomain": "acme", "email": EMAIL, "api_token": API_TOKEN}
    vendor.fail(status=429, match="job_statuses", skip=1, headers={"Retry-After": "90000"})
    first = run_recipe(recipe, settings=settings, parts=carried, root=project)
    assert isinstance(first.error, LimitReached)
    clock.wind(90_000)
    again = run_recipe(recipe, settings=settings, parts=carried, root=project)
    assert str(again.accounts) == "1 read = 1 delivered"
    assert len(vendor.requests("update_many")) == 1


def test_the_command_line_calls_it(vendor: Zendesk, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"SERVER": f"{vendor.url}/api/v2", "SUBDOMAIN": "acme", "EMAIL": EMAIL, "API_TOKEN": API_TOKEN}
    for name, value in settings.items():
        monkeypatch.setenv(f"CONNECTORY_ZENDESK_{name}", value)
    assert "0 faults" in cli("check").output
    shown = cli("call", "zendesk", "users.list", "--limit", "2", "--output", "jsonl").stdout.splitlines()
    assert [json.loads(line)["id"] for line in shown] == [900, 901]
