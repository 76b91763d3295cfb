"""Every hook that a plug-in may implement. The built-ins use the same ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Any

import pluggy

from connectory.plugins.kinds import (
    AuthKind,
    BatchKind,
    Codec,
    DestinationKind,
    Discoverer,
    Format,
    OutcomeKind,
    PagerKind,
)

hookspec = pluggy.HookspecMarker("connectory")
hookimpl = pluggy.HookimplMarker("connectory")


@hookspec
def connectory_specs() -> Sequence[Traversable]:  # type: ignore[empty-body]
    """Spec files (`*.yaml`, one vendor each) that this plug-in brings."""


@hookspec
def connectory_auth() -> Mapping[str, AuthKind]:  # type: ignore[empty-body]
    """Words for `auth.use`: ways of signing a request."""


@hookspec
def connectory_pagers() -> Mapping[str, PagerKind]:  # type: ignore[empty-body]
    """Words for `pagers.x.use`: ways of paging."""


@hookspec
def connectory_batches() -> Mapping[str, BatchKind]:  # type: ignore[empty-body]
    """Words for `batch.use`: ways of cutting items into calls."""


@hookspec
def connectory_outcomes() -> Mapping[str, OutcomeKind]:  # type: ignore[empty-body]
    """Words for `outcomes[].use`: ways of judging an answer."""


@hookspec
def connectory_codecs() -> Mapping[str, Codec]:  # type: ignore[empty-body]
    """Words for `datetime(...)`: ways of writing a moment."""


@hookspec
def connectory_formats() -> Mapping[str, Format]:  # type: ignore[empty-body]
    """Words for `wire.body` and `wire.answer`: ways of writing and reading a body."""


@hookspec
def connectory_filters() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Pure functions for `{{ x | name }}`."""


@hookspec
def connectory_discover() -> Mapping[str, Discoverer]:  # type: ignore[empty-body]
    """Words for `families.x.discover`: ways of finding a workspace's own objects."""


@hookspec
def connectory_destinations() -> Mapping[str, DestinationKind]:  # type: ignore[empty-body]
    """Words for `to:` in a recipe: places where records go."""


@hookspec
def connectory_secrets() -> Mapping[str, Callable[[str], str]]:  # type: ignore[empty-body]
    """Schemes of secret references (`env:`, `file:`): functions from what follows the colon to the secret."""
