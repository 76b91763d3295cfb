"""Any list, paged in any way, stopped anywhere and gone on with: each record once, and none is missing."""

from __future__ import annotations

import warnings
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from connectory import LimitReached
from connectory.recipes.state import dump, load
from recipes.paper import PaperRun, limit_at, open_paper

PAGERS = ["by_number", "by_number_blind", "by_offset", "by_cursor", "by_last", "by_url"]
RECIPE = """
name: r
from: {connector: paper, operation: things.list, complete: COMPLETE}
to: {duckdb: x, table: t, mode: merge}
"""
QUICK = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def thing(id: int, changed: float = 1.8e9) -> dict[str, Any]:
    moment = datetime.fromtimestamp(changed, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return {"id": id, "changed": f"{moment}Z", "name": f"thing {id}"}


def read_all(
    run: PaperRun, position: Any, kills: list[int], concurrent: int = 1, together: int = 1, *, as_text: bool = False
) -> tuple[list[Any], Any, int]:
    """Start again and again until the end: the rows that were kept, the mark, and how many starts were killed.

    A kill comes behind so many chunks, before the last of them is kept.
    """
    rows: list[Any] = []
    killed = 0
    for _ in range(500):
        source = run.source(concurrent, together, as_text=as_text)
        left = kills.pop(0) if kills else None
        try:
            for chunk in source.chunks(load(dump(position))):
                if left == 0:
                    killed += 1
                    break
                left = None if left is None else left - 1
                rows += chunk.rows
                position = chunk.position
            else:
                return rows, load(dump(source.mark())), killed
        except LimitReached:
            continue
    raise AssertionError("no end")


@pytest.mark.parametrize("pager", PAGERS)
def test_a_read_that_is_stopped_anywhere_gives_each_record_once(tmp_path: Path, pager: str) -> None:
    @QUICK
    @given(
        count=st.integers(0, 23),
        size=st.integers(1, 7),
        complete=st.booleans(),
        limits=st.sets(st.integers(1, 60), max_size=8),
        kills=st.lists(st.integers(0, 5), max_size=4),
        concurrent=st.sampled_from([1, 3]),
        together=st.sampled_from([1, 4, 5_000]),
        as_text=st.booleans(),
    )
    def check(
        count: int,
        size: int,
        complete: bool,
        limits: set[int],
        kills: list[int],
        concurrent: int,
        together: int,
        as_text: bool,
    ) -> None:
        run = open_paper(tmp_path, pager, size, RECIPE.replace("COMPLETE", str(complete).lower()))
        run.paper.items = {id: thing(id) for id in range(1, count + 1)}
        run.paper.before = limit_at(limits)
        rows, mark, killed = read_all(run, None, list(kills), concurrent, together, as_text=as_text)
        assert sorted(row["id"] for row in rows) == list(range(1, count + 1))
        assert mark is None
        if complete:
            assert all(row["more"] == "all" for row in rows)
            assert max(run.paper.details.values(), default=1) <= 1 + killed
        if concurrent == 1 and pager != "by_number_blind":  # which reads the last page again, to see where it is
            assert max(run.paper.pages.values()) <= 1 + killed
        assert len(run.paper.pages) <= count // size + 2

    check()


@pytest.mark.parametrize(
    ("rate", "together", "seconds", "chunks"),
    [
        ("", 1, 0.0, [4, 4, 4, 2]),
        ("", 5_000, 0.0, [14]),
        ("", 7, 0.0, [8, 6]),
        ("", 5_000, 0.11, [12, 2]),  # a fifth of a second is over with the third page
        ("", 5_000, 30.0, [8, 6]),
        ("1000000/day", 5_000, 0.0, [4, 4, 4, 2]),  # a call that is counted is never made twice
    ],
)
def test_pages_that_come_fast_are_kept_together(
    tmp_path: Path, rate: str, together: int, seconds: float, chunks: list[int]
) -> None:
    run = open_paper(tmp_path, "by_cursor", 4, RECIPE.replace("COMPLETE", "false"), rate=rate)
    run.paper.items = {id: thing(id) for id in range(1, 15)}
    run.paper.before = lambda call: run.paper.clock.wind(seconds)
    found = [chunk for chunk in run.source(1, together).chunks(None) if chunk.rows]
    assert [len(chunk.rows) for chunk in found] == chunks
    assert sum(chunk.pages for chunk in found) == 4


def test_a_refused_page_keeps_none_of_those_before_it_waiting(tmp_path: Path) -> None:
    run = open_paper(tmp_path, "by_cursor", 4, RECIPE.replace("COMPLETE", "false"))
    run.paper.items = {id: thing(id) for id in range(1, 15)}
    run.paper.before = limit_at({3})
    chunks = run.source(1, 5_000).chunks(None)
    first = next(chunks)
    with pytest.raises(LimitReached):
        next(chunks)
    assert [row["id"] for row in first.rows] == list(range(1, 9))
    rest = run.source(1, 5_000).chunks(load(dump(first.position)))
    assert [row["id"] for chunk in rest for row in chunk.rows] == list(range(9, 15))


@pytest.mark.parametrize("pager", ["by_number", "by_offset", "by_number_blind"])
def test_records_that_go_while_the_read_is_stopped_hide_none(tmp_path: Path, pager: str) -> None:
    @QUICK
    @given(
        count=st.integers(4, 30),
        size=st.integers(2, 6),
        stop=st.integers(1, 4),
        gone=st.sets(st.integers(1, 30), max_size=6),
        more=st.integers(0, 3),
    )
    def check(count: int, size: int, stop: int, gone: set[int], more: int) -> None:
        gone = {id for id in gone if id <= count}
        run = open_paper(tmp_path, pager, size, RECIPE.replace("COMPLETE", "false"))
        run.paper.items = {id: thing(id) for id in range(1, count + 1)}
        run.paper.before = limit_at({stop + 1})
        rows: list[Any] = []
        position = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = run.source()
            try:
                for chunk in source.chunks(None):
                    rows += chunk.rows
                    position = chunk.position
            except LimitReached:
                for id in gone:
                    del run.paper.items[id]
                if len(gone) != more or pager == "by_number_blind":  # as many come as go: no total tells
                    run.paper.items |= {id: thing(id) for id in range(count + 1, count + 1 + more)}
            rest, _, _ = read_all(run, position, [])
        seen = Counter(row["id"] for row in [*rows, *rest])
        assert set(run.paper.items) <= set(seen)
        if len(gone) < size:
            assert max(seen.values()) == 1

    check()


MARKED = """
name: r
from: {connector: paper, operation: things.list, complete: COMPLETE, since: changed}
to: {duckdb: x, table: t, mode: append}
"""


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("pager", ["by_number", "by_cursor"])
def test_every_version_of_a_record_is_appended_once_whatever_changes_meanwhile(
    tmp_path: Path, pager: str, inclusive: bool
) -> None:
    """`changes` happen before the call of that number: (call, record, seconds since the last change)."""

    @example(  # a record comes before the page that is read next, where the cursor is a number in truth
        size=4,
        complete=True,
        runs=[
            ([(1, 3, 0), (4, 3, 1), (4, 5, 2), (5, 12, 1), (2, 6, 2)], []),
            ([(5, 8, 2)], []),
            ([(5, 12, 2), (2, 9, 1), (5, 6, 1), (6, 12, 1), (3, 6, 1)], [3]),
            ([(4, 1, 1), (2, 10, 2), (1, 12, 0), (1, 4, 1), (5, 10, 0)], [4]),
        ],
    )
    @example(  # the only record of the last page has moved, so that the list is read from its beginning
        size=1,
        complete=False,
        runs=[
            ([], [4, 1]),
            ([(2, 10, 0), (4, 3, 0)], [2, 0]),
            ([(4, 2, 1), (3, 11, 0), (3, 12, 2), (2, 9, 2), (5, 3, 2)], []),
            ([(6, 8, 0), (2, 7, 1), (6, 5, 1), (2, 11, 0)], [4]),
        ],
    )
    @QUICK
    @given(
        size=st.integers(1, 5),
        complete=st.booleans(),
        runs=st.lists(
            st.tuples(
                st.lists(st.tuples(st.integers(1, 6), st.integers(1, 12), st.integers(0, 2)), max_size=5),
                st.lists(st.integers(0, 4), max_size=2),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def check(size: int, complete: bool, runs: list[tuple[list[tuple[int, int, int]], list[int]]]) -> None:
        run = open_paper(tmp_path, pager, size, MARKED.replace("COMPLETE", str(complete).lower()), inclusive=inclusive)
        paper, clock = run.paper, run.paper.clock
        paper.items = {id: thing(id, clock.now() - 50 + id // 3) for id in range(1, 9)}
        mark: Any = None
        appended: list[Any] = []
        for changes, kills in [*runs, ([], []), ([], [])]:
            clock.wind(1)
            first = paper.calls

            def change(call: int, changes: Any = changes, first: int = first) -> None:
                for when, id, seconds in changes:
                    if call - first == when:
                        clock.wind(seconds)
                        paper.items[id] = thing(id, clock.now())

            paper.before = change
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows, mark, _ = read_all(run, mark, list(kills))
            appended += rows
        versions = Counter((row["id"], row["changed"]) for row in appended)
        assert max(versions.values()) == 1
        assert {(item["id"], item["changed"]) for item in paper.items.values()} <= set(versions)

    check()
