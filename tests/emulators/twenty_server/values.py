"""What each field type accepts, how the server rewrites it, and what stands where nothing was given."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from emulators.twenty_server.model import Field
from emulators.twenty_server.refusals import Refusal, bad_value
from emulators.twenty_server.richtext import blocks_of, markdown_of

EMPTY: dict[str, Any] = {
    "TEXT": "",
    "BOOLEAN": False,
    "MULTI_SELECT": [],
    "ARRAY": [],
    "TS_VECTOR": "",
    "FULL_NAME": {"firstName": "", "lastName": ""},
    "EMAILS": {"primaryEmail": "", "additionalEmails": []},
    "LINKS": {"primaryLinkLabel": "", "primaryLinkUrl": "", "secondaryLinks": []},
    "PHONES": {
        "primaryPhoneNumber": "",
        "primaryPhoneCountryCode": "",
        "primaryPhoneCallingCode": "",
        "additionalPhones": [],
    },
    "CURRENCY": {"amountMicros": None, "currencyCode": None},
    "ADDRESS": {
        "addressStreet1": "",
        "addressStreet2": "",
        "addressCity": "",
        "addressPostcode": "",
        "addressState": "",
        "addressCountry": "",
        "addressLat": None,
        "addressLng": None,
    },
    "RICH_TEXT": {"blocknote": "", "markdown": ""},
    "ACTOR": {"source": "MANUAL", "workspaceMemberId": None, "name": "System", "context": None},
}
COMPOSITES = frozenset(name for name, value in EMPTY.items() if isinstance(value, dict))
# The part of a composite that its uniqueness is about.
UNIQUE_PART = {"EMAILS": "primaryEmail", "LINKS": "primaryLinkUrl", "PHONES": "primaryPhoneNumber"}
NUMERIC_PARTS = {"amountMicros", "addressLat", "addressLng"}
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PHONE = re.compile(r"\+?[\d\s().-]{4,}")


def empty_value(field: Field) -> Any:
    """What a record holds where nothing was given."""
    empty = copy.deepcopy(EMPTY.get(field.type))
    if field.default is None:
        return empty
    return empty | field.default if isinstance(empty, dict) else field.default


def is_empty(value: Any) -> bool:
    return value in (None, "", [], {})


def iso(seconds: float) -> str:
    """`2027-01-15T08:00:00.000Z`."""
    moment = datetime.fromtimestamp(round(seconds, 3), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def shown(value: Any) -> str:
    """A value in an error message: text in single quotes, all else as JSON."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def accept(field: Field, value: Any, path: str = "") -> Any:
    """The stored form of what a caller wrote (for composites: only the parts written). Raises Refusal."""
    path = path or field.name
    if field.type == "TS_VECTOR":
        raise bad_value(f"{path} TS_VECTOR-typed field does not support write operations")
    if value is None:
        return empty_value(field) if field.type in EMPTY else None
    if field.type in COMPOSITES:
        return _composite(field, value, path)
    check = SCALARS.get(field.type)
    return check(field, value, path) if check else value


def _composite(field: Field, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad_value(f'Invalid object value {shown(value)} for field "{path}"', "Invalid value for JSON.")
    parts = EMPTY[field.type]
    for part in value:
        if part not in parts:
            raise bad_value(f'Invalid subfield "{part}" for field "{path}"')  # wording assumed
    accepted = {part: _part(parts[part], given, f"{path}.{part}") for part, given in value.items()}
    rewrite = REWRITES.get(field.type)
    return rewrite(accepted, path) if rewrite else accepted


def _part(empty: Any, given: Any, path: str) -> Any:
    if given is None:
        return copy.deepcopy(empty)
    name = path.rsplit(".", 1)[-1]
    if name in NUMERIC_PARTS:
        return _plain_number(given, path)
    if isinstance(empty, list) and not isinstance(given, list):
        raise bad_value(f'Invalid array value {shown(given)} for field "{path}"')  # wording assumed
    if isinstance(empty, str) and not isinstance(given, str):
        raise bad_value(f'Invalid string value {shown(given)} for text field "{path}"')  # wording assumed
    return given


def _emails(parts: dict[str, Any], path: str) -> dict[str, Any]:
    if primary := parts.get("primaryEmail"):
        _email(primary, f"{path}.primaryEmail")
        parts["primaryEmail"] = primary.lower()
    if more := parts.get("additionalEmails"):
        parts["additionalEmails"] = [_email(text, f"{path}.additionalEmails").lower() for text in more]
    return parts


def _email(text: Any, path: str) -> str:
    if not isinstance(text, str) or not EMAIL.fullmatch(text):
        raise bad_value(f'Invalid string value {shown(text)} for email field "{path}"')
    return text


def _links(parts: dict[str, Any], path: str) -> dict[str, Any]:
    if url := parts.get("primaryLinkUrl"):
        parts["primaryLinkUrl"] = plain_url(url)
    if "primaryLinkUrl" in parts:  # recorded: an address without a label takes the old label away
        parts.setdefault("primaryLinkLabel", "")
    return parts


def plain_url(url: str) -> str:
    """Scheme and host in lower case, no slash at the end."""
    pieces = urlsplit(url)
    lower = pieces._replace(scheme=pieces.scheme.lower(), netloc=pieces.netloc.lower())
    return urlunsplit(lower).rstrip("/")


def _phones(parts: dict[str, Any], path: str) -> dict[str, Any]:
    if number := parts.get("primaryPhoneNumber"):
        if not PHONE.fullmatch(number):
            raise Refusal(
                f"Provided phone number is invalid {number}",
                error="Error",
                code="INVALID_PHONE_NUMBER",
                sub_code="INVALID_PHONE_NUMBER",
            )
        digits = re.sub(r"\D", "", number)
        calling = str(parts.get("primaryPhoneCallingCode") or "").lstrip("+")
        if number.startswith("+") and calling and digits.startswith(calling):
            digits = digits[len(calling) :]
        parts["primaryPhoneNumber"] = digits.removeprefix("0")  # the national trunk digit goes
    return parts


def _rich_text(parts: dict[str, Any], path: str) -> dict[str, Any]:
    markdown, blocks = parts.get("markdown"), parts.get("blocknote")
    if blocks:
        return {"blocknote": blocks, "markdown": markdown_of(blocks)}
    return {"blocknote": blocks_of(markdown or ""), "markdown": markdown or ""}


REWRITES: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "EMAILS": _emails,
    "LINKS": _links,
    "PHONES": _phones,
    "RICH_TEXT": _rich_text,
}


def _plain_number(value: Any, path: str) -> int | float:
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise bad_value(f'Invalid number value {shown(value)} for field "{path}"')
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(field: Field, value: Any, path: str) -> int | float:
    if isinstance(value, str):
        raise bad_value(f'Invalid number value {shown(value)} for field "{path}"')
    return _plain_number(value, path)


def _text(field: Field, value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise bad_value(f'Invalid string value {shown(value)} for text field "{path}"')  # wording assumed
    return value


def _boolean(field: Field, value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise bad_value(f'Invalid boolean value {shown(value)} for field "{path}"')  # wording assumed
    return value


def _moment(field: Field, value: Any, path: str) -> str:
    try:
        return iso(moment_of(value))
    except ValueError:
        expected = "YYYY-MM-DDTHH:mm:ssZ"
        text = f"Invalid value {shown(value)} for date-time field \"{path}\". Expected format: '{expected}'"
        raise bad_value(text) from None


def moment_of(value: Any) -> float:
    """Epoch seconds of an ISO 8601 text; without a zone it is UTC. Raises ValueError."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        raise ValueError(value)
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _day(field: Field, value: Any, path: str) -> str:
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except (TypeError, ValueError):
        text = f"Invalid value {shown(value)} for date field \"{path}\". Expected format: 'YYYY-MM-DD'"
        raise bad_value(text) from None  # wording assumed


def _option(field: Field, value: Any, path: str) -> str:
    if value not in field.options:
        valid = ", ".join(field.options)
        raise bad_value(f'Invalid value "{value}" for field "{path}". Valid values are: {valid}')
    return str(value)


def _options(field: Field, value: Any, path: str) -> list[str]:
    if not isinstance(value, list):
        raise bad_value(f'Invalid array value {shown(value)} for field "{path}"')  # wording assumed
    return [_option(field, item, path) for item in value]


def _array(field: Field, value: Any, path: str) -> list[Any]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _uuid(field: Field, value: Any, path: str) -> str:
    """UUIDs of versions 1 to 5 only: the server refuses version 7. The wording is assumed."""
    try:
        given = uuid.UUID(value)
    except (TypeError, ValueError, AttributeError):
        raise bad_value(f'Invalid UUID value {shown(value)} for field "{path}"') from None
    if given.version is None or not 1 <= given.version <= 5:
        raise bad_value(f'Invalid UUID value {shown(value)} for field "{path}"')
    return str(given)


SCALARS: dict[str, Callable[[Field, Any, str], Any]] = {
    "TEXT": _text,
    "NUMBER": _number,
    "NUMERIC": _number,
    "POSITION": _number,
    "BOOLEAN": _boolean,
    "DATE_TIME": _moment,
    "DATE": _day,
    "SELECT": _option,
    "RATING": _option,
    "MULTI_SELECT": _options,
    "ARRAY": _array,
    "UUID": _uuid,
    "RELATION": _uuid,
    "MORPH_RELATION": _uuid,
}
