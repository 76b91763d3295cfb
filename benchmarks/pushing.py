"""Rows to a vendor in batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from benchmarks.measuring import CONNECTORY, Program, Result, Row, Stage, alternate, by_hand, settings

ROWS_SENT: Final = 1_000_000
PLATFORMS: Final = ("ios", "android", "web")


def write_purchases(file: Path, number: int) -> None:
    """So many rows of 12traits' type Purchase, in row groups of a usual size."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(
            f"""
            COPY (
                SELECT TIMESTAMP '2026-05-01 00:00:07' + to_minutes(i % 40000) AS timestamp,
                    'player-' || i AS user_id, 'item-' || i % 977 AS item_id, 1 + i % 3 AS count,
                    (i % 5000) / 100 AS price, {list(PLATFORMS)}[1 + i % 3] AS platform
                FROM range({number}) AS numbers(i)
            ) TO '{file}' (FORMAT parquet)
            """
        )


def to_12traits(stage: Stage) -> Result:
    rows = stage.size(ROWS_SENT)
    source = stage.folder / "purchases.parquet"
    write_purchases(source, rows)
    base = stage.base(0)
    before = 0

    def link(folder: Path) -> None:
        nonlocal before
        before = _items(stage)
        (folder / "purchases.parquet").hardlink_to(source)

    def all_arrived(folder: Path) -> bool:
        return _items(stage) - before == rows

    return alternate(
        stage,
        Program([*CONNECTORY, "sync", "12traits"], all_arrived, link, settings(base, "12traits")),
        Program(by_hand("to_12traits", base, "purchases.parquet"), all_arrived, link),
    )


def _items(stage: Stage) -> int:
    """What the vendor has been sent so far."""
    with urlopen(f"{stage.address}/usage") as answer:
        return int(json.load(answer)["items"])


ROWS = [
    Row(
        "12traits",
        "Parquet to 12traits",
        "1,000,000 rows from Parquet to 12traits in 1,000s, items checked by type",
        "pyarrow + orjson + urllib3, unchecked",
        1.5,
        to_12traits,
    )
]
