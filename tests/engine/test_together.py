"""One connector in many hands: threads, and a process that forks after its use."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from connectory import Parts
from connectory.auth.tokens import TokenStore
from connectory.clock import SystemClock
from connectory.limits.sqlite import SqliteLedger
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor

SPEC = """
name: acme
settings: {api_key: secret!}
servers: {production: https://api.acme.example}
auth: {token: {post: /login, fields: {key: "{{ api_key }}"}, value: token}, bearer: "{{ token }}"}
limits: {calls: {rate: 10000/minute, concurrent: 8}}
pagers: {all: {use: page_number, page: page, size: size, largest: 2, total_records: total, records: items}}
operations:
  things.list: {get: "/shelves/{shelf}/things", pages: all}
  things.get: {get: "/things/{id}"}
"""


def stocked(ask: Ask) -> Answer:
    """Every shelf has five things, which tell their shelf; every thing tells its id."""
    if ask.path == "/login":
        return Answer.json({"token": "token-of-acme"})
    shelf = ask.path.split("/")[2]
    if not ask.path.endswith("/things"):
        return Answer.json({"id": shelf})
    page = int(str(ask.argument("page")))
    things = [{"shelf": shelf, "n": n} for n in range(5)]
    return Answer.json({"total": 5, "items": things[(page - 1) * 2 : page * 2]})


def test_sixty_four_threads_get_their_own_answers_by_one_login(
    connecting: Connecting, vendor: Vendor, tmp_path: Path
) -> None:
    vendor.reply, vendor.clock = stocked, SystemClock()
    ledger = SqliteLedger(tmp_path / "ledger.sqlite", vendor.clock)
    parts = Parts(clock=vendor.clock, ledger=ledger, tokens=TokenStore(tmp_path / "tokens"), environ={})
    acme = connecting(SPEC, api_key="key-of-acme", parts=parts)

    def work(number: int) -> bool:
        listed = list(acme.things.list(shelf=f"s{number}"))
        return listed == [{"shelf": f"s{number}", "n": n} for n in range(5)] and all(
            acme.things.get(id=f"{number}-{turn}") == {"id": f"{number}-{turn}"} for turn in range(3)
        )

    with ThreadPoolExecutor(64) as threads:
        assert all(threads.map(work, range(64)))
    assert vendor.routes.count("POST /login") == 1
    assert len(vendor.routes) == 1 + 64 * (3 + 3)
    assert vendor.max_in_flight <= 8


def test_a_connector_goes_on_in_a_fork_and_in_its_parent(connecting: Connecting, vendor: Vendor) -> None:
    """Neither reads what the other was answered, though the child has the parent's open connection."""
    vendor.reply = stocked
    acme = connecting(SPEC, api_key="key-of-acme")
    assert acme.things.get(id="before") == {"id": "before"}
    child = os.fork()
    if child == 0:
        good = all(acme.things.get(id=f"child-{turn}") == {"id": f"child-{turn}"} for turn in range(20))
        os._exit(0 if good else 1)
    assert all(acme.things.get(id=f"parent-{turn}") == {"id": f"parent-{turn}"} for turn in range(20))
    assert os.waitpid(child, 0)[1] == 0
    assert vendor.routes.count("POST /login") == 1
