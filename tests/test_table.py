"""Rows by their columns are rows like any other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.table import Table

COLUMNS = st.integers(0, 4).flatmap(
    lambda length: st.dictionaries(
        st.text(max_size=2), st.lists(st.integers(), min_size=length, max_size=length), min_size=1, max_size=3
    )
)


@given(columns=COLUMNS, start=st.none() | st.integers(-5, 5), stop=st.none() | st.integers(-5, 5))
def test_a_table_is_the_sequence_of_its_rows(
    columns: dict[str, list[int]], start: int | None, stop: int | None
) -> None:
    table = Table(tuple(columns), tuple(columns.values()))
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert (list(table), len(table), bool(table)) == (rows, len(rows), bool(rows))
    assert [table[place] for place in range(len(table))] == rows
    assert list(table[start:stop]) == rows[start:stop]


def test_all_of_a_table_is_itself() -> None:
    table = Table(("a",), ((1, 2),))
    assert table[:2] is table
    with pytest.raises(IndexError):
        table[2]


@pytest.mark.parametrize(
    ("names", "columns"), [(("a",), ()), ((), ()), (("a", "b"), ((1,),)), (("a", "b"), ((1,), (1, 2)))]
)
def test_what_is_no_table_is_refused(names: tuple[str, ...], columns: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match="names of"):
        Table(names, columns)
