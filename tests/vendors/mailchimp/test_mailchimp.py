"""Mailchimp by its spec alone: a host inside of the key, members in batches, a list of errors beside what was taken."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectory import Connector, Denied, Exists, Missing, Rejected
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from vendors.calling import Call, Sent, assert_sent, run
from vendors.conftest import Cli, Meet
from vendors.mailchimp.server import KEY, Mailchimp

LOGIN = f"Basic {base64.b64encode(f'any:{KEY}'.encode()).decode()}"
HEADERS = {"Authorization": LOGIN, "Host": "us6.api.mailchimp.com"}
NEW = {"email_address": "new@x.example", "status": "subscribed", "merge_fields": {"FNAME": "Ada"}}


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Mailchimp]:
    with Mailchimp(clock=clock, lists={"l1": [], "l2": []}) as running:
        running.add_members("l1", 2)
        yield running


@pytest.fixture
def mailchimp(vendor: Mailchimp, meet: Meet) -> Connector:
    return meet(vendor.url, api_key=KEY)


def sent(line: str, body: object = None) -> Sent:
    method, _, rest = line.partition(" ")
    return Sent(f"{method} /3.0/{rest}", body, headers=HEADERS)


JOB = [{"method": "POST", "path": "/lists/l1/members", "body": "{}"}]
CALLS = {
    "ping.get": Call({}, [sent("GET ping")]),
    "lists.list": Call({}, [sent("GET lists?offset=0&count=1000")]),
    "members.list": Call(
        {"list_id": "l1", "since_last_changed": "2026-01-01T00:00:00Z", "status": "subscribed"},
        [sent("GET lists/l1/members?since_last_changed=2026-01-01T00:00:00Z&status=subscribed&offset=0&count=1000")],
    ),
    "members.create": Call({"list_id": "l2", "body": NEW}, [sent("POST lists/l2/members", NEW)]),
    "members.upsert_many": Call(
        {"list_id": "l2", "members": [NEW]}, [sent("POST lists/l2", {"members": [NEW], "update_existing": True})]
    ),
    "batches.create": Call({"operations": JOB}, [sent("POST batches", {"operations": JOB})]),
    "batches.get": Call({"batch_id": "b0"}, [sent("GET batches/b0")]),
    "batches.run": Call(
        {"operations": JOB}, [sent("POST batches", {"operations": JOB}), *[sent("GET batches/b1")] * 4]
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_reference_says(
    mailchimp: Connector, vendor: Mailchimp, operation: str, tmp_path: Path
) -> None:
    vendor.batches["b0"] = {"id": "b0", "status": "pending", "total_operations": 1, "left": 0}
    run(mailchimp, operation, CALLS[operation].given)
    assert_sent(vendor.requests(), CALLS[operation].sends)
    assert set(CALLS) == set(open_spec("mailchimp", tmp_path).spec.operations)


def test_a_list_of_three_pages_and_its_total(mailchimp: Connector, vendor: Mailchimp) -> None:
    vendor.add_members("l1", 2005)
    members = mailchimp.members.list(list_id="l1")
    assert len({one["id"] for one in members}) == members.total == 2005
    assert [exchange.argument("offset") for exchange in vendor.requests()][:3] == ["0", "1000", "2000"]


def test_members_of_every_list(mailchimp: Connector, vendor: Mailchimp) -> None:
    vendor.add_members("l2", 3)
    assert [one["list_id"] for one in mailchimp.members.list(parents=True)] == ["l1"] * 2 + ["l2"] * 3


def test_what_comes_with_ten_others_is_sent_again(mailchimp: Connector, vendor: Mailchimp, clock: ManualClock) -> None:
    vendor.busy = 2
    assert len(list(mailchimp.lists.list())) == 2
    assert ([exchange.status for exchange in vendor.requests()], len(clock.slept)) == ([429, 429, 200], 2)


def test_each_member_of_a_batch_has_its_own_result(mailchimp: Connector, vendor: Mailchimp) -> None:
    given = [{"email_address": f"m{number}@x.example", "status": "pending"} for number in range(1100)]
    given[3]["email_address"] = "nobody"
    delivery = mailchimp.members.upsert_many(given, list_id="l1")
    assert len(vendor.requests("POST")) == 3
    assert len(vendor.lists["l1"]) == 1099
    (refused,) = delivery.problems
    assert (refused.row, refused.word, refused.item) == (4, "rejected", given[3])
    assert "Please provide a valid email address." in refused.words
    again = mailchimp.members.upsert_many([NEW, given[0]], list_id="l1", update_existing=False)
    assert [(one.item["email_address"], one.code) for one in again.problems] == [
        ("m0@x.example", "ERROR_CONTACT_EXISTS")
    ]


def test_refusals_name_the_field_and_the_title(mailchimp: Connector, vendor: Mailchimp) -> None:
    with pytest.raises(Rejected, match=r"email_address: Please provide a valid email address\.") as caught:
        mailchimp.members.create(list_id="l1", body={"email_address": "nobody", "status": "pending"})
    assert caught.value.code == "Invalid Resource"
    with pytest.raises(Exists, match=r"m0@x\.example is already a list member"):
        mailchimp.members.create(list_id="l1", body={"email_address": "m0@x.example", "status": "pending"})
    with pytest.raises(Missing, match="The requested resource could not be found"):
        list(mailchimp.members.list(list_id="l9"))
    vendor.key_revoked = True
    with pytest.raises(Denied, match="Your API key may be invalid") as denied:
        mailchimp.ping.get()
    assert KEY not in str(denied.value)


def test_a_batch_of_calls_is_polled_until_it_is_finished(
    mailchimp: Connector, vendor: Mailchimp, clock: ManualClock
) -> None:
    done = mailchimp.batches.run(operations=JOB)
    assert (done["status"], done["finished_operations"], clock.slept.count(10.0)) == ("finished", 1, 3)


def test_the_command_line_calls_it(vendor: Mailchimp, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTORY_MAILCHIMP_API_KEY", "no key at all")
    refused = cli("call", "mailchimp", "ping.get")
    assert (refused.exit_code, "api_key" in refused.output, "no key at all" in refused.output) == (2, True, False)
    assert "0 faults" in cli("check").output
