"""Paths into answers: what they find, and which texts are none."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.spec.places import MISSING, PATH, parse_path

ANSWER = {
    "a": {"b": 1, "n": None},
    "rows": [{"id": 1, "tags": ["x", "y"]}, {"id": 2, "tags": []}],
    "by": {"k1": {"v": 1}, "k2": {"v": 2}},
    "a.b": "dotted",
    "0": "zero",
    "0478": "a number of somebody",
    "٣": "three",
    'q"': "quoted",
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".", [ANSWER]),
        ("a.b", [1]),
        ("a.n", [None]),
        ("a.x", []),
        ("a.b.c", []),
        ("rows.0.id", [1]),
        ("rows.2.id", []),
        ("rows.*.id", [1, 2]),
        ("rows.*.tags.*", ["x", "y"]),
        ("rows.*", ANSWER["rows"]),
        ("by.*.v", [1, 2]),
        ('"a.b"', ["dotted"]),
        ('"q\\""', ["quoted"]),
        ("0", ["zero"]),
        ("0478", ["a number of somebody"]),
        ("٣", ["three"]),
        ("9" * 5000, []),
        ("a.*.x", []),
        ("a.b.*", []),
    ],
)
def test_what_a_path_finds(path: str, found: list[Any]) -> None:
    place = parse_path(path)
    assert list(place.each(ANSWER)) == found
    first = place.find(ANSWER)
    assert first == found[0] if found else first is MISSING
    assert place.many == ("*" in path)
    assert str(place) == path


@pytest.mark.parametrize("nothing", [None, 3, "text", True, []])
def test_nothing_is_found_in_what_holds_nothing(nothing: Any) -> None:
    assert list(parse_path("a.b").each(nothing)) == []
    assert list(parse_path("*").each(nothing)) == []
    assert parse_path(".").find(nothing) == nothing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty path; '.' is the whole answer"),
        ("..", "'..' is no path into an answer: write names joined by dots, as 'meta.next'"),
        (".a", "'.a' is no path into an answer: write names joined by dots, as 'meta.next'"),
        ("a.", "'a.' is no path into an answer: a dot stands between two names"),
        ("a..b", "'a..b' is no path into an answer: write names joined by dots, as 'meta.next'"),
        ('"a', "'\"a' is no path into an answer: write names joined by dots, as 'meta.next'"),
        ('"a"b', "'\"a\"b' is no path into an answer: a dot stands between two names"),
        ('a"b', "'a\"b' is no path into an answer: a dot stands between two names"),
    ],
)
def test_texts_that_are_no_path(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_path(text)


NAMES = st.text(min_size=1, max_size=6).filter(lambda name: name != "*")


def written(name: str) -> str:
    """A name as a step of a path: quoted where it is not plain."""
    if re.fullmatch(r'[^."\\\d*][^."]*', name):
        return name
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


@given(st.lists(NAMES, min_size=1, max_size=4), st.integers())
def test_any_names_can_be_reached(names: list[str], value: int) -> None:
    answer: Any = value
    for name in reversed(names):
        answer = {name: answer}
    path = ".".join(map(written, names))
    assert parse_path(path).find(answer) == value
    assert re.fullmatch(PATH.pattern, path, re.DOTALL)


@given(st.text(alphabet='ab."*0\\ ', max_size=12) | st.text(max_size=12))
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    try:
        place = parse_path(text)
    except ValueError:
        assert not re.fullmatch(PATH.pattern, text), "an editor would take what the loader refuses"
        return
    assert place == parse_path(str(place))
    assert re.fullmatch(PATH.pattern, text), "an editor would underline what the loader takes"
    list(place.each(ANSWER))
