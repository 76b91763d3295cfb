"""GitHub by its spec alone: links to next pages, three ways to say too many calls, GraphQL connections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectory import Connector, Denied, LimitReached, Rejected
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from vendors.calling import Call, Sent, assert_sent, run
from vendors.conftest import Cli, Meet
from vendors.github.server import TOKEN, GitHub

HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Accept": "application/vnd.github+json",
    "X-GitHub-Api-Version": "2022-11-28",
    "Host": "api.github.com",
}
REPO = {"owner": "octocat", "repo": "hello"}


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[GitHub]:
    with GitHub(clock=clock, code=3, stars=["ada"]) as running:
        running.add_issues(3)
        yield running


@pytest.fixture
def github(vendor: GitHub, meet: Meet) -> Connector:
    return meet(vendor.url, access_token=TOKEN)


def sent(line: str, body: object = None) -> Sent:
    return Sent(line, body, headers=HEADERS)


LISTED = "state=all&sort=updated&direction=asc"
CALLS = {
    "user.get": Call({}, [sent("GET /user")], {"login": "octocat", "id": 1}),
    "issues.list": Call(
        {**REPO, "since": "2026-01-01T00:00:00Z", "labels": ["bug", "ui"]},
        [sent(f"GET /repos/octocat/hello/issues?{LISTED}&since=2026-01-01T00:00:00Z&labels=bug,ui&per_page=100")],
    ),
    "issues.create": Call(
        {**REPO, "title": "Found a bug", "labels": ["bug"]},
        [sent("POST /repos/octocat/hello/issues", {"title": "Found a bug", "labels": ["bug"]})],
    ),
    "code.search": Call({"q": "addClass"}, [sent("GET /search/code?q=addClass&per_page=100")]),
}


@pytest.mark.parametrize("operation", CALLS)
def test_each_operation_sends_what_the_reference_says(github: Connector, vendor: GitHub, operation: str) -> None:
    call = CALLS[operation]
    gives = run(github, operation, call.given)
    assert_sent(vendor.requests(), call.sends)
    assert call.gives is None or gives == call.gives


def test_every_operation_is_called(project: Path) -> None:
    assert {*CALLS, "graphql.stars"} == set(open_spec("github", project).spec.operations)


def test_links_lead_through_three_pages(github: Connector, vendor: GitHub) -> None:
    vendor.add_issues(247)
    found = [one["number"] for one in github.issues.list(**REPO)]
    assert (len(found), len(set(found))) == (250, 250)
    assert [exchange.argument("page") for exchange in vendor.requests()] == [None, "2", "3"]
    assert vendor.requests()[1].path == "/repositories/1296269/issues"


def test_a_search_reads_on_below_its_key(github: Connector, vendor: GitHub) -> None:
    vendor.code = 205
    assert len(list(github.code.search(q="addClass"))) == 205


def test_stargazers_come_by_cursor(github: Connector, vendor: GitHub) -> None:
    vendor.stars = [f"user{n}" for n in range(230)]
    stars = github.operation("graphql.stars")
    assert [one["login"] for one in stars(**REPO)] == vendor.stars
    variables = [exchange.json()["variables"] for exchange in vendor.requests()]
    assert variables[0] == {**REPO, "first": 100}
    assert [one.get("after") for one in variables] == [None, "MTAw", "MjAw"]
    with pytest.raises(Rejected, match="Could not resolve to a Repository"):
        list(stars(owner="octocat", repo="gone"))


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_is_waited_for(github: Connector, vendor: GitHub, clock: ManualClock, status: int) -> None:
    said = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}'
    vendor.fail(status=status, body=said, content_type="application/json", headers={"Retry-After": "60"})
    assert github.user.get()["login"] == "octocat"
    assert len(vendor.requests()) == 2
    assert sum(clock.slept) == pytest.approx(60, abs=1)


def test_an_hour_that_is_used_up_says_when_it_begins_again(
    github: Connector, vendor: GitHub, clock: ManualClock
) -> None:
    reset = int(clock.now()) + 1800
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    said = b'{"message": "API rate limit exceeded for user ID 1."}'
    vendor.fail(times=9, status=403, body=said, content_type="application/json", headers=headers)
    with pytest.raises(LimitReached, match="come back at") as caught:
        github.user.get()
    assert len(vendor.requests()) == 1
    assert caught.value.until == pytest.approx(reset, abs=2)


def test_points_that_are_used_up_are_no_success(github: Connector, vendor: GitHub) -> None:
    said = b'{"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}'
    vendor.fail(status=200, body=said, content_type="application/json")
    assert [one["login"] for one in github.operation("graphql.stars")(**REPO)] == ["ada"]
    assert len(vendor.requests()) == 2


def test_refusals_name_what_is_wrong(github: Connector, vendor: GitHub) -> None:
    with pytest.raises(Rejected, match="Validation Failed") as caught:
        github.issues.create(**REPO, title="")
    assert caught.value.code == "missing_field"


def test_a_token_that_is_revoked_in_mid_list_ends_it(github: Connector, vendor: GitHub) -> None:
    vendor.add_issues(247)
    vendor.revoked_at = 1
    with pytest.raises(Denied, match="Bad credentials") as caught:
        list(github.issues.list(**REPO))
    assert TOKEN not in str(caught.value)
    assert len(vendor.requests()) == 2


def test_the_command_line_calls_it(vendor: GitHub, cli: Cli) -> None:
    assert "0 faults" in cli("check").output
