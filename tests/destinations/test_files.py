"""Files as their readers find them: whole ones only, in folders of partitions, and what goes wrong in plain words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

import connectory
from connectory.destinations import files
from connectory.destinations.destination import Contract, Written
from connectory.destinations.files import FilesDestination, open_files
from connectory.destinations.files_kept import Keeper
from connectory.destinations.files_look import count, first_rows
from connectory.errors import DestinationError
from connectory.values.shapes import ListOf, Plain, Record
from destinations.places import state_of

CORE = Path(connectory.__file__).parents[1]


def opened(folder: Path, name: str, mode: str | None = None, run: str = "r", **options: Any) -> FilesDestination:
    return open_files(name, folder, options.pop("shape", None), mode, run, **options)


def write(folder: Path, name: str, *chunks: list[Any], **options: Any) -> None:
    with closing(opened(folder, name, **options)) as destination:
        for chunk in chunks:
            destination.write(chunk)
        destination.finish()


def found(folder: Path) -> list[str]:
    """What lies in the folder for everybody to see."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "_connectory" not in path.parts
    )


def read_parquet(folder: Path, glob: str = "*.parquet") -> list[dict[str, Any]]:
    with closing(duckdb.connect()) as connection:
        relation = connection.execute(f"SELECT * FROM read_parquet('{folder}/{glob}', union_by_name = true)")
        names = [column[0] for column in relation.description]
        return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


# What is written.


def test_json_lines_are_exactly_what_came(tmp_path: Path) -> None:
    rows = [{"id": 2**70, "z": None, "a": [1.5, {"ü": "\u2028"}], "at": "20.05.2026"}, {"id": "x", "Id": True, "": {}}]
    write(tmp_path, "out/people.jsonl", rows)
    assert found(tmp_path) == ["out/people.jsonl"]
    assert [json.loads(line) for line in (tmp_path / "out/people.jsonl").read_text().split("\n") if line] == rows


def test_csv_is_read_by_others(tmp_path: Path) -> None:
    write(
        tmp_path,
        "people.csv",
        [{"id": 1, "name": 'Ann "A", \n', "tags": ["a", 1]}, {"id": 2, "name": "", "tags": None}],
        [{"id": 3, "new": 0.1, "name": " x "}],
        shape=Record({"id": Plain("int"), "name": Plain("text")}),
    )
    text = (tmp_path / "people.csv").read_text()
    assert text.startswith("id,name,tags,new\n")
    assert '\n2,"",,\n' in text
    with closing(duckdb.connect()) as connection:
        assert connection.execute(
            f"SELECT * FROM read_csv('{tmp_path}/people.csv', allow_quoted_nulls = false)"
        ).fetchall() == [
            (1, 'Ann "A", \n', '["a",1]', None),
            (2, "", None, None),
            (3, " x ", None, 0.1),
        ]


def test_parquet_has_native_types(tmp_path: Path) -> None:
    shape = Record(
        {
            "id": Plain("int"), "seen": Plain("datetime"), "born": Plain("date"), "at": Plain("time"),
            "price": Plain("decimal"), "tags": ListOf(Plain("text")), "name": Record({"first": Plain("text")}),
            "never": Plain("any"),
        }
    )  # fmt: skip
    row = {
        "id": 2**63 - 1, "seen": "2026-05-20T18:25:43", "born": "2026-05-20", "at": "10:00", "price": 0.1,
        "tags": ["a"], "name": {"first": "Ann"}, "free": {"x": [{"y": 2**60}]}, "mixed": 1, "Id": 5,
    }  # fmt: skip
    write(tmp_path, "p-{{ part }}.parquet", [row, {**row, "mixed": "x"}], shape=shape)
    schema = pq.read_schema(tmp_path / "p-00001.parquet")
    assert {field.name: str(field.type) for field in schema} == {
        "id": "int64", "seen": "timestamp[us, tz=UTC]", "born": "date32[day]", "at": "time64[us]",
        "price": "decimal128(38, 9)", "tags": "list<element: string>", "name": "struct<first: string>",
        "free": "struct<x: list<element: struct<y: int64>>>", "mixed": "extension<arrow.json>", "Id_2": "int64",
    }  # fmt: skip
    with closing(duckdb.connect()) as connection:
        [[identity, seen, mixed]] = connection.execute(
            f"SELECT id, seen::VARCHAR, typeof(mixed) FROM '{tmp_path}/p-00001.parquet' WHERE mixed = '1'"
        ).fetchall()
    assert identity == 2**63 - 1
    assert mixed == "JSON"
    assert seen.startswith("2026-05-20")


def test_columns_that_come_later_are_joined_by_name(tmp_path: Path) -> None:
    name = "p-{{ part }}.parquet"
    write(tmp_path, name, [{"id": 1, "in": {"a": 1}, "n": 1, "l": []}])
    first = (tmp_path / "p-00001.parquet").stat().st_mtime_ns
    write(tmp_path, name, [{"id": 2, "in": {"b": "x"}, "new": True}])
    assert (tmp_path / "p-00001.parquet").stat().st_mtime_ns == first
    assert [row["in"] for row in read_parquet(tmp_path)] == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    write(tmp_path, name, [{"id": 3, "n": 0.5, "l": [{"x": 1}]}])  # these types are others: the files are made anew
    rows = read_parquet(tmp_path)
    assert [row["n"] for row in rows] == [1.0, None, 0.5]
    assert [row["l"] for row in rows] == [[], None, [{"x": 1}]]
    write(tmp_path, name, [{"id": "four"}])
    assert [row["id"] for row in read_parquet(tmp_path)] == ["1", "2", "3", '"four"']
    assert found(tmp_path) == [f"p-0000{number}.parquet" for number in (1, 2, 3, 4)]


def test_no_rows_make_a_file_of_what_is_declared(tmp_path: Path) -> None:
    shape = Record({"id": Plain("int"), "born": Plain("date")})
    for name in ("p.parquet", "p.csv", "p.jsonl"):
        write(tmp_path, name, [], shape=shape)
    assert found(tmp_path) == ["p.csv", "p.jsonl", "p.parquet"]
    assert pq.read_schema(tmp_path / "p.parquet").names == ["id", "born"]
    assert (tmp_path / "p.csv").read_text() == "id,born\n"
    write(tmp_path, "q-{{ part }}.parquet", [], shape=shape)
    assert "q-00001.parquet" not in found(tmp_path)


def test_many_rows_make_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "ROWS_PER_PART", 10)
    name = "p-{{ part }}.jsonl"
    chunks = [[{"id": chunk * 4 + number} for number in range(4)] for chunk in range(8)]
    with closing(opened(tmp_path, name)) as destination:
        for chunk in chunks[:3]:
            destination.write(chunk)
        assert found(tmp_path) == ["p-00001.jsonl"]
        destination.finish()
    write(tmp_path, name, *chunks[3:])
    assert count(name, tmp_path) == (32, 3)
    write(tmp_path, name, *chunks, mode="replace")
    assert count(name, tmp_path) == (32, 4)
    assert found(tmp_path) == [f"p-0000{number}.jsonl" for number in (1, 2, 3, 4)]
    lines = "".join((tmp_path / file).read_text() for file in found(tmp_path)).split()
    assert [json.loads(line)["id"] for line in lines] == list(range(32))


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "p-00001.jsonl").write_text("mine\n")
    write(tmp_path, "p-{{ part }}.jsonl", [{"id": 1}])
    write(tmp_path, "p-{{ part }}.jsonl", [{"id": 2}], mode="replace", run="second")
    assert found(tmp_path) == ["p-00001.jsonl", "p-00002.jsonl"]
    assert (tmp_path / "p-00001.jsonl").read_text() == "mine\n"


# Partitions.


def test_partitions_are_folders_that_readers_know(tmp_path: Path) -> None:
    rows = [{"id": n, "country": "NL" if n % 2 else "BE", "year": 2020 + n % 3, "v": n} for n in range(12)]
    for ending in ("parquet", "csv", "jsonl"):
        write(tmp_path / ending, f"p-{{{{ part }}}}.{ending}", rows[:6], rows[6:], partition=["country", "year"])
        assert len(found(tmp_path / ending)) == 6
    with closing(duckdb.connect()) as connection:
        for reader in ("read_parquet", "read_csv", "read_json"):
            ending = reader.removeprefix("read_").replace("json", "jsonl")
            found_rows = connection.execute(
                f"SELECT id, country, year FROM {reader}('{tmp_path}/{ending}/*/*/*.{ending}',"
                " hive_partitioning = true) ORDER BY id"
            ).fetchall()
            assert found_rows == [(row["id"], row["country"], row["year"]) for row in rows]


@pytest.mark.parametrize(
    ("value", "folder"),
    [
        ("../../etc", "v=%2E.%2F..%2Fetc"),
        ("..", "v=%2E%2E"),
        ("/", "v=%2F"),
        ("a b=c%", "v=a%20b%3Dc%25"),
        ("C:\\x", "v=C%3A%5Cx"),
        ("\0\n", "v=%00%0A"),
        ("", "v="),
        (None, "v=__HIVE_DEFAULT_PARTITION__"),
        (True, "v=true"),
        (5, "v=5"),
        ("é", "v=é"),
    ],
)
def test_no_value_leads_out_of_the_folder(tmp_path: Path, value: Any, folder: str) -> None:
    write(tmp_path / "out", "p-{{ part }}.jsonl", [{"v": value}], partition=["v"])
    [file] = found(tmp_path / "out")
    assert file.rpartition("/")[0] == folder
    assert found(tmp_path) == [f"out/{file}"]


def test_values_that_make_no_folder_are_invalid_rows(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"v": [1]}, {"v": "x" * 300}, {"v": "good"}]
    with closing(opened(tmp_path, "p-{{ part }}.csv", partition=["v"])) as destination:
        written = destination.write(rows)
    assert written.delivered == 1
    assert [problem.reason for problem in written.problems] == [
        "a partition is one value, and v is a list",
        f"v is too long for the name of a folder: '{'x' * 40}…'",
    ]


def test_too_many_partitions_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_PARTITIONS", 5)
    with closing(opened(tmp_path, "p-{{ part }}.jsonl", partition=["v"])) as destination:
        destination.write([{"v": number} for number in range(5)], b"five")
        with pytest.raises(DestinationError, match="more than 5 different values of v, and each makes a folder"):
            destination.write([{"v": number} for number in range(3, 8)], b"eight")
        assert state_of(destination) == b"five"
    assert len(found(tmp_path)) == 5


def test_a_replace_removes_partitions_that_are_gone(tmp_path: Path) -> None:
    name, options = "p.csv", {"partition": ["v"]}
    write(tmp_path, name, [{"v": "a", "n": 1}, {"v": "b", "n": 1}], **options)
    assert found(tmp_path) == ["v=a/p.csv", "v=b/p.csv"]
    write(tmp_path, name, [{"v": "b", "n": 2}], run="second", **options)
    assert found(tmp_path) == ["v=b/p.csv"]
    assert not (tmp_path / "v=a").exists()


# Kills and faults.


@pytest.mark.parametrize("most", [2, 100])
@pytest.mark.parametrize("step", range(1, 8))
def test_a_replace_killed_at_any_step_of_its_end_is_completed(
    tmp_path: Path, step: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROWS_PER_PART", most)
    name = "p-{{ part }}.jsonl"
    write(tmp_path, name, [{"id": number} for number in range(7)], mode="replace", run="first")
    steps = iter(range(100))
    real: dict[str, Any] = {"replace": os.replace, "fsync": os.fsync, "link": os.link}

    class Killed(BaseException):
        pass

    def counted(kind: str) -> Any:
        def call(*arguments: Any) -> Any:
            if next(steps) == step:
                raise Killed
            return real[kind](*arguments)

        return call

    destination = opened(tmp_path, name, "replace", "second")
    destination.write([{"id": 10}, {"id": 11}, {"id": 12}], b"half")
    with monkeypatch.context() as patch:
        for kind in real:
            patch.setattr(os, kind, counted(kind))
        with pytest.raises(Killed):
            destination.finish(b"whole")
    destination._lock.release()
    with closing(opened(tmp_path, name, "replace", "second")) as again:
        assert state_of(again) in (b"half", b"whole")
        if state_of(again) == b"half":
            again.finish(b"whole")
    ids = [json.loads(line)["id"] for file in found(tmp_path) for line in (tmp_path / file).read_text().split()]
    assert ids == [10, 11, 12]
    assert not list((tmp_path / "_connectory").glob("*.making"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), {"in": [float("nan")]}], ids=repr)
def test_a_number_without_end_is_no_null_in_json_lines(tmp_path: Path, value: Any) -> None:
    with closing(opened(tmp_path, "p.jsonl")) as destination:
        written = destination.write([{"id": 1, "v": 1.5}, {"id": 2, "v": value}, {"id": 3, "v": None}])
        destination.finish()
    assert [(problem.row["id"], problem.field) for problem in written.problems] == [(2, "v")]
    assert (tmp_path / "p.jsonl").read_text() == '{"id":1,"v":1.5}\n{"id":3,"v":null}\n'


@pytest.mark.parametrize("fault", ["link", "chmod"])
def test_where_a_file_cannot_have_two_names_it_is_copied_or_stays_as_it_was(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **how: Any) -> None:
        raise OSError(95, "not supported")

    with closing(opened(tmp_path, "p.jsonl")) as destination:
        destination.write([{"id": 1}, {"id": 2}], b"two")
        with monkeypatch.context() as patch:
            patch.setattr(os, fault, refuse)
            if fault == "link":
                destination.finish(b"whole")
            else:
                with pytest.raises(DestinationError, match="not supported"):
                    destination.finish(b"whole")
    if fault == "chmod":
        with closing(opened(tmp_path, "p.jsonl")) as again:
            assert state_of(again) == b"two"
            again.finish(b"whole")
    assert (tmp_path / "p.jsonl").read_text() == '{"id":1}\n{"id":2}\n'


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    name = "p-{{ part }}.jsonl"
    with closing(opened(tmp_path, name)) as destination:
        destination.write([{"id": 1}], b"one")
        kept = tmp_path / "_connectory" / "p-N.jsonl"
        with Path(f"{kept}.working").open("ab") as working:
            working.write(b'{"id": 2}\n{"id"')  # written and not counted
        Path(f"{kept}.9.making").write_text("{}")
        destination._lock.release()
        with closing(opened(tmp_path, name)) as again:
            assert state_of(again) == b"one"
            again.finish()
    assert count(name, tmp_path) == (1, 1)
    assert (tmp_path / "p-00001.jsonl").read_text() == '{"id":1}\n'
    assert not Path(f"{kept}.9.making").exists()


def test_what_is_kept_is_for_its_owner_only(tmp_path: Path) -> None:
    with closing(opened(tmp_path, "p-{{ part }}.jsonl")) as destination:
        destination.write([{"id": 1}], b"one")
        kept = tmp_path / "_connectory"
        assert kept.stat().st_mode & 0o777 == 0o700
        for file in ("p-N.jsonl.manifest.json", "p-N.jsonl.working"):
            assert (kept / file).stat().st_mode & 0o777 == 0o600


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with closing(opened(tmp_path, "p-{{ part }}.jsonl")):
        with pytest.raises(DestinationError, match="is being written by another program"):
            opened(tmp_path, "p-{{ part }}.jsonl")
        opened(tmp_path, "q-{{ part }}.jsonl").close()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("s3://bucket/p.parquet", {}, "not to a URL"),
        ("p.xlsx", {}, "its ending says no format; end it with .parquet"),
        ("p-{{ day }}.csv", {}, "may hold {{ part }} once"),
        ("p-{{ part }}-{{ part }}.csv", {}, "may hold {{ part }} once"),
        ("{{ part }}/p.csv", {}, "may hold {{ part }} once"),
        ("out/", {}, "expected the name of a file"),
        ("p.csv", {"mode": "append"}, "put {{ part }} into the name"),
        ("p.csv", {"mode": "merge"}, "cannot be merged"),
    ],
)
def test_names_and_modes_that_make_no_sense_are_refused(
    tmp_path: Path, name: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DestinationError) as caught:
        opened(tmp_path, name, **options)
    assert words in str(caught.value)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(DestinationError, match="there is a file where a folder is needed"):
        opened(tmp_path, "out/p.csv")


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, "p.csv", [{"id": 1}])
    (tmp_path / "_connectory" / "p.csv.manifest.json").write_text("{")
    with pytest.raises(DestinationError, match=r"p.csv.manifest.json cannot be read"):
        opened(tmp_path, "p.csv")
    opened(tmp_path, "q.csv").close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_is_read_only_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DestinationError, match="read-only"):
        opened(tmp_path, "p.csv")


FULL = """
import resource, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from connectory.destinations.files import open_files
from connectory.errors import DestinationError
place = open_files("p-{{ part }}.jsonl", Path(sys.argv[1]), None, None, "r")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
written = 0
try:
    for chunk in range(1000):
        rows = [{"id": chunk * 100 + n, "text": f"{chunk} {n} " * 20} for n in range(100)]
        written += place.write(rows, b"%d" % chunk).delivered
except DestinationError as error:
    print(written, error)
place.close()
"""


def test_a_full_disk_stops_the_chunk_and_keeps_the_rest(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(CORE)], capture_output=True, text=True, check=False
    )
    written, _, words = done.stdout.partition(" ")
    assert "the disk is full; what was kept before is whole" in words, done.stderr
    with closing(opened(tmp_path, "p-{{ part }}.jsonl")) as destination:
        assert state_of(destination) == b"%d" % (int(written) // 100 - 1)
        assert destination.write([{"id": -1}]) == Written(1)
    assert count("p-{{ part }}.jsonl", tmp_path) == (int(written) + 1, len(found(tmp_path)))
    assert first_rows("p-{{ part }}.jsonl", tmp_path, 3)


@pytest.mark.parametrize("contract", ["evolve", "discard_value"])
def test_numbers_that_json_does_not_have_cost_their_row(tmp_path: Path, contract: Contract) -> None:
    with closing(opened(tmp_path, "p-{{ part }}.jsonl", contract=contract)) as destination:
        destination.write([{"id": 1, "in": {"x": 1.0}}])
        written = destination.write([{"id": 2, "in": {"x": [float("nan")]}}, {"id": 3}])
        assert written.delivered + len(written.problems) == 2


def test_a_working_file_that_somebody_cut_is_named(tmp_path: Path) -> None:
    destination = opened(tmp_path, "p.jsonl")
    destination.write([{"id": 1}], b"one")
    destination.close()
    (tmp_path / "_connectory" / "p.jsonl.working").write_bytes(b"")
    with pytest.raises(DestinationError, match="rows of it are gone"):
        Keeper(tmp_path, tmp_path / "_connectory", "p.jsonl")
