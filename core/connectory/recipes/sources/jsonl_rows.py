"""Rows of JSON Lines files: one object a line, its numbers exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Any, Final

import msgspec

from connectory.destinations.columns import EXACT_IN_FLOAT
from connectory.errors import InputError
from connectory.recipes.source import Row
from connectory.recipes.sources.places import Place
from connectory.values.shapes import Kind, Plain, Record

_decode: Final = msgspec.json.Decoder().decode
# What was seen of a field, null aside -> its kind. Anything else is `any`.
_KINDS: Final[dict[frozenset[str], Kind]] = {
    frozenset({"str"}): "text",
    frozenset({"bool"}): "bool",
    frozenset({"small"}): "int",
    frozenset({"int"}): "int",
    frozenset({"small", "int"}): "int",
    frozenset({"float"}): "float",
    frozenset({"float", "small"}): "float",
}


class JsonRows:
    """Some JSON Lines files, looked at to their ends. Raises InputError for what is no row, naming file and line."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.total = 0
        seen: dict[str, set[str]] = {}
        for place in places:
            with place.open() as file:
                for row in _rows(file, place.name):
                    self.total += 1
                    for name, value in row.items():
                        word = _word(value)
                        if name not in seen:
                            seen[name] = {word}
                        elif word not in (kinds := seen[name]):
                            kinds.add(word)
        kinds_of = {name: frozenset(words - {"NoneType"}) for name, words in seen.items()}
        self.shape = Record({name: Plain(_KINDS.get(words, "any")) for name, words in kinds_of.items()})

    def batches(self, place: Place, skip: int, size: int) -> Iterator[Sequence[Row]]:
        """The rows of one file behind the first `skip`, some at a time."""
        with place.open() as file:
            rows = islice(_rows(file, place.name), skip, None)
            while batch := list(islice(rows, size)):
                yield batch


def _rows(file: IO[bytes], name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            row = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as why:
            raise InputError(f"{name}:{number}: not JSON ({why})") from None
        except RecursionError:
            raise InputError(f"{name}:{number}: nested too deeply") from None
        if type(row) is not dict:
            raise InputError(f"{name}:{number}: expected an object, got {_called(row)}")
        yield row


def _called(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _word(value: Any) -> str:
    if type(value) is int:
        size = abs(value)
        return "small" if size <= EXACT_IN_FLOAT else "int" if size < 2**63 else "big"
    return type(value).__name__
