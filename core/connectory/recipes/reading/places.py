"""Where the reading of an operation is, as JSON: what was asked last, and what is left to be completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from connectory.paging.walk import Trail, page_digest
from connectory.plugins.kinds import PageRequest
from connectory.progress import Progress
from connectory.spec.words import Slot


@attrs.frozen(kw_only=True)
class Place:
    """One moment of a read.

    `began` is when the run began (epoch seconds), `span` what a back-fill is of, `mark` and `near` are what the last
    complete run left, `seen` and `around` what this one has seen. `parents` and `queue` are the walk of the parents and
    those not yet read, each as arguments and kept fields; `parent` is the one at hand. `window` and `trail` say which
    list is read and how far, `pending` are its records that wait for their detail, `tail` digests of the last page's
    keys.
    """

    began: float
    span: Sequence[Any] | None = None
    clock: Any = None  # the vendor's own time at the first answer
    mark: Any = None
    near: Sequence[Any] = ()
    seen: Any = None
    around: Sequence[Any] = ()
    counts: Sequence[int] = (0, 0, 0)
    parents: Trail | None = None
    parents_done: bool = False
    queue: Sequence[Sequence[Any]] = ()
    parent: Sequence[Any] | None = None
    window: Sequence[Any] | None = None
    trail: Trail | None = None
    list_done: bool = False
    pending: Sequence[Any] = ()
    tail: Sequence[str] = ()
    done: bool = False


def place_to_json(place: Place) -> dict[str, Any]:
    """A place as a JSON value (moments and days stand in it as such)."""
    data = {field.name: getattr(place, field.name) for field in attrs.fields(Place)}
    for name in ("parents", "trail"):
        data[name] = _trail_to_json(data[name])
    return data


def place_from_json(data: Mapping[str, Any]) -> Place:
    """What `place_to_json` gave."""
    trails = {name: _trail_from_json(data[name]) for name in ("parents", "trail")}
    return Place(**{**data, **trails})


def _trail_to_json(trail: Trail | None) -> Any:
    if trail is None:
        return None
    data = attrs.asdict(trail, recurse=False)
    data["following"] = _request_to_json(trail.following)
    data["current"] = _request_to_json(trail.current)
    data["last"] = trail.last if isinstance(trail.last, str) else page_digest(trail.last) if trail.last else ""
    data["progress"] = attrs.asdict(trail.progress) if trail.progress is not None else None
    return data


def _trail_from_json(data: Any) -> Trail | None:
    if data is None:
        return None
    requests = {name: _request_from_json(data[name]) for name in ("following", "current")}
    held = data.get("progress")  # places of earlier versions have none
    progress = None if held is None else Progress(**held)
    return Trail(**{**data, **requests, "seen": tuple(data["seen"]), "progress": progress})


def _request_to_json(request: PageRequest | None) -> Any:
    if request is None:
        return None
    slots = [[attrs.asdict(slot, filter=lambda _, value: value is not None), value] for slot, value in request.slots]
    return {"slots": slots, "url": request.url, "alone": request.alone}


def _request_from_json(data: Any) -> PageRequest | None:
    if data is None:
        return None
    slots = tuple((Slot(**slot), value) for slot, value in data["slots"])
    return PageRequest(slots, data["url"], data.get("alone", False))
