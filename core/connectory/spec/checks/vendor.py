"""What holds for the vendor as a whole: name, settings, servers, auth, limits, outcomes, pagers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import attrs

from connectory.errors import nearest
from connectory.spec.checks.walking import walk, words_at
from connectory.spec.expressions import ExpressionFault, expression_names
from connectory.spec.grants import NEEDED
from connectory.spec.keys import key_of
from connectory.spec.language import Auth, Batch, Family, Learn, Limit, Rule, Spec, Token
from connectory.spec.problems import Path, Problem
from connectory.spec.typeexpr import Scalar
from connectory.spec.words import Lifetime, Place, Setting, Slot

_OWN_WORDS = "server concurrent allow_http token kept since until given value profile project max_wait"
RESERVED: Final = frozenset(_OWN_WORDS.split())
# Of these attributes exactly one must be there.
_EXACTLY_ONE: Final[dict[type, tuple[str, ...]]] = {
    Place: ("body", "header", "link"),
    Slot: ("query", "headers", "fields", "variables"),
    Lifetime: ("fixed", "seconds", "until", "jwt"),
    Rule: ("is_", "use"),
    Token: ("get", "post"),
}


def check(spec: Spec, nodes: Sequence[tuple[Path, Any]]) -> Iterator[Problem]:
    """Every problem outside operations."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", spec.name):
        yield ("name",), "a connector's name is lower-case letters, digits, '_' and '-'", False
    if not spec.servers:
        yield ("servers",), "at least one server is needed", False
    for name, address in spec.servers.items():
        if not re.match(r"https?://|\{\{", address):
            yield ("servers", name), f"'{address}' is no server: write a URL, as https://api.example.com", False
    for name, setting in spec.settings.items():
        if name in RESERVED:
            yield ("settings", name), f"'{name}' is a word of Connectory's own; choose another", True
        elif not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield ("settings", name), "a setting's name is lower-case letters, digits and '_'", True
        if setting.value is not None and (setting.required or setting.default is not None):
            yield ("settings", name, "value"), "a computed setting is neither required nor has it a default", False
    told = next((name for name, address in spec.servers.items() if re.search(r"\{\{[^}]*\bkept\.", address)), None)
    for number, auth in enumerate(spec.auth):
        if told and auth.token and "://" not in str(auth.token.get or auth.token.post):
            key = "get" if auth.token.get is not None else "post"
            message = f"server '{told}' is told by this answer, so the request needs a whole URL of its own"
            yield ("auth", number, "token", key), message, False
        yield from _auth(("auth", number), auth, spec)
    for name, limit in spec.limits.items():
        yield from _limit(("limits", name), limit)
    for name, family in spec.families.items():
        yield from _family(("families", name), family)
    for path, value in nodes:
        yield from _small(path, value)


def _auth(path: Path, auth: Auth, spec: Spec) -> Iterator[Problem]:
    sends = auth.bearer or auth.basic or auth.headers or auth.query or auth.cookies or auth.use
    if not sends:
        yield path, "nothing is sent: add bearer, basic, headers, query, cookies or use", False
    used = auth_names(auth) & spec.settings.keys()
    if used and not any(_may_be_secret(spec.settings[name]) for name in used):
        message = (
            f"nothing secret proves a call: say type: secret of {' or '.join(sorted(used))} (else it belongs to send)"
        )
        yield path, message, False
    if auth.bearer is not None and auth.basic is not None:
        yield (*path, "basic"), "bearer and basic exclude each other: both are the header Authorization", True
    if auth.token is not None:
        yield from _token((*path, "token"), auth.token, spec)


def auth_names(auth: Auth) -> frozenset[str]:
    """Every name that an alternative's templates use."""
    found: set[str] = set()
    for _, value in walk(auth):
        for field in attrs.fields(type(value)):
            for _, text in words_at(getattr(value, field.name), ()):
                found |= _names_in(text)
    if auth.options is not None:
        for field in attrs.fields(type(auth.options)):
            value = getattr(auth.options, field.name)
            if isinstance(value, str):
                found |= _names_in(value)
    return frozenset(found)


def _names_in(text: str) -> frozenset[str]:
    """The names that a text uses; none of one that cannot be read, of which another check tells."""
    try:
        return frozenset(expression_names(text) if "{{" in text else ())
    except ExpressionFault:
        return frozenset()


def _may_be_secret(setting: Setting) -> bool:
    return setting.type == Scalar("secret") or setting.value is not None


def _token(path: Path, token: Token, spec: Spec) -> Iterator[Problem]:
    if token.get is not None and token.fields and token.body != "query":
        yield (*path, "fields"), "a GET has no body: use query, or post", True
    for name in token.rotates:
        if name not in spec.settings:
            yield (*path, "rotates", name), f"no setting '{name}'{nearest(name, spec.settings)}", True
        elif spec.settings[name].type != Scalar("secret"):
            yield (*path, "rotates", name), f"'{name}' is no secret: only a secret is replaced", True
    if token.grant is not None:
        yield from _grant(path, token, token.grant)
        return
    for key in ("client", "scopes", "authorize", "device"):
        if getattr(token, key) != getattr(attrs.fields(Token), key).default:
            yield (*path, key), f"'{key}' goes with grant", True


def _grant(path: Path, token: Token, grant: str) -> Iterator[Problem]:
    """What a grant cannot do without: settings of its names, or fields of the token's own."""
    basic = token.client == "basic" and "Authorization" in token.headers
    missing = [name for name in NEEDED[grant] if name not in token.fields and not (basic and name == "client_id")]
    if token.client == "basic" and not basic:
        missing += ["client_id", "client_secret"]
    for name in dict.fromkeys(missing):
        yield (*path, "grant"), f"{grant} needs the setting {name} (or a field of that name)", False
    if (grant == "authorization_code") != bool(token.authorize or token.device):
        said = "needs authorize or device" if grant == "authorization_code" else "takes neither authorize nor device"
        yield (*path, "grant"), f"{grant} {said}", False


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    import zoneinfo

    return frozenset(zoneinfo.available_timezones())


def _limit(path: Path, limit: Limit) -> Iterator[Problem]:
    if limit.zone is not None and limit.zone not in _zones():
        yield (*path, "zone"), f"no time zone '{limit.zone}'{nearest(limit.zone, _zones())}", False
    for key in ("concurrent", "advised", "burst"):
        number = getattr(limit, key)
        if number is not None and number < 1:
            yield (*path, key), f"at least 1, found {number}", False
    if limit.advised is not None and limit.concurrent is not None and limit.advised > limit.concurrent:
        message = f"what is advised ({limit.advised}) is above what is allowed ({limit.concurrent})"
        yield (*path, "advised"), message, False
    if limit.burst is not None and not limit.rate:
        yield (*path, "burst"), "a burst needs a rate that refills it", True
    if limit.learn is not None:
        yield from _learn((*path, "learn"), limit, limit.learn)


def _learn(path: Path, limit: Limit, learn: Learn) -> Iterator[Problem]:
    said = [field.name for field in attrs.fields(Learn) if getattr(learn, field.name) is not None]
    if not said:
        yield path, f"nothing is learned: add {', '.join(field.name for field in attrs.fields(Learn))}", False
    elif not limit.rate:
        yield path, "what is learned corrects a rate: add the rate to begin with", True
    elif len(limit.rate) > 1 and said != ["cost"]:
        yield path, "an answer tells of one rate: make each of these a limit of its own", True
    if learn.refill is not None and limit.burst is None:
        yield (*path, "refill"), "only a bucket is refilled: add the limit's burst", True
    if learn.reset is not None and learn.remaining is None and learn.used is None:
        yield (*path, "reset"), "'reset' says until when what is left holds: add remaining or used", True


def _family(path: Path, family: Family) -> Iterator[Problem]:
    if not family.known and family.discover is None:
        yield path, "no object is known and none is discovered: add known or discover", True
    if not family.operations:
        yield path, "a family without operations makes nothing: add operations", True


def _small(path: Path, value: object) -> Iterator[Problem]:
    names = _EXACTLY_ONE.get(type(value))
    if names is not None and sum(getattr(value, name) not in (None, (), False) for name in names) != 1:
        keys = [key_of(name) for name in names]
        yield path, f"exactly one of {', '.join(keys[:-1])} and {keys[-1]} is needed", False
    if isinstance(value, Rule):
        if not (value.status or value.body or value.headers or value.text is not None or value.use):
            yield path, "a rule without a condition holds for every answer: add status, body, headers or text", False
    elif isinstance(value, Batch) and value.largest < 1:
        yield (*path, "largest"), f"at least 1, found {value.largest}", False
