"""Rows on their way: cut to what the destination takes at a time, written with the state, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import attrs

from connectory.destinations.destination import Destination, Kept, Written
from connectory.errors import DestinationError
from connectory.recipes.report import Observer, Progress, Report
from connectory.recipes.source import Chunk, Position, Row
from connectory.recipes.state import Run, State

KEPT_PROBLEMS = 1000  # rows not taken whose reasons are kept in the report; all are counted


class Stopped(Exception):
    """A destination ended the work; the report says why."""


@attrs.define
class Flow:
    """The rows of one run, from the source's chunks into the destination. Frozen values go in; what counts is here.

    `base` is the state of the last complete run: what every state kept on the way repeats.
    """

    destination: Destination
    report: Report
    observer: Observer
    base: State
    span: tuple[str | None, str | None] | None = None
    held: Sequence[Row] = ()
    position: Position = None
    total: int | None = None
    _kept: bool = True  # whether the destination knows of all that is here

    def resume(self, run: Run, kept: Kept) -> None:
        """Go on with a run: what is held, and what was counted so far. Raises DestinationError where that is wrong."""
        self.held = list(run.held)
        self.position = run.position
        for counts in (run.counts, kept.counts):
            for word, count in counts.items():
                self.report.accounts.add(word, count)  # type: ignore[arg-type]
        self.report.accounts.read, self.report.came, self.report.pages = run.read, run.came, run.pages
        self.report.earlier = run.read
        self.report.left_out = Counter(run.left_out)
        if run.read != self.report.accounts.settled + len(self.held):
            counted = f"{self.report.accounts} and {len(self.held):,} held"
            raise DestinationError(f"the accounting of run {run.id} does not add up: {counted}; --full-refresh")

    def take(self, chunk: Chunk) -> None:
        """Write what is full, hold the rest. Raises Stopped, DestinationError."""
        self.position = chunk.position
        count = len(chunk.rows) + len(chunk.refused)
        self.report.accounts.read += count
        self.report.came += count if chunk.came is None else chunk.came
        self.report.pages += chunk.pages
        self.report.left_out.update(chunk.left_out)
        refused = Written(0, problems=tuple(chunk.refused))
        self.count(refused)
        self.total = chunk.total if self.total is None else self.total
        self.held = [*self.held, *chunk.rows] if self.held else chunk.rows
        self._kept = False
        try:
            for rows in self._full():
                self._write(rows)
            self.keep()
        finally:
            if refused.problems:  # told once they are kept with the position behind them, so that no start tells again
                self.observer.wrote(refused)
        self.observer.progressed(Progress(self.report.accounts.read, self.report.pages, self.total))

    def drain(self) -> None:
        """The source is at its end: write what is still held. Raises Stopped, DestinationError."""
        for rows in self._full():
            self._write(rows)
        if self.held:
            self._write(self._cut(len(self.held)))

    def keep(self) -> None:
        """Let the destination know where reading goes on, where it does not yet."""
        if not self._kept and self.position is not None:
            self._write([])

    def _full(self) -> Iterator[Sequence[Row]]:
        """Cut after cut, each when the one before is written: what is held is kept with every write."""
        size = self.destination.rows_per_write
        if size is None:
            if self.held:
                yield self._cut(len(self.held))
            return
        while len(self.held) >= size:
            yield self._cut(size)

    def _cut(self, size: int) -> Sequence[Row]:
        rows, self.held = self.held[:size], self.held[size:]
        return rows

    def _write(self, rows: Sequence[Row]) -> None:
        written = self.destination.write(rows, self._state())
        self._kept = True
        self.count(written)
        self.observer.wrote(written)
        if written.stopped is not None:
            self.report.error = written.stopped
            raise Stopped

    def _state(self) -> bytes | None:
        if self.position is None:  # this source cannot go on in the middle
            return None
        report = self.report
        run = Run(
            id=report.run,
            position=self.position,
            held=list(self.held),
            counts=self._settled(),
            read=report.accounts.read,
            came=report.came,
            pages=report.pages,
            starts=report.starts,
            left_out=report.left_out,
            span=self.span,
        )
        return attrs.evolve(self.base, run=run).to_bytes()

    def _settled(self) -> Mapping[str, int]:
        return {word: count for word, count in self.report.accounts.counts.items() if count}

    def count(self, written: Written) -> None:
        """Add what became of some rows to the report."""
        for word, count in written.counts.items():
            self.report.accounts.add(word, count)  # type: ignore[arg-type]
        self.tell(written)

    def tell(self, written: Written) -> None:
        """Add what is to be told besides the counts."""
        self.report.removed += written.removed
        for field, count in written.dropped.items():
            self.report.dropped[field] = self.report.dropped.get(field, 0) + count
        self.report.problems.extend(written.problems[: max(0, KEPT_PROBLEMS - len(self.report.problems))])
