"""Coverage: what the tests of a spec really exercise, by running them; what they rest on; what is assumed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import attrs
import msgspec
import pytest

from connectory.connecting import load_registry
from connectory.plugins.registry import Registry, SpecFile
from connectory.spec.load import Discovered, Loaded, load_file
from connectory.testing.audits.coverage import Coverage, coverage_of
from connectory.testing.recorded.cassettes import Cassette, Exchange, Recorded, read_cassette, write_cassette
from connectory.testing.recorded.replaying import play

SPEC = """\
name: acme
settings: {key: secret, user: str, word: secret}
servers: {live: "https://acme.example"}
auth:
  - {token: {post: /token, fields: {key: "{{ key }}"}, value: token}, bearer: "{{ token }}"}
  - {basic: {user: "{{ user }}", password: "{{ word }}"}}
outcomes:
  - {status: 409, is: rejected}
  - {status: 200, body: {code: [BUSY]}, is: throttled}
pagers:
  numbered: {use: page_number, page: page, size: size, largest: 2, records: rows}
  others: {use: offset, offset: start, records: rows}
operations:
  goods.list: {get: /goods, pages: numbered, returns: Good}
  goods.get: {get: "/goods/{id}", returns: Good, examples: [{with: {id: a}, answer: {Id: 1}}]}
  goods.others: {get: /others, does: read, pages: others}
  goods.upsert_many: {put: /goods, body: list of Good, batch: {largest: 2}, results: {key: Id, ok: {fine: true}}}
types:
  Good: {Id: int64 key}
assumed:
  operations/goods.others: nobody has seen it
"""


@pytest.fixture
def registry() -> Registry:
    return load_registry(None)


@pytest.fixture
def loaded(registry: Registry, tmp_path: Path) -> Loaded:
    (tmp_path / "specs").mkdir()
    file = tmp_path / "specs" / "acme.yaml"
    file.write_text(SPEC)
    return load_file(registry, SpecFile("acme", file, str(tmp_path)), Discovered())


AGENT = {"Accept": "application/json"}
SIGNED = {**AGENT, "Authorization": "Bearer placeholder-token"}


def answered(
    method: str, path: str, answer: str, *, status: int = 200, body: str = "", token: bool = False
) -> Exchange:
    headers = {**(AGENT if token else SIGNED), **({"Content-Type": "application/json"} if body else {})}
    sent = body.encode() or None
    kind = {"Content-Type": ("application/json",)}
    return Exchange(method, f"https://acme.example{path}", headers, sent, status, kind, answer.encode())


TOKEN = answered("POST", "/token", '{"token": "placeholder-token"}', body='{"key": "placeholder-key"}', token=True)


def keep(
    registry: Registry,
    loaded: Loaded,
    folder: Path,
    operation: str,
    server: str,
    *exchanges: Exchange,
    arguments: dict[str, object] | None = None,
) -> None:
    """A cassette of a call; what it gives is found by playing it."""
    made = Cassette(
        vendor="acme",
        operation=operation,
        arguments=arguments or {},
        settings={"key": "placeholder-key"},
        recorded=Recorded(server),
        gives={},
        exchanges=(TOKEN, *exchanges),
    )
    file = folder / "cassettes" / "acme" / f"{operation}.yaml"
    write_cassette(made, file)
    played = play(registry, loaded, read_cassette(file))
    assert not played.differences, played.differences
    write_cassette(attrs.evolve(made, gives=played.gives), file)


def told(coverage: Coverage) -> dict[str, str | None]:
    return {f"{fact.kind} {fact.name}": fact.best for fact in coverage.facts}


def test_a_test_counts_for_what_it_exercises_and_not_for_its_name(
    registry: Registry, loaded: Loaded, tmp_path: Path
) -> None:
    pages = [
        answered("GET", "/goods?page=1&size=2", '{"rows": [{"Id": 1}, {"Id": 2}]}'),
        answered("GET", "/goods?page=2&size=2", '{"rows": [{"Id": 3}]}'),
    ]
    keep(registry, loaded, tmp_path, "goods.list", "acme 2.1", *pages)
    keep(registry, loaded, tmp_path, "goods.others", "emulator", answered("GET", "/others?start=0", '{"rows": []}'))
    sent = '[{"Id": 1}, {"Id": 2}]'
    results = '[{"Id": 1, "fine": true}, {"Id": 2, "fine": false}]'
    items: dict[str, object] = {"items": [{"Id": 1}, {"Id": 2}]}
    written = answered("PUT", "/goods", results, body=sent)
    keep(registry, loaded, tmp_path, "goods.upsert_many", "emulator", written, arguments=items)
    coverage = coverage_of(registry, loaded, tmp_path / "cassettes")
    found = told(coverage)
    assert found["operation goods.list"] == "server"
    assert found["operation goods.get"] == "example"
    assert found["operation goods.others"] == "emulator"
    assert found["pager numbered"] == "server"
    assert found["pager others"] is None  # one page is no walk
    assert found["batch goods.upsert_many: items taken"] == "emulator"
    assert found["batch goods.upsert_many: items refused"] == "emulator"
    assert found["auth token, exchanged"] == "server"
    assert found["auth token, renewed"] is None
    assert [best for name, best in found.items() if name.startswith("auth {basic")] == [None]
    assert [best for name, best in found.items() if name.startswith("outcome")] == [None, None]
    assert coverage.share == 100.0
    assert not coverage.failed


def test_a_rule_is_exercised_when_it_judged_an_answer(registry: Registry, loaded: Loaded, tmp_path: Path) -> None:
    busy = answered("GET", "/goods?page=1&size=2", '{"code": "BUSY"}')
    full = answered("GET", "/goods?page=1&size=2", '{"rows": []}')
    keep(registry, loaded, tmp_path, "goods.list", "acme 2.1", busy, full)
    refused = answered("GET", "/others?start=0", '{"code": "BUSY"}', status=401)
    again = answered("GET", "/others?start=0", "{}", status=409)
    keep(registry, loaded, tmp_path, "goods.others", "acme 2.1", refused, TOKEN, again)
    found = told(coverage_of(registry, loaded, tmp_path / "cassettes"))
    assert [best for name, best in found.items() if name.startswith("outcome")] == ["server", "server"]
    assert found["auth token, renewed"] == "server"


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "connectory.commands.main", "coverage", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=project, check=False, timeout=60)


def test_operations_without_a_test_are_named_and_too_few_are_a_failure(loaded: Loaded, tmp_path: Path) -> None:
    found = run(tmp_path)
    assert found.returncode == 1
    assert "acme: 25.0 % of the operations have a test, 100 % are wanted" in found.stderr
    assert "  operations     1 of 4 (1 by an example only)" in found.stdout
    assert "    specs/acme.yaml:14 goods.list: no test" in found.stdout
    assert "    specs/acme.yaml:21 operations/goods.others: nobody has seen it" in found.stdout
    assert run(tmp_path, "acme", "--at-least", "25").returncode == 0


def test_programs_get_the_same_as_json(loaded: Loaded, tmp_path: Path) -> None:
    found = run(tmp_path, "--json", "--at-least", "0")
    told = msgspec.json.decode(found.stdout)[0]
    assert (found.returncode, told["operations_percent"]) == (0, 25.0)
    assert told["assumed"] == [{"line": 21, "place": "operations/goods.others", "why": "nobody has seen it"}]
    assert {"kind": "pager", "name": "numbered", "line": 11, "tests": {}} in told["facts"]


def test_a_test_that_fails_exercises_nothing(loaded: Loaded, tmp_path: Path) -> None:
    file = tmp_path / "specs" / "acme.yaml"
    file.write_text(SPEC.replace("answer: {Id: 1}", "answer: {Id: one}"))
    found = run(tmp_path, "--at-least", "0")
    assert found.returncode == 1
    assert "acme: 0.0 % of the operations have a test, 0 % are wanted, 1 tests fail" in found.stderr
    assert "  fails          goods.get[a]" in found.stdout


def test_wrong_input_is_told(tmp_path: Path, loaded: Loaded) -> None:
    assert run(tmp_path, "acne").returncode == 2
    (tmp_path / "specs" / "acme.yaml").write_text(SPEC + "  nothing/here: x\n")
    found = run(tmp_path)
    assert found.returncode == 2
    assert "acme.yaml:22:3" in found.stderr
