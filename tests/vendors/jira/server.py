"""Jira Cloud's REST API, version 3, on loopback, as its reference documents it.

Sources, all under https://developer.atlassian.com/cloud/jira/platform: basic-auth-for-rest-apis, rest/v3/intro
(pagination, status codes), rate-limiting, and the groups myself, projects, issue-search (search/jql), issues and
issue-comments of rest/v3.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Any

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Refused, Routes
from emulators.server import Emulator

EMAIL, TOKEN = "ada@acme.example", "ATATT3xFfGF0-of-ada"
Record = dict[str, Any]


@attrs.define(eq=False, kw_only=True, slots=False)
class Jira(Emulator):
    """One site with a project and its issues."""

    projects: list[Record] = attrs.field(factory=list)
    issues: list[Record] = attrs.field(factory=list)
    comments: dict[str, list[Record]] = attrs.field(factory=dict)
    revoked_at: int | None = None
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("GET /rest/api/3/myself", lambda ask, at: Answer.json({"accountId": "5b10", "emailAddress": EMAIL}))
        add("GET /rest/api/3/project/search", self._projects)
        add("POST /rest/api/3/search/jql", self._search)
        add("POST /rest/api/3/issue", self._create)
        add("GET /rest/api/3/issue/{id}/comment", self._comments)

    def add_projects(self, number: int) -> None:
        for n in range(len(self.projects), len(self.projects) + number):
            self.projects.append({"id": str(10_000 + n), "key": f"P{n}", "name": f"Project {n}"})

    def add_issues(self, number: int) -> None:
        for n in range(len(self.issues), len(self.issues) + number):
            fields = {"summary": f"Issue {n}", "updated": f"2026-05-{n % 28 + 1:02}T10:00:00.000+0000"}
            self.issues.append({"id": str(20_000 + n), "key": f"P0-{n + 1}", "fields": fields})

    def answer(self, ask: Ask) -> Answer:
        login = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
        revoked = self.revoked_at is not None and len(self.requests()) >= self.revoked_at
        if ask.header("Authorization") != f"Basic {login}" or revoked:
            raise no(401, "Client must be authenticated to access this resource.")
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(404, "No such resource.") from None
        return act(ask, at)

    def _projects(self, ask: Ask, at: dict[str, str]) -> Answer:
        text = (ask.argument("query") or "").lower()
        return page(ask, "values", [one for one in self.projects if text in one["name"].lower()], last=True)

    def _search(self, ask: Ask, at: dict[str, str]) -> Answer:
        """No total; a token leads to the next page. JQL must bound the search."""
        given = ask.json()
        jql, rows = given.get("jql", ""), self.issues
        if not re.search(r"[<>=]", jql):
            raise no(400, "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.")
        if since := re.search(r'updated >= "(\d{4}-\d\d-\d\d \d\d:\d\d)"', jql):
            begin = datetime.strptime(since[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
            rows = [one for one in rows if datetime.fromisoformat(one["fields"]["updated"]) >= begin]
        begin_at = int(base64.b64decode(given["nextPageToken"]).decode()) if given.get("nextPageToken") else 0
        end = begin_at + min(int(given.get("maxResults", 50)), 100)
        answer: Record = {"issues": rows[begin_at:end], "isLast": end >= len(rows)}
        if end < len(rows):
            answer["nextPageToken"] = base64.b64encode(str(end).encode()).decode()
        return Answer.json(answer)

    def _create(self, ask: Ask, at: dict[str, str]) -> Answer:
        fields = ask.json()["fields"]
        if not fields.get("summary"):
            errors = {"summary": "You must specify a summary of the issue."}
            raise Refused(Answer.json({"errorMessages": [], "errors": errors}, 400))
        self.add_issues(1)
        made = self.issues[-1]
        made["fields"] |= fields
        return Answer.json(
            {"id": made["id"], "key": made["key"], "self": f"https://acme.atlassian.net/{made['id']}"}, 201
        )

    def _comments(self, ask: Ask, at: dict[str, str]) -> Answer:
        if at["id"] not in {one["id"] for one in self.issues}:
            raise no(404, "Issue does not exist or you do not have permission to see it.")
        return page(ask, "comments", self.comments.get(at["id"], []))


def page(ask: Ask, name: str, rows: list[Record], last: bool = False) -> Answer:
    begin, most = int(ask.argument("startAt") or 0), min(int(ask.argument("maxResults") or 50), 50)
    found: Record = {"startAt": begin, "maxResults": most, "total": len(rows), name: rows[begin : begin + most]}
    return Answer.json({**found, "isLast": begin + most >= len(rows)} if last else found)


def no(status: int, message: str) -> Refused:
    return Refused(Answer.json({"errorMessages": [message], "errors": {}}, status))
