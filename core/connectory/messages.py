"""What goes over the wire, as frozen values: a Request and a Response. No I/O here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable
from urllib.parse import quote, urlsplit

import attrs


@runtime_checkable
class StreamedBody(Protocol):
    """A body too large to hold: read from disk again for each try."""

    content_type: str

    def __len__(self) -> int: ...

    def chunks(self) -> Iterator[bytes]:
        """The bytes from the start; may be called again for a retry and yields the same."""


Body = bytes | StreamedBody | None


class Headers(Mapping[str, str]):
    """Headers whose names match in any case. Several of one name are joined by a comma."""

    __slots__ = ("_items",)

    def __init__(self, pairs: Mapping[str, str] | Iterator[tuple[str, str]] | list[tuple[str, str]] = ()) -> None:  # type: ignore[assignment]
        items: dict[str, tuple[str, str]] = {}
        for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
            low = name.lower()
            items[low] = (name, f"{items[low][1]}, {value}" if low in items else value)
        self._items = items

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._items

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({sorted(self)})"  # names only: a value may be a secret


def encode_query(pairs: tuple[tuple[str, str], ...]) -> str:
    """`a=1&b=%C3%A9`: percent-encoded as UTF-8; a space becomes %20, which every server reads alike."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


@attrs.frozen(repr=False)
class Request:
    """One HTTP request. `url` is absolute and has no query of `query`'s; `query` is in wire order."""

    method: str
    url: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: Body = None

    @property
    def full_url(self) -> str:
        """The URL as it is sent."""
        if not self.query:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}{encode_query(self.query)}"

    @property
    def target(self) -> str:
        """Path and query, as in the request line; what signatures usually cover."""
        parts = urlsplit(self.full_url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def origin(self) -> str:
        """`scheme://host:port`, lower case, the port always spelt out: what a credential is bound to."""
        return origin_of(self.url)

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes, piece by piece, whether it is held or read from disk; may be called again."""
        return iter([self.body or b""]) if self.body is None or isinstance(self.body, bytes) else self.body.chunks()

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """The same request with these headers added or replaced (names match in any case)."""
        taken = {name.lower() for name in headers}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in taken}
        return attrs.evolve(self, headers={**kept, **headers})

    def with_query(self, pairs: Mapping[str, str]) -> Request:
        """The same request with these query parameters added or replaced."""
        kept = tuple((name, value) for name, value in self.query if name not in pairs)
        return attrs.evolve(self, query=(*kept, *pairs.items()))

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url.split('?')[0]}>"  # query and headers may hold secrets


@attrs.frozen(repr=False)
class Response:
    """One HTTP answer, its body decompressed.

    `whole` is False where nothing but the closing of the connection marked the body's end (no length, no chunks, no
    checksum): what a cut looks like too, so formats that cannot tell by themselves (CSV, JSON lines) should doubt it.
    """

    status: int
    headers: Headers
    body: bytes
    url: str = ""
    whole: bool = True

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


def origin_of(url: str) -> str:
    """`scheme://host:port` of an absolute URL, lower case, default ports spelt out.

    Raises ValueError when the URL has no scheme or host, or a port that is no number.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if not scheme or not parts.hostname:
        raise ValueError("not an absolute URL")
    port = parts.port or {"http": 80, "https": 443}.get(scheme, 0)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.lower()
    return f"{scheme}://{host}:{port}"
