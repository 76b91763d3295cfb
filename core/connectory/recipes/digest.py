"""What of a recipe its state depends on, so that a changed recipe does not go on with a state of another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from connectory.recipes.recipe import Recipe

# How much is read at a time, and how far back, may change from run to run.
_OPEN: Final = frozenset({"lookback", "window"})
_CHANGES: Final = frozenset({"change", "change_over", "lookups"})
_SERVER: Final = "/from/server"


def digest_of(recipe: Recipe, server: str | None = None) -> Mapping[str, str]:
    """A digest of every part that says which rows there are, by its path; nothing of the values can be read in it.

    `server` is the base URL that a connector's rows come from: a mark of a sandbox is none of production.

    What is left at its default is not in it, so that a word which a later version adds changes nothing.
    """
    parts: dict[str, Any] = {f"/from/{recipe.from_.kind}": True}
    parts |= {f"/from/{name}": value for name, value in _said(recipe.from_.options).items() if name not in _OPEN}
    parts |= {f"/to/{name}": value for name, value in _said(recipe.to.options).items() if name == "key"}
    parts |= {f"/{name}": value for name, value in _said(recipe).items() if name in _CHANGES}
    parts |= {_SERVER: server} if server is not None else {}
    return {path: _digest(value) for path, value in parts.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()[:16]


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> Sequence[str]:
    """The paths of what is not as it was. A server counts where both know theirs: earlier versions, plans do not."""
    paths = [path for path in dict.fromkeys([*before, *now]) if path != _SERVER or (path in before and path in now)]
    return [path for path in paths if before.get(path) != now.get(path)]


def _said(options: Any) -> dict[str, Any]:
    """The keys of a part that are not at their defaults, by name."""
    if not attrs.has(type(options)):
        return {}
    said = {}
    for field in attrs.fields(type(options)):
        value, default = getattr(options, field.name), field.default
        if value != (default.factory() if isinstance(default, attrs.Factory) else default):  # type: ignore[arg-type]
            said[field.name.rstrip("_")] = value
    return said
