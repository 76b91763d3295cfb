"""Recorded exchanges served again on loopback: the same request gets the answer that was recorded."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import msgspec

_HOP = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "content-encoding", "date"})


@attrs.frozen
class Exchange:
    """One recorded request and its answer."""

    method: str
    target: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What a request must agree in: method, path, and the query in any order."""
        return key_of(self.method, self.target)


def key_of(method: str, target: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Method, path and sorted query of a request line."""
    parts = urlsplit(target)
    return method.upper(), parts.path, tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))


def read_exchanges(file: Path) -> list[Exchange]:
    """Exchanges from JSON lines of `{request: {method, path}, response: {status, headers, body}}`."""
    found = []
    for line in file.read_bytes().splitlines():
        if line.strip():
            held: dict[str, Any] = msgspec.json.decode(line)
            request, response = held["request"], held["response"]
            headers = {name: value for name, value in dict(response["headers"]).items() if name.lower() not in _HOP}
            found.append(
                Exchange(
                    request["method"],
                    request["path"],
                    response["status"],
                    headers,
                    msgspec.json.encode(response["body"]),
                )
            )
    return found


class ReplayServer:
    """Serves recorded exchanges at `url` until closed. A request that was not recorded gets 404 and says so."""

    def __init__(self, exchanges: Iterable[Exchange], port: int = 0) -> None:
        known = {exchange.key: exchange for exchange in exchanges}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                exchange = known.get(key_of(self.command, self.path))
                if exchange is None:
                    exchange = Exchange(
                        self.command, self.path, 404, {"Content-Type": "application/json"}, b'{"error": "not recorded"}'
                    )
                self.send_response(exchange.status)
                for name, value in exchange.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(exchange.body)))
                self.end_headers()
                self.wfile.write(exchange.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                """A demo needs no access log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ReplayServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
