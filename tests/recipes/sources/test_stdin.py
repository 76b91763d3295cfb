"""Standard input as a source: read once, and a killed run still has it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectory.errors import InputError

OpenSource = Callable[..., Any]
Kept = Callable[[], list[Path]]
CSV, JSONL = "  stdin: csv", "  stdin: jsonl"


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def given(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return given


Stdin = Callable[[bytes], None]


def rows_of(reader: Any, position: Any = None) -> list[dict[str, Any]]:
    return [dict(row) for chunk in reader.chunks(position) for row in chunk.rows]


def test_rows_come_in_by_a_pipe(open_source: OpenSource, stdin: Stdin, snapshots: Kept) -> None:
    stdin(b"id,code\n1,007\n2,010\n")
    reader = open_source(CSV)
    assert rows_of(reader) == [{"id": 1, "code": "007"}, {"id": 2, "code": "010"}]
    reader.forget()
    reader.close()
    assert snapshots() == []
    stdin(b'{"id": 12345678901234567890}\n')
    assert rows_of(open_source(JSONL)) == [{"id": 12345678901234567890}]


@pytest.mark.parametrize("source", [CSV, JSONL])
def test_no_input_is_no_rows(open_source: OpenSource, stdin: Stdin, source: str) -> None:
    stdin(b"")
    assert rows_of(open_source(source)) == []


def test_a_bad_line_is_named_and_nothing_is_left(open_source: OpenSource, stdin: Stdin, snapshots: Kept) -> None:
    stdin(b'{"id": 1}\nid=2\n')
    with pytest.raises(InputError, match="standard input:2: not JSON"):
        open_source(JSONL)
    assert snapshots() == []


@pytest.mark.parametrize("again", [b"", b"id\n1\n2\n3\n"])
def test_a_killed_run_goes_on_without_input_or_with_the_same(
    open_source: OpenSource, stdin: Stdin, snapshots: Kept, again: bytes
) -> None:
    stdin(b"id\n1\n2\n3\n")
    reader = open_source(CSV)
    reader.rows_per_chunk = 2
    first = next(reader.chunks(None))
    stdin(again)
    second = open_source(CSV)
    assert rows_of(second, first.position) == [{"id": 3}]
    second.forget()
    assert snapshots() == []


def test_other_rows_do_not_take_the_place_of_an_unfinished_runs(open_source: OpenSource, stdin: Stdin) -> None:
    stdin(b"id\n1\n2\n")
    reader = open_source(CSV)
    reader.rows_per_chunk = 1
    position = next(reader.chunks(None)).position
    stdin(b"id\n7\n")
    with pytest.raises(InputError, match=r"a run with other rows on standard input is not at its end.*</dev/null"):
        rows_of(open_source(CSV), position)


def test_a_terminal_is_no_input(open_source: OpenSource, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Terminal()))
    with pytest.raises(InputError, match=r"r\.yaml:3:10 /from/stdin: standard input is a terminal"):
        open_source(CSV)
