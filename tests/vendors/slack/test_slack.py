"""Slack by its spec alone: errors inside of status 200, cursors that end empty, channels with their messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectory import Connector, Denied, Missing, Rejected, Unavailable
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from vendors.calling import Call, Sent, assert_sent, run
from vendors.conftest import Cli, Meet
from vendors.slack.server import TOKEN, Slack

HEADERS = {"Authorization": f"Bearer {TOKEN}", "Host": "slack.com"}


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Slack]:
    with Slack(clock=clock) as running:
        running.add_channel("C1", 3)
        yield running


@pytest.fixture
def slack(vendor: Slack, meet: Meet) -> Connector:
    return meet(vendor.url, bot_token=TOKEN)


def sent(line: str, body: object = None) -> Sent:
    method, _, path = line.partition(" ")
    return Sent(f"{method} /api/{path}", body, headers=HEADERS)


CALLS = {
    "auth.test": Call({}, [sent("POST auth.test")]),
    "channels.list": Call(
        {"types": ["public_channel", "private_channel"]},
        [sent("GET conversations.list?types=public_channel,private_channel&exclude_archived=true&limit=200")],
    ),
    "messages.list": Call(
        {"channel": "C1", "oldest": "1780000001.000100"},
        [sent("GET conversations.history?channel=C1&oldest=1780000001.000100&inclusive=true&limit=200")],
    ),
    "messages.post": Call(
        {"channel": "C1", "text": "Hello"}, [sent("POST chat.postMessage", {"channel": "C1", "text": "Hello"})]
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_reference_says(
    slack: Connector, vendor: Slack, operation: str, project: Path
) -> None:
    run(slack, operation, CALLS[operation].given)
    assert_sent(vendor.requests(), CALLS[operation].sends)
    assert set(CALLS) == set(open_spec("slack", project).spec.operations)


def test_three_pages_end_by_an_empty_cursor(slack: Connector, vendor: Slack) -> None:
    vendor.add_channel("C2", 450)
    found = [one["ts"] for one in slack.messages.list(channel="C2")]
    assert (len(found), len(set(found)), len(vendor.requests())) == (450, 450, 3)


def test_messages_of_the_channels_that_one_is_in(slack: Connector, vendor: Slack) -> None:
    vendor.add_channel("C2", 2)
    vendor.add_channel("C3", 5, member=False)
    vendor.add_channel("C4", 5, archived=True)
    found = [one["channel_name"] for one in slack.messages.list(parents=True)]
    assert found == ["c1"] * 3 + ["c2"] * 2


def test_too_many_calls_are_waited_for(slack: Connector, vendor: Slack, clock: ManualClock) -> None:
    said = b'{"ok": false, "error": "ratelimited"}'
    vendor.fail(status=429, body=said, content_type="application/json", headers={"Retry-After": "30"})
    assert slack.auth.test()["team"] == "Acme"
    assert sum(clock.slept) == pytest.approx(30, abs=1)


def test_an_illness_inside_of_200_is_tried_again(slack: Connector, vendor: Slack) -> None:
    vendor.refusing = "internal_error"
    with pytest.raises(Unavailable, match="internal_error"):
        slack.auth.test()
    assert len(vendor.requests()) == 4


def test_refusals_inside_of_200_are_no_success(slack: Connector, vendor: Slack) -> None:
    with pytest.raises(Missing, match="channel_not_found"):
        slack.messages.post(channel="C9", text="Hello")
    with pytest.raises(Rejected, match="no_text") as caught:
        slack.messages.post(channel="C1")
    assert caught.value.code == "no_text"


@pytest.mark.parametrize("error", ["invalid_auth", "account_inactive", "missing_scope", "token_expired"])
def test_a_token_that_is_refused_in_mid_list_ends_it(slack: Connector, vendor: Slack, error: str) -> None:
    vendor.add_channel("C2", 450)
    vendor.refusing, vendor.from_request = error, 1
    with pytest.raises(Denied, match=error) as caught:
        list(slack.messages.list(channel="C2"))
    assert TOKEN not in str(caught.value)
    assert len(vendor.requests()) == 2


def test_the_command_line_calls_it(vendor: Slack, cli: Cli) -> None:
    assert "0 faults" in cli("check").output
