"""The proof of the Twenty emulator: asked what the real server was asked, it answers the same.

Every recorded exchange is asked again, in the order in which it happened and on the same records. Status, keys, types
and the words of errors must be those recorded, and the values too wherever the server did not make them up.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from connectory.clock import ManualClock
from emulators.talk import Talk
from emulators.twenty import Twenty
from emulators.twenty_replay import DATA, Recorded, Replay, differences, read_document, read_exchanges
from emulators.twenty_server.keys import NOTHING, READ_ONLY

EXCHANGES = {one.name: one for one in read_exchanges()}
# After a break the recording went on with a cleaned workspace.
SECOND_DAY = {
    *("rest-people-orderby-nullable-nulls-first-page1", "rest-people-orderby-nullable-nulls-first-page2"),
    *("rest-people-orderby-nullable-nulls-last-page1", "rest-people-orderby-nullable-nulls-last-page2"),
    *("rest-opportunities-create", "rest-notes-create-markdown", "rest-noteTargets-create", "rest-notes-get-depth1"),
    *("rest-noteTargets-create-old-name", "rest-tasks-create", "rest-taskTargets-create", "rest-people-create"),
    *("rest-people-filter-by-relation-company-name", "rest-people-create-with-relation-object"),
    *("rest-companies-depth1-people-capped", "rest-people-get-one-depth1"),
    *("graphql-error-duplicate-root-alias", "graphql-three-roots-one-token"),
}
NOT_EMULATED = {
    "graphql-search": "the full-text search is not emulated",
    "rest-metadata-fields-limit2": "which fields come first follows from made-up ids: a test of its own is below",
}
# Compared by keys and types: which records come first follows from ids that the server made up, icons and labels of
# the model are not in the table, and the order of groups is the database's.
BY_SHAPE = {
    *("graphql-people-first2", "graphql-people-after", "rest-permission-readonly-get", "graphql-people-filter-orderby"),
    *("rest-people-groupby-jobtitle-or-company", "graphql-peopleGroupBy", "rest-people-merge-dry-run"),
    *("rest-metadata-objects-limit1", "rest-metadata-objects-all-trimmed", "rest-metadata-objects-page2"),
    *("rest-metadata-object-person", "rest-metadata-object-create", "rest-metadata-field-create-bad-name"),
    *("graphql-metadata-objects", "graphql-metadata-apiKeys", "rest-metadata-apiKeys-list"),
}
ADA = {
    "id": "08555f62-b72d-427b-99f0-7eacd041c59b",
    "name": {"firstName": "Ada", "lastName": "Lovelace"},
    "emails": {"primaryEmail": "ada@recorded.example"},
    "phones": {"primaryPhoneNumber": "612345678", "primaryPhoneCountryCode": "FR", "primaryPhoneCallingCode": "+33"},
    "linkedinLink": {"primaryLinkUrl": "https://www.linkedin.com/in/ada-example"},
    "companyId": "20202020-a000-4485-94de-70c2a98daef2",
}
TWIN = {
    "id": "54741b0b-b5ba-4d38-964e-b8fb898e8f61",
    "name": {"firstName": "Connie", "lastName": "Ect"},
    "emails": {"primaryEmail": "connie2@recorded.example"},
    "jobTitle": "Twin",
}
LAB_KEY: dict[str, Any] = {"source": "API", "workspaceMemberId": None, "name": "lab-key", "context": {}}
BY_KEY = {"createdBy": LAB_KEY, "updatedBy": LAB_KEY}


def company(company_id: str) -> dict[str, Any]:
    return {"id": company_id, "name": "Recorded GmbH", "domainName": {"primaryLinkUrl": "https://recorded.example"}}


@attrs.frozen
class Stage:
    """One emulator, with what the exchanges need to be there and is not in the recorded walks."""

    vendor: Twenty
    replay: Replay

    def furnish(self) -> None:
        """Put in what the recorded lists and nested relations show."""
        for name, one in EXCHANGES.items():
            if one.method == "GET" and name.endswith(("list-limit1", "depth1", "depth1-people-capped")):
                for plural, records in (one.body.get("data") or {}).items():
                    if isinstance(records, list) and plural not in ("people", "companies"):
                        self.vendor.load(**{plural: records, "companies": []})
                        self.vendor.load(**{plural: [{"id": "ffffffff-0000-4000-8000-000000000000"}]})
                    for record in records if isinstance(records, list) else []:
                        self.load_relations(record)

    def load_relations(self, record: dict[str, Any]) -> None:
        known = {thing.plural for thing in self.vendor.model.objects.values()} - {
            "people",
            "companies",
            "opportunities",
        }
        for name, value in record.items():
            if name in known and isinstance(value, list):
                self.vendor.load(**{name: value})
            elif name in ("accountOwner", "owner") and value is not None:
                self.vendor.load(workspaceMembers=[value])

    def before(self, name: str) -> None:
        """What happened between the recorded exchanges."""
        steps: dict[str, Callable[[], None]] = {
            "rest-people-create-duplicate-email": lambda: self.vendor.load(people=[ADA | BY_KEY]),
            "rest-people-create-connect-by-domain": self.load_company,
            "rest-opportunities-filter-amount-stage": self.load_opportunity,
            "rest-people-merge-dry-run": lambda: self.vendor.load(people=[TWIN | BY_KEY]),
            "rest-companies-create": self.drop_company,
            "rest-opportunities-create": lambda: self.vendor.load(
                companies=[company("ee2cc136-59a9-4a4a-8035-21a4f3188fec") | BY_KEY]
            ),
        }
        steps.get(name, lambda: None)()
        self.vendor.limits = ((100, 60_000),) if "rate-limit" in name else ()
        self.vendor.drain()

    def load_company(self) -> None:
        self.vendor.load(companies=[company("8d091592-0350-452f-8439-313bbb79bb78") | BY_KEY])

    def load_opportunity(self) -> None:
        self.vendor.load(
            opportunities=EXCHANGES["rest-opportunities-filter-amount-stage"].body["data"]["opportunities"]
        )

    def drop_company(self) -> None:
        path = "/rest/companies/8d091592-0350-452f-8439-313bbb79bb78"
        assert (
            self.replay.talk.call("DELETE", path, headers={"Authorization": f"Bearer {self.vendor.key}"}).status == 200
        )

    def key_for(self, one: Recorded) -> str | None:
        if "Authorization" not in one.asked_headers:
            return None
        words: dict[str, Callable[[], str]] = {
            "garbage": lambda: "not-a-token",
            "forged": lambda: self.vendor.key[:-3] + "abc",
            "permission-readonly": lambda: self.vendor.issue_key("readonly", READ_ONLY),
            "permission-none": lambda: self.vendor.issue_key("none", NOTHING),
            "revoked": self.revoked_key,
            "expired": lambda: self.vendor.issue_key("expired", lifetime=0),
        }
        return next((make() for word, make in words.items() if word in one.name), self.vendor.key)

    def revoked_key(self) -> str:
        key = self.vendor.issue_key("revoked")
        self.vendor.revoke_key(key)
        return key

    def play(self, one: Recorded) -> list[str]:
        self.before(one.name)
        key = self.key_for(one)
        replied = self.replay.ask(one, key)
        found = [] if replied.status == one.status else [f"status {one.status} became {replied.status}: {replied.body}"]
        kinds = [headers.get("content-type") for headers in (one.headers, replied.headers)]
        found += [] if kinds[0] == kinds[1] else [f"content type {kinds[0]} became {kinds[1]}"]
        exact = one.name not in BY_SHAPE
        found += differences(one.body, replied.body, trimmed=one.trimmed, exact=exact)
        return found


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[str]]:
    """What differs in each exchange."""
    found: dict[str, list[str]] = {}
    for names in ([n for n in EXCHANGES if n not in SECOND_DAY], [n for n in EXCHANGES if n in SECOND_DAY]):
        for stage in staged():
            for name in names:
                found[name] = stage.play(EXCHANGES[name])
    return found


def staged() -> Iterator[Stage]:
    with Twenty.recorded(DATA, clock=ManualClock(1_795_345_147)) as vendor, Talk(vendor.url) as talk:
        stage = Stage(vendor, Replay(talk))
        stage.furnish()
        yield stage


@pytest.mark.parametrize("name", sorted(EXCHANGES.keys() - NOT_EMULATED.keys()))
def test_the_answer_is_the_recorded_one(outcomes: dict[str, list[str]], name: str) -> None:
    assert not outcomes[name]


def test_a_field_is_listed_as_recorded() -> None:
    recorded = EXCHANGES["rest-metadata-fields-limit2"].body
    with Twenty() as vendor, Talk(vendor.url, {"Authorization": f"Bearer {vendor.key}"}) as talk:
        page = talk.read("/rest/metadata/fields", limit=2)
        everything = talk.read("/rest/metadata/fields")
        objects = talk.read("/rest/metadata/objects")
    assert not list(differences({**recorded, "data": {}}, {**page, "data": {}}))
    assert (page["totalCount"], objects["totalCount"]) == (recorded["totalCount"], 33)
    for theirs in recorded["data"]["fields"]:
        ours = [one for one in everything["data"]["fields"] if one["name"] == theirs["name"]]
        assert ours
        assert not list(differences(theirs, ours[0], exact=False))


@pytest.mark.parametrize(("plural", "pages", "count"), [("people", 20, 1200), ("companies", 10, 599)])
def test_the_recorded_walks_are_answered_again_page_by_page(plural: str, pages: int, count: int) -> None:
    walk = [
        json.loads(line) for line in gzip.decompress((DATA / f"{plural}-all-pages.jsonl.gz").read_bytes()).splitlines()
    ]
    with Twenty.recorded(DATA) as vendor, Talk(vendor.url, {"Authorization": f"Bearer {vendor.key}"}) as talk:
        answers = [talk.call("GET", one["request"]["path"]) for one in walk]
    assert len(walk) == pages
    assert [answer.json() for answer in answers] == [one["response"]["body"] for one in walk]
    # Even the bytes are the same: the ETag is made from them.
    assert [answer.headers["ETag"] for answer in answers] == [one["response"]["headers"]["ETag"] for one in walk]
    assert sum(len(answer.json()["data"][plural]) for answer in answers) == count


def test_the_openapi_document_is_the_recorded_one_but_for_its_prose_and_examples() -> None:
    recorded = read_document("openapi-core")
    with Twenty() as vendor, Talk(vendor.url, {"Authorization": f"Bearer {vendor.key}"}) as talk:
        vendor.add_object("gadget", "gadgets").description = "made for the recording"
        vendor.add_field("people", "externalRef", "TEXT", description="id in the other system")
        written = talk.read("/rest/open-api/core")
    found = [
        text
        for text in differences(
            recorded, json.loads(json.dumps(written).replace(vendor_url(written), "http://127.0.0.1:3300"))
        )
        if ".example" not in text and not text.startswith(".info")
    ]
    assert found == [".paths: without /dashboards/{id}/duplicate"]
    assert list(written["components"]["schemas"]) == list(recorded["components"]["schemas"])
    for name, schema in recorded["components"]["schemas"].items():
        assert list(written["components"]["schemas"][name]["properties"]) == list(schema["properties"]), name
        assert list(written["components"]["schemas"][name].get("example", {})) == list(schema.get("example", {})), name


def vendor_url(document: dict[str, Any]) -> str:
    return str(document["servers"][0]["url"]).removesuffix("/rest/")


def test_the_metadata_document_has_objects_and_fields_as_recorded() -> None:
    recorded = read_document("openapi-metadata")
    with Twenty() as vendor, Talk(vendor.url, {"Authorization": f"Bearer {vendor.key}"}) as talk:
        written = talk.read("/rest/open-api/metadata")
    kept = {name: path for name, path in recorded["paths"].items() if name in written["paths"]}
    assert {"/objects", "/objects/{id}", "/fields", "/fields/{id}"} < kept.keys()
    assert {name: path for name, path in written["paths"].items() if "open-api" not in name} == {
        name: path for name, path in kept.items() if "open-api" not in name
    }
    schemas = written["components"]["schemas"]
    assert schemas == {name: recorded["components"]["schemas"][name] for name in schemas}
    assert written["components"]["parameters"] == recorded["components"]["parameters"]
