"""Answers put together from the places that a spec names in them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from connectory.outcomes import condition_holds
from connectory.plugins.kinds import Codec
from connectory.spec.places import EVERY, MISSING, AnswerPath
from connectory.spec.words import Place, Records, Test
from connectory.values.codecs import find_codec

Steps = Sequence[str | int]


def put(root: Any, steps: Steps, value: Any) -> Any:
    """The tree with a value at a path; what is on the way is made. `*` is the first element, or the first value."""
    if not steps:
        return value
    first, rest = steps[0], steps[1:]
    if first == EVERY:
        first = next(iter(root)) if isinstance(root, dict) and root else 0
    if isinstance(first, int) and not isinstance(root, dict):
        items = list(root) if isinstance(root, list) else []
        items += [None] * (first + 1 - len(items))
        items[first] = put(items[first], rest, value)
        return items
    table = dict(root) if isinstance(root, dict) else {}
    table[str(first)] = put(table.get(str(first)), rest, value)
    return table


def put_list(root: Any, steps: Steps, values: Sequence[Any]) -> Any:
    """The tree with these values at a path: as the list itself, or one below each element of its `*`."""
    if EVERY not in steps:
        return put(root, steps, list(values))
    at = list(steps).index(EVERY)
    return put(root, steps[:at], [put(None, steps[at + 1 :], value) for value in values])


def shown_path(paths: Sequence[AnswerPath], example: Any) -> AnswerPath:
    """Of several paths the one that the example shows, else the first."""
    return next((path for path in paths if path.find(example) is not MISSING), paths[0])


def wrapped(where: Records, records: Sequence[Any]) -> Any:
    """Records as they stand at a records path: a list, an object by key, or bare values."""
    if where.key_as is not None:
        named = [one for one in records if isinstance(one, dict)]
        return {str(one.get(where.key_as)): {k: v for k, v in one.items() if k != where.key_as} for one in named}
    if where.value_as is not None:
        return [one.get(where.value_as) if isinstance(one, dict) else one for one in records]
    return list(records)


@attrs.define
class Draft:
    """An answer in the making; it begins as the example of the spec stands."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = attrs.Factory(dict)
    example: Any = None

    @classmethod
    def like(cls, example: Any, status: int, headers: Mapping[str, str]) -> Draft:
        """A draft that keeps what the example shows beside the places that are filled."""
        return cls(copy.deepcopy(example), status, dict(headers), example)

    def say(self, place: Place, value: Any, codecs: Mapping[str, Codec]) -> None:
        """Write a value where the client will look for it. A datetime is written by the place's codec."""
        value = self._written(place, value, codecs)
        if place.header is not None:
            self._set_header(place.header, value)
        elif place.link is not None:
            self._set_header("Link", None if value is None else f'<{value}>; rel="{place.link}"')
        elif place.body:
            self.body = put(self.body, shown_path(place.body, self.example).steps, value)

    def _set_header(self, name: str, value: Any) -> None:
        self.headers.pop(name, None)
        if value is not None:
            self.headers[name] = str(value)

    def _written(self, place: Place, value: Any, codecs: Mapping[str, Codec]) -> Any:
        if isinstance(value, datetime):
            value = find_codec(place.codec or "utc", codecs).write(value)
        if place.factor != 1.0 and isinstance(value, int | float):
            value = round(value / place.factor, 6)
            value = int(value) if value == int(value) else value
        if place.match is None or value is None:
            return value
        return _within(place.match, self._text_at(place), value)

    def _text_at(self, place: Place) -> str:
        if place.header is not None:
            return self.headers.get(place.header, "")
        found = next((text for path in place.body for text in path.each(self.example)), "")
        return found if isinstance(found, str) else ""


def _within(pattern: str, text: str, value: Any) -> str:
    """The text with the value in place of what the pattern finds in it; without such a text the value alone."""
    found = re.search(pattern, text)
    if not found:
        return str(value)
    start, end = found.span(1 if found.re.groups else 0)
    return f"{text[:start]}{value}{text[end:]}"


def satisfying(test: Test, shown: Any = MISSING) -> Any:
    """A value for which a condition holds: what the example shows if that does, MISSING where none can be found."""
    if shown is not MISSING and condition_holds(test, [shown]):
        return shown
    tries = [*(test.in_ or ()), *_numbers(test), *_texts(test), True, "yes", 1, None, MISSING]
    return next((value for value in tries if condition_holds(test, [value])), MISSING)


def violating(test: Test, shown: Any = MISSING) -> Any:
    """A value for which a condition does not hold."""
    named: Sequence[Any] = test.in_ or ()
    opposite = [not value for value in named if isinstance(value, bool)]
    tries: list[Any] = [
        *opposite,
        *([shown] if shown is not MISSING else []),
        None,
        False,
        0,
        "no",
        *(test.not_in or ()),
        "yes",
    ]
    return next((value for value in tries if not condition_holds(test, [value])), MISSING)


def _numbers(test: Test) -> Iterable[Any]:
    return () if test.above is None else (int(test.above) + 1,)


def _texts(test: Test) -> Iterable[str]:
    """Texts that a plain pattern matches: what is left of it without its anchors."""
    return () if test.matches is None else (re.sub(r"\\(.)", r"\1", test.matches.strip("^$")),)


def moment(epoch: float) -> datetime:
    """An aware datetime, whole seconds."""
    return datetime.fromtimestamp(int(epoch), UTC)
