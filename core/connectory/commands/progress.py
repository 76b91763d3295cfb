"""How far syncs are: a live line on a terminal, a plain line now and then elsewhere, on stderr; or events as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connectory.clock import SystemClock
from connectory.commands.messages import SHORT_WAIT, moment, note
from connectory.errors import ConnectoryError
from connectory.recipes.running.running import Gauge, Left, Watcher

if TYPE_CHECKING:
    from connectory.clock import Clock
    from connectory.recipes.report import Progress, Report

EVERY = 10.0  # seconds between two plain lines about one recipe
LOOK_EVERY = 2.0  # seconds between two looks at the limits for the live line

Watch = Callable[[str], Watcher]
"""The watcher of one recipe, by its name."""


@contextmanager
def show_progress(*, quiet: bool = False) -> Iterator[Watch]:
    """Watchers that tell people of the steps of recipes."""
    if quiet:
        yield lambda _: Watcher()
    elif sys.stderr.isatty():
        with _live() as watch:
            yield watch
    else:
        yield lambda name: Plain(name, SystemClock())


class Plain(Watcher):
    """Lines for logs: one at most every `EVERY` seconds, and each longer wait."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._pace = Pace(clock)
        self._last = clock.monotonic()
        self._gauge: Gauge | None = None

    def counting(self, gauge: Gauge) -> None:
        self._gauge = gauge

    def began(self, report: Report) -> None:
        self._pace = Pace(self._clock, report.accounts.read)

    def progressed(self, progress: Progress) -> None:
        if progress.waiting:
            if progress.seconds >= SHORT_WAIT:
                note(f"{self.name}: waiting {progress.seconds:.0f} s: {progress.waiting}")
        elif self._clock.monotonic() - self._last >= EVERY:
            self._last = self._clock.monotonic()
            of = f" of {progress.total:,}" if progress.total is not None else ""
            parts = [f"{progress.rows:,}{of} rows", f"{progress.pages:,} pages", *self._more(progress)]
            note(f"{self.name}: {', '.join(parts)}")

    def _more(self, progress: Progress) -> Iterator[str]:
        if self._gauge is not None:
            yield f"{self._gauge.costs.calls:,} calls"
        yield from self._pace.told(progress)
        if told := told_left(self._gauge):
            yield told

    def pausing(self, until: float, why: str) -> None:
        note(f"{self.name}: {why}\n{self.name}: goes on at {moment(until)}")


class Pace:
    """How fast rows come, since it was made."""

    def __init__(self, clock: Clock, rows: int = 0) -> None:
        self._clock = clock
        self._began, self._rows = clock.monotonic(), rows

    def told(self, progress: Progress) -> Iterator[str]:
        """The rows in a second, and how long the rest takes at that pace."""
        took, came = self._clock.monotonic() - self._began, progress.rows - self._rows
        if took <= 0 or came <= 0:
            return
        yield f"{came / took:,.1f} rows/s"
        if progress.total is not None and progress.total > progress.rows:
            yield f"about {duration((progress.total - progress.rows) * took / came)} to go"


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `5 h 12 min`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def told_left(gauge: Gauge | None) -> str:
    """What is left of the longest limit: `4,188 of 5,000 calls left in 24 hours`."""
    try:
        left = gauge.left() if gauge is not None else []
    except ConnectoryError:
        return ""
    return left_in_words(left[0]) if left else ""


def left_in_words(left: Left) -> str:
    """`4,188 of 5,000 calls left in 24 hours`."""
    _, _, span = str(left.window).partition(" ")
    return f"{left.left:,} of {left.window.count:,} calls left {span}"


@contextmanager
def _live() -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[doing]}"),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bars:
        yield lambda name: Live(name, bars, SystemClock())


class Live(Watcher):
    """One line of a live display."""

    def __init__(self, name: str, bars: Any, clock: Clock) -> None:
        self._bars = bars
        self._clock = clock
        self._task = bars.add_task(name, total=None, doing="")
        self._gauge: Gauge | None = None
        self._looked, self._left = -LOOK_EVERY, ""

    def counting(self, gauge: Gauge) -> None:
        self._gauge = gauge

    def progressed(self, progress: Progress) -> None:
        doing = f"waiting {progress.seconds:.0f} s: {progress.waiting}" if progress.waiting else self._calls()
        self._bars.update(self._task, completed=progress.rows, total=progress.total, doing=doing)

    def _calls(self) -> str:
        if self._gauge is None:
            return ""
        if self._clock.monotonic() - self._looked >= LOOK_EVERY:
            self._looked, self._left = self._clock.monotonic(), self._look()
        return f"{self._gauge.costs.calls:,} calls{f', {self._left}' if self._left else ''}"

    def _look(self) -> str:
        assert self._gauge is not None
        try:
            left = self._gauge.left()
        except ConnectoryError:
            return ""
        return f"{left[0].left:,} left" if left else ""

    def pausing(self, until: float, why: str) -> None:
        self._bars.console.print(why, highlight=False, markup=False)
        self._bars.update(self._task, doing=f"goes on at {moment(until)}")
