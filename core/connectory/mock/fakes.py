"""Records made up from declared types: the same ones in every run, and plausible to look at."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from connectory.mock.patterns import text_like
from connectory.plugins.kinds import Codec
from connectory.spec.naming import snake
from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar, TypeExpr
from connectory.spec.words import Field
from connectory.values.codecs import find_codec

DEEPEST: Final = 3  # objects inside objects
_SPACE: Final = uuid.UUID("6d6f636b-0000-4000-8000-000000000000")
_BEGIN: Final = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

_FIRST: Final = "Ada Grace Alan Edsger Barbara Donald Margaret Dennis Radia Tim Frances Ken Lynn Niklaus Karen John"
_LAST: Final = "Lovelace Hopper Turing Dijkstra Liskov Knuth Hamilton Ritchie Perlman Lee Allen Thompson Conway Wirth"
_FIRMS: Final = "Globex Initech Umbrella Hooli Stark Wayne Tyrell Cyberdyne Soylent Wonka"
_CITIES: Final = "Utrecht Lisbon Denver Kyoto Nairobi Bergen Quito Perth Ghent Split"
_WORDS: Final = "amber birch cedar dawn ember flint grove harbor island juniper"


def _pick(words: str | Sequence[str], number: int) -> str:
    words = words.split() if isinstance(words, str) else words
    return words[number % len(words)]


def _first(number: int) -> str:
    return _pick(_FIRST, number)


def _last(number: int) -> str:
    return _pick(_LAST, number * 5)


def _mail(number: int) -> str:
    return f"{_first(number)}.{_last(number)}.{number}@example.com".lower()


# What a field's name says of its text: the first pattern found in its snake-case name.
_BY_NAME: Final[Sequence[tuple[str, Callable[[int], str]]]] = (
    (r"e_?mail", _mail),
    (r"first_?name|given_?name", _first),
    (r"last_?name|surname|family_?name", _last),
    (r"middle_?name", lambda n: f"{_first(n + 3)[0]}."),
    (r"(full|user|display|contact|manager|owner|advisor|creator|lead)_?name", lambda n: f"{_first(n)} {_last(n)}"),
    (r"calling_?code", lambda n: _pick("+31 +351 +1 +81", n)),
    (r"country", lambda n: _pick("NL PT US JP", n)),
    (r"phone|fax|mobile", lambda n: f"+1 555 01{n % 100:02d}"),
    (r"label", lambda n: f"{_pick(_WORDS, n).capitalize()} {n + 1}"),
    (r"linkedin|url|website|link|homepage|domain", lambda n: f"https://example.com/{_pick(_WORDS, n)}-{n}"),
    (r"company|employer|organi[sz]ation|firm", lambda n: _pick(_FIRMS, n)),
    (r"city|town|place|location", lambda n: _pick(_CITIES, n)),
    (r"street|address", lambda n: f"{n + 1} Example Street"),
    (r"post_?code|zip", lambda n: f"{10000 + n}"),
    (r"currency", lambda n: _pick("EUR USD GBP", n)),
    (r"language|locale", lambda n: _pick("en nl pt", n)),
    (r"job_?title|position|role", lambda n: _pick("Engineer Editor Analyst Teacher", n)),
    (r"title|name|subject", lambda n: f"{_pick(_WORDS, n).capitalize()} {n + 1}"),
    (r"text|description|about|note|comment|body|markdown", lambda n: f"A few words about {_pick(_WORDS, n)}"),
)
# Fields whose name says that the vendor knows them apart by it; and moments that mean that a record is gone.
_APART: Final = re.compile(r"(^|_)(id|key|number|code|isbn|ref|slug|uuid)$")
_NOT_APART: Final = re.compile(r"country|phone|fax|calling|currency|post|zip")
_GONE: Final = re.compile(r"(^|_)(delet|remov|archiv|cancel)\w*(_|$)")
_YEAR: Final = re.compile(r"(^|_)years?(_id)?s?$")


class Fakes:
    """Values of one spec's types. `datetime` is the codec of the bare word."""

    def __init__(self, types: Mapping[str, Mapping[str, Field]], datetime: str, codecs: Mapping[str, Codec]) -> None:
        self._types = types
        self._datetime = datetime
        self._codecs = codecs

    def record(self, name: str, number: int, depth: int = 0) -> dict[str, Any]:
        """Record `number` (from 0) of a type, with every field that answers hold."""
        fields = {wire: field for wire, field in self._types[name].items() if wire != "*" and not field.write_only}
        made = {wire: self.field(f"{name}.{wire}", field, number, depth) for wire, field in fields.items()}
        return {wire: value for wire, value in made.items() if value is not None or fields[wire].required}

    def field(self, name: str, field: Field, number: int, depth: int = 0) -> Any:
        """A value of one field, within its bounds."""
        if field.pattern is not None:
            return text_like(field.pattern, number)
        if field.example is not None and not (field.key or field.unique):
            return field.example
        if field.type == Scalar("datetime") and not field.required and _GONE.search(snake(name.rpartition(".")[2])):
            return None
        later = 1 if field.after else 0
        value = self.value(field.type, name, number, depth, later)
        return _within_bounds(value, field)

    def value(self, kind: TypeExpr, name: str, number: int, depth: int = 0, later: int = 0) -> Any:
        """A value of a type, as it stands on the wire. None where a type goes on and on."""
        match kind:
            case Scalar(name="datetime", codec=codec):
                moment = _BEGIN + timedelta(hours=number * 7 + later)
                return find_codec(codec or self._datetime, self._codecs).write(moment)
            case Scalar(name="decimal", codec="text"):
                return f"{number}.25"
            case Scalar(name=word):
                return _scalar(word, name, number)
            case OneOf(values=values):
                return values[number % len(values)]
            case ListOf(item=item):
                made = [self.value(item, name, number + n, depth + 1) for n in range(1 + number % 2)]
                return [value for value in made if value is not None]
            case MapOf(value=held):
                made_one = self.value(held, name, number, depth + 1)
                return {} if made_one is None else {_pick(_WORDS, number): made_one}
            case Either(types=types):
                return self.value(types[number % len(types)], name, number // len(types), depth)
            case Named(name=type_name):
                return None if depth >= DEEPEST else self.record(type_name, number, depth + 1)


def _day(number: int) -> datetime:
    return _BEGIN + timedelta(days=number)


_SCALARS: Final[Mapping[str, Callable[[str, int], Any]]] = {
    "str": lambda name, number: text_named(name, number),
    "secret": lambda _, number: f"made-up-{number}",
    "uuid": lambda name, number: str(uuid.uuid5(_SPACE, f"{name} {number}")),
    "url": lambda _, number: f"https://example.com/{_pick(_WORDS, number)}-{number}",
    "date": lambda _, number: _day(number).date().isoformat(),
    "time": lambda _, number: (_BEGIN + timedelta(minutes=number)).time().isoformat(),
    "bool": lambda _, number: number % 3 != 1,
    "float": lambda _, number: number + 0.5,
    "decimal": lambda _, number: number + 0.25,
    "byte": lambda _, number: number % 120 + 1,
    "int16": lambda _, number: number % 30000 + 1,
    "bytes": lambda _, number: base64.b64encode(f"bytes {number}".encode()).decode(),
    "any": lambda _, __: None,
    "file": lambda _, __: None,
}


def _scalar(word: str, name: str, number: int) -> Any:
    make = _SCALARS.get(word)
    if make is not None and word not in ("byte", "int16"):
        return make(name, number)
    if word != "byte" and _YEAR.search(snake(name.rpartition(".")[2])):
        return 2018 + number % 9
    return 1001 + number if make is None else make(name, number)


@lru_cache(maxsize=2000)
def _maker(field: str) -> Callable[[int], str] | None:
    """What makes texts for a field of this name; None where they tell records apart."""
    if _APART.search(field) and not _NOT_APART.search(field):
        return None
    return next((make for pattern, make in _BY_NAME if re.search(pattern, field)), lambda n: _pick(_WORDS, n))


def text_named(name: str, number: int) -> str:
    """A text for a field: what its name promises, else a word; unlike that of other numbers where it identifies."""
    field = snake(name.rpartition(".")[2])
    make = _maker(field)
    return f"{field.removesuffix('_id')[:12]}-{number + 1:04d}" if make is None else make(number)


def _within_bounds(value: Any, field: Field) -> Any:
    least, most = field.least, field.most
    if isinstance(value, int | float) and not isinstance(value, bool):
        if least is not None and value < least:
            value = type(value)(least)
        if most is not None and value > most:
            span = int(most - (least or 0)) + 1
            value = type(value)((least or 0) + value % span)
        return value
    if isinstance(value, str | list):
        if most is not None and len(value) > most:
            value = value[: int(most)]
        if least is not None and value and len(value) < least:
            value = (value * (int(least) // len(value) + 1))[: int(least)]
    return value
