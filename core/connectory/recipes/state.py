"""The state of a recipe: where the next start goes on. It is kept with the rows, in one step, as JSON.

It holds rows that were read and not yet written, so it is as personal as the data; it never holds a secret.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import attrs

from connectory.errors import DestinationError

VERSION: Final = 1
_TAG: Final = "$type"  # {"$type": "date", "$value": "2026-11-25"}


@attrs.frozen(kw_only=True)
class Run:
    """A run under way.

    `position` is where the source goes on, behind the last row that is settled or held. `held` are rows read (and
    changed) but not yet written. `counts` are the words so far, without the chunk that the state is kept with. `read`
    counts rows after the change, `came` before it, both with the held ones; `left_out` counts records that were no
    rows. `span` is what a back-fill was asked for.
    """

    id: str
    position: Any = None
    held: Sequence[Mapping[str, Any]] = ()
    counts: Mapping[str, int] = attrs.Factory(dict)
    read: int = 0
    came: int = 0
    pages: int = 0
    starts: int = 1
    left_out: Mapping[str, int] = attrs.Factory(dict)
    span: tuple[str | None, str | None] | None = None


@attrs.frozen
class State:
    """What is known between two starts of a recipe: what it was, from where the next run reads, the run under way.

    `recipe` holds a digest of every part of the recipe that a state depends on, by the part's path.
    """

    recipe: Mapping[str, str]
    mark: Any = None
    run: Run | None = None

    def to_bytes(self) -> bytes:
        """As it is kept."""
        return dump({"version": VERSION, **attrs.asdict(self, recurse=True)})


PLAN: Final = "plan"  # stands, before the plan's id, where a run's span would say what it was asked for


def is_plan(span: tuple[str | None, str | None] | None) -> bool:
    """Whether a run sends the rows of a plan, so that only the same plan can go on with it."""
    return span is not None and span[0] == PLAN


def read_state(kept: bytes) -> State:
    """A state as it was. Raises DestinationError where it is none of ours, or of a later version."""
    try:
        data = load(kept)
        version = data.pop("version")
        if version != VERSION:
            raise DestinationError(
                f"the state there is of version {version}; this version of Connectory reads {VERSION}: use a later one"
            )
        run = data.pop("run")
        if run is not None:
            span = run.pop("span")
            run = Run(**run, span=tuple(span) if span else None)
        return State(run=run, **data)
    except (ValueError, TypeError, KeyError, AttributeError) as why:
        raise DestinationError(
            f"the state kept there cannot be read ({why}); --full-refresh starts without it"
        ) from why


def dump(value: Any) -> bytes:
    """JSON that keeps the types of rows: moments, days, decimals, bytes; numbers keep all their digits."""
    return _encode(_escaped(value)).encode()


def load(text: bytes) -> Any:
    """What `dump` wrote. Raises ValueError."""
    return json.loads(text, object_hook=_untagged)


_WRITE: Final[Sequence[tuple[type, str, Callable[[Any], Any]]]] = (
    (datetime, "datetime", datetime.isoformat),  # before date, which it is too
    (date, "date", date.isoformat),
    (time, "time", time.isoformat),
    (timedelta, "interval", lambda value: [value.days, value.seconds, value.microseconds]),
    (Decimal, "decimal", str),
    (UUID, "uuid", str),
    (bytes, "bytes", lambda value: base64.b64encode(value).decode()),
    (bytearray, "bytes", lambda value: base64.b64encode(value).decode()),
)
_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "interval": lambda value: timedelta(*value),
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": base64.b64decode,
    "object": dict,
}


def _tagged(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    for kind, name, write in _WRITE:
        if isinstance(value, kind):
            return {_TAG: name, "$value": write(value)}
    raise TypeError(f"a row holds a value of type {type(value).__name__}, which a state cannot keep")


def _untagged(found: dict[str, Any]) -> Any:
    return _READ[found[_TAG]](found["$value"]) if _TAG in found else found


_encode: Final = json.JSONEncoder(default=_tagged, ensure_ascii=True, separators=(",", ":")).encode
_FLAT: Final = frozenset({str, int, float, bool, type(None), *(kind for kind, _, _ in _WRITE)})


def _escaped(value: Any) -> Any:
    """Objects that look like ours, wrapped."""
    if isinstance(value, dict):
        if _TAG not in value and _FLAT.issuperset(map(type, value.values())):
            return value  # most rows are flat, and all of a push's go through here
        inner = {name: _escaped(held) for name, held in value.items()}
        return {_TAG: "object", "$value": list(inner.items())} if _TAG in value else inner
    if isinstance(value, list | tuple):
        return [_escaped(held) for held in value]
    return value
