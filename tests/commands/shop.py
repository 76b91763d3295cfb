"""A made-up vendor that has one of everything the command line must cope with, and its spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from emulators.exchange import Answer, Ask, Refused, Routes
from emulators.server import Emulator

KEY = "key-of-the-shop-8f31"
SPEC = """\
# yaml-language-server: $schema=connectory.schema.json
name: shop
about: Customers and orders of a shop
docs: https://shop.example/docs
settings:
  api_key: {type: secret, required: true, about: key of a till, obtain: the shop's back office shows it}
  branch: {type: str, default: main, about: which shop, pattern: "[a-z]+", example: north}
servers: {production: "https://{{ branch }}.shop.example", sandbox: https://sandbox.shop.example}
auth: {headers: {X-Till: "{{ api_key }}"}}
limits:
  calls: {rate: 1000/minute, concurrent: 1}
  rare: {rate: 1/day, for: named}
errors: {message: error.message, code: error.code}
pagers:
  numbered: {use: page_number, page: page, size: per_page, largest: 3, total_records: total, records: data}
verify: customers.list
operations:
  customers.list:
    get: /v1/customers
    about: Customers, page by page
    query:
      status: {type: one of active | closed, about: only these}
      kind: {type: int one of 1 | 2, labels: {1: private, 2: company}}
      vip: {type: bool, default: false}
      since: {type: date, example: "2026-05-20"}
      tags: {type: list of str, lists: comma}
    pages: numbered
    returns: Customer
    detail: {operation: customers.get, with: {id: id}}
    examples: [{with: {status: active}, answer: {total: 1, data: [{id: 1, name: Globex}]}}]
  customers.get:
    get: /v1/customers/{id}
    about: One customer
    path: {id: int64}
    returns: Customer
    examples: [{with: {id: 1}, answer: {id: 1, name: Globex}}]
  customers.create:
    post: /v1/customers
    about: Adds a customer
    body: Customer
    returns: Customer
    examples: [{with: {body: {name: Globex}}, status: 201, answer: {id: 1, name: Globex}}]
  customers.replace:
    put: /v1/customers/{id}
    about: Changes the fields given
    path: {id: int64}
    body: part of Customer
    merge: customers.get
    returns: Customer
    examples: [{with: {id: 1, body: {name: Initech}}, status: 200, answer: {id: 1, name: Initech}}]
  customers.delete:
    delete: /v1/customers/{id}
    about: Deletes a customer, for ever
    path: {id: int64}
    examples: [{with: {id: 1}}]
  orders.of_customer:
    get: /v1/customers/{id}/orders
    does: read
    about: The orders of one customer
    path: {id: int64}
    records: .
    parent: {operation: customers.list, with: {id: id}, keep: {customer: name}}
    examples: [{with: {id: 1}, answer: [{number: A1}]}]
  orders.upsert:
    put: /v1/orders
    about: Adds or changes orders
    body: list of Order
    batch: {largest: 2}
    results: {at: results, key: number, ok: {ok: true}, id: id, message: why}
    examples: [{with: {items: [{number: A1, amount: 1}]}, answer: {results: [{number: A1, ok: true, id: 9}]}}]
  notices.add:
    post: /v1/notices
    does: write
    about: Puts up a notice
    fields: {Text: str!, Shelf: int, Lines: list of str}
    examples: [{with: {text: Sale}, answer: {id: 1}}]
  pictures.upload:
    post: /v1/pictures
    about: A picture for the shelf; the shop looks at it later
    wire: {body: multipart}
    fields: {file: file!}
    outcomes: [{status: 202, is: accepted}]
    examples: [{with: {file: p.png}, status: 202}]
  pictures.get:
    get: /v1/pictures/{name}
    about: A picture
    wire: {answer: bytes}
    examples: [{with: {name: p.png}}]
  hours.get:
    get: /v1/hours
    about: When the shop is open
    wire: {answer: text}
    examples: [{answer: always}]
  audits.run:
    post: /v1/audits
    does: write
    about: Counts the till, once a day
    limits: rare
    examples: [{answer: {}}]
types:
  Customer:
    id: int64 key read_only
    name: str!
    email: {type: str, personal: true}
    born: date
    joined: datetime
    address: map of str
    "*": any
  Order: {number: str! key, amount: {type: decimal, required: true, least: 0}, paid: bool, note: str}
assumed:
  operations/audits.run: nobody knows what it answers
  limits/calls: the back office was asked by telephone
sources:
  operations/orders.upsert: https://shop.example/docs/orders
"""


@attrs.define(eq=False, kw_only=True, slots=False)
class Shop(Emulator):
    """The shop: `url` stands for `https://{branch}.shop.example`."""

    customers: list[dict[str, Any]] = attrs.field(factory=list)
    orders: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    refused: set[str] = attrs.field(factory=set)
    """Numbers of orders that are refused one by one."""
    pictures: dict[str, bytes] = attrs.field(factory=dict)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        for number in range(1, 8):
            self.customers.append(
                {"id": number, "name": f"Customer {number}", "joined": f"2026-01-0{number}T10:00:00Z"}
            )
        add = self._routes.add
        add("GET /v1/customers", self._list)
        add("GET /v1/customers/{id}", lambda ask, values: Answer.json(self._find(values) | {"email": "x@shop.example"}))
        add("PUT /v1/customers/{id}", self._replace)
        add("DELETE /v1/customers/{id}", self._delete)
        add("POST /v1/customers", self._create)
        add("GET /v1/customers/{id}/orders", self._orders_of)
        add("PUT /v1/orders", self._upsert)
        add("POST /v1/notices", lambda ask, values: Answer.json({"id": 1} | ask.json()))
        add("POST /v1/pictures", lambda ask, values: Answer(202))
        add("GET /v1/pictures/{name}", lambda ask, values: Answer(200, self.pictures[values["name"]], "image/png"))
        add("GET /v1/hours", lambda ask, values: Answer.text("Mon-Fri 9-17, Søndag lukket"))
        add("POST /v1/audits", lambda ask, values: Answer(204))

    def answer(self, ask: Ask) -> Answer:
        if ask.header("X-Till") != KEY:
            raise Refused(Answer.json({"error": {"message": "no such till", "code": "till"}}, 401))
        act, values = self._routes.find(ask.method, ask.path)
        return act(ask, values)

    def _find(self, values: dict[str, str]) -> dict[str, Any]:
        for customer in self.customers:
            if customer["id"] == int(values["id"]):
                return customer
        raise Refused(Answer.json({"error": {"message": "no such customer", "code": "gone"}}, 404))

    def _list(self, ask: Ask, values: dict[str, str]) -> Answer:
        size, page = int(ask.argument("per_page") or 3), int(ask.argument("page") or 1)
        return Answer.json({"total": len(self.customers), "data": self.customers[(page - 1) * size : page * size]})

    def _create(self, ask: Ask, values: dict[str, str]) -> Answer:
        customer = {"id": len(self.customers) + 1} | ask.json()
        self.customers.append(customer)
        return Answer.json(customer, 201)

    def _replace(self, ask: Ask, values: dict[str, str]) -> Answer:
        self._find(values).update(ask.json())
        return Answer.json(self._find(values))

    def _delete(self, ask: Ask, values: dict[str, str]) -> Answer:
        self.customers.remove(self._find(values))
        return Answer(204)

    def _orders_of(self, ask: Ask, values: dict[str, str]) -> Answer:
        return Answer.json([{"number": f"{values['id']}-1"}, {"number": f"{values['id']}-2"}])

    def _upsert(self, ask: Ask, values: dict[str, str]) -> Answer:
        results = []
        for order in ask.json():
            good = order["number"] not in self.refused
            if good:
                self.orders[order["number"]] = order
            results.append(
                {"number": order["number"], "ok": good, "id": len(self.orders), "why": "" if good else "no such shelf"}
            )
        return Answer.json({"results": results})


def write_project(folder: Path) -> None:
    """A user's project that holds the shop's spec."""
    (folder / "specs").mkdir()
    (folder / "specs" / "shop.yaml").write_text(SPEC, encoding="utf-8")
