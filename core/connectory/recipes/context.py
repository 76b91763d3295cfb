"""What the parts of one run share: the recipe, where it runs, and its connectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import msgspec

from connectory.connecting import Parts, connect
from connectory.connector import Connector
from connectory.errors import SpecError
from connectory.plugins.registry import Registry
from connectory.recipes.recipe import LoadedRecipe

OnWait = Callable[[str, float, str], None]  # vendor, seconds, why


@attrs.define(eq=False)
class Connectors:
    """The connectors of one run: one for each vendor with its settings, shared by source and destination.

    `given` are settings that go before the recipe's own, `vendor.setting` for one vendor or `setting` for each.
    """

    root: Path
    parts: Parts
    profile: str | None = None
    max_wait: float = 300.0
    given: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    on_wait: OnWait | None = None
    _open: dict[str, Connector] = attrs.Factory(dict)

    def get(self, vendor: str, settings: Mapping[str, Any]) -> Connector:
        """A connector, ready to call. Raises InputError as `connect` does."""
        known = {**settings, **self._given(vendor)}
        key = f"{vendor} {msgspec.json.encode(settings, order='sorted').decode()}"
        if key not in self._open:
            connector = connect(
                vendor, profile=self.profile, project=self.root, max_wait=self.max_wait, parts=self.parts, **known
            )
            connector.engine.line.on_wait = lambda seconds, why: self._waits(vendor, seconds, why)
            self._open[key] = connector
        return self._open[key]

    @property
    def opened(self) -> tuple[Connector, ...]:
        """Those that were asked for so far."""
        return tuple(self._open.values())

    @property
    def calls(self) -> int:
        """Requests sent by all of them."""
        return sum(connector.engine.line.calls for connector in self._open.values())

    def close(self) -> None:
        """Let go of all."""
        for connector in self._open.values():
            connector.close()

    def _given(self, vendor: str) -> dict[str, Any]:
        general = {name: value for name, value in self.given.items() if "." not in name}
        start = f"{vendor}."
        own = {name.removeprefix(start): value for name, value in self.given.items() if name.startswith(start)}
        return {**general, **own}

    def _waits(self, vendor: str, seconds: float, why: str) -> None:
        if self.on_wait is not None:
            self.on_wait(vendor, seconds, why)


@attrs.frozen(eq=False, kw_only=True)
class Context:
    """One start of one recipe. Paths of the recipe are relative to `root`; `now` is when it started (epoch seconds).

    `span` is what `--from` and `--to` ask for, as written; `fresh` that nothing kept is gone on with; `confirmed`
    that somebody agreed to an operation that destroys; `keep` that what was kept is gone on with, come what may;
    `carries` that all rows are carried over, not only some looked at.
    """

    loaded: LoadedRecipe
    root: Path
    registry: Registry
    parts: Parts
    connectors: Connectors
    now: float = 0.0
    span: tuple[str | None, str | None] | None = None
    fresh: bool = False
    confirmed: bool = False
    keep: bool = False
    carries: bool = False

    def wrong(self, path: tuple[str | int, ...], message: str) -> SpecError:
        """An error at a place of the recipe."""
        return SpecError([self.loaded.fault(path, message)])
