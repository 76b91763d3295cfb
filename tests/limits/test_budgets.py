"""How limits are written, and what a day is."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.limits.budgets import DAY, Budget, Window, parse_rate
from connectory.spec.words import parse_duration


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [
        ("5000/day", 5000, 86400),
        ("100/10s", 100, 10),
        ("2/second", 2, 1),
        ("100/minute", 100, 60),
        ("1000 / hour", 1000, 3600),
        ("10/week", 10, 604800),
        ("10000/month", 10000, 31 * 86400),
        ("3/100ms", 3, 0.1),
        ("1/2.5s", 1, 2.5),
        ("5000/24h", 5000, 86400),
    ],
)
def test_a_rate_is_a_count_in_a_time(text: str, count: int, seconds: float) -> None:
    assert parse_rate(text) == Window(count, seconds)


def test_less_than_one_call_in_a_time_is_one_in_a_longer_time() -> None:
    window = parse_rate("0.0167/second")
    assert window.count == 1
    assert window.seconds == pytest.approx(59.88, abs=0.001)
    assert parse_rate("0.5/second") == Window(1, 2.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5000", "5000/day"),
        ("5000/dya", "did you mean 'day'"),
        ("0/day", "no call at all"),
        ("5/0s", "no call at all"),
        ("-5/day", "5000/day"),
        ("5/10x", "ms s m h d w"),
        ("1.5/second", "write 3/2s"),
        ("2.5/minute", "write 5/120s"),
        ("", "5000/day"),
    ],
)
def test_a_rate_that_is_none_is_told_in_words_that_help(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("(", r"\(")) as fault:
        parse_rate(text)
    assert text in str(fault.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0.62s", 0.62), ("250ms", 0.25), ("5m", 300), ("24h", DAY), ("1w", 7 * DAY)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "1e3s", "5sec", "infs"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ms s m h d w"):
        parse_duration(text)


@given(st.text(max_size=12))
def test_any_other_text_is_read_or_refused_but_breaks_nothing(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_rate(text).count >= 1


@given(st.integers(1, 10**6), st.sampled_from(["second", "minute", "hour", "day"]))
def test_a_window_reads_back_what_it_was(count: int, period: str) -> None:
    window = parse_rate(f"{count}/{period}")
    assert window.count == count
    assert str(count) in str(window)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Window(0, 1),
        lambda: Window(1, 0),
        lambda: Window(1, float("nan")),
        lambda: Window(1, DAY, "Europe/Amsterdm"),
        lambda: Window(1, 60, "Europe/Amsterdam"),
        lambda: Window(1, DAY, "../etc/passwd"),
        lambda: Budget("k", "n", gap=-1),
        lambda: Budget("k", "n", concurrent=0),
        lambda: Budget("k", "n", burst=5),
        lambda: Budget("k", "n", (Window(1, 1),), burst=0),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"must|zone|burst"):
        wrong()


def test_only_a_day_becomes_a_calendar_day_by_a_zone() -> None:
    assert parse_rate("5000/day", "Europe/Amsterdam").zone == "Europe/Amsterdam"
    assert parse_rate("100/minute", "Europe/Amsterdam").zone is None
    assert parse_rate("5000/24h", "Europe/Amsterdam").zone is None


@pytest.mark.parametrize(
    ("date", "hours"),
    [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)],
)
def test_a_day_in_amsterdam_is_as_long_as_daylight_saving_makes_it(date: str, hours: int) -> None:
    window = parse_rate("5000/day", "Europe/Amsterdam")
    noon = datetime.fromisoformat(f"{date}T10:30:00+00:00").timestamp()
    begins = window.next_day(noon - DAY)
    assert window.next_day(noon) - begins == hours * 3600
    assert window.day(begins) == window.day(window.next_day(noon) - 0.001) == window.day(begins - 0.001) + 1


ODD_MIDNIGHTS = ["Africa/Cairo", "Asia/Beirut", "America/Havana", "America/Sao_Paulo", "Pacific/Apia", "UTC"]


@given(st.datetimes(datetime(2016, 1, 1), datetime(2035, 1, 1)), st.sampled_from(ODD_MIDNIGHTS))
def test_the_next_day_begins_where_the_date_changes(moment: datetime, zone: str) -> None:
    window = Window(1, DAY, zone)
    now = moment.replace(tzinfo=UTC).timestamp()
    begins = window.next_day(now)
    assert now < begins <= now + timedelta(hours=26).total_seconds()
    assert window.day(begins) == window.day(now) + 1
    assert window.day(begins - 0.001) == window.day(now)
