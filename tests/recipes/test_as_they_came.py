"""Records that nobody looks at go into JSON Lines as the vendor wrote them; all others are counted as ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recipes.conftest import Sync
from servers.fault_server import FaultServer, answer, read_request, send

SPEC = """\
name: notes
about: A vendor of notes
servers: {live: http://127.0.0.1:1}
pagers: {numbered: {use: page_number, page: page, total_pages: pages, records: found.notes}}
operations: {notes.list: {get: /notes, pages: numbered, returns: Note}}
types: {Note: {id: int64 key, text: str, price: float}}
"""
RECIPE = """
name: r
from: {connector: notes, operation: notes.list}
to: {files: notes.jsonl, mode: replace}
"""


def page(records: bytes, pages: int) -> bytes:
    return answer(b'{"pages": %d, "found": {"notes": %s}}' % (pages, records))


def pulled(start: Sync, project: Path, recipe: str, *records: bytes) -> tuple[Any, bytes]:
    """The report, and the file, of a list with these pages."""
    (project / "specs").mkdir(exist_ok=True)
    (project / "specs" / "notes.yaml").write_text(SPEC)
    steps = [step for each in records for step in (read_request(), send(page(each, len(records))))]
    with FaultServer(*steps) as server:
        report = start(recipe, server=server.url)
    file = project / "notes.jsonl"
    return report, file.read_bytes() if file.exists() else b""


def test_a_record_is_written_as_it_came(start: Sync, project: Path) -> None:
    report, lines = pulled(
        start,
        project,
        RECIPE,
        b'[{"id": 1, "price": 1.10, "text": "caf\\u00e9"}, {"id": 2, "price": 12345678901234567890.5}]',
        b'[\n  {\n    "id": 3,\n    "text": "one\\ntwo"\n  }\n]',
    )
    assert str(report.accounts) == "3 read = 3 delivered"
    assert lines == (
        b'{"id": 1, "price": 1.10, "text": "caf\\u00e9"}\n{"id": 2, "price": 12345678901234567890.5}\n'
        b'{"id":3,"text":"one\\ntwo"}\n'
    )


@pytest.mark.parametrize(
    ("records", "account", "lines"),
    [
        (b'[{"id": 3}, {}]', "4 read = 3 delivered + 1 invalid", [{"id": 3}]),
        (b'["three"]', "3 read = 3 delivered", [{"value": "three"}]),
        (b'[{"id": 3, "text": "\\ud800 half"}]', "3 read = 3 delivered", [{"id": 3, "text": "\ufffd half"}]),
        (b"[]", "2 read = 2 delivered", []),
    ],
)
@pytest.mark.filterwarnings("ignore:halves of")
def test_what_is_no_line_is_looked_at(
    start: Sync, project: Path, records: bytes, account: str, lines: list[Any]
) -> None:
    report, written = pulled(start, project, RECIPE, b'[{"id": 1}, {"id": 2}]', records)
    assert str(report.accounts) == account
    assert list(map(json.loads, written.splitlines())) == [{"id": 1}, {"id": 2}, *lines]


def test_bytes_that_are_no_text_are_nobodys_records(start: Sync, project: Path) -> None:
    report, written = pulled(start, project, RECIPE, b'[{"id": 1, "text": "\xff"}]')
    assert "UTF-8" in str(report.error) or "not JSON" in str(report.error)
    assert written == b""


@pytest.mark.parametrize(
    "keys",
    [
        "to: {files: notes.jsonl, mode: replace, contract: freeze}",
        "to: {files: 'notes.jsonl', mode: replace}\nchange: select id + 1 as id from records",
    ],
)
def test_who_looks_at_records_sees_values(start: Sync, project: Path, keys: str) -> None:
    recipe = RECIPE.partition("to:")[0] + keys
    report, written = pulled(start, project, recipe, b'[{"id": 1, "price": 1.50}]')
    assert report.error is None
    assert written in (b'{"id": 1, "price": 1.50}\n', b'{"id":2}\n')
