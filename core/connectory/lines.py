"""Records as the text they came as: taken apart, but decoded only where somebody looks at one.

A list whose records go into a file of JSON as they are need not become Python values and text again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache
from operator import methodcaller
from typing import Any

import msgspec

from connectory.errors import BadAnswer
from connectory.table import Unmade

_split_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_split_array = msgspec.json.Decoder(list[msgspec.Raw]).decode

FloatHook = Callable[[str], Any]
_holds_something = methodcaller("startswith", b'{"')  # an object with a field


class Lines(Unmade):
    """Objects of JSON, each a line of `text` with no space where it begins. Numbers may be larger than a float holds.

    `float_hook` makes the fractions where they are decoded, if it is given.
    """

    def __init__(self, text: bytes, count: int, float_hook: FloatHook | None = None) -> None:
        self.text = text
        self.float_hook = float_hook
        self._count = count

    @classmethod
    def joined(cls, parts: Iterable[Lines]) -> Lines:
        """All of them, one after the other."""
        parts = list(parts)
        return cls(b"".join(part.text for part in parts), sum(map(len, parts)), parts[0].float_hook if parts else None)

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Lines) and (self.text == other.text or self._differs_at_once(other)):
            return self.text == other.text
        return isinstance(other, Sequence) and len(self) == len(other) and list(self) == list(other)

    def _differs_at_once(self, other: Lines) -> bool:
        """Whether the same in another order of fields, or with other spaces, can be ruled out by the first record."""
        first, its_first = (lines.text.partition(b"\n")[0] for lines in (self, other))
        try:
            return bool(_decoder(Decimal).decode(first) != _decoder(Decimal).decode(its_first))
        except msgspec.DecodeError:  # one of them has no record, or one that nobody can read
            return True

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._count} lines>"

    def _make(self) -> list[Any]:
        try:
            return _decoder(self.float_hook).decode_lines(self.text)
        except msgspec.ValidationError:  # a number that no float holds
            try:
                return _decoder(Decimal).decode_lines(self.text)
            except msgspec.ValidationError as why:
                raise BadAnswer(f"a record cannot be read: {why}") from None


def split(body: bytes, steps: Sequence[str], float_hook: FloatHook | None = None) -> Any:
    """JSON as Python values, but for the list at the end of the steps, whose records are `Lines`.

    Raises ValueError where there is no such list or where one of its records is no object with a field.
    """
    body = body.rstrip()  # many end with a line
    if b"\n" in body or b"\r" in body:
        body = msgspec.json.format(body, indent=-1)
    return _cut_out(body, steps[0], float_hook) if len(steps) == 1 else _split(body, steps, float_hook)


def _cut_out(body: bytes, step: str, float_hook: FloatHook | None) -> Any:
    """The same for a list in the outermost object: it is taken out of the text, and what is left is decoded."""
    records = list(map(bytes, _decoder_of(step).decode(body).records))
    text = b",".join(records)
    start = body.find(records[0]) if records else -1
    if start < 0 or not body.startswith(text, start):  # there are spaces between them
        return _split(body, [step], float_hook)
    answer = _decoder(float_hook).decode(body[:start] + body[start + len(text) :])
    if answer[step] != []:  # the same stands elsewhere too
        return _split(body, [step], float_hook)
    return {**answer, step: _lines(records, float_hook)}


@cache
def _decoder_of(step: str) -> msgspec.json.Decoder[Any]:
    fields = [("records", list[msgspec.Raw])]
    return msgspec.json.Decoder(msgspec.defstruct("Answer", fields, rename={"records": step}))


@cache
def _decoder(float_hook: FloatHook | None) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(float_hook=float_hook)


def _split(json: bytes | msgspec.Raw, steps: Sequence[str], float_hook: FloatHook | None) -> Any:
    if not steps:
        return _lines(list(map(bytes, _split_array(json))), float_hook)
    held = _split_object(json)
    if steps[0] not in held:
        raise ValueError(f"nothing is called {steps[0]}")
    decode = _decoder(float_hook).decode
    return {key: _split(raw, steps[1:], float_hook) if key == steps[0] else decode(raw) for key, raw in held.items()}


def _lines(records: list[bytes], float_hook: FloatHook | None) -> Lines:
    if not all(map(_holds_something, records)):
        raise ValueError("not every record is an object with a field")
    for record in records:  # one by one, since a page has some characters for which Python makes all of it wider
        if not record.isascii():
            record.decode()  # texts that nobody looks at are to be texts
    return Lines(b"\n".join([*records, b""]), len(records), float_hook)
