"""Writing a table and looking at what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from connectory.destinations.duckdb import DuckDBTable, Mode, open_duckdb
from connectory.destinations.duckdb_file import connect
from connectory.values.shapes import ListOf, MapOf, Plain, Record, Shape

DECLARED: dict[str, Shape] = {
    "id": Plain("int"),
    "text": Plain("text"),
    "share": Plain("float"),
    "price": Plain("decimal"),
    "ok": Plain("bool"),
    "born": Plain("date"),
    "rises": Plain("time"),
    "seen": Plain("datetime"),
    "raw": Plain("bytes"),
    "any": Plain("any"),
    "tags": ListOf(Plain("text")),
    "name": Record({"first": Plain("text"), "at": Plain("datetime")}),
    "free": MapOf(Plain("any")),
}


@contextmanager
def table(
    path: Path,
    mode: Mode = "append",
    *,
    key: Sequence[str] = ("id",),
    shape: Mapping[str, Shape] | None = None,
    name: str = "t",
    run: str = "r",
) -> Iterator[DuckDBTable]:
    with closing(open_duckdb(path, name, Record(shape) if shape else None, key, mode, run)) as opened:
        yield opened


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(connect(path)) as connection:
        rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
        return rows


def types(path: Path, name: str = "t") -> dict[str, str]:
    found = query(path, f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{name}'")
    return {column: kind for column, kind in found}


def stored(path: Path, name: str = "t") -> list[dict[str, Any]]:
    """The rows under their fields' own names, every value as JSON says it."""
    comments = query(path, f"SELECT column_name, comment FROM duckdb_columns() WHERE table_name = '{name}'")
    if not comments:
        return []
    columns = ", ".join('to_json("' + column.replace('"', '""') + '")' for column, _ in comments)
    fields = [text.removeprefix("field: ") if text else column for column, text in comments]
    rows = query(path, f"SELECT {columns} FROM {name}")
    return [
        {field: json.loads(value) for field, value in zip(fields, row, strict=True) if value is not None}
        for row in rows
    ]


def bare(value: Any) -> Any:
    """The same without what a table cannot tell from a missing field; true is not 1, but 1 is 1.0."""
    match value:
        case bool():
            return ("bool", value)
        case dict():
            return {name: bare(held) for name, held in value.items() if held is not None}
        case list():
            return [bare(held) for held in value]
    return value


def state_of(table: DuckDBTable) -> bytes | None:
    """What was kept last, without its counts."""
    kept = table.read_state()
    return kept.state if kept else None
