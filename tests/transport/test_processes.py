"""A forked process talks over connections of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from servers.fault_server import FaultServer, answer, serve

SCRIPT = """
import os, sys
from connectory.messages import Request
from connectory.transport.client import UrllibTransport

transport = UrllibTransport()

def ask(who):
    return transport.send(Request("GET", f"{sys.argv[1]}/{who}")).body.decode()

assert ask("before") == "/before"
reader, writer = os.pipe()
child = os.fork()
if not child:
    os.write(writer, " ".join(ask("child") for _ in range(20)).encode())
    os._exit(0)
own = [ask("parent") for _ in range(20)]
os.waitpid(child, 0)
print(set(own), set(os.read(reader, 9999).decode().split()), ask("after"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_shares_no_connection_with_its_parent() -> None:
    with FaultServer(serve(lambda request: answer(request.split(b" ")[1]))) as server:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, server.url],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
        assert done.stdout.strip() == "{'/parent'} {'/child'} /after", done.stderr
        assert server.connections == 2


def test_importing_it_costs_urllib3_and_little_more() -> None:
    script = "import connectory.transport.client, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    heavy = {"jinja2", "msgspec", "cattrs", "yaml", "pyarrow", "duckdb", "click", "rich", "sqlite3", "asyncio"}
    assert not heavy & set(done.stdout.split())


def test_reading_a_spec_imports_no_transport() -> None:
    script = "import connectory.spec.load, sys; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert not {"urllib3", "http.client", "ssl"} & set(done.stdout.split())
