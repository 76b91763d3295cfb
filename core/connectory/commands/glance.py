"""The first rows of what a sync has filled, for a person."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.commands.messages import note

ROWS: Final = 5
WIDEST: Final = 24  # of a column: a glance shows many fields rather than whole values


@attrs.frozen
class Seen:
    """What is there: in words, how many rows, and some of them."""

    place: str
    total: int
    rows: list[dict[str, Any]]


def glance(destination: Mapping[str, Any], root: Path, rows: int = ROWS) -> None:
    """Say how many rows there are (stderr), and print a few (stdout), where the destination is no vendor.

    `destination` are a recipe's `to` options, `root` is what its paths are relative to. With 0 `rows` none is shown.
    What cannot be read just now is passed over: the report has said what was delivered.
    """
    from connectory.errors import ConnectoryError

    look = next((look for kind, look in LOOKS.items() if kind in destination), None)
    if look is None:
        return
    try:
        seen = look(destination, root, rows)
    except ConnectoryError:
        return
    if seen is None:
        return
    first = "; the first:" if seen.rows else ""
    note(f"{seen.place} {seen.total:,} row{'' if seen.total == 1 else 's'}{first}")
    if seen.rows:
        from connectory.commands.table import terminal_width, write_table

        records = [{name: _in_short(value) for name, value in row.items()} for row in seen.rows]
        write_table([records], sys.stdout.buffer, room=terminal_width() or 100, widest=WIDEST, told=False)


def _duckdb(destination: Mapping[str, Any], root: Path, limit: int) -> Seen | None:
    from connectory.destinations.duckdb import count
    from connectory.destinations.duckdb import glance as first_rows

    path, table = root / str(destination["duckdb"]), str(destination["table"])
    if not path.exists():
        return None
    names, rows = first_rows(path, table, limit) if limit else ((), [])
    return Seen(f"table {table} in {path} holds", count(path, table), _named(names, rows))


def _postgres(destination: Mapping[str, Any], root: Path, limit: int) -> Seen:
    from connectory.destinations.kinds import read_address
    from connectory.destinations.postgres import count
    from connectory.destinations.postgres import glance as first_rows

    address, table = read_address(str(destination["postgres"]), root), str(destination["table"])
    names, rows = first_rows(address, table, limit) if limit else ((), [])
    return Seen(f"table {table} in PostgreSQL holds", count(address, table), _named(names, rows))


def _files(destination: Mapping[str, Any], root: Path, limit: int) -> Seen:
    from connectory.destinations.files_look import count, first_rows

    path, format = str(destination["files"]), destination["format"]
    total, files = count(path, root, format)
    rows = first_rows(path, root, limit, format) if limit else []
    told = f"{root / path} holds" if files == 1 else f"the {files:,} files {root / path} hold"
    return Seen(told, total, rows)


LOOKS: Final[Mapping[str, Callable[[Mapping[str, Any], Path, int], Seen | None]]] = {
    "duckdb": _duckdb,
    "postgres": _postgres,
    "files": _files,
}


def _named(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _in_short(value: Any) -> Any:
    """A nested value as the texts in it, without the names of its fields."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list):
        return value
    return " ".join(str(short) for one in value if (short := _in_short(one)) not in (None, "", False))
