"""Rows pushed to the emulated vendors: each delivered once, or held back with its reason."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from connectory import ArgumentError, Denied, LimitReached, Parts
from connectory.delivery.journal import Journal
from connectory.delivery.journalfile import JournalError
from connectory.recipes.pushing.replaying import held_rows
from emulators.twelvetwenty import TwelveTwenty
from recipes.conftest import Push
from recipes.pushes import Pushes, again

EVENTS: Final = (
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


@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
def test_three_bad_of_5000_are_held_back_by_name_and_the_others_arrive_in_nine_calls(
    school: TwelveTwenty, pushes: Push, columns: bool
) -> None:
    bad = {1: "exam-1", 1500: "exam-1500", 5000: "exam-5000"}
    school.refuse = {name: f"{name} is refused" for name in bad.values()}
    rows = [event(number) for number in range(1, 5001)]
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    report = exams.run(rows, columns=columns)
    assert str(report.accounts) == "5,000 read = 4,997 delivered + 3 rejected", report.error
    assert report.exit_code == 3
    assert report.calls <= 9
    assert {problem.row["ExternalId"]: problem.reason for problem in report.problems} == {
        name: f"{name} is refused" for name in bad.values()
    }
    assert len(school.calendar) == 4997

    report = exams.run(rows, columns=columns)
    assert str(report.accounts) == "5,000 read = 0 delivered + 4,997 unchanged + 3 rejected"
    assert report.calls == 0

    told = [json.loads(line) for line in (exams.root / "data/rejected.jsonl").read_text().splitlines()]
    assert [(row["ExternalId"], row["_words"], row["_attempts"]) for row in told] == [
        (name, f"{name} is refused", 1) for name in bad.values()
    ]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_refused_rows_are_mended_in_their_file_and_replayed(school: TwelveTwenty, pushes: Push, form: str) -> None:
    school.refuse = {"exam-2": "no such course", "exam-3": "no such course"}
    exams = pushes(EVENTS.replace("jsonl", form), server=school.url, api_key=school.api_key)
    exams.run([event(number) for number in range(1, 6)])
    file = exams.root / f"data/rejected.{form}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    school.refuse = {"exam-3": "still no such course"}
    file.write_text(file.read_text().replace("Exam 2", "Exam of course two"))

    replayed = again(exams)
    assert str(replayed.accounts) == "2 read = 1 delivered + 1 rejected"
    assert (replayed.exit_code, replayed.held) == (3, 1)
    assert school.calendar["exam-2"]["Title"] == "Exam of course two"
    (left,) = held_rows(exams.root, "r")
    assert (left["ExternalId"], left["_words"], left["_attempts"]) == ("exam-3", "still no such course", 2)
    assert "exam-2" not in file.read_text(), "the file holds what is still held"

    school.refuse = {}
    replayed = again(exams)
    assert str(replayed.accounts) == "1 read = 1 delivered"
    assert (replayed.exit_code, replayed.held, len(school.calendar)) == (0, 0, 5)


def test_a_key_is_the_same_in_a_file_of_rejects_and_whatever_type_its_column_has(
    school: TwelveTwenty, pushes: Push
) -> None:
    to = EVENTS.replace("changed_only", "key: [ExternalId, StartTime], changed_only")
    exams = pushes(to, server=school.url, api_key=school.api_key)
    day = {"StartTime": datetime(2026, 5, 20, 18, 25, 43, tzinfo=UTC)}
    school.refuse = {"7": "no such course"}
    exams.run([event(1, **day, ExternalId=7)])
    file = exams.root / "data/rejected.jsonl"
    file.write_text(file.read_text().replace("Exam 1", "Exam of course one"))
    school.refuse = {}
    assert str(again(exams).accounts) == "1 read = 1 delivered"
    for name in (7, "7"):
        report = exams.run([event(1, **day, ExternalId=name, Title="Exam of course one")])
        assert (str(report.accounts), report.calls) == ("1 read = 0 delivered + 1 unchanged", 0)


def test_a_row_of_a_stale_file_is_not_sent_a_second_time(school: TwelveTwenty, pushes: Push) -> None:
    school.refuse = {"exam-2": "no"}
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    exams.run([event(1), event(2)])
    copy = exams.root / "copy.jsonl"
    copy.write_bytes((exams.root / "data/rejected.jsonl").read_bytes())
    school.refuse = {}
    for settled in (0, 1):
        replayed = again(exams, mended=copy)
        assert (replayed.exit_code, replayed.settled) == (0, settled)
    assert len(school.requests(BATCH)) == 3


def test_a_row_mended_at_its_source_goes_by_itself_and_is_held_no_longer(school: TwelveTwenty, pushes: Push) -> None:
    school.refuse = {"exam-2": "no"}
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    exams.run([event(1), event(2)])
    school.refuse = {}
    assert exams.run([event(1), event(2)]).calls == 0, "the same row is not tried again"
    report = exams.run([event(1), event(2, Title="Another")])
    assert str(report.accounts) == "2 read = 1 delivered + 1 unchanged"
    assert list(held_rows(exams.root, "r")) == []


def test_only_rows_that_differ_from_what_the_vendor_took_are_sent_in_full_batches(
    school: TwelveTwenty, pushes: Push
) -> None:
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    rows = [event(number) for number in range(900)]
    exams.run(rows)
    changed = [dict(reversed(row.items())) for row in rows]  # the same values in another order are the same
    changed[5]["Title"] = "Changed"
    report = exams.run([*changed, event(900)])
    assert str(report.accounts) == "901 read = 2 delivered + 899 unchanged"
    assert len(json.loads(school.requests(BATCH)[-1].body)) == 2


def test_a_key_that_is_missing_or_comes_twice_is_told_with_its_row(school: TwelveTwenty, pushes: Push) -> None:
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    twice, nameless = event(1, Title="Other"), {**event(3), "ExternalId": None}
    rows = [event(1), event(1), nameless, twice, *(event(number) for number in range(10, 2000)), twice, event(1)]
    for report in (exams.run(rows), last := exams.run(rows)):
        counts = report.accounts.counts
        assert (counts["invalid"], counts["rejected"], report.exit_code) == (3, 0, 3)
        told = {(problem.row["Title"], problem.code) for problem in report.problems}
        assert told == {("Other", "duplicate"), ("Exam 3", "key")}
        assert school.calendar["exam-1"]["Title"] == "Exam 1"
    assert (last.accounts.counts["unchanged"], last.calls) == (1993, 0)
    assert len(list(held_rows(exams.root, "r"))) == 2, "held once, however often it comes"


def test_every_row_that_is_held_back_is_in_the_file_though_others_have_its_key(
    school: TwelveTwenty, pushes: Push
) -> None:
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    school.refuse = {"exam-1": "no"}
    titles = ["Exam 1", "Other", "Third"]
    bad = [event(2, Title=title, UserId="x") for title in titles]
    for _ in range(2):
        report = exams.run([*(event(1, Title=title) for title in titles), *bad])
        assert str(report.accounts) == "6 read = 0 delivered + 5 invalid + 1 rejected"
        held = [(row["ExternalId"], row["Title"]) for row in held_rows(exams.root, "r")]
        assert held == [(name, title) for name in ("exam-1", "exam-2") for title in titles]
    school.refuse = {}
    assert exams.run([event(2)]).exit_code == 0
    assert {row["ExternalId"] for row in held_rows(exams.root, "r")} == {"exam-1"}, "the source's own row is good now"


@pytest.mark.parametrize(("refused", "left"), [({}, ["Exam 2"]), ({"exam-2": "no"}, ["Mended", "Exam 2"])])
def test_a_row_that_is_mended_to_the_key_of_another_leaves_that_one_held(
    school: TwelveTwenty, pushes: Push, refused: dict[str, str], left: list[str]
) -> None:
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    school.refuse = {"exam-1": "no", "exam-2": "no"}
    exams.run([event(1), event(2)])
    mended = exams.root / "mended.jsonl"
    line, _ = (exams.root / "data/rejected.jsonl").read_text().splitlines()
    mended.write_text(line.replace("exam-1", "exam-2").replace("Exam 1", "Mended"))
    school.refuse = refused
    again(exams, mended=mended)
    assert [row["Title"] for row in held_rows(exams.root, "r")] == left


def test_a_day_that_is_used_up_stops_the_push_and_the_next_start_goes_on_there(pushes: Push, parts: Parts) -> None:
    with TwelveTwenty(clock=parts.clock, used_today=4996) as school:
        exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
        rows = [event(number) for number in range(5000)]
        report = exams.run(rows)
        assert isinstance(report.error, LimitReached)
        assert report.exit_code == 75
        assert str(report.accounts) == "4,200 read = 3,000 delivered + 1,200 not tried"
        parts.clock.sleep(report.error.until - parts.clock.now())
        school.used_today = 0
        report = exams.run(rows)
        assert str(report.accounts) == "5,000 read = 5,000 delivered", report.error
        assert len(school.requests(BATCH)) - school.refusals["per_day"] == 5
        assert len(school.calendar) == 5000


def test_refused_credentials_keep_what_was_handed_over(school: TwelveTwenty, pushes: Push) -> None:
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    school.fail(1, 403, BATCH, skip=1)
    rows = [event(number) for number in range(3000)]
    report = exams.run(rows, size=1000)
    assert isinstance(report.error, Denied)
    assert report.exit_code == 1
    assert str(report.accounts) == "2,000 read = 1,000 delivered + 1,000 not tried"
    report = exams.run(rows, size=1000)
    assert str(report.accounts) == "3,000 read = 3,000 delivered"
    assert [len(json.loads(one.body)) for one in school.requests(BATCH)] == [1000] * 4


def test_the_journal_knows_of_a_request_before_the_vendor_does(
    school: TwelveTwenty, pushes: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    taken = school._calendar_batch

    def look(*arguments: Any) -> Any:
        with closing(sqlite3.connect(exams.journal)) as other:
            seen.append([len(json.loads(rows)) for (rows,) in other.execute("select rows from flight")])
        return taken(*arguments)

    monkeypatch.setattr(school._routes, "find", lambda *_: (look, {}))
    exams.run([event(number) for number in range(1500)])
    assert seen == [[1000], [500]]
    with closing(sqlite3.connect(exams.journal)) as after:
        assert after.execute("select count(*) from flight").fetchone() == (0,)


def test_a_full_disk_sends_nothing(school: TwelveTwenty, pushes: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    exams.run([])

    def full(*_: Any) -> None:
        raise JournalError("the journal cannot be used: database or disk is full")

    monkeypatch.setattr(Journal, "depart", full)
    report = exams.run([event(1)])
    assert isinstance(report.error, JournalError)
    assert str(report.accounts) == "1 read = 0 delivered + 1 not tried"
    assert school.requests(BATCH) == []


def test_secrets_and_rows_stay_in_files_for_the_user_alone(school: TwelveTwenty, pushes: Push) -> None:
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    exams.run([event(1)])
    kept = [file for file in (exams.root / ".connectory").rglob("*") if file.is_file()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}
    assert not any(school.api_key.encode() in file.read_bytes() for file in kept)


def test_a_mended_row_stands_until_its_source_changes(school: TwelveTwenty, pushes: Push) -> None:
    school.refuse = {"exam-2": "no such course"}
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    rows = [event(1), event(2), event(3, TypeId=9)]
    exams.run(rows)
    school.refuse = {}
    file = exams.root / "data/rejected.jsonl"
    file.write_text(file.read_text().replace('"TypeId":9', '"TypeId":2').replace("Exam 2", "Mended"))
    assert again(exams).exit_code == 0
    report = exams.run(rows)
    assert (str(report.accounts), report.calls) == ("3 read = 0 delivered + 3 unchanged", 0)
    report = exams.run([event(1), event(2, Title="From the source"), event(3, TypeId=3)])
    assert str(report.accounts) == "3 read = 2 delivered + 1 unchanged"
    assert school.calendar["exam-2"]["Title"] == "From the source"


def test_a_file_mended_over_days_still_names_the_rows_that_later_runs_found_again(
    school: TwelveTwenty, pushes: Push
) -> None:
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    rows = [event(1), event(3, TypeId=9)]
    exams.run(rows)
    copy = exams.root / "copy.jsonl"
    copy.write_text((exams.root / "data/rejected.jsonl").read_text().replace('"TypeId":9', '"TypeId":2'))
    exams.run(rows)
    assert str(again(exams, mended=copy).accounts) == "1 read = 1 delivered"


def test_whole_numbers_of_a_table_stand_for_their_digits_where_a_text_is_wanted(
    school: TwelveTwenty, pushes: Push
) -> None:
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    report = exams.run([event(1, ExternalId=4711), event(2, ExternalId="0815"), event(3, Title=1.5)])
    assert (report.accounts.counts["delivered"], report.accounts.counts["invalid"]) == (2, 1)
    assert {"4711", "0815"} <= set(school.calendar)


# What somebody mended is theirs -----------------------------------------------------------------------------------


@pytest.fixture
def mended(school: TwelveTwenty, pushes: Push) -> tuple[Pushes, Path]:
    """A recipe that holds 60 rows of its own mended rejects file."""
    exams = pushes(EVENTS, server=school.url, api_key=school.api_key)
    exams.run([event(number, TypeId=9) for number in range(1, 61)])
    file = exams.root / "data/rejected.jsonl"
    file.write_text(file.read_text().replace('"TypeId":9', '"TypeId":2'))
    return exams, file


def test_a_typo_in_a_mended_file_costs_none_of_the_mending(mended: tuple[Pushes, Path]) -> None:
    exams, file = mended
    file.write_text(text := file.read_text() + "{")
    with pytest.raises(ArgumentError, match=r"rejected\.jsonl:61: not JSON"):
        again(exams)
    assert file.read_text() == text


def test_a_sync_leaves_a_mended_file_alone_and_writes_beside_it(mended: tuple[Pushes, Path]) -> None:
    exams, file = mended
    text = file.read_text()
    with pytest.warns(UserWarning, match=r"rejected.jsonl was changed .* now are in rejected.jsonl.new"):
        exams.run([event(number, TypeId=9) for number in range(1, 62)])
    beside = file.with_name("rejected.jsonl.new")
    assert (file.read_text(), len(beside.read_text().splitlines())) == (text, 61)
    assert str(again(exams).accounts) == "60 read = 60 delivered"
    assert ["exam-61" in line for line in file.read_text().splitlines()] == [True]
    assert not beside.exists()


def test_a_replay_that_stops_keeps_what_was_mended_and_not_sent(
    mended: tuple[Pushes, Path], school: TwelveTwenty
) -> None:
    exams, file = mended
    file.write_text(file.read_text() + json.dumps(event(70)) + "\n")
    key, exams.settings = exams.settings, {**exams.settings, "api_key": "wrong"}
    assert again(exams).exit_code == 1
    assert file.read_text().count('"TypeId":2') >= 60, "mended as they were"
    with pytest.warns(UserWarning, match="was changed"):
        assert exams.run([]).exit_code == 1
    exams.settings = key
    assert again(exams).exit_code == 0
    assert len(school.calendar) == 61
    assert file.read_text() == ""
