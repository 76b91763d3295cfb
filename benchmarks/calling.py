"""Single calls, and what limits let through."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Final
from urllib.request import urlopen

import attrs

from benchmarks.measuring import (
    CONNECTORY,
    ROOT,
    Program,
    Result,
    Row,
    Spread,
    Stage,
    Undone,
    alternate,
    by_hand,
    ours,
    settings,
)

CALLS: Final = 100_000
SPEED: Final = 10  # of the quick clock
MINUTES: Final = 3
A_MINUTE: Final = 100
PROCESSES: Final = 4
CASSETTES: Final = ROOT / "cassettes"
ONE_LINER: Final = "import sys, urllib3; print(urllib3.request('GET', sys.argv[1]).json())"


def _calls(stage: Stage, spec: str) -> Result:
    number, base = str(stage.size(CALLS)), stage.base(0)
    return alternate(
        stage,
        Program(ours("calls", spec, number), environment=settings(base, spec)),
        Program(by_hand("calls", base, number)),
    )


def calls(stage: Stage) -> Result:
    return _calls(stage, "bench")


def calls_limited(stage: Stage) -> Result:
    return _calls(stage, "limited")


def limits_spent(stage: Stage) -> Result:
    """How much of what a limit allows several processes use, while the server refuses none."""
    return Result(Spread.of([_spend(stage) for _ in range(stage.rounds)]))


def _spend(stage: Stage) -> float:
    folder = stage.new_folder()
    start = time.time() + 3  # all have begun by then
    base = f"{stage.base(0)}/limited/{start!r}/{SPEED}"
    command = ours("spend", repr(start), str(SPEED), str(MINUTES))
    environment = {**os.environ, **stage.own_places(), **settings(base, "scarce")}
    running = [subprocess.Popen(command, cwd=folder, env=environment) for _ in range(PROCESSES)]
    if any([process.wait() for process in running]):
        raise Undone("a process that spends the limit ended with an error")
    with urlopen(f"{base}/spent") as answer:
        spent = json.load(answer)
    if spent["refused"]:
        raise Undone(f"the server refused {spent['refused']} calls beyond its limit")
    return float(spent["accepted"]) / (A_MINUTE * MINUTES)


def one_call(stage: Stage) -> Result:
    base = stage.base(0)
    return alternate(
        attrs.evolve(stage, rounds=stage.rounds * 3),
        Program([*CONNECTORY, "call", "bench", "things.get", "id=7"], environment=settings(base)),
        Program([sys.executable, "-c", ONE_LINER, f"{base}/things/7"]),
        "wall",
    )


def replayed(stage: Stage) -> Result:
    """Recorded conversations of the shipped vendors, compared strictly; the others are only sent."""
    files = [str(file) for file in sorted(CASSETTES.rglob("*.yaml"))]
    result = alternate(
        stage,
        Program(ours("replay", str(CASSETTES)), speaks=True),
        Program(by_hand("replay", *files), speaks=True),
    )
    return attrs.evolve(
        result,
        points={f"exchanges a second, {name}": side["a second"].median for name, side in result.sides.items()},
    )


ROWS = [
    Row(
        "calls",
        "single calls from Python",
        "100,000 Python calls of one small operation on one connection, vendor without limits",
        "urllib3 request + orjson.loads",
        1.5,
        calls,
    ),
    Row(
        "calls-limited",
        "the same within limits",
        "the same with limits, shared with other processes",
        "urllib3 request + orjson.loads, without limits",
        2,
        calls_limited,
    ),
    Row(
        "limits-spent",
        "calls that a limit allows",
        f"100 calls a minute for 3 minutes on a clock {SPEED} times as fast, 4 processes, none refused",
        "what the limit allows",
        0.99,
        limits_spent,
        measure="calls",
        least=True,
    ),
    Row(
        "call",
        "`connectory call`",
        "`connectory call` on loopback, one request",
        "a one-liner with urllib3",
        3,
        one_call,
        measure="wall",
    ),
    Row(
        "replay",
        "replay of recordings",
        "recorded conversations of the shipped vendors replayed and compared strictly",
        "the same requests by urllib3 and vcrpy, not compared",
        2,
        replayed,
    ),
]
