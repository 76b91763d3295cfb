"""A vendor's halves in as many lines as the language promises: 14 to read, 10 for a batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectory import Connector, Parts, connect
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.limits.memory import MemoryLedger
from emulators.twelvetwenty import TwelveTwenty

READS = """\
name: school
settings: {school: str!, api_key: secret!}
servers: {production: "https://{{ school }}.admin.12twenty.com", sandbox: "https://{{ school }}.admin.sandbox-12twenty.com"}
auth:
  token: {get: /api/client/generateAuthenticationToken, query: {key: "{{ api_key }}"}, value: ., lasts: 24h}
  bearer: "{{ token }}"
limits: {school: {per: school, concurrent: 3, rate: 5000/day}}
pagers: {numbered: {use: page_number, page: PageNumber, size: PageSize, largest: 500, total_records: Total, records: Items}}
operations:
  students.list: {get: /api/v2/students, query: {year: int, StudentId: str}, pages: numbered, detail: {operation: students.get, with: {id: Id}}}
  students.get: {get: "/api/v2/students/{id}", path: {id: int64}}
"""  # noqa: E501
BATCH = """\
  calendar_events.upsert:
    put: /api/v2/calendar-events/batch
    body: list of CalendarEvent
    batch: {largest: 1000, atomic: true}
    results: {key: ExternalId, ok: {IsSuccessful: true}, id: Id, message: ErrorMessage, reports: failures}
types:
  CalendarEvent: {ExternalId: str! key, UserId: int64!, TypeId: int one of 1 | 2 | 3!, StartTime: datetime(utc)!, EndTime: datetime(utc)!, Title: str!}
"""  # noqa: E501


@pytest.fixture
def school(tmp_path: Path) -> Iterator[tuple[Connector, TwelveTwenty]]:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "school.yaml").write_text(READS + BATCH)
    clock = ManualClock()
    parts = Parts(clock=clock, ledger=MemoryLedger(clock), tokens=TokenStore(tmp_path / "tokens"), environ={})
    with TwelveTwenty(clock=clock) as vendor:
        settings: dict[str, Any] = {"school": "hilltop", "api_key": vendor.api_key, "server": vendor.url}
        with connect("school", project=tmp_path, parts=parts, **settings) as connector:
            yield connector, vendor


def test_eleven_lines_read_everything_and_seven_more_write_batches(school: tuple[Connector, TwelveTwenty]) -> None:
    assert (len(READS.splitlines()), len(BATCH.splitlines())) == (11, 7)
    connector, vendor = school
    assert len(list(connector.students.list(year=2018))) == 277
    student = connector.students.list(year=2018, complete=True).first()
    assert student == connector.students.get(id=student["Id"])
    times = {"StartTime": "2026-05-20T18:25:43Z", "EndTime": "2026-05-20T19:25:43Z"}
    events = [
        {"ExternalId": f"x-{n}", "UserId": student["Id"], "TypeId": 1, "Title": "A", **times} for n in range(1001)
    ]
    delivery = connector.calendar_events.upsert(events)
    assert str(delivery) == "1,001 read = 1,001 delivered (2 calls)"
    assert len(vendor.calendar) == 1001
