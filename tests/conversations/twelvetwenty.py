"""What is said to 12Twenty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from conversations.talk import Talk, Vendor
from emulators import twelvetwenty_data as made
from emulators.twelvetwenty import TwelveTwenty

FIRST = made.FIRST_ID
STUDENT, COMPANY, CONTACT = FIRST["students"], FIRST["companies"], FIRST["contacts"]
AT = "2026-05-20T18:25:43Z"
PICKED = {"Id": 10607302994202, "Name": "Undergraduate", "AttributeId": 10607302970003, "Order": 2}
CUSTOM = {"custom_attribute_10607302981934": "rows", "custom_attribute_10607302981936": None}
# Everything that each record may be written with.
STUDENT_BODY: Mapping[str, Any] = {
    **{"StudentId": "S0000001", "FirstName": "Homer", "MiddleName": "J", "LastName": "Simpson"},
    **{"EmailAddress": "homer@springfield.example", "PreferredEmailAddress": "h@springfield.example"},
    **{"LinkedInProfileUrl": "https://linkedin.example/in/homer", "Gender": {"Id": 2}, "IsEnrolled": True},
    **{"IsAlumni": False, "JoinDate": "2026-01-05T08:00:00Z", "GraduationYearId": 2028, "GraduationClass": 2028},
    **{name: PICKED for name in ("Program", "College", "DegreeLevel", "YearsExperience", "WorkAuthorization")},
    **{name: PICKED for name in ("Ethnicity1", "Ethnicity2", "CountryOfCitizenship", "AssignedAdvisor")},
    **{name: PICKED for name in ("OutcomeStatusInternship", "OutcomeStatusPostGraduation")},
    **{"GraduationTerm": {"Id": 10607302990202}, "YearIds": [2027, 2028]},
    **{
        "StudentGroups": [{"Id": 5, "Name": "Bowling", "Order": 1}],
        "StudentClubs": [7],
        "Addresses": [{"City": "Springfield"}],
    },
    **{"RoleId": 1, "VisibilityId": 2, "IncludeInResumeBook": True, "HasPhoto": False},
    **{"IsMultipleEnrollmentLinkedAccount": True, "MultipleEnrollmentLinkedAccountUserId": 270067010400000},
    **{"CustomAttributeValues": CUSTOM, "Nickname": ["Homie"]},
}
COMPANY_BODY: Mapping[str, Any] = {
    **{"Name": "Globex", "Website": "https://globex.example", "NumberOfEmployeesName": "51-200"},
    **{"AccountManagerName": "Ada Wu", "OutreachLeadName": "Mei Smith", "OutreachPriorityName": "High"},
    **{"Industries": [{"Id": 3, "Name": "Energy"}], "ParentId": 7, "ParentCompanyName": "Shelbyville Power"},
    **{"IsAdminApproved": True, "CustomAttributeValues": CUSTOM, "Motto": {"la": "Porro"}},
}
CONTACT_BODY: Mapping[str, Any] = {
    **{"FirstName": "Hank", "LastName": "Scorpio", "PreferredName": "Hank", "PrefixName": "Mr", "CompanyId": 7},
    **{"CompanyName": "Globex", "JobTitle": "President", "EmailAddress": "hank@globex.example"},
    **{"AlternateEmailAddress": "h@globex.example", "OfficePhone": "+1 555 7334", "CellPhone": "+1 555 0113"},
    **{"Fax": "+1 555 7335", "IsAlumni": True, "IsPrimary": True, "Location": {"City": "Cypress Creek"}},
    **{"LinkedInProfileUrl": "https://linkedin.example/in/hank", "AlumniGraduationYear": 1998, "HasPhoto": False},
    **{"AlumniGraduationProgramName": "MBA", "AssignedAdvisorName": "Ada Wu", "CompanyHistory": ["Globex"]},
    **{"AdditionalInformation": "Likes hammocks.", "IsAdminApproved": True, "CustomAttributeValues": CUSTOM},
    **{"Hobby": ["Hammocks"]},
}
NOTE_BODY: Mapping[str, Any] = {
    **{"PrimaryEntityTypeId": 2201, "PrimaryEntityId": 7, "AssociatedEntityType1Id": 2301, "AssociatedEntity1Id": 9},
    **{"AssociatedEntityType2Id": 1001, "AssociatedEntity2Id": 11, "Text": "Called Hank.", "Date": AT},
    **{"StudentNoteTypeId": 1, "StudentNoteTypeName": "Call", "CompanyNoteTypeId": 2, "CompanyNoteTypeName": "Call"},
    **{"OwnerId": 3, "OwnerName": "Ada Wu", "CreatorName": "Mei Smith", "FileId": 5, "FileName": "Hank.pdf"},
    **{"VisibilityId": 1, "CampaignIds": [4], "Mood": 7},
}
BODIES = {"students": STUDENT_BODY, "companies": COMPANY_BODY, "contacts": CONTACT_BODY, "notes": NOTE_BODY}
READ_ONLY = {"students": ("Id", "FullName", "ModifyDate"), "notes": ("Id", "ModifyDate")}
EVENT: Mapping[str, Any] = {
    **{"ExternalId": "xyz-1", "UserId": STUDENT, "TypeId": 1, "StartTime": AT},
    **{"EndTime": "2026-05-20T19:25:43Z", "Title": "Algebra"},
}


def add(kind: str, emulator: TwelveTwenty) -> None:
    """A record that holds all that may be in it."""
    emulator.add(
        kind,
        Id=FIRST[kind],
        CreateDate="2026-01-02T03:04:05",
        ModifyDate="2026-01-06T07:08:09.25",
        **{**BODIES[kind], "JoinDate": "2026-01-05T08:00:00"}
        if kind == "students"
        else {**BODIES[kind], **({"Date": "2026-05-20T18:25:43"} if kind == "notes" else {})},
    )


def entities() -> Iterator[Talk]:
    for kind in ("students", "companies", "contacts", "notes"):
        body, whole = BODIES[kind], {"before": partial(add, kind)}
        one = {"id": FIRST[kind]}
        yield Talk(operation=f"{kind}.get", given=one, label="one", before=partial(add, kind))
        yield Talk(operation=f"{kind}.get", given={"id": 1}, label="missing", errors=True)
        yield Talk(operation=f"{kind}.get", given={"id": "one"}, label="no id", errors=True)
        yield Talk(operation=f"{kind}.create", given={"body": body}, label="everything")
        yield Talk(operation=f"{kind}.create", given={"body": body, "complete": True}, label="completed")
        yield Talk(
            operation=f"{kind}.create",
            given={"body": {"Nothing": 1}},
            label="refused by a 500",
            errors=True,
            before=lambda vendor: vendor.fail(status=500, match="POST"),
        )
        change = {name: body[name] for name in list(body)[:2]}
        yield Talk(operation=f"{kind}.replace", given={**one, "body": {"Added": "x"}}, label="changed", **whole)  # type: ignore[arg-type]
        yield Talk(operation=f"{kind}.replace", given={**one, "body": change}, label="unchanged", **whole)  # type: ignore[arg-type]
        yield Talk(operation=f"{kind}.replace", given={"id": 1, "body": change}, label="missing", errors=True)
        yield Talk(
            operation=f"{kind}.replace",
            given={**one, "body": {"Added": "x"}},
            label="500",
            errors=True,
            before=partial(add_and_fail, kind),
        )
        for name in READ_ONLY.get(kind, ("Id", "CreateDate", "ModifyDate")):
            given = {"body": {name: FIRST[kind] if name == "Id" else AT if "Date" in name else "x"}}
            yield Talk(operation=f"{kind}.create", given=given, label=f"{name} given", errors=True)


def refused() -> Iterator[Talk]:
    """What holds no longer than it is declared."""
    for kind, body in (
        ("students", {"StudentGroups": [{"Name": "Bowling"}]}),
        ("students", {"StudentGroups": [{"Id": "five"}]}),
        ("students", {"StudentClubs": "Chess"}),
        ("students", {"Addresses": "Springfield"}),
        ("students", {"CustomAttributeValues": "rows"}),
        ("students", {"College": {"Name": "Business"}}),
        ("students", {"StudentId": 7}),
        ("companies", {"Industries": [{"Name": "Energy"}]}),
        ("companies", {"CustomAttributeValues": "rows"}),
        ("contacts", {"CustomAttributeValues": "rows"}),
    ):
        name, value = next(iter(body.items()))
        label = f"{name} {type(value[0] if isinstance(value, list) else value).__name__}"
        if isinstance(value, list):
            label = f"{name} {'-'.join(value[0])}"
        yield Talk(operation=f"{kind}.create", given={"body": body}, label=f"{label} wrong", errors=True)


def add_and_fail(kind: str, emulator: TwelveTwenty) -> None:
    """A record, and a write of it that fails."""
    add(kind, emulator)
    emulator.fail(status=500, match="PUT")


def lists() -> Iterator[Talk]:
    pages = {"over_largest": "clamp", "largest_page": 4}
    yield Talk(operation="students.list", given={"year": 2018}, label="2018", knobs={"students": 6})
    yield Talk(
        operation="students.list", given={"student_id": "S0000089"}, label="linked accounts", knobs={"students": 95}
    )
    yield Talk(operation="students.list", given={"year": 2018}, label="three pages", knobs={"students": 9, **pages})
    yield Talk(
        operation="students.list", given={"year": 2018, "complete": True}, label="completed", knobs={"students": 2}
    )
    yield Talk(operation="students.list", given={"year": "soon"}, label="no year", errors=True)
    yield Talk(operation="students.list", given={"student_id": 1}, label="no text", errors=True)
    yield Talk(
        operation="students.list",
        given={"year": 2018},
        label="wrong total",
        errors=True,
        knobs={"students": 3, "total_error": 2},
    )
    since = {"modify_from_date": "2024-01-08T06:20:00Z"}
    for kind, more in (("companies", {}), ("contacts", {}), ("notes", {"entity_type_id": 2201})):
        knobs = {kind: 5}
        yield Talk(operation=f"{kind}.list", given={**more, **since}, label="since", knobs=knobs)
        yield Talk(operation=f"{kind}.list", given={**more, "complete": True}, label="completed", knobs={kind: 2})
        yield Talk(operation=f"{kind}.list", given={**more, "modify_from_date": "x"}, label="no moment", errors=True)
    yield Talk(operation="notes.list", given={"entity_type_id": 2301}, label="of contacts", knobs={"notes": 4})
    yield Talk(operation="notes.list", given={"entity_type_id": 1001}, label="of students", errors=True)
    yield Talk(operation="notes.list", label="of nothing", errors=True)
    yield Talk(operation="job_postings.list", given={"status_id": 4}, label="open", knobs={"job_postings": 6})
    yield Talk(operation="job_postings.list", given={"complete": True}, label="completed", knobs={"job_postings": 2})
    yield Talk(operation="job_postings.list", given={"status_id": "open"}, label="no status", errors=True)
    query = {
        **{"should_calculate_total": False, "is_sort_asc": False, "sort_by": 2, "location_filter": "Springfield"},
        **{"student_group_ids": [1, 2], "filters": [job_filter()]},
    }
    yield Talk(operation="job_postings.query", given=query, label="everything", knobs={"job_postings": 3})
    yield Talk(
        operation="job_postings.query",
        label="after a 500",
        knobs={"job_postings": 1},
        before=lambda vendor: vendor.fail(status=500, match="post-query"),
    )
    yield Talk(operation="job_postings.query", given={"complete": True}, label="completed", knobs={"job_postings": 2})
    asked = {name: 1 if isinstance(value, str | list) else "x" for name, value in query.items()}
    yield Talk(operation="job_postings.query", given=asked, label="wrong", errors=True)
    for name, value in job_filter().items():
        filters = [{**job_filter(), name: "x" if not isinstance(value, str) else 1}]
        if name != "Own":
            yield Talk(operation="job_postings.query", given={"filters": filters}, label=f"{name} wrong", errors=True)
    yield Talk(operation="lookups.list")
    yield Talk(operation="lookups.list", label="pages", knobs=pages)
    yield Talk(operation="lookups.options", given={"lookup_id": 119}, label="119")
    yield Talk(operation="lookups.options", label="of every lookup")
    yield Talk(operation="lookups.options", given={"lookup_id": 1}, label="unknown", errors=True)
    yield Talk(operation="lookups.options", given={"lookup_id": "college"}, label="no id", errors=True)
    yield Talk(
        operation="lookups.options",
        given={"lookup_id": 119},
        label="500",
        before=lambda vendor: vendor.fail(status=500, match="options"),
    )


def job_filter() -> dict[str, Any]:
    return {
        **{"SelectedIds": [1, 2], "CustomFilterTypeId": 3, "TypeId": 4, "HasValue": True, "IsExcluded": False},
        **{"DisplayIndex": 0, "Own": 5},
    }


def calls() -> Iterator[Talk]:
    """How a call goes on when it does not go well: limits, outages, tokens."""
    listed = {"operation": "attributes.list"}
    yield Talk(operation="attributes.list")
    yield Talk(operation="attributes.list", label="429", before=partial(slow, 2))
    yield Talk(operation="attributes.list", label="500", before=lambda v: v.fail(status=500, match="attributes"))
    yield Talk(operation="attributes.list", label="bad key", settings={"api_key": "another-key-of-nobody"}, errors=True)
    yield Talk(operation="attributes.list", label="token refused", before=refuse_token)
    yield Talk(operation="attributes.list", label="almost a day", before=partial(slow, 86_400 - 600))
    yield Talk(operation="attributes.list", label="a day and a minute", before=partial(slow, 86_460))
    yield Talk(operation="attributes.list", label="sandbox", server="sandbox")
    yield Talk(operation="attributes.list", label="production", server="production")
    key = {"school": "hilltop", "api_key": "placeholder-api_key"}
    for label, settings in (
        ("no key", {**key, "api_key": None}),
        ("no school", {**key, "school": None}),
        ("no such school", {**key, "school": "Hill Top"}),
    ):
        yield Talk(**listed, label=label, settings=settings, settings_refused=True)  # type: ignore[arg-type]
    yield Talk(operation="attributes.get", given={"id": 10607302970000}, label="one")
    yield Talk(operation="attributes.get", given={"id": "one"}, label="no id", errors=True)
    yield Talk(operation="documentation.get")
    yield Talk(operation="events.get", given={"id": FIRST["events"]}, label="one")
    yield Talk(operation="events.get", given={"id": "one"}, label="no id", errors=True)
    yield Talk(operation="job_postings.get", given={"id": FIRST["job_postings"]}, label="one")
    yield Talk(operation="job_postings.get", given={"id": "one"}, label="no id", errors=True)
    one = {"id": STUDENT}
    yield Talk(operation="students.update", given={**one, "body": {"FirstName": "Bart"}}, label="one")
    yield Talk(
        operation="students.update", given={**one, "body": {"FirstName": "Bart"}, "complete": True}, label="completed"
    )
    yield Talk(operation="students.update", given={"id": "one", "body": {"FirstName": 1}}, label="wrong", errors=True)
    yield Talk(operation="students.delete", given=one, label="one")
    yield Talk(operation="students.delete", given={"id": "one"}, label="no id", errors=True)
    yield Talk(
        operation="students.delete",
        given=one,
        label="500",
        errors=True,
        before=lambda vendor: vendor.fail(status=500, match="DELETE"),
    )


def slow(seconds: int, emulator: TwelveTwenty) -> None:
    """The first call is told to come back after so many seconds."""
    emulator.fail(status=429, match="attributes", headers={"Retry-After": str(seconds)})


def refuse_token(emulator: TwelveTwenty) -> None:
    """The first token is refused when it is used."""
    emulator.fail(status=401, match="attributes")


def batches() -> Iterator[Talk]:
    def events(*numbers: int, **more: Any) -> list[dict[str, Any]]:
        return [{**EVENT, "ExternalId": f"xyz-{number}", "Title": f"Algebra {number}", **more} for number in numbers]

    upsert = "calendar_events.upsert"
    yield Talk(operation=upsert, given={"items": events(1, 2)}, label="two")
    yield Talk(
        operation=upsert,
        given={"items": events(1, 2, 3)},
        label="one refused",
        knobs={"refuse": {"xyz-2": "Event is owned by another student."}},
    )
    yield Talk(
        operation=upsert,
        given={"items": events(1, 2)},
        label="all refused",
        knobs={"refuse": {"xyz-1": "Not this one.", "xyz-2": "Nor this."}},
    )
    yield Talk(
        operation=upsert,
        given={"items": [event for n in (1, 2, 3) for event in events(n, TypeId=n)]},
        label="each type",
    )
    late = {"StartTime": "2026-05-20T20:25:43Z"}
    items = [{**EVENT, name: "x" if isinstance(value, int) else 1} for name, value in EVENT.items()]
    items += [{name: value for name, value in EVENT.items() if name != left} for left in EVENT]
    items += [{**EVENT, **late}, {**EVENT, "TypeId": 4}, {**EVENT, "Nothing": 1}]
    yield Talk(operation=upsert, given={"items": items[:10]}, label="wrong events")
    yield Talk(operation=upsert, given={"items": items[10:]}, label="more wrong events")
    yield Talk(
        operation=upsert,
        given={"items": events(1)},
        label="500",
        errors=True,
        before=lambda vendor: vendor.fail(status=500, match="batch"),
    )
    yield Talk(operation=upsert, given={"items": [{**EVENT, "ExternalId": f"{n}"} for n in range(1001)]}, label="1001")


VENDOR = Vendor(
    name="12twenty",
    emulator=TwelveTwenty,
    settings={"school": "hilltop", "api_key": "key/of+hilltop=="},
    talks=(*entities(), *refused(), *lists(), *calls(), *batches()),
    knobs={"students": 3, "other_students": 1, "companies": 3, "contacts": 3, "notes": 3, "job_postings": 3},
)
