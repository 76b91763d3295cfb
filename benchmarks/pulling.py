"""Lists of a vendor into a destination."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

import attrs

from benchmarks import environments
from benchmarks.measuring import (
    CONNECTORY,
    Check,
    Program,
    Result,
    Row,
    Spread,
    Stage,
    alternate,
    by_hand,
    ours,
    settings,
    sides_of,
)
from benchmarks.postgres import postgres

RECORDS = 200_000
DELAY = 50  # milliseconds


def holds_lines(file: str, number: int) -> Check:
    def check(folder: Path) -> bool:
        with (folder / file).open("rb") as lines:
            return sum(1 for _ in lines) == number

    return check


def holds_rows(file: str, table: str, number: int) -> Check:
    def check(folder: Path) -> bool:
        import duckdb

        with closing(duckdb.connect(str(folder / file), read_only=True)) as connection:
            found = connection.execute(f"SELECT count(*), count(DISTINCT id) FROM {table}").fetchone()
        return bool(found == (number, number))

    return check


def sync(name: str, base: str, check: Check) -> Program:
    """Our recipe of this name."""
    return Program([*CONNECTORY, "sync", name], check, environment=settings(base))


def to_json_lines(stage: Stage) -> Result:
    records = stage.size(RECORDS)
    base = stage.base(records)
    return alternate(
        stage,
        sync("jsonl", base, holds_lines("data/records.jsonl", records)),
        Program(by_hand("to_jsonl", base, "records.jsonl"), holds_lines("records.jsonl", records)),
        peers=environments.to_json_lines(stage, base, records),
    )


def to_duckdb(stage: Stage) -> Result:
    records = stage.size(RECORDS)
    base = stage.base(records)
    return alternate(
        stage,
        sync("duckdb", base, holds_rows("data/out.duckdb", "records", records)),
        Program(by_hand("to_duckdb", base, "out.duckdb"), holds_rows("out.duckdb", "records", records)),
        peers=environments.to_duckdb(stage, base, records),
    )


def to_postgres(stage: Stage) -> Result:
    """The server's own CPU is not counted, for neither side."""
    import psycopg

    records = stage.size(RECORDS)
    base = stage.base(records)
    with postgres() as address, psycopg.connect(address, autocommit=True) as connection:

        def holds_all(folder: Path) -> bool:
            found = connection.execute("SELECT count(*), count(DISTINCT id) FROM records").fetchone()
            return found == (records, records)

        def empty(folder: Path) -> None:
            connection.execute("DROP TABLE IF EXISTS records")

        return alternate(
            stage,
            attrs.evolve(
                sync("postgres", base, holds_all),
                prepare=empty,
                environment={**settings(base), "BENCH_POSTGRES": address},
            ),
            Program(by_hand("to_postgres", base, address), holds_all, empty),
        )


def fan_out(stage: Stage) -> Result:
    records = stage.size(RECORDS)
    pages = records // 500
    program = Program(
        ours("fan_out", str(records)), environment=settings(stage.base(records, DELAY), "fanned"), speaks=True
    )
    rounds = [stage.run(program) for _ in range(stage.rounds)]
    ideal = pages * DELAY / 1000 / 3
    return Result(Spread.of([each["seconds"] / ideal for each in rounds]), {"ours": sides_of(rounds)})


def memory(stage: Stage) -> Result:
    sizes = (stage.size(RECORDS), stage.size(RECORDS * 10))
    small, large = (sync("jsonl", stage.base(size), holds_lines("data/records.jsonl", size)) for size in sizes)
    rounds = [(stage.run(large), stage.run(small)) for _ in range(stage.rounds)]
    sides = {f"{size:,}": sides_of(runs) for size, runs in zip(reversed(sizes), zip(*rounds, strict=True), strict=True)}
    return Result(Spread.of([many["peak"] / few["peak"] for many, few in rounds]), sides)


def change(stage: Stage) -> Result:
    records = stage.size(RECORDS)
    source = stage.folder / "records.duckdb"
    source.unlink(missing_ok=True)
    stage.run(
        Program(by_hand("to_duckdb", stage.base(records), str(source)), holds_rows(str(source), "records", records))
    )
    kept = records // 500 * sum(number % 3 > 0 for number in range(500))  # what is active, of each page

    def link(folder: Path) -> None:
        (folder / "records.duckdb").hardlink_to(source)

    return alternate(
        stage,
        attrs.evolve(sync("change", stage.base(records), holds_rows("data/out.duckdb", "changed", kept)), prepare=link),
        Program(by_hand("change", "records.duckdb", "out.duckdb"), holds_rows("out.duckdb", "changed", kept), link),
    )


def growth(stage: Stage) -> Result:
    """What one more record costs between the two largest sizes, beside what it costs between the two before."""
    sizes = [stage.size(10**power) // 500 * 500 for power in range(4, 8)]
    points = {}
    for size in sizes:
        program = sync("jsonl", stage.base(size), holds_lines("data/records.jsonl", size))
        points[size] = min(stage.run(program)["cpu"] for _ in range(3 if size < 10**6 else 1))
    costs = [(points[more] - points[less]) / (more - less) for less, more in itertools.pairwise(sizes)]
    return Result(Spread.of([costs[-1] / costs[-2]]), points={f"{size:,}": points[size] for size in sizes})


ROWS = [
    Row(
        "jsonl",
        "list to JSON lines",
        "200,000 records, 400 pages, token exchange, to JSON lines",
        "urllib3 + orjson",
        1.3,
        to_json_lines,
    ),
    Row(
        "duckdb",
        "list to DuckDB",
        "the same into a DuckDB table with typed columns",
        "urllib3 + orjson + `read_json` with types",
        1.3,
        to_duckdb,
    ),
    Row("postgres", "list to PostgreSQL", "the same into PostgreSQL", "urllib3 + orjson + `COPY`", 1.4, to_postgres),
    Row(
        "fan-out",
        "list of slow pages, 3 at once",
        "list of 400 pages, answers after 50 ms, 3 at once allowed, first request to last record",
        "pages × 50 ms / 3",
        1.05,
        fan_out,
        measure="wall",
    ),
    Row("change", "SQL change", "SQL change on 200,000 records, DuckDB to DuckDB", "DuckDB alone", 1.2, change),
    Row(
        "memory",
        "memory of ten times the records",
        "2,000,000 records to JSON lines",
        "200,000 records",
        1.2,
        memory,
        measure="peak memory",
    ),
]
GROWTH = [
    Row(
        "growth-records",
        "one more record of 10,000,000",
        "10,000 to 10,000,000 records to JSON lines: one more record above 1,000,000",
        "one more record below",
        1.25,
        growth,
    )
]
