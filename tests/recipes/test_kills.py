"""Pulls killed at random moments (SIGKILL) and started again: in the end the table is what the vendor has."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from emulators.twelvetwenty import TwelveTwenty
from recipes.conftest import shrink

STUDENTS = """
name: r
from: {connector: 12twenty, operation: students.list, complete: true, settings: {school: hilltop}}
to: {PLACE, table: students, key: Id, mode: MODE}
"""
CHILD = """
import sys
from connectory.recipes.sync import run_recipe
report = run_recipe(sys.argv[1], settings={"server": sys.argv[2], "api_key": sys.argv[3]})
if report.error:
    raise report.error
print(report.accounts)
"""


def child(project: Path, school: TwelveTwenty) -> subprocess.Popen[bytes]:
    """A start of the recipe in a process of its own, its tokens and ledgers kept below the project."""
    environ = {**os.environ, **{f"XDG_{kind}_HOME": str(project / kind) for kind in ("STATE", "CACHE", "CONFIG")}}
    arguments = [str(project / "recipes" / "r.yaml"), school.url, school.api_key]
    command = [sys.executable, "-c", CHILD, *arguments]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def kill_after(process: subprocess.Popen[bytes], school: TwelveTwenty, requests: int, pause: float) -> bool:
    """Kill it some moments after so many requests more; False where it ended before."""
    goal = len(school.exchanges) + requests
    while len(school.exchanges) < goal:
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def rows_of(kind: str, place: str) -> list[tuple[Any, ...]]:
    if kind == "postgres":
        with psycopg.connect(place) as server:
            return server.execute('select "Id", "FullName" from students').fetchall()
    with duckdb.connect(place, read_only=True) as file:
        return file.execute("select Id, FullName from students").fetchall()


MANY = [pytest.mark.kills, pytest.mark.timeout(1500)]


@pytest.mark.parametrize(
    ("kills", "students", "kind", "mode"),
    [
        (5, 120, "duckdb", "append"),
        pytest.param(70, 1200, "duckdb", "append", marks=MANY),
        pytest.param(60, 1200, "duckdb", "replace", marks=MANY),
        pytest.param(70, 1200, "postgres", "append", marks=MANY),
    ],
)
def test_a_killed_pull_goes_on_and_reads_no_page_needlessly(
    project: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    kills: int,
    students: int,
    kind: str,
    mode: str,
) -> None:
    place = request.getfixturevalue("database") if kind == "postgres" else str(project / "x.duckdb")
    monkeypatch.setenv("KILLED_TABLE", place)
    to = "env:KILLED_TABLE" if kind == "postgres" else "x.duckdb"
    # The slot of a killed process's request is free again only after minutes, so there are no slots here.
    limits = ("concurrent: 3, advised: 1, rate: 5000/day", "rate: 50000/day")
    shrink(project, "12twenty", page=("largest: 500", "largest: 50"), limits=limits)
    (project / "recipes" / "r.yaml").write_text(STUDENTS.replace("MODE", mode).replace("PLACE", f"{kind}: '{to}'"))
    dice = random.Random(kills)
    killed = 0
    with TwelveTwenty(students=students, other_students=0, per_day=50_000) as school:
        while killed < kills:
            with child(project, school) as process:
                if not kill_after(process, school, dice.randint(1, 2 * students // kills), dice.random() * 0.03):
                    break
            killed += 1
        with child(project, school) as process:
            out, err = process.communicate()
        assert out.decode().strip() == f"{students:,} read = {students:,} delivered", err.decode()
        pages = Counter(str(exchange.query) for exchange in school.requests("students$"))
        details = Counter(exchange.path for exchange in school.requests(r"students/\d+$"))
    assert killed >= kills * 0.8
    rows = rows_of(kind, place)
    assert len(rows) == students
    assert dict(rows) == {id: row["FullName"] for id, row in school.tables["students"].items()}
    assert school.refusals == {}
    assert sum(pages.values()) <= len(pages) + killed
    assert sum(details.values()) <= students + 50 * killed
