"""What a failed structuring says, in words for the author of a file, each with the path in the tree."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, get_args, get_origin

import attrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)

from connectory.errors import nearest
from connectory.spec import language, words
from connectory.spec.keys import key_of, keys_of

Path = tuple[str | int, ...]
UnknownKey = Callable[[str, type, Iterable[str]], str]  # key, class that has it not, keys that may stand beside
Problem = tuple[Path, str, bool]  # path in the tree, what is wrong, whether the key itself is meant


class AtKey(ValueError):
    """The key itself is wrong, not what stands behind it."""


def unknown_key(extra: str, cls: type, others: Iterable[str]) -> str:
    """What is said of a key that a class of the spec language has not; `others` are keys that may stand beside its."""
    known = [*keys_of(cls), *others]
    places = _places_of(extra)
    if places and not difflib.get_close_matches(extra, known, cutoff=0.75):
        return f"unknown key '{extra}' here; it belongs in {places}"
    return f"unknown key '{extra}'{nearest(extra, known)}"


def problems_of(error: BaseException, unknown: UnknownKey = unknown_key) -> list[Problem]:
    """Everything that a failed structuring says, with the path in the tree; a misspelt key is not missing besides.

    `unknown` says what is told of a key that is not known where it stands.
    """
    problems = list(_problems_of(error, (), unknown))
    meant = {(*path[:-1], found[1]) for path, message, _ in problems if (found := _MEANT.search(message))}
    return [(path, message, at_key) for path, message, at_key in problems if _missing(path, message) not in meant]


_MEANT: Final = re.compile(r"^unknown key '.*'; did you mean '(.+)'\?$", re.DOTALL)
_MISSING: Final = re.compile(r"^'(.+)' is missing$", re.DOTALL)


def _missing(path: Path, message: str) -> Path | None:
    found = _MISSING.match(message)
    return (*path, found[1]) if found else None


def _problems_of(error: BaseException, path: Path, unknown: UnknownKey) -> Iterator[Problem]:
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            here = (*path, *_step_of(inner))
            for where, message, at_key in _problems_of(inner, here, unknown):
                message = _by_name(error, here, message)
                yield where, message, at_key or (where == here and _is_about_key(inner))
    elif isinstance(error, ForbiddenExtraKeysError):
        for extra in sorted(map(str, error.extra_fields)):
            yield (*path, extra), unknown(extra, error.cl, getattr(error, "others", ())), True
    elif isinstance(error, KeyError) and path and not isinstance(error.args[0], Mapping):
        yield path[:-1], f"'{path[-1]}' is missing", False
    else:
        yield path, str(error), isinstance(error, AtKey)


def _by_name(error: BaseValidationError, path: Path, message: str) -> str:
    """Where the name of something of the file is expected and the thing itself stands: that it belongs elsewhere."""
    fields = keys_of(error.cl) if attrs.has(error.cl) and path else {}
    section = fields[str(path[-1])].metadata.get("ref") if path and path[-1] in fields else ""
    if not section or message != "expected a text, found a mapping":
        return message
    there = "describe it there, under a name, and name it here"
    return f"expected a name from the file's '{section}', found a mapping: {there}"


def _step_of(error: BaseException) -> Path:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (key_of(note.name),)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


def _is_about_key(error: BaseException) -> bool:
    """Whether a free key of a mapping could not be read (a path, say), rather than its value."""
    notes = (note for note in getattr(error, "__notes__", ()) if isinstance(note, IterableValidationNote))
    return any("mapping key" in note for note in notes)


def _places_of(key: str) -> str:
    """Where a key may stand, as `limits/NAME`; nothing where it may stand in many places."""
    owners = [place for cls, place in _places().items() if key in keys_of(cls)]
    return " or ".join(owners) if len(owners) <= 3 else ""


@cache
def _places() -> Mapping[type, str]:
    """Each class of the language in words: the shortest way there from the top of a file, or what it is where it stands
    all over."""
    found: dict[type, str] = {language.Spec: ""}
    waiting: list[type] = [language.Spec]
    while waiting:
        cls = waiting.pop(0)
        for key, field in keys_of(attrs.resolve_types(cls)).items():
            inner, names = _inner(field.metadata.get("filled") or field.type)
            names += field.metadata.get("filled") is not None
            if inner is not None and inner not in found:
                found[inner] = "/".join(filter(None, [found[cls], key, *["NAME"] * names]))
                waiting.append(inner)
    ways = {cls: f"'{way}'" if way else "the top of the file" for cls, way in found.items()}
    return ways | {cls: _first_words(cls) for cls in _ALL_OVER}


_ALL_OVER: Final = (words.Place, words.Slot, words.Test, words.Field)


def _first_words(cls: type) -> str:
    """`a place in an answer`: how the documentation of a class begins."""
    text = re.split(r"[;,.]", cls.__doc__ or "")[0]
    return f"{text[0].lower()}{text[1:]}"


def _inner(kind: Any) -> tuple[type | None, int]:
    """The class in a type, and how many names lead to it (`limits/NAME`)."""
    if isinstance(kind, type) and attrs.has(kind) and kind.__module__ in (language.__name__, words.__name__):
        return kind, 0
    for part in reversed(get_args(kind)):
        inner, names = _inner(part)
        if inner is not None:
            return inner, names + (get_origin(kind) is Mapping)
    return None, 0
