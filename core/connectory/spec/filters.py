"""The filters of `{{ x | name }}` that are built in."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from datetime import date as day
from typing import Any, Final

from connectory.values.codecs import BUILT_IN, find_codec, read_iso


def b64(value: str | bytes) -> str:
    """Base64, with padding; a text as UTF-8."""
    return base64.b64encode(_bytes(value)).decode("ascii")


def hex_(value: str | bytes) -> str:
    """Two lower-case hexadecimal digits a byte; a text as UTF-8."""
    return _bytes(value).hex()


def lower(value: str) -> str:
    """In lower case."""
    return value.lower()


def upper(value: str) -> str:
    """In upper case."""
    return value.upper()


def date(value: datetime | day | float | str, format: str) -> Any:
    """A moment as a datetime codec (`rfc3339`, `unix`, ...) or a strftime pattern in UTC writes it.

    The moment is an aware datetime, a day (its beginning in UTC), seconds since 1970 as a number, or an RFC 3339 text.
    """
    codec = find_codec(format, BUILT_IN)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a moment without zone")
        return codec.write(value)
    if isinstance(value, day):
        return codec.write(datetime.combine(value, time(), UTC))
    return codec.write(read_iso(value, zoneless=False) if isinstance(value, str) else BUILT_IN["unix"].read(value))


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(memoryview(value))


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "b64": b64,
    "hex": hex_,
    "lower": lower,
    "upper": upper,
    "date": date,
}

# Arguments that can be checked before anything runs: the check raises ValueError for those that never work.
ARGUMENT_CHECKS: Final[Mapping[Callable[..., Any], Callable[..., Any]]] = {
    date: lambda format: find_codec(format, BUILT_IN)
}
