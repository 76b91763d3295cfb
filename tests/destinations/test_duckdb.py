"""What arrives in a DuckDB file: every row once, whatever the chunks, the mode and the names."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectory.destinations.destination import Written
from connectory.destinations.duckdb import Mode, count, glance, open_duckdb
from connectory.errors import DestinationError
from connectory.values.shapes import Kind, ListOf, MapOf, Plain, Record, Shape
from destinations.tables import DECLARED, bare, query, state_of, stored, table, types

NUMBERS = itertools.count()
MODES: tuple[Mode, ...] = ("append", "replace", "merge")


def settled(written: Written) -> int:
    return written.delivered + written.unchanged + len(written.problems)


# Any rows in any chunks.

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.sampled_from(["a", "A", "b", "id", "", "a b", "a.b", 'q"', "it's", "select", "a_2", "\0", "é", "É"]) | TEXTS
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**140), 2**140)
    | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10607302981934, 0, 1])
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["2026-01-01", "12", "true", "null", "{}", ""])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), max_size=8)


def chunked(rows: list[Any], cuts: list[int]) -> list[list[Any]]:
    edges = [0, *sorted({cut % (len(rows) + 1) for cut in cuts}), len(rows)]
    return [rows[start:end] for start, end in itertools.pairwise(edges) if start != end]


@settings(max_examples=150)
@given(ROWS, st.lists(st.integers(0, 100), max_size=4), st.booleans())
def test_any_rows_in_any_chunks_are_there_once_and_equal(
    shared: Path, rows: list[Any], cuts: list[int], reopen: bool
) -> None:
    name = f"t{next(NUMBERS)}"
    opened = open_duckdb(shared, name, None, (), "append", "r")
    for chunk in chunked(rows, cuts):
        assert opened.write(chunk) == Written(len(chunk))
        if reopen:
            opened.close()
            opened = open_duckdb(shared, name, None, (), "append", "r")
    opened.finish()
    opened.close()
    assert [bare(row) for row in stored(shared, name)] == [bare(row) for row in rows]


KEYS = st.integers(0, 4) | st.sampled_from(["", "0", "a.b", "it's", 'q"', "x y", "\0", None])


def some_became_json(before: dict[str, str], after: dict[str, str]) -> bool:
    """Then what was there stands as its older type held it ([0, 0.0] as [0.0, 0.0]), and is written once more."""
    return any("JSON" in after[name] and after[name] != kind for name, kind in before.items())


@example(
    [
        *({"k.1": key, "v": None} for key in (0, 2, "0")),
        {"k.1": 1, "v": [{"a": None}]},
        {"k.1": 3, "v": [{}]},
        {"k.1": "", "v": False},
    ],
    [5],
)
@example([{"k.1": 1, "v": None}, {"k.1": 0, "v": [0, 0.0]}, {"k.1": "", "v": {}}], [2])
@settings(max_examples=80)
@given(
    st.lists(st.fixed_dictionaries({"k.1": KEYS, "v": VALUES}, optional={"w": SCALARS}), max_size=8),
    st.lists(st.integers(0, 100), max_size=3),
)
def test_merging_twice_changes_nothing_and_the_sums_hold(shared: Path, rows: list[Any], cuts: list[int]) -> None:
    name = f"t{next(NUMBERS)}"
    good = [row for row in rows if row["k.1"] is not None]
    latest = {(type(row["k.1"]), row["k.1"]): row for row in good}
    once_more = False
    for again in range(3):
        with table(shared, "merge", key=["k.1"], name=name) as opened:
            results = []
            for chunk in chunked(rows, cuts):
                before = types(shared, name)
                results.append(opened.write(chunk))
                once_more |= some_became_json(before, types(shared, name))
            opened.finish()
        assert sum(map(settled, results)) == len(rows)
        assert sum(len(result.problems) for result in results) == len(rows) - len(good)
        if again > once_more and len(latest) == len(good):
            assert sum(result.delivered for result in results) == 0
        found = stored(shared, name)
        assert len(found) == len(latest)
        assert {(type(row["k.1"]), row["k.1"]): bare(row) for row in found} == {
            key: bare(latest[key]) for key in latest
        }


KINDS: st.SearchStrategy[Shape] = st.sampled_from(get_args(Kind)).map(Plain)
SHAPES = st.recursive(
    KINDS,
    lambda inner: inner.map(ListOf) | inner.map(MapOf) | st.dictionaries(NAMES, inner, max_size=3).map(Record),
    max_leaves=4,
)
WRITTEN = st.sampled_from(
    ["2026-01-01", "10:00:00", "2026-01-01T10:00:00Z", "0001-01-01T00:00:00", "1.5", "1e400", "NaN"]
)


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from("abc"), SHAPES, max_size=3),
    st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES | WRITTEN | st.lists(WRITTEN), min_size=1), max_size=6),
    st.lists(st.integers(0, 100), max_size=3),
)
def test_whatever_is_declared_every_row_is_delivered_or_named(
    shared: Path, shape: dict[str, Shape], rows: list[dict[str, Any]], cuts: list[int]
) -> None:
    name = f"t{next(NUMBERS)}"
    results = []
    for chunk in chunked(rows, cuts):
        with table(shared, name=name, shape=shape) as opened:
            results.append(opened.write(chunk))
    assert sum(map(settled, results)) == len(rows)
    assert count(shared, name) == sum(result.delivered for result in results)
    invalid = [row.row for result in results for row in result.problems]
    assert all(any(row is given for given in rows) for row in invalid)
    undeclared = [row.get("d") for row in rows if not any(row is other for other in invalid)]
    assert [bare(row.get("d")) for row in stored(shared, name)] == [bare(value) for value in undeclared]


# Names.


def test_fields_that_differ_only_by_case_keep_apart_over_runs(path: Path) -> None:
    row = {"Id": 1, "ID": 2, "id": 3, "": 4, "id_2": 5, "a.b": 6, 'a"b': 7, "a\0b": 8, "select": 9, "x" * 300: 10}
    for _ in range(2):
        with table(path) as opened:
            assert opened.write([row]) == Written(1)
            assert opened.write([dict(reversed(row.items()))]) == Written(1)
    assert stored(path) == [row] * 4
    assert query(path, 'SELECT "Id", "ID_2", "id_3", "_", "id_2_2", "a.b" FROM t LIMIT 1') == [(1, 2, 3, 4, 5, 6)]


@pytest.mark.parametrize("name", ["crm.people", '"crm 2"."peo.ple"', '"it""s"', "crm.Select", "людей"])
def test_tables_of_any_name(path: Path, name: str) -> None:
    for mode in MODES:
        with table(path, mode, name=name, run=mode) as opened:
            opened.write([{"id": 1}], mode.encode())
            opened.finish()
            assert state_of(opened) == mode.encode()
    assert count(path, name) == 1
    assert glance(path, name) == (("id",), [(1,)])


@pytest.mark.parametrize(
    "name", ["", ".", "a.", ".a", "a.b.c", 'a"b', "a\0b", "_connectory_state", "crm._connectory_x"]
)
def test_names_that_are_no_table_are_refused(path: Path, name: str) -> None:
    with pytest.raises(DestinationError, match=r"no name of a table|kept for Connectory"):
        open_duckdb(path, name, None, (), "append", "r")


# Modes and state.


def test_merging_writes_only_what_differs(path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": number, "name": {"first": f"n{number}"}, "tags": [number], "at": None} for number in range(100)
    ]
    with table(path, "merge") as opened:
        assert opened.write(rows, b"1") == Written(100)
        assert opened.write(rows) == Written(0, unchanged=100)
        changed: list[dict[str, Any]] = [{**rows[3], "name": {"first": "new"}}, {"id": 4}, {"id": 1000}]
        assert opened.write([*rows[10:20], *changed], b"2") == Written(3, unchanged=10)
        assert state_of(opened) == b"2"
    assert query(path, "SELECT name.first FROM t WHERE id IN (3, 4, 5) ORDER BY id") == [("new",), (None,), ("n5",)]
    assert count(path, "t") == 101


def test_of_several_rows_with_one_key_the_last_is_kept(path: Path) -> None:
    rows = [{"id": "a", "v": 1}, {"id": "b", "v": 1}, {"id": "a", "v": 2}, {"id": "a", "v": 3}]
    with table(path, "merge") as opened:
        assert opened.write(rows) == Written(2, unchanged=2)
        assert opened.write(rows) == Written(0, unchanged=4)
    assert query(path, "SELECT id, v FROM t ORDER BY id") == [("a", 3), ("b", 1)]


def test_keys_of_several_fields_and_of_every_type(path: Path) -> None:
    shape: dict[str, Shape] = {"day": Plain("date"), "at": Plain("datetime"), "n": Plain("int")}
    row = {"day": "2026-01-01", "at": "2026-01-01T10:00:00Z", "n": 1, "v": 1}
    same = {"day": "2026-01-01", "at": "2026-01-01T12:00:00+02:00", "n": "1", "v": 2}
    with table(path, "merge", key=["day", "at", "n"], shape=shape) as opened:
        assert opened.write([row, same]) == Written(1, unchanged=1)
        assert opened.write([{**row, "n": 2}, same]) == Written(1, unchanged=1)
        assert [i.reason for i in opened.write([{**row, "n": ""}]).problems] == [
            "the key is str '', which stands for null"
        ]
    assert query(path, "SELECT n, v FROM t ORDER BY n") == [(1, 2), (2, 1)]


def test_a_row_without_key_is_invalid(path: Path) -> None:
    with table(path, "merge") as opened:
        written = opened.write([{"id": 1}, {"id": None}, {"Id": 3}, {}])
    assert [(row.field, row.reason) for row in written.problems] == [
        ("id", "the key is null"),
        ("id", "the key is missing: the row has no field 'id'; did you mean 'Id'?"),
        ("", "the row is empty: it has no field"),
    ]
    assert written.delivered == 1
    with pytest.raises(DestinationError, match="needs a key"):
        open_duckdb(path, "t", None, (), "merge", "r")


def test_a_replaced_table_is_seen_whole_or_not_at_all(file: Path) -> None:
    with table(file, "append") as opened:
        opened.write([{"id": 1}], b"old")
    with table(file, "replace", run="second") as opened:
        opened.write([{"id": "a", "new": True}, {"id": "b"}], b"half")
        assert count(file, "t") == 1
        opened.write([{"id": "c"}])
        opened.finish(b"whole")
        assert count(file, "t") == 3
        assert state_of(opened) == b"whole"
    assert types(file) == {"id": "VARCHAR", "new": "BOOLEAN"}
    assert {name for (name,) in query(file, "SELECT table_name FROM duckdb_tables()")} == {"t", "_connectory_state"}


def test_an_unfinished_replace_goes_on_in_its_own_run_only(path: Path) -> None:
    with table(path, "replace", run="first") as opened:
        opened.write([{"id": 0}])
        opened.finish(b"done")
    with table(path, "replace", run="second") as opened:
        opened.write([{"id": 1}], b"half")
    assert query(path, "SELECT id FROM t") == [(0,)]
    with table(path, "replace", run="second") as opened:
        assert state_of(opened) == b"half"
        opened.write([{"id": 2}])
        opened.finish()
        assert state_of(opened) == b"half"
    assert query(path, "SELECT id FROM t ORDER BY id") == [(1,), (2,)]
    with table(path, "replace", run="third") as opened:
        opened.write([{"id": 3}], b"lost")
    with table(path, "replace", run="fourth") as opened:
        assert state_of(opened) is None
        opened.write([{"id": 4}])
    with table(path, "replace", run="third") as opened:
        assert state_of(opened) is None
        opened.finish()
    assert query(path, "SELECT id FROM t") == []


def test_no_rows_make_a_table_of_what_is_declared(path: Path) -> None:
    for mode in MODES:
        with table(path, mode, name=mode, shape=DECLARED) as opened:
            assert opened.write([]) == Written(0)
            opened.finish(b"s")
            assert state_of(opened) == b"s"
        assert len(types(path, mode)) == len(DECLARED)
        assert glance(path, mode) == (tuple(DECLARED), [])
    with table(path, name="nothing") as opened:
        opened.finish()
    assert glance(path, "nothing") == ((), [])
    assert count(path, "nothing") == 0
    with table(path, "replace", name="append") as opened:
        opened.finish()
    assert count(path, "append") == 0


def test_states_of_several_tables_do_not_mix(path: Path) -> None:
    with table(path, name="a") as first, table(path, name="crm.a") as second:
        first.write([{"id": 1}], b"first")
        second.write([{"id": 1}], b"second")
        first.write([{"id": 2}])
        assert (state_of(first), state_of(second)) == (b"first", b"second")
    with table(path, name="A") as again:
        assert state_of(again) == b"first"
    with table(path, name="b") as other:
        assert state_of(other) is None


def test_tables_of_one_file_are_written_by_threads_at_once(file: Path) -> None:
    def write(name: str) -> int:
        with table(file, "merge", name=name) as opened:
            chunks = [[{"id": chunk * 9 + n, f"c{chunk // 5}": {"x": n}} for n in range(9)] for chunk in range(15)]
            written = sum(opened.write(chunk, name.encode()).delivered for chunk in chunks)
            opened.finish()
            assert state_of(opened) == name.encode()
            return written

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(write, ["a", "b", "c", "d"])) == [135] * 4
    assert [count(file, name) for name in ("a", "b", "c", "d")] == [135] * 4


def test_a_glance_shows_values_of_every_type(path: Path) -> None:
    with table(path, shape=DECLARED) as opened:
        for number in range(10):
            opened.write(
                [{"id": number, "seen": "2026-05-20T18:25:43+02:00", "name": {"at": "2026-05-20"}, "free": {"a": 1}}]
            )
        names, rows = glance(path, "t", limit=3)
    found = dict(zip(names, rows[2], strict=True))
    assert len(rows) == 3
    assert found["id"] == 2
    assert found["seen"] == "2026-05-20 16:25:43+00"
    assert found["name"] == {"first": None, "at": "2026-05-20 00:00:00+00"}
    assert found["free"] == {"a": 1}
    assert found["text"] is None
