"""Rows of Parquet files, read by DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from connectory.destinations.columns import literal
from connectory.errors import InputError
from connectory.recipes.changing.values import Answer, answer_of, import_duckdb
from connectory.recipes.sources.places import Place
from connectory.table import Table
from connectory.values.shapes import Plain, Record, Shape

# Reading files is what this connection is for; nothing may be fetched to do it.
_SETTINGS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


class ParquetRows:
    """Some Parquet files. Raises InputError for one that is none."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._duckdb = import_duckdb("reading Parquet")
        self._connection = self._duckdb.connect(config=_SETTINGS)
        self._connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET threads = 1")
        self._known: set[str] = set()
        self.total = 0
        fields: dict[str, Shape] = {}
        for place in places:
            answer = self._answer(place)
            for name, shape in answer.shape.fields.items():
                fields[name] = shape if fields.get(name, shape) == shape else Plain("any")
            [[rows]] = self._ask(place, f"SELECT count(*) FROM {self._table(place)}").fetchall()
            self.total += rows
        self.shape = Record(fields)

    def batches(self, place: Place, skip: int, size: int) -> Iterator[Table]:
        """The rows of one file behind the first `skip`, some at a time."""
        answer = self._answer(place)
        cursor = self._ask(place, f"SELECT {answer.select} FROM {self._table(place)} OFFSET {int(skip)}")
        while rows := self._fetch(place, cursor, size):
            yield Table(answer.names, answer.columns(rows))

    def close(self) -> None:
        """Let go of the files."""
        self._connection.close()

    def _answer(self, place: Place) -> Answer:
        if place.zipped:
            raise InputError(f"{place.name}: a Parquet file is packed inside already; unpack the gzip around it")
        try:
            relation = self._connection.sql(f"SELECT * FROM {self._table(place)}")
        except self._duckdb.Error as why:
            raise InputError(f"{place.name}: not a Parquet file ({_first_line(why)})") from None
        return answer_of(relation.columns, relation.types)

    def _table(self, place: Place) -> str:
        if place.remote is not None and place.remote.protocol not in self._known:
            self._connection.register_filesystem(place.remote)
            self._known.add(place.remote.protocol)
        path = place.path if place.remote is None else place.name
        return f"read_parquet([{literal(path)}])"

    def _ask(self, place: Place, sql: str) -> Any:
        try:
            return self._connection.cursor().execute(sql)
        except self._duckdb.Error as why:
            raise InputError(f"{place.name}: {_first_line(why)}") from None

    def _fetch(self, place: Place, cursor: Any, size: int) -> Any:
        try:
            return cursor.fetchmany(size)
        except self._duckdb.Error as why:
            raise InputError(f"{place.name}: {_first_line(why)}") from None


def _first_line(why: Exception) -> str:
    return str(why).partition("\n")[0][:300]
