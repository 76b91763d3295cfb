"""Rows pushed to the emulated vendors: each delivered once, or held back with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from connectory import Parts
from emulators.twelvetwenty import TwelveTwenty
from recipes.conftest import Push

EVENTS = (
    "{connector: 12twenty, operation: calendar_events.upsert, changed_only: true, rejects: data/rejected.jsonl, "
    "settings: {school: hilltop}}"
)
BATCH = "PUT /api/v2/calendar-events/batch"


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "ExternalId": f"exam-{number}",
        "UserId": 270067010400000 + number % 277,
        "TypeId": 1,
        "StartTime": "2026-05-20T18:25:43Z",
        "EndTime": "2026-05-20T19:25:43Z",
        "Title": f"Exam {number}",
        **more,
    }


@pytest.fixture
def school(parts: Parts) -> Iterator[TwelveTwenty]:
    with TwelveTwenty(clock=parts.clock) as vendor:
        yield vendor


def test_three_bad_of_5000_are_held_back_by_name_and_the_others_arrive_in_nine_calls(
    school: TwelveTwenty, pushes: Push
) -> None:
    bad = {1: "exam-1", 1500: "exam-1500", 5000: "exam-5000"}
    school.refuse = {name: f"{name} is refused" for name in bad.values()}
    rows = [event(number) for number in range(1, 5001)]
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    report = exams.run(rows)
    assert str(report.accounts) == "5,000 read = 4,997 delivered + 3 rejected", report.error
    assert report.exit_code == 3
    assert report.calls <= 9
    assert {problem.row["ExternalId"]: problem.reason for problem in report.problems} == {
        name: f"{name} is refused" for name in bad.values()
    }
    assert len(school.calendar) == 4997

    report = exams.run(rows)
    assert str(report.accounts) == "5,000 read = 0 delivered + 4,997 unchanged + 3 rejected"
    assert report.calls == 0

    told = [json.loads(line) for line in (exams.root / "data/rejected.jsonl").read_text().splitlines()]
    assert [(row["ExternalId"], row["_words"], row["_attempts"]) for row in told] == [
        (name, f"{name} is refused", 1) for name in bad.values()
    ]
