"""JSON Lines and CSV: rows of a working file, one JSON object a line, written as files of data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from connectory.destinations.columns import Layout

# Writes the lines into a file of these columns; the fields named last stand in the name of the folder.
Write = Callable[[Path, Iterable[bytes], Layout, Sequence[str]], None]

_SPECIAL: Final = frozenset(',"\r\n')
_read_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_text = msgspec.json.Decoder(str).decode


def write_jsonl(path: Path, lines: Iterable[bytes], layout: Layout, left_out: Sequence[str]) -> None:
    """Every row as it came, also with the fields of its folder."""
    with path.open("wb") as file:
        file.writelines(lines)
        _settle(file)


def write_csv(path: Path, lines: Iterable[bytes], layout: Layout, left_out: Sequence[str]) -> None:
    """A line for the names and one a row. Null and missing are empty, an empty text is `""`, nested values are JSON."""
    fields = [column.wire for column in layout.columns if column.wire not in left_out]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(map(_quoted, fields)) + "\n")
        for line in lines:
            row = _read_row(line)
            # A line without anything would be no row to its readers.
            file.write((",".join([_cell(row.get(field)) for field in fields]) or '""') + "\n")
        _settle(file)


def _cell(raw: Any) -> str:
    if raw is None:
        return ""
    text = bytes(raw).decode()
    if text == "null":
        return ""
    return _quoted(_read_text(raw)) if text.startswith('"') else text if text[0] not in "{[" else _quoted(text)


def _quoted(text: str) -> str:
    if text and not _SPECIAL.intersection(text) and text == text.strip():
        return text
    return '"' + text.replace('"', '""') + '"'


def _settle(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def batches(lines: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    """So many lines at a time."""
    some: list[bytes] = []
    for line in lines:
        some.append(line)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some
