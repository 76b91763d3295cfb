"""What a failed structuring says, in words for the author of a file, each with the path in the tree."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

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
    name = cls.__name__
    if extra in language.LATER.get(name, ()):
        return f"'{extra}' is not built yet"
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
                yield where, message, at_key or (where == here and _is_about_key(inner))
    elif isinstance(error, ForbiddenExtraKeysError):
        for extra in sorted(map(str, error.extra_fields)):
            yield (*path, extra), unknown(extra, error.cl, getattr(error, "others", ())), True
    elif isinstance(error, KeyError) and path and not isinstance(error.args[0], Mapping):
        yield path[:-1], f"'{path[-1]}' is missing", False
    else:
        yield path, str(error), isinstance(error, AtKey)


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
    owners = [
        cls.__name__.lower()
        for cls in [*vars(language).values(), *vars(words).values()]
        if isinstance(cls, type) and attrs.has(cls) and key in keys_of(cls)
    ]
    unique = sorted(set(owners))
    return " or ".join(f"'{owner}'" for owner in unique) if len(unique) <= 3 else ""
