"""Rows cut to what a destination takes, held in the state where they do not fit, killed anywhere and gone on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectory.delivery.accounts import Accounts
from connectory.destinations.destination import Kept, Problem, Written
from connectory.errors import DestinationError
from connectory.recipes.flow import Flow, Stopped
from connectory.recipes.report import Observer, Report
from connectory.recipes.source import Chunk
from connectory.recipes.state import Run, State, dump, load, read_state


class Killed(BaseException):
    """The process ends here."""


@attrs.define
class Shelf:
    """A destination in memory: rows and state in one step. It is killed before or after the writes of these numbers."""

    rows_per_write: int | None
    rows: list[Any] = attrs.Factory(list)
    kept: Kept | None = None
    sizes: list[int] = attrs.Factory(list)
    writes: int = 0
    dies: Mapping[int, bool] = attrs.Factory(dict)

    def write(self, rows: Sequence[Mapping[str, Any]], state: bytes | None = None) -> Written:
        self.writes += 1
        if self.dies.get(self.writes) is False:
            raise Killed
        good = [row for row in rows if row["n"] % 5]
        written = Written(len(good), problems=tuple(Problem(row, "n", "no fives") for row in rows if not row["n"] % 5))
        self.rows += good
        if rows:
            self.sizes.append(len(rows))
        if state is not None:
            self.kept = Kept(state, written.counts)
        if self.dies.get(self.writes) is True:
            raise Killed
        return written


def test_rows_that_the_source_refused_are_told_like_those_of_the_destination() -> None:
    told: list[Problem] = []

    class Listens(Observer):
        def wrote(self, written: Written) -> None:
            told.extend(written.problems)

    flow = Flow(Shelf(None), Report("r", "run"), Listens(), State({}))  # type: ignore[arg-type]
    flow.take(Chunk([{"n": 1}], 1, refused=[Problem({"n": 2}, "", "no detail", "rejected")]))
    assert [problem.reason for problem in told] == ["no detail"]


def start(shelf: Shelf, chunks: Sequence[int]) -> Accounts:
    """One start of a run whose source gives chunks of these sizes; a position is the number of the next chunk."""
    report = Report("r", "run")
    flow = Flow(shelf, report, Observer(), State({}))  # type: ignore[arg-type]
    if shelf.kept is not None:
        state = read_state(shelf.kept.state)
        assert state.run is not None
        flow.resume(state.run, shelf.kept)
    first = flow.position or 0
    for number in range(first, len(chunks)):
        begin = sum(chunks[:number])
        rows = [{"n": n, "at": datetime(2026, 1, 1, tzinfo=UTC)} for n in range(begin, begin + chunks[number])]
        flow.take(Chunk(rows, number + 1, came=len(rows) + 1))
    flow.drain()
    return report.accounts


@settings(deadline=None, max_examples=150)
@given(
    chunks=st.lists(st.integers(0, 9), max_size=8),
    size=st.none() | st.integers(1, 7),
    dies=st.dictionaries(st.integers(1, 30), st.booleans(), max_size=6),
)
def test_every_row_is_written_once_in_full_writes_however_often_the_run_is_killed(
    chunks: list[int], size: int | None, dies: dict[int, bool]
) -> None:
    shelf = Shelf(size, dies=dies)
    for _ in range(len(dies) + 1):
        try:
            accounts = start(shelf, chunks)
            break
        except Killed:
            continue
    else:
        raise AssertionError("no end")
    count = sum(chunks)
    assert [row["n"] for row in shelf.rows] == [n for n in range(count) if n % 5]
    assert accounts.balanced
    assert (accounts.read, accounts.counts["invalid"]) == (count, len(range(0, count, 5)))
    if size is not None:
        assert all(written == size for written in shelf.sizes[:-1])


def test_what_a_destination_did_not_try_is_counted_once() -> None:
    class Full(Shelf):
        def write(self, rows: Sequence[Mapping[str, Any]], state: bytes | None = None) -> Written:
            refused = tuple(Problem(row, "", "stopped", "not_tried") for row in rows[1:])
            return Written(1, problems=refused, stopped=DestinationError("full"))

    report = Report("r", "run")
    flow = Flow(Full(2), report, Observer(), State({}))  # type: ignore[arg-type]
    with pytest.raises(Stopped):
        flow.take(Chunk([{"n": n} for n in range(1, 6)], 1))
    assert str(report.error) == "full"
    assert (report.accounts.settled, len(flow.held)) == (2, 3)


def test_a_state_whose_counts_do_not_add_up_is_refused() -> None:
    flow = Flow(Shelf(2), Report("r", "run"), Observer(), State({}))  # type: ignore[arg-type]
    with pytest.raises(DestinationError, match="does not add up: 5 read = 3 delivered and 1 held"):
        flow.resume(Run(id="x", read=5, held=[{"n": 1}], counts={"delivered": 3}), Kept(b""))


SPECIAL = (
    st.datetimes(timezones=st.none() | st.just(UTC))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.binary(max_size=8)
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    PLAIN | SPECIAL,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("$type"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(VALUES)
def test_held_rows_come_back_from_a_state_as_they_were(value: Any) -> None:
    back = load(dump({"row": value}))["row"]
    assert back == value
    assert type(back) is type(value)


def test_a_state_comes_back_whole_and_a_later_one_is_refused() -> None:
    row = {
        "day": date(2026, 1, 2),
        "at": time(3, 4),
        "for": timedelta(days=1),
        "much": Decimal("1.10"),
        "id": UUID(int=1),
    }
    run = Run(id="x", position={"a": [1]}, held=[row], counts={"delivered": 2}, read=3, came=4, span=("2026", None))
    state = State({"/from/query": "abc"}, datetime(2026, 1, 1, tzinfo=UTC), run)
    assert read_state(state.to_bytes()) == state
    with pytest.raises(DestinationError, match="of version 99"):
        read_state(state.to_bytes().replace(b'"version":1', b'"version":99'))
    with pytest.raises(DestinationError, match="cannot be read"):
        read_state(b"{")
