"""Sends exactly the rows of a plan, or refuses where what it was made of has changed since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from connectory.delivery.journal import open_journal
from connectory.delivery.journalfile import journal_path
from connectory.errors import ArgumentError
from connectory.recipes.context import Context
from connectory.recipes.planning.planfile import PlanHeader, PlanSource, digest_of_file, read_header
from connectory.recipes.source import SourceReader
from connectory.recipes.state import PLAN, Run, read_state


def recipe_of(plan: Path) -> tuple[Path, PlanHeader]:
    """The recipe that a plan is of, unchanged since. Raises ArgumentError."""
    header = read_header(plan)
    file = Path(header.file)
    if not file.exists():
        raise ArgumentError(f"{plan} is of the recipe {file}, which is not there")
    if digest_of_file(file) != header.digest:
        raise ArgumentError(f"{file} changed since {plan} was made: make another plan")
    return file, header


def opener_of(plan: Path, header: PlanHeader) -> Callable[[Context], SourceReader]:
    """Opens the plan in place of the recipe's source, once nothing has changed since. Raises ArgumentError."""

    def open_plan(context: Context) -> SourceReader:
        journal = open_journal(journal_path(context.root, header.recipe))
        try:
            under_way, fingerprint = _run_of(journal.read_state()), journal.fingerprint()
        finally:
            journal.close()
        if under_way is not None and under_way.span != span_of(header):
            raise ArgumentError(f"{header.recipe}: run {under_way.id} is not at its end: let it end, then plan again")
        if under_way is None and fingerprint != header.journal:
            raise ArgumentError(
                f"{header.recipe}: what the vendor last accepted changed since {plan} was made (or it was applied "
                "already): make another plan"
            )
        return PlanSource(plan, header.rows)

    return open_plan


def span_of(header: PlanHeader) -> tuple[str, str]:
    """What marks a run as that of this plan, so that an interrupted one is gone on with by the same plan only."""
    return PLAN, header.id


def _run_of(kept: tuple[bytes, dict[str, int]] | None) -> Run | None:
    return None if kept is None else read_state(kept[0]).run
