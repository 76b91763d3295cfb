"""A process that pushes and may be killed: `python pusher.py FEED ROOT URL KEY COUNT`.

A line on its input starts a run. Each run is a fork of a process that has imported everything already, so that a
start costs milliseconds.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectory import Parts, connect
from connectory.auth.tokens import TokenStore
from connectory.limits.memory import MemoryLedger
from connectory.recipes import opening
from connectory.recipes.source import Chunk
from connectory.recipes.sync import run_recipe
from connectory.table import Table

FEEDS: Mapping[str, str] = {
    "events": "{connector: 12twenty, operation: calendar_events.upsert, settings: {school: hilltop}, KEYED}",
    "logins": "{connector: 12traits, operation: logins.push}",
}


SETTINGS: Mapping[str, Mapping[str, Any]] = {"events": {"school": "hilltop"}, "logins": {}}


def row_of(feed: str, number: int) -> dict[str, Any]:
    """A row that its vendor takes; `number` tells it apart."""
    if feed == "logins":
        return {"user_id": str(number), "level": number % 50, "platform": "ios"}
    span = {"StartTime": "2026-05-20T18:25:43Z", "EndTime": "2026-05-20T19:25:43Z"}
    return {"ExternalId": str(number), "UserId": number, "TypeId": 1, "Title": f"Exam {number}", **span}


class Numbers:
    """A source of so many made-up rows, in pages, logins by columns; the position is the next number."""

    shape = None
    keys: tuple[str, ...] = ()
    by_columns = False

    def __init__(self, feed: str, count: int, page: int = 700) -> None:
        self._feed, self._count, self._page = feed, count, page

    def chunks(self, position: Any) -> Iterator[Chunk]:
        for start in range(position or 0, self._count, self._page):
            end = min(start + self._page, self._count)
            rows: Sequence[dict[str, Any]] = [row_of(self._feed, number) for number in range(start, end)]
            if self.by_columns and self._feed == "logins":
                rows = Table(tuple(rows[0]), tuple(zip(*map(dict.values, rows), strict=True)))
            yield Chunk(rows, end, pages=1, total=self._count)

    def mark(self) -> None: ...

    def forget(self) -> None: ...

    def close(self) -> None: ...


def push(feed: str, root: Path, url: str, key: str, count: int) -> None:
    """One run; what it reports is left in `report.json`, `peak` in MiB."""
    opening.SOURCES["stdin"] = lambda *_: Numbers(feed, count)  # type: ignore[index]
    parts = Parts(ledger=MemoryLedger(), tokens=TokenStore(root / "tokens"), environ={})
    settings = {"server": url, "api_key": key}
    report = run_recipe(root / "recipes" / "r.yaml", settings=settings, parts=parts, root=root)
    told = {"read": report.accounts.read, "counts": report.accounts.counts, "error": str(report.error or "")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    done = {**told, "code": report.exit_code, "calls": report.calls, "took": report.took, "peak": peak}
    (root / "report.new").write_text(json.dumps(done))
    (root / "report.new").replace(root / "report.json")


def main(feed: str, root: str, url: str, key: str, count: str) -> None:
    connect("12twenty" if feed == "events" else "12traits", server=url, api_key=key, **SETTINGS[feed]).close()
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                push(feed, Path(root), url, key, int(count))
            finally:
                os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
