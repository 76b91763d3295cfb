"""One operation as a page of documentation, from its plan alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from connectory.describe import words
from connectory.describe.facts import (
    builtin_outcomes,
    decided,
    describe_limits,
    describe_servers,
    describe_settings,
    rule_words,
    touching,
)
from connectory.operation import Parameter, Plan, whole_url
from connectory.spec.language import Batch, Link, Recursion, Results, Spec
from connectory.spec.typeexpr import Named, TypeExpr, named_types

_SPOTS = {"path": "path", "query": "query", "headers": "header", "fields": "body field", "variables": "variable"}


def describe_plan(spec: Spec, plan: Plan) -> str:
    """Everything a caller of one operation wants to know, as plain text of at most 100 columns."""
    lines = [f"{spec.name} {plan.name}", ""]
    if plan.operation.deprecated:
        lines += ["Deprecated.", ""]
    if plan.operation.about:
        lines += [*words.wrap(f"{plan.operation.about}."), ""]
    lines += [f"  {request_line(spec, plan)}", f"  {effect_words(plan)}"]
    for title, section in _sections(spec, plan):
        if section:
            lines += ["", title, *section]
    return "\n".join(lines)


def _sections(spec: Spec, plan: Plan) -> Iterator[tuple[str, list[str]]]:
    operation = plan.operation
    yield "Call", _calls(spec, plan)
    yield "Arguments", words.columns([*_items_row(plan), *map(_argument_row, _in_order(plan))])
    yield "Document", [line for text in (operation.document or "").splitlines() for line in words.paragraph(text)]
    yield "Gives", words.paragraph(_gives(plan))
    yield "Paging", words.paragraph(_paging(plan)) if plan.pager else []
    yield "Incremental", words.columns(_mark_rows(plan))
    yield "Detail", _detail(operation.detail) if operation.detail else []
    yield "Parent", _parent(operation.parent) if operation.parent else []
    yield "Inside", _recursion(operation.recurse) if operation.recurse else []
    yield "Batch", words.paragraph(batch_words(operation.batch)) if operation.batch else []
    yield "Results", [line for results in operation.results for line in words.paragraph(_results(results))]
    yield "Limits", describe_limits(spec, plan.limits)
    yield "Outcomes", words.columns(_outcome_rows(spec, plan))
    for title, kind in _types(spec, plan):
        yield (
            title,
            words.columns((name, words.field_type(field), words.field_notes(field)) for name, field in kind.items()),
        )
    yield "Examples", _examples(plan)
    yield "Settings", describe_settings(spec)
    yield "Servers", describe_servers(spec)
    yield "Assumed (not documented by the vendor)", words.columns(touching(spec.assumed, _places(spec, plan)))
    yield "Sources", words.columns(touching(spec.sources, _places(spec, plan)))


def request_line(spec: Spec, plan: Plan) -> str:
    """`GET https://host/path`, templates as the spec has them; of a flow the operations it calls."""
    if plan.operation.steps:
        return f"calls {', '.join(step.call for step in plan.operation.steps)}"
    server = plan.operation.server or next(iter(spec.servers), "")
    method = "POST (GraphQL)" if plan.operation.method == "graphql" else plan.operation.method.upper()
    address = str(plan.operation.address)
    return (
        f"{method} {address if '://' in address or whole_url(plan.operation) else f'{spec.servers[server]}{address}'}"
    )


def effect_words(plan: Plan) -> str:
    """What a call does and whether it may be sent again."""
    does = {"read": "Reads", "write": "Writes", "destroy": "Destroys"}[plan.does]
    again = "sent again after a failure" if plan.repeatable else "sent again only where it was surely not applied"
    guard = "; the command asks first, or needs --yes" if plan.does == "destroy" else ""
    return f"{does}; {again}{guard}."


def _in_order(plan: Plan) -> list[Parameter]:
    """The parameters, those that must be given first; deprecated ones last."""
    return sorted(plan.parameters.values(), key=lambda p: (p.field.deprecated, not p.required))


def _argument_row(parameter: Parameter) -> tuple[str, str, str]:
    kind = words.field_type(parameter.field)
    notes = words.field_notes(parameter.field)
    spot = _SPOTS.get(parameter.spot)
    where = f"[{spot} {parameter.wire}]" if spot and parameter.wire != parameter.name else f"[{spot}]" if spot else ""
    return parameter.name, kind, f"{notes} {where}".strip()


def _items_row(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """The items of a batch that is its body: they are no parameter of the wire."""
    if plan.operation.batch is not None and plan.items is None:
        yield "items", f"{plan.operation.body or 'list of any'}!", "what to send: any iterable, of any length [body]"


def _calls(spec: Spec, plan: Plan) -> list[str]:
    given = _example_arguments(plan)
    return words.columns(
        [("Python", f"connector.{plan.name}({_python(plan, given)})"), ("command", command_line(spec, plan, given))]
    )


def _example_arguments(plan: Plan) -> dict[str, Any]:
    for example in plan.operation.examples:
        if example.with_:
            return dict(example.with_)
    return {
        p.name: p.field.example if p.field.example is not None else f"<{p.name}>"
        for p in plan.parameters.values()
        if p.required
    }


def _python(plan: Plan, given: Mapping[str, Any]) -> str:
    many = plan.items_name if plan.operation.batch else None
    named = [f"{name}={value!r}" for name, value in given.items() if name not in (many, "body")]
    first = [many] if many else [repr(given["body"])] if "body" in given else []
    return ", ".join([*first, *named])


def command_line(spec: Spec, plan: Plan, given: Mapping[str, Any]) -> str:
    """The same call as a command."""
    many = plan.items_name if plan.operation.batch else None
    parts = ["connectory", "call", spec.name, plan.name]
    for name, value in given.items():
        if name in (many, "body"):
            continue
        text = f"@{value}" if str(plan.parameters[name].field.type) == "file" else words.said(value)
        parts.append(shlex.quote(f"{name}={text}"))
    if many:
        parts += ["--data", "@items.jsonl"]
    elif "body" in given:
        parts += ["--data", shlex.quote(json.dumps(given["body"], ensure_ascii=False))]
    return " ".join([*parts, *(["--yes"] if plan.does == "destroy" else [])])


def _gives(plan: Plan) -> str:
    returns = plan.operation.returns
    what = "" if str(returns) == "any" else f" of type {returns}"
    if plan.operation.batch:
        return "A Delivery: the counts, and what became of each item: delivered, unchanged, invalid, rejected, unknown."
    if plan.many:
        ways = ".pages(), .first(), .total, .limit(n), .arrow()"
        return f"Records{what}, lazily: nothing is sent until they are asked for; {ways}."
    if plan.operation.merge:
        whole = "the whole of it is sent back with the changes, and nothing where there are none"
        return f"The record{what}. It is first read by {plan.operation.merge}; {whole}."
    if plan.styles.answer != "json":
        return f"The answer, as {plan.styles.answer}."
    return f"The answer{what}." if plan.operation.returns != returns or not what else f"One record{what}."


def _paging(plan: Plan) -> str:
    assert plan.pager is not None
    assert plan.pager_kind is not None
    pager = plan.pager
    parts = [plan.pager_kind.about(pager)]
    if pager.more:
        parts.append(f"more pages while {words.conditions(pager.more)}")
    if pager.total_records is not None:
        strict = (
            "another number in the end is an error" if pager.count == "exact" else "another number in the end warns"
        )
        parts.append(f"the vendor's total at {words.place(pager.total_records)}; {strict}")
    if pager.cap is not None:
        parts.append(f"the vendor gives no more than {pager.cap:,} records; reaching that is an error")
    if plan.pager_kind.ahead and (pager.total_records or pager.total_pages):
        parts.append("later pages are fetched ahead as the limits allow")
    return "; ".join(parts) + "."


def _mark_rows(plan: Plan) -> Iterator[tuple[str, str]]:
    for field, mark in plan.operation.marks.items():
        filters = [f"from {mark.from_}"] if mark.from_ else []
        filters += [f"until {mark.until}"] if mark.until else []
        yield field, f"changed records only, by {words.joined(filters)}"


def _filled(link: Link | Recursion) -> str:
    return words.joined(f"{wire} from {path}" for wire, path in link.with_.items())


def _detail(link: Link) -> list[str]:
    return words.paragraph(f"complete=True (--complete) asks {link.operation} for each record ({_filled(link)}).")


def _recursion(link: Recursion) -> list[str]:
    return words.paragraph(
        f"recurse=True (--recurse) reads what is inside of its records too ({_filled(link)}), level by level."
    )


def _parent(link: Link) -> list[str]:
    kept = f" Each record also holds {words.joined(link.keep)} of its parent." if link.keep else ""
    return words.paragraph(
        f"parents=True (--parents) calls it once for each record of {link.operation} ({_filled(link)}).{kept}"
    )


def batch_words(batch: Batch) -> str:
    """How many items go into a call, and whether one bad item refuses them all."""
    size = f", at most {batch.bytes:,} bytes" if batch.bytes else ""
    fate = (
        "all or nothing: one bad item refuses the call, it is taken out and the rest is sent again"
        if batch.atomic
        else "item by item"
    )
    keys = (
        "; an item without a key gets one before it is sent, so that sending again does no harm"
        if batch.make_keys
        else ""
    )
    use = f" cut by {batch.use}" if batch.use != "chunks" else ""
    return f"Up to {batch.largest:,} items a call{size}{use}, {fate}{keys}."


def _results(results: Results) -> str:
    where = "the answer" if str(results.at) == "." else str(results.at)
    if results.count is not None:
        return f"The number taken is read at {words.place(results.count)}; another number than was sent warns."
    if results.key is not None:
        by = f"found by {results.key.item}" if str(results.key.item) != "." else f"found by {results.key.result}"
    else:
        by = f"by the position in {results.index}" if results.index is not None else "by position"
    good = (
        f"; delivered where {words.conditions(results.ok)}"
        if results.ok
        else f"; each {results.only}"
        if results.only
        else ""
    )
    named = "; only failures are named" if results.reports == "failures" else ""
    return f"One result for each item in {where}, {by}{good}{named}."


def _outcome_rows(spec: Spec, plan: Plan) -> Iterator[tuple[str, str]]:
    rules = [rule for rule in (*plan.operation.outcomes, *spec.outcomes) if not rule.does or plan.does in rule.does]
    yield from map(rule_words, rules)
    if plan.operation.graphql is not None:
        yield "errors in a 2xx answer", "rejected"
    yield from builtin_outcomes(spec, repeatable=plan.repeatable, spoken=decided(rules))


def _types(spec: Spec, plan: Plan) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The types that go in and out, and those which they name; deeper ones are only named."""
    expressions: list[TypeExpr] = [plan.operation.returns, *(p.field.type for p in plan.parameters.values())]
    if plan.operation.body is not None:
        expressions.insert(0, plan.operation.body)
    names = dict.fromkeys(named.name for expression in expressions for named in named_types(expression))
    inner = dict.fromkeys(
        named.name for name in names for field in spec.types[name].values() for named in named_types(field.type)
    )
    for name in {**names, **inner}:
        fields = spec.types[name]
        more = ", open: the vendor's further fields pass through" if "*" in fields else ""
        yield f"Type {name}{more}", {wire: field for wire, field in fields.items() if wire != "*"}


def _examples(plan: Plan) -> list[str]:
    lines: list[str] = []
    for example in plan.operation.examples:
        if example.about:
            lines += words.paragraph(f"{example.about}:")
        if example.with_:
            lines += words.paragraph(f"given   {words.said(dict(example.with_))}", 4)
        answer = "" if example.answer is None else f" {words.said(example.answer)}"
        lines += words.paragraph(f"answer  {example.status}{answer}", 4)
    return lines


def _places(spec: Spec, plan: Plan) -> list[str]:
    """The places of the spec that a call of this operation passes."""
    operation = plan.operation
    used: list[TypeExpr] = [
        operation.returns,
        *([operation.body] if operation.body else []),
        *(p.field.type for p in plan.parameters.values()),
    ]
    types = {named.name for expression in used for named in named_types(expression) if isinstance(named, Named)}
    places = [
        f"operations/{plan.name}",
        f"servers/{operation.server or next(iter(spec.servers), '')}",
        "wire",
        "errors",
        "outcomes",
        "send",
    ]
    places += [f"pagers/{operation.pages}"] if operation.pages else []
    places += [] if operation.anonymous else ["auth"]
    return [*places, *(f"limits/{name}" for name in plan.limits), *(f"types/{name}" for name in sorted(types))]
