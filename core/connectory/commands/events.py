"""`sync --json`: what happens, as one JSON object a line on stdout, for programs.

Every event has `event`, `at` (RFC 3339, UTC), `recipe` and, once it is known, `run`. Events and keys are only ever
added:

- run_started: `start` (above 1 where an earlier start is gone on with)
- progress: `rows`, `total` (null where nobody knows), `pages`, `calls`, `limits`; at most one a second
- waiting: `reason`, `seconds`, `until`, `vendor` (null between two starts)
- problem: `word` (invalid, rejected, unknown, not_tried), `key` (a text of JSON), `field`, `reason`, `code`,
  `status`, `attempts`, `repeatable`
- run_ended: `exit`, `error`, `come_back` (after a limit), `read`, `rows` (by word), `rows_in`, `removed`, `pages`,
  `calls`, `waits` (seconds by cause), `bytes_sent`, `bytes_received`, `seconds`
- not_started: `exit`, `error`
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from connectory.clock import SystemClock
from connectory.recipes.running.running import Ended, Gauge, Left, Watcher
from connectory.recipes.running.runs import key_of

if TYPE_CHECKING:
    from connectory.clock import Clock
    from connectory.destinations.destination import Written
    from connectory.errors import ConnectoryError
    from connectory.recipes.report import Progress, Report

EVERY = 1.0  # seconds between two events of progress


def stamp(epoch: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Events(Watcher):
    """Writes the events of one recipe."""

    def __init__(self, recipe: str, stream: BinaryIO | None = None, clock: Clock | None = None) -> None:
        self._recipe = recipe
        self._run: str | None = None
        self._stream = stream or sys.stdout.buffer
        self._clock = clock or SystemClock()
        self._keys: Sequence[str] = ()
        self._gauge: Gauge | None = None
        self._told = float("-inf")
        self._lock = threading.Lock()

    def counting(self, gauge: Gauge) -> None:
        self._gauge = gauge

    def began(self, report: Report) -> None:
        self._run, self._keys = report.run, report.keys
        self._write("run_started", start=report.starts)

    def progressed(self, progress: Progress) -> None:
        now = self._clock.monotonic()
        if progress.waiting or now - self._told < EVERY:
            return
        self._told = now
        self._write("progress", rows=progress.rows, total=progress.total, pages=progress.pages, **_cost(self._gauge))

    def waited(self, vendor: str, seconds: float, why: str) -> None:
        until = stamp(self._clock.now() + seconds)
        self._write("waiting", vendor=vendor, reason=why, seconds=round(seconds, 3), until=until)

    def pausing(self, until: float, why: str) -> None:
        seconds = max(0.0, until - self._clock.now())
        self._write("waiting", vendor=None, reason=why, seconds=round(seconds, 3), until=stamp(until))

    def wrote(self, written: Written) -> None:
        for problem in written.problems:
            self._write(
                "problem",
                word=problem.word,
                key=key_of(problem.row, self._keys) or None,
                field=problem.field,
                reason=problem.reason,
                code=problem.code,
                status=problem.status,
                attempts=problem.attempts,
                repeatable=problem.repeatable,
            )

    def run_ended(self, ended: Ended) -> None:
        """The recipe is at its end, or stopped."""
        report, costs = ended.report, ended.costs
        self._write(
            "run_ended",
            exit=report.exit_code,
            error=None if report.error is None else str(report.error),
            come_back=None if ended.come_back is None else stamp(ended.come_back),
            read=report.accounts.read,
            rows={word: count for word, count in report.accounts.counts.items() if count},
            rows_in=report.came,
            removed=report.removed,
            pages=report.pages,
            calls=costs.calls,
            waits={cause: round(seconds, 3) for cause, seconds in costs.waits.items()},
            bytes_sent=costs.sent,
            bytes_received=costs.received,
            seconds=round(ended.took, 3),
        )

    def not_started(self, why: ConnectoryError) -> None:
        """It cannot run; nothing was sent."""
        self._write("not_started", exit=why.exit_code, error=str(why))

    def _write(self, event: str, **more: Any) -> None:
        line: Mapping[str, Any] = {
            "event": event,
            "at": stamp(self._clock.now()),
            "recipe": self._recipe,
            "run": self._run,
            **more,
        }
        with self._lock:
            self._stream.write(msgspec.json.encode(line) + b"\n")
            self._stream.flush()


def _cost(gauge: Gauge | None) -> Mapping[str, Any]:
    from connectory.errors import ConnectoryError

    if gauge is None:
        return {"calls": 0, "limits": []}
    try:
        limits = [limit_of(left) for left in gauge.left()]
    except ConnectoryError:
        limits = []
    return {"calls": gauge.costs.calls, "limits": limits}


def limit_of(left: Left) -> Mapping[str, Any]:
    """One window of a limit as JSON."""
    return {
        "vendor": left.vendor,
        "limit": left.limit,
        "window": str(left.window),
        "count": left.window.count,
        "used": left.used,
        "left": left.left,
        "may_use": left.may_use,
    }
