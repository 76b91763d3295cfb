"""Deliveries over the wire: every item ends with one word, whatever the vendor, the source or the line does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectory.errors import LimitReached
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor

SPEC = """
servers: {production: https://api.acme.example}
settings: {api_key: secret!}
auth: {headers: {X-Key: "{{ api_key }}"}}
errors: {message: error}
operations:
  things.push: {post: /things, body: list of Thing, batch: {largest: 2}, outcomes: [{status: 202, is: accepted}]}
  things.upsert:
    put: /things
    body: list of Thing
    batch: {largest: 4, atomic: true}
    results: {key: id, ok: {ok: true}, message: why, code: code, reports: failures}
  things.remove_many:
    delete: /things
    does: destroy
    repeatable: true
    fields: {ids: list of int}
    batch: {items: ids, largest: 2}
types: {Thing: {id: int! key, name: str}}
"""


def things(count: int) -> list[dict[str, Any]]:
    return [{"id": n} for n in range(count)]


def test_what_is_only_queued_is_accepted_not_delivered(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer(202)
    delivery = connecting(SPEC, api_key="key-of-acme").things.push(things(3))
    assert (delivery.delivered, delivery.accepted, delivery.accounts.balanced) == (0, 3, True)


def test_a_failure_that_fits_no_item_ends_and_keeps_its_words(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.json([{"id": "who?", "ok": False, "why": "no such shelf"}])
    delivery = connecting(SPEC, api_key="key-of-acme").things.upsert(things(4))
    assert [result.words for result in delivery.rejected] == ["no such shelf"] * 4
    assert delivery.calls <= 7


def test_removing_what_is_gone_already_is_done(connecting: Connecting, vendor: Vendor) -> None:
    gone = {1, 4}

    def reply(ask: Ask) -> Answer:
        missing = gone & set(ask.json()["ids"])
        return Answer.json({"error": "no such thing"}, 404) if missing else Answer(204)

    vendor.reply = reply
    delivery = connecting(SPEC, api_key="key-of-acme").things.remove_many([1, 2, 3, 4])
    assert (delivery.delivered, delivery.rejected) == (4, [])


def test_the_vendors_words_for_an_item_do_not_show_the_key(connecting: Connecting, vendor: Vendor) -> None:
    def reply(ask: Ask) -> Answer:
        why = f"key {ask.header('X-Key')} may not"
        return Answer.json(
            [{"id": item["id"], "ok": False, "why": why, "code": ask.header("X-Key")} for item in ask.json()]
        )

    vendor.reply = reply
    (result,) = connecting(SPEC, api_key="key-of-acme").things.upsert(things(1)).rejected
    assert (result.words, result.code) == ("key *** may not", "***")


def test_a_source_that_breaks_leaves_no_item_without_a_word(connecting: Connecting, vendor: Vendor) -> None:
    def source() -> Iterator[dict[str, Any]]:
        yield from things(3)
        raise OSError("the disk is gone")

    acme = connecting(SPEC, api_key="key-of-acme")
    with pytest.raises(OSError, match="the disk is gone") as caught:
        acme.things.push(source())
    assert "3 read = 2 delivered + 1 not tried" in "".join(caught.value.__notes__)
    assert len(vendor.requests()) == 1


def test_results_of_a_source_that_breaks_come_before_its_error(connecting: Connecting, vendor: Vendor) -> None:
    def source() -> Iterator[Any]:
        yield {"id": "no number"}
        yield from things(3)
        raise OSError("the disk is gone")

    words: list[str] = []
    results = connecting(SPEC, api_key="key-of-acme").things.push.results(source())
    with pytest.raises(OSError, match="the disk is gone"):
        words.extend(iter(lambda: next(results).word, None))
    assert sorted(words) == ["delivered", "delivered", "invalid", "not_tried"]


def test_a_spent_limit_in_the_middle_accounts_for_every_item(connecting: Connecting, vendor: Vendor) -> None:
    spec = SPEC + "limits: {day: {rate: 2/day}}\n"
    with pytest.raises(LimitReached) as caught:
        connecting(spec, api_key="key-of-acme").things.push([*things(9), {"id": "x"}])
    delivery = caught.value.delivery  # type: ignore[attr-defined]
    assert str(delivery.accounts) == "10 read = 4 delivered + 1 invalid + 5 not tried"


def test_a_delivery_left_half_way_sends_nothing_more(connecting: Connecting, vendor: Vendor) -> None:
    results = connecting(SPEC, api_key="key-of-acme").things.push.results(things(100))
    next(results)
    results.close()
    assert len(vendor.requests()) == 1


def test_nothing_to_send_sends_nothing(connecting: Connecting, vendor: Vendor) -> None:
    delivery = connecting(SPEC, api_key="key-of-acme").things.push([])
    assert (delivery.read, delivery.calls, vendor.requests()) == (0, 0, [])


def test_a_text_is_no_source_of_items(connecting: Connecting, vendor: Vendor) -> None:
    with pytest.raises(Exception, match="any iterable"):
        list(connecting(SPEC, api_key="key-of-acme").things.push.results("abc"))
