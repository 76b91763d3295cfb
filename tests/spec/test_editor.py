"""What an editor shows: yaml-language-server, driven over stdio with the generated schema beside the spec."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectory.plugins.registry import Registry
from connectory.spec.schema import make_schema
from spec.language_server import LanguageServer
from spec.loading import ACME, acme, faults_of

SERVER = "yaml-language-server@1.25.0"
# As the user has it: the tests' own home knows no registry and no proxy.
ENVIRON = dict(os.environ)
MODELINE = "# yaml-language-server: $schema=connectory.schema.json\n"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    """The server that most editors run, freshly installed by npm into a folder of its own."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        skip_loudly(request, "node and npm are not installed")
    assert node is not None
    assert npm is not None
    folder = tmp_path_factory.mktemp("server")
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", SERVER]
    installed = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        skip_loudly(request, f"npm cannot install {SERVER}: {installed.stderr.strip()[-300:]}")
    program = folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    settings = {"yaml": {"validate": True, "completion": True, "hover": True}}
    with LanguageServer([node, str(program), "--stdio"], ENVIRON, settings) as started:
        yield started


def skip_loudly(request: pytest.FixtureRequest, reason: str) -> None:
    """Skip, and say so where nobody overlooks it."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.write_line(f"\nNOT TESTED, what an editor shows: {reason}", red=True)
    pytest.skip(reason)


@pytest.fixture
def folder(registry: Registry, tmp_path: Path) -> Path:
    """A folder with the schema in it, as `connectory schema --write` leaves it."""
    (tmp_path / "connectory.schema.json").write_text(json.dumps(make_schema(registry)))
    return tmp_path


def completed(server: LanguageServer, file: Path, text: str) -> list[str]:
    """What is offered where `|` stands in a spec."""
    text = MODELINE + text
    line, column = next((n, row.index("|")) for n, row in enumerate(text.split("\n")) if "|" in row)
    server.open(file, text.replace("|", ""))
    return [item["label"] for item in server.complete(file, line, column)]


def diagnosed(server: LanguageServer, file: Path, text: str) -> list[str]:
    """What is underlined: `line:column message`, counted from 1 as our own faults are."""
    found = server.open(file, MODELINE + text)
    places = [(one["range"]["start"], one["message"]) for one in found]
    return [f"{start['line']}:{start['character'] + 1} {message}" for start, message in places]


def test_a_right_spec_has_no_mark(server: LanguageServer, folder: Path) -> None:
    assert diagnosed(server, folder / "acme.yaml", ACME) == []


@pytest.mark.parametrize("vendor", ["12build", "12traits", "12twenty", "twenty"])
def test_no_shipped_spec_has_a_mark(server: LanguageServer, folder: Path, registry: Registry, vendor: str) -> None:
    text = registry.packaged[vendor].file.read_text(encoding="utf-8").removeprefix(MODELINE)
    assert diagnosed(server, folder / f"{vendor}.yaml", text) == []


@pytest.mark.parametrize(
    ("place", "offered", "not_offered"),
    [
        (
            "operations:\n  a.list:\n    get: /a\n    |\n",
            {"query", "pages", "returns", "marks"},
            {"get", "use", "steps"},
        ),
        ("operations:\n  a.list:\n    get: /a\n    does: |\n", {"read", "write", "destroy"}, {"ok"}),
        ("operations:\n  a.list:\n    query:\n      year:\n        |\n", {"type", "required", "about"}, {"get"}),
        ("operations:\n  a.list:\n    outcomes:\n      - {status: 404, i|}\n", {"is", "wait"}, {"status", "get"}),
        ("pagers:\n  p:\n    |\n", {"use"}, {"page", "cursor"}),
        ("pagers:\n  p:\n    use: |\n", {"page_number", "offset", "cursor", "next_url"}, {"chunks"}),
        (
            "pagers:\n  p:\n    use: offset\n    |\n",
            {"offset", "size", "largest", "records"},
            {"page", "cursor", "use"},
        ),
        ("families:\n  f:\n    operations:\n      list:\n        get: /a\n        |\n", {"query", "pages"}, {"get"}),
        ("|\n", {"settings", "auth", "operations", "types"}, {"name", "get"}),
    ],
)
def test_completion(server: LanguageServer, folder: Path, place: str, offered: set[str], not_offered: set[str]) -> None:
    labels = set(completed(server, folder / "acme.yaml", f"name: acme\n{place}"))
    assert offered <= labels
    assert not not_offered & labels


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("operations:", "oprations:", "Property oprations is not allowed."),
        ("auth: {bearer:", "auth: {bearr:", "Property bearr is not allowed."),
        ("page: page,", "page: page, offset: o,", "Property offset is not allowed."),
        ("pages: numbered", "page: numbered", "Property page is not allowed."),
        ("batch: {largest:", "batch: {largst:", "Property largst is not allowed."),
        ("query: {year: int}", "query: {year: {typ: int}}", "Property typ is not allowed."),
        ("query: {year: int}", "query: {year: imt}", "expected a type and what holds of it"),
        ("rate: 5000/day", "rate: 5000 a day", "expected a rate, as 5000/day, 100/10s or 2/second"),
        ("use: page_number", "use: page_nummer", 'Value is not accepted. Valid values: "page_number"'),
    ],
)
def test_what_is_wrong_is_underlined_where_the_loader_finds_it(
    server: LanguageServer, folder: Path, registry: Registry, right: str, wrong: str, message: str
) -> None:
    text = acme({right: wrong})
    places = {f"{fault.line}:{fault.column} " for fault in faults_of(registry, folder, text)}
    marks = diagnosed(server, folder / "acme.yaml", text)
    assert [mark for mark in marks if mark.startswith(tuple(place + message for place in places))], (marks, places)


def test_hovering_a_key_shows_what_it_means(server: LanguageServer, folder: Path) -> None:
    file = folder / "acme.yaml"
    server.open(file, MODELINE + ACME)
    line = next(n for n, row in enumerate((MODELINE + ACME).split("\n")) if "things.create_many" in row)
    column = (MODELINE + ACME).split("\n")[line].index("batch")
    assert "Items together in one call." in server.hover(file, line, column + 1)
