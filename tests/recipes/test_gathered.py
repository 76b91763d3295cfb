"""SQL over all rows: gathered on disk, run once, and gone on with after a kill without reading a row twice."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectory.connecting import load_registry
from connectory.errors import SourceError, SpecError
from connectory.recipes.changing.changed import open_change
from connectory.recipes.recipe import load_recipe
from connectory.recipes.source import Chunk, Position
from connectory.values.shapes import Plain, Record

ROWS = [{"id": number, "team": "ab"[number % 2], "raw": bytes([number])} for number in range(10)]


class Rows:
    """A source of ten rows, two a chunk, that counts what is read of it and may break off."""

    shape = Record({"id": Plain("int"), "team": Plain("text"), "raw": Plain("bytes")})
    keys = ("team",)

    def __init__(self, breaks_at: int | None = None) -> None:
        self.breaks_at = breaks_at
        self.given: list[int] = []

    def chunks(self, position: Position) -> Iterator[Chunk]:
        for start in range(position or 0, len(ROWS), 2):
            if start == self.breaks_at:
                raise SourceError("the source broke off")
            self.given.append(start)
            yield Chunk(ROWS[start : start + 2], start + 2, pages=1)

    def mark(self) -> str:
        return "the mark"

    def forget(self) -> None:
        pass

    def close(self) -> None:
        pass


def opened(folder: Path, source: Rows, sql: str) -> Any:
    file = folder / "r.yaml"
    file.write_text(f"name: r\nfrom: {{files: x}}\nchange: {sql}\nchange_over: all\nto: {{duckdb: o, table: t}}\n")
    return open_change(load_recipe(load_registry(), file), folder, source, complete=True)


SUMS = "select team, sum(id)::bigint as total, max(raw) as raw from records group by team order by team"
GIVES = [{"team": "a", "total": 20, "raw": b"\x08"}, {"team": "b", "total": 25, "raw": b"\x09"}]


def test_rows_are_grouped_and_sorted_over_the_whole(tmp_path: Path) -> None:
    reader = opened(tmp_path, Rows(), SUMS)
    chunks = list(reader.chunks(None))
    assert [row for chunk in chunks for row in chunk.rows] == GIVES
    assert sum(chunk.came or 0 for chunk in chunks) == 10
    assert sum(chunk.pages for chunk in chunks) == 5
    assert (reader.shape, reader.keys) == (
        Record({"team": Plain("text"), "total": Plain("int"), "raw": Plain("bytes")}),
        ("team",),
    )
    assert reader.mark() == "the mark"
    [file] = [path for path in (tmp_path / ".connectory" / "snapshots").iterdir() if path.suffix == ".duckdb"]
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    reader.forget()
    reader.close()
    assert list((tmp_path / ".connectory" / "snapshots").iterdir()) == []


@pytest.mark.parametrize("kept", [1, 2])
def test_a_run_killed_while_it_gathers_reads_no_row_twice(tmp_path: Path, kept: int) -> None:
    first = opened(tmp_path, Rows(breaks_at=6), SUMS)
    seen: list[Chunk] = []
    with pytest.raises(SourceError, match="the source broke off"):
        seen.extend(first.chunks(None))
    first.close()
    source = Rows()
    again = opened(tmp_path, source, SUMS)
    rest = list(again.chunks(seen[-kept].position))  # what the destination heard of last
    assert source.given == [6, 8]
    assert [row for chunk in rest for row in chunk.rows] == GIVES
    assert sum(chunk.came or 0 for chunk in [*seen[: len(seen) - kept + 1], *rest]) == 10
    assert again.mark() == "the mark"


def test_a_run_killed_while_it_delivers_gives_the_rest_of_the_same_rows(tmp_path: Path) -> None:
    sql = "select id, random() as chance from records order by chance"
    first = opened(tmp_path, Rows(), sql)
    first.rows_per_chunk = 3
    chunks = [chunk for chunk in first.chunks(None) if chunk.rows]
    whole = [row for chunk in chunks for row in chunk.rows]
    source = Rows()
    again = opened(tmp_path, source, sql)
    rest = [row for chunk in again.chunks(chunks[1].position) for row in chunk.rows]
    assert source.given == []
    assert rest == whole[6:]
    assert again.mark() == "the mark"


def test_sql_that_is_wrong_or_fails_points_into_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"r\.yaml:3:\d+ /change: Referenced column \"nam\" not found"):
        opened(tmp_path, Rows(), "select nam from records")
    reader = opened(tmp_path, Rows(), "select max(team)::int as n from records")
    with pytest.raises(SpecError, match=r"r\.yaml:3:\d+ /change: Could not convert string 'b' to INT32"):
        list(reader.chunks(None))
