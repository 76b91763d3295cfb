"""Wire bytes -> the body: gzip and deflate that notice a cut, junk and a bomb. Pure, no I/O."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import attrs

Flaw = Literal["truncated", "corrupt", "bad_encoding", "too_large"]

STEP = 256 * 1024
"""The most bytes unfolded at once, hence by how much a bomb can pass its bound."""

KNOWN_CODINGS = frozenset({"aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "gzip", "x-gzip", "zstd"})
"""Those that a message may name: https://www.iana.org/assignments/http-parameters"""

GZIP_MAGIC = b"\x1f\x8b"

FREE_UNFOLDING = 8 * 1024 * 1024
"""Bodies up to this size may have any ratio: a page of equal rows honestly packs 500 to 1."""


class BadBody(Exception):
    """A body that cannot be trusted. `flaw` says in which way."""

    def __init__(self, flaw: Flaw, message: str) -> None:
        super().__init__(message)
        self.flaw: Flaw = flaw


@attrs.define
class Meter:
    """Counts both sides of the decoder and stops at the bounds."""

    max_bytes: int
    max_ratio: int
    wire: int = 0
    body: int = 0

    def announce(self, size: int) -> None:
        """Refuse a body at once that says itself that it is too large."""
        if size > self.max_bytes:
            raise BadBody("too_large", f"the body has {size:,} bytes; {self.max_bytes:,} are allowed")

    def count(self, size: int) -> None:
        """Account for `size` decoded bytes. Raises BadBody above a bound."""
        self.body += size
        if self.body > self.max_bytes:
            raise BadBody("too_large", f"the body is larger than the {self.max_bytes:,} bytes allowed")
        if self.body > FREE_UNFOLDING and self.body > self.wire * self.max_ratio:
            raise BadBody("too_large", f"the body unfolds to more than {self.max_ratio} times its size on the wire")


def codings(header: str) -> list[str]:
    """The codings of a Content-Encoding header that change the body, in the order applied."""
    names = [name.strip().lower() for name in header.split(",")]
    return [name for name in names if name not in ("", "identity")]


def decode(pieces: Iterable[bytes], encoding: str, meter: Meter, *, may_be_empty: bool = True) -> Iterator[bytes]:
    """The decoded bytes of a body that arrives in `pieces`; whole once the iterator ends without an error.

    `encoding` is the Content-Encoding header. `may_be_empty` is whether no bytes at all can be a whole body: so it
    is where the length was announced, and not where closing the connection was the only sign of the end.
    Raises BadBody on a cut, trailing junk, a wrong checksum, an unknown coding, or a size above the meter's bounds.
    """
    names = codings(encoding)
    match names:
        case []:
            return _plain(pieces, meter)
        case ["gzip" | "x-gzip"]:
            return _inflate(pieces, lambda _: zlib.decompressobj(31), meter, may_be_empty, members=True)
        case ["deflate"]:
            return _inflate(pieces, _deflate_stream, meter, may_be_empty, members=False)
    named = ", ".join(name if name in KNOWN_CODINGS else "one that no registry has" for name in names)
    raise BadBody("bad_encoding", f"its Content-Encoding is {named}; only one gzip or deflate is understood")


def _plain(pieces: Iterable[bytes], meter: Meter) -> Iterator[bytes]:
    for piece in pieces:
        meter.wire += len(piece)
        meter.count(len(piece))
        yield piece


def _deflate_stream(start: bytes) -> zlib._Decompress:
    """`deflate` means zlib's wrapping (RFC 9110 8.4.1.2), yet some servers send the bare stream: look at its head."""
    wrapped = len(start) < 2 or (start[0] & 15 == 8 and int.from_bytes(start[:2], "big") % 31 == 0)
    return zlib.decompressobj(15 if wrapped else -15)


def _inflate(
    pieces: Iterable[bytes],
    new_stream: Callable[[bytes], zlib._Decompress],
    meter: Meter,
    may_be_empty: bool,
    *,
    members: bool,
) -> Iterator[bytes]:
    stream: zlib._Decompress | None = None
    done, begun = 0, False
    for piece in _head_whole(pieces):
        meter.wire += len(piece)
        while piece:
            if stream is None:
                if done and not members:
                    raise BadBody("corrupt", "there are bytes after the end of the compressed body")
                stream, begun = new_stream(piece), begun or piece.startswith(GZIP_MAGIC)
            yield from _unfold(stream, piece, begun, meter)
            piece = stream.unused_data
            if stream.eof:
                stream, done = None, done + 1
    if stream is not None or not (done or may_be_empty):
        raise BadBody("truncated", "the compressed body ends too early")


def _unfold(stream: zlib._Decompress, piece: bytes, begun: bool, meter: Meter) -> Iterator[bytes]:
    """All that `piece` unfolds to, in steps. A full step may leave output waiting inside zlib, so ask again."""
    full = False
    while piece or full:
        try:
            out = stream.decompress(piece, STEP)
        except zlib.error:
            if begun:
                raise BadBody("corrupt", "the compressed body is damaged, or junk follows it") from None
            raise BadBody("bad_encoding", "the body is not what its Content-Encoding says, or is damaged") from None
        meter.count(len(out))
        if out:
            begun = True
            yield out
        if stream.eof:  # from here on unconsumed_tail repeats what unused_data holds
            return
        piece = stream.unconsumed_tail
        full = len(out) == STEP


def _head_whole(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, the first piece at least two long, so that a header can be told from its first piece."""
    head = b""
    rest = iter(pieces)
    for piece in rest:
        head += piece
        if len(head) > 1:
            break
    if head:
        yield head
    yield from rest
