"""What past runs did: written while they go, so that a killed one shows as such, and read again."""

from __future__ import annotations

import os
import socket
import sqlite3
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import attrs
import msgspec

from connectory.destinations.destination import Problem
from connectory.limits.costs import Costs
from connectory.recipes.report import Report
from connectory.recipes.running.runsfile import PLACE, RunsError, RunsWarning, make, opened
from connectory.recipes.state import dump, load

REFUSED: Final = frozenset({"invalid", "rejected", "unknown"})
_encode = msgspec.json.encode

Ending = Literal["running", "killed", "done", "refused", "limit", "failed", "interrupted"]


@attrs.frozen
class Start:
    """One start of a run, by one process. Moments are epoch seconds; `ended` is None while it goes, or when it was
    killed, and `seen` is its last sign of life. `limits` counts calls by vendor and limit, `waits` seconds by cause."""

    number: int
    started: float
    seen: float
    ended: float | None
    exit: int | None
    error: str
    pid: int
    host: str
    calls: int
    sent: int
    received: int
    waits: Mapping[str, float]
    limits: Mapping[str, int]

    @property
    def ending(self) -> Ending:
        """How it ended."""
        if self.ended is None:
            return "running" if _alive(self.pid, self.host) else "killed"
        return _ENDINGS.get(self.exit or 0, "failed")


_ENDINGS: Final[Mapping[int, Ending]] = {0: "done", 3: "refused", 75: "limit", 130: "interrupted", 143: "interrupted"}


@attrs.frozen
class Refused:
    """A row that was not taken in a run, with the reason."""

    run: str
    recipe: str
    key: str
    row: Any
    word: str
    field: str
    words: str
    code: str
    status: int | None
    attempts: int
    repeatable: bool
    at: float


@attrs.frozen
class Run:
    """One run of a recipe, over all of its starts. `words` counts rows by what became of them."""

    id: str
    recipe: str
    file: str
    words: Mapping[str, int]
    rows_in: int
    rows_out: int
    removed: int
    pages: int
    starts: Sequence[Start]

    @property
    def started(self) -> float:
        return self.starts[0].started

    @property
    def ended(self) -> float | None:
        return self.starts[-1].ended

    @property
    def ending(self) -> Ending:
        return self.starts[-1].ending

    @property
    def exit(self) -> int | None:
        return self.starts[-1].exit

    @property
    def error(self) -> str:
        return self.starts[-1].error

    @property
    def calls(self) -> int:
        return sum(start.calls for start in self.starts)

    @property
    def sent(self) -> int:
        """Bytes of the bodies of requests."""
        return sum(start.sent for start in self.starts)

    @property
    def received(self) -> int:
        """Bytes of the bodies of answers, unpacked."""
        return sum(start.received for start in self.starts)

    @property
    def waits(self) -> Mapping[str, float]:
        return _sum(start.waits for start in self.starts)

    @property
    def limits(self) -> Mapping[str, int]:
        return {name: int(count) for name, count in _sum(start.limits for start in self.starts).items()}

    @property
    def seconds(self) -> float:
        """How long its starts took together."""
        return sum((start.seen if start.ended is None else start.ended) - start.started for start in self.starts)


def _sum(counts: Iterator[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for one in counts:
        for name, count in one.items():
            total[name] += count
    return dict(total)


def _alive(pid: int, host: str) -> bool:
    if os.name != "posix" or host != socket.gethostname():
        return False  # it may be; but nobody here can tell, and its own machine would
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


# Writing ------------------------------------------------------------------------------------------------------------


@attrs.define
class RunLog:
    """Writes the runs of one project. What cannot be written is said once, and never stops a run."""

    file: Path
    _usable: bool = True

    def began(self, report: Report, file: Path, now: float) -> int:
        """A start begins; its number."""

        def write(db: sqlite3.Connection) -> int:
            known = db.execute("SELECT max(number) FROM start WHERE run=?", (report.run,)).fetchone()
            number = (known[0] or 0) + 1
            run = (report.run, report.recipe, str(file))
            db.execute("INSERT OR IGNORE INTO run VALUES (?, ?, ?, '{}', 0, 0, 0, 0)", run)
            _write_run(db, report)
            db.execute(
                "INSERT INTO start VALUES (?, ?, ?, ?, NULL, NULL, '', ?, ?, 0, 0, 0, '{}', '{}')",
                (report.run, number, now, now, os.getpid(), socket.gethostname()),
            )
            return number

        return self._try(write) or 0

    def goes_on(self, report: Report, number: int, costs: Costs, now: float, problems: Sequence[Problem] = ()) -> None:
        """A sign of life, with the counts so far, and the rows that were not taken since the last one."""

        def write(db: sqlite3.Connection) -> None:
            _write_run(db, report)
            _write_start(db, report.run, number, costs, now)
            _write_problems(db, report, problems, now)

        self._try(write)

    def ended(
        self,
        report: Report,
        number: int,
        costs: Costs,
        now: float,
        problems: Sequence[Problem] = (),
        *,
        exit_code: int,
        error: str,
    ) -> None:
        """A start is over; `problems` as in `goes_on`."""

        def write(db: sqlite3.Connection) -> None:
            _write_run(db, report)
            _write_start(db, report.run, number, costs, now)
            db.execute(
                "UPDATE start SET ended=?, exit=?, error=? WHERE run=? AND number=?",
                (now, exit_code, error, report.run, number),
            )
            _write_problems(db, report, problems, now)

        self._try(write)

    def _try(self, write: Callable[[sqlite3.Connection], Any]) -> Any:
        if not self._usable:
            return None
        try:
            with opened(self.file) as db:
                return write(db)
        except RunsError as why:
            self._usable = False
            warnings.warn(f"{why}; this run is not recorded from here on", RunsWarning, stacklevel=3)
            return None


def open_log(root: Path, now: float) -> RunLog:
    """Where a project's runs are written. Whatever is wrong with it is said as a RunsWarning."""
    file = root / PLACE
    try:
        told = make(file, now)
    except RunsError as why:
        warnings.warn(f"{why}; this run is not recorded", RunsWarning, stacklevel=2)
        return RunLog(file, usable=False)
    if told:
        warnings.warn(told, RunsWarning, stacklevel=2)
    return RunLog(file)


def _write_run(db: sqlite3.Connection, report: Report) -> None:
    words = {word: count for word, count in report.accounts.counts.items() if count}
    db.execute(
        "UPDATE run SET words=?, rows_in=?, rows_out=?, removed=?, pages=? WHERE id=?",
        (_text(words), report.came, report.accounts.read, report.removed, report.pages, report.run),
    )


def _write_start(db: sqlite3.Connection, run: str, number: int, costs: Costs, now: float) -> None:
    limits = {f"{vendor}: {limit}": calls for (vendor, limit), calls in costs.limits.items()}
    waits = {cause: round(seconds, 3) for cause, seconds in costs.waits.items()}
    db.execute(
        "UPDATE start SET seen=?, calls=?, sent=?, received=?, waits=?, limits=? WHERE run=? AND number=?",
        (now, costs.calls, costs.sent, costs.received, _text(waits), _text(limits), run, number),
    )


def _write_problems(db: sqlite3.Connection, report: Report, problems: Sequence[Problem], now: float) -> None:
    (last,) = db.execute("SELECT coalesce(max(number), 0) FROM problem WHERE run=?", (report.run,)).fetchone()
    refused = [problem for problem in problems if problem.word in REFUSED]
    db.executemany(
        "INSERT INTO problem VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                report.run,
                number,
                now,
                key_of(problem.row, report.keys),
                _row(problem),
                problem.word,
                problem.field,
                problem.reason,
                problem.code,
                problem.status,
                problem.attempts,
                problem.repeatable,
            )
            for number, problem in enumerate(refused, last + 1)
        ],
    )


def key_of(row: Any, names: Sequence[str]) -> str:
    """The values of a row's key as JSON, or nothing where it is not known."""
    if not names or not isinstance(row, Mapping):
        return ""
    values = [row.get(name) for name in names]
    return dump(values if len(values) > 1 else values[0]).decode()


def _row(problem: Problem) -> str:
    try:
        return dump(problem.row).decode()
    except TypeError:
        return dump({str(name): str(value) for name, value in problem.row.items()}).decode()


def _text(value: Any) -> str:
    return _encode(value).decode()


# Reading ------------------------------------------------------------------------------------------------------------


def read_runs(root: Path, *, recipe: str | None = None, most: int | None = None) -> list[Run]:
    """The runs of a project, the newest first. Empty where none was recorded. Raises RunsError."""
    file = root / PLACE
    if not file.exists():
        return []
    with opened(file) as db:
        db.row_factory = sqlite3.Row
        rows = db.execute(
            "SELECT run.* FROM run JOIN start ON start.run = run.id AND start.number ="
            " (SELECT min(number) FROM start WHERE run = run.id)"
            " WHERE ?1 IS NULL OR recipe = ?1 ORDER BY start.started DESC, run.id LIMIT ?2",
            (recipe, -1 if most is None else most),
        ).fetchall()
        return [_run(db, row) for row in rows]


def find_run(root: Path, start_of_id: str) -> list[Run]:
    """The runs whose ids begin so. Raises RunsError."""
    return [run for run in read_runs(root) if run.id.startswith(start_of_id)]


def read_refused(root: Path, run: str | None = None) -> Iterator[Refused]:
    """The rows that were not taken in a run, or in any, as far as they are kept here. Raises RunsError."""
    file = root / PLACE
    if not file.exists():
        return
    with opened(file) as db:
        rows = db.execute(
            "SELECT problem.run, recipe, key, row, word, field, problem.words, code, status, attempts, repeatable, at"
            " FROM problem JOIN run ON run.id = problem.run WHERE ?1 IS NULL OR problem.run = ?1"
            " ORDER BY at, problem.run, number",
            (run,),
        ).fetchall()
    for id_, recipe, key, row, word, field, words, code, status, attempts, repeatable, at in rows:
        yield Refused(id_, recipe, key, load(row), word, field, words, code, status, attempts, bool(repeatable), at)


def _run(db: sqlite3.Connection, row: sqlite3.Row) -> Run:
    starts = db.execute("SELECT * FROM start WHERE run=? ORDER BY number", (row["id"],)).fetchall()
    return Run(**{**dict(row), "words": msgspec.json.decode(row["words"]), "starts": tuple(map(_start, starts))})


def _start(row: sqlite3.Row) -> Start:
    values = dict(row)
    del values["run"]
    for name in ("waits", "limits"):
        values[name] = msgspec.json.decode(values[name])
    return Start(**values)
