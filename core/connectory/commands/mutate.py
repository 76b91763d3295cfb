"""`connectory mutate`: what the tests of a spec notice, shown by planting every mistake in it."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from connectory.commands.messages import note, short_path
from connectory.commands.project import cassettes_of, project_root, root_here, vendors_of

if TYPE_CHECKING:
    from connectory.testing.audits.mutation import Subject
    from connectory.testing.audits.verdicts import Found

PAGE: Final = "mutation.md"
REASONS: Final = "mutation.yaml"


@click.command(
    epilog="""\b
Examples:
  connectory mutate acme                    every mistake in specs/acme.yaml, one at a time
  connectory mutate acme --sample 100       a hundred of them, always the same
  connectory mutate acme --only pagers/     those at places that begin so
  connectory mutate acme --again            those that docs/mutation.md tells as not noticed
  connectory mutate --write                 all of the project's specs, and docs/mutation.md

Each line is a mistake that no test noticed. A reason for it may stand in docs/mutation.yaml: vendor, then the mistake
as it is shown (or with * in it), then the reason."""
)
@click.argument("vendors", nargs=-1, metavar="[VENDOR]...")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Only N mistakes of each spec, always the same.")
@click.option("--only", default="", metavar="PLACE", help="Only mistakes at places that begin so, as pagers/.")
@click.option("--again", is_flag=True, help=f"Only mistakes that docs/{PAGE} tells as not noticed.")
@click.option(
    "--at-least", type=click.FloatRange(0, 100), default=95.0, show_default=True, help="Per cent to be noticed."
)
@click.option("--jobs", type=click.IntRange(1), help="Processes [default: one for each processor].")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@click.option("--write", is_flag=True, help=f"Write docs/{PAGE} in the project.")
@click.pass_context
def command(
    ctx: click.Context,
    vendors: tuple[str, ...],
    sample: int | None,
    only: str,
    again: bool,
    at_least: float,
    jobs: int | None,
    as_json: bool,
    write: bool,
) -> None:
    """Plant every mistake in a spec, one at a time, and name those that no test of VENDOR notices."""
    from connectory.commands.output import write_one
    from connectory.testing.audits.mutation import Subject, judge
    from connectory.testing.audits.verdicts import Found, read_reasons, report

    docs = root_here(ctx.obj) / "docs"
    reasons = read_reasons(docs / REASONS)
    page = _page(docs / PAGE) if again else None
    found: list[Found] = []
    for vendor in vendors_of(ctx.obj, vendors):
        subject = Subject(vendor, project_root(ctx.obj), cassettes_of(ctx.obj))
        verdicts = list(judge(subject, _numbers(subject, sample, only, page), jobs))
        one = Found(vendor, _file(subject), verdicts, reasons.get(vendor, {}))
        found.append(one)
        if not as_json:
            for line in _lines(one):
                click.echo(line)
        note(one.summary())
    if as_json:
        write_one([one.as_data() for one in found], "json", sys.stdout.buffer)
    if write:
        docs.mkdir(exist_ok=True)
        (docs / PAGE).write_text(report(found, f"docs/{REASONS}"), encoding="utf-8", newline="\n")
        note(f"wrote {docs / PAGE}")
    if any(one.share < at_least for one in found):
        ctx.exit(1)


def _file(subject: Subject) -> str:
    from connectory.testing.audits.mutation import hunt_of

    return short_path(str(hunt_of(subject).source.file))


def _page(file: Path) -> str:
    """The page of a run before. Raises ConnectoryError where there was none."""
    from connectory.errors import ConnectoryError

    if not file.is_file():
        raise ConnectoryError(f"no {short_path(str(file))} to go by: `connectory mutate --write` makes it")
    return file.read_text(encoding="utf-8")


def _numbers(subject: Subject, sample: int | None, only: str, page: str | None) -> Sequence[int]:
    """Which mutants to try. Raises ConnectoryError when tests fail without any mistake: they would prove nothing."""
    from connectory.errors import ConnectoryError
    from connectory.testing.audits.mutation import hunt_of
    from connectory.testing.audits.verdicts import listed

    hunt = hunt_of(subject)
    if failing := list(hunt.failing()):
        told = ", ".join(failing[:5]) + (f" and {len(failing) - 5} more" if len(failing) > 5 else "")
        raise ConnectoryError(f"{subject.vendor}: {told} fail without any mistake planted: mend them first (pytest)")
    keys = [mutant.key for mutant in hunt.mutants]
    wanted = listed(page, subject.vendor, keys) if page is not None else set(keys)
    numbers = [number for number, key in enumerate(keys) if key in wanted and key.startswith(only)]
    if sample is not None and sample < len(numbers):
        return sorted(random.Random(0).sample(numbers, sample))
    return numbers


def _lines(one: Found) -> Iterator[str]:
    for verdict in one.survivors:
        why = one.reason(verdict)
        yield f"{one.file}:{verdict.line} {verdict.key}{f' ({why})' if why else ''}"
