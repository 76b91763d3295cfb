"""docs/reliability.md promises nothing that no test shows: each row has a promise, and its tests are collected."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reliability import COLLECTED, ROOT, Row, names_of, read_rows

pytestmark = pytest.mark.skipif(
    not (ROOT / "core" / "connectory").is_dir(), reason="an installed package is tested, not a checkout"
)

SECTIONS = ["The vendor's side", "Our side", "Bad input", "Secrets", "Load", "Supply and installation"]


def test_every_row_has_a_promise_and_a_test() -> None:
    rows = list(read_rows())
    assert list(dict.fromkeys(row.section for row in rows)) == SECTIONS
    faults = [(row.section, row.fault) for row in rows]
    assert not [f"line {row.line}: {row.fault}" for row in rows if not (row.fault and row.promise and row.tests)]
    assert not [f"line {row.line}: {row.unread}" for row in rows if row.unread]
    assert not {fault for fault in faults if faults.count(fault) > 1}


def test_every_test_that_a_row_names_is_collected(request: pytest.FixtureRequest) -> None:
    named = [(row, test) for row in read_rows() for test in row.tests]
    collected: frozenset[str] = request.config.stash[COLLECTED]
    missing = without(named, collected)  # none in a run of everything: then nothing is collected again
    if missing:
        files = {test.partition("::")[0] for _, test in missing}
        missing = without(missing, collect(sorted(file for file in files if Path(ROOT, file).is_file())))
    assert not [f"line {row.line}: {row.fault}: no test {test}" for row, test in missing]


def without(named: list[tuple[Row, str]], collected: frozenset[str]) -> list[tuple[Row, str]]:
    return [(row, test) for row, test in named if test not in collected]


def collect(files: list[str]) -> frozenset[str]:
    """The names of all tests in these files, those under markers too."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return frozenset(name for line in done.stdout.splitlines() if "::" in line for name in names_of(line))
