"""What a field's type says of null, of values that are new, of objects of several kinds and of parts of a form: seen on
the wire."""

from __future__ import annotations

import json
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectory import ArgumentError, SpecError
from connectory.values.writing import ValueWarning
from emulators.exchange import Answer
from engine.conftest import Connecting, Vendor

SPEC = """
servers: {production: https://api.acme.example}
operations:
  things.update:
    patch: /things/{id}
    path: {id: int64}
    fields: {name: str, note: str nullable, rank: int! nullable, price: decimal, fee: decimal(text)}
  things.change: {patch: "/people/{id}", does: write, path: {id: int64}, body: part of Person}
  payments.create: {post: /payments, body: Card or Transfer by kind}
  payments.list: {get: /payments, records: ., returns: Payment}
  invoices.list: {get: /invoices, records: ., returns: Invoice}
  orders.create: {post: /orders, fields: {state: one of open | closed | ..., size: one of s | m}}
  orders.list: {get: /orders, records: ., returns: Order}
  media.upload:
    post: /media
    does: write
    wire: {body: multipart}
    fields:
      about: {type: About, required: true, media: application/json}
      table: {type: file, required: true, media: text/csv}
      plain: {type: file}
      title: str
types:
  Person: {name: str!, phone: str, born: date! nullable}
  Card: {kind: one of card | debit!, number: str!, paid: datetime(unix)}
  Transfer: {kind: one of transfer!, iban: str!}
  Payment: {id: int! key, by: Card or Transfer by kind, fee: decimal(text)}
  Invoice: {id: int! key, amount: decimal, ratio: float, lines: list of InvoiceLine}
  InvoiceLine: {net: decimal}
  Order: {id: int! key, state: one of open | closed, sizes: list of one of s | m}
  About: {tags: list of str}
"""


@pytest.fixture
def acme(connecting: Connecting) -> Any:
    return connecting(SPEC)


def sent(vendor: Vendor) -> Any:
    """The body of the last request."""
    body = vendor.requests()[-1].body
    assert body is not None
    return json.loads(body, parse_float=Decimal)


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({"rank": 1}, {"rank": 1}),
        ({"rank": None}, {"rank": None}),
        ({"rank": 1, "note": None}, {"rank": 1, "note": None}),
        ({"rank": 1, "name": None}, {"rank": 1}),  # null is no value of it: it is as if it were not given
        ({"rank": 1, "price": "19.990"}, {"rank": 1, "price": Decimal("19.990")}),
        ({"rank": 1, "price": 0.1}, {"rank": 1, "price": Decimal("0.1")}),
        ({"rank": 1, "fee": Decimal("1E+3")}, {"rank": 1, "fee": "1000"}),
        ({"rank": 1, "fee": "19.990"}, {"rank": 1, "fee": "19.990"}),
    ],
)
def test_an_update_sends_what_was_given_and_null_where_that_is_a_value(
    acme: Any, vendor: Vendor, given: dict[str, Any], body: dict[str, Any]
) -> None:
    acme.things.update(id=7, **given)
    assert sent(vendor) == body


def test_what_must_be_sent_may_be_null_and_not_absent(acme: Any) -> None:
    with pytest.raises(ArgumentError, match="'rank' is required"):
        acme.things.update(id=7, name="x")


def test_part_of_a_type_is_what_was_given(acme: Any, vendor: Vendor) -> None:
    acme.things.change({"phone": None, "born": None}, id=7)
    assert sent(vendor) == {"phone": None, "born": None}
    with pytest.raises(ArgumentError, match="'body': name: expected a text, got None"):
        acme.things.change({"name": None}, id=7)


def test_an_object_is_written_as_the_type_that_its_kind_names(acme: Any, vendor: Vendor) -> None:
    acme.payments.create({"kind": "debit", "number": "4", "paid": "2026-05-20T18:25:43Z"})
    assert sent(vendor) == {"kind": "debit", "number": "4", "paid": 1779301543}
    acme.payments.create({"kind": "transfer", "iban": "NL1"})
    assert sent(vendor) == {"kind": "transfer", "iban": "NL1"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"kind": "transfer", "number": "4"}, "Transfer has no such field"),
        ({"kind": "card"}, "'body': number: is required"),
        ({"kind": "crad"}, "expected one of card, debit, transfer, got 'crad'; did you mean 'card'?"),
        ({"number": "4"}, "kind: says which kind of object this is: expected one of card, debit, transfer, it is miss"),
    ],
)
def test_an_object_of_no_known_kind_is_refused(acme: Any, vendor: Vendor, body: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        acme.payments.create(body)
    assert told in str(caught.value)
    assert vendor.requests() == []


def test_objects_are_read_by_their_own_type_and_new_kinds_are_kept_and_told(acme: Any, vendor: Vendor) -> None:
    new = [{"id": n, "by": {"kind": "wallet", "paid": 5}} for n in range(3)]
    old = [
        {"id": 9, "by": {"kind": "card", "paid": 0}, "fee": "0.10"},
        {"id": 10, "by": {"kind": "transfer", "iban": "x"}},
    ]
    vendor.reply = lambda ask: Answer.json([*new, *old])
    with pytest.warns(ValueWarning, match="the vendor sends 'wallet', which is not in") as told:
        found = list(acme.payments.list())
    assert found[:3] == new
    assert (found[3]["by"]["paid"].year, found[3]["fee"]) == (1970, Decimal("0.10"))
    assert found[4] == old[1]
    assert len(told) == 1


def test_no_digit_of_a_decimal_is_lost(acme: Any, vendor: Vendor) -> None:
    body = b'[{"id": 1, "amount": 12345678901234567.89, "ratio": 0.1, "lines": [{"net": 0.10}]}]'
    vendor.reply = lambda ask: Answer(200, body, "application/json")
    (found,) = acme.invoices.list()
    assert (found["amount"], found["ratio"]) == (Decimal("12345678901234567.89"), 0.1)
    assert str(found["lines"][0]["net"]) == "0.1"


def test_a_value_that_is_new_is_kept_and_told_once(acme: Any, vendor: Vendor) -> None:
    orders = [{"id": 1, "state": "frozen", "sizes": ["s", "xl"]}, {"id": 2, "state": "frozen", "sizes": None}]
    vendor.reply = lambda ask: Answer.json(orders)
    with pytest.warns(ValueWarning) as told:
        assert list(acme.orders.list()) == orders
    assert sorted(str(one.message) for one in told) == [
        "the vendor sends 'frozen', which is not in: one of open | closed",
        "the vendor sends 'xl', which is not in: one of s | m",
    ]


def test_a_value_that_is_new_is_sent_only_where_the_vendor_adds_some(acme: Any, vendor: Vendor) -> None:
    with pytest.raises(ArgumentError, match="'size': expected one of s, m, got 'xl'"):
        acme.orders.create(size="xl")
    with pytest.warns(ValueWarning, match="'frozen' is none of the values known so far"):
        acme.orders.create(state="frozen")
    assert sent(vendor) == {"state": "frozen"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        acme.orders.create(state="open")


def test_parts_of_a_form_carry_their_media_types(acme: Any, vendor: Vendor, tmp_path: Path) -> None:
    for name in ("t.csv", "p.bin"):
        (tmp_path / name).write_bytes(b"a\n1\n")
    acme.media.upload(about={"tags": ["x"]}, table=tmp_path / "t.csv", plain=tmp_path / "p.bin", title="T")
    body = vendor.requests()[-1].body or b""
    assert b'name="about"\r\nContent-Type: application/json\r\n\r\n{"tags":["x"]}\r\n' in body
    assert b'name="table"; filename="t.csv"\r\nContent-Type: text/csv\r\n\r\na\n1\n\r\n' in body
    assert b'filename="p.bin"\r\nContent-Type: application/octet-stream\r\n\r\n' in body
    assert b'name="title"\r\n\r\nT\r\n' in body


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("path: {id: int64}", "path: {id: int64 nullable}", "there is no null in a path: nullable belongs to fields"),
        (
            "fields: {name: str,",
            "fields: {name: {type: str, media: text/csv},",
            "media belongs to fields of a",
        ),
        ("media: text/csv", "media: csv", "'csv' is no media type: write one such as text/csv"),
        ("Card or Transfer by kind}", "Card or Transfr by kind}", "no type 'Transfr'; did you mean 'Transfer'?"),
        ("kind: one of transfer!", "knd: one of transfer!", "Transfer does not say which values of 'kind' make it one"),
        ("kind: one of transfer!", "kind: one of card!", "Card and Transfer are both told by kind: card"),
        ("Card or Transfer by kind}", "Card or Transfer}", "say which field tells them apart"),
        (
            "decimal(text)",
            "decimal(txt)",
            "only datetime, date and time take a codec in parentheses (and decimal the wor",
        ),
        ("note: str nullable", "note: str nulable", "unknown word 'nulable' after the type; did you mean 'nullable'?"),
    ],
)
def test_types_that_say_nothing_are_faults_of_the_spec(connecting: Connecting, old: str, new: str, told: str) -> None:
    assert old in SPEC
    with pytest.raises(SpecError) as caught:
        connecting(SPEC.replace(old, new, 1))
    assert told in str(caught.value)
