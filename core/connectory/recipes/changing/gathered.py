"""`change_over: all`: every row is gathered in a DuckDB file first, then the SQL runs once, and its rows are delivered.

The file lies beside the snapshots. The rows of a chunk are committed to it together with the place behind them, and the
rows that the SQL gave are a table of it: a killed run reads nothing twice, and gives the rest of the very same rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from connectory.destinations.columns import quote
from connectory.errors import DestinationError, SourceError
from connectory.recipes.changing.change import Change, bind, connect, load_lookups
from connectory.recipes.changing.faults import duckdb_fault, statement_of
from connectory.recipes.changing.sql import RECORDS
from connectory.recipes.changing.values import Answer, import_duckdb, relation_of
from connectory.recipes.recipe import LoadedRecipe
from connectory.recipes.source import ROWS_IN_DUCKDB, Chunk, Position, Row, SourceReader, agree
from connectory.recipes.sources.files import ROWS_PER_CHUNK
from connectory.recipes.sources.snapshots import Snapshots
from connectory.values.shapes import Plain, Record

_PATH: Final = ("change",)
# With a blank, so that no lookup is called so.
_GATHERED: Final = "gathered rows"
_RESULT: Final = "result rows"


@attrs.frozen
class _Place:
    """How far the gathering is: the source's position, the rows that came, and, at the end, the source's mark."""

    position: Any = None
    came: int = 0
    whole: bool = False
    mark: Any = None

    def to_bytes(self) -> bytes:
        return msgspec.json.encode(attrs.asdict(self, recurse=False))


class GatheredReader:
    """The change over all rows. Raises SpecError where the SQL is wrong, pointing into the recipe."""

    def __init__(self, reader: SourceReader, loaded: LoadedRecipe, root: Path, *, complete: bool) -> None:
        self._reader = reader
        self._loaded = loaded
        self._root = root
        self._sql = statement_of(str(loaded.recipe.change))
        self._snapshots = Snapshots(root, loaded.recipe.name)
        self._file: Path | None = None
        self._given = False
        self._in_duckdb = False
        self._mark: Any = None
        self.rows_per_chunk = ROWS_PER_CHUNK
        trial = Change(loaded, root, reader.shape, complete=complete)
        self.shape: Record | None = trial.shape
        self.kinds: Mapping[str, Any] | None = trial.kinds
        trial.close()

    @property
    def keys(self) -> tuple[str, ...]:
        """The source's, where the SQL has kept them all."""
        names = self.shape.fields if self.shape is not None else {}
        return self._reader.keys if all(key in names for key in self._reader.keys) else ()

    def leave_in_duckdb(self, *, to_the_end: bool) -> None:
        """See `RelationReader`."""
        self._in_duckdb = True
        if to_the_end:
            self.rows_per_chunk = ROWS_IN_DUCKDB

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """See `SourceReader`. Chunks without rows come while rows are gathered."""
        ours = isinstance(position, dict) and "gathered" in position
        self._file = self._snapshots.find(position["gathered"]) if ours else self._snapshots.place("duckdb")
        self._given = ours
        came = position["came"] if ours else 0
        begin = None if ours else position
        for chunk in self._gather(self._file, begin, came):
            self._given = True
            yield chunk
        yield from self._result(self._file, position.get("row", 0) if ours else 0)

    def _gather(self, file: Path, begin: Position, told: int) -> Iterator[Chunk]:
        """Read what is not there yet; `told` is how many rows an earlier process told of."""
        from connectory.destinations.duckdb import open_duckdb

        with _sourced():
            table = open_duckdb(file, _GATHERED, self._reader.shape, (), "append", "gathering")
        try:
            with contextlib.suppress(OSError):
                file.chmod(0o600)
            kept = table.read_state()
            place = _Place(**msgspec.json.decode(kept.state)) if kept is not None else _Place(begin)
            if place.came > told:  # committed here, while the destination never heard of it
                yield Chunk([], self._at(place.came), came=place.came - told)
            if not place.whole:
                agree(self._reader, table)
                for chunk in self._reader.chunks(place.position):
                    came = len(chunk.rows) + len(chunk.refused) if chunk.came is None else chunk.came
                    place = attrs.evolve(place, position=chunk.position, came=place.came + came)
                    with _sourced():
                        written = table.write(chunk.rows, place.to_bytes())
                    refused = (*chunk.refused, *written.problems)
                    yield attrs.evolve(chunk, rows=[], position=self._at(place.came), came=came, refused=refused)
                place = attrs.evolve(place, whole=True, mark=self._reader.mark())
                with _sourced():
                    table.finish(place.to_bytes())
            self._mark, self._came = place.mark, place.came
        finally:
            table.close()

    def _at(self, came: int, row: int = 0) -> dict[str, Any]:
        assert self._file is not None
        return {"gathered": self._file.name, "came": came, "row": row}

    def _result(self, file: Path, row: int) -> Iterator[Chunk]:
        duckdb = import_duckdb("'change'")
        connection = connect(str(file))
        try:
            answer = self._run(connection)
            [[total]] = connection.execute(f"SELECT count(*) FROM {quote(_RESULT)}").fetchall()
            for rows in self._some(connection, answer, row, total):
                row += len(rows)
                yield Chunk(rows, self._at(self._came, row), total=total, came=0)
        except duckdb.IOException as why:
            raise SourceError(f"{file}: {str(why).partition(chr(10))[0][:300]}") from None
        except duckdb.Error as why:
            raise duckdb_fault(self._loaded, _PATH, self._sql, why, lines_before=1) from None
        finally:
            connection.close()

    def _some(self, connection: Any, answer: Answer, row: int, total: int) -> Iterator[Sequence[Row]]:
        """The rows of the result behind the first `row`, some at a time."""
        result = quote(_RESULT)
        if self._in_duckdb:
            for start in range(row, total, self.rows_per_chunk):
                place = f"rowid BETWEEN {start} AND {start + self.rows_per_chunk - 1}"
                yield relation_of(connection, f"SELECT {answer.stays} FROM {result} WHERE {place}", trim=True)
            return
        cursor = connection.execute(f"SELECT {answer.select} FROM {result} WHERE rowid >= {row:d} ORDER BY rowid")
        while found := cursor.fetchmany(self.rows_per_chunk):
            yield answer.rows(found)

    def _run(self, connection: Any) -> Answer:
        """Make the table of what the SQL gives, where no earlier process did."""
        load_lookups(connection, self._loaded, self._root)
        fields = self._reader.shape.fields if self._reader.shape is not None else {}
        raw = [quote(name) for name, held in fields.items() if held == Plain("bytes")]
        replace = f"REPLACE ({', '.join(f'from_base64({name}) AS {name}' for name in raw)})" if raw else ""
        there = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        gathered = f"* {replace} FROM {quote(_GATHERED)}" if _GATHERED in there else "NULL AS nothing WHERE false"
        connection.execute(f"CREATE TEMP VIEW {RECORDS} AS SELECT {gathered}")
        answer = bind(connection, self._loaded, self._sql)
        if _RESULT not in there:
            connection.execute(f"CREATE TABLE {quote(_RESULT)} AS SELECT * FROM (\n{self._sql}\n)")
        return answer

    def mark(self) -> Any:
        """The source's, at the end of the gathering."""
        return self._mark

    def forget(self) -> None:
        """Remove what was gathered."""
        self._reader.forget()
        self._remove()

    def close(self) -> None:
        """Let go of the source; remove the file where nobody knows of it."""
        if not self._given:
            self._remove()
        self._reader.close()

    def _remove(self) -> None:
        if self._file is not None:
            for path in (self._file, self._file.with_name(f"{self._file.name}.wal")):
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def _sourced() -> Iterator[None]:
    """The table in which rows are gathered belongs to the source."""
    try:
        yield
    except DestinationError as why:
        raise SourceError(f"the rows for the change cannot be gathered: {why}") from None
