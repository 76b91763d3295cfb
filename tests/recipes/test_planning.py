"""What a sync would do, seen before it does it; and a plan sent as it is."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory import Parts
from connectory.clock import ManualClock
from connectory.errors import ArgumentError
from connectory.recipes.planning.applying import opener_of, recipe_of, span_of
from connectory.recipes.planning.planning import Plan, make_plan
from connectory.recipes.planning.preview import Preview, preview
from connectory.recipes.running.running import Ended, Wishes, run
from emulators.twelvetwenty import TwelveTwenty
from recipes.conftest import shrink
from recipes.test_pushing import event

EXAMS = """\
name: exams
from: {files: ['exams.jsonl']}
to: {connector: 12twenty, operation: calendar_events.upsert, changed_only: true, settings: {school: hilltop}}
"""
STUDENTS = """\
name: students
from: {connector: 12twenty, operation: students.list, complete: true, settings: {school: hilltop}}
to: {duckdb: x.duckdb, table: students, key: Id, mode: merge}
"""


@pytest.fixture
def school(parts: Parts) -> Iterator[TwelveTwenty]:
    with TwelveTwenty(clock=parts.clock) as vendor:
        yield vendor


@attrs.define
class Recipe:
    """A recipe of a project, planned, rehearsed, run and applied."""

    root: Path
    parts: Parts
    school: TwelveTwenty
    text: str = EXAMS

    @property
    def file(self) -> Path:
        file = self.root / "recipes" / "exams.yaml"
        file.write_text(self.text)
        return file

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"server": self.school.url, "api_key": self.school.api_key}

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        (self.root / "exams.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def plan(self, to: Path | None = None) -> Plan:
        return make_plan(self.file, settings=self.settings, parts=self.parts, root=self.root, to=to)

    def preview(self) -> Preview:
        return preview(self.file, settings=self.settings, parts=self.parts, root=self.root)

    def sync(self, **wishes: Any) -> Ended:
        return run(self.file, Wishes(settings=self.settings, **wishes), root=self.root, parts=self.parts)

    def apply(self, plan: Path) -> Ended:
        file, header = recipe_of(plan)
        wishes = Wishes(settings=self.settings, span=span_of(header), opener=opener_of(plan, header))
        return run(file, wishes, root=self.root, parts=self.parts)


@pytest.fixture
def recipe(project: Path, parts: Parts, school: TwelveTwenty) -> Recipe:
    return Recipe(project, parts, school)


def writes(school: TwelveTwenty) -> int:
    return len(school.requests("PUT "))


def test_a_plan_tells_what_a_sync_then_does(recipe: Recipe, school: TwelveTwenty, clock: ManualClock) -> None:
    recipe.rows([event(number) for number in range(1, 1201)])
    plan = recipe.plan()
    assert plan.words == {"add": 1200}
    assert plan.outlook is not None
    assert plan.outlook.calls == {"login": 1, "write": 2}
    assert plan.outlook.ends == clock.now() + 3 * plan.outlook.pace
    assert plan.outlook.left[0].left == 5000
    assert school.exchanges == []
    ended = recipe.sync()
    assert ended.costs.calls == plan.outlook.total == 3

    changed = [event(number, Title="moved") if number <= 20 else event(number) for number in range(1, 1203)]
    changed[7]["EndTime"] = "2026-05-20T20:25:43Z"
    changed[30]["TypeId"] = 9
    recipe.rows(changed)
    plan = recipe.plan()
    assert plan.words == {"unchanged": 1179, "change": 20, "add": 2, "invalid": 1}
    assert plan.fields == {"Title": 20, "EndTime": 1}
    assert plan.problems[0].startswith('invalid: "exam-31": TypeId: ')
    assert plan.outlook is not None
    ended = recipe.sync()
    assert plan.outlook.calls == {"write": ended.costs.calls}
    assert ended.report.accounts.counts["delivered"] == 22


def test_a_key_that_comes_twice_is_planned_as_it_is_synced(recipe: Recipe) -> None:
    recipe.rows([event(1), *(event(number) for number in range(1, 1500)), event(2, Title="other")])
    plan = recipe.plan()
    assert plan.words == {"add": 1499, "unchanged": 1, "invalid": 1}
    counts = recipe.sync().report.accounts.counts
    assert (counts["delivered"], counts["unchanged"], counts["invalid"]) == (1499, 1, 1)


def test_the_end_is_told_by_what_is_left_of_the_limit(recipe: Recipe, project: Path, clock: ManualClock) -> None:
    shrink(project, "12twenty", rate=("5000/day", "3/day"), batch=("largest: 1000", "largest: 10"))
    recipe.rows([event(number) for number in range(1, 41)])
    plan = recipe.plan()
    assert plan.outlook is not None
    assert plan.outlook.total == 5
    began = clock.now()
    ended = recipe.sync(wait=True)
    assert ended.report.exit_code == 0, ended.report.error
    assert clock.now() == pytest.approx(plan.outlook.ends, abs=5 * plan.outlook.pace + 2)
    assert clock.now() - began >= 86_400


def test_a_pull_is_planned_by_the_vendors_count_for_one_call(recipe: Recipe, school: TwelveTwenty) -> None:
    recipe.text = STUDENTS
    plan = recipe.plan()
    assert (plan.records, plan.cost) == (300, 2)  # the page, and the login before it
    assert plan.outlook is not None
    assert plan.outlook.calls == {"pages": 1, "details": 300}
    assert not (recipe.root / "x.duckdb").exists()
    ended = recipe.sync()
    assert ended.costs.calls == plan.outlook.total


def test_a_plan_is_sent_as_it_is(recipe: Recipe, school: TwelveTwenty) -> None:
    recipe.rows([event(number) for number in range(1, 1201)])
    file = recipe.root / ".connectory" / "plans" / "exams-1.plan"
    recipe.plan(file)
    assert file.stat().st_mode & 0o777 == 0o600
    recipe.rows([event(1, Title="of later")])
    ended = recipe.apply(file)
    assert str(ended.report.accounts) == "1,200 read = 1,200 delivered"
    assert school.calendar["exam-1"]["Title"] == "Exam 1"
    with pytest.raises(ArgumentError, match=r"changed since .* was made"):
        recipe.apply(file)


@pytest.mark.filterwarnings("ignore::connectory.recipes.reading.marks.MarkWarning")
def test_a_plan_of_a_recipe_with_a_mark_is_sent_too(recipe: Recipe, school: TwelveTwenty) -> None:
    recipe.text = (
        "name: again\nfrom: {connector: 12twenty, operation: students.list, since: ModifyDate, "
        "settings: {school: hilltop}}\nchange: select Id, FirstName from records\n"
        "to: {connector: 12twenty, operation: students.replace, settings: {school: hilltop}}\n"
    )
    assert recipe.sync().report.mark is not None
    first = next(iter(school.tables["students"].values()))
    first |= {"FirstName": "Bart", "ModifyDate": "2030-01-01T00:00:00Z"}
    file = recipe.root / "again.plan"
    recipe.plan(file)
    ended = recipe.apply(file)
    assert ended.report.exit_code == 0, ended.report.error
    assert ended.report.accounts.read > 0


def test_a_plan_that_was_interrupted_goes_on_and_nothing_else_does(
    recipe: Recipe, school: TwelveTwenty, project: Path, clock: ManualClock
) -> None:
    shrink(project, "12twenty", rate=("5000/day", "3/day"))
    recipe.rows([event(number) for number in range(1, 2401)])
    file = recipe.root / "exams.plan"
    recipe.plan(file)
    assert recipe.apply(file).report.exit_code == 75
    with pytest.raises(ArgumentError, match="is not at its end"):
        recipe.sync()
    clock.wind(86_401)
    ended = recipe.apply(file)
    assert str(ended.report.accounts) == "2,400 read = 2,400 delivered"
    assert len(school.calendar) == 2400


@pytest.mark.parametrize("what", ["recipe", "vendor", "file", "cut"])
def test_a_plan_whose_grounds_have_changed_is_refused(recipe: Recipe, school: TwelveTwenty, what: str) -> None:
    recipe.rows([event(1), event(2)])
    file = recipe.root / "exams.plan"
    recipe.plan(file)
    if what == "recipe":
        recipe.text += "about: changed\n"
        assert recipe.file.exists()
    elif what == "vendor":
        recipe.sync()
    else:
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(lines[:-1]) if what == "cut" else "".join(lines).replace("Exam 1", "Exam X"))
    sent = writes(school)
    with pytest.raises(ArgumentError, match=r"changed|damaged"):
        recipe.apply(file)
    assert writes(school) == sent


# Dry runs -----------------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_first_request_without_its_secrets(recipe: Recipe, school: TwelveTwenty) -> None:
    recipe.rows([event(1), event(2, TypeId=9), event(3)])
    shown = recipe.preview()
    assert shown.words == {"to send": 2, "invalid": 1}
    assert shown.request is not None
    assert (shown.request.method, shown.request.url) == ("PUT", f"{school.url}/api/v2/calendar-events/batch")
    assert (len(shown.rows), shown.came, shown.total) == (3, None, 3)
    assert shown.request.headers["Authorization"] == "Bearer ***"
    assert [row["ExternalId"] for row in json.loads(shown.request.body or "")] == ["exam-1", "exam-3"]
    assert school.api_key not in str(shown)
    assert school.calendar == {}
    assert writes(school) == 0
    assert recipe.sync().report.accounts.counts["delivered"] == 2


def test_a_dry_run_of_a_table_writes_none(recipe: Recipe, project: Path) -> None:
    recipe.text = STUDENTS
    shown = recipe.preview()
    assert shown.words == {"to write": len(shown.rows)}
    assert shown.total == 300
    assert shown.rows[0]["ModifyDate"]
    assert not (project / "x.duckdb").exists()


@pytest.mark.parametrize(
    "change", ["", "change: select * from records\n", "change: select * from records\nchange_over: all\n"]
)
def test_a_dry_run_leaves_no_copy_of_a_querys_rows(recipe: Recipe, project: Path, change: str) -> None:
    with closing(sqlite3.connect(project / "exams.db")) as exams, exams:
        exams.execute("create table exams as select 'a' as id union select 'b'")
    recipe.text = "name: exams\nfrom: {sqlite: exams.db, query: select * from exams}\n"
    recipe.text += f"{change}to: {{duckdb: x.duckdb, table: exams}}\n"
    assert len(recipe.preview().rows) == 2
    assert [file for file in (project / ".connectory").rglob("*") if file.is_file()] == []
