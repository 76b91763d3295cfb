"""Queries on DuckDB whose rows stay in DuckDB: what arrives is what DuckDB itself would have copied, and no row becomes
an object of Python on the way. Where a type does not fit, rows are looked at one by one as ever."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectory import Parts
from connectory.errors import SpecError
from connectory.recipes.sync import Report, run_recipe
from connectory.table import Relation

Run = Callable[..., Report]

# A column of each type that is left there, with the values that are easily lost.
TYPES = {
    "BOOLEAN": "true, false",
    "TINYINT": "1, (-128)",
    "USMALLINT": "65535",
    "INTEGER": "2147483647, 0",
    "BIGINT": "9223372036854775807, (-9223372036854775808)",
    "FLOAT": "0.1::FLOAT, 'nan'::FLOAT, '-inf'::FLOAT",
    "DOUBLE": "0.1, 1e308, 5e-324, 'nan', 'inf'",
    "DECIMAL(18,3)": "1.10, -0.001",
    "DECIMAL(38,9)": "'12345678901234567890123456789.123456789'",
    "VARCHAR": "'', 'ä\"', chr(10), 'a' || chr(0) || 'b', repeat('x', 70000)",
    "DATE": "'2024-02-29', '0001-01-01', '0044-03-15 (BC)', 'infinity'",
    "TIME": "'12:34:56.123456', '24:00:00'",
    "TIMESTAMP": "'2024-02-29 12:34:56.123456'",
    "TIMESTAMP_S": "'2024-02-29 12:34:56'",
    "TIMESTAMPTZ": "'2024-02-29 12:34:56.123456+05', '-infinity'",
    "UUID": "'123e4567-e89b-12d3-a456-426614174000'",
    "ENUM('a', 'b')": "'b'",
    "BIT": "'0101'",
    "INTERVAL": "'1 month 2 days'",
    "INTEGER[]": "[1, null, 3], []",
    "TIMESTAMPTZ[]": "['2024-01-01'::timestamptz]",
    "STRUCT(a INTEGER, b STRUCT(c VARCHAR, d DOUBLE[]))": "{'a': 1, 'b': {'c': 'x', 'd': [0.5]}}",
}
# What columns hold that were declared so: the documentation of the table says which type becomes which.
WIDER = {
    **dict.fromkeys(("TINYINT", "USMALLINT", "INTEGER", "BIGINT"), "BIGINT"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "DOUBLE"),
    **dict.fromkeys(("DECIMAL(18,3)", "DECIMAL(38,9)"), "DECIMAL(38,9)"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMPTZ"), "TIMESTAMP WITH TIME ZONE"),
    **dict.fromkeys(("UUID", "ENUM('a', 'b')", "BIT", "INTERVAL"), "VARCHAR"),
    "INTEGER[]": "BIGINT[]",
    "TIMESTAMPTZ[]": "TIMESTAMP WITH TIME ZONE[]",
    "STRUCT(a INTEGER, b STRUCT(c VARCHAR, d DOUBLE[]))": "STRUCT(a BIGINT, b STRUCT(c VARCHAR, d DOUBLE[]))",
}
TO = "to: {duckdb: out.duckdb, table: t}\n"


def fill(file: Path, *statements: str) -> None:
    with duckdb.connect(str(file)) as connection:
        for statement in ("SET TimeZone = 'UTC'", *statements):
            connection.execute(statement)


def ask(file: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(query).fetchall()


@pytest.fixture
def nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test where a row becomes an object."""

    def make(rows: Relation) -> Any:
        pytest.fail("rows were made into objects")

    monkeypatch.setattr(Relation, "_make", make)
    monkeypatch.setattr("connectory.recipes.sources.duckdb_query.DuckDBQuery.batches", make)


@pytest.mark.usefixtures("nobody_looks")
@pytest.mark.parametrize("change", ["", "change: select * from records\n"])
@pytest.mark.parametrize("kind", TYPES)
def test_values_of_every_type_arrive_as_duckdb_has_them(run: Run, tmp_path: Path, kind: str, change: str) -> None:
    values = f"SELECT unnest([{TYPES[kind]}, NULL]::{kind}[]) AS v"
    fill(tmp_path / "in.duckdb", f"CREATE TABLE src AS {values}")
    report = run(f"name: r\nfrom: {{duckdb: in.duckdb, query: from src}}\n{change}{TO}")
    assert report.error is None, str(report.error)
    wider = WIDER.get(kind, kind)
    assert ask(tmp_path / "out.duckdb", "SELECT DISTINCT typeof(v) FROM t") == [(wider,)]
    as_text = "SELECT CAST(v AS VARCHAR) FROM"
    assert ask(tmp_path / "out.duckdb", f"{as_text} t") == ask(
        tmp_path / "in.duckdb", f"{as_text} (SELECT CAST(v AS {wider}) AS v FROM src)"
    )
    assert report.accounts.counts["delivered"] == report.accounts.read == report.came


ROWS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.lists(st.none() | st.floats(), max_size=3),
    ),
    max_size=20,
)


@given(rows=ROWS, size=st.integers(1, 7), mode=st.sampled_from(["append", "replace", "merge"]))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_any_rows_in_any_chunks_are_what_duckdb_makes_of_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], size: int, mode: str
) -> None:
    root = tmp_path_factory.mktemp("any")
    with duckdb.connect(str(root / "in.duckdb")) as connection:
        connection.execute("CREATE TABLE src (id INTEGER, name VARCHAR, n BIGINT, f DOUBLE[])")
        for row in rows:
            connection.execute("INSERT INTO src VALUES (?, ?, ?, ?)", list(row))
    key = ", key: id" if mode == "merge" else ""
    (root / "r.yaml").write_text(
        "name: r\nfrom: {duckdb: in.duckdb, query: from src}\n"
        "change: select id, name || '!' as name, n, f, len(f) as many from records where n is null or n <> 3\n"
        f"to: {{duckdb: out.duckdb, table: t, mode: {mode}{key}}}\n"
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("connectory.recipes.sources.duckdb_query.ROWS_IN_DUCKDB", size)
        report = run_recipe(root / "r.yaml", parts=Parts(environ={}), root=root)
    assert report.error is None, str(report.error)
    wanted = "SELECT id, name || '!' AS name, n, f, len(f) AS many FROM src WHERE n IS NULL OR n <> 3"
    if mode == "merge":
        wanted = f"FROM (SELECT *, row_number() OVER () AS place FROM ({wanted}))"
        wanted = f"SELECT * EXCLUDE place {wanted} QUALIFY row_number() OVER (PARTITION BY id ORDER BY place DESC) = 1"
    answer = "SELECT CAST((id, name, n, f, many) AS VARCHAR) FROM"
    found = ask(root / "out.duckdb", f"{answer} t") if report.accounts.read or mode != "append" else []
    assert sorted(found) == sorted(ask(root / "in.duckdb", f"{answer} ({wanted})"))
    kept = [row for row in rows if row[2] != 3]
    assert report.came == len(rows)
    assert report.accounts.read == len(kept) == sum(report.accounts.counts.values())


def test_a_row_without_its_key_is_invalid_and_of_two_with_one_key_the_last_is_kept(run: Run, tmp_path: Path) -> None:
    values = "(1, 'a'), (2, 'b'), (NULL, 'c'), (1, 'd')"
    fill(tmp_path / "in.duckdb", f"CREATE TABLE src AS FROM (VALUES {values}) t(id, name)")
    to = "{duckdb: out.duckdb, table: t, mode: merge, key: id}"
    text = f"name: r\nfrom: {{duckdb: in.duckdb, query: from src}}\nto: {to}\n"
    counts = run(text).accounts.counts
    assert (counts["delivered"], counts["unchanged"], counts["invalid"]) == (2, 1, 1)
    assert ask(tmp_path / "out.duckdb", "FROM t ORDER BY id") == [(1, "d"), (2, "b")]
    fill(tmp_path / "in.duckdb", "DELETE FROM src WHERE id IS NULL", "INSERT INTO src VALUES (3, 'e')")
    counts = run(text).accounts.counts
    assert (counts["delivered"], counts["unchanged"], counts["invalid"]) == (1, 3, 0)


@pytest.mark.parametrize(
    ("there", "source", "arrives"),
    [
        ("v INTEGER", "SELECT 7::BIGINT AS v", "7"),
        ("v JSON", "SELECT 'x' AS v", "x"),
        ("v VARCHAR", "SELECT 7 AS v", "7"),
        ("v BIGINT", "SELECT 18446744073709551615::UBIGINT AS v", "18446744073709551615"),
        (
            "v BIGINT",
            "SELECT 17014118346046923173168730371::HUGEINT AS v",
            "17014118346046923173168730371",
        ),
        ("v VARCHAR", "SELECT '{\"a\": 1}'::JSON AS v", '{"a":1}'),
        ("v STRUCT(b BIGINT, a BIGINT)", "SELECT {'a': 1, 'b': 2} AS v", "{'b': 2, 'a': 1}"),
    ],
)
def test_what_a_column_may_not_hold_is_looked_at_row_by_row(
    run: Run, tmp_path: Path, there: str, source: str, arrives: str
) -> None:
    fill(tmp_path / "in.duckdb", f"CREATE TABLE src AS {source}")
    fill(tmp_path / "out.duckdb", f"CREATE TABLE t ({there})")
    report = run(f"name: r\nfrom: {{duckdb: in.duckdb, query: from src}}\n{TO}")
    assert report.error is None, str(report.error)
    assert ask(tmp_path / "out.duckdb", "SELECT CAST(v AS VARCHAR) FROM t") == [(arrives,)]


@pytest.mark.usefixtures("nobody_looks")
def test_rows_are_gathered_and_changed_all_together_in_duckdb_too(run: Run, tmp_path: Path) -> None:
    fill(tmp_path / "in.duckdb", "CREATE TABLE src AS SELECT i AS id, i % 3 AS team FROM range(10) r(i)")
    report = run(
        "name: r\nfrom: {duckdb: in.duckdb, query: from src}\nchange_over: all\n"
        f"change: select team, count(*) as many from records group by team order by team\n{TO}"
    )
    assert report.error is None, str(report.error)
    assert ask(tmp_path / "out.duckdb", "FROM t") == [(0, 4), (1, 3), (2, 3)]
    assert (report.came, report.accounts.read) == (10, 3)
    assert not list((tmp_path / ".connectory").glob("snapshots/*"))


@pytest.mark.parametrize(
    ("query", "change", "said"),
    [
        (
            "select cast(v as integer) as v from src",
            "",
            "r.yaml:2:41 /from/query: Could not convert string 'x' to INT32",
        ),
        (
            "from src",
            "select cast(v as integer) as v from records",
            "r.yaml:3:16 /change: Could not convert string 'x' to INT32",
        ),
    ],
)
def test_sql_that_fails_on_a_row_points_at_its_place(
    run: Run, tmp_path: Path, query: str, change: str, said: str
) -> None:
    fill(tmp_path / "in.duckdb", "CREATE TABLE src AS SELECT 'x' AS v")
    text = f"name: r\nfrom: {{duckdb: in.duckdb, query: {query}}}\n" + (f"change: {change}\n" if change else "")
    report = run(text + TO)
    assert said in str(report.error)
    assert not list((tmp_path / ".connectory").glob("snapshots/*.part*"))


def test_a_table_into_its_own_file(run: Run, tmp_path: Path) -> None:
    """The destination has the file open to write while the query reads it."""
    fill(tmp_path / "out.duckdb", "CREATE TABLE src AS SELECT i AS id FROM range(5) r(i)")
    report = run(
        f"name: r\nfrom: {{duckdb: out.duckdb, query: from src}}\nchange: select id + 1 as id from records\n{TO}"
    )
    assert report.error is None, str(report.error)
    assert ask(tmp_path / "out.duckdb", "FROM t") == [(1,), (2,), (3,), (4,), (5,)]


@pytest.mark.parametrize("change", ["", "change: select id, id + 1 as Id from records\n"])
def test_columns_that_differ_in_case_alone_are_refused(run: Run, tmp_path: Path, change: str) -> None:
    """SQL takes one for the other: the second would have the values of the first."""
    fill(tmp_path / "in.duckdb", "CREATE TABLE src AS SELECT 1 AS id")
    query = "from src" if change else "select id, 2 as Id from src"
    with pytest.raises(SpecError, match="gives two columns 'Id': name one of them anew"):
        run(f"name: r\nfrom: {{duckdb: in.duckdb, query: '{query}'}}\n{change}{TO}")


def test_rows_that_were_left_are_gone_on_with_whatever_became_of_the_database(
    open_source: Callable[..., Any], tmp_path: Path, snapshots: Callable[[], list[Path]]
) -> None:
    fill(tmp_path / "in.duckdb", "CREATE TABLE src AS SELECT i AS id FROM range(5) r(i)")
    source = "  duckdb: in.duckdb\n  query: from src"
    reader = open_source(source)
    reader.leave_in_duckdb(to_the_end=False)
    reader.rows_per_chunk = 2
    chunks = reader.chunks(None)
    first = next(chunks)
    rows = [*first.rows]
    chunks.close()
    [kept] = snapshots()
    assert os.name != "posix" or stat.S_IMODE(kept.stat().st_mode) == 0o600
    (tmp_path / "in.duckdb").unlink()
    again = open_source(source)
    assert list(again.shape.fields) == ["id"]
    rows += [row for chunk in again.chunks(first.position) for row in chunk.rows]
    assert [row["id"] for row in rows] == [0, 1, 2, 3, 4]
