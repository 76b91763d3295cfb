"""`connectory replay`: rows that a vendor refused, sent again after mending."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connectory.commands.completion import complete_recipe
from connectory.commands.connection import parse_settings, settings_options
from connectory.commands.messages import explain, note
from connectory.commands.project import folder_of

if TYPE_CHECKING:
    from connectory.recipes.pushing.replaying import Replayed

TOLD = 5  # problem rows that are told; the rejects file has all


@click.command(
    epilog="""\b
Examples:
  connectory replay exams                      the rows of the recipe's rejects file, after mending them there
  connectory replay exams mended.csv           the rows of another file
  connectory replay exams --list               what is held back, and why
  connectory replay exams --unknown resend     rows whose answer was lost: send them again
  connectory replay exams --unknown drop       or take them as arrived

\b
Without a file, a recipe that names none sends the rows as they were. Rows delivered are held no longer; the
others stay, with the vendor's new words. A row of the file that was delivered meanwhile is not sent again.""",
)
@click.argument("recipe", shell_complete=complete_recipe)
@click.argument("mended", required=False, metavar="[FILE]", type=click.Path(exists=True, path_type=Path))
@click.option("--list", "only_list", is_flag=True, help="Show what is held back; send nothing.")
@click.option("--unknown", type=click.Choice(["resend", "drop"]), help="Decide upon rows of unknown outcome.")
@click.option("--output", type=click.Choice(["table", "json", "jsonl", "csv"]), help="How --list writes.")
@settings_options
@click.pass_context
def command(
    ctx: click.Context,
    recipe: str,
    mended: Path | None,
    only_list: bool,
    unknown: str | None,
    output: str | None,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
) -> None:
    """Send the rows that RECIPE holds back again: those of FILE, or of its rejects file, mended there."""
    from connectory.commands.messages import tell_wait
    from connectory.commands.sync import find_recipes, refuse_wrong
    from connectory.errors import ArgumentError
    from connectory.recipes.pushing.replaying import replay

    if mended is not None and (only_list or unknown):
        raise ArgumentError("a FILE is for sending mended rows; --list and --unknown are about what the journal holds")
    (file,) = find_recipes([recipe], ctx.obj)
    refuse_wrong([file])
    root = folder_of(file)
    if only_list:
        write_list(file, root, output)
        return
    report = replay(
        file,
        mended,
        unknown=unknown,  # type: ignore[arg-type]
        settings=parse_settings(assignments, server),
        profile=profile,
        max_wait=max_wait,
        root=root,
        on_wait=lambda vendor, seconds, why: tell_wait(seconds, why),
    )
    account(report)
    ctx.exit(report.exit_code)


def write_list(file: Path, root: Path, output: str | None) -> None:
    """The rows held back, on stdout: what became of each first, then its fields."""
    from connectory.commands.output import choose_form, write_pages
    from connectory.connecting import load_registry
    from connectory.recipes.pushing.rejects import ABOUT
    from connectory.recipes.pushing.replaying import held_rows, pushing_options
    from connectory.recipes.recipe import load_recipe

    loaded = load_recipe(load_registry(root), file)
    pushing_options(loaded)
    rows = list(held_rows(root, loaded.recipe.name))
    if not rows:
        note(f"{loaded.recipe.name}: no row is held back")
        return
    shown = [{**{name: row[name] for name in ABOUT}, **row} for row in rows]
    write_pages([shown], choose_form(output, None), sys.stdout.buffer)


def account(report: Replayed) -> None:
    """The end of a replay, on stderr."""
    calls = f"{report.calls} call{'' if report.calls == 1 else 's'}"
    if report.accounts.read or not (report.dropped or report.settled):
        note(f"{report.recipe}: {report.accounts} ({calls})")
    for row in report.problems[:TOLD]:
        note(f"  {row.word}: {row.field + ': ' if row.field else ''}{row.reason}")
    if report.dropped:
        note(f"{_rows(report.dropped)} of unknown outcome: taken as arrived")
    if report.settled:
        note(f"{_rows(report.settled)} of the file: held no longer, so not sent")
    if report.undecided:
        wait = "--unknown resend sends them again, --unknown drop takes them as arrived"
        note(f"{_rows(report.undecided)} of unknown outcome: {wait}")
    if report.held:
        note(f"{_rows(report.held)} held back")
    if report.error is not None:
        note(explain(report.error))


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
