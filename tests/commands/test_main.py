"""The command line as a whole: quick to start, complete in its help, and clear when it is used wrongly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands.conftest import Cli
from commands.shop import Shop
from connectory.commands.main import COMMANDS

HEAVY = {"urllib3", "jinja2", "duckdb", "pyarrow", "rich", "cattrs"}

SAY_MODULES = """\
import json, sys
from connectory.commands.main import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def python(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": path, **(env or {})}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    ended = python("-c", SAY_MODULES, *words)
    assert ended.returncode == 0
    assert not HEAVY & set(json.loads(ended.stderr.splitlines()[-1]))


def test_help_lists_every_command_that_there_is(cli: Cli) -> None:
    text = cli("--help").stdout
    for name, about in COMMANDS.items():
        assert f"  {name} " in text
        assert about.split()[0] in text
    assert "75 stopped for a limit" in text


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_each_command_has_real_examples(cli: Cli, name: str) -> None:
    result = cli(name, "--help")
    assert result.exit_code == 0
    assert f"connectory {name}" in result.stdout.partition("Examples:")[2]


def test_a_misspelt_command_or_option_is_answered_with_the_right_one(cli: Cli) -> None:
    wrong = cli("shwo", "x")
    assert (wrong.exit_code, "did you mean 'show'?" in wrong.stderr) == (2, True)
    option = cli("call", "x", "y", "--limt", "3")
    assert (option.exit_code, "--limit" in option.stderr) == (2, True)


def test_a_project_elsewhere_is_named_by_an_option(
    cli: Cli, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert "shop" not in cli("list").stdout
    assert "shop" in cli("--project", str(tmp_path), "list").stdout
    assert cli("--project", str(tmp_path), "call", "shop", "customers.get", "id=1").exit_code == 0


def test_warnings_are_single_lines_each_told_once(cli: Cli, shop: Shop) -> None:
    for customer in shop.customers:
        customer["joined"] = "yesterday"
    result = cli("call", "shop", "customers.list", "--to", "c.parquet")
    assert result.exit_code == 0
    assert len([line for line in result.stderr.splitlines() if line.startswith("warning: ")]) == 1
    assert "UserWarning" not in result.stderr


def completions(words: str, cwd: Path) -> set[str]:
    """What bash is offered for a line that ends in its last word."""
    parts = words.split(" ")
    environment = {"_CONNECTORY_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(parts) - 1)}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    code = "from connectory.commands.main import main; main(prog_name='connectory')"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    assert ended.stderr == ""
    return {line.partition(",")[2] for line in ended.stdout.splitlines() if line}


def test_the_shell_completes_commands_vendors_operations_and_arguments(project: Path) -> None:
    assert completions("connectory c", project) == {"call", "check", "coverage"}
    assert completions("connectory call sh", project) == {"shop"}
    assert completions("connectory call shop customers.", project) == {
        "customers.list", "customers.get", "customers.create", "customers.replace", "customers.delete",
    }  # fmt: skip
    assert completions("connectory show shop hou", project) == {"hours.get"}
    assert {"since=", "status=active", "status=closed", "vip=true"} <= completions(
        "connectory call shop customers.list ", project
    )
    assert completions("connectory call shp customers.list ", project) == set()


def test_a_broken_spec_keeps_completion_silent(project: Path) -> None:
    (project / "specs" / "shop.yaml").write_text("name: shop\nservres: {}\n")
    assert completions("connectory call shop cust", project) == set()
