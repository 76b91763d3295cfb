"""How much CPU `connectory --help` takes, as a multiple of `python -c pass`: run by `python benchmarks/startup.py`."""

from __future__ import annotations

import resource
import subprocess
import sys
from statistics import median

ROUNDS = 15


def cpu_seconds(*words: str) -> float:
    """CPU time of one run of this Python, in user and system together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def main() -> None:
    """Print the medians of alternated runs and their ratio."""
    cpu_seconds("-m", "connectory.commands.main", "--help")  # writes the byte code
    pairs = [
        (cpu_seconds("-m", "connectory.commands.main", "--help"), cpu_seconds("-c", "pass")) for _ in range(ROUNDS)
    ]
    ours, empty = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(a / b for a, b in pairs)
    print(f"connectory --help {ours * 1000:.1f} ms, python -c pass {empty * 1000:.1f} ms of CPU: {ratio:.1f} x")


if __name__ == "__main__":
    main()
