"""What is told of a key that a recipe does not have: where it belongs, in a recipe's own words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from connectory.errors import nearest
from connectory.spec.keys import keys_of


class Kind(Protocol):
    """Whatever a key of `from` or `to` may name."""

    @property
    def options(self) -> type:
        """The class of its keys."""


def unknown_key(key: str, cls: type, recipe: type, parts: Mapping[str, Mapping[str, Kind]]) -> str:
    """A key that a class has not. `parts` are `from` and `to` with the kinds that each may be of."""
    known = keys_of(cls)
    for part, kinds in parts.items():
        own = next((word for word, kind in kinds.items() if kind.options is cls), None)
        if own is None:
            continue
        if theirs := _having(key, kinds):
            return f"'{key}' goes with {theirs}, not with {own}: `{part}` with {own} takes {_list(known)}"
        return _elsewhere(key, {name: held for name, held in parts.items() if name != part}, recipe, known) or (
            f"unknown key '{key}'{nearest(key, known) or f': `{part}` with {own} takes {_list(known)}'}"
        )
    above = _elsewhere(key, parts, recipe, known) if cls is recipe else ""
    return above or f"unknown key '{key}'{nearest(key, known) or f': {_list(known)} may stand here'}"


def _elsewhere(key: str, parts: Mapping[str, Mapping[str, Kind]], recipe: type, known: Iterable[str]) -> str:
    """Where a key belongs that is right at another place of the recipe; nothing where it is more likely misspelt."""
    if nearest(key, known):
        return ""
    if key in keys_of(recipe):
        return f"'{key}' belongs at the top of the recipe, beside `from` and `to`"
    found = [f"`{part}` (of {theirs})" for part, kinds in parts.items() if (theirs := _having(key, kinds))]
    return f"'{key}' belongs in {' or '.join(found)}" if found else ""


def _having(key: str, kinds: Mapping[str, Kind]) -> str:
    owners = [word for word, kind in kinds.items() if key in keys_of(kind.options)]
    return _list(owners, "or") if owners else ""


def _list(words: Iterable[str], joint: str = "and") -> str:
    *others, last = words
    return f"{', '.join(others)} {joint} {last}" if others else last
