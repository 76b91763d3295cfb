"""What is said to 12Build."""

from __future__ import annotations

from collections.abc import Iterator

from conversations.talk import Talk, Vendor
from emulators.exchange import Answer, Ask
from emulators.tokens import hex_token
from emulators.twelvebuild import TwelveBuild

PROJECT = {
    "name": "Nieuwbouw school",
    "product": "tender",
    "company_group_id": "7",
    "phase": "Calculatie",
    "phase_id": "1",
    "classification_systems": ["STABU", "NL/SfB"],
    "calc_number": "C-1",
    "status": "open",
    "work_number": "0478",
    "address_1": "Dorpsstraat 1",
    "address_2": "bus 2",
    "zip": "2611 AA",
    "city": "Delft",
    "country": "Nederland",
    "country_code": "NL",
    "client": "Gemeente Delft",
    "manager": "A. de Vries",
    "architect": "Bureau B",
    "constructor": "C & Zonen",
    "calculator": "D. Jansen",
    "inkoper": "E. Bakker",
    "werkvoorbereider": "F. Visser",
    "planned_start": "2027-03",
    "planned_complete": "2028-06",
    "deadline_date": "2027-02-01T12:00:00Z",
    "questions_date": "2027-01-25T12:00:00Z",
    "questions_time": 1,
    "update_date": "2027-01-28T12:00:00Z",
    "update_time": 23,
    "tender_date": "2027-02-02T08:00:00Z",
    "inspection_date": "2027-01-20T09:30:00Z",
    "reason": "prijsopgave",
    "building_sectors": ["Bouw", "Infra", "Woningbouw", "Utiliteitsbouw"],
}
WRONG = {
    "name": "",
    "product": "tenders",
    "company_group_id": "seven",
    "phase": "Ontwerp",
    "phase_id": "one",
    "classification_systems": "STABU",
    "country_code": "NLD",
    "deadline_date": "next week",
    "questions_date": 1,
    "questions_time": 0,
    "update_time": 24,
    "tender_date": "x",
    "inspection_date": "y",
    "update_date": "z",
    "reason": "inkoop",
    "building_sectors": ["Zorg"],
    "address_1": 1,
    "nothing": 1,
}


class FormsForTokens(TwelveBuild):
    """However parameters are written elsewhere, a token is asked for by a form."""

    def _get_token(self, ask: Ask) -> Answer:
        others, self.encoding = self.encoding, "form"
        try:
            return super()._get_token(ask)
        finally:
            self.encoding = others


def old_token(vendor: TwelveBuild) -> None:
    """A token that was handed out before and is refused by now, yet handed out again."""
    vendor.tokens.issue(hex_token(vendor.api_key, 0), vendor.clock.now())
    vendor.tokens.revoke()


def slow(seconds: int) -> object:
    """The first call is told to come back after so many seconds."""
    return lambda vendor: vendor.fail(status=429, match="phases", headers={"Retry-After": str(seconds)})


def talks() -> Iterator[Talk]:
    yield Talk(operation="phases.list")
    yield Talk(operation="phases.list", label="locale", settings={"locale": "en_GB"})
    yield Talk(operation="phases.list", label="token refused", before=old_token, knobs={"hands_out_refused": True})
    yield Talk(operation="phases.list", label="bad key", settings={"api_key": "another-key-of-nobody"}, errors=True)
    yield Talk(operation="phases.list", label="429", before=lambda vendor: vendor.fail(status=429, match="phases"))
    yield Talk(operation="phases.list", label="500", before=lambda vendor: vendor.fail(status=500, match="phases"))
    yield Talk(operation="phases.list", label="503 always", before=lambda v: v.fail(99, 503, "phases"), errors=True)
    # A token is good until the moment told, and for an hour at most.
    for label, seconds, knobs in (
        ("59 minutes", 59 * 60, {}),
        ("after an hour", 61 * 60, {}),
        ("after an hour, no moment told", 61 * 60, {"expire_date": False}),
        ("after half an hour, as told", 31 * 60, {"token_seconds": 1800.0}),
        ("after an hour, told two", 61 * 60, {"announced_seconds": 7200.0, "token_seconds": 7200.0}),
    ):
        yield Talk(operation="phases.list", label=label, before=slow(seconds), knobs=knobs)  # type: ignore[arg-type]
    yield Talk(operation="projects.add", given={"name": "Bridge"}, label="name only")
    yield Talk(operation="projects.add", given=PROJECT, label="everything")
    more = {"phase": "Inkoop", "reason": "aanbesteding", "building_sectors": ["Grondwerk", "Wegenbouw"]}
    yield Talk(operation="projects.add", given={**PROJECT, **more}, label="aanbesteding")
    more = {"phase": "Uitvoering", "reason": "start van het inkooptraject"}
    last = {"building_sectors": ["Waterbouw", "Offshore Maritiem"], "questions_time": 23, "update_time": 1}
    yield Talk(operation="projects.add", given={**PROJECT, **more, **last}, label="inkooptraject")
    yield Talk(
        operation="projects.add", given={"name": "B", "product": "none"}, label="none", knobs={"group_manager": True}
    )
    yield Talk(operation="projects.add", given={"name": "B", "product": "none"}, label="none refused", errors=True)
    yield Talk(operation="projects.add", given={"name": "Bridge ☃"}, label="refused", errors=True)
    yield Talk(operation="projects.add", given=WRONG, label="wrong arguments", errors=True)
    hours = {"name": "B", "questions_time": 24, "update_time": 0}
    yield Talk(operation="projects.add", given=hours, label="wrong hours", errors=True)
    good = {"api_key": "placeholder-api_key", "login": "planner@builder.example"}
    for label, settings in (
        ("no key", {**good, "api_key": None}),
        ("no locale", {**good, "locale": "Dutch"}),
        ("not written so", {**good, "write_as": "multipart"}),
    ):
        yield Talk(operation="phases.list", label=label, settings=settings, settings_refused=True)
    yield Talk(operation="projects.add", given={"city": "Delft"}, label="no name", errors=True)
    for written in ("query", "json"):
        yield Talk(
            operation="projects.add",
            given={"name": "Bridge", "city": "Delft"},
            label=f"as {written}",
            settings={"write_as": written},
            knobs={"encoding": written},
        )
    yield Talk(
        operation="projects.add",
        given={"name": "Bridge"},
        label="lost after a 500",
        before=lambda vendor: vendor.fail(status=500, match="POST .*project$", after_applying=True),
        errors=True,
    )


VENDOR = Vendor(
    name="12build",
    emulator=FormsForTokens,
    settings={"api_key": "key-of-an-api-user", "login": "planner@builder.example"},
    talks=tuple(talks()),
)
