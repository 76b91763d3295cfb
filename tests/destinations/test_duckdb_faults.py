"""What may go wrong with a DuckDB file: it is said in plain words, and nothing half written is ever seen."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

import connectory
from connectory.destinations import duckdb_file
from connectory.destinations.destination import Written
from connectory.destinations.duckdb import Mode, count, glance, open_duckdb
from connectory.errors import DestinationError
from destinations.tables import DECLARED, query, state_of, table, types

CORE = Path(connectory.__file__).parents[1]


def test_a_chunk_that_fails_leaves_table_and_state_as_they_were(path: Path) -> None:
    query(path, "CREATE TABLE t (id BIGINT CHECK (id < 10))")
    with table(path) as opened:
        opened.write([{"id": 1}], b"one")
        with pytest.raises(DestinationError, match="CHECK constraint"):
            opened.write([{"id": 2, "new": 1}, {"id": 11}], b"two")
        assert state_of(opened) == b"one"
        assert opened.write([{"id": 3, "other": "x"}], b"three") == Written(1)
    assert types(path) == {"id": "BIGINT", "other": "VARCHAR"}
    assert query(path, "SELECT id FROM t") == [(1,), (3,)]


HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_a_file_in_use_names_the_process(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_file, "PATIENCE", 0.3)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(DestinationError, match=rf"in use by another program: .*process {holder.pid}"):
            open_duckdb(file, "t", None, (), "append", "r")
        with pytest.raises(DestinationError, match=f"process {holder.pid}"):
            count(file, "t")
        holder.kill()
    with table(file) as opened:
        assert opened.write([{"id": 1}]) == Written(1)


def test_another_program_that_ends_soon_is_waited_for(file: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        threading.Timer(0.3, holder.kill).start()
        with closing(open_duckdb(file, "t", None, (), "append", "r")) as opened:
            assert opened.write([{"id": 1}]) == Written(1)


def test_a_connection_of_the_same_program_is_shared(file: Path) -> None:
    with closing(duckdb.connect(str(file))) as own:
        with table(file) as opened:
            opened.write([{"id": 1, "at": "x"}])
            assert own.execute("SELECT id FROM t").fetchall() == [(1,)]
        assert glance(file, "t") == (("id", "at"), [(1, "x")])
    with table(file) as opened:
        assert count(file, "t") == 1


def test_what_is_no_duckdb_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello world\n" * 100)
    with closing(sqlite3.connect(tmp_path / "lite")) as lite:
        lite.execute("CREATE TABLE t (a)")
    for name, words in {
        "text": "is not a DuckDB file",
        "lite": "is a file of another database",
        "": "is a folder",
    }.items():
        with pytest.raises(DestinationError, match=words):
            open_duckdb(tmp_path / name, "t", None, (), "append", "r")
    with pytest.raises(DestinationError, match="there is no file"):
        glance(tmp_path / "none", "t")
    with pytest.raises(DestinationError, match="the folder of x cannot be made"):
        open_duckdb(tmp_path / "text" / "x", "t", None, (), "append", "r")
    with table(tmp_path / "new" / "deep" / "x.duckdb") as opened:
        opened.write([{"id": 1}])


def test_a_view_is_refused(path: Path) -> None:
    query(path, "CREATE VIEW t AS SELECT 1 AS id")
    modes: tuple[Mode, ...] = ("append", "replace")
    for mode in modes:
        with pytest.raises(DestinationError, match="is a view"):
            open_duckdb(path, "t", None, (), mode, "r")


def test_a_damaged_file_is_named(file: Path) -> None:
    with table(file) as opened:
        opened.write([{"id": number, "text": f"text {number}" * 5} for number in range(50_000)])
    whole = file.read_bytes()
    garbled = bytes(byte ^ 0xFF if place % 7 == 0 else byte for place, byte in enumerate(whole[:20_000]))
    for damaged in (whole[:100_000], garbled + whole[20_000:], whole[:5_000] + garbled):
        file.write_bytes(damaged)
        with pytest.raises(DestinationError, match=r"is damaged|is not a DuckDB file"):
            open_duckdb(file, "t", None, (), "append", "r")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_is_read_only_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DestinationError, match="read-only"):
        open_duckdb(tmp_path / "x.duckdb", "t", None, (), "append", "r")


FULL = """
import resource, sys
sys.path[:0] = [sys.argv[2]]
from connectory.destinations import duckdb_file
from connectory.destinations.duckdb import open_duckdb
from connectory.errors import DestinationError
table = open_duckdb(sys.argv[1], "t", None, (), "append", "r")
written = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
try:
    for chunk in range(1000):
        rows = [{"id": chunk * 1000 + n, "text": f"{chunk} {n} " * 20} for n in range(1000)]
        written += table.write(rows, b"%d" % chunk).delivered
except DestinationError as error:
    print(written, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file sizes cannot be limited here")
def test_a_full_disk_stops_the_chunk_and_keeps_the_rest(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(file), str(CORE)], capture_output=True, text=True, check=False
    )
    written, _, words = done.stdout.partition(" ")
    assert "the disk is full" in words, done.stderr
    assert query(file, "SELECT count(*), max(id) + 1 FROM t") == [(int(written), int(written))]
    with table(file) as opened:
        assert state_of(opened) == b"%d" % (int(written) // 1000 - 1)
        assert opened.write([{"id": -1}]) == Written(1)


def test_nothing_is_fetched_and_nothing_is_left_beside_the_file(file: Path, home: Path) -> None:
    with table(file, "merge", shape=DECLARED) as opened:
        opened.write(
            [{"id": 1, "seen": "2026-01-01T10:00:00Z", "free": {"a": 1}, "url": "https://example.com/x.parquet"}]
        )
        opened.finish()
    assert [found.name for found in file.parent.iterdir()] == [file.name]
    assert not (home / ".duckdb").exists()


KILLED = """
import sys
import threading
sys.path[:0] = [sys.argv[2]]
from connectory.destinations import duckdb_file
from connectory.destinations.duckdb import open_duckdb
table = open_duckdb(sys.argv[1], "t", None, ["id"], sys.argv[3], "r")
kept = table.read_state()
start = int(kept.state) if kept else 0
for chunk in range(start, 100_000):
    rows = [{"id": chunk * 50 + n, f"new{chunk % 10}": {"at": "x" * 100, f"f{chunk % 7}": n}} for n in range(50)]
    table.write(rows, b"%d" % (chunk + 1))
    print(chunk + 1, flush=True)
"""


def kill_after(path: Path, mode: str, chunks: int) -> int:
    """How many chunks were acknowledged before the writer was killed."""
    arguments = [sys.executable, "-c", KILLED, str(path), str(CORE), mode]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        seen = [int(line) for line, _ in zip(writer.stdout, range(chunks), strict=False)]
        writer.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        seen += [int(line) for line in writer.stdout if line.endswith("\n")]
    return seen[-1]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_killed_writer_leaves_whole_chunks_with_their_state(file: Path, mode: Mode) -> None:
    for chunks in (1, 7, 15):
        acknowledged = kill_after(file, mode, chunks)
        with table(file, mode) as opened:
            state = int(state_of(opened) or b"0")
        assert state >= acknowledged
        assert query(file, "SELECT count(*), count(DISTINCT id), max(id) + 1 FROM t") == [
            (state * 50, state * 50, state * 50)
        ]


def test_a_killed_replace_leaves_the_old_table(file: Path) -> None:
    with table(file, name="t") as opened:
        opened.write([{"id": -1}])
    first = kill_after(file, "replace", 4)
    assert query(file, "SELECT id FROM t") == [(-1,)]
    assert kill_after(file, "replace", 4) > first
    with table(file, "replace", run="r") as opened:
        state = int(state_of(opened) or b"0")
        opened.finish()
    assert query(file, "SELECT count(DISTINCT id), count(*) FROM t") == [(state * 50, state * 50)]


GROWN = """
import os, signal, sys
sys.path[:0] = [sys.argv[2]]
from connectory.destinations import duckdb_file
from connectory.destinations.duckdb import open_duckdb
table = open_duckdb(sys.argv[1], "t", None, ["id"], "append", "r")
for number, value in enumerate(eval(sys.argv[3])):
    table.write([{"id": number, "v": value, "after": number}, {"id": -number}])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    "values",
    [
        ([], [1]),
        ([1], [1.5], None),
        ([1], ["text"]),
        ([[1]], [[1.5]]),
        (1, 1.5),
        (1, "text"),
        (True, 2**60, 2**70),
        ({"a": 1}, {"a": 1.5, "b": []}, {"b": ["text"]}),
        ({"a": 1}, [1]),
        ([{"a": None}], [{"a": "text"}]),
        ({"a": [1]}, "text"),
    ],
    ids=repr,
)
def test_a_column_that_grew_before_the_writer_was_killed_can_be_read(file: Path, values: Sequence[Any]) -> None:
    """DuckDB opens the file by doing again what is in its log, with less than it had when that was written."""
    killed = subprocess.run([sys.executable, "-c", GROWN, str(file), str(CORE), repr(values)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with table(file.with_name("whole.duckdb")) as whole:
        for number, value in enumerate(values):
            whole.write([{"id": number, "v": value, "after": number}, {"id": -number}])
    asked = "SELECT * FROM t ORDER BY id, after"
    assert query(file, asked) == query(file.with_name("whole.duckdb"), asked)
    with table(file) as opened:
        opened.write([{"id": 99, "v": values[0]}])
    assert query(file, "SELECT count(*) FROM t") == [(2 * len(values) + 1,)]


@pytest.mark.kills
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("mode", ["append", "merge"])
def test_kills_at_any_moment_leave_whole_chunks(file: Path, mode: Mode, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(5):
        acknowledged = kill_after(file, mode, chance.randint(1, 25))
        with table(file, mode) as opened:
            state = int(state_of(opened) or b"0")
        assert state >= acknowledged
        assert query(file, "SELECT count(*), count(DISTINCT id) FROM t") == [(state * 50, state * 50)]
