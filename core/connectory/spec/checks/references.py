"""Words that name something else in the same file: operations, pagers, limits, types, settings, servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from connectory.errors import nearest
from connectory.plugins.registry import Registry
from connectory.spec.checks.walking import shape_of, words_at
from connectory.spec.keys import key_of, plugin_slot
from connectory.spec.language import Spec
from connectory.spec.problems import Path, Problem
from connectory.spec.typeexpr import Either, ListOf, MapOf, OneOf, Scalar, TypeExpr, named_types
from connectory.spec.words import Field
from connectory.values.codecs import find_codec


def check(spec: Spec, registry: Registry, nodes: Sequence[tuple[Path, Any]]) -> Iterator[Problem]:
    """Every reference that leads nowhere, with the nearest right word."""
    for path, value in nodes:
        shape = shape_of(type(value))
        for name, section in shape.references:
            if held := getattr(value, name):
                yield from _named(spec, section, held, (*path, key_of(name)))
        for name in shape.types:
            if held := getattr(value, name):
                yield from _types(spec, registry, held, (*path, key_of(name)))
    yield from _notes(spec)
    for name, fields in spec.types.items():
        yield from _fields(name, fields)


def _named(spec: Spec, section: str, held: Any, path: Path) -> Iterator[Problem]:
    known: Mapping[str, Any] = getattr(spec, section)
    for place, word in words_at(held, path):
        if word not in known:
            yield place, f"no {section.removesuffix('s')} '{word}'{nearest(word, known)}", False


def _types(spec: Spec, registry: Registry, expression: TypeExpr, path: Path) -> Iterator[Problem]:
    for named in named_types(expression):
        if named.name not in spec.types:
            yield path, f"no type '{named.name}'{nearest(named.name, spec.types)}", False
    inner = expression
    while isinstance(inner, ListOf | MapOf):
        inner = inner.item if isinstance(inner, ListOf) else inner.value
    if isinstance(inner, Either) and all(one.name in spec.types for one in inner.types):
        yield from _told_apart(spec, inner, path)
    if isinstance(inner, Scalar) and inner.codec is not None and inner.name != "decimal":
        try:
            find_codec(inner.codec, registry.codecs)
        except ValueError as why:
            yield path, str(why), False


def _told_apart(spec: Spec, either: Either, path: Path) -> Iterator[Problem]:
    """Each type must say by which values of the field it is known, and no two by the same."""
    known: dict[str | int, str] = {}
    for one in either.types:
        fields = spec.types[one.name]
        field = fields.get(either.by)
        if field is None or not isinstance(field.type, OneOf):
            hint = nearest(either.by, fields) if field is None else f"; it is {field.type}"
            said = f"{one.name} does not say which values of '{either.by}' make it one"
            yield path, f"{said}: {either.by}: one of ...{hint}", False
            continue
        for value in field.type.values:
            if value in known:
                yield path, f"{known[value]} and {one.name} are both told by {either.by}: {value}", False
            known[value] = one.name


def _fields(name: str, fields: Mapping[str, Field]) -> Iterator[Problem]:
    if not name[:1].isupper():
        yield ("types", name), f"a type's name begins with a capital: '{name[:1].upper()}{name[1:]}'", True
    for wire, field in fields.items():
        for attribute in ("after", "rises_with"):
            other = getattr(field, attribute)
            if other is not None and other not in fields:
                yield ("types", name, wire, attribute), f"{name} has no field '{other}'{nearest(other, fields)}", False
    if sum(field.reference for field in fields.values()) > 1:
        yield ("types", name), "only one field may be the reference", False


def _notes(spec: Spec) -> Iterator[Problem]:
    """`assumed` and `sources` name places of the spec; each must be there."""
    for section in ("assumed", "sources"):
        for place in getattr(spec, section):
            found, missing, known = _resolve(spec, place)
            if not found:
                message = f"'{place}' is no place of this spec: nothing at '{missing}'{nearest(missing, known)}"
                yield (section, place), message, True


def _resolve(spec: Spec, place: str) -> tuple[bool, str, list[str]]:
    value: Any = spec
    rest = place
    while rest:
        step, value, known = _step(value, rest)
        if step is None:
            return False, rest.partition("/")[0], known
        rest = rest[len(step) :].removeprefix("/")
    return True, "", []


def _step(value: Any, rest: str) -> tuple[str | None, Any, list[str]]:
    """The first step of `rest` that leads somewhere: names may hold slashes themselves, so the longest wins."""
    if isinstance(value, tuple | list) and len(value) == 1 and not rest.partition("/")[0].isdecimal():
        return _step(value[0], rest)  # one item may stand where a list does
    children = _children(value)
    fitting = [key for key in children if rest == key or rest.startswith(f"{key}/")]
    best = max(fitting, key=len, default=None)
    return best, children.get(best) if best is not None else None, list(children)


def _children(value: Any) -> dict[str, Any]:
    """What stands in a value, by the step that leads there; what was left at its default does not."""
    if isinstance(value, Mapping):
        return {str(key): held for key, held in value.items()}
    if isinstance(value, tuple | list):
        return {str(number): held for number, held in enumerate(value)}
    if not attrs.has(type(value)):
        return {}
    slot = plugin_slot(type(value))
    found = _children(getattr(value, slot.name)) if slot else {}
    for field in attrs.fields(type(value)):
        held = getattr(value, field.name)
        if "plugin" not in field.metadata and held not in (None, (), {}):
            found[key_of(field.name)] = held
    return found
