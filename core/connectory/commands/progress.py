"""How far syncs are: a live line on a terminal, a plain line now and then elsewhere; always on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from connectory.clock import SystemClock
from connectory.commands.messages import SHORT_WAIT, note

if TYPE_CHECKING:
    from connectory.clock import Clock
    from connectory.recipes.sync import Progress

EVERY = 10.0  # seconds between two plain lines about one recipe

Tell = Callable[[str, "Progress"], None]


@contextmanager
def show_progress() -> Iterator[Tell]:
    """A function that is told of each step of each recipe, by the recipe's name."""
    if sys.stderr.isatty():
        with _live() as tell:
            yield tell
    else:
        yield plain(SystemClock())


def plain(clock: Clock) -> Tell:
    """Lines for logs: one at most every `EVERY` seconds, and each longer wait."""
    last: dict[str, float] = {}

    def tell(name: str, progress: Progress) -> None:
        if progress.waiting:
            if progress.seconds >= SHORT_WAIT:
                note(f"{name}: waiting {progress.seconds:.0f} s: {progress.waiting}")
        elif clock.monotonic() - last.setdefault(name, clock.monotonic()) >= EVERY:
            last[name] = clock.monotonic()
            of = f" of {progress.total:,}" if progress.total is not None else ""
            note(f"{name}: {progress.rows:,}{of} rows, {progress.pages:,} pages")

    return tell


@contextmanager
def _live() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[waiting]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bars:

        def tell(name: str, progress: Progress) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=None, waiting="")
            wait = f"waiting {progress.seconds:.0f} s: {progress.waiting}" if progress.waiting else ""
            bars.update(tasks[name], completed=progress.rows, total=progress.total, waiting=wait)

        yield tell
