"""Every place that is no vendor, behind one face, so that one suite holds for all of them."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import attrs
import duckdb
import psycopg

from connectory.destinations.destination import Contract, Destination
from connectory.destinations.duckdb import open_duckdb
from connectory.destinations.files import open_files
from connectory.destinations.files_parquet import lines_of
from connectory.destinations.postgres import open_postgres
from connectory.values.shapes import Record, Shape
from destinations import tables

Mode = Literal["append", "replace", "merge"]
NUMBERS = itertools.count()

# How a program of its own opens a place, given the words that `Place.arguments` gives.
OPENER = """
def opened(kind, where, name, mode, run="r"):
    key = ["id"] if mode == "merge" else []
    if kind == "duckdb":
        from connectory.destinations.duckdb import open_duckdb
        return open_duckdb(where, name, None, key, mode, run)
    if kind == "files":
        from pathlib import Path
        from connectory.destinations.files import open_files
        return open_files(name, Path(where), None, mode, run)
    from connectory.destinations.postgres import open_postgres
    return open_postgres(where, name, None, key, mode, run)
"""


@attrs.frozen
class Place:
    """One table or set of files. `rows` gives what is there under the fields' own names, as JSON values."""

    kind: str
    where: str
    name: str
    modes: tuple[Mode, ...]
    open_: Callable[..., Destination]
    rows: Callable[[], list[dict[str, Any]]]
    seen: Callable[[Any], Any] = lambda row: row  # a row as this place can tell it

    @contextmanager
    def open(
        self,
        mode: Mode = "append",
        *,
        key: Sequence[str] = ("id",),
        shape: Mapping[str, Shape] | None = None,
        run: str = "r",
        contract: Contract = "evolve",
    ) -> Iterator[Destination]:
        with closing(self.open_(mode, tuple(key), Record(shape) if shape else None, run, contract)) as opened:
            yield opened

    @property
    def arguments(self) -> list[str]:
        return [self.kind, self.where, self.name]


def duckdb_place(file: Path) -> Place:
    name = f"t{next(NUMBERS)}"

    def opened(mode: Mode, key: tuple[str, ...], shape: Record | None, run: str, contract: Contract) -> Destination:
        return open_duckdb(file, name, shape, key, mode, run, contract)

    def rows() -> list[dict[str, Any]]:
        return tables.stored(file, name) if file.exists() else []

    return Place("duckdb", str(file), name, ("append", "replace", "merge"), opened, rows)


def postgres_place(url: str) -> Place:
    name = f"t{next(NUMBERS)}"

    def opened(mode: Mode, key: tuple[str, ...], shape: Record | None, run: str, contract: Contract) -> Destination:
        return open_postgres(url, name, shape, key, mode, run, contract)

    def rows() -> list[dict[str, Any]]:
        return postgres_rows(url, name)

    return Place("postgres", url, name, ("append", "replace", "merge"), opened, rows)


def postgres_rows(url: str, name: str) -> list[dict[str, Any]]:
    with psycopg.connect(url) as connection:
        fields = connection.execute(
            "SELECT attname, coalesce(substr(col_description(attrelid, attnum), 8), attname),"
            " atttypid = 'float8'::regtype FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [name],
        ).fetchall()
        if not fields:
            there = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
            if there == (None,):
                return []
        listed = ", ".join('to_jsonb("' + column.replace('"', '""') + '")::text' for column, _, _ in fields)
        rows = connection.execute(f"SELECT {listed} FROM {name} ORDER BY ctid".encode()).fetchall()
    return [
        {
            # Half way between two floats PostgreSQL writes a digit more than is needed to tell which one it is.
            field: float(value) if is_float else json.loads(value, parse_float=Decimal)
            for (_, field, is_float), value in zip(fields, row, strict=True)
            if value is not None
        }
        for row in rows
    ]


def files_place(folder: Path, ending: str) -> Place:
    name = f"t{next(NUMBERS)}-{{{{ part }}}}.{ending}"

    def opened(mode: Mode, key: tuple[str, ...], shape: Record | None, run: str, contract: Contract) -> Destination:
        return open_files(name, folder, shape, mode, run, contract=contract)

    def rows() -> list[dict[str, Any]]:
        return file_rows(folder, name.replace("{{ part }}", "*"))

    place = Place("files", str(folder), name, ("append", "replace"), opened, rows)
    return attrs.evolve(place, seen=in_csv) if ending == "csv" else place


def file_rows(folder: Path, glob: str) -> list[dict[str, Any]]:
    """What a stranger finds: every file of the ending, whatever it is."""
    found = []
    for path in sorted(folder.rglob(glob)):
        if path.suffix == ".parquet":
            found += [json.loads(line, parse_float=Decimal) for line in lines_of(path)]
        elif path.suffix == ".jsonl":
            found += [json.loads(line, parse_float=Decimal) for line in path.read_text().split("\n") if line]
        else:
            with path.open(encoding="utf-8", newline="") as file:
                found += [{name: guess(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    return found


def in_csv(row: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in row.items()}
    return {name: guess(text) for name, text in texts.items() if text}


def guess(cell: str) -> Any:
    """CSV has texts only; a number or nested value looks like one."""
    try:
        return json.loads(cell, parse_float=Decimal)
    except ValueError:
        return cell


def bare(value: Any) -> Any:
    """The same without what a table cannot tell from a missing field; true is not 1, but 1 is 1.0."""
    match value:
        case bool():
            return ("bool", value)
        case float():
            return Decimal(repr(value))
        case dict():
            return {name: bare(held) for name, held in value.items() if held is not None}
        case list():
            return [bare(held) for held in value]
    return value


def state_of(opened: Destination) -> bytes | None:
    """What was kept last, without its counts."""
    kept = opened.read_state()
    return kept.state if kept else None


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(sql.encode())
        return done.fetchall() if done.description else []


def duckdb_query(sql: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect()) as connection:
        return list(connection.execute(sql).fetchall())
