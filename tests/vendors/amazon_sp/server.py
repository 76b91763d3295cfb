"""Amazon's Selling Partner API on loopback, its reports as the documentation describes them, of the version 2021-06-30.

Sources, all under https://developer-docs.amazon.com/sp-api: /docs/connect-to-the-selling-partner-api (the exchange with
Login with Amazon, the header), /docs/usage-plans-and-rate-limits-in-the-sp-api, /docs/request-a-report,
/docs/verify-that-report-processing-is-complete, /docs/retrieve-a-report; and the models of
https://github.com/amzn/selling-partner-api-models: reports-api-model/reports_2021-06-30.json. The answer to an expired
token is as reported there (issue 646).
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Pairs, Record, Refused, Routes
from emulators.server import Emulator

CLIENT, CLIENT_SECRET, REFRESH_TOKEN = "amzn1.application-oa2-client.1", "lwa-secret-71", "Atzr|IwEBIA-refresh"
MARKET = "ATVPDKIKX0DER"
LOGIN, FILES = "api.amazon.com", "tortuga-prod-na.s3-external-1.amazonaws.com"
TYPES = frozenset({"GET_MERCHANT_LISTINGS_ALL_DATA", "GET_FLAT_FILE_OPEN_LISTINGS_DATA"})
LINES = "sku\tasin\tprice\tquantity\nA-1\tB00X\t9.50\t3\nB-2\tB00Y\t12.00\t\n"

# Calls a second that are given back, and how many may be saved up, by method and the last fixed word of the path.
PLANS: Final[Mapping[str, tuple[float, int]]] = {
    "GET reports": (0.0222, 10),
    "POST reports": (0.0167, 15),
    "GET report": (2.0, 15),
    "GET document": (0.0167, 15),
}


@attrs.define
class Bucket:
    """What is left of a usage plan, and when that was looked at."""

    left: float
    at: float


@attrs.define(eq=False, kw_only=True, slots=False)
class AmazonSp(Emulator):
    """The Selling Partner API: `url` stands for the regions' hosts, and, told apart by Host, for the login and for what
    the URLs of documents lead to."""

    reports: list[Record] = attrs.field(factory=list)
    polls: int = 3
    """How often a report is still waiting or being made when it is asked for."""
    ends: str = "DONE"
    packed: bool = True
    revoked: bool = False
    """The seller has taken the app's rights away: no token is good any more."""

    issued: list[str] = attrs.field(init=False, factory=list)
    _good: set[str] = attrs.field(init=False, factory=set)
    _buckets: dict[str, Bucket] = attrs.field(init=False, factory=dict)
    _tokens: dict[str, list[Record]] = attrs.field(init=False, factory=dict)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("GET /reports/2021-06-30/reports", self._list)
        add("POST /reports/2021-06-30/reports", self._create)
        add("GET /reports/2021-06-30/reports/{id}", self._get)
        add("GET /reports/2021-06-30/documents/{id}", self._document)

    def add_reports(self, count: int) -> None:
        """So many reports that are done, each asked for an hour after the one before."""
        for number in range(count):
            report = self._store("GET_MERCHANT_LISTINGS_ALL_DATA", [MARKET], 1_790_000_000 + 3600 * number)
            report |= {"processingStatus": "DONE", "reportDocumentId": f"amzn1.tortuga.{number}"}

    # One request --------------------------------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        if ask.header("Host") == LOGIN:
            return self._grant(ask)
        if ask.header("Host") == FILES:
            return self._file(ask)
        token = ask.header("x-amz-access-token")
        if token is None:
            raise no(403, "MissingAuthenticationToken", "Access to requested resource is denied.")
        if token not in self._good or self.revoked:
            expired = "The access token you provided has expired."
            bad = "The access token you provided is revoked, malformed or invalid."
            words = expired if token in self.issued and not self.revoked else bad
            raise no(403, "Unauthorized", "Access to requested resource is denied.", words)
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(404, "NotFound", "Resource not found.") from None
        rate = self._spend(f"{ask.method} {act.__name__.strip('_')}", ask)
        return attrs.evolve(act(ask, at), headers=(("x-amzn-RateLimit-Limit", str(rate)),))

    def _spend(self, act: str, ask: Ask) -> float:
        """One call of the usage plan; its rate. Refuses what goes beyond."""
        plan = {"GET list": "GET reports", "POST create": "POST reports", "GET get": "GET report"}.get(
            act, "GET document"
        )
        rate, burst = PLANS[plan]
        now = self.clock.now()
        bucket = self._buckets.setdefault(plan, Bucket(burst, now))
        bucket.left, bucket.at = min(burst, bucket.left + (now - bucket.at) * rate), now
        # The client keeps to the rate to the last digit; the vendor does not count that finely.
        if bucket.left < 0.999:
            raise no(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
        bucket.left -= 1
        return rate

    def _grant(self, ask: Ask) -> Answer:
        given = dict(parse_qsl(ask.body.decode()))
        wanted = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
        if ask.route != "POST /auth/o2/token" or given != {"grant_type": "refresh_token", **wanted}:
            body = {"error": "invalid_grant", "error_description": "The request has an invalid grant parameter"}
            raise Refused(Answer.json(body, 400))
        self.issued.append(f"Atza|access-{len(self.issued) + 1}")
        self._good = {self.issued[-1]}
        told = {"access_token": self.issued[-1], "refresh_token": REFRESH_TOKEN, "token_type": "bearer"}
        return Answer.json({**told, "expires_in": 3600})

    def expire_tokens(self) -> None:
        self._good.clear()

    # Reports ------------------------------------------------------------------------------------------------------

    def _list(self, ask: Ask, _: dict[str, str]) -> Answer:
        """A token is the only parameter beside which no other may stand; it may be used once."""
        if (token := ask.argument("nextToken")) is not None:
            if len(ask.query) > 1 or token not in self._tokens:
                raise no(400, "InvalidInput", "nextToken must be the only parameter, and one that was given out.")
            return self._page(self._tokens[token], 100)
        types = (ask.argument("reportTypes") or "").split(",")
        if not 1 <= len(types) <= 10 or not set(types) <= TYPES:
            raise no(400, "InvalidInput", "reportTypes must hold one to ten known types.")
        size = int(ask.argument("pageSize") or 10)
        if not 1 <= size <= 100:
            raise no(400, "InvalidInput", "pageSize must be 1 to 100.")
        statuses = (ask.argument("processingStatuses") or "IN_QUEUE,IN_PROGRESS,DONE,CANCELLED,FATAL").split(",")
        since = datetime.fromisoformat(ask.argument("createdSince") or "2026-01-01T00:00:00Z")
        rows = [
            report
            for report in reversed(self.reports)
            if report["reportType"] in types
            and report["processingStatus"] in statuses
            and datetime.fromisoformat(report["createdTime"]) >= since
        ]
        return self._page(rows, size)

    def _page(self, rows: list[Record], size: int) -> Answer:
        page: Record = {"reports": [shown(report) for report in rows[:size]]}
        if len(rows) > size:
            page["nextToken"] = f"token-{len(self._tokens) + 1}"
            self._tokens[page["nextToken"]] = rows[size:]
        return Answer.json(page)

    def _create(self, ask: Ask, _: dict[str, str]) -> Answer:
        given = ask.json()
        if given.get("reportType") not in TYPES:
            raise no(400, "InvalidInput", f"Report type {given.get('reportType')} is not supported.")
        if not given.get("marketplaceIds") or len(given["marketplaceIds"]) > 25:
            raise no(400, "InvalidInput", "marketplaceIds must hold 1 to 25 ids.")
        report = self._store(given["reportType"], given["marketplaceIds"], self.clock.now())
        return Answer.json({"reportId": report["reportId"]}, 202)

    def _store(self, kind: str, markets: list[str], at: float) -> Record:
        created = datetime.fromtimestamp(at, UTC).isoformat()
        report = {"reportId": str(50000 + len(self.reports)), "reportType": kind, "marketplaceIds": markets}
        self.reports.append({**report, "createdTime": created, "processingStatus": "IN_QUEUE", "left": self.polls})
        return self.reports[-1]

    def _get(self, _: Ask, at: dict[str, str]) -> Answer:
        report = next((one for one in self.reports if one["reportId"] == at["id"]), None)
        if report is None:
            raise no(404, "NotFound", "Report not found.")
        if report["processingStatus"] in ("IN_QUEUE", "IN_PROGRESS"):
            if report["left"] > 0:
                report["processingStatus"] = "IN_QUEUE" if report["left"] == self.polls else "IN_PROGRESS"
            else:
                document = {"reportDocumentId": f"amzn1.tortuga.{at['id']}"}
                report |= {"processingStatus": self.ends, **(document if self.ends == "DONE" else {})}
            report["left"] -= 1
        return Answer.json(shown(report))

    def _document(self, _: Ask, at: dict[str, str]) -> Answer:
        if all(report.get("reportDocumentId") != at["id"] for report in self.reports):
            raise no(404, "NotFound", "Document not found.")
        url = f"https://{FILES}/{at['id']}?X-Amz-Expires=300&X-Amz-Signature=a%2Bb"
        packed = {"compressionAlgorithm": "GZIP"} if self.packed else {}
        return Answer.json({"reportDocumentId": at["id"], "url": url, **packed})

    def _file(self, ask: Ask) -> Answer:
        """A signed URL is its own credential."""
        if ask.header("x-amz-access-token") or ask.argument("X-Amz-Signature") != "a+b":
            return Answer.text("<Error><Code>SignatureDoesNotMatch</Code></Error>", 403, "application/xml")
        body = LINES.encode()
        return Answer(200, gzip.compress(body) if self.packed else body, "text/plain;charset=UTF-8")


def shown(report: Record) -> Record:
    return {name: value for name, value in report.items() if name != "left"}


def no(status: int, code: str, message: str, details: str = "", headers: Pairs = ()) -> Refused:
    """A refusal in the shape of the models."""
    body = {"errors": [{"code": code, "message": message, "details": details}]}
    return Refused(attrs.evolve(Answer.json(body, status), headers=headers))
