"""Several real processes on one ledger: a strict vendor refuses nothing, nobody starves, the dead let go."""

from __future__ import annotations

import json
import os
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import connectory
from connectory.clock import SystemClock
from connectory.errors import LimitReached
from connectory.limits.budgets import Budget, Window
from connectory.limits.ledger import DEAD_SECONDS, TICKET_SECONDS, Lease, Ticket, Wait, acquire
from connectory.limits.sqlite import SqliteLedger

CALLER = Path(__file__).with_name("caller.py")


class WoundClock(SystemClock):
    """The machine's clocks plus what was wound: other processes' rows can be made old without waiting."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@attrs.define
class Vendor:
    """Counts at the moment a request arrives, and refuses by the letter."""

    concurrent: int | None = None
    windows: list[tuple[int, float]] = attrs.Factory(list)
    bucket: tuple[int, float] | None = None  # size, seconds a token; drops fractions of tokens
    arrivals: list[float] = attrs.Factory(list)
    present: int = 0
    most_present: int = 0
    refusals: list[str] = attrs.Factory(list)
    tokens: float = 0.0
    lock: threading.Lock = attrs.Factory(threading.Lock)

    def answer(self) -> bytes:
        with self.lock:
            self.present += 1
            self.most_present = max(self.most_present, self.present)
            refusal = self.refusal(time.monotonic())
            self.refusals += [refusal] if refusal else []
        time.sleep(0.004)
        with self.lock:
            self.present -= 1
        return b"4" if refusal else b"2"

    def refusal(self, now: float) -> str:
        for count, seconds in self.windows:
            if sum(arrival > now - seconds for arrival in self.arrivals) >= count:
                return f"more than {count} in {seconds} s"
        if self.bucket is not None:
            size, each = self.bucket
            before = self.arrivals[-1] if self.arrivals else now - size * each
            self.tokens = min(size, self.tokens + (now - before) // each)
            if self.tokens < 1:
                return "bucket empty"
            self.tokens -= 1
        self.arrivals.append(now)
        return f"{self.present} at once" if self.concurrent is not None and self.present > self.concurrent else ""


@pytest.fixture
def serve() -> Iterator[Callable[[Vendor], int]]:
    servers: list[socketserver.ThreadingTCPServer] = []

    def start(vendor: Vendor) -> int:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(1)
                self.request.sendall(vendor.answer())

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Start a caller; it is ready, and goes when `go` is written to it. None is left behind."""
    started: list[subprocess.Popen[str]] = []
    folders = [str(Path(next(iter(connectory.__path__))).parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}

    def begin(*arguments: Any) -> subprocess.Popen[str]:
        words = [json.dumps(word) if isinstance(word, dict) else str(word) for word in arguments]
        process = subprocess.Popen(
            [sys.executable, str(CALLER), str(path), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def answers(*processes: subprocess.Popen[str]) -> list[list[tuple[float, str]]]:
    go(*processes)
    return [[(at, word) for at, word in json.loads(line(process))] for process in processes]


@pytest.mark.parametrize(
    ("vendor", "options"),
    [
        pytest.param(
            Vendor(concurrent=3, windows=[(14, 0.15), (1000, 60)]),
            {"concurrent": 3, "windows": [[14, 0.15], [1000, 60]]},
            id="three at once and two windows",
        ),
        pytest.param(Vendor(windows=[(8, 0.1)]), {"windows": [[8, 0.1]]}, id="a narrow window"),
        pytest.param(
            Vendor(bucket=(5, 0.01)), {"windows": [[100, 1]], "gap": 0.0105}, id="a bucket that drops fractions"
        ),
        pytest.param(Vendor(bucket=(5, 0.01)), {"windows": [[1, 0.01]]}, id="one call in a time"),
    ],
)
def test_a_strict_vendor_never_refuses_three_processes(
    vendor: Vendor, options: dict[str, Any], serve: Callable[[Vendor], int], start: Start
) -> None:
    port = serve(vendor)
    told = answers(*[start("calls", port, 12, 2, options) for _ in range(3)])
    assert vendor.refusals == []
    assert [len(one) for one in told] == [24, 24, 24]
    assert len(vendor.arrivals) == 72
    assert vendor.concurrent is None or vendor.most_present > 1  # what is allowed is used


def test_no_process_starves(serve: Callable[[Vendor], int], start: Start) -> None:
    vendor = Vendor(windows=[(10, 0.06)])
    told = answers(*[start("calls", serve(vendor), 15, 2, {"windows": [[10, 0.06]]}) for _ in range(4)])
    first_done = min(max(at for at, _ in one) for one in told)
    shares = [sum(at <= first_done for at, _ in one) for one in told]
    assert min(shares) >= 15, f"when one had its 30 calls, the others had {shares}"


def test_the_permit_of_a_killed_process_is_given_back_soon(path: Path, start: Start) -> None:
    options = {"concurrent": 1}
    holder = start("hold", options)
    go(holder)
    assert line(holder) == "held"
    holder.kill()
    holder.wait()
    clock, one = WoundClock(), Budget("key", "limit", concurrent=1)
    with SqliteLedger(path, clock) as ledger:
        with pytest.raises(LimitReached, match="another call has to end first"):
            acquire(ledger, [one], clock, 0.0, 300.0)
        clock.ahead = DEAD_SECONDS + 0.1
        ledger.release(acquire(ledger, [one], clock, 0.0, 300.0))


def test_the_call_of_a_killed_process_still_counts(path: Path, start: Start) -> None:
    holder = start("hold", {"windows": [[1, 3600]]})
    go(holder)
    assert line(holder) == "held"
    holder.kill()
    holder.wait()
    clock, one = WoundClock(), Budget("key", "limit", (Window(1, 3600),))
    with SqliteLedger(path, clock) as ledger:
        clock.ahead = 3000.0
        with pytest.raises(LimitReached):
            acquire(ledger, [one], clock, 0.0, 300.0)
        clock.ahead = 3600.0 + one.transit + 1
        ledger.release(acquire(ledger, [one], clock, 0.0, 300.0))


def test_the_place_of_a_killed_waiter_is_given_away(path: Path, start: Start) -> None:
    clock, one = WoundClock(), Budget("key", "limit", concurrent=1)
    with SqliteLedger(path, clock) as ledger:
        lease = acquire(ledger, [one], clock, 0.0, 300.0)
        waiter = start("wait", {"concurrent": 1})
        go(waiter)
        assert line(waiter) == "waiting"
        while ledger.spent(one).waiting == 0:
            os.sched_yield()
        waiter.kill()
        waiter.wait()
        ledger.release(lease)
        assert isinstance(ledger.try_acquire([one], Ticket(), 300.0), Wait)
        clock.ahead = TICKET_SECONDS
        assert isinstance(ledger.try_acquire([one], Ticket(), 300.0), Lease)


def test_processes_killed_in_the_middle_leave_the_ledger_whole(path: Path, start: Start) -> None:
    options = {"windows": [[100000, 3600]], "concurrent": 50}
    hammers = [start("hammer", options) for _ in range(3)]
    go(*hammers)
    assert [line(hammer) for hammer in hammers] == ["hammering"] * 3
    clock, same = WoundClock(), Budget("key", "limit", (Window(100000, 3600),), concurrent=50)
    with SqliteLedger(path, clock) as ledger:
        while ledger.spent(same).windows[0].used < 60:
            ledger.release(acquire(ledger, [same], clock, 5.0, 300.0))
        for hammer in hammers:
            hammer.kill()
            hammer.wait()
        assert ledger.spent(same).in_flight <= 3
        used = ledger.spent(same).windows[0].used
        ledger.release(acquire(ledger, [same], clock, 5.0, 300.0))
        assert ledger.spent(same).windows[0].used == used + 1
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_ledger_can_be_forked(path: Path, start: Start) -> None:
    parent = start("fork", {"windows": [[1000, 3600]], "concurrent": 2})
    go(parent)
    assert line(parent) == "[0, 0]"
    with SqliteLedger(path) as ledger:
        spent = ledger.spent(Budget("key", "limit", (Window(1000, 3600),), concurrent=2))
        assert (spent.windows[0].used, spent.in_flight) == (50 + 5 + 5 + 10 + 10 + 10, 0)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_many_open_a_ledger_at_once(path: Path, start: Start) -> None:
    """The file is made by one of them, and none is told that it is locked."""
    callers = [start("hold", {"concurrent": 6}) for _ in range(6)]
    go(*callers)
    assert [line(caller) for caller in callers] == ["held"] * 6
    with SqliteLedger(path) as ledger, pytest.raises(LimitReached):
        acquire(ledger, [Budget("key", "limit", concurrent=6)], SystemClock(), 0.0, 300.0)
