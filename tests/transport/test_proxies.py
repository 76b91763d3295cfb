"""The environment's proxies are used, and a failure says when it is theirs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectory.errors import SettingError
from connectory.messages import Request
from connectory.transport.client import UrllibTransport
from connectory.transport.failures import TransportFailure
from connectory.transport.options import TransportOptions
from connectory.transport.routes import proxy_for
from servers.fault_server import (
    FaultServer,
    Step,
    Talk,
    answer,
    half_close,
    read_request,
    reset,
    send,
    start_tls,
    until_gone,
)

from .conftest import Serving

PLAIN = "http://api.vendor.test/v1"
SECURE = "https://api.vendor.test/v1"


@pytest.fixture
def transport() -> Iterator[UrllibTransport]:
    made = UrllibTransport(TransportOptions(connect_timeout=2, read_timeout=2, deadline=4, allow_http=True))
    yield made
    made.close()


def tunnel() -> Step:
    """Take in a CONNECT and agree to it."""

    def step(talk: Talk) -> None:
        talk.server.requests.append(talk.read_until(b"\r\n\r\n"))
        talk.socket.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

    return step


def failure(transport: UrllibTransport, url: str) -> TransportFailure:
    with pytest.raises(TransportFailure) as caught:
        transport.send(Request("POST", url, (), {}, b"{}"))
    return caught.value


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_http_goes_to_the_proxy_whole(
    transport: UrllibTransport, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(read_request(), send(answer(b"via"))) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        assert transport.send(Request("GET", PLAIN, (("q", "1"),))).body == b"via"
    assert proxy.requests[0].startswith(b"GET http://api.vendor.test/v1?q=1 HTTP/1.1\r\n")
    assert b"Host: api.vendor.test\r\n" in proxy.requests[0]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_https_goes_through_a_tunnel(
    transport: UrllibTransport, variable: str, trusted: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(
        tunnel(), start_tls(serving("api.vendor.test")), read_request(), send(answer(b"via")), until_gone()
    ) as proxy:
        monkeypatch.setenv(variable, f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        response = transport.send(Request("GET", SECURE, (("key", "hidden"),), {"Authorization": "hidden"}))
        transport.close()
    assert response.body == b"via"
    connect, inner = proxy.requests
    assert connect.startswith(b"CONNECT api.vendor.test:443 ")
    assert b"Basic " + base64.b64encode(b"me:p@ss") in connect
    assert b"hidden" not in connect
    assert inner.startswith(b"GET /v1?key=hidden HTTP/1.1\r\n")


def test_a_407_from_beyond_the_tunnel_is_the_servers(
    transport: UrllibTransport, trusted: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = answer(b"odd", status="407 Proxy Authentication Required")
    with FaultServer(tunnel(), start_tls(serving("api.vendor.test")), read_request(), send(wire)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert transport.send(Request("GET", SECURE)).body == b"odd"


def test_the_servers_certificate_counts_within_the_tunnel(
    transport: UrllibTransport, trusted: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(tunnel(), start_tls(serving("other.test")), until_gone()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        found = failure(transport, SECURE)
    assert (found.kind, found.sent) == ("tls", "no")
    assert "for another host" in str(found)


def test_a_proxy_without_scheme_is_http(transport: UrllibTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer(read_request(), send(answer(b"via"))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
        assert transport.send(Request("GET", PLAIN)).body == b"via"


def test_no_proxy_leads_past_it(transport: UrllibTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "localhost,.vendor.test")
    assert failure(transport, SECURE).kind == "dns"


@pytest.mark.parametrize(
    ("host", "no_proxy", "direct"),
    [
        ("api.vendor.test", "", False),
        ("api.vendor.test", "vendor.test", True),
        ("api.vendor.test", "endor.test", False),
        ("api.vendor.test", "*", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8, 192.168.0.0/16", False),
        ("2001:db8::1", "2001:db8::/32", True),
        ("127.0.0.1", "", True),
        ("localhost", "", True),
        ("::1", "", True),
    ],
)
def test_who_is_reached_directly(host: str, no_proxy: str, direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for("https", host, 443) == ("" if direct else "http://proxy.test:3128")


class TestFailures:
    @pytest.mark.parametrize("url", [PLAIN, SECURE])
    def test_the_proxy_is_down(self, transport: UrllibTransport, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with FaultServer() as proxy:
            address = f"127.0.0.1:{proxy.port}"
        monkeypatch.setenv("ALL_PROXY", f"http://me:secret@{address}")
        found = failure(transport, url)
        assert (found.kind, found.sent, found.repeatable) == ("proxy", "no", True)
        assert str(found) == f"api.vendor.test: the proxy {address}: connection refused"

    @pytest.mark.parametrize(("url", "variable"), [(PLAIN, "HTTP_PROXY"), (SECURE, "HTTPS_PROXY")])
    def test_the_proxy_wants_credentials(
        self, transport: UrllibTransport, url: str, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wire = answer(b"<html>", "Proxy-Authenticate: Basic", status="407 Proxy Authentication Required")
        with FaultServer(read_request(), send(wire), half_close(), until_gone()) as proxy:
            monkeypatch.setenv(variable, proxy.url)
            found = failure(transport, url)
        assert (found.kind, found.sent, found.repeatable) == ("proxy", "no", False)
        assert "the proxy 127.0.0.1" in str(found)
        assert "407" in str(found)

    @pytest.mark.parametrize(
        ("steps", "repeatable"),
        [
            ([send(answer(status="503 Busy"))], True),
            ([send(answer(status="403 No"))], False),
            ([reset()], True),
            ([], True),
        ],
    )
    def test_the_proxy_does_not_get_through(
        self, transport: UrllibTransport, steps: list[Step], repeatable: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with FaultServer(read_request(), *steps) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            found = failure(transport, SECURE)
        assert (found.sent, found.repeatable) == ("no", repeatable)
        assert "proxy 127.0.0.1" in str(found)

    @pytest.mark.parametrize("value", ["socks5://127.0.0.1:1080", "http://", "ftp://proxy.test"])
    def test_a_proxy_of_another_kind_is_refused(
        self, transport: UrllibTransport, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", value)
        with pytest.raises(SettingError, match="proxy for https must be"):
            transport.send(Request("GET", SECURE))
