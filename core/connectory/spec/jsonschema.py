"""JSON Schema, as in a vendor's OpenAPI document -> types and words of the language, for discovery plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FORMATS = {"uuid": "uuid", "date-time": "datetime", "date": "date", "int64": "int64", "binary": "bytes"}
_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}


def dig(value: Any, *keys: str) -> Any:
    """What stands at a path in JSON; {} where something on the way is missing."""
    for key in keys:
        value = value.get(key, {}) if isinstance(value, Mapping) else {}
    return value


def reference_of(schema: Any) -> str:
    """The name of the schema that this one points to, by itself, as an alternative or as a list's item; else empty."""
    alternatives = dig(schema, "oneOf")
    inner = alternatives[0] if isinstance(alternatives, list) and alternatives else dig(schema, "items")
    path = dig(schema, "$ref") or dig(inner, "$ref")
    return path.rpartition("/")[2] if isinstance(path, str) else ""


def type_of(schema: Any, named: Mapping[frozenset[str], str]) -> str:
    """A type of the language. `named` are the spec's own types by the names of their fields; an object that has the
    fields of none is a map. An enum stays a text: a workspace may add to it at any time."""
    if names := dig(schema, "properties"):
        return named.get(frozenset(names), "map of any")
    if items := dig(schema, "items"):
        return f"list of {type_of(items, named)}"
    kind = dig(schema, "type")
    if kind == "string" or not kind:
        return _FORMATS.get(str(dig(schema, "format")), "str" if kind else "any")
    return _TYPES.get(str(kind), "any")


def words_of(schema: Any) -> str:
    """What a schema says in words: its description, and the values it names. Nothing in it is a template."""
    values = dig(schema, "enum") or dig(schema, "items", "enum")
    named = f"one of {', '.join(map(str, values))}" if values else ""
    description = " ".join(str(dig(schema, "description") or "").split())
    return "; ".join(word for word in (description, named) if word).replace("{{", "{ {")
