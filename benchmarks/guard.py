"""Short forms of some rows, in one process and by CPU time alone: `python -m benchmarks.guard`, part of the tests.

Each is the ratio of our best round to the best by hand, beside the one that benchmarks/guard.json keeps from a quiet
machine. It fails above 1.8 times that, so a doubling is caught; a noisy machine costs rounds, not a failure: it goes on
until the best rounds are good, or so many are done that chance is no excuse. `--write` keeps what is measured now.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs
import yaml

from benchmarks.measuring import HERE, settings, vendor
from benchmarks.pushing import write_purchases
from benchmarks.starting import large_spec

KEPT: Final = HERE / "guard.json"
MARGIN: Final = 1.8
FEWEST, KEPT_FROM, MOST = 3, 7, 25  # rounds
RECORDS: Final = 10_000
CALLS: Final = 400
OPERATIONS: Final = 50

Way = Callable[[], object]


@attrs.frozen
class Pair:
    """The same work both ways, in the folder of a project."""

    mine: Way
    other: Way


def _script(file: Path, *words: str) -> None:
    before, sys.argv = sys.argv, [str(file), *words]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(file), run_name="__main__")
    finally:
        sys.argv = before


def _hand(name: str, *words: str) -> Way:
    return lambda: _script(HERE / "hand" / f"{name}.py", *words)


def _sync(recipe: str) -> Way:
    from connectory.commands.main import main

    def run() -> None:
        shutil.rmtree("data", ignore_errors=True)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            main(["sync", recipe], standalone_mode=False)

    return run


def _load(file: Path) -> Way:
    """Changed each time, since what was read before is not read again."""
    from connectory.plugins.registry import load_registry
    from connectory.spec.load import load_spec

    text = large_spec(OPERATIONS)

    def run() -> None:
        file.write_text(f"{text}# {time.monotonic_ns()}\n")
        assert load_spec(load_registry(Path.cwd()), "large").spec.operations

    return run


def pairs(address: str) -> Mapping[str, Pair]:
    """What is watched. The server's address is that of benchmarks/server.py."""
    base, number = f"{address}/{RECORDS}/0", str(CALLS)
    spec = Path("specs/large.yaml")
    return {
        "jsonl": Pair(_sync("jsonl"), _hand("to_jsonl", base, "records.jsonl")),
        "12traits": Pair(_sync("12traits"), _hand("to_12traits", base, "purchases.parquet")),
        "calls": Pair(lambda: _script(Path("calls.py"), "bench", number), _hand("calls", base, number)),
        "calls-limited": Pair(lambda: _script(Path("calls.py"), "limited", number), _hand("calls", base, number)),
        "spec": Pair(_load(spec), lambda: yaml.load(spec.read_bytes(), yaml.CSafeLoader)),
    }


def _cpu(way: Way) -> float:
    """Of this whole process, its threads included."""
    before = time.process_time()
    way()
    return time.process_time() - before


def measure(watched: Mapping[str, Pair], most: Mapping[str, float]) -> dict[str, float]:
    """The ratio of the best rounds of each; those above `most` are tried longer."""
    ratios = {}
    for name, pair in watched.items():
        best = [float("inf"), float("inf")]
        for number in range(MOST):
            best = [min(best[0], _cpu(pair.mine)), min(best[1], _cpu(pair.other))]
            enough = best[0] / best[1] <= most[name] if most else number + 1 >= KEPT_FROM
            if number + 1 >= FEWEST and enough:
                break
        ratios[name] = best[0] / best[1]
    return ratios


@contextlib.contextmanager
def project(address: str) -> Iterator[None]:
    """A copy of benchmarks/project as working folder, with settings and places of its own."""
    before = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="connectory-guard-") as folder:
        place = shutil.copytree(HERE / "project", Path(folder, "project"))
        os.chdir(place)
        write_purchases(place / "purchases.parquet", RECORDS)
        for connector in ("bench", "limited", "12traits"):
            os.environ |= settings(f"{address}/{RECORDS}/0", connector)
        os.environ |= {"HOME": folder} | {f"XDG_{name}_HOME": f"{folder}/{name}" for name in ("STATE", "CACHE")}
        try:
            yield
        finally:
            os.chdir(before[0])
            os.environ.clear()
            os.environ.update(before[1])


def main(*words: str) -> int:
    """0 unless something takes so much more than it did."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    most = {} if "--write" in words else {name: ratio * MARGIN for name, ratio in kept.items()}
    with vendor() as address, project(address):
        ratios = measure(pairs(address), most)
    for name, ratio in ratios.items():
        bound = f", at most {most[name]:.2f}" if most else ""
        print(f"{name}: {ratio:.2f} x the CPU of what is written by hand{bound}")
    if "--write" in words:
        KEPT.write_text(json.dumps({name: round(ratio, 2) for name, ratio in ratios.items()}, indent=1) + "\n")
        return 0
    return int(any(ratio > most[name] for name, ratio in ratios.items()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
