"""One call to an emulated vendor, and its recording: a new emulator, a clock that only moves when somebody waits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import attrs

from connectory.clock import ManualClock
from connectory.plugins.registry import Registry
from connectory.spec.load import Loaded
from connectory.testing.recorded.cassettes import Cassette, Recorded
from connectory.testing.recorded.finishing import accept
from connectory.testing.recorded.recording import Target, Wanted, record
from connectory.testing.recorded.replaying import prepared
from emulators.server import Emulator

START = 1_800_000_000.0  # 15 January 2027, 08:00 UTC
PATIENCE = 3 * 86_400.0  # seconds that a call may wait; the clock is moved, nobody waits


def nothing(emulator: Any) -> None:
    """As the emulator is."""


@attrs.frozen(kw_only=True)
class Talk:
    """A call to record. `knobs` make the emulator, `before` changes it; `errors` keeps what fails or is refused.

    `server` names the one of the spec's servers that is meant, where that is not the first. With `settings_refused`
    the settings are all there is: nothing is sent.
    """

    operation: str
    given: Mapping[str, Any] = attrs.Factory(dict)
    label: str | None = None
    settings: Mapping[str, Any] = attrs.Factory(dict)
    knobs: Mapping[str, Any] = attrs.Factory(dict)
    before: Callable[[Any], object] = nothing
    errors: bool = False
    server: str = ""
    settings_refused: bool = False


@attrs.frozen(kw_only=True)
class Vendor:
    """An emulated vendor: how it is made, with which settings it is called, and what is said to it."""

    name: str
    emulator: Callable[..., Emulator]
    settings: Mapping[str, Any]
    talks: tuple[Talk, ...]
    said: str = "emulator"
    knobs: Mapping[str, Any] = attrs.Factory(dict)


def recorded(registry: Registry, loaded: Loaded, vendor: Vendor, talk: Talk) -> Cassette:
    """The cassette of a call. Raises ConnectoryError where it cannot be recorded."""
    if talk.settings_refused:
        return _refused(registry, loaded, vendor, talk)
    clock = ManualClock(START)
    with new_home(), vendor.emulator(clock=clock, **{**vendor.knobs, **talk.knobs}) as emulator:
        talk.before(emulator)
        target = Target(
            root=None,
            settings={**vendor.settings, **talk.settings},
            server=emulator.url,
            said=vendor.said,
            max_wait=PATIENCE,
            environ={},
            clock=clock,
        )
        wanted = Wanted(operation=talk.operation, arguments=talk.given, label=talk.label, errors=talk.errors)
        cassette = record(registry, loaded, wanted, target)
    return _at(registry, loaded, cassette, talk.server) if talk.server else cassette


def _refused(registry: Registry, loaded: Loaded, vendor: Vendor, talk: Talk) -> Cassette:
    """A call for which the settings are wrong: no server has a part in it."""
    cassette = Cassette(
        vendor=vendor.name,
        operation=talk.operation,
        label=talk.label or "",
        arguments=talk.given,
        settings=talk.settings,
        recorded=Recorded(vendor.said),
        clock=int(START),
        gives={"refused": []},
    )
    return accept(registry, loaded, cassette)


def _at(registry: Registry, loaded: Loaded, cassette: Cassette, server: str) -> Cassette:
    """The same call to another of the vendor's servers."""
    settings = {**cassette.settings, "server": server}
    with prepared(registry, loaded, cassette.operation, settings, 0.0) as connector:
        base = urlsplit(connector.engine.line.base)
    exchanges = tuple(
        attrs.evolve(each, url=urlunsplit((base.scheme, base.netloc, *urlsplit(each.url)[2:])))
        for each in cassette.exchanges
    )
    return accept(registry, loaded, attrs.evolve(cassette, settings=settings, exchanges=exchanges))


@contextmanager
def new_home() -> Iterator[None]:
    """An empty home, so that no budget was spent by a run before."""
    names = ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update({name: str(Path(folder) / name) for name in names})
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
