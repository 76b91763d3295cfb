"""What a vendor's answer tells of a limit, and what is known by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

MOST: Final = 10**12  # a larger number is no size of a budget


@attrs.frozen
class Told:
    """What one answer says of one budget, in its units; None where it says nothing.

    `limit` is the budget's size, `left` what is left of it and `used` what is used, `reset` when it is full again
    (epoch seconds), `refill` units a second that come back, `cost` what this very call has cost.
    """

    limit: int | None = None
    left: int | None = None
    used: int | None = None
    reset: float | None = None
    refill: float | None = None
    cost: int | None = None


NOTHING: Final[Mapping[str, Told]] = {}


@attrs.frozen
class Known:
    """The account's row of what was told. `left` counts from `until` on no more."""

    most: int | None = None
    refill: float | None = None
    left: int | None = None
    until: float = 0.0
    ended: float = 0.0


UNTOLD: Final = Known()
