"""The small parts of descriptions: numbers, durations, fields and conditions in plain words, and aligned columns."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from connectory.spec.typeexpr import ListOf, MapOf, OneOf, Scalar
from connectory.spec.words import Conditions, Field, Place, Slot, Test

WIDTH = 100  # of the text; help() and terminals show it whole
FIRST, INNER, LAST = 46, 30, 36  # widest of the first column and of inner ones, narrowest of the last
_UNITS = ((604800.0, "week"), (86400.0, "day"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_SPELT = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}


def columns(rows: Iterable[Sequence[str]], indent: int = 2) -> list[str]:
    """Lines in which the columns stand below each other; long cells are wrapped, the last takes the room left."""
    table = [tuple(row) for row in rows]
    if not table:
        return []
    cells = [[wrap(cell, INNER if at else FIRST) or [""] for at, cell in enumerate(row[:-1])] for row in table]
    widths = [max(len(line) for row in cells for line in row[at]) for at in range(len(table[0]) - 1)]
    room = max(LAST, WIDTH - indent - sum(widths) - 2 * len(widths))
    lines: list[str] = []
    for row, start in zip(table, cells, strict=True):
        for parts in zip_longest(*start, wrap(row[-1], room), fillvalue=""):
            line = "".join(part.ljust(width) + "  " for part, width in zip(parts, widths, strict=False)) + parts[-1]
            lines.append((" " * indent + line).rstrip())
    return lines


def wrap(text: str, width: int = WIDTH) -> list[str]:
    """Lines of at most `width`; no word is broken."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def paragraph(text: str, indent: int = 2) -> list[str]:
    """A text in lines, all indented."""
    return [" " * indent + line for line in wrap(text, WIDTH - indent)]


def duration(seconds: float) -> str:
    """`24 h`, `90 s`, `0.62 s`, `2 days`: in the largest unit that leaves no fraction."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0 and not (unit == "day" and seconds == size):
            count = int(seconds / size)
            plural = "s" if count != 1 and unit in ("day", "week") else ""
            return f"{count} {unit}{plural}"
    return f"{seconds:g} s"


def rate(text: str) -> str:
    """`5000/day` as `5,000 a day`, `100/10s` as `100 in 10 s`."""
    found = re.fullmatch(r"\s*([\d_]+)\s*/\s*(\d*)\s*([a-z]+)\s*", text)
    if not found:
        return text
    count, every, unit = found.groups()
    if every:
        return f"{int(count):,} in {every} {unit}"
    return f"{int(count):,} a {_SPELT.get(unit, unit)}"


def said(value: Any) -> str:
    """A value as a user would write it: texts bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def joined(parts: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    *first, end = list(parts) or [""]
    return f"{', '.join(first)} {last} {end}" if first else end


def field_type(field: Field) -> str:
    """The type, with what it is to the record."""
    words = ("key", "unique", "nullable", "read_only", "write_only", "deprecated")
    marks = [word for word in words if getattr(field, word)]
    return " ".join([str(field.type) + ("!" if field.required else ""), *marks])


def field_notes(field: Field) -> str:
    """What else there is to know of a field or parameter, as one sentence of parts."""
    parts = [field.about] if field.about else []
    if field.labels and isinstance(field.type, OneOf):
        parts.append(", ".join(f"{value} {field.labels.get(str(value), '')}".strip() for value in field.type.values))
    if field.default is not None:
        parts.append(f"default {said(field.default)}")
    if field.pattern is not None:
        parts.append(f"must match {field.pattern}")
    parts += _bounds(field)
    if field.after:
        parts.append(f"must come after {field.after}")
    if field.rises_with:
        parts.append(f"warns when it falls for one {field.rises_with}")
    if field.personal:
        parts.append("personal")
    if field.example is not None:
        parts.append(f"e.g. {said(field.example)}")
    return "; ".join(parts)


def _bounds(field: Field) -> list[str]:
    match field.type:
        case Scalar(name="str"):
            unit = "character"
        case ListOf() | MapOf():
            unit = "item"
        case _:
            unit = ""
    least, most = field.least, field.most
    if least is None:
        return [] if most is None else [f"at most {_counted(most, unit)}"]
    if most is None:
        return [f"at least {_counted(least, unit)}"]
    return [f"from {least:,g} to {_counted(most, unit)}"]


def _counted(number: float, unit: str) -> str:
    return f"{number:,g} {unit}{'' if number == 1 else 's'}" if unit else f"{number:,g}"


def conditions(held: Conditions) -> str:
    """`pageInfo.hasNextPage is true and count is above 0`."""
    return " and ".join(f"{path} {condition(test)}" for path, test in held.items())


def condition(test: Test) -> str:
    """What a value must be."""
    parts = []
    if test.in_ is not None:
        parts.append(f"is {joined(map(said, test.in_), 'or')}")
    if test.not_in is not None:
        parts.append(f"is not {joined(map(said, test.not_in), 'or')}")
    if test.matches is not None:
        parts.append(f"matches {test.matches}")
    if test.exists is not None:
        parts.append("is there" if test.exists else "is not there")
    if test.above is not None:
        parts.append(f"is above {test.above:g}")
    return " and ".join(parts)


def place(where: Place) -> str:
    """Where in an answer: `header Retry-After`, `meta.total`."""
    if where.header is not None:
        return f"header {where.header}"
    if where.link is not None:
        return f"the Link header's '{where.link}'"
    return joined([str(path) if str(path) != "." else "the whole body" for path in where.body], "or")


def slot(where: Slot) -> str:
    """Where in a request: `query page`, `header X-Page`."""
    spots = (("query", "query"), ("headers", "header"), ("fields", "body field"), ("variables", "variable"))
    return next((f"{word} {name}" for spot, word in spots if (name := getattr(where, spot))), "")
