"""Trouble on demand: which call goes wrong, and how. `429@5:retry-after=2`, `drop@4`, `500@2..4`, `slow:seconds=3`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from connectory.errors import nearest


@attrs.frozen
class Kind:
    """A kind of trouble: what happens, and the options that say more of it."""

    about: str
    options: Mapping[str, str] = attrs.Factory(dict)


_WAITS = {"retry-after": "seconds to wait, in Retry-After", "retry-date": "the same, said as a date"}

KINDS: Final[Mapping[str, Kind]] = {
    "STATUS": Kind("is answered with that status (400 to 599) and not done", _WAITS),
    "throttle": Kind("is refused as one too many, in the way in which the vendor says it", _WAITS),
    "expire-token": Kind("finds that every token given out so far has expired"),
    "refuse": Kind("finds its credentials refused"),
    "drop": Kind("loses its connection", {"applied": "true: only after the work is done (default false)"}),
    "slow": Kind("takes long", {"seconds": "how long (default 1)"}),
    "truncate": Kind("gets an answer that ends in the middle"),
    "not-json": Kind("gets an answer that is not JSON"),
    "html": Kind("gets an HTML page with status 200"),
    "empty": Kind("gets an answer without a body"),
    "short-page": Kind("gets a page with one record fewer than asked for, though there are more"),
    "empty-page": Kind("gets a page without records, though there are more"),
    "repeat-page": Kind("gets the records of the page before again"),
    "repeat-cursor": Kind("is sent back to the page that it has just got"),
    "change-total": Kind("and all after it are told of one record more than there are"),
    "insert-record": Kind("finds a new record at the head of the list"),
    "foreign-link": Kind("is given a next link that leads to another host"),
    "bad-items": Kind("has items that are refused", {"items": "first, last, several, all, or positions as 0+3"}),
    "too-large": Kind("is refused for its size (413)"),
}
_FAULT: Final = re.compile(r"([a-z0-9-]+)(?:@(\d+)(?:(\.\.)(\d+)?)?)?(?::(.*))?", re.IGNORECASE)
_EXAMPLE: Final = "429@5:retry-after=2"


@attrs.frozen
class Fault:
    """One trouble. It hits calls `first` to `last` (counted from 1, logins aside; None: all from `first` on).

    With `on` only the calls of that operation are counted and hit.
    """

    kind: str
    first: int = 1
    last: int | None = None
    options: Mapping[str, str] = attrs.field(factory=dict)
    on: str = ""

    @property
    def status(self) -> int | None:
        """The status that it answers, where the kind is one."""
        return int(self.kind) if self.kind.isdecimal() else None

    def hits(self, number: int) -> bool:
        """Whether it is the turn of call `number`."""
        return self.first <= number and (self.last is None or number <= self.last)

    def number(self, option: str, default: float) -> float:
        """A numeric option."""
        return float(self.options.get(option, default))

    @property
    def wait(self) -> float | None:
        """The seconds that the answer tells to wait."""
        said = self.options.get("retry-after") or self.options.get("retry-date")
        return None if said is None else float(said)


def parse_fault(text: str) -> Fault:
    """`KIND[@CALL[..CALL]][:OPTION=VALUE,...]`. Raises ValueError with the nearest right word."""
    found = _FAULT.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}' is no fault: write a kind, '@' and the number of a call, as {_EXAMPLE}")
    kind, first, dots, last, rest = found[1].lower(), found[2], found[3], found[4], found[5]
    known = _kind(kind)
    options = dict(_option(kind, known, word) for word in (rest or "").split(",") if word)
    on = options.pop("on", "")
    begin = int(first or 1)
    end = None if first is None or (dots and last is None) else int(last or begin)
    if begin < 1 or (end is not None and end < begin):
        raise ValueError(f"'{text}': calls are counted from 1 and upwards, as 500@2..4")
    return Fault(kind, begin, end, options, on)


def _kind(word: str) -> Kind:
    if word.isdecimal():
        if not 400 <= int(word) <= 599:
            raise ValueError(f"'{word}' is no status of a fault: write 400 to 599")
        return KINDS["STATUS"]
    if word not in KINDS or word == "STATUS":
        named = [name for name in KINDS if name != "STATUS"]
        raise ValueError(f"no fault '{word}'{nearest(word, named)} (there are a status, {', '.join(named)})")
    return KINDS[word]


def _option(kind: str, known: Kind, word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    allowed = {**known.options, "on": "an operation"}
    if name not in allowed:
        raise ValueError(f"'{kind}' takes no option '{name}'{nearest(name, allowed)} (it takes {', '.join(allowed)})")
    if not equals or not value:
        raise ValueError(f"'{kind}': write {name}=VALUE")
    if name in ("retry-after", "retry-date", "seconds") and not re.fullmatch(r"\d+(\.\d+)?", value):
        raise ValueError(f"'{kind}': {name}={value} is no number of seconds")
    if name == "applied" and value not in ("true", "false"):
        raise ValueError(f"'{kind}': applied is true or false, not '{value}'")
    if name == "items" and value not in ("first", "last", "several", "all") and not re.fullmatch(r"\d+(\+\d+)*", value):
        raise ValueError(f"'{kind}': items is first, last, several, all, or positions as 0+3, not '{value}'")
    return name, value


def positions(items: str, count: int) -> Sequence[int]:
    """The positions that `bad-items` names, of so many items."""
    named = {"first": [0], "last": [count - 1], "several": sorted({0, count // 2, count - 1}), "all": [*range(count)]}
    found = named[items] if items in named else [int(part) for part in items.split("+")]
    return [one for one in found if 0 <= one < count]


@attrs.define
class Schedule:
    """The faults of a server and how far it has come."""

    faults: list[Fault]
    calls: int = 0
    by_operation: dict[str, int] = attrs.Factory(dict)

    def turn(self, operation: str) -> tuple[int, Mapping[str, Fault]]:
        """The number of this call, and the faults that hit it, by kind."""
        self.calls += 1
        self.by_operation[operation] = own = self.by_operation.get(operation, 0) + 1
        hit = {
            fault.kind: fault
            for fault in self.faults
            if (not fault.on or fault.on == operation) and fault.hits(own if fault.on else self.calls)
        }
        return self.calls, hit

    def plan(self, *faults: Fault) -> None:
        """These faults from the next call on, in place of all others; calls are counted anew."""
        self.faults = list(faults)
        self.calls = 0
        self.by_operation.clear()
