"""Hours on the clock of a zone: past midnight, and on days with 23 and 25 hours."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.limits.hours import next_time, parse_hours

NIGHT = parse_hours("20:00-06:00 Europe/Amsterdam")


def at(text: str, zone: str = "Europe/Amsterdam", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        ("2026-11-25 19:59:59", "2026-11-25 20:00", None),
        ("2026-11-25 20:00", "2026-11-25 20:00", "2026-11-26 06:00"),
        ("2026-11-26 00:30", "2026-11-26 00:30", "2026-11-26 06:00"),
        ("2026-11-26 06:00", "2026-11-26 20:00", None),
        ("2027-03-27 23:00", "2027-03-27 23:00", "2027-03-28 06:00"),  # an hour shorter
        ("2026-10-24 23:00", "2026-10-24 23:00", "2026-10-25 06:00"),  # an hour longer
    ],
)
def test_when_hours_open_and_close(now: str, opens: str, closes: str | None) -> None:
    assert NIGHT.opens(at(now)) == at(opens)
    assert NIGHT.closes(at(now)) == (at(closes) if closes else None)
    assert NIGHT.open_at(at(now)) == (closes is not None)


@given(st.floats(1_700_000_000.0, 1_900_000_000.0))
def test_they_are_open_when_they_say_so(now: float) -> None:
    opens = NIGHT.opens(now)
    assert opens >= now
    assert NIGHT.open_at(opens)
    closes = NIGHT.closes(opens)
    assert closes is not None
    assert not NIGHT.open_at(closes)
    assert opens - now <= 14 * 3600 + 3600
    assert closes - opens <= 11 * 3600


def test_hours_may_end_at_midnight() -> None:
    evening = parse_hours("20:00-24:00 UTC")
    assert evening.closes(at("2026-11-25 21:00", "UTC")) == at("2026-11-26 00:00", "UTC")
    assert str(evening) == "20:00-00:00 UTC"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20:00-06:00", "write two times and a zone, as 20:00-06:00 Europe/Amsterdam"),
        ("20-6 UTC", "write two times and a zone"),
        ("25:00-06:00 UTC", "write two times and a zone"),
        ("20:00-06:00 Europe/Amsterdm", "no time zone is called 'Europe/Amsterdm'"),
        ("06:00-06:00 UTC", "begin and end at the same time"),
    ],
)
def test_what_are_no_hours_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_hours(text)


def test_the_next_time_of_day_is_today_or_tomorrow() -> None:
    now = at("2026-11-25 05:00")
    assert next_time("06:00 Europe/Amsterdam", now) == at("2026-11-25 06:00")
    assert next_time("05:00 Europe/Amsterdam", now) == at("2026-11-26 05:00")
    assert 0 < next_time("06:00", now) - now <= 90_000
    with pytest.raises(ValueError, match="is no time of day: write it as 06:00"):
        next_time("6", now)
