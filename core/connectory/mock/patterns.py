"""A text that a regular expression matches, for the fields of a type that have a pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

# The parser of `re` itself: what it makes of a pattern is the only full reading of one.
from re import _parser  # type: ignore[attr-defined]  # isort: skip

_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_CLASSES: Final[Mapping[str, str]] = {
    "CATEGORY_DIGIT": "0123456789",
    "CATEGORY_WORD": _LOWER,
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_DIGIT": _LOWER,
    "CATEGORY_NOT_WORD": "-",
    "CATEGORY_NOT_SPACE": _LOWER,
}


def text_like(pattern: str, number: int) -> str | None:
    """A text that matches a whole pattern, another one for another number where it allows; None where none is found."""
    try:
        text = "".join(_pieces(_parser.parse(pattern), number))
    except (re.error, KeyError, ValueError, TypeError):
        return None
    return text if re.fullmatch(pattern, text) else None


def _pieces(parsed: Iterable[Any], number: int) -> Iterable[str]:
    for word, held in parsed:
        yield _PIECES[str(word)](held, number)
        number = number // 3 + number  # so that two classes side by side differ


def _repeated(held: Any, number: int) -> str:
    low, high, inner = held
    times = max(int(low), 1 if int(high) > 0 else 0)
    if int(low) == 0 and number % 2 == 0:
        times = 0
    return "".join("".join(_pieces(inner, number + 7 * turn)) for turn in range(times))


def _one_of(held: Any, number: int) -> str:
    if str(held[0][0]) == "NEGATE":
        refused = {char for piece in held[1:] for char in _chars(piece)}
        return next(char for char in _LOWER + "0123456789-" if char not in refused)
    chars = [char for piece in held for char in _chars(piece)]
    return chars[number % len(chars)]


def _chars(piece: Any) -> Iterable[str]:
    word, held = piece
    match str(word):
        case "LITERAL":
            return [chr(held)]
        case "RANGE":
            return [chr(code) for code in range(held[0], min(held[1], held[0] + 200) + 1)]
        case _:
            return _CLASSES[str(held)]


_PIECES: Final[Mapping[str, Callable[[Any, int], str]]] = {
    "LITERAL": lambda held, _: chr(held),
    "NOT_LITERAL": lambda held, _: "b" if held == ord("a") else "a",
    "ANY": lambda _, number: _LOWER[number % 26],
    "IN": _one_of,
    "CATEGORY": lambda held, number: _CLASSES[str(held)][0],
    "MAX_REPEAT": _repeated,
    "MIN_REPEAT": _repeated,
    "POSSESSIVE_REPEAT": _repeated,
    "ATOMIC_GROUP": lambda held, number: "".join(_pieces(held, number)),
    "SUBPATTERN": lambda held, number: "".join(_pieces(held[-1], number)),
    "BRANCH": lambda held, number: "".join(_pieces(held[1][number % len(held[1])], number)),
    "AT": lambda _, __: "",
    "ASSERT": lambda _, __: "",
    "ASSERT_NOT": lambda _, __: "",
}
