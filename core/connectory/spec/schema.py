"""JSON Schemas of spec and recipe files, for editors: made from the classes that the loader builds.

Draft 7, which the YAML language server of most editors reads best. A scalar of a spec is a text until the place where
it stands reads it, so where a text is expected a number or `true` may stand too.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from connectory.limits.budgets import RATE
from connectory.outcomes import STATUSES
from connectory.plugins.registry import Registry
from connectory.recipes.recipe import SOURCES, Recipe, Source, Target, target_kinds
from connectory.spec import language, words
from connectory.spec.keys import keys_of, plugin_slot
from connectory.spec.places import PATH, AnswerPath
from connectory.spec.structure import FIELD_CLASSES, SHORT_FORMS
from connectory.spec.typeexpr import MODIFIERS, TypeExpr, field_pattern, type_pattern

Schema = dict[str, Any]

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_TEXT: Final = ["string", "number", "boolean", "null"]
_FILLED_IN: Final = r"\{\{"  # a family's text, which is read once the family's words stand in it


def make_schema(registry: Registry) -> Schema:
    """The schema of a spec file, with the options of every plug-in of the registry."""
    made = _Definitions(registry)
    return {
        "$schema": _DRAFT,
        "title": "Connectory: one vendor's API",
        **_complete_without("extends", made.closed(language.Spec)),  # the packaged spec has the rest
        "definitions": made.definitions,
    }


def make_recipe_schema(registry: Registry) -> Schema:
    """The schema of a recipe file, with every kind of destination of the registry."""
    made = _Definitions(registry)
    recipe = made.closed(Recipe)
    return {"$schema": _DRAFT, "title": "Connectory: a recipe", **recipe, "definitions": made.definitions}


class _Definitions:
    """Collects the schema of each class that is met. With `filled_in`, texts may be templates of a family."""

    def __init__(
        self, registry: Registry, definitions: dict[str, Schema] | None = None, *, filled_in: bool = False
    ) -> None:
        self.definitions: dict[str, Schema] = {} if definitions is None else definitions
        self._registry = registry
        self._filled_in = filled_in

    def of(self, kind: Any) -> Schema:
        """The schema of one type, as annotations of the language have them."""
        origin, inner = get_origin(kind), [part for part in get_args(kind) if part is not NoneType]
        if set(inner) == set(get_args(TypeExpr)):
            return self._text(type_pattern(), "a type, as str, list of int, one of a | b, or a type of this file")
        if origin in (Union, UnionType):
            return self.of(inner[0]) if len(inner) == 1 else {"anyOf": [self.of(part) for part in inner]}
        if origin is Literal:
            return self._either({"enum": list(inner)})
        if origin is tuple:
            item = self.of(inner[0])
            return item and _by_type("array", {"items": item}, item)
        if origin is Mapping:
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        if isinstance(kind, type) and attrs.has(kind) and kind is not AnswerPath:
            return self._reference(kind)
        return self._scalar(kind)

    def closed(self, cls: type, beside: Mapping[str, attrs.Attribute[Any]] | None = None) -> Schema:
        """A class as a mapping that takes its own keys and no other; `beside` are the keys of a plug-in's options."""
        attrs.resolve_types(cls)
        keys = {**keys_of(cls), **(beside or {})}
        schema: Schema = {"type": "object", "additionalProperties": False}
        if cls.__doc__:
            schema["description"] = cls.__doc__
        schema["properties"] = {key: self._property(field) for key, field in keys.items()}
        needed = [key for key, field in keys.items() if field.default is attrs.NOTHING]
        return {**schema, "required": needed} if needed else schema

    def _property(self, field: attrs.Attribute[Any]) -> Schema:
        filled = field.metadata.get("filled")
        if filled is None:
            schema = self.of(field.type)
        else:
            inner = _Definitions(self._registry, self.definitions, filled_in=True)
            schema = {"type": "object", "additionalProperties": inner.of(filled)}
        about, section = field.metadata.get("about", ""), field.metadata.get("ref")
        said = f"{about} (of this file's {section})" if section else about
        default = _written(field.default)
        return {
            **schema,
            **({"description": said} if said else {}),
            **({} if default is None else {"default": default}),
        }

    def _reference(self, cls: type) -> Schema:
        name = f"{'Family' if self._filled_in else ''}{cls.__name__}"
        if name not in self.definitions:
            self.definitions[name] = {}  # a class may hold itself
            self.definitions[name] = self._definition(cls, name)
        return {"$ref": f"#/definitions/{name}"}

    def _definition(self, cls: type, name: str) -> Schema:
        if cls is Source:
            return self._kinds_by_key(cls, SOURCES)
        if cls is Target:
            return self._kinds_by_key(cls, target_kinds(self._registry))
        mapping = self._mapping(cls, name)
        short = self._short_form(cls)
        return mapping if short is None else {"description": cls.__doc__, **_by_type("object", mapping, short)}

    def _short_form(self, cls: type) -> Schema | None:
        """What may stand in place of the mapping."""
        if cls in FIELD_CLASSES:
            known = [word for word in MODIFIERS if word in keys_of(cls)]
            return self._text(field_pattern(known), "a type and what holds of it, as str! or int = 60; or a mapping")
        names = SHORT_FORMS.get(cls)
        if names is None:
            return None
        field = getattr(attrs.fields(attrs.resolve_types(cls)), names[0])
        if slot := plugin_slot(cls):
            return self._either(_one_of(sorted(getattr(self._registry, slot.metadata["plugin"]))))
        return self.of(field.type)

    def _mapping(self, cls: type, name: str) -> Schema:
        slot = plugin_slot(cls)
        if slot is None:
            closed = self.closed(cls)
            return _complete_without("grant", closed) if cls is language.Token else closed
        kinds: Mapping[str, Any] = getattr(self._registry, slot.metadata["plugin"])
        if not kinds:
            return self._variant(cls, None, kinds)
        usual = keys_of(cls)["use"].default
        variants = []
        for word, kind in kinds.items():
            self.definitions[f"{name}.{word}"] = self._variant(cls, kind.options, kinds)
            chosen: Schema = {"type": "object", "properties": {"use": {"const": word}}}
            variants.append(_when(chosen if word == usual else {**chosen, "required": ["use"]}, f"{name}.{word}"))
        if usual is attrs.NOTHING:
            return self._chosen_first(cls, kinds, variants)
        if usual not in kinds:
            self.definitions[f"{name}.plain"] = self._variant(cls, None, kinds)
            named: Schema = {"required": ["use"], "properties": {"use": {"enum": sorted(kinds)}}}
            variants.append(_when({"type": "object", "not": named}, f"{name}.plain"))
        return {"type": "object", "allOf": variants}

    def _chosen_first(self, cls: type, kinds: Mapping[str, Any], variants: list[Schema]) -> Schema:
        """A class that is nothing without `use`: until it is there, an editor offers no other key, yet knows them."""
        use = self._use(cls, kinds)
        keys = {key for kind in kinds.values() for key in keys_of(kind.options)} | keys_of(cls).keys()
        known = {key: {"doNotSuggest": True} for key in sorted(keys)} | {"use": use}
        unchosen = {"type": "object", "not": {"required": ["use"]}}
        closed = {"additionalProperties": False, "properties": known}
        by_kind = [*variants, {"if": unchosen, "then": closed}]
        return {"type": "object", "required": ["use"], "properties": {"use": use}, "allOf": by_kind}

    def _variant(self, cls: type, options: type | None, kinds: Mapping[str, Any]) -> Schema:
        schema = self.closed(cls, keys_of(attrs.resolve_types(options)) if options else None)
        about = _first_line(options) if options else ""
        if not kinds:
            del schema["properties"]["use"]
            return schema
        schema["properties"]["use"] = self._use(cls, kinds)
        return {**schema, "description": f"{cls.__doc__} {about}".strip()}

    def _use(self, cls: type, kinds: Mapping[str, Any]) -> Schema:
        abouts = [_first_line(kind.options) for kind in kinds.values()]
        named = self._either({**_one_of(list(kinds)), "enumDescriptions": abouts})
        return {**named, "description": keys_of(cls)["use"].metadata["about"]}

    def _kinds_by_key(self, cls: type, kinds: Mapping[str, Any]) -> Schema:
        """Where a recipe's rows come from or go: the key that names a kind says which other keys there are."""
        for word, kind in kinds.items():
            self.definitions[f"{cls.__name__}.{word}"] = self.closed(attrs.resolve_types(kind.options))
        variants = [_when({"required": [word]}, f"{cls.__name__}.{word}") for word in kinds]
        offered = {word: {"description": kind.about or kind.options.__doc__ or ""} for word, kind in kinds.items()}
        one: list[Schema] = [{"required": [word]} for word in kinds]
        return {"type": "object", "description": cls.__doc__, "properties": offered, "anyOf": one, "allOf": variants}

    def _scalar(self, kind: Any) -> Schema:
        if kind in (bool, int, float):
            return self._either({"type": {bool: "boolean", int: "integer", float: "number"}[kind]})
        if kind is words.CodecName:
            return {
                "anyOf": [{"enum": sorted(self._registry.codecs)}, {"type": "string", "pattern": "%|" + _FILLED_IN}]
            }
        if kind in (words.BodyFormat, language.AnswerFormat):
            own = words.BODY_FORMATS if kind is words.BodyFormat else ()
            known = {"enum": sorted({*own, *self._registry.formats})}
            return {"anyOf": [known, {"type": "string", "pattern": _FILLED_IN}]}
        if kind is language.StatusText:
            text = self._text(STATUSES.pattern, "a status, as 404, 5xx or 400-499")
            return _by_type("integer", {"minimum": 100, "maximum": 599}, text)
        if kind is AnswerPath:  # a bare number is a place in a list
            path = self._text(PATH.pattern, "a path into the answer, as rows, meta.next, rows.*.id or .")
            return {**path, "type": ["string", "integer"]}
        if kind in _PATTERNS:
            return self._text(*_PATTERNS[kind])
        return {"type": _TEXT} if kind in _TEXTS else {}

    def _text(self, pattern: str, expected: str) -> Schema:
        whole = f"^(?:{pattern})$"
        known = f"{whole}|{_FILLED_IN}" if self._filled_in else whole
        return {"type": "string", "pattern": known, "patternErrorMessage": f"expected {expected}"}

    def _either(self, schema: Schema) -> Schema:
        """The schema; in a family also a text with a template in it."""
        if not self._filled_in:
            return schema
        return {"anyOf": [schema, {"type": "string", "pattern": _FILLED_IN}]}


_TEXTS: Final = (str, words.Template, words.Regex)
_PATTERNS: Final[Mapping[Any, tuple[str, str]]] = {
    words.Duration: (words.DURATION.pattern, "a duration, as 30s, 24h or 0.62s"),
    words.Size: (words.SIZE.pattern, "a size, as 4MB"),
    language.Rate: (RATE.pattern, "a rate, as 5000/day, 100/10s or 2/second"),
}


def _first_line(options: type) -> str:
    """What a kind's options class says of the kind; nothing where it has no options."""
    return (options.__doc__ or "").partition("\n")[0] if keys_of(options) else ""


def _one_of(known: list[str]) -> Schema:
    return {"enum": known} if known else {"type": "string"}


def _by_type(kind: str, then: Schema, otherwise: Schema) -> Schema:
    """One schema for this type and one for every other: unlike with anyOf, an editor knows which one is meant."""
    return {"if": {"type": kind}, "then": then, "else": otherwise}


def _complete_without(key: str, schema: Schema) -> Schema:
    """A mapping that needs its keys only where this one, which stands for them, is not there."""
    needed = schema["required"]
    rest = {name: held for name, held in schema.items() if name != "required"}
    return {**rest, "if": {"required": [key]}, "else": {"required": needed}}


def _when(condition: Schema, definition: str) -> Schema:
    return {"if": condition, "then": {"$ref": f"#/definitions/{definition}"}}


def _written(default: Any) -> str | int | float | bool | None:
    """A default as a spec would say it; None where there is nothing to say."""
    if isinstance(default, AnswerPath) or type(default) in get_args(TypeExpr):
        return str(default)
    if isinstance(default, bool | int) or (isinstance(default, str | float) and default):
        return default
    return None
