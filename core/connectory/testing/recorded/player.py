"""vcrpy's cassette as a strict player: each request must be the next one recorded, and gets its answer."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, Final
from unittest.mock import patch

import attrs
import vcr.cassette
import vcr.request
from vcr.patch import PATCHER_NAMES
from vcr.record_mode import RecordMode

from connectory.testing.recorded.cassettes import Exchange
from connectory.testing.recorded.matching import Asked, Mismatch, compare, kept_headers
from connectory.transport.client import UrllibTransport
from connectory.transport.options import TransportOptions

logging.getLogger("vcr").setLevel(logging.WARNING)  # below that its log spells out requests and answers, secrets too

# vcrpy stands below urllib3 only: whatever else a plug-in calls meets the blocked network.
OTHERS: Final = tuple(name for name in PATCHER_NAMES if name != "urllib3")
GATE: Final = threading.RLock()
"""Held by whoever has a cassette open: vcrpy's patches are the whole process's."""


class Deviation(Exception):
    """A request that is not the one recorded. It is no error of the transport: nothing tries again."""


class NetworkUsed(Exception):
    """Something asked for the network while a recording was played."""


@attrs.frozen
class Deviated:
    """How the conversation left the recording: the request made, and the one that should have been (None: no more)."""

    made: Asked
    recorded: Exchange | None
    mismatches: tuple[Mismatch, ...]


class Player(vcr.cassette.Cassette):  # type: ignore[misc]
    """Plays exchanges in their order. Matching by position costs the same for the last exchange as for the first."""

    def __init__(self, exchanges: tuple[Exchange, ...], name: str) -> None:
        super().__init__(path=name, record_mode=RecordMode.NONE, skip_patchers=OTHERS)
        self.exchanges = exchanges
        self.position = 0
        self.deviated: Deviated | None = None

    def can_play_response_for(self, request: Any) -> bool:
        return True

    def play_response(self, request: Any) -> dict[str, Any]:
        """The answer to the next request. Raises Deviation."""
        made = asked_by(request)
        exchange = self.exchanges[self.position] if self.position < len(self.exchanges) else None
        mismatches = tuple(compare(made, asked_of(exchange))) if exchange is not None else ()
        if exchange is None or mismatches:
            self.deviated = self.deviated or Deviated(made, exchange, mismatches)
            raise Deviation
        self.position += 1
        return response_of(exchange)

    def _load(self) -> None:
        """The exchanges are at hand."""

    def _save(self, force: bool = False) -> None:
        """Nothing is recorded."""


def asked_by(request: vcr.request.Request) -> Asked:
    """A request as vcrpy saw it."""
    body = request.body_bytes if request.body is not None else None
    agent = TransportOptions().user_agent
    headers = {name: _text(value) for name, value in request.headers.items()}
    return Asked(request.method, request.uri, kept_headers(headers, agent), body or None)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def asked_of(exchange: Exchange) -> Asked:
    """The request of an exchange."""
    return Asked(exchange.method, exchange.url, exchange.headers, exchange.body)


def response_of(exchange: Exchange) -> dict[str, Any]:
    """An answer as vcrpy holds it; a new one each time, since vcrpy changes what it is given."""
    return {
        "status": {"code": exchange.status, "message": exchange.reason},
        "headers": {name: list(values) for name, values in exchange.answer_headers.items()},
        "body": {"string": exchange.answer},
    }


@contextmanager
def open_cassette(cassette: vcr.cassette.Cassette) -> Iterator[None]:
    """Put a cassette below urllib3, for all threads of the process."""
    from vcr.patch import CassettePatcherBuilder

    with GATE, ExitStack() as stack:
        for patcher in CassettePatcherBuilder(cassette).build():
            stack.enter_context(patcher)
        yield


@contextmanager
def network_blocked() -> Iterator[None]:
    """No socket connects, no name is looked up: what asks for either raises NetworkUsed."""

    def refuse(*arguments: Any, **_: Any) -> Any:
        raise NetworkUsed(f"the network was asked for: {_address(arguments)}")

    with ExitStack() as stack:
        for name in ("connect", "connect_ex", "sendto", "sendmsg"):
            if hasattr(socket.socket, name):  # Windows has no sendmsg
                stack.enter_context(patch.object(socket.socket, name, refuse))
        for name in ("create_connection", "getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            stack.enter_context(patch.object(socket, name, refuse))
        yield


def _address(arguments: tuple[Any, ...]) -> str:
    told = [argument for argument in arguments if isinstance(argument, str | tuple)]
    return ", ".join(map(str, told)) or "an address"


@cache
def replaying_transport() -> UrllibTransport:
    """One transport for all replays of the process: reading the machine's CAs takes longer than a whole replay."""
    return UrllibTransport(TransportOptions(allow_http=True), gate=threading.Lock())
