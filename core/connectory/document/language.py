"""The language of specs on one page, made from its classes.

Built-in kinds only; what plug-ins add is shown by `connectory schema` and by the plug-ins' own documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import attrs

from connectory.describe.facts import MEANINGS, STATUS_TABLE
from connectory.document.markdown import built_in, chapter, classes, first_line, link, section, tabulate
from connectory.spec import language, words
from connectory.spec.families import NAMING
from connectory.spec.filters import FILTERS
from connectory.spec.keys import keys_of
from connectory.spec.structure import FIELD_CLASSES, SHORT_FORMS
from connectory.spec.typeexpr import MODIFIERS, SCALARS

_MOMENT: Final = datetime(2026, 5, 20, 18, 25, 43, tzinfo=UTC)
# What `{{ }}` sees, by what `word(names=...)` says.
_SCOPES: Final[Mapping[str, str]] = {
    "settings": "settings",
    "auth": "settings; after an exchange `token` and `kept.name`",
    "send": "settings",
    "mark": "`since`, `until`, and `given`, the caller's own value",
    "value": "`value`, as it is written on the wire",
    "costs": "the operation's parameters as they go to the vendor, the page-size parameter, settings",
    "flow": "the flow's parameters, settings, and what earlier steps kept",
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
right word. `connectory show VENDOR --canonical` prints a spec with everything written out that it leaves short, and
`connectory fmt` writes it in the order of this page and in its shortest form.

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


def make_language_page() -> str:
    """The whole page, in Markdown."""
    parts = [
        _HEAD,
        _contents(),
        *(section(cls) for cls in classes(language.Spec)),
        _short_forms(),
        _types(),
        _moments(),
        chapter("Paths", _PATHS),
        chapter("Paging", _ENDS),
        _computed(),
        _verbs(),
        _outcomes(),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _contents() -> str:
    places = ", ".join(link(cls.__name__) for cls in classes(language.Spec))
    return f"Places: {places}.\n\nBesides: {', '.join(map(link, _OTHERS))}.\n"


def _short_forms() -> str:
    rows = [
        (link(cls.__name__), " and ".join(f"`{name.removesuffix('_')}`" for name in names))
        for cls, names in SHORT_FORMS.items()
    ]
    rows += [(link(cls.__name__), "a [field expression](#types)") for cls in FIELD_CLASSES]
    said = "A scalar (or list) that stands where a mapping could fills this key of it:"
    return chapter("Short forms", said, tabulate(("in place of", "it fills"), rows))


def _types() -> str:
    rows = [(f"`{name}`", meaning) for name, meaning in SCALARS.items()]
    fields = keys_of(attrs.resolve_types(words.Field))
    marks = [(f"`{name}`", fields[name].metadata["about"]) for name in fields if name in MODIFIERS]
    return chapter(
        "Types", tabulate(("type", "value"), [*rows, *_COMPOSED]), _FIELDS, tabulate(("word", "meaning"), marks), _OPEN
    )


def _moments() -> str:
    rows = [(f"`{name}`", f"`{json.dumps(codec.write(_MOMENT))}`") for name, codec in built_in("codecs").items()]
    said = "A codec says how a moment is written. The same moment in each of them:"
    return chapter("Moments", said, tabulate(("codec", "on the wire"), rows), _PATTERNS)


def _computed() -> str:
    rows = [
        (f"{link(cls.__name__)}.`{key}`", _SCOPES[field.metadata["names"]])
        for cls in classes(language.Spec)
        for key, field in keys_of(cls).items()
        if field.metadata.get("names")
    ]
    filters = [(f"`{name}`", first_line(function)) for name, function in FILTERS.items()]
    naming = [(f"`{name}`", f"{first_line(function)} In families only.") for name, function in NAMING.items()]
    return chapter(
        "Computed texts",
        _BRACES,
        tabulate(("where", "names there"), rows),
        _FAMILIES,
        tabulate(("filter", "what it makes"), [*filters, *naming]),
    )


def _verbs() -> str:
    verbs = language.STANDARD_VERBS.items()
    rows = [(f"`{verb}`", does, "yes" if repeatable else "no") for verb, (does, repeatable) in verbs]
    return chapter("Verbs", _VERBS, tabulate(("verb", "does", "repeatable"), rows))


def _outcomes() -> str:
    statuses = [(said, f"`{word}`") for said, word in STATUS_TABLE]
    meanings = [(f"`{word}`", meaning) for word, meaning in MEANINGS.items()]
    return chapter(
        "Outcomes", _RULES, tabulate(("status", "is"), statuses), tabulate(("word", "what follows"), meanings)
    )


_OTHERS: Final = (
    *("Short forms", "Types", "Moments", "Paths", "Paging"),
    *("Computed texts", "Verbs", "Outcomes"),
)
_COMPOSED: Final = [
    ("`one of a | b`", "one of these texts"),
    ("`int one of 1 | 2`", "one of these whole numbers"),
    ("`one of a | b | ...`", "the same, and the vendor adds to them: others are sent and taken, with a warning"),
    ("`list of T`", "a list"),
    ("`map of T`", "an object with free keys"),
    ("`Name`", "a type of this file's `types`; its name begins with a capital"),
    ("`A or B by kind`", "an object of one of these types; each declares the field `kind` as `one of` its own values"),
    ("`part of Name`", "the same with nothing required, for changes"),
]
_FIELDS: Final = """
A field is a type and what holds of it: `TYPE[!] [words] [= default]`, as `int`, `str!`, `int64! key read_only` or
`one of open | closed = open`. `!` means required. What is not given is not sent; a null is sent in place of a field
that is not required or is `nullable` (of a body's `fields`: that is `nullable`). A value of an answer that is not
among those of its `one of` is kept, and told once. The words are keys of [Field](#field):
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
