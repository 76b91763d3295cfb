"""A query on a SQLite file, by the library that comes with Python. It can only read."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.errors import SourceError, SpecError
from connectory.recipes.changing.faults import sql_fault, statement_of
from connectory.recipes.context import Context
from connectory.recipes.exact import Column
from connectory.recipes.recipe import FromSQLite, LoadedRecipe
from connectory.recipes.sources.queries import QueryReader
from connectory.values.shapes import Plain, Record

_PATH: Final = ("from", "query")
_WAITS: Final = 5.0  # seconds for another program's lock
_AGAIN: Final = re.compile(r":\d+$")  # what SQLite puts behind a name that it has given already
_SELECT: Final = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/)*(select|with|values)\b", re.IGNORECASE | re.DOTALL)
_READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)


@attrs.frozen
class SQLiteQuery:
    """One SELECT on one file. SQLite types values, not columns: those of a column may be of several kinds."""

    loaded: LoadedRecipe
    file: Path
    sql: str

    def describe(self) -> Record:
        """See `Query`."""
        with self._open() as connection:
            names = self._names(self._execute(connection, f"SELECT * FROM (\n{self.sql}\n) LIMIT 0"))
            return Record({name: Plain("any") for name in names})

    def batches(self, size: int) -> Iterator[Sequence[Column]]:
        """See `Query`."""
        with self._open() as connection:
            cursor = self._execute(connection, self.sql)
            self._names(cursor)
            while found := self._told(lambda: cursor.fetchmany(size)):
                yield list(zip(*found, strict=True))

    def _execute(self, connection: sqlite3.Connection, sql: str) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self._told(lambda: connection.execute(sql))
        return cursor

    def _names(self, cursor: sqlite3.Cursor) -> list[str]:
        names = [name for name, *_ in cursor.description or ()]
        bare = [_AGAIN.sub("", name) if _AGAIN.sub("", name) in names else name for name in names]
        if twice := next((name for at, name in enumerate(bare) if name in bare[:at]), None):
            raise self._wrong(f"the query gives two columns '{twice}': name one of them anew")
        return names

    def _told(self, work: Any) -> Any:
        try:
            return work()
        except sqlite3.Warning as why:  # several statements, before Python 3.12
            raise self._wrong(str(why)) from None
        except sqlite3.Error as why:
            raise self._fault(why) from None

    def _fault(self, why: sqlite3.Error) -> SourceError | SpecError:
        code = getattr(why, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_AUTH:
            return self._wrong("expected one SELECT: a source is only read")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return SourceError(f"{self.file} is in use by another program; close it or wait for it")
        if code == sqlite3.SQLITE_NOTADB:
            return SourceError(f"{self.file} is not a SQLite file; name another")
        if code == sqlite3.SQLITE_ERROR:
            told = str(why) if _SELECT.match(self.sql) else f"expected one SELECT: a source is only read ({why})"
            return self._wrong(told)
        return SourceError(f"{self.file}: SQLite says: {why}")

    def _wrong(self, message: str) -> SpecError:
        return SpecError([sql_fault(self.loaded, _PATH, None, message)])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self.file.is_file():
            raise SpecError([self.loaded.fault(("from", "sqlite"), f"there is no file {self.file}")])
        uri = f"{self.file.resolve().as_uri()}?mode=ro"
        with closing(self._told(lambda: sqlite3.connect(uri, uri=True, timeout=_WAITS))) as connection:
            connection.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
            )
            yield connection


def open_query(context: Context, options: FromSQLite) -> QueryReader:
    """The query that a recipe names. Raises SpecError, and SourceError where SQLite fails."""
    sql = statement_of(options.query)
    return QueryReader(SQLiteQuery(context.loaded, context.root / options.sqlite, sql), sql, context)
