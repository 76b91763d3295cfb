"""`connectory plan`: what a sync would do, and when it would end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from connectory.commands.completion import complete_recipe
from connectory.commands.connection import parse_settings, settings_options
from connectory.commands.messages import moment, note
from connectory.commands.project import folder_of

if TYPE_CHECKING:
    from connectory.recipes.planning.planning import Outlook, Plan

_WORDS: Final = {
    "add": "to add",
    "change": "to change",
    "again": "to send again as they are",
    "remove": "to remove",
    "unchanged": "unchanged",
    "held": "held back as before",
    "invalid": "invalid",
}
_FIELDS: Final = 10


@click.command(
    epilog="""\b
Examples:
  connectory plan exams                           what a sync would do now
  connectory plan exams --out exams.plan          and keep its rows, for `connectory apply exams.plan`
  connectory plan exams --json

\b
A plan reads the source as a sync does; of a vendor's list it asks for one page. Nothing is sent or written.
It ends with 3 where rows are invalid or held back.""",
)
@click.argument("recipe", shell_complete=complete_recipe)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Keep the rows in this file.")
@click.option("--save", is_flag=True, help="Keep the rows in .connectory/plans.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@settings_options
@click.pass_context
def command(
    ctx: click.Context,
    recipe: str,
    out: Path | None,
    save: bool,
    as_json: bool,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
) -> None:
    """What a sync of RECIPE would do: rows to add, change and remove, calls, and when it would end."""
    from connectory.commands.output import write_one
    from connectory.commands.sync import find_recipes, refuse_wrong
    from connectory.recipes.planning.planning import make_plan

    (file,) = find_recipes([recipe], ctx.obj)
    refuse_wrong([file])
    root = folder_of(file)
    to = out or (kept_place(root, file) if save else None)
    plan = make_plan(
        file,
        settings=parse_settings(assignments, server),
        profile=profile,
        max_wait=max_wait,
        root=root,
        to=to,
    )
    if as_json:
        write_one({**as_data(plan), "plan": None if to is None else str(to)}, "json", sys.stdout.buffer)
    else:
        for line in _lines(plan):
            click.echo(line)
    if to is not None:
        note(f"to send exactly that: connectory apply {to}")
    ctx.exit(3 if plan.words.get("invalid") or plan.words.get("held") or plan.warning else 0)


def kept_place(root: Path, file: Path) -> Path:
    """A new place for a plan among those that the project keeps."""
    import os

    from connectory.recipes.planning.planfile import FOLDER

    return root / FOLDER / f"{file.stem}-{os.urandom(4).hex()}.plan"


def _lines(plan: Plan) -> Iterator[str]:
    cost = f" ({plan.cost:,} call{'' if plan.cost == 1 else 's'})" if plan.cost else ""
    if plan.pushes:
        words = ", ".join(f"{plan.words[word]:,} {told}" for word, told in _WORDS.items() if word in plan.words)
        yield f"{plan.recipe}: {plan.read:,} rows read{cost}: {words or 'nothing to do'}"
        if plan.came != plan.read:
            yield f"  {plan.came:,} before the change"
    elif plan.outlook is None:
        yield f"{plan.recipe}: {plan.read:,} rows to write; no vendor is called"
    else:
        records = (
            f"{plan.records:,} records" if plan.records is not None else "the vendor does not say how many records"
        )
        since = f" since {plan.since}" if plan.since is not None else ", from the beginning"
        yield f"{plan.recipe}: {records} to read{since}{cost}"
    fields = [f"{name} {count:,}" for name, count in plan.fields.items()]
    if fields:
        more = f", and {len(fields) - _FIELDS} more" if len(fields) > _FIELDS else ""
        yield f"  changes by field: {', '.join(fields[:_FIELDS])}{more}"
    for problem in plan.problems:
        yield f"  {problem}"
    if plan.warning:
        yield f"  warning: {plan.warning}"
    if plan.outlook is not None:
        yield from _calls(plan.outlook)


def _calls(outlook: Outlook) -> Iterator[str]:
    from connectory.commands.progress import left_in_words
    from connectory.limits.ledger import spoken

    left = left_in_words(outlook.left[0]) if outlook.left else "no limit"
    if not outlook.known:
        yield f"calls: nobody knows how many; {left}"
        return
    total = sum(outlook.calls.values())
    if not total:
        yield f"no call; {left}"
        return
    parts = " + ".join(f"{count:,} {purpose}" for purpose, count in outlook.calls.items())
    of = f" ({parts})" if len(outlook.calls) > 1 else ""
    yield f"{total:,} call{'' if total == 1 else 's'}{of}, {left}: ends {moment(outlook.ends)}"
    if outlook.left and outlook.left[0].may_use < outlook.left[0].left:
        yield f"  this recipe may use {outlook.left[0].may_use:,} of them, and leaves the rest to others"
    yield f"  at {outlook.pace:.2f} s a call, {'as its last runs took' if outlook.measured else 'assumed'}"
    for why, seconds in sorted(outlook.waits.items(), key=lambda wait: -wait[1]):
        if seconds >= 1:
            yield f"  waits {spoken(seconds)}: {why}"


def as_data(plan: Plan) -> Mapping[str, Any]:
    """A plan as JSON."""
    from connectory.commands.events import limit_of, stamp

    outlook = plan.outlook
    return {
        "recipe": plan.recipe,
        "kind": "push" if plan.pushes else "pull",
        "read": plan.read,
        "rows_in": plan.came,
        "rows": dict(plan.words),
        "fields": dict(plan.fields),
        "problems": list(plan.problems),
        "warning": plan.warning or None,
        "records": plan.records,
        "since": None if plan.since is None else str(plan.since),
        "planning_calls": plan.cost,
        "calls": None if outlook is None else outlook.total,
        "calls_by_purpose": {} if outlook is None else dict(outlook.calls),
        "limits": [] if outlook is None else [limit_of(left) for left in outlook.left],
        "seconds_a_call": None if outlook is None else round(outlook.pace, 3),
        "ends": None if outlook is None or not outlook.known else stamp(outlook.ends),
        "waits": {} if outlook is None else {why: round(seconds, 3) for why, seconds in outlook.waits.items()},
    }
