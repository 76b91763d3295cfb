"""The small words of the spec language: fields, settings, places, slots, conditions.

A class here and in `language.py` is at once what the loader builds, what the JSON Schema and the documentation are
made from, and what the engine reads. An attribute that ends in `_` is the key without it (`in_` is `in`). They have
no `repr` of their own, since every start would compile one for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final, Literal, NewType

import attrs

from connectory.spec.places import AnswerPath
from connectory.spec.typeexpr import ANY, TEXT, TypeExpr

# Texts with a grammar of their own. The loader parses or checks each where it stands.
Template = NewType("Template", str)  # may hold {{ }}
Regex = NewType("Regex", str)
Duration = NewType("Duration", float)  # seconds; written 30s, 24h, 30d
Size = NewType("Size", int)  # bytes; written 4MB
CodecName = NewType("CodecName", str)  # rfc3339, unix, a strptime pattern ...
Anything = NewType("Anything", object)  # YAML's own reading (1.2)
Texts = NewType("Texts", object)  # Anything, whose texts may hold {{ }} at any depth

ListStyle = Literal["repeat", "comma", "pipe", "space", "brackets", "indexed", "json"]
ObjectStyle = Literal["brackets", "dots", "json"]
BoolStyle = Literal["true_false", "one_zero"]
BodyFormat = NewType("BodyFormat", str)  # one of BODY_FORMATS, a plug-in's format, or {{ a setting }}
BODY_FORMATS: Final = ("json", "form", "query", "multipart")  # how fields are written; formats write a whole body


def word(
    about: str, default: Any = attrs.NOTHING, *, ref: str = "", names: str = "", filled: type | None = None
) -> Any:
    """An attribute that is a key of the language.

    `about` is its documentation; `ref` the section of the spec whose names it may hold; `names` says what `{{ }}`
    sees there (`settings`, `auth`, `mark`); `filled` is the class that its values are once their texts are filled in.
    """
    return attrs.field(default=default, metadata={"about": about, "ref": ref, "names": names, "filled": filled})


@attrs.frozen(kw_only=True, repr=False)
class Place:
    """A place in an answer; short: a body path (`meta.next`)."""

    body: tuple[AnswerPath, ...] = word(
        "path in the decoded body: a.b, rows.*.id, '.'; of several, the first there", ()
    )
    header: str | None = word("a header's value", None)
    link: str | None = word("the URL of that rel in the Link header", None)
    codec: CodecName | None = word("how to read it as a time", None)
    match: Regex | None = word("takes the first group of the text (a number in prose)", None)
    factor: float = word("multiplies a number (0.001 for milliseconds)", 1.0)


@attrs.frozen(kw_only=True, repr=False)
class Slot:
    """A place in a request; short: a query parameter."""

    query: str | None = word("query parameter", None)
    headers: str | None = word("header", None)
    fields: str | None = word("body field, dotted when nested", None)
    variables: str | None = word("GraphQL variable", None)

    @property
    def name(self) -> str:
        """The vendor's name of it; of a nested body field the last part."""
        held = self.query or self.headers or self.fields or self.variables or ""
        return held.rpartition(".")[2] if self.fields else held


@attrs.frozen(kw_only=True, repr=False)
class Test:
    """Conditions on one value, all of which must hold; short: a scalar or list means `in`."""

    __test__ = False  # not a test of ours

    in_: tuple[Anything, ...] | None = word("equals one of", None)
    not_in: tuple[Anything, ...] | None = word("equals none of", None)
    matches: Regex | None = word("its text matches", None)
    exists: bool | None = word("is there and neither null nor empty", None)
    above: float | None = word("is a number above", None)


Conditions = Mapping[AnswerPath, Test]


@attrs.frozen(kw_only=True, repr=False)
class Records:
    """Where the records are; short: a path."""

    path: tuple[AnswerPath, ...] = word(
        "the list; '.' the body itself; x.* the values of an object; of several, the first that is there"
    )
    key_as: str | None = word("keyed object: put the key into this field", None)
    value_as: str | None = word("bare values: put the value into this field", None)


@attrs.frozen(kw_only=True, repr=False)
class Match:
    """How an item and its result find each other; short: one name for both."""

    item: AnswerPath = word("field of the item sent")
    result: AnswerPath = word("field of the result")


@attrs.frozen(kw_only=True, repr=False)
class Lifetime:
    """How long a token is good; short: a duration."""

    fixed: Duration | None = word("known length", None)
    seconds: Place | None = word("a number of seconds in the answer", None)
    until: Place | None = word("a moment in the answer (a Place with a codec)", None)
    jwt: bool = word("read `exp` from the token", False)


@attrs.frozen(kw_only=True, repr=False)
class Field:
    """A parameter or a field of a type; short: `TYPE[!] [key] [read_only] ... [= default]`."""

    type: TypeExpr = word("what it is; see the type table", ANY)
    required: bool = word("must be sent, is always there (short: `!`)", False)
    key: bool = word("identifies the record: merge key, correlation, upsert", False)
    unique: bool = word("identifies the record as well as its key does", False)
    reference: bool = word(
        "an object of this type is written as this field alone, and a bare value stands for it", False
    )
    nullable: bool = word(
        "null is a value of it, even where it is required: a null that is given is sent, what is not given is not",
        False,
    )
    read_only: bool = word("the vendor sets it; refused in bodies", False)
    write_only: bool = word("never in answers", False)
    deprecated: bool = word("warns, hidden from help", False)
    personal: bool = word("personal data: cassettes hold a stable stand-in of the same shape", False)
    default: Anything | None = word("sent when not given", None)
    about: str = word("help text", "")
    example: Anything | None = word("for docs and generated tests", None)
    labels: Mapping[str, str] = word("what the values of a 'one of' mean, for help and errors", attrs.Factory(dict))
    pattern: Regex | None = word("what a text must look like, checked before sending", None)
    least: float | None = word("smallest number, or shortest list or text", None)
    most: float | None = word("largest number, or longest list or text", None)
    after: str | None = word("this moment must come after that field's", None)
    rises_with: str | None = word("warns when it falls between items of one call that agree in that field", None)
    as_: str | None = word("caller's name, when the wire name makes a bad one", None)
    lists: ListStyle | None = word("overrides `wire.lists` here", None)
    media: str | None = word(
        "in a multipart body: the media type of this part, as text/csv; an object is written as JSON (default: none of "
        "a text, application/octet-stream of a file)",
        None,
    )
    around: Template | None = word("text that the written value stands in: `id[in]:[{{ value }}]`", None, names="value")


@attrs.frozen(kw_only=True, repr=False)
class Setting:
    """What a user must or may give; short: a field expression (`school: str!`)."""

    type: TypeExpr = word("type; `secret` is text kept out of logs, URLs shown and cassettes", TEXT)
    required: bool = word("must be given (short: `!`)", False)
    default: Anything | None = word("used when not given (short: `= x`)", None)
    about: str = word("shown in help, docs and the message about a missing setting", "")
    obtain: str = word(
        "where it is obtained and what must be activated first; repeated in errors about credentials", ""
    )
    example: Anything | None = word("an example value", None)
    pattern: Regex | None = word("what a value must look like", None)
    value: Template | None = word("computed from other settings, never asked for", None, names="settings")


DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATION_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)")
_SIZE_UNITS: Final = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3}


def parse_duration(text: str) -> Duration:
    """`0.62s`, `90m`, `24h`, `30d` in seconds. Raises ValueError."""
    found = DURATION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}' is no duration: write a number and one of ms s m h d w, as '30s'")
    # By way of Fraction, so that 100ms is the very 0.1 that 0.1s is: a window is known by its length.
    return Duration(float(Fraction(found[1]) * Fraction(str(_DURATION_UNITS[found[2]]))))


def parse_size(text: str) -> Size:
    """`4MB` in bytes (decimal units, as vendors count). Raises ValueError."""
    found = SIZE.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}' is no size: write a number and one of B KB MB GB, as '4MB'")
    return Size(int(float(found[1]) * _SIZE_UNITS[found[2]]))
