"""Run rows of the table: `python -m benchmarks` for all, `python -m benchmarks jsonl duckdb` for some."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import calling, pulling, pushing, starting
from benchmarks.environments import make_environments
from benchmarks.measuring import Row, Stage, Undone, ceiling, machine, vendor
from benchmarks.page import entry, lines, write

_BY_NAME = {row.name: row for rows in (pulling, pushing, calling, starting) for row in rows.ROWS}
ORDER = (
    "jsonl",
    "duckdb",
    "postgres",
    "12traits",
    "calls",
    "calls-limited",
    "fan-out",
    "limits-spent",
    "change",
    "memory",
    "help",
    "call",
    "spec",
    "size",
    "replay",
)
ROWS: list[Row] = [_BY_NAME[name] for name in ORDER]
GROWTH: list[Row] = [*pulling.GROWTH, *starting.GROWTH]


def main() -> int:
    """0 when every row was measured, whether or not its bar was met; 1 when a program did not do its work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = {row.name: row for row in [*ROWS, *GROWTH]}
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(known))
    parser.add_argument("--rounds", type=int, help="how often each side runs (7, or 3 where it must be quick)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, to see that it works")
    parser.add_argument("--growth", action="store_true", help="rows about growth, not those of the table")
    parser.add_argument("--peers", action="store_true", help="also airbyte-cdk, singer-sdk and dlt, installed for it")
    parser.add_argument("--write", action="store_true", help="put the rows measured into docs/performance.*")
    given = parser.parse_args()
    if wrong := [name for name in given.rows if name not in known]:
        parser.error(f"no row {', '.join(wrong)}; there are {', '.join(known)}")
    rows = [known[name] for name in given.rows] or (GROWTH if given.growth else ROWS)
    peers = make_environments() if given.peers else {}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="connectory-bench-") as folder, vendor() as address:
        stage = Stage(address, Path(folder), given.rounds or (3 if given.quick else 7), given.quick, peers)
        top = ceiling(address)
        print(f"the server alone: {top['pages_per_second']:.0f} pages a second, {top['megabytes_per_second']:.0f} MB/s")
        for row in rows:
            load = os.getloadavg()[0]
            try:
                result = row.run(stage)
            except Undone as error:
                print(f"{row.name}: {error}", file=sys.stderr)
                failed = 1
                continue
            measured = entry(row, result, stage.rounds, load)
            print(lines(measured), flush=True)
            if given.write and not given.quick:  # at once: a run that is ended keeps what it has
                write([measured], list(known), machine(), top)
    return failed


if __name__ == "__main__":
    sys.exit(main())
