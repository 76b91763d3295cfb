"""Salesforce on loopback, its REST API and Bulk API 2.0 as the documentation describes them, of version 62.0.

Sources, all under https://developer.salesforce.com/docs: the REST API Developer Guide (Query and its nextRecordsUrl,
sObject Collections, Status Codes and Error Responses), the Bulk API 2.0 guide (Create a Job, Upload Job Data, Upload
Complete, Get Information About an Ingest Job, Get Job Successful and Failed Record Results: rows in any order), and
https://help.salesforce.com (OAuth 2.0 Refresh Token Flow: instance_url and no life in its answer).
"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Record, Refused, Routes
from emulators.server import Emulator

CLIENT, CLIENT_SECRET, REFRESH_TOKEN = "3MVG9-client", "consumer-secret-44", "5Aep861-refresh"
LOGIN, INSTANCE = "login.salesforce.com", "acme.my.salesforce.com"
DATA = "/services/data/v62.0"
PAGE = 2000
QUERY = re.compile(
    r"SELECT (?P<fields>[\w, ]+) FROM (?P<type>\w+)(?: WHERE SystemModstamp >= (?P<since>[\dTZ:.+-]+))?"
    r"(?: ORDER BY (?P<order>\w+))?"
)


@attrs.define(eq=False, kw_only=True, slots=False)
class Salesforce(Emulator):
    """Salesforce: `url` stands for the login's host and for the instance's, told apart by Host."""

    accounts: list[Record] = attrs.field(factory=list)
    custom: dict[str, list[str]] = attrs.field(factory=dict)
    """Objects of the organisation's own, without records: name to the names of its fields."""
    over_limit: int = 0
    """So many requests find the calls of the last 24 hours used up."""
    polls: int = 3
    """How often a closed job is still waiting or working when it is asked for."""
    jobs_end: str = "JobComplete"

    issued: list[str] = attrs.field(init=False, factory=list)
    jobs: dict[str, Record] = attrs.field(init=False, factory=dict)
    _uploads: dict[str, list[Record]] = attrs.field(init=False, factory=dict)
    _left: dict[str, int] = attrs.field(init=False, factory=dict)
    _good: set[str] = attrs.field(init=False, factory=set)
    _cursors: list[list[Record]] = attrs.field(init=False, factory=list)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        daily = {"DailyApiRequests": {"Max": 100000, "Remaining": 99998}}
        add(f"GET {DATA}/limits", lambda ask, at: Answer.json(daily))
        add(f"GET {DATA}/sobjects", self._describe_global)
        add(f"GET {DATA}/sobjects/{{name}}/describe", self._describe)
        add(f"GET {DATA}/query", self._query)
        add(f"GET {DATA}/query/{{locator}}", self._more)
        add(f"POST {DATA}/composite/sobjects", lambda ask, at: self._collection(ask, "Id"))
        add(f"PATCH {DATA}/composite/sobjects/{{object}}/{{key}}", lambda ask, at: self._collection(ask, at["key"]))
        add(f"POST {DATA}/jobs/ingest", self._create_job)
        add(f"PUT {DATA}/jobs/ingest/{{id}}/batches", self._upload)
        add(f"PATCH {DATA}/jobs/ingest/{{id}}", self._close)
        add(f"GET {DATA}/jobs/ingest/{{id}}", self._job)
        add(f"GET {DATA}/jobs/ingest/{{id}}/successfulResults", lambda ask, at: self._results(at["id"], failed=False))
        add(f"GET {DATA}/jobs/ingest/{{id}}/failedResults", lambda ask, at: self._results(at["id"], failed=True))

    def add_accounts(self, count: int) -> None:
        """So many accounts, each changed a second after the one before."""
        for number in range(count):
            self._store({"Name": f"Account {number}", "Key__c": f"k{number}"}, 1_790_000_000 + number)

    def expire_tokens(self) -> None:
        self._good.clear()

    # One request --------------------------------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        if ask.header("Host") == LOGIN:
            return self._grant(ask)
        token = (ask.header("Authorization") or "").removeprefix("Bearer ")
        if ask.header("Host") != INSTANCE or token not in self._good:
            raise no(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if self.over_limit:
            self.over_limit -= 1
            raise no(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(404, "NOT_FOUND", "The requested resource does not exist") from None
        return attrs.evolve(act(ask, at), headers=(("Sforce-Limit-Info", "api-usage=18/100000"),))

    def _grant(self, ask: Ask) -> Answer:
        given = dict(parse_qsl(ask.body.decode()))
        wanted = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
        if ask.route != "POST /services/oauth2/token" or given != {"grant_type": "refresh_token", **wanted}:
            body = {"error": "invalid_grant", "error_description": "expired access/refresh token"}
            raise Refused(Answer.json(body, 400))
        self.issued.append(f"00Dx0!session-{len(self.issued) + 1}")
        self._good = {self.issued[-1]}
        told = {"instance_url": f"https://{INSTANCE}", "token_type": "Bearer", "scope": "api refresh_token"}
        return Answer.json({"access_token": self.issued[-1], "issued_at": "1790000000000", **told})

    # Reading ------------------------------------------------------------------------------------------------------

    def _query(self, ask: Ask, _: dict[str, str]) -> Answer:
        asked = QUERY.fullmatch(ask.argument("q") or "")
        if asked is None:
            raise no(400, "MALFORMED_QUERY", f"unexpected token: {ask.argument('q')}")
        if asked["type"] not in {"Account", *self.custom}:
            raise no(400, "INVALID_TYPE", f"sObject type '{asked['type']}' is not supported.")
        since = datetime.fromisoformat(asked["since"]).timestamp() if asked["since"] else 0
        known = self.accounts if asked["type"] == "Account" else []
        rows = [one for one in known if stamp(one) >= since]
        rows = sorted(rows, key=stamp) if asked["order"] == "SystemModstamp" else rows
        names = [name.strip() for name in asked["fields"].split(",")]
        attributes = {"type": "Account", "url": f"{DATA}/sobjects/Account/"}
        self._cursors.append([{"attributes": attributes, **{name: one.get(name) for name in names}} for one in rows])
        return self._page(len(self._cursors) - 1, 0)

    def _more(self, _: Ask, at: dict[str, str]) -> Answer:
        cursor, start = at["locator"].removeprefix("01g").split("-")
        return self._page(int(cursor), int(start))

    def _page(self, cursor: int, start: int) -> Answer:
        rows, end = self._cursors[cursor], start + PAGE
        more = {} if end >= len(rows) else {"nextRecordsUrl": f"{DATA}/query/01g{cursor}-{end}"}
        return Answer.json({"totalSize": len(rows), "done": not more, **more, "records": rows[start:end]})

    def _describe_global(self, _: Ask, __: dict[str, str]) -> Answer:
        told = [{"name": name, "custom": name in self.custom, "queryable": True} for name in ("Account", *self.custom)]
        return Answer.json({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": told})

    def _describe(self, _: Ask, at: dict[str, str]) -> Answer:
        usual = {"Id": "id", "Name": "string", "SystemModstamp": "datetime"}
        kinds = {**usual, **dict.fromkeys(self.custom[at["name"]], "double")}
        told = [
            {"name": name, "label": name, "type": kind, "createable": own, "updateable": own}
            for name, kind in kinds.items()
            for own in [name not in ("Id", "SystemModstamp")]
        ]
        return Answer.json({"name": at["name"], "fields": told})

    # Writing ------------------------------------------------------------------------------------------------------

    def _store(self, fields: Record, at: float) -> Record:
        moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        self.accounts.append({"Id": f"001{len(self.accounts):015}", **fields, "SystemModstamp": moment})
        return self.accounts[-1]

    def _save(self, given: Record, key: str) -> tuple[Record | None, bool]:
        """Makes or changes one record: the record, None where it has no name, and whether it is new."""
        if not given.get("Name"):
            return None, False
        fields = {name: value for name, value in given.items() if name != "attributes"}
        found = next((one for one in self.accounts if key in given and one.get(key) == given[key]), None)
        if found is None:
            return self._store(fields, self.clock.now()), True
        found.update(fields)
        return found, False

    def _collection(self, ask: Ask, key: str) -> Answer:
        records = ask.json()["records"]
        if len(records) > 200:
            raise no(400, "EXCEEDED_MAX_SIZE_REQUEST", "record limit reached. cannot submit more than 200 records.")
        answers = []
        for record in records:
            saved, created = self._save(record, key)
            lacks = {"statusCode": "REQUIRED_FIELD_MISSING", "message": "Required fields are missing: [Name]"}
            told = {"id": saved["Id"], "created": created} if saved else {}
            errors = [] if saved else [{**lacks, "fields": ["Name"]}]
            answers.append({**told, "success": saved is not None, "errors": errors})
        return Answer.json(answers)

    # Jobs ---------------------------------------------------------------------------------------------------------

    def _create_job(self, ask: Ask, _: dict[str, str]) -> Answer:
        given = ask.json()
        if given["operation"] == "upsert" and not given.get("externalIdFieldName"):
            raise no(400, "INVALIDJOB", "InvalidJob : Field name not provided for external id lookup")
        id = f"7505e{len(self.jobs):013}"
        usual = {"state": "Open", "apiVersion": 62.0, "concurrencyMode": "Parallel", "jobType": "V2Ingest"}
        self.jobs[id] = {"id": id, **given, **usual, "contentUrl": f"services/data/v62.0/jobs/ingest/{id}/batches"}
        return Answer.json(self.jobs[id])

    def _known(self, id: str) -> Record:
        if id not in self.jobs:
            raise no(404, "NOT_FOUND", "The requested resource does not exist")
        return self.jobs[id]

    def _upload(self, ask: Ask, at: dict[str, str]) -> Answer:
        if self._known(at["id"])["state"] != "Open" or ask.media_type != "text/csv":
            raise no(400, "INVALIDJOBSTATE", "Job is not open, or its data is no text/csv")
        self._uploads[at["id"]] = list(csv.DictReader(io.StringIO(ask.body.decode(), newline="")))
        return Answer(201)

    def _close(self, ask: Ask, at: dict[str, str]) -> Answer:
        job = self._known(at["id"])
        if ask.json() != {"state": "UploadComplete"} or at["id"] not in self._uploads:
            raise no(400, "INVALIDJOBSTATE", "Job has no data, or cannot go to that state")
        job["state"] = "UploadComplete"
        self._left[at["id"]] = self.polls
        return Answer.json(job)

    def _job(self, _: Ask, at: dict[str, str]) -> Answer:
        job = self._known(at["id"])
        if job["state"] in ("UploadComplete", "InProgress"):
            self._left[at["id"]] -= 1
            job["state"] = "InProgress" if self._left[at["id"]] >= 0 else self.jobs_end
            if job["state"] == "JobComplete":
                self._process(job)
            if job["state"] == "Failed":
                job["errorMessage"] = "InvalidBatch : Field name not found : Nmae"
        return Answer.json(job)

    def _process(self, job: Record) -> None:
        for row in self._uploads[job["id"]]:
            saved, created = self._save(dict(row), job.get("externalIdFieldName", "Id"))
            if saved:
                row |= {"sf__Id": saved["Id"], "sf__Created": str(created).lower()}
            else:
                row |= {"sf__Id": "", "sf__Error": "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"}
        failed = sum("sf__Error" in row for row in self._uploads[job["id"]])
        job |= {"numberRecordsProcessed": len(self._uploads[job["id"]]), "numberRecordsFailed": failed}

    def _results(self, id: str, *, failed: bool) -> Answer:
        if self._known(id)["state"] != "JobComplete":
            raise no(400, "INVALIDJOBSTATE", "Results are there when the job is complete")
        own = ["sf__Id", "sf__Error"] if failed else ["sf__Id", "sf__Created"]
        sent = [name for name in self._uploads[id][0] if not name.startswith("sf__")]
        out = io.StringIO()
        writer = csv.DictWriter(out, [*own, *sent], extrasaction="ignore", quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in reversed(self._uploads[id]) if ("sf__Error" in row) is failed)
        return Answer.text(out.getvalue(), content_type="text/csv")


def stamp(record: Record) -> float:
    """When a record was last changed, in epoch seconds."""
    return datetime.fromisoformat(record["SystemModstamp"]).timestamp()


def no(status: int, code: str, message: str) -> Refused:
    """A refusal in the shape of the guide: a list of code and message."""
    return Refused(Answer.json([{"message": message, "errorCode": code}], status))
