"""What commands say beside their data, all of it on stderr: errors, warnings, waits."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from connectory.clock import SystemClock

if TYPE_CHECKING:
    from connectory.errors import ConnectoryError

SHORT_WAIT = 2.0  # seconds; a shorter pause is not worth a line


def note(text: str) -> None:
    """A line for the person who watches."""
    click.echo(text, err=True)


def short_path(file: Path | str) -> str:
    """A file as people name it: from here where it lies below, else in full."""
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else str(file)


def explain(why: ConnectoryError, *, come_back: bool = True) -> str:
    """An error in a few lines: what, the request it happened to, and when to come back."""
    from connectory.errors import CallError, LimitReached, SpecError

    if isinstance(why, SpecError):
        return str(why)
    lines = [f"error: {why}"]
    if isinstance(why, CallError) and why.request:
        tries = f" ({why.attempts} tries)" if why.attempts > 1 else ""
        lines.append(f"  request: {why.request}{tries}")
    if isinstance(why, LimitReached) and come_back:
        lines.append(f"  come back at {moment(why.until)}")
    return "\n".join(lines)


def moment(epoch: float) -> str:
    """`2026-11-24 00:00:00 UTC, in 5 h 12 min`."""
    left = max(0, round(epoch - SystemClock().now()))
    hours, minutes, seconds = left // 3600, left % 3600 // 60, left % 60
    wait = f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M:%S} UTC, in {wait}"


def tell_wait(seconds: float, why: str) -> None:
    """Say that a call waits, where it takes long enough to be noticed."""
    if seconds >= SHORT_WAIT:
        note(f"waiting {seconds:.0f} s: {why}")


@contextmanager
def speak(*, debug: bool) -> Iterator[None]:
    """Warnings as single lines, each said once; with `debug` the log too."""
    told: set[str] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = str(message)
        if issubclass(category, UserWarning) and text not in told and len(told) < 1000:
            told.add(text)
            note(f"warning: {text}")
        elif debug and not issubclass(category, UserWarning):
            note(f"{category.__name__}: {text}")

    log = logging.getLogger("connectory")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level = log.level
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        if debug:
            log.addHandler(handler)
            log.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)
