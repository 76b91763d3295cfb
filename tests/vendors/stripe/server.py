"""Stripe on loopback, as its reference documents it, of the version of 2024-06-20.

Sources, all under https://docs.stripe.com: /api/authentication, /api/errors and /error-codes, /error-low-level (when to
send again), /api/idempotent_requests, /api/pagination/cursor-based, /rate-limits, /api/customers, /api/payment_intents,
/api/files, /reports/api.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Pairs, Record, Refused, Routes
from emulators.multipart import parts_of
from emulators.server import Emulator

KEY = "sk_test_26PHem9AhJZvU623DfE1x4sd"
DECLINED = "pm_card_visa_chargeDeclined"
CUSTOMER = frozenset({"email", "name", "phone", "description", "address", "metadata"})
INTENT = frozenset(
    {"amount", "currency", "customer", "payment_method", "confirm", "automatic_payment_methods", "metadata"}
)
REPORT = frozenset({"report_type", "parameters"})
CSV = b"created,reporting_category,net\n2026-01-01 00:00:00,charge,9.71\n2026-01-02 00:00:00,refund,-10.00\n"


@attrs.define(eq=False, kw_only=True, slots=False)
class Stripe(Emulator):
    """Stripe: `url` stands for `https://api.stripe.com` and for `https://files.stripe.com`, told apart by Host."""

    customers: list[Record] = attrs.field(factory=list)
    """Newest first, as lists give them."""
    key_expired: bool = False
    throttled: int = 0
    """So many requests are refused for too many a second."""
    locked: int = 0
    """So many requests find their object locked by another."""
    polls: int = 3
    """How often a report run is still pending when it is asked for."""
    reports_fail: bool = False

    intents: list[Record] = attrs.field(init=False, factory=list)
    files: dict[str, tuple[str, bytes]] = attrs.field(init=False, factory=dict)
    runs: dict[str, Record] = attrs.field(init=False, factory=dict)
    _done: dict[str, tuple[str, Any, Answer]] = attrs.field(init=False, factory=dict)
    _made: int = attrs.field(init=False, default=0)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("GET /v1/customers", self._list)
        add("POST /v1/customers", self._create)
        add("GET /v1/customers/{id}", lambda ask, at: Answer.json(self._customer(at["id"])))
        add("POST /v1/customers/{id}", self._update)
        add("DELETE /v1/customers/{id}", self._delete)
        add("POST /v1/payment_intents", self._intend)
        add("POST /v1/files", self._upload)
        add("GET /v1/files/{id}/contents", self._contents)
        add("POST /v1/reporting/report_runs", self._run)
        add("GET /v1/reporting/report_runs/{id}", self._poll)

    def add_customers(self, count: int) -> None:
        """So many customers, each made a minute after the one before."""
        for number in range(count):
            made = 1_790_000_000 + 60 * number
            self._store({"email": f"c{number}@shop.example", "name": f"Customer {number}", "created": made})

    # One request --------------------------------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        self._check_key(ask)
        if self.throttled:
            self.throttled -= 1
            headers = (("Stripe-Rate-Limited-Reason", "global-rate"),)
            raise no(429, "Request rate limit exceeded.", code="rate_limit", headers=headers)
        if self.locked:
            self.locked -= 1
            raise no(429, "This object cannot be accessed right now.", code="lock_timeout")
        if ask.header("Stripe-Version") != "2024-06-20":
            raise no(400, f"Invalid Stripe API version: {ask.header('Stripe-Version')}")
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(404, f"Unrecognized request URL ({ask.route}).") from None
        key = ask.header("Idempotency-Key") if ask.method == "POST" else None
        if key is None:
            return act(ask, at)
        if key in self._done:
            route, body, answer = self._done[key]
            if (route, body) != (ask.route, ask.body):
                raise no(400, "Keys for idempotent requests can only be used with the same parameters.", IDEMPOTENCY)
            return attrs.evolve(answer, headers=(("Idempotent-Replayed", "true"),))
        answer = act(ask, at)
        self._done[key] = (ask.route, ask.body, answer)
        return answer

    def _check_key(self, ask: Ask) -> None:
        if ask.header("Authorization") != f"Bearer {KEY}":
            raise no(401, "Invalid API Key provided: sk_test_****")
        if self.key_expired:
            raise no(401, "Expired API Key provided: sk_test_****x4sd", code="api_key_expired")

    # Customers ----------------------------------------------------------------------------------------------------

    def _list(self, ask: Ask, _: dict[str, str]) -> Answer:
        given = form(ask.query, {"email", "created", "limit", "starting_after", "expand"})
        limit = int(given.get("limit", 10))
        if not 1 <= limit <= 100:
            raise no(400, "This value must be between 1 and 100.", code="parameter_invalid_integer", param="limit")
        created = given.get("created", {})
        rows = [
            one
            for one in self.customers
            if given.get("email") in (None, one["email"])
            and one["created"] >= int(created.get("gte", 0))
            and one["created"] > int(created.get("gt", 0))
        ]
        if after := given.get("starting_after"):
            ids = [one["id"] for one in rows]
            if after not in ids:
                raise missing("customer", after, "starting_after")
            rows = rows[ids.index(after) + 1 :]
        body = {"object": "list", "url": "/v1/customers", "has_more": len(rows) > limit, "data": rows[:limit]}
        return Answer.json(body)

    def _customer(self, id: str) -> Record:
        found = next((one for one in self.customers if one["id"] == id), None)
        if found is None:
            raise missing("customer", id, "id")
        return found

    def _create(self, ask: Ask, _: dict[str, str]) -> Answer:
        return Answer.json(self._store(checked(ask, CUSTOMER)))

    def _store(self, fields: Record) -> Record:
        self._made += 1
        usual: Record = {"email": None, "name": None, "address": None, "metadata": {}, "created": int(self.clock.now())}
        record = {"id": f"cus_{self._made:04}", "object": "customer", "livemode": False, **usual, **fields}
        self.customers.insert(0, record)
        return record

    def _update(self, ask: Ask, at: dict[str, str]) -> Answer:
        record = self._customer(at["id"])
        for name, value in checked(ask, CUSTOMER).items():
            record[name] = {**record[name], **value} if name == "metadata" else value or None
        return Answer.json(record)

    def _delete(self, ask: Ask, at: dict[str, str]) -> Answer:
        self.customers.remove(self._customer(at["id"]))
        return Answer.json({"id": at["id"], "object": "customer", "deleted": True})

    # Payments -----------------------------------------------------------------------------------------------------

    def _intend(self, ask: Ask, _: dict[str, str]) -> Answer:
        given = checked(ask, INTENT)
        for name in ("amount", "currency"):
            if name not in given:
                raise no(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
        if not given["amount"].isdecimal():
            raise no(400, f"Invalid integer: {given['amount']}", code="parameter_invalid_integer", param="amount")
        if "customer" in given and all(one["id"] != given["customer"] for one in self.customers):
            raise missing("customer", given["customer"], "customer")
        if given.get("payment_method") == DECLINED and given.get("confirm") == "true":
            raise no(402, "Your card was declined.", "card_error", code="card_declined")
        done = "succeeded" if given.get("confirm") == "true" else "requires_payment_method"
        number = {"amount": int(given["amount"]), "created": int(self.clock.now())}
        intent = {"id": f"pi_{len(self.intents)}", "object": "payment_intent", **given, **number, "status": done}
        self.intents.append(intent)
        return Answer.json(intent)

    # Files and reports --------------------------------------------------------------------------------------------

    def _upload(self, ask: Ask, _: dict[str, str]) -> Answer:
        parts = {part.name: part for part in parts_of(ask.header("Content-Type") or "", ask.body)}
        if set(parts) != {"purpose", "file"}:
            raise no(400, "Missing required param: file.", code="parameter_missing", param="file")
        return Answer.json(self._keep(parts["purpose"].content.decode(), parts["file"].content))

    def _contents(self, ask: Ask, at: dict[str, str]) -> Answer:
        if ask.header("Host") != "files.stripe.com":
            raise no(404, f"Unrecognized request URL ({ask.route}).")
        return Answer(200, self.files[at["id"]][1], "text/csv")

    def _keep(self, purpose: str, content: bytes) -> Record:
        id = f"file_{len(self.files)}"
        self.files[id] = (purpose, content)
        url = f"https://files.stripe.com/v1/files/{id}/contents"
        return {"id": id, "object": "file", "purpose": purpose, "size": len(content), "url": url}

    def _run(self, ask: Ask, _: dict[str, str]) -> Answer:
        given = checked(ask, REPORT)
        if "report_type" not in given:
            raise no(400, "Missing required param: report_type.", code="parameter_missing", param="report_type")
        id = f"frr_{len(self.runs)}"
        run = {"id": id, "object": "reporting.report_run", **given, "status": "pending", "result": None, "error": None}
        self.runs[id] = {**run, "left": self.polls}
        return Answer.json(run)

    def _poll(self, ask: Ask, at: dict[str, str]) -> Answer:
        run = self.runs.get(at["id"])
        if run is None:
            raise missing("reporting report run", at["id"], "id")
        if run["status"] == "pending" and run["left"] == 0:
            ends = {"status": "failed", "error": "The report could not be made."}
            run |= (
                ends if self.reports_fail else {"status": "succeeded", "result": self._keep("finance_report_run", CSV)}
            )
        run["left"] -= 1
        return Answer.json({name: value for name, value in run.items() if name != "left"})


# Parameters -----------------------------------------------------------------------------------------------------------


def checked(ask: Ask, known: frozenset[str]) -> Record:
    """The form of a POST. A field that the call does not know is an error, and so is an address that is none."""
    if ask.body and ask.media_type != "application/x-www-form-urlencoded":
        raise no(400, "Invalid request: the body must be form-encoded")
    given = form(tuple(parse_qsl(ask.body.decode(), keep_blank_values=True)), known)
    if (email := given.get("email")) and "@" not in email:
        raise no(400, f"Invalid email address: {email}", code="email_invalid", param="email")
    return given


def form(pairs: Pairs, known: frozenset[str] | set[str]) -> Record:
    """`a[b]=1&c[0]=2&c[1]=3` as `{a: {b: 1}, c: [2, 3]}`; `c[]=2` is a list too."""
    tree: Record = {}
    for key, value in pairs:
        first, *rest = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", key)
        if first not in known:
            raise no(400, f"Received unknown parameter: {first}", code="parameter_unknown", param=first)
        held = tree
        for here, following in zip([first, *rest], rest, strict=False):
            held = held.setdefault(here, {})
            assert isinstance(held, dict), (key, following)
        held[(rest or [first])[-1] or str(len(held))] = value
    return {name: as_lists(value) for name, value in tree.items()}


def as_lists(value: Any) -> Any:
    """Objects whose keys are 0, 1, 2 ... as lists."""
    if not isinstance(value, dict):
        return value
    if value and list(value) == [str(number) for number in range(len(value))]:
        return [as_lists(one) for one in value.values()]
    return {name: as_lists(one) for name, one in value.items()}


# Errors ---------------------------------------------------------------------------------------------------------------

INVALID, IDEMPOTENCY = "invalid_request_error", "idempotency_error"


def no(status: int, message: str, kind: str = INVALID, *, headers: Pairs = (), **more: str) -> Refused:
    """A refusal in the shape of the reference: type and message always, code and param where there are any."""
    error: Mapping[str, str] = {"type": kind, "message": message, **more}
    return Refused(attrs.evolve(Answer.json({"error": error}, status), headers=headers))


def missing(what: str, id: str, param: str) -> Refused:
    """No such object: 404 where the path names it, else 400."""
    status = 404 if param == "id" else 400
    return no(status, f"No such {what}: '{id}'", code="resource_missing", param=param)
