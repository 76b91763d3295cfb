"""Sound answers of every shape arrive as they are; connections are kept where that is safe, and only there."""

from __future__ import annotations

import gzip
import io
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from connectory.clock import ManualClock
from connectory.messages import Request
from connectory.transport.client import UrllibTransport
from connectory.transport.failures import TransportFailure
from connectory.transport.options import TransportOptions
from servers.fault_server import (
    FaultServer,
    Step,
    answer,
    chunked,
    half_close,
    pause,
    read_bytes,
    read_request,
    reset,
    send,
    serve,
    until_gone,
)

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

BODY = b'{"records": [1, 2, 3], "name": "\xc3\xa9"}' * 50


def get(server: FaultServer, path: str = "/") -> Request:
    return Request("GET", server.url + path)


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


WIRES = {
    "length": answer(BODY),
    "chunked": answer(chunked(BODY[:7], BODY[7:]), "Transfer-Encoding: chunked", length=None),
    "no length": answer(BODY, length=None),
    "HTTP/1.0": answer(BODY, length=None).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "gzip": answer(gzip.compress(BODY), "Content-Encoding: gzip"),
    "x-gzip in capitals": answer(gzip.compress(BODY), "CONTENT-ENCODING: X-GZIP"),
    "gzip of several members": answer(
        b"".join(gzip.compress(BODY[i : i + 99]) for i in range(0, len(BODY), 99)), "Content-Encoding: gzip"
    ),
    "gzip without length": answer(gzip.compress(BODY), "Content-Encoding: gzip", length=None),
    "deflate": answer(zlib.compress(BODY), "Content-Encoding: deflate"),
    "deflate without its wrapping": answer(raw_deflate(BODY), "Content-Encoding: deflate"),
    "identity": answer(BODY, "Content-Encoding: identity"),
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(BODY),
    "103 first": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" + answer(BODY),
    "two equal lengths": answer(BODY, f"Content-Length: {len(BODY)}"),
    "a trailer": answer(chunked(BODY)[:-2] + b"Checksum: 1\r\n\r\n", "Transfer-Encoding: chunked", length=None),
}


def script(wire: bytes) -> list[Step]:
    """Serve for as long as the client likes, unless the closing is what ends the body."""
    marked = b"Content-Length" in wire or b"chunked" in wire
    return [serve(lambda _: wire)] if marked else [read_request(), send(wire)]


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_a_whole_answer_arrives_as_it_was(transport: UrllibTransport, wire: bytes) -> None:
    with FaultServer(*script(wire)) as server:
        response = transport.send(get(server))
        assert (response.status, response.body) == (200, BODY)
        sink = io.BytesIO()
        streamed = transport.send(get(server), into=sink)
        assert (streamed.body, sink.getvalue()) == (b"", BODY)


def test_only_a_success_is_streamed(transport: UrllibTransport) -> None:
    """The vendor's words of refusal, or a redirect's page, do not belong in the file that was asked for."""
    sink = io.BytesIO(b"kept")
    sink.seek(4)
    with FaultServer(serve(lambda _: answer(b"why", status="404 No"))) as server:
        response = transport.send(get(server), into=sink)
    assert (response.body, sink.getvalue()) == (b"why", b"kept")


def test_a_broken_download_leaves_the_file_as_it_was(transport: UrllibTransport, tmp_path: Path) -> None:
    large = BODY * 1_000
    with FaultServer() as server, (tmp_path / "rows").open("w+b") as file:
        file.write(b"kept")
        server.play(read_request(), send(answer(large)[:-1]))
        server.play(read_request(), send(answer(large)))
        with pytest.raises(TransportFailure):
            transport.send(get(server), into=file)
        assert (file.tell(), file.seek(0, io.SEEK_END)) == (4, 4)
        transport.send(get(server), into=file)
        file.seek(0)
        assert file.read() == b"kept" + large


def test_only_an_unmarked_end_is_in_doubt(transport: UrllibTransport) -> None:
    for name, wire in WIRES.items():
        with FaultServer(*script(wire)) as server:
            assert transport.send(get(server)).whole == (name not in ("no length", "HTTP/1.0")), name


def test_the_request_goes_out_as_it_was_built(transport: UrllibTransport) -> None:
    request = Request(
        "PATCH", "/p%2Fq", (("a b", "é"), ("a", "")), {"X-Text": "caf\xe9", "Content-Type": "application/json"}, b"{}"
    )
    with FaultServer(read_request(), send(answer(b"", status="204 No Content"))) as server:
        transport.send(Request(request.method, server.url + request.url, request.query, request.headers, request.body))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"PATCH /p%2Fq?a%20b=%C3%A9&a= HTTP/1.1"
    assert b"X-Text: caf\xe9" in lines
    assert b"Accept-Encoding: gzip" in lines
    assert any(line.startswith(b"User-Agent: connectory") for line in lines)
    assert (b"Content-Length: 2" in lines, body) == (True, b"{}")


def test_given_headers_win_over_ours(transport: UrllibTransport) -> None:
    with FaultServer(read_request(), send(answer())) as server:
        transport.send(Request("GET", server.url, (), {"user-agent": "me", "accept-encoding": "identity"}))
    head = server.requests[0].lower()
    assert head.count(b"user-agent") == head.count(b"accept-encoding") == 1
    assert b"user-agent: me" in head


@pytest.mark.parametrize(
    ("method", "wire"),
    [
        ("HEAD", answer(b"", "Content-Encoding: br", length=5_000_000_000)),
        ("GET", answer(b"", status="304 Not Modified", length=40)),
        ("GET", answer(b"", "Content-Encoding: gzip")),
        ("GET", answer(chunked(), "Content-Encoding: gzip", "Transfer-Encoding: chunked", length=None)),
    ],
)
def test_no_body_is_no_body_whatever_the_headers_say(transport: UrllibTransport, method: str, wire: bytes) -> None:
    with FaultServer(serve(lambda _: wire)) as server:
        assert [transport.send(Request(method, server.url)).body for _ in range(3)] == [b""] * 3
    assert server.connections == 1


@pytest.mark.parametrize("status", ["301 Moved", "400 Bad", "404 No", "429 Slow", "500 Ill", "503 Busy"])
def test_every_status_comes_back_at_once(transport: UrllibTransport, status: str) -> None:
    """Retrying and following are the caller's: Retry-After must not make anybody wait in here."""
    wire = answer(b"why", "Retry-After: 3600", "Location: /elsewhere", status=status)
    with FaultServer(serve(lambda _: wire)) as server:
        response = transport.send(get(server))
    assert (response.status, response.body, response.headers["retry-after"]) == (int(status[:3]), b"why", "3600")
    assert len(server.requests) == 1


def test_headers_of_one_name_are_joined(transport: UrllibTransport) -> None:
    with FaultServer(read_request(), send(answer(b"", "Link: <a>", "X-Odd: \xe9", "link: <b>"))) as server:
        headers = transport.send(get(server)).headers
    assert (headers["LINK"], headers["x-odd"]) == ("<a>, <b>", "\xe9")


class TestKeptConnections:
    def test_one_connection_serves_many_requests(self, transport: UrllibTransport) -> None:
        with FaultServer(serve(lambda _: WIRES["gzip"])) as server:
            for _ in range(5):
                assert transport.send(get(server)).body == BODY
            assert server.connections == 1

    @pytest.mark.parametrize(
        "wire",
        [
            answer(b"first") + b"more than announced",
            answer(b"first"[:0], status="204 No Content", length=None) + b"first",
            answer(chunked(b"first"), "Transfer-Encoding: chunked", length=None) + b"HTTP/1.1 200 OK\r\n\r\n",
        ],
    )
    def test_bytes_beyond_an_answer_never_reach_the_next(self, transport: UrllibTransport, wire: bytes) -> None:
        with FaultServer() as server:
            server.play(read_request(), send(wire), until_gone())
            server.play(read_request(), send(answer(b"second")))
            assert transport.send(get(server)).body in (b"first", b"")
            assert transport.send(get(server)).body == b"second"
            assert server.connections == 2

    def test_a_connection_closed_meanwhile_is_replaced_unseen(self, transport: UrllibTransport) -> None:
        closed = threading.Event()
        with FaultServer() as server:
            server.play(read_request(), send(answer(b"1")), half_close(), lambda _: closed.set(), until_gone())
            server.play(read_request(), send(answer(b"2")))
            transport.send(get(server))
            assert closed.wait(2)
            assert transport.send(Request("POST", server.url, (), {}, b"{}")).body == b"2"

    def test_one_closed_in_the_same_moment_is_told_apart(self, transport: UrllibTransport) -> None:
        """The server may or may not have taken the request: so "maybe", and the caller knows it is worth repeating."""
        with FaultServer(read_request(), send(answer(b"1")), read_request(), reset()) as server:
            transport.send(get(server))
            with pytest.raises(TransportFailure) as caught:
                transport.send(get(server))
        assert (caught.value.kind, caught.value.sent, caught.value.repeatable) == ("stale", "maybe", True)

    def test_one_that_breaks_in_mid_answer_is_not_called_stale(self, transport: UrllibTransport) -> None:
        with FaultServer(read_request(), send(answer(b"1")), read_request(), send(b"HTTP/1."), reset()) as server:
            transport.send(get(server))
            with pytest.raises(TransportFailure) as caught:
                transport.send(get(server))
        assert caught.value.kind in ("reset", "truncated")

    def test_one_idle_for_too_long_is_not_trusted(self) -> None:
        clock = ManualClock()
        transport = UrllibTransport(TransportOptions(max_idle=60), clock=clock)
        with FaultServer(serve(lambda _: answer())) as server:
            for idle, connections in ((0, 1), (59, 1), (61, 2)):
                clock.wind(idle)
                transport.send(get(server))
                assert server.connections == connections
            transport.close()

    def test_a_broken_exchange_leaves_no_connection_behind(self, transport: UrllibTransport) -> None:
        with FaultServer() as server:
            server.play(read_request(), send(answer(b"12345", length=9)), half_close(), until_gone())
            server.play(read_request(), send(answer(b"whole")))
            with pytest.raises(TransportFailure):
                transport.send(get(server))
            assert transport.send(get(server)).body == b"whole"

    def test_a_closed_transport_opens_again(self, transport: UrllibTransport) -> None:
        with FaultServer(serve(lambda _: answer(b"x"))) as server:
            transport.send(get(server))
            transport.close()
            assert transport.send(get(server)).body == b"x"
            assert server.connections == 2


class FullDisk(io.BytesIO):
    def write(self, _: Buffer) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_not_blamed_on_the_vendor(transport: UrllibTransport) -> None:
    large = BODY * 1_000
    with FaultServer(serve(lambda _: answer(large))) as server:
        with pytest.raises(OSError, match="No space left"):
            transport.send(get(server), into=FullDisk())
        assert transport.send(get(server)).body == large
        assert server.connections == 2  # the rest of the body was still on the first


class Numbers:
    """A body that need not be held: 300 pieces."""

    content_type = "text/plain"

    def __init__(self, promised: int = 300_000) -> None:
        self._promised = promised

    def __len__(self) -> int:
        return self._promised

    def chunks(self) -> Iterator[bytes]:
        return iter([b"x" * 999 + b"\n"] * 300)


class Unreadable(Numbers):
    def chunks(self) -> Iterator[bytes]:
        yield b"x"
        raise PermissionError(13, "Permission denied", "list.csv")


class TestUploads:
    def test_a_streamed_body_is_sent_with_length_and_type(self, transport: UrllibTransport) -> None:
        with FaultServer(serve(lambda _: answer())) as server:
            for _ in range(2):
                transport.send(Request("POST", server.url, (), {}, Numbers()))
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert b"Content-Length: 300000" in head
        assert b"Content-Type: text/plain" in head
        assert body == b"".join(Numbers().chunks())
        assert server.requests[1] == server.requests[0]

    def test_a_large_body_in_memory_arrives_whole(self, transport: UrllibTransport) -> None:
        body = bytes(range(256)) * 5_000
        with FaultServer(read_request(), send(answer())) as server:
            transport.send(Request("PUT", server.url, (), {}, body))
        assert server.requests[0].endswith(b"\r\n\r\n" + body)

    @pytest.mark.parametrize("body", [Numbers(299_999), Numbers(300_001), Unreadable()])
    def test_a_body_that_breaks_its_promise_is_our_fault(self, transport: UrllibTransport, body: Numbers) -> None:
        with FaultServer(read_request(), send(answer())) as server, pytest.raises(TransportFailure) as caught:
            transport.send(Request("POST", server.url, (), {}, body))
        assert (caught.value.kind, caught.value.repeatable) == ("upload", False)

    def test_an_answer_before_the_upload_is_over_is_heard(self, transport: UrllibTransport) -> None:
        early = answer(b"too large", "Connection: close", status="413 Content Too Large")
        with FaultServer(read_bytes(500), send(early), half_close(), until_gone()) as server:
            response = transport.send(Request("POST", server.url, (), {}, Numbers()))
        assert (response.status, response.body) == (413, b"too large")

    def test_a_server_that_takes_nothing_is_given_up(self) -> None:
        transport = UrllibTransport(TransportOptions(read_timeout=0.1))
        with FaultServer(pause()) as server, pytest.raises(TransportFailure) as caught:
            transport.send(Request("POST", server.url, (), {}, bytes(20_000_000)))
        assert (caught.value.kind, caught.value.sent) == ("timeout", "maybe")


def test_threads_share_a_transport_and_never_their_answers() -> None:
    transport = UrllibTransport(TransportOptions(pool_size=8))
    with FaultServer(serve(lambda request: answer(request.split(b" ")[1]))) as server, ThreadPoolExecutor(8) as threads:
        paths = [f"/{i}" for i in range(200)]
        bodies = threads.map(lambda path: transport.send(get(server, path)).body.decode(), paths)
        assert list(bodies) == paths
        transport.close()
    assert server.connections <= 8


def test_the_gate_lets_one_exchange_in_at_a_time() -> None:
    inside: list[int] = []
    gate = threading.Lock()

    def respond(_: bytes) -> bytes:
        inside.append(int(gate.locked()))
        return answer(BODY)

    transport = UrllibTransport(gate=gate)
    with FaultServer(serve(respond)) as server, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: transport.send(get(server)), range(20)))
        transport.close()
    assert inside == [1] * 20
    assert server.connections == 1
