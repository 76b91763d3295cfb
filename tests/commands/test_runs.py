"""`connectory runs`: looking back, in words, as JSON and as tables; and what Ctrl-C, SIGTERM and kill -9 leave."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import duckdb
import pytest

from commands.conftest import Cli, Spawn
from commands.shop import Shop
from commands.test_sync import RECIPE


@pytest.fixture
def recipe(project: Path) -> Path:
    (project / "recipes").mkdir()
    (project / "connectory.toml").write_text("")
    (project / "recipes" / "customers.yaml").write_text(RECIPE)
    return project / "recipes" / "customers.yaml"


def test_runs_are_listed_the_newest_first_and_shown_whole(cli: Cli, shop: Shop, recipe: Path) -> None:
    assert cli("runs").stderr == "no run is recorded here\n"
    assert cli("sync", "customers").exit_code == 0
    shop.fail(times=99, status=403, match="/customers")
    assert cli("sync", "customers").exit_code == 1
    _, _, newest, oldest = cli("runs").stdout.splitlines()
    assert newest.split()[1:2] + newest.split()[7:8] == ["customers", "failed"]
    assert "done" in oldest
    shown = cli("runs", "show", oldest.split()[0][:8]).stdout
    assert "rows      7 read = 7 delivered" in shown
    assert "calls     3, 3 pages" in shown
    assert "limit     shop: " in shown or "limit" not in shown
    assert "refuses the credentials" in cli("runs", "show", newest.split()[0]).stdout
    missing = cli("runs", "show", "zzz")
    assert (missing.exit_code, "no run begins with 'zzz'" in missing.stderr) == (2, True)


def test_runs_as_json(cli: Cli, shop: Shop, recipe: Path) -> None:
    assert cli("sync", "customers").exit_code == 0
    (run,) = json.loads(cli("runs", "--json").stdout)
    assert (run["recipe"], run["ending"], run["read"], run["rows"]) == ("customers", "done", 7, {"delivered": 7})
    assert run["started"].endswith("Z")
    shown = json.loads(cli("runs", "show", run["run"], "--json").stdout)
    assert (shown["run"], shown["problems"], len(shown["starts"])) == (run["run"], [], 1)


def test_runs_as_tables(cli: Cli, shop: Shop, recipe: Path, project: Path) -> None:
    assert cli("sync", "customers").exit_code == 0
    shop.customers.append({"id": None, "name": "Nobody"})
    assert cli("sync", "customers").exit_code == 3
    result = cli("runs", "--to", "runs.duckdb")
    assert result.exit_code == 0
    assert "2 runs, 2 starts" in result.stderr
    with duckdb.connect(str(project / "runs.duckdb"), read_only=True) as db:
        assert db.execute("select recipe, exit, read, delivered, invalid from runs order by started").fetchall() == [
            ("customers", 0, 7, 7, 0),
            ("customers", 3, 8, 0, 1),
        ]
        (problem,) = db.execute("select recipe, word, field, row->>'name', repeatable from problems").fetchall()
        assert problem == ("customers", "invalid", "id", "Nobody", True)
    assert "invalid: " in cli("runs", "show", json.loads(cli("runs", "--json").stdout)[0]["run"]).stdout


@pytest.mark.parametrize(
    ("number", "code", "ending"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "interrupted")]
)
def test_a_signal_ends_a_sync_in_order_or_soon_and_it_is_recorded(
    cli: Cli, spawn: Spawn, shop: Shop, recipe: Path, number: signal.Signals, code: int, ending: str
) -> None:
    with shop.hold("customers"):
        process = spawn("sync", "customers")
        shop.wait_in_flight(1, timeout=40)
        process.send_signal(number)
        assert process.wait(20) == code
    (run,) = json.loads(cli("runs", "--json").stdout)
    assert (run["ending"], run["exit"]) == (ending, code)


def test_a_killed_sync_keeps_others_away_while_it_runs_and_shows_as_killed(
    cli: Cli, spawn: Spawn, shop: Shop, recipe: Path
) -> None:
    with shop.hold("customers"):
        process = spawn("sync", "customers")
        shop.wait_in_flight(1, timeout=40)
        busy = cli("sync", "customers")
        assert busy.exit_code == 1
        assert f"another run of this recipe is under way: process {process.pid} on " in busy.stderr
        assert json.loads(cli("runs", "--json").stdout)[0]["ending"] == "running"
        process.kill()
        process.wait()
    assert json.loads(cli("runs", "--json").stdout)[0]["ending"] == "killed"


def test_events_for_programs(cli: Cli, shop: Shop, recipe: Path) -> None:
    shop.customers.append({"id": None, "name": "Nobody"})
    result = cli("sync", "customers", "--json")
    assert result.exit_code == 3
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events if event["event"] != "progress"] == [
        "run_started",
        "problem",
        "run_ended",
    ]
    assert {event["recipe"] for event in events} == {"customers"}
    assert len({event["run"] for event in events}) == 1
    ended = events[-1]
    assert (ended["exit"], ended["read"], ended["rows"], ended["calls"]) == (3, 8, {"delivered": 7, "invalid": 1}, 3)
    assert "Nobody" not in result.stdout
    (refused,) = [
        json.loads(line)
        for line in cli("sync", "customers", "--json", env={"CONNECTORY_SHOP_API_KEY": None}).stdout.splitlines()
    ]
    assert (refused["event"], refused["exit"]) == ("not_started", 2)


def test_quiet_says_nothing_unless_something_went_wrong(cli: Cli, shop: Shop, recipe: Path) -> None:
    assert cli("sync", "customers", "--quiet").output == ""
    shop.customers.append({"id": None, "name": "Nobody"})
    assert "1 invalid" in cli("sync", "customers", "-q").stderr


def test_a_time_of_day_that_is_none_is_refused(cli: Cli, shop: Shop, recipe: Path) -> None:
    result = cli("sync", "customers", "--until", "soon")
    assert (result.exit_code, "write it as 06:00" in result.stderr) == (2, True)
    assert shop.requests() == []
