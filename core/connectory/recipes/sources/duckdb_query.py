"""A query on a DuckDB file. The file is opened only to read where no destination of the run has it open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

from connectory.errors import DestinationError, SourceError, SpecError
from connectory.recipes.changing.faults import duckdb_fault, sql_fault
from connectory.recipes.changing.values import Answer, answer_of, import_duckdb
from connectory.recipes.exact import Column
from connectory.recipes.recipe import LoadedRecipe
from connectory.values.shapes import Record

_PATH = ("from", "query")


@attrs.frozen
class DuckDBQuery:
    """One SELECT on one file."""

    loaded: LoadedRecipe
    file: Path
    sql: str

    def describe(self) -> Record:
        """See `Query`."""
        with self._open() as connection:
            return self._answer(connection).shape

    def batches(self, size: int) -> Iterator[Sequence[Column]]:
        """See `Query`."""
        with self._open() as connection:
            answer = self._answer(connection)
            try:
                cursor = connection.execute(f"SELECT {answer.select} FROM (\n{self.sql}\n)")
                while found := cursor.fetchmany(size):
                    yield answer.columns(found)
            except import_duckdb("").Error as why:
                raise self._fault(why) from None

    def _answer(self, connection: Any) -> Answer:
        duckdb = import_duckdb("")
        try:
            statements = connection.extract_statements(self.sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise SpecError([sql_fault(self.loaded, _PATH, None, "expected one SELECT: a source is only read")])
            described = connection.execute(f"SELECT * FROM (\n{self.sql}\n) LIMIT 0").description
            names = connection.sql(self.sql).columns
        except duckdb.Error as why:
            raise self._fault(why) from None
        if twice := next((name for at, name in enumerate(names) if name in names[:at]), None):
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
        import_duckdb("a query on a DuckDB file")
        from connectory.destinations.duckdb_file import connect, plain_words

        if not self.file.exists():
            raise SpecError([self.loaded.fault(("from", "duckdb"), f"there is no file {self.file}")])
        try:
            with plain_words(self.file, "it is asked for"):
                connection = connect(self.file, read_only=True)
        except DestinationError as why:
            raise SourceError(str(why)) from None
        with closing(connection):
            yield connection
