"""What a recipe leaves to others of a vendor's limits, and the hours it keeps to, as they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final, NewType, TypeVar

from connectory.limits.budgets import parse_share
from connectory.limits.hours import Hours, parse_hours
from connectory.spec.yamltext import parse_int

T = TypeVar("T")

Share = NewType("Share", Fraction)  # written 80%
CallCount = NewType("CallCount", int)
Between = NewType("Between", Hours)  # written 20:00-06:00 Europe/Amsterdam
ALL: Final = Share(Fraction(1))
NONE: Final = CallCount(0)


def _call_count(text: str) -> int:
    count = parse_int(text)
    if count < 0:
        raise ValueError(f"'{text}' is no number of calls: write a whole number from 0")
    return count


def _text(parse: Callable[[str], T]) -> Callable[[Any, Any], T]:
    """A hook of the loader. It raises ValueError."""

    def read(node: Any, _: Any) -> T:
        if not isinstance(node, str):
            raise ValueError(f"expected a text, found {'a mapping' if isinstance(node, dict) else 'a list'}")
        return parse(node)

    return read


TEXTS: Final[Mapping[Any, Callable[[Any, Any], Any]]] = {
    Share: _text(parse_share),
    CallCount: _text(_call_count),
    Between: _text(parse_hours),
}
