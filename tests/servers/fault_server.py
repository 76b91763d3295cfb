"""A server on a raw socket that plays a script of steps per connection: sound answers, and every way to break one.

with FaultServer() as server:
    server.play(read_request(), send(answer(b"[]")))     # for the next connection
    server.url                                            # http://127.0.0.1:port
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType


class Gone(Exception):
    """The client has left, so the rest of the script has no audience."""


class FaultServer:
    """Plays the queued scripts, one per connection, and `always` for those beyond. Steps run in order."""

    def __init__(self, *always: Step, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[bytes] = []  # each as it came, head and body
        self.connections = 0
        self.faults: list[Exception] = []
        self.stopping = threading.Event()
        self.always: tuple[Step, ...] = always
        self._scripts: deque[tuple[Step, ...]] = deque()
        self._tls = tls
        self._threads: list[threading.Thread] = []
        self._talks: list[Talk] = []
        self._listener = socket.create_server((host, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def play(self, *steps: Step) -> None:
        """Queue a script for one connection."""
        self._scripts.append(steps)

    def __enter__(self) -> FaultServer:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        for talk in self._talks:
            with suppress(OSError):
                talk.socket.shutdown(socket.SHUT_RDWR)  # wakes recv(); closed ones are past that
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            self.connections += 1
            talk = Talk(self, connection)
            self._talks.append(talk)
            self._start(self._play, talk, self._scripts.popleft() if self._scripts else self.always)

    def _play(self, talk: Talk, steps: tuple[Step, ...]) -> None:
        try:
            if self._tls:
                start_tls(self._tls)(talk)
            for step in steps:
                step(talk)
        except (OSError, Gone) as error:  # clients break off too: that is often the point
            self.faults.append(error)
        finally:
            talk.socket.close()


class Talk:
    """One connection while its script is played."""

    def __init__(self, server: FaultServer, connection: socket.socket) -> None:
        self.server = server
        self.socket = connection
        self.buffer = b""

    def read_until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            self.fill()
        found, _, self.buffer = self.buffer.partition(end)
        return found + end

    def read_exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self.fill()
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def fill(self) -> None:
        received = self.socket.recv(65536)
        if not received:
            raise Gone
        self.buffer += received


Step = Callable[[Talk], None]


def read_request() -> Step:
    """Take in one whole request."""

    def step(talk: Talk) -> None:
        head = talk.read_until(b"\r\n\r\n")
        length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b"0")
        talk.server.requests.append(head + talk.read_exactly(int(length)))

    return step


def serve(respond: Callable[[bytes], bytes]) -> Step:
    """Answer every request of the connection until the client leaves."""

    def step(talk: Talk) -> None:
        while True:
            read_request()(talk)
            talk.socket.sendall(respond(talk.server.requests[-1]))

    return step


def start_tls(context: ssl.SSLContext) -> Step:
    """From here on the connection speaks TLS."""

    def step(talk: Talk) -> None:
        talk.socket = context.wrap_socket(talk.socket, server_side=True)

    return step


def read_bytes(size: int) -> Step:
    """Take in `size` bytes and no more."""
    return lambda talk: talk.server.requests.append(talk.read_exactly(size))


def send(*pieces: bytes) -> Step:
    """Send each piece by a call of its own."""

    def step(talk: Talk) -> None:
        talk.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            talk.socket.sendall(piece)

    return step


def dribble(data: bytes, every: float) -> Step:
    """One byte each `every` seconds."""

    def step(talk: Talk) -> None:
        for i in range(len(data)):
            talk.socket.sendall(data[i : i + 1])
            if talk.server.stopping.wait(every):
                raise Gone

    return step


def pause(seconds: float = 30) -> Step:
    """Silence, until the time or the test is over."""
    return lambda talk: void(talk.server.stopping.wait(seconds))


def until_gone() -> Step:
    """Read until the client closes."""

    def step(talk: Talk) -> None:
        while talk.socket.recv(65536):
            pass

    return step


def reset() -> Step:
    """End with RST instead of FIN."""

    def step(talk: Talk) -> None:
        talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        talk.socket.close()

    return step


def half_close() -> Step:
    """FIN now; the connection stays readable."""
    return lambda talk: talk.socket.shutdown(socket.SHUT_WR)


def call(action: Callable[[], object]) -> Step:
    """Run something of the test at this point."""
    return lambda talk: void(action())


def void(_: object) -> None:
    """A step gives nothing back."""


def answer(body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = -1) -> bytes:
    """A whole answer; `length` is another Content-Length than the true one, or None for none."""
    shown = len(body) if length == -1 else length
    lines = [f"HTTP/1.1 {status}", *headers, *([] if shown is None else [f"Content-Length: {shown}"])]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks, the last one included."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
