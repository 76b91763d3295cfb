"""What a call gave, as plain data that a cassette keeps and a test compares: records, accounts or an error."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from connectory.connector import Connector
from connectory.errors import ArgumentError, CallError, ConnectoryError, InputError, LimitReached, nearest
from connectory.operation import Plan
from connectory.recipes.checks import mark_field
from connectory.recipes.reading.marks import Filter
from connectory.records import Records
from connectory.spec.typeexpr import Named
from connectory.testing.recorded.fitting import misfits

Gives = dict[str, Any]

SINCE: Final = "changed_since"  # among the arguments of a recorded call: the field of a mark, and a moment

LONGEST_SHOWN: Final = 1_500  # characters of a record that is kept whole; a longer one is kept as a digest
_REFUSED: Final = re.compile(r"'(.+?)'(?:: ([^ :]+)(?=: ))?")
NOT_DELIVERED: Final = ("invalid", "rejected", "unknown", "not_tried")


def perform(
    connector: Connector,
    operation: str,
    arguments: Mapping[str, Any],
    limit: int | None = None,
    *,
    refusals: bool = False,
) -> Gives:
    """Make one call and say what it gave; a list ends after `limit` records. `complete` among the arguments asks the
    detail calls too, `changed_since` (field: moment) asks as a sync does that reads what is new by a mark.

    Raises InputError: nothing was sent. With `refusals` that is what the call gave: the names that were `refused`.
    """
    plan = connector.operation(operation).plan
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            gives = _perform(connector, plan, dict(arguments), limit)
        except InputError as why:
            if not refusals:
                raise
            gives = {"refused": refused_names(why)}
        except ConnectoryError as why:
            gives = _error(why)
    if plan.does != "read":
        gives["does"] = plan.does
    if names := sorted({w.category.__name__ for w in told if issubclass(w.category, UserWarning)}):
        gives["warns"] = names
    return gives


def refused_names(why: InputError) -> list[str]:
    """The arguments or settings that a refusal is about, with the place inside (`body/options/0/value`); our own
    words may change."""
    found = [(line, _REFUSED.search(line)) for line in str(why).splitlines()]
    return [line if place is None else "/".join(filter(None, place.groups())) for line, place in found]


def _perform(connector: Connector, plan: Plan, arguments: dict[str, Any], limit: int | None) -> Gives:
    if plan.operation.batch is not None:
        return _deliver(connector, plan, arguments)
    complete = bool(arguments.pop("complete", False))
    if plan.many:
        return _list(connector, plan, asked_since(connector, plan, arguments), complete, limit)
    word, record = connector.engine.perform(plan, arguments, complete=complete)
    read = record if plan.read is None or record is None else plan.read(record)
    if read is None:
        return {"word": word}
    return {"word": word, "record": shown(read), "digest": digest([read]), **_typed(connector, plan, [read])}


def asked_since(connector: Connector, plan: Plan, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with those in place of `changed_since` that a sync would send. Raises ArgumentError."""
    since: Mapping[str, Any] = arguments.pop(SINCE, None) or {}
    for name, text in since.items():
        mark = plan.operation.marks.get(name)
        if mark is None:
            raise ArgumentError(f"{plan.name}: no mark is called '{name}'{nearest(name, plan.operation.marks)}")
        spec, registry = connector.engine.spec, connector.engine.registry
        field = mark_field(spec, plan, name, registry)
        arguments = Filter(plan, field, mark, registry.codecs).arguments(arguments, field.parse(str(text)), None)
    return arguments


def _list(connector: Connector, plan: Plan, arguments: dict[str, Any], complete: bool, limit: int | None) -> Gives:
    link = plan.operation.parent
    missing = link is not None and not all(
        p.name in arguments for p in plan.parameters.values() if p.wire in link.with_
    )
    records = Records(connector.engine, plan, arguments, complete=complete, parents=missing, most=limit)
    sizes: list[int] = []
    found: list[Any] = []
    gives: Gives = {}
    try:
        for page in records.pages():
            sizes.append(len(page))
            found += page
    except InputError:
        raise
    except ConnectoryError as why:
        gives = _error(why)
    gives = {**gives, "records": len(found), "pages": len(sizes)}
    if plan.pager is not None and records.stated_total is not None:
        gives["total"] = records.stated_total
    if found:
        gives |= {"first": shown(found[0]), "digest": digest(found), **_typed(connector, plan, found)}
    return gives


def _deliver(connector: Connector, plan: Plan, arguments: dict[str, Any]) -> Gives:
    items = arguments.pop(plan.items_name, [])
    results: list[Any] = []
    gives: Gives = {}
    read = 0

    def counted() -> Iterable[Any]:
        nonlocal read
        for item in items:
            read += 1
            yield item

    try:
        results += connector.operation(plan.name).results(counted(), **arguments)
    except InputError:
        raise
    except ConnectoryError as why:
        gives = _error(why)
    accounts: dict[str, int] = {"read": read}
    for result in results:
        accounts[result.word] = accounts.get(result.word, 0) + 1
    gives["accounts"] = accounts
    ids = [result.id for result in results if result.id is not None]
    if ids:
        gives["ids"] = digest(ids)
    problems = [result for result in results if result.word in NOT_DELIVERED]
    if problems:
        told = [{"row": r.row, "word": r.word, "message": r.words, "code": r.code} for r in problems]
        gives["problems"] = [{name: said for name, said in one.items() if said} for one in told[:20]]
    return gives


def _typed(connector: Connector, plan: Plan, records: list[Any]) -> Gives:
    """How many records their declared key tells apart, and where they are not what the spec declares, each once."""
    spec, expression = connector.engine.spec, plan.operation.returns
    fields = spec.types[expression.name] if isinstance(expression, Named) else {}
    keys = [name for name, field in fields.items() if field.key]
    found = [[record.get(name) for name in keys] for record in records if isinstance(record, dict)]
    told = {json.dumps(plainly(key)) for key in found if None not in key}
    gives: Gives = {"keys": len(told)} if keys else {}
    said = dict(fault for record in records for fault in misfits(spec.types, plan.operation.returns, record))
    if said:
        gives["misfits"] = {place or ".": what for place, what in sorted(said.items())}
    return gives


def error_said(gives: Mapping[str, Any]) -> str:
    """The error that a call ended in, in a line; empty where it ended well."""
    said = gives.get("message") or gives.get("said") or ""
    return f"{gives['error']}{f' ({said})' if said else ''}" if "error" in gives else ""


def _error(why: ConnectoryError) -> Gives:
    error: dict[str, Any] = {"error": type(why).__name__}
    if isinstance(why, CallError):
        error |= {"status": why.status, "message": why.words, "code": why.code, "tries": why.attempts}
    if isinstance(why, LimitReached):
        error |= {"limit": why.limit}
    if isinstance(why, CallError) and not why.words:
        error["said"] = str(why)
    return {name: said for name, said in error.items() if said not in (None, "")}


def digest(values: list[Any]) -> str:
    """A fingerprint of values with their types and their order."""
    whole = json.dumps(plainly(values), ensure_ascii=False, separators=(",", ":"))
    return sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def shown(record: Any) -> Any:
    """A record as it stands in a cassette; the names of its fields where it is long."""
    plain = plainly(record)
    if len(json.dumps(plain, ensure_ascii=False)) <= LONGEST_SHOWN:
        return plain
    if isinstance(plain, Mapping):
        return {"fields": list(plain)}
    return f"<{len(plain)} {'characters' if isinstance(plain, str) else 'values'}>"


def plainly(value: Any) -> Any:
    """A value as JSON has it, its type still to be seen: a moment is not the text of a moment."""
    match value:
        case Mapping():
            return {str(name): plainly(held) for name, held in value.items()}
        case list() | tuple():
            return [plainly(held) for held in value]
        case None | bool() | int() | str():
            return value
        case float():
            return value if value == value and abs(value) != float("inf") else f"<float {value}>"
        case datetime() | date() | time():
            return f"<{type(value).__name__} {value.isoformat()}>"
        case Decimal():
            return f"<decimal {value}>"
        case bytes():
            return f"<{len(value)} bytes {sha256(value).hexdigest()[:16]}>"
    return f"<{type(value).__name__} {value}>"
