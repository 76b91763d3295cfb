"""A vendor in one line, and as a page: how it authenticates, pages and batches, and everything that can be called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectory.describe import words
from connectory.describe.facts import builtin_outcomes, describe_limits, describe_servers, describe_settings, rule_words
from connectory.describe.operations import effect_words
from connectory.operation import Plan, make_plan, wire_body
from connectory.plugins.registry import Registry
from connectory.spec.expressions import compile_expression, expression_names
from connectory.spec.language import Auth, Spec, Token, effect


def plan_of(spec: Spec, registry: Registry, name: str) -> Plan:
    """The plan of an operation as it is without any setting given: defaults stand in for them."""
    defaults = {key: setting.default for key, setting in spec.settings.items()}
    written = wire_body(spec, spec.operations[name])
    body = compile_expression(written, registry.filters).render_optional(defaults) if "{{" in written else written
    return make_plan(spec, registry, name, body=body or "json")


def describe_strategy(spec: Spec, registry: Registry) -> str:
    """One line: `query-key token (24 h), bearer; page number, 500 records a page; batches of 1,000, all or nothing`."""
    auth = " or ".join(_auth(one, registry) for one in spec.auth) or "no credentials"
    used = dict.fromkeys(operation.pages for operation in spec.operations.values() if operation.pages)
    pagers = [spec.pagers[name] for name in used if name]
    paging = dict.fromkeys(registry.pagers[pager.use].about(pager) for pager in pagers)
    batches = dict.fromkeys(
        registry.batches[operation.batch.use].about(operation.batch)
        for operation in spec.operations.values()
        if operation.batch
    )
    parts = [auth, *(paging or ["no paging"]), *(batches or ["single calls"])]
    if any(operation.graphql is not None for operation in spec.operations.values()):
        parts.append("GraphQL")
    if any(family.discover is not None for family in spec.families.values()):
        parts.append("finds the workspace's own objects")
    return "; ".join(parts)


def _auth(auth: Auth, registry: Registry) -> str:
    """How one alternative proves who asks: the exchange, then how the credential travels."""
    parts = [_exchange(auth.token)] if auth.token else []
    if auth.bearer is not None:
        parts.append("bearer" if auth.token else "bearer key")
    if auth.basic is not None:
        parts.append("basic")
    parts += list(auth.headers)
    parts += [f"key in query {name}" for name in auth.query]
    parts += [f"cookie {name}" for name in auth.cookies]
    if auth.use is not None:
        kind = registry.auth[auth.use]
        parts.append(f"{auth.use}: {kind.about}" if kind.about else auth.use)
    return ", ".join(parts) or "no credentials"


def _exchange(token: Token) -> str:
    """`query-key token (24 h)`: where the key goes, and how long the token is good."""
    if any(expression_names(str(text)) for text in token.query.values()):
        where = "query-key"
    elif any(expression_names(str(text)) for text in token.headers.values()):
        where = "header-key"
    else:
        where = {"form": "form", "json": "JSON", "query": "query-key"}[token.body]
    fixed = [words.duration(life.fixed) for life in token.lasts if life.fixed is not None]
    told = any(life.fixed is None for life in token.lasts)
    if not token.lasts:
        return f"{where} token"
    life = f"{'at most ' if told else ''}{fixed[0]}" if fixed else "says how long it lasts"
    return f"{where} token ({life})"


def describe_vendor(spec: Spec, registry: Registry, *, origin: str = "") -> str:
    """The overview of a vendor, with all its operations, as plain text."""
    lines = [f"{spec.name}{f': {spec.about}' if spec.about else ''}", ""]
    lines += words.columns([("strategy", describe_strategy(spec, registry)), *_head(spec, origin)])
    for title, section in _sections(spec):
        if section:
            lines += ["", title, *section]
    lines += ["", f"One of them: connectory show {spec.name} {next(iter(spec.operations), 'OPERATION')}"]
    return "\n".join(lines)


def _head(spec: Spec, origin: str) -> Iterator[tuple[str, str]]:
    if spec.docs:
        yield "docs", spec.docs
    if origin:
        yield "spec", origin
    if spec.extends:
        yield "extends", spec.extends
    if spec.verify:
        yield "verify", f"{spec.verify} proves the credentials"


def _sections(spec: Spec) -> Iterator[tuple[str, list[str]]]:
    yield "Settings", describe_settings(spec)
    yield "Servers", describe_servers(spec)
    yield "Limits", describe_limits(spec, spec.limits)
    yield "Operations", words.columns(operation_rows(spec))
    yield "Outcomes", words.columns([*map(rule_words, spec.outcomes), *builtin_outcomes(spec)])
    yield "Assumed (not documented by the vendor)", words.columns(_general(spec.assumed))
    yield "Sources", words.columns(_general(spec.sources))


def _general(notes: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is not about one operation; that stands on the operation's own page."""
    return [(place, text) for place, text in notes.items() if not place.startswith(("operations/", "families/"))]


def operation_rows(spec: Spec) -> Iterator[tuple[str, str, str]]:
    """Name, request and one sentence of every operation."""
    for name, operation in spec.operations.items():
        method = "GQL" if operation.method == "graphql" else operation.method.upper()
        request = f"{len(operation.steps)} STEPS" if operation.steps else f"{method} {operation.address}"
        does = effect(name, operation)
        mark = "destroys: " if does and does[0] == "destroy" else ""
        yield name, request, f"{mark}{operation.about}"


__all__ = ["describe_strategy", "describe_vendor", "effect_words", "operation_rows", "plan_of"]
