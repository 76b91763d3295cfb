"""The shape of answers: which keys they hold, of what kind their values are, and how two shapes differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import attrs

_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", dict: "an object", list: "a list"}


@attrs.frozen
class Outline:
    """What stands at one place, over all answers seen: the kinds of values (null aside), whether null was among them,
    how often it was there, the keys of its objects and what its lists hold."""

    kinds: frozenset[str] = frozenset()
    null: bool = False
    seen: int = 0
    objects: int = 0
    keys: Mapping[str, Outline] = attrs.Factory(dict)
    items: Outline | None = None


def outline_of(value: Any) -> Outline:
    """The outline of one value."""
    if value is None:
        return Outline(null=True, seen=1)
    kind = next((said for cls, said in _KINDS.items() if isinstance(value, cls)), "a number")
    if isinstance(value, dict):
        keys = {str(name): outline_of(held) for name, held in value.items()}
        return Outline(frozenset({kind}), seen=1, objects=1, keys=keys)
    if isinstance(value, list):
        items: Outline | None = None
        for item in value:
            items = merged(items, outline_of(item))
        return Outline(frozenset({kind}), seen=1, items=items)
    return Outline(frozenset({kind}), seen=1)


def merged(one: Outline | None, other: Outline | None) -> Outline | None:
    """Both in one."""
    if one is None or other is None:
        return one or other
    names = dict.fromkeys([*one.keys, *other.keys])
    keys = {name: merged(one.keys.get(name), other.keys.get(name)) for name in names}
    return Outline(
        one.kinds | other.kinds,
        one.null or other.null,
        one.seen + other.seen,
        one.objects + other.objects,
        {name: held for name, held in keys.items() if held is not None},
        merged(one.items, other.items),
    )


@attrs.frozen
class Change:
    """One way in which an outline is another now: where, what, and how it was and is."""

    path: str
    what: str


def changes(
    before: Outline, now: Outline, maps: Collection[str], anything: Collection[str], path: str = ""
) -> Iterator[Change]:
    """How `now` differs from `before`. Keys below the names in `maps` are nobody's to promise, and what stands at those
    in `anything` is not compared."""
    place, name = path or ".", path.rpartition(".")[2]
    if name in anything:
        return
    if before.kinds and now.kinds and not now.kinds <= before.kinds:
        yield Change(place, f"was {_said(before)}, is {_said(now)}")
        return
    if now.null and not before.null and before.kinds:
        yield Change(place, f"was always {_said(before)}, is null now and then")
    if name in maps:
        return
    if before.objects and now.objects:
        yield from _keys(before, now, maps, anything, path)
    if before.items is not None and now.items is not None:
        yield from changes(before.items, now.items, maps, anything, f"{path}.*" if path else "*")


def _keys(
    before: Outline, now: Outline, maps: Collection[str], anything: Collection[str], path: str
) -> Iterator[Change]:
    for name in dict.fromkeys([*before.keys, *now.keys]):
        here = f"{path}.{name}" if path else name
        one, other = before.keys.get(name), now.keys.get(name)
        if one is None and other is not None:
            yield Change(here, f"is new: {_said(other)}")
        elif other is None and one is not None:
            if one.seen == before.objects:  # it was in every object: that it is in none now is no chance
                yield Change(here, f"is gone, was {_said(one)}")
        elif one is not None and other is not None:
            yield from changes(one, other, maps, anything, here)


def _said(outline: Outline) -> str:
    return " or ".join(sorted(outline.kinds)) or "null"
