"""The emulators' base: its log, its count of what is in flight, its faults, and its life as a program."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
import urllib3

from connectory.clock import ManualClock
from emulators.exchange import Answer, Ask
from emulators.server import Emulator
from emulators.talk import Talk

TESTS = Path(__file__).resolve().parent.parent


@attrs.define(eq=False, kw_only=True, slots=False)
class Echo(Emulator):
    """Answers the body that came; counts what it applied."""

    applied: int = attrs.field(init=False, default=0)

    def answer(self, ask: Ask) -> Answer:
        if ask.path == "/broken":
            raise ValueError("a fault of the emulator")
        self.applied += 1
        return Answer(200, ask.body, "application/octet-stream")


@pytest.fixture
def vendor() -> Iterator[Echo]:
    with Echo(clock=ManualClock(1_700_000_000)) as running:
        yield running


@pytest.fixture
def talk(vendor: Echo) -> Iterator[Talk]:
    with Talk(vendor.url) as client:
        yield client


def test_every_exchange_is_logged_with_what_was_sent(vendor: Echo, talk: Talk) -> None:
    talk.call("POST", "/a//b%20c", query={"q": "é +", "empty": ""}, headers={"X-One": "1"}, body=b"\x00body")
    (seen,) = vendor.requests("^POST /a")
    assert (seen.method, seen.path, seen.query) == ("POST", "/a//b%20c", (("q", "é +"), ("empty", "")))
    assert (seen.header("x-one"), seen.body, seen.status, seen.answer) == ("1", b"\x00body", 200, b"\x00body")
    assert (seen.in_flight, seen.at, seen.size) == (1, 1_700_000_000.0, 5)
    assert vendor.by_day == {"2023-11-14": 1}


def test_a_connection_is_kept_and_told_by_the_emulators_clock(vendor: Echo, talk: Talk) -> None:
    answers = [talk.call("POST", "/", body=b"x" * size) for size in (0, 1, 100_000)]
    assert [len(answer.data) for answer in answers] == [0, 1, 100_000]
    assert answers[0].headers["Date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    (pool,) = (talk.pool.pools.get(key) for key in talk.pool.pools.keys())  # noqa: SIM118 (no mapping)
    assert isinstance(pool, urllib3.HTTPConnectionPool)
    assert (pool.num_connections, pool.num_requests) == (1, 3)


def test_a_chunked_body_arrives_whole(vendor: Echo, talk: Talk) -> None:
    response = talk.pool.request("POST", vendor.url, body=iter([b"one", b"two" * 5000]), chunked=True)
    assert response.data == b"one" + b"two" * 5000


def test_bodies_are_not_kept_when_that_is_asked() -> None:
    with Echo(keep_bodies=False) as vendor, Talk(vendor.url) as talk:
        assert talk.call("POST", "/", body=b"large").data == b"large"
    (seen,) = vendor.exchanges
    assert (seen.body, seen.answer, seen.size) == (b"", b"", 5)


def test_requests_in_flight_are_counted_and_can_be_held(vendor: Echo, talk: Talk) -> None:
    with ThreadPoolExecutor(4) as threads:
        with vendor.hold("/slow"):
            calls = [threads.submit(talk.call, "GET", "/slow") for _ in range(3)]
            vendor.wait_in_flight(3)
            assert talk.call("GET", "/quick").status == 200
            assert not any(call.done() for call in calls)
        assert [call.result().status for call in calls] == [200, 200, 200]
    assert (vendor.in_flight, vendor.max_in_flight) == (0, 4)
    assert sorted(exchange.in_flight for exchange in vendor.requests("/slow")) == [1, 2, 3]


def test_one_client_alone_is_never_counted_twice(vendor: Echo, talk: Talk) -> None:
    for _ in range(200):
        talk.call("GET", "/")
    assert vendor.max_in_flight == 1


def test_delay_is_real_time_in_flight(talk: Talk, vendor: Echo) -> None:
    vendor.delay = 0.05
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: talk.call("GET", "/"), range(3)))
    assert vendor.max_in_flight > 1


def test_faults_hit_what_matches_so_often_and_leave_or_do_the_work(vendor: Echo, talk: Talk) -> None:
    vendor.fail(2, 503, "^GET /a$", skip=1, body=b"ill", headers={"Retry-After": "7"})
    assert talk.call("GET", "/b").status == 200
    answers = [talk.call("GET", "/a") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 503, 503, 200]
    assert (answers[1].data, answers[1].headers["Retry-After"]) == (b"ill", "7")
    assert vendor.applied == 3
    vendor.fail(status=500, after_applying=True)
    assert (talk.call("GET", "/a").status, vendor.applied) == (500, 4)


def test_connections_are_dropped_before_and_after_the_work(vendor: Echo, talk: Talk) -> None:
    vendor.drop(match="/a")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        talk.call("POST", "/a")
    assert vendor.applied == 0
    vendor.drop(match="/a", after_applying=True)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        talk.call("POST", "/a")
    assert vendor.applied == 1
    vendor.drop(part=2)
    with pytest.raises(urllib3.exceptions.ProtocolError, match="2 bytes read, 8 more expected"):
        talk.call("POST", "/a", body=b"0123456789")
    assert vendor.applied == 2
    assert [exchange.dropped for exchange in vendor.exchanges] == [True, True, True]
    assert talk.call("POST", "/a").status == 200


def test_idle_connections_can_be_cut_and_busy_ones_stay(vendor: Echo, talk: Talk) -> None:
    port = int(vendor.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 5) as idle, ThreadPoolExecutor(1) as threads:
        idle.sendall(b"GET /idle HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(9) == b"HTTP/1.1 "
        with vendor.hold("/busy"):
            call = threads.submit(talk.call, "GET", "/busy")
            vendor.wait_in_flight(1)
            vendor.close_idle()
            while idle.recv(1000):
                pass  # the rest of the answer, then the end
        assert call.result().status == 200


def test_a_fault_of_the_emulator_itself_is_loud() -> None:
    with pytest.raises(AssertionError, match="a fault of the emulator"), Echo() as vendor, Talk(vendor.url) as talk:
        assert talk.call("GET", "/broken").status == 500


def test_closing_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with Echo() as vendor, Talk(vendor.url) as talk:
        talk.call("GET", "/")
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_control_paths_are_not_part_of_the_log(vendor: Echo, talk: Talk) -> None:
    assert talk.call("POST", "/_fail", query={"times": 1, "status": 502}).status == 200
    assert talk.call("GET", "/x").status == 502
    assert talk.call("POST", "/_wind", query={"seconds": 60}).json() == {"now": 1_700_000_060.0}
    counters = talk.read("/_log")
    assert (counters["requests"], counters["by_status"], counters["by_route"]) == (1, {"502": 1}, {"GET /x": 1})


def test_it_runs_as_a_program_of_its_own(tmp_path: Path) -> None:
    data = tmp_path / "students.jsonl"
    data.write_text('{"Id": 270067010486464, "FirstName": "Ada", "GraduationYearId": 2018}\n')
    command = [sys.executable, "-m", "emulators.twelvetwenty", "--port", "0", "--data", str(data), "--while-stdin"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    with subprocess.Popen([*command, "--set", "per_day=2"], stdin=-1, stdout=-1, env=env, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        with Talk(url) as talk:
            token = talk.call("GET", "/api/client/generateAuthenticationToken", query={"key": "key/of+hilltop=="})
            talk.headers["Authorization"] = f"Bearer {token.data.decode()}"
            students = talk.read("/api/v2/students")
            assert [item["Id"] for item in students["Items"]] == [270067010486464]
            assert talk.call("GET", "/api/v2/students").status == 429
            assert talk.read("/_log")["refused"] == {"per_day": 1}
            talk.call("POST", "/_wind", query={"seconds": 86_400})
            assert talk.call("GET", "/api/v2/students").status == 401  # a new day, and the token's end
        program.stdin.close()
        assert program.wait(10) == 0
