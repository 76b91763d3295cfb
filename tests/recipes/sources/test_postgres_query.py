"""Queries on a real PostgreSQL server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectory.errors import ConnectoryError, SourceError, SpecError
from connectory.values.shapes import ListOf, Plain
from servers.postgres import PostgresServer

OpenSource = Callable[..., Any]


def source(query: str) -> str:
    return "  postgres: env:SHOP\n  query: |\n" + "\n".join(f"    {line}" for line in query.split("\n"))


def rows_of(reader: Any, position: Any = None) -> list[dict[str, Any]]:
    return [dict(row) for chunk in reader.chunks(position) for row in chunk.rows]


@pytest.fixture
def shop(database: str) -> str:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE people AS SELECT i AS id, 'p' || i AS name FROM generate_series(1, 7) i")
    return database


def test_rows_come_from_a_cursor_and_a_killed_run_gets_the_rest(
    open_source: OpenSource, shop: str, snapshots: Callable[[], list[Path]]
) -> None:
    reader = open_source(source("select * from people order by id;"), {"SHOP": shop})
    reader.rows_per_chunk = 3
    first = next(reader.chunks(None))
    with psycopg.connect(shop) as connection:
        connection.execute("DROP TABLE people")
    again = open_source(source("select * from people order by id;"), {"SHOP": shop})
    assert [row["id"] for row in [*first.rows, *rows_of(again, first.position)]] == [1, 2, 3, 4, 5, 6, 7]
    again.forget()
    assert snapshots() == []


def test_every_type_arrives_as_a_plain_value(open_source: OpenSource, shop: str) -> None:
    reader = open_source(
        source(
            """
            select 9223372036854775807 as id, 12345678901234567890.10::numeric as price, 0.1::float8 as rate,
              true as yes, timestamptz '2026-01-02 03:04:05.678901+02' as seen,
              timestamp '2026-01-02 03:04:05' as local, date '2026-01-02' as day,
              time '03:04:05' as at, '\\x00ff'::bytea as raw, array[1, null]::int8[] as list,
              '{"a": [1, {"b": 12345678901234567890}]}'::jsonb as doc, interval '1 month 1 day' as span,
              '4f449cc5-9133-4c41-a1aa-8b636e8449a0'::uuid as uid, inet '10.0.0.1' as address, null as nothing,
              '100%' as percent
            """
        ),
        {"SHOP": shop},
    )
    assert rows_of(reader) == [
        {
            "id": 2**63 - 1,
            "price": Decimal("12345678901234567890.10"),
            "rate": 0.1,
            "yes": True,
            "seen": datetime(2026, 1, 2, 1, 4, 5, 678901, tzinfo=UTC),
            "local": datetime(2026, 1, 2, 3, 4, 5),
            "day": date(2026, 1, 2),
            "at": time(3, 4, 5),
            "raw": b"\x00\xff",
            "list": [1, None],
            "doc": {"a": [1, {"b": 12345678901234567890}]},
            "span": "1 mon 1 day",
            "uid": "4f449cc5-9133-4c41-a1aa-8b636e8449a0",
            "address": "10.0.0.1",
            "nothing": None,
            "percent": "100%",
        }
    ]
    kinds = {name: shape for name, shape in reader.shape.fields.items() if name in ("id", "list", "doc", "seen")}
    assert kinds == {
        "id": Plain("int"),
        "list": ListOf(Plain("int")),
        "doc": Plain("any"),
        "seen": Plain("datetime"),
    }


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select id,\n  nam\nfrom people", 'r.yaml:6:7 /from/query: column "nam" does not exist'),
        ("select * from nobody", 'r.yaml:5:19 /from/query: relation "nobody" does not exist'),
        ("select id id2 id3 from people", "/from/query: syntax error"),
        ("select id, id from people", "/from/query: the query gives two columns 'id': name one of them anew"),
        ("delete from people", "/from/query: expected one SELECT: a source is only read"),
        ("select 1 as a; drop table people", "/from/query: "),
        ("with gone as (delete from people returning id) select * from gone", "/from/query: "),
    ],
)
def test_a_wrong_query_points_into_the_recipe_and_changes_nothing(
    open_source: OpenSource, shop: str, query: str, said: str
) -> None:
    with pytest.raises(SpecError) as told:
        rows_of(open_source(source(query), {"SHOP": shop}))
    assert said in str(told.value)
    with psycopg.connect(shop) as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (7,)


def test_a_query_that_fails_on_a_row_is_told(open_source: OpenSource, shop: str) -> None:
    reader = open_source(source("select 1 / (id - 3) as x from people"), {"SHOP": shop})
    with pytest.raises(SpecError, match=r"r\.yaml:4:10 /from/query: division by zero"):
        rows_of(reader)


def test_no_error_shows_a_password(
    open_source: OpenSource, postgres_server: PostgresServer, shop: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = shop.replace(postgres_server.password, "hush-hush")
    for address, error, said in (
        (wrong, SourceError, "the password or the user is wrong"),
        ("postgresql://me:hush-hush@127.0.0.1:1/x", SourceError, "the server cannot be reached"),
        (f"{shop}_gone", SourceError, "no such database"),
        ("host= 'hush-hush", SpecError, "r.yaml:3:13 /from/postgres: the connection string cannot be read"),
    ):
        with pytest.raises(error) as told:
            open_source(source("select 1 as a"), {"SHOP": address})
        assert said in str(told.value)
        shown = f"{told.value!r} {told.value} {told.value.__cause__} {caplog.text}"
        assert "hush" not in shown
        assert postgres_server.password not in shown


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("env:GONE", "/from/postgres: env:GONE: the environment variable GONE is not set"),
        ("postgresql://me:hush@127.0.0.1/x", "/from/postgres: a password must not stand in this file"),
        ("host=x password=hush", "/from/postgres: a password must not stand in this file"),
        ("vault:x", "/from/postgres: vault:x: no plug-in supplies 'vault:'"),
    ],
)
def test_the_connection_string_is_a_reference_where_it_holds_a_secret(
    open_source: OpenSource, address: str, said: str
) -> None:
    with pytest.raises(ConnectoryError) as told:
        open_source(f"  postgres: {address}\n  query: select 1 as a")
    assert said in str(told.value)
    assert "hush" not in str(told.value)


def test_a_missing_psycopg_names_the_extra(open_source: OpenSource, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("connectory.destinations.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConnectoryError, match=r"needs psycopg: pip install 'connectory\[postgres\]'"):
        open_source("  postgres: postgresql:///x\n  query: select 1 as a")
