"""`connectory apply`: exactly what a plan says."""

from __future__ import annotations

from pathlib import Path

import click

from connectory.commands.connection import parse_settings, settings_options


@click.command(
    epilog="""\b
Examples:
  connectory plan exams --out exams.plan
  connectory apply exams.plan

\b
It refuses, and sends nothing, when the recipe or what the vendor last accepted has changed since the plan was
made. A plan that was interrupted goes on by the same command. The mark of a source that reads since the last run
stays as it was: the next sync reads those rows again and finds them unchanged.""",
)
@click.argument("plan", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Run what destroys at the vendor's, though the recipe does not say so.")
@click.option("--wait", is_flag=True, help="Wait for limits however long, instead of ending with 75.")
@click.option("--until", metavar="TIME", help="Stop in order at this time of day, as 06:00, with 75.")
@click.option("--json", "as_json", is_flag=True, help="Write what happens to stdout, one JSON object a line.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing unless something went wrong.")
@settings_options
@click.pass_context
def command(
    ctx: click.Context,
    plan: Path,
    yes: bool,
    wait: bool,
    until: str | None,
    as_json: bool,
    quiet: bool,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
) -> None:
    """Send exactly the rows of PLAN."""
    from connectory.commands.sync import Runs, listen, refuse_wrong, until_of
    from connectory.recipes.planning.applying import opener_of, recipe_of, span_of
    from connectory.recipes.running.running import Wishes

    file, header = recipe_of(plan)
    refuse_wrong([file])
    wishes = Wishes(
        settings=parse_settings(assignments, server),
        profile=profile,
        max_wait=max_wait,
        wait=wait,
        until=until_of(until),
        confirmed=yes,
        span=span_of(header),
        opener=opener_of(plan, header),
    )
    runs = Runs(wishes, listen(ctx), as_json=as_json, quiet=quiet or as_json)
    ctx.exit(runs.run(file, alone=True))
