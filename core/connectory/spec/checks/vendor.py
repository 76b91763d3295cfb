"""What holds for the vendor as a whole: name, settings, servers, auth, limits, outcomes, pagers."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator

from connectory.errors import nearest
from connectory.limits.budgets import parse_rate
from connectory.plugins.registry import Registry
from connectory.spec.checks.references import check_codec
from connectory.spec.checks.walking import walk
from connectory.spec.language import Auth, Batch, Limit, Rule, Spec, Token
from connectory.spec.structure import Path, Problem
from connectory.spec.words import Lifetime, Place, Slot

RESERVED = frozenset({"server", "concurrent", "allow_http", "token", "kept", "since", "until", "given", "value", "profile", "project", "max_wait"})


def check(spec: Spec, registry: Registry) -> Iterator[Problem]:
    """Every problem outside operations."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", spec.name):
        yield ("name",), "a connector's name is lower-case letters, digits, '_' and '-'", False
    if not spec.servers:
        yield ("servers",), "at least one server is needed", False
    for name, setting in spec.settings.items():
        if name in RESERVED:
            yield ("settings", name), f"'{name}' is a word of Connectory's own; choose another", True
        elif not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield ("settings", name), "a setting's name is lower-case letters, digits and '_'", True
        if setting.value is not None and (setting.required or setting.default is not None):
            yield ("settings", name, "value"), "a computed setting is neither required nor has it a default", False
    for number, auth in enumerate(spec.auth):
        yield from _auth(("auth", number) if len(spec.auth) > 1 else ("auth",), auth)
    for name, limit in spec.limits.items():
        yield from _limit(("limits", name), limit)
    for path, value in walk(spec):
        yield from _small(registry, path, value)


def _auth(path: Path, auth: Auth) -> Iterator[Problem]:
    sends = auth.bearer or auth.basic or auth.headers or auth.query or auth.cookies or auth.use
    if not sends:
        yield path, "nothing is sent: add bearer, basic, headers, query, cookies or use", False
    if auth.bearer is not None and auth.basic is not None:
        yield (*path, "basic"), "bearer and basic exclude each other: both are the header Authorization", True
    if auth.token is not None:
        yield from _token((*path, "token"), auth.token)


def _token(path: Path, token: Token) -> Iterator[Problem]:
    if (token.get is None) == (token.post is None):
        yield path, "exactly one of get and post is needed", False
    if token.get is not None and token.fields and token.body != "query":
        yield (*path, "fields"), "a GET has no body: use query, or post", True


def _limit(path: Path, limit: Limit) -> Iterator[Problem]:
    for number, rate in enumerate(limit.rate):
        try:
            parse_rate(rate)
        except ValueError as why:
            yield (*path, "rate", number) if len(limit.rate) > 1 else (*path, "rate"), str(why), False
    if limit.zone is not None and limit.zone not in zoneinfo.available_timezones():
        yield (*path, "zone"), f"no time zone '{limit.zone}'{nearest(limit.zone, zoneinfo.available_timezones())}", False
    for key in ("concurrent", "advised", "burst"):
        number = getattr(limit, key)
        if number is not None and number < 1:
            yield (*path, key), f"at least 1, found {number}", False
    if limit.advised is not None and limit.concurrent is not None and limit.advised > limit.concurrent:
        yield (*path, "advised"), f"what is advised ({limit.advised}) is above what is allowed ({limit.concurrent})", False
    if limit.burst is not None and not limit.rate:
        yield (*path, "burst"), "a burst needs a rate that refills it", True


def _small(registry: Registry, path: Path, value: object) -> Iterator[Problem]:
    if isinstance(value, Place):
        if sum(map(bool, (value.body, value.header, value.link))) != 1:
            yield path, "exactly one of body, header and link is needed", False
        if value.codec is not None:
            yield from check_codec(registry, value.codec, (*path, "codec"))
    elif isinstance(value, Slot):
        if sum(map(bool, (value.query, value.headers, value.fields, value.variables))) != 1:
            yield path, "exactly one of query, headers, fields and variables is needed", False
    elif isinstance(value, Lifetime):
        if sum(map(bool, (value.fixed, value.seconds, value.until, value.jwt))) != 1:
            yield path, "exactly one of fixed, seconds, until and jwt is needed", False
    elif isinstance(value, Rule):
        if (value.is_ is None) == (value.use is None):
            yield path, "exactly one of is and use is needed", False
        if not (value.status or value.body or value.headers or value.text or value.use):
            yield path, "a rule without a condition holds for every answer: add status, body, headers or text", False
    elif isinstance(value, Batch) and value.largest < 1:
        yield (*path, "largest"), f"at least 1, found {value.largest}", False
