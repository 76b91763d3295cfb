"""Queries as sources: exact values, one moment's rows over kills, and errors that point at the SQL."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectory.errors import ConnectoryError, InputError, SourceError, SpecError
from connectory.values.shapes import ListOf, Plain, Record

OpenSource = Callable[..., Any]
Kept = Callable[[], list[Path]]


def rows_of(reader: Any, position: Any = None) -> list[dict[str, Any]]:
    return [dict(row) for chunk in reader.chunks(position) for row in chunk.rows]


def fill_duckdb(file: Path, sql: str) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"SET TimeZone = 'UTC'; {sql}")


def fill_sqlite(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(sql)


@pytest.fixture(params=["duckdb", "sqlite"])
def people(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A file of either kind with a table of five people; the first line of the source that reads it."""
    fill = {"duckdb": fill_duckdb, "sqlite": fill_sqlite}[request.param]
    values = ", ".join(f"({n}, 'p{n}')" for n in range(1, 6))
    fill(tmp_path / "people.db", f"CREATE TABLE people (id INTEGER, name TEXT); INSERT INTO people VALUES {values}")
    return f"  {request.param}: people.db\n"


def test_rows_of_a_query_come_in_its_order(open_source: OpenSource, people: str) -> None:
    reader = open_source(people + "  query: select * from people order by id desc; -- newest first")
    assert [row["id"] for row in rows_of(reader)] == [5, 4, 3, 2, 1]
    assert list(reader.shape.fields) == ["id", "name"]
    reader.close()


def test_a_killed_run_gets_the_rest_of_the_rows_as_they_were(
    open_source: OpenSource, people: str, tmp_path: Path, snapshots: Kept
) -> None:
    source = people + "  query: select * from people order by id"
    reader = open_source(source)
    reader.rows_per_chunk = 2
    first = next(reader.chunks(None))
    [kept] = snapshots()
    if os.name == "posix":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    (tmp_path / "people.db").unlink()  # whatever becomes of the database
    again = open_source(source)
    assert [row["id"] for row in [*first.rows, *rows_of(again, first.position)]] == [1, 2, 3, 4, 5]
    again.close()
    assert snapshots() == [kept]  # the run did not say that it ended well
    again.forget()
    assert snapshots() == []


def test_a_position_whose_rows_are_gone_is_refused(open_source: OpenSource, people: str, snapshots: Kept) -> None:
    source = people + "  query: select * from people"
    position = next(open_source(source).chunks(None)).position
    snapshots()[0].unlink()
    with pytest.raises(InputError, match="which is gone; read everything anew with --full-refresh"):
        rows_of(open_source(source), position)


def test_a_query_without_rows_leaves_nothing(open_source: OpenSource, people: str, snapshots: Kept) -> None:
    reader = open_source(people + "  query: select * from people where id > 9")
    assert rows_of(reader) == []
    reader.forget()
    reader.close()
    assert snapshots() == []


def test_a_run_that_ends_before_its_first_row_leaves_nothing(
    open_source: OpenSource, people: str, snapshots: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = open_source(people + "  query: select * from people")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SourceError, match="the rows cannot be kept there: No space left on device"):
        list(reader.chunks(None))
    reader.close()
    assert snapshots() == []


@pytest.mark.parametrize(
    ("query", "place", "said"),
    [
        ("select id, nam from people", "4:", "nam"),
        ("select * from nobody", "4:", "nobody"),
        ("selec id from people", "4:", "syntax error"),
        ("delete from people", "4:", "expected one SELECT: a source is only read"),
        ("insert into people values (9, 'x') returning id", "4:", "expected one SELECT"),
        ("select id, id from people", "4:", "the query gives two columns 'id'"),
        ("attach 'other.db' as other", "4:", ""),
    ],
)
def test_a_wrong_query_points_into_the_recipe_and_changes_nothing(
    open_source: OpenSource, people: str, tmp_path: Path, query: str, place: str, said: str
) -> None:
    before = (tmp_path / "people.db").read_bytes()
    with pytest.raises(SpecError) as told:
        open_source(people + f"  query: {query}")
    assert f"r.yaml:{place}" in str(told.value)
    assert said in str(told.value)
    assert (tmp_path / "people.db").read_bytes() == before
    assert not (tmp_path / "other.db").exists()


def test_an_error_of_duckdb_points_at_the_word(open_source: OpenSource, tmp_path: Path) -> None:
    fill_duckdb(tmp_path / "people.db", "CREATE TABLE people (id INT)")
    with pytest.raises(SpecError, match=r"r\.yaml:6:10 /from/query: Referenced column \"nam\" not found"):
        open_source("  duckdb: people.db\n  query: |\n    select id,\n         nam\n    from people")


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_file_that_is_not_there_or_of_another_kind_is_named(
    open_source: OpenSource, tmp_path: Path, kind: str
) -> None:
    with pytest.raises(SpecError, match=rf"r\.yaml:3:{len(kind) + 5} /from/{kind}: there is no file .*gone\.db"):
        open_source(f"  {kind}: gone.db\n  query: select 1 as a")
    (tmp_path / "text.db").write_text("this is no database, only a text that is long enough to be looked at\n" * 9)
    with pytest.raises(SourceError, match=r"text\.db is not a .* file"):
        open_source(f"  {kind}: text.db\n  query: select * from people")


def test_a_file_that_another_program_writes_is_told(open_source: OpenSource, tmp_path: Path) -> None:
    fill_sqlite(tmp_path / "people.db", "CREATE TABLE people (id)")
    with closing(sqlite3.connect(tmp_path / "people.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("connectory.recipes.sources.sqlite_query._WAITS", 0.01)
            with pytest.raises(SourceError, match=r"people\.db is in use by another program"):
                open_source("  sqlite: people.db\n  query: select * from people")


def test_every_type_of_duckdb_survives_its_snapshot(open_source: OpenSource, tmp_path: Path) -> None:
    fill_duckdb(
        tmp_path / "x.db",
        """
        CREATE TABLE x AS SELECT 170141183460469231731687303715884105727::HUGEINT AS huge, 1.10::DECIMAL(9, 2) AS price,
          TIMESTAMPTZ '2026-01-02 03:04:05.678901+02' AS seen, TIMESTAMP '2026-01-02 03:04:05' AS local,
          DATE '2026-01-02' AS day, TIME '03:04:05' AS at, '\\x00\\xFF'::BLOB AS raw, 'nan'::DOUBLE AS odd,
          [{'when': TIMESTAMPTZ '2026-01-02 00:00:00+00', 'price': 2.50::DECIMAL(9, 2)}] AS nested,
          '{"$date": "x", "n": 12345678901234567890}'::JSON AS doc, INTERVAL 1 DAY AS span, NULL AS nothing,
          'a'::ENUM('a', 'b') AS mood, 0.1::DOUBLE AS tenth
        """,
    )
    reader = open_source("  duckdb: x.db\n  query: from x")
    [row] = rows_of(reader)
    assert row.pop("odd") != 0
    assert row == {
        "huge": 2**127 - 1,
        "price": Decimal("1.10"),
        "seen": datetime(2026, 1, 2, 1, 4, 5, 678901, tzinfo=UTC),
        "local": datetime(2026, 1, 2, 3, 4, 5),
        "day": date(2026, 1, 2),
        "at": datetime(2026, 1, 2, 3, 4, 5).time(),
        "raw": b"\x00\xff",
        "nested": [{"when": datetime(2026, 1, 2, tzinfo=UTC), "price": Decimal("2.50")}],
        "doc": {"$date": "x", "n": 12345678901234567890},
        "span": "1 day",
        "nothing": None,
        "mood": "a",
        "tenth": 0.1,
    }
    assert str(row["price"]) == "1.10"
    assert reader.shape.fields["nested"] == ListOf(Record({"when": Plain("datetime"), "price": Plain("decimal")}))


def test_no_query_reads_another_file_or_fetches_an_extension(open_source: OpenSource, tmp_path: Path) -> None:
    fill_duckdb(tmp_path / "x.db", "CREATE TABLE x AS SELECT 1 AS a")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    for query in (f"select * from read_csv('{tmp_path}/secret.csv')", f"select * from '{tmp_path}/secret.csv'"):
        with pytest.raises(ConnectoryError, match="disabled"):
            open_source(f"  duckdb: x.db\n  query: {query}")


def test_a_file_can_be_asked_while_a_destination_of_the_run_has_it_open(
    open_source: OpenSource, tmp_path: Path
) -> None:
    from connectory.destinations.duckdb import open_duckdb

    fill_duckdb(tmp_path / "x.db", "CREATE TABLE x AS SELECT 1 AS a")
    reader = open_source("  duckdb: x.db\n  query: select * from x")
    table = open_duckdb(tmp_path / "x.db", "y", reader.shape, (), "append", "run")
    for chunk in reader.chunks(None):
        table.write(chunk.rows)
    table.finish()
    table.close()
    with duckdb.connect(str(tmp_path / "x.db"), read_only=True) as connection:
        assert connection.execute("SELECT * FROM y").fetchall() == [(1,)]


def test_columns_of_sqlite_hold_values_of_several_kinds(open_source: OpenSource, tmp_path: Path) -> None:
    fill_sqlite(
        tmp_path / "x.db",
        "CREATE TABLE x (v); INSERT INTO x VALUES (1), (9223372036854775807), (2.5), ('007'), (x'00ff'), (NULL)",
    )
    reader = open_source("  sqlite: x.db\n  query: select v from x")
    assert [row["v"] for row in rows_of(reader)] == [1, 2**63 - 1, 2.5, "007", b"\x00\xff", None]


@pytest.fixture
def old_snapshot(tmp_path: Path) -> Path:
    folder = tmp_path / ".connectory" / "snapshots"
    folder.mkdir(parents=True)
    file = folder / "r-0123456789ab.rows"
    file.write_text("{}")
    os.utime(file, (0, 0))
    return file


def test_rows_that_nobody_came_back_for_are_removed_in_the_end(
    open_source: OpenSource, people: str, old_snapshot: Path
) -> None:
    rows_of(open_source(people + "  query: select * from people"))
    assert not old_snapshot.exists()


def test_runs_that_fail_at_once_do_not_pile_up_their_rows(
    open_source: OpenSource, people: str, snapshots: Kept
) -> None:
    for _ in range(9):
        next(open_source(people + "  query: select * from people").chunks(None))
    assert len(snapshots()) == 5
