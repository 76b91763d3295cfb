"""Answers as no documentation shows them: read exactly, or refused by name; never taken for something else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from connectory.answers import BrokenTextWarning
from connectory.clock import ManualClock
from connectory.errors import BadAnswer, LimitReached, Missing, Rejected, Unavailable
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor

SPEC = """
name: acme
settings: {api_key: secret!}
servers: {production: https://api.acme.example}
auth: {bearer: "{{ api_key }}"}
errors: {message: error}
pagers: {all: {use: cursor, cursor: cursor, next: next, records: items}}
operations:
  things.list: {get: /things, pages: all}
  things.get: {get: "/things/{id}"}
"""


def listed(connecting: Connecting, vendor: Vendor, body: bytes, status: int = 200) -> Any:
    vendor.reply = lambda ask: Answer(status, body, "application/json")
    return list(connecting(SPEC, api_key="key-of-acme").things.list())


def one(value: bytes) -> bytes:
    """A page with one record, whose `x` is written like this."""
    return b'{"items": [{"x": %b}]}' % value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"9007199254740993", 9007199254740993),
        (b"-18446744073709551617", -18446744073709551617),
        (b"1" * 4000, int("1" * 4000)),
        (rb'"a\u0000b"', "a\0b"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (b'"%b"' % (b"a" * 10_000_000), "a" * 10_000_000),
    ],
    ids=["beyond 2^53", "beyond int64", "4,000 digits", "a NUL", "a pair of surrogates", "10 MB"],
)
def test_a_value_at_the_edge_arrives_exactly(
    connecting: Connecting, vendor: Vendor, written: bytes, value: Any
) -> None:
    assert listed(connecting, vendor, one(written)) == [{"x": value}]


def test_a_byte_order_mark_is_no_part_of_an_answer(connecting: Connecting, vendor: Vendor) -> None:
    assert listed(connecting, vendor, b"\xef\xbb\xbf" + one(b"1")) == [{"x": 1}]


def test_of_a_key_that_stands_twice_the_last_counts(connecting: Connecting, vendor: Vendor) -> None:
    """As in every common reader (RFC 8259, 4: the behaviour of software is unpredictable there)."""
    assert listed(connecting, vendor, b'{"items": [{"x": 1, "x": 2}]}') == [{"x": 2}]


def test_half_a_character_costs_that_character_and_is_told(connecting: Connecting, vendor: Vendor) -> None:
    """What cuts texts at a length (JavaScript's slice) leaves halves of emoji, which no text may hold."""
    with pytest.warns(BrokenTextWarning, match="halves of 2 characters"):
        found = listed(connecting, vendor, one(rb'"caf\u00e9 \ud83d, \\ud83d \ud83d\ude00 \ude00"'))
    assert found == [{"x": "café \ufffd, \\ud83d \U0001f600 \ufffd"}]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE html><html>log in</html>", "an HTML page"),
        (b"", "found nothing"),
        (b"null", "found nothing"),
        (b"[]", "found nothing"),
        (b'{"items": {"x": 1}}', "found dict"),
        (b'{"error": "down for maintenance"}', "the answer holds error"),
        (one(b"NaN"), "not JSON"),
        (one(b"-Infinity"), "not JSON"),
        (one(b"1e999"), "out of range"),
        (one(b"1" * 5000), "out of range"),
        (one(b'"\xff\xfe"'), "utf-8"),
        (one(b'"caf\xe9"'), "utf-8"),
        (one(b"1").decode().encode("utf-16"), "not JSON"),
        (one(b"[" * 1_000_000 + b"]" * 1_000_000), "nested too deep"),
        (one(b"1")[:-1], "not JSON"),
        (one(b"1") + b" and more", "not JSON"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_what_cannot_be_read_is_refused_by_name(connecting: Connecting, vendor: Vendor, body: bytes, said: str) -> None:
    with pytest.raises(BadAnswer, match=said) as caught:
        listed(connecting, vendor, body)
    assert str(caught.value).startswith("acme things.list: ")
    assert len(str(caught.value)) < 300


def test_no_content_is_an_empty_list_and_no_record(connecting: Connecting, vendor: Vendor) -> None:
    """204 is a vendor's word for nothing; an empty 200 is an answer that was lost."""
    assert listed(connecting, vendor, b"", status=204) == []
    assert connecting(SPEC, api_key="key-of-acme").things.get(id="1") is None
    vendor.reply = lambda ask: Answer(200)
    with pytest.raises(BadAnswer, match="empty"):
        connecting(SPEC, api_key="key-of-acme").things.get(id="1")


def test_redirects_that_never_end_are_given_up(connecting: Connecting, vendor: Vendor) -> None:
    def reply(ask: Ask) -> Answer:
        return Answer(302, headers=(("Location", f"/things/{len(vendor.requests())}"),))

    vendor.reply = reply
    with pytest.raises(Unavailable, match="redirect"):
        connecting(SPEC, api_key="key-of-acme").things.get(id="1")
    assert len(vendor.requests()) <= 10


@pytest.mark.parametrize(("status", "error"), [(400, Rejected), (410, Missing)])
def test_a_cursor_that_expires_ends_the_list_with_an_error(
    connecting: Connecting, vendor: Vendor, status: int, error: type[Exception]
) -> None:
    """What was read is kept, the list never passes for whole."""
    first = Answer.json({"items": [{"x": 1}], "next": "b"})
    vendor.reply = lambda ask: Answer.json({"error": "cursor expired"}, status) if ask.argument("cursor") else first
    found = []
    with pytest.raises(error, match="cursor expired"):
        found.extend(connecting(SPEC, api_key="key-of-acme").things.list())
    assert len(vendor.requests()) == 2


@pytest.mark.parametrize("told", ["99999999999", "1e300", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_a_wait_of_years_ends_the_call_at_once(
    connecting: Connecting, vendor: Vendor, clock: ManualClock, told: str
) -> None:
    vendor.reply = lambda ask: Answer(429, headers=(("Retry-After", told),))
    connector = connecting(SPEC, api_key="key-of-acme")
    start = clock.now()
    with pytest.raises(LimitReached, match="come back at"):
        connector.things.get(id="1")
    assert (len(vendor.requests()), clock.now()) == (1, start)
    clock.wind(32 * 86400)
    vendor.reply = lambda ask: Answer.json({"id": "1"})
    assert connector.things.get(id="1") == {"id": "1"}, "a time that nobody can mean holds for a month at most"


LOGIN = """
settings: {api_key: secret!}
servers: {production: https://api.acme.example}
auth:
  token: {post: /login, fields: {key: "{{ api_key }}"}, value: token, lasts: {until: until}}
  bearer: "{{ token }}"
operations: {things.get: {get: "/things/{id}"}}
"""


class Elsewhere(ManualClock):
    """Another machine's clock: it goes like the first, and shows another day."""

    def __init__(self, clock: ManualClock, days: int) -> None:
        super().__init__()
        self.clock, self.days = clock, days

    def now(self) -> float:
        return self.clock.now() + self.days * 86400


@pytest.mark.parametrize("days", [-1, 1])
def test_a_vendors_clock_that_is_a_day_off_costs_no_call(
    connecting: Connecting, vendor: Vendor, clock: ManualClock, days: int
) -> None:
    """Its tokens live an hour by its own clock: by ours they would be over at once, or good for a day too long."""
    vendor.clock = theirs = Elsewhere(clock, days)
    given: dict[str, float] = {}

    def reply(ask: Ask) -> Answer:
        if ask.path == "/login":
            token = f"token-{len(given)}"
            given[token] = theirs.now() + 3600
            return Answer.json({"token": token, "until": datetime.fromtimestamp(given[token], UTC).isoformat()})
        good = given[str(ask.header("authorization")).removeprefix("Bearer ")] > theirs.now()
        return Answer.json({"id": "1"}, 200 if good else 401)

    vendor.reply = reply
    connector = connecting(LOGIN, api_key="key-of-acme")
    for _ in range(4):
        assert connector.things.get(id="1") == {"id": "1"}
        clock.wind(40 * 60)
    assert [exchange.status for exchange in vendor.requests()] == [200] * 6, "no token is used too long or too short"
