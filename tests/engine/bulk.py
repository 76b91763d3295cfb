"""A bulk API in jobs: its spec, and the vendor's side of it, as Salesforce documents version 2."""

from __future__ import annotations

import csv
import io
from typing import Any

import attrs

from emulators.exchange import Answer, Ask

BULK = """
servers: {production: https://api.acme.example}
limits: {jobs: {concurrent: 1, for: named}}
errors: {message: "*.message", code: "*.errorCode"}
pagers:
  # The last page says the word null.
  locator:
    use: cursor
    cursor: locator
    next: {header: Sforce-Locator, match: "^(?!null$)(.+)"}
    size: maxRecords
    largest: 2
    records: .
operations:
  jobs.create: {post: /jobs/ingest, fields: {object: str!, externalIdFieldName: str!, contentType: str = CSV}}
  jobs.put_data: {put: "/jobs/ingest/{id}/batches", does: write, repeatable: true, body: list of any, wire: {body: csv}}
  jobs.close: {patch: "/jobs/ingest/{id}", does: write, repeatable: true, send: {fields: {state: UploadComplete}}}
  jobs.get: {get: "/jobs/ingest/{id}"}
  jobs.successes: {get: "/jobs/ingest/{id}/successfulResults", does: read, wire: {answer: csv}, pages: locator}
  jobs.failures: {get: "/jobs/ingest/{id}/failedResults", does: read, wire: {answer: csv}, pages: locator}
  bulk.upsert:
    does: write
    repeatable: true
    fields: {object: str!, external_id: str!, rows: list of any!}
    batch: {items: rows, largest: 5}
    limits: jobs
    steps:
      - {call: jobs.create, with: {object: "{{ object }}", externalIdFieldName: "{{ external_id }}"}, keep: {job: id}}
      - {call: jobs.put_data, with: {id: "{{ job }}", body: "{{ rows }}"}}
      - {call: jobs.close, with: {id: "{{ job }}"}}
      - call: jobs.get
        with: {id: "{{ job }}"}
        until: {state: [JobComplete, Failed, Aborted]}
        failed: {state: [Failed, Aborted]}
        every: 10s
        at_most: 5m
      - call: jobs.successes
        with: {id: "{{ job }}"}
        results: {only: delivered, key: "{{ external_id }}", id: sf__Id}
      - call: jobs.failures
        with: {id: "{{ job }}"}
        results: {only: rejected, key: "{{ external_id }}", message: sf__Error}
"""


@attrs.define
class Bulk:
    """A bulk API as Salesforce documents its version 2: a job takes one CSV, works after it is closed, and then tells
    by two CSV lists, paged by a locator in a header, which rows it took and which not."""

    polls: int = 4
    ends: str = "JobComplete"
    jobs: list[dict[str, Any]] = attrs.Factory(list)

    def __call__(self, ask: Ask) -> Answer:
        parts = ask.path.strip("/").split("/")
        if ask.route == "POST /jobs/ingest":
            self.jobs.append({"id": f"750{len(self.jobs)}", "state": "Open", **ask.json(), "polls": self.polls})
            return Answer.json(self.shown(self.jobs[-1]))
        job = next((one for one in self.jobs if one["id"] == parts[2]), None)
        if job is None:
            return Answer.json([{"message": "no such job", "errorCode": "NOT_FOUND"}], 404)
        if ask.method == "PUT":
            assert ask.media_type == "text/csv"
            job["rows"] = list(csv.DictReader(io.StringIO(ask.body.decode())))
            return Answer(201)
        if ask.method == "PATCH":
            job["state"] = ask.json()["state"]
            return Answer.json(self.shown(job))
        if len(parts) == 3:
            job["polls"] -= 1
            job["state"] = self.ends if job["polls"] < 0 else "InProgress"
            return Answer.json(self.shown(job))
        return self.results(job, parts[3], ask)

    def shown(self, job: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in job.items() if name in ("id", "state", "object")}

    def results(self, job: dict[str, Any], which: str, ask: Ask) -> Answer:
        key = job["externalIdFieldName"]
        bad = [row for row in job["rows"] if row["Name"] == "bad"]
        rows = [{"sf__Id": f"001{row[key]}", "sf__Created": "true", **row} for row in job["rows"] if row not in bad]
        if which == "failedResults":
            rows = [{"sf__Id": "", "sf__Error": f"REQUIRED_FIELD_MISSING:{row[key]}", **row} for row in bad]
        start = int(ask.argument("locator") or 0)
        size = int(ask.argument("maxRecords") or 100)
        out = io.StringIO()
        table = csv.DictWriter(out, ["sf__Id", "sf__Error", "sf__Created", key, "Name"], restval="")
        table.writeheader()
        table.writerows(rows[start : start + size])
        more = str(start + size) if start + size < len(rows) else "null"
        return Answer(200, out.getvalue().encode(), "text/csv", (("Sforce-Locator", more),))


def rows(count: int, *, bad: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    return [{"Ext__c": f"x{n}", "Name": "bad" if n in bad else f"Name {n}"} for n in range(count)]
