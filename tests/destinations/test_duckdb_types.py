"""The types that columns of a DuckDB table have, how they grow, and the values that break them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectory.destinations.destination import Written
from connectory.values.shapes import ListOf, Plain, Record, Shape
from destinations.tables import DECLARED, bare, query, state_of, stored, table, types


def test_declared_fields_have_native_types(path: Path) -> None:
    row = {
        "id": 10607302981934,
        "text": "x\0y",
        "share": 1,
        "price": "12.50",
        "ok": True,
        "born": "2026-05-20",
        "rises": "06:25:43",
        "seen": "2026-05-20T18:25:43.511",
        "raw": "YWJj",
        "any": {"deep": [1]},
        "tags": ["a", None],
        "name": {"first": "Ann", "at": "2026-05-20T18:25:43+02:00"},
        "free": {"x": 1, "X": 2},
        "new": 2**63 - 1,
    }
    with table(path, shape=DECLARED) as opened:
        assert opened.write([row]) == Written(1)
    assert types(path) == {
        "id": "BIGINT",
        "text": "VARCHAR",
        "share": "DOUBLE",
        "price": "DECIMAL(38,9)",
        "ok": "BOOLEAN",
        "born": "DATE",
        "rises": "TIME",
        "seen": "TIMESTAMP WITH TIME ZONE",
        "raw": "VARCHAR",
        "any": "STRUCT(deep BIGINT[])",
        "tags": "VARCHAR[]",
        "name": 'STRUCT("first" VARCHAR, "at" TIMESTAMP WITH TIME ZONE)',
        "free": "JSON",
        "new": "BIGINT",
    }
    [found] = query(
        path,
        "SELECT id, text, share, price, ok, born, rises, epoch_ms(seen), tags, name.first, epoch(name.at),"
        " free->'X', new FROM t",
    )
    moment = datetime(2026, 5, 20, 18, 25, 43, tzinfo=UTC)
    assert found == (
        10607302981934, "x\0y", 1.0, Decimal("12.5"), True, date(2026, 5, 20), time(6, 25, 43),
        int(moment.timestamp()) * 1000 + 511, ["a", None], "Ann",
        (moment - timedelta(hours=2)).timestamp(), "2", 2**63 - 1,
    )  # fmt: skip


def test_values_decoded_already_arrive_too(path: Path) -> None:
    moment = datetime(2026, 5, 20, 18, 25, 43, tzinfo=timezone(timedelta(hours=2)))
    row = {"seen": moment, "born": date(2026, 5, 20), "price": Decimal("0.1"), "other": moment, "cost": Decimal("7.25")}
    with table(path, shape={name: DECLARED[name] for name in ("seen", "born", "price")}) as opened:
        assert opened.write([row]) == Written(1)
        assert opened.write([row]) == Written(1)
    assert types(path)["other"] == "TIMESTAMP WITH TIME ZONE"
    assert query(path, "SELECT DISTINCT epoch(seen), epoch(other), born, price, cost FROM t") == [
        (moment.timestamp(), moment.timestamp(), date(2026, 5, 20), Decimal("0.1"), Decimal("7.25"))
    ]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("born", "2026-02-30", "expected a date such as 2026-05-20, got str '2026-02-30'"),
        ("born", "2026-02-03T10:00:00Z", "has a time of day"),
        ("id", "abc", "expected an integer, got str 'abc'"),
        ("id", 1.5, "expected an integer, got float 1.5"),
        ("id", True, "expected an integer, got bool True"),
        ("id", "007", "expected an integer, got str '007'"),
        ("id", 2**130, "too large"),
        ("share", "x", "expected a number"),
        ("share", 2**53 + 1, "cannot be held by a float to the last digit"),
        ("share", float("nan"), "no finite number"),
        ("price", "ten", "expected a decimal number"),
        ("ok", 2, "expected true or false"),
        ("rises", "25:00:00", "expected a time"),
        ("rises", "10:00:00+02:00", "has an offset"),
        ("seen", 1767225600, "expected a date and time"),
        ("seen", "epoch", "expected a date and time"),
        ("tags", "a", "expected a list"),
        ("name", ["a"], "expected an object"),
        ("text", "half \ud800", "half of a surrogate pair"),
        ("new", object(), "a value of type object cannot be kept"),
        ("free", {"a": object()}, "cannot be written as JSON"),
    ],
)
def test_a_value_that_breaks_its_type_costs_its_row_only(path: Path, field: str, value: Any, reason: str) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "text": "a"}, {"id": 2, "text": "b", field: value, "only": 1}, {"id": 3}]
    with table(path, shape=DECLARED) as opened:
        written = opened.write(rows, b"s")
        assert (written.delivered, written.unchanged) == (2, 0)
        [invalid] = written.problems
        assert invalid.row is rows[1]
        assert invalid.field == field
        assert reason in invalid.reason
        assert state_of(opened) == b"s"
    assert query(path, "SELECT id FROM t ORDER BY id") == [(1,), (3,)]
    assert "only" not in types(path)


def test_the_place_in_a_nested_value_is_named(path: Path) -> None:
    shape: dict[str, Shape] = {"name": Record({"births": ListOf(Plain("date"))})}
    with table(path, shape=shape) as opened:
        [invalid] = opened.write([{"name": {"births": ["2026-01-01", "never"]}}]).problems
    assert invalid.field == "name.births[1]"


def test_other_writings_of_the_same_value_are_taken(path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": "12",
            "share": "1.5",
            "ok": "true",
            "seen": "2026-05-20T18:25+02",
            "text": 5,
            "born": "2026-05-20T00:00:00Z",
        },
        {"id": 12.0, "share": 1.5, "ok": 1, "seen": "2026-05-20 16:25:00", "text": "5", "born": "20260520"},
        {"id": "", "share": "", "ok": "", "seen": "", "text": "", "born": ""},
    ]
    with table(path, shape=DECLARED) as opened:
        assert opened.write(rows) == Written(3)
    first, second, third = query(path, "SELECT id, share, ok, epoch(seen), text, born FROM t")
    assert (
        first
        == second
        == (12, 1.5, True, datetime(2026, 5, 20, 16, 25, tzinfo=UTC).timestamp(), "5", date(2026, 5, 20))
    )
    assert third == (None, None, None, None, "", None)


def test_a_text_takes_everything_and_loses_nothing(path: Path) -> None:
    values: list[Any] = ["a", 5, 2**80, True, 1.5, {"x": [1, None]}, [1], None]
    with table(path, shape={"text": Plain("text")}) as opened:
        opened.write([{"text": value} for value in values])
    assert [text for (text,) in query(path, "SELECT text FROM t")] == [
        "a", "5", str(2**80), "true", "1.5", '{"x":[1,null]}', "[1]", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        ([1, 2**63 - 1], "BIGINT", [1, 2**63 - 1]),
        ([1, 2**63], "HUGEINT", [1, 2**63]),
        ([1, 2.5], "DOUBLE", [1.0, 2.5]),
        ([2.5, 1], "DOUBLE", [2.5, 1.0]),
        ([2**53 + 1, 2.5], "JSON", [str(2**53 + 1), "2.5"]),
        ([2.5, 2**53 + 1], "JSON", ["2.5", str(2**53 + 1)]),
        ([1, "1"], "JSON", ["1", '"1"']),
        ([True, 1], "JSON", ["true", "1"]),
        ([2**130], "JSON", [str(2**130)]),
        ([None, "x"], "VARCHAR", [None, "x"]),
        ([None, None], '"NULL"', [None, None]),
        ([[], [1]], "BIGINT[]", [[], [1]]),
        ([[1], [2.5], None], "DOUBLE[]", [[1.0], [2.5], None]),
        ([[2**53 + 1], [2.5]], "JSON[]", [[str(2**53 + 1)], ["2.5"]]),
        ([{"a": 1}, {"b": "x"}], "STRUCT(a BIGINT, b VARCHAR)", [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        ([{"a": 1}, {"b": None}], 'STRUCT(a BIGINT, b "NULL")', [{"a": 1, "b": None}, {"a": None, "b": None}]),
        ([{"a": 1}, {"b": None}, {"b": [2]}], "STRUCT(a BIGINT, b BIGINT[])", None),
        ([[{"a": 1}], [{"b": {"c": None}}], [{"b": {"c": 1}}]], "STRUCT(a BIGINT, b STRUCT(c BIGINT))[]", None),
        ([{"a": None}, {"a": [1]}], "STRUCT(a BIGINT[])", [{"a": None}, {"a": [1]}]),
        ([{"a": 2**53 + 1, "b": 1}, {"b": 0.5}], "STRUCT(a BIGINT, b DOUBLE)", None),
        ([[{"a": 1}], [{"a": "x"}, {"c": 1}]], "STRUCT(a JSON, c BIGINT)[]", None),
        ([{"a": 1}, [1]], "JSON", ['{"a":1}', "[1]"]),
        ([{"Id": 1, "ID": 2}], "JSON", ['{"Id":1,"ID":2}']),
        ([{"Id": 1}, {"ID": 2}], "JSON", ['{"Id":1}', '{"ID":2}']),
        ([{"": 1}], "JSON", ['{"":1}']),
        ([{}], "JSON", ["{}"]),
        ([Decimal("1.5"), 1], "DECIMAL(38,9)", [Decimal("1.5"), Decimal(1)]),
    ],
)
@pytest.mark.parametrize("apart", [False, True], ids=["one chunk", "a chunk each, opened again"])
def test_an_undeclared_field_takes_the_narrowest_type_of_its_values(
    path: Path, values: list[Any], kind: str, found: list[Any] | None, apart: bool
) -> None:
    rows = [{"x": value} for value in values]
    for chunk in [[row] for row in rows] if apart else [rows]:
        with table(path) as opened:
            assert opened.write(chunk) == Written(len(chunk))
    assert types(path)["x"].replace('"a"', "a").replace('"b"', "b").replace('"c"', "c") == kind
    if found is not None:
        assert [value for (value,) in query(path, "SELECT x FROM t")] == found
    if not isinstance(values[0], Decimal):
        assert [bare(row.get("x")) for row in stored(path)] == [bare(value) for value in values]


def test_what_grows_in_a_long_column_is_all_there(path: Path) -> None:
    with table(path) as opened:
        opened.write([{"n": number, "o": {"i": number}} for number in range(5000)])
        opened.write([{"n": 0.5, "o": {"i": "text"}, "later": 1}])
    assert query(path, "SELECT sum(n), count(later), count(DISTINCT o.i::VARCHAR) FROM t") == [(12497500.5, 1, 5001)]
    assert types(path) == {"n": "DOUBLE", "o": "STRUCT(i JSON)", "later": "BIGINT"}


def test_decimals_keep_every_digit(path: Path) -> None:
    with table(path, shape={"price": Plain("decimal")}) as opened:
        opened.write([{"price": "1.50"}, {"price": 2}, {"price": 0.1}, {"price": "12345678901234567890.123456789000"}])
        assert types(path)["price"] == "DECIMAL(38,9)"
        opened.write([{"price": "0.12345678901234567890"}])
    with table(path, shape={"price": Plain("decimal")}) as opened:  # the text goes on being checked as a number
        assert len(opened.write([{"price": "1e50"}, {"price": "x"}]).problems) == 1
    assert [Decimal(text) for (text,) in query(path, "SELECT price FROM t")] == [
        Decimal("1.5"), 2, Decimal("0.1"), Decimal("12345678901234567890.123456789"), Decimal("0.12345678901234567890"),
        Decimal("1e50"),
    ]  # fmt: skip


def test_a_table_that_is_there_keeps_its_types(path: Path) -> None:
    query(
        path,
        "CREATE TABLE t (id INTEGER, price DECIMAL(10,2), seen TIMESTAMP, key UUID, size ENUM('S', 'M'), text VARCHAR,"
        " n INTEGER)",
    )
    shape: dict[str, Shape] = {
        "id": Plain("int"),
        "price": Plain("decimal"),
        "seen": Plain("datetime"),
        "text": Plain("date"),
    }
    good = {
        "id": 1, "price": "1.25", "seen": "2026-01-01T10:00:00Z", "key": "0b7a8f5e-0000-0000-0000-000000000001",
        "size": "S", "text": "never", "n": 5,
    }  # fmt: skip
    with table(path, shape=shape) as opened:
        written = opened.write([good, {**good, "key": "no"}, {**good, "size": "XL"}])
        assert [(invalid.field, invalid.row["id"]) for invalid in written.problems] == [("key", 1), ("size", 1)]
        assert written.delivered == 1
        assert opened.write([{**good, "id": 2**40, "n": 0.5}]) == Written(1)
    kinds = types(path)
    assert kinds["id"] == "BIGINT"
    assert kinds["n"] == "DOUBLE"
    assert (kinds["price"], kinds["seen"], kinds["key"]) == ("DECIMAL(10,2)", "TIMESTAMP", "UUID")
    assert query(path, "SELECT price, seen, text FROM t WHERE id = 1") == [
        (Decimal("1.25"), datetime(2026, 1, 1, 10), "never")
    ]


def test_a_field_declared_later_as_text_becomes_one(path: Path) -> None:
    with table(path) as opened:
        opened.write([{"id": 1, "x": 5}, {"id": 2, "x": "five"}, {"id": 3}])
    with table(path, shape={"id": Plain("text"), "x": Plain("text"), "z": Plain("date")}) as opened:
        opened.write([{"id": "a", "x": "six", "z": "2026-01-01"}])
    assert query(path, "SELECT id, x FROM t") == [("1", "5"), ("2", "five"), ("3", None), ("a", "six")]
    assert types(path) == {"id": "VARCHAR", "x": "VARCHAR", "z": "DATE"}


def test_an_object_with_free_keys_does_not_become_hundreds_of_fields(path: Path) -> None:
    with table(path) as opened:
        opened.write([{"by_id": {f"key {number}": number for number in range(150)}}])
        opened.write([{"by_id": {f"key {number}": number for number in range(100, 300)}}])
    assert types(path) == {"by_id": "JSON"}
    assert [len(row["by_id"]) for row in map(bare, stored(path))] == [150, 200]


def test_very_wide_and_very_deep_rows_arrive(path: Path) -> None:
    deep: Any = 1
    for _ in range(100):
        deep = {"down": [deep]}
    wide = {f"c{number}": number for number in range(600)}
    with table(path) as opened:
        assert opened.write([{**wide, "deep": deep, "long": "x" * 20_000_000}]) == Written(1)
        assert opened.write([{"deep": deep, "c5": 6}]) == Written(1)
    assert query(path, "SELECT c599, len(long) FROM t") == [(599, 20_000_000), (None, None)]
    assert bare(stored(path)[1]) == bare({"deep": deep, "c5": 6})
