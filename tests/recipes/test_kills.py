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

import pytest

from emulators.twelvetwenty import TwelveTwenty
from recipes.conftest import Query, shrink

STUDENTS = """
name: r
from: {connector: 12twenty, operation: students.list, complete: true, settings: {school: hilltop}}
to: {duckdb: x.duckdb, table: students, key: Id, mode: MODE}
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


@pytest.mark.parametrize(
    ("kills", "students", "mode"),
    [
        (5, 120, "append"),
        pytest.param(100, 1500, "append", marks=[pytest.mark.kills, pytest.mark.timeout(1500)]),
        pytest.param(100, 1500, "replace", marks=[pytest.mark.kills, pytest.mark.timeout(1500)]),
    ],
)
def test_a_killed_pull_goes_on_and_reads_no_page_needlessly(
    project: Path, query: Query, kills: int, students: int, mode: str
) -> None:
    # The slot of a killed process's request is free again only after minutes, so there are no slots here.
    limits = ("concurrent: 3, advised: 1, rate: 5000/day", "rate: 50000/day")
    shrink(project, "12twenty", page=("largest: 500", "largest: 50"), limits=limits)
    (project / "recipes" / "r.yaml").write_text(STUDENTS.replace("MODE", mode))
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
    assert query("select count(*), count(distinct Id) from students") == [(students, students)]
    names: dict[int, str] = dict(query("select Id, FullName from students"))
    assert names == {id: row["FullName"] for id, row in school.tables["students"].items()}
    assert school.refusals == {}
    assert sum(pages.values()) <= len(pages) + killed
    assert sum(details.values()) <= students + 50 * killed
