"""Secrets that answers give besides those known before: tokens of an exchange, and fields that a type calls secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from connectory.secrets import SHORTEST
from connectory.spec.language import Spec, Token
from connectory.spec.words import Place

_SAYS: Final = re.compile(r"(?i)token_?type|scopes?|.*expir.*|issued_?at|not_?before|error.*|message|status|grant.*")
_NAMED: Final = re.compile(r"(?i)token|secret|passw|(device|user)_?code|api_?key|jwt|assertion|session|cookie|creden")
_OPAQUE: Final = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w.~+/=-]{16,}")
_UUID: Final = re.compile(r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def tokens_in(data: Any, spec: Spec) -> Iterator[tuple[str, str]]:
    """The secrets in the answer of a token exchange, each with its name: by their names, and what looks like a token.

    What the spec reads for another purpose (how long it lasts, what is kept of it) is left, unless its name tells.
    """
    tokens = [auth.token for auth in spec.auth if auth.token]
    yield from _tokens_in(data, {name for token in tokens for name in _names_read(token)})


def _tokens_in(data: Any, read: set[str]) -> Iterator[tuple[str, str]]:
    if isinstance(data, Mapping):
        for name, inner in data.items():
            if not isinstance(inner, str):
                yield from _tokens_in(inner, read)
            elif not _SAYS.fullmatch(name) and (_NAMED.search(name) or (name not in read and _looks_secret(inner))):
                yield name, inner
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _tokens_in(item, read)


def _looks_secret(text: str) -> bool:
    return bool(_OPAQUE.fullmatch(text)) and not _UUID.fullmatch(text)


def _names_read(token: Token) -> Iterator[str]:
    """The names of what a spec reads of an exchange for its lifetime, or keeps of it."""
    lifetimes = [place for lifetime in token.lasts for place in (lifetime.seconds, lifetime.until)]
    places: list[Place | None] = [*lifetimes, *token.keep.values()]
    for place in places:
        for path in place.body if place is not None else ():
            yield from (str(step) for step in path.steps[-1:])


def with_placeholders(known: Mapping[str, str], found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The known secrets, from value to placeholder, with those found: each named after where it stands."""
    all_known = dict(known)
    taken = set(known.values())
    for name, value in found:
        if value in all_known or len(value) < SHORTEST:
            continue
        first = instead = f"placeholder-{name}"
        number = 1
        while instead in taken:
            number += 1
            instead = f"{first}-{number}"
        taken.add(instead)
        all_known[value] = instead
    return all_known
