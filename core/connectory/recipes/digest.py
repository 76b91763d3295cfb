"""What of a recipe its state depends on, so that a changed recipe does not go on with a state of another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from connectory.recipes.recipe import Recipe
from connectory.recipes.state import dump

# How much is read at a time, and how far back, may change from run to run.
_OPEN: Final = frozenset({"lookback", "window"})


def digest_of(recipe: Recipe) -> Mapping[str, str]:
    """A digest of every part that says which rows there are, by its path; nothing of the values can be read in it."""
    parts: dict[str, Any] = {f"/from/{recipe.from_.kind}": True}
    for name, value in _keys(recipe.from_.options).items():
        if name not in _OPEN:
            parts[f"/from/{name}"] = value
    parts["/to/key"] = getattr(recipe.to.options, "key", ())
    parts["/change"] = recipe.change
    parts["/change_over"] = recipe.change_over
    parts["/lookups"] = dict(recipe.lookups)
    return {path: hashlib.sha256(dump(value)).hexdigest()[:16] for path, value in parts.items()}


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> Sequence[str]:
    """The paths of what is not as it was."""
    return [path for path in dict.fromkeys([*before, *now]) if before.get(path) != now.get(path)]


def _keys(options: Any) -> dict[str, Any]:
    values = attrs.asdict(options, recurse=False) if attrs.has(type(options)) else {}
    return {name.rstrip("_"): value for name, value in values.items()}
