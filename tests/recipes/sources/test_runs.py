"""Recipes of sources that are no vendor, run as a user runs them: every row once, also over a run that broke off."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectory.errors import ConnectoryError
from connectory.recipes.source import Chunk, Position, fit_chunks
from connectory.recipes.sync import Report
from connectory.values.shapes import Record

Run = Callable[..., Report]


def ask(tmp_path: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(tmp_path / "out.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_files_changed_and_joined_arrive_in_a_table_and_rows_are_counted_before_and_after(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("id,zip,amount,cc\n1,0123,1.50,nl\n2,9999,2,de\n3,0001,50,nl\n")
    (tmp_path / "cc.csv").write_text("cc,country\nnl,Netherlands\n")
    report = run(
        """
name: r
from: {files: "*.csv", format: csv}
""".replace('"*.csv"', "a.csv")
        + """lookups: {countries: cc.csv}
change: |
  select r.* exclude (cc), c.country, amount * 2 as twice
  from records r left join countries c using (cc)
  where amount < 10
to: {duckdb: out.duckdb, table: t, key: id, mode: merge}
"""
    )
    assert report.error is None, str(report.error)
    assert (report.came, report.accounts.read, report.accounts.counts["delivered"]) == (3, 2, 2)
    assert ask(tmp_path, "SELECT id, zip, country, twice::VARCHAR FROM t ORDER BY id") == [
        (1, "0123", "Netherlands", "3.000000000"),
        (2, "9999", None, "4.000000000"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "{sqlite: x.sqlite, query: select * from t order by id}",
        "{duckdb: x.duckdb, query: select * from t order by id}",
        "{files: t.jsonl}",
    ],
)
@pytest.mark.parametrize("change", ["", "change: select id * 1 as id, name from records where id <> 5\n"])
@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_run_that_broke_off_goes_on_and_every_row_is_there_once(
    run: Run, tmp_path: Path, breaking: Callable[[int], None], source: str, change: str, at: int
) -> None:
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, name TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"n{n}") for n in range(10)])
        connection.commit()
    with duckdb.connect(str(tmp_path / "x.duckdb")) as database:
        database.execute("CREATE TABLE t AS SELECT i AS id, 'n' || i AS name FROM range(10) r(i)")
    (tmp_path / "t.jsonl").write_text("".join(f'{{"id": {n}, "name": "n{n}"}}\n' for n in range(10)))
    text = f"name: r\nfrom: {source}\n{change}to: {{duckdb: out.duckdb, table: t}}\n"
    breaking(at)
    first = run(text)
    assert "the disk is full" in str(first.error)
    if "sqlite" in source:  # other rows by now, which are those of the next run
        with closing(sqlite3.connect(tmp_path / "x.sqlite")) as connection:
            connection.execute("UPDATE t SET name = 'late'" if at > 1 else "SELECT 1")
            connection.commit()
    if "duckdb" in source and at > 1:
        with duckdb.connect(str(tmp_path / "x.duckdb")) as database:
            database.execute("UPDATE t SET name = 'late'")
    report = run(text)
    assert report.error is None, str(report.error)
    expected = [(n, f"n{n}") for n in range(10) if not (change and n == 5)]
    assert ask(tmp_path, "SELECT id, name FROM t ORDER BY id") == expected
    assert report.accounts.read == report.accounts.counts["delivered"] == len(expected)
    assert report.came == 10
    if at > 1:  # else nobody knows any more of what the first run kept
        assert not list((tmp_path / ".connectory").glob("snapshots/*"))


@pytest.mark.parametrize("at", [3, 5, 8])
def test_sql_over_all_rows_goes_on_too(run: Run, tmp_path: Path, breaking: Callable[[int], None], at: int) -> None:
    (tmp_path / "t.csv").write_text("id,team\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(10)))
    text = (
        "name: r\nfrom: {files: t.csv}\nchange: select team, sum(id)::int as total from records group by team\n"
        "change_over: all\nto: {duckdb: out.duckdb, table: t}\n"
    )
    breaking(at)  # rows are gathered by such writes too
    assert run(text).error is not None
    report = run(text)
    assert report.error is None, str(report.error)
    assert ask(tmp_path, "SELECT * FROM t ORDER BY team") == [("a", 20), ("b", 25)]
    assert (report.came, report.accounts.read) == (10, 2)
    assert not list((tmp_path / ".connectory" / "snapshots").glob("*"))


class Sized:
    shape: Record | None = None
    keys: tuple[str, ...] = ()
    rows_per_chunk = 5_000

    def chunks(self, position: Position) -> Iterator[Chunk]:
        yield from ()

    def mark(self) -> None: ...

    def forget(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("write", "chunk"), [(None, 5_000), (1_000, 1_000), (60, 60), (1, 20), (7, 14), (50_000, 5_000)]
)
def test_chunks_are_cut_as_the_destination_takes_them(write: int | None, chunk: int) -> None:
    source = Sized()
    fit_chunks(source, write)
    assert source.rows_per_chunk == chunk


def test_what_is_wrong_in_a_file_is_told_before_the_table_is_touched(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(ConnectoryError, match=r"a\.csv:3: 1 cells, but the heading has 2"):
        run("name: r\nfrom: {files: a.csv}\nto: {duckdb: out.duckdb, table: t}\n")
    assert not (tmp_path / "out.duckdb").exists()
