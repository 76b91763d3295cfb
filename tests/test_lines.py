"""Records that stay text: the same records as decoded ones, in lines that any reader of JSON Lines takes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.errors import BadAnswer
from connectory.lines import Lines, split

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(), VALUES, min_size=1, max_size=4), max_size=6)
STEPS = st.lists(st.text(st.characters(categories=["L"]), min_size=1, max_size=3), max_size=3)


def body_of(records: list[Any], steps: list[str], beside: dict[str, Any], indent: int | None, escaped: bool) -> bytes:
    """An answer with the records at the end of the steps, and other things beside each of them."""
    answer: Any = records
    for step in reversed(steps):
        answer = {**beside, step: answer}
    return json.dumps(answer, indent=indent, ensure_ascii=escaped).encode()


@given(
    records=RECORDS,
    steps=STEPS,
    beside=st.dictionaries(st.text(), VALUES, max_size=2),
    indent=st.sampled_from([None, 0, 2]),
    escaped=st.booleans(),
)
def test_records_are_what_decoding_gives(
    records: list[Any], steps: list[str], beside: dict[str, Any], indent: int | None, escaped: bool
) -> None:
    body = body_of(records, steps, beside, indent, escaped)
    found = split(body, steps)
    assert found == json.loads(body)
    for step in steps:
        found = found[step]
    assert isinstance(found, Lines)
    lines = found.text.decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == records
    assert len(found) == len(records)
    assert list(found) == records
    assert Lines.joined([found, found]) == records * 2


@given(records=RECORDS, start=st.integers(-8, 8), stop=st.integers(-8, 8) | st.none())
def test_parts_are_those_of_a_list(records: list[Any], start: int, stop: int | None) -> None:
    lines = split(json.dumps(records).encode(), [])
    assert list(lines[start:stop]) == records[start:stop]
    assert lines[:] is lines


@pytest.mark.parametrize(
    "body",
    [
        b'{"before": [{"a": 1}], "records": [{"a": 1}], "after": [{"a": 1}]}',
        b'{"records": [{"a": 1},{"b": 2}], "before": "{\\"a\\": 1}"}',
        b'{"before": {"a": 1},"records": [{"a": 1} , {"b": 2}]}',
        b'{"records": [{"a": 1}], "records": [{"b": 2}]}',
        b'{"records": [{"a": 1}], "records": []}',
        b'{"records": [], "total": 0}',
    ],
)
def test_what_stands_beside_the_records_stays(body: bytes) -> None:
    assert split(body, ["records"]) == json.loads(body)


def test_the_same_records_are_equal_however_they_are_written() -> None:
    lines = split(b'[{"a": 1, "b": [2]}, {"a": 3}]', [])
    assert lines == split(b'[{"b":[2],"a":1},{"a":3}]', [])
    assert lines != split(b'[{"b":[2],"a":1},{"a":4}]', [])
    assert lines != split(b'[{"b":[2],"a":1}]', [])
    assert split(b"[]", []) == split(b"[ ]", []) == []
    assert lines != split(b"[]", [])


@pytest.mark.parametrize(
    "records",
    [
        b'[{"a": 1}, {}]',
        b"[1]",
        b'[{"a": 1}, null]',
        b'["{\\"a\\": 1}"]',
        b"[[]]",
        b'[{"a": "\xff"}]',
        b'[{"a": "\\ud800 half"}]',
        b'[{"a": NaN}]',
        b'[{"a": 1}',
        b'{"a": 1}',
        b"null",
        b"",
    ],
)
def test_what_has_to_be_looked_at_is_refused(records: bytes) -> None:
    for body, steps in ((records, []), (b'{"records": %s}' % records, ["records"])):
        with pytest.raises(ValueError, match=r"."):
            split(body, steps)


@pytest.mark.parametrize("steps", [["records"], ["in", "records"]])
@pytest.mark.parametrize("beside", [b'"x": "\xff"', b'"\xff": 1', b'"x": [{"y": "\xc3"}]'])
def test_bytes_that_are_no_text_are_refused_beside_the_records_too(steps: list[str], beside: bytes) -> None:
    body = b'{"records": [{"a": 1} , {"b": 2}], %s}' % beside
    body = body if steps == ["records"] else b'{"in": %s}' % body
    with pytest.raises(UnicodeDecodeError):
        split(body, steps)
    with pytest.raises(UnicodeDecodeError):
        split(body.replace(b" , ", b","), steps)


def test_a_place_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="records"):
        split(b'{"items": []}', ["records"])


def test_numbers_stay_as_they_were_written() -> None:
    lines = split(b'[{"price": 1.10, "atoms": 6.02214076e23, "far": 1e999}]', [])
    assert lines.text == b'{"price": 1.10, "atoms": 6.02214076e23, "far": 1e999}\n'
    assert split(b'[{"price": 1.10}]\r\n', []).text == b'{"price": 1.10}\n'
    assert list(lines) == [{"price": Decimal("1.10"), "atoms": Decimal("6.02214076e23"), "far": Decimal("1e999")}]


def test_a_number_that_nobody_can_hold_is_told_to_whoever_looks() -> None:
    lines = split(b'[{"far": %s}]' % (b"9" * 5_000), [])
    with pytest.raises(BadAnswer, match="a record cannot be read"):
        list(lines)
