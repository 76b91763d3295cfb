"""A whole recorded workspace, out of a vendor into a table and from there into another workspace of the vendor."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectory import Parts
from connectory.recipes.report import Report
from connectory.recipes.sync import run_recipe
from connectory.replay import ReplayServer, read_exchanges
from emulators.twenty import Twenty

RECORDED = Path(__file__).resolve().parents[1] / "data" / "twenty-recorded"
COUNTS = {"companies": 599, "people": 1200}
SENT = {
    "companies": "id, name, domainName, address, linkedinLink, employees",
    "people": "id, name, emails, phones, jobTitle, linkedinLink, companyId",
}
PULL = """
name: {plural}
from: {{connector: twenty, operation: {plural}.list}}
to: {{duckdb: data/crm.duckdb, table: {plural}, mode: merge}}
"""
PUSH = """
name: {plural}-copy
from: {{duckdb: data/crm.duckdb, query: "select {columns} from {plural}"}}
to: {{connector: twenty, operation: {plural}.upsert_many, changed_only: true}}
"""


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[str]:
    """Every page of the recorded walks, served again."""
    exchanges = []
    for plural in COUNTS:
        file = tmp_path / f"{plural}.jsonl"
        file.write_bytes(gzip.decompress((RECORDED / f"{plural}-all-pages.jsonl.gz").read_bytes()))
        exchanges += read_exchanges(file)
    with ReplayServer(exchanges) as server:
        yield server.url


@pytest.fixture
def run(tmp_path: Path, parts: Parts) -> Callable[[str, str, str], Report]:
    """Write a recipe and run it against a server."""
    (tmp_path / "connectory.toml").touch()
    (tmp_path / "recipes").mkdir()

    def run(text: str, server: str, key: str) -> Report:
        file = tmp_path / "recipes" / f"{text.split('name: ')[1].split()[0]}.yaml"
        file.write_text(text)
        report = run_recipe(file, settings={"server": server, "api_key": key}, parts=parts, max_wait=1e9)
        assert report.error is None, report.error
        return report

    return run


def test_the_recorded_workspace_arrives_in_another_one_once(
    recorded: str, run: Callable[[str, str, str], Report], parts: Parts
) -> None:
    for plural, count in COUNTS.items():
        assert run(PULL.format(plural=plural), recorded, "demo").accounts.counts["delivered"] == count
    with Twenty(clock=parts.clock) as crm:
        for plural, count in COUNTS.items():
            text = PUSH.format(plural=plural, columns=SENT[plural])
            report = run(text, crm.url, crm.key)
            assert str(report.accounts) == f"{count:,} read = {count:,} delivered", report.problems[:1]
        writes = len(crm.requests("^POST"))
        assert writes == 10 + 20, "sixty a call"
        for plural, count in COUNTS.items():
            text = PUSH.format(plural=plural, columns=SENT[plural])
            assert run(text, crm.url, crm.key).accounts.counts["unchanged"] == count
        assert len(crm.requests("^POST")) == writes, "the second time nothing is written"
