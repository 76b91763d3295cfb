"""Walks through a spec's values, saying where in the file each one stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

import attrs

from connectory.spec.keys import key_of
from connectory.spec.places import AnswerPath
from connectory.spec.problems import Path
from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar, TypeExpr
from connectory.spec.words import Anything, Texts

_LEAVES: Final = frozenset({AnswerPath, Either, ListOf, MapOf, Named, OneOf, Scalar, Anything, Texts})


@attrs.frozen
class Shape:
    """What a walk and the checks look at in a class: names of attributes, found once.

    `inner` may hold further values of the language, `references` name something else of the file (attribute,
    section), `templates` may hold `{{ }}` (attribute, what it sees), `fixed` are texts and paths that may not, and
    `types` are type expressions.
    """

    inner: tuple[tuple[str, Path], ...]
    references: tuple[tuple[str, str], ...]
    templates: tuple[tuple[str, str], ...]
    fixed: tuple[str, ...]
    types: tuple[str, ...]


_SHAPES: Final[dict[type, Shape]] = {}


def shape_of(cls: type) -> Shape:
    """The shape of a class of the language, or of a plug-in's options."""
    if cls not in _SHAPES:
        _SHAPES[cls] = _make_shape(cls)
    return _SHAPES[cls]


def _make_shape(cls: type) -> Shape:
    fields = attrs.fields(attrs.resolve_types(cls))
    said = [(f.name, f.metadata.get("ref"), f.metadata.get("names")) for f in fields]
    return Shape(
        inner=tuple((f.name, () if "plugin" in f.metadata else (key_of(f.name),)) for f in fields if _may_hold(f)),
        references=tuple((name, section) for name, section, _ in said if section),
        templates=tuple((name, scope) for name, _, scope in said if scope),
        fixed=tuple(f.name for f in fields if _is_fixed(f)),
        types=tuple(f.name for f in fields if set(get_args(TypeExpr)) & set(_parts(f.type))),
    )


def _parts(kind: Any) -> Iterator[Any]:
    """A type and everything it is made of."""
    yield kind
    for part in get_args(kind):
        yield from _parts(part)


def _may_hold(field: attrs.Attribute[Any]) -> bool:
    parts = set(_parts(field.type)) - _LEAVES
    return "plugin" in field.metadata or any(isinstance(part, type) and attrs.has(part) for part in parts)


def _is_fixed(field: attrs.Attribute[Any]) -> bool:
    parts = set(_parts(field.type))
    may_hold = field.metadata.get("names") or field.metadata.get("filled")
    return not may_hold and (str in parts or AnswerPath in parts)


def walk(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Every attrs value below `value`, itself included, with its path; what is empty is not looked into."""
    found: list[tuple[Path, Any]] = []
    _collect(value, path, found)
    return found


def _collect(value: Any, path: Path, found: list[tuple[Path, Any]]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(item, (*path, str(key)), found)
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            _collect(item, (*path, number), found)
    elif attrs.has(cls := type(value)):
        found.append((path, value))
        for name, step in shape_of(cls).inner:
            held: Any = getattr(value, name)
            if held:
                _collect(held, (*path, *step), found)


def words_at(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts of one attribute: itself, its items or its values, at any depth."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, AnswerPath):
        yield path, value.text
    elif isinstance(value, Mapping):
        for key, held in value.items():
            yield from words_at(held, (*path, str(key)))
    elif isinstance(value, tuple | list):
        for number, held in enumerate(value):
            yield from words_at(held, (*path, number))
