"""What comes to the mock and what it answers, as values."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

import attrs
import msgspec

from connectory.messages import Headers


@attrs.frozen(repr=False)
class Asked:
    """One request. `path` is as it was sent, percent-encoded; `query` is decoded."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Headers
    body: bytes = b""

    def argument(self, name: str) -> str | None:
        """A query parameter; the last of several."""
        return dict(self.query).get(name)

    def cookie(self, name: str) -> str | None:
        """The value of a cookie."""
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(name)
        except CookieError:
            return None
        return None if found is None else found.value

    def __repr__(self) -> str:
        return f"<Asked {self.method} {self.path}>"  # query and headers hold credentials


@attrs.frozen(repr=False)
class Reply:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
        return cls(status, msgspec.json.encode(value), {"Content-Type": "application/json", **(headers or {})})

    def __repr__(self) -> str:
        return f"<Reply {self.status}>"


class Refused(Exception):
    """Ends the work on a request; `word` is what the answer must mean to the client (an outcome of the language)."""

    def __init__(self, word: str, words: str, fields: Mapping[str, str] | None = None, status: int = 0) -> None:
        super().__init__(words)
        self.word = word
        self.words = words
        self.fields = fields or {}
        self.status = status


@attrs.frozen
class Served:
    """One request in the mock's log: nothing of its query, headers or body, which may be secret.

    `operation` is the one that was asked for (`token exchange`, or empty where there is none), `number` counts the
    calls of operations from 1 (0: it is none), `said` is what was special about the answer. Status 0 is a connection
    that was cut.
    """

    at: float
    method: str
    path: str
    operation: str
    number: int
    status: int
    said: str = ""
