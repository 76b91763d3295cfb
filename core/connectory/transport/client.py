"""send(Request) -> Response over urllib3's pools: the one place where bytes leave and arrive."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http import HTTPStatus
from typing import Any, BinaryIO, Protocol

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from connectory.clock import Clock, SystemClock
from connectory.messages import Headers, Request, Response
from connectory.transport.decoding import BadBody, Meter, codings, decode
from connectory.transport.failures import TransportFailure, diagnose
from connectory.transport.keeping import KEPT
from connectory.transport.options import TransportOptions
from connectory.transport.routes import Route, Routes
from connectory.transport.sanity import check_headers, check_method, check_url
from connectory.transport.uploads import PIECE, Upload, pieces_of
from connectory.transport.wire import Exchange, watching

READ = 256 * 1024
Write = Callable[[bytes], object]


class Transport(Protocol):
    """Whatever carries a Request to a server and its Response back."""

    def send(self, request: Request, *, into: BinaryIO | None = None) -> Response:
        """One exchange, no retries, no redirects followed.

        With `into` the decoded body of a success (2xx) is streamed there and `Response.body` is empty; any other body
        is in the Response as ever. When an exchange breaks in the middle, `into` is put back to where it was if it
        can seek, else it holds a part. Raises InputError (nothing was sent) and TransportFailure.
        """

    def close(self) -> None:
        """Close all idle connections. Another `send` opens new ones."""


class UrllibTransport:
    """The Transport over urllib3. Threads may share one, and a forked process opens connections of its own.

    `gate` is entered round each exchange, for a recorder that stands one request at a time only.
    """

    def __init__(
        self,
        options: TransportOptions | None = None,
        *,
        clock: Clock | None = None,
        gate: AbstractContextManager[object] | None = None,
    ) -> None:
        self._options = options or TransportOptions()
        self._clock = clock or SystemClock()
        self._gate: AbstractContextManager[object] = gate or nullcontext()
        self._routes = Routes(self._options)
        self._timeout = urllib3.Timeout(
            connect=min(self._options.connect_timeout, self._options.deadline), read=self._options.read_timeout
        )
        check_headers({"User-Agent": self._options.user_agent})

    def send(self, request: Request, *, into: BinaryIO | None = None) -> Response:
        check_method(request.method)
        parts = check_url(request, allow_http=self._options.allow_http)
        headers = self._headers(request)
        routes = self._own_routes()
        with self._gate:
            KEPT.begin(routes)
            try:
                return self._exchange(request, headers, routes.to(parts), parts.netloc, into)
            finally:
                KEPT.end(routes)

    def close(self) -> None:
        self._own_routes().close()

    def _exchange(
        self, request: Request, headers: dict[str, str], route: Route, netloc: str, into: BinaryIO | None
    ) -> Response:
        exchange = Exchange(self._clock, self._options, netloc, route.via)
        with watching(exchange):
            raw = self._ask(request, headers, route, exchange)
            try:
                return self._answer(request, raw, into, exchange)
            except BaseException:
                raw.close()
                raise
            finally:
                raw.release_conn()

    def _own_routes(self) -> Routes:
        """This process's routes: a forked child that used its parent's sockets would mix up two conversations."""
        if self._routes.pid != os.getpid():
            self._parents = self._routes  # kept, since closing takes locks that the fork may have left shut
            self._routes = Routes(self._options)
        return self._routes

    def _headers(self, request: Request) -> dict[str, str]:
        check_headers(request.headers)
        headers = dict(request.headers)
        given = {name.lower() for name in headers}
        ours = {"User-Agent": self._options.user_agent, "Accept-Encoding": "gzip"}
        if request.body is not None and not isinstance(request.body, bytes):
            ours["Content-Type"] = request.body.content_type
            check_headers({"Content-Type": request.body.content_type})
        headers.update({name: value for name, value in ours.items() if name.lower() not in given})
        return headers

    def _ask(self, request: Request, headers: dict[str, str], route: Route, exchange: Exchange) -> BaseHTTPResponse:
        """Send the request and read the head of the answer."""
        body: Any = request.body
        if body is not None and not (isinstance(body, bytes) and len(body) <= PIECE):
            headers["Content-Length"] = str(len(body))
            body = Upload(pieces_of(body), len(body), exchange)
        try:
            raw = route.open(
                request,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                timeout=self._timeout,
            )
        except (HTTPError, http.client.HTTPException, OSError) as error:
            # `from None`: the texts of the causes quote URLs and answers
            raise diagnose(error, exchange) from None
        if raw.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and route.forwarded:
            raw.close()
            words = f"the proxy {route.via}: refuses (status 407, it wants credentials)"
            raise TransportFailure(words, kind="proxy", sent="no", host=exchange.host, status=407, repeatable=False)
        return raw

    def _answer(self, request: Request, raw: BaseHTTPResponse, into: BinaryIO | None, exchange: Exchange) -> Response:
        """Read the rest of the answer."""
        if into is None or not 200 <= raw.status < 300:
            pieces: list[bytes] = []
            whole = self._receive(raw, pieces.append, self._options.max_bytes, exchange)
            body = b"".join(pieces)
        else:
            body = b""
            with put_back(into):
                whole = self._receive(raw, into.write, self._options.max_download, exchange)
        return Response(raw.status, Headers(list(raw.headers.items())), body, request.full_url, whole)

    def _receive(self, raw: BaseHTTPResponse, write: Write, limit: int, exchange: Exchange) -> bool:
        """Hand the decoded body to `write`; whether its end was marked. Raises TransportFailure."""
        try:
            return receive(raw, write, Meter(limit, self._options.max_ratio), exchange)
        except BadBody as error:
            words, host = str(error), exchange.host
            raise TransportFailure(words, kind=error.flaw, sent="maybe", host=host, status=raw.status) from None
        except (HTTPError, http.client.HTTPException) as error:  # no OSError: that would be the sink's
            raise diagnose(error, exchange, raw.status) from None


@contextmanager
def put_back(sink: BinaryIO) -> Iterator[None]:
    """Cut off what an error left half-written, so that another try may start where this one did."""
    start = sink.tell() if sink.seekable() else None
    try:
        yield
    except BaseException:
        if start is not None:
            sink.seek(start)
            sink.truncate()
        raise


def receive(raw: BaseHTTPResponse, write: Write, meter: Meter, exchange: Exchange) -> bool:
    """Hand the decoded body to `write`; whether its end was marked, and not only by the connection's closing.

    Raises BadBody, or the errors of urllib3 and http.client where the body is cut.
    """
    if not isinstance(raw, urllib3.HTTPResponse):  # a recorder's answer: kept decoded, whatever its headers say
        for piece in decode([raw.read()], "", meter):
            write(piece)
        return True
    length = raw.length_remaining
    chunked = raw.headers.get("transfer-encoding", "").strip().lower() == "chunked"
    encoding = "" if length == 0 else raw.headers.get("content-encoding", "")  # HEAD and 304 tell of a body elsewhere
    packed = bool(codings(encoding))
    if length and not packed:
        meter.announce(length)
    marked = chunked or length is not None
    for piece in decode(_pieces(raw), encoding, meter, may_be_empty=marked):
        write(piece)
    if chunked and exchange.wire is not None and exchange.wire.ended:  # http.client takes a cut `0` for the last chunk
        raise BadBody("truncated", "the answer ends too early")
    return marked or packed


def _pieces(raw: urllib3.HTTPResponse) -> Iterator[bytes]:
    """The body as it comes. Where its length is known the end need not be asked for."""
    while piece := raw.read1(READ, decode_content=False):
        yield piece
        if raw.length_remaining == 0:
            return
