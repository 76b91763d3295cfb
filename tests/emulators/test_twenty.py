"""Twenty's emulator beyond single recorded exchanges: what was measured, what the fact page says, and the knobs."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from connectory.clock import ManualClock
from emulators.talk import Talk
from emulators.twenty import RECORDED_LIMITS, Twenty
from emulators.twenty_replay import DATA
from emulators.twenty_server.keys import READ_ONLY, WITHOUT_DATA_MODEL

MINUTE = ((100, 60_000),)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Twenty]:
    with Twenty(clock=clock) as running:
        yield running


@pytest.fixture
def talk(vendor: Twenty) -> Iterator[Talk]:
    with Talk(vendor.url, bearer(vendor.key)) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def person(number: int, **more: Any) -> dict[str, Any]:
    return {"name": {"lastName": f"L{number}"}, "emails": {"primaryEmail": f"p{number}@example.com"}, **more}


def graphql(talk: Talk, query: str, path: str = "/graphql", **variables: Any) -> Any:
    answer = talk.call("POST", path, json_body={"query": query, "variables": variables})
    assert answer.status == 200
    return answer.json()


# Rate limit, as measured ---------------------------------------------------------------------------------------------


def refused_at_pace(talk: Talk, clock: ManualClock, pace: float, calls: int) -> list[int]:
    refused = []
    for number in range(1, calls + 1):
        if talk.call("GET", "/rest/people", query={"limit": 0}).status == 429:
            refused.append(number)
        clock.wind(pace)
    return refused


def test_a_pace_of_half_a_second_loses_the_fractions_of_refill(vendor: Twenty, talk: Talk, clock: ManualClock) -> None:
    vendor.limits = MINUTE
    refused = refused_at_pace(talk, clock, 0.5, 125)
    assert (refused[0], len(refused)) == (101, 13)


def test_a_pace_of_0_62_seconds_is_never_refused(vendor: Twenty, talk: Talk, clock: ManualClock) -> None:
    vendor.limits = RECORDED_LIMITS
    assert refused_at_pace(talk, clock, 0.62, 115) == []


def test_from_empty_every_other_call_at_0_35_seconds_passes(vendor: Twenty, talk: Talk, clock: ManualClock) -> None:
    vendor.limits = MINUTE
    vendor.drain()
    clock.wind(0.35)
    assert 36 - len(refused_at_pace(talk, clock, 0.35, 36)) in (17, 18)


def test_what_costs_a_token_and_what_does_not(vendor: Twenty, talk: Talk) -> None:
    vendor.limits = ((1000, 60_000),)

    def cost(method: str, path: str, **sent: Any) -> int:
        before = vendor.buckets()[0].tokens
        talk.call(method, path, **sent)
        return before - vendor.buckets()[0].tokens

    nobody = "/rest/people/00000000-0000-4000-8000-000000000000"
    assert cost("POST", "/rest/batch/people", json_body=[person(n) for n in range(200)]) == 1
    assert cost("POST", "/rest/batch/people", json_body=[person(n) for n in range(201)]) == 1
    assert cost("GET", "/rest/people", query={"limit": 200, "depth": 1}) == 1
    assert cost("GET", nobody) == 1
    assert cost("POST", "/rest/people", json_body={"nosuchfield": 1}) == 1
    assert cost("POST", "/graphql", json_body={"query": "{ people { totalCount } companies { totalCount } }"}) == 1
    for path in ("/rest/people?depth=2", "/rest/people?filter=x", "/rest/unicorns", "/rest/metadata/objects"):
        assert cost("GET", path) == 0
    assert cost("GET", "/rest/open-api/core") == 0
    assert cost("GET", "/rest/people", headers={"Authorization": "Bearer nonsense"}) == 0


def test_the_newer_engine_names_the_time_to_wait(vendor: Twenty, talk: Talk, clock: ManualClock) -> None:
    vendor.limits, vendor.newer_limit_answers = ((10, 60_000),), True
    vendor.drain()
    answer = talk.call("GET", "/rest/people")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "6")
    assert (answer.json()["error"], answer.json()["retryAfterSeconds"]) == ("RATE_LIMITED", 6)
    extensions = graphql(talk, "{ people { totalCount } }")["errors"][0]["extensions"]
    assert (extensions["code"], extensions["retryAfterMs"]) == ("RATE_LIMITED", 6000)
    clock.wind(6)
    assert talk.call("GET", "/rest/people").status == 200


# Ordering, as measured -----------------------------------------------------------------------------------------------


def walk(talk: Talk, order: str) -> list[str]:
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = talk.read("/rest/people", limit=200, order_by=order, **cursor)
        ids += [one["id"] for one in page["data"]["people"]]
        if not page["pageInfo"]["hasNextPage"]:
            return ids
        cursor = {"starting_after": page["pageInfo"]["endCursor"]}


@pytest.fixture(scope="module")
def recorded() -> Iterator[Twenty]:
    with Twenty.recorded(DATA, ManualClock()) as running:
        yield running


@pytest.mark.parametrize(
    ("order", "rows", "unique"),
    [
        ("", 1200, 1200),
        ("updatedAt", 1200, 1200),
        ("name.lastName", 1200, 1200),
        ("emails.primaryEmail[DescNullsLast]", 1200, 1200),
        ("companyId[AscNullsFirst]", 1072, 451),
        ("companyId[DescNullsLast]", 374, 349),
        ("performanceRating[AscNullsFirst]", 200, 200),
        ("performanceRating[DescNullsLast]", 200, 200),
    ],
)
def test_walks_give_and_lose_the_rows_that_were_measured(recorded: Twenty, order: str, rows: int, unique: int) -> None:
    with Talk(recorded.url, bearer(recorded.key)) as talk:
        ids = walk(talk, order)
    assert (len(ids), len(set(ids))) == (rows, unique)


def test_a_server_without_the_loss_walks_whole(recorded: Twenty) -> None:
    recorded.lose_nulls = False
    try:
        with Talk(recorded.url, bearer(recorded.key)) as talk:
            for order in ("companyId[AscNullsFirst]", "performanceRating[DescNullsLast]", "companyId[DescNullsLast]"):
                assert len(set(walk(talk, order))) == 1200
    finally:
        recorded.lose_nulls = True


# Keys ----------------------------------------------------------------------------------------------------------------


def test_a_key_can_be_read_by_who_has_it_and_ends_by_the_clock(vendor: Twenty, clock: ManualClock) -> None:
    key = vendor.issue_key("short", lifetime=3600)
    claims = json.loads(base64.urlsafe_b64decode(key.split(".")[1] + "=="))
    assert (claims["type"], claims["exp"]) == ("API_KEY", clock.now() + 3600)
    with Talk(vendor.url, bearer(key)) as talk:
        assert talk.call("GET", "/rest/people").status == 200
        clock.wind(3600)
        assert talk.call("GET", "/rest/people").json()["messages"] == ["Token has expired."]


def test_without_the_data_model_right_metadata_is_closed_and_openapi_open(vendor: Twenty) -> None:
    with Talk(vendor.url, bearer(vendor.issue_key("weak", WITHOUT_DATA_MODEL))) as talk:
        assert talk.call("GET", "/rest/metadata/objects").status == 403
        answer = graphql(talk, "{ objects { edges { node { id } } } }", "/metadata")
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert "Person" in talk.read("/rest/open-api/core")["components"]["schemas"]
        assert talk.call("POST", "/rest/people", json_body=person(1)).status == 201


def test_without_a_key_openapi_is_a_skeleton(vendor: Twenty) -> None:
    with Talk(vendor.url) as talk:
        assert talk.read("/rest/open-api/core")["components"]["schemas"] == {}
        assert list(talk.read("/rest/open-api/metadata")["paths"]) == ["/open-api/metadata"]
        assert talk.read("/client-config")["appVersion"] == "2.19.0"


# Destructive defaults ------------------------------------------------------------------------------------------------


def test_patch_without_filter_changes_everything_and_delete_without_filter_nothing(vendor: Twenty, talk: Talk) -> None:
    vendor.load(people=[person(n) for n in range(5)])
    assert len(talk.call("PATCH", "/rest/people", json_body={"jobTitle": "all"}).json()["data"]["updatePeople"]) == 5
    assert {one["jobTitle"] for one in vendor.records("people")} == {"all"}
    assert talk.call("DELETE", "/rest/people").status == 400
    assert talk.call("PATCH", "/rest/restore/people").status == 400
    assert len(vendor.records("people")) == 5


@pytest.mark.parametrize(("text", "kept"), [("true", True), ("True", False), ("1", False), ("", False)])
def test_only_the_text_true_deletes_softly(vendor: Twenty, talk: Talk, text: str, kept: bool) -> None:
    vendor.load(people=[person(1)])
    path = f"/rest/people/{vendor.records('people')[0]['id']}"
    assert talk.call("DELETE", path, query={"soft_delete": text}).status == 200
    assert bool(vendor.records("people", deleted_too=True)) is kept
    assert not vendor.records("people")


def test_destroying_a_company_leaves_its_people_without_one(vendor: Twenty, talk: Talk) -> None:
    company = talk.call("POST", "/rest/companies", json_body={"name": "Gone"}).json()["data"]["createCompany"]
    talk.call("POST", "/rest/people", json_body=person(1, companyId=company["id"]))
    assert talk.read("/rest/people", depth=1)["data"]["people"][0]["company"]["name"] == "Gone"
    talk.call("DELETE", f"/rest/companies/{company['id']}")
    assert vendor.records("people")[0]["companyId"] is None


# Writing -------------------------------------------------------------------------------------------------------------


def test_only_ids_of_versions_1_to_5_are_taken(talk: Talk) -> None:
    ids = {version: f"0190a3b4-0000-{version}000-8000-000000000000" for version in (1, 4, 5, 6, 7, 8)}
    statuses = {v: talk.call("POST", "/rest/people", json_body={"id": i}).status for v, i in ids.items()}
    assert statuses == {1: 201, 4: 201, 5: 201, 6: 400, 7: 400, 8: 400}


def test_a_batch_with_one_bad_record_writes_nothing(vendor: Twenty, talk: Talk) -> None:
    vendor.load(people=[person(0)])
    before = vendor.records("people")
    for bad in (person(0), {"nosuchfield": 1}, {"jobTitle": 5}, {"companyId": before[0]["id"]}):
        assert talk.call("POST", "/rest/batch/people", json_body=[person(1), bad]).status == 400
        upserted = talk.call("POST", "/rest/batch/people?upsert=true", json_body=[person(0, jobTitle="x"), bad])
        assert upserted.status == (201 if bad == person(0) else 400)
    assert len(vendor.records("people")) == 1
    assert vendor.records("people")[0]["jobTitle"] == "x"


def test_an_upsert_sets_createdby_once(vendor: Twenty, talk: Talk) -> None:
    other = bearer(vendor.issue_key("other"))
    talk.call("POST", "/rest/people?upsert=true", json_body=person(1))
    talk.call("POST", "/rest/people?upsert=true", json_body=person(1, createdBy={"source": "EMAIL"}), headers=other)
    (record,) = vendor.records("people")
    assert (record["createdBy"]["name"], record["updatedBy"]["name"]) == ("lab-key", "other")
    assert record["createdBy"]["source"] == "API"


def test_updatedat_moves_with_the_clock_and_filters_find_it(vendor: Twenty, talk: Talk, clock: ManualClock) -> None:
    talk.call("POST", "/rest/batch/people", json_body=[person(n) for n in range(3)])
    clock.wind(60)
    first = vendor.records("people")[0]
    talk.call("PATCH", f"/rest/people/{first['id']}", json_body={"jobTitle": "new"})
    changed = vendor.records("people")[0]["updatedAt"]
    assert changed > first["updatedAt"]
    for comparator, count in (("gte", 1), ("gt", 0), ("eq", 1), ("lt", 2)):
        page = talk.read("/rest/people", filter=f'updatedAt[{comparator}]:"{changed}"', limit=1)
        assert page["totalCount"] == count, comparator


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("employees[gt]:100", {2, 3}),
        ("employees[in]:[50,200]", {1, 2}),
        ("employees[neq]:50,employees[lte]:200", {2}),
        ('name[eq]:"One, or (two"', {1}),
        ("name[startsWith]:T,not(name[ilike]:%WO)", {3}),
        ("name[endsWith]:wo", {1, 2}),
        ("or(name[like]:One%,and(employees[gte]:300,name[is]:NOT_NULL))", {1, 3}),
        ("tagline[is]:NULL", {1, 2}),
        ("workPolicy[containsAny]:[HYBRID]", {3}),
        ("visaSponsorship[eq]:true", {2}),
        ('address.addressCity[eq]:"Wien"', {1}),
        ("annualRevenue.amountMicros[gte]:1000000", {3}),
    ],
)
def test_filters(vendor: Twenty, talk: Talk, text: str, expected: set[int]) -> None:
    vendor.load(
        companies=[
            {"name": "One, or (two", "employees": 50, "position": 1, "address": {"addressCity": "Wien"}},
            {"name": "Two", "employees": 200, "position": 2, "visaSponsorship": True},
            {
                **{"name": "Three", "employees": 300, "position": 3, "tagline": "x", "workPolicy": ["HYBRID"]},
                "annualRevenue": {"amountMicros": 5_000_000, "currencyCode": "EUR"},
            },
        ]
    )
    assert {one["position"] for one in talk.read("/rest/companies", filter=text)["data"]["companies"]} == expected


def test_custom_objects_are_like_the_others(vendor: Twenty, talk: Talk) -> None:
    vendor.add_object("gadget", "gadgets", serial="TEXT", price="CURRENCY")
    gadget = talk.call("POST", "/rest/gadgets", json_body={"name": "g", "serial": "1"}).json()["data"]["createGadget"]
    note = talk.call("POST", "/rest/notes", json_body={"title": "n"}).json()["data"]["createNote"]
    target = {"noteId": note["id"], "targetGadgetId": gadget["id"]}
    assert talk.call("POST", "/rest/noteTargets", json_body=target).status == 201
    shown = talk.read(f"/rest/gadgets/{gadget['id']}", depth=1)["data"]["gadget"]
    assert (shown["serial"], shown["noteTargets"][0]["noteId"]) == ("1", note["id"])
    schemas = talk.read("/rest/open-api/core")["components"]["schemas"]
    assert "amountMicros" in schemas["Gadget"]["properties"]["price"]["properties"]
    assert graphql(talk, "{ gadgets { edges { node { serial } } } }")["data"]["gadgets"]["edges"] == [
        {"node": {"serial": "1"}}
    ]


def test_fewer_objects_when_asked_for() -> None:
    with (
        Twenty(only=["people", "companies"], people=3, companies=2) as vendor,
        Talk(vendor.url, bearer(vendor.key)) as talk,
    ):
        assert len(talk.read("/rest/open-api/core")["components"]["schemas"]) == 6
        assert talk.call("GET", "/rest/notes").status == 400
        (first, *_) = talk.read("/rest/people", depth=1)["data"]["people"]
        assert set(first) > {"company", "companyId"}
        assert "noteTargets" not in first


# GraphQL -------------------------------------------------------------------------------------------------------------


def test_relations_are_nested_both_ways_in_one_call(talk: Talk) -> None:
    company = graphql(talk, 'mutation { createCompany(data: {name: "Acme"}) { id } }')["data"]["createCompany"]
    people = [person(n, companyId=company["id"]) for n in range(3)]
    graphql(talk, "mutation($d: [PersonCreateInput!]!) { createPeople(data: $d) { id } }", d=people)
    answer = graphql(
        talk,
        """query($n: Int!) {
          people(first: $n, orderBy: [{name: {lastName: DescNullsLast}}]) { edges { node { ...who } } totalCount }
          company(filter: {name: {eq: "Acme"}}) {
            name
            people(first: 2, filter: {name: {lastName: {neq: "L0"}}}) {
              edges { cursor node { id } }
              pageInfo { hasNextPage }
            }
          }
        }
        fragment who on Person { name { last: lastName } company { name people { totalCount } } __typename }""",
        n=1,
    )["data"]
    assert answer["people"] == {
        "edges": [
            {
                "node": {
                    "name": {"last": "L2"},
                    "company": {"name": "Acme", "people": {"totalCount": 3}},
                    "__typename": "Person",
                }
            }
        ],
        "totalCount": 3,
    }
    assert len(answer["company"]["people"]["edges"]) == 2
    assert answer["company"]["people"]["pageInfo"] == {"hasNextPage": False}


def test_many_are_deleted_restored_and_destroyed_by_filter(vendor: Twenty, talk: Talk) -> None:
    vendor.load(people=[person(n) for n in range(4)])
    ids = [one["id"] for one in vendor.records("people")][:2]
    for action, left, kept in (("delete", 2, 4), ("restore", 4, 4), ("delete", 2, 4), ("destroy", 2, 2)):
        query = f"mutation($f: PersonFilterInput!) {{ {action}People(filter: $f) {{ id }} }}"
        done = graphql(talk, query, f={"id": {"in": ids}})["data"][f"{action}People"]
        assert sorted(one["id"] for one in done) == ids
        assert (len(vendor.records("people")), len(vendor.records("people", deleted_too=True))) == (left, kept)


def test_unknown_roots_and_arguments_are_refused_before_anything_is_done(vendor: Twenty, talk: Talk) -> None:
    answer = graphql(talk, "mutation { createPerson(data: {}) { id } createUnicorn(data: {}) { id } }")
    assert answer["errors"][0]["message"] == 'Cannot query field "createUnicorn" on type "Mutation".'
    answer = graphql(talk, "{ people(firts: 1) { totalCount } }")
    assert answer["errors"][0]["message"] == 'Unknown argument "firts" on field "Query.people".'
    assert "data" not in answer
    assert not vendor.records("people")


# Metadata ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [False, True])
def test_objects_and_fields_over_rest_in_both_envelopes(vendor: Twenty, talk: Talk, direct: bool) -> None:
    vendor.direct_metadata = direct

    def entity(answer: urllib3.BaseHTTPResponse, name: str) -> Any:
        assert answer.status in (200, 201), answer.data
        return answer.json()["data"] if direct else answer.json()["data"][name]

    names = {"nameSingular": "gadget", "namePlural": "gadgets", "labelSingular": "Gadget", "labelPlural": "Gadgets"}
    thing = entity(talk.call("POST", "/rest/metadata/objects", json_body=names), "createOneObject")
    assert talk.call("POST", "/rest/metadata/objects", json_body=names).json()["error"] == "METADATA_VALIDATION_ERROR"
    wish = {"objectMetadataId": thing["id"], "name": "size", "type": "SELECT", "label": "Size"}
    options = [{"value": "SMALL", "label": "Small", "color": "sky", "position": 0}]
    field = entity(talk.call("POST", "/rest/metadata/fields", json_body=wish | {"options": options}), "createOneField")
    assert talk.call("POST", "/rest/gadgets", json_body={"size": "SMALL"}).status == 201
    assert talk.call("POST", "/rest/gadgets", json_body={"size": "HUGE"}).status == 400
    path = f"/rest/metadata/fields/{field['id']}"
    assert entity(talk.call("PATCH", path, json_body={"label": "Extent"}), "updateOneField")["label"] == "Extent"
    assert entity(talk.call("GET", path), "field")["options"][0]["value"] == "SMALL"
    assert entity(talk.call("DELETE", path), "deleteOneField") == {"id": field["id"]}
    assert talk.call("GET", path).status == 404
    path = f"/rest/metadata/objects/{thing['id']}"
    assert entity(talk.call("PUT", path, json_body={"isActive": False}), "updateOneObject")["isActive"] is False
    assert talk.call("GET", "/rest/gadgets").status == 400
    assert entity(talk.call("DELETE", path), "deleteOneObject") == {"id": thing["id"]}
    assert talk.call("GET", "/rest/metadata/objects/123").status == 400
    listed = talk.read("/rest/metadata/objects", limit=20)
    more = talk.read("/rest/metadata/objects", starting_after=listed["pageInfo"]["endCursor"])
    pages = [page["data"] if direct else page["data"]["objects"] for page in (listed, more)]
    assert [len(page) for page in pages] == [20, 13]
    assert (listed["pageInfo"]["hasNextPage"], more["pageInfo"]["hasNextPage"]) == (True, False)


def test_objects_fields_and_relations_over_graphql(talk: Talk) -> None:
    thing = graphql(
        talk,
        """mutation { createOneObject(input: {object: {
          nameSingular: "gadget", namePlural: "gadgets", labelSingular: "Gadget", labelPlural: "Gadgets"}}) { id } }""",
        "/metadata",
    )["data"]["createOneObject"]
    objects = graphql(talk, "{ objects(paging: {first: 100}) { edges { node { id nameSingular } } } }", "/metadata")
    ids = {edge["node"]["nameSingular"]: edge["node"]["id"] for edge in objects["data"]["objects"]["edges"]}
    wish = {
        **{"objectMetadataId": thing["id"], "name": "owner", "type": "RELATION", "label": "Owner"},
        "relationCreationPayload": {
            "type": "MANY_TO_ONE",
            "targetObjectMetadataId": ids["person"],
            "targetFieldLabel": "Owned gadgets",
            "targetFieldIcon": "IconBox",
        },
    }
    create = "mutation($i: CreateOneFieldMetadataInput!) { createOneField(input: $i) { id relation { type } } }"
    field = graphql(talk, create, "/metadata", i={"field": wish})["data"]["createOneField"]
    assert field["relation"]["type"] == "MANY_TO_ONE"
    owner = talk.call("POST", "/rest/people", json_body=person(1)).json()["data"]["createPerson"]["id"]
    assert talk.call("POST", "/rest/gadgets", json_body={"name": "g", "ownerId": owner}).status == 201
    shown = talk.read(f"/rest/people/{owner}", depth=1)["data"]["person"]
    assert [one["name"] for one in shown["ownedGadgets"]] == ["g"]
    removed = graphql(talk, f'mutation {{ deleteOneField(input: {{id: "{field["id"]}"}}) {{ name }} }}', "/metadata")
    assert removed["data"]["deleteOneField"] == {"name": "owner"}
    assert "ownedGadgets" not in talk.read(f"/rest/people/{owner}", depth=1)["data"]["person"]
    assert "ownerId" not in talk.read("/rest/gadgets")["data"]["gadgets"][0]


# Odd input -----------------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *("id", "name", "emails", "company", "companyId", "noteTargets", "createdAt", "workPreference", "position"),
        *(
            "phones",
            "bodyV2",
            "firstName",
            "primaryEmail",
            "and",
            "or",
            "not",
            "eq",
            "in",
            "is",
            "like",
            "gt",
            "connect",
        ),
        *("where", "data", "ids", "AscNullsFirst", "whatsapp", "additionalEmails", "primaryPhoneNumber", "nosuch"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def target() -> Iterator[Talk]:
    with Twenty(people=5, companies=2) as vendor, Talk(vendor.url, bearer(vendor.key)) as talk:
        yield talk


@settings(max_examples=50)
@given(body=VALUES, text=st.text(alphabet='ab.[](),:"eqinot', max_size=30), verb=st.sampled_from(["POST", "PATCH"]))
def test_no_rest_input_breaks_the_emulator_itself(target: Talk, body: Any, text: str, verb: str) -> None:
    assert target.call("GET", "/rest/people", query={"filter": text, "order_by": text}).status in (200, 400)
    for path in ("/rest/people", "/rest/batch/notes", "/rest/people/duplicates", "/rest/people/merge"):
        answer = target.call(verb, path, body=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        assert answer.status in (200, 201, 400, 404), answer.data


@settings(max_examples=50)
@given(value=VALUES)
def test_no_graphql_input_breaks_the_emulator_itself(target: Talk, value: Any) -> None:
    for query in (
        "query($v: X) { people(filter: $v) { totalCount } companies(orderBy: $v) { totalCount } }",
        "query($v: X) { people(first: $v, after: $v) { totalCount } peopleGroupBy(groupBy: $v) { totalCount } }",
        "mutation($v: X) { createPerson(data: $v) { id } createPeople(data: $v, upsert: true) { id } }",
        "mutation($v: X) { updatePeople(filter: $v, data: $v) { id } mergePeople(ids: $v) { id } }",
    ):
        assert graphql(target, query, v=value).keys() <= {"data", "errors"}


# Trouble on demand, and as a program ---------------------------------------------------------------------------------


def test_faults_before_and_after_the_work(vendor: Twenty, talk: Talk) -> None:
    vendor.fail(status=503, match="POST /rest/people$")
    assert talk.call("POST", "/rest/people", json_body=person(1)).status == 503
    assert not vendor.records("people")
    vendor.drop(match="POST /rest/people$", after_applying=True)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        talk.call("POST", "/rest/people", json_body=person(1))
    assert len(vendor.records("people")) == 1
    assert talk.call("POST", "/rest/people", json_body=person(1)).status == 400


def test_the_log_keeps_every_exchange(vendor: Twenty, talk: Talk) -> None:
    talk.call("PATCH", "/rest/people", query={"filter": "id[is]:NULL"}, json_body={"jobTitle": "x"})
    (one,) = vendor.requests("PATCH")
    assert (one.path, one.query, one.body, one.status) == (
        "/rest/people",
        (("filter", "id[is]:NULL"),),
        b'{"jobTitle": "x"}',
        200,
    )
    assert one.header("authorization") == f"Bearer {vendor.key}"


def test_a_read_only_key_reads(vendor: Twenty) -> None:
    vendor.load(people=[person(1)])
    with Talk(vendor.url, bearer(vendor.issue_key("reader", READ_ONLY))) as talk:
        assert talk.read("/rest/people")["totalCount"] == 1
        answer = talk.call("PATCH", "/rest/people", json_body={"jobTitle": "x"})
        assert (answer.status, answer.json()["code"]) == (400, "PERMISSION_DENIED")


def test_it_runs_as_a_program() -> None:
    tests = Path(__file__).resolve().parent.parent
    path = os.pathsep.join([str(tests), str(tests.parent / "core"), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "emulators.twenty", "--port", "0", "--while-stdin", "--set", "key=known"]
    command += ["--set", "people=70", "--set", 'custom_objects={"gadget": "gadgets"}', "--set", "limits=[[3,60000]]"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=os.environ | {"PYTHONPATH": path}, **pipes) as process:  # type: ignore[call-overload]
        with Talk(process.stdout.readline().strip(), bearer("known")) as talk:
            page = talk.read("/rest/people")
            assert (len(page["data"]["people"]), page["totalCount"]) == (60, 70)
            assert talk.read("/rest/gadgets")["totalCount"] == 0
            assert [talk.call("GET", "/rest/people").status for _ in range(2)] == [200, 429]
        process.stdin.close()
        assert process.wait(10) == 0
