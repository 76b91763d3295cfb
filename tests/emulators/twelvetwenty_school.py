"""One school at 12Twenty: its knobs and records, its limits and its credentials."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import attrs

from emulators import twelvetwenty_data as made
from emulators.allowance import DayTally
from emulators.exchange import Answer, Ask, Record, Refused
from emulators.server import Emulator
from emulators.tokens import TokenDesk, base64_token

TOKEN_PATH = "/api/client/generateauthenticationtoken"


@attrs.frozen
class Update:
    """One write that was applied, as the vendor shows it to its admins. `changed` names the fields that differ now."""

    kind: str
    id: int
    verb: str
    changed: tuple[str, ...]


@attrs.define(eq=False, kw_only=True, slots=False)
class School(Emulator):
    """One school: its records, what it may spend and who may come in. What it answers is TwelveTwenty's."""

    api_key: str = "key/of+hilltop=="
    session: str = "portal-session"
    """Cookie `session` of the student portal, for `account/current-user` (assumed name)."""
    data: Path | None = None
    """JSON Lines of students instead of generated ones; a line's `_kind` names another table."""
    students: int = 277
    year: int = 2018
    other_students: int = 23
    """Students of the year after."""
    companies: int = 60
    contacts: int = 90
    notes: int = 80
    events: int = 12
    job_postings: int = 40

    concurrent: int = 3
    other_in_flight: int = 0
    """Requests that the school's other integrations have in flight all the time."""
    per_day: int = 5000
    used_today: int = 0
    """Calls that others spent of the day."""
    day: Literal["rolling", "calendar"] = "rolling"  # not documented
    day_zone_hours: float = 0.0
    token_call_counts: bool = True  # not documented
    refused_calls_count: bool = False  # not documented: whether a 429 spends the day too
    retry_after: str | None = None  # none is documented

    token_seconds: float = 86_400.0
    expire_after_calls: int | None = None
    """Functional calls that one token is good for."""
    new_token_ends_old: bool = False  # not documented
    token_content_type: str = "text/plain; charset=utf-8"  # assumed
    unauthorised_status: int = 401  # assumed, for bad keys and for expired and unknown tokens

    created_status: int = 201
    created_answer: Literal["id", "object"] = "id"
    patched_status: int = 200  # not stated
    replaced_answer: Literal["empty", "object"] = "empty"
    """`empty` is 204 without a body, `object` 200 with the record."""
    validation_status: int = 400
    """Documented as anything of the 400s or 500s."""
    unknown_query: Literal["refuse", "ignore"] = "refuse"  # assumed: a filter that is not known must not pass unseen
    unknown_fields: Literal["keep", "refuse"] = "keep"  # not documented
    required: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    """Fields that a create must have, by table. None is documented."""

    largest_page: int = 500
    over_largest: Literal["refuse", "clamp"] = "refuse"  # not documented
    beyond_end: Literal["empty", "refuse"] = "empty"  # not documented
    number_of_pages: bool = True
    total_error: int = 0
    """Added to the true Total, for a vendor that miscounts."""
    marks_in_lists: Literal["some", "all", "none"] = "some"
    """Which list items carry ModifyDate."""
    modify_from_inclusive: bool = True  # not documented
    notes_need_entity_type: bool = True  # assumed
    lookups_as: Literal["envelope", "array"] = "envelope"  # one client pages it, another reads it whole
    documentation_needs_token: bool = True  # not documented

    largest_batch: int = 1000
    refuse: dict[str, str] = attrs.field(factory=dict)
    """Calendar events that are refused whatever they hold: ExternalId to message."""

    tables: dict[str, dict[int, Record]] = attrs.field(init=False, factory=dict)
    calendar: dict[str, Record] = attrs.field(init=False, factory=dict)
    updates: list[Update] = attrs.field(init=False, factory=list)
    refusals: Counter[str] = attrs.field(init=False, factory=Counter)
    """429s given, by cause: `concurrent` and `per_day`."""
    tokens: TokenDesk = attrs.field(init=False, factory=TokenDesk)
    _day: DayTally = attrs.field(init=False, factory=DayTally)

    def __attrs_post_init__(self) -> None:
        self._fill()

    def _fill(self) -> None:
        students = [made.student(n, self.year) for n in range(self.students)]
        students += [made.student(self.students + n, self.year + 1) for n in range(self.other_students)]
        rows: dict[str, list[Record]] = {
            "students": students if self.data is None else [],
            "companies": [made.company(n) for n in range(self.companies)],
            "contacts": [made.contact(n, self.companies) for n in range(self.contacts)],
            "notes": [made.note(n) for n in range(self.notes)],
            "events": [made.event(n) for n in range(self.events)],
            "job_postings": [made.job_posting(n) for n in range(self.job_postings)],
        }
        self.tables = {kind: {row["Id"]: row for row in listed} for kind, listed in rows.items()}
        for line in self.data.read_text(encoding="utf-8").splitlines() if self.data else ():
            row = json.loads(line)
            self.add(row.pop("_kind", "students"), **row)

    # What others do to the data -----------------------------------------------------------------------------------

    def add(self, kind: str, **fields: Any) -> Record:
        """A new record, made by somebody else; `Id` may be given."""
        with self._state:
            table = self.tables[kind]
            record = {"Id": max(table, default=made.FIRST_ID[kind]) + 7, **fields}
            record.setdefault("ModifyDate", self._now())
            table[record["Id"]] = record
            return record

    def change(self, kind: str, id: int, **fields: Any) -> Record:
        """Somebody else changes a record; its ModifyDate becomes now unless given."""
        with self._state:
            self.tables[kind][id] |= {"ModifyDate": self._now(), **fields}
            return self.tables[kind][id]

    def revoke(self) -> None:
        """Refuse every token handed out so far."""
        with self._state:
            self.tokens.revoke()

    def _now(self) -> str:
        return made.zoneless(datetime.fromtimestamp(self.clock.now(), UTC))

    # Limits and credentials ---------------------------------------------------------------------------------------

    def admit(self, ask: Ask, now: float) -> Answer | None:
        counted = self.token_call_counts or ask.path.lower() != TOKEN_PATH
        cause = None
        if self._admitted + self.other_in_flight >= self.concurrent:
            cause = "concurrent"
        elif counted and self.used_today + self._day.used(now, self.day, self.day_zone_hours) >= self.per_day:
            cause = "per_day"
        if counted and (cause is None or self.refused_calls_count):
            self._day.spend(now, self.day_zone_hours)
        if cause is None:
            return None
        self.refusals[cause] += 1
        answer = Answer.text("Too many requests", 429)  # the text does not tell the two limits apart
        return attrs.evolve(answer, headers=(("Retry-After", self.retry_after),) if self.retry_after else ())

    def _generate_token(self, ask: Ask) -> Answer:
        """The key is taken from the query of a GET and from nowhere else; the whole body is the token."""
        if ask.method != "GET":
            raise no(405, "No such endpoint.")
        if self._arguments(ask, key=str).get("key") != self.api_key:
            raise no(self.unauthorised_status, "Invalid API key.")
        if self.new_token_ends_old:
            self.tokens.revoke()
        value = base64_token(self.api_key, len(self.tokens.tokens))
        self.tokens.issue(value, self.clock.now())
        return Answer.text(value, content_type=self.token_content_type)

    def _check_token(self, ask: Ask) -> None:
        scheme, _, token = (ask.header("Authorization") or "").partition(" ")
        refusal = "no bearer token"
        if scheme == "Bearer":
            now = self.clock.now()
            refusal = self.tokens.refusal(token, now, self.token_seconds, self.expire_after_calls) or ""
        if refusal:
            raise no(self.unauthorised_status, f"Unauthorized: {refusal}.")

    def _check_session(self, ask: Ask) -> None:
        if f"session={self.session}" not in re.split(r"; *", ask.header("Cookie") or ""):
            raise no(self.unauthorised_status, "Unauthorized: no session.")

    def counters(self) -> dict[str, Any]:
        return super().counters() | {"refused": dict(self.refusals), "tokens": len(self.tokens.tokens)}

    # The parts of a request ---------------------------------------------------------------------------------------

    def _arguments(self, ask: Ask, **allowed: Callable[[str], Any]) -> dict[str, Any]:
        """The query's values by their proper names; their case does not matter, an empty one is as good as none."""
        proper = {name.lower(): name for name in allowed}
        found: dict[str, Any] = {}
        for key, text in ask.query:
            name = proper.get(key.lower())
            if name is None:
                if self.unknown_query == "refuse":
                    raise no(self.validation_status, f"Unknown parameter {key}.")
                continue
            if name in found:
                raise no(self.validation_status, f"{name} is given twice.")
            try:
                found[name] = allowed[name](text) if text else None
            except ValueError:
                raise no(self.validation_status, f"{name} is not valid.") from None
        return {name: value for name, value in found.items() if value is not None}

    def _json(self, ask: Ask) -> Any:
        if ask.media_type != "application/json":
            raise no(415, "Content-Type must be application/json.")
        try:
            return ask.json()
        except ValueError:
            raise no(self.validation_status, "The body is not JSON.") from None

    def _body(self, ask: Ask) -> Record:
        self._arguments(ask)
        body = self._json(ask)
        if not isinstance(body, dict):
            raise no(self.validation_status, "The body must be an object.")
        return body


def no(status: int, words: str) -> Refused:
    """A refusal. Its body is assumed: none is documented outside the calendar batch."""
    return Refused(Answer.json({"Message": words}, status))
