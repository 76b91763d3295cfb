"""kill -9 in the middle of an operation that is made of steps: the next start goes on at its step."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import attrs
import duckdb
import pytest

from emulators.exchange import Answer, Ask
from engine.bulk import BULK, Bulk
from engine.conftest import Vendor

PUSH = """\
name: accounts
from: {files: rows.jsonl}
to:
  connector: acme
  operation: bulk.upsert
  with: {object: Account, external_id: Ext__c}
  settings: {server: URL}
  key: Ext__c
"""
REPORT = """
servers: {production: https://api.acme.example}
operations:
  reports.create: {post: /reports}
  reports.get: {get: "/reports/{id}"}
  reports.lines: {get: "/reports/{id}/lines", does: read, records: ., returns: Line}
  reports.run:
    does: read
    returns: Line
    steps:
      - {call: reports.create, keep: {report: id}}
      - {call: reports.get, with: {id: "{{ report }}"}, until: {status: DONE}, every: 30ms}
      - {call: reports.lines, with: {id: "{{ report }}"}}
types: {Line: {sku: str! key, quantity: int}}
"""
READ = """\
name: stock
from: {connector: acme, operation: reports.run, settings: {server: URL}}
to: {duckdb: w.duckdb, table: stock, mode: MODE}
"""
JOB = ("POST /jobs/ingest", "PUT /jobs/ingest/7500/batches", "PATCH /jobs/ingest/7500")


@attrs.define
class Started:
    """A project and the vendor that it talks to; `sync` is a process of its own."""

    root: Path
    vendor: Vendor

    @property
    def limits(self) -> Path:
        """Where processes of one user keep what they spent."""
        return self.root / "state"

    def sync(self, recipe: str) -> subprocess.Popen[str]:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        command = [sys.executable, "-m", "connectory.commands.main", "sync", f"recipes/{recipe}.yaml", "--json"]
        return subprocess.Popen(
            command,
            cwd=self.root,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "XDG_STATE_HOME": str(self.limits),
                "XDG_CACHE_HOME": str(self.limits),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill_within(self, recipe: str, route: str) -> None:
        """Start, and kill -9 while a request is at the vendor's. It is answered, but nobody hears it."""
        arrived, heard, reply = Event(), Event(), self.vendor.reply

        def slowly(ask: Ask) -> Answer:
            if re.search(route, ask.route):
                arrived.set()
                heard.wait(30)
            return reply(ask)

        self.vendor.reply = slowly
        running = self.sync(recipe)
        assert arrived.wait(30)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        self.vendor.reply = reply
        heard.set()

    def finish(self, recipe: str) -> tuple[int, str]:
        """Start and let it end: the exit code and what it told."""
        running = self.sync(recipe)
        out, err = running.communicate(timeout=60)
        return running.returncode, out + err


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    for folder in ("specs", "recipes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "connectory.toml").touch()
    with Vendor() as vendor:
        yield Started(tmp_path, vendor)


@pytest.fixture
def bulk(started: Started) -> Bulk:
    """Eight rows for a vendor that takes five a job; the flow may not be repeated, some of its steps may."""
    spec = BULK.replace("every: 10s", "every: 30ms").replace("    limits: jobs\n", "")
    spec = spec.replace("    does: write\n    repeatable: true\n", "    repeatable: false\n")
    assert "    repeatable: false\n" in spec
    (started.root / "specs" / "acme.yaml").write_text(f"name: acme\n{spec}")
    (started.root / "recipes" / "accounts.yaml").write_text(PUSH.replace("URL", started.vendor.url))
    rows: list[dict[str, Any]] = [{"Ext__c": f"x{n}", "Name": "bad" if n == 1 else f"Name {n}"} for n in range(8)]
    (started.root / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    started.vendor.reply = served = Bulk()
    return served


def sent(vendor: Vendor, job: str = "7500") -> list[str]:
    """The requests that changed something, of the first job."""
    routes = [route for route in vendor.routes if not route.startswith("GET")]
    return [route for route in routes if route == JOB[0] or job in route]


@pytest.mark.parametrize(
    "at",
    [
        pytest.param("GET /jobs/ingest/7500$", id="polling"),
        pytest.param("PUT", id="uploading", marks=pytest.mark.kills),
        pytest.param("PATCH", id="closing", marks=pytest.mark.kills),
        pytest.param("GET .*/successfulResults", id="reading the results", marks=pytest.mark.kills),
        pytest.param("GET .*/failedResults", id="reading the last results", marks=pytest.mark.kills),
    ],
)
def test_a_killed_job_is_gone_on_with_and_not_made_again(started: Started, bulk: Bulk, at: str) -> None:
    started.kill_within("accounts", at)
    before = len(bulk.jobs)
    code, told = started.finish("accounts")
    assert (before, len(bulk.jobs)) == (1, 2), told  # five rows, then three
    assert [len(job["rows"]) for job in bulk.jobs] == [5, 3]
    assert code == 3, told  # the bad row is refused, all others are delivered
    assert "REQUIRED_FIELD_MISSING:x1" in told
    assert "unknown" not in told.replace('"unknown":0', "").replace('"unknown": 0', "")
    twice = {"PUT": JOB[1], "PATCH": JOB[2]}.get(at)  # repeatable: it goes again
    assert sent(started.vendor)[: len(JOB) + bool(twice)] == sorted([*JOB, *filter(None, [twice])], key=JOB.index)


@pytest.mark.kills
def test_a_job_that_a_limit_stops_in_the_middle_is_gone_on_with(started: Started, bulk: Bulk) -> None:
    def limited(ask: Ask) -> Answer:
        polls = ask.route == "GET /jobs/ingest/7500"
        return Answer(429, b"", headers=(("Retry-After", "3600"),)) if polls else bulk(ask)

    started.vendor.reply = limited
    code, told = started.finish("accounts")
    assert (code, len(bulk.jobs)) == (75, 1), told
    started.vendor.reply = bulk
    shutil.rmtree(started.limits, ignore_errors=True)  # an hour later
    code, told = started.finish("accounts")
    assert (code, [len(job["rows"]) for job in bulk.jobs]) == (3, [5, 3]), told


@pytest.mark.kills
def test_killed_while_the_job_was_made_nobody_knows_and_that_is_told(started: Started, bulk: Bulk) -> None:
    started.kill_within("accounts", "POST")
    code, told = started.finish("accounts")
    assert code == 3
    assert "the program ended while" in told
    assert [len(job.get("rows", ())) for job in bulk.jobs] == [0, 3]  # nothing is sent twice


@pytest.mark.kills
def test_a_job_that_the_vendor_has_forgotten_leaves_its_rows_unknown(started: Started, bulk: Bulk) -> None:
    started.kill_within("accounts", "GET /jobs/ingest/7500$")
    bulk.jobs[0]["id"] = "gone"
    code, told = started.finish("accounts")
    assert code == 3
    assert "no such job" in told
    assert len(bulk.jobs) == 2


@pytest.mark.parametrize("mode", [pytest.param("merge", marks=pytest.mark.kills), "append"])
def test_a_killed_report_is_polled_on_and_not_asked_for_again(started: Started, mode: str) -> None:
    asked = reports(started, mode, "DONE")
    started.kill_within("stock", "GET /reports/1$")
    code, told = started.finish("stock")
    assert (code, asked) == (0, ["1"]), told
    assert stock(started) == [("A", 1), ("B", 20)]
    assert started.finish("stock")[0] == 0
    assert asked == ["1", "2"]  # the next run asks for one of its own


@pytest.mark.kills
def test_a_report_that_the_vendor_has_forgotten_is_asked_for_anew(started: Started) -> None:
    asked = reports(started, "append", "DONE")
    started.kill_within("stock", "GET /reports/1$")
    asked[0] = "gone"
    code, told = started.finish("stock")
    assert (code, len(asked)) == (0, 2), told
    assert stock(started) == [("A", 1), ("B", 20)]


def reports(started: Started, mode: str, status: str) -> list[str]:
    """A vendor of reports, and the recipe that reads one; the ids of the reports that were asked for."""
    asked: list[str] = []

    def reply(ask: Ask) -> Answer:
        if ask.route == "POST /reports":
            asked.append(str(len(asked) + 1))
            return Answer.json({"id": asked[-1]}, 201)
        if ask.path.split("/")[2] not in asked:
            return Answer.json({"message": "no such report"}, 404)
        if ask.path.endswith("/lines"):
            return Answer.json([{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 20}])
        return Answer.json({"status": status})

    started.vendor.reply = reply
    (started.root / "specs" / "acme.yaml").write_text(f"name: acme\n{REPORT}")
    recipe = READ.replace("URL", started.vendor.url).replace("MODE", mode)
    (started.root / "recipes" / "stock.yaml").write_text(recipe)
    return asked


def stock(started: Started) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(started.root / "w.duckdb"), read_only=True) as db:
        return db.sql("select sku, quantity from stock order by sku").fetchall()
