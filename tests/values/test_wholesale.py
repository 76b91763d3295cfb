"""Many objects checked at once: what is said then is what looking at each would have said."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectory.spec.typeexpr import parse_field, parse_type
from connectory.spec.words import Field
from connectory.table import Table
from connectory.values.codecs import BUILT_IN
from connectory.values.wholesale import Wholesale
from connectory.values.writing import ValueFault, Writers

TYPES = [
    *("str", "secret", "int", "byte", "int16", "int32", "int64", "float", "bool", "datetime", "date", "decimal"),
    *("uuid", "url", "any", "one of a | b", "int one of 1 | 2", "one of a | b | ...", "list of int16", "Inner"),
    *("list of Inner", "Bound", "map of str", "list of list of str", "Outer"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from([2**15, 2**31, 2**63 - 1, 2**63, math.inf, -1e308, "a", "b", "\ud800", "2026-05-20", "1.5"])
    | st.text(max_size=3)
    | st.sampled_from([Decimal("1.5"), Decimal("NaN"), date(2026, 5, 20), datetime(2026, 5, 20, tzinfo=UTC), b"x"])
)
ZONE = timezone(timedelta(hours=5, minutes=30))
INNER = st.fixed_dictionaries({}, optional={"n": st.integers(-2, 2) | st.none(), "t": st.text(max_size=2) | SCALARS})
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | INNER | st.lists(INNER, max_size=2) | st.tuples(SCALARS)
FIELDS = st.tuples(st.sampled_from(TYPES), st.booleans(), st.booleans())


def field(text: str, required: bool = False, nullable: bool = False) -> Field:
    read = parse_field(text)
    return Field(type=read.type, required=required, nullable=nullable)


def both(declared: dict[str, Field], partial: bool = False) -> tuple[Wholesale | None, Callable[[Any], Any]]:
    types = {
        "Inner": {"n": field("int16", required=True), "t": field("str")},
        "Bound": {"n": attrs.evolve(field("int"), least=0.0)},
        "Outer": declared,
    }
    writers = Writers(types, "rfc3339", BUILT_IN)
    expression = parse_type("part of Outer" if partial else "Outer")
    return Wholesale.of(expression, types, writers), writers.of(expression)


def one_by_one(write: Callable[[Any], Any], rows: list[Any]) -> list[Any] | None:
    try:
        return [write(row) for row in rows]
    except ValueFault:
        return None


@given(
    declared=st.dictionaries(st.sampled_from("abc"), FIELDS, min_size=1),
    partial=st.booleans(),
    rows=st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=3), min_size=1, max_size=2),
)
@example({"a": ("float", False, False)}, False, [{"a": math.nan}])
@example({"a": ("float", False, False)}, False, [{"a": Decimal("NaN")}])
@example({"a": ("str", True, False)}, False, [{"a": "half \ud800"}])
@example({"a": ("list of int16", True, False)}, False, [{"a": None}])
@pytest.mark.filterwarnings("ignore")
def test_all_at_once_says_what_each_by_itself_says(
    declared: dict[str, tuple[str, bool, bool]], partial: bool, rows: list[dict[str, Any]]
) -> None:
    wholesale, write = both({name: field(*said) for name, said in declared.items()}, partial)
    assert wholesale is not None
    found = wholesale.write(rows)
    if found is not None:
        assert as_sent(found) == as_sent(one_by_one(write, rows))


@given(
    declared=st.dictionaries(st.sampled_from("abc"), FIELDS, min_size=1),
    partial=st.booleans(),
    columns=st.integers(1, 3).flatmap(
        lambda length: st.dictionaries(
            st.sampled_from("abcd"), st.lists(VALUES, min_size=length, max_size=length), min_size=1, max_size=3
        )
    ),
)
@pytest.mark.filterwarnings("ignore")
def test_columns_say_what_their_rows_say(
    declared: dict[str, tuple[str, bool, bool]], partial: bool, columns: dict[str, list[Any]]
) -> None:
    wholesale, _ = both({name: field(*said) for name, said in declared.items()}, partial)
    assert wholesale is not None
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    table = Table(tuple(columns), tuple(columns.values()))
    assert as_sent(wholesale.write(table)) == as_sent(wholesale.write(rows))
    assert list(table) == rows or any(value != value for row in rows for value in row.values())


@given(
    moments=st.lists(
        st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.sampled_from([None, UTC, ZONE]))
        | st.none()
        | st.sampled_from(["2026-05-20", date(2026, 5, 20), "nonsense"]),
        min_size=1,
    ),
    required=st.booleans(),
    codec=st.sampled_from(["", "(%Y-%m-%d %H:%M:%S)", "(%Y-%m-%dT%H:%M:%S %Z)", "(%d.%m.%Y)", "(unix)"]),
)
def test_moments_of_a_column_are_written_as_each_by_itself(moments: list[Any], required: bool, codec: str) -> None:
    wholesale, _ = both({"at": field(f"datetime{codec}", required)})
    assert wholesale is not None
    found = wholesale.write(Table(("at",), (moments,)))
    assert found == wholesale.write([{"at": moment} for moment in moments])


def as_sent(value: Any) -> Any:
    """What goes out: a tuple is a list in every format."""
    if isinstance(value, dict):
        return {name: as_sent(held) for name, held in value.items()}
    return [as_sent(held) for held in value] if isinstance(value, list | tuple) else (type(value), repr(value))


@pytest.mark.parametrize(
    ("rows", "taken"),
    [
        ([{"id": "1", "n": 3, "price": 2.5, "at": datetime(2026, 5, 20, tzinfo=UTC)}] * 2, True),
        ([{"id": "1", "price": 2}, {"id": "2", "kind": None}], True),
        ([{"id": "1"}, {"n": 1}], False),
        ([{"id": "1", "other": 1}], False),
        ([{"id": "1", "n": True}], False),
        ([{"id": "1", "price": Decimal("2.5")}], True),
    ],
)
def test_what_is_as_it_should_be_is_taken_at_once(rows: list[dict[str, Any]], taken: bool) -> None:
    declared = {
        "id": field("str", required=True),
        "n": field("int64"),
        "price": field("float"),
        "kind": field("one of a | b"),
        "at": field("datetime"),
    }
    wholesale, _ = both(declared)
    assert wholesale is not None
    assert (wholesale.write(rows) is not None) == taken


@pytest.mark.parametrize(
    "changed",
    [{"read_only": True}, {"reference": True}, {"after": "n"}, {"default": 1}],
    ids=lambda said: next(iter(said)),
)
def test_objects_that_are_not_sent_as_they_are_given_are_looked_at_one_by_one(changed: dict[str, Any]) -> None:
    assert both({"n": attrs.evolve(field("int"), **changed)})[0] is None
    assert both({"*": field("any")})[0] is None
