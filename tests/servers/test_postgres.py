"""The PostgreSQL server that the tests bring themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from servers.postgres import PostgresServer

TESTS = Path(__file__).parents[1]
HOLD = """
import sys
sys.path[:0] = [sys.argv[1]]
from servers.postgres import PostgresServer
server = PostgresServer()
print(server.url(), server.folder, flush=True)
sys.stdin.read()
"""


def test_databases_are_apart(postgres_server: PostgresServer) -> None:
    first, second = postgres_server.create(), postgres_server.create()
    with psycopg.connect(postgres_server.url(first)) as connection:
        connection.execute("CREATE TABLE t (a int)")
    with psycopg.connect(postgres_server.url(second)) as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


@pytest.mark.usefixtures("postgres_server")  # it skips where there is none
def test_a_server_ends_with_a_process_that_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(TESTS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        url, folder = holder.stdout.readline().split()
        psycopg.connect(url).close()
        os.kill(holder.pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while Path(folder).exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(folder).exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


@pytest.mark.usefixtures("postgres_server")
def test_what_was_committed_outlives_a_crash_of_the_server() -> None:
    with PostgresServer() as server:
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        for how in (signal.SIGQUIT, signal.SIGINT):
            server.stop(how)
            server.start()
            with psycopg.connect(server.url()) as connection:
                assert connection.execute("SELECT a FROM t").fetchone() == (1,)
