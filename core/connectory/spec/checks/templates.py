"""What `{{ }}` may name in each place, and the settings that nothing names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from connectory.errors import nearest
from connectory.plugins.registry import Registry
from connectory.spec.checks.walking import walk, words_at
from connectory.spec.expressions import ExpressionFault, compile_expression
from connectory.spec.language import Auth, Spec
from connectory.spec.structure import Path, Problem, key_of


def check(spec: Spec, registry: Registry) -> Iterator[Problem]:
    """Every template that cannot be rendered, and every setting that is never used."""
    used: set[str] = set()
    for path, value in walk(spec):
        for field in attrs.fields(type(value)):
            scope = field.metadata.get("names")
            here = (*path, key_of(field.name))
            if scope:
                for place, text in words_at(getattr(value, field.name), here):
                    yield from _template(spec, registry, scope, place, text, used)
        if isinstance(value, Auth) and value.options is not None:
            for field in attrs.fields(type(value.options)):
                for place, text in words_at(getattr(value.options, field.name), (*path, key_of(field.name))):
                    yield from _template(spec, registry, "auth", place, text, used)
    used |= {name for limit in spec.limits.values() for name in limit.per}
    for name, setting in spec.settings.items():
        if name not in used and setting.value is None:
            yield ("settings", name), f"setting '{name}' is used nowhere", True


def _names(spec: Spec, scope: str, path: Path) -> dict[str, Any]:
    """What may be named in a place."""
    settings: dict[str, Any] = dict.fromkeys(spec.settings)
    match scope:
        case "settings":
            return settings
        case "auth":
            auth = spec.auth[int(path[1])] if len(path) > 1 and isinstance(path[1], int) else spec.auth[0]
            kept = {"token": None, "kept": dict(auth.token.keep)} if auth.token else {}
            return {**settings, **kept}
        case "send":
            return settings
        case "mark":
            return {"since": None, "until": None, "given": None}
        case "value":
            return {"value": None}
        case _:
            raise AssertionError(scope)


def _template(spec: Spec, registry: Registry, scope: str, path: Path, text: str, used: set[str]) -> Iterator[Problem]:
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return
    try:
        expression = compile_expression(text, registry.filters)
    except ExpressionFault as why:
        yield path, str(why), False
        return
    known = _names(spec, scope, path)
    for name in sorted(expression.names):
        if name not in known:
            there = ", ".join(known) or "nothing"
            yield path, f"{{{{ {name} }}}} names nothing here{nearest(name, known) or f' (there are {there})'}", False
    if scope in ("settings", "auth", "send"):
        used |= expression.names
