"""Twenty on loopback: the records and metadata APIs of one workspace, REST and GraphQL, as recorded from 2.19.0.

    with Twenty(clock=clock) as vendor:
        vendor.load(people=[{"name": {"firstName": "Ada", "lastName": "Byron"}}])
        ...  # vendor.url, vendor.key

What no recording and no fact page shows is marked as assumed where it is written.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import attrs

from connectory.clock import Clock, SystemClock
from emulators.exchange import Answer, Ask, Record
from emulators.program import run
from emulators.server import Emulator
from emulators.twenty_server import keys, metadata, openapi
from emulators.twenty_server.answers import EXPRESS, KEPT_ALIVE, answer_json, answer_plain, body_json, unless_known
from emulators.twenty_server.bucket import Bucket, limit_reached
from emulators.twenty_server.graphql_metadata import MetadataGraphqlApi
from emulators.twenty_server.graphql_records import GraphqlApi, without_key
from emulators.twenty_server.keys import ADMIN, HUNDRED_YEARS, Key, Rejection, Rights
from emulators.twenty_server.model import Model, ObjectType, load_model, named_id
from emulators.twenty_server.refusals import Refusal
from emulators.twenty_server.rest_metadata import MetadataRestApi
from emulators.twenty_server.rest_records import RestApi
from emulators.twenty_server.store import Store

RECORDED_LIMITS = ((100, 1_000), (100, 60_000))
"""Tokens and milliseconds of the real server's two buckets."""


@attrs.define(eq=False, kw_only=True, slots=False)
class Twenty(Emulator):
    """A Twenty workspace."""

    key: str = ""
    """The admin's API key; made up (a JSON Web Token) when not given."""
    limits: Sequence[tuple[int, int]] = ()
    """Token buckets (tokens, milliseconds); none by default, `RECORDED_LIMITS` are the real ones."""
    newer_limit_answers: bool = False
    """429 with Retry-After and `RATE_LIMITED`, instead of the classic engine's answer that names no time."""
    max_records: int = 200
    """Largest page over REST and largest batch."""
    lose_nulls: bool = True
    """Lose rows behind null cursors and repeat rows when ordered by a relation's id, as the real server does."""
    direct_metadata: bool = False
    """The newer metadata envelope: `data` is the list or the entity itself."""
    app_version: str = "2.19.0"
    only: Sequence[str] = ()
    """Plural names of the objects to have; all 33 of the recorded workspace by default."""
    custom_objects: Mapping[str, str] = attrs.field(factory=dict)
    """Further objects by singular and plural name, such as `{"gadget": "gadgets"}`."""
    people: int = 0
    """How many made-up people to start with."""
    companies: int = 0
    data: Path | None = None
    """A folder with recorded walks (`people-all-pages.jsonl`, also `.gz`), or one such file."""

    model: Model = attrs.field(init=False, factory=Model)
    store: Store = attrs.field(init=False, default=None)
    keys: dict[str, Key] = attrs.field(init=False, factory=dict)
    webhooks: list[Record] = attrs.field(init=False, factory=list)
    _buckets: list[Bucket] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.model = load_model(self.now())
        if self.only:
            self.model.keep_only(self.only)
        self.store = Store(self.model, self.clock, self.max_records)
        self.key = self.issue_key("lab-key", text=self.key)
        for singular, plural in self.custom_objects.items():
            self.add_object(singular, plural)
        self.load(companies=made_companies(self.companies), people=made_people(self.people, self.companies))
        if self.data is not None:
            self.load_walks(self.data)

    @classmethod
    def recorded(cls, folder: Path, clock: Clock | None = None, **knobs: Any) -> Self:
        """An emulator with the records of the walks in a folder."""
        return cls(clock=clock or SystemClock(), data=folder, **knobs)

    # Preparing -------------------------------------------------------------------------------------------------------

    def load(self, **records: Iterable[Record]) -> None:
        """Put records in by plural name, as they are: `load(people=[...], companies=[...])`."""
        with self._state:
            for plural, items in records.items():
                self.store.load(self._object(plural), items)

    def load_walks(self, place: Path) -> None:
        """Put in every record of recorded walks: exchanges of list calls, one a line."""
        files = sorted(place.glob("*-all-pages.jsonl*")) if place.is_dir() else [place]
        for file in files:
            for plural, records in walk_pages(file):
                self.load(**{plural: records})

    def records(self, plural: str, *, deleted_too: bool = False) -> list[Record]:
        """The records of an object as they are now, by id."""
        with self._state:
            table = self.store.table(self._object(plural))
            found = [dict(r) for r in table.values() if deleted_too or r["deletedAt"] is None]
        return sorted(found, key=lambda record: str(record["id"]))

    def add_object(self, singular: str, plural: str, **fields: str) -> ObjectType:
        """A custom object; `fields` are names and types, such as `serial="TEXT"`."""
        with self._state:
            names = {"nameSingular": singular, "namePlural": plural}
            thing = metadata.make_object(self, names, self.now())
        for name, kind in fields.items():
            self.add_field(plural, name, kind)
        return thing

    def add_field(self, plural: str, name: str, kind: str, **facts: Any) -> None:
        """A custom field; `facts` are keys of the metadata API, such as `options=[…]` or `isUnique=True`."""
        with self._state:
            body = {"objectMetadataId": self._object(plural).id, "name": name, "type": kind, "label": name, **facts}
            metadata.make_field(self, body, self.now())

    def issue_key(self, name: str, rights: Rights = ADMIN, *, lifetime: float = HUNDRED_YEARS, text: str = "") -> str:
        """A further API key; `lifetime` in seconds."""
        now = self.now()
        key_id = named_id("api key", name)
        text = text or keys.json_web_token(key_id, now, now + lifetime)
        self.keys[text] = Key(key_id, text, name, now, now + lifetime, rights)
        return text

    def revoke_key(self, text: str) -> None:
        self.keys[text].revoked_at = self.now()

    def expire_key(self, text: str) -> None:
        self.keys[text].expires = self.now()

    def _object(self, plural: str) -> ObjectType:
        thing = self.model.plural(plural)
        if thing is None:
            known = ", ".join(sorted(known.plural for known in self.model.objects.values()))
            raise KeyError(f"{plural}: known are {known}")
        return thing

    # Answering -------------------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.clock.now()

    def buckets(self) -> list[Bucket]:
        """The buckets of `limits`; new and full after `limits` was changed."""
        if [(bucket.size, bucket.window_ms) for bucket in self._buckets] != [tuple(limit) for limit in self.limits]:
            self._buckets = [Bucket(size, window_ms) for size, window_ms in self.limits]
        return self._buckets

    def drain(self) -> None:
        """Empty the buckets, as other callers of the workspace would."""
        with self._state:
            for bucket in self.buckets():
                bucket.tokens, bucket.last = 0, self.now()

    def spend_token(self) -> None:
        """One token of every bucket. Raises Refusal."""
        for bucket in self.buckets():
            if not bucket.take(self.now()):
                raise limit_reached(bucket, self.now(), newer=self.newer_limit_answers)

    def answer(self, ask: Ask) -> Answer:
        if ask.method == "OPTIONS":
            return preflight(ask)
        body_json(ask)  # malformed JSON is refused before anything else
        path = ask.path.rstrip("/")
        if path == "/healthz":
            return answer_json({"status": "ok", "info": {}, "error": {}, "details": {}})
        if path == "/client-config":
            return answer_json({"appVersion": self.app_version})
        if path in ("/graphql", "/metadata"):
            return self._graphql(ask, path)
        if path.startswith("/rest/"):
            return unless_known(ask, self._rest(ask, path))
        text = f"Cannot {ask.method} {ask.path}"
        return answer_json({"message": text, "error": "Not Found", "statusCode": 404}, 404)

    def _key(self, ask: Ask) -> Key | Rejection:
        return keys.find_key(self.keys, ask.header("Authorization"), self.now())

    def _graphql(self, ask: Ask, path: str) -> Answer:
        key = self._key(ask)
        if isinstance(key, Rejection):
            return without_key(ask, key)
        if path == "/metadata":
            return MetadataGraphqlApi(self, ask, key).answer()
        return GraphqlApi(self, ask, key).answer()

    def _rest(self, ask: Ask, path: str) -> Answer:
        key = self._key(ask)
        if isinstance(key, Rejection):
            return self._without_key(ask, path, key)
        try:
            if path.startswith("/rest/open-api/"):
                return answer_json(self._open_api(path))
            if path.startswith(("/rest/metadata/", "/rest/webhooks", "/rest/apiKeys")):
                return MetadataRestApi(self, ask, key).answer()
            return RestApi(self, ask, key).answer()
        except Refusal as refusal:
            return answer_json(refusal.rest(), refusal.status, refusal.headers)

    def _open_api(self, path: str) -> Record:
        if path.endswith("/metadata"):
            return openapi.metadata_document(self.url)
        return openapi.core_document(self.model, self.url)

    def _without_key(self, ask: Ask, path: str, rejection: Rejection) -> Answer:
        """The OpenAPI documents have a skeleton for who brings no key, but (recorded) not for a key in the query."""
        if path.startswith("/rest/open-api/") and rejection is keys.MISSING and ask.argument("token") is None:
            base = "/rest/metadata" if path.endswith("/metadata") else "/rest/"
            return answer_json(openapi.skeleton(self.url, base))
        return answer_plain(rejection.rest(), rejection.status)


def preflight(ask: Ask) -> Answer:
    """What a browser asks before a call from another origin."""
    headers = (
        *EXPRESS[:2],
        ("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE"),
        ("Vary", "Access-Control-Request-Headers"),
        ("Access-Control-Allow-Headers", ask.header("Access-Control-Request-Headers") or ""),
        *EXPRESS[2:],
        *KEPT_ALIVE,
    )
    return Answer(204, b"", "", headers)


def walk_pages(file: Path) -> Iterator[tuple[str, list[Record]]]:
    """(plural name, records) of each recorded list call in a JSON Lines file, also a gzipped one."""
    content = file.read_bytes()
    for line in (gzip.decompress(content) if file.suffix == ".gz" else content).splitlines():
        yield from json.loads(line)["response"]["body"]["data"].items()


def made_companies(count: int) -> Iterator[Record]:
    for number in range(1, count + 1):
        yield {
            "id": named_id("company", str(number)),
            "name": f"Company {number}",
            "domainName": {"primaryLinkUrl": f"https://company-{number}.example"},
            "employees": number * 7 % 500,
            "position": number,
        }


def made_people(count: int, companies: int) -> Iterator[Record]:
    """Every fifth has no company, every third no job title."""
    for number in range(1, count + 1):
        employed = companies and number % 5
        yield {
            "id": named_id("person", str(number)),
            "name": {"firstName": f"First{number}", "lastName": f"Last{number % 97}"},
            "emails": {"primaryEmail": f"person.{number}@company.example"},
            "jobTitle": f"Title {number % 11}" if number % 3 else "",
            "companyId": named_id("company", str(number % companies + 1)) if employed else None,
            "position": number,
        }


if __name__ == "__main__":
    run(Twenty)
