"""JSON Lines and CSV: rows of a working file, one JSON object a line, written as files of data."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from connectory.destinations.columns import Layout

# Writes the lines into a file of these columns; the fields named last stand in the name of the folder.
Write = Callable[[Path, Iterable[bytes], Layout, Sequence[str]], None]

_ROWS_AT_ONCE: Final = 10_000
_QUOTED: Final = re.compile(r'[,"\r\n]|^\s|\s$|^$').search
_read_rows = msgspec.json.Decoder().decode_lines
_encode = msgspec.json.Encoder().encode


def write_jsonl(path: Path, lines: Iterable[bytes], layout: Layout, left_out: Sequence[str]) -> None:
    """Every row as it came, also with the fields of its folder."""
    with path.open("wb") as file:
        file.writelines(lines)
        _settle(file)


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file."""
    with path.open("rb") as file:
        yield from file


def write_csv(path: Path, lines: Iterable[bytes], layout: Layout, left_out: Sequence[str]) -> None:
    """A line for the names and one a row. Null and missing are empty, an empty text is `""`, nested values are JSON."""
    fields = [column.wire for column in layout.columns if column.wire not in left_out]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(map(_quoted, fields)) + "\n")
        for some in batches(lines, _ROWS_AT_ONCE):
            rows = _read_rows(b"".join(some))
            cells = [[_cell(row.get(field)) for row in rows] for field in fields]
            # A line without anything would be no row to its readers.
            file.writelines([(",".join(row) or '""') + "\n" for row in zip(*cells, strict=True)])
        _settle(file)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else _quoted(bytes(_encode(value)).decode())


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED(text) else text


def _settle(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def batches(lines: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """So many lines at a time."""
    iterator = iter(lines)
    while some := list(islice(iterator, size)):
        yield some
