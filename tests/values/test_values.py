"""Declared types at work: what is accepted, how it is written, how it comes back."""

from __future__ import annotations

import contextlib
import warnings
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.spec.typeexpr import parse_field, parse_type
from connectory.spec.words import Field
from connectory.values import shapes
from connectory.values.codecs import BUILT_IN, find_codec, to_moment
from connectory.values.merging import lay_over
from connectory.values.reading import Readers
from connectory.values.texts import parse_row, parse_text
from connectory.values.writing import ValueFault, ValueWarning, Writers


def fields(**said: str) -> dict[str, Field]:
    found = {}
    for name, text in said.items():
        e = parse_field(text)
        modifiers: dict[str, Any] = dict.fromkeys(e.modifiers, True)
        found["*" if name == "open" else name] = Field(type=e.type, required=e.required, **modifiers)
    return found


TYPES = {
    "Pick": fields(Id="int64! key reference", Name="str", open="any"),
    "Event": {
        **fields(
            key="str! key",
            kind="int one of 1 | 2!",
            start="datetime!",
            price="float",
            who="Pick",
            tags="list of str",
            made="datetime read_only",
        ),
        "end": Field(type=parse_type("datetime"), after="start"),
    },
    "Node": fields(name="str!", children="list of Node", at="datetime"),
}


def write(expression: str, value: Any, datetime: str = "rfc3339") -> Any:
    return Writers(TYPES, datetime, BUILT_IN).of(parse_type(expression))(value)


def refused(expression: str, value: Any) -> str:
    with pytest.raises(ValueFault) as caught:
        write(expression, value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("byte", 2018),
        ("int16", -(2**15)),
        ("int64", 10607302981934),
        ("int64", 2**63 - 1),
        ("str", ""),
        ("bool", False),
        ("float", 3),
        ("float", 1.5),
        ("list of int32", [1, 2]),
        ("map of any", {"a": [1]}),
        ("any", None),
        ("date", "2026-02-28"),
        ("url", "https://x/y"),
        ("uuid", "20202020-b000-4485-94de-70c2a98daef2"),
        ("one of a | b", "b"),
        ("int one of 1 | 2", 2),
    ],
)
def test_what_fits_its_type_is_sent_unchanged(expression: str, value: Any) -> None:
    written = write(expression, value)
    assert written == value
    assert type(written) is type(value)


@pytest.mark.parametrize(
    ("expression", "value", "said"),
    [
        ("int", "5", "expected an integer, got '5'"),
        ("int", True, "expected an integer, got True"),
        ("int16", 2**15, "an integer of 16 bits"),
        ("str", 5, "expected a text, got 5"),
        ("float", float("nan"), "expected a number"),
        ("float", "9.99", "expected a number, got '9.99'"),
        ("bool", 1, "expected true or false"),
        ("date", "2026-02-30", "a day of the calendar"),
        ("date", "20.5.2026", "a date such as"),
        ("uuid", "x", "a UUID"),
        ("one of open | closed", "opne", "expected one of open, closed, got 'opne'; did you mean 'open'?"),
        ("int one of 1 | 2", 3, "expected one of 1, 2, got 3"),
        ("list of int", [1, "x"], "1: expected an integer"),
        ("decimal", 0.1 + 0.2, "a float of this many digits is not exact"),
        ("datetime", "soon", "'soon' is no moment"),
        ("datetime", "2026-05-20T18:25:43", "has no zone"),
    ],
)
def test_what_does_not_fit_is_refused_in_plain_words(expression: str, value: Any, said: str) -> None:
    assert said in refused(expression, value)


MOMENT = datetime(2026, 5, 20, 18, 25, 43, 120000, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("codec", "written"),
    [
        ("rfc3339", "2026-05-20T16:25:43.120Z"),
        ("utc", "2026-05-20T16:25:43.120Z"),
        ("utc_naive", "2026-05-20T16:25:43.120"),
        ("unix", 1779294343),
        ("unix_ms", 1779294343120),
        ("unix_text", "1779294343"),
        ("%Y-%m-%d %H:%M:%S", "2026-05-20 16:25:43"),
    ],
)
def test_each_codec_writes_a_moment_in_utc(codec: str, written: Any) -> None:
    assert find_codec(codec, BUILT_IN).write(MOMENT) == written
    assert write("datetime", MOMENT, datetime=codec) == written
    assert write("datetime", MOMENT.isoformat(), datetime=codec) == written


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.sampled_from(sorted(BUILT_IN)))
def test_what_a_codec_writes_it_reads_back(moment: datetime, name: str) -> None:
    codec = BUILT_IN[name]
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    assert codec.read(codec.write(whole)) == whole


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
    st.sampled_from([0, 120_000, 123_000, 123_456, 120, 999_999]),
    st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=3, seconds=2))]),
)
def test_iso_is_as_short_as_its_fraction_allows(moment: datetime, fraction: int, zone: timezone) -> None:
    moment = moment.replace(microsecond=fraction, tzinfo=zone)
    digits = "milliseconds" if fraction % 1000 == 0 else "microseconds"
    written = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=digits if fraction else "seconds")
    assert find_codec("rfc3339", BUILT_IN).write(moment) == f"{written}Z"
    assert find_codec("utc_naive", BUILT_IN).write(moment) == written


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
    st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=3, seconds=2))]),
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%d.%m.%Y"]),
)
def test_a_pattern_writes_as_strftime_does(moment: datetime, zone: timezone, pattern: str) -> None:
    moment = moment.replace(tzinfo=zone)
    written = moment.astimezone(UTC).strftime(pattern)
    assert find_codec(pattern, BUILT_IN).write(moment) == written
    assert find_codec(f"{pattern} %Z", BUILT_IN).write(moment) == f"{written} UTC"


@pytest.mark.parametrize(
    ("codec", "text", "moment"),
    [
        ("utc_naive", "2020-05-20T18:25:43", "2020-05-20T18:25:43+00:00"),
        ("utc_naive", "2020-05-20T18:25:43.1234567Z", "2020-05-20T18:25:43.123456+00:00"),
        ("%Y-%m-%d %H:%M:%S %Z", "2021-02-25 03:51:11 EST", "2021-02-25T03:51:11-05:00"),
        ("unix_text", "1450341052", "2015-12-17T08:30:52+00:00"),
    ],
)
def test_vendors_writings_are_read(codec: str, text: str, moment: str) -> None:
    assert find_codec(codec, BUILT_IN).read(text) == datetime.fromisoformat(moment)


def test_a_codec_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown codec 'unix_txt'; did you mean 'unix_text'"):
        find_codec("unix_txt", BUILT_IN)


def test_an_object_is_checked_as_a_whole() -> None:
    good = {"key": "a", "kind": 1, "start": "2026-05-20T18:25:43Z", "who": 5, "end": "2026-05-20T19:25:43Z"}
    assert write("Event", good) == {**good, "who": {"Id": 5}}
    assert refused("Event", {**good, "kind": None}) == "kind: expected one of 1, 2, got None"
    assert refused("Event", {"key": "a", "kind": 1}) == "start: is required"
    assert refused("Event", {**good, "strat": 1}) == "strat: Event has no such field; did you mean 'start'?"
    assert refused("Event", {**good, "made": "2026-05-20T18:25:43Z"}) == "made: is set by the vendor and cannot be sent"
    assert refused("Event", {**good, "end": "2026-05-20T18:25:43Z"}) == "end: must come after start"
    assert refused("Event", {**good, "tags": ["a", 1]}) == "tags/1: expected a text, got 1"
    assert refused("Event", [1]) == "expected an object (Event), got [1]"


def test_part_of_a_type_requires_nothing() -> None:
    assert write("part of Event", {"price": 2.5}) == {"price": 2.5}
    assert "is required" in refused("Event", {"price": 2.5})


def test_a_reference_is_a_bare_id_or_an_object_and_written_as_its_id_alone() -> None:
    assert write("Pick", 10607302981934) == {"Id": 10607302981934}
    assert write("Pick", {"Id": 7, "Name": "x", "AttributeId": 3}) == {"Id": 7}
    assert "expected an integer" in refused("Pick", "7")


def test_bounds_and_patterns_hold() -> None:
    writers = Writers({}, "rfc3339", BUILT_IN)
    hour = writers.of_field(Field(type=parse_type("int"), least=1, most=23))
    assert hour(23) == 23
    for wrong, said in ((0, "below 1"), (24, "above 23")):
        with pytest.raises(ValueFault, match=said):
            hour(wrong)
    with pytest.raises(ValueFault, match="does not look like"):
        writers.of_field(Field(type=parse_type("str"), pattern="[A-Z]{2}"))("nld")  # type: ignore[arg-type]


def test_moments_come_back_aware_and_everything_else_as_it_came() -> None:
    read = Readers(TYPES, "utc_naive", BUILT_IN).of(parse_type("Event"))
    assert read is not None
    raw = {"key": "a", "start": "2020-05-20T18:25:43", "new": {"x": 1}, "end": None}
    assert read(raw) == {**raw, "start": datetime(2020, 5, 20, 18, 25, 43, tzinfo=UTC)}
    assert raw["start"] == "2020-05-20T18:25:43", "the vendor's own record is left alone"
    assert Readers(TYPES, "rfc3339", BUILT_IN).of(parse_type("Pick")) is None


def test_types_that_hold_themselves_are_read_and_written() -> None:
    tree = {"name": "a", "at": "2026-05-20T18:25:43Z", "children": [{"name": "b", "children": []}]}
    assert write("Node", tree) == tree
    read = Readers(TYPES, "rfc3339", BUILT_IN).of(parse_type("Node"))
    assert read is not None
    assert read(tree)["at"] == datetime(2026, 5, 20, 18, 25, 43, tzinfo=UTC)
    shape = Readers(TYPES, "rfc3339", BUILT_IN).shape(parse_type("Node"))
    assert isinstance(shape, shapes.Record)
    assert shape.fields["children"] == shapes.ListOf(shapes.Plain("any"))


def test_a_moment_that_cannot_be_read_is_handed_over_with_a_warning() -> None:
    read = Readers(TYPES, "rfc3339", BUILT_IN).of(parse_type("Event"))
    assert read is not None
    with pytest.warns(ValueWarning, match="is no moment"):
        assert read({"start": "2026-02-30T00:00:00Z"}) == {"start": "2026-02-30T00:00:00Z"}


@pytest.mark.parametrize(
    ("text", "expression", "value"),
    [
        ("2018", "int", 2018),
        ("9.99", "float", 9.99),
        ("9.99", "decimal", Decimal("9.99")),
        ("true", "bool", True),
        ("0", "bool", False),
        ("a,b", "list of str", ["a", "b"]),
        ('["a,b"]', "list of str", ["a,b"]),
        ('{"a": 1}', "map of any", {"a": 1}),
        ("5", "Pick", 5),
        ("2018", "str", "2018"),
        ("2", "int one of 1 | 2", 2),
        ("null", "any", "null"),
    ],
)
def test_texts_of_a_command_line_take_the_declared_type(text: str, expression: str, value: Any) -> None:
    parsed = parse_text(text, parse_type(expression))
    assert parsed == value
    assert type(parsed) is type(value)


def test_rows_of_a_csv_file_take_the_declared_types_and_leave_empty_cells_out() -> None:
    row = {"key": "1", "kind": "2", "price": "3.5", "tags": "", "other": "4"}
    assert parse_row(row, TYPES["Event"]) == {"key": "1", "kind": 2, "price": 3.5, "other": "4"}


def test_laying_over_changes_nothing_but_what_differs() -> None:
    before = {
        "key": "a",
        "start": "2020-05-20T18:25:43.1230000",
        "who": {"Id": 5, "Name": "x"},
        "price": Decimal("1.10"),
        "unknown": [1, None],
    }

    def over(changes: dict[str, Any]) -> dict[str, Any] | None:
        return lay_over(before, changes, TYPES, parse_type("part of Event"), BUILT_IN, "utc_naive")

    assert over({}) is None
    assert over({"key": "a", "start": "2020-05-20T18:25:43.123", "who": {"Id": 5}, "price": 1.1}) is None
    assert over({"key": "b"}) == {**before, "key": "b"}
    assert over({"who": {"Id": 6}}) == {**before, "who": {"Id": 6}}
    assert over({"price": None}) == {**before, "price": None}
    assert over({"tags": []}) == {**before, "tags": []}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_no_value_makes_a_checker_raise_anything_but_a_fault(value: Any) -> None:
    for expression in ("Event", "Node", "list of Pick", "map of datetime", "date", "one of a | b", "decimal"):
        with contextlib.suppress(ValueFault):
            write(expression, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ValueWarning)
        for expression in ("Event", "Node", "list of Pick", "map of datetime", "decimal"):
            read = Readers(TYPES, "rfc3339", BUILT_IN).of(parse_type(expression))
            if read is not None:
                read(value)


def test_days_and_naive_times() -> None:
    assert write("date", date(2026, 5, 20)) == "2026-05-20"
    assert to_moment(datetime(2026, 5, 20), BUILT_IN["utc"]) == datetime(2026, 5, 20, tzinfo=UTC)
    with pytest.raises(ValueError, match="no zone"):
        to_moment(datetime(2026, 5, 20), BUILT_IN["rfc3339"])


def test_a_float_of_few_digits_is_the_number_that_was_written() -> None:
    write = Writers({}, "rfc3339", BUILT_IN).of(parse_type("decimal"))
    assert [write(1.5), write(0.1), write(19.99), write(1e20)] == [
        Decimal("1.5"),
        Decimal("0.1"),
        Decimal("19.99"),
        Decimal("1E+20"),
    ]
