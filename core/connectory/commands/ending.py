"""How the run of a recipe ended, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connectory.commands.messages import explain, note

if TYPE_CHECKING:
    from connectory.recipes.report import Report

TOLD: Final = 5  # problem rows that are told; the report keeps more


def beside(report: Report) -> Iterator[str]:
    """What is told beside the accounts: rows before the change, records left out, rows removed, the new mark."""
    if report.came != report.accounts.read:
        yield f"{report.came:,} before the change"
    for reason, count in sorted(report.left_out.items()):
        yield f"{count:,} left out: {_LEFT_OUT.get(reason, reason)}"
    if report.removed:
        yield f"{report.removed:,} removed there"
    if report.error is None and isinstance(report.mark, dict) and "next" in report.mark:
        yield f"the next run begins at {_moment(report.mark['next'])}"


def _moment(mark: object) -> str:
    return f"{mark.replace(tzinfo=None).isoformat()}Z" if isinstance(mark, datetime) else str(mark)


_LEFT_OUT: Final = {
    "older": "not of the time asked for",
    "again": "at the mark, and delivered before",
    "vanished": "gone when their detail was asked for",
}


def account(
    report: Report,
    root: Path,
    *,
    waits: Mapping[str, float] | None = None,
    calls: int | None = None,
    took: float | None = None,
    rows: bool | None = True,
) -> None:
    """The end of one recipe: the counts, what was not taken, what stopped it (stderr), and the first rows (stdout).

    `root` is what the recipe's paths are relative to. Of the table or files the rows are shown, or only counted, or
    (None) nothing is said. `calls`, `took` and `waits` are of more than the last start.
    """
    from connectory.commands.glance import ROWS, glance
    from connectory.errors import Interrupted
    from connectory.recipes.running.runs import key_of

    number = report.calls if calls is None else calls
    cost = [f"{number:,} call{'' if number == 1 else 's'}", f"{report.took if took is None else took:.1f} s"]
    if told := waits_in_words(waits or {}):
        cost.append(f"waited {told}")
    if report.starts > 1:
        cost.append(f"start {report.starts} of run {report.run}")
    note(f"{report.recipe}: {report.accounts} ({', '.join(cost)})")
    for line in beside(report):
        note(f"  {line}")
    for problem in report.problems[:TOLD]:
        where = [part for part in (key_of(problem.row, report.keys), problem.field) if part]
        note(f"  {problem.word}: {''.join(f'{part}: ' for part in where)}{problem.reason}")
    for field, count in report.dropped.items():
        note(f"  left out by the contract: {field}: {count:,} value{'' if count == 1 else 's'}")
    if isinstance(report.error, Interrupted):
        note(f"{report.error}: the same command goes on there")
    elif report.error is not None:
        note(explain(report.error, come_back=False))
    if rows is not None:
        glance(report.destination, root, ROWS if rows else 0)


def waits_in_words(waits: Mapping[str, float]) -> str:
    """`12 s for limit school, 3 s for too many calls`, the longest first; nothing where it is not worth telling."""
    from connectory.limits.ledger import spoken

    longest = sorted(waits.items(), key=lambda wait: -wait[1])
    return ", ".join(f"{spoken(seconds)} for {cause}" for cause, seconds in longest if seconds >= 1)
