"""What comes along: pinned by hash, silent on the network, and specs that are data."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements"
WATCHED = """
import sys

def watch(event, given):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        address = given[1] if event != "socket.getaddrinfo" else given[0]
        sys.stderr.write(f"network: {event} {address}\\n")
    elif event in {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "ctypes.dlopen"}:
        sys.stderr.write(f"program: {event} {given[0]!r}\\n")

sys.addaudithook(watch)
"""


def watched(code: str, folder: Path) -> str:
    """What a program did on the network and with other programs, in its own words and Python's audit events."""
    path = [entry for entry in sys.path if entry]
    program = f"import sys\nsys.path[:0] = {path!r}\n{WATCHED}\n{code}"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


@pytest.mark.skipif(not REQUIREMENTS.is_dir(), reason="an installed package is tested, not a checkout")
@pytest.mark.parametrize("name", ["pip.txt", "run.txt", "dev.txt"])
def test_every_requirement_is_pinned_by_hash_and_names_no_index(name: str) -> None:
    text = (REQUIREMENTS / name).read_text(encoding="utf-8")
    wanted = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^ *#.*\n", "", text))
    assert wanted
    for one in wanted:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", one), one
        assert "--hash=sha256:" in one, one
    assert "://" not in re.sub(r"(?m)#.*$", "", text)


def test_importing_everything_touches_no_network(tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, connectory
for module in pkgutil.walk_packages(connectory.__path__, "connectory."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
    assert "network:" not in watched(code, tmp_path)


@pytest.mark.parametrize(
    "words", [["list"], ["show", "12twenty"], ["check"], ["demo", "--to", "demo.duckdb"], ["runs"]]
)
def test_what_needs_no_vendor_touches_no_network(tmp_path: Path, words: list[str]) -> None:
    """No telemetry, no look for a newer version, no fetching of an extension."""
    code = f"from connectory.commands.main import main\nmain({words!r}, standalone_mode=False)"
    told = [line for line in watched(code, tmp_path).splitlines() if line.startswith("network:")]
    assert [line for line in told if "127.0.0.1" not in line] == [], "the demo's own server is on this machine"


EVIL = """
name: evil
about: !!python/object/apply:os.system ["touch owned"]
servers: {production: "https://{{ ''.__class__.__mro__[1].__subclasses__() }}"}
operations: {things.get: {get: "/{{ cycler.__init__.__globals__.os.system('touch owned') }}"}}
"""
SNEAKY = """
name: sneaky
servers: {production: https://api.acme.example}
auth: {use: "os:system", options: touch owned}
pagers: {all: {use: "../connectors/evil", records: "__import__('os').system('touch owned')"}}
formats: {evil: "os.system"}
operations: {things.list: {get: /things, pages: all, query: {a: {type: str, default: "{{ self.__init__ }}"}}}}
"""


@pytest.mark.parametrize("text", [EVIL, SNEAKY], ids=["tags and templates", "names of code"])
def test_a_spec_alone_runs_no_code(tmp_path: Path, text: str) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "connectory.toml").touch()
    name = text.split()[1]
    (tmp_path / "specs" / f"{name}.yaml").write_text(text)
    code = f"""
from connectory import connect
from connectory.errors import ConnectoryError
try:
    connect({name!r}, project=".", server="http://127.0.0.1:9").things.get()
except ConnectoryError as why:
    print("refused")
else:
    raise SystemExit("taken")
"""
    told = watched(code, tmp_path)
    assert "network:" not in told
    assert "program:" not in told
    assert not (tmp_path / "owned").exists()
