"""The mock counts what calls cost, and tells in its answers how its limits stand."""

from __future__ import annotations

import pytest

from mock.conftest import Staging
from mock.test_server import send

GRAPH = """
settings: {key: secret!}
servers: {production: https://acme.example}
auth: {bearer: "{{ key }}"}
limits:
  points:
    rate: 10/second
    burst: 100
    unit: points
    learn: {limit: cost.most, remaining: cost.left, refill: cost.refill, cost: cost.this}
pagers: {numbered: {use: page_number, page: page, size: per_page, largest: 40, records: rows}}
operations:
  things.list: {get: /things, pages: numbered, returns: Thing, costs: {points: "{{ 2 + per_page }}"}}
types: {Thing: {id: int64! key}}
"""


def test_a_cost_that_the_page_sets_is_counted_and_told(staging: Staging) -> None:
    stage = staging(GRAPH, settings={"key": "key-123"}, records=3)
    proof = {"Authorization": "Bearer key-123"}
    status, _, body = send(stage, "GET", "/things?page=1&per_page=40", headers=proof)
    assert (status, body["cost"]) == (200, {"most": 100, "left": 58, "refill": 10.0, "this": 42})
    assert send(stage, "GET", "/things?page=1&per_page=40", headers=proof)[0] == 200
    assert send(stage, "GET", "/things?page=1&per_page=40", headers=proof)[0] == 429
    assert send(stage, "GET", "/things?page=1&per_page=5", headers=proof)[0] == 200


def test_a_client_that_pays_what_pages_cost_is_never_refused(staging: Staging) -> None:
    stage = staging(GRAPH, settings={"key": "key-123"}, records=300)
    before = stage.clock.monotonic()
    assert len(list(stage.connector.things.list())) == 300
    assert {one.status for one in stage.mock.served} == {200}
    assert stage.clock.monotonic() - before == pytest.approx((8 * 42 - 100) / 10, abs=5)


HEADERS = """
servers: {production: https://acme.example}
limits:
  hour:
    rate: 5/hour
    learn:
      remaining: {header: X-Remaining}
      used: {header: X-Used}
      reset: {header: X-Reset, codec: unix}
operations: {things.list: {get: /things, records: .}}
"""


def test_headers_tell_what_is_left_and_until_when(staging: Staging) -> None:
    stage = staging(HEADERS)
    began = stage.clock.now()
    told = [send(stage, "GET", "/things")[1] for _ in range(5)]
    assert [(one["x-remaining"], one["x-used"]) for one in told] == [(str(4 - n), str(n + 1)) for n in range(5)]
    assert float(told[-1]["x-reset"]) == pytest.approx(began + 3600, abs=2)
    assert send(stage, "GET", "/things")[0] == 429
