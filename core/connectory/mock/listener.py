"""The mock's socket: HTTP/1.1 on loopback, many connections, each kept open."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any, Final
from urllib.parse import parse_qsl

from connectory.messages import Headers
from connectory.mock.exchange import Asked, Reply

NAME: Final = "connectory-mock"  # in the header Server: whoever records the answers says where they come from
Answering = Callable[[Asked], tuple[Reply | None, int | None]]  # the answer, and how many bytes of it are sent


class Listener(ThreadingHTTPServer):
    """Serves until closed. `answer` gives None to cut the connection; `now` is the time in the Date header."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, answer: Answering, now: Callable[[], float]) -> None:
        self.answer = answer
        self.now = now
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", port), _Connection)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        """Stop listening and cut what is open."""
        self.shutdown()
        self._thread.join()
        with self._guard:
            left = list(self._open)
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own asks the resolver for the host's name
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)


class _Connection(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    server_version = NAME
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # status, headers and body leave together

    def finish(self) -> None:
        with suppress(OSError):  # what was not written to a client that went away
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the mock keeps a log of its own."""

    def version_string(self) -> str:
        return self.server_version

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.server.now() if timestamp is None else timestamp, usegmt=True)

    def _exchange(self) -> None:
        target = self.requestline.split()[1]  # self.path has double slashes at its start removed
        path, _, query = target.partition("?")
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        headers = Headers(list(self.headers.items()))
        self._write(*self.server.answer(Asked(self.command, path, pairs, headers, read_body(self))))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _exchange

    def _write(self, reply: Reply | None, part: int | None) -> None:
        if reply is None:
            return self._cut()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        bodiless = reply.status in (204, 304)
        if not bodiless:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if not bodiless and self.command != "HEAD":
            self.wfile.write(reply.body[:part])
        if part is not None:
            self.wfile.flush()
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    """The whole body of a request. Raises ConnectionError where the client went away within it: half is none."""
    if (request.headers.get("Transfer-Encoding") or "").lower() == "chunked":
        return b"".join(_chunks(request.rfile))
    length = int(request.headers.get("Content-Length") or 0)
    return _exactly(request.rfile, length)


def _chunks(body: BufferedIOBase) -> Iterator[bytes]:
    while size := int(_line(body).split(b";")[0], 16):
        yield _exactly(body, size)
        _line(body)
    while _line(body).strip():
        pass  # trailers


def _line(body: BufferedIOBase) -> bytes:
    line = body.readline()
    if not line:
        raise ConnectionError("the client went away within the body")
    return line


def _exactly(body: BufferedIOBase, size: int) -> bytes:
    data = body.read(size)
    if len(data) < size:
        raise ConnectionError("the client went away within the body")
    return data
