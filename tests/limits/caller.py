"""A process that calls: `python caller.py LEDGER WHAT...`; started by the tests, told to go by a line on its input."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connectory.clock import SystemClock
from connectory.limits.budgets import Budget, Window
from connectory.limits.ledger import acquire
from connectory.limits.sqlite import SqliteLedger


def budget_of(options: dict[str, Any]) -> Budget:
    windows = tuple(Window(count, seconds) for count, seconds in options.pop("windows", []))
    return Budget("key", "limit", windows, **options)


def call(ledger: SqliteLedger, budget: Budget, port: int, calls: int, done: list[tuple[float, str]]) -> None:
    """So many calls over a line that delays each differently, so that they bunch up and overtake each other."""
    clock = SystemClock()
    for _ in range(calls):
        lease = acquire(ledger, [budget], clock, 60.0, 300.0)
        time.sleep(random.random() * 0.01)
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(b"?")
            answer = line.recv(1)
        ledger.release(lease)
        done.append((clock.now(), answer.decode()))


def run_calls(ledger: SqliteLedger, port: str, calls: str, threads: str, options: str) -> None:
    budget, done = budget_of(json.loads(options)), list[tuple[float, str]]()
    team = [
        threading.Thread(target=call, args=(ledger, budget, int(port), int(calls), done)) for _ in range(int(threads))
    ]
    for one in team:
        one.start()
    for one in team:
        one.join()
    print(json.dumps(done))


def run_hold(ledger: SqliteLedger, options: str) -> None:
    """Take a permit and keep it until the process is killed."""
    acquire(ledger, [budget_of(json.loads(options))], SystemClock(), 0.0, 300.0)
    print("held", flush=True)
    sys.stdin.read()


def run_wait(ledger: SqliteLedger, options: str) -> None:
    """Stand in the queue until the process is killed."""
    print("waiting", flush=True)
    acquire(ledger, [budget_of(json.loads(options))], SystemClock(), None, 300.0)


def run_hammer(ledger: SqliteLedger, options: str) -> None:
    """Spend as fast as it goes, until the process is killed."""
    budget = budget_of(json.loads(options))
    print("hammering", flush=True)
    while True:
        ledger.release(acquire(ledger, [budget], SystemClock(), None, 300.0))


def run_fork(ledger: SqliteLedger, options: str) -> None:
    """Spend in a parent with threads, and in two children and a grandchild that were forked meanwhile."""
    budget = budget_of(json.loads(options))

    def spend(calls: int) -> None:
        for _ in range(calls):
            ledger.release(acquire(ledger, [budget], SystemClock(), 30.0, 300.0))

    thread = threading.Thread(target=spend, args=(50,))
    thread.start()
    children = []
    for generation in (1, 2):
        spend(5)
        child = os.fork()
        if child == 0:
            spend(10)
            if generation == 1 and os.fork() == 0:
                spend(10)
                os._exit(0)
            if generation == 1:
                os.wait()
            os._exit(0)
        children.append(child)
    thread.join()
    print([os.waitpid(child, 0)[1] for child in children])


if __name__ == "__main__":
    kinds: dict[str, Callable[..., None]] = {
        "calls": run_calls,
        "hold": run_hold,
        "wait": run_wait,
        "hammer": run_hammer,
        "fork": run_fork,
    }
    with SqliteLedger(Path(sys.argv[1])) as shared:
        print("ready", flush=True)
        sys.stdin.readline()
        kinds[sys.argv[2]](shared, *sys.argv[3:])
