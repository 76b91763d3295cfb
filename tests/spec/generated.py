"""Specs made up from the vocabulary itself: mostly right, often wrong, in all its places."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs
from hypothesis import strategies as st

from connectory.plugins.registry import Registry
from connectory.spec import language, words
from connectory.spec.keys import keys_of, plugin_slot
from connectory.spec.places import AnswerPath
from connectory.spec.structure import FIELD_CLASSES, SHORT_FORMS
from connectory.spec.typeexpr import TypeExpr

Draw = Any  # hypothesis's own function

# Few names, so that references often hit.
NAMES = ("a.list", "a.get", "b.create", "id", "Id", "k", "Thing", "Other", "p", "l", "production", "year", "object")
TEXTS = (
    *NAMES,
    "/a",
    "/a/{id}",
    "https://a.example",
    "{{ k }}",
    "{{ token }}",
    "{{ kept.id }}",
    "{{ since }}",
    "{{ value }}",
    "{{ object.plural }}",
    "{{ k | upper }}",
    "{{ k",
    "{% k %}",
    "",
    "x",
    "true",
    "1",
    "0478",
    "~",
    "query($id: Int) { a }",
    "\u0000",
    "é\u2028",
    "'\"",
)
TYPE_TEXTS = (
    "int",
    "str!",
    "Thing",
    "list of Thing",
    "part of Thing!",
    "map of any",
    "one of x | y = x",
    "datetime(utc)",
)
# The first two of each are right; numbers and bools are written without quotes.
SCALARS: Mapping[Any, tuple[Any, ...]] = {
    bool: (True, False, "yes"),
    int: (1, 500, 0, -1, "x", 10**30),
    float: (1, 0.5, float("inf"), "x"),
    words.Regex: ("[a-z]+", "^(a", "a{9999999999}", "(a+)+$"),
    words.Duration: ("30s", "24h", "x", "9" * 400 + "d"),
    words.Size: ("4MB", "1 B", "x", "9" * 400 + "GB"),
    words.CodecName: ("utc", "unix", "%Y", "%", "%Q", "%Y %Y", "x"),
    words.BodyFormat: ("json", "form", "{{ k }}", "x"),
    language.AnswerFormat: ("json", "text", "x"),
    language.StatusText: ("404", "5xx", "400-499", "499-400", "x"),
    language.Rate: ("5000/day", "2/second", "1.5/s", "9" * 400 + "/s", "1/" + "9" * 400 + "s", "0/day", "x"),
    AnswerPath: ("a.b", ".", "rows.*.id", "0", '"a.b"', "a..b", "9" * 5000, "x"),
}
ANYTHING = st.recursive(
    st.sampled_from(TEXTS) | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def specs(draw: Draw, registry: Registry) -> dict[str, Any]:
    """A spec as data; some load, some do not. Half of them have each key and scalar right by itself."""
    made: dict[str, Any] = draw(_mapping_of(registry, language.Spec, draw(st.booleans())))
    made["name"] = "acme"
    made["servers"] = {"production": draw(st.sampled_from(["https://a.example", "{{ k }}"]))}
    for key in ("extends", "connectory"):
        made.pop(key, None)
    return made


@st.composite
def values(draw: Draw, registry: Registry, kind: Any, careful: bool) -> Any:
    """Something for a place of this type; one in sixteen is of another, unless `careful`."""
    if not careful and draw(st.integers(0, 15)) == 0:
        return draw(ANYTHING)
    origin, inner = get_origin(kind), [part for part in get_args(kind) if part is not NoneType]
    if set(inner) == set(get_args(TypeExpr)):
        return draw(st.sampled_from(TYPE_TEXTS))
    if origin in (Union, UnionType):
        return draw(values(registry, inner[0], careful))
    if origin is Literal:
        return draw(st.sampled_from(inner))
    if origin is tuple:
        some = st.lists(values(registry, inner[0], careful), max_size=3)
        return draw(some | values(registry, inner[0], careful))
    if origin is Mapping:
        return draw(st.dictionaries(st.sampled_from(NAMES), values(registry, inner[1], careful), max_size=3))
    if isinstance(kind, type) and attrs.has(kind) and kind is not AnswerPath:
        return draw(_instance_of(registry, kind, careful))
    if kind in (words.Anything, words.Texts):
        return draw(ANYTHING)
    known = SCALARS.get(kind, TEXTS)
    return draw(st.sampled_from(known[:2] if careful and known is not TEXTS else known))


@st.composite
def _instance_of(draw: Draw, registry: Registry, cls: type, careful: bool) -> Any:
    if cls in FIELD_CLASSES and draw(st.booleans()):
        return draw(st.sampled_from(TYPE_TEXTS))
    if cls in SHORT_FORMS and draw(st.booleans()):
        name = SHORT_FORMS[cls][0]
        return draw(values(registry, getattr(attrs.fields(attrs.resolve_types(cls)), name).type, careful))
    return draw(_mapping_of(registry, cls, careful))


@st.composite
def _mapping_of(draw: Draw, registry: Registry, cls: type, careful: bool) -> dict[str, Any]:
    fields = dict(keys_of(attrs.resolve_types(cls)))
    slot = plugin_slot(cls)
    made: dict[str, Any] = {}
    if slot is not None:
        kinds = getattr(registry, slot.metadata["plugin"])
        needed = fields["use"].default is attrs.NOTHING
        if kinds and ((needed and careful) or draw(st.booleans())):
            made["use"] = draw(st.sampled_from([*kinds] if careful else [*kinds, "x"]))
            chosen = kinds.get(made["use"])
            fields |= keys_of(attrs.resolve_types(chosen.options)) if chosen else {}
    required = [key for key, field in fields.items() if field.default is attrs.NOTHING and key not in made]
    others = [key for key in fields if key not in required and key not in made]
    keys = required + draw(st.lists(st.sampled_from(others), max_size=5, unique=True)) if others else required
    if cls is language.Rule and "use" not in made and careful:
        keys = [*(key for key in keys if key not in ("is", "status")), "is", "status"]
    if cls is language.Operation:
        keys = [draw(st.sampled_from(language.METHODS)), *(key for key in keys if key not in language.METHODS)]
    for key in keys:
        filled = fields[key].metadata.get("filled")
        if filled:
            made[key] = draw(
                st.dictionaries(st.sampled_from(["list", "get", "x"]), values(registry, filled, careful), max_size=2)
            )
        else:
            made[key] = draw(values(registry, fields[key].type, careful))
    if not careful and draw(st.integers(0, 31)) == 0:
        made[draw(st.sampled_from(["x", "steps", "nme", "options", "use", ""]))] = draw(ANYTHING)
    return made
