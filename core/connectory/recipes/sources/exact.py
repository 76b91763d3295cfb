"""Rows as lines of JSON from which every value comes back as it was: what JSON has no word for is tagged.

A row is a list of values, in the order of names kept elsewhere. `{"$decimal": "1.10"}`, `{"$date": "2026-05-20"}`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import msgspec

_PLAIN: Final = frozenset({str, int, bool, type(None)})
_WRITE: Final[Mapping[type, tuple[str, Callable[[Any], str]]]] = {
    datetime: ("$datetime", datetime.isoformat),
    date: ("$date", date.isoformat),
    time: ("$time", time.isoformat),
    Decimal: ("$decimal", str),
    bytes: ("$bytes", lambda value: b64encode(value).decode()),
    float: ("$float", repr),  # those that JSON does not have
}
_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$decimal": Decimal,
    "$bytes": b64decode,
    "$float": float,
    "$object": lambda pairs: {name: _untagged(value) for name, value in pairs},
}
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(list[Any]).decode


def write_line(values: Sequence[Any]) -> bytes:
    """One row, with its line end. Raises TypeError for a value that no source gives."""
    return _encode([value if type(value) in _PLAIN else _tagged(value) for value in values]) + b"\n"


def read_line(line: bytes) -> list[Any]:
    """What `write_line` wrote. Raises ValueError."""
    return [_untagged(value) if type(value) in (dict, list) else value for value in _decode(line)]


def _tagged(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN or (kind is float and value - value == 0):
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
