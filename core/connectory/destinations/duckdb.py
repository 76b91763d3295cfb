"""Rows into a table of a DuckDB file, with the state of the sync in the same transaction.

Columns. A declared field has the type it was declared with: text VARCHAR, int BIGINT (HUGEINT from the first value
that needs it), float DOUBLE, decimal DECIMAL(38,9) (VARCHAR from the first number with more digits), bool BOOLEAN,
date DATE, time TIME, datetime TIMESTAMPTZ (no zone means UTC; kept to the microsecond), bytes VARCHAR as the vendor
writes them, a list T[], an object STRUCT, an object with free keys JSON. A value that is no such thing makes its row
invalid; text takes everything, `""` is null where there is no text.

A field that is not declared, or is `any`, has the narrowest type that holds all its values: BOOLEAN, BIGINT, HUGEINT,
DOUBLE, VARCHAR, T[], STRUCT. A field that was always null is of type "NULL" until there is a value. Integers become
DOUBLE where every one is exact as a float; what has no common type becomes JSON, which holds each value as it came.
Objects with more than 200 fields, or with names that SQL cannot tell apart, are JSON too. A column that is there keeps
its type and grows in the same way, also when it was declared later; types that we never make are left to DuckDB's cast.

The column has the field's name; where that is empty or equal to another but for case it gets a number, and a comment
on the column names the field. A null, a missing field and, in a STRUCT, a missing part are all NULL.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

import attrs
import duckdb
import msgspec

from connectory.destinations import columns
from connectory.destinations.columns import Layout, Leaf, Tree, quote, sql_type
from connectory.destinations.destination import Contract, Kept, Written
from connectory.destinations.duckdb_file import (
    TableName,
    connect_in_turn,
    count,
    glance,
    kind_of,
    plain_words,
    read_layout,
    read_name,
)
from connectory.destinations.duckdb_growth import inexact, settle_all, statements
from connectory.destinations.duckdb_relation import selected
from connectory.destinations.rows import Fitted, Rules, account, fit_exactly, hardened
from connectory.errors import DestinationError
from connectory.lines import Lines
from connectory.table import Relation
from connectory.values.shapes import Record

__all__ = ["DuckDBTable", "count", "glance", "open_duckdb"]

Mode = Literal["append", "replace", "merge"]
Rows = Sequence[Mapping[str, Any]]

_INCOMING: Final = "temp._connectory_incoming"
_THEIRS: Final = "_connectory_theirs"  # rows that another DuckDB holds
# A text of lines, each a row with every column in order, and what they hold.
# Lines are handed over as bytes: a text of Python takes DuckDB as long to take in as to read.
_LINES: Final = "SELECT unnest(string_split(decode($1::BLOB), chr(10))) AS line"
_READ: Final = f"SELECT unnest(from_json_strict(line, $2)) FROM ({_LINES})"
# Below this many rows a temporary table costs more than it saves.
_FEW: Final = 3_000
# Rows of one statement: enough to be fast, few enough to keep memory flat.
_MOST_ROWS: Final = 20_480
_MOST_VALUES: Final = 4_000_000
_encode = msgspec.json.Encoder(enc_hook=columns.write_special).encode_lines

_OF_TABLE: Final = "lower(table_name) = lower($1)"
_making: Final = threading.Lock()  # two connections of this process must not make the same things at once
_STATE_TABLE: Final = """
CREATE TABLE IF NOT EXISTS _connectory_state (
    table_name VARCHAR, run VARCHAR, pending BOOLEAN, state BLOB, counts VARCHAR, saved_at TIMESTAMP WITH TIME ZONE)"""


@attrs.frozen
class _Ready:
    """A chunk as DuckDB takes it: lines of JSON, each with every column, cut into pieces for one statement each; and
    the values of the fields of the key."""

    number: int
    lines: list[bytes]
    keys: Mapping[str, list[Any]]


@attrs.frozen
class _Theirs:
    """A chunk that another DuckDB holds, and how its columns are selected for ours."""

    number: int
    select: str


class _WithoutKey(Exception):
    """A row has no value in a field of the key."""


def open_duckdb(
    path: Path | str,
    table: str,
    shape: Record | None,
    key: Sequence[str],
    mode: Mode,
    run: str,
    contract: Contract = "evolve",
) -> DuckDBTable:
    """Open a table (`people` or `crm.people`) of a DuckDB file for writing; both are made when they are not there.

    `shape` is what the spec declares of a row. `key` holds the wire names that tell rows apart; only `merge` looks at
    them. `run` names the run: a `replace` that was not finished goes on where it was when the same run opens it again
    and has kept a state, else it starts anew. `contract` says what becomes of a field or a type that the table does not
    have; a table without columns gets them from its first rows all the same. Raises DestinationError.
    """
    path = Path(path)
    name = read_name(table)
    if mode == "merge" and not key:
        raise DestinationError(f"merging into table {name} needs a key")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(f"{path.parent}: {error.strerror}: the folder of {path.name} cannot be made") from error
    with plain_words(path, table):
        rules = Rules(tuple(key) if mode == "merge" else (), contract, f"table {name} in {path}")
        return DuckDBTable(connect_in_turn(path), path, name, shape, rules, mode, run)


class DuckDBTable:
    """One table, open for writing. Each `write` is one transaction: what it returns as delivered is committed.

    In `merge` the last of several rows with one key in a chunk is kept, and a row that equals what is there, or is
    followed by another of its key, is `unchanged`: `delivered` is the number of rows written. A row replaces the whole
    row before it: a field that it does not have becomes NULL. A table that `replace` has swapped has lost the indexes
    and constraints that somebody gave it.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        name: TableName,
        shape: Record | None,
        rules: Rules,
        mode: Mode,
        run: str,
    ) -> None:
        self._connection = connection
        self._path = path
        self._name = name
        self._key = rules.key
        self._rules = rules
        self._mode = mode
        self._run = run
        self._declared = {wire: columns.tree_of(held) for wire, held in shape.fields.items()} if shape else {}
        self._into = name if mode != "replace" else TableName(name.schema, f"_connectory_new_{name.table}")
        try:
            self._prepare()
        except BaseException:
            connection.close()
            raise

    def _prepare(self) -> None:
        if kind_of(self._connection, self._name) == "view":
            raise DestinationError(f"{self._path}: {self._name} is a view; rows can only be written into a table")
        with _making:
            self._connection.execute(_STATE_TABLE)
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self._name.schema)}")
        if self._mode == "replace" and self._state_of(pending=True) is None:
            with self._transaction():  # what another run, or one without a state, left unfinished
                self._connection.execute(f"DROP TABLE IF EXISTS {self._into.sql}")
                self._forget_pending()
        self._there = read_layout(self._connection, self._into)
        known = self._there
        if not known.columns and self._rules.contract != "evolve":
            known = read_layout(self._connection, self._name)  # what a replaced table has is what the contract holds to
        self._layout = known.grown(settle_all(known.trees, self._declared))

    def write(self, rows: Rows, state: bytes | None = None) -> Written:
        """One chunk; see `Destination`. The rows are looked at as a whole first, and one by one where that fails."""
        with plain_words(self._path, str(self._name)):
            if isinstance(rows, Relation) and (written := self._take_over(rows, state)) is not None:
                return written
            rows = rows if isinstance(rows, list | Lines) else list(rows)
            if (ready := self._in_a_go(rows)) is not None:
                with suppress(duckdb.ConversionException, duckdb.InvalidInputException):
                    return self._deliver(ready, self._layout, state)
            fitted = self._cast(fit_exactly(rows, self._layout.trees, self._rules, self._inexact))
            layout = self._layout.grown({wire: hardened(tree) for wire, tree in fitted.trees.items()})
            layout = self._layout if layout == self._layout else layout  # it holds what msgspec compiled
            return self._deliver(self._make_ready(fitted.rows, layout), layout, state, fitted)

    def read_state(self) -> Kept | None:
        """What the same run kept last: of its `replace` in the making, else of the finished table."""
        with plain_words(self._path, str(self._name)):
            pending = self._state_of(pending=True) if self._mode == "replace" else None
            return pending if pending is not None else self._state_of(pending=False)

    @property
    def rows_per_write(self) -> None:
        """As they come."""

    @property
    def takes_text(self) -> bool:
        """Rows are read by the types of the columns, from text as well."""
        return True

    def takes_relation(self, kinds: Mapping[str, Any]) -> bool:
        """Whether the columns hold all that values of these types can be."""
        return selected(kinds, self._layout) is not None

    def resume(self) -> None:
        """Nothing is ever half done here: a write is one transaction."""

    def finish(self, state: bytes | None = None) -> None:
        """See `Destination`. A table without rows has the declared columns; without those nothing is made."""
        with plain_words(self._path, str(self._name)), self._transaction():
            self._grow(self._layout)
            if self._mode == "replace":
                self._swap()
            self._keep_state(state, {}, pending=False)
        self._there = Layout() if self._mode == "replace" else self._layout

    def close(self) -> None:
        """Let go of the file. A `replace` that was not finished leaves the table as it was."""
        with plain_words(self._path, str(self._name)):
            self._connection.close()

    def _take_over(self, rows: Relation, state: bytes | None) -> Written | None:
        """Write rows that another DuckDB holds; None where they have to be looked at one by one."""
        select = selected(rows.kinds, self._layout)
        if select is None:
            return None
        self._connection.register(_THEIRS, rows)
        try:
            return self._deliver(_Theirs(len(rows), select), self._layout, state)
        except _WithoutKey:
            return None
        finally:
            self._connection.unregister(_THEIRS)

    def _in_a_go(self, rows: Rows) -> _Ready | None:
        """The chunk made ready, or None where it has to be looked at row by row."""
        if not isinstance(rows, Lines) and not all(rows):
            return None
        try:
            ready = self._make_ready(rows, self._layout)
        except (KeyError, TypeError, ValueError, RecursionError):
            return None
        return None if any(None in held for held in ready.keys.values()) else ready

    def _make_ready(self, rows: Rows, layout: Layout) -> _Ready:
        """Raises ValueError, TypeError, KeyError or RecursionError where a row is not of the layout."""
        size = max(500, min(_MOST_ROWS, _MOST_VALUES // max(1, len(layout.columns))))
        lines: list[bytes] = []
        keys: dict[str, list[Any]] = {field: [] for field in self._key}
        for start in range(0, len(rows), size):
            objects = layout.read(rows[start : start + size])
            lines.append(_encode(objects)[:-1])
            for field, held in keys.items():
                held += layout.keys_in(objects, field)
        return _Ready(len(rows), lines, keys)

    def _inexact(self, grown: Mapping[str, Tree]) -> set[str]:
        """Fields whose stored integers would lose digits as floats."""
        lossy = set()
        for column in self._there.columns:
            test = inexact(quote(column.name), column.tree, grown[column.wire])
            if test and self._connection.execute(f"SELECT 1 FROM {self._into.sql} WHERE {test} LIMIT 1").fetchone():
                lossy.add(column.wire)
        return lossy

    def _cast(self, fitted: Fitted) -> Fitted:
        """Sort out the rows with values that DuckDB cannot cast to a column's own type, one that we never make."""
        reasons: dict[int, tuple[str, str]] = {}
        for wire, tree in fitted.trees.items():
            if not columns.has_foreign(tree):
                continue
            texts = [columns.as_text(row.get(wire)) for row in fitted.rows]
            failed = self._connection.execute(
                "SELECT place FROM (SELECT unnest($1::VARCHAR[]) AS text, unnest(range(len($1::VARCHAR[]))) AS place)"
                f" WHERE text IS NOT NULL AND TRY_CAST(text AS {sql_type(tree)}) IS NULL",
                [texts],
            ).fetchall()
            for (place,) in failed:
                reasons[place] = (wire, f"'{str(texts[place])[:40]}' does not fit the column's type {sql_type(tree)}")
        return fitted.without(reasons)

    def _deliver(
        self, ready: _Ready | _Theirs, layout: Layout, state: bytes | None, fitted: Fitted | None = None
    ) -> Written:
        """Write and commit, with the state and what became of the rows."""
        with self._transaction():
            self._grow(layout)
            if self._key and ready.number:
                delivered = self._merge(ready, layout)
            else:
                delivered = ready.number
                self._insert(self._into.sql, ready, layout)
            written = account(delivered, ready.number, fitted)
            self._keep_state(state, written.counts, pending=self._mode == "replace")
        self._there = self._layout = layout
        return written

    def _grow(self, layout: Layout) -> None:
        for statement in statements(self._into.sql, self._there, layout):
            self._connection.execute(statement)

    def _insert(self, table: str, ready: _Ready | _Theirs, layout: Layout) -> None:
        if isinstance(ready, _Theirs):
            self._connection.execute(f"INSERT INTO {table} SELECT {ready.select} FROM {quote(_THEIRS)}")
            return
        for some in ready.lines:
            self._connection.execute(f"INSERT INTO {table} {_READ}", [some, layout.structure])

    def _merge(self, ready: _Ready | _Theirs, layout: Layout) -> int:
        """How many rows were new or not the same as those of their keys. Raises _WithoutKey, of theirs alone."""
        incoming, parameters = self._incoming(ready, layout)
        keys = self._key_columns(layout)
        same = " AND ".join(f"old.{key} = new.{key}" for key in keys)
        others = [quote(c.name) for c in layout.columns if c.wire not in self._key and c.tree != columns.ANYTHING]
        differ = " OR ".join(f"old.{name} IS DISTINCT FROM new.{name}" for name in others)
        update = ", ".join(f"{name} = new.{name}" for name in others)
        [[written]] = self._connection.execute(
            f"MERGE INTO {self._into.sql} AS old USING {incoming} AS new ON {same}"
            + (f" WHEN MATCHED AND ({differ}) THEN UPDATE SET {update}" if others else "")
            + " WHEN NOT MATCHED THEN INSERT",
            parameters,
        ).fetchall()
        return int(written)

    def _incoming(self, ready: _Ready | _Theirs, layout: Layout) -> tuple[str, list[str | bytes]]:
        """The rows as SQL with its parameters, the last of each key only."""
        distinct = isinstance(ready, _Ready) and self._surely_distinct(ready, layout)
        simple = not layout.renames and not layout.has_foreign
        if isinstance(ready, _Ready) and distinct and simple and len(ready.lines) == 1 and ready.number < _FEW:
            return f"({_READ})", [ready.lines[0], layout.structure]
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {_INCOMING} AS SELECT * FROM {self._into.sql} LIMIT 0")
        self._insert(_INCOMING, ready, layout)
        keys = self._key_columns(layout)
        if isinstance(ready, _Theirs):
            without = " OR ".join(f"{key} IS NULL" for key in keys)
            if self._connection.execute(f"SELECT 1 FROM {_INCOMING} WHERE {without} LIMIT 1").fetchone():
                raise _WithoutKey
        if not distinct:
            last = f"SELECT max(rowid) FROM {_INCOMING} GROUP BY {', '.join(keys)}"
            self._connection.execute(f"DELETE FROM {_INCOMING} WHERE rowid NOT IN ({last})")
        return _INCOMING, []

    def _key_columns(self, layout: Layout) -> list[str]:
        return [quote(layout.by_wire[field].name) for field in self._key]

    def _surely_distinct(self, ready: _Ready, layout: Layout) -> bool:
        """Whether no two rows have one key, seen without asking DuckDB: only for texts and integers are we sure."""
        for field in self._key:
            tree = layout.by_wire[field].tree
            if not isinstance(tree, Leaf) or tree.type not in (columns.VARCHAR, columns.BIGINT):
                return False
        keys = list(ready.keys.values())
        return len(set(keys[0] if len(keys) == 1 else zip(*keys, strict=True))) == ready.number

    def _swap(self) -> None:
        if kind_of(self._connection, self._into):
            self._connection.execute(f"DROP TABLE IF EXISTS {self._name.sql}")
            self._connection.execute(f"ALTER TABLE {self._into.sql} RENAME TO {quote(self._name.table)}")
        elif kind_of(self._connection, self._name):
            self._connection.execute(f"DELETE FROM {self._name.sql}")

    def _state_of(self, *, pending: bool) -> Kept | None:
        found = self._connection.execute(
            f"SELECT state, counts FROM _connectory_state WHERE {_OF_TABLE} AND pending = $2 AND run = $3",
            [str(self._name), pending, self._run],
        ).fetchall()  # to the end: DuckDB registers nothing on a connection that has not told all
        return Kept(found[0][0], msgspec.json.decode(found[0][1] or "{}")) if found else None

    def _forget_pending(self) -> None:
        self._connection.execute(f"DELETE FROM _connectory_state WHERE {_OF_TABLE} AND pending", [str(self._name)])

    def _forget_others(self) -> None:
        """The rows that other recipes wrote are gone with the table that was replaced."""
        self._connection.execute(
            f"DELETE FROM _connectory_state WHERE {_OF_TABLE} AND run <> $2", [str(self._name), self._run]
        )

    def _keep_state(self, state: bytes | None, counts: Mapping[str, int], *, pending: bool) -> None:
        if not pending and self._mode == "replace":
            if state is None and (kept := self._state_of(pending=True)) is not None:
                state, counts = kept.state, kept.counts
            self._forget_pending()
            self._forget_others()
        if state is None:
            return
        told = msgspec.json.encode(counts).decode()
        values = [str(self._name), pending, self._run, state, told]
        [[updated]] = self._connection.execute(
            "UPDATE _connectory_state SET state = $4, counts = $5, saved_at = now()"
            f" WHERE {_OF_TABLE} AND pending = $2 AND run = $3",
            values,
        ).fetchall()
        if not updated:
            self._connection.execute("INSERT INTO _connectory_state VALUES ($1, $3, $2, $4, $5, now())", values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):
                self._connection.execute("ROLLBACK")
            raise
