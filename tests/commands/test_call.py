"""`connectory call`: records and results out, everything else on stderr, and the exit code of how it ended."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from pyarrow import parquet

from commands.conftest import Cli, Spawn
from commands.shop import KEY, Shop


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# Lists --------------------------------------------------------------------------------------------------------------


def test_a_list_goes_to_stdout_as_json_lines_with_the_vendors_own_texts(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.list")
    assert result.exit_code == 0
    assert rows(result.stdout) == shop.customers
    assert result.stderr == ""


def test_limit_stops_and_asks_for_no_more_than_needed(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.list", "--limit", "2")
    assert [row["id"] for row in rows(result.stdout)] == [1, 2]
    assert [exchange.argument("per_page") for exchange in shop.requests()] == ["2"]


def test_arguments_are_read_by_their_declared_types(cli: Cli, shop: Shop) -> None:
    given = ["status=active", "kind=2", "vip=yes", "since=2026-05-20", "tags=a,b"]
    assert cli("call", "shop", "customers.list", *given, "--limit", "1").exit_code == 0
    query = dict(shop.requests()[0].query)
    assert query == {
        "status": "active",
        "kind": "2",
        "vip": "true",
        "since": "2026-05-20",
        "tags": "a,b",
        "page": "1",
        "per_page": "1",
    }


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("stauts=active", "no argument 'stauts'; did you mean 'status'?"),
        ("status=actve", "did you mean 'active'?"),
        ("kind=3", "expected one of 1 (private), 2 (company), got 3"),
        ("kind=two", "'kind': expected an integer, got 'two'"),
        ("vip=maybe", "expected true or false, got 'maybe'"),
        ("since=2026-02-30", "'since'"),
        ("active", "expected name=value, got 'active'"),
        ("status=@missing.txt", "cannot read missing.txt"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_sent(cli: Cli, shop: Shop, word: str, message: str) -> None:
    result = cli("call", "shop", "customers.list", word)
    assert result.exit_code == 2
    assert message in result.stderr
    assert (result.stdout, shop.requests()) == ("", [])


def test_every_wrong_argument_is_named_at_once(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.list", "vip=perhaps", "stauts=active", "kind=two", "active")
    assert result.exit_code == 2
    assert [name for name in ("'vip'", "'stauts'", "'kind'", "'active'") if name not in result.stderr] == []
    assert shop.requests() == []


def test_a_bare_value_is_answered_with_the_line_that_was_meant(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.get", "5")
    assert (result.exit_code, "did you mean id=5?" in result.stderr) == (2, True)


def test_complete_asks_the_detail_of_each_record(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.list", "--complete", "--limit", "2")
    assert [row["email"] for row in rows(result.stdout)] == ["x@shop.example"] * 2
    assert len(shop.requests("/customers/")) == 2


def test_parents_are_walked(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "orders.of_customer", "--parents", "--limit", "5")
    assert rows(result.stdout)[2] == {"number": "2-1", "customer": "Customer 2"}


def test_records_appear_before_the_next_page_is_there(spawn: Spawn, shop: Shop) -> None:
    with shop.hold("nothing"):
        process = spawn("call", "shop", "customers.list")
        assert process.stdout is not None
        first = process.stdout.readline()  # while the process goes on
    assert json.loads(first)["id"] == 1
    assert process.wait(30) == 0


# Forms --------------------------------------------------------------------------------------------------------------


def test_a_table_for_people(cli: Cli, shop: Shop) -> None:
    shop.customers[1]["name"] = "Ōsaka 株式会社\x1b[31m"
    result = cli("call", "shop", "customers.list", "--limit", "2", "--output", "table")
    heading, rule, first, second = result.stdout.splitlines()
    assert heading.split() == ["id", "name", "joined"]
    assert set(rule) == {"-", " "}
    assert first.split() == ["1", "Customer", "1", "2026-01-01T10:00:00Z"]
    assert "\x1b" not in second
    assert "株式会社" in second
    assert "(2 rows)" in result.stderr


def test_json_is_one_array(cli: Cli, shop: Shop) -> None:
    assert json.loads(cli("call", "shop", "customers.list", "-o", "json").stdout) == shop.customers
    shop.customers.clear()
    assert json.loads(cli("call", "shop", "customers.list", "-o", "json").stdout) == []


def test_csv_has_a_column_for_every_field_of_any_record(cli: Cli, shop: Shop) -> None:
    shop.customers[6] |= {
        "tags": ["a", {"b": 1}],
        "vip": True,
        "big": 12345678901234567890123,
        "name": 'say "hi",\nyou',
    }
    table = list(csv.DictReader(io.StringIO(cli("call", "shop", "customers.list", "-o", "csv").stdout, newline="")))
    assert len(table) == 7
    assert table[0]["tags"] == ""
    last = table[6]
    assert (json.loads(last["tags"]), last["vip"], last["big"]) == (["a", {"b": 1}], "true", "12345678901234567890123")
    assert last["name"] == 'say "hi",\nyou'


def test_parquet_has_native_types_and_every_field(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    shop.customers[6] |= {"nested": {"a": [1]}, "mixed": 1, "empty": {}}
    shop.customers[5] |= {"mixed": "one"}
    result = cli("call", "shop", "customers.list", "--to", "customers.parquet")
    assert (result.exit_code, result.stdout) == (0, "")
    table = parquet.read_table(tmp_path / "customers.parquet")
    assert str(table.schema.field("joined").type).startswith("timestamp")
    assert table.column("nested").to_pylist()[6] == {"a": [1]}
    assert table.column("mixed").to_pylist()[5:] == ["one", "1"]


def on_terminal(spawn: Spawn, *words: str) -> tuple[int, str, str]:
    """Exit code, what a terminal of 60 columns shows of stdout, and stderr."""
    ours, theirs = pty.openpty()
    process = spawn(*words, stdout=theirs, env={"COLUMNS": "60"})
    os.close(theirs)
    shown = b""
    with open(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(1000)
            except OSError:  # nobody holds the other end any more
                break
            shown += piece
    assert process.stderr is not None
    return process.wait(30), shown.decode().replace("\r\n", "\n"), process.stderr.read().decode()


def test_on_a_terminal_the_default_is_a_table_that_fits(spawn: Spawn, shop: Shop) -> None:
    for customer in shop.customers:
        customer |= {"hobby": "gardening and everything like it", "town": "Springfield", "nothing": None}
    code, shown, told = on_terminal(spawn, "call", "shop", "customers.list")
    assert code == 0
    assert shown.splitlines()[0].split() == ["id", "name", "joined", "town"]
    assert max(map(len, shown.splitlines())) <= 60
    assert "not shown: hobby, nothing" in told


def test_parquet_is_not_poured_onto_a_terminal(spawn: Spawn, shop: Shop) -> None:
    code, shown, told = on_terminal(spawn, "call", "shop", "customers.list", "-o", "parquet")
    assert (code, shown, shop.requests()) == (2, "", [])
    assert "--to FILE.parquet" in told


def test_a_file_appears_only_when_it_is_complete(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    shop.fail(times=9, status=400, match="customers", skip=1, body=b"{}", content_type="application/json")
    result = cli("call", "shop", "customers.list", "--to", "out.jsonl")
    assert result.exit_code == 1
    assert {path.name for path in tmp_path.iterdir()} - {"specs", ".connectory"} == set()
    shop._faults.clear()
    assert cli("call", "shop", "customers.list", "--to", "out.jsonl").exit_code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 7


def test_a_file_that_cannot_be_made_sends_nothing(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.list", "--to", "no/such/folder.jsonl")
    assert (result.exit_code, shop.requests()) == (2, [])


# Single calls -------------------------------------------------------------------------------------------------------


def test_one_record_on_one_line_or_field_by_field(cli: Cli, shop: Shop) -> None:
    assert rows(cli("call", "shop", "customers.get", "id=3").stdout)[0]["name"] == "Customer 3"
    table = cli("call", "shop", "customers.get", "id=3", "-o", "table").stdout
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["id", "name", "joined", "email"]


def test_a_body_comes_from_the_line_a_file_or_standard_input(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"name": "Initech"}')
    for data, piped in (('{"name": "Globex"}', None), ("@body.json", None), ("-", '{"name": "Hooli"}')):
        assert cli("call", "shop", "customers.create", "--data", data, input=piped).exit_code == 0
    assert [customer["name"] for customer in shop.customers[7:]] == ["Globex", "Initech", "Hooli"]


def test_fields_come_as_arguments_or_as_data_by_either_name(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "notice.txt").write_text("two\nlines\n")
    assert rows(cli("call", "shop", "notices.add", "text=@notice.txt", "shelf=2").stdout)[0]["Text"] == "two\nlines"
    assert rows(cli("call", "shop", "notices.add", "text=@@home").stdout)[0]["Text"] == "@home"
    assert rows(cli("call", "shop", "notices.add", "--data", '{"Text": "x", "shelf": 1}').stdout)[0] == {
        "id": 1,
        "Text": "x",
        "Shelf": 1,
    }
    twice = cli("call", "shop", "notices.add", "text=a", "--data", '{"Text": "b"}')
    assert (twice.exit_code, "both" in twice.stderr) == (2, True)


@pytest.mark.parametrize(
    ("data", "message"), [("{", "not JSON"), ("@none.json", "cannot read"), ('{"name": 1}', "name: expected a text")]
)
def test_a_body_that_cannot_be_read_sends_nothing(cli: Cli, shop: Shop, data: str, message: str) -> None:
    result = cli("call", "shop", "customers.create", "--data", data)
    assert (result.exit_code, shop.requests()) == (2, [])
    assert message in result.stderr


def test_an_unchanged_record_is_said_to_be_so(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.replace", "id=3", "--data", '{"name": "Customer 3"}')
    assert (result.exit_code, "unchanged" in result.stderr) == (0, True)
    assert shop.requests("PUT") == []


def test_an_upload_that_is_only_queued_is_accepted(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"\x89PNG")
    result = cli("call", "shop", "pictures.upload", "file=@p.png")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "accepted" in result.stderr
    assert b"\x89PNG" in shop.requests("POST")[0].body
    missing = cli("call", "shop", "pictures.upload", "file=@q.png")
    assert (missing.exit_code, len(shop.requests())) == (2, 1)


def test_bytes_and_texts_are_written_as_they_are(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    shop.pictures["p.png"] = bytes(range(256))
    assert cli("call", "shop", "pictures.get", "name=p.png").stdout_bytes == bytes(range(256))
    assert cli("call", "shop", "pictures.get", "name=p.png", "--to", "copy.png").exit_code == 0
    assert (tmp_path / "copy.png").read_bytes() == bytes(range(256))
    assert cli("call", "shop", "hours.get").stdout == "Mon-Fri 9-17, Søndag lukket\n"


def test_raw_is_the_answers_body_byte_for_byte(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.list", "--raw")
    assert result.stdout_bytes == shop.requests()[0].answer
    assert "HTTP 200 application/json" in result.stderr


# Calls that destroy -------------------------------------------------------------------------------------------------


def test_a_call_that_destroys_needs_yes(cli: Cli, shop: Shop) -> None:
    refused = cli("call", "shop", "customers.delete", "id=3")
    assert (refused.exit_code, shop.requests()) == (2, [])
    assert "--yes" in refused.stderr
    assert cli("call", "shop", "customers.delete", "id=3", "--yes").exit_code == 0
    assert 3 not in [customer["id"] for customer in shop.customers]


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 6), ("n", 2, 7)])
def test_on_a_terminal_it_asks(spawn: Spawn, shop: Shop, answer: str, code: int, left: int) -> None:
    ours, theirs = pty.openpty()
    process = spawn("call", "shop", "customers.delete", "id=3", stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL)
    with open(ours, "r+b", buffering=0) as terminal:
        said = b""
        while b"[y/N]" not in said:
            said += terminal.read(1000)
        terminal.write(f"{answer}\n".encode())
        assert process.wait(30) == code
    assert b"customers.delete destroys" in said
    assert len(shop.customers) == left


# Batches ------------------------------------------------------------------------------------------------------------

ORDERS = [{"number": f"A{n}", "amount": n} for n in range(1, 6)]


@pytest.mark.parametrize("way", ["line", "json", "jsonl", "csv", "parquet", "pipe"])
def test_items_come_from_anywhere(cli: Cli, shop: Shop, tmp_path: Path, way: str) -> None:
    from pyarrow import Table

    lines = "".join(json.dumps(order) + "\n" for order in ORDERS)
    (tmp_path / "orders.json").write_text(json.dumps(ORDERS))
    (tmp_path / "orders.jsonl").write_text(lines)
    (tmp_path / "orders.csv").write_text("number,amount,note\n" + "".join(f"A{n},{n},\n" for n in range(1, 6)))
    parquet.write_table(Table.from_pylist(ORDERS), tmp_path / "orders.parquet")
    data = {"line": json.dumps(ORDERS), "pipe": "-"}.get(way, f"@orders.{way}")
    result = cli("call", "shop", "orders.upsert", "--data", data, input=lines)
    assert result.exit_code == 0, result.stderr
    assert [row["outcome"] for row in rows(result.stdout)] == ["delivered"] * 5
    assert {number: order["amount"] for number, order in shop.orders.items()} == {f"A{n}": n for n in range(1, 6)}
    assert "5 read = 5 delivered (3 calls)" in result.stderr


def test_items_that_are_refused_or_invalid_are_told_and_end_with_3(cli: Cli, shop: Shop) -> None:
    shop.refused = {"A2"}
    items = [*ORDERS, {"number": "A6", "amount": -1}, {"number": "A7"}]
    result = cli("call", "shop", "orders.upsert", "--data", json.dumps(items))
    assert result.exit_code == 3
    by_row = {row["row"]: row for row in rows(result.stdout)}
    assert (by_row[2]["outcome"], by_row[2]["message"], by_row[2]["item"]) == ("rejected", "no such shelf", ORDERS[1])
    assert by_row[6]["outcome"] == by_row[7]["outcome"] == "invalid"
    assert "amount" in str(by_row[6]["message"])
    assert "7 read = 4 delivered + 2 invalid + 1 rejected (3 calls)" in result.stderr
    assert "row 2 rejected: no such shelf" in result.stderr


def test_a_delivery_that_stops_accounts_for_what_was_not_tried(cli: Cli, shop: Shop) -> None:
    shop.fail(status=403, match="orders", skip=1)
    result = cli("call", "shop", "orders.upsert", "--data", json.dumps(ORDERS))
    assert result.exit_code == 1
    assert "5 read = 2 delivered + 3 not tried" in result.stderr
    assert [row["outcome"] for row in rows(result.stdout)] == ["delivered"] * 2 + ["not_tried"] * 3


def test_results_reach_a_file_even_when_the_delivery_stops(cli: Cli, shop: Shop, tmp_path: Path) -> None:
    shop.fail(status=403, match="orders", skip=1)
    assert cli("call", "shop", "orders.upsert", "--data", json.dumps(ORDERS), "--to", "done.jsonl").exit_code == 1
    assert len((tmp_path / "done.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("orders.jsonl", '{"number": "A1", "amount": 1}\n{"number"\n', "orders.jsonl:2"),
        ("orders.json", "[{]", "orders.json"),
        ("orders.csv", "number,amount\nA1,1\nA2\n", "orders.csv:3"),
        ("orders.csv", "number,number\nA1,1\n", "orders.csv:1"),
        ("orders.parquet", "PAR1", "orders.parquet"),
        ("orders.xlsx", "", "expected a file that ends in"),
    ],
)
def test_a_file_of_items_that_cannot_be_read_sends_nothing(
    cli: Cli, shop: Shop, tmp_path: Path, name: str, text: str, place: str
) -> None:
    (tmp_path / name).write_text(text)
    result = cli("call", "shop", "orders.upsert", "--data", f"@{name}")
    assert (result.exit_code, shop.requests()) == (2, [])
    assert place in result.stderr


def test_a_reader_who_leaves_does_not_keep_the_rest_from_being_sent(spawn: Spawn, shop: Shop, tmp_path: Path) -> None:
    many = [{"number": f"B{n}", "amount": n, "note": "x" * 500} for n in range(300)]
    shop.refused = {str(order["number"]) for order in many}  # results as long as the items fill the pipe
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(order) + "\n" for order in many))
    process = spawn("call", "shop", "orders.upsert", "--data", "@many.jsonl")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read().decode()
    assert process.wait(60) == 141
    assert "300 read" in told
    assert "Traceback" not in told
    assert len(shop.requests("orders")) == 150


# Ends ---------------------------------------------------------------------------------------------------------------


def test_a_closed_pipe_ends_quietly(spawn: Spawn, shop: Shop) -> None:
    shop.customers[:] = [{"id": n, "name": "x" * 3000} for n in range(1, 200)]
    process = spawn("call", "shop", "customers.list")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(30) == 141


@pytest.mark.parametrize(("held", "words"), [("customers", []), ("customers/", ["--complete"])])
def test_an_interrupt_ends_at_once_without_a_traceback(spawn: Spawn, shop: Shop, held: str, words: list[str]) -> None:
    with shop.hold(held):
        process = spawn("call", "shop", "customers.list", *words)
        shop.wait_in_flight(1)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert time.monotonic() - began < 5
    assert process.stderr is not None
    told = process.stderr.read().decode()
    assert "interrupted" in told
    assert "Traceback" not in told


def test_an_error_of_the_vendor_is_told_in_its_words(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.get", "id=99")
    assert result.exit_code == 1
    assert "no such customer" in result.stderr
    assert f"request: GET {shop.url}/v1/customers/99" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in cli("--debug", "call", "shop", "customers.get", "id=99").stderr


def test_a_budget_that_is_spent_ends_with_75_and_the_time_to_come_back(cli: Cli, shop: Shop) -> None:
    assert cli("call", "shop", "audits.run").exit_code == 0
    result = cli("call", "shop", "audits.run", "--max-wait", "1s")
    assert result.exit_code == 75
    assert re.search(r"come back at 20\d\d-.* UTC, in 2[34] h", result.stderr)
    assert len(shop.requests()) == 1


def test_refused_credentials_say_where_to_get_them(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.list", env={"CONNECTORY_SHOP_API_KEY": "another-till-77aa"})
    assert result.exit_code == 1
    assert "the shop's back office shows it" in result.stderr
    assert "another-till" not in result.output


def test_a_missing_secret_and_wrong_arguments_are_told_together(cli: Cli, shop: Shop) -> None:
    result = cli("call", "shop", "customers.list", "stauts=x", env={"CONNECTORY_SHOP_API_KEY": None})
    assert result.exit_code == 2
    assert "CONNECTORY_SHOP_API_KEY" in result.stderr
    assert "did you mean 'status'?" in result.stderr


def test_a_secret_on_the_command_line_is_warned_of_and_never_repeated(cli: Cli, shop: Shop) -> None:
    result = cli(
        "call",
        "shop",
        "customers.list",
        "--limit",
        "1",
        "--set",
        f"api_key={KEY}",
        env={"CONNECTORY_SHOP_API_KEY": None},
    )
    assert result.exit_code == 0
    assert "CONNECTORY_SHOP_API_KEY in the environment" in result.stderr
    for words in (["--set", f"api_kye={KEY}"], ["--set", KEY], ["--set", f"api_key={KEY}", "--set", "branch=NORTH"]):
        wrong = cli("--debug", "call", "shop", "customers.list", *words)
        assert wrong.exit_code == 2
        assert KEY not in wrong.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shp", "customers.list"], "did you mean 'shop'?"),
        (["shop", "customer.list"], "did you mean 'customers.list'?"),
        (["shop", "customers.list", "--server", "sandbx"], "did you mean 'sandbox'?"),
        (["shop", "customers.get"], "'id' is required"),
        (["shop", "customers.get", "id=1", "--limit", "3"], "--limit is for lists"),
        (["shop", "customers.get", "id=1", "--data", "{}"], "takes no --data"),
        (["shop", "orders.upsert", "--data", "[]", "--raw"], "--raw is for single calls"),
        (["shop", "customers.list", "--parents"], "names no parent"),
        (["shop", "customers.get", "id=1", "--complete"], "names no detail call"),
        (["shop", "customers.list", "--max-wait", "soon"], "no duration"),
        (["shop", "customers.list", "--limit", "0"], "--limit"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_sent(
    cli: Cli, shop: Shop, words: list[str], message: str
) -> None:
    result = cli("call", *words)
    assert (result.exit_code, shop.requests()) == (2, [])
    assert message in result.stderr


def test_numbers_keep_every_digit(cli: Cli, shop: Shop) -> None:
    shop.customers[0]["big"] = 12345678901234567890123
    assert '"big":12345678901234567890123' in cli("call", "shop", "customers.list", "--limit", "1").stdout
    cli("call", "shop", "orders.upsert", "--data", '[{"number": "A1", "amount": 1234567890.123456789}]')
    assert b'"amount":1234567890.123456789' in shop.requests("orders")[0].body
