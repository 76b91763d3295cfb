"""A query on a DuckDB file. The file is opened only to read where no destination of the run has it open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs
import duckdb

from connectory.destinations.duckdb_file import connect, plain_words
from connectory.errors import DestinationError, SourceError, SpecError
from connectory.recipes.changing.faults import duckdb_fault, sql_fault, statement_of
from connectory.recipes.changing.values import Answer, answer_of, named_twice, relation_of
from connectory.recipes.context import Context
from connectory.recipes.exact import Column
from connectory.recipes.recipe import FromDuckDB, LoadedRecipe
from connectory.recipes.source import ROWS_IN_DUCKDB, Position, Row
from connectory.recipes.sources import duckdb_snapshots
from connectory.recipes.sources.queries import QueryReader
from connectory.recipes.sources.snapshots import TABLE, Heading
from connectory.table import Relation
from connectory.values.shapes import Record

_PATH = ("from", "query")


@attrs.define
class DuckDBQuery:
    """One SELECT on one file. `kinds` are DuckDB's types of its columns, once it was described."""

    loaded: LoadedRecipe
    file: Path
    sql: str
    kinds: Mapping[str, Any] | None = None

    def describe(self) -> Record:
        """See `Query`."""
        with self._open() as connection:
            answer = self._answer(connection)
            kept = connection.sql(f"SELECT {answer.stays} FROM (\n{self.sql}\n)")
            self.kinds = dict(zip(kept.columns, kept.types, strict=True))
            return answer.shape

    @contextmanager
    def relation(self) -> Iterator[Relation]:
        """The rows, left in DuckDB."""
        with self._open() as connection:
            yield relation_of(connection, f"SELECT {self._answer(connection).stays} FROM (\n{self.sql}\n)")

    def batches(self, size: int) -> Iterator[Sequence[Column]]:
        """See `Query`."""
        with self._open() as connection:
            answer = self._answer(connection)
            try:
                cursor = connection.execute(f"SELECT {answer.select} FROM (\n{self.sql}\n)")
                while found := cursor.fetchmany(size):
                    yield answer.columns(found)
            except duckdb.Error as why:
                raise self._fault(why) from None

    def _answer(self, connection: Any) -> Answer:
        try:
            statements = connection.extract_statements(self.sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise SpecError([sql_fault(self.loaded, _PATH, None, "expected one SELECT: a source is only read")])
            described = connection.execute(f"SELECT * FROM (\n{self.sql}\n) LIMIT 0").description
            names = connection.sql(self.sql).columns
        except duckdb.Error as why:
            raise self._fault(why) from None
        if twice := named_twice(names):
            raise SpecError(
                [sql_fault(self.loaded, _PATH, None, f"the query gives two columns '{twice}': name one of them anew")]
            )
        return answer_of(names, [kind for _, kind, *_ in described])

    def _fault(self, why: Exception) -> Exception:
        if re.match(r"(IO|Corruption|Serialization|Internal|Out of Memory|Interrupt) Error|FATAL", str(why)):
            return SourceError(f"{self.file}: {str(why).partition(chr(10))[0][:300]}")
        before = 0 if str(why).startswith("Parser Error") else 1
        return duckdb_fault(self.loaded, _PATH, self.sql, why, lines_before=before)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        if not self.file.exists():
            raise SpecError([self.loaded.fault(("from", "duckdb"), f"there is no file {self.file}")])
        try:
            with plain_words(self.file, "it is asked for"):
                connection = connect(self.file, read_only=True)
        except DestinationError as why:
            raise SourceError(str(why)) from None
        with closing(connection):
            yield connection


class DuckDBReader(QueryReader):
    """The rows of a query on DuckDB, which can be left there."""

    _query: DuckDBQuery
    _in_duckdb = False

    @property
    def kinds(self) -> Mapping[str, Any] | None:
        """See `RelationReader`."""
        return self._query.kinds

    def leave_in_duckdb(self, *, to_the_end: bool) -> None:
        """See `RelationReader`."""
        self._in_duckdb = True
        if to_the_end:
            self.rows_per_chunk = ROWS_IN_DUCKDB

    def _keep(self) -> Path | None:
        if not self._in_duckdb:
            return super()._keep()
        try:
            with self._query.relation() as rows:
                return duckdb_snapshots.keep(self._snapshots, self._digest, rows)
        except duckdb.Error:  # the query fails; asked for in the other way it says where
            return super()._keep()

    def _read(self, snapshot: Path, position: Position) -> Iterator[tuple[Sequence[Row], Mapping[str, int]]]:
        if snapshot.suffix[1:] != TABLE:
            yield from super()._read(snapshot, position)
            return
        for rows in duckdb_snapshots.read(snapshot, position["row"], self.rows_per_chunk):
            yield rows, {}

    def _heading(self, snapshot: Path) -> Heading | None:
        if snapshot.suffix[1:] != TABLE:
            return super()._heading(snapshot)
        return duckdb_snapshots.read_heading(snapshot)


def open_query(context: Context, options: FromDuckDB) -> DuckDBReader:
    """The query that a recipe names. Raises SpecError and SourceError."""
    sql = statement_of(options.query)
    return DuckDBReader(DuckDBQuery(context.loaded, context.root / options.duckdb, sql), sql, context)
