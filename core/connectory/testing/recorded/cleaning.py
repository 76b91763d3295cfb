"""What is taken out of a conversation before it is kept: secrets, personal values, other hosts, what changes by itself.

Secrets become placeholders in every form in which they stand: in clear, percent-encoded, escaped, in base64.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit, urlunsplit

import attrs
import msgspec

from connectory.errors import ConnectoryError
from connectory.messages import encode_query, origin_of
from connectory.plugins.kinds import Format
from connectory.secrets import SHORTEST, Redactor
from connectory.spec.checks.walking import walk
from connectory.spec.language import Rule, Spec
from connectory.spec.words import Place
from connectory.testing.recorded.base64text import packed, unpacked
from connectory.testing.recorded.bodytext import decoded, readable
from connectory.testing.recorded.cassettes import Exchange
from connectory.testing.recorded.files import KeptFile
from connectory.testing.recorded.matching import SIGNED
from connectory.testing.recorded.standins import StandIns

_TELLING: Final = frozenset(
    {
        "allow",
        "content-disposition",
        "content-type",
        "deprecation",
        "link",
        "location",
        "retry-after",
        "sunset",
        "www-authenticate",
        "x-total-count",
    }
)
"""Headers of an answer that say something about it and stay the same; others are kept where the spec reads them."""
_BLOB: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_DECODE: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODE: Final = msgspec.json.Encoder(decimal_format="number")

Replace = Callable[[str], str]
Write = Callable[[Any], bytes]


class NotRecorded(ConnectoryError):
    """A call was made and no recording kept: it failed, could not be played again, or could not be cleaned."""


@attrs.frozen
class Forms:
    """How the spec says that the bodies of an exchange are written; None where it does not."""

    request: Format | None = None
    answer: Format | None = None


@attrs.frozen(repr=False)
class Secrets:
    """Known secrets and what stands for each, the longest first."""

    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, known: Mapping[str, str]) -> Secrets:
        """From secret to placeholder; what is too short to be told from a word is left out."""
        usable = [(secret, instead) for secret, instead in known.items() if len(secret) >= SHORTEST]
        return cls(tuple(sorted(usable, key=lambda pair: -len(pair[0]))))

    def replace(self, text: str) -> str:
        """The text with placeholders, in base64 too."""
        return _BLOB.sub(self._in_base64, self._in_clear(text))

    def _in_clear(self, text: str) -> str:
        for secret, instead in self.pairs:
            for form in _forms(secret):
                text = text.replace(form, instead)
        return text

    def _in_base64(self, found: re.Match[str]) -> str:
        text = found[0]
        inner = unpacked(text)
        replaced = None if inner is None else self._in_clear(inner)
        if replaced is None or replaced == inner:
            return text
        written = packed(replaced, text)
        return written if text.endswith("=") or len(text) % 4 == 0 else written.rstrip("=")

    def replace_data(self, value: Any) -> Any:
        """Data with its texts replaced, at any depth."""
        match value:
            case str():
                return self.replace(value)
            case Mapping():
                return {name: self.replace_data(held) for name, held in value.items()}
            case list() | tuple():
                return [self.replace_data(held) for held in value]
        return value


def _forms(secret: str) -> Iterator[str]:
    """A secret in clear, percent-encoded and escaped, each once."""
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = [quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw)]
    encoded += [re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text) for text in encoded]
    escaped = json.dumps(secret)[1:-1]
    yield from dict.fromkeys([secret, *encoded, escaped, escaped.replace("/", "\\/"), quote(encoded[0], safe="")])


def placeholder_token(token: str, number: int) -> str:
    """What stands for a token: a text, or for a JSON Web Token one that ends when that did."""
    name = "placeholder-token" if number < 2 else f"placeholder-token-{number}"
    pieces = token.split(".")
    if len(pieces) != 3:
        return name
    try:
        claims = json.loads(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
    except ValueError:
        return name
    kept = {"sub": name, **({"exp": claims["exp"]} if isinstance(claims, dict) and "exp" in claims else {})}
    return f"{_part({'alg': 'none'})}.{_part(kept)}.placeholder"


def _part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


def headers_read(spec: Spec) -> frozenset[str]:
    """The answer's headers that a spec looks at, in lower case."""
    names: set[str] = set()
    for _, value in walk(spec):
        if isinstance(value, Place):
            names |= {value.header.lower()} if value.header else set()
        elif isinstance(value, Rule):
            names |= {name.lower() for name in value.headers}
    return frozenset(names)


@attrs.frozen(repr=False)
class Cleaner:
    """Makes exchanges fit to be kept.

    `hosts` maps the base URLs that were talked to to the vendor's own; `signed` are the names of headers and
    parameters that a plug-in computed.
    """

    secrets: Secrets
    people: StandIns
    hosts: tuple[tuple[str, str], ...]
    signed: frozenset[str]
    headers: frozenset[str]

    def learn(self, exchanges: Iterable[tuple[Exchange, Forms]], arguments: Mapping[str, Any]) -> None:
        """Note every personal value, so that it is replaced wherever it occurs."""
        self.people.learn({name: value for name, value in arguments.items() if not isinstance(value, KeptFile)})
        for exchange, forms in exchanges:
            self.people.learn_url(exchange.url)
            for body, form in ((exchange.body, forms.request), (exchange.answer, forms.answer)):
                self.people.learn(opened(body, form)[0])
            if _is_form(exchange):
                pairs = parse_qsl((exchange.body or b"").decode("utf-8", "replace"), keep_blank_values=True)
                self.people.learn([{name: value} for name, value in pairs])

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the call, to be made again against the cleaned exchanges."""
        files = {name: value for name, value in given.items() if isinstance(value, KeptFile)}
        others = {name: value for name, value in given.items() if name not in files}
        cleaned: dict[str, Any] = self.people.replace(self.secrets.replace_data(others))
        return {name: self._file(files[name]) if name in files else cleaned[name] for name in given}

    def _file(self, file: KeptFile) -> KeptFile:
        content = file["content"]
        if isinstance(content, str):
            content = self._text(content)
        return KeptFile(name=self._text(file["name"]), content=content)

    def exchange(self, exchange: Exchange, base: str, forms: Forms) -> Exchange:
        """One exchange; `base` is the vendor's own URL of its server."""
        url = self._url(exchange.url, base)
        return attrs.evolve(
            exchange,
            url=url,
            headers={name: self._header(name, value) for name, value in exchange.headers.items()},
            body=self._form(exchange.body) if _is_form(exchange) else self._body(exchange.body, forms.request),
            answer_headers=dict(self._kept(exchange.answer_headers)),
            answer=self._body(exchange.answer, forms.answer) or b"",
        )

    def _url(self, url: str, base: str) -> str:
        for actual, _ in self.hosts:
            if url.startswith(actual):
                url = base.rstrip("/") + url.removeprefix(actual.rstrip("/"))
                break
        scheme, host, path, query, fragment = urlsplit(self.people.replace_url(self.secrets.replace(url)))
        pairs = [self._signed(pair) for pair in query.split("&")] if query else []
        return urlunsplit((scheme, host, path, "&".join(pairs), fragment))

    def _signed(self, pair: str) -> str:
        name = pair.partition("=")[0]
        return f"{name}={SIGNED}" if name.lower() in self.signed else pair

    def _header(self, name: str, value: str) -> str:
        return SIGNED if name.lower() in self.signed else self._text(value)

    def _text(self, text: str) -> str:
        return self.people.replace_text(self._hosts_and_secrets(text))

    def _form(self, body: bytes | None) -> bytes | None:
        text = decoded(body or b"")
        if not text:
            return body
        pairs = [(name, self.secrets.replace(value)) for name, value in parse_qsl(text, keep_blank_values=True)]
        cleaned = [self.people.replace({name: value}) for name, value in pairs]
        return encode_query(tuple((name, str(value)) for pair in cleaned for name, value in pair.items())).encode()

    def _body(self, body: bytes | None, form: Format | None) -> bytes | None:
        if not body:
            return body
        text = decoded(body)
        if text is None:
            return self._packed(body, form)
        text = self._hosts_and_secrets(text)
        data, write = opened(text.encode(), form)
        if data is None or write is None:
            text = self.people.replace_text(text)
        else:
            replaced = self.people.replace(data)
            text = text if replaced == data else write(replaced).decode()
        written = readable(text.encode())
        return written.encode() if isinstance(written, str) else written

    def _hosts_and_secrets(self, text: str) -> str:
        for actual, own in self.hosts:
            for write in (str, lambda url: quote(url, safe=""), lambda url: url.replace("/", "\\/")):
                text = text.replace(write(actual), write(own))
        return self.secrets.replace(text)

    def _packed(self, body: bytes, form: Format | None) -> bytes | None:
        """A body that is no text: one that can be read (gzip, zip) is kept unpacked where something is replaced in it.

        Raises NotRecorded where that cannot be written.
        """
        data, write = opened(body, form)
        if data is None:
            return self._bytes(body)
        if write is not None:
            plain = write(data)
            cleaned = self._body(plain, form) if decoded(plain) is not None else self._bytes(plain)
            return body if data == opened(cleaned, form)[0] else cleaned
        if self.people.replace(self.secrets.replace_data(data)) != data:
            raise NotRecorded("a packed body holds secrets or personal values, and its format cannot be written")
        return body

    def _bytes(self, body: bytes) -> bytes:
        """A body that cannot be read: secrets and personal values are replaced where they stand in clear."""
        for secret, instead in self.secrets.pairs:
            body = body.replace(secret.encode("utf-8", "surrogatepass"), instead.encode())
        return self.people.replace_bytes(body)

    def _kept(self, headers: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name, values in headers.items():
            if name.lower() in _TELLING or name.lower() in self.headers:
                yield name, tuple(map(self._text, values))


def _is_form(exchange: Exchange) -> bool:
    kind = next((value for name, value in exchange.headers.items() if name.lower() == "content-type"), "")
    return kind.lower().startswith("application/x-www-form-urlencoded")


def _data(body: bytes | None) -> Any:
    """A JSON body as data, its numbers exact; None for any other."""
    try:
        return _DECODE.decode(body) if body else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def opened(body: bytes | None, form: Format | None) -> tuple[Any, Write | None]:
    """A body as data, and what writes it again: JSON, its numbers exact, else what its format reads. (None, None) where
    neither does, or the format leaves it as bytes."""
    data = _data(body)
    if body and not isinstance(data, dict | list) and form is not None and form.read is not None:
        try:
            found = form.read(body)
        except ValueError:
            found = None
        if found is not None and not isinstance(found, bytes | bytearray):
            return found, form.write
    return (None, None) if data is None else (data, _ENCODE.encode)


def hosts_between(actual: Mapping[str, str], own: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Pairs of the bases that were talked to and the vendor's own, the longest first, then their origins."""
    pairs: dict[str, str] = {}
    for name, base in actual.items():
        if base and own.get(name) and base.rstrip("/") != own[name].rstrip("/"):
            pairs.setdefault(base.rstrip("/"), own[name].rstrip("/"))
    origins = {_origin(one): _origin(other) for one, other in pairs.items() if _origin(one) not in pairs}
    return tuple(sorted({**pairs, **origins}.items(), key=lambda pair: -len(pair[0])))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    origin_of(url)  # raises where it is none
    return f"{parts.scheme}://{parts.netloc}"


class Collecting(Redactor):
    """A redactor that remembers what it was given while a call went on: tokens, and secrets among the arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, None] = {}

    def add(self, secret: Any, *, passing: bool = False) -> None:
        clear = secret if isinstance(secret, str) else secret.reveal()
        if passing and clear:
            self.seen.setdefault(clear)
        super().add(secret, passing=passing)
