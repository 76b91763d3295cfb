"""What 12traits takes in its push calls: the body keys, and each item's fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import attrs

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
COUNTRY = re.compile(r"[A-Z]{2}")
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_float(value: Any) -> bool:
    """JSON writes 5.0 as it likes: a number is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_positive(value: Any) -> bool:
    return is_float(value) and value > 0


def is_moment(shape: re.Pattern[str]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, str) or not shape.fullmatch(value):
            return False
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
        return True

    return check


def matches(shape: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and shape.fullmatch(value) is not None


def one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: value in values


def is_action_params(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, dict) and pair.keys() == {"key", "value"} and is_text(pair["key"]) and is_text(pair["value"])
        for pair in value
    )


@attrs.frozen
class Field:
    """One field of an item: whether it holds, how the refusal ends, and whether it must be there."""

    check: Callable[[Any], bool]
    words: str
    required: bool = False


def must(field: Field) -> Field:
    return attrs.evolve(field, required=True)


text = Field(is_text, "must be a string")
integer = Field(is_integer, "must be an integer value")
number = Field(is_float, "must be a float value")
price = Field(is_positive, "must have a positive float value")
moment = Field(is_moment(TIMESTAMP), "must be formatted YYYY-MM-DD HH:MM:SS")
date = Field(is_moment(DATE), "must be formatted YYYY-MM-DD")


@attrs.frozen
class Feed:
    """One push call: the body's only key, and the fields of its items."""

    key: str
    fields: Mapping[str, Field]


FEEDS: Mapping[str, Feed] = {
    "actions": Feed(
        "actions",
        {
            "timestamp": moment,
            **{"user_id": must(text), "action_id": must(text), "action_name": must(text)},
            "action_params": Field(is_action_params, "must be a list of key and value strings"),
        },
    ),
    "logins": Feed(
        "users",
        {
            **{"timestamp": moment, "user_id": must(text), "clan_id": text, "level": integer, "device": text},
            "country": Field(matches(COUNTRY), "must be an ISO 3166-1 alpha-2 code"),
            "platform": text,
            "language": Field(matches(LANGUAGE), "must be an IETF language tag"),
            **{"register_date": date, "last_login_timestamp": moment},
        },
    ),
    "purchases": Feed(
        "purchases",
        {
            **{"timestamp": moment, "user_id": must(text), "item_id": must(text), "count": must(integer)},
            **{"price": must(price), "platform": text},
        },
    ),
    "virtual-purchases": Feed(
        "virtual_purchases",
        {
            **{"timestamp": moment, "user_id": must(text), "item_id": must(text), "count": must(integer)},
            **{"virtual_price": must(number), "currency": must(text)},
        },
    ),
    "level-ups": Feed("level_ups", {"timestamp": moment, "user_id": must(text), "level": must(integer)}),
    "items": Feed(
        "items",
        {"item_id": must(text), "price": must(price), "currency": must(text), "name": must(text), "type": text},
    ),
    "social-dynamics": Feed(
        "social_dynamics",
        {
            **{"timestamp": moment, "user_id": must(text), "target_user_id": must(text)},
            "connection": must(Field(one_of("linked", "unllinked"), "must be linked or unllinked")),  # as printed
            "interaction": must(Field(one_of("friend", "party"), "must be friend or party")),
        },
    ),
}


def wrong_item(item: Any, feed: Feed, unknown_fields: str) -> dict[str, str]:
    """Field -> message for one item; empty when it is good. Null counts as left out, and so does an empty text."""
    if not isinstance(item, dict):
        return {feed.key: f"{feed.key} must be a list of objects"}
    wrong: dict[str, str] = {}
    for name, value in item.items():
        field = feed.fields.get(name)
        if field is None:
            if unknown_fields == "refuse":
                wrong[name] = f"{name} is unknown"
        elif value is not None and not field.check(value):
            wrong[name] = f"{name} {field.words}"
    for name, field in feed.fields.items():
        if field.required and item.get(name) in (None, ""):
            wrong[name] = f"{name} is required"
    return wrong
