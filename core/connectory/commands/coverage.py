"""`connectory coverage`: what of a spec has a test, and what that test rests on."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from connectory.commands.messages import note, short_path
from connectory.commands.project import cassettes_of, registry_of, vendors_of

if TYPE_CHECKING:
    from connectory.testing.audits.coverage import Coverage, Fact


@click.command(
    epilog="""\b
Examples:
  connectory coverage                      the project's specs
  connectory coverage acme --json
  connectory coverage --at-least 80        ends with 1 where fewer operations have a test

\b
A test counts for what it really exercises: it is run, and watched. It may rest on a recording of a server, on one
of an emulator, of the mock or on an example, which both repeat the spec. Fault tests are not counted."""
)
@click.argument("vendors", nargs=-1, metavar="[VENDOR]...")
@click.option(
    "--at-least", type=click.FloatRange(0, 100), default=100.0, show_default=True, help="Per cent of the operations."
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@click.pass_context
def command(ctx: click.Context, vendors: tuple[str, ...], at_least: float, as_json: bool) -> None:
    """What VENDOR's tests exercise: operations, credentials, outcome rules, pagers and batches; and what is assumed."""
    from connectory.connecting import open_spec
    from connectory.testing.audits.coverage import coverage_of

    found: list[Coverage] = []
    for vendor in vendors_of(ctx.obj, vendors):
        found.append(coverage_of(registry_of(ctx.obj), open_spec(vendor, ctx.obj), cassettes_of(ctx.obj)))
        if not as_json:
            for line in _lines(found[-1]):
                click.echo(line)
    if as_json:
        _print_json(found)
    short = [one for one in found if one.share < at_least or one.failed]
    for one in short:
        failed = f", {len(one.failed)} tests fail" if one.failed else ""
        note(f"{one.vendor}: {one.share:.1f} % of the operations have a test, {at_least:g} % are wanted{failed}")
    if short:
        ctx.exit(1)


def _lines(one: Coverage) -> Iterator[str]:
    from connectory.testing.audits.coverage import KINDS

    yield f"{one.vendor} ({short_path(one.file)})"
    for kind, name in KINDS.items():
        facts = one.of(kind)
        if facts:
            covered = sum(fact.best is not None for fact in facts)
            yield f"  {name:<14} {covered} of {len(facts)}{_sources(facts)}"
            yield from (
                f"    {short_path(one.file)}:{fact.line} {fact.name}: no test" for fact in facts if fact.best is None
            )
    yield from (f"  fails          {name}" for name in one.failed)
    if one.assumed:
        yield f"  {'assumed':<14} {len(one.assumed)}"
        yield from (f"    {short_path(one.file)}:{line} {place}: {why}" for line, place, why in one.assumed)


def _sources(facts: Sequence[Fact]) -> str:
    """How many rest on what, each by its most telling test."""
    counts = Counter(fact.best for fact in facts if fact.best is not None)
    return f" ({', '.join(f'{count} by {_WORDS[source]}' for source, count in counts.most_common())})" if counts else ""


_WORDS = {
    "server": "a recorded server",
    "emulator": "a recorded emulator",
    "mock": "a mock of this spec only",
    "example": "an example only",
}


def _print_json(found: Sequence[Coverage]) -> None:
    from connectory.commands.output import write_one

    told = [
        {
            "vendor": one.vendor,
            "operations_percent": round(one.share, 2),
            "facts": [
                {"kind": fact.kind, "name": fact.name, "line": fact.line, "tests": fact.by} for fact in one.facts
            ],
            "failed": one.failed,
            "assumed": [{"line": line, "place": place, "why": why} for line, place, why in one.assumed],
        }
        for one in found
    ]
    write_one(told, "json", sys.stdout.buffer)
