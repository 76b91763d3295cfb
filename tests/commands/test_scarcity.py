"""A machine without room: no disk, no descriptors, no memory. It is told in a line, and the next start goes on."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from commands.conftest import Cli, Spawn
from commands.shop import Shop
from connectory.answers import Answer, decode_answer
from connectory.messages import Response

RECIPES = {
    "push": """
from: {files: [orders.csv]}
to: {connector: shop, operation: orders.upsert, key: number, changed_only: true}
""",
    "files": """
from: {connector: shop, operation: customers.list}
to: {files: out/customers.jsonl, mode: replace}
""",
    "table": """
from: {connector: shop, operation: customers.list}
to: {duckdb: shop.duckdb, table: customers, mode: merge, key: id}
""",
}
CUSTOMERS, ORDERS = 19, 11


@pytest.fixture
def stocked(shop: Shop, project: Path) -> Shop:
    """The shop with some pages of customers, the recipes, and a file of orders."""
    (project / "recipes").mkdir()
    (project / "connectory.toml").touch()
    for name, text in RECIPES.items():
        (project / "recipes" / f"{name}.yaml").write_text(f"name: {name}{text}")
    shop.customers += [{"id": number, "name": "Long " * 900} for number in range(8, CUSTOMERS + 1)]
    (project / "orders.csv").write_text("number,amount\n" + "".join(f"A{n},{n}\n" for n in range(ORDERS)))
    return shop


@pytest.mark.parametrize(
    ("recipe", "kind", "amount"),
    [
        ("push", resource.RLIMIT_NOFILE, 11),
        ("push", resource.RLIMIT_FSIZE, 4096),
        ("files", resource.RLIMIT_NOFILE, 9),
        ("files", resource.RLIMIT_FSIZE, 20_000),
        ("table", resource.RLIMIT_NOFILE, 7),
        ("table", resource.RLIMIT_FSIZE, 4096),
    ],
    ids=[
        "push without descriptors",
        "push without disk",
        "files without descriptors",
        "files without disk",
        "table without descriptors",
        "table without disk",
    ],
)
def test_what_lacks_room_ends_in_a_line_and_the_next_start_goes_on(
    stocked: Shop, spawn: Spawn, project: Path, recipe: str, kind: int, amount: int
) -> None:
    starved = spawn("sync", recipe, preexec_fn=lambda: resource.setrlimit(kind, (amount, amount)))
    _, told = starved.communicate(timeout=60)
    assert starved.returncode == 1, told
    assert b"error: " in told
    assert b"Traceback" not in told
    sent = len(stocked.orders)
    whole = spawn("sync", recipe)
    _, told = whole.communicate(timeout=60)
    assert whole.returncode == 0, told
    if recipe == "push":
        writes = [exchange for exchange in stocked.requests() if exchange.method == "PUT"]
        assert (len(stocked.orders), len(writes)) == (ORDERS, (ORDERS + 1) // 2), f"{sent} were sent before"
    elif recipe == "files":
        assert len((project / "out" / "customers.jsonl").read_text().splitlines()) == CUSTOMERS
    else:
        with duckdb.connect(str(project / "shop.duckdb"), read_only=True) as db:
            assert db.execute("select count(*), count(distinct id) from customers").fetchone() == (CUSTOMERS,) * 2


def test_no_memory_is_told_in_a_line_and_the_next_start_goes_on(
    stocked: Shop, cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised by hand in the middle of a list: under a real bound, libraries written in C may crash instead."""
    calls = 0

    def starving(response: Response, read: Callable[[bytes], Any]) -> Answer:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise MemoryError
        return decode_answer(response, read)

    with monkeypatch.context() as patch:
        patch.setattr("connectory.calls.decode_answer", starving)
        starved = cli("sync", "files")
    assert (starved.exit_code, "error: there is not enough memory" in starved.stderr) == (1, True)
    assert cli("sync", "files").exit_code == 0
    assert len((project / "out" / "customers.jsonl").read_text().splitlines()) == CUSTOMERS
