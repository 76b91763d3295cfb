"""A PostgreSQL table among others: what goes wrong is said in plain words, nothing half written is seen or doubled."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from connectory.destinations import postgres
from connectory.destinations.destination import Written
from connectory.destinations.kinds import read_address
from connectory.destinations.postgres import PostgresTable, open_postgres
from connectory.errors import DestinationError, SettingError
from connectory.values.shapes import Plain, Record
from destinations.places import Mode, query, state_of
from servers.postgres import PostgresServer


@contextmanager
def table(url: str, mode: Mode = "append", name: str = "t", **options: Any) -> Iterator[PostgresTable]:
    with closing(open_postgres(url, name, options.pop("shape", None), ["id"], mode, "r", **options)) as opened:
        yield opened


# Reaching the server.


def test_what_keeps_from_the_server_is_said_and_no_password(postgres_server: PostgresServer, database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()[1]
    query(database, "CREATE ROLE reader LOGIN PASSWORD 'sesame-1'")
    for address, words in {
        f"postgresql://x:sesame-1@127.0.0.1:{nobody}/db": "cannot be reached; is it running",
        "postgresql://x:sesame-1@nowhere.invalid/db": "cannot be reached",
        postgres_server.url("none"): "there is no such database",
        postgres_server.url("postgres", user="reader", password="sesame-2"): "the password or the user is wrong",
        "postgresql://x:sesame-1@127.0.0.1:port/db": "invalid integer value",
        "host=x password": "the connection string cannot be read",
    }.items():
        with pytest.raises(DestinationError, match=words) as caught:
            open_postgres(address, "t", None, (), "append", "r")
        assert "sesame" not in str(caught.value)
        assert postgres_server.password not in str(caught.value)


def test_a_connection_string_stands_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("WAREHOUSE", "postgresql://me:sesame@host/db")
    (tmp_path / "address").write_text("postgresql://me:sesame@host/other\n")
    assert read_address("env:WAREHOUSE", tmp_path) == "postgresql://me:sesame@host/db"
    assert read_address("file:address", tmp_path) == "postgresql://me:sesame@host/other"
    assert read_address("postgresql://me@host/db", tmp_path) == "postgresql://me@host/db"
    for literal in ("postgresql://me:sesame@host/db", "host=x password=sesame"):
        with pytest.raises(SettingError, match="a password must not stand") as caught:
            read_address(literal, tmp_path)
        assert "sesame" not in str(caught.value)


def test_rights_that_are_missing_are_named(postgres_server: PostgresServer, database: str) -> None:
    query(database, "DROP ROLE IF EXISTS clerk")
    query(database, "CREATE ROLE clerk LOGIN PASSWORD 'x'")
    name = database.rpartition("/")[2]
    as_clerk = postgres_server.url(name, user="clerk", password="x")
    with pytest.raises(DestinationError, match="no permission for this with table t; ask the owner to grant it"):
        open_postgres(as_clerk, "t", None, (), "append", "r")
    query(database, "CREATE SCHEMA own AUTHORIZATION clerk")
    with table(as_clerk, name="own.t") as opened:
        assert opened.write([{"id": 1}], b"s") == Written(1)
        opened.finish()
    query(database, "DROP SCHEMA own CASCADE; DROP ROLE clerk")


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a.b.c", 'a"b', "a\0b", "_connectory_state", "x" * 64])
def test_names_that_are_no_table_are_refused(postgres_url: str, name: str) -> None:
    with pytest.raises(DestinationError, match=r"no name of a table|kept for Connectory|too long"):
        open_postgres(postgres_url, name, None, (), "append", "r")


@pytest.mark.parametrize("name", ["crm.people", '"crm 2"."peo.ple"', '"it""s"', "crm.Select", "людей", "%s", "é" * 31])
def test_tables_of_any_name(database: str, name: str) -> None:
    modes: tuple[Mode, ...] = ("append", "replace", "merge")
    for mode in modes:
        with table(database, mode, name=name) as opened:
            opened.write([{"id": 1, "%s": "100 %"}], mode.encode())
            opened.finish()
            assert state_of(opened) == mode.encode()
    assert postgres.count(database, name) == 1
    assert postgres.glance(database, name) == (("id", "%s"), [(1, "100 %")])


def test_a_view_is_refused(database: str) -> None:
    query(database, "CREATE VIEW t AS SELECT 1 AS id; CREATE MATERIALIZED VIEW m AS SELECT 1 AS id; CREATE SEQUENCE s")
    for name in ("t", "m"):
        with pytest.raises(DestinationError, match="is a view; rows can only be written into a table"):
            open_postgres(database, name, None, (), "replace", "r")
    with pytest.raises(DestinationError, match="is no table"):
        open_postgres(database, "s", None, (), "append", "r")


# Others at the same table.


def test_a_second_writer_is_refused_and_names_the_first(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_LOCK_WITHIN", "50ms")
    with table(database) as first:
        first.write([{"id": 1}])
        with pytest.raises(DestinationError, match=r"being written by another program: connectory r, process \d+"):
            open_postgres(database, "t", None, (), "append", "r")
        with table(database, name="other") as other:
            other.write([{"id": 1}])
    with table(database) as again:
        assert again.write([{"id": 2}]) == Written(1)


def test_a_state_of_an_earlier_version_is_found_by_its_own_run_and_by_no_other(database: str) -> None:
    with psycopg.connect(database) as earlier:
        earlier.execute(
            "CREATE TABLE _connectory_state (table_name text, pending boolean, run text, state bytea, counts text,"
            " token text, saved_at timestamptz, PRIMARY KEY (table_name, pending))"
        )
        earlier.execute("INSERT INTO _connectory_state VALUES ('t', false, 'a', 'old', '{}', '', now())")
    for run, state in (("b", None), ("a", b"old"), ("b", b"new")):
        opened = open_postgres(database, "t", None, (), "append", run)
        assert state_of(opened) == state
        opened.write([{"id": 1}], state or b"new")
        opened.close()


def test_a_lock_is_waited_for_and_then_named(database: str) -> None:
    with table(database) as opened:
        opened.write([{"id": 1}])
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE t")
        with (
            table(f"{database}?options=-c%20lock_timeout%3D100ms") as opened,
            pytest.raises(DestinationError, match="table t is locked by another program"),
        ):
            opened.write([{"id": 2}], b"s")
    with table(database) as opened:
        assert state_of(opened) is None
    assert query(database, "SELECT id FROM t") == [(1,)]


def test_readers_are_not_kept_out_by_a_replace_and_keep_their_rights_and_views(database: str) -> None:
    with table(database, "replace") as opened:
        opened.write([{"id": 1, "a": "x"}])
        opened.finish()
    query(database, "CREATE VIEW v AS SELECT id, a FROM t; CREATE INDEX mine ON t (a); GRANT SELECT ON t TO PUBLIC")
    with psycopg.connect(database) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert reader.execute("SELECT id FROM v").fetchall() == [(1,)]
        with table(database, "replace") as opened:
            opened.write([{"id": 2}, {"id": 3}])
            opened.finish()
        assert reader.execute("SELECT id FROM v").fetchall() == [(1,)]
    assert query(database, "SELECT id, a FROM v ORDER BY id") == [(2, None), (3, None)]
    assert query(
        database, "SELECT has_table_privilege('pg_monitor', 't', 'SELECT'), to_regclass('mine') IS NOT NULL"
    ) == [(True, True)]


# What the server refuses.


def test_a_chunk_that_a_constraint_refuses_leaves_table_and_state_as_they_were(database: str) -> None:
    query(database, "CREATE TABLE t (id bigint CHECK (id < 10))")
    with table(database) as opened:
        opened.write([{"id": 1}], b"one")
        with pytest.raises(DestinationError, match="a constraint of table t refuses a row"):
            opened.write([{"id": 2, "new": 1}, {"id": 11}], b"two")
        assert state_of(opened) == b"one"
        assert opened.write([{"id": 3, "other": "x"}], b"three") == Written(1)
    assert query(database, "SELECT id FROM t") == [(1,), (3,)]


def test_a_full_disk_is_named_and_nothing_is_kept_of_the_chunk(database: str) -> None:
    query(
        database,
        "CREATE TABLE t (id bigint); CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.id = 3 THEN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';"
        " END IF; RETURN NEW; END $$; CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION full_disk()",
    )
    with table(database) as opened:
        opened.write([{"id": 1}], b"one")
        with pytest.raises(DestinationError, match="the disk is full; what was kept before is whole"):
            opened.write([{"id": 2}, {"id": 3}], b"two")
        assert state_of(opened) == b"one"
    assert query(database, "SELECT id FROM t") == [(1,)]


def test_keys_that_are_there_twice_are_named(database: str) -> None:
    query(database, "CREATE TABLE t AS SELECT 5 AS id FROM generate_series(1, 2)")
    with table(database, "merge") as opened, pytest.raises(DestinationError, match=r"twice.*\(id\)=\(5\)"):
        opened.write([{"id": 1}])


def test_a_table_of_others_keeps_its_types_and_defaults(database: str) -> None:
    query(
        database,
        "CREATE TYPE size AS ENUM ('S', 'M'); CREATE TABLE t (number bigint GENERATED ALWAYS AS IDENTITY, id integer,"
        " price numeric(10,2), seen timestamp, key uuid, size size, short varchar(3), tags text[], n integer,"
        " made timestamptz NOT NULL DEFAULT now(), twice numeric GENERATED ALWAYS AS (price * 2) STORED, raw json)",
    )
    good: dict[str, Any] = {
        "id": 1, "price": "1.25", "seen": "2026-01-01T10:00:00+02:00", "key": "0b7a8f5e-0000-0000-0000-000000000001",
        "size": "S", "short": "abc", "tags": ["a", 'b"'], "n": 5, "raw": {"a": [1]},
    }  # fmt: skip
    shape = Record({"id": Plain("int"), "price": Plain("decimal"), "seen": Plain("datetime")})
    with table(database, shape=shape) as opened:
        bad = [{**good, "key": "no"}, {**good, "size": "XL"}, {**good, "short": "long"}, {**good, "seen": "never"}]
        written = opened.write([good, *bad, {"id": 2}])
        assert [(row.field, row.row) for row in written.problems] == list(
            zip(["key", "size", "short", "seen"], bad, strict=True)
        )
        assert written.delivered == 2
        assert opened.write([{**good, "id": 3, "n": 0.5}, {**good, "id": 2**40}]) == Written(2)
    [found] = query(database, "SELECT number, twice, seen::text, tags, made IS NULL, n FROM t WHERE id = 1")
    assert found == (1, Decimal("2.50"), "2026-01-01 08:00:00", ["a", 'b"'], False, 5.0)
    with table(database, "merge", shape=shape) as opened:
        assert opened.write([good, {**good, "raw": {"a": [2]}, "id": 3}, {"id": 9}]) == Written(2, unchanged=1)


def test_a_row_is_one_field_too_wide_for_postgresql(database: str) -> None:
    with table(database) as opened, pytest.raises(DestinationError, match="a limit of PostgreSQL's own"):
        opened.write([{f"c{number}": 1 for number in range(1700)}])


# The connection is lost.


class Wire:
    """A proxy before the server that can be cut: at once, or when the answer to a commit is on its way."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.eat_answer_to: bytes | None = None
        self.refuse_requests_with: bytes | None = None
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            state = {"eat": False}
            for source, sink, asks in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, asks, state), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, asks: bool, state: dict[str, bool]) -> None:
        try:
            while data := source.recv(65536):
                if asks and self.refuse_requests_with and self.refuse_requests_with in data:
                    self.refuse_requests_with = None
                    break
                if asks and self.eat_answer_to and self.eat_answer_to in data:
                    self.eat_answer_to = None
                    state["eat"] = True
                if not asks and state["eat"]:
                    break
                sink.sendall(data)
            self.cuts += 1
        except OSError:
            pass
        for end in (source, sink):
            with closing(end), suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def wire(postgres_server: PostgresServer) -> Iterator[Wire]:
    with closing(Wire(postgres_server.port)) as wire:
        yield wire


def through(wire: Wire, server: PostgresServer, database: str) -> str:
    return database.replace(f":{server.port}/", f":{wire.port}/") + "?sslmode=disable&gssencmode=disable"


@pytest.mark.parametrize("word", [b"COMMIT", b"COPY", b"INSERT INTO"])
@pytest.mark.parametrize("answered", [True, False], ids=["carried out, the answer lost", "never arrived"])
@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_connection_lost_in_mid_write_costs_nothing_and_doubles_nothing(
    postgres_server: PostgresServer, database: str, wire: Wire, word: bytes, answered: bool, mode: Mode
) -> None:
    waited: list[float] = []
    with table(through(wire, postgres_server, database), mode, sleep=waited.append) as opened:
        assert opened.write([{"id": 1}], b"one") == Written(1)
        if answered:
            wire.eat_answer_to = word
        else:
            wire.refuse_requests_with = word
        assert opened.write([{"id": 2}, {"id": 3}], b"two") == Written(2)
        assert opened.write([{"id": 4}]) == Written(1)
        assert state_of(opened) == b"two"
        opened.finish(b"end")
    assert waited
    assert sorted(query(database, "SELECT id FROM t")) == [(1,), (2,), (3,), (4,)]


def test_a_replace_whose_last_answer_is_lost_is_whole(
    postgres_server: PostgresServer, database: str, wire: Wire
) -> None:
    with table(through(wire, postgres_server, database), "replace", sleep=lambda _: None) as opened:
        opened.write([{"id": 1}, {"id": 2}], b"half")
        wire.eat_answer_to = b"COMMIT"
        opened.finish(b"end")
        assert state_of(opened) == b"end"
    assert sorted(query(database, "SELECT id FROM t")) == [(1,), (2,)]


def test_a_server_that_stays_away_is_told_and_the_state_says_where_to_go_on() -> None:
    with PostgresServer() as server:
        waited: list[float] = []
        with table(server.url(), sleep=waited.append) as opened:
            opened.write([{"id": 1}], b"one")
            server.stop()
            with pytest.raises(DestinationError, match="the server cannot be reached"):
                opened.write([{"id": 2}], b"two")
            assert len(waited) > 1
            server.start()
        with table(server.url()) as opened:
            assert state_of(opened) == b"one"
            assert opened.write([{"id": 2}], b"two") == Written(1)
        assert query(server.url(), "SELECT id FROM t ORDER BY id") == [(1,), (2,)]
