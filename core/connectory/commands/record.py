"""`connectory record`: calls against a live server, kept as cassettes that pytest replays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from connectory.commands.completion import complete_argument, complete_operation, complete_vendor
from connectory.commands.connection import parse_settings, settings_options
from connectory.commands.messages import note, short_path

if TYPE_CHECKING:
    from connectory.operation import Plan
    from connectory.plugins.registry import Registry
    from connectory.spec.load import Loaded
    from connectory.testing.recorded.cassettes import Cassette
    from connectory.testing.recorded.recording import Target, Wanted

FAILED = 1  # exit code: some calls were made and not kept


@attrs.frozen(kw_only=True)
class Wish:
    """What the command line asks for beside the connection."""

    operation: str | None
    words: Sequence[str]
    data: str | None
    label: str | None
    since: str | None
    limit: int | None
    errors: bool
    writes: bool
    sure: bool


@click.command(
    epilog="""\b
Examples:
  connectory record VENDOR                                  the examples of all operations that read
  connectory record VENDOR students.list year=2018
  connectory record VENDOR students.get id=1 --errors --label missing
  connectory record VENDOR events.upsert --data @events.jsonl
  connectory record VENDOR --server http://127.0.0.1:8012 --recorded emulator
  connectory record VENDOR --accept                         what the recorded answers give by the spec of today

\b
A spec's server named sandbox is recorded, unless --server or a setting says otherwise. Recordings lie in
cassettes/VENDOR/ and carry the vendor's own host, no secret, and stand-ins for personal fields. One that says
the same as before stays as it is."""
)
@click.argument("vendor", shell_complete=complete_vendor)
@click.argument("operation", required=False, shell_complete=complete_operation)
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...", shell_complete=complete_argument)
@click.option("--data", metavar="JSON|@FILE|-", help="The body, or the items of a batch.")
@click.option("--label", metavar="NAME", help="Name of the recording [default: made of the arguments].")
@click.option("--since", metavar="FIELD=MOMENT", help="Ask as a sync does for what is new by a mark of OPERATION.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N records: a shorter recording.")
@click.option("--recorded", metavar="TEXT", default="", help="What is recorded, such as 'acme 2.19' or emulator.")
@click.option("--writes", is_flag=True, help="Without OPERATION: those that write, too.")
@click.option("--errors", is_flag=True, help="Keep calls that end in an error.")
@click.option("--accept", is_flag=True, help="Send nothing: keep what the recorded answers give today.")
@click.option("--yes", is_flag=True, help="Do not ask before a call that destroys, or over changes git does not have.")
@settings_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    vendor: str,
    operation: str | None,
    arguments: tuple[str, ...],
    recorded: str,
    accept: bool,
    yes: bool,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
    **options: Any,
) -> None:
    """Record OPERATION of VENDOR, or the examples of all its operations, for the tests."""
    _check_installed()
    from connectory.commands.project import cassettes_of, check_operation, project_root, registry_of
    from connectory.connecting import open_spec
    from connectory.testing.recorded.cassettes import check_label
    from connectory.testing.recorded.recording import Target

    wish = Wish(operation=operation, words=arguments, sure=yes, **options)
    check_label(wish.label or "")
    loaded, registry = open_spec(vendor, ctx.obj), registry_of(ctx.obj)
    folder = cassettes_of(ctx.obj)
    if operation is not None:
        check_operation(loaded.spec, operation)
    target = Target(
        root=project_root(ctx.obj),
        settings=parse_settings(assignments, None),
        server=server,
        profile=profile,
        said=recorded,
        max_wait=max_wait,
    )
    if accept:
        ctx.exit(_accept(registry, loaded, folder, operation))
    ctx.exit(_record(registry, loaded, target, folder, wish))


def _check_installed() -> None:
    from connectory.errors import ArgumentError

    if find_spec("vcr") is None:
        raise ArgumentError("recording needs vcrpy: pip install 'connectory[test]'")


def _record(registry: Registry, loaded: Loaded, target: Target, folder: Path, wish: Wish) -> int:
    """Record what is wished for, one call after another. Returns the exit code."""
    from connectory.describe import plan_of
    from connectory.testing.recorded.recording import record, settings_for

    settings_for(registry, loaded, target)  # what is missing is told before anything else
    calls = list(_calls(registry, loaded, folder, wish))
    for wanted in calls:
        _be_sure(plan_of(loaded.spec, registry, wanted.operation), wanted, folder / loaded.spec.name, wish)
    if not calls:
        note("nothing to record: no operation that reads has an example; name one, or add --writes")
    return _all(calls, lambda wanted: record(registry, loaded, wanted, target), folder)


def _all(calls: Sequence[Wanted], make: Callable[[Wanted], Cassette], folder: Path) -> int:
    """Make and keep each; what fails is told, and the next one is made."""
    from connectory.errors import ConnectoryError
    from connectory.testing.recorded.keeping import keep

    failed = 0
    for wanted in calls:
        try:
            cassette = make(wanted)
            file, changed = keep(cassette, folder)
        except ConnectoryError as why:
            if len(calls) == 1:
                raise
            failed += 1
            note(f"failed     {wanted.name}: {why}")
            continue
        _tell(cassette, file, changed)
    if len(calls) > 1:
        note(f"{len(calls) - failed} of {len(calls)} calls are recorded in {folder}")
    return FAILED if failed else 0


def _tell(cassette: Cassette, file: Path, changed: bool) -> None:
    number = len(cassette.exchanges)
    what = f"{number} request{'' if number == 1 else 's'}, {cassette.recorded.server}"
    note(f"{'recorded ' if changed else 'unchanged'}  {short_path(file)} ({what})")
    for place, said in (cassette.gives or {}).get("misfits", {}).items():
        note(f"           {place}: {said}")


def _calls(registry: Registry, loaded: Loaded, folder: Path, wish: Wish) -> Iterator[Wanted]:
    """The calls to make: the one that is spelt out, else the examples and what was recorded before."""
    from connectory.describe import plan_of
    from connectory.errors import ArgumentError
    from connectory.testing.recorded.recording import Wanted

    if wish.operation is not None and (wish.words or wish.data is not None or wish.since is not None):
        plan = plan_of(loaded.spec, registry, wish.operation)
        given = _given(loaded, plan, wish)
        yield Wanted(operation=wish.operation, arguments=given, label=wish.label, limit=wish.limit, errors=wish.errors)
        return
    alone = (wish.label, wish.since, wish.limit, wish.data)
    if wish.operation is None and any(one is not None for one in alone):
        raise ArgumentError("--label, --since, --limit and --data belong to one OPERATION")
    names = [wish.operation] if wish.operation is not None else list(loaded.spec.operations)
    for name in names:
        plan = plan_of(loaded.spec, registry, name)
        if wish.operation is None and plan.does != "read" and not wish.writes:
            continue
        known = list(_known(loaded, name, folder, wish))
        if not known and wish.operation is not None:
            known = [Wanted(operation=name, arguments={}, label=wish.label, limit=wish.limit, errors=wish.errors)]
        if len(known) > 1 and wish.label is not None:
            raise ArgumentError(
                f"--label names one recording, and {name} has {len(known)} examples and recordings to make again:"
                f" give the arguments of the one that is meant"
            )
        yield from {wanted.name: wanted for wanted in known}.values()


def _known(loaded: Loaded, name: str, folder: Path, wish: Wish) -> Iterator[Wanted]:
    """An operation's examples, and its other recordings, to be made again."""
    from connectory.testing.cases import labelled, named
    from connectory.testing.recorded.cassettes import cassettes_in, read_cassette
    from connectory.testing.recorded.recording import Wanted, wanted_again

    seen = set()
    for label, example in labelled(loaded.spec.operations[name].examples):
        if example.status < 400 or wish.errors:
            seen.add(label)
            again = Wanted(operation=name, arguments=example.with_, label=label, errors=example.status >= 400)
            yield (
                again
                if wish.operation is None
                else attrs.evolve(again, label=wish.label if wish.label is not None else label, limit=wish.limit)
            )
    for file in cassettes_in(folder, loaded.spec.name):
        operation, label = named(file)
        if operation == name and label not in seen:
            again = wanted_again(loaded, read_cassette(file), label)
            yield _as_wished(attrs.evolve(again, errors=again.errors or wish.errors), wish)


def _as_wished(again: Wanted, wish: Wish) -> Wanted:
    """A recording made again under another label, or of another length: a label made of the old one is made anew."""
    from connectory.testing.recorded.cassettes import label_for

    label, limit = again.label, again.limit
    if wish.limit is not None:
        label = None if label == label_for(again.arguments, limit) else label
        limit = wish.limit
    return attrs.evolve(again, label=wish.label if wish.label is not None else label, limit=limit)


def _given(loaded: Loaded, plan: Plan, wish: Wish) -> dict[str, Any]:
    """The arguments of one call. Raises ArgumentError."""
    from connectory.commands.arguments import parse_arguments
    from connectory.commands.items import into_arguments, open_items, read_body
    from connectory.operation import bind, named_item_type
    from connectory.testing.recorded.outcome import SINCE

    given = parse_arguments(plan, wish.words)
    if plan.operation.batch is not None:
        if wish.data is not None:
            with open_items(wish.data, sys.stdin.buffer, named_item_type(loaded.spec, plan)) as items:
                given[plan.items_name] = list(items)
        bind(plan, {k: v for k, v in given.items() if k != plan.items_name}, filled=plan.key)
        return given
    if wish.data is not None:
        given |= into_arguments(plan, read_body(wish.data, sys.stdin.buffer))
    link = plan.operation.parent
    bind(plan, given, filled=tuple(link.with_) if link is not None else ())
    return given if wish.since is None else {**given, SINCE: _mark(plan, wish.since)}


def _mark(plan: Plan, said: str) -> dict[str, str]:
    """`updatedAt=2026-05-20`: the field of a mark and a moment. Raises ArgumentError."""
    from connectory.errors import ArgumentError, nearest

    name, sign, moment = said.partition("=")
    if not (sign and moment):
        raise ArgumentError(f"--since: expected FIELD=MOMENT such as updatedAt=2026-05-20, found '{said}'")
    if name not in plan.operation.marks:
        raise ArgumentError(f"--since: {plan.name} has no mark '{name}'{nearest(name, plan.operation.marks)}")
    return {name: moment}


def _be_sure(plan: Plan, wanted: Wanted, folder: Path, wish: Wish) -> None:
    """Ask before a call that destroys, and before changes are lost that git does not have."""
    from connectory.testing.recorded.keeping import is_changed

    if wish.sure:
        return
    if plan.does == "destroy":
        _ask(f"{wanted.name} destroys", f"{wanted.name} destroys: add --yes if that is meant")
    file = folder / f"{wanted.name}.yaml"
    if is_changed(file):
        _ask(
            f"{short_path(file)} has changes that git does not have",
            f"{short_path(file)} has changes that git does not have: commit them, or add --yes to record over them",
        )


def _ask(what: str, instead: str) -> None:
    """Go on only where a person says so. Raises ArgumentError."""
    from connectory.errors import ArgumentError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ArgumentError(instead)
    if not click.confirm(f"{what}. Go on?", err=True):
        raise ArgumentError("not confirmed; nothing was sent")


def _accept(registry: Registry, loaded: Loaded, folder: Path, operation: str | None) -> int:
    """Keep what the recorded answers give by the spec of today, without sending anything."""
    from connectory.errors import ConnectoryError
    from connectory.testing.cases import named
    from connectory.testing.recorded.cassettes import cassettes_in, read_cassette
    from connectory.testing.recorded.finishing import accept
    from connectory.testing.recorded.keeping import keep

    failed = 0
    for file in cassettes_in(folder, loaded.spec.name):
        if operation not in (None, named(file)[0]):
            continue
        try:
            cassette = accept(registry, loaded, read_cassette(file))
            _tell(cassette, *keep(cassette, folder))
        except ConnectoryError as why:
            failed += 1
            note(f"failed     {short_path(file)}: {why}")
    return FAILED if failed else 0
