"""`connectory new`: files to start from, right as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.conftest import Cli
from commands.shop import Shop


def test_a_new_connector_passes_the_check_and_is_there_at_once(cli: Cli, tmp_path: Path) -> None:
    made = cli("new", "connector", "acme")
    assert made.exit_code == 0, made.output
    spec = (tmp_path / "specs" / "acme.yaml").read_text()
    assert spec.splitlines()[0] == "# yaml-language-server: $schema=connectory.schema.json"
    assert "CONNECTORY_ACME_API_KEY" in spec
    assert (tmp_path / "specs" / "connectory.schema.json").is_file()
    checked = cli("check")
    assert (checked.exit_code, checked.stdout) == (0, "")
    assert "1 spec: 0 faults" in checked.stderr
    assert "bearer key; page number, 100 records a page" in cli("list").stdout
    assert "GET https://api.example.com/v1/customers" in cli("show", "acme", "customers.list").stdout


def test_a_new_connector_can_be_called(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    assert cli("new", "connector", "acme").exit_code == 0
    result = cli(
        "call", "acme", "customers.list", env={"CONNECTORY_ACME_SERVER": shop.url, "CONNECTORY_ACME_API_KEY": "none"}
    )
    assert result.exit_code == 1
    assert "refuses the credentials" in result.stderr
    assert shop.requests()[0].header("Authorization") == "Bearer none"


def test_a_new_recipe_passes_the_check(cli: Cli, project: Path) -> None:
    made = cli("new", "recipe", "all-customers", "shop", "customers.list")
    assert made.exit_code == 0, made.output
    text = (project / "recipes" / "all-customers.yaml").read_text()
    assert "table: all_customers, key: id, mode: merge" in text
    assert text.startswith("# yaml-language-server: $schema=")
    checked = cli("check", "recipes")
    assert (checked.exit_code, checked.stdout) == (0, ""), checked.output


def test_a_project_begins_where_there_was_none(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("new", "connector", "acme").exit_code == 0
    assert (tmp_path / "connectory.toml").is_file()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    assert "acme" in cli("list").stdout
    assert cli("new", "connector", "other").exit_code == 0
    assert (tmp_path / "specs" / "other.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["connector", "Acme"], "is no name"),
        (["connector", "../acme"], "is no name"),
        (["connector", "shop"], "exists already"),
        (["recipe", "r", "shp", "customers.list"], "did you mean 'shop'?"),
        (["recipe", "r", "shop", "customer.list"], "did you mean 'customers.list'?"),
        (
            ["recipe", "r", "shop", "customers.get"],
            "is no list; a recipe reads one of customers.list, orders.of_customer",
        ),
    ],
)
def test_what_cannot_be_made_is_said_and_nothing_is_written(
    cli: Cli, project: Path, words: list[str], message: str
) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    result = cli("new", *words)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
