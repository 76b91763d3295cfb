"""Rows kept on disk come back exactly as they were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectory.errors import SourceError
from connectory.recipes.exact import pack, unpack
from connectory.recipes.sources.snapshots import Heading, Snapshots, read_rows, write_rows

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary()
    | st.dates()
    | st.times().map(lambda moment: moment.replace(fold=0))
    | st.datetimes(timezones=st.none() | st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])).map(
        lambda moment: moment.replace(fold=0)
    )
)
NAMES = st.text(st.characters(codec="utf-8"), max_size=4) | st.sampled_from(["$date", "$decimal", "$object", "$"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))


@settings(max_examples=50)
@example([[datetime(2026, 5, 20, tzinfo=timezone(timedelta(hours=5, minutes=30))), None]])
@given(st.lists(st.lists(VALUES, max_size=5) | st.lists(st.none() | st.dates()) | st.lists(st.decimals()), max_size=3))
def test_any_column_comes_back_with_every_type(columns: list[list[Any]]) -> None:
    assert typed(unpack(pack(columns))) == typed(columns)


def typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: typed(held) for name, held in value.items()}
    return [typed(held) for held in value] if isinstance(value, list) else (type(value), repr(value))


@settings(max_examples=20)
@given(size=st.integers(1, 5), cut=st.integers(0, 9))
def test_from_any_place_the_rest_comes_once(tmp_path_factory: pytest.TempPathFactory, size: int, cut: int) -> None:
    snapshots = Snapshots(tmp_path_factory.mktemp("kept"), "r/1")
    rows = [{"id": number, "name": f"é{number}"} for number in range(9)]
    path = write_rows(snapshots, Heading(("id", "name"), "q"), [by_column(rows[:4]), by_column(rows[4:])])
    assert path is not None
    chunks = list(read_rows(path, (0, 0), size))
    before = chunks[: min(cut, len(chunks))]
    rest = read_rows(path, before[-1][1] if before else (0, 0), 2)
    assert [row for some, _ in before for row in some] + [row for some, _ in rest for row in some] == rows


def by_column(rows: list[dict[str, Any]]) -> list[Any]:
    return list(zip(*(row.values() for row in rows), strict=True))


def test_a_file_that_was_tampered_with_is_no_snapshot(tmp_path: Path) -> None:
    path = write_rows(Snapshots(tmp_path, "r"), Heading(("id",), "q"), [[[1, 2, 3]]])
    assert path is not None
    whole = path.read_bytes()
    for cut in (1, 3, len(whole) - whole.index(b"\n") - 2):
        path.write_bytes(whole[:-cut])
        with pytest.raises(SourceError, match="read everything anew with --full-refresh"):
            list(read_rows(path, (0, 0), 5))
    path.write_bytes(whole[: whole.index(b"\n") + 1] + b"\xff" * 20)
    with pytest.raises(SourceError, match="it ends too early"):
        list(read_rows(path, (0, 0), 5))
    path.write_text("hello\n")
    with pytest.raises(SourceError, match="this is not what a run kept"):
        list(read_rows(path, (0, 0), 5))


def test_a_recipe_tidies_only_its_own(tmp_path: Path) -> None:
    others = [Snapshots(tmp_path, f"exams-{name}").write("rows", lambda file: None) for name in "abcdef"]
    exams = Snapshots(tmp_path, "exams")
    newest = [exams.write("rows", lambda file: None) for _ in range(7)][-1]
    assert all(path.exists() for path in others)
    assert exams.newest() == newest
    assert len(list(newest.parent.iterdir())) == 6 + 5
