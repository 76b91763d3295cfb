"""A transport with short limits, and certificates good and bad."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from connectory.transport.client import UrllibTransport
from connectory.transport.options import TransportOptions

Serving = Callable[..., ssl.SSLContext]


@pytest.fixture
def transport() -> Iterator[UrllibTransport]:
    made = UrllibTransport(TransportOptions(connect_timeout=2, read_timeout=2, deadline=4))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_own_cas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever CAs the developer's machine is told of, these tests are not."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_own_cas: None) -> Path:
    """The file of our CA, which SSL_CERT_FILE names."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


@pytest.fixture
def serving(authority: trustme.CA) -> Serving:
    """`serving("127.0.0.1", ...)`: a server's side of TLS with a certificate for these names."""

    def make(
        *names: str, ca: trustme.CA = authority, not_after: datetime.datetime | None = None, self_signed: bool = False
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self_signed:
            own = trustme.CA()
            own_pem = own.private_key_pem.bytes() + own.cert_pem.bytes()
            with trustme.Blob(own_pem).tempfile() as path:
                context.load_cert_chain(path)
            return context
        ca.issue_cert(*names, not_after=not_after).configure_cert(context)
        return context

    return make
