"""GitHub's REST and GraphQL on loopback, as its documentation describes them.

Authentication, errors, rate limits, pagination: docs.github.com/en/rest/using-the-rest-api; issues: .../rest/issues;
code search: .../rest/search; stargazers by GraphQL: docs.github.com/en/graphql.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Refused, Routes
from emulators.server import Emulator

TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
API = "https://api.github.com"
Record = dict[str, Any]


@attrs.define(eq=False, kw_only=True, slots=False)
class GitHub(Emulator):
    """One repository, `octocat/hello`, with its issues and stargazers."""

    issues: list[Record] = attrs.field(factory=list)
    stars: list[str] = attrs.field(factory=list)
    code: int = 0
    """How many files code search finds."""
    revoked_at: int | None = None
    """From which request on the token is refused."""
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("GET /user", lambda ask, at: Answer.json({"login": "octocat", "id": 1}))
        add("GET /repos/octocat/hello/issues", self._issues)
        add("GET /repositories/1296269/issues", self._issues)
        add("POST /repos/octocat/hello/issues", self._create)
        add("GET /search/code", self._search)
        add("POST /graphql", self._graphql)

    def add_issues(self, number: int) -> None:
        for n in range(len(self.issues) + 1, len(self.issues) + number + 1):
            updated = f"2026-05-{n % 28 + 1:02}T10:00:00Z"
            self.issues.append(self._issue(n, f"Issue {n}", "closed" if n % 5 == 0 else "open", updated))

    def _issue(self, number: int, title: str, state: str, updated: str) -> Record:
        user = {"login": "octocat", "id": 1, "type": "User"}
        return {
            "id": 10_000 + number,
            "number": number,
            "title": title,
            "state": state,
            "user": user,
            "updated_at": updated,
        }

    def answer(self, ask: Ask) -> Answer:
        revoked = self.revoked_at is not None and len(self.requests()) >= self.revoked_at
        if ask.header("Authorization") != f"Bearer {TOKEN}" or revoked:
            raise no(401, "Bad credentials")
        if ask.header("X-GitHub-Api-Version") != "2022-11-28" or not ask.header("User-Agent"):
            raise no(400, "an unsupported version, or no User-Agent")
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(404, "Not Found") from None
        return act(ask, at)

    def _issues(self, ask: Ask, at: dict[str, str]) -> Answer:
        """Open ones unless `state` says more; the next page is named by the repository's number."""
        query = dict(ask.query)
        state = query.get("state", "open")
        rows = [one for one in self.issues if state in ("all", one["state"])]
        if since := query.get("since"):
            rows = [one for one in rows if moment(one["updated_at"]) >= moment(since)]
        if query.get("sort") == "updated":
            rows = sorted(rows, key=lambda one: str(one["updated_at"]), reverse=query.get("direction") != "asc")
        return page(ask, f"{API}/repositories/1296269/issues", rows, rows)

    def _create(self, ask: Ask, at: dict[str, str]) -> Answer:
        given = ask.json()
        if not given.get("title"):
            wrong = {"resource": "Issue", "code": "missing_field", "field": "title"}
            raise no(422, "Validation Failed", errors=[wrong])
        made = self._issue(len(self.issues) + 1, given["title"], "open", "2026-06-01T10:00:00Z")
        self.issues.append(made)
        return Answer.json(made, 201)

    def _search(self, ask: Ask, at: dict[str, str]) -> Answer:
        if not dict(ask.query).get("q"):
            wrong = {"resource": "Search", "field": "q", "code": "missing"}
            raise no(422, "Validation Failed", errors=[wrong])
        rows = [{"name": f"file{n}.py", "path": f"src/file{n}.py"} for n in range(self.code)]
        return page(ask, f"{API}/search/code", rows, lambda part: {"total_count": len(rows), "items": part})

    def _graphql(self, ask: Ask, at: dict[str, str]) -> Answer:
        """Connections by GraphQL's cursor specification; a mistake stands inside of status 200."""
        asked = ask.json()["variables"]
        if asked["repo"] != "hello":
            said = f"Could not resolve to a Repository with the name 'octocat/{asked['repo']}'."
            return Answer.json({"data": {"repository": None}, "errors": [{"type": "NOT_FOUND", "message": said}]})
        begin = int(base64.b64decode(asked["after"]).decode()) if asked.get("after") else 0
        end = begin + min(int(asked["first"]), 100)
        info = {"hasNextPage": end < len(self.stars), "endCursor": base64.b64encode(str(end).encode()).decode()}
        nodes = [{"login": login} for login in self.stars[begin:end]]
        return Answer.json({"data": {"repository": {"stargazers": {"pageInfo": info, "nodes": nodes}}}})


def page(ask: Ask, url: str, rows: list[Any], shaped: Any) -> Answer:
    """30 a page unless `per_page` says so, at most 100; the header Link names the next and the last."""
    query = dict(ask.query)
    size, number = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
    part = rows[(number - 1) * size : number * size]
    answer = Answer.json(shaped(part) if callable(shaped) else part)
    if number * size >= len(rows):
        return answer
    rest = "&".join(f"{name}={value}" for name, value in query.items() if name != "page")
    last = -(-len(rows) // size)
    links = f'<{url}?{rest}&page={number + 1}>; rel="next", <{url}?{rest}&page={last}>; rel="last"'
    return attrs.evolve(answer, headers=(("Link", links),))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def no(status: int, message: str, **more: Any) -> Refused:
    """GitHub's own form of an error."""
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status), **more}
    return Refused(Answer.json(body, status))
