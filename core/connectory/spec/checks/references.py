"""Words that name something else in the same file: operations, pagers, limits, types, settings, servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from connectory.errors import nearest
from connectory.plugins.registry import Registry
from connectory.spec.checks.walking import walk, words_at
from connectory.spec.language import Spec
from connectory.spec.structure import Path, Problem, key_of
from connectory.spec.typeexpr import ListOf, MapOf, Named, OneOf, Scalar, named_types
from connectory.spec.words import Field, Setting
from connectory.values.codecs import find_codec

_TYPE_CLASSES = (Scalar, OneOf, ListOf, MapOf, Named)


def check(spec: Spec, registry: Registry) -> Iterator[Problem]:
    """Every reference that leads nowhere, with the nearest right word."""
    for path, value in walk(spec):
        for field in attrs.fields(type(value)):
            held = getattr(value, field.name)
            here = (*path, key_of(field.name))
            if field.metadata.get("ref"):
                yield from _named(spec, field.metadata["ref"], held, here)
            if isinstance(held, _TYPE_CLASSES):
                yield from _types(spec, registry, held, here if not isinstance(value, Field | Setting) else path)
    yield from _notes(spec)
    for name, mapping in (("type", spec.types),):
        for key, fields in mapping.items():
            yield from _fields(name, key, fields)


def _named(spec: Spec, section: str, held: Any, path: Path) -> Iterator[Problem]:
    known: Mapping[str, Any] = getattr(spec, section)
    for place, word in words_at(held, path):
        if word not in known:
            yield place, f"no {section.removesuffix('s')} '{word}'{nearest(word, known)}", False


def _types(spec: Spec, registry: Registry, expression: Any, path: Path) -> Iterator[Problem]:
    for named in named_types(expression):
        if named.name not in spec.types:
            yield path, f"no type '{named.name}'{nearest(named.name, spec.types)}", False
    inner = expression
    while isinstance(inner, ListOf | MapOf):
        inner = inner.item if isinstance(inner, ListOf) else inner.value
    if isinstance(inner, Scalar) and inner.name == "datetime" and inner.codec:
        yield from check_codec(registry, inner.codec, path)


def check_codec(registry: Registry, codec: str, path: Path) -> Iterator[Problem]:
    """The problem with a codec's name or pattern, if any."""
    try:
        find_codec(codec, registry.codecs)
    except ValueError as why:
        yield path, str(why), False


def _fields(_: str, name: str, fields: Mapping[str, Field]) -> Iterator[Problem]:
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
                yield (section, place), f"'{place}' is no place of this spec: nothing at '{missing}'{nearest(missing, known)}", True


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
    if attrs.has(type(value)):
        children = {key_of(f.name): getattr(value, f.name) for f in attrs.fields(type(value)) if "plugin" not in f.metadata}
        plugin = next((f.name for f in attrs.fields(type(value)) if "plugin" in f.metadata), None)
        options = getattr(value, plugin) if plugin else None
        if options is not None:
            children |= {key_of(f.name): getattr(options, f.name) for f in attrs.fields(type(options))}
        children = {key: held for key, held in children.items() if held not in (None, (), {})}
    elif isinstance(value, Mapping):
        children = {str(key): held for key, held in value.items()}
    elif isinstance(value, tuple | list):
        if len(value) == 1 and not rest.partition("/")[0].isdecimal():
            return _step(value[0], rest)  # one item may stand where a list does
        children = {str(number): held for number, held in enumerate(value)}
    else:
        children = {}
    fitting = [key for key in children if rest == key or rest.startswith(f"{key}/")]
    best = max(fitting, key=len, default=None)
    return best, children.get(best) if best is not None else None, list(children)


