"""The parts that an expression is made of, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol

import attrs

from connectory.errors import InputError, nearest

MAX_RESULT: Final = 1_000_000  # characters that a text may have
# Words of Jinja2 that cannot be names.
RESERVED: Final = frozenset(
    ["and", "or", "not", "if", "else", "in", "is", "true", "false", "none", "True", "False", "None", "self"]
)


class ExpressionFault(InputError):
    """An expression cannot be read, or not be computed. `offset` counts characters of the text from 0.

    The message never holds a value, since that may be a secret.
    """

    def __init__(self, message: str, offset: int = 0) -> None:
        self.message = message
        self.offset = offset
        super().__init__(message)


class Piece(Protocol):
    """What stands between one `{{` and its `}}`; as a text it shows its source, without values."""

    @property
    def offset(self) -> int:
        """Where it begins in the text."""

    @property
    def places(self) -> Mapping[str, int]:
        """The dotted names in it, with the offset of each."""

    def value(self, values: Mapping[str, Any]) -> Any:
        """Raises `ExpressionFault`."""


@attrs.frozen
class Lookup:
    """`{{ name }}` or `{{ name.inner }}`."""

    path: str
    offset: int

    @property
    def places(self) -> Mapping[str, int]:
        """The one dotted name."""
        return {self.path: self.offset}

    def __str__(self) -> str:
        return f"{{{{ {self.path} }}}}"

    def value(self, values: Mapping[str, Any]) -> Any:
        """Raises `ExpressionFault` where the name, or one in it, has no value."""
        found: Any = values
        steps = self.path.split(".")
        for depth, step in enumerate(steps):
            if not isinstance(found, Mapping):
                name = ".".join(steps[:depth])
                raise ExpressionFault(
                    f"{{{{ {self.path} }}}}: '{name}' is {kind_of(found)} and has no names", self.offset
                )
            if step not in found:
                known = [".".join([*steps[:depth], str(name)]) for name in found]
                raise ExpressionFault(names_nothing(".".join(steps[: depth + 1]), known), self.offset)
            found = found[step]
        return found


def names_nothing(path: str, known: Collection[str]) -> str:
    hint = nearest(path, known)
    there = ", ".join(sorted(map(str, known))[:20]) or "nothing"
    return f"{{{{ {path} }}}} names nothing{hint} (there are {there})"


def kind_of(value: Any) -> str:
    """What a value is, without telling it."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (type(None), "nothing"),
        (bool, "true or false"),
        (str, "a text"),
        ((int, float, Decimal), "a number"),
        (Mapping, "a mapping"),
        ((list, tuple), "a list"),
        (bytes, "bytes"),
        (datetime, "a moment without zone"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), f"a {type(value).__name__}")
