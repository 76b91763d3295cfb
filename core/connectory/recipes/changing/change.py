"""A recipe's `change`: SQL over the rows of each chunk, run by DuckDB in memory. Without one nothing here is imported.

The chunk is the table `records`, each column of the type its field is declared with: text VARCHAR, int BIGINT, float
DOUBLE, decimal DECIMAL(38,9), bool BOOLEAN, date DATE, time TIME, datetime TIMESTAMPTZ (no zone means UTC), bytes BLOB,
a list T[], an object STRUCT, anything else JSON. A field that is not declared gets the narrowest type that holds its
values so far, objects and lists JSON. A field that a row does not have is NULL. A row whose value is not what its field
declares is invalid.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from connectory.destinations import columns
from connectory.destinations.columns import Layout, Tree, literal, quote
from connectory.destinations.destination import Problem
from connectory.destinations.duckdb_relation import selected
from connectory.destinations.rows import Rules, fit_rows, hardened
from connectory.errors import Fault, SpecError
from connectory.recipes.changing.faults import duckdb_fault, in_characters, sql_fault, statement_of
from connectory.recipes.changing.sql import RECORDS, check_sql
from connectory.recipes.changing.values import Answer, answer_of, import_duckdb, named_twice, relation_of
from connectory.recipes.recipe import FromFiles, LoadedRecipe
from connectory.recipes.source import Row
from connectory.recipes.sources.files import open_files
from connectory.table import Relation
from connectory.values.shapes import Plain, Record

_PATH: Final = ("change",)
# Nothing is fetched, and no variable of this program is a table. Rows stay in order: one thread, joins as written.
_SETTINGS: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "threads": "1",
    "disabled_optimizers": "join_order,build_side_probe_side",
}
_LINES: Final = "SELECT unnest(string_split(getvariable('lines'), chr(10))) AS line"
_SET_LINES: Final = "SET VARIABLE lines = decode($1::BLOB)"  # a text of Python takes longer to be taken in than bytes
# With blanks, so that no lookup is called so.
_THEIRS: Final = "rows of another DuckDB"
_RESULT: Final = '"result rows"'
_encode: Final = msgspec.json.Encoder(enc_hook=columns.write_special).encode_lines


@attrs.frozen
class Changed:
    """What became of a chunk: the rows that the SQL gave, and those that it could not be given."""

    rows: Sequence[Row]
    invalid: Sequence[Problem] = ()


def connect(path: str = ":memory:") -> Any:
    """A DuckDB in which recipes' SQL runs."""
    connection = import_duckdb("'change'").connect(path, config=_SETTINGS)
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    return connection


_sound: Final[set[tuple[str, tuple[str, ...], str]]] = set()  # what was found without fault: a start checks three times


def check_change(loaded: LoadedRecipe) -> list[Fault]:
    """Every fault of the change that can be told without rows. Raises ArgumentError where DuckDB is not installed."""
    recipe = loaded.recipe
    if recipe.change is None:
        key = next((key for key in ("lookups", "change_over") if key in loaded.tree), None)
        return [loaded.fault((key,), "is for 'change', which this recipe does not have", at_key=True)] if key else []
    sql = statement_of(recipe.change)
    known = (sql, tuple(recipe.lookups), recipe.change_over)
    if known in _sound:
        return []
    connection = connect()
    try:
        taken = [name for name in recipe.lookups if name.casefold() == RECORDS]
        faults = [loaded.fault(("lookups", name), f"`{RECORDS}` are the source's rows") for name in taken]
        faults += check_sql(
            connection,
            sql,
            recipe.lookups,
            by_chunk=recipe.change_over == "chunk",
            at=lambda byte, message: sql_fault(
                loaded, _PATH, None if byte is None else in_characters(sql, byte), message
            ),
        )
    finally:
        connection.close()
    if not faults:
        _sound.add(known)
    return faults


class Change:
    """The SQL of one recipe, ready for chunks. With `stays` the rows that it gives are left in DuckDB.

    `shape` is what is known of the rows that come. Where it names every field (`complete`), SQL that asks for another
    is refused at once; else when the first rows come. Raises SpecError with the place in the recipe, ArgumentError
    where DuckDB is not installed, InputError for a lookup that cannot be read.
    """

    def __init__(self, loaded: LoadedRecipe, root: Path, shape: Record | None, *, complete: bool) -> None:
        if faults := check_change(loaded):
            raise SpecError(faults)
        self._loaded = loaded
        self._sql = statement_of(str(loaded.recipe.change))
        self._connection = connect()
        try:
            self._duckdb = import_duckdb("'change'")
            load_lookups(self._connection, loaded, root)
            self._records = Records(shape)
            self._connection.execute("SET lock_configuration = true")
            self._answer: Answer | None = None
            self._from = ""
            self.stays = False
            self._connection.execute("SET VARIABLE lines = ''")
            if shape is not None:
                self._bind(self._records.select(_LINES), must=complete)
        except BaseException:
            self._connection.close()
            raise

    @property
    def shape(self) -> Record | None:
        """What is known of the rows that the SQL gives."""
        return None if self._answer is None else self._answer.shape

    @property
    def kinds(self) -> Mapping[str, Any] | None:
        """The types of the columns that the SQL gives, where they are known."""
        if self._answer is None:
            return None
        described = self._connection.execute(f"SELECT {self._answer.stays} FROM (\n{self._sql}\n) LIMIT 0").description
        return dict(zip(self._answer.names, [kind for _, kind, *_ in described], strict=True))

    def takes_relation(self, kinds: Mapping[str, Any]) -> bool:
        """See `TakesRelation`."""
        return self._records.selected(kinds) is not None

    def apply(self, rows: Sequence[Row]) -> Changed:
        """One chunk. Raises SpecError where the SQL fails on it."""
        if isinstance(rows, Relation) and (select := self._records.selected(rows.kinds)) is not None:
            self._connection.register(_THEIRS, rows)
            try:
                self._see(f"SELECT {select} FROM {quote(_THEIRS)}")
                return Changed(self._given())
            finally:
                self._connection.unregister(_THEIRS)
        pieces, invalid = self._records.lines(rows)
        self._see(self._records.select(_LINES))
        if not pieces:
            return Changed([], invalid)
        self._connection.execute(_SET_LINES, pieces)
        return Changed(self._given(), invalid)

    def close(self) -> None:
        """Let go of DuckDB."""
        self._connection.close()

    def _see(self, records: str) -> None:
        """Let `records` be what this SQL gives."""
        if records != self._from or self._answer is None:
            self._bind(records, must=True)

    def _given(self) -> Sequence[Row]:
        """The rows that the recipe's SQL makes of `records`."""
        assert self._answer is not None
        try:
            if not self.stays:
                self._connection.execute(f"SELECT {self._answer.select} FROM (\n{self._sql}\n)")
                return self._answer.rows(self._connection.fetchall())
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {_RESULT} AS SELECT {self._answer.stays} FROM (\n{self._sql}\n)"
            )
        except self._duckdb.Error as why:
            raise self._fault(why) from None
        return relation_of(self._connection, f"FROM {_RESULT}", trim=True)

    def _bind(self, records: str, *, must: bool) -> None:
        """Let DuckDB look at the SQL with the columns as they are now."""
        self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {RECORDS} AS {records}")
        self._from = records
        try:
            self._answer = bind(self._connection, self._loaded, self._sql)
        except self._duckdb.Error as why:
            if must:
                raise self._fault(why) from None
            self._answer = None

    def _fault(self, why: Exception) -> SpecError:
        return duckdb_fault(self._loaded, _PATH, self._sql, why, lines_before=1)


def bind(connection: Any, loaded: LoadedRecipe, sql: str) -> Answer:
    """The columns that the SQL gives. Raises SpecError for a name that two have, and DuckDB's errors."""
    described = connection.execute(f"SELECT * FROM (\n{sql}\n) LIMIT 0").description
    names = connection.sql(sql).columns
    if twice := named_twice(names):
        raise SpecError([sql_fault(loaded, _PATH, None, f"the SQL gives two columns '{twice}': name one of them anew")])
    return answer_of(names, [kind for _, kind, *_ in described], trim=True)


class Records:
    """The columns of `records`: their types as declared, grown by what comes; and rows made ready for them."""

    def __init__(self, shape: Record | None) -> None:
        fields = shape.fields if shape is not None else {}
        self._trees: Mapping[str, Tree] = {name: columns.tree_of(held) for name, held in fields.items()}
        self._layout = Layout().grown(self._trees)
        self._bytes = frozenset(name for name, held in fields.items() if held == Plain("bytes"))

    def selected(self, kinds: Mapping[str, Any]) -> str | None:
        """The columns as SQL, made of rows with these types; None where they have to be looked at one by one."""
        return selected(kinds, self._layout)

    def select(self, lines: str) -> str:
        """SQL that reads the rows from lines of JSON."""
        if not self._layout.columns:
            return f"SELECT NULL AS nothing FROM ({lines}) WHERE false"
        named = self._layout.names_in_lines
        parts = []
        for column in self._layout.columns:
            value = f"row.{quote(named[column.wire])}"
            if column.wire in self._bytes:
                value = f"from_base64({value})"
            elif columns.has_foreign(column.tree):
                value = f"CAST({value} AS {columns.sql_type(column.tree)})"
            parts.append(f"{value} AS {quote(column.name)}")
        structure = literal(self._layout.structure)
        return (
            f"SELECT {', '.join(parts)} FROM"
            f" (SELECT from_json_strict(line, {structure}) AS row FROM ({lines}) WHERE line <> '')"
        )

    def lines(self, rows: Sequence[Row]) -> tuple[list[bytes], list[Problem]]:
        """The rows as lines of JSON, and those that are not what is declared."""
        if not rows:
            return [], []
        given = [_with_base64(row, self._bytes) for row in rows] if self._bytes else rows
        try:
            return [_lines(given, self._layout)], []
        except (KeyError, TypeError, ValueError, RecursionError):
            return self._one_by_one(given)

    def _one_by_one(self, rows: Sequence[Row]) -> tuple[list[bytes], list[Problem]]:
        have = {**self._trees, **dict.fromkeys(_nested(rows, self._trees), columns.TEXT)}
        fitted = fit_rows(rows, have, Rules())
        self._trees = fitted.trees
        layout = self._layout.grown({name: hardened(tree) for name, tree in fitted.trees.items()})
        self._layout = self._layout if layout == self._layout else layout  # it holds what msgspec compiled
        return ([_lines(fitted.rows, self._layout)] if fitted.rows else []), fitted.invalid


def _nested(rows: Sequence[Row], have: Mapping[str, Tree]) -> list[str]:
    """Fields that nobody declared and that hold objects or lists: JSON, so that their type never changes."""
    unknown: dict[str, bool] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, Mapping | list | tuple) and have.get(name, columns.ANYTHING) == columns.ANYTHING:
                unknown[name] = True
    return list(unknown)


def _lines(rows: Sequence[Row], layout: Layout) -> bytes:
    return bytes(_encode(layout.read(rows))[:-1])


def _with_base64(row: Row, names: frozenset[str]) -> Row:
    changed = {name: b64encode(row[name]).decode() for name in names if isinstance(row.get(name), bytes | bytearray)}
    return {**row, **changed}


def load_lookups(connection: Any, loaded: LoadedRecipe, root: Path) -> None:
    """Make a table of each lookup, in memory, its columns typed as those of a source are. Raises InputError."""
    for name, file in loaded.recipe.lookups.items():

        def wrong(path: tuple[str | int, ...], message: str, name: str = name) -> SpecError:
            return SpecError([loaded.fault(("lookups", name), message)])

        reader = open_files(FromFiles(files=(file,)), root, wrong)
        try:
            rows = [row for chunk in reader.chunks(None) for row in chunk.rows]
        finally:
            reader.close()
        records = Records(reader.shape)
        pieces, invalid = records.lines(rows)
        if invalid:
            raise wrong((), f"{file}: {invalid[0].field}: {invalid[0].reason}")
        connection.execute(_SET_LINES, [b"\n".join(pieces)])
        connection.execute(f"CREATE TEMP TABLE {quote(name)} AS {records.select(_LINES)}")
