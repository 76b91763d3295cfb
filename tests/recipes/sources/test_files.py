"""Files as sources: what stands in them arrives, from any row on; what is wrong is named by file and line."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.errors import ConnectoryError, InputError, SourceError
from connectory.recipes.recipe import FromFiles
from connectory.recipes.sources.files import FilesReader, open_files
from connectory.values.shapes import ListOf, MapOf, Plain, Record

Write = Callable[..., Path]


def wrong(path: tuple[str | int, ...], message: str) -> InputError:
    return InputError(f"/{'/'.join(map(str, path))}: {message}")


def opened(folder: Path, *files: str, size: int = 5_000, **options: Any) -> FilesReader:
    reader = open_files(FromFiles(files=files, **options), folder, wrong)
    reader.rows_per_chunk = size
    return reader


def rows_of(reader: FilesReader, position: Any = None) -> list[dict[str, Any]]:
    return [dict(row) for chunk in reader.chunks(position) for row in chunk.rows]


def read(folder: Path, *files: str, **options: Any) -> list[dict[str, Any]]:
    return rows_of(opened(folder, *files, **options))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: str | bytes) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def parquet(file: Path, query: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")


CSV = """\
id,code,card,amount,rate,active,born,seen,local,note
1,007,1234567890123456,9.90,0.3333333333333333,true,2001-02-03,2026-01-02T03:04:05Z,2026-01-02 03:04:05,"a, ""b""
c"
2,010,9876543210987654,10.25,1e-9,FALSE,,2026-01-02T03:04:05.5+02:00,2026-01-02T03:04:06,
"""


def test_csv_columns_are_typed_as_they_look_and_no_digit_is_lost(tmp_path: Path, write: Write) -> None:
    write("a.csv", CSV)
    assert read(tmp_path, "a.csv") == [
        {
            "id": 1,
            "code": "007",
            "card": 1234567890123456,
            "amount": Decimal("9.90"),
            "rate": 0.3333333333333333,
            "active": True,
            "born": date(2001, 2, 3),
            "seen": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "local": datetime(2026, 1, 2, 3, 4, 5),
            "note": 'a, "b"\nc',
        },
        {
            "id": 2,
            "code": "010",
            "card": 9876543210987654,
            "amount": Decimal("10.25"),
            "rate": 1e-9,
            "active": False,
            "born": None,
            "seen": datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=timezone(timedelta(hours=2))),
            "local": datetime(2026, 1, 2, 3, 4, 6),
            "note": None,
        },
    ]


def test_a_column_is_of_one_type_in_every_file_and_chunk(tmp_path: Path, write: Write) -> None:
    write("2025.csv", "id,v\n" + "".join(f"{n},{n}\n" for n in range(5_000)))
    write("2026.csv", "id,v\n1,n/a\n")
    reader = opened(tmp_path, "*.csv", size=10)
    assert reader.shape == Record({"id": Plain("int"), "v": Plain("text")})
    assert {type(row["v"]) for row in rows_of(reader)} == {str}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["9223372036854775807", "1"], int),
        (["9223372036854775808", "1"], str),
        (["12345678901234567890123", "1"], str),
        (["+1"], str),
        (["1,5"], str),
        (["1_000"], str),
        (["٣"], str),
        (["1.5", "2"], Decimal),
        (["1.0000000001", "2"], float),
        (["0.12345678901234567890123", "2"], str),
        (["1e400"], str),
        (["nan"], str),
        (["2026-02-30"], str),
        (["2026-02-28", "2026-02-28T10:00:00Z"], str),
        (["2026-02-28T10:00:00Z", "2026-02-28T10:00:00"], str),
        (["2026-02-28T10:00:00.1234567Z"], str),
        (["true", "1"], str),
        (["", ""], type(None)),
    ],
)
def test_what_would_not_be_exact_or_is_of_two_kinds_stays_text(
    tmp_path: Path, write: Write, cells: list[str], expected: type
) -> None:
    write("a.csv", "key,v\n" + "".join(f'k,"{cell}"\n' for cell in cells))
    rows = read(tmp_path, "a.csv")
    assert {type(row["v"]) for row in rows} == {expected}
    if expected is str:
        assert [row["v"] for row in rows] == cells


def test_columns_of_the_recipe_go_before_looks(tmp_path: Path, write: Write) -> None:
    write("a.csv", 'id,amount,at,data,flag\n1,2.50,2026-01-02,"{""a"":[1]}",true\n')
    types = {"id": "varchar", "amount": "Decimal(9, 2)", "at": "timestamptz", "data": "JSON", "flag": "text"}
    assert read(tmp_path, "a.csv", columns=types) == [
        {
            "id": "1",
            "amount": Decimal("2.50"),
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "data": {"a": [1]},
            "flag": "true",
        }
    ]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"amount": "tinyint"}, "a.csv:3: amount: expected an integer of 8 bits, got '300'"),
        (
            {"amount": "decimal(3,1)"},
            "a.csv:3: amount: expected a number of at most 2 digits before the point",
        ),
        ({"name": "double"}, "a.csv:2: name: expected a number, got 'Ann'"),
        ({"name": "date"}, "a.csv:2: name: expected one such as 2026-05-20, got 'Ann'"),
        ({"nam": "text"}, "/from/columns/nam: no file has a column 'nam'; did you mean 'name'?"),
        ({"name": "varchr"}, "/from/columns/name: 'varchr' is no type of a column; did you mean 'VARCHAR'?"),
    ],
)
def test_a_cell_that_is_not_of_its_columns_type_is_named_before_anything_is_read(
    tmp_path: Path, write: Write, columns: dict[str, str], said: str
) -> None:
    write("a.csv", "name,amount\nAnn,1\nBob,300\n")
    with pytest.raises(InputError) as told:
        opened(tmp_path, "a.csv", columns=columns)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "a.csv: the file is empty; its first line names the columns"),
        (b"a,b,a\n1,2,3\n", "a.csv:1: the heading names 'a' twice"),
        (b"a,,c\n1,2,3\n", "a.csv:1: column 2 has no name"),
        (b"a,b\n1,2\n1,2,3\n", "a.csv:3: 3 cells, but the heading has 2"),
        (b'a,b\n1,"x\ny"\n1\n', "a.csv:4: 1 cells, but the heading has 2"),
        (b'a,b\n1,2\n3,"x\n4,5\n', "a.csv:3: no row of a CSV file: a quote that is opened here is never closed"),
        (b'a,b\n1,"x"y\n', "a.csv:2: no row of a CSV file"),
        (b"a,b\r1,2\r", "a.csv:1: no row of a CSV file: a line ends in a bare carriage return"),
        ("a,b\nJosé,1\n".encode("latin-1"), "a.csv: byte 8 (0xE9) is not UTF-8: save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "a.csv: it is UTF-16, not UTF-8: save it as UTF-8"),
    ],
)
def test_a_csv_file_that_is_none_is_refused_by_line_or_byte(
    tmp_path: Path, write: Write, content: bytes, said: str
) -> None:
    write("a.csv", content)
    with pytest.raises(InputError) as told:
        opened(tmp_path, "a.csv")
    assert str(told.value).startswith(said)


def test_byte_order_mark_semicolons_blank_lines_and_windows_line_ends_are_read(tmp_path: Path, write: Write) -> None:
    write("a.csv", b"\xef\xbb\xbfa;b\r\n1;x,y\r\n\r\n2;\r\n")
    assert read(tmp_path, "a.csv") == [{"a": 1, "b": "x,y"}, {"a": 2, "b": None}]


def test_a_heading_alone_gives_no_rows_and_names_the_columns(tmp_path: Path, write: Write) -> None:
    write("a.csv", "a,b\n")
    reader = opened(tmp_path, "a.csv")
    assert rows_of(reader) == []
    assert reader.shape == Record({"a": Plain("text"), "b": Plain("text")})


def test_json_lines_keep_big_integers_and_nested_values(tmp_path: Path, write: Write) -> None:
    rows = [{"id": 2**70, "tags": ["a"], "at": {"x": None}}, {"id": 1, "rate": 0.1}]
    write("a.jsonl", b"\xef\xbb\xbf" + b"\n\n".join(map(msgspec.json.encode, rows)))
    reader = opened(tmp_path, "a.jsonl")
    assert rows_of(reader) == rows
    assert reader.shape == Record(
        {"id": Plain("any"), "tags": Plain("any"), "at": Plain("any"), "rate": Plain("float")}
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\n{"a": }\n', "a.jsonl:2: not JSON ("),
        (b'{"a": 1}\n\n[1]\n', "a.jsonl:3: expected an object, got a list"),
        (b"3\n", "a.jsonl:1: expected an object, got a number"),
        (b'{"a": "\xff"}\n', "a.jsonl:1: not JSON ("),
        (b'{"a": 1e400}\n', "a.jsonl:1: not JSON ("),
        (b"[" * 20_000, "a.jsonl:1: nested too deeply"),
    ],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, write: Write, content: bytes, said: str) -> None:
    write("a.jsonl", content)
    with pytest.raises(InputError) as told:
        opened(tmp_path, "a.jsonl")
    assert str(told.value).startswith(said)


def test_every_logical_type_of_parquet_arrives_as_a_plain_value(tmp_path: Path) -> None:
    parquet(
        tmp_path / "a.parquet",
        """
        SELECT 9223372036854775807 AS id, 18446744073709551615::UBIGINT AS big, 12.50::DECIMAL(9, 2) AS price,
          TIMESTAMPTZ '2026-01-02 03:04:05.678901+02' AS seen, TIMESTAMP '2026-01-02 03:04:05' AS local,
          DATE '2026-01-02' AS day, TIME '03:04:05' AS at, '\\x00\\xFF'::BLOB AS raw, ['a', NULL] AS tags,
          {'city': 'x', 'since': [TIMESTAMPTZ '2026-01-02 00:00:00+00']} AS address, MAP {'k': 1.5::DOUBLE} AS free,
          '4f449cc5-9133-4c41-a1aa-8b636e8449a0'::UUID AS uid, NULL::INT AS nothing, true AS yes, 1.5::FLOAT AS rate
        """,
    )
    reader = opened(tmp_path, "a.parquet")
    assert rows_of(reader) == [
        {
            "id": 2**63 - 1,
            "big": 2**64 - 1,
            "price": Decimal("12.50"),
            "seen": datetime(2026, 1, 2, 1, 4, 5, 678901, tzinfo=UTC),
            "local": datetime(2026, 1, 2, 3, 4, 5),
            "day": date(2026, 1, 2),
            "at": datetime(2026, 1, 2, 3, 4, 5).time(),
            "raw": b"\x00\xff",
            "tags": ["a", None],
            "address": {"city": "x", "since": [datetime(2026, 1, 2, tzinfo=UTC)]},
            "free": {"k": 1.5},
            "uid": "4f449cc5-9133-4c41-a1aa-8b636e8449a0",
            "nothing": None,
            "yes": True,
            "rate": 1.5,
        }
    ]
    assert reader.shape.fields["address"] == Record({"city": Plain("text"), "since": ListOf(Plain("datetime"))})
    assert reader.shape.fields["free"] == MapOf(Plain("float"))


def test_parquet_needs_duckdb_and_says_which_extra_brings_it(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.parquet", b"")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(InputError, match=r"reading Parquet needs DuckDB: pip install 'connectory\[duckdb\]'"):
        opened(tmp_path, "a.parquet")


def test_what_is_no_parquet_file_is_refused(tmp_path: Path, write: Write) -> None:
    write("a.parquet", "id,name\n")
    with pytest.raises(InputError, match=r"a\.parquet: not a Parquet file"):
        opened(tmp_path, "a.parquet")


def test_files_come_in_the_order_of_their_names_each_once(tmp_path: Path, write: Write) -> None:
    for name in ("b/2.jsonl", "a/9.jsonl", "a/10.jsonl", "b/1.jsonl"):
        write(name, f'{{"from": "{name}"}}\n')
    rows = read(tmp_path, "b/*.jsonl", "**/*.jsonl")
    assert [row["from"] for row in rows] == ["a/10.jsonl", "a/9.jsonl", "b/1.jsonl", "b/2.jsonl"]


def test_a_name_with_the_signs_of_a_glob_is_found(tmp_path: Path, write: Write) -> None:
    write("a[1].csv", "a\n1\n")
    assert read(tmp_path, "a[1].csv") == [{"a": 1}]


def test_gzip_is_told_by_the_ending_and_a_cut_file_is_an_error(tmp_path: Path, write: Write) -> None:
    packed = gzip.compress(b"a\n" + b"1\n" * 50_000)
    write("a.csv.gz", packed)
    assert len(read(tmp_path, "a.csv.gz")) == 50_000
    write("a.csv.gz", packed[:-20])
    with pytest.raises(SourceError, match=r"a\.csv\.gz: Compressed file ended"):
        opened(tmp_path, "a.csv.gz")


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        (["gone.csv"], {}, "/from/files/0: gone.csv: there is no such file"),
        (["a.csv", "gone-*.csv"], {}, "/from/files/1: gone-*.csv: no file has such a name"),
        (["folder"], {}, "/from/files/0: folder: is a folder; name its files, as folder/*.csv"),
        (["a.csv", "b.jsonl"], {}, "/from/files: files of one format, found csv and jsonl"),
        (["c.txt"], {}, "/from/files: c.txt: 'format' says what a file is that does not end in .csv, .jsonl"),
        (["b.jsonl"], {"columns": {"a": "int"}}, "/from/columns: the columns of jsonl files have types of their own"),
        (["nowhere://x/a.csv"], {}, "/from/files/0: nowhere://x/a.csv: Protocol not known: nowhere"),
        (["s3://bucket/a.csv"], {}, "/from/files/0: reading s3://bucket/a.csv needs another package: Install s3fs"),
        (["sftp://me:hush@host.invalid/a.csv"], {}, "/from/files/0: reading sftp://***@host.invalid/a.csv needs"),
    ],
)
def test_files_that_cannot_be_found_or_told_point_into_the_recipe(
    tmp_path: Path, write: Write, files: list[str], options: dict[str, Any], said: str
) -> None:
    write("a.csv", "a\n1\n")
    write("b.jsonl", "{}\n")
    write("c.txt", "a\n1\n")
    write("folder/x.csv", "a\n1\n")
    with pytest.raises(InputError) as told:
        opened(tmp_path, *files, **options)
    assert str(told.value).startswith(said)
    assert "hush" not in str(told.value)


def test_format_says_what_a_file_is(tmp_path: Path, write: Write) -> None:
    write("export.txt", "a\n1\n")
    assert read(tmp_path, "export.txt", format="csv") == [{"a": 1}]


def test_urls_are_read_by_fsspec(tmp_path: Path, write: Write) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe({"/drop/b.csv": b"a\n2\n", "/drop/a.csv": b"a\n1\n"})
    try:
        assert read(tmp_path, "memory://drop/*.csv") == [{"a": 1}, {"a": 2}]
        parquet(tmp_path / "x.parquet", "SELECT 3 AS a")
        memory.pipe("/drop/x.parquet", (tmp_path / "x.parquet").read_bytes())
        assert read(tmp_path, "memory://drop/x.parquet") == [{"a": 3}]
    finally:
        memory.rm("/drop", recursive=True)
    write("c.csv", "a\n4\n")
    assert read(tmp_path, f"file://{tmp_path}/c.csv") == [{"a": 4}]


def test_a_missing_fsspec_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "fsspec" or name.startswith("fsspec.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match=r"reading memory://a\.csv needs fsspec: pip install fsspec"):
        opened(tmp_path, "memory://a.csv")


@pytest.mark.parametrize("change", ["grown", "gone", "earlier", "new before"])
def test_a_position_in_files_that_are_not_as_they_were_is_refused(tmp_path: Path, write: Write, change: str) -> None:
    write("1.csv", "a\n1\n2\n")
    write("2.csv", "a\n3\n4\n")
    reader = opened(tmp_path, "*.csv", size=1)
    third = list(reader.chunks(None))[2].position
    match change:
        case "grown":
            write("2.csv", "a\n3\n4\n5\n")
        case "gone":
            (tmp_path / "2.csv").unlink()
        case "earlier":
            write("1.csv", "a\n1\n2\n7\n")
        case "new before":
            write("0.csv", "a\n0\n")
    with pytest.raises(InputError, match="--full-refresh"):
        list(opened(tmp_path, "*.csv").chunks(third))


def test_a_file_that_came_later_is_read_by_the_run_that_goes_on(tmp_path: Path, write: Write) -> None:
    write("1.csv", "a\n1\n2\n")
    first = next(opened(tmp_path, "*.csv", size=1).chunks(None)).position
    write("2.csv", "a\n3\n")
    assert rows_of(opened(tmp_path, "*.csv"), first) == [{"a": 2}, {"a": 3}]


def test_a_file_that_changes_while_it_is_read_ends_the_run(tmp_path: Path, write: Write) -> None:
    write("1.jsonl", '{"a": 1}\n{"a": 2}\n')
    chunks = opened(tmp_path, "1.jsonl", size=1).chunks(None)
    next(chunks)
    write("1.jsonl", '{"a": 1}\n{"a": 2}\n{"a": 3}\n')
    with pytest.raises(SourceError, match="the file changed while it was read"):
        list(chunks)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1).map(lambda t: f"t{t}"),
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
    "decimal": st.decimals(-(10**17), 10**17, allow_nan=False, places=2),
    "bool": st.booleans(),
    "date": st.dates(),
    "datetime": st.datetimes(timezones=st.just(UTC)),
}
NAMES = st.lists(st.text("abcxyzÉ _-", min_size=1, max_size=6), min_size=1, max_size=4, unique_by=str.casefold)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    columns = {name: VALUES[draw(st.sampled_from(sorted(VALUES)))] for name in draw(NAMES)}
    return draw(st.lists(st.fixed_dictionaries({n: st.none() | v for n, v in columns.items()}), max_size=12))


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(rows[0])
    for row in rows:
        told = {True: "true", False: "false", None: ""}
        cells = [row[name] for name in rows[0]]
        writer.writerow([told[cell] if cell is None or isinstance(cell, bool) else str(cell) for cell in cells])
    return text.getvalue().encode()


@given(table=tables(), cut=st.integers(0, 12), size=st.integers(1, 5))
def test_any_table_comes_back_and_from_any_row_the_rest_comes_once(
    tmp_path_factory: pytest.TempPathFactory, table: list[dict[str, Any]], cut: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("files")
    half = len(table) // 2
    if table:
        (folder / "1.csv").write_bytes(as_csv(table))
        assert [{k: canonical(v) for k, v in row.items()} for row in read(folder, "1.csv", size=size)] == [
            {k: canonical(v) for k, v in row.items()} for row in table
        ]
    for name, rows in (("1.jsonl", table[:half]), ("2.jsonl", table[half:])):
        (folder / name).write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    whole = read(folder, "*.jsonl")
    assert whole == msgspec.json.decode(msgspec.json.encode(table))
    chunks = list(opened(folder, "*.jsonl", size=size).chunks(None))
    before = chunks[: cut % (len(chunks) + 1)]
    position = before[-1].position if before else None
    rest = rows_of(opened(folder, "*.jsonl", size=3), msgspec.json.decode(msgspec.json.encode(position)))
    assert [dict(row) for chunk in before for row in chunk.rows] + rest == whole


def canonical(value: Any) -> Any:
    """A value of a CSV file may look like one of a narrower type: the number is the same."""
    return Decimal(str(value)) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value


@pytest.fixture(scope="module")
def parquet_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet")
    parquet(folder / "a.parquet", "SELECT i AS id, 'x' || i AS name FROM range(40) t(i)")
    parquet(folder / "b.parquet", "SELECT 40 AS id, 'b' AS name")
    return folder


@pytest.mark.parametrize(("size", "cut"), [(1, 0), (1, 17), (7, 3), (7, 6), (7, 7), (50, 1), (50, 2)])
def test_parquet_goes_on_from_any_row(parquet_files: Path, size: int, cut: int) -> None:
    before = list(opened(parquet_files, "*.parquet", size=size).chunks(None))[:cut]
    position = before[-1].position if before else None
    rest = rows_of(opened(parquet_files, "*.parquet"), position)
    assert [row["id"] for chunk in before for row in chunk.rows] + [row["id"] for row in rest] == [*range(41)]


def test_all_errors_of_files_are_ours(tmp_path: Path, write: Write) -> None:
    file = write("a.csv", "a\n1\n")
    reader = opened(tmp_path, "a.csv")
    file.unlink()
    with pytest.raises(ConnectoryError, match=r"a\.csv: there is no such file"):
        list(reader.chunks(None))
