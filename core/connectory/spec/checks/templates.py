"""What `{{ }}` may name in each place, where it may not stand, and the settings that nothing names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from connectory.plugins.registry import Registry
from connectory.spec.checks.parameters import parameters_of
from connectory.spec.checks.walking import shape_of, words_at
from connectory.spec.expressions import ExpressionFault, compile_expression
from connectory.spec.keys import key_of
from connectory.spec.language import Auth, Spec
from connectory.spec.naming import snake
from connectory.spec.problems import Path, Problem


def check(spec: Spec, registry: Registry, nodes: Sequence[tuple[Path, Any]]) -> Iterator[Problem]:
    """Every template that cannot be rendered; when all can, every setting that is never used."""
    used: set[str] = set()
    wrong: list[Problem] = []
    for path, value in nodes:
        shape = shape_of(type(value))
        for name, scope in shape.templates:
            wrong += _templates(spec, registry, scope, getattr(value, name), (*path, key_of(name)), used)
        for name in shape.fixed:
            if not (held := getattr(value, name)):
                continue
            if "steps" in path and "results" in path:  # a flow's argument may name a column of the results
                wrong += _templates(spec, registry, "results", held, (*path, key_of(name)), used)
            else:
                yield from _no_templates(held, (*path, key_of(name)))
        if isinstance(value, Auth) and value.options is not None:
            for field in attrs.fields(type(value.options)):
                here = (*path, key_of(field.name))
                wrong += _templates(spec, registry, "auth", getattr(value.options, field.name), here, used)
    yield from wrong or _unused(spec, used)


def _unused(spec: Spec, used: set[str]) -> Iterator[Problem]:
    used |= {name for limit in spec.limits.values() for name in limit.per}
    for name, setting in spec.settings.items():
        if name not in used and setting.value is None:
            yield ("settings", name), f"setting '{name}' is used nowhere", True


def _names(spec: Spec, scope: str, path: Path) -> set[str]:
    """What may be named in a place; a dotted name is one of a mapping's."""
    match scope:
        case "settings" if path[0] == "servers":
            return {*spec.settings, *(f"kept.{name}" for auth in spec.auth if auth.token for name in auth.token.keep)}
        case "settings" | "send":
            return set(spec.settings)
        case "auth":
            auth = spec.auth[int(path[1])] if len(path) > 1 and isinstance(path[1], int) else spec.auth[0]
            kept = {"token", *(f"kept.{name}" for name in auth.token.keep)} if auth.token else set()
            return {*spec.settings, *kept}
        case "flow":
            operation = spec.operations[str(path[1])]
            kept = {name for step in operation.steps[: int(path[3])] for name in step.keep}
            return {*spec.settings, *parameters_of(operation), *kept}
        case "results":
            return {*spec.settings, *parameters_of(spec.operations[str(path[1])])}
        case "costs":
            operation = spec.operations[str(path[1])]
            pager = spec.pagers.get(operation.pages or "")
            size = {snake(pager.size.name)} if pager is not None and pager.size is not None else set()
            return {*spec.settings, *parameters_of(operation), *size}
        case "mark":
            return {"since", "until", "given"}
        case "value":
            return {"value"}
        case _:
            raise AssertionError(scope)


def _templates(spec: Spec, registry: Registry, scope: str, held: Any, path: Path, used: set[str]) -> Iterator[Problem]:
    for place, text in words_at(held, path) if held else ():
        if "{{" not in text and "{%" not in text and "{#" not in text:
            continue
        try:
            expression = compile_expression(text, registry.filters)
        except ExpressionFault as why:
            yield place, str(why), False
            continue
        for fault in expression.unknown(_names(spec, scope, place)):
            yield place, str(fault), False
        if scope in ("settings", "auth", "send", "flow", "results", "costs"):
            used |= expression.names


def _no_templates(held: Any, path: Path) -> Iterator[Problem]:
    for place, text in words_at(held, path):
        if "{{" in text:
            yield place, "nothing is computed here: '{{ }}' cannot stand in this place", False
