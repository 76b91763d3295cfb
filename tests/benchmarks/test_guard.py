"""What the engine costs beside programs written by hand has not doubled; by CPU time, never by the wall's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.timeout(300)
def test_nothing_takes_twice_the_cpu_that_it_took() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.guard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nsee benchmarks/guard.py"
