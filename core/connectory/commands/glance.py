"""The first rows of a table that a sync has filled."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from connectory.commands.messages import note

ROWS: Final = 5
WIDEST: Final = 24  # of a column: a glance shows many fields rather than whole values


def glance(destination: Mapping[str, Any], root: Path) -> None:
    """Print a few rows to stdout, where the destination is an embedded database; else do nothing.

    `destination` are a recipe's `to` options, `root` is what its paths are relative to.
    """
    if "duckdb" not in destination:
        return
    from connectory.commands.table import terminal_width, write_table
    from connectory.destinations.duckdb import count
    from connectory.destinations.duckdb import glance as first_rows

    path, table = root / str(destination["duckdb"]), str(destination["table"])
    if not path.exists():
        return
    total = count(path, table)
    names, rows = first_rows(path, table, ROWS)
    note(f"table {table} in {path} holds {total:,} row{'' if total == 1 else 's'}{'; the first:' if rows else ''}")
    records = [dict(zip(names, map(_in_short, row), strict=True)) for row in rows]
    write_table([records], sys.stdout.buffer, room=terminal_width() or 100, widest=WIDEST, told=False)


def _in_short(value: Any) -> Any:
    """A nested value as the texts in it, without the names of its fields."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list):
        return value
    return " ".join(str(short) for one in value if (short := _in_short(one)) not in (None, "", False))
