"""What an emulator is asked, what it answers, and the record of both."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import unquote

import attrs

Pairs = tuple[tuple[str, str], ...]
Record = dict[str, Any]


@attrs.frozen
class Ask:
    """One request as it came in. `path` has no query and is still percent-encoded; `query` is decoded."""

    method: str
    path: str
    query: Pairs
    headers: Pairs
    body: bytes = b""

    @property
    def route(self) -> str:
        """`GET /path`: what the `match` of faults and of the log is searched in."""
        return f"{self.method} {self.path}"

    def header(self, name: str) -> str | None:
        """The value of a header in any case, several joined by a comma; None when it was not sent."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    def argument(self, name: str) -> str | None:
        """The first value of a query parameter; None when it was not sent."""
        return next((value for key, value in self.query if key == name), None)

    @property
    def media_type(self) -> str:
        """The content type in lower case, without its parameters."""
        return (self.header("Content-Type") or "").split(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is not UTF-8, not JSON, or holds NaN or Infinity."""

        def refuse(word: str) -> NoReturn:
            raise ValueError(f"{word} is not JSON")

        return json.loads(self.body.decode("utf-8"), parse_constant=refuse)


@attrs.frozen
class Answer:
    """One answer to be written."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: Pairs = ()

    @classmethod
    def json(cls, value: object, status: int = 200) -> Answer:
        return cls(status, json.dumps(value, ensure_ascii=False).encode(), "application/json; charset=utf-8")

    @classmethod
    def text(cls, text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Answer:
        return cls(status, text.encode(), content_type)


class Refused(Exception):
    """Raised by a vendor's code to end the request with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@attrs.frozen
class Exchange(Ask):
    """One logged exchange. `in_flight` counts this one too; `at` is epoch seconds of the emulator's clock.

    A connection that was dropped has status 0. `size` is the length of the body that came in, also when the
    emulator keeps no bodies.
    """

    status: int = 0
    answer: bytes = b""
    in_flight: int = 1
    at: float = 0.0
    size: int = 0

    @property
    def dropped(self) -> bool:
        return self.status == 0


Act = Callable[[Ask, dict[str, str]], Answer]


class NoRoute(LookupError):
    """No such path, or (when `allowed` is not empty) not by that method."""

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__("no route")
        self.allowed = allowed


class Routes:
    """Methods and path patterns (`/things/{id}`) with what answers them. A parameter is one whole segment."""

    def __init__(self, *, ignore_case: bool = False) -> None:
        self._flags = re.IGNORECASE if ignore_case else re.NOFLAG
        self._routes: list[tuple[str, re.Pattern[str], Act]] = []

    def add(self, route: str, act: Act) -> None:
        """Let `act` answer `route`, such as `GET /things/{id}`."""
        method, _, path = route.partition(" ")
        pieces = re.split(r"\{(\w+)\}", path)
        pattern = "".join(f"(?P<{p}>[^/]+)" if i % 2 else re.escape(p) for i, p in enumerate(pieces))
        self._routes.append((method, re.compile(pattern, self._flags), act))

    def find(self, method: str, path: str) -> tuple[Act, dict[str, str]]:
        """What answers, and the decoded path parameters. Raises NoRoute."""
        allowed = set()
        for known, pattern, act in self._routes:
            if match := pattern.fullmatch(path):
                if known == method:
                    return act, {name: unquote(value) for name, value in match.groupdict().items()}
                allowed.add(known)
        raise NoRoute(frozenset(allowed))
