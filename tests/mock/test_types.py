"""A mock makes up, and checks, objects of several kinds, nulls and decimals that are texts."""

from __future__ import annotations

import warnings
from decimal import Decimal

import pytest

from connectory import Rejected
from mock.conftest import Staging

SPEC = """
servers: {production: https://api.acme.example}
errors: {message: message}
operations:
  payments.list: {get: /payments, records: ., returns: Payment}
  payments.create: {post: /payments, body: Payment, returns: Payment}
  payments.update: {patch: "/payments/{id}", path: {id: int64}, fields: {when: date! nullable, fee: decimal(text)}}
types:
  Payment: {id: int64! key, by: Card or Transfer by kind, fee: decimal(text), when: date! nullable}
  Card: {kind: one of card | debit!, number: str!}
  Transfer: {kind: one of transfer!, iban: str!}
"""


def test_a_mock_knows_these_types(staging: Staging) -> None:
    acme = staging(SPEC, records=12).connector
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = list(acme.payments.list())
        acme.payments.create({"id": 900, "by": {"kind": "transfer", "iban": "NL1"}, "fee": "0.30", "when": None})
        acme.payments.update(id=900, when=None, fee="0.40")
    assert {record["by"]["kind"] for record in found} == {"card", "debit", "transfer"}
    assert all(isinstance(record["fee"], Decimal) for record in found)
    assert all(("iban" in record["by"]) == (record["by"]["kind"] == "transfer") for record in found)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: one of card | debit!", "kind: one of card | debit | cheque!", "by.kind: must be one of card, debit"),
        ("fee: decimal(text)", "fee: decimal", "fee: must be a number as a text"),
    ],
)
def test_a_mock_refuses_what_its_own_spec_does_not_say(staging: Staging, old: str, new: str, said: str) -> None:
    """The caller's spec is another than the mock's."""
    mock = staging(SPEC).mock
    other = staging(SPEC.replace(old, new), settings={"server": mock.url}).connector
    kind = "cheque" if "cheque" in new else "card"
    with pytest.raises(Rejected) as caught:
        other.payments.create({"id": 900, "by": {"kind": kind, "number": "4"}, "fee": 0.5, "when": None})
    assert said in str(caught.value)
