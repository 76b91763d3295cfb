"""The base of the emulators: an HTTP/1.1 server on loopback that logs every exchange and breaks on demand."""

from __future__ import annotations

import re
import socket
import socketserver
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import attrs

from connectory.clock import Clock, SystemClock
from connectory.mock.listener import read_body
from emulators.exchange import Answer, Ask, Exchange, Refused
from emulators.faults import Fault

# Real seconds, whatever clock the emulator tells its own time by.
WALL = SystemClock()


@attrs.define(eq=False, kw_only=True, slots=False)
class Emulator(ABC):
    """A vendor on loopback: `with SomeVendor(clock=clock) as vendor: ... vendor.url`.

    Each attribute below and of the subclasses is a knob: an argument, and changeable while the server runs.
    Times are those of `clock`; only `delay` is real seconds.
    """

    clock: Clock = attrs.field(factory=SystemClock)
    port: int = 0
    delay: float = 0.0
    """Real seconds that each admitted request takes."""
    keep_bodies: bool = True
    """Whether the log keeps bodies; off for runs of millions of rows."""

    exchanges: list[Exchange] = attrs.field(init=False, factory=list)
    max_in_flight: int = attrs.field(init=False, default=0)
    by_day: Counter[str] = attrs.field(init=False, factory=Counter)
    """Requests for each UTC day (`2027-01-15`) of the emulator's clock, refused ones too."""
    _faults: list[Fault] = attrs.field(init=False, factory=list)
    _holds: list[tuple[re.Pattern[str], threading.Event]] = attrs.field(init=False, factory=list)
    _present: int = attrs.field(init=False, default=0)
    _held: int = attrs.field(init=False, default=0)  # of those, whole and kept waiting by `hold`
    _admitted: int = attrs.field(init=False, default=0)
    _tally: threading.Condition = attrs.field(init=False, factory=threading.Condition)
    _state: threading.RLock = attrs.field(init=False, factory=threading.RLock)
    _broken: list[str] = attrs.field(init=False, factory=list)
    _listener: _Listener | None = attrs.field(init=False, default=None)
    _thread: threading.Thread | None = attrs.field(init=False, default=None)

    # What a vendor says -------------------------------------------------------------------------------------------

    @abstractmethod
    def answer(self, ask: Ask) -> Answer:
        """The vendor's answer; called by one thread at a time. May raise Refused."""

    def admit(self, ask: Ask, now: float) -> Answer | None:
        """Refuse a request for the vendor's limits, before anything else of it is looked at (its body is not here yet).

        Called by one thread at a time; `_admitted` counts the requests being worked on, without this one.
        """
        return None

    # Life ---------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        if self._listener is None:
            raise RuntimeError("the emulator is not running: use it in a with statement")
        return f"http://127.0.0.1:{self._listener.server_port}"

    def start(self) -> Self:
        self._listener = _Listener(("127.0.0.1", self.port), self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening, cut what is open and wait for the threads."""
        if self._listener is None or self._thread is None:
            return
        self._listener.shutdown()
        self._thread.join()
        for _, event in self._holds:
            event.set()
        self._listener.cut_connections(idle_only=False)
        self._listener.server_close()
        self._listener = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()
        if self._broken and error[0] is None:
            raise AssertionError("the emulator itself failed:\n" + "\n".join(self._broken))

    # Looking back -------------------------------------------------------------------------------------------------

    def requests(self, match: str = "") -> list[Exchange]:
        """The exchanges whose `METHOD /path` holds the regular expression `match`, oldest first."""
        with self._tally:
            return [exchange for exchange in self.exchanges if re.search(match, exchange.route)]

    @property
    def in_flight(self) -> int:
        with self._tally:
            return self._present

    def counters(self) -> dict[str, Any]:
        """What `GET /_log` answers: totals, for a look from another process."""
        with self._tally:
            statuses = Counter(exchange.status for exchange in self.exchanges)
            return {
                "requests": len(self.exchanges),
                "max_in_flight": self.max_in_flight,
                "by_day": dict(self.by_day),
                "by_status": {str(status): count for status, count in sorted(statuses.items())},
                "by_route": dict(Counter(exchange.route for exchange in self.exchanges)),
                "refused_for_limits": statuses[429],
            }

    # Trouble on demand --------------------------------------------------------------------------------------------

    def fail(
        self,
        times: int = 1,
        status: int = 500,
        match: str = "",
        *,
        after_applying: bool = False,
        body: bytes = b"",
        content_type: str = "text/plain",
        headers: Mapping[str, str] | None = None,
        skip: int = 0,
    ) -> Fault:
        """Answer the next `times` requests by `status` instead of the truth.

        `match` is a regular expression searched in `METHOD /path`; `skip` lets so many matching ones pass first;
        `after_applying` does the work and then answers wrongly.
        """
        answer = Answer(status, body, content_type, tuple((headers or {}).items()))
        return self._add(Fault(re.compile(match), times, answer, after_applying, skip))

    def drop(
        self, times: int = 1, match: str = "", *, after_applying: bool = False, skip: int = 0, part: int | None = None
    ) -> Fault:
        """Cut the connection of the next `times` requests without an answer, before or after doing the work.

        With `part`, the status, the headers and so many bytes of the true body are sent first.
        """
        return self._add(Fault(re.compile(match), times, None, after_applying or part is not None, skip, part))

    def _add(self, fault: Fault) -> Fault:
        with self._state:
            self._faults.append(fault)
        return fault

    @contextmanager
    def hold(self, match: str = "") -> Iterator[None]:
        """Requests that match stay in flight until the block ends."""
        held = (re.compile(match), threading.Event())
        with self._state:
            self._holds.append(held)
        try:
            yield
        finally:
            with self._state:
                self._holds.remove(held)
            held[1].set()

    def wait_in_flight(self, count: int, timeout: float = 10.0) -> None:
        """Return when `count` requests are in flight. Raises TimeoutError after so many real seconds."""
        with self._tally:
            if not self._tally.wait_for(lambda: self._present >= count, timeout):
                raise TimeoutError(f"{self._present} in flight, expected {count}")

    def wait_held(self, count: int, timeout: float = 10.0) -> None:
        """Return when `count` requests have come whole and are kept by `hold`. Raises TimeoutError."""
        with self._tally:
            if not self._tally.wait_for(lambda: self._held >= count, timeout):
                raise TimeoutError(f"{self._held} are held, expected {count}")

    def close_idle(self) -> None:
        """Cut the kept-alive connections that carry no request now, as servers do after some quiet time."""
        if self._listener is not None:
            self._listener.cut_connections(idle_only=True)

    # One exchange -------------------------------------------------------------------------------------------------

    def _serve(self, head: Ask, read_body: Callable[[], bytes]) -> tuple[Answer | None, int | None]:
        """The answer (None: cut the connection) and how much of its body to send (None: all)."""
        with self._tally:
            now = self.clock.now()
            self._present += 1
            in_flight = self._present
            self.max_in_flight = max(self.max_in_flight, in_flight)
            self.by_day[datetime.fromtimestamp(now, UTC).date().isoformat()] += 1
            refusal = self.admit(head, now)
            self._admitted += refusal is None
            self._tally.notify_all()
        ask, shown, part = head, refusal, None
        try:
            ask = attrs.evolve(head, body=read_body())
            if refusal is None:
                shown, part = self._work(ask)
        finally:
            # Counted out before the answer is written: its reader may ask again at once.
            with self._tally:
                self._present -= 1
                self._admitted -= refusal is None
                self._log(ask, shown if part is None else None, in_flight, now)
        return shown, part

    def _log(self, ask: Ask, shown: Answer | None, in_flight: int, at: float) -> None:
        kept, answer = (ask.body, shown.body if shown else b"") if self.keep_bodies else (b"", b"")
        status = shown.status if shown else 0
        self.exchanges.append(
            Exchange(ask.method, ask.path, ask.query, ask.headers, kept, status, answer, in_flight, at, len(ask.body))
        )

    def _work(self, ask: Ask) -> tuple[Answer | None, int | None]:
        with self._state:
            events = [event for pattern, event in self._holds if pattern.search(ask.route)]
        if events:
            self._detain(events)
        if self.delay > 0:
            WALL.sleep(self.delay)
        with self._state:
            fault = next((fault for fault in self._faults if fault.takes(ask)), None)
            if fault is not None and not fault.after_applying:
                return fault.answer, None
            truth = self._truth(ask)
            if fault is None:
                return truth, None
            return (truth, fault.part) if fault.part is not None else (fault.answer, None)

    def _detain(self, events: list[threading.Event]) -> None:
        with self._tally:
            self._held += 1
            self._tally.notify_all()
        for event in events:
            event.wait()
        with self._tally:
            self._held -= 1

    def _truth(self, ask: Ask) -> Answer:
        try:
            return self.answer(ask)
        except Refused as refused:
            return refused.answer
        except Exception:
            self._broken.append(f"{ask.route}\n{traceback.format_exc()}")
            return Answer.text("the emulator itself failed", 500)

    # Control, from another process --------------------------------------------------------------------------------

    def _control(self, ask: Ask) -> Answer:
        """`/_…`: no vendor has such a path. Not logged, not counted, not limited."""
        query = dict(ask.query)
        if ask.route == "GET /_log":
            return Answer.json(self.counters())
        if ask.route == "POST /_wind":
            wind = getattr(self.clock, "wind", None)
            if wind is None:
                return Answer.text("this clock cannot be wound", 409)
            wind(float(query["seconds"]))
            return Answer.json({"now": self.clock.now()})
        if ask.route == "POST /_fail":
            times, match, after = int(query.get("times", "1")), query.get("match", ""), "after_applying" in query
            if "status" in query:
                self.fail(times, int(query["status"]), match, after_applying=after)
            else:
                self.drop(times, match, after_applying=after)
            return Answer.json({})
        return Answer.text("controls: GET /_log, POST /_wind?seconds=, POST /_fail?times=&status=&match=", 404)


class _Listener(ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for them
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], vendor: Emulator) -> None:
        self.vendor = vendor
        self._open: dict[socket.socket, _Connection | None] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own asks the resolver for the host's name
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # an OSError: the client went away
            self.vendor._broken.append(traceback.format_exc())

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = None  # here and not in the new thread, which may start after the cut
        super().process_request(request, client_address)

    def opened(self, connection: _Connection) -> None:
        with self._lock:
            self._open[connection.connection] = connection

    def closed(self, connection: _Connection) -> None:
        with self._lock:
            self._open.pop(connection.connection, None)

    def cut_connections(self, *, idle_only: bool) -> None:
        with self._lock:
            connections = list(self._open.items())
        for connection, serving in connections:
            if not (idle_only and (serving is None or serving.busy)):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Connection(BaseHTTPRequestHandler):
    server: _Listener
    protocol_version = "HTTP/1.1"
    server_version = "emulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # status, headers and body leave together
    busy = False

    def setup(self) -> None:
        super().setup()
        self.server.opened(self)

    def finish(self) -> None:
        self.server.closed(self)
        with suppress(OSError):  # what was not written to a client that went away
            super().finish()

    def cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: the emulator keeps its own log."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(self.server.vendor.clock.now() if timestamp is None else timestamp, usegmt=True)

    def _exchange(self) -> None:
        self.busy = True
        try:
            target = self.requestline.split()[1]  # self.path has double slashes at its start removed
            path, _, query = target.partition("?")
            pairs = tuple(parse_qsl(query, keep_blank_values=True))
            head = Ask(self.command, path, pairs, tuple(self.headers.items()))
            vendor = self.server.vendor
            if path.startswith("/_"):
                self._write(vendor._control(attrs.evolve(head, body=read_body(self))), None)
            else:
                self._write(*vendor._serve(head, partial(read_body, self)))
        finally:
            self.busy = False

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _exchange

    def _write(self, answer: Answer | None, part: int | None) -> None:
        if answer is None:
            return self.cut()
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.content_type:
            self.send_header("Content-Type", answer.content_type)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.wfile.write(answer.body[:part])
        if part is not None:
            self.wfile.flush()
            self.cut()
