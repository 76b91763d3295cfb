"""SQL over chunks: what it may be, what its rows are, and that cutting the rows into chunks makes no difference."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectory.connecting import load_registry
from connectory.errors import ArgumentError, SpecError
from connectory.recipes.changing.change import Change, check_change
from connectory.recipes.recipe import LoadedRecipe, load_recipe
from connectory.values.shapes import ListOf, MapOf, Plain, Record

Load = Callable[..., LoadedRecipe]

RECIPE = """\
name: r
from: {{files: in.csv}}
change: |
{sql}
{more}to: {{duckdb: out.duckdb, table: t}}
"""


def recipe(folder: Path, sql: str, more: str = "") -> LoadedRecipe:
    file = folder / "r.yaml"
    file.write_text(RECIPE.format(sql="\n".join(f"  {line}" for line in sql.split("\n")), more=more))
    return load_recipe(load_registry(), file)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return lambda sql, more="": recipe(tmp_path, sql, more)


TEXT, INT = Plain("text"), Plain("int")
PEOPLE = Record({"id": INT, "name": TEXT, "amount": Plain("decimal"), "tags": ListOf(TEXT)})


def run(
    loaded: LoadedRecipe, rows: Sequence[dict[str, Any]], shape: Record | None = PEOPLE, size: int = 1_000
) -> list[dict[str, Any]]:
    change = Change(loaded, loaded.file.parent, shape, complete=shape is not None)
    try:
        made: list[dict[str, Any]] = []
        for start in range(0, len(rows), size):
            changed = change.apply(rows[start : start + size])
            assert not changed.invalid
            made += map(dict, changed.rows)
        return made
    finally:
        change.close()


def test_columns_are_chosen_renamed_and_reckoned(load: Load) -> None:
    loaded = load('select id as "Id", upper(name) as name, * exclude (id, name)\nfrom records where id > 1;')
    rows = [
        {"id": 1, "name": "a", "amount": Decimal("1.5"), "tags": []},
        {"id": 2**62 + 1, "name": "é", "amount": Decimal("0.1"), "tags": ["x", "y"]},
    ]
    assert run(loaded, rows) == [{"Id": 2**62 + 1, "name": "É", "amount": Decimal("0.1"), "tags": ["x", "y"]}]


VALUES = Record(
    {
        "int": INT,
        "huge": INT,
        "float": Plain("float"),
        "decimal": Plain("decimal"),
        "bool": Plain("bool"),
        "date": Plain("date"),
        "time": Plain("time"),
        "moment": Plain("datetime"),
        "raw": Plain("bytes"),
        "list": ListOf(Plain("datetime")),
        "record": Record({"City": TEXT, "since": Plain("date")}),
        "free": MapOf(INT),
        "any": Plain("any"),
        "nothing": TEXT,
    }
)


def test_every_type_goes_through_sql_unharmed(load: Load) -> None:
    row = {
        "int": 2**63 - 1,
        "huge": 2**80,
        "float": 0.1,
        "decimal": Decimal("12345678901234567890.123456789"),
        "bool": True,
        "date": date(2026, 1, 2),
        "time": time(3, 4, 5),
        "moment": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2))),
        "raw": b"\x00\xff",
        "list": [datetime(2026, 1, 2, tzinfo=UTC), None],
        "record": {"City": "x", "since": date(2026, 1, 2)},
        "free": {"a": 1, "b": 2**70},
        "any": {"deep": [1, {"x": None}]},
        "nothing": None,
    }
    assert run(load("select * from records"), [row], VALUES) == [row]


def test_texts_of_the_wire_are_read_as_their_fields_are_declared(load: Load) -> None:
    rows = [{"moment": "2026-01-02T03:04:05Z", "date": "2026-01-02", "decimal": "1.50", "int": 5}]
    shape = Record({name: VALUES.fields[name] for name in ("moment", "date", "decimal", "int")})
    [row] = run(load("select moment + interval 1 day as m, date, decimal, typeof(int) as t from records"), rows, shape)
    assert row == {
        "m": datetime(2026, 1, 3, 3, 4, 5, tzinfo=UTC),
        "date": date(2026, 1, 2),
        "decimal": Decimal("1.5"),
        "t": "BIGINT",
    }


def test_a_chunk_of_nulls_has_the_same_types_as_any_other(load: Load) -> None:
    loaded = load(
        "select typeof(id) as id, typeof(name) as name, typeof(amount) as amount, typeof(tags) as tags from records"
    )
    nulls = {"id": None, "name": None, "amount": None, "tags": None}
    full = {"id": 1, "name": "x", "amount": Decimal(1), "tags": ["y"]}
    first, second, third = run(loaded, [nulls, full, nulls], size=1)
    assert (
        first == second == third == {"id": "BIGINT", "name": "VARCHAR", "amount": "DECIMAL(38,9)", "tags": "VARCHAR[]"}
    )


def test_what_the_rows_become_is_known_before_the_first_of_them(load: Load) -> None:
    change = Change(load("select id as k, tags, {'a': amount} as s from records"), Path(), PEOPLE, complete=True)
    assert change.shape == Record({"k": INT, "tags": ListOf(TEXT), "s": Record({"a": Plain("decimal")})})
    change.close()


def test_a_row_that_breaks_its_declared_type_is_invalid_and_the_others_go_on(load: Load) -> None:
    change = Change(load("select id + 1 as id from records"), Path(), PEOPLE, complete=True)
    rows: list[dict[str, Any]] = [{"id": 1}, {"id": "one"}, {"id": 3}]
    changed = change.apply(rows)
    change.close()
    assert changed.rows == [{"id": 2}, {"id": 4}]
    assert [(problem.row, problem.field, problem.reason) for problem in changed.invalid] == [
        (rows[1], "id", "expected an integer, got str 'one'")
    ]


def test_fields_that_nobody_declared_come_with_the_types_of_their_values(load: Load) -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "o": {"x": 1}}, {"a": 2.5, "o": {"y": [2]}, "b": "late"}, {"a": 3}]
    made = run(load("select a * 2 as a, o.y as y, * exclude (a, o) from records"), rows, None, size=1)
    assert made == [{"a": 2, "y": None}, {"a": 5.0, "y": [2], "b": "late"}, {"a": 6.0, "y": None, "b": None}]


def test_lookups_are_joined_with_their_leading_zeros(load: Load, tmp_path: Path) -> None:
    (tmp_path / "zip.csv").write_text("code,city\n0101,Utrecht\n0202,Breda\n")
    (tmp_path / "extra.jsonl").write_text(
        '{"city": "Breda", "geo": {"lat": 51.5}, "size": 1}\n{"city": "x", "size": "n/a"}\n'
    )
    loaded = load(
        "select r.id, z.city, e.geo.lat as lat from records r join zips z on z.code = r.name"
        " left join extra e using (city)",
        "lookups: {zips: zip.csv, extra: extra.jsonl}\n",
    )
    assert run(loaded, [{"id": 1, "name": "0101"}, {"id": 2, "name": "0202"}, {"id": 3, "name": "9"}]) == [
        {"id": 1, "city": "Utrecht", "lat": None},
        {"id": 2, "city": "Breda", "lat": 51.5},
    ]


@pytest.mark.parametrize(
    ("sql", "places"),
    [
        ("select id\nfrom records\norder by id", ["6:12 /change: ORDER BY"]),
        ("select id from records limit 5", ["4:32 /change: LIMIT"]),
        ("select distinct name from records", ["3:9 /change: DISTINCT"]),
        (
            "select name, count(*)\nfrom records group by name",
            ["4:16 /change: the aggregate count", "5:25 /change: GROUP BY"],
        ),
        ("select sum(id) from records", ["4:10 /change: the aggregate sum"]),
        ("select id, row_number() over () from records", ["4:14 /change: the window function row_number"]),
        ("select id from records qualify lag(id) over () is null", ["4:34 /change: the window function lag"]),
        ("select id from records union all select id from records", ["UNION", "reading `records` twice"]),
        ("select a.id from records a, records b", ["4:31 /change: reading `records` twice"]),
        (
            "select id from records where id = (select max(id) from records)",
            ["aggregate max", "twice", "inside an expression"],
        ),
        ("select * from l left join records using (id)", ["a join (LEFT) that keeps rows without a record"]),
        ("select * from records full join l using (id)", ["a join (FULL) that keeps rows without a record"]),
        ("with x as (select max(id) as id from records) select * from x", ["4:21 /change: the aggregate max"]),
        ("select * from (select id from records limit 1)", ["LIMIT"]),
        ("select * from records tablesample 10%", ["TABLESAMPLE"]),
        ("select * from records using sample 5", ["SAMPLE"]),
        ("select list(id) from records group by all", ["the aggregate list", "GROUP BY"]),
    ],
)
def test_sql_that_needs_all_rows_is_refused_chunk_by_chunk(
    load: Load, tmp_path: Path, sql: str, places: list[str]
) -> None:
    (tmp_path / "l.csv").write_text("id\n1\n")
    faults = list(map(str, check_change(load(sql, "lookups: {l: l.csv}\n"))))
    for place in places:
        assert any(place in fault and "needs all rows at once: with 'change_over: all'" in fault for fault in faults)
    assert check_change(load(sql, "lookups: {l: l.csv}\nchange_over: all\n")) == []


@pytest.mark.parametrize(
    "sql",
    [
        "select id, (select max(x) from unnest(tags) t(x)) as last from records",
        "select id, unnest(tags) as tag from records",
        "select * from records, l",
        "select * from records semi join l using (id)",
        "select * from records where id not in (select max(id) from l group by id order by 1 limit 3)",
        "with m as (select max(id) as id from l), r as (select * from records) select r.* from r join m using (id)",
        "select list_max(list_transform(tags, t -> length(t))) as n, greatest(id, 3) from records",
        "from records",
        "select * from l right join records using (id)",
        "select r.id, t.x from records r, lateral (select unnest(r.tags) as x) t",
    ],
)
def test_sql_that_looks_at_one_record_at_a_time_is_taken(load: Load, tmp_path: Path, sql: str) -> None:
    (tmp_path / "l.csv").write_text("id\n1\n")
    assert list(map(str, check_change(load(sql, "lookups: {l: l.csv}\n")))) == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "insert into records values (1)",
            "3:9 /change: expected one SELECT: a change reads `records` and writes nothing",
        ),
        ("copy records to 'x.csv'", "expected one SELECT"),
        ("attach 'x.duckdb'", "expected one SELECT"),
        ("install httpfs", "expected one SELECT"),
        ("set threads = 8", "expected one SELECT"),
        ("pivot records on name using sum(id)", "expected one SELECT"),
        ("describe records", "expected one SELECT"),
        ("select 1 from records; select 2 from records", "expected one SELECT, found 2 statements"),
        ("select * from 'secrets.csv'", "4:17 /change: there is no table 'secrets.csv' (there are records)"),
        ("select * from recods", "4:17 /change: there is no table 'recods'; did you mean 'records'?"),
        ("select * from main.records", "there is no table 'records'"),
        ("select * from records, read_text('/etc/passwd')", "4:26 /change: read_text(...) is not allowed here"),
        ("select * from records, query('select 1')", "query(...) is not allowed here"),
        ("select 1 as x", "the SQL does not read from `records`"),
        ("select $1 from records", "the SQL has parameters"),
        ("select id,\n  from where", "/change: syntax error at or near"),
    ],
)
def test_sql_that_does_anything_else_is_refused(load: Load, sql: str, said: str) -> None:
    assert said in "\n".join(map(str, check_change(load(sql))))


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select id,\n       nam\nfrom records", '5:10 /change: Referenced column "nam" not found'),
        (
            "select id, nofunction(id) from records",
            "4:14 /change: Scalar Function with name nofunction does not exist!",
        ),
        ("select id, id as id from records", "3:9 /change: the SQL gives two columns 'id': name one of them anew"),
    ],
)
def test_what_duckdb_does_not_know_is_told_before_any_row(load: Load, sql: str, said: str) -> None:
    with pytest.raises(SpecError) as told:
        Change(load(sql), Path(), PEOPLE, complete=True)
    assert said in str(told.value)


def test_sql_that_fails_on_a_row_points_at_its_place(load: Load) -> None:
    change = Change(load("select id,\n  name::int as n\nfrom records"), Path(), PEOPLE, complete=True)
    with pytest.raises(SpecError, match=r"r\.yaml:5:9 /change: Could not convert string 'x' to INT32"):
        change.apply([{"id": 1, "name": "x"}])
    change.close()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("change: select id, nope from records", "3:20"),
        ('change: "select id, nope from records"', "3:21"),
        ("change: >-\n  select id,\n  nope from records", "3:9"),
        ("change: |2-\n    select id,\n     nope from records", "5:6"),
    ],
)
def test_the_place_is_found_however_the_sql_is_written(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(f"name: r\nfrom: {{files: in.csv}}\n{text}\nto: {{duckdb: out.duckdb, table: t}}\n")
    with pytest.raises(SpecError, match=rf"r\.yaml:{place} /change: Referenced column"):
        Change(load_recipe(load_registry(), file), tmp_path, PEOPLE, complete=True)


def test_nothing_outside_can_be_reached_or_unlocked(load: Load, tmp_path: Path) -> None:
    change = Change(load("select id from records"), tmp_path, PEOPLE, complete=True)
    settings = dict(
        change._connection.execute(
            "SELECT name, value FROM duckdb_settings() WHERE name IN ('enable_external_access', 'lock_configuration',"
            " 'autoinstall_known_extensions', 'autoload_known_extensions', 'python_enable_replacements')"
        ).fetchall()
    )
    change.close()
    assert settings == {
        "enable_external_access": "false",
        "lock_configuration": "true",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
    }


def test_lookups_without_a_change_and_a_lookup_called_records_are_faults(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: x\nfrom: {files: a.csv}\nlookups: {l: l.csv}\nto: {duckdb: o.duckdb, table: t}\n")
    assert "x.yaml:3:1 /lookups: is for 'change'" in str(check_change(load_recipe(load_registry(), file))[0])
    [fault] = check_change(load("select * from records", "lookups: {Records: l.csv}\n"))
    assert "/lookups/Records: `records` are the source's rows" in str(fault)


def test_a_lookup_that_is_not_there_points_at_its_line(load: Load, tmp_path: Path) -> None:
    loaded = load("select * from records join l using (id)", "lookups:\n  l: gone.csv\n")
    with pytest.raises(SpecError, match=r"r\.yaml:6:6 /lookups/l: gone\.csv: there is no such file"):
        Change(loaded, tmp_path, PEOPLE, complete=True)


def test_a_change_without_duckdb_names_the_extra(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ArgumentError, match=r"'change' needs DuckDB: pip install 'connectory\[duckdb\]'"):
        check_change(load("select 1"))


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(-(2**63), 2**63 - 1) | st.none(),
            "name": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5) | st.none(),
            "amount": st.decimals(-1000, 1000, places=3) | st.none(),
            "tags": st.lists(st.text("ab", max_size=2), max_size=3) | st.none(),
        },
        optional={"more": st.integers() | st.text("xy") | st.floats(allow_nan=False, allow_infinity=False) | st.none()},
    ),
    max_size=6,
)
SQLS = (
    "select * from records",
    "select id, name || '!' as name, amount * 2 as amount from records where id % 2 = 0 or id is null",
    "select id, unnest(tags) as tag from records",
    "select r.id, l.word from records r join l on l.id = length(r.name)",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("change")
    (made / "l.csv").write_text("id,word\n0,none\n1,one\n2,two\n")
    return made


@settings(max_examples=10)
@given(rows=ROWS, size=st.integers(1, 4), sql=st.sampled_from(SQLS))
def test_any_cut_into_chunks_gives_the_same_rows(folder: Path, rows: list[dict[str, Any]], size: int, sql: str) -> None:
    loaded = recipe(folder, sql, "lookups: {l: l.csv}\n")
    assert list(map(bare, run(loaded, rows, size=size))) == list(map(bare, run(loaded, rows)))


def bare(row: dict[str, Any]) -> dict[str, Any]:
    """A field that no row has had yet is missing instead of null."""
    return {name: value for name, value in row.items() if value is not None}
