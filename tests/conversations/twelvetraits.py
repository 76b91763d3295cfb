"""What is said to 12traits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from conversations.talk import Talk, Vendor
from emulators.twelvetraits import TwelveTraits

AT = "2026-05-20T18:25:43Z"
# A good item of each push with every field, and what is wrong with another one's fields.
PUSHES: Mapping[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "actions.push": (
        "actions",
        {
            **{"timestamp": AT, "user_id": "1", "action_id": "jump", "action_name": "Jump"},
            "action_params": [{"key": "height", "value": "3"}],
        },
        {"timestamp": "yesterday", "user_id": 1, "action_id": 2, "action_name": 3, "action_params": [{"key": 1}]},
    ),
    "logins.push": (
        "users",
        {
            **{"timestamp": AT, "user_id": "1", "clan_id": "c", "level": 3, "device": "phone", "country": "NL"},
            **{"platform": "ios", "language": "nl-NL", "register_date": "2026-01-31", "last_login_timestamp": AT},
        },
        {
            **{"timestamp": "x", "user_id": 1, "clan_id": 2, "level": "3", "device": 4, "country": "Nederland"},
            **{"platform": 5, "language": 6, "register_date": "x", "last_login_timestamp": "x"},
        },
    ),
    "purchases.push": (
        "purchases",
        {**{"timestamp": AT, "user_id": "1", "item_id": "2", "count": 2, "price": 9.99}, "platform": "ios"},
        {"timestamp": "x", "user_id": 1, "item_id": 2, "count": "2", "price": "9.99", "platform": 3},
    ),
    "virtual_purchases.push": (
        "virtual_purchases",
        {**{"timestamp": AT, "user_id": "1", "item_id": "2", "count": 2, "virtual_price": 50.5}, "currency": "gems"},
        {"timestamp": "x", "user_id": 1, "item_id": 2, "count": "2", "virtual_price": "50", "currency": 3},
    ),
    "level_ups.push": (
        "level_ups",
        {"timestamp": AT, "user_id": "1", "level": 2},
        {"timestamp": "x", "user_id": 1, "level": "2"},
    ),
    "items.push": (
        "items",
        {"item_id": "2", "price": 9.99, "currency": "EUR", "name": "Sword", "type": "weapon"},
        {"item_id": 2, "price": "9.99", "currency": 3, "name": 4, "type": 5},
    ),
    "social_dynamics.push": (
        "social_dynamics",
        {
            **{"timestamp": AT, "user_id": "1", "target_user_id": "2"},
            **{"connection": "linked", "interaction": "friend"},
        },
        {"timestamp": "x", "user_id": 1, "target_user_id": 2, "connection": "unlinked", "interaction": "foe"},
    ),
}


OPTIONAL = (
    *("timestamp", "action_params", "platform", "type", "clan_id", "device", "country", "language"),
    *("register_date", "last_login_timestamp"),
)


def pushes() -> Iterator[Talk]:
    for operation, (key, good, wrong) in PUSHES.items():
        yield Talk(operation=operation, given={key: [good]}, label="every field")
        # Each wrong field by itself, what must be there left out, and a field that nobody knows.
        items = [{**good, name: value} for name, value in wrong.items()]
        items += [{name: value for name, value in good.items() if name != left} for left in good]
        yield Talk(operation=operation, given={key: [*items, {**good, "nothing": 1}]}, label="wrong fields")
        needed = {name: value for name, value in good.items() if name != "level" or operation != "logins.push"}
        yield Talk(operation=operation, given={key: full(needed, 1001)}, label="1001")
        yield Talk(operation=operation, given={key: [good, good]}, label="refused", before=refuse)
        yield Talk(operation=operation, given={key: [good]}, label="miscounted", knobs={"miscount": -1})


def full(good: Mapping[str, Any], number: int) -> list[dict[str, Any]]:
    """One item more than a call takes, with what must be there alone."""
    needed = [name for name in good if name not in OPTIONAL]
    return [{name: good[name] for name in needed} for _ in range(number)]


def refuse(vendor: TwelveTraits) -> None:
    """An item that the vendor alone finds wrong."""
    body = b'{"code": 400, "message": "bad request", "errors": {"user_id": "user_id is not known"}}'
    vendor.fail(times=3, status=400, match="POST", body=body, content_type="application/json")


def say_status(status: str, vendor: TwelveTraits) -> None:
    """The survey is in another state."""
    body = f'{{"code": 200, "message": "", "data": {{"result_ok": true, "data": {{"status": "{status}"}}}}}}'
    vendor.fail(status=200, body=body.encode(), content_type="application/json")


def talks() -> Iterator[Talk]:
    yield from pushes()
    action = PUSHES["actions.push"][1]
    halves = [{**action, "action_params": [half]} for half in ({"key": "height"}, {"value": "3"})]
    yield Talk(operation="actions.push", given={"actions": halves}, label="half a parameter")
    level = {"user_id": "1", "level": 3}
    yield Talk(
        operation="level_ups.push", given={"level_ups": [level, {**level, "level": 2}]}, label="a level that falls"
    )
    more = {"user_id": "1", "target_user_id": "2"}
    links = [{**more, "connection": "unllinked", "interaction": "party"}, {**more, "connection": "linked"}]
    yield Talk(operation="social_dynamics.push", given={"social_dynamics": links[:1]}, label="unlinked")
    yield Talk(
        operation="actions.push",
        given={"actions": [PUSHES["actions.push"][1]]},
        label="500",
        before=lambda vendor: vendor.fail(status=500, match="actions"),
        errors=True,
    )
    for operation in ("survey_data.upload", "kpis.upload"):
        file = {"name": "2026-05-20.csv", "content": "user_id,score\n1,2\n"}
        yield Talk(operation=operation, given={"file": file}, label="file")
    yield Talk(
        operation="kpis.upload",
        given={"file": {"name": "x.csv", "content": "a\n"}},
        label="badly named",
        knobs={"dated_names": True},
        errors=True,
    )
    yield Talk(operation="playfab.forward", given={"body": {"EventName": "player_logged_in"}}, label="event")
    yield Talk(operation="assessment.get")
    yield Talk(
        operation="assessment.get",
        label="429 and 500",
        before=lambda vendor: (vendor.fail(status=429, headers={"Retry-After": "3"}), vendor.fail(status=500)),
    )
    yield Talk(operation="assessment.get", label="bad key", settings={"api_key": "another-key-of-nobody"}, errors=True)
    for operation, given in (
        ("playfab.forward", {"body": {"EventName": "player_logged_in"}}),
        ("assessment.users", {}),
        ("assessment.register", {"id": "a1"}),
        ("assessment.status", {"id": "user-000001"}),
        ("segments.user_ids", {"segment_id": "default", "persona": "1"}),
        ("segments.traits", {"segment_id": "default", "persona": "1"}),
    ):
        yield Talk(
            operation=operation,
            given=given,
            label="after a 500",
            knobs={"users": 5},
            before=lambda vendor: vendor.fail(status=500),
            errors=True,
        )
    for status in ("Closed", "Deleted", "Paused"):
        yield Talk(operation="assessment.get", label=status.lower(), before=partial(say_status, status))
    yield Talk(operation="survey_data.upload", label="no file", errors=True)
    yield Talk(operation="kpis.upload", label="no file", errors=True)
    yield Talk(operation="assessment.get", label="no key", settings={"api_key": None}, settings_refused=True)
    yield Talk(operation="assessment.get", label="sandbox", server="sandbox")
    yield Talk(operation="assessment.get", label="production", server="production")
    yield Talk(operation="assessment.users", label="three pages", knobs={"users": 25, "largest_page": 10})
    yield Talk(operation="assessment.users", label="none", knobs={"users": 0})
    yield Talk(operation="assessment.register", given={"id": "a1"}, label="a1")
    yield Talk(operation="assessment.register", given={"id": ""}, label="no id", errors=True)
    yield Talk(operation="assessment.register", given={}, label="nothing", errors=True)
    yield Talk(operation="assessment.status", given={"id": "user-000001"}, label="done")
    yield Talk(operation="assessment.status", given={}, label="nothing", errors=True)
    yield Talk(operation="assessment.status", given={"id": "nobody"}, label="nobody", errors=True)
    persona = {"segment_id": "default", "persona": "1"}
    for operation in ("segments.user_ids", "segments.traits"):
        yield Talk(operation=operation, given=persona, label="1", knobs={"users": 9})
        yield Talk(operation=operation, given={**persona, "persona": "all"}, label="all", knobs={"users": 9})
        yield Talk(operation=operation, given={**persona, "persona": "0"}, label="no persona", errors=True)
        yield Talk(operation=operation, given={**persona, "persona": "9"}, label="unknown", errors=True)
        yield Talk(operation=operation, given={"segment_id": 1, "persona": 1}, label="no texts", errors=True)
    yield Talk(operation="user_data.delete", given={"id": "user-000001"}, label="one")
    yield Talk(operation="user_data.delete", given={"id": "nobody"}, label="nobody", errors=True)
    yield Talk(operation="user_data.delete", given={}, label="nothing", errors=True)


VENDOR = Vendor(
    name="12traits",
    emulator=TwelveTraits,
    settings={"api_key": "key-of-a-dashboard"},
    talks=tuple(talks()),
    knobs={"users": 30},
)
