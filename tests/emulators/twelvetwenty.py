"""12Twenty of one school, on loopback, as its help pages and public clients show it; the rest is marked assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from emulators import twelvetwenty_data as made
from emulators.exchange import Answer, Ask, NoRoute, Record, Routes
from emulators.program import run
from emulators.twelvetwenty_checks import is_datetime, wrong_event, wrong_fields
from emulators.twelvetwenty_school import TOKEN_PATH, School, Update, no

KINDS: Mapping[str, Mapping[str, str]] = {
    "students": made.STUDENT_KINDS,
    "companies": made.COMPANY_KINDS,
    "contacts": made.CONTACT_KINDS,
    "notes": made.NOTE_KINDS,
    "job_postings": {},
    "events": {},
}
POST_QUERY: Mapping[str, type] = {
    **{"ShouldCalculateTotal": bool, "PageNumber": int, "PageSize": int, "IsSortAsc": bool, "sortBy": int},
    **{"locationFilter": str, "StudentGroupIds": list, "Filters": list},
}
SERVER_KEPT = ("Id", "CreateDate", "ModifyDate")


@attrs.define(eq=False, kw_only=True, slots=False)
class TwelveTwenty(School):
    """12Twenty of one school: `url` stands for `https://{school}.admin.12twenty.com`."""

    _routes: Routes = attrs.field(init=False, factory=lambda: Routes(ignore_case=True))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        route = self._routes.add
        for kind in ("students", "companies", "contacts", "notes"):
            route(f"GET /api/v2/{kind}", self._list(kind))
            route(f"GET /api/v2/{kind}/{{id}}", self._get(kind))
            route(f"PUT /api/v2/{kind}/{{id}}", self._replace(kind))
            route(f"POST /api/v2/{kind}", self._create(kind))  # contacts: assumed, the call itself was never seen
        route("PATCH /api/v2/students/{id}", self._patch)
        route("DELETE /api/v2/students/{id}", self._delete)  # assumed: documented for no entity by name
        route("GET /api/v2/events/{id}", self._get("events"))
        route("GET /api/v2/job-postings", self._list("job_postings"))
        route("POST /api/v2/job-postings/post-query", self._post_query)
        route("GET /api/v2/job-postings/{id}", self._get("job_postings"))
        route("GET /api/v2/lookups", self._lookups)
        route("GET /api/v2/lookups/{id}/options", self._options)
        route("GET /api/v2/attributes", self._attributes)
        route("GET /api/v2/attributes/{id}", self._attribute)
        route("PUT /api/v2/calendar-events/batch", self._calendar_batch)
        route("GET /api/v2/documentation", self._documentation)
        route("GET /api/v2/account/current-user", self._current_user)

    def answer(self, ask: Ask) -> Answer:
        path = ask.path.lower()
        if path == TOKEN_PATH:
            return self._generate_token(ask)
        if path == "/api/v2/account/current-user":
            self._check_session(ask)
        elif path != "/api/v2/documentation" or self.documentation_needs_token:
            self._check_token(ask)
        try:
            act, values = self._routes.find(ask.method, ask.path)
        except NoRoute as missing:
            raise no(405 if missing.allowed else 404, "No such endpoint.") from None
        return act(ask, values)

    # Reading ------------------------------------------------------------------------------------------------------

    def _page(self, arguments: Mapping[str, Any], items: list[Record]) -> Answer:
        size, number = arguments.get("PageSize", 25), arguments.get("PageNumber", 1)
        if size > self.largest_page and self.over_largest == "clamp":
            size = self.largest_page
        if not 1 <= size <= self.largest_page:
            raise no(self.validation_status, f"PageSize must be from 1 to {self.largest_page}.")
        pages = -(-len(items) // size)
        if number < 1 or (number > max(pages, 1) and self.beyond_end == "refuse"):
            raise no(self.validation_status, "No such page.")
        envelope: Record = {"PageSize": size, "PageNumber": number, "Total": len(items) + self.total_error}
        if self.number_of_pages:
            envelope["NumberOfPages"] = pages
        return Answer.json(envelope | {"Items": items[(number - 1) * size : number * size]})

    def _list(self, kind: str) -> Callable[[Ask, dict[str, str]], Answer]:
        filters: dict[str, dict[str, Callable[[str], Any]]] = {
            "students": {"year": integer, "StudentId": str},
            "companies": {"ModifyFromDate": modify_from},
            "contacts": {"ModifyFromDate": modify_from},
            "notes": {"EntityTypeId": integer, "ModifyFromDate": modify_from},
            "job_postings": {"statusId": integer},
        }

        def act(ask: Ask, values: dict[str, str]) -> Answer:
            given = self._arguments(ask, PageSize=integer, PageNumber=integer, **filters[kind])
            if kind == "notes" and self.notes_need_entity_type and "EntityTypeId" not in given:
                raise no(self.validation_status, "EntityTypeId is required.")
            rows = [row for row in self.tables[kind].values() if self._wanted(row, given)]
            return self._page(given, [self._partial(kind, row) for row in rows])

        return act

    def _wanted(self, row: Record, given: Mapping[str, Any]) -> bool:
        since = given.get("ModifyFromDate")
        if since is not None:
            at = utc(row["ModifyDate"])
            if at < since or (at == since and not self.modify_from_inclusive):
                return False
        status = {3: "Approved", 4: "Open for applications"}.get(given.get("statusId", 0))
        return (
            given.get("year") in (None, row.get("GraduationYearId"))
            and given.get("StudentId") in (None, row.get("StudentId"))
            and given.get("EntityTypeId") in (None, row.get("PrimaryEntityTypeId"))
            and ("statusId" not in given or row.get("StatusName") == status)
        )

    def _partial(self, kind: str, row: Record) -> Record:
        unmarked = self.marks_in_lists == "none" or (self.marks_in_lists == "some" and row["Id"] % 3 == 0)
        names = [name for name in made.LISTED[kind] if not (unmarked and name == "ModifyDate")]
        return {name: row[name] for name in names if name in row}

    def _find(self, kind: str, id: str) -> Record:
        record = self.tables[kind].get(int(id)) if id.isascii() and id.isdigit() else None
        if record is None:
            raise no(404, f"No {kind} of that id.")
        return record

    def _get(self, kind: str) -> Callable[[Ask, dict[str, str]], Answer]:
        def act(ask: Ask, values: dict[str, str]) -> Answer:
            self._arguments(ask)
            return Answer.json(self._find(kind, values["id"]))

        return act

    def _post_query(self, ask: Ask, values: dict[str, str]) -> Answer:
        """What the filters mean is not documented: they are checked for their kinds and select nothing."""
        body = self._body(ask)
        for name, value in body.items():
            if name not in POST_QUERY or type(value) is not POST_QUERY[name]:
                raise no(self.validation_status, f"{name} is not valid.")
        size, number = body.get("PageSize", 25), body.get("PageNumber", 1)
        if not 1 <= size <= 1000 or number < 1:
            raise no(self.validation_status, "No such page.")
        rows = list(self.tables["job_postings"].values())[:: 1 if body.get("IsSortAsc", True) else -1]
        items = [self._partial("job_postings", row) for row in rows[(number - 1) * size : number * size]]
        return Answer.json({"Items": items} | ({"Total": len(rows)} if body.get("ShouldCalculateTotal") else {}))

    def _lookups(self, ask: Ask, values: dict[str, str]) -> Answer:
        given = self._arguments(ask, PageSize=integer, PageNumber=integer)
        lookups = [{"Id": id, "Name": name} for id, (name, _) in made.LOOKUPS.items()]
        return Answer.json(lookups) if self.lookups_as == "array" else self._page(given, lookups)

    def _options(self, ask: Ask, values: dict[str, str]) -> Answer:
        self._arguments(ask)
        if not is_digits(values["id"]) or int(values["id"]) not in made.LOOKUPS:
            raise no(404, "No such lookup.")
        return Answer.json(made.options(int(values["id"])))  # a bare array: assumed

    def _attributes(self, ask: Ask, values: dict[str, str]) -> Answer:
        self._arguments(ask)
        return Answer.json(made.attributes())

    def _attribute(self, ask: Ask, values: dict[str, str]) -> Answer:
        self._arguments(ask)
        for attribute in made.attributes():
            if str(attribute["Id"]) == values["id"]:
                lookup = attribute["LookupId"]
                return Answer.json(attribute | {"Options": made.options(lookup) if lookup else []})
        raise no(404, "No such attribute.")

    def _documentation(self, ask: Ask, values: dict[str, str]) -> Answer:
        self._arguments(ask)
        page = "<html><body><h1>API of hilltop</h1><p>GET /api/v2/students</p></body></html>"
        return Answer.text(page, content_type="text/html; charset=utf-8")  # assumed: the form is not documented

    def _current_user(self, ask: Ask, values: dict[str, str]) -> Answer:
        return Answer.json({"FullName": "Ada Wu", "FirstName": "Ada", "EmailAddress": "ada@hilltop.example"})

    # Writing ------------------------------------------------------------------------------------------------------

    def _fields(self, ask: Ask, kind: str, id: int | None) -> Record:
        """The body's fields, checked. Those that the server keeps itself are read over."""
        body = self._body(ask)
        wrong = wrong_fields(body, KINDS[kind])
        if self.unknown_fields == "refuse":
            wrong += [f"{name} is unknown." for name in body if name not in KINDS[kind]]
        if id is not None and body.get("Id", id) != id:
            wrong.append("Id cannot be changed.")
        if wrong:
            raise no(self.validation_status, " ".join(wrong))
        return {name: value for name, value in body.items() if name not in SERVER_KEPT}

    def _create(self, kind: str) -> Callable[[Ask, dict[str, str]], Answer]:
        def act(ask: Ask, values: dict[str, str]) -> Answer:
            fields = self._fields(ask, kind, None)
            if missing := [name for name in self.required.get(kind, ()) if fields.get(name) in (None, "")]:
                raise no(self.validation_status, " ".join(f"{name} is required." for name in missing))
            dates = {"CreateDate": self._now()} if "CreateDate" in KINDS[kind] else {}
            record = self.add(kind, **dates)
            self._apply(kind, "create", record, fields)
            return Answer.json(record if self.created_answer == "object" else {"Id": record["Id"]}, self.created_status)

        return act

    def _patch(self, ask: Ask, values: dict[str, str]) -> Answer:
        record = self._find("students", values["id"])
        fields = self._fields(ask, "students", record["Id"])
        custom = "CustomAttributeValues"
        if isinstance(fields.get(custom), dict):  # assumed: only the custom attributes named change
            fields[custom] = (record.get(custom) or {}) | fields[custom]
        self._apply("students", "update", record, fields)
        return Answer.json({"Id": record["Id"]}, self.patched_status)

    def _replace(self, kind: str) -> Callable[[Ask, dict[str, str]], Answer]:
        """What the body leaves out is cleared."""

        def act(ask: Ask, values: dict[str, str]) -> Answer:
            record = self._find(kind, values["id"])
            fields = self._fields(ask, kind, record["Id"])
            left_out = [name for name in record if name not in fields and name not in SERVER_KEPT]
            self._apply(kind, "replace", record, {name: cleared(record[name]) for name in left_out} | fields)
            return Answer.json(record) if self.replaced_answer == "object" else Answer(204)

        return act

    def _apply(self, kind: str, verb: str, record: Record, fields: Record) -> None:
        before = dict(record)
        for name, value in fields.items():
            is_picked = KINDS[kind].get(name) == "id_object" and value is not None
            same = is_picked and isinstance(before.get(name), dict) and before[name]["Id"] == value["Id"]
            record[name] = before[name] if same else made.id_object(name, value["Id"]) if is_picked else value
        changed = tuple(name for name in record if name not in before or record[name] != before[name])
        record["ModifyDate"] = self._now()
        self.updates.append(Update(kind, record["Id"], verb, changed))

    def _delete(self, ask: Ask, values: dict[str, str]) -> Answer:
        self._arguments(ask)
        record = self._find("students", values["id"])
        del self.tables["students"][record["Id"]]
        self.updates.append(Update("students", record["Id"], "delete", ()))
        return Answer(200)

    def _calendar_batch(self, ask: Ask, values: dict[str, str]) -> Answer:
        """All or nothing, always HTTP 200: one event that is wrong, and only the wrong ones are reported."""
        self._arguments(ask)
        items = self._json(ask)
        if not isinstance(items, list) or len(items) > self.largest_batch:
            raise no(self.validation_status, f"The body must be an array of at most {self.largest_batch} events.")
        failures, results = [], []
        for item in items:
            name = item.get("ExternalId") if isinstance(item, dict) else None
            stored = self.calendar.get(name) if isinstance(name, str) else None
            if words := wrong_event(item, stored["UserId"] if stored else None, self.refuse):
                failures.append({"ExternalId": name, "ErrorMessage": words, "IsSuccessful": False})
        if failures:
            return Answer.json(failures)
        for item in items:
            known = self.calendar.get(item["ExternalId"])
            id = known["Id"] if known else made.FIRST_ID["calendar"] + len(self.calendar)
            self.calendar[item["ExternalId"]] = {"Id": id, **item}
            self.updates.append(Update("calendar_events", id, "replace" if known else "create", ()))
            results.append({"Id": id, "ExternalId": item["ExternalId"], "ErrorMessage": None, "IsSuccessful": True})
        return Answer.json(results)


def is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def integer(text: str) -> int:
    """Digits with an optional minus. Raises ValueError for what int() is more generous about."""
    if not is_digits(text.removeprefix("-")):
        raise ValueError(text)
    return int(text)


def modify_from(text: str) -> datetime:
    """`YYYY-MM-DDTHH:MM:SS`, a fraction allowed, UTC without saying so. Raises ValueError for anything else."""
    if not is_datetime(text) or text.endswith("Z"):
        raise ValueError(text)
    return utc(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def cleared(value: Any) -> Any:
    """What a field holds after a PUT left it out."""
    if isinstance(value, list):
        return []
    return {} if isinstance(value, dict) and "Id" not in value else None


if __name__ == "__main__":
    run(TwelveTwenty)
