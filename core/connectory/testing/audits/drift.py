"""What a vendor answers today, held against its recordings by shape: status, keys, kinds of values, null, envelope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from connectory.describe import plan_of
from connectory.errors import ConnectoryError
from connectory.plugins.registry import Registry
from connectory.spec.language import Spec
from connectory.spec.load import Loaded
from connectory.spec.trees import Table, Text
from connectory.spec.typeexpr import MapOf, Scalar
from connectory.testing.audits.outline import Outline, changes, merged, outline_of
from connectory.testing.recorded.blame import Path as SpecPath
from connectory.testing.recorded.blame import fault_at, related
from connectory.testing.recorded.cassettes import Cassette, Exchange, cassettes_in, read_cassette
from connectory.testing.recorded.recording import Target, Wanted, record

_EXPECTED: Final = ("refused", "error")


@attrs.frozen
class Drift:
    """One difference: in which recording's call, where in its answers, and what."""

    cassette: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.cassette}: {self.path}: {self.what}"


@attrs.frozen
class Seen:
    """What was asked again, and what came of it. `untold` are calls that could not be compared, with why; `server` and
    `host` say what was asked; `assumed` holds each undocumented fact with whether a call has tried it."""

    vendor: str
    compared: Sequence[str]
    drifts: Sequence[Drift]
    untold: Sequence[tuple[str, str]]
    server: str
    host: str
    assumed: Sequence[tuple[int, str, str, bool]]


def drift_of(registry: Registry, loaded: Loaded, cassettes: Path, target: Target) -> Seen:
    """Make the recorded calls that read again, and compare. Raises InputError where the settings are wrong."""
    compared: list[str] = []
    drifts: list[Drift] = []
    untold: list[tuple[str, str]] = []
    firsts: dict[str, Mapping[str, Any]] = {}
    recorded = None
    tried: list[Cassette] = []
    for before in _reading(registry, loaded, cassettes):
        try:
            now = _again(registry, loaded, before, target, firsts)
        except ConnectoryError as why:
            untold.append((before.name, str(why).splitlines()[0]))
            continue
        recorded = now.recorded
        compared.append(before.name)
        tried.append(before)
        first = (now.gives or {}).get("first")
        if isinstance(first, dict):
            firsts.setdefault(before.operation, first)
        drifts += _compared(loaded.spec, before, now)
    said = (recorded.server, recorded.host) if recorded else ("", "")
    return Seen(loaded.spec.name, compared, drifts, untold, *said, list(_assumed(loaded, tried)))


def _reading(registry: Registry, loaded: Loaded, cassettes: Path) -> list[Cassette]:
    """The recordings of calls that read and end well, lists first: their records tell what else can be asked for."""
    found = []
    for file in cassettes_in(cassettes, loaded.spec.name):
        cassette = read_cassette(file)
        known = cassette.operation in loaded.spec.operations
        if known and not any(word in (cassette.gives or {}) for word in _EXPECTED):
            plan = plan_of(loaded.spec, registry, cassette.operation)
            if plan.does == "read":
                found.append((not plan.many, cassette.name, cassette))
    return [cassette for _, _, cassette in sorted(found, key=lambda row: row[:2])]


def _again(
    registry: Registry, loaded: Loaded, before: Cassette, target: Target, firsts: Mapping[str, Mapping[str, Any]]
) -> Cassette:
    """The same call today; with the key of a record that was listed just now where the recorded one is gone."""
    wanted = Wanted(
        operation=before.operation,
        arguments=before.arguments,
        label=before.label,
        limit=before.limit,
        errors=True,  # how it ends is what is compared
    )
    now = record(registry, loaded, wanted, target)
    fresh = _fresh(loaded.spec, before.operation, firsts) if (now.gives or {}).get("error") == "Missing" else {}
    if not fresh:
        return now
    return record(registry, loaded, attrs.evolve(wanted, arguments={**before.arguments, **fresh}), target)


def _fresh(spec: Spec, operation: str, firsts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The arguments that a list's records give to the call that completes them."""
    for name, first in firsts.items():
        link = spec.operations[name].detail
        if link is not None and link.operation == operation:
            return {argument: path.find(dict(first)) for argument, path in link.with_.items()}
    return {}


def _compared(spec: Spec, before: Cassette, now: Cassette) -> Iterator[Drift]:
    """Each way in which the answers are shaped otherwise; of several pages all together."""
    if error := (now.gives or {}).get("error"):
        said = (now.gives or {}).get("message") or (now.gives or {}).get("said") or ""
        yield Drift(before.name, "the call", f"ended well, ends in {error}{f': {said}' if said else ''}")
    if before.exchanges and now.exchanges:
        was, status = before.exchanges[-1].status, now.exchanges[-1].status
        if was != status:
            yield Drift(before.name, "status", f"was {was}, is {status}")
    one, other = _answers(before), _answers(now)
    if one is not None and other is not None:
        for change in changes(one, other, *_free_names(spec, before.operation)):
            yield Drift(before.name, change.path, change.what)


def _answers(cassette: Cassette) -> Outline | None:
    """The outline of the good answers of the call's own pages, all together."""
    outline: Outline | None = None
    for exchange in cassette.exchanges:
        if exchange.status < 300 and _is_own(cassette, exchange):
            outline = merged(outline, _outline(exchange))
    return outline


def _is_own(cassette: Cassette, exchange: Exchange) -> bool:
    """Whether it has the path of the call's last exchange: others log in, or read details."""
    return _path(exchange) == _path(cassette.exchanges[-1])


def _path(exchange: Exchange) -> str:
    return exchange.url.partition("?")[0]


def _outline(exchange: Exchange) -> Outline | None:
    try:
        return outline_of(msgspec.json.decode(exchange.answer))
    except msgspec.DecodeError:
        return None


def _free_names(spec: Spec, operation: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names of maps, whose keys are data, and of what may be anything."""
    fields = [(name, field.type) for fields in spec.types.values() for name, field in fields.items()]
    maps = {name for name, kind in fields if isinstance(kind, MapOf)}
    returned = {name for one in related(spec, operation) for name in _map_at(spec, one)}
    return frozenset(maps | returned), frozenset(name for name, kind in fields if kind == Scalar("any") and name != "*")


def _map_at(spec: Spec, operation: str) -> Iterator[str]:
    """The key under which an operation's record is a map."""
    known = spec.operations[operation]
    if isinstance(known.returns, MapOf):
        yield from (str(path).rpartition(".")[2] for path in known.record)


def _assumed(loaded: Loaded, tried: Sequence[Cassette]) -> Iterator[tuple[int, str, str, bool]]:
    """Each assumed fact, and whether a call that went well has used it."""
    notes = loaded.tree.get(Text("assumed"))
    if not isinstance(notes, Table):
        return
    for place, why in notes.items():
        steps: SpecPath = tuple(str(place).split("/"))
        yield fault_at(loaded, ("assumed", str(place)), "").line, str(place), str(why), _is_tried(steps, tried)


def _is_tried(steps: SpecPath, tried: Sequence[Cassette]) -> bool:
    if steps[0] != "operations" or len(steps) < 2:
        return False
    calls = [cassette for cassette in tried if cassette.operation == steps[1]]
    if len(steps) == 4 and steps[2] == "query":
        return any(f"{steps[3]}=" in exchange.url for cassette in calls for exchange in cassette.exchanges)
    return bool(calls)
