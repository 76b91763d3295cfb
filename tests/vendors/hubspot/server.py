"""HubSpot's CRM on loopback, as its reference documents it.

Sources, all under https://developers.hubspot.com/docs: /api-reference/error-handling (the shape of errors, and of those
of single inputs of a batch, named by objectWriteTraceId), /api/usage-details (limits, and the policy that was hit),
the CRM's objects, search (200 a page, 10,000 in all, five a second) and batch/upsert, and OAuth's refresh tokens.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Record, Refused, Routes
from emulators.server import Emulator

PRIVATE_TOKEN = "pat-eu1-11111111-2222"
CLIENT, CLIENT_SECRET, REFRESH_TOKEN = "7fff1e36-client", "secret-a0b1", "6f18f21e-refresh"
KINDS = ("contacts", "companies", "deals", "tickets")
SEARCHABLE = 10_000


@attrs.define(eq=False, kw_only=True, slots=False)
class HubSpot(Emulator):
    """HubSpot: `url` stands for `https://api.hubapi.com`."""

    throttled: int = 0
    """So many requests are refused for too many in ten seconds."""
    day_used_up: bool = False

    schemas: list[Record] = attrs.field(factory=list)
    """Of the account's own kinds of objects."""

    records: dict[str, list[Record]] = attrs.field(init=False, factory=lambda: {kind: [] for kind in KINDS})
    issued: list[str] = attrs.field(init=False, factory=list)
    _good: set[str] = attrs.field(init=False, factory=lambda: {PRIVATE_TOKEN})
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("GET /crm-object-schemas/v3/schemas", lambda ask, at: Answer.json({"results": self.schemas}))
        add("GET /crm/v3/objects/{kind}", self._list)
        add("POST /crm/v3/objects/{kind}/search", self._search)
        add("POST /crm/v3/objects/{kind}/batch/upsert", self._upsert)

    def add_records(self, kind: str, count: int) -> None:
        """So many records, each changed a second after the one before."""
        for number in range(count):
            self._store(kind, {"email": f"r{number}@x.example"}, 1_790_000_000 + number)

    def add_kind(self, name: str, **properties: str) -> None:
        """A kind of object of the account's own: its properties with their labels."""
        full = f"p7878787_{name}"
        told = [
            {"name": key, "label": label, "type": "string", "fieldType": "text"} for key, label in properties.items()
        ]
        self.schemas.append({"id": "123456", "name": name, "fullyQualifiedName": full, "properties": told})
        self.records[full] = []

    def expire_tokens(self) -> None:
        self._good.clear()

    # One request --------------------------------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        if ask.route == "POST /oauth/v1/token":
            return self._grant(ask)
        if (ask.header("Authorization") or "").removeprefix("Bearer ") not in self._good:
            words = "The OAuth token used to make this call expired 2 minute(s) ago."
            raise no(401, "EXPIRED_AUTHENTICATION", words)
        if self.throttled:
            self.throttled -= 1
            raise over("You have reached your ten_secondly_rolling limit.", "TEN_SECONDLY_ROLLING")
        if self.day_used_up:
            raise over("You have reached your daily limit.", "DAILY")
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(404, "OBJECT_NOT_FOUND", "resource not found") from None
        if "kind" in at and at["kind"] not in self.records:
            raise no(400, "VALIDATION_ERROR", f"Unable to infer object type from: {at['kind']}")
        return act(ask, at)

    def _grant(self, ask: Ask) -> Answer:
        given = dict(parse_qsl(ask.body.decode()))
        wanted = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
        if given != {"grant_type": "refresh_token", **wanted}:
            raise no(400, "BAD_REFRESH_TOKEN", "missing or invalid refresh token")
        self.issued.append(f"CJSP5qf1KhICAQEYs-{len(self.issued) + 1}")
        self._good = {self.issued[-1]}
        answer = {"access_token": self.issued[-1], "refresh_token": REFRESH_TOKEN, "expires_in": 1800}
        return Answer.json({**answer, "token_type": "bearer"})

    # Reading ------------------------------------------------------------------------------------------------------

    def _list(self, ask: Ask, at: dict[str, str]) -> Answer:
        size = int(ask.argument("limit") or 10)
        if size > 100:
            raise no(400, "VALIDATION_ERROR", "limit must be at most 100")
        return Answer.json(page(self.records[at["kind"]], int(ask.argument("after") or 0), size))

    def _search(self, ask: Ask, at: dict[str, str]) -> Answer:
        given = ask.json()
        start, size = int(given.get("after", 0)), given.get("limit", 10)
        if size > 200:
            raise no(400, "VALIDATION_ERROR", "limit must be at most 200")
        if start + size > SEARCHABLE:
            raise no(400, "VALIDATION_ERROR", f"Cannot page beyond {SEARCHABLE}")
        groups = given.get("filterGroups", [])
        changed = "lastmodifieddate" if at["kind"] == "contacts" else "hs_lastmodifieddate"
        rows = [one for one in self.records[at["kind"]] if not groups or any(meets(one, g, changed) for g in groups)]
        return Answer.json({"total": len(rows), **page(rows, start, size)})

    # Writing ------------------------------------------------------------------------------------------------------

    def _store(self, kind: str, properties: Record, at: float) -> Record:
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        id = str(sum(map(len, self.records.values())) + 101)
        record = {"id": id, "properties": properties, "createdAt": moment, "updatedAt": moment, "archived": False}
        self.records[kind].append(record)
        return record

    def _upsert(self, ask: Ask, at: dict[str, str]) -> Answer:
        inputs = ask.json()["inputs"]
        if len(inputs) > 100:
            raise no(400, "VALIDATION_ERROR", "The maximum number of inputs supported is 100")
        results, errors = [], []
        for given in inputs:
            if "@" not in given["properties"].get("email", "@"):
                words = f"Property values were not valid: Email address {given['properties']['email']} is invalid"
                trace = {"objectWriteTraceId": [given["objectWriteTraceId"]]}
                errors.append({"status": "error", "category": "VALIDATION_ERROR", "message": words, "context": trace})
                continue
            results.append(self._save(at["kind"], given))
        body = {"status": "COMPLETE", "results": results}
        return Answer.json({**body, "numErrors": len(errors), "errors": errors}, 207) if errors else Answer.json(body)

    def _save(self, kind: str, given: Record) -> Record:
        name = given["idProperty"]
        found = next((one for one in self.records[kind] if one["properties"].get(name) == given["id"]), None)
        if found is None:
            fields = {name: given["id"], **given["properties"]}
            return {**self._store(kind, fields, self.clock.now()), "new": True}
        found["properties"] |= given["properties"]
        return {**found, "new": False}


def page(rows: list[Record], start: int, size: int) -> Record:
    more = {"paging": {"next": {"after": str(start + size)}}} if start + size < len(rows) else {}
    return {"results": rows[start : start + size], **more}


def meets(record: Record, group: Record, changed: str) -> bool:
    """Whether a record meets all filters of a group; of the moments only `changed` is known, and only GTE."""
    for one in group["filters"]:
        if one["propertyName"] == changed and one["operator"] == "GTE":
            since = datetime.fromisoformat(one["value"])
            if datetime.fromisoformat(record["updatedAt"]) < since:
                return False
        elif one["operator"] != "EQ" or record["properties"].get(one["propertyName"]) != one["value"]:
            return False
    return True


def no(status: int, category: str, message: str, **more: Any) -> Refused:
    """A refusal in the shape of the reference."""
    told = {"status": "error", "message": message, "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf"}
    return Refused(Answer.json({**told, "category": category, **more}, status))


def over(message: str, policy: str) -> Refused:
    return no(429, "RATE_LIMITS", message, errorType="RATE_LIMIT", policyName=policy)
