"""A Response -> an Answer: the body decoded, and the places in it that a spec names."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import attrs
import msgspec

from connectory.messages import Headers, Response
from connectory.spec.places import MISSING
from connectory.spec.words import Place

_BOM = b"\xef\xbb\xbf"
_FLOAT_DIGITS = 15  # that every float holds (IEEE 754 binary64)


def read_fraction(text: str) -> float | Decimal:
    """A fraction as a float where that is the very number, else as a Decimal."""
    number = float(text)
    if len(text) <= _FLOAT_DIGITS:
        return number
    exact = Decimal(text)
    return number if Decimal(repr(number)) == exact else exact


_decode_json = msgspec.json.Decoder().decode
_decode_json_exactly = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_json_precisely = msgspec.json.Decoder(float_hook=read_fraction).decode


_ESCAPES = re.compile(
    rb"\\(?:\\|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2}))"
)
"""A backslash, a whole pair of surrogates, or (the group) half a pair, as JSON escapes them."""


class BrokenTextWarning(UserWarning):
    """Halves of characters in an answer were replaced, since no text can hold them."""


class Undecodable(ValueError):
    """A body that is not what the spec says it is; the text says why, without any of the body."""


@attrs.frozen(repr=False)
class Answer:
    """An answer as the rules see it. `data` is the decoded body: None when empty or, with `fault`, undecodable."""

    response: Response
    data: Any
    fault: str = ""

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def headers(self) -> Headers:
        return self.response.headers

    @property
    def text(self) -> str:
        """The body as text, for rules that search in it."""
        return self.response.body.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"


def decode_answer(response: Response, read: Callable[[bytes], Any]) -> Answer:
    """Decode a body with a format's `read`. Never raises for a bad body: the Answer says the fault."""
    if not response.body:
        return Answer(response, None)
    try:
        return Answer(response, read(response.body))
    except (ValueError, RecursionError) as why:
        return Answer(response, None, str(why) or type(why).__name__)


def read_json_precisely(body: bytes) -> Any:
    """The same as `read_json`, but a fraction of more digits than a float holds comes as a Decimal."""
    return _read_json(body, _decode_json_precisely)


def read_json(body: bytes, *, exact: bool = False) -> Any:
    """JSON as plain Python values; integers of up to 4,300 digits stay exact, `exact` reads fractions as Decimal.

    Warns BrokenTextWarning of halves of characters, which become U+FFFD. Raises Undecodable, which names what was
    found instead and never shows the body.
    """
    return _read_json(body, _decode_json_exactly if exact else _decode_json)


def _read_json(body: bytes, decode: Callable[[bytes], Any]) -> Any:
    body = body.removeprefix(_BOM)
    try:
        try:
            return decode(body)
        except msgspec.DecodeError:
            mended, halves = _without_halves(body)
            if not halves:
                raise
            value = decode(mended)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise Undecodable(f"not JSON: {_what_instead(body)} ({_plain(why)})") from None
    warnings.warn(
        f"halves of {halves} characters in an answer (surrogates without their other half) became U+FFFD",
        BrokenTextWarning,
        stacklevel=2,
    )
    return value


def _without_halves(body: bytes) -> tuple[bytes, int]:
    """JSON with U+FFFD for each half of a surrogate pair, as those leave who cut texts by UTF-16 units; how many."""
    halves = 0

    def mend(found: re.Match[bytes]) -> bytes:
        nonlocal halves
        halves += found[1] is not None
        return found[0] if found[1] is None else rb"\ufffd"

    return _ESCAPES.sub(mend, body), halves


def read_text(body: bytes) -> str:
    """UTF-8 text. Raises Undecodable."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as why:
        raise Undecodable(f"not UTF-8 text (byte {why.start})") from None


def _plain(why: Exception) -> str:
    return "nested too deep" if isinstance(why, RecursionError) else re.sub(r"\s+", " ", str(why).split(":")[0])


def _what_instead(body: bytes) -> str:
    start = body.lstrip()[:100].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if start.startswith(b"<"):
        return "XML or HTML"
    return "empty text" if not start else f"{len(body)} bytes of something else"


def find(place: Place, answer: Answer) -> Any:
    """What stands at a place, as it came, or MISSING. `match` and `factor` are applied, `codec` is not."""
    return next(find_each(place, answer), MISSING)


def find_each(place: Place, answer: Answer) -> Iterator[Any]:
    """Everything that stands at a place: of several body paths, the first that leads anywhere."""
    for value in _raw(place, answer):
        if place.match is not None:
            found = re.search(place.match, value) if isinstance(value, str) else None
            if not found:
                continue
            value = found[1] if found.re.groups else found[0]
        if place.factor != 1.0:
            number = to_number(value)
            if number is None:
                continue
            value = number * place.factor
        yield value


def _raw(place: Place, answer: Answer) -> Iterator[Any]:
    if place.header is not None:
        if place.header in answer.headers:
            yield answer.headers[place.header]
    elif place.link is not None:
        if (url := link_of(answer.headers.get("link", ""), place.link)) is not None:
            yield url
    else:
        for path in place.body:
            values = list(path.each(answer.data))
            if values:
                yield from values
                return


_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:\"[^\"]*\"|[^\s;,\"]+))*)")
_LINK_PARAMETER = re.compile(r";\s*([\w*-]+)\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))")


def link_of(header: str, rel: str) -> str | None:
    """The URL of a relation in a Link header (RFC 8288), or None."""
    for url, parameters in _LINK.findall(header):
        for name, quoted, bare in _LINK_PARAMETER.findall(parameters):
            if name.lower() == "rel" and rel in (quoted or bare).split():
                return str(url)
    return None


def to_number(value: Any) -> float | None:
    """A number, also from text (`"3600"`); None for anything else, NaN and infinity included."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number - number == 0 else None
