"""Limits that learn: what a vendor's answers tell of them holds for the next calls."""

from __future__ import annotations

from typing import Any

import pytest

from connectory.clock import ManualClock
from connectory.errors import LimitReached
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor


def spec(limits: str, operation: str = "get: /things, does: read") -> str:
    return f"""
name: acme
settings: {{api_key: secret!}}
servers: {{production: https://api.acme.example}}
auth: {{bearer: "{{{{ api_key }}}}"}}
limits: {limits}
operations:
  things.get: {{{operation}}}
"""


def headers(**said: Any) -> Answer:
    pairs = tuple((name.replace("_", "-"), str(value)) for name, value in said.items())
    return Answer(200, b"{}", "application/json", pairs)


REMAINING = """{core: {rate: 5000/hour, learn: {
  remaining: {header: X-Remaining}, reset: {header: X-Reset, codec: unix}}}}"""


def test_what_is_left_by_the_vendors_count_is_all_that_goes(
    connecting: Connecting, vendor: Vendor, clock: ManualClock
) -> None:
    reset = clock.now() + 600
    left = iter([2, 1, 0])
    vendor.reply = lambda ask: headers(X_Remaining=next(left, 4999), X_Reset=int(reset))
    things = connecting(spec(REMAINING), api_key="k", max_wait=60).things
    for _ in range(3):
        things.get()
    with pytest.raises(LimitReached, match="the vendor says that no more than 0 are left") as caught:
        things.get()
    assert caught.value.until == pytest.approx(reset, abs=1)
    assert len(vendor.routes) == 3
    clock.sleep(601)
    things.get()


def test_a_limit_grows_to_the_size_that_the_vendor_tells(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: headers(X_Max=6)
    things = connecting(spec("{ten: {rate: 2/10s, learn: {limit: {header: X-Max}}}}"), api_key="k", max_wait=0).things
    for _ in range(6):
        things.get()
    with pytest.raises(LimitReached, match="6 in 10s are used up"):
        things.get()


def test_a_refill_that_is_told_sets_the_pace(connecting: Connecting, vendor: Vendor, clock: ManualClock) -> None:
    limit = "{reports: {rate: 0.0167/second, burst: 2, learn: {refill: {header: x-amzn-RateLimit-Limit}}}}"
    vendor.reply = lambda ask: headers(x_amzn_RateLimit_Limit="0.5")
    things = connecting(spec(limit), api_key="k").things
    before = clock.now()
    for _ in range(7):
        things.get()
    assert clock.now() - before == pytest.approx(10, abs=1)


def points(vendor: Vendor, clock: ManualClock, actual: int, most: int = 100) -> list[float]:
    """A bucket of points that refills by ten a second, counted as Shopify does. Returns what was left at each call."""
    state = {"left": float(most), "at": clock.now()}
    seen: list[float] = []

    def reply(ask: Ask) -> Answer:
        state["left"] = min(most, state["left"] + 10 * (clock.now() - state["at"]))
        state["at"] = clock.now()
        seen.append(state["left"])
        if state["left"] < actual:
            return Answer.json({"error": "THROTTLED"}, 429)
        state["left"] -= actual
        throttle = {"maximumAvailable": most, "currentlyAvailable": int(state["left"]), "restoreRate": 10}
        return Answer.json({"cost": {"actual": actual, "throttleStatus": throttle}})

    vendor.reply = reply
    return seen


POINTS = """{points: {rate: 10/second, burst: 100, unit: points, learn: {
  limit: cost.throttleStatus.maximumAvailable, remaining: cost.throttleStatus.currentlyAvailable,
  refill: cost.throttleStatus.restoreRate, cost: cost.actual}}}"""
FIRST = 'get: /things, does: read, query: {first: int}, costs: {points: "{{ 2 + first }}"}'


def test_points_are_spent_by_what_calls_cost(connecting: Connecting, vendor: Vendor, clock: ManualClock) -> None:
    seen = points(vendor, clock, actual=42)
    things = connecting(spec(POINTS, FIRST), api_key="k").things
    before = clock.now()
    for _ in range(6):
        things.get(first=40)
    assert len(seen) == 6, "a call was refused"
    assert clock.now() - before == pytest.approx((6 * 42 - 100) / 10, abs=2)


def test_what_a_call_did_not_cost_comes_back(connecting: Connecting, vendor: Vendor, clock: ManualClock) -> None:
    seen = points(vendor, clock, actual=5)
    things = connecting(spec(POINTS, FIRST), api_key="k").things
    before = clock.now()
    for _ in range(5):
        things.get(first=70)
    assert len(seen) == 5
    assert clock.now() - before == pytest.approx(0, abs=1)


def test_a_call_above_its_estimate_is_charged_after_its_answer(
    connecting: Connecting, vendor: Vendor, clock: ManualClock
) -> None:
    vendor.reply = lambda ask: Answer.json({"cost": 30})
    things = connecting(spec("{points: {rate: 100/minute, learn: {cost: cost}}}"), api_key="k", max_wait=0).things
    for _ in range(4):
        things.get()
    with pytest.raises(LimitReached, match="100 a minute are used up"):
        things.get()
    clock.sleep(61)
    things.get()


def test_the_scarcest_of_several_limits_decides(connecting: Connecting, vendor: Vendor) -> None:
    limits = """{calls: {rate: 1000/minute}, points: {rate: 50/minute, unit: points, for: named}}"""
    operation = "get: /things, does: read, limits: [calls, points], costs: {points: 20}"
    things = connecting(spec(limits, operation), api_key="k", max_wait=0).things
    things.get()
    things.get()
    with pytest.raises(LimitReached, match="50 points a minute are used up"):
        things.get()


def test_what_others_used_counts_too(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: headers(X_Calls="37/40")
    limit = '{calls: {rate: 40/minute, learn: {used: {header: X-Calls, match: "([0-9]+)/"}}}}'
    things = connecting(spec(limit), api_key="k", max_wait=0).things
    for _ in range(4):
        things.get()
    with pytest.raises(LimitReached, match="40 a minute are used up"):
        things.get()


def test_a_403_that_means_throttled_waits_until_the_moment_it_tells(
    connecting: Connecting, vendor: Vendor, clock: ManualClock
) -> None:
    reset = int(clock.now() + 90)
    refused = headers(X_Remaining=0, X_Reset=reset)
    replies = iter([Answer(403, refused.body, refused.content_type, refused.headers)])
    vendor.reply = lambda ask: next(replies, Answer.json({"id": 1}))
    rule = (
        "outcomes: [{status: 403, headers: {X-Remaining: '0'}, is: throttled, limit: core, "
        "until: {header: X-Reset, codec: unix}}]\n"
    )
    things = connecting(spec(REMAINING) + rule, api_key="k").things
    assert things.get() == {"id": 1}
    assert clock.now() >= reset


@pytest.mark.parametrize("said", ["", "lots", "NaN", "-5", "1e400", "99999999999999999999"])
def test_nonsense_is_not_believed(connecting: Connecting, vendor: Vendor, said: str) -> None:
    vendor.reply = lambda ask: headers(X_Max=said)
    things = connecting(spec("{ten: {rate: 3/10s, learn: {limit: {header: X-Max}}}}"), api_key="k", max_wait=0).things
    for _ in range(3):
        things.get()
    with pytest.raises(LimitReached, match="3 in 10s are used up"):
        things.get()
