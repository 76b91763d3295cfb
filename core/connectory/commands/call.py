"""`connectory call`: one operation, its records or results on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import attrs
import click

from connectory.commands.completion import complete_argument, complete_operation, complete_vendor
from connectory.commands.connection import Wish, parse_settings, settings_options

if TYPE_CHECKING:
    from connectory.commands.output import Form
    from connectory.connector import Connector
    from connectory.delivery.accounts import ItemResult
    from connectory.operation import Plan

SOME_NOT_DELIVERED = 3  # exit code: finished, some items invalid, rejected or unknown
TOLD = 5  # problems of a delivery that are also told on stderr


@attrs.frozen
class Task:
    """What the command line asks for beside the connection."""

    words: Sequence[str]
    data: str | None
    form: Form
    to: str | None
    limit: int | None
    complete: bool
    parents: bool
    recurse: bool
    raw: bool
    sure: bool


@click.command(
    epilog="""\b
Examples:
  connectory call VENDOR students.list year=2018 --limit 60 --output table
  connectory call VENDOR students.list year=2018 --complete > students.jsonl
  connectory call VENDOR companies.list --to companies.parquet
  connectory call VENDOR students.get id=10607302981934 --output json
  connectory call VENDOR companies.create --data '{"Name": "Globex"}'
  connectory call VENDOR calendar_events.upsert --data @events.csv > results.jsonl
  producer | connectory call VENDOR calendar_events.upsert --data -
  connectory call VENDOR survey_data.upload file=@survey.csv
  connectory call VENDOR people.delete id=20202020-b000-4485-94de-70c2a98daef2 --yes

\b
Secrets come from the environment (CONNECTORY_VENDOR_API_KEY) or a secret reference, best not from --set.
A text that begins with @ is written name=@@text.""",
)
@click.argument("vendor", shell_complete=complete_vendor)
@click.argument("operation", shell_complete=complete_operation)
@click.argument("arguments", nargs=-1, metavar="[NAME=VALUE]...", shell_complete=complete_argument)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "jsonl", "csv", "parquet"]),
    help="Form of the data [default: by the name of --to, else table on a terminal, jsonl elsewhere].",
)
@click.option(
    "--to",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the data to FILE, which appears when it is complete.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N records.")
@click.option(
    "--data",
    metavar="JSON|@FILE|-",
    help="The body, or the items of a batch: JSON, a .json, .jsonl, .csv or .parquet file, or standard input.",
)
@click.option("--complete", is_flag=True, help="Complete each record by its detail call.")
@click.option("--parents", is_flag=True, help="Once for each record of the parent operation.")
@click.option("--recurse", is_flag=True, help="Read what is inside of the records too.")
@click.option("--raw", is_flag=True, help="One exchange, the answer's body as it came; of a list the first page.")
@click.option("--yes", is_flag=True, help="Do not ask before a call that destroys.")
@settings_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    vendor: str,
    operation: str,
    arguments: tuple[str, ...],
    output: str | None,
    yes: bool,
    server: str | None,
    assignments: tuple[str, ...],
    profile: str | None,
    max_wait: float,
    **options: Any,
) -> None:
    """Call OPERATION of VENDOR with arguments NAME=VALUE (NAME=@FILE: from a file)."""
    from connectory.commands.output import check_form, choose_form

    form = choose_form(output, options["to"])
    check_form(form, options["to"])
    task = Task(words=arguments, form=form, sure=yes, **options)
    wish = Wish(vendor, ctx.obj, profile, parse_settings(assignments, server), max_wait)
    with wish.connect(operation, arguments) as connector:
        plan = connector.operation(operation).plan
        _check_options(plan, task)
        if plan.operation.batch is not None:
            ctx.exit(_deliver(connector, plan, task))
        given = _given(connector, plan, task)
        if task.raw:
            _write_raw(connector, plan, given, task)
        elif plan.many:
            _list(connector, plan, given, task)
        else:
            _single(connector, plan, given, task)


def _check_options(plan: Plan, task: Task) -> None:
    """Refuse options that mean nothing here, before anything is sent."""
    from connectory.errors import ArgumentError

    operation, batch = plan.operation, plan.operation.batch is not None
    lists = plan.many and not batch
    refused = {
        "--limit is for lists": task.limit is not None and not lists,
        "--parents is for lists": task.parents and not lists,
        "the spec names no parent": task.parents and operation.parent is None,
        "the spec says of no record that more is inside of it": task.recurse and operation.recurse is None,
        "--complete is not for batches": task.complete and batch,
        "the spec names no detail call that completes a record": task.complete and operation.detail is None,
        "--raw is for single calls, a batch may need many": task.raw and batch,
        "--raw is one exchange: no --complete, --parents, --recurse or --limit": task.raw
        and bool(task.complete or task.parents or task.recurse or task.limit),
        "it takes no --data": task.data is not None
        and not batch
        and not any(p.spot in ("body", "fields", "variables") for p in plan.parameters.values()),
    }
    for reason, holds in refused.items():
        if holds:
            raise ArgumentError(f"{plan.name}: {reason}")


def _given(connector: Connector, plan: Plan, task: Task) -> dict[str, Any]:
    """The checked arguments of a call that is no batch; asks where the call destroys."""
    from connectory.commands.arguments import parse_arguments
    from connectory.commands.items import into_arguments, read_body
    from connectory.errors import ArgumentError
    from connectory.operation import bind

    given = parse_arguments(plan, task.words)
    if task.data is not None:
        body = into_arguments(plan, read_body(task.data, sys.stdin.buffer))
        if twice := given.keys() & body.keys():
            raise ArgumentError(f"{plan.name}: '{min(twice)}' is given both as an argument and by --data")
        given |= body
    link = plan.operation.parent
    bind(plan, given, filled=tuple(link.with_) if task.parents and link else ())
    _be_sure(connector, plan, given, task)
    return given


def _be_sure(connector: Connector, plan: Plan, given: Mapping[str, Any], task: Task) -> None:
    """Ask before a call that destroys. Raises ArgumentError where nobody can be asked, or who is says no."""
    from connectory.errors import ArgumentError

    if plan.does != "destroy" or task.sure:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ArgumentError(f"{plan.name} destroys: add --yes if that is meant")
    with_what = ", ".join(f"{name}={value}" for name, value in given.items())
    question = f"{plan.name} destroys ({connector.engine.url(plan)}{f' with {with_what}' if with_what else ''}). Go on?"
    if not click.confirm(question, err=True):
        raise ArgumentError(f"{plan.name}: not confirmed; nothing was sent")


def _write_raw(connector: Connector, plan: Plan, given: Mapping[str, Any], task: Task) -> None:
    from connectory.commands.messages import note
    from connectory.commands.output import open_output

    with open_output(task.to) as out:
        response = connector.engine.raw(plan, given)
        note(f"HTTP {response.status} {response.headers.get('content-type', '')}".rstrip())
        out.write(response.body)


def _list(connector: Connector, plan: Plan, given: Mapping[str, Any], task: Task) -> None:
    from connectory.commands.output import open_output, write_pages
    from connectory.records import Records

    records = Records(connector.engine, plan, given, task.complete, task.parents, task.limit, recurse=task.recurse)
    pages = records.pages() if task.form == "parquet" else records.raw_pages()
    with open_output(task.to) as out:
        write_pages(pages, task.form, out)


def _single(connector: Connector, plan: Plan, given: Mapping[str, Any], task: Task) -> None:
    from connectory.commands.messages import note
    from connectory.commands.output import open_output, write_one

    with open_output(task.to) as out:
        if plan.styles.answer == "bytes":
            connector.operation(plan.name).download(out, **given)
            return
        word, record = connector.engine.perform(plan, given, complete=task.complete)
        if record is not None:
            typed = task.form == "parquet" and plan.read is not None
            write_one(plan.read(record) if typed and plan.read else record, task.form, out)
    said = {
        "accepted": "accepted: the vendor has queued it and says no result yet",
        "unchanged": "unchanged: it was so already, nothing was sent",
    }
    if word in said or record is None:
        note(said.get(word, "done; the answer holds no record"))


def _deliver(connector: Connector, plan: Plan, task: Task) -> int:
    """Send the items; results to the output as they become known, the accounting to stderr. Returns the exit code."""
    from connectory.commands.arguments import parse_arguments
    from connectory.commands.items import open_items
    from connectory.commands.output import open_output
    from connectory.operation import bind, named_item_type

    given = parse_arguments(plan, task.words)
    name = plan.items_name
    data = _items_source(plan, task, name in given)
    bind(plan, {key: value for key, value in given.items() if key != name}, filled=plan.key)
    _be_sure(connector, plan, given, task)
    with open_items(data, sys.stdin.buffer, named_item_type(connector.engine.spec, plan)) as source:
        items = given.pop(name) if name in given else source
        with open_output(task.to, keep_partial=True) as out:
            return _account(connector, plan, items, given, task.form, out)


def _items_source(plan: Plan, task: Task, given: bool) -> str:
    """Where the items are: `--data`, or what is piped in. Raises ArgumentError."""
    from connectory.errors import ArgumentError

    if given:
        if task.data is not None:
            raise ArgumentError(f"{plan.name}: the items are given both as an argument and by --data")
        return "[]"
    if task.data is None and sys.stdin.isatty():
        raise ArgumentError(f"{plan.name}: the items are missing: --data '[...]', --data @FILE.jsonl, or pipe them in")
    return task.data if task.data is not None else "-"


def _account(
    connector: Connector, plan: Plan, items: Iterable[Any], given: dict[str, Any], form: Form, out: BinaryIO
) -> int:
    from connectory.commands.messages import note
    from connectory.delivery.accounts import Accounts

    accounts = Accounts()
    problems: list[ItemResult] = []

    def counted() -> Iterator[Any]:
        for item in items:
            accounts.read += 1
            yield item

    def rows() -> Iterator[list[dict[str, Any]]]:
        for result in connector.operation(plan.name).results(counted(), **given):
            accounts.add(result.word)
            if result.word in ("invalid", "rejected", "unknown") and len(problems) < TOLD:
                problems.append(result)
            yield [result_row(result)]

    results = rows()
    try:
        _write_or_drain(results, form, out)
    finally:
        for result in problems:
            note(f"row {result.row} {result.word}: {result.words or result.code or 'no reason given'}")
        calls = connector.engine.line.calls
        note(f"{accounts} ({calls} call{'' if calls == 1 else 's'})")
    return 0 if accounts.clean else SOME_NOT_DELIVERED


def _write_or_drain(results: Iterator[list[dict[str, Any]]], form: Form, out: BinaryIO) -> None:
    """Write the results; when nobody reads them any more, the items that are left are still sent."""
    from connectory.commands.output import write_pages

    try:
        write_pages(results, form, out)
    except BrokenPipeError:
        for _ in results:
            pass
        raise


def result_row(result: ItemResult) -> dict[str, Any]:
    """One result as data; the item itself only where it was not delivered."""
    row = {
        "row": result.row,
        "outcome": result.word,
        "id": result.id,
        "message": result.words,
        "code": result.code,
        "status": result.status,
    }
    told = {name: value for name, value in row.items() if value not in (None, "")}
    return told if result.word in ("delivered", "unchanged", "accepted") else {**told, "item": result.item}
