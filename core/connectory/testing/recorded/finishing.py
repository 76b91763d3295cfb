"""From a conversation as it went over the wire to a cassette: cleaned, and proved to play before it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from connectory.connector import Connector
from connectory.plugins.registry import Registry
from connectory.secrets import Redactor
from connectory.spec.load import Loaded
from connectory.testing.recorded.blame import Blame, parts_of, related
from connectory.testing.recorded.cassettes import Cassette, Exchange, Recorded, as_kept, label_for
from connectory.testing.recorded.cleaning import (
    Cleaner,
    Forms,
    NotRecorded,
    Secrets,
    headers_read,
    hosts_between,
    opened,
)
from connectory.testing.recorded.gained import tokens_in, with_placeholders
from connectory.testing.recorded.guarding import faults_in
from connectory.testing.recorded.outcome import Gives
from connectory.testing.recorded.player import asked_of
from connectory.testing.recorded.replaying import play, prepared
from connectory.testing.recorded.standins import StandIns


@attrs.frozen(kw_only=True, repr=False)
class Raw:
    """A call as it was made. `secrets` maps each to its placeholder; `bases` are the URLs talked to, by the name of
    the spec's server (empty: the one in use); `gave` is what the call gave."""

    operation: str
    arguments: Mapping[str, Any]
    exchanges: Sequence[Exchange]
    gave: Gives
    settings: Mapping[str, Any]
    recorded: Recorded
    clock: int
    label: str | None = None
    limit: int | None = None
    secrets: Mapping[str, str] = attrs.Factory(dict)
    signed: frozenset[str] = frozenset()
    bases: Mapping[str, str] = attrs.Factory(dict)


def finish(registry: Registry, loaded: Loaded, raw: Raw, redactor: Redactor) -> Cassette:
    """The cassette of a conversation. Raises NotRecorded where it would hold a secret, or does not play."""
    return _proved(registry, loaded, clean(registry, loaded, raw), raw.gave, redactor)


def clean(registry: Registry, loaded: Loaded, raw: Raw) -> Cassette:
    """The conversation without secrets, personal values and other hosts."""
    with prepared(registry, loaded, raw.operation, raw.settings, 0.0) as replaying:
        own = {"": replaying.engine.line.base, **replaying.engine.bases}
        blame = Blame(loaded, replaying.engine)
        owners = [blame.owner(raw.operation, asked_of(exchange)) for exchange in raw.exchanges]
        forms = {owner: _forms(registry, replaying, owner) for owner in owners}
        owned = list(zip(raw.exchanges, owners, strict=True))
        people = StandIns(loaded.spec, related(loaded.spec, raw.operation))
        found = (each for exchange, owner in owned for each in _given(loaded, people, exchange, owner, forms[owner]))
        cleaner = Cleaner(
            secrets=Secrets.of(with_placeholders(raw.secrets, found)),
            people=people,
            hosts=hosts_between(raw.bases, own),
            signed=raw.signed,
            headers=headers_read(loaded.spec),
        )
        cleaner.learn(((exchange, forms[owner]) for exchange, owner in owned), raw.arguments)
        cleaned = []
        for exchange, owner in owned:
            server = loaded.spec.operations[owner].server if owner else None
            cleaned.append(cleaner.exchange(exchange, own[server or ""], forms[owner]))
    kept = cleaner.arguments(raw.arguments)
    return Cassette(
        vendor=loaded.spec.name,
        operation=raw.operation,
        label=label_for(kept, raw.limit) if raw.label is None else raw.label,
        arguments=kept,
        limit=raw.limit,
        settings=raw.settings,
        recorded=raw.recorded,
        clock=raw.clock,
        parts=parts_of(loaded, raw.operation),
        gives=raw.gave,
        exchanges=tuple(cleaned),
    )


def _forms(registry: Registry, connector: Connector, owner: str | None) -> Forms:
    """How the bodies of an operation are written; a token's are JSON, a form or a text."""
    if owner is None:
        return Forms()
    styles = connector.engine.plan(owner).styles
    return Forms(registry.formats.get(styles.body), registry.formats.get(styles.answer))


def _given(
    loaded: Loaded, people: StandIns, exchange: Exchange, owner: str | None, forms: Forms
) -> Iterator[tuple[str, str]]:
    """The secrets in the bodies of an exchange, by what they are called."""
    answer = opened(exchange.answer, forms.answer)[0]
    if owner is None:
        yield from tokens_in(answer, loaded.spec) if exchange.status < 400 else ()
        return
    yield from people.secrets_in(opened(exchange.body, forms.request)[0])
    yield from people.secrets_in(answer)


def _proved(registry: Registry, loaded: Loaded, cassette: Cassette, gave: Gives, redactor: Redactor) -> Cassette:
    """The cassette with what it gives when it is played. Raises NotRecorded where that is not what the call gave."""
    faults = list(faults_in(cassette, loaded, redactor))
    if faults:
        told = "\n".join(f"  {fault.path}: {fault.message}" for fault in faults[:10])
        raise NotRecorded(f"{cassette.name}: the recording would hold a secret, nothing is kept:\n{told}")
    cassette = as_kept(cassette)
    played = play(registry, loaded, cassette)
    if played.differences:
        told = "\n".join(map(str, played.differences))
        raise NotRecorded(f"{cassette.name}: the recording does not play, nothing is kept:\n{told}")
    for name in ("refused", "records", "pages", "total", "accounts", "error", "status", "word"):
        if gave.get(name) != played.gives.get(name):
            raise NotRecorded(
                f"{cassette.name}: the recording plays to another end, nothing is kept:"
                f" {name} was {gave.get(name)}, is {played.gives.get(name)}"
            )
    return attrs.evolve(cassette, gives=played.gives)


def accept(registry: Registry, loaded: Loaded, cassette: Cassette) -> Cassette:
    """The cassette with what its recorded answers give today, and the spec of today: nothing is sent.

    Raises NotRecorded where the requests are no longer those recorded.
    """
    played = play(registry, loaded, cassette)
    if played.differences:
        told = "\n".join(map(str, played.differences))
        raise NotRecorded(f"{cassette.name}: other requests are made than were recorded; record it again:\n{told}")
    return attrs.evolve(cassette, gives=played.gives, parts=parts_of(loaded, cassette.operation))
