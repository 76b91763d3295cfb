"""vcrpy stands between us and the server: what it replays is what was received, and nothing slips past it."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import vcr

from connectory.messages import Request
from connectory.multipart import Multipart
from connectory.transport.client import UrllibTransport
from servers.fault_server import FaultServer, answer, chunked, serve

BODY = json.dumps({"records": list(range(500))}).encode()
MATCH = ["method", "scheme", "host", "port", "path", "query", "body"]


@pytest.fixture
def recorder(tmp_path: Path) -> vcr.VCR:
    return vcr.VCR(
        cassette_library_dir=str(tmp_path), record_mode="once", match_on=MATCH, decode_compressed_response=True
    )


@pytest.mark.parametrize(
    "wire",
    [
        answer(BODY),
        answer(gzip.compress(BODY), "Content-Encoding: gzip"),
        answer(chunked(gzip.compress(BODY)), "Content-Encoding: gzip", "Transfer-Encoding: chunked", length=None),
    ],
    ids=["plain", "gzip", "chunked gzip"],
)
@pytest.mark.parametrize("decoded", [True, False])
def test_replay_equals_recording(recorder: vcr.VCR, wire: bytes, decoded: bool) -> None:
    with FaultServer(serve(lambda _: wire)) as server:
        request = Request("GET", server.url, (("page", "1"),))
        with recorder.use_cassette("one.yaml", decode_compressed_response=decoded):
            recorded = UrllibTransport().send(request)
    assert len(server.requests) == 1
    with recorder.use_cassette("one.yaml", record_mode="none", decode_compressed_response=decoded) as cassette:
        replayed = UrllibTransport().send(request)
        assert cassette.all_played
    assert recorded.body == replayed.body == BODY
    assert recorded.status == replayed.status == 200
    assert replayed.whole


def test_uploads_match_by_their_bytes(recorder: vcr.VCR, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n" * 9_000)

    def upload(url: str, note: str) -> Request:
        return Request("POST", url, (), {}, Multipart({"note": note}, {"file": tmp_path / "rows.csv"}))

    with FaultServer(serve(lambda request: answer(request[-60:]))) as server, recorder.use_cassette("up.yaml"):
        first = UrllibTransport().send(upload(server.url, "one")).body
        large = UrllibTransport().send(Request("POST", server.url, (), {}, bytes(100_000))).body
    assert [request.partition(b"\r\n\r\n")[2] for request in server.requests] == [
        b"".join(Multipart({"note": "one"}, {"file": tmp_path / "rows.csv"}).chunks()),
        bytes(100_000),
    ]
    with recorder.use_cassette("up.yaml", record_mode="none"):
        assert UrllibTransport().send(Request("POST", server.url, (), {}, bytes(100_000))).body == large
        assert UrllibTransport().send(upload(server.url, "one")).body == first
        with pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException):
            UrllibTransport().send(upload(server.url, "two"))


def test_a_transport_made_before_the_cassette_is_caught_by_it(recorder: vcr.VCR) -> None:
    transport = UrllibTransport()
    with FaultServer(serve(lambda _: answer(BODY))) as server:
        request = Request("GET", server.url)
        transport.send(request)
        with recorder.use_cassette("late.yaml"):
            transport.send(request)
        with recorder.use_cassette("late.yaml", record_mode="none"):
            assert transport.send(request).body == BODY
        assert len(server.requests) == 2
        assert transport.send(request).body == BODY  # and afterwards the server is asked again
        assert len(server.requests) == 3
        transport.close()


def test_threads_replay_one_at_a_time_behind_the_gate(recorder: vcr.VCR) -> None:
    with FaultServer(serve(lambda request: answer(request.split(b" ")[1]))) as server:
        requests = [Request("GET", f"{server.url}/{i}") for i in range(24)]
        for mode in ("once", "none"):
            transport = UrllibTransport(gate=threading.Lock())
            with recorder.use_cassette("many.yaml", record_mode=mode), ThreadPoolExecutor(8) as threads:
                bodies = list(threads.map(lambda request, t=transport: t.send(request).body.decode(), requests))
            assert bodies == [f"/{i}" for i in range(24)]
            transport.close()
    assert len(server.requests) == 24
