"""The whole of a big school against the vendor's real limits: three days, no call twice, no refusal of our making."""

from __future__ import annotations

from typing import Literal

import pytest

from connectory.clock import ManualClock
from emulators.twelvetwenty import TwelveTwenty
from recipes.conftest import Query, Sync
from recipes.test_days import STUDENTS, to_the_end


@pytest.mark.load
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("day", ["rolling", "calendar"])
def test_twelve_thousand_students_with_details_take_three_days(
    start: Sync, query: Query, clock: ManualClock, day: Literal["rolling", "calendar"]
) -> None:
    began = clock.now()
    with TwelveTwenty(clock=clock, students=12_000, other_students=0, day=day, keep_bodies=False) as school:
        reports = to_the_end(start, clock, STUDENTS.replace("MODE", "merge"), server=school.url, api_key=school.api_key)
        pages = [str(exchange.query) for exchange in school.requests("students$")]
        details = [exchange.path for exchange in school.requests(r"students/\d+$")]
    assert str(reports[-1].accounts) == "12,000 read = 12,000 delivered"
    assert len(reports) == 3
    assert clock.now() - began < 3 * 86_400
    assert len(pages) == len(set(pages)) == 24
    assert len(details) == len(set(details)) == 12_000
    assert school.refusals == {}
    names: dict[int, str] = dict(query("select Id, FullName from students"))
    assert names == {id: row["FullName"] for id, row in school.tables["students"].items()}
