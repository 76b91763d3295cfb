"""Records as a table for people: streamed, columns as wide as the first records need and the terminal allows."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, BinaryIO, Final

import attrs
import click

_FIRST: Final = 100  # records that decide about the columns
_WIDEST: Final = 60  # of a column, in cells of a terminal
_GAP: Final = "  "
# Escape sequences in a record must not reach the terminal.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@attrs.frozen
class Column:
    """One column: the field, its width in cells, and whether it holds numbers only."""

    name: str
    width: int
    right: bool


def write_table(
    pages: Iterable[Sequence[Any]],
    out: BinaryIO,
    *,
    room: int | None = None,
    widest: int = _WIDEST,
    told: bool = True,
) -> None:
    """Write a heading and a line for each record.

    `room` is how wide a line may be, `widest` how wide a column, in cells of a terminal. With `told`, the number of
    records and the fields that found no room are said on stderr.
    """
    records: Iterator[Mapping[str, Any]] = (
        record if isinstance(record, Mapping) else {"value": record} for page in pages for record in page
    )
    first = list(islice(records, _FIRST))
    shown, left_out = _columns(first, room, widest)
    if shown:
        _line(out, [(column.name, column) for column in shown])
        _line(out, [("-" * column.width, column) for column in shown])
    count = 0
    for record in chain(first, records):
        count += 1
        _line(out, [(_text(record.get(column.name)), column) for column in shown])
    out.flush()
    if told:
        more = f"; not shown: {', '.join(left_out)}" if left_out else ""
        click.echo(f"({count:,} row{'' if count == 1 else 's'}{more})", err=True)


def terminal_width() -> int | None:
    """Cells of a line on the terminal; None where there is no terminal to run over the edge of."""
    if not sys.stdout.isatty():
        return None
    from shutil import get_terminal_size

    return get_terminal_size().columns


def _columns(records: Sequence[Mapping[str, Any]], room: int | None, widest: int) -> tuple[list[Column], list[str]]:
    """The columns that fit, in the order of the fields, and the names of those that do not; empty ones count last."""
    names = list(dict.fromkeys(name for record in records for name in record))
    filled = [name for name in names if any(record.get(name) not in (None, "", [], {}) for record in records)]
    shown: list[Column] = []
    used = 0
    for name in filled or names:
        column = _column(name, [record.get(name) for record in records], widest)
        needed = column.width + (len(_GAP) if shown else 0)
        if room is not None and shown and used + needed > room:
            continue
        shown.append(column)
        used += needed
    kept = {column.name for column in shown}
    return shown, [name for name in names if name not in kept]


def _column(name: str, values: Sequence[Any], widest: int) -> Column:
    from rich.cells import cell_len

    width = max(map(cell_len, [name, *map(_text, values)]))
    numbers = [value for value in values if value is not None]
    right = bool(numbers) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers)
    return Column(name, min(width, widest), right)


def _text(value: Any) -> str:
    """A value on one line, without anything that a terminal would obey."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _CONTROL.sub(" ", text)


def _line(out: BinaryIO, cells: Sequence[tuple[str, Column]]) -> None:
    out.write((_GAP.join(_fitted(text, column) for text, column in cells).rstrip() + "\n").encode("utf-8", "replace"))


def _fitted(text: str, column: Column) -> str:
    from rich.cells import cell_len, set_cell_size

    length = cell_len(text)
    if length > column.width:
        return set_cell_size(text, column.width - 1) + "…"
    padding = " " * (column.width - length)
    return padding + text if column.right else text + padding
