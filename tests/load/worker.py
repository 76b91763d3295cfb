"""One process of the load run: 64 threads on one connector, which call for an hour of a fast clock."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from connectory import LimitReached, Parts, connect
from connectory.auth.tokens import TokenStore
from connectory.limits.sqlite import SqliteLedger
from load.clocks import FastClock

HOUR = 3600.0
THREADS = 64
PAUSE = 290.0
"""The mean pause between two calls of a thread: all together want some more than the day's calls."""


def memory() -> int:
    """Resident memory of this process in KiB (Linux, proc(5))."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def main(url: str, key: str, folder: str, began: str, pace: str) -> None:
    clock = FastClock(tuple(json.loads(began)), float(pace))
    parts = Parts(
        clock=clock,
        ledger=SqliteLedger(Path(folder) / "ledger.sqlite", clock),
        tokens=TokenStore(Path(folder) / "tokens"),
        environ={},
    )
    end = clock.began[0] + HOUR
    tells: list[list[Any]] = [[] for _ in range(THREADS)]
    samples: list[tuple[int, int]] = []

    def call_for_an_hour(told: list[Any]) -> None:
        clock.sleep(clock.random() * PAUSE)
        while clock.now() < end:
            before = clock.monotonic()
            try:
                school.documentation.get()
                told.append(("ok", clock.monotonic() - before))
            except LimitReached as why:
                told.append((f"exit {why.exit_code}", clock.monotonic() - before))
            clock.sleep(min(clock.random() * 2 * PAUSE, max(0.0, end - clock.now())))

    with connect("12twenty", school="hilltop", api_key=key, server=url, concurrent=3, parts=parts) as school:
        threads = [threading.Thread(target=call_for_an_hour, args=(told,)) for told in tells]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            clock.sleep(HOUR / 20)
            samples.append((memory(), descriptors()))
        for thread in threads:
            thread.join()
    every = [one for told in tells for one in told]
    words = {word: sum(1 for one, _ in every if one == word) for word in sorted({one for one, _ in every})}
    print(json.dumps({"words": words, "longest": max(wait for _, wait in every), "samples": samples}))


if __name__ == "__main__":
    main(*sys.argv[1:])
