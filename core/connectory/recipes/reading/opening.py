"""From the keys of `from: {connector: ...}` to an open source."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectory.connector import Connector
from connectory.errors import ArgumentError
from connectory.operation import Plan, bind
from connectory.recipes.checks import mark_field
from connectory.recipes.context import Context
from connectory.recipes.reading.marks import Filter, MarkField, Value, names_in
from connectory.recipes.reading.source import OperationSource, Wish
from connectory.recipes.reading.together import TOGETHER
from connectory.recipes.recipe import FromOperation, ToOperation
from connectory.recipes.templates import names_at, public_settings, render_arguments

Span = tuple[Value | None, Value | None]


def open_operation(context: Context, options: FromOperation) -> OperationSource:
    """The source that a recipe names, whose file was checked. Raises InputError; nothing is sent."""
    connector = context.connectors.get(options.connector, options.settings)
    engine = connector.engine
    try:
        plan = connector.operation(options.operation).plan
    except ArgumentError as why:
        raise context.wrong(("from", "operation"), str(why)) from None
    filter_ = _filter(context, connector, plan, options)
    to = context.loaded.recipe.to.options
    mode = getattr(to, "mode", None)
    settings = public_settings(connector)
    filters = engine.registry.filters

    def render(now: datetime, since: Value | None, until: Value | None) -> Mapping[str, Any]:
        return render_arguments(plan, options.with_, {**settings, **names_at(now, since, until)}, filters)

    wish = Wish(
        engine=engine,
        plan=plan,
        options=options,
        render=render,
        filter=filter_,
        span=_span(context, plan, filter_),
        appends=mode == "append",
        merges=mode not in ("append", "replace"),
        together=TOGETHER if context.carries and not isinstance(to, ToOperation) else 1,
    )
    _try(context, wish)
    return OperationSource(wish)


def _filter(context: Context, connector: Connector, plan: Plan, options: FromOperation) -> Filter | None:
    if options.since is None:
        return None
    registry = connector.engine.registry
    field = mark_field(connector.engine.spec, plan, options.since, registry)
    mark = plan.operation.marks.get(options.since)
    return Filter(plan, field, mark, registry.codecs, names_in(options.with_) & {"since", "until"})


def _span(context: Context, plan: Plan, filter_: Filter | None) -> Span | None:
    """What `--from` and `--to` ask for. Raises ArgumentError."""
    if context.span is None:
        return None
    if filter_ is None:
        raise ArgumentError(f"{context.loaded.recipe.name}: --from and --to need `since: FIELD` in the recipe's `from`")
    begin, end = (_end(name, text, filter_.field) for name, text in zip(("--from", "--to"), context.span, strict=True))
    if begin is not None and end is not None and not begin < end:  # type: ignore[operator]
        raise ArgumentError(f"--from {context.span[0]} is not before --to {context.span[1]}")
    return begin, end


def _end(name: str, text: str | None, field: MarkField) -> Value | None:
    try:
        return None if text is None else field.parse(text)
    except ValueError as why:
        raise ArgumentError(f"{name}: {why}; {field.name} is a {field.kind or 'moment'}") from None


def _try(context: Context, wish: Wish) -> None:
    """Bind the arguments once, with ends made up: what is wrong with them is known before anything is sent."""
    now = datetime.fromtimestamp(context.now, UTC)
    link = wish.plan.operation.parent if wish.options.parents else None
    given = dict(wish.render(now, None, None))
    if wish.filter is not None and wish.filter.field.kind in ("moment", "day"):
        end: Value = now if wish.filter.field.kind == "moment" else now.date()
        given = wish.filter.arguments(wish.render(now, end, end), end, end)
    try:
        bind(wish.plan, given, filled=tuple(link.with_) if link is not None else ())
    except ArgumentError as why:
        raise context.wrong(("from", "with"), str(why)) from None
