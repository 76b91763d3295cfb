"""What a dead process had in flight goes again by the key that it had: the vendor does it once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory import Parts
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.limits.memory import MemoryLedger
from connectory.recipes.sync import run_recipe
from connectory.transport.client import UrllibTransport
from emulators.exchange import Answer, Ask
from engine.conftest import Vendor

SPEC = """
name: acme
servers: {production: https://api.acme.example}
idempotency_key: {headers: Idempotency-Key}
operations:
  orders.create: {post: /orders, fields: {n: int!}}
  orders.create_many: {post: /orders/batch, fields: {orders: list of Order!}, batch: {items: orders, largest: 10}}
types: {Order: {n: int! key}}
"""


class Shop:
    """Does each key once, as draft-ietf-httpapi-idempotency-key-header has it."""

    def __init__(self) -> None:
        self.done: dict[str, list[int]] = {}
        self.repeats = 0

    def __call__(self, ask: Ask) -> Answer:
        body = ask.json()
        numbers = [order["n"] for order in body["orders"]] if "orders" in body else [body["n"]]
        key = ask.header("Idempotency-Key") or ""
        self.repeats += key in self.done
        assert self.done.setdefault(key, numbers) == numbers, "a key stands for one request"
        return Answer.json({}, 201)

    @property
    def numbers(self) -> list[int]:
        return [number for numbers in self.done.values() for number in numbers]


class Killed(BaseException):
    """The end of a process, as far as this test can make one."""


@attrs.define
class Mortal:
    """A transport whose process dies with its request number `dies` at the vendor's."""

    inner: UrllibTransport
    dies: int
    sent: int = 0

    def send(self, request: Any, *, into: Any = None) -> Any:
        answer = self.inner.send(request, into=into)
        self.sent += 1
        if self.sent == self.dies:
            raise Killed
        return answer

    def close(self) -> None:
        self.inner.close()


@pytest.mark.parametrize("operation", ["orders.create_many", "orders.create"])
@pytest.mark.parametrize("dies", [1, 3])
def test_a_process_that_died_in_flight_does_nothing_twice(tmp_path: Path, operation: str, dies: int) -> None:
    (tmp_path / "connectory.toml").touch()
    for folder, name, text in (
        ("specs", "acme.yaml", SPEC),
        ("data", "orders.jsonl", "\n".join(json.dumps({"n": n}) for n in range(37))),
        (
            "recipes",
            "orders.yaml",
            f"name: orders\nfrom: {{files: data/orders.jsonl}}\nto: {{connector: acme, operation: {operation}}}\n",
        ),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    clock = ManualClock()
    parts = Parts(clock=clock, ledger=MemoryLedger(clock), tokens=TokenStore(tmp_path / "tokens"), environ={})
    shop = Shop()
    with Vendor(clock=clock) as vendor:
        vendor.reply = shop
        settings = {"server": vendor.url}
        mortal = attrs.evolve(parts, transport=Mortal(UrllibTransport(), dies))
        with pytest.raises(Killed):
            run_recipe(tmp_path / "recipes" / "orders.yaml", settings=settings, parts=mortal)
        report = run_recipe(tmp_path / "recipes" / "orders.yaml", settings=settings, parts=parts)
    assert report.error is None
    assert sorted(shop.numbers) == list(range(37))
    assert shop.repeats == 1


def test_rows_that_go_elsewhere_by_a_fixed_argument_are_sent_again(tmp_path: Path) -> None:
    clock = ManualClock()
    parts = Parts(clock=clock, ledger=MemoryLedger(clock), tokens=TokenStore(tmp_path / "tokens"), environ={})
    for folder in ("specs", "recipes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "connectory.toml").touch()
    (tmp_path / "orders.jsonl").write_text('{"n": 1}\n')
    spec = SPEC.replace("{post: /orders/batch,", "{post: /orders/batch, query: {shop: str},")
    (tmp_path / "specs" / "acme.yaml").write_text(spec)
    recipe = tmp_path / "recipes" / "orders.yaml"
    to = "{connector: acme, operation: orders.create_many, changed_only: true, with: {shop: SHOP}}"
    with Vendor(clock=clock) as vendor:
        vendor.reply = lambda _: Answer.json({}, 201)
        for shop, delivered in (("north", 1), ("north", 0), ("south", 1)):
            recipe.write_text(f"name: orders\nfrom: {{files: orders.jsonl}}\nto: {to}\n".replace("SHOP", shop))
            report = run_recipe(recipe, settings={"server": vendor.url}, parts=parts)
            assert report.accounts.counts["delivered"] == delivered, report.error
