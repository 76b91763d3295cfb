"""Texts of a recipe with `{{ }}`: what they may name, and their values when a run begins."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectory.connector import Connector
from connectory.errors import ArgumentError
from connectory.operation import Plan
from connectory.spec.expressions import ExpressionFault, compile_expression
from connectory.spec.typeexpr import Scalar
from connectory.values.texts import parse_text

Filters = Mapping[str, Callable[..., Any]]

NAMES: Final[Mapping[str, str]] = {
    "today": "the day on which the run began, in UTC",
    "yesterday": "the day before it",
    "now": "the moment at which the run began",
    "since": "the mark, less the look-back; with `since: FIELD`, not given in the first run",
    "until": "the other end of a window, or of `--to`",
}


def template_faults(
    held: Any, path: tuple[str | int, ...], settings: Collection[str], filters: Filters
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text that cannot be computed or names what is not known, with its path."""
    if isinstance(held, str) and "{" in held and any(sign in held for sign in ("{{", "{%", "{#")):
        try:
            expression = compile_expression(held, filters)
        except ExpressionFault as why:
            yield path, str(why)
            return
        for fault in expression.unknown({*NAMES, *settings}):
            yield path, str(fault)
    elif isinstance(held, Mapping):
        for name, value in held.items():
            yield from template_faults(value, (*path, name), settings, filters)
    elif isinstance(held, list | tuple):
        for number, value in enumerate(held):
            yield from template_faults(value, (*path, number), settings, filters)


def names_at(now: datetime, since: Any = None, until: Any = None) -> dict[str, Any]:
    """The values of the names of a run that began then."""
    today = now.astimezone(UTC).date()
    return {
        "today": today,
        "yesterday": today - timedelta(days=1),
        "now": now,
        "since": since,
        "until": until,
    }


def public_settings(connector: Connector) -> dict[str, Any]:
    """The values of a connector's settings that are no secrets."""
    engine = connector.engine
    return {
        name: engine.settings.get(name)
        for name, setting in engine.spec.settings.items()
        if setting.type != Scalar("secret")
    }


def render_arguments(
    plan: Plan, given: Mapping[str, Any], names: Mapping[str, Any], filters: Filters
) -> dict[str, Any]:
    """The arguments with their texts computed; one that names what is not given is left out. Raises ArgumentError."""
    rendered: dict[str, Any] = {}
    for name, value in given.items():
        if not isinstance(value, str):
            filled = _deep(value, names, filters)
        elif "{{" not in value:
            filled = value
        else:
            filled = _typed(plan, name, compile_expression(value, filters).render_optional(names))
        if filled is not None:
            rendered[name] = filled
    return rendered


def _typed(plan: Plan, name: str, text: str | None) -> Any:
    """What a text stands for, as the parameter's type reads it."""
    if text is None:
        return None
    try:
        return parse_text(text, plan.parameters[name].field.type)
    except ValueError as why:
        raise ArgumentError(f"{plan.name}: '{name}': {why}") from None


def _deep(held: Any, names: Mapping[str, Any], filters: Filters) -> Any:
    if isinstance(held, str):
        return compile_expression(held, filters).value_optional(names) if "{{" in held else held
    if isinstance(held, Mapping):
        filled = {name: _deep(value, names, filters) for name, value in held.items()}
        return {name: value for name, value in filled.items() if value is not None}
    if isinstance(held, list | tuple):
        return [value for value in (_deep(one, names, filters) for one in held) if value is not None]
    return held
