"""Notion's API on loopback, as its reference documents it.

Sources, all under https://developers.notion.com/reference: authentication, versioning, pagination, status-codes,
request-limits, post-database-query, post-page, patch-page, get-block-children, patch-block-children.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Refused, Routes
from emulators.server import Emulator

TOKEN = "ntn_5321679851w7qZAbPWaQ2cyEbVsT4yTeqv"
DATABASE = "d9824bdc-8445-4327-be8b-5b47500af6ce"
Record = dict[str, Any]


@attrs.define(eq=False, kw_only=True, slots=False)
class Notion(Emulator):
    """One database with pages; pages and blocks hold blocks."""

    pages: list[Record] = attrs.field(factory=list)
    children: dict[str, list[Record]] = attrs.field(factory=dict)
    """Blocks by what holds them."""
    revoked_at: int | None = None
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("GET /v1/users/me", lambda ask, at: Answer.json({"object": "user", "type": "bot", "name": "Sync"}))
        add("POST /v1/databases/{id}/query", self._query)
        add("POST /v1/pages", self._create)
        add("PATCH /v1/pages/{id}", self._update)
        add("GET /v1/blocks/{id}/children", self._children)
        add("PATCH /v1/blocks/{id}/children", self._append)

    def add_pages(self, number: int) -> None:
        for n in range(len(self.pages), len(self.pages) + number):
            edited = f"2026-05-{n % 28 + 1:02}T10:00:00.000Z"
            page = {"object": "page", "id": identity("a", n), "created_time": edited, "last_edited_time": edited}
            self.pages.append(
                {**page, "archived": False, "properties": {"Name": {"title": [{"plain_text": f"Page {n}"}]}}}
            )

    def add_block(self, under: str, number: int, kind: str = "paragraph") -> str:
        block = {"object": "block", "id": identity("b", number), "type": kind, "has_children": False, kind: {}}
        self.children.setdefault(under, []).append(block)
        for blocks in self.children.values():
            for held in blocks:
                held["has_children"] = bool(self.children.get(held["id"]))
        return str(block["id"])

    def answer(self, ask: Ask) -> Answer:
        revoked = self.revoked_at is not None and len(self.requests()) >= self.revoked_at
        if ask.header("Authorization") != f"Bearer {TOKEN}" or revoked:
            raise no(401, "unauthorized", "API token is invalid.")
        if ask.header("Notion-Version") != "2022-06-28":
            raise no(400, "missing_version", "Notion-Version header failed validation.")
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(400, "invalid_request_url", "Invalid request URL.") from None
        return act(ask, at)

    def _query(self, ask: Ask, at: dict[str, str]) -> Answer:
        if at["id"] != DATABASE:
            raise no(404, "object_not_found", f"Could not find database with ID: {at['id']}.")
        given = ask.json()
        rows = self.pages
        if since := (given.get("filter") or {}).get("last_edited_time", {}).get("on_or_after"):
            assert given["filter"]["timestamp"] == "last_edited_time"
            rows = [one for one in rows if moment(one["last_edited_time"]) >= moment(since)]
        return page(rows, given.get("page_size"), given.get("start_cursor"))

    def _create(self, ask: Ask, at: dict[str, str]) -> Answer:
        given = ask.json()
        if given["parent"].get("database_id") != DATABASE:
            raise no(400, "validation_error", "body failed validation: body.parent.database_id should be defined.")
        self.add_pages(1)
        self.pages[-1]["properties"] = given["properties"]
        return Answer.json(self.pages[-1])

    def _update(self, ask: Ask, at: dict[str, str]) -> Answer:
        for one in self.pages:
            if one["id"] == at["id"]:
                one.update(ask.json())
                return Answer.json(one)
        raise no(404, "object_not_found", f"Could not find page with ID: {at['id']}.")

    def _children(self, ask: Ask, at: dict[str, str]) -> Answer:
        query = dict(ask.query)
        return page(self.children.get(at["id"], []), query.get("page_size"), query.get("start_cursor"))

    def _append(self, ask: Ask, at: dict[str, str]) -> Answer:
        given = ask.json()["children"]
        if len(given) > 100:
            raise no(400, "validation_error", "body.children.length should be ≤ 100.")
        if wrong := [n for n, block in enumerate(given) if block["type"] not in ("paragraph", "heading_1", "to_do")]:
            raise no(400, "validation_error", f"body.children[{wrong[0]}] should be a known block.")
        made = [self.add_block(at["id"], 1000 + len(self.children.get(at["id"], [])), block["type"]) for block in given]
        return Answer.json({"object": "list", "results": [one for one in self.children[at["id"]] if one["id"] in made]})


def identity(kind: str, number: int) -> str:
    return f"{kind}0000000-0000-4000-8000-{number:012}"


def page(rows: list[Record], size: Any, cursor: str | None) -> Answer:
    """100 a page unless `page_size` says fewer; the cursor is the id of the first record of the next page."""
    most = min(int(size or 100), 100)
    begin = next((n for n, one in enumerate(rows) if one["id"] == cursor), 0) if cursor else 0
    end = begin + most
    more = end < len(rows)
    found = {"object": "list", "results": rows[begin:end], "has_more": more}
    return Answer.json({**found, "next_cursor": rows[end]["id"] if more else None})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def no(status: int, code: str, message: str) -> Refused:
    return Refused(Answer.json({"object": "error", "status": status, "code": code, "message": message}, status))
