"""Bodies as they stand in a cassette: JSON on lines of its own, text as text, anything else as bytes (base64)."""

from __future__ import annotations

import json
import re
from typing import Final

import msgspec

UNWRITABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]")
"""What YAML writes as an escape, or takes for the end of a line."""
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def readable(body: bytes) -> str | bytes:
    """A body as it is written. JSON keeps its meaning, the order of its keys and the text of its numbers."""
    text = decoded(body)
    if text is None:
        return body
    if text.lstrip()[:1] in ("{", "["):
        try:
            pretty = msgspec.json.format(body, indent=2).decode()
        except msgspec.DecodeError:
            return text
        return UNWRITABLE.sub(_escaped, pretty)
    return text


def decoded(body: bytes) -> str | None:
    """The text that a body is, or None where it is none."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text) else text


def _escaped(found: re.Match[str]) -> str:
    """A character that YAML would not write into a block of text, as JSON writes it in ASCII."""
    return json.dumps(found[0])[1:-1]
