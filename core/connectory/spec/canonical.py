"""The whole tree of a spec, with nothing left short: each mapping, list, grant and family written out.

What is printed is a spec itself, and loads to the same value.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, get_args, get_origin

import attrs
import yaml

from connectory.spec import words
from connectory.spec.keys import keys_of, plugin_slot
from connectory.spec.language import Spec, Token
from connectory.spec.places import AnswerPath
from connectory.spec.spots import without_none
from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar
from connectory.spec.yamlfaults import characters_at_fault
from connectory.spec.yamltext import plain_data

# Written even where they are the default: no field is without its type, no file without its version, and a token's body
# has another default where a grant is named.
_ALWAYS: Final = frozenset({(words.Field, "type"), (words.Setting, "type"), (Spec, "connectory"), (Token, "body")})
_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def canonical_tree(spec: Spec) -> dict[str, Any]:
    """The keys of a spec with their values, as YAML data. Families stand there as the operations made of them, and
    without what is noted of the families themselves."""
    assumed, sources = _of_no_family(spec.assumed), _of_no_family(spec.sources)
    tree = _written(attrs.evolve(spec, families={}, assumed=assumed, sources=sources), Spec)
    assert isinstance(tree, dict)
    return tree


def canonical_text(spec: Spec, operation: str | None = None) -> str:
    """The canonical tree as YAML; of one operation its part."""
    tree = canonical_tree(spec)
    part = tree if operation is None else {"operations": {operation: tree["operations"][operation]}}
    text: str = yaml.dump(part, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def _of_no_family(notes: Mapping[str, str]) -> Mapping[str, str]:
    return {place: why for place, why in notes.items() if not place.startswith("families/")}


def _written(value: Any, kind: Any) -> Any:
    kind = without_none(kind)
    if value is None or kind in (words.Anything, words.Texts):
        return value
    if isinstance(value, AnswerPath | Scalar | OneOf | ListOf | MapOf | Named | Either):
        return str(value)
    if attrs.has(type(value)):
        return _keys(value)
    if isinstance(value, Mapping):
        inner = get_args(kind)[1] if get_origin(kind) is Mapping else Any
        return {str(key): _written(held, inner) for key, held in value.items()}
    if isinstance(value, tuple):
        return [_written(held, get_args(kind)[0]) for held in value]
    if kind is words.Duration:
        return _duration(value)
    return f"{value}B" if kind is words.Size else value


def _keys(value: Any) -> dict[str, Any]:
    """What an object of the language says beyond its defaults; a plug-in's options stand beside its own keys."""
    cls: type = type(value)
    attrs.resolve_types(cls)
    said = {}
    for key, field in keys_of(cls).items():
        held = getattr(value, field.name)
        default: Any = field.default
        usual = default.factory() if hasattr(default, "factory") else default
        if held != usual or (cls, key) in _ALWAYS:
            said[key] = _written(held, field.type)
    slot = plugin_slot(cls)
    options = getattr(value, slot.name) if slot else None
    return {**said, **_keys(options)} if options is not None else said


def _duration(seconds: float) -> str:
    exact = Fraction(str(seconds))
    unit = next((unit for unit, size in _UNITS.items() if exact and not exact % size), "s")
    return f"{Decimal(str(seconds)) / _UNITS[unit]:f}{unit}" if unit == "s" else f"{exact / _UNITS[unit]}{unit}"


class _Dumper(yaml.SafeDumper):
    """Writes texts so that a spec's own reading of YAML, which is 1.2, finds texts; and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None if plain_data(text) == text else "'"
    style = '"' if any(characters_at_fault(text)) else style
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=style)


_Dumper.add_multi_representer(str, _text)
_Dumper.add_representer(str, _text)
