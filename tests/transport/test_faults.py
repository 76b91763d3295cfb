"""Every way in which a server or the way to it can fail is noticed, named, and told apart by what was sent."""

from __future__ import annotations

import gzip
import io
import logging
import socket
import time
import traceback
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectory.clock import ManualClock
from connectory.messages import Request
from connectory.transport.client import UrllibTransport
from connectory.transport.failures import Kind, TransportFailure
from connectory.transport.options import TransportOptions
from servers.fault_server import (
    FaultServer,
    Step,
    Talk,
    answer,
    call,
    chunked,
    dribble,
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

MIB = 1024 * 1024
BODY = b'{"records": [1, 2, 3]}' * 100
PACKED = gzip.compress(BODY)
CHUNKED = "Transfer-Encoding: chunked"
GZIP = "Content-Encoding: gzip"


def failure(transport: UrllibTransport, url: str, method: str = "GET") -> TransportFailure:
    """What a request fails with, having failed in good time."""
    started = time.monotonic()
    with pytest.raises(TransportFailure) as caught:
        transport.send(Request(method, url, (), {}, b"{}" if method == "POST" else None))
    assert time.monotonic() - started < 1.5
    return caught.value


class TestNoConnection:
    def test_nothing_listens(self, transport: UrllibTransport) -> None:
        with FaultServer() as server:
            url = server.url
        found = failure(transport, url, "POST")
        assert (found.kind, found.sent, found.repeatable) == ("refused", "no", True)
        assert str(found) == f"{url[7:]}: connection refused"

    def test_the_name_does_not_resolve(self, transport: UrllibTransport) -> None:
        found = failure(transport, "https://api.vendor.invalid/v1")
        assert (found.kind, found.sent, found.repeatable) == ("dns", "no", True)
        assert str(found) == "api.vendor.invalid: the name does not resolve"

    def test_the_other_side_stays_silent_while_connecting(self) -> None:
        transport = UrllibTransport(TransportOptions(connect_timeout=0.1))
        with full_listener() as port:
            found = failure(transport, f"http://127.0.0.1:{port}")
        assert (found.kind, found.sent, found.repeatable) == ("timeout", "no", True)
        assert "no connection within 0.1 s" in str(found)

    def test_tls_never_gets_anywhere(self) -> None:
        transport = UrllibTransport(TransportOptions(connect_timeout=0.1))
        with FaultServer(pause()) as server:
            found = failure(transport, server.url.replace("http:", "https:"), "POST")
        assert (found.kind, found.sent) == ("timeout", "no")

    def test_the_connection_is_cut_within_the_handshake(self, transport: UrllibTransport) -> None:
        with FaultServer(read_bytes(5), reset()) as server:
            found = failure(transport, server.url.replace("http:", "https:"), "POST")
        assert (found.kind, found.sent, found.repeatable) == ("reset", "no", True)


@contextmanager
def full_listener() -> Iterator[int]:
    """A port whose queue is full: the kernel leaves further callers without an answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        time.sleep(0.02)
        yield listener.getsockname()[1]
        for caller in callers:
            caller.close()


WHOLE = answer(BODY)
HEAD = len(WHOLE) - len(BODY)
RANDOM = bytes((i * i * 7919 >> 3) & 255 for i in range(200_000))

BROKEN: dict[str, tuple[Kind, bool, list[Step]]] = {
    "closed before a byte": ("reset", True, [read_request()]),
    "reset before a byte": ("reset", True, [read_request(), reset()]),
    "cut in the status line": ("truncated", True, [read_request(), send(b"HTTP/1.1 20")]),
    "cut in the headers": ("truncated", True, [read_request(), send(WHOLE[:30])]),
    "cut before the blank line": ("truncated", True, [read_request(), send(WHOLE[: HEAD - 2])]),
    "cut in the body": ("truncated", True, [read_request(), send(WHOLE[:-9])]),
    "cut right after the head": ("truncated", True, [read_request(), send(WHOLE[:HEAD])]),
    "reset in the body": ("reset", True, [read_request(), send(WHOLE[:-9]), pause(0.05), reset()]),
    "cut in a chunk": ("truncated", True, [read_request(), send(answer(chunked(BODY)[:-90], CHUNKED, length=None))]),
    "no last chunk": ("truncated", True, [read_request(), send(answer(chunked(BODY)[:-5], CHUNKED, length=None))]),
    "cut after a zero of a chunk's size": (
        "truncated",
        True,
        [read_request(), send(answer(b"0003\r\nabc\r\n000", CHUNKED, length=None))],
    ),
    "chunk size that is no number": (
        "truncated",
        True,
        [read_request(), send(answer(b"xyz\r\nabc\r\n0\r\n\r\n", CHUNKED, length=None))],
    ),
    "gzip cut, its length right": ("truncated", True, [read_request(), send(answer(PACKED[:-20], GZIP))]),
    "gzip without trailer": ("truncated", True, [read_request(), send(answer(PACKED[:-8], GZIP))]),
    "gzip cut to nothing": ("truncated", True, [read_request(), send(answer(b"", GZIP, length=None))]),
    "deflate cut": (
        "truncated",
        True,
        [read_request(), send(answer(zlib.compress(RANDOM)[:-90], "Content-Encoding: deflate"))],
    ),
    "gzip with a wrong checksum": (
        "corrupt",
        True,
        [read_request(), send(answer(PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], GZIP))],
    ),
    "gzip with junk behind": ("corrupt", True, [read_request(), send(answer(PACKED + b"<!-- junk -->", GZIP))]),
    "deflate with junk behind": (
        "corrupt",
        True,
        [read_request(), send(answer(zlib.compress(BODY) + b"junk", "Content-Encoding: deflate"))],
    ),
    "not gzip at all": ("bad_encoding", False, [read_request(), send(answer(BODY, GZIP))]),
    "gzip twice": (
        "bad_encoding",
        False,
        [read_request(), send(answer(gzip.compress(PACKED), "Content-Encoding: gzip, gzip"))],
    ),
    "unknown coding": ("bad_encoding", False, [read_request(), send(answer(BODY, "Content-Encoding: br"))]),
    "no HTTP": ("malformed", True, [read_request(), send(b"220 mail.example ESMTP\r\n")]),
    "HTTP/2 unasked": ("malformed", True, [read_request(), send(b"HTTP/2 200 OK\r\n\r\n")]),
    "150 headers": (
        "malformed",
        True,
        [read_request(), send(answer(BODY, *(f"X-{i}: {i}" for i in range(150))))],
    ),
    "a header of 1 MB": ("malformed", True, [read_request(), send(answer(BODY, "X-Long: " + "x" * MIB))]),
    "a line that is no header": ("malformed", True, [read_request(), send(answer(BODY, "no header at all"))]),
    "two lengths": ("malformed", True, [read_request(), send(answer(BODY, "Content-Length: 5"))]),
    "a length that is no number": (
        "malformed",
        True,
        [read_request(), send(answer(BODY, "Content-Length: many", length=None))],
    ),
    "a coding of transfer nobody asked for": (
        "malformed",
        True,
        [read_request(), send(answer(BODY, "Transfer-Encoding: gzip, chunked", length=None))],
    ),
    "another protocol": (
        "malformed",
        True,
        [read_request(), send(answer(b"", "Upgrade: x", status="101 Switching Protocols", length=None))],
    ),
}


@pytest.mark.parametrize(("kind", "repeatable", "steps"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_broken_answer_is_never_taken_for_a_whole_one(
    transport: UrllibTransport, method: str, kind: Kind, repeatable: bool, steps: list[Step]
) -> None:
    with FaultServer(*steps, half_close(), until_gone()) as server:
        found = failure(transport, server.url, method)
    assert (found.kind, found.repeatable, found.sent) == (kind, repeatable, "maybe")
    assert found.host == server.url[7:]


def test_a_failure_tells_the_status_once_it_was_seen(transport: UrllibTransport) -> None:
    cut = answer(BODY, status="201 Created")[:-1]
    with FaultServer(read_request(), send(cut)) as server:
        assert failure(transport, server.url, "POST").status == 201
    with FaultServer(read_request()) as server:
        assert failure(transport, server.url, "POST").status is None


class TestSilenceAndDrip:
    @pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\n", WHOLE[:-5]])
    def test_silence_ends_at_the_read_timeout(self, first: bytes) -> None:
        transport = UrllibTransport(TransportOptions(read_timeout=0.1))
        with FaultServer(read_request(), send(first), pause()) as server:
            found = failure(transport, server.url)
        assert (found.kind, found.sent) == ("timeout", "maybe")
        assert "no byte within 0.1 s" in str(found)

    def test_silence_ends_at_the_deadline_where_that_is_sooner(self) -> None:
        transport = UrllibTransport(TransportOptions(read_timeout=5, deadline=0.1))
        with FaultServer(read_request(), pause()) as server:
            assert failure(transport, server.url).kind == "deadline"

    @pytest.mark.parametrize(
        "steps",
        [
            [dribble(WHOLE, 0.01)],
            [send(b"HTTP/1.1 "), dribble(b"200" + b" OK" * 100, 0.01)],
            [dribble(b"HTTP/1.1 100 Continue\r\n\r\n" * 9, 0.01)],
            [send(WHOLE[:HEAD]), dribble(BODY, 0.01)],
            [send(answer(b"", CHUNKED, length=None)), dribble(b"0" * 500, 0.01)],
            [send(answer(chunked(BODY)[:-4], CHUNKED, length=None)), dribble(b"\r\nX-Trailer: 1" * 50, 0.01)],
            [send(answer(b"", length=None)), dribble(BODY, 0.01)],
        ],
        ids=["from the start", "status line", "interim answers", "body", "chunk size", "trailer", "no length"],
    )
    def test_a_drip_ends_at_the_deadline(self, steps: list[Step]) -> None:
        """Bytes keep coming well within the read time-out, so only the wall limit can end it."""
        transport = UrllibTransport(TransportOptions(read_timeout=1, deadline=0.15))
        with FaultServer(read_request(), *steps) as server:
            started = time.monotonic()
            found = failure(transport, server.url)
            assert 0.1 < time.monotonic() - started < 0.6
        assert (found.kind, found.sent) == ("deadline", "maybe")
        assert "not finished within 0.15 s" in str(found)

    def test_the_deadline_is_kept_by_the_clock_it_was_given(self) -> None:
        clock = ManualClock()
        transport = UrllibTransport(TransportOptions(deadline=300), clock=clock)
        with FaultServer() as server:
            server.play(read_request(), call(lambda: clock.wind(299)), send(answer(BODY, "Connection: close")))
            assert transport.send(Request("GET", server.url)).body == BODY
            server.play(read_request(), call(lambda: clock.wind(301)), dribble(WHOLE, 0.001))
            assert failure(transport, server.url).kind == "deadline"

    def test_a_slow_taker_of_an_upload_ends_at_the_deadline(self) -> None:
        transport = UrllibTransport(TransportOptions(read_timeout=1, deadline=0.15))

        def sip(talk: Talk) -> None:
            for _ in range(1000):
                talk.read_exactly(60_000)
                pause(0.01)(talk)

        with FaultServer(sip) as server, pytest.raises(TransportFailure) as caught:
            transport.send(Request("POST", server.url, (), {}, bytes(60_000_000)))
        assert (caught.value.kind, caught.value.sent) == ("deadline", "maybe")


class Counting(io.BytesIO):
    """Keeps count and nothing else."""

    written = 0

    def write(self, data: Buffer) -> int:
        size = memoryview(data).nbytes
        self.written += size
        return size


class TestTooLarge:
    @pytest.mark.parametrize(
        "wire",
        [
            answer(gzip.compress(bytes(64 * MIB)), GZIP),
            answer(zlib.compress(bytes(64 * MIB)), "Content-Encoding: deflate"),
            answer(b"".join(gzip.compress(bytes(MIB)) for _ in range(20)), GZIP),
            answer(bytes(4 * MIB), length=None),
            answer(chunked(*[bytes(MIB)] * 4), CHUNKED, length=None),
        ],
        ids=["gzip bomb", "deflate bomb", "many members", "no length", "chunked"],
    )
    def test_reading_stops_at_the_bound(self, wire: bytes) -> None:
        transport = UrllibTransport(TransportOptions(max_download=2 * MIB, max_bytes=2 * MIB))
        with FaultServer(read_request(), send(wire)) as server:
            sink = Counting()
            with pytest.raises(TransportFailure) as caught:
                transport.send(Request("GET", server.url), into=sink)
            assert (caught.value.kind, caught.value.repeatable) == ("too_large", False)
            assert sink.written <= 3 * MIB
            assert failure(transport, server.url).kind == "too_large"

    def test_an_announced_size_is_refused_unread(self) -> None:
        transport = UrllibTransport(TransportOptions(max_bytes=MIB))
        with FaultServer(read_request(), send(answer(b"", length=MIB + 1)), pause()) as server:
            assert failure(transport, server.url).kind == "too_large"

    def test_a_bomb_under_the_bound_is_told_by_its_ratio(self) -> None:
        transport = UrllibTransport()
        with FaultServer(read_request(), send(answer(gzip.compress(bytes(64 * MIB)), GZIP))) as server:
            sink = Counting()
            with pytest.raises(TransportFailure, match="200 times its size"):
                transport.send(Request("GET", server.url), into=sink)
        assert sink.written <= 9 * MIB

    def test_a_small_body_may_pack_as_well_as_it_likes(self, transport: UrllibTransport) -> None:
        with FaultServer(read_request(), send(answer(gzip.compress(bytes(4 * MIB)), GZIP))) as server:
            assert transport.send(Request("GET", server.url)).body == bytes(4 * MIB)


def test_no_failure_quotes_query_headers_or_bodies(transport: UrllibTransport) -> None:
    canary = "s3cr3tcanary"
    request = Request(
        "POST", "", (("key", canary),), {"Authorization": canary, "Content-Type": "text/plain"}, canary.encode()
    )
    scripts = [steps for _, _, steps in BROKEN.values()]
    scripts.append([read_request(), send(answer(b"", f"Content-Length: {canary}", length=None))])
    scripts.append([read_request(), send(answer(b"x", f"Content-Encoding: {canary} {canary}"))])
    scripts.append([read_request(), send(f"{canary}\r\n\r\n".encode())])
    scripts.append([read_request(), send(answer(b"", f"{canary} is no header"))])
    with FaultServer() as server:
        for steps in scripts:
            server.play(*steps, half_close(), until_gone())
            sent = Request(request.method, server.url + "/p", request.query, request.headers, request.body)
            with pytest.raises(TransportFailure) as caught:
                transport.send(sent)
            assert canary not in "".join(traceback.format_exception(caught.value))


def test_no_log_of_the_layers_below_spells_out_the_query(
    transport: UrllibTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with FaultServer(serve(lambda _: WHOLE)) as server:
        transport.send(Request("GET", server.url + "/people", (("key", "s3cr3tcanary"),)))
    assert "/people" in caplog.text
    assert "s3cr3tcanary" not in caplog.text


def framed(body: bytes, coding: str, framing: str, size: int) -> bytes:
    """A whole answer's wire bytes."""
    packed = body if coding == "identity" else zlib.compress(body) if coding == "deflate" else gzip.compress(body)
    headers = [f"Content-Encoding: {coding}"]
    if framing == "chunks":
        parts = [packed[i : i + size] for i in range(0, len(packed), size)]
        return answer(chunked(*parts), CHUNKED, *headers, length=None)
    return answer(packed, *headers, length=len(packed) if framing == "length" else None)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=300)
    | st.builds(lambda b, n: b * n, st.binary(min_size=1, max_size=40), st.integers(1, 9000)),
    coding=st.sampled_from(["identity", "gzip", "deflate"]),
    framing=st.sampled_from(["length", "chunks", "closing"]),
    size=st.integers(1, 5000),
    cut=st.one_of(st.none(), st.floats(0, 1, exclude_max=True)),
    seams=st.lists(st.floats(0, 1), max_size=6),
)
@example(body=b"", coding="gzip", framing="closing", size=1, cut=0.99, seams=[])
def test_every_whole_answer_is_exact_and_every_cut_noticed(
    shared: tuple[FaultServer, UrllibTransport],
    body: bytes,
    coding: str,
    framing: str,
    size: int,
    cut: float | None,
    seams: list[float],
) -> None:
    server, transport = shared
    wire = framed(body, coding, framing, max(size, len(body) // 50))
    sent = wire if cut is None else wire[: int(cut * len(wire))]
    places = sorted({int(seam * len(sent)) for seam in seams} | {0, len(sent)})
    pieces = [sent[start:end] for start, end in pairwise(places)]
    server.play(read_request(), send(*pieces), half_close(), until_gone())
    in_doubt = (coding, framing) == ("identity", "closing")
    if cut is None:
        response = transport.send(Request("GET", server.url))
        assert (response.body, response.whole) == (body, not in_doubt)
    elif in_doubt and b"\r\n\r\n" in sent:
        response = transport.send(Request("GET", server.url))
        assert body.startswith(response.body)
        assert not response.whole
    else:
        with pytest.raises(TransportFailure) as caught:
            transport.send(Request("GET", server.url))
        assert caught.value.kind in ("truncated", "reset")


@pytest.fixture
def shared() -> Iterator[tuple[FaultServer, UrllibTransport]]:
    transport = UrllibTransport(TransportOptions(max_idle=0))
    with FaultServer() as server:
        yield server, transport
        transport.close()
