"""Notion by its spec alone: cursors in body and query, blocks inside of blocks, a conflict that passes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectory import Connector, Denied, Missing, Rejected
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from vendors.calling import Call, Sent, assert_sent, run
from vendors.conftest import Cli, Meet
from vendors.notion.server import DATABASE, TOKEN, Notion, identity

HEADERS = {"Authorization": f"Bearer {TOKEN}", "Notion-Version": "2022-06-28", "Host": "api.notion.com"}
ONE, BLOCK = identity("a", 0), {"type": "paragraph", "paragraph": {"rich_text": []}}


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Notion]:
    with Notion(clock=clock) as running:
        running.add_pages(3)
        yield running


@pytest.fixture
def notion(vendor: Notion, meet: Meet) -> Connector:
    return meet(vendor.url, access_token=TOKEN)


def sent(line: str, body: object = None) -> Sent:
    method, _, path = line.partition(" ")
    return Sent(f"{method} /v1{path}", body, headers=HEADERS)


FILTER = {"property": "Done", "checkbox": {"equals": True}}
TITLED = {"Name": {"title": [{"text": {"content": "New"}}]}}
CALLS = {
    "users.me": Call({}, [sent("GET /users/me")]),
    "pages.query": Call(
        {"database_id": DATABASE, "filter": FILTER},
        [sent(f"POST /databases/{DATABASE}/query", {"filter": FILTER, "page_size": 100})],
    ),
    "pages.create": Call(
        {"parent": {"database_id": DATABASE}, "properties": TITLED},
        [sent("POST /pages", {"parent": {"database_id": DATABASE}, "properties": TITLED})],
    ),
    "pages.update": Call({"page_id": ONE, "archived": True}, [sent(f"PATCH /pages/{ONE}", {"archived": True})]),
    "blocks.list": Call({"block_id": ONE}, [sent(f"GET /blocks/{ONE}/children?page_size=100")]),
    "blocks.append": Call(
        {"block_id": ONE, "children": [BLOCK]}, [sent(f"PATCH /blocks/{ONE}/children", {"children": [BLOCK]})]
    ),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_reference_says(
    notion: Connector, vendor: Notion, operation: str, project: Path
) -> None:
    run(notion, operation, CALLS[operation].given)
    assert_sent(vendor.requests(), CALLS[operation].sends)
    assert set(CALLS) == set(open_spec("notion", project).spec.operations)


def test_a_database_of_three_pages_of_pages(notion: Connector, vendor: Notion) -> None:
    vendor.add_pages(227)
    found = [one["id"] for one in notion.pages.query(database_id=DATABASE)]
    assert (len(found), len(set(found))) == (230, 230)
    assert [exchange.json().get("start_cursor") for exchange in vendor.requests()] == [
        None,
        identity("a", 100),
        identity("a", 200),
    ]


def test_blocks_are_read_as_far_down_as_they_go(notion: Connector, vendor: Notion) -> None:
    toggle = vendor.add_block(ONE, 1, "toggle")
    inner = vendor.add_block(toggle, 2, "toggle")
    vendor.add_block(inner, 3)
    vendor.add_block(ONE, 4)
    found = list(notion.blocks.list(block_id=ONE, recurse=True))
    assert {one["id"]: one.get("parent_block_id") for one in found} == {
        identity("b", 1): None,
        identity("b", 2): toggle,
        identity("b", 3): inner,
        identity("b", 4): None,
    }


def test_blocks_go_a_hundred_at_a_time(notion: Connector, vendor: Notion) -> None:
    delivery = notion.blocks.append([BLOCK] * 230, block_id=ONE)
    assert (delivery.delivered, [len(e.json()["children"]) for e in vendor.requests()]) == (230, [100, 100, 30])


def test_one_bad_block_is_named_alone(notion: Connector, vendor: Notion) -> None:
    delivery = notion.blocks.append([BLOCK, {"type": "nonsense"}, BLOCK], block_id=ONE)
    assert delivery.delivered == 2
    (refused,) = delivery.rejected
    assert (refused.row, "should be a known block" in refused.words) == (2, True)


def test_too_many_calls_are_waited_for(notion: Connector, vendor: Notion, clock: ManualClock) -> None:
    said = b'{"object": "error", "status": 429, "code": "rate_limited", "message": "Slow down"}'
    vendor.fail(status=429, body=said, content_type="application/json", headers={"Retry-After": "7"})
    assert notion.users.me()["type"] == "bot"
    assert sum(clock.slept) == pytest.approx(7, abs=1)


def test_a_conflict_is_tried_again(notion: Connector, vendor: Notion) -> None:
    vendor.fail(status=409, body=b'{"code": "conflict_error"}', content_type="application/json")
    assert len(list(notion.pages.query(database_id=DATABASE))) == 3


def test_refusals_have_the_vendors_words_and_code(notion: Connector, vendor: Notion) -> None:
    with pytest.raises(Rejected, match=r"body\.parent\.database_id should be defined") as caught:
        notion.pages.create(parent={"database_id": "x"}, properties={})
    assert caught.value.code == "validation_error"
    with pytest.raises(Missing, match="Could not find page"):
        notion.pages.update(page_id=identity("a", 99), archived=True)


def test_a_token_that_is_revoked_in_mid_list_ends_it(notion: Connector, vendor: Notion) -> None:
    vendor.add_pages(227)
    vendor.revoked_at = 1
    with pytest.raises(Denied, match="API token is invalid") as caught:
        list(notion.pages.query(database_id=DATABASE))
    assert TOKEN not in str(caught.value)


def test_the_command_line_calls_it(vendor: Notion, cli: Cli) -> None:
    assert "0 faults" in cli("check").output
