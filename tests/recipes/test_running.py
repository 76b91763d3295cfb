"""A run from the outside: alone, recorded, stopped when asked, going on when a limit comes back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory import Parts
from connectory.clock import ManualClock
from connectory.destinations.destination import Written
from connectory.errors import Interrupted, LimitReached, SpecError
from connectory.limits.costs import Costs
from connectory.limits.hours import next_time
from connectory.recipes.report import Progress, Report
from connectory.recipes.running.locks import FOLDER, RecipeBusy, alone
from connectory.recipes.running.running import Ended, Watcher, Wishes, run
from connectory.recipes.running.runs import open_log, read_refused, read_runs
from connectory.recipes.running.runsfile import RunsError, RunsWarning
from connectory.recipes.running.stopping import Stop
from emulators.twelvetwenty import TwelveTwenty
from recipes.conftest import Query, shrink

STUDENTS = """\
name: students
from: {connector: 12twenty, operation: students.list, settings: {school: hilltop}}
to: {duckdb: x.duckdb, table: students, key: Id, mode: merge}
"""
Run = Callable[..., Ended]


@pytest.fixture
def school(parts: Parts) -> Iterator[TwelveTwenty]:
    with TwelveTwenty(clock=parts.clock, students=1200) as vendor:
        yield vendor


@pytest.fixture
def go(project: Path, parts: Parts, school: TwelveTwenty) -> Run:
    def run_once(text: str = STUDENTS, *, stop: Stop | None = None, watchers: Any = (), **wishes: Any) -> Ended:
        file = project / "recipes" / "students.yaml"
        file.write_text(text)
        settings = {"server": school.url, "api_key": school.api_key, **wishes.pop("settings", {})}
        return run(file, Wishes(settings=settings, **wishes), root=project, parts=parts, stop=stop, watchers=watchers)

    return run_once


# The record ---------------------------------------------------------------------------------------------------------


def test_a_run_is_recorded_with_what_it_did_and_cost(go: Run, project: Path) -> None:
    ended = go()
    assert ended.report.exit_code == 0, ended.report.error
    (kept,) = read_runs(project)
    assert (kept.id, kept.recipe, kept.ending, kept.exit) == (ended.report.run, "students", "done", 0)
    assert kept.words == {"delivered": 1223}
    assert (kept.rows_in, kept.rows_out, kept.pages, kept.calls) == (1223, 1223, 3, 4)
    assert kept.limits == {"12twenty: school": 4}
    assert kept.received > 100_000
    assert (project / ".connectory" / "runs.sqlite").stat().st_mode & 0o777 == 0o600
    assert (project / ".connectory").stat().st_mode & 0o777 == 0o700


def test_a_run_that_goes_on_is_one_run_of_several_starts(go: Run, school: TwelveTwenty, project: Path) -> None:
    fault = school.fail(times=99, status=503, match="GET /api/v2/students", skip=2)
    assert go().report.exit_code == 1
    fault.times = 0
    ended = go()
    assert ended.report.exit_code == 0, ended.report.error
    (kept,) = read_runs(project)
    assert [start.ending for start in kept.starts] == ["failed", "done"]
    assert "503" in kept.starts[0].error
    assert kept.words == {"delivered": 1223}
    assert kept.waits["vendor ill"] > 1


def test_a_killed_run_shows_as_such(project: Path, parts: Parts) -> None:
    log = open_log(project, parts.clock.now())
    report = Report("students", "abc")
    number = log.began(report, Path("students.yaml"), parts.clock.now())
    report.accounts.read = 500
    log.goes_on(report, number, Costs(calls=2), parts.clock.now() + 5)
    assert read_runs(project)[0].ending == "running"
    with sqlite3.connect(log.file) as db:
        db.execute("UPDATE start SET pid = 2147480000")
    (kept,) = read_runs(project)
    assert (kept.ending, kept.ended, kept.rows_out, kept.calls, kept.seconds) == ("killed", None, 500, 2, 5)


def test_rows_that_were_not_taken_are_kept_with_their_reason(go: Run, school: TwelveTwenty, project: Path) -> None:
    ended = go(STUDENTS.replace("key: Id", "key: GraduationYearName"))
    assert ended.report.exit_code == 3
    refused = list(read_refused(project, ended.report.run))
    assert len(refused) == len(ended.report.problems) > 0
    assert (refused[0].recipe, refused[0].word, refused[0].field) == ("students", "invalid", "GraduationYearName")
    assert refused[0].row["Id"]


def test_rows_that_were_not_taken_are_in_the_record_while_the_run_still_goes(go: Run, project: Path) -> None:
    seen = []

    class Looks(Watcher):
        def wrote(self, written: Written) -> None:
            if written.problems:
                seen.append(len(list(read_refused(project))))

    ended = go(STUDENTS.replace("key: Id", "key: GraduationYearName"), watchers=[Looks()])
    assert seen[0] > 0, "a kill would lose none of them"
    assert len(list(read_refused(project))) == len(ended.report.problems) == seen[-1]


def test_a_damaged_record_is_put_aside_and_the_sync_still_runs(go: Run, project: Path) -> None:
    go()
    file = project / ".connectory" / "runs.sqlite"
    file.write_bytes(b"no database" * 1000)
    with pytest.warns(RunsWarning, match="was damaged and has been moved to"):
        assert go().report.exit_code == 0
    assert len(read_runs(project)) == 1
    assert len(list(file.parent.glob("runs.sqlite.broken-*"))) == 1


def test_a_record_of_a_newer_version_is_left_alone_and_the_sync_still_runs(go: Run, project: Path) -> None:
    go()
    with sqlite3.connect(project / ".connectory" / "runs.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    with pytest.warns(RunsWarning, match=r"written by a newer Connectory.*this run is not recorded"):
        assert go().report.exit_code == 0
    with pytest.raises(RunsError, match="newer Connectory"):
        read_runs(project)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_is_said(parts: Parts, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.warns(RunsWarning, match="Permission denied"):
        open_log(tmp_path, parts.clock.now())
    tmp_path.chmod(0o700)


# Stopping and going on ----------------------------------------------------------------------------------------------


def test_a_limit_ends_the_run_with_the_time_to_come_back(go: Run, project: Path, clock: ManualClock) -> None:
    shrink(project, "12twenty", rate=("5000/day", "3/day"))
    ended = go()
    assert ended.report.exit_code == 75
    assert ended.come_back == pytest.approx(clock.now() + 86400, abs=5)
    assert read_runs(project)[0].ending == "limit"
    assert str(ended.report.accounts) == "1,000 read = 1,000 delivered"


def test_with_wait_it_goes_on_through_days_in_one_process(
    go: Run, project: Path, clock: ManualClock, school: TwelveTwenty, query: Query
) -> None:
    shrink(project, "12twenty", rate=("5000/day", "2/day"))
    pauses: list[str] = []

    class Told(Watcher):
        def pausing(self, until: float, why: str) -> None:
            pauses.append(why)

    began = clock.now()
    ended = go(wait=True, watchers=[Told()])
    assert ended.report.exit_code == 0, ended.report.error
    assert ended.come_back is None
    assert query("select count(*), count(distinct Id) from students") == [(1223, 1223)]
    assert clock.now() - began > 86400
    (kept,) = read_runs(project)
    assert [start.ending for start in kept.starts] == ["limit"] * len(pauses) + ["done"]
    assert len(pauses) >= 1
    assert ended.costs.waits["until the limit came back"] == pytest.approx(clock.now() - began, rel=0.01)
    pages = [str(exchange.query) for exchange in school.requests("students$")]
    assert len(pages) == len(set(pages)) == 3


def test_until_a_time_of_day_it_stops_in_order(go: Run, project: Path, clock: ManualClock) -> None:
    shrink(project, "12twenty", rate=("5000/day", "2/day"))
    early = go(wait=True, until=clock.now() + 3600)
    assert early.report.exit_code == 75  # the limit comes back later than that, so nobody waits for it
    clock.wind(90_000)
    late = go(until=clock.now())
    assert isinstance(late.report.error, Interrupted)
    assert late.report.exit_code == 75
    assert late.report.calls == 0
    assert "as asked" in str(late.report.error)


def test_outside_its_hours_a_recipe_calls_nobody(go: Run, clock: ManualClock, school: TwelveTwenty) -> None:
    ended = go(STUDENTS + "between: 20:00-06:00 Europe/Amsterdam\n")
    assert isinstance(ended.report.error, LimitReached)
    assert ended.report.exit_code == 75
    assert ended.come_back == next_time("20:00 Europe/Amsterdam", clock.now())
    assert "runs only at 20:00-06:00 Europe/Amsterdam" in str(ended.report.error)
    assert school.exchanges == []


def test_with_wait_it_begins_when_its_hours_do(go: Run, clock: ManualClock) -> None:
    opens = next_time("20:00 Europe/Amsterdam", clock.now())
    ended = go(STUDENTS + "between: 20:00-06:00 Europe/Amsterdam\n", wait=True)
    assert ended.report.exit_code == 0
    assert opens <= clock.now() < opens + 600


def test_a_recipe_takes_its_share_and_leaves_the_rest(
    go: Run, project: Path, clock: ManualClock, school: TwelveTwenty
) -> None:
    shrink(project, "12twenty", rate=("5000/day", "4/day"))
    ended = go(STUDENTS + "share: 50%\n")
    assert (ended.report.exit_code, ended.costs.calls) == (75, 2)
    assert "the rest of the limit is left for others" in str(ended.report.error)
    whole = go(STUDENTS)
    assert (whole.report.exit_code, whole.costs.calls) == (0, 2)


def test_a_stop_ends_the_run_before_the_next_call_and_the_next_start_goes_on(
    go: Run, school: TwelveTwenty, project: Path, query: Query
) -> None:
    stop = Stop()

    class Stopper(Watcher):
        def progressed(self, progress: Progress) -> None:
            stop.ask(143)

    ended = go(stop=stop, watchers=[Stopper()])
    assert (ended.report.exit_code, str(ended.report.accounts)) == (143, "500 read = 500 delivered")
    assert read_runs(project)[0].ending == "interrupted"
    again = go()
    assert (again.report.exit_code, again.costs.calls) == (0, 2)
    assert query("select count(*) from students") == [(1223,)]


def test_a_stop_ends_a_wait(go: Run, project: Path, parts: Parts) -> None:
    shrink(project, "12twenty", rate=("5000/day", "2/day"))
    stop = Stop()

    class Stopper(Watcher):
        def pausing(self, until: float, why: str) -> None:
            stop.ask(130)

    ended = go(stop=stop, watchers=[Stopper()], wait=True)
    assert ended.report.exit_code == 130


# Alone --------------------------------------------------------------------------------------------------------------


def test_a_second_run_of_a_recipe_is_refused_and_told_of_the_first(
    go: Run, project: Path, school: TwelveTwenty
) -> None:
    since = datetime(2026, 11, 26, 6, 0, tzinfo=UTC).timestamp()
    with alone(project, "students", since), pytest.raises(RecipeBusy) as caught:
        go()
    told = f"process {os.getpid()} on "
    assert told in str(caught.value)
    assert "since 2026-11-26 06:00:00 UTC" in str(caught.value)
    assert school.exchanges == []
    assert go().report.exit_code == 0
    assert {path.name for path in (project / FOLDER).iterdir()} <= {"students.lock"}


# The words of a recipe ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("share: 120%", "4:8 /share: '120%' is no share: write a percentage above 0% and up to 100%, as 80%"),
        ("share: [80%]", "4:8 /share: expected a text, found a list"),
        ("reserve: -5", "4:10 /reserve: '-5' is no number of calls: write a whole number from 0"),
        ("reserve: some", "4:10 /reserve: "),
        ("between: 20:00-06:00", "4:10 /between: '20:00-06:00' are no hours: write two times and a zone"),
        ("between: 20:00-06:00 Europe/Amstrdam", "no time zone is called 'Europe/Amstrdam'"),
    ],
)
def test_wrong_words_are_told_at_their_place(go: Run, school: TwelveTwenty, words: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        go(f"{STUDENTS}{words}\n")
    assert said in str(caught.value)
    assert school.exchanges == []


def test_costs_of_several_starts_add_up() -> None:
    one = Costs(calls=1, sent=2, received=3, waits={"a": 1.0})
    both = one.with_(attrs.evolve(one, waits={"b": 2.0}))
    assert (both.calls, both.sent, both.received, both.waits) == (2, 4, 6, {"a": 1.0, "b": 2.0})
