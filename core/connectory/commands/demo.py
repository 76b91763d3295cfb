"""`connectory demo`: a real sync with no account."""

from __future__ import annotations

from pathlib import Path

import click

from connectory.commands.messages import note


@click.command(
    epilog="""\b
Examples:
  connectory demo
  connectory demo --to trial             keep it in the folder trial""",
)
@click.option(
    "--to",
    "folder",
    default="connectory-demo",
    show_default=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the recipes and the database.",
)
@click.pass_context
def command(ctx: click.Context, folder: Path) -> None:
    """Sync recorded answers of a real server, served again on this machine, into an embedded database.

    The recipes and the database stay in DIR, to be looked at, changed and run again.
    """
    from connectory.commands.ending import account
    from connectory.commands.progress import show_progress
    from connectory.commands.sync import worst
    from connectory.recipes.demo import run_demo

    codes: list[int] = []
    recipes: list[Path] = []
    with show_progress() as watch:
        ended = list(run_demo(folder, watch))
    for demo in ended:
        account(demo.report, folder)
        codes.append(demo.report.exit_code)
        recipes.append(demo.recipe)
    note(f"\nThe recipes: {', '.join(map(str, recipes))}")
    note("Go on: connectory list, connectory show VENDOR, connectory new connector NAME")
    ctx.exit(worst(codes))
