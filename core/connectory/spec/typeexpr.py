"""Type and field expressions: `int64! key read_only`, `one of open | closed = open`, `list of Student`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import attrs

from connectory.errors import nearest

SCALARS: Final[Mapping[str, str]] = {
    "str": "text",
    "int": "whole number of any size",
    "byte": "whole number that the vendor calls a byte; vendors send larger ones all the same",
    "int16": "whole number of 16 bits",
    "int32": "whole number of 32 bits",
    "int64": "whole number of 64 bits",
    "float": "number",
    "decimal": 'exact number; `decimal(text)` where it is written as a text, as "19.90"',
    "bool": "true or false",
    "uuid": "UUID, as a text",
    "url": "URL, as a text",
    "date": "day, as 2026-05-20; `date(%d.%m.%Y)` where it is written otherwise",
    "time": "time of day, as 18:25:43",
    "datetime": "moment; `datetime(codec)` says how it is written, the bare word takes `wire.datetime`",
    "bytes": "bytes, in base 64",
    "file": "a file on disk, which is streamed",
    "secret": "text that is kept out of logs, shown URLs and recordings",
    "any": "whatever JSON holds",
}
MAX_LEVELS: Final = 20  # of lists and maps inside each other
MODIFIERS: Final = ["key", "unique", "reference", "nullable", "read_only", "write_only", "deprecated", "personal"]


_MORE: Final = "..."  # at the end of the values: there may be others


@attrs.frozen
class Scalar:
    """A single value; `codec` says how a datetime is written (None: as the vendor's wire says)."""

    name: str
    codec: str | None = None

    def __str__(self) -> str:
        return f"{self.name}({self.codec})" if self.codec else self.name


@attrs.frozen
class OneOf:
    """One of a set of texts or integers; `grows` where the vendor adds to it, so that others are not refused."""

    base: Literal["str", "int"]
    values: tuple[str | int, ...]
    grows: bool = False

    def __str__(self) -> str:
        known = " | ".join([*map(str, self.values), *([_MORE] if self.grows else [])])
        return ("int " if self.base == "int" else "") + f"one of {known}"


@attrs.frozen
class ListOf:
    """A list of one type."""

    item: TypeExpr

    def __str__(self) -> str:
        return f"list of {self.item}"


@attrs.frozen
class MapOf:
    """An object with free keys."""

    value: TypeExpr

    def __str__(self) -> str:
        return f"map of {self.value}"


@attrs.frozen
class Named:
    """A type of this spec; `partial` when nothing of it is required (`part of Student`)."""

    name: str
    partial: bool = False

    def __str__(self) -> str:
        return f"part of {self.name}" if self.partial else self.name


@attrs.frozen
class Either:
    """An object of one of several types, told apart by a field that each declares as `one of` its own values."""

    types: tuple[Named, ...]
    by: str

    def __str__(self) -> str:
        return f"{' or '.join(map(str, self.types))} by {self.by}"


TypeExpr = Scalar | OneOf | ListOf | MapOf | Named | Either
ANY: Final = Scalar("any")
_MOST_KEPT: Final = 2_000  # texts that were read: a spec writes the same of many fields
TEXT: Final = Scalar("str")


@attrs.frozen
class FieldExpression:
    """What one line says of a field."""

    type: TypeExpr
    required: bool
    modifiers: frozenset[str]
    default: str | None


@lru_cache(maxsize=_MOST_KEPT)
def parse_field(text: str) -> FieldExpression:
    """Read `TYPE[!] [modifiers] [= default]`. Raises ValueError in words a spec's author understands."""
    head, default = _split_default(text)
    words = head.split()
    modifiers: set[str] = set()
    while words and words[-1] in MODIFIERS:
        modifiers.add(words.pop())
    head = " ".join(words)
    required = head.endswith("!")
    if required:
        head = head[:-1].rstrip()
    kind = parse_type(head)
    _check_last_value(kind)
    return FieldExpression(kind, required, frozenset(modifiers), default)


def _check_last_value(kind: TypeExpr) -> None:
    """Values may hold spaces, so a misspelt modifier behind them would be read as part of the last one."""
    while isinstance(kind, ListOf | MapOf):
        kind = kind.item if isinstance(kind, ListOf) else kind.value
    last = str(kind.values[-1]).split() if isinstance(kind, OneOf) else []
    close = difflib.get_close_matches(last[-1], MODIFIERS, n=1, cutoff=0.8) if len(last) > 1 else []
    if close:
        raise ValueError(f"unknown word '{last[-1]}' after the values; did you mean '{close[0]}'?")


def _split_default(text: str) -> tuple[str, str | None]:
    head, equals, default = text.partition(" = ")
    return (head, default.strip()) if equals else (text, None)


_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9_]*")
_CODEC = re.compile(r"(\w+)\((.*)\)", re.DOTALL)


def type_pattern() -> str:
    """A regular expression of all types, for editors: it knows no type names and no codecs."""
    coded = r"(?:date|time|datetime)\(.*\)|decimal\(text\)"
    single = rf"{'|'.join(SCALARS)}|{coded}|(?:part of )?{_NAME.pattern}|(?:int )?one of .+"
    either = rf"{_NAME.pattern}(?: or {_NAME.pattern})+ by \S+?"
    return rf"(?:(?:list|map) of )*(?:{single}|{either})"


def field_pattern(modifiers: Iterable[str] = MODIFIERS) -> str:
    """A regular expression of all field expressions that take these modifiers, for editors."""
    words = "|".join(modifiers)
    modified = rf"(?: +(?:{words}))*" if words else ""
    return rf"{type_pattern()} ?!?{modified}(?: = .*)?"


@lru_cache(maxsize=_MOST_KEPT)
def parse_type(text: str, level: int = 0) -> TypeExpr:
    """Read a type. Raises ValueError with the nearest right word."""
    text = text.strip()
    if level > MAX_LEVELS:
        raise ValueError(f"a type of more than {MAX_LEVELS} levels inside each other")
    for prefix, kind in (("list of", ListOf), ("map of", MapOf)):
        if text == prefix or text.startswith(f"{prefix} "):
            return kind(parse_type(text[len(prefix) :], level + 1))
    if text.startswith("part of "):
        return _named(text[len("part of ") :], partial=True)
    if "one of " in text:
        return _parse_one_of(text)
    if " or " in text:
        return _parse_either(text)
    with_codec = _CODEC.fullmatch(text)
    if with_codec:
        name, codec = with_codec.groups()
        if name == "decimal" and codec == "text":
            return Scalar(name, codec)
        if name not in ("datetime", "date", "time"):
            raise ValueError(
                f"only datetime, date and time take a codec in parentheses (and decimal the word text), not '{name}'"
            )
        return Scalar(name, codec)
    if text in SCALARS:
        return Scalar(text)
    return _named(text, partial=False)


def told_apart(either: Either, types: Mapping[str, Mapping[str, Any]]) -> dict[str | int, str]:
    """Value of the field that tells the types apart -> name of the type. `types` are the spec's, by wire field."""
    kinds = {one.name: types[one.name][either.by].type for one in either.types}
    return {value: name for name, kind in kinds.items() for value in kind.values}


def _named(text: str, *, partial: bool) -> Named:
    if _NAME.fullmatch(text):
        return Named(text, partial)
    if not text:
        raise ValueError("a type is missing; write one such as 'str' or 'list of int'")
    first, *rest = text.split()
    if rest and (first.rstrip("!") in SCALARS or _NAME.fullmatch(first.rstrip("!"))):
        word = next((word for word in rest if word not in MODIFIERS), rest[0])
        raise ValueError(f"unknown word '{word}' after the type{nearest(word, MODIFIERS)}")
    raise ValueError(f"unknown type '{text}'{nearest(text, [*SCALARS, 'list of', 'map of', 'one of', 'part of'])}")


def _parse_either(text: str) -> Either:
    names, by, field = text.partition(" by ")
    if not by or not field.strip():
        raise ValueError(f"'{text}': say which field tells them apart, as 'Card or Transfer by kind'")
    types = tuple(_named(name.strip(), partial=False) for name in names.split(" or "))
    if len(set(types)) < len(types):
        raise ValueError(f"'{text}': each type once")
    return Either(types, field.strip())


def _parse_one_of(text: str) -> OneOf:
    before, _, after = text.partition("one of ")
    base = before.strip() or "str"
    values = tuple(value.strip() for value in after.split("|"))
    grows = len(values) > 1 and values[-1] == _MORE
    values = values[:-1] if grows else values
    if any(not value for value in values) or len(set(values)) != len(values):
        raise ValueError(f"'{text}': each value once, joined by '|'")
    if base == "str":
        return OneOf("str", values, grows)
    if base != "int":
        raise ValueError(f"'one of' takes texts, or 'int one of' integers; '{base}' is neither")
    try:
        return OneOf("int", tuple(int(value) for value in values), grows)
    except ValueError:
        raise ValueError(f"'{text}': 'int one of' takes integers only") from None


def named_types(expression: TypeExpr) -> tuple[Named, ...]:
    """Every type of the spec that an expression names."""
    match expression:
        case Named():
            return (expression,)
        case ListOf(item=inner) | MapOf(value=inner):
            return named_types(inner)
        case Either():
            return expression.types
        case _:
            return ()
