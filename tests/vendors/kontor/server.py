"""A made-up exchange on loopback. It wants requests signed as Coinbase's published rules for API keys do
(https://docs.cdp.coinbase.com/prime/rest-api/authentication and beside it): what is signed is the time, the method in
capitals, the path with its query and the body, one after the other; the time is in whole seconds, at most 30 seconds
from the vendor's own; the signature is the HMAC with SHA-256, here in hexadecimal.

Its own: what is ordered twice under one `clientOrderId` is ordered once; too many requests a second are told by
Retry-After.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import quote, urlencode

import attrs

from emulators.exchange import Answer, Ask, NoRoute, Record, Refused, Routes
from emulators.server import Emulator

KEY, SECRET = "kontor-public", "kontor-shared-secret"
WINDOW = 30


@attrs.define(eq=False, kw_only=True, slots=False)
class Kontor(Emulator):
    """Kontor: `url` stands for `https://api.kontor.example`."""

    balance: float = 1000.0
    """What is there to be spent: a larger order is refused."""
    skewed: int = 0
    """So many requests are looked at a minute too late."""
    throttled: int = 0
    rate: int = 10
    """Requests a second."""

    orders: list[Record] = attrs.field(init=False, factory=list)
    _asked: list[float] = attrs.field(init=False, factory=list)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        self._routes.add("GET /v1/orders", self._list)
        self._routes.add("GET /v1/orders/{id}", self._get)
        self._routes.add("POST /v1/orders", self._create)

    def add_orders(self, count: int) -> None:
        for number in range(count):
            self._store({"symbol": "ETH-EUR", "amount": f"0.{number + 1:03}", "clientOrderId": f"old-{number}"})

    def answer(self, ask: Ask) -> Answer:
        now = self.clock.now()
        self._asked = [*(at for at in self._asked if now - at < 1), now]
        if self.throttled or len(self._asked) > self.rate:
            self.throttled = max(0, self.throttled - 1)
            slow = Answer.json({"code": "RATE_LIMITED", "message": "Too many requests."}, 429)
            raise Refused(attrs.evolve(slow, headers=(("Retry-After", "1"),)))
        self._check_signature(ask)
        try:
            act, at = self._routes.find(ask.method, ask.path)
        except NoRoute:
            raise no(404, "NO_SUCH_CALL", "No such call.") from None
        return act(ask, at)

    def _check_signature(self, ask: Ask) -> None:
        if ask.header("X-Api-Key") != KEY:
            raise no(401, "UNKNOWN_KEY", "This key is not known.")
        stamp = ask.header("X-Timestamp") or ""
        if not stamp.isdecimal():
            raise no(400, "BAD_TIMESTAMP", "X-Timestamp must be whole seconds.")
        late, self.skewed = (60, self.skewed - 1) if self.skewed else (0, 0)
        if abs(self.clock.now() + late - int(stamp)) > WINDOW:
            raise no(401, "TIMESTAMP_OUT_OF_WINDOW", "X-Timestamp is more than 30 s from our time.")
        target = ask.path + (f"?{urlencode(ask.query, quote_via=quote)}" if ask.query else "")
        signed = f"{stamp}{ask.method}{target}".encode() + ask.body
        if ask.header("X-Signature") != hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest():
            raise no(401, "BAD_SIGNATURE", "The signature does not fit the request.")

    def _list(self, ask: Ask, _: dict[str, str]) -> Answer:
        offset, limit = int(ask.argument("offset") or 0), int(ask.argument("limit") or 20)
        if not 1 <= limit <= 100:
            raise no(400, "BAD_LIMIT", "must be 1 to 100", field="limit")
        rows = [order for order in self.orders if ask.argument("status") in (None, order["status"])]
        return Answer.json({"rows": rows[offset : offset + limit]})

    def _get(self, _: Ask, at: dict[str, str]) -> Answer:
        found = next((order for order in self.orders if order["id"] == at["id"]), None)
        if found is None:
            raise no(404, "NO_SUCH_ORDER", "There is no such order.")
        return Answer.json(found)

    def _create(self, ask: Ask, _: dict[str, str]) -> Answer:
        given = ask.json()
        for name in ("symbol", "amount", "clientOrderId"):
            if name not in given:
                raise no(422, "MISSING", "must be given", field=name)
        before = next((order for order in self.orders if order["clientOrderId"] == given["clientOrderId"]), None)
        if before is not None:
            return Answer.json(before)
        if float(given["amount"]) > self.balance:
            raise no(422, "INSUFFICIENT_FUNDS", "is more than you hold", field="amount")
        return Answer.json(self._store({**given, "amount": str(given["amount"])}), 201)

    def _store(self, fields: Record) -> Record:
        made = int(self.clock.now() * 1000)
        order = {"id": f"o-{len(self.orders) + 1}", **fields, "status": "open", "createdAt": made}
        self.orders.append(order)
        return order


def no(status: int, code: str, message: str, **more: str) -> Refused:
    return Refused(Answer.json({"code": code, "message": message, **more}, status))
