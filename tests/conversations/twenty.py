"""What is said to Twenty beside what was recorded from a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import attrs

from conversations.talk import Talk, Vendor
from emulators.twenty import Twenty

ONE, TWO, GONE, NEW, NOBODY = (f"20202020-b000-4485-94de-70c2a98dae{number:02x}" for number in range(5))
COMPANY = "20202020-c000-4485-94de-70c2a98daef2"
AT = "2026-05-20T18:25:43Z"
CALLED = {
    "primaryPhoneCallingCode": "+1",
    "additionalPhones": [{"number": "5550113", "countryCode": "US", "callingCode": "+1"}],
}
LINK = {
    "primaryLinkUrl": "https://one.example",
    "primaryLinkLabel": "one",
    "secondaryLinks": [{"url": "https://two.example", "label": "two"}],
}
ADDRESS = {
    **{"addressStreet1": "742 Evergreen Terrace", "addressStreet2": "left", "addressCity": "Springfield"},
    **{"addressPostcode": "49007", "addressState": "?", "addressCountry": "United States"},
    **{"addressLat": 44.5, "addressLng": -123.5},
}
TEXT = {"blocknote": None, "markdown": "Called *twice*."}

# The objects, and everything that each may be written with.
BODIES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "people": (
        "person",
        {
            **{"name": {"firstName": "Homer", "lastName": "Simpson"}, "jobTitle": "Inspector"},
            **{"emails": {"primaryEmail": "homer@one.example", "additionalEmails": ["h@one.example"]}},
            **{"phones": {"primaryPhoneNumber": "5557334", "primaryPhoneCountryCode": "US", **CALLED}},
            **{"linkedinLink": {**LINK, "primaryLinkUrl": "https://linkedin.example/in/homer"}, "position": 2.5},
        },
    ),
    "companies": (
        "company",
        {
            **{"name": "Globex", "domainName": LINK, "employees": 12, "tagline": "Onwards", "position": 2},
            **{"linkedinLink": LINK, "address": ADDRESS},
            **{"annualRevenue": {"amountMicros": 12_000_000, "currencyCode": "USD"}},
        },
    ),
    "opportunities": (
        "opportunity",
        {
            **{"name": "Sector 7G", "amount": {"amountMicros": 5_000_000, "currencyCode": "EUR"}, "closeDate": AT},
            **{"stage": "NEW", "position": 1},
        },
    ),
    "notes": ("note", {"title": "Call", "bodyV2": TEXT, "position": 1}),
    "tasks": ("task", {"title": "Call", "bodyV2": TEXT, "dueAt": AT, "status": "TODO", "position": 1}),
    "note_targets": ("note_target", {"position": 1}),
    "task_targets": ("task_target", {"position": 1}),
}


def wire(plural: str) -> str:
    head, *rest = plural.split("_")
    return head + "".join(word.capitalize() for word in rest)


def stored(plural: str, vendor: Twenty) -> None:
    """Two records, and one in the trash."""
    body = BODIES[plural][1]
    records = [{"id": id, **_distinct(body, number)} for number, id in enumerate((ONE, TWO, GONE))]
    records[2]["deletedAt"] = "2026-05-01T00:00:00.000Z"
    vendor.load(**{wire(plural): records})


def _distinct(body: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The body without what must be unique."""
    made = {name: value for name, value in body.items() if name not in ("emails", "domainName")}
    if "emails" in body:
        made["emails"] = {"primaryEmail": f"person.{number}@one.example", "additionalEmails": None}
    return made


def of_object(plural: str) -> Iterator[Talk]:
    singular, body = BODIES[plural]
    change = {name: value for name, value in body.items() if name in ("title", "jobTitle", "tagline", "position")}
    by_id = {"id": {"in": [ONE, TWO]}}
    asked = {"before": partial(stored, plural)}

    def talk(verb: str, given: Mapping[str, Any], label: str = "emulated", **more: Any) -> Talk:
        name = verb if "." in verb else f"{plural}.{verb}"
        return Talk(operation=name, given=given, label=label, **{**asked, **more})

    yield talk("list", {"order_by": "createdAt[DescNullsLast]", "depth": 1})
    yield talk("list", {"filter": f'id[in]:["{ONE}"]'}, "filtered")
    yield talk("get", {"id": ONE, "depth": 1})
    yield talk("get", {"id": NOBODY}, "missing", errors=True)
    yield talk("create", {"body": {"id": NEW, **body}, "depth": 1})
    yield talk("create", {"body": {"id": ONE, **_distinct(body, 0)}, "upsert": True}, "upsert")
    yield talk("create_many", {"items": [{"id": NEW, **body}], "depth": 1})
    yield talk("upsert_many", {"items": [{"id": NEW, **body}, {"id": ONE, **_distinct(body, 0)}], "depth": 1})
    yield talk("upsert_many", {"items": [{**body}]}, "made key")
    yield talk("update", {"id": ONE, "body": change, "depth": 1})
    yield talk("update_many", {"ids": [ONE, TWO], "body": change, "depth": 1})
    yield talk("update_where", {"filter": f'id[in]:["{ONE}","{TWO}"]', "body": change, "depth": 1})
    yield talk("delete", {"id": ONE})
    yield talk("delete", {"id": ONE, "soft_delete": False}, "for ever")
    yield talk("delete_many", {"ids": [ONE, TWO]})
    yield talk("delete_where", {"filter": f'id[eq]:"{TWO}"'})
    yield talk("restore", {"id": GONE, "depth": 1})
    yield talk("restore", {"id": NOBODY}, "missing", errors=True)
    yield talk("restore_where", {"filter": f'id[eq]:"{GONE}"', "depth": 1})
    yield talk("duplicates", {"ids": [ONE], "depth": 1})
    yield talk("duplicates", {"data": [_distinct(body, 1)]}, "by data")
    merge = {"ids": [ONE, TWO], "conflict_priority_index": 1, "depth": 1}
    yield talk("merge", {**merge, "dry_run": True})
    yield talk("merge", {**merge, "conflict_priority_index": 0}, "first wins")
    group = {"group_by": [{"createdAt": {"granularity": "YEAR"}}], "aggregate": ["countNotEmptyId"]}
    yield talk("group", {**group, "filter": f'id[in]:["{ONE}"]', "include_records_sample": True, "limit": 5})
    order = [{"createdAt": "AscNullsFirst"}]
    yield talk(f"graphql.{plural}", {"filter": by_id, "order_by": order})
    yield talk(f"graphql.create_{singular}", {"data": {"id": NEW, **body}})
    yield talk(f"graphql.create_{plural}", {"data": [{"id": NEW, **body}]})
    yield talk(f"graphql.upsert_{plural}", {"data": [{"id": NEW, **body}, {"id": ONE, **_distinct(body, 0)}]})
    yield talk(f"graphql.update_{singular}", {"id": ONE, "data": change})
    yield talk(f"graphql.update_{plural}", {"filter": by_id, "data": change})
    yield talk(f"graphql.delete_{singular}", {"id": ONE})
    yield talk(f"graphql.delete_{plural}", {"filter": by_id})
    yield talk(f"graphql.restore_{singular}", {"id": GONE})


# A value that each field cannot have; each goes as an item of its own, and none is sent.
ACTOR = {"createdBy": 1, "updatedBy": 1}
DATED = {"createdAt": "x", "updatedAt": AT, "deletedAt": "x"}
WRONG: Mapping[str, Mapping[str, Any]] = {
    "people": {
        **{"name": 1, "emails": 1, "linkedinLink": 1, "jobTitle": 1, "phones": 1, "city": 1, "avatarUrl": 1},
        **{"avatarFile": 1, "position": "x", "companyId": "x", "id": "x", **ACTOR, **DATED},
    },
    "companies": {
        **{"name": 1, "domainName": 1, "address": 1, "linkedinLink": 1, "annualRevenue": 1, "employees": "x"},
        **{"annualRecurringRevenue": 1, "tagline": 1, "position": "x", "accountOwnerId": "x", "id": "x"},
        **{**ACTOR, **DATED},
    },
    "opportunities": {
        **{"name": 1, "amount": 1, "closeDate": "x", "stage": 1, "position": "x", "companyId": "x", "id": "x"},
        **{"pointOfContactId": "x", "ownerId": "x", **ACTOR, **DATED},
    },
    "notes": {"title": 1, "bodyV2": 1, "position": "x", "id": "x", **ACTOR, **DATED},
    "tasks": {
        **{"title": 1, "bodyV2": 1, "dueAt": "x", "status": 1, "position": "x", "assigneeId": "x", "id": "x"},
        **{**ACTOR, **DATED},
    },
    "note_targets": {
        **{"noteId": "x", "targetPersonId": "x", "targetCompanyId": "x", "targetOpportunityId": "x"},
        **{"position": "x", "id": "x", **DATED},
    },
    "task_targets": {
        **{"taskId": "x", "targetPersonId": "x", "targetCompanyId": "x", "targetOpportunityId": "x"},
        **{"position": "x", "id": "x", **DATED},
    },
}
PARTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "people.name": ("people", {"firstName": 1, "lastName": 1, "other": 1}),
    "people.emails": ("people", {"primaryEmail": 1, "additionalEmails": 1, "other": 1}),
    "people.phones": (
        "people",
        {
            **{"primaryPhoneNumber": 1, "primaryPhoneCountryCode": 1, "primaryPhoneCallingCode": 1},
            **{"additionalPhones": [{"number": 1}], "other": 1},
        },
    ),
    "companies.domainName": (
        "companies",
        {"primaryLinkUrl": 1, "primaryLinkLabel": 1, "secondaryLinks": [{"url": 1}], "other": 1},
    ),
    "companies.address": (
        "companies",
        {**{name: 1 if isinstance(value, str) else "x" for name, value in ADDRESS.items()}, "other": 1},
    ),
    "companies.annualRevenue": ("companies", {"amountMicros": "x", "currencyCode": 1, "other": 1}),
    "notes.bodyV2": ("notes", {"blocknote": 1, "markdown": 1, "other": 1}),
}


def refused() -> Iterator[Talk]:
    """What does not fit its type is kept back."""
    for plural, wrong in WRONG.items():
        items = [{name: value} for name, value in wrong.items()]
        yield Talk(operation=f"{plural}.create_many", given={"items": items[:20]}, label="wrong values")
    files = [{"avatarFile": [{"fileId": "x"}]}, {"avatarFile": [{"label": 1}]}]
    yield Talk(operation="people.create_many", given={"items": files}, label="wrong files")
    for name, (plural, wrong) in PARTS.items():
        field = name.partition(".")[2]
        items = [{field: {part: value}} for part, value in wrong.items()]
        yield Talk(operation=f"{plural}.create_many", given={"items": items}, label=f"wrong {field}")
    bad: dict[str, Any] = {"depth": 2}
    for verb, given in (
        ("list", {**bad, "filter": 1, "order_by": 1}),
        ("get", {**bad, "id": "x"}),
        ("create", {**bad, "upsert": "x", "body": {}}),
        ("create_many", {**bad, "items": [{}]}),
        ("upsert_many", {**bad, "items": [{}]}),
        ("update", {**bad, "id": "x", "body": {}}),
        ("update_many", {**bad, "ids": [ONE], "body": {"position": "x"}}),
        ("update_where", {**bad, "body": {}}),
        ("delete", {"id": "x", "soft_delete": "x"}),
        ("delete_many", {"ids": [ONE], "soft_delete": "x"}),
        ("delete_where", {"soft_delete": "x"}),
        ("restore", {**bad, "id": "x"}),
        ("restore_where", bad),
        ("duplicates", {**bad, "ids": ["x"], "data": 1}),
        ("merge", {**bad, "ids": ["x"], "conflict_priority_index": -1, "dry_run": "x"}),
        ("merge", {}),
        (
            "group",
            {
                "group_by": 1,
                "aggregate": 1,
                "filter": 1,
                "order_by": 1,
                "limit": "x",
                "view_id": "x",
                "include_records_sample": "x",
                "order_by_for_records": 1,
            },
        ),
    ):
        yield Talk(operation=f"people.{verb}", given=given, label="wrong" if given else "nothing", errors=True)
    for verb, given in (
        ("people", {"filter": 1, "order_by": 1}),
        ("create_person", {}),
        ("update_person", {"id": "x", "data": {"position": "x"}}),
        ("update_person", {}),
        ("update_people", {"filter": 1, "data": 1}),
        ("update_people", {}),
        ("delete_person", {"id": "x"}),
        ("delete_people", {"filter": 1}),
        ("delete_people", {}),
        ("restore_person", {"id": "x"}),
    ):
        yield Talk(operation=f"graphql.{verb}", given=given, label="wrong" if given else "nothing", errors=True)
    for one in ("object", "field"):
        for verb in ("get", "update", "delete"):
            given = {"id": "x", **({"body": {"name": 1}} if verb == "update" else {})}
            yield Talk(operation=f"metadata.{one}s.{verb}", given=given, label="wrong", errors=True)
        for verb, given in (
            ("", {"id": "x"}),
            ("create_", {}),
            ("create_", {"input": {}}),
            ("update_", {"id": "x", "update": 1}),
            ("update_", {}),
            ("delete_", {"id": "x"}),
        ):
            label = "wrong" if given else "nothing"
            yield Talk(operation=f"metadata.graphql.{verb}{one}", given=given, label=label, errors=True)
    for field in ("nameSingular", "namePlural", "labelSingular", "labelPlural"):
        body = {name: "x" for name in ("nameSingular", "namePlural", "labelSingular", "labelPlural") if name != field}
        yield Talk(operation="metadata.objects.create", given={"body": body}, label=f"no {field}", errors=True)
    whole: dict[str, Any] = {"objectMetadataId": ONE, "type": "SELECT", "name": "size", "label": "Size"}
    for field in whole:
        lacking = {name: value for name, value in whole.items() if name != field}
        yield Talk(operation="metadata.fields.create", given={"body": lacking}, label=f"no {field}", errors=True)
    kept = {"createdAt": AT, "updatedAt": AT, "id": ONE}
    for name, value in {**kept, "imageIdentifierFieldMetadataId": "x", "labelIdentifierFieldMetadataId": "x"}.items():
        body = {**TOOL, name: value}
        yield Talk(operation="metadata.objects.create", given={"body": body}, label=f"{name} given", errors=True)
    for name, value in kept.items():
        lacking = {**whole, name: value}
        yield Talk(operation="metadata.fields.create", given={"body": lacking}, label=f"{name} given", errors=True)
    option: dict[str, Any] = {"value": "LARGE", "label": "Large", "color": "red", "position": 1}
    for field in option:
        options = [{name: value for name, value in option.items() if name != field}]
        picked = {**whole, "options": options}
        yield Talk(operation="metadata.fields.create", given={"body": picked}, label=f"option no {field}", errors=True)
    for name, value in (("value", "large"), ("id", "x")):
        picked = {**whole, "options": [{**option, name: value}]}
        yield Talk(
            operation="metadata.fields.create", given={"body": picked}, label=f"option {name} wrong", errors=True
        )


def ill() -> Iterator[Talk]:
    """After a 500: what reads or may be repeated is sent again, what only writes is not."""
    change, by_id = {"jobTitle": "x"}, {"id": {"in": [ONE, TWO]}}
    for operation, given in (
        ("people.update_many", {"ids": [ONE], "body": change}),
        ("people.update_where", {"filter": f'id[eq]:"{ONE}"', "body": change}),
        ("people.delete_many", {"ids": [ONE]}),
        ("people.delete_where", {"filter": f'id[eq]:"{ONE}"'}),
        ("people.restore", {"id": GONE}),
        ("people.restore_where", {"filter": f'id[eq]:"{GONE}"'}),
        ("people.duplicates", {"ids": [ONE]}),
        ("people.merge", {"ids": [ONE, TWO], "conflict_priority_index": 0}),
        ("people.group", {"group_by": [{"createdAt": {"granularity": "YEAR"}}]}),
        ("people.create", {"body": change}),
        ("people.upsert_many", {"items": [{"id": ONE, **change}]}),
        ("graphql.people", {}),
        ("graphql.create_person", {"data": change}),
        ("graphql.create_people", {"data": [{"id": NEW, **change}]}),
        ("graphql.upsert_people", {"data": [{"id": ONE, **change}]}),
        ("graphql.update_person", {"id": ONE, "data": change}),
        ("graphql.update_people", {"filter": by_id, "data": change}),
        ("graphql.delete_person", {"id": ONE}),
        ("graphql.delete_people", {"filter": by_id}),
        ("graphql.restore_person", {"id": GONE}),
        ("graphql.query", {"document": "{ people { totalCount } }"}),
        ("metadata.query", {"document": "{ objects { edges { node { id } } } }"}),
        ("metadata.graphql.objects", {}),
        ("metadata.graphql.object", {"id": ONE}),
        ("metadata.graphql.create_object", {"input": {"object": TOOL}}),
        ("metadata.graphql.update_object", {"id": ONE, "update": {"description": "x"}}),
        ("metadata.graphql.delete_object", {"id": ONE}),
    ):
        yield Talk(operation=operation, given=given, label="after a 500", before=stored_and_ill, errors=True)
    yield Talk(operation="open_api.core", label="its head", before=say_head)


TOOL = {"nameSingular": "tool", "namePlural": "tools", "labelSingular": "Tool", "labelPlural": "Tools"}


def stored_and_ill(vendor: Twenty) -> None:
    """The people are there, and the first call is answered by 500."""
    stored("people", vendor)
    vendor.fail(status=500)


def say_head(vendor: Twenty) -> None:
    """The document is cut down to its head, after a 500."""
    vendor.fail(status=500)
    body = b'{"openapi": "3.1.1", "info": {"title": "Twenty Api"}, "components": {"schemas": {}}}'
    vendor.fail(status=200, body=body, content_type="application/json")


def of_people() -> Iterator[Talk]:
    """What one object shows for all: pages, whole batches, refusals, limits."""
    many = [{"id": f"20202020-d000-4485-94de-70c2a98d{n:04x}", "position": n} for n in range(61)]
    ids = [str(row["id"]) for row in many]

    def all_there(vendor: Twenty) -> None:
        vendor.load(taskTargets=many)

    for operation in ("task_targets.list", "graphql.task_targets"):
        yield Talk(operation=operation, label="two pages", before=all_there)
    for operation, name in (
        ("task_targets.create_many", "items"),
        ("task_targets.upsert_many", "items"),
        ("graphql.create_task_targets", "data"),
        ("graphql.upsert_task_targets", "data"),
    ):
        yield Talk(operation=operation, given={name: many}, label="61")
    yield Talk(
        operation="task_targets.update_many", given={"ids": ids, "body": {"position": 1}}, label="61", before=all_there
    )
    yield Talk(operation="task_targets.delete_many", given={"ids": ids}, label="61", before=all_there)
    stored_people = partial(stored, "people")
    person = {"name": {"firstName": "A", "lastName": "B"}}
    taken = {"emails": {"primaryEmail": "person.0@one.example"}}
    for operation, name in (
        ("people.create_many", "items"),
        ("graphql.create_people", "data"),
    ):
        items = [{"id": NEW, **person}, {"id": NOBODY, **person, **taken}]
        yield Talk(operation=operation, given={name: items}, label="one taken", before=stored_people)
    yield Talk(operation="people.create", given={"body": taken}, label="taken", errors=True, before=stored_people)
    yield Talk(
        operation="graphql.create_person", given={"data": taken}, label="taken", errors=True, before=stored_people
    )
    yield Talk(
        operation="graphql.update_person", given={"id": NOBODY, "data": {"jobTitle": "x"}}, label="missing", errors=True
    )
    for body in ({"updatedAt": AT}, {"position": "first"}, {"id": "one"}, {"emails": {"primaryEmail": 1}}):
        yield Talk(operation="people.create", given={"body": body}, label=f"{next(iter(body))} wrong", errors=True)
    yield Talk(
        operation="people.list",
        label="limited",
        knobs={"limits": ((1, 60_000),)},
        before=lambda vendor: (vendor.buckets(), vendor.drain()),
    )
    yield Talk(operation="people.list", label="500", before=lambda vendor: vendor.fail(status=500))
    for code in ("RATE_LIMITED", "INTERNAL_SERVER_ERROR", "TIMEOUT"):
        yield Talk(operation="graphql.people", label=code.lower(), before=partial(fail_once, code))
    for code in ("UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND"):
        yield Talk(operation="graphql.people", label=code.lower(), before=partial(fail_once, code), errors=True)
    for text, label in (('"subCode": "LIMIT_REACHED"', "limit reached"), ('"x": 1', "said in words")):
        yield Talk(operation="graphql.people", label=label, before=partial(say, text))


def fail_once(code: str, vendor: Twenty) -> None:
    """One answer of GraphQL's kind: 200, and what is wrong inside."""
    more = ', "retryAfterMs": 1500' if code == "RATE_LIMITED" else ""
    say(f'"code": "{code}"{more}', vendor)


def say(extensions: str, vendor: Twenty) -> None:
    message = "Limit reached" if '"x"' in extensions else "It went wrong"
    body = f'{{"errors": [{{"message": "{message}", "extensions": {{{extensions}}}}}], "data": null}}'
    vendor.fail(status=200, body=body.encode(), content_type="application/json")


def of_model() -> Iterator[Talk]:
    """The data model, by REST and by GraphQL."""
    small = {"only": ("people", "companies"), "custom_objects": {"gadget": "gadgets"}}

    def talk(operation: str, label: str = "emulated", **more: Any) -> Talk:
        return Talk(operation=operation, label=label, knobs=small, **more)

    gadget = {"nameSingular": "tool", "namePlural": "tools", "labelSingular": "Tool", "labelPlural": "Tools"}
    with Twenty(**small) as vendor:  # type: ignore[arg-type]
        person = vendor.model.plural("people")
        assert person is not None
        thing = vendor.model.plural("gadgets")
        assert thing is not None
        object_id, field_id = thing.id, thing.fields["position"].id
        vendor.add_field("gadgets", "serial", "TEXT")
        custom = thing.fields["serial"].id
    for prefix, one in (("metadata.objects", object_id), ("metadata.fields", field_id)):
        yield talk(f"{prefix}.list")
        if prefix == "metadata.objects":
            direct = {"only": ("people", "companies"), "direct_metadata": True}
            yield Talk(operation=f"{prefix}.get", given={"id": person.id}, label="direct", knobs=direct)
            yield Talk(operation=f"{prefix}.list", label="direct", knobs=direct)
            changed = {"id": person.id, "body": {"description": "x"}}
            yield Talk(operation=f"{prefix}.update", given=changed, label="direct", knobs=direct)
            yield Talk(operation=f"{prefix}.create", given={"body": TOOL}, label="direct", knobs=direct)
            custom_too = {**direct, "custom_objects": small["custom_objects"]}
            yield Talk(operation=f"{prefix}.delete", given={"id": object_id}, label="direct", knobs=custom_too)
        yield talk(f"{prefix}.get", given={"id": one})
        yield talk(f"{prefix}.get", "missing", given={"id": NOBODY}, errors=True)
        yield talk(f"{prefix}.update", given={"id": one, "body": {"description": "changed"}})
    yield talk("metadata.objects.create", given={"body": {**gadget, "description": "Of use", "icon": "IconTool"}})
    yield talk("metadata.objects.delete", given={"id": object_id})
    field = {"objectMetadataId": object_id, "type": "TEXT", "name": "size", "label": "Size"}
    yield talk("metadata.fields.create", given={"body": {**field, "description": "How large"}})
    related = {**field, "type": "RELATION", "relationCreationPayload": {"type": "MANY_TO_ONE"}}
    yield talk("metadata.fields.create", "relation", given={"body": related}, errors=True)
    for word, plural, one in (("object", "objects", object_id), ("field", "fields", field_id)):
        yield talk(f"metadata.graphql.{plural}")
        yield talk(f"metadata.graphql.{word}", given={"id": one})
        yield talk(f"metadata.graphql.update_{word}", given={"id": one, "update": {"description": "changed"}})
    yield talk("metadata.graphql.create_object", given={"input": {"object": gadget}})
    yield talk("metadata.graphql.create_field", given={"input": {"field": field}})
    yield talk("metadata.graphql.delete_object", given={"id": object_id})
    yield talk("metadata.fields.delete", given={"id": custom}, before=grown)
    yield talk("metadata.graphql.delete_field", given={"id": custom}, before=grown)


def grown(vendor: Twenty) -> None:
    """With a field of one's own."""
    vendor.add_field("gadgets", "serial", "TEXT")


def by_marks() -> Iterator[Talk]:
    """What a sync asks for that reads only what is new, beside a filter of its own."""
    own = {"people.list": f'id[in]:["{ONE}"]', "graphql.people": {"id": {"in": [ONE, TWO]}}}
    for operation, given in own.items():
        for field in ("updatedAt", "createdAt"):
            since = {"changed_since": {field: AT}}
            talk = Talk(operation=operation, given=since, label=f"by {field}", before=partial(stored, "people"))
            yield talk
            yield attrs.evolve(talk, given={**since, "filter": given}, label=f"by {field}, filtered")


def of_several() -> Iterator[Talk]:
    """Mistakes that stand behind others, and lists of several."""
    rest = {"status": 400, "content_type": "application/json"}
    several = b'{"statusCode": 400, "error": "Bad Request", "messages": ["one", "a duplicate entry was detected"]}'
    yield Talk(
        operation="people.create",
        given={"body": {"jobTitle": "x"}},
        label="two messages",
        errors=True,
        before=lambda vendor: vendor.fail(body=several, **rest),
    )
    for word, extensions, message in (
        ("throttled", {"code": "RATE_LIMITED", "retryAfterMs": 1500}, "No"),
        ("limit", {"subCode": "LIMIT_REACHED"}, "No"),
        ("limit in words", {}, "Limit reached"),
        ("ill", {"code": "INTERNAL_SERVER_ERROR"}, "No"),
        ("late", {"code": "TIMEOUT"}, "No"),
        ("denied", {"code": "UNAUTHENTICATED"}, "No"),
        ("forbidden", {"code": "FORBIDDEN"}, "No"),
        ("missing", {"code": "NOT_FOUND"}, "No"),
        ("taken", {"subCode": "A_CODE"}, "a duplicate entry was detected"),
    ):
        yield Talk(
            operation="graphql.people",
            label=f"{word} behind another",
            before=partial(say_second, extensions, message),
            errors=word in ("denied", "forbidden", "missing", "taken"),
        )
    yield Talk(operation="metadata.objects.list", label="two pages", before=say_pages)
    yield Talk(operation="graphql.upsert_people", given={"data": [{"jobTitle": "x"}]}, label="made key")
    for plural in ("companies", "opportunities", "tasks"):
        given = {"body": {"id": NEW, "lucky": "yes"}}
        yield Talk(operation=f"{plural}.create", given=given, label="own field", before=partial(with_lucky, plural))
    yield Talk(
        operation="task_targets.create",
        given={"body": {"id": NEW, "lucky": "yes"}},
        label="own field",
        before=partial(with_lucky, "taskTargets"),
    )
    group = {"group_by": [{"createdAt": {"granularity": "YEAR"}}, {"position": True}], "order_by": "createdAt,position"}
    yield Talk(
        operation="people.group",
        given={**group, "order_by_for_records": "createdAt", "aggregate": ["countNotEmptyId", "maxPosition"]},
        label="by two",
        before=partial(stored, "people"),
    )
    taken = {"emails": {"primaryEmail": "person.0@one.example"}}
    yield Talk(
        operation="people.update_many",
        given={"ids": [ONE, TWO], "body": taken},
        label="taken",
        before=partial(stored, "people"),
    )
    yield Talk(operation="people.list", label="cloud", server="cloud", before=partial(stored, "people"))
    yield Talk(operation="people.list", label="no key", settings={"api_key": None}, settings_refused=True)
    for operation in (
        *("graphql.create_people", "graphql.upsert_people", "graphql.delete_person", "graphql.restore_person"),
        *("metadata.graphql.object", "metadata.graphql.field"),
        *("metadata.graphql.delete_object", "metadata.graphql.delete_field"),
    ):
        yield Talk(operation=operation, label="nothing", errors=True)


def say_second(extensions: Mapping[str, Any], message: str, vendor: Twenty) -> None:
    """A mistake of GraphQL's kind behind another one."""
    errors = [{"message": "It went wrong", "extensions": {}}, {"message": message, "extensions": extensions}]
    body = json.dumps({"errors": errors, "data": None})
    vendor.fail(status=200, body=body.encode(), content_type="application/json")


def say_pages(vendor: Twenty) -> None:
    """The data model in two pages, as a workspace of more than a thousand objects has it."""
    for number, more in ((1, True), (2, False)):
        page = {"hasNextPage": more, "startCursor": f"begin-{number}", "endCursor": f"end-{number}"}
        one = {"id": f"20202020-e000-4485-94de-70c2a98dae0{number}", "nameSingular": f"thing{number}"}
        body = json.dumps({"data": {"objects": [one]}, "pageInfo": page})
        vendor.fail(status=200, body=body.encode(), content_type="application/json")


def with_lucky(plural: str, vendor: Twenty) -> None:
    """The object has a field of the workspace's own."""
    vendor.add_field(plural, "lucky", "TEXT")


def talks() -> Iterator[Talk]:
    for plural in BODIES:
        yield from of_object(plural)
    yield from of_people()
    yield from refused()
    yield from ill()
    yield from of_model()
    yield from by_marks()
    yield from of_several()
    document = "query($n: Int) { people(first: $n) { totalCount } }"
    yield Talk(operation="graphql.query", given={"document": document, "variables": {"n": 1}}, label="emulated")
    yield Talk(
        operation="metadata.query",
        given={"document": "{ objects(paging: {first: 1}) { edges { node { id } } } }"},
        label="emulated",
    )


def small(talk: Talk) -> Talk:
    """With no more objects in the workspace than are spoken of."""
    only = tuple(wire(plural) for plural in BODIES)
    return attrs.evolve(talk, knobs={"only": only, **talk.knobs})


VENDOR = Vendor(
    name="twenty",
    emulator=Twenty,
    settings={"api_key": "key-of-a-workspace"},
    talks=tuple(map(small, talks())),
    knobs={"key": "key-of-a-workspace"},
)
