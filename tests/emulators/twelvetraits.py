"""12traits on loopback: the push calls and uploads as documented in 2020, the assessment calls as of March 2021."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Record, Refused, Routes
from emulators.multipart import Part, parts_of
from emulators.program import run
from emulators.server import Emulator
from emulators.twelvetraits_checks import FEEDS, Feed, wrong_item

EASTERN = timezone(timedelta(hours=-5))
FIRST_COMPLETION = 1_600_000_000
TRAITS = {"motivation": ("achievement", "social", "immersion"), "personality": ("openness", "extraversion")}
MESSAGES = {400: "bad request", 401: "unauthorized", 404: "not found", 500: "internal server error"}


@attrs.frozen
class Upload:
    """One CSV file that came in."""

    path: str
    filename: str
    content_type: str
    content: bytes


@attrs.define(eq=False, kw_only=True, slots=False)
class TwelveTraits(Emulator):
    """12traits: `url` stands for `https://api.12traits.com`."""

    api_key: str = "key-of-a-dashboard"
    users: int = 1203
    """Users who completed the survey; every tenth id is all digits."""
    data: Path | None = None
    """JSON Lines of `{"id": …, "completed_at": epoch seconds or null}` instead of generated users."""
    personas: int = 4
    segments: tuple[str, ...] = ("default", "seg-1")

    largest_push: int = 1000
    too_many_status: int = 400  # not documented
    empty_status: int = 400  # not documented, for a push of no items; 201 takes it
    push_status: int = 201
    """The wire's status; the body's `code` is always 201. Implied, not stated."""
    partial: bool = False  # not documented: whether a push with bad items keeps the good ones (and answers 400 still)
    unknown_fields: Literal["refuse", "ignore"] = "refuse"  # not documented
    miscount: int = 0
    """Added to the number in the message of a push."""
    keep_items: bool = True
    """Whether pushed items are kept, or only counted."""
    estimate: int = 125
    dated_names: bool = False
    """Whether uploads must be named `YYYY-MM-DD.csv`, as until January 2020."""

    largest_page: int = 500
    cache_seconds: float = 3600.0
    """How long `GET /v1/assessment/users` repeats what it once found."""
    beyond_end: Literal["empty", "refuse"] = "empty"  # not documented
    unknown_user_status: int = 404  # not documented
    deleted_answer: Literal["envelope", "empty"] = "envelope"  # not documented
    registration_seconds: float = 7 * 86_400.0

    items: dict[str, list[Record]] = attrs.field(init=False, factory=dict)
    """What was pushed, by the last part of the path (`virtual-purchases`)."""
    pushed: Counter[str] = attrs.field(init=False, factory=Counter)
    uploads: list[Upload] = attrs.field(init=False, factory=list)
    forwarded: list[Any] = attrs.field(init=False, factory=list)
    """Payloads that came to the PlayFab receiver."""
    completed: dict[str, float | None] = attrs.field(init=False, factory=dict)
    """Every known user and when the survey was completed (epoch seconds; None: not yet)."""
    deleted: list[str] = attrs.field(init=False, factory=list)
    _cached: tuple[float, list[Record]] | None = attrs.field(init=False, default=None)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        for number in range(0 if self.data else self.users):
            id = str(1_000_000 + number) if number % 10 == 0 else f"user-{number:06d}"
            self.completed[id] = FIRST_COMPLETION + number * 61
        for line in self.data.read_text(encoding="utf-8").splitlines() if self.data else ():
            row = json.loads(line)
            self.completed[row["id"]] = row.get("completed_at")
        route = self._routes.add
        for name, feed in FEEDS.items():
            route(f"POST /v1/{name}", self._push(name, feed))
            self.items[name] = []
        route("POST /v1/survey-data/csv", self._upload)
        route("POST /v1/kpis/csv", self._upload)
        route("POST /v1/playfab", self._playfab)
        route("POST /v1/assessment/user/register", self._register)
        route("GET /v1/assessment/users", self._list_users)
        route("GET /v1/assessment/user/status", self._status)
        route("GET /v1/assessment", self._assessment)
        route("DELETE /v1/userData", self._delete)
        route("GET /v1/segments/{segment}/personas/{persona}/user-ids", self._user_ids)
        route("GET /v1/segments/{segment}/personas/{persona}/traits", self._traits)

    def counters(self) -> dict[str, Any]:
        return super().counters() | {"pushed": dict(self.pushed), "uploads": len(self.uploads)}

    def answer(self, ask: Ask) -> Answer:
        self._check_key(ask)
        try:
            act, values = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(404) from None  # of the four documented statuses, for wrong methods too
        return act(ask, values)

    def _check_key(self, ask: Ask) -> None:
        """The key in the query for the PlayFab receiver, behind Bearer for all else; the other place is refused."""
        given = [value for name, value in ask.query if name == "api_key"]
        authorization = ask.header("Authorization")
        if ask.path == "/v1/playfab":
            good = given == [self.api_key] and authorization is None
        else:
            good = authorization == f"Bearer {self.api_key}" and not given
        if not good:
            raise no(401)

    def _query(self, ask: Ask, *known: str) -> dict[str, str]:
        """The query's values. A name that is not known or comes twice is refused (assumed)."""
        found: dict[str, str] = {}
        for name, value in ask.query:
            if name not in known or name in found:
                raise no(400, {name: f"{name} is not expected"})
            found[name] = value
        return found

    def _body(self, ask: Ask) -> Record:
        if ask.media_type != "application/json":
            raise no(400, {"body": "content type must be application/json"})
        try:
            body = ask.json()
        except ValueError:
            raise no(400, {"body": "body must be JSON"}) from None
        if not isinstance(body, dict):
            raise no(400, {"body": "body must be an object"})
        return body

    # Pushing ------------------------------------------------------------------------------------------------------

    def _push(self, name: str, feed: Feed) -> Callable[[Ask, dict[str, str]], Answer]:
        def act(ask: Ask, values: dict[str, str]) -> Answer:
            self._query(ask)
            body = self._body(ask)
            items = body.get(feed.key)
            if body.keys() != {feed.key} or not isinstance(items, list):
                raise no(400, {feed.key: f"{feed.key} must be a list"})
            if len(items) > self.largest_push:
                raise no(self.too_many_status, {feed.key: f"{feed.key} must have at most {self.largest_push} items"})
            if not items and self.empty_status != 201:
                raise no(self.empty_status, {feed.key: f"{feed.key} must not be empty"})
            errors: dict[str, str] = {}
            good = []
            for item in items:
                wrong = wrong_item(item, feed, self.unknown_fields)
                errors |= wrong
                if not wrong:
                    good.append(item)
            if not errors or self.partial:
                self.pushed[name] += len(good)
                self.items[name] += good if self.keep_items else []
            if errors:
                raise no(400, errors)  # no item's index: a map from field to message is all there is
            # "50 actions have been successfully ingested" is the only sample; the other words are taken from the paths.
            words = f"{len(items) + self.miscount} {name} have been successfully ingested"
            return said(201, None, words, self.push_status)

        return act

    def _upload(self, ask: Ask, values: dict[str, str]) -> Answer:
        self._query(ask)
        try:
            parts = parts_of(ask.header("Content-Type") or "", ask.body)
        except ValueError as error:
            raise no(400, {"file": f"file must come as multipart/form-data: {error}"}) from None
        if [part.name for part in parts] != ["file"] or not parts[0].filename:
            raise no(400, {"file": "file must be the one part, with a file name"})
        self._keep(ask.path, parts[0])
        return said(201, {"estimated_time_to_complete": self.estimate}, "ingestion has been started", 201)

    def _keep(self, path: str, part: Part) -> None:
        if self.dated_names:
            try:
                datetime.strptime(part.filename, "%Y-%m-%d.csv")
            except ValueError:
                raise no(400, {"file": "file must be named YYYY-MM-DD.csv"}) from None
        self.uploads.append(Upload(path, part.filename, part.content_type, part.content))

    def _playfab(self, ask: Ask, values: dict[str, str]) -> Answer:
        """PlayFab's own payload; the answer is assumed."""
        self._query(ask, "api_key")
        try:
            self.forwarded.append(ask.json())
        except ValueError:
            raise no(400, {"body": "body must be JSON"}) from None
        return said(200, None)

    # Assessment ---------------------------------------------------------------------------------------------------

    def complete(self, id: str, at: float | None = None) -> None:
        """Somebody completes the survey, now unless told otherwise."""
        with self._state:
            self.completed[id] = self.clock.now() if at is None else at

    def _id(self, ask: Ask) -> str:
        self._query(ask)
        body = self._body(ask)
        if body.keys() != {"id"} or not isinstance(body["id"], str) or not body["id"]:
            raise no(400, {"id": "id must be a string"})
        return str(body["id"])

    def _register(self, ask: Ask, values: dict[str, str]) -> Answer:
        id = self._id(ask)
        self.completed.setdefault(id, None)
        token = hashlib.sha256(f"{self.api_key}/{id}".encode()).hexdigest()
        expires = int(self.clock.now() + self.registration_seconds)
        return said(200, {"expires_at": expires, "token": token, "status": "requested"})

    def _list_users(self, ask: Ask, values: dict[str, str]) -> Answer:
        text = self._query(ask, "page").get("page", "1")  # the first page when none is named: assumed
        if not (text.isascii() and text.isdigit()) or int(text) < 1:
            raise no(400, {"page": "page must be a positive integer"})
        now = self.clock.now()
        if self._cached is None or now - self._cached[0] >= self.cache_seconds:
            done = [(id, at) for id, at in self.completed.items() if at is not None]
            self._cached = now, [{"id": id, "completed_at": eastern(at)} for id, at in done]
        page, users = int(text), self._cached[1]
        pages = max(1, -(-len(users) // self.largest_page))
        if page > pages and self.beyond_end == "refuse":
            raise no(404)
        shown = users[(page - 1) * self.largest_page : page * self.largest_page]
        return said(200, {"current_page": page, "total_pages": pages, "users": shown})

    def _status(self, ask: Ask, values: dict[str, str]) -> Answer:
        id = self._query(ask, "id").get("id")
        if not id:
            raise no(400, {"id": "id is required"})
        if id not in self.completed:
            raise no(self.unknown_user_status)
        at = self.completed[id]
        return said(200, {"completed": at is not None, "completed_at": int(at or 0)})  # 0 for none: assumed here

    def _assessment(self, ask: Ask, values: dict[str, str]) -> Answer:
        """The one read whose data is an envelope again."""
        self._query(ask)
        done = sum(at is not None for at in self.completed.values())
        inner = {
            "status": "Launched",
            "created_on": "2020-09-01 08:00:00",
            "modified_on": "2021-02-24 17:45:09",
            "completed_at": 0,
            "type": "survey",
            "title": "What moves you?",
            "internal_title": "hilltop-2020",
            "statistics": {"Partial": len(self.completed) - done, "Disqualified": 0, "Complete": done},
        }
        return said(200, {"result_ok": True, "data": inner})

    def _delete(self, ask: Ask, values: dict[str, str]) -> Answer:
        """For good: the user and everything pushed about that user. The answer is assumed."""
        id = self._id(ask)
        pushed = any(item.get("user_id") == id for items in self.items.values() for item in items)
        if id not in self.completed and not pushed:
            raise no(self.unknown_user_status)
        self.completed.pop(id, None)
        for name, items in self.items.items():
            self.items[name] = [item for item in items if item.get("user_id") != id]
        self.deleted.append(id)
        return Answer(200) if self.deleted_answer == "empty" else said(200, None)

    # Segments -----------------------------------------------------------------------------------------------------

    def _persona(self, ask: Ask, values: dict[str, str]) -> int:
        """The persona's index from 1; 0 for all."""
        self._query(ask)
        persona = values["persona"]
        if values["segment"] not in self.segments:
            raise no(404)
        if persona == "all":
            return 0
        if not (persona.isascii() and persona.isdigit()) or not 1 <= int(persona) <= self.personas:
            raise no(404)
        return int(persona)

    def _user_ids(self, ask: Ask, values: dict[str, str]) -> Answer:
        persona = self._persona(ask, values)
        done = [id for id, at in self.completed.items() if at is not None]
        ids = [id for n, id in enumerate(done) if persona in (0, n % self.personas + 1)]
        return said(200, {"ids": ids})

    def _traits(self, ask: Ask, values: dict[str, str]) -> Answer:
        persona = self._persona(ask, values)
        scores = {
            category: {trait: round(0.1 + ((n * 7 + persona * 3) % 8) / 10, 2) for n, trait in enumerate(traits)}
            for category, traits in TRAITS.items()
        }
        return said(200, scores)


def said(code: int, data: object, message: str = "", status: int | None = None) -> Answer:
    """The envelope of every success."""
    return Answer.json({"code": code, "message": message, "data": data}, code if status is None else status)


def no(status: int, errors: dict[str, str] | None = None) -> Refused:
    """The envelope of every error; `errors` maps a field to a message."""
    return Refused(Answer.json({"code": status, "message": MESSAGES.get(status, ""), "errors": errors or {}}, status))


def eastern(at: float) -> str:
    """`2021-02-25 03:51:11 EST`: taken literally, five hours behind UTC all year (not documented)."""
    return datetime.fromtimestamp(at, UTC).astimezone(EASTERN).strftime("%Y-%m-%d %H:%M:%S EST")


if __name__ == "__main__":
    run(TwelveTraits)
