"""What the tests of all vendors share: a project with a spec, one call of any operation, and what was sent for it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import attrs
import yaml

from connectory import Connector, Request, Response
from connectory.records import Records
from connectory.transport.client import UrllibTransport
from emulators.exchange import Exchange

FOLDER = Path(__file__).parent


def write_project(vendor: Path, into: Path) -> Path:
    """Lays the vendor's spec, and the plug-ins beside it (`*_plugin.py`), where a project has them."""
    text = (vendor / "spec.yaml").read_text(encoding="utf-8")
    (into / "specs").mkdir()
    (into / "specs" / f"{yaml.safe_load(text)['name']}.yaml").write_text(text, encoding="utf-8")
    (into / "connectory.toml").touch()
    for plugin in vendor.glob("*_plugin.py"):
        (into / "connectors").mkdir(exist_ok=True)
        shutil.copy(plugin, into / "connectors")
    return into


VENDORS = sorted(spec.parent.name for spec in FOLDER.glob("*/spec.yaml"))


def lies_in(vendor: str) -> Path:
    """The folder of a vendor."""
    return FOLDER / vendor


@attrs.frozen
class Carrier:
    """Brings every request to one loopback server, whatever host it was meant for: that is told by the header Host."""

    url: str
    inner: UrllibTransport = attrs.Factory(UrllibTransport)

    def send(self, request: Request, *, into: BinaryIO | None = None) -> Response:
        meant = urlsplit(request.url)
        there = request.with_headers({"Host": meant.netloc})
        return self.inner.send(attrs.evolve(there, url=self.url + request.url.partition(meant.netloc)[2]), into=into)

    def close(self) -> None:
        self.inner.close()


@attrs.frozen
class Sent:
    """A request as the vendor documents it: `GET /path?a=1&b=2` (decoded), headers among others, and the body: JSON as
    values, anything else as text, None where there is none."""

    line: str
    body: Any = None
    headers: Mapping[str, str] = attrs.field(factory=dict, kw_only=True)


@attrs.frozen
class Call:
    """A call with its arguments, the requests that it makes, in their order, and, where it is said, what it gives."""

    given: Mapping[str, Any]
    sends: Sequence[Sent]
    gives: Any = None


def run(connector: Connector, operation: str, given: Mapping[str, Any]) -> Any:
    """One call; of a list its records."""
    gives = connector.operation(operation)(**given)
    return list(gives) if isinstance(gives, Records) else gives


def line_of(exchange: Exchange) -> str:
    """`GET /path?a=1&b=2`, the query decoded."""
    query = "&".join(f"{name}={value}" for name, value in exchange.query)
    return f"{exchange.route}?{query}" if query else exchange.route


def body_of(exchange: Exchange) -> Any:
    """JSON as values, anything else as text, None where there is none."""
    if not exchange.body:
        return None
    return exchange.json() if exchange.media_type == "application/json" else exchange.body.decode()


def assert_sent(exchanges: Sequence[Exchange], wanted: Sequence[Sent]) -> None:
    """Whether these requests came in, these alone, in this order."""
    assert [line_of(each) for each in exchanges] == [each.line for each in wanted]
    assert [body_of(each) for each in exchanges] == [each.body for each in wanted]
    for came, sent in zip(exchanges, wanted, strict=True):
        assert {name: came.header(name) for name in sent.headers} == dict(sent.headers)
