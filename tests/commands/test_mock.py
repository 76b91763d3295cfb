"""`connectory mock`: where it is, what to set, a line a request, faults and data, and its end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from commands.conftest import Cli, Spawn
from connectory.mock.faults import KINDS

DOCS = Path(__file__).parents[2] / "docs"


def read_until(process: subprocess.Popen[bytes], pattern: str) -> str:
    """What a process says on stderr, up to a line that matches."""
    said = ""
    assert process.stderr is not None
    while not re.search(pattern, said):
        line = process.stderr.readline().decode()
        assert line, said
        said += line
    return said


def test_it_says_where_it_is_and_what_to_set_and_ends_by_an_interrupt(project: Path, spawn: Spawn) -> None:
    process = spawn("mock", "shop", "--port", "0")
    said = read_until(process, r"connectory call \S+")
    url = re.findall(r"export CONNECTORY_SHOP_SERVER=(\S+)", said)[0]
    assert "export CONNECTORY_SHOP_API_KEY=any-secret" in said
    operation = re.findall(r"connectory call shop (\S+)", said)[0]
    environment = {"CONNECTORY_SHOP_SERVER": url, "CONNECTORY_SHOP_API_KEY": "any-secret"}
    called = spawn("call", "shop", operation, "--limit", "2", env=environment)
    out, err = called.communicate(timeout=60)
    assert called.returncode == 0, err
    assert len(out.splitlines()) == 2
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in rest


def test_own_data_and_faults_are_served(project: Path, spawn: Spawn) -> None:
    (project / "own.jsonl").write_text('{"id": 1, "name": "own"}\n')
    process = spawn("mock", "shop", "--port", "0", "--data", "own.jsonl", "--fault", "503@1:retry-after=9")
    url = re.findall(r"SERVER=(\S+)", read_until(process, r"SERVER=\S+"))[0]
    with pytest.raises(OSError, match="503"):
        urlopen(Request(f"{url}/v1/customers"), timeout=10)
    answered = json.load(urlopen(Request(f"{url}/v1/customers", headers={"X-Till": "any"}), timeout=10))
    assert [one["name"] for one in answered["data"]] == ["own"]
    with pytest.raises(OSError, match="404") as missing:
        urlopen(Request(f"{url}/nowhere"), timeout=10)
    assert "there is" in json.dumps(missing.value.read().decode())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shop", "--fault", "expire-tokn@3"], "did you mean 'expire-token'"),
        (["shop", "--fault", "500@1:on=customers.lst"], "did you mean 'customers.list'"),
        (["shop", "--data", "customer=x.jsonl"], "did you mean 'customers'"),
        (["shp"], "did you mean 'shop'"),
        (["shop", "--port", "99999"], "choose another by --port"),
        ([], "missing argument"),
    ],
)
def test_what_is_wrong_is_refused_with_the_nearest_word(cli: Cli, project: Path, words: list[str], said: str) -> None:
    ended = cli("mock", *words)
    assert ended.exit_code == 2
    assert said in ended.stderr.lower() or said in ended.stderr


def test_every_fault_is_listed_and_documented(cli: Cli) -> None:
    listed = cli("mock", "--faults").stdout
    page = (DOCS / "mock.md").read_text(encoding="utf-8")
    for kind, one in KINDS.items():
        assert kind in listed
        assert f"| {'a status' if kind == 'STATUS' else f'`{kind}`'} | {one.about} |" in page
        assert all(f"`{name}`: {about}" in page for name, about in one.options.items())
