"""A request's body on its way out: in pieces, under the exchange's time limit, exactly as long as announced."""

from __future__ import annotations

from collections.abc import Iterator

from connectory.messages import StreamedBody
from connectory.transport.failures import TransportFailure
from connectory.transport.wire import Exchange

PIECE = 64 * 1024


def slices(body: bytes) -> Iterator[memoryview | bytes]:
    """Pieces small enough that each gets a time limit of its own."""
    view = memoryview(body)
    return (view[start : start + PIECE] for start in range(0, len(body), PIECE))


class Upload:
    """A body that urllib3 reads piece by piece.

    It counts: a body that turns out shorter or longer than announced would leave the server waiting, or make it
    take the rest for another request.
    """

    def __init__(self, pieces: Iterator[bytes | memoryview], size: int, exchange: Exchange) -> None:
        self._pieces = pieces
        self._left = size
        self._exchange = exchange

    def read(self, size: int = -1) -> bytes | memoryview:
        """The next piece, of whatever size it has, or all that is left where `size` is negative."""
        if size < 0:
            return b"".join(iter(self.read_piece, b""))
        return self.read_piece()

    def read_piece(self) -> bytes | memoryview:
        self._exchange.pace_writing()
        try:
            piece = next((piece for piece in self._pieces if piece), b"")  # an empty one would mean the end
        except OSError as error:  # of the file: urllib3 would take it for one of the network
            raise self._failure(f"the body could not be read ({error.strerror or type(error).__name__})") from None
        self._left -= len(piece)
        if self._left < 0 or (not piece and self._left):
            raise self._failure("the body's size is not what was announced; did a file change while it was sent?")
        return piece

    def _failure(self, message: str) -> TransportFailure:
        return TransportFailure(message, kind="upload", sent="maybe", host=self._exchange.host)


def pieces_of(body: bytes | StreamedBody) -> Iterator[bytes | memoryview]:
    """The pieces of either kind of body."""
    return slices(body) if isinstance(body, bytes) else iter(body.chunks())
