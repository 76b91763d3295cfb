"""Recipes run for real: a server on loopback, a DuckDB file, and the sum that must hold."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectory import LimitReached, Parts, SpecError, Unavailable
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.limits.memory import MemoryLedger
from connectory.recipes.demo import run_demo
from connectory.recipes.sync import Observer, Progress, Report, run_recipe
from connectory.replay import ReplayServer, read_exchanges
from emulators.twelvetwenty import TwelveTwenty

RECORDED = Path(__file__).resolve().parents[1] / "data" / "twenty-recorded"

Sync = Callable[..., Report]


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    clock = ManualClock()
    return Parts(clock=clock, ledger=MemoryLedger(clock), tokens=TokenStore(tmp_path / "tokens"), environ={})


@pytest.fixture
def sync(tmp_path: Path, parts: Parts) -> Sync:
    """Write a recipe and run it; `settings` go to the connector."""

    def run(text: str, **settings: Any) -> Report:
        file = tmp_path / "recipes" / "r.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return run_recipe(file, settings=settings, parts=parts, root=tmp_path)

    return run


@pytest.fixture
def school(parts: Parts) -> Iterator[TwelveTwenty]:
    with TwelveTwenty(clock=parts.clock) as vendor:
        yield vendor


def query(tmp_path: Path, text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(tmp_path / "data" / "x.duckdb"), read_only=True) as database:
        return database.execute(text).fetchall()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Every page of the recorded walks, served again."""
    folder = tmp_path_factory.mktemp("walks")
    exchanges = []
    for name in ("people", "companies"):
        file = folder / f"{name}.jsonl"
        file.write_bytes(gzip.decompress((RECORDED / f"{name}-all-pages.jsonl.gz").read_bytes()))
        exchanges += read_exchanges(file)
    with ReplayServer(exchanges) as server:
        yield server.url


TWENTY = """
name: r
from: {{connector: twenty, operation: {0}.list}}
to: {{duckdb: data/x.duckdb, table: {0}, mode: merge}}
"""


@pytest.mark.parametrize(("plural", "count"), [("people", 1200), ("companies", 599)])
def test_the_whole_recorded_workspace_arrives_and_nested_values_are_usable(
    sync: Sync, workspace: str, tmp_path: Path, plural: str, count: int
) -> None:
    report = sync(TWENTY.format(plural), server=workspace, api_key="key")
    assert report.exit_code == 0, report.error
    assert str(report.accounts) == f"{count:,} read = {count:,} delivered"
    assert query(tmp_path, f"select count(*), count(distinct id) from {plural}") == [(count, count)]
    assert query(tmp_path, f"select count(*) from {plural} where createdAt > '2026-11-01'::timestamptz") == [(count,)]
    if plural == "people":
        griffin = "select name.firstName, emails.primaryEmail from people where name.lastName = 'Griffin' order by all"
        assert ("Jeffery", "jeffery.griffin@example.com") in query(tmp_path, griffin)


def test_a_second_run_finds_everything_unchanged(sync: Sync, workspace: str, tmp_path: Path) -> None:
    settings = {"server": workspace, "api_key": "key"}
    sync(TWENTY.format("companies"), **settings)
    report = sync(TWENTY.format("companies"), **settings)
    assert str(report.accounts) == "599 read = 0 delivered + 599 unchanged"
    assert query(tmp_path, "select count(*) from companies") == [(599,)]


def test_partial_records_are_completed_by_their_detail_call(sync: Sync, school: TwelveTwenty, tmp_path: Path) -> None:
    recipe = """
name: r
from: {connector: 12twenty, operation: students.list, with: {year: 2018}, complete: true, settings: {school: hilltop}}
to: {duckdb: data/x.duckdb, table: students, key: Id, mode: replace}
"""
    report = sync(recipe, server=school.url, api_key=school.api_key)
    assert report.exit_code == 0, report.error
    assert query(tmp_path, "select count(*), count(ModifyDate), min(Id) from students") == [(277, 277, 270067010400000)]
    assert report.calls == 1 + 1 + 277


def test_children_come_for_each_parent_with_the_parents_fields(
    sync: Sync, school: TwelveTwenty, tmp_path: Path
) -> None:
    recipe = """
name: r
from: {connector: 12twenty, operation: lookups.options, parents: true, settings: {school: hilltop}}
to: {duckdb: data/x.duckdb, table: options, mode: append}
"""
    report = sync(recipe, server=school.url, api_key=school.api_key)
    assert report.exit_code == 0, report.error
    lookups = query(tmp_path, "select count(distinct LookupName), count(*) from options")
    assert lookups[0][0] > 1
    assert lookups[0][1] == report.accounts.counts["delivered"]


STUDENTS = """
name: r
from: {connector: 12twenty, operation: students.list, settings: {school: hilltop}}
to: {duckdb: data/x.duckdb, table: students, mode: MODE}
"""


def test_a_vendor_that_falls_ill_ends_the_run_and_a_replace_leaves_the_old_table(
    sync: Sync, parts: Parts, tmp_path: Path
) -> None:
    with TwelveTwenty(clock=parts.clock, students=1200) as school:
        settings = {"server": school.url, "api_key": school.api_key}
        assert sync(STUDENTS.replace("MODE", "replace"), **settings).exit_code == 0
        (before,) = query(tmp_path, "select count(*) from students")
        school.fail(times=9, status=503, match="/api/v2/students")
        report = sync(STUDENTS.replace("MODE", "replace"), **settings)
    assert isinstance(report.error, Unavailable)
    assert report.exit_code == 1
    assert report.accounts.balanced
    assert query(tmp_path, "select count(*) from students") == [before]


def test_a_days_limit_ends_with_75_and_what_was_read_is_kept(sync: Sync, parts: Parts, tmp_path: Path) -> None:
    with TwelveTwenty(clock=parts.clock, students=1200, used_today=4998) as school:
        report = sync(STUDENTS.replace("MODE", "append"), server=school.url, api_key=school.api_key)
    assert isinstance(report.error, LimitReached)
    assert report.exit_code == 75
    assert report.error.until > parts.clock.now()
    assert str(report.accounts) == "500 read = 500 delivered"
    assert query(tmp_path, "select count(*) from students") == [(500,)]


def test_every_fault_of_a_recipe_is_told_at_once_with_its_place(sync: Sync) -> None:
    with pytest.raises(SpecError) as caught:
        sync("name: r\nfrom: {connector: twenty, opration: people.list}\nto: {duckdb: x, tabel: y, mode: mirge}\n")
    told = {f"{fault.line}:{fault.column} {fault.path}: {fault.message}" for fault in caught.value.faults}
    assert told == {
        "2:27 /from/opration: unknown key 'opration'; did you mean 'operation'?",
        "3:17 /to/tabel: unknown key 'tabel'; did you mean 'table'?",
        "3:33 /to/mode: expected one of append, replace, merge, found 'mirge'; did you mean 'merge'?",
    }


def test_names_that_mean_nothing_are_told_beside_misspelt_keys(sync: Sync) -> None:
    with pytest.raises(SpecError) as caught:
        sync(
            "name: r\n"
            "from: {connector: 12twenty, operation: companies.lst, sinse: Id, settings: {skool: h, api_key: x}}\n"
            "to: {duckdb: x, tabel: y}\n"
        )
    told = [f"{fault.line}:{fault.column} {fault.path}: {fault.message}" for fault in caught.value.faults]
    assert told == [
        "2:40 /from/operation: 12twenty: no operation 'companies.lst'; did you mean 'companies.list'?",
        "2:55 /from/sinse: unknown key 'sinse'; did you mean 'since'?",
        "2:77 /from/settings/skool: no setting 'skool'; did you mean 'school'?",
        "2:87 /from/settings/api_key: 'api_key' is a secret: it stands in the environment, the project's "
        "connectory.toml or a reference",
        "3:17 /to/tabel: unknown key 'tabel'; did you mean 'table'?",
    ]
    with pytest.raises(SpecError) as caught:
        sync(
            "name: r\n"
            "from: {connector: twenty, operation: people.list, with: {filtr: x, depth: 3, order_by: '{{ tody }}'}}\n"
            "to: {duckdb: x, table: y}\n"
        )
    assert [(fault.path, fault.line) for fault in caught.value.faults] == [
        ("/from/with/filtr", 2),
        ("/from/with/depth", 2),
        ("/from/with/order_by", 2),
    ]


HERE = "{duckdb: x, table: y}"


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("students.lst", HERE, "2:40 /from/operation: 12twenty: no operation 'students.lst'; did you mean"),
        ("students.get", HERE, "'students.get' is no list"),
        ("students.list, with: {yer: 1}", HERE, "did you mean 'year'"),
        ("attributes.list, complete: true", HERE, "has no detail call"),
        ("students.list", "{duckbd: x, table: y}", "did you mean 'duckdb'"),
        ("students.list", "{connector: 12twenty, operation: students.lst}", "/to/operation: 12twenty: no operation"),
    ],
)
def test_a_wrong_recipe_sends_nothing_and_says_where(
    sync: Sync, school: TwelveTwenty, source: str, target: str, said: str
) -> None:
    recipe = f"name: r\nfrom: {{connector: 12twenty, operation: {source}}}\nto: {target}"
    with pytest.raises(SpecError) as caught:
        sync(recipe, server=school.url, api_key=school.api_key, school="hilltop")
    assert said in str(caught.value)
    assert school.exchanges == []


def test_the_demo_needs_no_account_and_keeps_to_its_folder(tmp_path: Path) -> None:
    told: list[tuple[str, Progress]] = []

    class Told(Observer):
        def __init__(self, name: str) -> None:
            self.name = name

        def progressed(self, progress: Progress) -> None:
            told.append((self.name, progress))

    ended = list(run_demo(tmp_path, Told))
    assert {demo.recipe.stem: str(demo.report.accounts) for demo in ended} == {
        "companies": "120 read = 120 delivered",
        "people": "180 read = 180 delivered",
    }
    assert ("people", 180) in [(name, progress.rows) for name, progress in told]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "recipes"]


def test_sql_that_fails_after_rows_were_written_does_not_say_that_nothing_was_sent(sync: Sync, tmp_path: Path) -> None:
    text = """
name: r
from: {files: in.jsonl}
change: select cast(v as integer) as v from records
to: {duckdb: data/x.duckdb, table: t}
"""
    lines = ['{"v": "1"}\n'] * 25_000
    (tmp_path / "in.jsonl").write_text("".join([*lines, '{"v": "x"}\n']))
    report = sync(text)
    [(written,)] = query(tmp_path, "select count(*) from t")
    assert 0 < written <= 25_000
    assert report.exit_code == 1
    assert f"the first {written:,} rows were dealt with before" in str(report.error)
    (tmp_path / "in.jsonl").write_text('{"v": "x"}\n')
    assert sync(text.replace("name: r", "name: other")).exit_code == 2
