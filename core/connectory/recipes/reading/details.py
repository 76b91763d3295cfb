"""Partial records completed by their detail call, a few at a time, so that a stop loses none that was paid for."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from connectory.ahead import in_order
from connectory.destinations.destination import Problem
from connectory.errors import CallError, Rejected
from connectory.invoke import Engine
from connectory.operation import Plan

AT_ONCE: Final = 50  # records that are completed between two states


@attrs.frozen
class Completed:
    """What became of some partial records. `left` were not completed because `stopped` ended the work."""

    rows: Sequence[Mapping[str, Any]]
    left: Sequence[Any] = ()
    refused: Sequence[Problem] = ()
    vanished: int = 0
    stopped: BaseException | None = None


@attrs.define
class _Work:
    """Details under way; several threads fill it."""

    engine: Engine
    plan: Plan
    done: dict[int, Any] = attrs.Factory(dict)
    refused: dict[int, Rejected] = attrs.Factory(dict)
    stopped: BaseException | None = None
    _stop: threading.Event = attrs.Factory(threading.Event)

    def one(self, numbered: tuple[int, Any]) -> None:
        """Complete one record, unless the work has been stopped."""
        number, record = numbered
        if self._stop.is_set():
            return
        try:
            self.done[number] = self.engine.detailed(self.plan, record, record)
        except Rejected as why:
            self.refused[number] = why
        except Exception as why:
            self.stop(why)

    def stop(self, why: BaseException) -> None:
        """Begin nothing more."""
        self.stopped = self.stopped or why
        self._stop.set()


def complete(engine: Engine, plan: Plan, records: Sequence[Any]) -> Completed:
    """Each record under its detail, as many at once as the limits allow. Raises nothing: see `Completed.stopped`."""
    work = _Work(engine, plan)
    try:
        for _ in in_order(work.one, enumerate(records), engine.concurrency, "connectory-detail"):
            pass
    except BaseException as why:  # an interrupt: what was answered until then is kept as well
        work.stop(why)
    rows = [work.done[number] for number in sorted(work.done) if work.done[number] is not None]
    refused = [_problem(records[number], work.refused[number]) for number in sorted(work.refused)]
    left = [one for number, one in enumerate(records) if number not in work.done and number not in work.refused]
    return Completed(rows, left, refused, len(work.done) - len(rows), work.stopped)


def _problem(record: Any, why: CallError) -> Problem:
    row = record if isinstance(record, Mapping) else {"value": record}
    return Problem(row, "", why.words or str(why), "rejected", why.code, why.status, why.attempts)
