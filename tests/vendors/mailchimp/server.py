"""Mailchimp's Marketing API on loopback, as its reference documents it.

Sources, all under https://mailchimp.com/developer/marketing: /docs/fundamentals (login, data centers, simultaneous
connections), /docs/methods-parameters (paging), /docs/errors, /api/lists, /api/list-members, /api/batch-operations,
/guides/run-async-requests-batch-endpoint.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Record, Refused, Routes
from emulators.server import Emulator

KEY = "0123456789abcdef0123456789abcdef-us6"
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")


@attrs.define(eq=False, kw_only=True, slots=False)
class Mailchimp(Emulator):
    """Mailchimp: `url` stands for `https://us6.api.mailchimp.com`, told by Host."""

    lists: dict[str, list[Record]] = attrs.field(factory=dict)
    """Members by the id of their list."""
    key_revoked: bool = False
    busy: int = 0
    """So many requests find ten others under way."""
    polls: int = 3
    """How often a batch is not finished yet when it is asked for."""

    batches: dict[str, Record] = attrs.field(init=False, factory=dict)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("GET /3.0/ping", lambda ask, at: Answer.json({"health_status": "Everything's Chimpy!"}))
        add("GET /3.0/lists", self._lists)
        add("POST /3.0/lists/{list}", self._upsert_many)
        add("GET /3.0/lists/{list}/members", self._members)
        add("POST /3.0/lists/{list}/members", self._create)
        add("POST /3.0/batches", self._batch)
        add("GET /3.0/batches/{id}", self._poll)

    def add_members(self, list_id: str, count: int) -> None:
        """So many members, each changed a minute after the one before."""
        for number in range(count):
            self._store(list_id, {"email_address": f"m{number}@x.example", "status": "subscribed"}, 60 * number)

    def _store(self, list_id: str, given: Record, later: int = 0) -> Record:
        moment = datetime.fromtimestamp(1_790_000_000 + later, UTC).isoformat()
        id = md5(given["email_address"].lower().encode()).hexdigest()
        record: Record = {"id": id, "list_id": list_id, "merge_fields": {}, **given, "last_changed": moment}
        rows = self.lists.setdefault(list_id, [])
        rows[:] = [*(one for one in rows if one["id"] != id), record]
        return record

    def answer(self, ask: Ask) -> Answer:
        given = (ask.header("Authorization") or "").removeprefix("Basic ")
        if base64.b64decode(given).decode().partition(":")[2] != KEY or self.key_revoked:
            raise no(401, "API Key Invalid", "Your API key may be invalid, or you've attempted the wrong datacenter.")
        if ask.header("Host") != "us6.api.mailchimp.com":
            raise no(403, "Wrong Datacenter", "The API key provided is linked to a different data center.")
        if self.busy:
            self.busy -= 1
            raise no(429, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections.")
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute as why:
            raise no(405, "Method Not Allowed", "") if why.allowed else missing() from None
        return act(ask, at)

    def _lists(self, ask: Ask, _: dict[str, str]) -> Answer:
        return page(ask, "lists", [{"id": id, "name": f"List {id}"} for id in self.lists])

    def _in(self, list_id: str) -> list[Record]:
        if list_id not in self.lists:
            raise missing()
        return self.lists[list_id]

    def _members(self, ask: Ask, at: dict[str, str]) -> Answer:
        rows, query = self._in(at["list"]), dict(ask.query)
        if since := query.get("since_last_changed"):
            rows = [one for one in rows if moment(one["last_changed"]) >= moment(since)]
        if before := query.get("before_last_changed"):
            rows = [one for one in rows if moment(one["last_changed"]) < moment(before)]
        if status := query.get("status"):
            rows = [one for one in rows if one["status"] == status]
        return page(ask, "members", rows)

    def _create(self, ask: Ask, at: dict[str, str]) -> Answer:
        rows, given = self._in(at["list"]), ask.json()
        if wrong := faults(given):
            detail = (
                "The resource submitted could not be validated. For field-specific details, see the 'errors' array."
            )
            raise no(400, "Invalid Resource", detail, errors=wrong)
        if any(one["email_address"] == given["email_address"] for one in rows):
            raise no(400, "Member Exists", f"{given['email_address']} is already a list member.")
        return Answer.json(self._store(at["list"], given))

    def _upsert_many(self, ask: Ask, at: dict[str, str]) -> Answer:
        rows, given = self._in(at["list"]), ask.json()
        if len(given["members"]) > 500:
            raise no(400, "Invalid Resource", "You may only add up to 500 members at a time.")
        made: list[Record] = []
        updated: list[Record] = []
        errors: list[Record] = []
        there = {one["email_address"] for one in rows}
        for member in given["members"]:
            email = member["email_address"]
            if wrong := faults(member):
                errors.append({"email_address": email, "error": wrong[0]["message"], "error_code": "ERROR_GENERIC"})
            elif email in there and not given.get("update_existing"):
                said = {"error": f"{email} is already a list member", "error_code": "ERROR_CONTACT_EXISTS"}
                errors.append({"email_address": email, **said})
            else:
                (updated if email in there else made).append(self._store(at["list"], member))
        counts = {"total_created": len(made), "total_updated": len(updated), "error_count": len(errors)}
        return Answer.json({"new_members": made, "updated_members": updated, "errors": errors, **counts})

    def _batch(self, ask: Ask, _: dict[str, str]) -> Answer:
        calls = ask.json()["operations"]
        id = f"b{len(self.batches)}"
        self.batches[id] = {"id": id, "status": "pending", "total_operations": len(calls), "finished_operations": 0}
        self.batches[id]["left"] = self.polls
        return self._shown(id)

    def _poll(self, ask: Ask, at: dict[str, str]) -> Answer:
        batch = self.batches.get(at["id"])
        if batch is None:
            raise missing()
        batch["status"] = "started" if batch["left"] else "finished"
        if not batch["left"]:
            batch["finished_operations"] = batch["total_operations"]
        batch["left"] -= 1
        return self._shown(at["id"])

    def _shown(self, id: str) -> Answer:
        return Answer.json({name: value for name, value in self.batches[id].items() if name != "left"})


def faults(member: Record) -> list[Record]:
    """What the vendor says of fields that are wrong."""
    found = []
    if "@" not in member.get("email_address", ""):
        found.append({"field": "email_address", "message": "Please provide a valid email address."})
    if member.get("status") not in STATUSES:
        found.append({"field": "status", "message": "This value should not be blank."})
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def page(ask: Ask, name: str, rows: list[Record]) -> Answer:
    """`count` is 10 unless it is said, at most 1000; `total_items` counts all that match."""
    count, offset = int(ask.argument("count") or 10), int(ask.argument("offset") or 0)
    if count > 1000:
        raise no(
            400, "Invalid Resource", "", errors=[{"field": "count", "message": "This value should be 1000 or less."}]
        )
    return Answer.json({name: rows[offset : offset + count], "total_items": len(rows)})


def no(status: int, title: str, detail: str, **more: Any) -> Refused:
    """A problem document (RFC 7807)."""
    kind = "https://mailchimp.com/developer/marketing/docs/errors/"
    body = {"type": kind, "title": title, "status": status, "detail": detail, "instance": "a1b2", **more}
    return Refused(attrs.evolve(Answer.json(body, status), content_type="application/problem+json; charset=utf-8"))


def missing() -> Refused:
    return no(404, "Resource Not Found", "The requested resource could not be found.")
