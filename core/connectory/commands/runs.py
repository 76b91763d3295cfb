"""`connectory runs`: what past runs of recipes did."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectory.commands.messages import note
from connectory.commands.project import root_here

if TYPE_CHECKING:
    from connectory.recipes.running.runs import Refused, Run

TOLD = 5  # problem rows that `show` tells; --json and --to have all


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  connectory runs                        the newest first
  connectory runs --recipe students --json
  connectory runs show 3f2a              all of one run, by the beginning of its id
  connectory runs --to runs.duckdb       tables runs, starts, waits, limits and problems

\b
Endings: done, refused (some rows were not taken), limit, failed, interrupted, killed, running.""",
)
@click.option("--recipe", metavar="NAME", help="Only the runs of this recipe.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many to list.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--to", metavar="FILE.duckdb", type=click.Path(path_type=Path), help="Write all runs as tables.")
@click.pass_context
def command(ctx: click.Context, recipe: str | None, limit: int, as_json: bool, to: Path | None) -> None:
    """What past runs of recipes did: rows, calls, waits and what they cost of the vendors' limits."""
    if ctx.invoked_subcommand is not None:
        return
    from connectory.commands.output import write_pages
    from connectory.recipes.running.runs import read_runs
    from connectory.recipes.running.tables import write_tables

    root = root_here(ctx.obj)
    if to is not None:
        counts = write_tables(root, to)
        note(f"{to}: " + ", ".join(f"{count:,} {table}" for table, count in counts.items()))
        return
    runs = read_runs(root, recipe=recipe, most=limit)
    if as_json:
        write_pages([[as_data(run) for run in runs]], "json", sys.stdout.buffer)
    elif runs:
        write_pages([list(map(_line, runs))], "table", sys.stdout.buffer)
    else:
        note("no run is recorded here")


@command.command()
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every row that was not taken.")
@click.pass_context
def show(ctx: click.Context, id: str, as_json: bool) -> None:
    """All of the run whose id begins with ID."""
    from connectory.commands.output import write_one
    from connectory.recipes.running.tables import all_refused

    root = root_here(ctx.obj)
    run = one_run(root, id)
    refused = list(all_refused(root, run.id))
    if as_json:
        write_one({**as_data(run), "problems": list(map(problem_data, refused))}, "json", sys.stdout.buffer)
        return
    for line in _lines(run, refused):
        click.echo(line)


def one_run(root: Path, start_of_id: str) -> Run:
    """The run whose id begins so. Raises ArgumentError where it is none, or several."""
    from connectory.errors import ArgumentError
    from connectory.recipes.running.runs import find_run

    found = find_run(root, start_of_id)
    if len(found) != 1:
        several = f" ({', '.join(run.id for run in found[:TOLD])})" if found else "; connectory runs lists them"
        raise ArgumentError(f"{'several runs begin' if found else 'no run begins'} with '{start_of_id}'{several}")
    return found[0]


def _line(run: Run) -> Mapping[str, Any]:
    from connectory.commands.progress import duration

    refused = sum(run.words.get(word, 0) for word in ("invalid", "rejected", "unknown"))
    return {
        "run": run.id,
        "recipe": run.recipe,
        "started": _moment(run.started),
        "took": duration(run.seconds),
        "ending": run.ending,
        "read": run.rows_out,
        "delivered": run.words.get("delivered", 0) + run.words.get("accepted", 0),
        "unchanged": run.words.get("unchanged", 0),
        "refused": refused,
        "calls": run.calls,
    }


def _lines(run: Run, refused: Sequence[Refused]) -> Iterator[str]:
    from connectory.commands.progress import duration
    from connectory.limits.ledger import spoken

    ended = "" if run.ended is None else f", ended {_moment(run.ended)}"
    yield f"run {run.id} of {run.recipe} ({run.file})"
    yield f"  {run.ending}{'' if run.exit is None else f', exit {run.exit}'}: started {_moment(run.started)}{ended}"
    if run.error:
        yield f"  {run.error}"
    words = " + ".join(f"{count:,} {word.replace('_', ' ')}" for word, count in run.words.items()) or "0"
    yield f"  rows      {run.rows_out:,} read = {words}"
    if run.rows_in != run.rows_out:
        yield f"            {run.rows_in:,} before the change"
    if run.removed:
        yield f"            {run.removed:,} removed there"
    pages = f"{run.pages:,} page{'' if run.pages == 1 else 's'}"
    yield f"  calls     {run.calls:,}, {pages}, {size(run.sent)} sent, {size(run.received)} received"
    for limit, calls in run.limits.items():
        yield f"  limit     {limit}: {calls:,} calls"
    for cause, seconds in sorted(run.waits.items(), key=lambda wait: -wait[1]):
        yield f"  waited    {spoken(seconds)}: {cause}"
    for start in run.starts:
        took = duration((start.seen if start.ended is None else start.ended) - start.started)
        who = f"process {start.pid} on {start.host}"
        why = f": {start.error}" if start.error else ""
        told = f"{_moment(start.started)}, {took}, {start.calls:,} calls, {who}, {start.ending}{why}"
        yield f"  start {start.number:<3} {told}"
    if refused:
        yield f"  not taken {len(refused):,}; the first:"
    for one in refused[:TOLD]:
        where = ", ".join(part for part in (f"key {one.key}" if one.key else "", one.field) if part)
        yield f"    {one.word}: {where + ': ' if where else ''}{one.words}"


def size(count: int) -> str:
    """`812 B`, `4.2 kB`, `1.3 MB`."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError


def as_data(run: Run) -> Mapping[str, Any]:
    """A run as JSON; moments are RFC 3339."""
    from connectory.commands.events import stamp

    return {
        "run": run.id,
        "recipe": run.recipe,
        "file": run.file,
        "ending": run.ending,
        "exit": run.exit,
        "error": run.error or None,
        "started": stamp(run.started),
        "ended": None if run.ended is None else stamp(run.ended),
        "seconds": round(run.seconds, 3),
        "read": run.rows_out,
        "rows": run.words,
        "rows_in": run.rows_in,
        "removed": run.removed,
        "pages": run.pages,
        "calls": run.calls,
        "limits": run.limits,
        "waits": run.waits,
        "bytes_sent": run.sent,
        "bytes_received": run.received,
        "starts": [
            {
                "number": start.number,
                "ending": start.ending,
                "exit": start.exit,
                "error": start.error or None,
                "started": stamp(start.started),
                "seen": stamp(start.seen),
                "ended": None if start.ended is None else stamp(start.ended),
                "pid": start.pid,
                "host": start.host,
                "calls": start.calls,
                "limits": start.limits,
                "waits": start.waits,
                "bytes_sent": start.sent,
                "bytes_received": start.received,
            }
            for start in run.starts
        ],
    }


def problem_data(one: Refused) -> Mapping[str, Any]:
    """A row that was not taken, as JSON."""
    from connectory.commands.events import stamp

    return {
        "run": one.run,
        "recipe": one.recipe,
        "key": one.key or None,
        "row": one.row,
        "word": one.word,
        "field": one.field or None,
        "words": one.words,
        "code": one.code or None,
        "status": one.status,
        "attempts": one.attempts,
        "repeatable": one.repeatable,
        "when": stamp(one.at),
    }


def _moment(epoch: float) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M:%S} UTC"
