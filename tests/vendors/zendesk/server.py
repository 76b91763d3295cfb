"""Zendesk Support on loopback, as its reference documents it.

Sources, all under https://developer.zendesk.com: /api-reference/introduction/ (authentication, rate limits, requests,
errors), /api-reference/ticketing/oauth/grant_type_tokens/, /api-reference/introduction/pagination/,
/api-reference/ticketing/ticket-management/incremental_exports/ and
/documentation/ticketing/managing-tickets/using-the-incremental-export-api, /api-reference/ticketing/introduction/
(idempotency, limits of jobs), /api-reference/ticketing/tickets/tickets/ (create, update many),
/api-reference/ticketing/ticket-management/job_statuses/.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Pairs, Record, Refused, Routes
from emulators.server import Emulator

EMAIL, API_TOKEN, ACCESS_TOKEN = "jdoe@example.com", "6wiIBWbGkBMo1mRDMuVwkw1EPsNkeUj95PIz2akv", "long-lived-token"
CLIENT, CLIENT_SECRET = "nightly-export", "client-secret-5f3a"
EXPORTS_A_MINUTE = 10
JOBS = 30


@attrs.define(eq=False, kw_only=True, slots=False)
class Zendesk(Emulator):
    """Zendesk: `url` stands for `https://acme.zendesk.com`."""

    tickets: dict[int, Record] = attrs.field(factory=dict)
    users: list[Record] = attrs.field(factory=list)
    throttled: int = 0
    """So many requests are refused for too many a minute."""
    unavailable: int = 0
    """So many requests are refused for a database timeout, which tells when to come again."""
    conflicts: int = 0
    """So many writes collide with another's."""
    polls: int = 3
    """How often a job is still queued or working when it is asked for."""
    jobs_end: str = "completed"
    """What becomes of a job: completed, failed or killed."""
    forbidden: bool = False
    queued_elsewhere: int = 0
    """Jobs of others that wait or run in this account; one ends each time that it is looked at."""

    issued: list[str] = attrs.field(init=False, factory=list)
    jobs: dict[str, Record] = attrs.field(init=False, factory=dict)
    _good: set[str] = attrs.field(init=False, factory=set)
    _created: dict[str, tuple[bytes, Answer]] = attrs.field(init=False, factory=dict)
    _exported: list[float] = attrs.field(init=False, factory=list)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("GET /api/v2/users/me", lambda ask, at: Answer.json({"user": self.users[0]}))
        add("GET /api/v2/users", self._users)
        add("GET /api/v2/incremental/tickets/cursor", self._export)
        add("POST /api/v2/tickets", self._create)
        add("PUT /api/v2/tickets/update_many", self._update_many)
        add("GET /api/v2/job_statuses/{id}", self._job)

    def add_users(self, count: int) -> None:
        for number in range(count):
            role = "agent" if number < 3 else "end-user"
            self.users.append({"id": 900 + number, "name": f"User {number}", "role": role})

    def add_tickets(self, count: int, before: float) -> None:
        """So many tickets, each changed a second after the one before, the last a minute and more before that time."""
        for number in range(count):
            self._store({"subject": f"Ticket {number}"}, before - 61 - count + number)

    # One request --------------------------------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        if ask.header("Host") != "acme.zendesk.com" and "127.0.0.1" not in (ask.header("Host") or ""):
            raise no(404, "InvalidEndpoint", "Not found")
        if ask.route == "POST /oauth/tokens":
            return self._grant(ask)
        self._check_credentials(ask)
        if self.forbidden:
            told = {"title": "Forbidden", "message": "You do not have access to this page."}
            raise Refused(Answer.json({"error": told}, 403))
        if self.throttled:
            self.throttled -= 1
            raise no(429, "RateLimited", "Number of allowed API requests per minute exceeded", (("Retry-After", "13"),))
        if self.unavailable:
            self.unavailable -= 1
            raise no(503, "DatabaseTimeout", "The database is busy", (("Retry-After", "5"),))
        if self.conflicts and ask.method != "GET":
            self.conflicts -= 1
            raise no(409, "DatabaseConflict", "Database collision")
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(404, "InvalidEndpoint", "Not found") from None
        answer = act(ask, at)
        return attrs.evolve(answer, headers=(*answer.headers, ("X-Rate-Limit", "400")))

    def _grant(self, ask: Ask) -> Answer:
        wanted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": CLIENT_SECRET}
        if {name: ask.json().get(name) for name in wanted} != wanted or "read" not in ask.json().get("scope", ""):
            raise Refused(Answer.json({"error": "invalid_client", "error_description": "No such client."}, 401))
        self.issued.append(f"oauth-{len(self.issued) + 1}")
        self._good = {self.issued[-1]}
        answer = {"access_token": self.issued[-1], "token_type": "bearer", "scope": "read write", "expires_in": 172800}
        return Answer.json(answer)

    def expire_tokens(self) -> None:
        self._good.clear()

    def _check_credentials(self, ask: Ask) -> None:
        kind, _, value = (ask.header("Authorization") or "").partition(" ")
        if kind == "Bearer" and value not in self._good | {ACCESS_TOKEN}:
            words = "The access token provided is expired, revoked, malformed or invalid for other reasons."
            raise Refused(Answer.json({"error": "invalid_token", "error_description": words}, 401))
        basic = base64.b64encode(f"{EMAIL}/token:{API_TOKEN}".encode()).decode()
        if kind != "Bearer" and (kind, value) != ("Basic", basic):
            raise Refused(Answer.json({"error": "Couldn't authenticate you"}, 401))

    # Reading ------------------------------------------------------------------------------------------------------

    def _users(self, ask: Ask, _: dict[str, str]) -> Answer:
        size = int(ask.argument("page[size]") or 100)
        if size > 100:
            raise no(400, "InvalidPaginationParameter", "page[size] must be between 1 and 100")
        after = int(decoded(ask.argument("page[after]") or encoded("0")))
        rows = [user for user in self.users if ask.argument("role") in (None, user["role"])]
        last = after + size
        meta = {"has_more": len(rows) > last, "after_cursor": encoded(str(last)), "before_cursor": encoded(str(after))}
        return Answer.json({"users": rows[after:last], "meta": meta, "links": {}})

    def _export(self, ask: Ask, _: dict[str, str]) -> Answer:
        now = self.clock.now()
        self._exported = [at for at in self._exported if now - at < 60]
        if len(self._exported) >= EXPORTS_A_MINUTE:
            raise no(429, "RateLimited", "Number of allowed API requests per minute exceeded", (("Retry-After", "60"),))
        self._exported.append(now)
        size = int(ask.argument("per_page") or 1000)
        if size > 1000:
            raise no(422, "InvalidValue", "per_page must be at most 1000")
        changed, id = self._from(ask)
        rows = sorted((changed_at(one), one["id"], one) for one in self.tickets.values() if changed_at(one) < now - 60)
        rows = [row for row in rows if row[:2] > (changed, id)]
        if ask.argument("exclude_deleted") == "true":
            rows = [row for row in rows if row[2]["status"] != "deleted"]
        page = rows[:size]
        cursor = encoded("{}||{}".format(*page[-1][:2])) if page else ask.argument("cursor")
        after = f"https://acme.zendesk.com{ask.path}?cursor={cursor}" if cursor else None
        ends = {"after_cursor": cursor, "after_url": after, "before_cursor": None, "before_url": None}
        return Answer.json({"tickets": [row[2] for row in page], "end_of_stream": len(rows) <= size, **ends})

    def _from(self, ask: Ask) -> tuple[float, int]:
        """A cursor goes before a start time, which stands for every ticket changed at it or later."""
        if cursor := ask.argument("cursor"):
            changed, _, id = decoded(cursor).partition("||")
            return float(changed), int(id)
        start = ask.argument("start_time")
        if start is None or not start.isdecimal():
            raise no(400, "StartTimeMissing", "Missing parameter: start_time")
        if int(start) > self.clock.now() - 60:
            raise no(422, "InvalidValue", "Too recent start_time. Use a start_time older than 60 seconds")
        return float(start), 0

    # Writing ------------------------------------------------------------------------------------------------------

    def _create(self, ask: Ask, _: dict[str, str]) -> Answer:
        key = ask.header("Idempotency-Key")
        if key in self._created:
            body, answer = self._created[key]
            if body != ask.body:
                raise no(400, "IdempotentRequestError", "Request parameters don't match the given idempotency key")
            return attrs.evolve(answer, headers=(("x-idempotency-lookup", "hit"),))
        given = ask.json()["ticket"]
        if not given.get("comment"):
            details = {"base": [{"description": "Description: cannot be blank", "error": "BlankValue"}]}
            raise no(422, "RecordInvalid", "Record validation errors", details=details)
        made = {name: value for name, value in given.items() if name != "comment"}
        answer = Answer.json({"ticket": self._store(made, self.clock.now()), "audit": {"id": 1}}, 201)
        if key is not None:
            self._created[key] = (ask.body, answer)
        return attrs.evolve(answer, headers=(("x-idempotency-lookup", "miss"),))

    def _store(self, fields: Record, at: float) -> Record:
        id = 35000 + len(self.tickets)
        changed = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        usual = {"status": "new", "requester_id": 903, "custom_fields": [{"id": 27642, "value": "745"}]}
        self.tickets[id] = {"id": id, **usual, **fields, "created_at": changed, "updated_at": changed}
        return self.tickets[id]

    def _update_many(self, ask: Ask, _: dict[str, str]) -> Answer:
        waiting = sum(job["status"] in ("queued", "working") for job in self.jobs.values()) + self.queued_elsewhere
        if waiting >= JOBS:
            self.queued_elsewhere -= 1
            raise no(429, "TooManyJobs", "Too many jobs are currently queued or running. Try again later.")
        given = ask.json()["tickets"]
        if len(given) > 100:
            raise no(400, "TooManyValues", "Number of items in the request exceeds the limit of 100")
        id = f"{len(self.jobs) + 1:032x}"
        url = f"https://acme.zendesk.com/api/v2/job_statuses/{id}.json"
        shown = {"id": id, "url": url, "total": len(given), "progress": 0, "status": "queued", "message": None}
        self.jobs[id] = {**shown, "results": None, "given": given, "left": self.polls}
        return Answer.json({"job_status": {**shown, "results": None}})

    def _job(self, _: Ask, at: dict[str, str]) -> Answer:
        job = self.jobs.get(at["id"])
        if job is None:
            raise no(404, "RecordNotFound", "Not found")
        if job["left"] > 0:
            job["status"] = "queued" if job["left"] == self.polls else "working"
        elif job["status"] in ("queued", "working"):
            if self.jobs_end != "completed":
                job |= {"status": self.jobs_end, "message": "The job could not be run."}
            else:
                results = [self._update(one, index) for index, one in enumerate(job["given"])]
                job |= {"status": "completed", "progress": job["total"], "results": results}
        job["left"] -= 1
        hidden = ("given", "left")
        return Answer.json({"job_status": {name: value for name, value in job.items() if name not in hidden}})

    def _update(self, given: Record, index: int) -> Record:
        """What a job says of one ticket: of those that failed, where they stood and why."""
        ticket = self.tickets.get(given["id"])
        told = {"id": given["id"], "action": "update", "success": False, "status": "Failed", "index": index}
        if ticket is None:
            return {**told, "error": "TicketNotFound", "details": "Ticket does not exist"}
        if ticket["status"] == "closed":
            return {**told, "error": "TicketUpdateFailed", "details": "Status: closed prevents ticket update"}
        ticket |= given
        return {"id": given["id"], "action": "update", "success": True, "status": "Updated"}


def changed_at(ticket: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(ticket["updated_at"]).timestamp()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def no(status: int, error: str, description: str, headers: Pairs = (), **more: Any) -> Refused:
    """A refusal in the shape of the reference."""
    return Refused(
        attrs.evolve(Answer.json({"error": error, "description": description, **more}, status), headers=headers)
    )
