"""`connectory sync`: recipes run, each accounted for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import click

from connectory.commands.completion import complete_recipe
from connectory.commands.connection import parse_settings, settings_options
from connectory.commands.ending import account
from connectory.commands.interrupts import KEY
from connectory.commands.messages import explain, moment, note
from connectory.commands.project import folder_of, project_root

if TYPE_CHECKING:
    from connectory.recipes.running.running import Wishes
    from connectory.recipes.running.stopping import Stop

SEVERITY: Final = (143, 130, 1, 2, 75, 3)  # of several recipes that end differently, the first is the exit code


@click.command(
    epilog="""\b
Examples:
  connectory sync recipes/students.yaml
  connectory sync students companies             recipes of the project by name
  connectory sync students --server sandbox
  connectory sync students --full-refresh        everything anew, whatever was read before
  connectory sync people --from 2024-01-01 --to 2024-02-01
  connectory sync students --wait                goes on when a limit comes back, however many days that takes
  connectory sync students --wait --until 06:00  but not after six; the next start goes on there
  connectory sync exams --dry-run                what would be sent first, with the secrets out
  connectory sync students --json | jq -c 'select(.event == "run_ended")'

\b
A wrong recipe or setting is told before anything is sent, for all recipes at once. One that fails does not
keep the others from running. A run that was stopped, by a limit, a fault, Ctrl-C (130), SIGTERM (143) or a
kill, goes on where it was at the next start.
Of one recipe only one run goes at a time; the second ends at once with 1 and names the first.""",
)
@click.argument("recipes", nargs=-1, required=True, metavar="RECIPE...", shell_complete=complete_recipe)
@click.option("--yes", is_flag=True, help="Run what destroys at the vendor's, though the recipe does not say so.")
@click.option("--full-refresh", is_flag=True, help="Forget what was kept of earlier runs, and read everything.")
@click.option("--keep-state", is_flag=True, help="Go on from where it was, though the recipe has changed since.")
@click.option("--from", "begin", metavar="MOMENT", help="Read from this day or moment (of the recipe's `since`) on.")
@click.option("--to", "end", metavar="MOMENT", help="Read what lies before this day or moment.")
@click.option("--wait", is_flag=True, help="Wait for limits however long, instead of ending with 75.")
@click.option(
    "--until",
    metavar="TIME",
    help="Stop in order at this time of day, as 06:00 or '06:00 Europe/Amsterdam', with 75.",
)
@click.option("--dry-run", is_flag=True, help="Read the first rows and show what would be sent; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Write what happens to stdout, one JSON object a line.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing unless something went wrong.")
@click.option(
    "--rows/--no-rows",
    "show",
    default=None,
    help="Show some rows of what was filled. Default: on a terminal, since rows are often about people.",
)
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
    wait: bool,
    until: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    show: bool | None,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
) -> None:
    """Run RECIPEs: read each one's records, write them where they go, and account for every row."""
    from connectory.recipes.running.running import Wishes

    files = find_recipes(recipes, ctx.obj)
    refuse_wrong(files)
    wishes = Wishes(
        settings=parse_settings(assignments, server),
        profile=profile,
        max_wait=max_wait,
        wait=wait,
        until=until_of(until),
        confirmed=yes,
        full_refresh=full_refresh,
        keep_state=keep_state,
        span=None if begin is None and end is None else (begin, end),
    )
    if dry_run:
        ctx.exit(worst([rehearse(file, wishes, as_json=as_json) for file in files]))
    rows = sys.stdout.isatty() if show is None else show
    runs = Runs(wishes, listen(ctx), as_json=as_json, quiet=quiet or as_json, rows=rows and not as_json)
    codes: list[int] = []
    for file in files:
        codes.append(runs.run(file, alone=not codes))
        if runs.stop.asked:
            break
    ctx.exit(worst(codes))


def rehearse(file: Path, wishes: Wishes, *, as_json: bool) -> int:
    """Show what a run would begin with; the exit code. Raises what reading raises."""
    from connectory.commands.dry_run import show_preview, write_preview
    from connectory.recipes.planning.preview import preview

    shown = preview(
        file,
        settings=wishes.settings,
        profile=wishes.profile,
        max_wait=wishes.max_wait,
        root=folder_of(file),
    )
    (write_preview if as_json else show_preview)(shown)
    return shown.exit_code


def until_of(text: str | None) -> float | None:
    """The moment of `--until`. Raises ArgumentError."""
    from connectory.clock import SystemClock
    from connectory.errors import ArgumentError
    from connectory.limits.hours import next_time

    if text is None:
        return None
    try:
        return next_time(text, SystemClock().now())
    except ValueError as why:
        raise ArgumentError(f"--until: {why}") from None


def listen(ctx: click.Context) -> Stop:
    """Whether Ctrl-C or SIGTERM asked to stop."""
    from connectory.recipes.running.stopping import Stop

    stop, interrupts = Stop(), ctx.meta.get(KEY)
    if interrupts is not None:
        interrupts.gently, interrupts.at_last = stop.ask, stop.leave
    return stop


@attrs.define
class Runs:
    """Runs recipes one after the other and tells how each ended."""

    wishes: Wishes
    stop: Stop
    as_json: bool = False
    quiet: bool = False
    rows: bool = True

    def run(self, file: Path, *, alone: bool) -> int:
        """One recipe; its exit code. `alone`: nothing was told yet, so that what is wrong may end the command."""
        from connectory.commands.events import Events
        from connectory.commands.progress import show_progress
        from connectory.errors import ConnectoryError, InputError
        from connectory.recipes.running.running import run

        root = folder_of(file)
        events = Events(file.stem) if self.as_json else None
        try:
            with show_progress(quiet=self.quiet) as watch:
                watchers = [events] if events is not None else [watch(file.stem)]
                ended = run(file, self.wishes, root=root, stop=self.stop, watchers=watchers)
        except ConnectoryError as why:
            if events is not None:
                events.not_started(why)
            if alone and isinstance(why, InputError):
                raise
            note(explain(why))
            return why.exit_code
        if events is not None:
            events.run_ended(ended)
        report = ended.report
        if not self.quiet or report.exit_code:
            rows = None if self.quiet else self.rows
            costs = ended.costs
            account(report, root, waits=costs.waits, calls=costs.calls, took=ended.took, rows=rows)
        if ended.come_back is not None:
            note(f"stopped for the limit: come back at {moment(ended.come_back)}, then run the same command")
        return report.exit_code


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
