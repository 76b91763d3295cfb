"""The decoder alone: any body, packed in any allowed way and arriving in any pieces, comes out exact or not at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise
from operator import mul

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.transport.decoding import STEP, BadBody, Meter, decode


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def members(data: bytes) -> bytes:
    third = len(data) // 3
    return gzip.compress(data[:third]) + gzip.compress(b"") + gzip.compress(data[third:], 0)


PACKINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip members": ("GZIP, identity", members),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
}
BODIES = st.binary(max_size=200) | st.builds(mul, st.binary(min_size=1, max_size=30), st.integers(1, 40_000))


def unpacked(wire: bytes, encoding: str, seams: list[float] | None = None) -> bytes:
    places = sorted({int(seam * len(wire)) for seam in seams or []} | {0, len(wire)})
    pieces = [wire[start:end] for start, end in pairwise(places)]
    return b"".join(decode(pieces, encoding, Meter(10**9, 10**9), may_be_empty=False))


@pytest.mark.parametrize("packing", PACKINGS)
@given(body=BODIES, seams=st.lists(st.floats(0, 1), max_size=8))
def test_a_whole_body_comes_out_exact(packing: str, body: bytes, seams: list[float]) -> None:
    encoding, pack = PACKINGS[packing]
    assert unpacked(pack(body), encoding, seams) == body


@pytest.mark.parametrize("packing", [packing for packing in PACKINGS if packing != "gzip members"])
@given(body=BODIES, at=st.floats(0, 1, exclude_max=True), seams=st.lists(st.floats(0, 1), max_size=4))
def test_every_cut_is_noticed(packing: str, body: bytes, at: float, seams: list[float]) -> None:
    encoding, pack = PACKINGS[packing]
    wire = pack(body)
    with pytest.raises(BadBody) as caught:
        unpacked(wire[: int(at * len(wire))], encoding, seams)
    assert caught.value.flaw == "truncated"


@pytest.mark.parametrize("packing", PACKINGS)
@given(body=BODIES, junk=st.binary(min_size=1, max_size=40), seams=st.lists(st.floats(0, 1), max_size=4))
def test_all_junk_is_noticed(packing: str, body: bytes, junk: bytes, seams: list[float]) -> None:
    encoding, pack = PACKINGS[packing]
    with pytest.raises(BadBody):
        unpacked(pack(body) + junk, encoding, seams)


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_first_piece_will_do(packing: str) -> None:
    encoding, pack = PACKINGS[packing]
    wire = pack(b"some text, some text")
    for cut in range(len(wire)):
        pieces = [wire[:cut], b"", wire[cut:]]
        assert b"".join(decode(pieces, encoding, Meter(99, 99))) == b"some text, some text"


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("excess", [-259, -1, 0, 1, 100, 258, 259])
def test_output_that_waits_inside_zlib_is_fetched(packing: str, excess: int) -> None:
    encoding, pack = PACKINGS[packing]
    body = bytes(STEP * 2 + excess)
    assert unpacked(pack(body), encoding) == body


@given(st.binary(min_size=30, max_size=400), st.data())
def test_a_flipped_bit_never_passes_for_the_truth(body: bytes, data: st.DataObject) -> None:
    wire = bytearray(gzip.compress(body, mtime=0))
    place = data.draw(st.integers(80, len(wire) * 8 - 1))  # behind the head, whose time and system mean nothing
    wire[place // 8] ^= 1 << place % 8
    try:
        found = unpacked(bytes(wire), "gzip")
    except BadBody:
        return
    assert found == body  # some bits only pad


@pytest.mark.parametrize("encoding", ["", "identity", "Identity, ,"])
def test_no_coding_passes_through(encoding: str) -> None:
    assert unpacked(b"plain", encoding) == b"plain"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, br", "x-made-up"])
def test_other_codings_are_named_where_they_are_known(encoding: str) -> None:
    with pytest.raises(BadBody) as caught:
        unpacked(b"x", encoding)
    assert caught.value.flaw == "bad_encoding"
    assert ("x-made-up" in str(caught.value), "only one gzip or deflate" in str(caught.value)) == (False, True)
