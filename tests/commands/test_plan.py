"""`connectory plan`, `apply` and `sync --dry-run`, as a person and a program see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands.conftest import Cli
from commands.shop import Shop
from commands.test_sync import RECIPE


@pytest.fixture
def recipe(project: Path) -> Path:
    (project / "recipes").mkdir()
    (project / "recipes" / "customers.yaml").write_text(RECIPE)
    return project / "recipes" / "customers.yaml"


@pytest.fixture
def orders(project: Path, recipe: Path) -> Path:
    """A recipe that sends rows of a file to the shop."""
    rows = [{"number": f"A{number}", "amount": number} for number in (1, 2, 3)]
    (project / "orders.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = recipe.with_name("orders.yaml")
    file.write_text(
        "name: orders\nfrom: {files: [orders.jsonl]}\n"
        "to: {connector: shop, operation: orders.upsert, key: number, changed_only: true}\n"
    )
    return file


def test_a_push_is_planned_rehearsed_and_applied(cli: Cli, shop: Shop, orders: Path) -> None:
    planned = cli("plan", "orders", "--out", "orders.plan")
    assert planned.exit_code == 0, planned.output
    assert "orders: 3 rows read: 3 to add" in planned.stdout
    assert "2 calls, 1,000 of 1,000 calls left a minute: ends " in planned.stdout
    assert "connectory apply orders.plan" in planned.stderr
    shown = cli("sync", "orders", "--dry-run")
    assert shown.stdout.startswith(f"PUT {shop.url}/v1/orders\n")
    assert "X-Till: ***" in shown.stdout
    assert '[{"number":"A1","amount":1},{"number":"A2","amount":2}]' in shown.stdout
    assert shop.requests() == []
    applied = cli("apply", "orders.plan")
    assert "orders: 3 read = 3 delivered (2 calls" in applied.stderr, applied.output
    assert len(shop.requests("PUT /v1/orders")) == 2
    assert cli("apply", "orders.plan").exit_code == 2
    assert "3 unchanged" in cli("plan", "orders").stdout


def test_a_plan_with_an_invalid_row_says_so_by_its_exit_code(cli: Cli, shop: Shop, orders: Path, project: Path) -> None:
    with (project / "orders.jsonl").open("a") as rows:
        rows.write('{"number": "A4", "amount": "many"}\n')
    planned = cli("plan", "orders")
    assert (planned.exit_code, "3 to add, 1 invalid" in planned.stdout) == (3, True), planned.output
    assert shop.requests() == []


def test_a_plan_that_was_stopped_goes_on_by_the_same_command(cli: Cli, shop: Shop, orders: Path) -> None:
    assert cli("plan", "orders", "--out", "orders.plan").exit_code == 0
    shop.fail(times=1, status=403, match="/orders", skip=1)
    assert cli("apply", "orders.plan").exit_code == 1
    applied = cli("apply", "orders.plan")
    assert applied.exit_code == 0, applied.output
    assert list(shop.orders) == ["A1", "A2", "A3"]


def test_what_destroys_is_applied_only_with_a_yes(cli: Cli, shop: Shop, recipe: Path, project: Path) -> None:
    (project / "gone.jsonl").write_text('{"id": 1}\n')
    recipe.with_name("gone.yaml").write_text(
        "name: gone\nfrom: {files: [gone.jsonl]}\nto: {connector: shop, operation: customers.delete, key: id}\n"
    )
    assert cli("plan", "gone", "--out", "gone.plan").exit_code == 0
    refused = cli("apply", "gone.plan")
    assert (refused.exit_code, shop.requests()) == (2, []), refused.output
    applied = cli("apply", "gone.plan", "--yes")
    assert applied.exit_code == 0, applied.output
    assert len(shop.requests("DELETE /v1/customers/1")) == 1


def test_a_pull_is_planned_in_words_and_as_json(cli: Cli, shop: Shop, recipe: Path, project: Path) -> None:
    result = cli("plan", "customers")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("customers: ")
    assert len(shop.requests()) == 1
    told = json.loads(cli("plan", "customers", "--json").stdout)
    assert (told["recipe"], told["kind"], told["planning_calls"]) == ("customers", "pull", 1)
    assert not (project / "data").exists()


def test_what_is_no_plan_is_refused(cli: Cli, shop: Shop, recipe: Path, project: Path) -> None:
    assert cli("apply", "there-is-none.plan").exit_code == 2
    (project / "x.plan").write_text("{}")
    result = cli("apply", "x.plan")
    assert (result.exit_code, "is no plan, or a damaged one" in result.stderr) == (2, True)
    pulled = cli("plan", "customers", "--out", "y.plan")
    assert (pulled.exit_code, "cannot be applied, only synced" in pulled.stderr) == (2, True)
    assert not (project / "y.plan").exists()


def test_a_dry_run_of_a_table_shows_the_first_rows(cli: Cli, shop: Shop, recipe: Path, project: Path) -> None:
    result = cli("sync", "customers", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "customers: dry run: " in result.stderr
    assert "nothing was sent or written" in result.stderr
    assert result.stdout.splitlines()[0].split()[:2] == ["id", "name"]
    assert not (project / "data").exists()
    assert json.loads(cli("sync", "customers", "--dry-run", "--json").stdout)["event"] == "dry_run"
