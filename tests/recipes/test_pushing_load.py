"""A million rows to a vendor: full calls, and no more memory than a hundred thousand need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recipes.pusher import FEEDS

PUSHER = Path(__file__).with_name("pusher.py")
KEY = "key-of-a-dashboard"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}


@contextmanager
def vendor() -> Iterator[str]:
    """12traits as a process of its own, which counts and keeps nothing."""
    command = [sys.executable, "-m", "emulators.twelvetraits", "--while-stdin"]
    command += ["--set", "keep_items=false", "--set", "keep_bodies=false"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.communicate()


def pushed(root: Path, url: str, count: int) -> dict[str, Any]:
    (root / "recipes").mkdir(parents=True)
    (root / "recipes" / "r.yaml").write_text(f"name: r\nfrom: {{stdin: jsonl}}\nto: {FEEDS['logins']}\n")
    command = [sys.executable, str(PUSHER), "logins", str(root), url, KEY, str(count)]
    subprocess.run(command, input="go\n", text=True, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    told: dict[str, Any] = json.loads((root / "report.json").read_text())
    return told


@pytest.mark.load
@pytest.mark.timeout(900)
def test_a_million_rows_go_in_full_calls_with_flat_memory(tmp_path: Path) -> None:
    with vendor() as url:
        few, many = (pushed(tmp_path / str(count), url, count) for count in (100_000, 1_000_000))
    assert (many["counts"]["delivered"], many["calls"], many["code"]) == (1_000_000, 1000, 0), many
    assert many["peak"] - few["peak"] < 15, "MiB"
    journal = tmp_path / "1000000" / ".connectory" / "journals" / "r.sqlite"
    assert journal.stat().st_size < 2_000_000, "nothing is kept of rows that were taken"
    print(f"{1_000_000 / many['took']:,.0f} rows/s, peak {many['peak']} MiB ({few['peak']} MiB for a tenth)")
