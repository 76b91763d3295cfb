"""What holds for every place where rows go: each row once, the state kept with the rows, the contract held to."""

from __future__ import annotations

import itertools
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import connectory
from connectory.destinations.destination import Contract, Written
from connectory.destinations.rows import ContractBroken
from connectory.errors import DestinationError
from connectory.lines import Lines, split
from connectory.values.shapes import ListOf, Plain, Record, Shape
from destinations.places import OPENER, Mode, Place, bare, duckdb_place, files_place, postgres_place, state_of

CORE = Path(connectory.__file__).parents[1]
KINDS = ("duckdb", "postgres", "parquet", "jsonl", "csv")

MakePlace = Callable[[], Place]


@pytest.fixture(scope="module", params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MakePlace:
    """New places of one kind."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        # No test kills the server, so none has to wait for its disk.
        url = f"{server.url(server.create())}?options=-c%20synchronous_commit%3Doff"
        return lambda: postgres_place(url)
    if request.param == "duckdb":
        return lambda: duckdb_place(folder / "data.duckdb")
    return lambda: files_place(folder, request.param)


@pytest.fixture
def place(make: MakePlace) -> Place:
    return make()


def settled(written: Written) -> int:
    return written.delivered + written.unchanged + len(written.problems)


# State and counts.


def test_a_new_place_has_no_state(place: Place) -> None:
    with place.open() as opened:
        assert opened.read_state() is None
        assert opened.resume() is None
        opened.finish()
        assert opened.read_state() is None
    assert place.rows() == []


def test_a_state_is_kept_with_its_rows_and_their_counts(place: Place) -> None:
    with place.open(shape={"id": Plain("int")}) as opened:
        assert opened.write([{"id": 1}, {"id": 2}], b"one") == Written(2)
        assert opened.write([{"id": 3}]) == Written(1)
        kept = opened.read_state()
        assert kept is not None
        assert (kept.state, kept.counts) == (b"one", {"delivered": 2})
        opened.write([{"id": 4}, {}], b"two\0\xff")
    with place.open(shape={"id": Plain("int")}) as opened:
        kept = opened.read_state()
        assert kept is not None
        assert (kept.state, kept.counts) == (b"two\0\xff", {"delivered": 1, "invalid": 1})
        opened.finish(b"end")
        assert state_of(opened) == b"end"
    with place.open() as opened:
        assert state_of(opened) == b"end"
    assert [row["id"] for row in place.rows()] == [1, 2, 3, 4]


def test_a_chunk_without_rows_keeps_its_state(place: Place) -> None:
    for mode in place.modes:
        with place.open(mode, run=mode) as opened:
            assert opened.write([], b"s") == Written(0)
            assert state_of(opened) == b"s"
            opened.finish()


# Modes.


def test_an_unfinished_replace_is_not_seen_and_goes_on_in_its_own_run(place: Place) -> None:
    with place.open("replace", run="first") as opened:
        opened.write([{"id": 0}], b"zero")
        opened.finish(b"done")
    assert [row["id"] for row in place.rows()] == [0]
    with place.open("replace", run="second") as opened:
        opened.write([{"id": 1, "new": "x"}], b"half")
    assert [row["id"] for row in place.rows()] == [0]
    with place.open("replace", run="second") as opened:
        assert state_of(opened) == b"half"
        opened.write([{"id": 2}], b"more")
        assert [row["id"] for row in place.rows()] == [0]
        opened.finish(b"whole")
        assert state_of(opened) == b"whole"
    assert [row["id"] for row in place.rows()] == [1, 2]
    with place.open("replace", run="third") as opened:
        opened.write([{"id": 3}], b"lost")
    with place.open("replace", run="second") as opened:
        assert state_of(opened) == b"whole"
    with place.open("replace", run="fourth") as opened:
        assert state_of(opened) is None
        opened.write([{"id": 4}])
        opened.finish()
    assert [row["id"] for row in place.rows()] == [4]
    with place.open("replace", run="second") as opened:
        assert state_of(opened) is None  # its rows are gone


def test_two_runs_that_fill_one_place_have_a_state_each(place: Place) -> None:
    for run in ("a", "b"):
        with place.open("append", run=run) as opened:
            assert state_of(opened) is None
            opened.write([{"id": run}], b"half " + run.encode())
            opened.finish(b"whole " + run.encode())
    for run in ("a", "b"):
        with place.open("append", run=run) as opened:
            assert state_of(opened) == b"whole " + run.encode()
    assert sorted(row["id"] for row in place.rows()) == ["a", "b"]


def test_a_replace_without_rows_leaves_none(place: Place) -> None:
    with place.open("replace", run="a") as opened:
        opened.write([{"id": 0}])
        opened.finish()
    with place.open("replace", run="b") as opened:
        opened.finish()
    assert place.rows() == []


def test_a_merge_writes_only_what_differs(place: Place) -> None:
    if "merge" not in place.modes:
        with pytest.raises(DestinationError, match="merge"), place.open("merge"):
            pass
        return
    rows: list[dict[str, Any]] = [
        {"id": number, "name": {"first": f"n{number}"}, "tags": [number], "at": None} for number in range(20)
    ]
    with place.open("merge") as opened:
        assert opened.write(rows, b"1") == Written(20)
        assert opened.write(rows) == Written(0, unchanged=20)
        changed: list[dict[str, Any]] = [{**rows[3], "name": {"first": "new"}}, {"id": 4}, {"id": 1000}]
        assert opened.write([*rows[10:15], *changed], b"2") == Written(3, unchanged=5)
        assert opened.write([{"id": 1, "v": 1}, {"id": 1, "v": 2}, {"id": 1, "v": 3}]) == Written(1, unchanged=2)
        assert opened.write([{"id": None}, {"Id": 3}, {}]).problems[0].reason == "the key is null"
    found = {row["id"]: row for row in place.rows()}
    assert len(found) == 21
    assert found[3]["name"] == {"first": "new"}
    assert bare(found[4]) == {"id": 4}
    assert found[1]["v"] == 3


# Values.


def test_integers_days_moments_and_nested_values_come_back_as_they_went(place: Place) -> None:
    shape: dict[str, Shape] = {
        "id": Plain("int"),
        "born": Plain("date"),
        "seen": Plain("datetime"),
        "price": Plain("decimal"),
        "name": Record({"first": Plain("text"), "ids": ListOf(Plain("int"))}),
    }
    row: dict[str, Any] = {
        "id": 2**63 - 1,
        "born": "2026-05-20",
        "seen": "2026-05-20T18:25:43.5Z",
        "price": "12.50",
        "name": {"first": "Ann", "ids": [2**53 + 1, None]},
        "other": {"deep": [{"x": [1, [2]]}, {"y": None}], "text": 'it\'s "this"\n\t\\N,;'},
        "big": 2**80,
        "yes": True,
    }
    with place.open(shape=shape) as opened:
        assert opened.write([row, {"id": 1}]) == Written(2)
        opened.finish()
    found = next(found for found in place.rows() if found["id"] == 2**63 - 1)
    assert found["born"] == "2026-05-20"
    assert datetime.fromisoformat(found["seen"]) == datetime(2026, 5, 20, 18, 25, 43, 500_000, tzinfo=UTC)
    assert float(found["price"]) == 12.5
    for field in ("name", "other", "big", "yes"):
        assert bare(found[field]) == bare(row[field])


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NAMES = st.sampled_from(["a", "A", "b", "id", "", "a b", "a.b", 'q"', "it's", "select", "a_2", "é", "%s"]) | TEXTS
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**140), 2**140)
    | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10607302981934, 0, 1])
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["2026-01-01", "12", "true", "null", "{}", "", "\\N", "\\", "\n", ",", '"'])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), max_size=8)


def chunked(rows: list[Any], cuts: list[int]) -> list[list[Any]]:
    edges = [0, *sorted({cut % (len(rows) + 1) for cut in cuts}), len(rows)]
    return [rows[start:end] for start, end in itertools.pairwise(edges) if start != end]


@example([{"a": 5.661915981432894e16}], [], False)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.lists(st.integers(0, 100), max_size=3), st.booleans())
def test_any_rows_in_any_chunks_are_there_once_and_equal(
    make: MakePlace, rows: list[Any], cuts: list[int], reopen: bool
) -> None:
    place = make()
    opened = place.open_("append", (), None, "r", "evolve")
    for chunk in chunked(rows, cuts):
        assert opened.write(chunk) == Written(len(chunk))
        if reopen:
            opened.close()
            opened = place.open_("append", (), None, "r", "evolve")
    opened.finish()
    opened.close()
    assert sorted(map(repr, map(normal, place.rows()))) == sorted(repr(normal(place.seen(row))) for row in rows)


WRITTEN = st.sampled_from(
    ["2026-01-01", "10:00:00", "2026-01-01T10:00:00Z", "2026-01-01T10:00:00.123456789+02:00", "1.5", "1e400", "é"]
)
KINDS_DECLARED = st.sampled_from([Plain("int"), Plain("float"), Plain("text"), Plain("datetime"), Plain("decimal")])
DECLARED = st.dictionaries(st.sampled_from(["a", "b", "v"]), KINDS_DECLARED | KINDS_DECLARED.map(ListOf))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries({"id": st.integers(0, 5)}, optional={"v": VALUES, "a": WRITTEN, "b": st.lists(WRITTEN)}),
        min_size=1,
        max_size=6,
    ),
    cuts=st.lists(st.integers(0, 100), max_size=2),
    shape=DECLARED,
    mode=st.sampled_from(["append", "replace", "merge"]),
    contract=st.sampled_from(["evolve", "discard_row", "discard_value"]),
)
def test_rows_that_come_as_text_are_the_same_rows(
    make: MakePlace, rows: list[Any], cuts: list[int], shape: dict[str, Shape], mode: Mode, contract: Contract
) -> None:
    outcomes = []
    for as_text in (False, True):
        place = make()
        with place.open(mode if mode in place.modes else "append", shape=shape, contract=contract) as opened:
            written = [opened.write(lines_of(chunk) if as_text else chunk) for chunk in chunked(rows, cuts)]
            opened.finish()
        told = [(each.counts, each.dropped, [(why.field, why.row) for why in each.problems]) for each in written]
        outcomes.append((told, sorted(map(repr, map(normal, place.rows())))))
    assert outcomes[0] == outcomes[1]


def lines_of(rows: list[Any]) -> Lines:
    lines = split(json.dumps(rows).encode(), [])
    assert isinstance(lines, Lines)
    return lines


def normal(value: Any) -> Any:
    """The same in one writing: numbers by their worth, fields by their names."""
    match bare(value):
        case dict() as fields:
            return sorted((name, normal(held)) for name, held in fields.items())
        case list() as items:
            return [normal(item) for item in items]
        case tuple() as truth:
            return truth
        case str() as text:
            return text
        case None:
            return None
        case number:
            return str(Fraction(number))


# Contracts.

SHAPE: dict[str, Shape] = {"id": Plain("int"), "n": Plain("int"), "in": Record({"x": Plain("int")})}
GOOD: dict[str, Any] = {"id": 1, "n": 1, "in": {"x": 1}}
BREAKS: list[tuple[dict[str, Any], str, str]] = [
    ({"id": 2, "n": 2, "new": 5}, "new", "int 5"),
    ({"id": 2, "n": "two"}, "n", "str 'two'"),
]


def begun(place: Place, contract: Contract) -> Any:
    with place.open(shape=SHAPE) as opened:
        opened.write([GOOD], b"begun")
    return place.open(shape=SHAPE, contract=contract)


@pytest.mark.parametrize(("row", "field", "told"), BREAKS)
def test_freeze_stops_at_a_new_field_and_at_another_type(
    place: Place, row: dict[str, Any], field: str, told: str
) -> None:
    with begun(place, "freeze") as opened:
        assert opened.write([{**GOOD, "id": 5}]) == Written(1)
        with pytest.raises(ContractBroken, match=rf"row 2 of the chunk.*: {field}: .*{told}"):
            opened.write([{"id": 3}, row], b"never")
        assert state_of(opened) == b"begun"
        assert opened.write([{"id": 4, "new": None}], b"more") == Written(1)
    assert sorted(row["id"] for row in place.rows()) == [1, 4, 5]


@pytest.mark.parametrize(("row", "field", "told"), BREAKS)
def test_discard_row_makes_such_rows_invalid(place: Place, row: dict[str, Any], field: str, told: str) -> None:
    with begun(place, "discard_row") as opened:
        written = opened.write([{"id": 3}, row])
        assert written.delivered == 1
        [problem] = written.problems
        assert (problem.word, problem.field, problem.row) == ("invalid", field, row)
        assert told in problem.reason
    assert sorted(row["id"] for row in place.rows()) == [1, 3]


@pytest.mark.parametrize(("row", "field", "told"), BREAKS)
def test_discard_value_leaves_the_value_out_and_counts_it(
    place: Place, row: dict[str, Any], field: str, told: str
) -> None:
    with begun(place, "discard_value") as opened:
        assert opened.write([{"id": 3}, row, {**row, "id": 4}]) == Written(3, dropped={field: 2})
    found = {row["id"]: bare(row) for row in place.rows()}
    assert sorted(found) == [1, 2, 3, 4]
    assert field not in found[2]


def test_a_contract_holds_for_the_first_fields_of_a_place_that_had_none(place: Place) -> None:
    with place.open(contract="discard_row") as opened:
        assert opened.write([{"id": 1, "a": "x"}]) == Written(1)
        assert len(opened.write([{"id": 2, "b": 1}]).problems) == 1
        assert opened.write([{"id": 3, "a": "y"}]) == Written(1)
    with place.open(contract="discard_row") as opened:
        assert len(opened.write([{"id": 2, "b": 1}]).problems) == 1


def test_a_replaced_place_holds_to_what_it_had(place: Place) -> None:
    with place.open("replace", run="a") as opened:
        opened.write([{"id": 1, "a": "x"}])
        opened.finish()
    with place.open("replace", run="b", contract="discard_row") as opened:
        assert opened.write([{"id": 2, "a": "y"}, {"id": 3, "b": 1}]).delivered == 1
        opened.finish()
    assert [bare(row) for row in place.rows()] == [{"id": 2, "a": "y"}]


# Killed.

KILLED = (
    """
import sys
sys.path[:0] = [sys.argv[1]]
"""
    + OPENER
    + """
place = opened(*sys.argv[2:6])
left = place.resume()
kept = place.read_state()
start = int(kept.state) if kept else 0
print(start, flush=True)
for chunk in range(start, 100_000):
    rows = [{"id": chunk * 20 + n, f"new{chunk % 10}": {"at": "x" * 100, f"f{chunk % 7}": n}} for n in range(20)]
    place.write(rows, b"%d" % (chunk + 1))
    print(chunk + 1, flush=True)
"""
)


def kill_after(place: Place, mode: str, chunks: int) -> int:
    """How many chunks were acknowledged before the writer was killed."""
    arguments = [sys.executable, "-c", KILLED, str(CORE), *place.arguments, mode]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        seen = [int(line) for line, _ in zip(writer.stdout, range(chunks), strict=False)]
        writer.send_signal(signal.SIGKILL)
        seen += [int(line) for line in writer.stdout if line.endswith("\n")]
    return seen[-1]


def check_killed(place: Place, mode: Mode, acknowledged: int) -> int:
    with place.open(mode) as opened:
        opened.resume()
        state = int(state_of(opened) or b"0")
    assert state >= acknowledged
    return state


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_killed_writer_leaves_whole_chunks_with_their_state(place: Place, mode: Mode) -> None:
    if mode not in place.modes:
        pytest.skip("not for this place")
    for chunks in (2, 9):
        state = check_killed(place, mode, kill_after(place, mode, chunks))
        with place.open(mode) as opened:
            opened.finish(b"%d" % state)
        assert sorted(row["id"] for row in place.rows()) == list(range(state * 20))


def test_a_killed_replace_leaves_what_was_there(place: Place) -> None:
    with place.open("replace", run="before") as opened:
        opened.write([{"id": -1}])
        opened.finish()
    acknowledged = kill_after(place, "replace", 5)
    assert [row["id"] for row in place.rows()] == [-1]
    assert kill_after(place, "replace", 3) > acknowledged
    assert [row["id"] for row in place.rows()] == [-1]
    with place.open("replace") as opened:
        state = int(state_of(opened) or b"0")
        opened.finish(b"whole")
    assert sorted(row["id"] for row in place.rows()) == list(range(state * 20))


@pytest.mark.kills
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(10))
def test_kills_at_any_moment_leave_every_row_once(make: MakePlace, seed: int) -> None:
    chance = random.Random(seed)
    modes: tuple[Mode, ...] = ("append", "merge")
    for mode in modes:
        place = make()
        if mode not in place.modes:
            continue
        state = 0
        for _ in range(10):
            state = check_killed(place, mode, kill_after(place, mode, chance.randint(1, 25)))
        with place.open(mode) as opened:
            opened.finish(b"%d" % state)
        assert sorted(row["id"] for row in place.rows()) == list(range(state * 20))
