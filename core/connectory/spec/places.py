"""Paths into a decoded answer: `a.b`, `rows.0`, `rows.*.id`, `"a.b".c`, `.` for the body itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import attrs

from connectory.lines import Lines


class _Missing:
    """What a path finds when nothing is there; null is something else."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()
EVERY: Final = "*"

_STEP: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."]+)')
_POSITION: Final = re.compile(r"0|[1-9][0-9]{0,8}")  # 0478 is a name: as a position it would be another text
PATH: Final = re.compile(rf"\.|(?:{_STEP.pattern})(?:\.(?:{_STEP.pattern}))*")  # every path, for editors


@attrs.frozen
class AnswerPath:
    """A parsed path. `steps` holds names, list positions and `*` (each element, or each value of an object)."""

    text: str
    steps: tuple[str | int, ...] = attrs.field(eq=False)

    @property
    def many(self) -> bool:
        """Whether it may find several values."""
        return EVERY in self.steps

    def find(self, value: Any) -> Any:
        """The first value there, or MISSING."""
        if not self.many:
            return _walk(value, self.steps)
        return next(self.each(value), MISSING)

    def each(self, value: Any) -> Iterator[Any]:
        """Every value there; nothing when the path leads nowhere."""
        return _each(value, self.steps)

    def __str__(self) -> str:
        return self.text


def parse_path(text: str) -> AnswerPath:
    """Read a path. Raises ValueError with what is wrong, in words a spec's author understands."""
    if text == ".":
        return AnswerPath(text, ())
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if not found:
            raise ValueError(f"'{text}' is no path into an answer: write names joined by dots, as 'meta.next'")
        quoted, bare = found.groups()
        if quoted is not None:
            steps.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            steps.append(int(bare) if _POSITION.fullmatch(bare) else bare)
        at = found.end()
        if at < len(text):
            if text[at] != "." or at + 1 == len(text):
                raise ValueError(f"'{text}' is no path into an answer: a dot stands between two names")
            at += 1
    if not steps:
        raise ValueError("an empty path; '.' is the whole answer")
    return AnswerPath(text, tuple(steps))


def _step(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(str(step), MISSING)
    if isinstance(step, int) and isinstance(value, list | Lines) and step < len(value):
        return value[step]
    return MISSING


def _walk(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        value = _step(value, step)
        if value is MISSING:
            return MISSING
    return value


def _each(value: Any, steps: tuple[str | int, ...]) -> Iterator[Any]:
    for number, step in enumerate(steps):
        if step == EVERY:
            inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | Lines) else ()
            for item in inner:
                yield from _each(item, steps[number + 1 :])
            return
        value = _step(value, step)
        if value is MISSING:
            return
    yield value
