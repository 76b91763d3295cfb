"""Only what is new or changed: marks into filters, look-back, back-fills, and what a vendor cannot filter."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectory import ArgumentError, SpecError, Unavailable
from connectory.clock import ManualClock
from connectory.recipes.reading.marks import MarkWarning
from emulators.twelvetwenty import TwelveTwenty
from emulators.twenty import Twenty
from recipes.conftest import Query, Sync

COMPANIES = """
name: r
from: {connector: 12twenty, operation: companies.list, since: ModifyDate, settings: {school: hilltop}MORE}
to: {duckdb: x.duckdb, table: companies, key: Id, mode: MODE}
"""


@pytest.fixture
def school(clock: ManualClock) -> Any:
    with TwelveTwenty(clock=clock, marks_in_lists="all", companies=60) as vendor:
        yield vendor


def asked(school: TwelveTwenty, route: str = "companies$") -> list[str | None]:
    return [dict(exchange.query).get("ModifyFromDate") for exchange in school.requests(route)]


def moved(school: TwelveTwenty, id: int, moment: datetime) -> None:
    """Somebody changes a company."""
    school.tables["companies"][id]["ModifyDate"] = moment.replace(tzinfo=None).isoformat()
    school.tables["companies"][id]["Name"] += "!"


def at(clock: ManualClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("mode", ["merge", "append"])
def test_the_second_run_reads_what_changed_since_the_first_and_nothing_is_there_twice(
    start: Sync, query: Query, clock: ManualClock, school: TwelveTwenty, mode: str, inclusive: bool
) -> None:
    school.modify_from_inclusive = inclusive
    recipe = COMPANIES.replace("MODE", mode).replace("MORE", "")
    settings = {"server": school.url, "api_key": school.api_key}
    first = start(recipe, **settings)
    assert str(first.accounts) == "60 read = 60 delivered"
    newest = max(row["ModifyDate"] for row in school.tables["companies"].values())
    assert first.mark["next"] == datetime.fromisoformat(newest).replace(tzinfo=UTC)

    clock.wind(60)
    ids = list(school.tables["companies"])
    moved(school, ids[3], at(clock))
    second = start(recipe, **settings)
    assert second.exit_code == 0, second.error
    assert second.accounts.counts["delivered"] == 1
    assert second.accounts.read <= 2
    assert asked(school)[0] is None
    assert str(asked(school)[1]) <= newest
    assert query("select count(*), count(distinct Id) from companies") == [(61 if mode == "append" else 60, 60)]

    third = start(recipe, **settings)
    assert third.accounts.counts["delivered"] == 0
    assert query("select count(*) from companies") == [(61 if mode == "append" else 60,)]


def test_records_changed_at_the_moment_of_the_mark_come_once_each(
    start: Sync, query: Query, clock: ManualClock, school: TwelveTwenty
) -> None:
    recipe = COMPANIES.replace("MODE", "append").replace("MORE", "")
    settings = {"server": school.url, "api_key": school.api_key}
    ids = list(school.tables["companies"])
    clock.wind(10)
    moment = at(clock)
    moved(school, ids[0], moment)
    clock.wind(1)
    start(recipe, **settings)
    moved(school, ids[1], moment)  # the vendor writes late, at the very moment that the mark is at
    report = start(recipe, **settings)
    assert report.accounts.counts["delivered"] == 1
    assert dict(report.left_out) == {"again": 1}
    assert query("select count(*) from companies") == [(61,)]


def test_a_record_that_changes_while_the_list_is_read_comes_in_the_next_run(
    start: Sync, query: Query, clock: ManualClock, school: TwelveTwenty
) -> None:
    recipe = COMPANIES.replace("MODE", "merge").replace("MORE", "")
    settings = {"server": school.url, "api_key": school.api_key}
    ids = list(school.tables["companies"])
    moved(school, ids[5], at(clock) + timedelta(hours=2))  # as if the list took hours to read
    first = start(recipe, **settings)
    assert first.mark["next"] == at(clock)
    clock.wind(3600)
    moved(school, ids[6], at(clock))
    clock.wind(2 * 3600)
    second = start(recipe, **settings)
    assert (second.accounts.read, second.accounts.counts["delivered"]) == (2, 1)
    assert second.mark["next"] == at(clock) - timedelta(hours=1)


def test_lookback_begins_before_the_mark(start: Sync, clock: ManualClock, school: TwelveTwenty) -> None:
    settings = {"server": school.url, "api_key": school.api_key}
    recipe = COMPANIES.replace("MODE", "merge").replace("MORE", ", lookback: 1h")
    first = start(recipe, **settings)
    start(recipe, **settings)
    since = datetime.fromisoformat(str(asked(school)[1])).replace(tzinfo=UTC)
    assert since == first.mark["next"] - timedelta(hours=1, milliseconds=1)


def test_a_full_refresh_reads_everything_and_a_back_fill_leaves_the_mark_alone(
    start: Sync, query: Query, clock: ManualClock, school: TwelveTwenty
) -> None:
    settings = {"server": school.url, "api_key": school.api_key}
    recipe = COMPANIES.replace("MODE", "merge").replace("MORE", "")
    mark = start(recipe, **settings).mark
    dates = sorted(row["ModifyDate"] for row in school.tables["companies"].values())
    wanted = [date for date in dates if dates[10] <= date < dates[40]]
    filled = start(recipe, flags={"span": (dates[10], dates[40])}, **settings)
    assert filled.accounts.read == len(wanted)
    assert filled.left_out["older"] >= len(dates) - 40
    assert filled.mark == mark
    assert start(recipe, flags={"full_refresh": True}, **settings).accounts.read == 60


def test_a_back_fill_that_was_stopped_goes_on_with_its_own_span(
    start: Sync, clock: ManualClock, school: TwelveTwenty
) -> None:
    settings = {"server": school.url, "api_key": school.api_key}
    recipe = COMPANIES.replace("MODE", "merge").replace("MORE", ", complete: true")
    dates = sorted(row["ModifyDate"] for row in school.tables["companies"].values())
    span = (dates[10], dates[40])
    school.fail(times=5, status=503, match=r"companies/\d+$", skip=5)
    stopped = start(recipe, flags={"span": span}, **settings)
    assert isinstance(stopped.error, Unavailable)
    assert 0 < stopped.accounts.read < 30
    with pytest.raises(ArgumentError, match="is not at its end; let it end first"):
        start(recipe, flags={"span": (dates[0], dates[5])}, **settings)
    with pytest.warns(UserWarning, match=f"goes on with the read from {dates[10]} to {dates[40]}"):
        ended = start(recipe, **settings)
    assert (ended.error, ended.run) == (None, stopped.run)
    assert ended.accounts.read == len([date for date in dates if dates[10] <= date < dates[40]])
    assert ended.mark is None
    assert start(recipe, **settings).accounts.read == 60


STUDENTS = """
name: r
from: {connector: 12twenty, operation: students.list, complete: true, since: ModifyDate, settings: {school: hilltop}}
to: {duckdb: x.duckdb, table: students, key: Id, mode: append}
"""


def test_without_a_filter_older_records_are_left_out_before_their_detail_is_paid_where_the_list_shows_the_date(
    start: Sync, query: Query, clock: ManualClock
) -> None:
    with TwelveTwenty(clock=clock, students=20, other_students=10) as school:
        settings = {"server": school.url, "api_key": school.api_key}
        assert start(STUDENTS, **settings).accounts.read == 30
        changed = list(school.tables["students"].values())[7]
        clock.wind(3600)
        changed["ModifyDate"] = at(clock).replace(tzinfo=None).isoformat()
        before = len(school.requests(r"students/\d+$"))
        with pytest.warns(MarkWarning, match="the vendor has no filter by ModifyDate"):
            report = start(STUDENTS, **settings)
        shown = sum(1 for id in school.tables["students"] if id % 3)
        details = len(school.requests(r"students/\d+$")) - before
    assert report.accounts.counts["delivered"] == 1
    assert details < 30
    assert details <= 30 - shown + 2
    assert query("select count(*), count(distinct Id) from students") == [(31, 30)]


PEOPLE = """
name: r
from: {connector: twenty, operation: OPERATION, since: updatedAtMORE}
to: {duckdb: x.duckdb, table: people, mode: merge}
"""


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("people.list", """, with: {filter: 'jobTitle[eq]:"Pilot"'}"""),
        ("graphql.people", ", with: {filter: {jobTitle: {eq: Pilot}}}"),
    ],
)
def test_a_mark_and_the_recipes_own_filter_hold_both(
    start: Sync, query: Query, clock: ManualClock, operation: str, given: str
) -> None:
    recipe = PEOPLE.replace("OPERATION", operation).replace("MORE", given)
    with Twenty(clock=clock) as vendor:
        vendor.load(people=[{"jobTitle": title} for title in ("Pilot", "Cook", "Pilot", "Clown")])
        settings = {"server": vendor.url, "api_key": vendor.key}
        assert start(recipe, **settings).accounts.read == 2
        clock.wind(3600)
        vendor.load(people=[{"jobTitle": title} for title in ("Pilot", "Cook")])
        report = start(recipe, **settings)
        assert report.error is None, report.error
        assert str(report.accounts) == "3 read = 1 delivered + 2 unchanged"  # two are at the mark
        assert query("select count(*) from people") == [(3,)]


def test_a_long_span_is_read_in_windows(start: Sync, query: Query, clock: ManualClock) -> None:
    recipe = PEOPLE.replace("OPERATION", "people.list").replace("MORE", ", window: 10d")
    with Twenty(clock=clock) as vendor:
        for _ in range(30):
            vendor.load(people=[{"jobTitle": "Pilot"}])
            clock.wind(86_400)
        settings = {"server": vendor.url, "api_key": vendor.key}
        begin = (at(clock) - timedelta(days=30)).date().isoformat()
        report = start(recipe, flags={"span": (begin, None)}, **settings)
        filters = [dict(exchange.query)["filter"] for exchange in vendor.requests("people")]
    assert report.accounts.read == 30
    assert len(filters) in (3, 4)
    assert all(re.search("lt", text) for text in filters[:-1])
    assert query("select count(*) from people") == [(30,)]


@pytest.mark.parametrize(
    ("source", "mode", "said"),
    [
        ("since: ModifedDate", "merge", None),
        ("since: ModifyDate", "replace", "2:63 /from/since: `mode: replace` needs every record in every run"),
        ("since: ModifyDate, window: 1d", "merge", "takes no end of a span of 'ModifyDate'"),
        ("lookback: 1h", "merge", "'lookback' goes with `since`"),
        ("since: ModifyDate, with: {modify_from_date: '2020-01-01T00:00:00Z'}", "merge", "is filled from elsewhere"),
        ("with: {modify_from_date: '{{ since }}'}", "merge", "'since' is known only with `since: FIELD`"),
        ("with: {modify_from_date: '{{ sinse }}'}", "merge", "did you mean 'since'?"),
        ("with: {modify_from_date: '{{ today }'}", "merge", "'{{' has no '}}'"),
    ],
)
def test_a_wrong_mark_is_told_before_anything_is_sent(
    start: Sync, school: TwelveTwenty, source: str, mode: str, said: str | None
) -> None:
    recipe = (
        f"name: r\nfrom: {{connector: 12twenty, operation: companies.list, {source}, settings: {{school: h}}}}\n"
        f"to: {{duckdb: x.duckdb, table: c, key: Id, mode: {mode}}}\n"
    )
    with pytest.raises((SpecError, ArgumentError)) as caught:
        raise start(recipe, server=school.url, api_key=school.api_key).error or AssertionError
    if said is not None:
        assert said in str(caught.value)
        assert school.requests() == []
    else:
        assert "no record has a field 'ModifedDate'" in str(caught.value)


def test_texts_name_days_settings_and_the_mark(start: Sync, clock: ManualClock, school: TwelveTwenty) -> None:
    recipe = COMPANIES.replace("MODE", "merge").replace("MORE", ", with: {modify_from_date: '{{ since }}'}")
    settings = {"server": school.url, "api_key": school.api_key}
    first = start(recipe, **settings)
    start(recipe, **settings)
    assert asked(school)[0] is None
    assert datetime.fromisoformat(str(asked(school)[1])).replace(tzinfo=UTC) == first.mark["next"]
    day = COMPANIES.replace("MODE", "merge").replace(" since: ModifyDate,", "").replace("companies,", "d,")
    day = day.replace("MORE", ", with: {modify_from_date: '{{ yesterday }}T00:00:00Z'}")
    start(day, **settings)
    assert asked(school)[2] == (at(clock) - timedelta(days=1)).date().isoformat() + "T00:00:00"


def test_a_changed_recipe_does_not_go_on_with_an_old_mark_unawares(start: Sync, school: TwelveTwenty) -> None:
    settings = {"server": school.url, "api_key": school.api_key}
    recipe = COMPANIES.replace("MODE", "merge").replace("MORE", "")
    start(recipe, **settings)
    other = recipe.replace("since: ModifyDate", "since: ModifyDate, complete: true")
    with pytest.raises(ArgumentError, match=r"/from/complete changed since its state was written: --full-refresh"):
        start(other, **settings)
    assert start(other, flags={"keep_state": True}, **settings).accounts.read <= 1
    assert start(recipe, flags={"full_refresh": True}, **settings).accounts.read == 60


def test_a_wrong_span_is_told(start: Sync, school: TwelveTwenty, project: Path) -> None:
    settings = {"server": school.url, "api_key": school.api_key}
    recipe = COMPANIES.replace("MODE", "merge").replace("MORE", "")
    for span, said in (
        (("2024-02-01", "2024-01-01"), "is not before --to"),
        (("lately", None), "--from: 'lately' is no moment"),
    ):
        with pytest.raises(ArgumentError, match=said):
            start(recipe, flags={"span": span}, **settings)
    with pytest.raises(ArgumentError, match="--from and --to need `since"):
        start(recipe.replace(", since: ModifyDate", ""), flags={"span": ("2024-01-01", None)}, **settings)


def test_a_full_refresh_that_ends_before_its_first_row_is_not_forgotten(
    start: Sync, query: Query, school: TwelveTwenty
) -> None:
    recipe = COMPANIES.replace("MODE", "merge").replace("MORE", "")
    settings = {"server": school.url, "api_key": school.api_key}
    start(recipe, **settings)
    school.fail(status=400, match="companies$")
    assert start(recipe, flags={"full_refresh": True}, **settings).error is not None
    assert start(recipe, **settings).accounts.read == 60


def test_the_mark_of_one_server_is_none_of_another(start: Sync, clock: ManualClock, school: TwelveTwenty) -> None:
    recipe = COMPANIES.replace("MODE", "merge").replace("MORE", "")
    start(recipe, server=school.url, api_key=school.api_key)
    with TwelveTwenty(clock=clock, marks_in_lists="all", companies=60) as other:
        settings = {"server": other.url, "api_key": other.api_key}
        with pytest.raises(ArgumentError, match="/from/server changed since its state was written"):
            start(recipe, **settings)
        assert start(recipe, flags={"full_refresh": True}, **settings).accounts.read == 60
