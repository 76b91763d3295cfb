"""Type and field expressions: what each text means, and the words in which others are refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.spec.typeexpr import (
    MODIFIERS,
    SCALARS,
    FieldExpression,
    ListOf,
    MapOf,
    Named,
    OneOf,
    Scalar,
    TypeExpr,
    field_pattern,
    named_types,
    parse_field,
    parse_type,
    type_pattern,
)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        *((name, Scalar(name)) for name in SCALARS),
        ("datetime(utc)", Scalar("datetime", "utc")),
        ("datetime(%Y-%m-%d %H:%M:%S)", Scalar("datetime", "%Y-%m-%d %H:%M:%S")),
        ("date(%d.%m.%Y)", Scalar("date", "%d.%m.%Y")),
        ("one of open | closed", OneOf("str", ("open", "closed"))),
        ("one of start of day|end of day", OneOf("str", ("start of day", "end of day"))),
        ("int one of 1 | 2", OneOf("int", (1, 2))),
        ("list of int", ListOf(Scalar("int"))),
        ("map of list of Student", MapOf(ListOf(Named("Student")))),
        ("list of one of a | b", ListOf(OneOf("str", ("a", "b")))),
        ("Student", Named("Student")),
        ("part of Student", Named("Student", partial=True)),
        ("list of part of Student", ListOf(Named("Student", partial=True))),
    ],
)
def test_types(text: str, meaning: TypeExpr) -> None:
    assert parse_type(text) == meaning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a type is missing; write one such as 'str' or 'list of int'"),
        ("list of ", "a type is missing; write one such as 'str' or 'list of int'"),
        ("strr", "unknown type 'strr'; did you mean 'str'?"),
        ("student", "unknown type 'student'"),
        ("list of strr", "unknown type 'strr'; did you mean 'str'?"),
        ("listof int", "unknown type 'listof int'; did you mean 'list of'?"),
        ("part of str", "unknown type 'str'; did you mean 'str'?"),
        (
            "int(unix)",
            "only datetime, date and time take a codec in parentheses (and decimal the word text), not 'int'",
        ),
        ("one of a", None),
        ("one of a | a", "'one of a | a': each value once, joined by '|'"),
        ("one of a | ", "'one of a |': each value once, joined by '|'"),
        ("int one of 1 | two", "'int one of 1 | two': 'int one of' takes integers only"),
        ("bool one of a | b", "'one of' takes texts, or 'int one of' integers; 'bool' is neither"),
        ("Student!", "unknown type 'Student!'"),
    ],
)
def test_texts_that_are_no_type(text: str, message: str | None) -> None:
    if message is None:
        parse_type(text)
        return
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_type(text)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("int", (Scalar("int"), False, set(), None)),
        ("int!", (Scalar("int"), True, set(), None)),
        ("int !", (Scalar("int"), True, set(), None)),
        ("int64! key read_only", (Scalar("int64"), True, {"key", "read_only"}, None)),
        ("int = 60", (Scalar("int"), False, set(), "60")),
        ("str = a = b", (Scalar("str"), False, set(), "a = b")),
        ("one of open | closed = open", (OneOf("str", ("open", "closed")), False, set(), "open")),
        ("one of open | closed! deprecated = open", (OneOf("str", ("open", "closed")), True, {"deprecated"}, "open")),
        ("list of Student! write_only", (ListOf(Named("Student")), True, {"write_only"}, None)),
        ("Student key", (Named("Student"), False, {"key"}, None)),
    ],
)
def test_fields(text: str, meaning: tuple[TypeExpr, bool, set[str], str | None]) -> None:
    said = parse_field(text)
    assert (said.type, said.required, set(said.modifiers), said.default) == meaning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int readonly", "unknown word 'readonly' after the type; did you mean 'read_only'?"),
        ("int key readonly", "unknown word 'readonly' after the type; did you mean 'read_only'?"),
        ("Student redonly", "unknown word 'redonly' after the type; did you mean 'read_only'?"),
        ("one of a | b deprecatd", "unknown word 'deprecatd' after the values; did you mean 'deprecated'?"),
        ("list of one of a | b c keyy", "unknown word 'keyy' after the values; did you mean 'key'?"),
        ("int =60", "unknown word '=60' after the type"),
    ],
)
def test_texts_that_are_no_field(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_field(text)


def test_values_that_only_resemble_a_modifier_are_values() -> None:
    assert parse_field("one of key | unique | keys").type == OneOf("str", ("key", "unique", "keys"))
    assert parse_type("one of a | b deprecatd") == OneOf("str", ("a", "b deprecatd"))


def test_named_types_are_found_at_any_depth() -> None:
    assert named_types(parse_type("map of list of part of Student")) == (Named("Student", partial=True),)
    assert named_types(parse_type("list of str")) == ()


VALUE = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,6}", fullmatch=True).filter(lambda text: text not in MODIFIERS)
LEAVES = st.one_of(
    st.sampled_from(list(SCALARS)).map(Scalar),
    st.builds(Scalar, st.sampled_from(["date", "time", "datetime"]), st.sampled_from(["utc", "%d.%m.%Y", "unix_ms"])),
    st.lists(VALUE, min_size=1, max_size=4, unique=True).map(lambda values: OneOf("str", tuple(values))),
    st.lists(st.integers(-99, 99), min_size=1, max_size=4, unique=True).map(lambda v: OneOf("int", tuple(v))),
    st.builds(Named, st.from_regex(r"[A-Z][A-Za-z0-9_]{0,8}", fullmatch=True), st.booleans()),
)
TYPES: st.SearchStrategy[TypeExpr] = st.recursive(
    LEAVES, lambda inner: st.one_of(inner.map(ListOf), inner.map(MapOf)), max_leaves=4
)
FIELDS = st.builds(
    FieldExpression,
    TYPES,
    st.booleans(),
    st.frozensets(st.sampled_from(MODIFIERS), max_size=3),
    st.none() | st.from_regex(r"[a-z0-9]([a-z0-9 ]{0,5}[a-z0-9])?", fullmatch=True),
)


@given(TYPES)
def test_a_type_reads_back_as_it_is_shown(expression: TypeExpr) -> None:
    assert parse_type(str(expression)) == expression
    assert re.fullmatch(type_pattern(), str(expression))


@given(FIELDS)
def test_a_field_reads_back_as_it_is_written(field: FieldExpression) -> None:
    marks = "".join(f" {word}" for word in sorted(field.modifiers))
    default = "" if field.default is None else f" = {field.default}"
    text = f"{field.type}{'!' if field.required else ''}{marks}{default}"
    assert parse_field(text) == field
    assert re.fullmatch(field_pattern(), text)


WORDS = st.sampled_from(
    [
        *SCALARS,
        *MODIFIERS,
        "one",
        "of",
        "list",
        "map",
        "part",
        "|",
        "!",
        "=",
        "Student",
        "datetime(utc)",
        "a",
        "1",
        "(",
        ")",
    ]
)


@given(st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=30))
def test_any_text_is_a_field_or_a_value_error(text: str) -> None:
    try:
        said = parse_field(text)
    except ValueError:
        return
    assert parse_type(str(said.type)) == said.type
    if text == " ".join(text.split(" ")) and "\n" not in text.strip() and text.strip() == " ".join(text.split()):
        assert re.fullmatch(field_pattern(), text.strip(), re.DOTALL), "an editor would underline what the loader takes"


def test_a_type_nested_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 20 levels"):
        parse_type("list of " * 100_000 + "int")
