"""Slack's Web API on loopback, as its documentation describes it: an error stands inside of status 200.

Sources, all under https://docs.slack.dev: /apis/web-api (evaluating responses), /apis/web-api/pagination,
/apis/web-api/rate-limits, /reference/methods/conversations.list, /conversations.history, /chat.postMessage, /auth.test.
"""

from __future__ import annotations

import base64
from typing import Any

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Routes
from emulators.server import Emulator

TOKEN = "xoxb-2468013579-abcdefghijklmnop"
Record = dict[str, Any]


@attrs.define(eq=False, kw_only=True, slots=False)
class Slack(Emulator):
    """One workspace with its channels and messages."""

    channels: list[Record] = attrs.field(factory=list)
    messages: dict[str, list[Record]] = attrs.field(factory=dict)
    refusing: str = ""
    """The error that every call ends in from request number `from_request` on."""
    from_request: int = 0
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("POST /api/auth.test", lambda ask, at: good({"team": "Acme", "user": "sync", "user_id": "U1"}))
        add("GET /api/conversations.list", self._list)
        add("GET /api/conversations.history", self._history)
        add("POST /api/chat.postMessage", self._post)

    def add_channel(self, id: str, messages: int, *, member: bool = True, archived: bool = False) -> None:
        self.channels.append(
            {"id": id, "name": id.lower(), "is_member": member, "is_archived": archived, "created": 1_770_000_000}
        )
        self.messages[id] = [
            {"type": "message", "ts": f"{1_780_000_000 + n}.000100", "user": "U1", "text": f"Message {n}"}
            for n in range(messages)
        ][::-1]

    def answer(self, ask: Ask) -> Answer:
        if ask.header("Authorization") != f"Bearer {TOKEN}":
            return bad("invalid_auth")
        if self.refusing and len(self.requests()) >= self.from_request:
            return bad(self.refusing)
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            return bad("unknown_method")
        return act(ask, at)

    def _list(self, ask: Ask, at: dict[str, str]) -> Answer:
        hidden = ask.argument("exclude_archived") == "true"
        return page(ask, "channels", [one for one in self.channels if not (hidden and one["is_archived"])])

    def _history(self, ask: Ask, at: dict[str, str]) -> Answer:
        """The newest first; `oldest` and `latest` are left out themselves unless `inclusive` says otherwise."""
        rows = self.messages.get(ask.argument("channel") or "")
        if rows is None:
            return bad("channel_not_found")
        oldest, latest = float(ask.argument("oldest") or 0), float(ask.argument("latest") or 1e12)
        edge = ask.argument("inclusive") == "true"
        rows = [
            one for one in rows if oldest < float(one["ts"]) < latest or (edge and float(one["ts"]) in (oldest, latest))
        ]
        return page(ask, "messages", rows)

    def _post(self, ask: Ask, at: dict[str, str]) -> Answer:
        given = ask.json()
        if given["channel"] not in self.messages:
            return bad("channel_not_found")
        if not given.get("text") and not given.get("blocks"):
            return bad("no_text")
        made = {"type": "message", "ts": f"{1_790_000_000 + len(self.exchanges)}.000200", "user": "U1", **given}
        self.messages[given["channel"]].insert(0, made)
        return good({"channel": given["channel"], "ts": made["ts"], "message": made})


def page(ask: Ask, name: str, rows: list[Record]) -> Answer:
    """`limit` a page; the cursor is opaque, and empty at the end."""
    cursor = ask.argument("cursor")
    begin = int(base64.b64decode(cursor).decode().partition(":")[2]) if cursor else 0
    end = begin + int(ask.argument("limit") or 100)
    following = base64.b64encode(f"next:{end}".encode()).decode() if end < len(rows) else ""
    return good({name: rows[begin:end], "response_metadata": {"next_cursor": following}})


def good(body: Record) -> Answer:
    return Answer.json({"ok": True, **body})


def bad(error: str) -> Answer:
    return Answer.json({"ok": False, "error": error})
