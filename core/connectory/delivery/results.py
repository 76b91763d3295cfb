"""A batch's answer -> what it says of each item."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from connectory.answers import Answer, find, to_number
from connectory.outcomes import conditions_hold
from connectory.spec.language import Results
from connectory.spec.places import MISSING, AnswerPath


class PartialCountWarning(UserWarning):
    """The vendor says that it took another number of items than were sent."""


@attrs.frozen
class Said:
    """What the answer says of one item."""

    good: bool
    id: Any = None
    words: str = ""
    code: str = ""


@attrs.frozen
class Reading:
    """Everything an answer says: by position in the batch, and how many entries it had.

    `strangers` are failures that fit no item; `listed` says whether entries for good items were to be expected.
    """

    said: Mapping[int, Said]
    entries: int
    strangers: Sequence[Said]
    listed: bool

    @property
    def failures(self) -> dict[int, Said]:
        return {position: said for position, said in self.said.items() if not said.good}


def read_results(
    results: Sequence[Results], answer: Answer, items: Sequence[Any], redact: Callable[[str], str] = str
) -> Reading:
    """Correlate an answer's entries with the items sent: by key, else by index, else by position.

    `redact` takes secrets out of the vendor's words.
    """
    said: dict[int, Said] = {}
    entries = 0
    strangers: list[Said] = []
    for spec in results:
        if spec.count is not None:
            _compare_count(spec, answer, len(items))
            continue
        found = _entries(spec, answer)
        entries += len(found)
        positions = _positions(spec, found, items)
        for entry, position in zip(found, positions, strict=True):
            one = _said(spec, entry, redact)
            if position is not None:
                said[position] = one
            elif not one.good:
                strangers.append(one)
    listed = any(spec.count is None and spec.only != "rejected" for spec in results)
    return Reading(said, entries, strangers, listed)


def _entries(spec: Results, answer: Answer) -> list[Any]:
    found = list(spec.at.each(answer.data)) if spec.at.many else spec.at.find(answer.data)
    return found if isinstance(found, list) else []


def _compare_count(spec: Results, answer: Answer, sent: int) -> None:
    assert spec.count is not None
    number = to_number(find(spec.count, answer))
    if number is not None and int(number) != sent:
        warnings.warn(f"the vendor says it took {int(number)} of {sent} items", PartialCountWarning, stacklevel=4)


def _positions(spec: Results, found: Sequence[Any], items: Sequence[Any]) -> list[int | None]:
    if spec.key is not None:
        by_key: dict[Any, list[int]] = {}
        for position, item in enumerate(items):
            by_key.setdefault(_comparable(spec.key.item, item), []).append(position)
        by_key.pop(None, None)
        return [_next_with(by_key, _comparable(spec.key.result, entry)) for entry in found]
    if spec.index is not None:
        numbers = [spec.index.find(entry) for entry in found]
        return [n if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < len(items) else None for n in numbers]
    return [n if len(found) == len(items) else None for n in range(len(found))]


def _next_with(by_key: dict[Any, list[int]], key: Any) -> int | None:
    """The first item of that key not yet spoken of; a key sent twice may be answered once or twice."""
    positions = by_key.get(key)
    if not positions:
        return None
    return positions.pop(0) if len(positions) > 1 else positions[0]


def _comparable(path: AnswerPath, value: Any) -> Any:
    found = path.find(value)
    return None if found is MISSING or isinstance(found, dict | list) else str(found) if found is not None else None


def _said(spec: Results, entry: Any, redact: Callable[[str], str]) -> Said:
    good = spec.only == "delivered" if spec.only else conditions_hold(spec.ok, entry)
    words, code = (redact(str(_at(path, entry) or "")) for path in (spec.message, spec.code))
    return Said(good, _at(spec.id, entry), words, code)


def _at(path: AnswerPath | None, entry: Any) -> Any:
    if path is None:
        return None
    found = list(path.each(entry))
    texts = [value for value in found if value is not None and value is not MISSING]
    return texts[0] if len(texts) == 1 else "; ".join(map(str, texts)) if texts else None
