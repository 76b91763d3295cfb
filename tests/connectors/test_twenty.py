"""The Twenty connector against an emulated workspace: every operation, and what is known to go wrong there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from connectory import (
    ArgumentError,
    Connector,
    Denied,
    Exists,
    LimitReached,
    Missing,
    PagingError,
    Parts,
    Rejected,
    connect,
)
from connectory.clock import ManualClock
from connectory.connecting import open_spec
from connectory.spec.naming import snake
from emulators.exchange import Exchange
from emulators.twenty import RECORDED_LIMITS, Twenty
from emulators.twenty_replay import DATA
from emulators.twenty_server.keys import NOTHING, READ_ONLY, WITHOUT_DATA_MODEL

NOBODY = "00000000-0000-4000-8000-000000000000"
OBJECTS = {
    "people": "person",
    "companies": "company",
    "opportunities": "opportunity",
    "notes": "note",
    "tasks": "task",
    "noteTargets": "noteTarget",
    "taskTargets": "taskTarget",
}
GADGET = {"nameSingular": "gadget", "namePlural": "gadgets", "labelSingular": "Gadget", "labelPlural": "Gadgets"}


@pytest.fixture
def vendor(clock: ManualClock) -> Iterator[Twenty]:
    with Twenty(clock=clock) as running:
        yield running


@pytest.fixture
def crm(vendor: Twenty, parts: Parts) -> Iterator[Connector]:
    with connected(vendor, parts) as connector:
        yield connector


def connected(vendor: Twenty, parts: Parts, key: str = "") -> Connector:
    return connect("twenty", api_key=key or vendor.key, server=vendor.url, parts=parts)


def person(number: int, **more: Any) -> dict[str, Any]:
    return {"name": {"lastName": f"L{number}"}, "emails": {"primaryEmail": f"p{number}@example.com"}, **more}


def query(exchange: Exchange) -> dict[str, str]:
    return dict(exchange.query)


def ids_of(vendor: Twenty, plural: str = "people") -> list[str]:
    return [record["id"] for record in vendor.records(plural)]


def pauses(exchanges: list[Exchange]) -> list[float]:
    return [after.at - before.at for before, after in pairwise(exchanges)]


# Every operation -----------------------------------------------------------------------------------------------------

Exercises = Mapping[str, Callable[[], object]]


def object_exercises(crm: Connector, plural: str, singular: str) -> Exercises:
    """One call of each of an object's operations; what each gives must be true."""
    rest, one = snake(plural), snake(singular)

    def call(verb: str, *args: Any, **given: Any) -> Any:
        return crm.operation(f"{rest}.{verb}")(*args, **given)

    def graphql(name: str, **given: Any) -> Any:
        return crm.operation(f"graphql.{name}")(**given)

    def new() -> str:
        return str(call("create", {"position": 1.0})["id"])

    def trashed() -> str:
        id = new()
        call("delete", id=id)
        return id

    def among(*ids: str) -> str:
        return f"id[in]:[{','.join(ids)}]"

    change = {"position": 7.0}
    both: dict[str, Callable[[], object]] = {
        "create": new,
        "get": lambda: call("get", id=new())["id"],
        "list": lambda: list(call("list")),
        "create_many": lambda: call("create_many", [{}, {}]).delivered == 2,
        "upsert_many": lambda: call("upsert_many", [{"id": new()}, {}]).delivered == 2,
        "update": lambda: call("update", id=new(), body=change)["position"] == 7,
        "update_many": lambda: call("update_many", [new(), new()], body=change).delivered == 2,
        "update_where": lambda: len(call("update_where", filter=among(new(), new()), body=change)) == 2,
        "delete": lambda: call("delete", id=new())["id"],
        "delete_many": lambda: call("delete_many", [new(), new()]).delivered == 2,
        "delete_where": lambda: len(call("delete_where", filter=among(new(), new()))) == 2,
        "restore": lambda: call("restore", id=trashed())["deletedAt"] is None,
        "restore_where": lambda: len(call("restore_where", filter=among(trashed(), trashed()))) == 2,
        "duplicates": lambda: list(call("duplicates", ids=[new()])),
        "merge": lambda: call("merge", ids=[new(), new()], conflict_priority_index=0)["id"],
        "group": lambda: list(call("group", group_by=[{"id": True}])),
    }
    nested: dict[str, Callable[[], object]] = {
        rest: lambda: list(graphql(rest)),
        f"create_{one}": lambda: graphql(f"create_{one}", data={})["id"],
        f"create_{rest}": lambda: graphql(f"create_{rest}", data=[{}, {}]).delivered == 2,
        f"upsert_{rest}": lambda: graphql(f"upsert_{rest}", data=[{"id": new()}, {}]).delivered == 2,
        f"update_{one}": lambda: graphql(f"update_{one}", id=new(), data=change)["id"],
        f"update_{rest}": lambda: len(graphql(f"update_{rest}", filter={"id": {"in": [new()]}}, data=change)) == 1,
        f"delete_{one}": lambda: graphql(f"delete_{one}", id=new())["deletedAt"],
        f"delete_{rest}": lambda: len(graphql(f"delete_{rest}", filter={"id": {"in": [new()]}})) == 1,
        f"restore_{one}": lambda: graphql(f"restore_{one}", id=trashed())["deletedAt"] is None,
    }
    named = {f"{rest}.{verb}": exercise for verb, exercise in both.items()}
    return {**named, **{f"graphql.{name}": exercise for name, exercise in nested.items()}}


def model_exercises(crm: Connector) -> Exercises:
    """One call of each operation on the data model, over both APIs."""
    rest, graphql = crm.metadata, crm.metadata.graphql
    letters = iter("abcdefghijklmnopqrstuvwxyz")

    def thing() -> dict[str, str]:
        letter = next(letters)
        return {**GADGET, "nameSingular": f"gadget{letter}", "namePlural": f"gadgets{letter}"}

    def field() -> dict[str, Any]:
        size = f"size{next(letters)}"
        return {"objectMetadataId": some("objects"), "type": "TEXT", "name": size, "label": size}

    def some(plural: str) -> str:
        found: dict[str, Any] = getattr(rest, plural).list().first()
        return str(found["id"])

    def new_thing() -> str:
        return str(rest.objects.create(thing())["id"])

    def new_field() -> str:
        return str(rest.fields.create(field())["id"])

    said = {"description": "changed"}
    return {
        "metadata.objects.list": lambda: len(list(rest.objects.list())) >= 33,
        "metadata.objects.get": lambda: rest.objects.get(id=some("objects"))["nameSingular"],
        "metadata.objects.create": new_thing,
        "metadata.objects.update": lambda: rest.objects.update(id=new_thing(), body=said)["description"] == "changed",
        "metadata.objects.delete": lambda: rest.objects.delete(id=new_thing())["id"],
        "metadata.fields.list": lambda: len(list(rest.fields.list())) >= 583,
        "metadata.fields.get": lambda: rest.fields.get(id=some("fields"))["name"],
        "metadata.fields.create": new_field,
        "metadata.fields.update": lambda: rest.fields.update(id=new_field(), body=said)["description"] == "changed",
        "metadata.fields.delete": lambda: rest.fields.delete(id=new_field())["id"],
        "metadata.graphql.objects": lambda: len(list(graphql.objects())) >= 33,
        "metadata.graphql.object": lambda: graphql.object(id=some("objects"))["nameSingular"],
        "metadata.graphql.create_object": lambda: graphql.create_object(input={"object": thing()})["id"],
        "metadata.graphql.update_object": lambda: graphql.update_object(id=new_thing(), update=said)["id"],
        "metadata.graphql.delete_object": lambda: graphql.delete_object(id=new_thing())["id"],
        "metadata.graphql.fields": lambda: len(list(graphql.fields())) >= 583,
        "metadata.graphql.field": lambda: graphql.field(id=some("fields"))["name"],
        "metadata.graphql.create_field": lambda: graphql.create_field(input={"field": field()})["id"],
        "metadata.graphql.update_field": lambda: graphql.update_field(id=new_field(), update=said)["id"],
        "metadata.graphql.delete_field": lambda: graphql.delete_field(id=new_field())["id"],
    }


def other_exercises(crm: Connector) -> Exercises:
    objects = "query($n: Int!) { objects(paging: {first: $n}) { edges { node { id } } } }"
    return {
        "graphql.query": lambda: crm.graphql.query(document="{ people { totalCount } }")["data"]["people"],
        "metadata.query": lambda: crm.metadata.query(document=objects, variables={"n": 1})["data"]["objects"]["edges"],
        "open_api.core": lambda: "Person" in crm.open_api.core()["components"]["schemas"],
    }


def run(exercises: Exercises) -> None:
    for name, exercise in exercises.items():
        assert exercise(), name


@pytest.mark.parametrize("plural", list(OBJECTS))
def test_every_operation_of_an_object_is_taken_by_the_vendor(crm: Connector, vendor: Twenty, plural: str) -> None:
    run(object_exercises(crm, plural, OBJECTS[plural]))
    assert {exchange.status for exchange in vendor.exchanges} == {200, 201}


@pytest.mark.parametrize("direct", [False, True], ids=["named envelope", "direct envelope"])
def test_every_operation_of_the_data_model_is_taken_in_both_envelopes(
    crm: Connector, vendor: Twenty, clock: ManualClock, direct: bool
) -> None:
    vendor.direct_metadata = direct
    run(model_exercises(crm))
    assert {exchange.status for exchange in vendor.exchanges} == {200, 201}
    assert clock.slept == [], "the data model takes nothing from the bucket, so nobody waits"


def test_every_other_operation_is_taken_by_the_vendor(crm: Connector) -> None:
    run(other_exercises(crm))


def test_no_operation_is_left_out(crm: Connector) -> None:
    exercised = {**model_exercises(crm), **other_exercises(crm)}
    for plural, singular in OBJECTS.items():
        exercised |= object_exercises(crm, plural, singular)
    assert set(exercised) == set(open_spec("twenty").spec.operations)


# Destructive defaults ------------------------------------------------------------------------------------------------


def test_delete_says_soft_delete_true_in_words_and_destroys_only_when_asked(crm: Connector, vendor: Twenty) -> None:
    vendor.load(people=[person(n) for n in range(4)])
    first, second, third, fourth = ids_of(vendor)
    crm.people.delete(id=first)
    assert query(vendor.exchanges[-1])["soft_delete"] == "true"
    crm.people.delete_many([second])
    assert query(vendor.exchanges[-1])["soft_delete"] == "true"
    crm.people.delete_where(filter=f'id[eq]:"{third}"')
    assert query(vendor.exchanges[-1])["soft_delete"] == "true"
    assert (len(vendor.records("people")), len(vendor.records("people", deleted_too=True))) == (1, 4)
    crm.people.delete(id=fourth, soft_delete=False)
    assert query(vendor.exchanges[-1])["soft_delete"] == "false"
    assert len(vendor.records("people", deleted_too=True)) == 3


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("people.update_where", {"body": {"jobTitle": "all"}}),
        ("people.delete_where", {}),
        ("people.restore_where", {}),
        ("graphql.update_people", {"data": {"jobTitle": "all"}}),
        ("graphql.delete_people", {}),
    ],
)
def test_an_empty_filter_is_refused_and_nothing_is_sent(
    crm: Connector, vendor: Twenty, name: str, given: dict[str, Any]
) -> None:
    empty: Any = {} if name.startswith("graphql") else ""
    for more in ({}, {"filter": None}, {"filter": empty}):
        with pytest.raises(ArgumentError, match="filter") as caught:
            crm.operation(name)(**given, **more)
        assert caught.value.exit_code == 2
    assert vendor.exchanges == []


def test_no_ids_at_all_send_nothing(crm: Connector, vendor: Twenty) -> None:
    assert crm.people.delete_many([]).calls == crm.people.update_many([], body={"jobTitle": "x"}).calls == 0
    assert vendor.exchanges == []


def test_ids_go_60_to_a_call(crm: Connector, vendor: Twenty) -> None:
    vendor.load(people=[person(n) for n in range(130)])
    ids = ids_of(vendor)
    delivery = crm.people.update_many(ids[:125], body={"jobTitle": "chosen"})
    assert (delivery.delivered, delivery.calls) == (125, 3)
    assert query(vendor.exchanges[-1])["filter"] == f"id[in]:[{','.join(ids[120:125])}]"
    assert [p["id"] for p in vendor.records("people") if p["jobTitle"] == "chosen"] == ids[:125]


def test_what_is_no_uuid_is_kept_back(crm: Connector, vendor: Twenty) -> None:
    with pytest.raises(ArgumentError, match="id"):
        crm.people.get(id="1] or id[is]:NOT_NULL")
    assert len(crm.people.delete_many(["x]"]).invalid) == 1
    assert vendor.exchanges == []


def test_restoring_brings_one_back_and_tells_when_there_is_nothing(crm: Connector, vendor: Twenty) -> None:
    vendor.load(people=[person(1)])
    (id,) = ids_of(vendor)
    crm.people.delete(id=id)
    assert crm.people.restore(id=id)["id"] == id
    assert vendor.exchanges[-1].route == "PATCH /rest/restore/people"
    assert query(vendor.exchanges[-1])["filter"] == f'id[eq]:"{id}"'
    with pytest.raises(Missing):
        crm.people.restore(id=NOBODY)


# Reading -------------------------------------------------------------------------------------------------------------


def test_lists_come_60_to_a_page_and_say_their_depth(crm: Connector, vendor: Twenty) -> None:
    vendor.load(people=[person(n) for n in range(130)])
    assert [len(page) for page in crm.people.list().pages()] == [60, 60, 10]
    assert {query(exchange)["depth"] for exchange in vendor.exchanges} == {"0"}
    assert {query(exchange)["limit"] for exchange in vendor.exchanges} == {"60"}
    assert crm.people.list().total == 130
    first = crm.people.list().first()
    assert isinstance(first["createdAt"], datetime)
    assert first["createdAt"].tzinfo is not None


@pytest.mark.parametrize("name", ["list", "get", "create", "update", "create_many", "restore"])
def test_depth_is_said_wherever_it_may_be(crm: Connector, vendor: Twenty, name: str) -> None:
    object_exercises(crm, "people", "person")[f"people.{name}"]()
    assert query(vendor.exchanges[-1])["depth"] == "0"


def test_depth_1_brings_the_relations(crm: Connector, vendor: Twenty) -> None:
    company = crm.companies.create({"name": "Globex"})["id"]
    added = crm.people.create(person(1, companyId=company), depth=1)
    assert added["company"]["name"] == "Globex"
    assert crm.people.list(depth=1).first()["company"]["name"] == "Globex"
    assert "company" not in crm.people.get(id=added["id"])
    with pytest.raises(ArgumentError, match="'depth': expected one of"):
        crm.people.list(depth=2)


def test_a_walk_in_a_nullable_order_that_loses_rows_is_noticed(clock: ManualClock, parts: Parts) -> None:
    with Twenty.recorded(DATA, clock) as vendor, connected(vendor, parts) as crm:
        assert len({p["id"] for p in crm.people.list()}) == 1200
        assert len({p["id"] for p in crm.people.list(order_by="name.lastName")}) == 1200
        with pytest.raises(PagingError, match="1200"):
            list(crm.people.list(order_by="performanceRating[AscNullsFirst]"))
        with pytest.raises(PagingError, match="1200"):
            list(crm.people.list(order_by="companyId[DescNullsLast]"))


def test_graphql_brings_nested_relations_in_one_call(crm: Connector, vendor: Twenty) -> None:
    company = crm.companies.create({"name": "Globex"})["id"]
    crm.people.create_many(person(n, companyId=company) for n in range(130))
    before = len(vendor.exchanges)
    found = list(crm.graphql.people(filter={"companyId": {"eq": company}}, order_by=[{"createdAt": "AscNullsFirst"}]))
    assert (len(found), len(vendor.exchanges) - before) == (130, 3)
    assert {one["company"]["name"] for one in found} == {"Globex"}
    assert isinstance(found[0]["createdAt"], datetime)


def test_duplicates_by_data_a_dry_merge_and_groups(crm: Connector, vendor: Twenty) -> None:
    for number, title in enumerate(["Chief", "Chief", "Clerk"]):
        crm.people.create(person(number, jobTitle=title))
    first, second, _ = ids_of(vendor)
    (found,) = crm.people.duplicates(data=[person(1)])
    assert [one["emails"]["primaryEmail"] for one in found["personDuplicates"]] == ["p1@example.com"]
    before = vendor.records("people", deleted_too=True)
    assert crm.people.merge(ids=[first, second], conflict_priority_index=1, dry_run=True)
    assert json.loads(vendor.exchanges[-1].body) == {"ids": [first, second], "conflictPriorityIndex": 1, "dryRun": True}
    assert vendor.records("people", deleted_too=True) == before
    crm.people.merge(ids=[first, second], conflict_priority_index=0)
    assert len(vendor.records("people")) == 2
    groups = crm.people.group(
        group_by=[{"jobTitle": True}], aggregate=["countNotEmptyId"], filter='jobTitle[eq]:"Clerk"'
    )
    assert [(g["groupByDimensionValues"], int(g["countNotEmptyId"])) for g in groups] == [(["Clerk"], 1)]


# Writing many --------------------------------------------------------------------------------------------------------


def test_create_many_of_61_without_ids_is_60_and_1(crm: Connector, vendor: Twenty) -> None:
    delivery = crm.people.create_many(person(n) for n in range(61))
    assert (delivery.delivered, delivery.calls) == (61, 2)
    bodies = [json.loads(exchange.body) for exchange in vendor.exchanges]
    assert [len(body) for body in bodies] == [60, 1]
    assert not any("id" in item for body in bodies for item in body)
    assert all("upsert" not in query(exchange) for exchange in vendor.exchanges)
    assert len(vendor.records("people")) == 61


def test_graphql_batches_are_60_too(crm: Connector, vendor: Twenty) -> None:
    assert crm.graphql.create_people(data=[person(n) for n in range(61)]).calls == 2
    assert crm.graphql.upsert_people(data=[person(n) for n in range(61)]).calls == 2
    assert len(vendor.records("people")) == 61


def test_an_upsert_makes_ids_only_where_nothing_identifies_the_record(crm: Connector, vendor: Twenty) -> None:
    known = str(uuid.uuid4())
    items = [{"id": known}, person(1), {"name": {"lastName": "Nobody"}}, {"emails": {"primaryEmail": ""}}]
    assert crm.people.upsert_many(items).delivered == 4
    sent = json.loads(vendor.exchanges[-1].body)
    assert query(vendor.exchanges[-1])["upsert"] == "true"
    assert (sent[0]["id"], "id" in sent[1]) == (known, False)
    assert [uuid.UUID(item["id"]).version for item in sent[2:]] == [4, 4]
    assert crm.companies.upsert_many([{"domainName": {"primaryLinkUrl": "https://globex.example"}}]).delivered == 1
    assert "id" not in json.loads(vendor.exchanges[-1].body)[0]


@pytest.mark.parametrize("route", ["rest", "graphql"])
def test_an_upsert_whose_answer_is_lost_is_sent_again_with_the_same_ids(
    crm: Connector, vendor: Twenty, route: str
) -> None:
    vendor.drop(match="POST", after_applying=True)
    items = [{"name": {"lastName": "Nobody"}}, person(1)]
    delivery = crm.people.upsert_many(items) if route == "rest" else crm.graphql.upsert_people(data=items)
    assert delivery.delivered == 2
    lost, again = vendor.exchanges
    assert lost.body == again.body
    assert len(vendor.records("people")) == 2


def test_a_create_whose_answer_is_lost_is_unknown_and_not_sent_again(crm: Connector, vendor: Twenty) -> None:
    vendor.drop(match="POST", after_applying=True)
    assert len(crm.people.create_many([person(1), person(2)]).unknown) == 2
    assert len(vendor.exchanges) == 1


def test_upserts_answered_in_another_order_are_matched_by_id(crm: Connector, vendor: Twenty) -> None:
    ids = [str(uuid.uuid4()) for _ in range(6)]
    crm.people.create_many([{"id": ids[1]}, {"id": ids[4]}])
    items = [{"id": id, "jobTitle": id} for id in ids]
    delivery = crm.people.upsert_many(items)
    answered = [one["id"] for one in json.loads(vendor.exchanges[-1].answer)["data"]["createPeople"]]
    assert answered != ids, "the vendor answers in another order"
    assert sorted(answered) == sorted(ids)
    assert [(result.item["id"], result.id, result.word) for result in delivery] == [(id, id, "delivered") for id in ids]


@pytest.mark.parametrize("route", ["rest", "graphql"])
def test_of_a_batch_with_one_duplicate_only_the_offender_is_rejected(
    crm: Connector, vendor: Twenty, route: str
) -> None:
    """The refusal names nobody and nothing was written, so halves of it are tried."""
    vendor.load(people=[person(17)])
    items = [person(n) for n in range(60)]
    delivery = crm.people.create_many(items) if route == "rest" else crm.graphql.create_people(data=items)
    (rejected,) = delivery.rejected
    assert (rejected.row, rejected.item) == (18, items[17])
    assert "duplicate entry" in rejected.words
    assert (delivery.delivered, delivery.accounts.balanced) == (59, True)
    assert delivery.calls <= 13
    assert len(vendor.records("people")) == 60


def test_a_record_that_breaks_its_type_is_kept_back(crm: Connector, vendor: Twenty) -> None:
    delivery = crm.companies.create_many([{"employees": "twelve"}, {"name": "Globex"}, {"updatedAt": "2026-01-01"}])
    assert [result.row for result in delivery.invalid] == [1, 3]
    assert delivery.delivered == 1
    assert json.loads(vendor.exchanges[-1].body) == [{"name": "Globex"}]


def test_ids_of_created_records_come_back(crm: Connector, vendor: Twenty) -> None:
    named = [{"id": str(uuid.uuid4())} for _ in range(3)]
    for delivery in (crm.people.create_many(named), crm.graphql.upsert_people(data=named)):
        assert [result.id for result in delivery] == [item["id"] for item in named]
    assert crm.graphql.create_person(data=person(9))["id"] in ids_of(vendor)


# Limits --------------------------------------------------------------------------------------------------------------

REST_LIMIT = {"statusCode": 429, "error": "HttpException", "messages": ["Limit reached (100 tokens per 60000 ms)"]}
GRAPHQL_LIMIT = {"errors": [{"message": "Limit reached (100 tokens per 60000 ms)"}], "data": None}


@pytest.mark.parametrize("route", ["rest", "graphql"])
def test_too_many_without_a_time_is_repeated_after_a_second_at_least_writes_too(
    crm: Connector, vendor: Twenty, route: str
) -> None:
    said = REST_LIMIT if route == "rest" else GRAPHQL_LIMIT
    status = 429 if route == "rest" else 200
    vendor.fail(3, status, body=json.dumps(said).encode(), content_type="application/json")
    added = crm.people.create(person(1)) if route == "rest" else crm.graphql.create_person(data=person(1))
    assert added["id"] in ids_of(vendor)
    assert len(vendor.exchanges) == 4
    assert all(pause >= base for pause, base in zip(pauses(vendor.exchanges), (1, 2, 4), strict=True))


def add_by_rest(crm: Connector) -> object:
    return crm.people.create({})


def add_by_graphql(crm: Connector) -> object:
    return crm.graphql.create_person(data={})


@pytest.mark.parametrize("add", [add_by_rest, add_by_graphql])
def test_an_empty_bucket_is_waited_for(crm: Connector, vendor: Twenty, add: Callable[[Connector], object]) -> None:
    vendor.limits = ((10, 60_000),)
    vendor.drain()
    add(crm)
    assert len(vendor.exchanges) >= 2
    assert min(pauses(vendor.exchanges)) >= 1
    assert len(vendor.records("people")) == 1


@pytest.mark.parametrize("add", [add_by_rest, add_by_graphql])
def test_a_time_that_the_newer_engine_names_is_kept(
    crm: Connector, vendor: Twenty, add: Callable[[Connector], object]
) -> None:
    vendor.limits, vendor.newer_limit_answers = ((10, 60_000),), True
    vendor.drain()
    add(crm)
    refused, _ = vendor.exchanges
    assert refused.status == (429 if add is add_by_rest else 200)
    (pause,) = pauses(vendor.exchanges)
    assert 6 <= pause < 7


def test_a_bucket_that_stays_empty_ends_with_75(crm: Connector, vendor: Twenty, clock: ManualClock) -> None:
    vendor.fail(99, 429, body=json.dumps(REST_LIMIT).encode(), content_type="application/json")
    began = clock.now()
    with pytest.raises(LimitReached, match="Limit reached") as caught:
        crm.people.get(id=NOBODY)
    assert caught.value.exit_code == 75
    assert clock.now() - began > 60, "the tries outlast the vendor's window of a minute"


def test_our_pace_meets_no_429(clock: ManualClock, parts: Parts) -> None:
    with Twenty(clock=clock, limits=RECORDED_LIMITS, people=1200) as vendor, connected(vendor, parts) as crm:
        ids = [one["id"] for one in crm.people.list()]
        for id in ids[:150]:
            crm.people.get(id=id)
        assert len(vendor.exchanges) == 20 + 150
        assert {exchange.status for exchange in vendor.exchanges} == {200}
        assert min(pauses(vendor.exchanges)) >= 0.6199


# Refusals ------------------------------------------------------------------------------------------------------------

REMEDY = "Twenty's settings make API keys"


def read_rest(crm: Connector) -> object:
    return crm.people.list().first()


def read_graphql(crm: Connector) -> object:
    return crm.graphql.people().first()


@pytest.mark.parametrize("read", [read_rest, read_graphql])
@pytest.mark.parametrize("fault", ["garbage", "expired", "revoked"])
def test_bad_keys_are_denied_with_the_remedy(
    vendor: Twenty, parts: Parts, fault: str, read: Callable[[Connector], object]
) -> None:
    key = "canary-8d1f" if fault == "garbage" else vendor.issue_key("other")
    if fault == "expired":
        vendor.expire_key(key)
    elif fault == "revoked":
        vendor.revoke_key(key)
    with connected(vendor, parts, key) as crm, pytest.raises(Denied, match=REMEDY) as caught:
        read(crm)
    assert len(vendor.exchanges) == 1
    assert key not in str(caught.value) + caught.value.request
    if fault == "expired":
        assert "Token has expired" in caught.value.words


def test_a_missing_key_is_denied_with_the_remedy(crm: Connector, vendor: Twenty) -> None:
    said = {"statusCode": 403, "messages": ["Missing authentication token"], "error": "FORBIDDEN_EXCEPTION"}
    vendor.fail(status=403, body=json.dumps(said).encode(), content_type="application/json")
    with pytest.raises(Denied, match=REMEDY) as caught:
        read_rest(crm)
    assert "Missing authentication token" in caught.value.words


def test_a_role_without_the_right_is_denied_with_the_remedy(vendor: Twenty, parts: Parts) -> None:
    with connected(vendor, parts, vendor.issue_key("reader", READ_ONLY)) as crm:
        assert list(crm.people.list()) == []
        writes: list[Callable[[], object]] = [
            lambda: crm.people.create({}),
            lambda: crm.graphql.create_person(data={}),
            lambda: crm.people.delete(id=NOBODY),
            lambda: crm.metadata.objects.create(GADGET),
        ]
        for write in writes:
            with pytest.raises(Denied, match=REMEDY) as caught:
                write()
            assert "does not have permission" in caught.value.words
        with pytest.raises(Denied, match=REMEDY) as stopped:
            crm.people.create_many([person(1), person(2)])
        assert len(stopped.value.delivery.not_tried) == 2  # type: ignore[attr-defined]
    with connected(vendor, parts, vendor.issue_key("nobody", NOTHING)) as crm:
        for read in (read_rest, read_graphql):
            with pytest.raises(Denied, match=REMEDY):
                read(crm)


def test_verifying_works_without_the_data_model_right(vendor: Twenty, parts: Parts) -> None:
    with connected(vendor, parts, vendor.issue_key("weak", WITHOUT_DATA_MODEL)) as crm:
        verify = crm.engine.spec.verify
        assert verify is not None
        assert crm.operation(verify)()["components"]["schemas"]
        for call in (crm.metadata.objects.list, crm.metadata.graphql.objects):
            with pytest.raises(Denied, match=REMEDY):
                call().first()


def test_what_is_not_there_is_missing(crm: Connector) -> None:
    calls: list[Callable[[], object]] = [
        lambda: crm.people.get(id=NOBODY),
        lambda: crm.people.update(id=NOBODY, body={"jobTitle": "x"}),
        lambda: crm.people.delete(id=NOBODY),
        lambda: crm.graphql.update_person(id=NOBODY, data={"jobTitle": "x"}),
        lambda: crm.graphql.delete_person(id=NOBODY),
        lambda: crm.graphql.query(document=f'{{ person(filter: {{id: {{eq: "{NOBODY}"}}}}) {{ id }} }}'),
        lambda: crm.metadata.objects.get(id=NOBODY),
        lambda: crm.metadata.graphql.object(id=NOBODY),
    ]
    for call in calls:
        with pytest.raises(Missing, match="not found"):
            call()


def test_what_is_there_already_exists(crm: Connector, vendor: Twenty) -> None:
    gone = crm.people.create(person(1))["id"]
    crm.people.delete(id=gone)
    with pytest.raises(Exists, match="duplicate entry"):
        crm.people.create(person(1))
    with pytest.raises(Exists, match="duplicate entry"):
        crm.graphql.create_person(data=person(1))
    assert crm.people.create(person(1), upsert=True)["id"] == gone, "the trash holds its unique values still"


def test_a_malformed_filter_is_rejected_in_the_vendors_words_and_not_repeated(crm: Connector, vendor: Twenty) -> None:
    with pytest.raises(Rejected, match="comparator regex not in") as caught:
        crm.people.list(filter='jobTitle[regex]:"x"').first()
    assert caught.value.status == 400
    with pytest.raises(Rejected, match="nosuch"):
        crm.graphql.query(document="{ nosuch { id } }")
    assert len(vendor.exchanges) == 2


@pytest.mark.parametrize("code", ["INTERNAL_SERVER_ERROR", "TIMEOUT"])
def test_an_illness_inside_200_is_repeated_for_reads(crm: Connector, vendor: Twenty, code: str) -> None:
    vendor.load(people=[person(1)])
    said = {"errors": [{"message": "ill", "extensions": {"code": code}}], "data": None}
    vendor.fail(2, 200, body=json.dumps(said).encode(), content_type="application/json")
    assert len(list(crm.graphql.people())) == 1
    assert len(vendor.exchanges) == 3


def test_a_relation_between_objects_is_a_field(crm: Connector, vendor: Twenty) -> None:
    thing = crm.metadata.objects.create(GADGET)["id"]
    people = next(one["id"] for one in crm.metadata.objects.list() if one["nameSingular"] == "person")
    relation = {
        "type": "MANY_TO_ONE",
        "targetObjectMetadataId": people,
        "targetFieldLabel": "Owned gadgets",
        "targetFieldIcon": "IconBox",
    }
    field = {"objectMetadataId": thing, "name": "owner", "type": "RELATION", "label": "Owner"}
    crm.metadata.fields.create({**field, "relationCreationPayload": relation})
    owner = crm.people.create(person(1))["id"]
    gadget = 'mutation($owner: UUID!) { createGadget(data: {name: "g", ownerId: $owner}) { owner { id } } }'
    made = crm.graphql.query(document=gadget, variables={"owner": owner})
    assert made["data"]["createGadget"]["owner"]["id"] == owner
