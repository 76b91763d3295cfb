"""`connectory check`: every fault of specs, recipes and plug-ins at once, each with its place."""

from __future__ import annotations

import re
from pathlib import Path

from commands.conftest import Cli
from commands.shop import SPEC

RECIPE = """\
name: customers
from: {connector: shop, operation: customers.list, with: {status: active}}
to: {duckdb: data/shop.duckdb, table: customers, key: id, mode: merge}
"""


def fill(project: Path, **files: str) -> None:
    for name, text in files.items():
        path = project / name.replace("__", "/").replace("_yaml", ".yaml").replace("_py", ".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_a_project_without_faults(cli: Cli, project: Path) -> None:
    fill(project, recipes__customers_yaml=RECIPE, connectors__shout_py="from connectory import hookimpl\n")
    result = cli("check")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 spec, 1 recipe, 1 plug-in: 0 faults" in result.stderr


def test_all_faults_of_all_files_come_at_once(cli: Cli, project: Path) -> None:
    fill(
        project,
        specs__shop_yaml=SPEC.replace("pages: numbered", "pages: numbred").replace(
            "detail: {operation: customers.get", "detail: {operation: customers.gett"
        ),
        specs__other_yaml="name: other\nservers: {production: https://x.example}\noperations: {a.list: {gt: /a}}\n",
        recipes__customers_yaml=RECIPE.replace("customers.list", "customer.list"),
        recipes__bad_yaml=RECIPE.replace("mode:", "mod:").replace("table:", "tabel:"),
        connectors__broken_py="import nothing_of_that_name\n",
        connectors__wrong_py="def half(:\n",
    )
    result = cli("check")
    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    assert all(re.match(r"\S+\.(yaml|py):\d+:\d+ ?\S*: ", line) for line in lines), lines
    for words in (
        "did you mean 'numbered'?", "did you mean 'customers.get'?", "unknown key 'gt'", "did you mean 'mode'?",
        "did you mean 'table'?", "nothing_of_that_name", "wrong.py:1:10",
    ):  # fmt: skip
        assert any(words in line for line in lines), words
    assert f": {len(lines)} faults" in result.stderr


def test_a_recipe_is_checked_against_its_vendor(cli: Cli, project: Path) -> None:
    wrong = {
        RECIPE.replace(
            "customers.list", "customer.list"
        ): "2:36 /from/operation: shop: no operation 'customer.list'; did you mean",
        RECIPE.replace(
            "connector: shop", "connector: shp"
        ): "2:19 /from/connector: no connector 'shp'; did you mean 'shop'?",
        RECIPE.replace("status: active", "stauts: active"): "did you mean 'status'?",
        RECIPE.replace("customers.list", "customers.get").replace(", with: {status: active}", ""): "is no list",
    }
    for text, message in wrong.items():
        fill(project, recipes__customers_yaml=text)
        result = cli("check", "recipes/customers.yaml")
        assert (result.exit_code, message in result.stdout) == (2, True), result.stdout


def test_paths_may_be_files_or_folders(cli: Cli, project: Path, tmp_path: Path) -> None:
    fill(project, recipes__customers_yaml=RECIPE)
    assert "1 spec: 0 faults" in cli("check", "specs/shop.yaml").stderr
    assert "1 spec: 0 faults" in cli("check", "specs").stderr
    assert "1 spec, 1 recipe: 0 faults" in cli("check", str(tmp_path)).stderr
    assert cli("check", "nowhere.yaml").exit_code == 2
    (tmp_path / "notes.txt").write_text("x")
    assert "expected a spec or recipe" in cli("check", "notes.txt").stderr


def test_a_file_is_checked_with_the_plugins_of_its_own_project(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "elsewhere"
    (home / "specs").mkdir(parents=True)
    (home / "connectors").mkdir()
    (home / "connectors" / "shout.py").write_text(
        "from connectory import hookimpl\n\n\n@hookimpl\ndef connectory_filters():\n    return {'shout': str.upper}\n"
    )
    (home / "specs" / "loud.yaml").write_text(
        "name: loud\nsettings: {who: str!}\nservers: {production: 'https://{{ who | shout }}.example'}\n"
        "operations: {a.list: {get: /a, records: .}}\n"
    )
    assert cli("check", str(home / "specs" / "loud.yaml")).exit_code == 0


def test_a_misspelt_hook_is_a_fault(cli: Cli, project: Path) -> None:
    fill(
        project,
        connectors__typo_py="from connectory import hookimpl\n\n\n@hookimpl\ndef connectory_filtres(): return {}\n",
    )
    result = cli("check", "connectors/typo.py")
    assert result.exit_code == 2
    assert "connectory_filters" in result.stdout


def test_without_a_project_the_installed_specs_are_checked(cli: Cli) -> None:
    result = cli("check")
    assert re.search(r"\d+ specs: \d+ fault", result.stderr)


def test_operations_without_an_example_are_named(cli: Cli, project: Path) -> None:
    fill(project, specs__shop_yaml=SPEC.replace("    examples: [{answer: always}]\n", ""))
    result = cli("check")
    assert result.exit_code == 0
    assert "no example says what these answer: hours.get" in result.stderr


def test_a_recipe_that_makes_its_records_anew_each_time_is_told_of(cli: Cli, project: Path) -> None:
    (project / "recipes").mkdir()
    (project / "rows.jsonl").write_text('{"name": "a"}\n')
    recipe = project / "recipes" / "new.yaml"
    recipe.write_text("name: new\nfrom: {files: rows.jsonl}\nto: {connector: shop, operation: customers.create}\n")
    told = "makes a record of each row that is sent, and every run sends all rows"
    assert told in cli("check").stderr
    recipe.write_text(
        recipe.read_text().replace("customers.create}", "customers.create, key: name, mode: create_only}")
    )
    assert told not in cli("check").stderr


def test_two_recipes_of_one_name_are_a_fault_of_both(cli: Cli, project: Path) -> None:
    fill(project, recipes__customers_yaml=RECIPE, recipes__copy_yaml=RECIPE.replace("data/", ""))
    result = cli("check")
    assert result.exit_code == 2
    for file, other in (("copy", "customers"), ("customers", "copy")):
        assert re.search(rf"{file}.yaml:1:7 /name: 'customers' is the name of .*{other}.yaml as well", result.stdout)
    assert cli("sync", "recipes/copy.yaml").exit_code == 2
    assert cli("plan", "recipes/copy.yaml").exit_code == 2
