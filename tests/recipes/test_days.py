"""Reads that take days, since the vendor grants so many calls a day: nothing is paid twice, nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from connectory import LimitReached
from connectory.clock import ManualClock
from connectory.recipes.sync import Report
from emulators.twelvetwenty import TwelveTwenty
from recipes.conftest import Query, Sync, shrink

STUDENTS = """
name: r
from: {connector: 12twenty, operation: students.list, complete: true, settings: {school: hilltop}}
to: {duckdb: x.duckdb, table: students, key: Id, mode: MODE}
"""


def to_the_end(start: Sync, clock: ManualClock, text: str, **settings: Any) -> list[Report]:
    """Start again whenever the limit says so."""
    reports = [start(text, **settings)]
    while isinstance(reports[-1].error, LimitReached):
        assert reports[-1].exit_code == 75
        clock.wind(reports[-1].error.until - clock.now())
        reports.append(start(text, **settings))
        assert len(reports) < 9
    return reports


@pytest.mark.parametrize(
    ("day", "mode"), [("rolling", "merge"), ("calendar", "merge"), ("rolling", "append"), ("rolling", "replace")]
)
def test_details_of_more_records_than_a_day_has_calls_take_days_and_no_call_twice(
    start: Sync, query: Query, clock: ManualClock, project: Path, day: Literal["rolling", "calendar"], mode: str
) -> None:
    zone = ", zone: America/New_York" if day == "calendar" else ""
    shrink(project, "12twenty", rate=("5000/day", f"120/day{zone}"), page=("largest: 500", "largest: 50"))
    with TwelveTwenty(clock=clock, per_day=120, day=day, day_zone_hours=-5) as school:
        began = clock.now()
        settings = {"server": school.url, "api_key": school.api_key}
        reports = to_the_end(start, clock, STUDENTS.replace("MODE", mode), **settings)
        pages = [exchange.query for exchange in school.requests("students$")]
        details = [exchange.path for exchange in school.requests(r"students/\d+$")]
    assert reports[-1].error is None, reports[-1].error
    assert {report.run for report in reports} == {reports[0].run}
    assert [report.starts for report in reports] == list(range(1, len(reports) + 1))
    assert str(reports[-1].accounts) == "300 read = 300 delivered"
    assert len(pages) == len(set(map(str, pages))) == 6
    assert len(details) == len(set(details)) == 300
    assert school.refusals == {}
    assert len(reports) == 3
    assert clock.now() - began < 3 * 86_400
    assert query("select count(*), count(distinct Id), count(JoinDate) from students") == [(300, 300, 300)]
    names: dict[int, str] = dict(query("select Id, FullName from students"))
    assert names == {id: row["FullName"] for id, row in school.tables["students"].items()}
