"""Operations made of operations: jobs that are made, filled, polled and fetched, as the vendors document them."""

from __future__ import annotations

import gzip
from typing import Any

import attrs
import pytest

from connectory import Failed, LimitReached, SpecError, Unavailable
from connectory.clock import ManualClock
from emulators.exchange import Answer, Ask
from engine.bulk import BULK, Bulk, rows
from engine.conftest import Connecting, Vendor


@pytest.fixture
def bulk(vendor: Vendor) -> Bulk:
    vendor.reply = served = Bulk()
    return served


def test_a_job_is_made_filled_closed_polled_and_its_results_are_told_row_by_row(
    connecting: Connecting, vendor: Vendor, bulk: Bulk, clock: ManualClock
) -> None:
    acme = connecting(BULK)
    delivery = acme.bulk.upsert(rows(7, bad=(1, 6)), object="Account", external_id="Ext__c")
    assert delivery.delivered == 5
    assert [(one.row, one.words) for one in delivery.rejected] == [
        (2, "REQUIRED_FIELD_MISSING:x1"),
        (7, "REQUIRED_FIELD_MISSING:x6"),
    ]
    assert {one.id for one in delivery if one.word == "delivered"} == {f"001x{n}" for n in (0, 2, 3, 4, 5)}
    assert [len(job["rows"]) for job in bulk.jobs] == [5, 2]
    assert clock.slept.count(10.0) == 8
    assert vendor.routes[:8] == [
        *("POST /jobs/ingest", "PUT /jobs/ingest/7500/batches", "PATCH /jobs/ingest/7500"),
        *(["GET /jobs/ingest/7500"] * 5),
    ]


def test_a_job_that_fails_leaves_its_rows_unknown_and_the_next_goes_on(
    connecting: Connecting, vendor: Vendor, bulk: Bulk
) -> None:
    bulk.ends = "Failed"
    delivery = connecting(BULK).bulk.upsert(rows(6), object="Account", external_id="Ext__c")
    assert (delivery.delivered, len(delivery.unknown), len(bulk.jobs)) == (0, 6, 2)
    assert "jobs.get says state: Failed" in delivery.unknown[0].words


def test_a_poll_that_runs_out_is_unknown_and_never_a_success(
    connecting: Connecting, bulk: Bulk, clock: ManualClock
) -> None:
    bulk.polls = 1_000
    delivery = connecting(BULK).bulk.upsert(rows(2), object="Account", external_id="Ext__c")
    assert len(delivery.unknown) == 2
    assert "still says state: InProgress after 300 s" in delivery.unknown[0].words
    assert clock.slept.count(10.0) == 30


def test_a_job_that_is_refused_is_not_cut_into_smaller_ones(connecting: Connecting, vendor: Vendor, bulk: Bulk) -> None:
    vendor.reply = lambda ask: Answer.json([{"message": "no object Acount", "errorCode": "INVALID"}], 400)
    delivery = connecting(BULK).bulk.upsert(rows(5), object="Acount", external_id="Ext__c")
    assert [one.words for one in delivery.rejected] == ["no object Acount (one of 5 items refused together)"] * 5
    assert len(vendor.requests()) == 1


def test_a_flow_holds_the_limit_that_it_names_until_it_ends(connecting: Connecting, vendor: Vendor, bulk: Bulk) -> None:
    acme = connecting(BULK)
    ledger, budget = acme.engine.line.ledger, acme.engine.budgets["jobs"]
    in_flight: list[int] = []

    def reply(ask: Ask) -> Answer:
        in_flight.append(ledger.spent(budget).in_flight)
        return bulk(ask)

    vendor.reply = reply
    acme.bulk.upsert(rows(1), object="Account", external_id="Ext__c")
    assert set(in_flight) == {1}
    assert ledger.spent(budget).in_flight == 0


REPORT = """
servers: {production: https://api.acme.example}
operations:
  reports.create: {post: /reports, fields: {reportType: str!, marketplaceIds: list of str!, dataStartTime: datetime}}
  reports.get: {get: "/reports/{report_id}"}
  documents.get: {get: "/documents/{document_id}"}
  documents.download:
    {get: "{url}", does: read, path: {url: url}, anonymous: true, wire: {answer: tsv}, records: ., returns: Line}
  reports.run:
    does: read
    fields: {report_type: str!, marketplace_ids: list of str!, start: datetime}
    steps:
      - call: reports.create
        with: {reportType: "{{ report_type }}", marketplaceIds: "{{ marketplace_ids }}", dataStartTime: "{{ start }}"}
        keep: {report: reportId}
      - call: reports.get
        with: {report_id: "{{ report }}"}
        until: {processingStatus: [DONE, CANCELLED, FATAL]}
        failed: {processingStatus: FATAL}
        every: 30s
        at_most: 4h
        keep: {document: reportDocumentId}
      - {call: documents.get, with: {document_id: "{{ document }}"}, keep: {link: url}}
      - {call: documents.download, with: {url: "{{ link }}"}}
types: {Line: {sku: str! key, quantity: int}}
"""


@attrs.define
class Reports:
    """Reports as Amazon's Selling Partner API documents them: asked for, polled, then fetched packed from elsewhere."""

    url: str
    statuses: list[str] = attrs.Factory(lambda: ["IN_QUEUE", "IN_PROGRESS", "IN_PROGRESS", "DONE"])
    asked: list[Any] = attrs.Factory(list)

    def __call__(self, ask: Ask) -> Answer:
        if ask.route == "POST /reports":
            self.asked.append(ask.json())
            return Answer.json({"reportId": "r1"}, 202)
        if ask.path == "/reports/r1":
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            document = {"reportDocumentId": "d/1"} if status == "DONE" else {}
            return Answer.json({"reportId": "r1", "processingStatus": status, **document})
        if ask.path == "/documents/d%2F1":
            return Answer.json({"url": f"{self.url}/files/x%2Fy?sig=a%2Bb", "compressionAlgorithm": "GZIP"})
        assert ask.path == "/files/x%2Fy"
        assert ask.argument("sig") == "a+b"
        assert ask.header("Authorization") is None
        return Answer(200, gzip.compress(b"sku\tquantity\nA\t1\nB\t20\n"), "application/octet-stream")


@pytest.fixture
def reports(vendor: Vendor) -> Reports:
    vendor.reply = served = Reports(vendor.url)
    return served


ASKED = {"report_type": "STOCK", "marketplace_ids": ["A1", "B2"]}


def test_a_report_is_asked_for_polled_and_read_as_records(
    connecting: Connecting, reports: Reports, clock: ManualClock
) -> None:
    acme = connecting(REPORT)
    found = list(acme.reports.run(**ASKED, start="2026-05-20T00:00:00Z"))
    assert found == [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 20}]
    assert reports.asked == [
        {"reportType": "STOCK", "marketplaceIds": ["A1", "B2"], "dataStartTime": "2026-05-20T00:00:00Z"}
    ]
    assert clock.slept.count(30.0) == 3


def test_what_is_not_given_is_not_sent(connecting: Connecting, reports: Reports) -> None:
    assert len(list(connecting(REPORT).reports.run(**ASKED))) == 2
    assert "dataStartTime" not in reports.asked[0]


def test_a_report_without_data_has_no_records(connecting: Connecting, reports: Reports) -> None:
    reports.statuses = ["CANCELLED"]
    assert list(connecting(REPORT).reports.run(**ASKED)) == []


def test_a_report_that_fails_or_never_ends_is_an_error(connecting: Connecting, reports: Reports) -> None:
    reports.statuses = ["IN_PROGRESS", "FATAL"]
    with pytest.raises(Failed, match=r"reports.run: reports.get says processingStatus: FATAL"):
        list(connecting(REPORT).reports.run(**ASKED))
    reports.statuses = ["IN_PROGRESS"]
    with pytest.raises(Unavailable, match=r"still says processingStatus: IN_PROGRESS after 14400 s"):
        list(connecting(REPORT).reports.run(**ASKED))


JOBS = """
servers: {production: https://api.acme.example}
operations:
  tickets.start: {put: /tickets/update_many, does: write, fields: {tickets: list of Ticket!}}
  job_statuses.get: {get: "/job_statuses/{id}", record: job_status}
  tickets.update_many:
    does: write
    fields: {tickets: list of Ticket!}
    batch: {items: tickets, largest: 3}
    steps:
      - {call: tickets.start, with: {tickets: "{{ tickets }}"}, keep: {job: job_status.id}}
      - call: job_statuses.get
        with: {id: "{{ job }}"}
        until: {job_status.status: [completed, failed, killed]}
        failed: {job_status.status: [failed, killed]}
        every: 2s
        results: {at: job_status.results, index: index, ok: {success: true}, id: id, message: details, code: error}
types: {Ticket: {id: int64 key, subject: str}}
"""


def test_a_jobs_own_status_tells_what_became_of_each_item(connecting: Connecting, vendor: Vendor) -> None:
    polls = iter(["queued", "working", "working", "completed"])

    def reply(ask: Ask) -> Answer:
        if ask.method == "PUT":
            return Answer.json({"job_status": {"id": "j1", "status": "queued"}})
        results = [
            {"index": 0, "id": 1, "success": True},
            {"index": 2, "success": False, "error": "TicketUpdateFailed", "details": "closed tickets do not change"},
            {"index": 1, "id": 2, "success": True},
        ]
        return Answer.json({"job_status": {"id": "j1", "status": next(polls), "results": results}})

    vendor.reply = reply
    delivery = connecting(JOBS).tickets.update_many([{"id": n, "subject": "s"} for n in (1, 2, 3)])
    assert delivery.delivered == 2
    (rejected,) = delivery.rejected
    assert (rejected.row, rejected.words, rejected.code) == (3, "closed tickets do not change", "TicketUpdateFailed")


def test_a_limit_before_the_first_call_leaves_all_items_untried(connecting: Connecting, vendor: Vendor) -> None:
    spec = JOBS.replace("servers:", "limits: {few: {rate: 1/day}}\nservers:", 1)
    acme = connecting(spec, max_wait=0)
    vendor.reply = lambda ask: Answer.json({"job_status": {"id": "j1", "status": "completed", "results": []}})
    with pytest.raises(LimitReached) as caught:
        acme.tickets.update_many([{"id": 1}])
    delivery = caught.value.delivery  # type: ignore[attr-defined]
    assert delivery.accounts.counts["not_tried"] == 1


FAULTS = {
    'call: jobs.close, with: {id: "{{ job }}"}': (
        'call: jobs.clos, with: {id: "{{ job }}"}',
        "no operation 'jobs.clos'; did you mean 'jobs.close'?",
    ),
    "keep: {job: id}": ("keep: {jab: id}", "{{ job }} names nothing"),
    "keep: {job: id}}": ("keep: {rows: id}}", "'rows' has a value already: choose another name"),
    'with: {id: "{{ job }}", body': (
        'with: {ids: "{{ job }}", body',
        "jobs.put_data has no parameter 'ids'; did",
    ),
    'with: {object: "{{ object }}", ext': ("with: {ext", "jobs.create needs 'object': say it in with"),
    "every: 10s": ("every: 0s", "polls need a pause between them"),
    "until: {state: [JobComplete, Failed, Aborted]}": ("about: x", "unknown key 'about'"),
    "fields: {object: str!, external_id: str!, rows": (
        "pages: locator\n    fields: {object: str!, external_id: str!, rows",
        "'pages' goes with a method",
    ),
    "call: jobs.get\n": ("call: bulk.upsert\n", "'bulk.upsert' is made of steps itself (a circle)"),
    "does: write\n    repeatable: true\n    fields": (
        "does: write\n    get: /x\n    repeatable: true\n    fields",
        "graphql and steps is needed",
    ),
}


@pytest.mark.parametrize("wrong", FAULTS)
def test_a_flow_that_cannot_work_is_a_fault_of_the_spec(connecting: Connecting, wrong: str) -> None:
    right, message = FAULTS[wrong]
    assert wrong in BULK
    with pytest.raises(SpecError) as caught:
        connecting(BULK.replace(wrong, right))
    assert message in str(caught.value)


def test_results_need_a_batch_and_a_batch_results(connecting: Connecting) -> None:
    results = next(line for line in JOBS.splitlines() if "results: {at" in line)
    with pytest.raises(SpecError, match="no step says what became of each item"):
        connecting(JOBS.replace(f"{results}\n", ""))
    with pytest.raises(SpecError, match="results tell of a batch: say batch"):
        connecting(JOBS.replace("    batch: {items: tickets, largest: 3}\n", ""))


def test_a_circle_of_parents_is_a_fault(connecting: Connecting) -> None:
    with pytest.raises(SpecError, match=r"a circle of parents: a.list -> b.list -> a.list"):
        connecting("""
servers: {production: https://api.acme.example}
operations:
  a.list: {get: "/a/{id}", records: ., parent: {operation: b.list, with: {id: x}}}
  b.list: {get: "/b/{id}", records: ., parent: {operation: a.list, with: {id: x}}}
""")
