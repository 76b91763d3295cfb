"""Writes that may be sent again: by a made-up key, or only if nobody else has written meanwhile."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from connectory import Rejected, SpecError, Unavailable, UnknownOutcome
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor

KEYED = """
servers: {production: https://api.acme.example}
idempotency_key: {headers: Idempotency-Key}
operations:
  orders.create: {post: /orders, fields: {name: str!}}
  orders.create_many: {post: /orders/batch, fields: {orders: list of any!}, batch: {items: orders, largest: 2}}
  orders.list: {get: /orders, records: .}
  tickets.create: {post: /tickets, fields: {name: str!}, idempotency_key: {fields: request.id}}
"""


def keys(vendor: Vendor) -> list[str]:
    return [exchange.header("Idempotency-Key") or "" for exchange in vendor.requests("POST")]


def test_a_write_with_a_key_is_sent_again_with_the_same_key(connecting: Connecting, vendor: Vendor) -> None:
    vendor.fail(times=2, status=503)
    acme = connecting(KEYED)
    acme.orders.create(name="a")
    acme.orders.create(name="a")
    first, second, third, fourth = keys(vendor)
    assert first == second == third != fourth
    assert uuid.UUID(first).version == 4


def test_a_connection_lost_after_the_write_was_applied_is_no_unknown_outcome(
    connecting: Connecting, vendor: Vendor
) -> None:
    vendor.drop(after_applying=True)
    connecting(KEYED).orders.create(name="a")
    assert len(set(keys(vendor))) == 1
    vendor.drop(times=50)
    with pytest.raises(Unavailable):
        connecting(KEYED).orders.create(name="a")
    vendor.drop(after_applying=True)
    with pytest.raises(UnknownOutcome):
        connecting(KEYED.replace("idempotency_key: {headers: Idempotency-Key}\n", "")).orders.create(name="a")


def test_each_batch_has_a_key_of_its_own(connecting: Connecting, vendor: Vendor) -> None:
    connecting(KEYED).orders.create_many([{"n": n} for n in range(5)])
    assert len(set(keys(vendor))) == 3


def test_reads_carry_no_key_and_a_key_may_stand_among_fields(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.json([])
    acme = connecting(KEYED)
    list(acme.orders.list())
    acme.tickets.create(name="a")
    read, write = vendor.requests()
    assert read.header("Idempotency-Key") is None
    assert uuid.UUID(write.json()["request"]["id"]).version == 4


@pytest.mark.parametrize(
    ("slot", "operation", "message"),
    [
        ("fields: key", "body: map of any", "/idempotency_key: orders.create has no fields that the key could stand"),
        ("variables: key", "fields: {name: str}", "orders.create has no variables that the key could stand among"),
        ("header: X", "fields: {name: str}", "unknown key 'header'; did you mean 'headers'?"),
    ],
)
def test_a_key_that_would_not_be_sent_is_a_fault(
    connecting: Connecting, slot: str, operation: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        connecting(f"""
servers: {{production: https://api.acme.example}}
idempotency_key: {{{slot}}}
operations: {{orders.create: {{post: /orders, {operation}}}}}
""")
    assert message in str(caught.value)


MATCHED = """
servers: {production: https://api.acme.example}
operations:
  pages.get: {get: "/pages/{id}"}
  pages.replace: {put: "/pages/{id}", body: part of Page, merge: pages.get, if_match: {header: ETag}}
types: {Page: {title: str, "*": any}}
"""


class Wiki:
    """A page with a version, which refuses what was read before its last change (RFC 9110, 13.1.1)."""

    def __init__(self, *, others: int = 0) -> None:
        self.page: dict[str, Any] = {"title": "old", "hits": 0}
        self.version = 1
        self.others = others

    def __call__(self, ask: Ask) -> Answer:
        if ask.method == "GET":
            answer = Answer(200, Answer.json(self.page).body, "application/json", (("ETag", f'"{self.version}"'),))
            if self.others:
                self.others -= 1
                self.version += 1
                self.page["hits"] += 1
            return answer
        if ask.header("If-Match") != f'"{self.version}"':
            return Answer.json({}, 412)
        self.page = ask.json()
        self.version += 1
        return Answer(204)


def test_what_somebody_else_wrote_meanwhile_is_not_undone(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = wiki = Wiki(others=2)
    assert connecting(MATCHED).pages.replace(id="1", body={"title": "new"}) == {"title": "new", "hits": 2}
    assert wiki.page == {"title": "new", "hits": 2}
    assert len(vendor.requests("PUT")) == 3


def test_a_record_that_never_holds_still_is_refused_in_the_end(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = wiki = Wiki(others=100)
    with pytest.raises(Rejected):
        connecting(MATCHED).pages.replace(id="1", body={"title": "new"})
    assert wiki.page["title"] == "old"


def test_if_match_goes_with_merge(connecting: Connecting) -> None:
    with pytest.raises(SpecError, match="'if_match' goes with merge"):
        connecting(MATCHED.replace("merge: pages.get, ", ""))
