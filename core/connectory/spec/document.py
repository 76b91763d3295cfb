"""The language on one page, made from its classes: `python -m connectory.spec.document > docs/language.md`.

Built-in kinds only; what plug-ins add is shown by `connectory schema` and by the plug-ins' own documentation.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from connectory.describe.facts import MEANINGS, STATUS_TABLE
from connectory.plugins import builtin
from connectory.recipes.recipe import Recipe, Target
from connectory.spec import language, words
from connectory.spec.families import NAMING
from connectory.spec.filters import FILTERS
from connectory.spec.keys import keys_of, plugin_slot
from connectory.spec.places import AnswerPath
from connectory.spec.structure import FIELD_CLASSES, SHORT_FORMS
from connectory.spec.typeexpr import MODIFIERS, SCALARS, TypeExpr

_MOMENT: Final = datetime(2026, 5, 20, 18, 25, 43, tzinfo=UTC)
_KINDS: Final[Mapping[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true, false",
    words.Template: "text with `{{ }}`",
    words.Texts: "anything; its texts with `{{ }}`",
    words.Anything: "anything",
    words.Regex: "regular expression",
    words.Duration: "duration: `30s`, `24h`, `30d`",
    words.Size: "size: `4MB`",
    words.CodecName: "[codec](#moments)",
    words.BodyFormat: "format",
    language.AnswerFormat: "format",
    language.StatusText: "status",
    language.Rate: "rate",
    AnswerPath: "[path](#paths)",
}
# What `{{ }}` sees, by what `word(names=...)` says.
_SCOPES: Final[Mapping[str, str]] = {
    "settings": "settings",
    "auth": "settings; after an exchange `token` and `kept.name`",
    "send": "settings",
    "mark": "`since`, `until`, and `given`, the caller's own value",
    "value": "`value`, as it is written on the wire",
}

EXAMPLE: Final = """\
name: acme
settings: {key: {type: secret, required: true, about: API key}}
servers: {production: https://api.acme.example}
auth: {bearer: "{{ key }}"}
limits: {minute: {rate: 100/minute}}
pagers:
  numbered: {use: page_number, page: page, size: per_page, largest: 100, records: items, total_records: total}
operations:
  orders.list: {get: /orders, query: {since: datetime}, pages: numbered, returns: Order}
  orders.create_many: {post: /orders, body: list of Order, batch: {largest: 50}, results: {key: number}}
types:
  Order: {number: str! key, customer: str!, amount: decimal, created: datetime read_only}
"""

_HEAD: Final = f"""\
# The language of a spec

One YAML file describes one vendor's API. This page lists every key of it; it is made from the program's own classes,
so it says what the program takes, no less and no more. In an editor the same is offered while you type
(`connectory schema --write`), and `connectory check` names every fault of a file with line, column and the nearest
right word.

```yaml
{EXAMPLE}```

How to read it:

- A file is keys; each key below belongs to one place. A key that does not belong there is a fault, never ignored.
- *required* keys must be there. Where a default stands, leaving the key out means that.
- A text in YAML means what its place says: `no`, `0478` and `2026-05-20` are texts where a text is expected.
- "or a list": one item may stand where a list does, without brackets.
- "by name": a mapping whose keys you choose. Names of parameters and fields are the vendor's own.
- Only `{{{{ }}}}` computes, and only [where this page says](#computed-texts).
"""


def make_document() -> str:
    """The whole page, in Markdown."""
    parts = [
        _HEAD,
        _contents(),
        *(_section(cls) for cls in _classes(language.Spec)),
        _short_forms(),
        _types(),
        _moments(),
        _chapter("Paths", _PATHS),
        _chapter("Paging", _ENDS),
        _computed(),
        _verbs(),
        _outcomes(),
        _later(),
        _recipes(),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _classes(root: type) -> list[type]:
    """The class and those that it is made of, each behind the one that mentions it first; the small words come last."""
    found: list[type] = []
    _gather(root, found)
    return sorted(found, key=lambda cls: cls.__module__ == words.__name__ and cls not in FIELD_CLASSES)


def _gather(cls: type, found: list[type]) -> None:
    found.append(cls)
    for field in attrs.fields(attrs.resolve_types(cls)):
        for part in _parts(field.metadata.get("filled") or field.type):
            if _is_class(part) and part not in found:
                _gather(part, found)


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind):
        yield from _parts(part)


def _is_class(kind: Any) -> bool:
    ours = (language.__name__, words.__name__, Recipe.__module__)
    return isinstance(kind, type) and attrs.has(kind) and kind.__module__ in ours


def _contents() -> str:
    places = ", ".join(_link(cls.__name__) for cls in _classes(language.Spec))
    return f"Places: {places}.\n\nBesides: {', '.join(map(_link, _OTHERS))}.\n"


def _link(title: str) -> str:
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def _section(cls: type) -> str:
    lines = [f"## {cls.__name__}", "", (cls.__doc__ or "").strip(), "", *_table(cls)]
    slot = plugin_slot(cls)
    kinds = _built_in(slot.metadata["plugin"]) if slot else {}
    for name, kind in kinds.items():
        if keys_of(kind.options):
            lines += ["", f"With `use: {name}`: {kind.options.__doc__}", "", *_table(kind.options)]
    plain = [f"`{name}`" for name, kind in kinds.items() if not keys_of(kind.options)]
    if plain:
        lines += ["", f"Kinds without keys of their own: {', '.join(plain)}."]
    return "\n".join(lines)


def _built_in(table: str) -> Mapping[str, Any]:
    supply: Callable[[], Mapping[str, Any]] = getattr(builtin, f"connectory_{table}", dict)
    return supply()


def _table(cls: type) -> list[str]:
    fields = keys_of(attrs.resolve_types(cls))
    rows = [
        (f"`{key}`", _type_of(field), _default(field), field.metadata.get("about", "")) for key, field in fields.items()
    ]
    return _rows(("key", "what stands there", "default", "meaning"), rows)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]


def _type_of(field: attrs.Attribute[Any]) -> str:
    if section := field.metadata.get("ref"):
        one = f"name from `{section}`"
        return f"{one}, or a list" if get_origin(field.type) is tuple else one
    if filled := field.metadata.get("filled"):
        return f"by name: {_said(filled)}"
    return _said(field.type)


def _said(kind: Any) -> str:
    """A type in words, with a link to its place."""
    origin, inner = get_origin(kind), [part for part in get_args(kind) if part is not NoneType]
    if set(inner) == set(get_args(TypeExpr)):
        return "[type](#types)"
    if origin in (Union, UnionType):
        return " or ".join(_said(part) for part in inner)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in inner)
    if origin is tuple:
        return f"{_said(inner[0])}, or a list"
    if origin is Mapping:
        return f"{'by path' if inner[0] is AnswerPath else 'by name'}: {_said(inner[1])}".replace(
            "name: by", "name and by"
        )
    if kind is Target:
        return "[a destination](#recipes)"
    return _link(kind.__name__) if _is_class(kind) else _KINDS[kind]


def _default(field: attrs.Attribute[Any]) -> str:
    value = field.default
    if value is attrs.NOTHING:
        return "*required*"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, AnswerPath) or type(value) in get_args(TypeExpr):
        return f"`{value}`"
    if isinstance(value, words.Slot):
        return next(f"`{{{key}: {held}}}`" for key, held in attrs.asdict(value).items() if held)
    return str(value) if isinstance(value, str | int | float) and value else ""


def _chapter(title: str, *parts: str | list[str]) -> str:
    """A heading and what stands below it: prose, or the lines of a table."""
    return "\n\n".join(
        [f"## {title}", *("\n".join(part) if isinstance(part, list) else part.strip() for part in parts)]
    )


def _short_forms() -> str:
    rows = [
        (_link(cls.__name__), " and ".join(f"`{name.removesuffix('_')}`" for name in names))
        for cls, names in SHORT_FORMS.items()
    ]
    rows += [(_link(cls.__name__), "a [field expression](#types)") for cls in FIELD_CLASSES]
    said = "A scalar (or list) that stands where a mapping could fills this key of it:"
    return _chapter("Short forms", said, _rows(("in place of", "it fills"), rows))


def _types() -> str:
    rows = [(f"`{name}`", meaning) for name, meaning in SCALARS.items()]
    fields = keys_of(attrs.resolve_types(words.Field))
    marks = [(f"`{name}`", fields[name].metadata["about"]) for name in fields if name in MODIFIERS]
    return _chapter(
        "Types", _rows(("type", "value"), [*rows, *_COMPOSED]), _FIELDS, _rows(("word", "meaning"), marks), _OPEN
    )


def _moments() -> str:
    rows = [(f"`{name}`", f"`{json.dumps(codec.write(_MOMENT))}`") for name, codec in _built_in("codecs").items()]
    said = "A codec says how a moment is written. The same moment in each of them:"
    return _chapter("Moments", said, _rows(("codec", "on the wire"), rows), _PATTERNS)


def _computed() -> str:
    rows = [
        (f"{_link(cls.__name__)}.`{key}`", _SCOPES[field.metadata["names"]])
        for cls in _classes(language.Spec)
        for key, field in keys_of(cls).items()
        if field.metadata.get("names")
    ]
    filters = [(f"`{name}`", _first_line(function)) for name, function in FILTERS.items()]
    naming = [(f"`{name}`", f"{_first_line(function)} In families only.") for name, function in NAMING.items()]
    return _chapter(
        "Computed texts",
        _BRACES,
        _rows(("where", "names there"), rows),
        _FAMILIES,
        _rows(("filter", "what it makes"), [*filters, *naming]),
    )


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0]


def _verbs() -> str:
    verbs = language.STANDARD_VERBS.items()
    rows = [(f"`{verb}`", does, "yes" if repeatable else "no") for verb, (does, repeatable) in verbs]
    return _chapter("Verbs", _VERBS, _rows(("verb", "does", "repeatable"), rows))


def _outcomes() -> str:
    statuses = [(said, f"`{word}`") for said, word in STATUS_TABLE]
    meanings = [(f"`{word}`", meaning) for word, meaning in MEANINGS.items()]
    return _chapter("Outcomes", _RULES, _rows(("status", "is"), statuses), _rows(("word", "what follows"), meanings))


def _later() -> str:
    rows = [(_link(name), ", ".join(f"`{key}`" for key in keys)) for name, keys in language.LATER.items()]
    said = "These keys belong to the language and are refused by name until they are built:"
    return _chapter("Not built yet", said, _rows(("place", "keys"), rows))


def _recipes() -> str:
    parts: list[str | list[str]] = ["A recipe is a file of its own: it reads a list of a connector into a destination."]
    for cls in _classes(Recipe):
        if cls is not Target and cls.__module__ == Recipe.__module__:
            parts += [f"### {cls.__name__}", (cls.__doc__ or "").strip(), _table(cls)]
    for name, kind in _built_in("destinations").items():
        parts += [f"### to: {name}", (kind.options.__doc__ or "").strip(), _table(kind.options)]
    return _chapter("Recipes", *parts)


_OTHERS: Final = (
    *(
        "Short forms",
        "Types",
        "Moments",
        "Paths",
        "Paging",
        "Computed texts",
        "Verbs",
        "Outcomes",
        "Not built yet",
        "Recipes",
    ),
)
_COMPOSED: Final = [
    ("`one of a | b`", "one of these texts"),
    ("`int one of 1 | 2`", "one of these whole numbers"),
    ("`list of T`", "a list"),
    ("`map of T`", "an object with free keys"),
    ("`Name`", "a type of this file's `types`; its name begins with a capital"),
    ("`part of Name`", "the same with nothing required, for changes"),
]
_FIELDS: Final = """
A field is a type and what holds of it: `TYPE[!] [words] [= default]`, as `int`, `str!`, `int64! key read_only` or
`one of open | closed = open`. `!` means required. The words are keys of [Field](#field):
"""
_OPEN: Final = """
The field `"*": any` opens a type for fields that it does not name; answers may always hold more than a type says.
Objects inside objects are types of their own.
"""
_PATTERNS: Final = """
Any other text with `%` in it is a pattern as Python's strptime reads it, in UTC unless it ends in ` %Z`:
`datetime(%Y-%m-%d %H:%M:%S)`. In Python all are datetimes with a zone. `utc` and `utc_naive` read a moment without
zone as UTC; `rfc3339` refuses it.
"""
_PATHS: Final = """
A path leads into a decoded answer: `meta.next`, `rows.0`, `rows.*.id` (each element, or each value of an object),
`"a.b".c` (a name with a dot in it), `.` (the whole body). A condition on a path with `*` holds when any value does.
"""
_ENDS: Final = """
A list ends where `more` does not hold. Without `more`, a cursor or next link that is missing, null or empty ends it;
pages that are counted end at `total_pages`, else when `total_records` have been read, else with a page shorter than
`largest`. A page or cursor that comes again, a path that finds no list, and another number of records than the vendor
said are errors, never the end.
"""
_BRACES: Final = """
`{{ name }}` stands for a value, `{{ name | filter }}` for what a filter makes of it. A text of `send` that names a
setting which is not given is not sent. Any other place refuses `{{ }}`.
"""
_FAMILIES: Final = """
All texts of a family's operations, keys too, may say `{{ family.column }}`: they are filled in for each object before
anything else is read.
"""
_VERBS: Final = """
An operation is named `resource.verb`. These verbs say what a call does and whether it may be sent again after an
unclear failure; any other must say `does` (HTTP's methods do not: a POST may read). What reads is repeatable. What
destroys asks first on a terminal.
"""
_RULES: Final = """
What an answer means: the first rule that holds, the operation's before the vendor's, before this table. A GraphQL
answer with `errors` is rejected, whatever its status.
"""

if __name__ == "__main__":
    sys.stdout.write(make_document())
