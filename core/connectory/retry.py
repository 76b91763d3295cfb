"""What to do after a call that did not succeed: a pure decision, the waiting is the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs


@attrs.frozen
class Policy:
    """How patient we are. Seconds; `random` in the decisions is a number in [0, 1)."""

    tries: int = 4
    base: float = 1.0
    cap: float = 20.0
    throttled_tries: int = 8
    throttled_cap: float = 64.0


DEFAULT: Final = Policy()


@attrs.frozen
class Again:
    """Try again after so many seconds."""

    wait: float


@attrs.frozen
class Stop:
    """Give up; `until` (epoch seconds) says when trying again makes sense, where that is known."""

    until: float | None = None


def after_throttle(
    policy: Policy, attempt: int, named: float | None, random: Callable[[], float], now: float, max_wait: float
) -> Again | Stop:
    """After the vendor said "too many". A time it names is kept, a longer one than `max_wait` ends the call at once.

    Where it names none the pause is at least base x 2^n, with jitter on top: the tries then outlast the window of a
    minute, which is the longest that vendors leave unnamed short of a day.
    """
    if named is not None:
        if named > max_wait:
            return Stop(now + named)
        return Again(named + 0.1 * random()) if attempt < policy.throttled_tries else Stop(now + named)
    if attempt >= policy.throttled_tries:
        return Stop(None)
    pause = min(policy.throttled_cap, policy.base * 2.0 ** (attempt - 1)) * (1 + 0.5 * random())
    return Again(pause) if pause <= max_wait else Stop(now + pause)


def after_failure(
    policy: Policy, attempt: int, named: float | None, random: Callable[[], float], max_wait: float
) -> Again | Stop:
    """After an illness of the vendor or the line, where a repeat does no harm: exponential, full jitter."""
    if attempt >= policy.tries or (named is not None and named > max_wait):
        return Stop(None)
    if named is not None:
        return Again(named)
    return Again(random() * min(policy.cap, policy.base * 2.0**attempt))
