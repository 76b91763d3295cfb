"""Replayed exchanges a second, beside the same ones through plain urllib3 and vcrpy: `python benchmarks/replay.py`.

Ours compares every request strictly, reads the records and compares what the call gives; the plain replay sends the
recorded requests and looks at nothing. CPU time, medians of alternated rounds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import urllib3
import vcr

from connectory.plugins.registry import Registry, load_registry
from connectory.spec.load import Loaded, load_spec
from connectory.testing.recorded.cassettes import Cassette, cassettes_in, read_cassette
from connectory.testing.recorded.replaying import replay

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 3


def ours(registry: Registry, loaded: Loaded, cassette: Cassette, file: Path) -> None:
    """One recorded call as a test runs it, its file read as well."""
    if differences := replay(registry, loaded, read_cassette(file)):
        raise SystemExit("\n".join(map(str, differences)))


def plain(registry: Registry, loaded: Loaded, cassette: Cassette, file: Path) -> None:
    """The same requests by urllib3, answered by vcrpy with its usual matching."""
    pool = urllib3.PoolManager(retries=False)
    with vcr.VCR().use_cassette(str(file), record_mode="none"):
        for exchange in cassette.exchanges:
            body: Any = exchange.body
            pool.request(exchange.method, exchange.url, body=body, headers=dict(exchange.headers), redirect=False)
    pool.clear()


def seconds(way: Any, calls: list[tuple[Registry, Loaded, Cassette, Path]]) -> float:
    """CPU seconds of all calls one way."""
    before = time.process_time()
    for call in calls:
        way(*call)
    return time.process_time() - before


def main(vendors: list[str]) -> None:
    """Print both rates and their ratio, over the recordings of some vendors or of all."""
    registry = load_registry()
    calls = []
    for vendor in vendors or sorted(registry.packaged):
        loaded = load_spec(registry, vendor)
        calls += [(registry, loaded, read_cassette(file), file) for file in cassettes_in(ROOT / "cassettes", vendor)]
    number = sum(len(cassette.exchanges) for _, _, cassette, _ in calls)
    for way in (ours, plain):
        seconds(way, calls[:5])
    pairs = [(seconds(ours, calls), seconds(plain, calls)) for _ in range(ROUNDS)]
    mine, theirs = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(one / other for one, other in pairs)
    print(
        f"{number} exchanges of {len(calls)} calls: {number / mine:.0f} a second compared, "
        f"{number / theirs:.0f} a second by plain urllib3 and vcrpy: {ratio:.2f} x its CPU"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
