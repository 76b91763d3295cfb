"""A request made against the request recorded: every way in which they differ, in a reader's words.

Method, scheme, host and path literally; the query as a multiset; headers by name in any case; the body by what it
means: JSON, form, multipart whatever its boundary, text, bytes. What a plug-in signed is there or not; its value
changes with every key.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from email.message import Message
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import attrs

from connectory.messages import Headers
from connectory.testing.recorded.bodytext import decoded, readable

SIGNED: Final = "signed-by-a-plug-in"
"""Stands in a cassette for what a signing plug-in computed."""
LONGEST: Final = 300  # characters of a value that are shown

_NOT_KEPT: Final = frozenset(
    {"user-agent", "accept-encoding", "content-length", "host", "connection", "transfer-encoding"}
)


@attrs.frozen(repr=False)
class Asked:
    """A request as it stands on the wire."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def line(self) -> str:
        """Method and URL, for people."""
        return f"{self.method} {self.url}"


@attrs.frozen
class Mismatch:
    """One difference. `spot` is method, scheme, host, path, query, header or body; `name` the parameter, header or
    field that differs, where it is one."""

    spot: str
    name: str
    made: str
    recorded: str

    @property
    def words(self) -> str:
        """`query 'PageNumber' differs`."""
        what = f"{self.spot} '{self.name}'" if self.name else f"the {self.spot}"
        if not self.recorded:
            return f"{what} was made and not recorded"
        return f"{what} {'differs' if self.made else 'was recorded and not made'}"


def kept_headers(headers: Mapping[str, str], own_agent: str) -> dict[str, str]:
    """The headers that a spec or its engine sets, without those that the transport makes of the connection."""
    kept = {}
    for name, value in headers.items():
        low = name.lower()
        if low not in _NOT_KEPT or (low == "user-agent" and value != own_agent):
            kept[name] = _without_boundary(value) if low == "content-type" else value
    return kept


def _without_boundary(value: str) -> str:
    return value.partition(";")[0] if value.lower().startswith("multipart/") else value


def compare(made: Asked, recorded: Asked) -> list[Mismatch]:
    """Every difference between two requests whose headers are `kept_headers`."""
    one, other = urlsplit(made.url), urlsplit(recorded.url)
    found: list[Mismatch] = []
    for spot, here, there in (
        ("method", made.method, recorded.method),
        ("scheme", one.scheme, other.scheme),
        ("host", one.netloc.lower(), other.netloc.lower()),
    ):
        if here != there:
            found.append(Mismatch(spot, "", here, there))
    if (one.path or "/") != (other.path or "/"):
        found.append(Mismatch("path", "", one.path or "/", other.path or "/"))
    found += _pairs("query", _fields(one.query), _fields(other.query))
    found += _headers(made.headers, recorded.headers)
    found += _bodies(made, recorded)
    return found


def _fields(text: str) -> list[tuple[str, str]]:
    """Names and values; bytes that are no UTF-8 stay apart from each other."""
    return parse_qsl(text, True, errors="surrogateescape")


def _pairs(spot: str, made: list[tuple[str, str]], recorded: list[tuple[str, str]]) -> Iterator[Mismatch]:
    """Differences between two multisets of names and values."""
    if made == recorded:
        return
    here, there = _by_name(made), _by_name(recorded)
    for name in dict.fromkeys([*here, *there]):
        one, other = here.get(name, []), there.get(name, [])
        if Counter(one) != Counter(other) and not (other == [SIGNED] and len(one) == 1 and one[0]):
            yield Mismatch(spot, name, _told(one), _told(other))


def _by_name(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for name, value in pairs:
        named.setdefault(name, []).append(value)
    return named


def _told(values: list[str]) -> str:
    return ", ".join(value.encode(errors="backslashreplace").decode() or "(empty)" for value in values)


def _headers(made: Mapping[str, str], recorded: Mapping[str, str]) -> Iterator[Mismatch]:
    here, there = Headers(dict(made)), Headers(dict(recorded))
    names = {name.lower(): name for name in (*here, *there)}
    for name in names.values():
        one, other = here.get(name), there.get(name)
        if one != other and not (other == SIGNED and one):
            yield Mismatch("header", name, _told_header(one), _told_header(other))


def _told_header(value: str | None) -> str:
    return "" if value is None else value or "(empty)"


def _bodies(made: Asked, recorded: Asked) -> Iterator[Mismatch]:
    one, other = made.body or b"", recorded.body or b""
    if one == other:
        return
    if not one or not other:
        yield Mismatch("body", "", shown_body(one), shown_body(other))
        return
    kind, other_kind = (Headers(dict(a.headers)).get("content-type", "").lower() for a in (made, recorded))
    if kind != other_kind:
        yield Mismatch("body", "", shown_body(one), shown_body(other))
        return
    if kind.startswith("application/x-www-form-urlencoded"):
        form = [_fields(body.decode("utf-8", "surrogateescape")) for body in (one, other)]
        yield from _pairs("form field", form[0], form[1])
        return
    parts = (_parts(one), _parts(other)) if kind.startswith("multipart/") else (None, None)
    if parts[0] is not None and parts[1] is not None:
        yield from _multiparts(parts[0], parts[1])
        return
    json_made, json_recorded = (_json(one), _json(other)) if "json" in kind or not kind else (None, None)
    if json_made is not None and json_recorded is not None:
        place = first_difference(json_made[0], json_recorded[0])
        if place is not None:
            yield Mismatch("body", place[0], place[1], place[2])
    elif readable(one) != readable(other):  # as a cassette holds them: it has JSON of any kind on lines of its own
        yield Mismatch("body", "", shown_body(one), shown_body(other))


def _json(body: bytes) -> tuple[Any] | None:
    try:
        return (json.loads(body, parse_float=Decimal),)
    except ValueError:
        return None


_ABSENT: Final = object()


def first_difference(made: Any, recorded: Any, path: str = "") -> tuple[str, str, str] | None:
    """Where two JSON values first differ: the path, and what stands there in each (empty: nothing does)."""
    if isinstance(made, dict) and isinstance(recorded, dict):
        for name in dict.fromkeys([*made, *recorded]):
            inner = f"{path}.{name}" if path else str(name)
            if found := first_difference(made.get(name, _ABSENT), recorded.get(name, _ABSENT), inner):
                return found
        return None
    if isinstance(made, list) and isinstance(recorded, list):
        if len(made) != len(recorded):
            return path, f"{len(made)} values", f"{len(recorded)} values"
        for number, (one, other) in enumerate(zip(made, recorded, strict=True)):
            if found := first_difference(one, other, f"{path}.{number}" if path else str(number)):
                return found
        return None
    return None if _same(made, recorded) else (path, _json_text(made), _json_text(recorded))


def _same(made: Any, recorded: Any) -> bool:
    """Whether two scalars are the same to any reader: `1`, `1.0` and `true` are not."""
    return type(made) is type(recorded) and bool(made == recorded)


def _json_text(value: Any) -> str:
    if value is _ABSENT:
        return ""
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False, default=str)


@attrs.frozen
class _Part:
    name: str
    filename: str
    content_type: str
    content: bytes


def _parts(body: bytes) -> list[_Part] | None:
    """The parts of a form, split by the boundary that its first line holds; None where it is no such body."""
    line, _, _ = body.partition(b"\r\n")
    if not line.startswith(b"--"):
        return None
    found = []
    for piece in body.split(line)[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        message = Message()
        for text in head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = text.partition(":")
            message[name.strip()] = value.strip()
        called = message.get_param("name", "", "content-disposition")
        kind = message["content-type"] or ""
        found.append(_Part(str(called), message.get_filename("") or "", kind, content.removesuffix(b"\r\n")))
    return found


def _multiparts(made: list[_Part], recorded: list[_Part]) -> Iterator[Mismatch]:
    here, there = ({part.name: part for part in parts} for parts in (made, recorded))
    if len(here) != len(made) or len(there) != len(recorded):
        if made != recorded:
            yield Mismatch("body", "", f"{len(made)} parts", f"{len(recorded)} parts")
        return
    for name in dict.fromkeys([*here, *there]):
        one, other = here.get(name), there.get(name)
        if one != other:
            yield Mismatch("form part", name, _told_part(one), _told_part(other))


def _told_part(part: _Part | None) -> str:
    if part is None:
        return ""
    head = ", ".join(filter(None, [part.filename, part.content_type]))
    return f"{head + ': ' if head else ''}{shown_body(part.content)}"


def shown_body(body: bytes) -> str:
    """A body for people, cut where it is long."""
    if not body:
        return ""
    text = decoded(body)
    if text is None:
        return f"<{len(body)} bytes>"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(body):,} bytes)"
