"""Rows packed by columns, from which every value comes back as it was; what MessagePack has no word for is tagged.

A column of nothing but moments, days, times or decimals is a list of their texts, its kind named once. Where values of
several kinds stand in one, or inside of others, each is tagged: `{"$decimal": "1.10"}`, `{"$date": "2026-05-20"}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import msgspec

Column = Sequence[Any]

_NATIVE: Final = frozenset({str, bool, int, float, bytes, type(None)})
_WRITE: Final[Mapping[type, tuple[str, Callable[[Any], str]]]] = {
    datetime: ("$datetime", datetime.isoformat),
    date: ("$date", date.isoformat),
    time: ("$time", time.isoformat),
    Decimal: ("$decimal", str),
}
_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$decimal": Decimal,
    "$int": int,  # of more than 64 bits
    "$object": lambda pairs: {name: _untagged(value) for name, value in pairs},
}
_HOLDERS: Final = frozenset({dict, list})
_MOMENTS: Final = frozenset({datetime, type(None)})
_zone: Final = attrgetter("tzinfo")
_TAGGED: Final = "tagged"
_INT64: Final = range(-(2**63), 2**63)
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[tuple[str, list[Any]]]).decode


def pack(columns: Sequence[Column]) -> bytes:
    """Some rows as their columns. Raises TypeError for a value that no source gives."""
    try:
        return _encode([_packed(column) for column in columns])
    except OverflowError:
        return _encode([(_TAGGED, [_tagged(value) for value in column]) for column in columns])


def unpack(packed: bytes) -> list[Column]:
    """What `pack` was given. Raises ValueError."""
    return [_unpacked(kind, values) for kind, values in _decode(packed)]


def _packed(column: Column) -> tuple[str, Column]:
    kinds = set(map(type, column))
    if kinds <= _NATIVE or _in_utc(kinds, column):
        return "", column
    kinds.discard(type(None))
    [kind, *others] = kinds
    if not others and kind in _WRITE:
        if kind is datetime and _have_zones(column, {None}):
            return "$datetime", msgspec.to_builtins(column)  # as isoformat writes them, in a twentieth of its time
        name, write = _WRITE[kind]
        return name, [None if value is None else write(value) for value in column]
    return ("", column) if _bare(column) else (_TAGGED, [_tagged(value) for value in column])


def _in_utc(kinds: Set[type], column: Column) -> bool:
    """Whether all are moments in UTC, which MessagePack has; of any other zone it would leave only the moment."""
    return kinds <= _MOMENTS and _have_zones(column, {UTC})


def _have_zones(moments: Column, zones: Set[tzinfo | None]) -> bool:
    return zones >= set(map(_zone, filter(None, moments)))


def _bare(values: Iterable[Any]) -> bool:
    """Whether no value, and nothing that is in one, needs a tag; all of one depth are looked at together."""
    kinds = set(map(type, held := list(values))) - _NATIVE
    if not kinds <= _HOLDERS:
        return False
    lists = [value for value in held if type(value) is list] if list in kinds else []
    dicts = [value for value in held if type(value) is dict] if dict in kinds else []
    if not _READ.keys().isdisjoint(chain.from_iterable(dicts)):
        return False
    return not kinds or _bare(chain(chain.from_iterable(lists), chain.from_iterable(map(dict.values, dicts))))


def _unpacked(kind: str, values: Column) -> Column:
    if not kind:
        return values
    read = _untagged if kind == _TAGGED else _READ[kind]
    return [None if value is None else read(value) for value in values]


def _tagged(value: Any) -> Any:
    kind = type(value)
    if kind is int:
        return value if value in _INT64 else {"$int": str(value)}
    if kind in _NATIVE:
        return value
    if kind in _WRITE:
        name, write = _WRITE[kind]
        return {name: write(value)}
    if isinstance(value, Mapping):
        if any(name in _READ for name in value):
            return {"$object": [[name, _tagged(held)] for name, held in value.items()]}
        return {name: _tagged(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_tagged(held) for held in value]
    raise TypeError(f"a value of type {kind.__name__}")


def _untagged(value: Any) -> Any:
    if type(value) is list:
        return [_untagged(held) if type(held) in (dict, list) else held for held in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        [(name, held)] = value.items()
        if name in _READ:
            return _READ[name](held)
    return {name: _untagged(held) if type(held) in (dict, list) else held for name, held in value.items()}
