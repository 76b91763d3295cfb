"""How the server writes JSON: compact, with an ETag, and `304` for who has it already."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from emulators.exchange import Answer, Ask, Pairs, Refused

JSON = "application/json; charset=utf-8"
EXPRESS: Pairs = (
    ("X-Powered-By", "Express"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "WWW-Authenticate"),
)
KEPT_ALIVE: Pairs = (("Connection", "keep-alive"), ("Keep-Alive", "timeout=65"))


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def entity_tag(body: bytes) -> str:
    """As Express makes it: length and a part of the SHA-1."""
    digest = base64.b64encode(hashlib.sha1(body).digest()).decode()
    return f'W/"{len(body):x}-{digest[:27]}"'


def answer_json(value: Any, status: int = 200, headers: Pairs = ()) -> Answer:
    body = compact(value)
    return Answer(status, body, JSON, (*EXPRESS, *headers, ("ETag", entity_tag(body)), *KEPT_ALIVE))


def answer_plain(value: Any, status: int = 200, content_type: str = "application/json") -> Answer:
    """Without an ETag: what is answered before the framework's own way, and GraphQL."""
    return Answer(status, compact(value), content_type, (*EXPRESS, *KEPT_ALIVE))


def unless_known(ask: Ask, answer: Answer) -> Answer:
    """`304` without a body when a GET names the answer's own ETag."""
    tag = dict(answer.headers).get("ETag")
    if ask.method not in ("GET", "HEAD") or answer.status != 200 or tag is None or ask.header("If-None-Match") != tag:
        return answer
    return Answer(304, b"", "", answer.headers)


def body_json(ask: Ask) -> Any:
    """The request's JSON body, None when there is none. Raises Refused with a shape of its own when malformed."""
    if not ask.body.strip() or ask.media_type != "application/json":
        return None
    try:
        return ask.json()
    except ValueError as error:
        text = _javascript_words(ask.body.decode("utf-8", "replace"), error)
        raise Refused(answer_json({"message": text, "error": "Bad Request", "statusCode": 400}, 400)) from None


def _javascript_words(text: str, error: ValueError) -> str:
    place = getattr(error, "pos", len(text))
    if place >= len(text.rstrip()):
        return "Unexpected end of JSON input"
    return f"Unexpected token '{text[place]}', \"{text[:10]}\"... is not valid JSON"
