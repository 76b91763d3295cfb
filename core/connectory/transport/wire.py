"""urllib3's pools with three things more: a wall limit, a sharper eye for cuts, and knowledge of what was sent."""

from __future__ import annotations

import email.errors
import http.client
import io
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

from connectory.clock import Clock
from connectory.transport.options import TransportOptions

if TYPE_CHECKING:
    from urllib3._base_connection import BaseHTTPConnection  # there for type checkers only

HEAD_BUFFER = 16 * 1024
STRAY_LINES = (
    email.errors.FirstHeaderLineIsContinuationDefect,
    email.errors.InvalidHeaderDefect,
    email.errors.MisplacedEnvelopeHeaderDefect,
    email.errors.MissingHeaderBodySeparatorDefect,
)
"""What the parser notes when it gives up on a head: all headers after such a line, the length too, are lost."""


class MalformedAnswer(http.client.HTTPException):
    """An answer that breaks HTTP in a way that http.client lets pass. Its text holds nothing of the answer."""


class Exchange:
    """One request on its way: its limits, and what is known of it when it fails."""

    __slots__ = ("_clock", "_ends_at", "answered", "connection", "host", "options", "reused", "via", "wire", "writing")

    def __init__(self, clock: Clock, options: TransportOptions, host: str, via: str = "") -> None:
        self._clock = clock
        self._ends_at = clock.monotonic() + options.deadline
        self.options = options
        self.host = host  # as messages name it
        self.via = via  # the proxy, likewise
        self.connection: BaseHTTPConnection | None = None
        self.wire: Wire | None = None
        self.reused = False  # a connection kept alive from an earlier request
        self.writing = False  # from here on the request may have reached the other side
        self.answered = False  # at least one byte came back

    def patience(self) -> float:
        """Seconds that the next wait for the socket may take. Raises TimeoutError past the wall limit."""
        left = self._ends_at - self.now()
        if left <= 0:
            raise TimeoutError("deadline")
        return min(left, self.options.read_timeout)

    def over(self) -> bool:
        return self.now() >= self._ends_at

    def too_old(self, idle_since: float) -> bool:
        return self.now() - idle_since > self.options.max_idle

    def now(self) -> float:
        return self._clock.monotonic()

    def pace_writing(self) -> None:
        """Let the next write take as long as a read may: urllib3 writes under the connect time-out."""
        patience = self.patience()
        sock = getattr(self.connection, "sock", None)
        if sock is not None:
            sock.settimeout(patience)


_current = threading.local()


@contextmanager
def watching(exchange: Exchange) -> Iterator[None]:
    """While inside, the pools of this thread report to `exchange`: urllib3 passes nothing of ours down to them."""
    outer = getattr(_current, "exchange", None)
    _current.exchange = exchange
    try:
        yield
    finally:
        _current.exchange = outer


def _exchange() -> Exchange:
    exchange: Exchange | None = getattr(_current, "exchange", None)
    if exchange is None:
        raise RuntimeError("a pool was used outside of an exchange")
    return exchange


class Wire(io.RawIOBase):
    """The socket as seen by the answer's parser: every wait is cut to what the exchange has left."""

    def __init__(self, raw: Any, sock: socket.socket, exchange: Exchange) -> None:
        self._raw = raw
        self._sock = sock
        self._exchange = exchange
        self.ended = False  # the other side closed
        self.shut = False  # we want no more

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended or self.shut:
            return 0
        self._sock.settimeout(self._exchange.patience())
        count: int | None = self._raw.readinto(buffer)
        self.ended = count == 0
        self._exchange.answered |= bool(count)
        return count

    def spoil(self) -> None:
        """Make the connection unfit for another request; its pool notices when it looks at the socket."""
        with suppress(OSError, AttributeError):  # closed already; TLS inside TLS has no shutdown
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._raw.close()
        super().close()


class WireBuffer(io.BufferedReader):
    """The buffer over a Wire. Bytes left over after an answer would be taken for the start of the next one."""

    def close(self) -> None:
        wire = self.raw
        if isinstance(wire, Wire) and not self.closed:
            wire.shut = True
            if self.peek(1):
                wire.spoil()
        super().close()


class WatchedResponse(http.client.HTTPResponse):
    """http.client's answer, less forgiving: a cut head, an unreadable length or a stray line are errors."""

    def __init__(self, sock: socket.socket, *args: Any, exchange: Exchange, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._wire = Wire(self.fp.detach(), sock, exchange)
        self.fp = WireBuffer(self._wire, HEAD_BUFFER)
        exchange.wire = self._wire

    def begin(self, **options: Any) -> None:
        try:
            super().begin(**options)
            while 100 <= self.status < 200:  # http.client skips 100 only, and would take a 103 for the answer
                if self.status == 101:
                    raise MalformedAnswer("the server changes to another protocol")
                self.headers = self.msg = None  # type: ignore[assignment]  # as before begin(), which this repeats
                super().begin(**options)
        except http.client.RemoteDisconnected:
            raise
        except http.client.HTTPException:
            if self._wire.ended:
                raise http.client.IncompleteRead(b"") from None
            raise
        if self._wire.ended:
            raise http.client.IncompleteRead(b"")
        self._check_head()

    def _check_head(self) -> None:
        """Refuse what would make the end of the body a matter of opinion."""
        if any(isinstance(defect, STRAY_LINES) for defect in self.msg.defects):
            raise MalformedAnswer("the answer's head has a line that is no header")
        coding = ",".join(self.headers.get_all("transfer-encoding", [])).strip().lower()
        if coding not in ("", "chunked", "identity"):
            raise MalformedAnswer("the answer's Transfer-Encoding is not understood")
        lengths = {value.strip() for value in self.headers.get_all("content-length", [])}
        if coding != "chunked" and (len(lengths) > 1 or any(not (v.isascii() and v.isdigit()) for v in lengths)):
            raise MalformedAnswer("the answer's Content-Length is not one number")


class WatchedPool(HTTPConnectionPool):
    """A pool whose connections report to the exchange under way."""

    def _get_conn(self, timeout: float | None = None) -> BaseHTTPConnection:
        exchange = _exchange()
        conn = super()._get_conn(timeout)
        if not conn.is_closed and exchange.too_old(getattr(conn, "idle_since", exchange.now())):
            conn.close()
        # Set on the connection, not by a class of ours: recorders put in connection classes of their own.
        conn.response_class = partial(WatchedResponse, exchange=exchange)  # type: ignore[attr-defined]
        exchange.connection, exchange.reused = conn, not conn.is_closed
        return conn

    def _put_conn(self, conn: BaseHTTPConnection | None) -> None:
        exchange: Exchange | None = getattr(_current, "exchange", None)  # none where a recorder tidies up
        if conn is not None and exchange is not None:
            conn.idle_since = exchange.now()  # type: ignore[attr-defined]
        super()._put_conn(conn)

    def _validate_conn(self, conn: BaseHTTPConnection) -> None:
        super()._validate_conn(conn)  # TLS connects in here
        _exchange().writing = True


class WatchedTLSPool(WatchedPool, HTTPSConnectionPool):
    """The same over TLS."""


POOLS = {"http": WatchedPool, "https": WatchedTLSPool}


def _hide_queries(record: logging.LogRecord) -> bool:
    """urllib3's debug log spells out every query, and that is where some vendors want their keys."""
    if isinstance(record.args, tuple):
        record.args = tuple(a.partition("?")[0] if isinstance(a, str) else a for a in record.args)
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_hide_queries)
