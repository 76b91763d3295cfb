"""Lists of a vendor into a destination."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measuring import CONNECTORY, HERE, Check, Program, Result, Row, Stage, alternate

RECORDS = 200_000


def settings(base: str) -> dict[str, str]:
    """Of the connector `bench`, as the environment gives them."""
    return {"CONNECTORY_BENCH_KEY": "secret", "CONNECTORY_BENCH_SERVER": base}


def by_hand(name: str, *words: str) -> list[str]:
    """The words that run a program of benchmarks/hand."""
    return [sys.executable, str(HERE / "hand" / f"{name}.py"), *words]


def holds_lines(file: str, number: int) -> Check:
    def check(folder: Path) -> bool:
        with (folder / file).open("rb") as lines:
            return sum(1 for _ in lines) == number

    return check


def to_json_lines(stage: Stage) -> Result:
    records = stage.size(RECORDS)
    base = stage.base(records)
    return alternate(
        stage,
        Program([*CONNECTORY, "sync", "jsonl"], holds_lines("data/records.jsonl", records), settings(base)),
        Program(by_hand("jsonl", base, "records.jsonl"), holds_lines("records.jsonl", records)),
    )


ROWS = [
    Row(
        "jsonl",
        "list to JSON lines",
        "200,000 records, 400 pages, token exchange, to JSON lines",
        "urllib3 + orjson",
        1.3,
        to_json_lines,
    ),
]
