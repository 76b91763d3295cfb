"""Jira by its spec alone: a search in JQL by POST, tokens to next pages, comments of what was found."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectory import Connector, Denied, Rejected
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from vendors.calling import Call, Sent, assert_sent, run
from vendors.conftest import Cli, Meet
from vendors.jira.server import EMAIL, TOKEN, Jira

HEADERS = {
    "Authorization": f"Basic {base64.b64encode(f'{EMAIL}:{TOKEN}'.encode()).decode()}",
    "Host": "acme.atlassian.net",
}
ALL = "created >= -36500d ORDER BY updated"


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Jira]:
    with Jira(clock=clock) as running:
        running.add_projects(2)
        running.add_issues(3)
        yield running


@pytest.fixture
def jira(vendor: Jira, meet: Meet) -> Connector:
    return meet(vendor.url, site="acme", email=EMAIL, api_token=TOKEN)


def sent(line: str, body: object = None) -> Sent:
    method, _, path = line.partition(" ")
    return Sent(f"{method} /rest/api/3/{path}", body, headers=HEADERS)


NEW = {"summary": "It leaks", "project": {"key": "P0"}, "issuetype": {"name": "Bug"}}
CALLS = {
    "myself.get": Call({}, [sent("GET myself")]),
    "projects.list": Call({"query": "proj"}, [sent("GET project/search?query=proj&startAt=0&maxResults=50")]),
    "issues.search": Call(
        {"jql": "project = P0"},
        [sent("POST search/jql", {"jql": "project = P0", "fields": ["*all"], "maxResults": 100})],
    ),
    "issues.create": Call({"fields": NEW}, [sent("POST issue", {"fields": NEW})]),
    "comments.list": Call({"issue": "20000"}, [sent("GET issue/20000/comment?startAt=0&maxResults=50")]),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_reference_says(
    jira: Connector, vendor: Jira, operation: str, project: Path
) -> None:
    run(jira, operation, CALLS[operation].given)
    assert_sent(vendor.requests(), CALLS[operation].sends)
    assert set(CALLS) == set(open_spec("jira", project).spec.operations)


def test_a_search_of_three_pages(jira: Connector, vendor: Jira) -> None:
    vendor.add_issues(227)
    found = [one["key"] for one in jira.issues.search()]
    assert (len(found), len(set(found))) == (230, 230)
    bodies = [exchange.json() for exchange in vendor.requests()]
    assert [body.get("nextPageToken") for body in bodies] == [None, "MTAw", "MjAw"]
    assert {body["jql"] for body in bodies} == {ALL}


def test_projects_come_by_offset(jira: Connector, vendor: Jira) -> None:
    vendor.add_projects(118)
    assert (len(list(jira.projects.list())), len(vendor.requests())) == (120, 3)
    assert jira.projects.list().total == 120


def test_comments_of_every_issue(jira: Connector, vendor: Jira) -> None:
    vendor.comments = {"20001": [{"id": "1"}, {"id": "2"}], "20002": [{"id": "3"}]}
    assert [(one["issue_key"], one["id"]) for one in jira.comments.list(parents=True)] == [
        ("P0-2", "1"),
        ("P0-2", "2"),
        ("P0-3", "3"),
    ]


def test_too_many_calls_are_waited_for(jira: Connector, vendor: Jira, clock: ManualClock) -> None:
    vendor.fail(status=429, headers={"Retry-After": "12"})
    assert jira.myself.get()["emailAddress"] == EMAIL
    assert sum(clock.slept) == pytest.approx(12, abs=1)


def test_refusals_name_the_field_or_say_why(jira: Connector, vendor: Jira) -> None:
    with pytest.raises(Rejected, match="summary: You must specify a summary of the issue"):
        jira.issues.create(fields={"project": {"key": "P0"}})
    with pytest.raises(Rejected, match="Unbounded JQL queries are not allowed"):
        list(jira.issues.search(jql="ORDER BY updated"))


def test_a_token_that_is_revoked_in_mid_list_ends_it(jira: Connector, vendor: Jira) -> None:
    vendor.add_issues(227)
    vendor.revoked_at = 1
    with pytest.raises(Denied, match="Client must be authenticated") as caught:
        list(jira.issues.search())
    assert TOKEN not in str(caught.value)


def test_the_command_line_calls_it(vendor: Jira, cli: Cli) -> None:
    assert "0 faults" in cli("check").output
