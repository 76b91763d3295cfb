"""What one text of a spec may be changed into: another word of its kind, a number off by one, a letter too many."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from connectory.plugins.registry import Registry
from connectory.spec import language, words
from connectory.spec.places import AnswerPath
from connectory.spec.spots import Spot
from connectory.spec.structure import FIELD_CLASSES
from connectory.spec.typeexpr import MODIFIERS, TypeExpr
from connectory.spec.yamltext import Text, plain_data

Names = Sequence[str]  # what may stand in `{{ }}` instead of what does

_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_CHUNK: Final = re.compile(r"\{\{.*?\}\}|\{\w+\}", re.DOTALL)
_NAME: Final = re.compile(r"(?<=\{\{ )[\w.]+")
_FILTER: Final = re.compile(r" \| \w+")
_WORD: Final = re.compile(r"\w+")
_MOST_WORDS: Final = 6  # of a long text are changed, evenly spread
# A type, and what a careless author would write for it.
_OTHER_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int", "byte", "int16", "int32", "int64", "float", "decimal", "bool", "date", "time"), "str"),
    **dict.fromkeys(("datetime", "uuid", "url", "any", "file", "secret", "bytes"), "str"),
    "str": "int",
}
_TELLING: Final = frozenset({"personal", "deprecated"})


def rewordings(registry: Registry, spot: Spot, names: Names) -> Iterator[str]:
    """Every other text for a scalar that names nothing else of its file."""
    for kinds, change in _CHANGES:
        if spot.kind in kinds:
            yield from change(registry, spot.text, names)
            return
    if set(get_args(spot.kind)) - {NoneType} == set(get_args(TypeExpr)):
        yield from other_types(spot.text)
    elif get_origin(spot.kind) is Literal:
        yield from beside(spot.text, get_args(spot.kind))
    elif spot.place == "Operation.document":
        yield from other_words(spot.text)
    else:
        yield from other_texts(spot.text, names)


def beside(word: str, known: Iterable[object]) -> Iterator[str]:
    """The words before and behind this one, in a ring."""
    ring = list(map(str, known))
    if word in ring and len(ring) > 1:
        at = ring.index(word)
        yield from dict.fromkeys((ring[(at + 1) % len(ring)], ring[at - 1]))


def off_by_one(text: str) -> Iterator[str]:
    """The number one more and one less, in its last digit: `0.62s` to `0.63s`."""
    found = _NUMBER.search(text)
    if found:
        places = len(found[1] or ".") - 1
        for step in (1, -1):
            number = int(found[0].replace(".", "")) + step
            if number >= 0:
                written = f"{number / 10**places:.{places}f}"
                yield text[: found.start()] + written + text[found.end() :]


def other_types(text: str) -> Iterator[str]:
    """A field expression without its `!`, each of its words or its default, and with another type."""
    head, equals, default = text.partition(" = ")
    if equals:
        yield head
        yield from (f"{head} = {other}" for other in other_values(default))
    rest = equals + default
    parts = head.split(" ")
    while parts and parts[-1] in MODIFIERS:
        if parts[-1] not in _TELLING:
            yield head.replace(f" {parts[-1]}", "") + rest
        parts.pop()
    kind = " ".join(parts)
    modifiers = head[len(kind) :]
    bare = kind.removesuffix("!")
    needed = kind[len(bare) :]
    if needed:
        yield bare + modifiers + rest
    yield from (other + needed + modifiers + rest for other in _kinds_for(bare))


def _kinds_for(kind: str) -> Iterator[str]:
    before, choice, values = kind.partition("one of ")
    if choice:
        known = [value.strip() for value in values.split("|")]
        if len(known) > 1:
            yield from (before + choice + " | ".join(known[:n] + known[n + 1 :]) for n in range(len(known)))
    elif kind.startswith(("list of ", "map of ", "part of ")):
        yield kind.split(" of ", 1)[1]
    elif "(" in kind:
        yield kind.partition("(")[0]
    else:
        yield _OTHER_TYPES.get(kind, "str")


def other_values(text: str) -> Iterator[str]:
    """Another value of the same kind: a number off by one, the other of true and false, a letter too many."""
    value = plain_data(text)
    if isinstance(value, bool):
        yield "false" if value else "true"
    elif isinstance(value, int | float):
        yield from off_by_one(text)
    else:
        yield f"{text}x"


def other_paths(text: str, names: Names) -> Iterator[str]:
    """Each step of a path into an answer misspelt, and the path without its last step."""
    if text == ".":
        yield "data"
        return
    chunks = _CHUNK.findall(text)
    steps = _CHUNK.sub("\0", text).split(".")
    for number, step in enumerate(steps):
        wrong = "0" if step == "*" else "1" if step == "0" else f'{step[:-1]}x"' if step.endswith('"') else f"{step}x"
        yield _filled(".".join([*steps[:number], wrong, *steps[number + 1 :]]), chunks)
    if len(steps) > 1:
        yield _filled(".".join(steps[:-1]), chunks)
    yield from _other_expressions(text, names)


def _filled(text: str, chunks: Iterable[str]) -> str:
    waiting = iter(chunks)
    return re.sub("\0", lambda _: next(waiting), text)


def other_addresses(text: str, names: Names) -> Iterator[str]:
    """Each segment misspelt or missing, and the slash at the end there or not."""
    start = text.find("//") + 2 if "//" in text else 0
    segments = text[start:].split("/")
    for number, segment in enumerate(segments):
        if segment and _CHUNK.sub("", segment):
            yield text[:start] + "/".join([*segments[:number], f"{segment}x", *segments[number + 1 :]])
        if segment and number:
            yield text[:start] + "/".join([*segments[:number], *segments[number + 1 :]])
    if start == 0:
        yield text[:-1] if text.endswith("/") else f"{text}/"
    yield from _other_expressions(text, names)


def other_texts(text: str, names: Names) -> Iterator[str]:
    """A letter too many, and other names or no filters in what is computed."""
    yield f"{text}x"
    yield from _other_expressions(text, names)


def _other_expressions(text: str, names: Names) -> Iterator[str]:
    for found in _NAME.finditer(text):
        yield from (text[: found.start()] + name + text[found.end() :] for name in beside(found[0], names))
    for chunk in _CHUNK.finditer(text):
        for found in _FILTER.finditer(text, chunk.start(), chunk.end()):
            yield text[: found.start()] + text[found.end() :]


def other_words(text: str) -> Iterator[str]:
    """Some words of a long text misspelt, evenly spread; what is computed in it is left."""
    computed = [chunk.span() for chunk in re.finditer(r"\{\{.*?\}\}", text)]
    plain = [word for word in _WORD.finditer(text) if not any(a <= word.start() < b for a, b in computed)]
    wanted = min(len(plain), _MOST_WORDS)
    for number in range(wanted):
        end = plain[number * len(plain) // wanted].end()
        yield f"{text[:end]}x{text[end:]}"


def _anything(_: Registry, text: str, names: Names) -> Iterator[str]:
    if isinstance(text, Text) and text.plain and not isinstance(plain_data(text), str):
        yield from other_values(text)
    elif len(text.split()) > 1 and "{{" not in text:
        yield from other_words(text)
    else:
        yield from other_texts(text, names)


def _formats(known: Callable[[Registry], Iterable[str]]) -> Callable[[Registry, str, Names], Iterator[str]]:
    def change(registry: Registry, text: str, names: Names) -> Iterator[str]:
        yield from beside(text, known(registry)) if "{{" not in text and "%" not in text else other_texts(text, names)

    return change


_CHANGES: Final[Sequence[tuple[tuple[Any, ...], Callable[[Registry, str, Names], Iterator[str]]]]] = (
    (FIELD_CLASSES, lambda _, text, __: other_types(text)),
    ((bool,), lambda _, text, __: other_values(text)),
    ((int, float, words.Duration, words.Size, language.Rate, words.Lifetime), lambda _, text, __: off_by_one(text)),
    (
        (language.StatusText,),
        lambda _, text, __: iter([_NUMBER.sub(lambda found: str(int(found[0]) + 1), text, count=1)]),
    ),
    ((words.CodecName,), _formats(lambda registry: registry.codecs)),
    ((words.BodyFormat,), _formats(lambda registry: (*words.BODY_FORMATS, *registry.formats))),
    ((language.AnswerFormat,), _formats(lambda registry: registry.formats)),
    ((words.Anything, words.Texts, words.Test, Any), _anything),
    ((AnswerPath, words.Place, words.Records, words.Match), lambda _, text, names: other_paths(text, names)),
)
