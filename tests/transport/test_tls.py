"""HTTPS: sound certificates pass, each bad one is named, never repeated, and never argued away."""

from __future__ import annotations

import datetime
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from connectory.errors import SettingError
from connectory.messages import Request
from connectory.transport.client import UrllibTransport
from connectory.transport.failures import TransportFailure
from servers.fault_server import FaultServer, Step, answer, read_request, reset, send, serve

from .conftest import Serving

YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
CUT = answer(b"0123456789")[:-1]


def refused(transport: UrllibTransport, context: ssl.SSLContext) -> TransportFailure:
    with FaultServer(serve(lambda _: answer()), tls=context) as server:
        with pytest.raises(TransportFailure) as caught:
            transport.send(Request("POST", server.url, (), {}, b"{}"))
        assert not server.requests
    return caught.value


def test_a_sound_certificate_passes(transport: UrllibTransport, trusted: Path, serving: Serving) -> None:
    with FaultServer(serve(lambda _: answer(b"x" * 100_000)), tls=serving("127.0.0.1")) as server:
        for _ in range(3):
            assert transport.send(Request("GET", server.url)).body == b"x" * 100_000
        assert server.connections == 1


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_each_variable_for_an_own_ca_is_heeded(
    variable: str, trusted: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    place = trusted
    if variable == "SSL_CERT_DIR":
        place = trusted.parent / "folder"
        place.mkdir()
        pem = trusted.read_text()
        for number in range(2):  # OpenSSL looks for the subject's hash
            (place / f"{subject_hash(trusted)}.{number}").write_text(pem)
    monkeypatch.setenv(variable, str(place))
    transport = UrllibTransport()
    with FaultServer(read_request(), send(answer(b"ok")), tls=serving("localhost"), host="localhost") as server:
        assert transport.send(Request("GET", server.url)).body == b"ok"
        transport.close()


def subject_hash(certificate: Path) -> str:
    try:
        command = ["openssl", "x509", "-hash", "-noout", "-in", str(certificate)]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except FileNotFoundError:
        pytest.skip("no openssl command to name the files of a folder of CAs")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_a_variable_that_leads_nowhere_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "/nowhere/ca.pem")
    with pytest.raises(SettingError, match=f"{variable} names '/nowhere/ca.pem'"):
        UrllibTransport().send(Request("GET", "https://api.vendor.invalid"))


def test_a_file_without_certificates_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(SettingError, match=r"ca\.pem' cannot be read"):
        UrllibTransport().send(Request("GET", "https://api.vendor.invalid"))


class TestRefused:
    def test_expired(self, transport: UrllibTransport, trusted: Path, serving: Serving) -> None:
        self.check(refused(transport, serving("127.0.0.1", not_after=YESTERDAY)), "has expired")

    def test_for_another_host(self, transport: UrllibTransport, trusted: Path, serving: Serving) -> None:
        self.check(refused(transport, serving("api.vendor.example", "127.0.0.2")), "for another address")

    def test_for_another_name(self, transport: UrllibTransport, trusted: Path, serving: Serving) -> None:
        with FaultServer(tls=serving("api.vendor.example"), host="localhost") as server:
            with pytest.raises(TransportFailure) as caught:
                transport.send(Request("GET", server.url))
            self.check(caught.value, "for another host")

    def test_self_signed(self, transport: UrllibTransport, trusted: Path, serving: Serving) -> None:
        self.check(refused(transport, serving(self_signed=True)), "self-signed")

    def test_of_an_unknown_ca(self, transport: UrllibTransport, trusted: Path, serving: Serving) -> None:
        self.check(refused(transport, serving("127.0.0.1", ca=trustme.CA())), "SSL_CERT_FILE")

    def test_plain_http_on_the_port(self, transport: UrllibTransport, trusted: Path) -> None:
        with FaultServer(send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
            with pytest.raises(TransportFailure) as caught:
                transport.send(Request("GET", server.url.replace("http:", "https:")))
            self.check(caught.value, "does not speak TLS")

    def check(self, found: TransportFailure, words: str) -> None:
        assert (found.kind, found.sent, found.repeatable) == ("tls", "no", False)
        assert words in str(found)


@pytest.mark.parametrize("steps", [[send(CUT)], [send(CUT), reset()], [reset()], []])
def test_cuts_are_noticed_within_tls_too(
    transport: UrllibTransport, trusted: Path, serving: Serving, steps: list[Step]
) -> None:
    with (
        FaultServer(read_request(), *steps, tls=serving("127.0.0.1")) as server,
        pytest.raises(TransportFailure) as caught,
    ):
        transport.send(Request("POST", server.url, (), {}, b"{}"))
    assert (caught.value.kind in ("truncated", "reset"), caught.value.sent) == (True, "maybe")


def test_plain_http_needs_no_certificates() -> None:
    """Reading the machine's CAs costs 20 ms and memory; a loopback server must not pay for it."""
    script = (
        "import ssl\n"
        "ssl.create_default_context = None\n"
        "from connectory.messages import Request\n"
        "from connectory.transport.client import UrllibTransport\n"
        "from connectory.transport.failures import TransportFailure\n"
        "try: UrllibTransport().send(Request('GET', 'http://127.0.0.1:1'))\n"
        "except TransportFailure as found: print(found.kind)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=_environment(), check=False
    )
    assert done.stdout.strip() == "refused", done.stderr


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
