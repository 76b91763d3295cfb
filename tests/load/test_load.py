"""Many at once for long: limits hold, nobody starves or is stuck, and nothing grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from connectory import connect
from emulators.exchange import Answer, Ask
from emulators.server import Emulator
from emulators.twelvetwenty import TwelveTwenty
from load.clocks import FastClock
from load.worker import HOUR, THREADS, descriptors, memory

PROCESSES = 8
PACE = 10.0  # an hour in six minutes

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="memory and descriptors are read from /proc"),
]


@pytest.mark.timeout(600)
def test_an_hour_of_eight_processes_with_64_threads_each(
    tmp_path: Path, record_property: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """A school grants 5,000 calls a day and 3 at once. All together want more than that."""
    clock = FastClock((time.time(), time.monotonic()), PACE)
    with TwelveTwenty(clock=clock, delay=0.005, api_key="key/of+hilltop==") as vendor:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        command = [sys.executable, "-m", "load.worker", vendor.url, vendor.api_key, str(tmp_path)]
        command += [json.dumps(clock.began), str(PACE)]
        running = [
            subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        told = [json.loads(process.communicate(timeout=HOUR / PACE + 120)[0]) for process in running]
        assert [process.returncode for process in running] == [0] * PROCESSES
        statuses = [exchange.status for exchange in vendor.exchanges]
        logins = sum("generateAuthenticationToken" in exchange.path for exchange in vendor.exchanges)
        most = vendor.max_in_flight
    done = sum(one["words"].get("ok", 0) for one in told)
    late = sum(one["words"].get("exit 75", 0) for one in told)
    longest = max(one["longest"] for one in told)
    with capsys.disabled():
        print(f"\n{PROCESSES} processes of {THREADS} threads, one hour: {done:,} calls, {late:,} ended in 75,")
        print(f"longest wait {longest:.1f} s, at most {most} at once, {logins} logins, {statuses.count(429)} refused;")
        print("memory and descriptors, a quarter through and at the end:")
        for one in told:
            print("  ", one["samples"][len(one["samples"]) // 4], one["samples"][-1])
    assert set(statuses) == {200}
    assert most <= 3
    assert done + logins == 5000
    assert late > 0
    assert {word for one in told for word in one["words"]} == {"ok", "exit 75"}
    assert longest < 300
    for one in told:
        (early, open_early), (at_last, open_at_last) = one["samples"][len(one["samples"]) // 4], one["samples"][-1]
        assert at_last < early * 1.15 + 2000
        assert open_at_last <= open_early + 3


SPEC = """
name: acme
settings: {tenant: str!, api_key: secret!}
servers: {production: "https://{{ tenant }}.acme.example"}
auth: {token: {post: /login, fields: {key: "{{ api_key }}"}, value: token, lasts: 1h}, bearer: "{{ token }}"}
limits: {calls: {rate: 1000/minute, concurrent: 1}}
operations: {things.get: {get: "/things/{id}"}}
"""


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class Tenants(Emulator):
    """Gives a token to any key, and tells whose token came."""

    def answer(self, ask: Ask) -> Answer:
        if ask.path == "/login":
            return Answer.json({"token": f"token-of-{ask.json()['key']}"})
        return Answer.json({"id": str(ask.header("Authorization"))})


def test_a_thousand_tenants_in_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has its own token and limit; connections and ledgers are not a thousand."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "connectory.toml").touch()
    (tmp_path / "specs" / "acme.yaml").write_text(SPEC)
    count = 1000
    with Tenants() as vendor:
        memory_before, open_before = memory(), descriptors()
        tenants = [
            connect("acme", project=tmp_path, tenant=f"t{n}", api_key=f"key-of-tenant-{n}", server=vendor.url)
            for n in range(count)
        ]

        def works(number: int) -> bool:
            return bool(tenants[number].things.get(id="1") == {"id": f"Bearer token-of-key-of-tenant-{number}"})

        with ThreadPoolExecutor(64) as threads:
            assert all(threads.map(works, range(count)))
            after_one = memory()
            for _ in range(3):
                assert all(threads.map(works, range(count)))
        grown, opened = memory() - memory_before, descriptors() - open_before
        with capsys.disabled():
            print(
                f"\n{count:,} tenants, 4 calls each: {grown // 1024} MB and {opened} descriptors, the server's included"
            )
        assert len(vendor.requests()) == 5 * count
        assert sum(exchange.path == "/login" for exchange in vendor.exchanges) == count
        assert opened < 600
        assert memory() < after_one * 1.2
        for tenant in tenants:
            tenant.close()
