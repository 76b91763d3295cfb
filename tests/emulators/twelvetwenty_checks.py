"""What 12Twenty refuses: values of a wrong kind, and calendar events."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from emulators.exchange import Record

# Datetimes are UTC, with or without a fraction, with or without a Z; nothing says that offsets are understood.
DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")
CUSTOM_NAME = re.compile(r"custom_attribute_\d+")


def is_int64(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def is_datetime(value: Any) -> bool:
    if not isinstance(value, str) or not DATETIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_custom(value: Any) -> bool:
    return isinstance(value, dict) and all(CUSTOM_NAME.fullmatch(name) for name in value)


KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "text": ("a string", lambda value: isinstance(value, str)),
    "bool": ("a boolean", lambda value: isinstance(value, bool)),
    "int": ("an integer", is_int64),
    "datetime": ("a UTC datetime", is_datetime),
    "id_object": ('an Id object such as {"Id": 12345}', lambda v: isinstance(v, dict) and is_int64(v.get("Id"))),
    "list": ("a list", lambda value: isinstance(value, list)),
    "map": ("an object", lambda value: isinstance(value, dict)),
    "custom": ("an object of custom_attribute_<number> keys", is_custom),
}


def wrong_fields(record: Record, kinds: Mapping[str, str]) -> list[str]:
    """`Field must be …` for each value of a wrong kind; null is always good."""
    return [
        f"{name} must be {KINDS[kinds[name]][0]}."
        for name, value in record.items()
        if value is not None and name in kinds and not KINDS[kinds[name]][1](value)
    ]


def wrong_event(item: Any, owner: int | None, refused: Mapping[str, str]) -> str | None:
    """Why one calendar event is refused, or None. `owner` is the user of the stored event of that ExternalId.

    Only two messages are sampled publicly (another owner, start before end); the others are made up.
    """
    if not isinstance(item, dict):
        return "Event must be an object."
    for name in ("ExternalId", "UserId", "TypeId", "StartTime", "EndTime", "Title"):
        if item.get(name) is None or item[name] == "":
            return f"{name} is required."
    for name in ("ExternalId", "Title"):
        if not isinstance(item[name], str):
            return f"{name} must be a string."
    if item["ExternalId"] in refused:
        return refused[item["ExternalId"]]
    if not is_int64(item["UserId"]):
        return "UserId must be an integer."
    if not is_int64(item["TypeId"]) or item["TypeId"] not in (1, 2, 3):
        return "TypeId must be 1, 2 or 3."
    for name in ("StartTime", "EndTime"):
        if not is_datetime(item[name]) or not item[name].endswith("Z"):
            return f"{name} must be an ISO 8601 UTC datetime."
    if unknown := item.keys() - {"ExternalId", "UserId", "TypeId", "StartTime", "EndTime", "Title"}:
        return f"Unknown property {sorted(unknown)[0]}."
    if owner is not None and owner != item["UserId"]:
        return "Event is owned by another student."
    if datetime.fromisoformat(item["StartTime"]) >= datetime.fromisoformat(item["EndTime"]):
        return "Start time must be before end time."
    return None
