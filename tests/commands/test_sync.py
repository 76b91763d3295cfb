"""`connectory sync` and `connectory demo`: rows in a real database, every one accounted for."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from commands.conftest import Cli, Spawn
from commands.shop import Shop
from commands.test_call import on_terminal
from connectory.clock import ManualClock
from connectory.commands.progress import Plain
from connectory.commands.sync import worst
from connectory.recipes.sync import Progress

RECIPE = """\
name: customers
from: {connector: shop, operation: customers.list}
to: {duckdb: data/shop.duckdb, table: customers, key: id, mode: merge}
"""


@pytest.fixture
def recipe(project: Path) -> Path:
    (project / "recipes").mkdir()
    (project / "recipes" / "customers.yaml").write_text(RECIPE)
    return project / "recipes" / "customers.yaml"


def names(project: Path, database: str = "data/shop.duckdb", table: str = "customers") -> list[str]:
    with duckdb.connect(str(project / database), read_only=True) as connection:
        return [name for (name,) in connection.sql(f"select name from {table} order by id").fetchall()]


def test_a_recipe_fills_its_table_and_accounts_for_every_row(cli: Cli, shop: Shop, recipe: Path, project: Path) -> None:
    result = cli("sync", "recipes/customers.yaml", "--rows")
    assert result.exit_code == 0, result.output
    assert names(project) == [f"Customer {number}" for number in range(1, 8)]
    assert "customers: 7 read = 7 delivered (3 calls" in result.stderr
    assert "holds 7 rows" in result.stderr
    heading, _, first, *others = result.stdout.splitlines()
    assert heading.split()[:2] == ["id", "name"]
    assert first.split()[:3] == ["1", "Customer", "1"]
    assert len(others) == 4


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_a_recipe_fills_files(cli: Cli, shop: Shop, recipe: Path, project: Path, ending: str) -> None:
    recipe.write_text(RECIPE.partition("to:")[0] + f"to: {{files: 'out/customers-{{{{ part }}}}.{ending}'}}\n")
    result = cli("sync", "customers", "--rows")
    assert result.exit_code == 0, result.output
    assert "7 read = 7 delivered" in result.stderr
    assert "holds 7 rows; the first:" in result.stderr
    heading, _, first, *others = result.stdout.splitlines()
    assert heading.split()[:2] == ["id", "name"]
    assert first.split()[:3] == ["1", "Customer", "1"]
    assert len(others) == 4
    assert (project / "out" / f"customers-00001.{ending}").is_file()


def test_a_recipe_fills_a_postgresql_table(
    cli: Cli, shop: Shop, recipe: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = "to: {postgres: env:WAREHOUSE, table: crm.customers, key: id, mode: merge}\n"
    recipe.write_text(RECIPE.partition("to:")[0] + to)
    refused = cli("sync", "customers")
    assert (refused.exit_code, "WAREHOUSE is not set" in refused.stderr) == (2, True)
    monkeypatch.setenv("WAREHOUSE", database)
    for told in ("7 delivered", "0 delivered + 7 unchanged"):
        result = cli("sync", "customers", "--rows")
        assert result.exit_code == 0, result.output
        assert f"7 read = {told}" in result.stderr
        assert "table crm.customers in PostgreSQL holds 7 rows; the first:" in result.stderr
        assert result.stdout.splitlines()[2].split()[:3] == ["1", "Customer", "1"]
    recipe.write_text(RECIPE.partition("to:")[0] + f"to: {{postgres: '{database}', table: t}}\n")
    literal = cli("sync", "customers")
    assert (literal.exit_code, "/to/postgres: a password must not stand in this file" in literal.stderr) == (2, True)
    assert database.partition("@")[0] not in literal.output


def test_rows_are_shown_on_a_terminal_or_when_asked_for(cli: Cli, spawn: Spawn, shop: Shop, recipe: Path) -> None:
    assert cli("sync", "customers").stdout == ""
    assert "Customer 1" in cli("sync", "customers", "--rows").stdout
    assert "Customer 1" not in cli("sync", "customers", "--no-rows").output


def test_a_process_of_its_own_ends_with_the_account(spawn: Spawn, shop: Shop, recipe: Path) -> None:
    """What is left of libraries when Python ends is nobody's business."""
    _, told = spawn("sync", "customers").communicate()
    assert told.decode().strip().splitlines()[-1].endswith("holds 7 rows")


def test_recipes_are_found_by_name_and_merge_what_changed(cli: Cli, shop: Shop, recipe: Path, project: Path) -> None:
    assert cli("sync", "customers").exit_code == 0
    shop.customers[2]["name"] = "Initech"
    shop.customers.append({"id": 8, "name": "Hooli"})
    assert cli("sync", "customers").exit_code == 0
    assert names(project)[2:] == ["Initech", *(f"Customer {number}" for number in range(4, 8)), "Hooli"]
    missing = cli("sync", "custmers")
    assert (missing.exit_code, "did you mean 'customers'?" in missing.stderr) == (2, True)


def test_the_faults_of_all_recipes_are_told_before_any_runs(cli: Cli, shop: Shop, recipe: Path, project: Path) -> None:
    for name, wrong in (("one", "tabel: x"), ("two", "mod: merge")):
        (recipe.parent / f"{name}.yaml").write_text(RECIPE.replace("table: customers", f"table: customers, {wrong}"))
    result = cli("sync", "customers", "one", "two")
    assert (result.exit_code, shop.requests()) == (2, [])
    assert "did you mean 'table'?" in result.stderr
    assert "did you mean 'mode'?" in result.stderr


def test_one_that_fails_keeps_no_other_from_running(cli: Cli, shop: Shop, recipe: Path, project: Path) -> None:
    (recipe.parent / "orders.yaml").write_text(
        "name: orders\nfrom: {connector: shop, operation: orders.of_customer, parents: true}\n"
        "to: {duckdb: data/shop.duckdb, table: orders, mode: replace}\n"
    )
    shop.fail(times=99, status=403, match="/orders")
    result = cli("sync", "orders", "customers")
    assert result.exit_code == 1
    assert "refuses the credentials" in result.stderr
    assert len(names(project)) == 7


def test_of_several_endings_the_gravest_is_the_exit_code() -> None:
    assert worst([]) == worst([0, 0]) == 0
    for graver, lighter in pairwise((143, 130, 1, 2, 75, 3, 0)):
        assert worst([lighter, graver, lighter]) == graver


def test_a_missing_secret_is_told_before_anything_is_sent(cli: Cli, shop: Shop, recipe: Path) -> None:
    result = cli("sync", "customers", env={"CONNECTORY_SHOP_API_KEY": None})
    assert (result.exit_code, shop.requests()) == (2, [])
    assert "CONNECTORY_SHOP_API_KEY" in result.stderr


def test_progress_on_a_terminal_stays_off_stdout(spawn: Spawn, shop: Shop, recipe: Path) -> None:
    code, shown, told = on_terminal(spawn, "sync", "customers")
    assert code == 0
    assert shown.splitlines()[0].split()[:2] == ["id", "name"]
    assert "\x1b" not in shown + told  # stderr is no terminal here: plain lines


def test_plain_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    tell = Plain("people", clock)
    for page in range(1, 100):
        tell.progressed(Progress(rows=page * 60, pages=page, total=5940))
        clock.wind(1.0)
    tell.progressed(Progress(rows=5940, pages=99, waiting="the limit", seconds=0.3))
    tell.progressed(Progress(rows=5940, pages=99, waiting="the limit", seconds=61))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "people: 660 of 5,940 rows, 11 pages, 66.0 rows/s, about 80 s to go"
    assert lines[-1] == "people: waiting 61 s: the limit"
    assert len(lines) == 10


def test_the_demo_syncs_recorded_records_with_no_account(cli: Cli, tmp_path: Path) -> None:
    result = cli("demo")
    assert result.exit_code == 0, result.output
    assert "people: 180 read = 180 delivered" in result.stderr
    assert "companies: 120 read = 120 delivered" in result.stderr
    with duckdb.connect(str(tmp_path / "connectory-demo" / "data" / "demo.duckdb"), read_only=True) as connection:
        assert connection.sql("select count(*) from people where name.firstName <> ''").fetchall() == [(180,)]
    assert len(result.stdout.splitlines()) == 14
    again = cli("demo", "--to", "connectory-demo")
    assert again.exit_code == 0
    assert "holds 180 rows" in again.stderr
