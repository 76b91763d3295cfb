"""The record of runs as tables of a DuckDB file, to be asked in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from connectory.delivery.accounts import WORDS
from connectory.delivery.journal import Held, read_held
from connectory.delivery.journalfile import journal_path
from connectory.errors import DestinationError
from connectory.recipes.running.runs import Refused, Run, read_refused, read_runs
from connectory.recipes.state import dump, load

_WORDS: Final = ", ".join(f"{word} BIGINT" for word in WORDS)
_TABLES: Final = {
    "runs": "run VARCHAR, recipe VARCHAR, file VARCHAR, ending VARCHAR, exit INTEGER, error VARCHAR, "
    "started TIMESTAMPTZ, ended TIMESTAMPTZ, seconds DOUBLE, starts INTEGER, rows_in BIGINT, read BIGINT, "
    f"{_WORDS}, removed BIGINT, pages BIGINT, calls BIGINT, bytes_sent BIGINT, bytes_received BIGINT",
    "starts": "run VARCHAR, number INTEGER, ending VARCHAR, exit INTEGER, error VARCHAR, started TIMESTAMPTZ, "
    "seen TIMESTAMPTZ, ended TIMESTAMPTZ, pid BIGINT, host VARCHAR, calls BIGINT, bytes_sent BIGINT, "
    "bytes_received BIGINT",
    "waits": "run VARCHAR, start INTEGER, cause VARCHAR, seconds DOUBLE",
    "limits": 'run VARCHAR, start INTEGER, "limit" VARCHAR, calls BIGINT',
    "problems": "run VARCHAR, recipe VARCHAR, key VARCHAR, row JSON, word VARCHAR, field VARCHAR, words VARCHAR, "
    'code VARCHAR, status INTEGER, attempts INTEGER, repeatable BOOLEAN, "when" TIMESTAMPTZ',
}
_AT_ONCE: Final = 200  # rows of one statement


def all_refused(root: Path, run: str | None = None) -> Iterator[Refused]:
    """The rows that were not taken: those of the record, and those that journals hold back now.

    Raises RunsError, JournalError.
    """
    yield from read_refused(root, run)
    for file in sorted(journal_path(root, "x").parent.glob("*.sqlite")):
        recipe = unquote(file.stem)
        yield from (_refused(recipe, held) for held in read_held(file) if run is None or held.run == run)


def _refused(recipe: str, held: Held) -> Refused:
    return Refused(
        held.run,
        recipe,
        held.key or "",
        load(held.row),
        held.word,
        held.field,
        held.words,
        held.code,
        held.status,
        held.attempts,
        held.repeatable,
        held.at,
    )


def write_tables(root: Path, file: Path) -> dict[str, int]:
    """Write the tables runs, starts, waits, limits and problems anew, in one step; how many rows each has.

    Raises DestinationError, RunsError, JournalError.
    """
    try:
        from connectory.destinations.duckdb_file import connect, plain_words
    except ImportError:
        raise DestinationError("writing a DuckDB file needs duckdb: pip install 'connectory[duckdb]'") from None
    runs = read_runs(root)
    rows: dict[str, list[Sequence[Any]]] = {
        "runs": list(map(_run_row, runs)),
        "starts": [row for run in runs for row in _start_rows(run)],
        "waits": [(run.id, one.number, *wait) for run in runs for one in run.starts for wait in one.waits.items()],
        "limits": [(run.id, one.number, *cost) for run in runs for one in run.starts for cost in one.limits.items()],
        "problems": list(map(_problem_row, all_refused(root))),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with plain_words(file, "runs"), closing(connect(file)) as db:
        db.execute("BEGIN")
        for table, columns in _TABLES.items():
            db.execute(f"CREATE OR REPLACE TABLE {table} ({columns})")
            _insert(db, table, rows[table])
        db.execute("COMMIT")
    return {table: len(held) for table, held in rows.items()}


def _insert(db: Any, table: str, rows: Sequence[Sequence[Any]]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        marks = ", ".join(f"({', '.join('?' * len(row))})" for row in part)
        db.execute(f"INSERT INTO {table} VALUES {marks}", [value for row in part for value in row])


def _moment(epoch: float | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


def _run_row(run: Run) -> Sequence[Any]:
    words = [run.words.get(word, 0) for word in WORDS]
    return (
        *(run.id, run.recipe, run.file, run.ending, run.exit, run.error or None),
        *(_moment(run.started), _moment(run.ended), round(run.seconds, 3), len(run.starts)),
        *(run.rows_in, run.rows_out, *words, run.removed, run.pages, run.calls, run.sent, run.received),
    )


def _start_rows(run: Run) -> Iterable[Sequence[Any]]:
    for start in run.starts:
        yield (
            *(run.id, start.number, start.ending, start.exit, start.error or None),
            *(_moment(start.started), _moment(start.seen), _moment(start.ended)),
            *(start.pid, start.host, start.calls, start.sent, start.received),
        )


def _problem_row(one: Refused) -> Sequence[Any]:
    return (
        *(one.run, one.recipe, one.key or None, dump(one.row).decode(), one.word, one.field or None, one.words),
        *(one.code or None, one.status, one.attempts, one.repeatable, _moment(one.at)),
    )
