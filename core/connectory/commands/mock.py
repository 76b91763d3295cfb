"""`connectory mock`: a vendor on this machine, from its spec alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connectory.commands.completion import complete_vendor
from connectory.commands.messages import note

if TYPE_CHECKING:
    from connectory.mock import Fault, MockServer
    from connectory.mock.exchange import Served
    from connectory.spec.language import Spec

PORT = 8012


@click.command(
    epilog="""\b
Examples:
  connectory mock VENDOR                                   then, in another shell, connectory call VENDOR ...
  connectory mock VENDOR --data students.jsonl             with your own records in its main list
  connectory mock VENDOR --data students=a.csv --data companies=b.jsonl
  connectory mock VENDOR --keep mock.json                  what is written is still there the next time
  connectory mock VENDOR --fault 429@5:retry-after=2 --fault drop@4 --fault 500@2..4

\b
A fault is KIND[@CALL[..CALL]][:OPTION=VALUE,...]. Calls are counted from 1, logins aside; without @ every call
is hit; on=OPERATION counts and hits the calls of that one only. `connectory mock --faults` lists the kinds.""",
)
@click.argument("vendor", required=False, shell_complete=complete_vendor)
@click.option("--port", default=PORT, show_default=True, metavar="PORT", help="Port on 127.0.0.1; 0 takes a free one.")
@click.option(
    "--data",
    "data",
    multiple=True,
    metavar="[RESOURCE=]FILE",
    help="Records (jsonl, json, csv, parquet) in place of made-up ones; may be repeated.",
)
@click.option("--records", default=None, type=click.IntRange(0), metavar="N", help="Records that a list begins with.")
@click.option("--fault", "faults", multiple=True, metavar="FAULT", help="Something that goes wrong; may be repeated.")
@click.option(
    "--keep", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Keep what is written in FILE."
)
@click.option("--refuse-large", is_flag=True, help="Refuse a page size above the largest; else it is cut down.")
@click.option("--faults", "listing", is_flag=True, help="List the kinds of faults and end.")
@click.pass_context
def command(
    ctx: click.Context,
    vendor: str | None,
    port: int,
    data: tuple[str, ...],
    records: int | None,
    faults: tuple[str, ...],
    keep: Path | None,
    refuse_large: bool,
    listing: bool,
) -> None:
    """Serve VENDOR on this machine, from its spec alone: logins, pages, batches, limits, types and required fields.

    It begins with the records of the spec's examples and made-up ones, takes any secret that stands in the right place,
    and keeps what is written to it until it ends (Ctrl-C).
    """
    if listing:
        _list_faults()
        return
    if vendor is None:
        raise click.UsageError("missing argument 'VENDOR'", ctx)
    from connectory.commands.project import registry_of
    from connectory.connecting import open_spec
    from connectory.errors import ArgumentError
    from connectory.mock import MockServer
    from connectory.mock.server import RECORDS

    loaded = open_spec(vendor, ctx.obj)
    planned = [_fault(text, loaded.spec) for text in faults]
    mock = MockServer(
        loaded,
        registry_of(ctx.obj),
        faults=planned,
        port=port,
        records=RECORDS if records is None else records,
        keep=keep,
        refuse_large=refuse_large,
        on_served=_tell if sys.stderr.isatty() else None,
    )
    mock.fill(_read_data(mock, data))
    try:
        mock.start()
    except (OSError, OverflowError) as why:
        raise ArgumentError(f"port {port} cannot be used ({why}); choose another by --port") from None
    try:
        _introduce(mock)
        threading.Event().wait()
    finally:
        mock.close()


def _fault(text: str, spec: Spec) -> Fault:
    from connectory.commands.project import check_operation
    from connectory.errors import ArgumentError
    from connectory.mock import parse_fault

    try:
        fault = parse_fault(text)
    except ValueError as why:
        raise ArgumentError(f"--fault {text}: {why}") from None
    if fault.on:
        check_operation(spec, fault.on)
    return fault


def _read_data(mock: MockServer, words: Sequence[str]) -> Mapping[str, list[Any]]:
    """Records by resource; a file without one belongs to the vendor's main list. Raises ArgumentError."""
    from connectory.commands.items import open_items
    from connectory.errors import ArgumentError

    found: dict[str, list[Any]] = {}
    for word in words:
        resource, equals, file = word.partition("=")
        if not equals:
            resource, file = mock.main_list or "", word
        mock.check_resource(resource)
        if not resource:
            raise ArgumentError(f"--data {word}: the spec has no list; say RESOURCE={word}")
        with open_items(f"@{file}", sys.stdin.buffer, mock.fields_of(resource)) as items:
            found[resource] = list(items)
        if not all(isinstance(item, dict) for item in found[resource]):
            raise ArgumentError(f"--data {word}: expected one object a record")
    return found


def _introduce(mock: MockServer) -> None:
    """Where it is, and what to set so that the other commands use it. A secret may be anything."""
    from connectory.settings import variable_name
    from connectory.spec.typeexpr import Scalar

    spec = mock.spec
    note(f"{spec.name} is served at {mock.url}; Ctrl-C ends it. In another shell:\n")
    note(f"  export {variable_name(spec.name, 'server')}={mock.url}")
    for name, setting in spec.settings.items():
        if setting.required and setting.value is None:
            secret = setting.type == Scalar("secret")
            value = "any-secret" if secret and setting.pattern is None else setting.example or _any(setting.pattern)
            note(f"  export {variable_name(spec.name, name)}={value}")
    called = mock.main_operation
    if called is not None:
        note(f"  connectory call {spec.name} {called} --limit 5")
    note("")


def _any(pattern: str | None) -> str:
    from connectory.mock.patterns import text_like

    return (text_like(pattern, 1) if pattern else None) or "anything"


def _tell(served: Served) -> None:
    """A line a request. The path only: a query may hold secrets."""
    number = f"{served.number:>4}" if served.number else "   -"
    status = str(served.status) if served.status else "cut"
    said = f"  ({served.said})" if served.said else ""
    note(f"{number}  {status}  {served.method} {served.path}  {served.operation}{said}")


def _list_faults() -> None:
    from connectory.mock.faults import KINDS

    for kind, one in KINDS.items():
        click.echo(f"{kind:<14} the call {one.about}")
        for name, about in one.options.items():
            click.echo(f"{'':<14}   {name}={about}")
