"""`connectory sync`: recipes run, each accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from connectory.commands.completion import complete_recipe
from connectory.commands.connection import parse_settings, settings_options
from connectory.commands.messages import explain, note
from connectory.commands.project import project_root, root_of

if TYPE_CHECKING:
    from connectory.recipes.sync import Report

SEVERITY: Final = (1, 2, 75, 3)  # of several recipes that end differently, the first of these is the exit code
TOLD = 5  # problem rows that are told; the report keeps more


@click.command(
    epilog="""\b
Examples:
  connectory sync recipes/students.yaml
  connectory sync students companies             recipes of the project by name
  connectory sync students --server sandbox
  connectory sync students --full-refresh        everything anew, whatever was read before
  connectory sync people --from 2024-01-01 --to 2024-02-01

\b
A run that was stopped, by a limit, a fault or a kill, goes on where it was at the next start. A wrong recipe or
setting is told before anything is sent, for all recipes at once. One that fails does not keep the others
from running.""",
)
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...", shell_complete=complete_recipe)
@click.option("--yes", is_flag=True, help="Run what destroys at the vendor's, though the recipe does not say so.")
@click.option("--full-refresh", is_flag=True, help="Forget what was kept of earlier runs, and read everything.")
@click.option("--keep-state", is_flag=True, help="Go on from where it was, though the recipe has changed since.")
@click.option("--from", "begin", metavar="MOMENT", help="Read from this day or moment (of the recipe's `since`) on.")
@click.option("--to", "end", metavar="MOMENT", help="Read what lies before this day or moment.")
@settings_options
@click.pass_context
def command(
    ctx: click.Context,
    recipes: tuple[str, ...],
    yes: bool,
    full_refresh: bool,
    keep_state: bool,
    begin: str | None,
    end: str | None,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
) -> None:
    """Run RECIPEs: read each one's records, write them to its table, and account for every row."""
    from connectory.commands.progress import show_progress
    from connectory.errors import InputError
    from connectory.recipes.sync import run_recipe

    files = find_recipes(recipes, ctx.obj)
    refuse_wrong(files)
    settings = parse_settings(assignments, server)
    codes: list[int] = []
    for file in files:
        root = root_of(file) or file.resolve().parent
        try:
            with show_progress() as tell:
                told = partial(tell, file.stem)
                report = run_recipe(
                    file,
                    settings=settings,
                    profile=profile,
                    max_wait=max_wait,
                    root=root,
                    on_progress=told,
                    confirmed=yes,
                    full_refresh=full_refresh,
                    keep_state=keep_state,
                    span=None if begin is None and end is None else (begin, end),
                )
        except InputError as why:
            if not codes:
                raise
            note(explain(why))
            codes.append(why.exit_code)
            continue
        account(report, root)
        codes.append(report.exit_code)
    ctx.exit(worst(codes))


def worst(codes: Sequence[int]) -> int:
    """The exit code of several runs."""
    return next((code for code in SEVERITY if code in codes), 0)


def find_recipes(names: Sequence[str], project: str | None) -> list[Path]:
    """The files: paths as they are, bare names in the project's recipes/. Raises ArgumentError for those not there."""
    from connectory.errors import ArgumentError, nearest

    root = project_root(project)
    known = {path.stem: path for path in sorted((root / "recipes").glob("*.yaml"))} if root else {}
    found = [Path(name) if Path(name).is_file() else known.get(name) for name in names]
    missing = [name for name, file in zip(names, found, strict=True) if file is None]
    if missing:
        there = f" (there are {', '.join(known)})" if known else ""
        raise ArgumentError("\n".join(f"no recipe '{name}'{nearest(name, known) or there}" for name in missing))
    return [file for file in found if file is not None]


def refuse_wrong(files: Sequence[Path]) -> None:
    """Raises SpecError with the faults of all recipes, before the first of them runs."""
    from connectory.commands.check import check_files
    from connectory.errors import SpecError

    if faults := check_files(files):
        raise SpecError(faults)


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


def account(report: Report, root: Path) -> None:
    """The end of one recipe: the counts, what was invalid, what stopped it (stderr), and the first rows (stdout).

    `root` is what the recipe's paths are relative to.
    """
    from connectory.commands.glance import glance

    calls = f"{report.calls} call{'' if report.calls == 1 else 's'}"
    waited = f", {report.waited:.0f} s of it waiting" if report.waited >= 1 else ""
    starts = f", start {report.starts} of run {report.run}" if report.starts > 1 else ""
    note(f"{report.recipe}: {report.accounts} ({calls}, {report.took:.1f} s{waited}{starts})")
    for line in beside(report):
        note(f"  {line}")
    for row in report.problems[:TOLD]:
        note(f"  {row.word}: {row.field}: {row.reason}")
    for field, count in report.dropped.items():
        note(f"  left out by the contract: {field}: {count:,} value{'' if count == 1 else 's'}")
    if report.error is not None:
        note(explain(report.error))
    glance(report.destination, root)
