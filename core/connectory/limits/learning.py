"""What an account makes of what a vendor tells.

The vendor counts for everybody, the ledger for those who share it; so the ledger believes a vendor who says that less
is left. It believes one who says that more is left only where that cannot be an old story: an answer that was on its
way while other calls were counted may tell of a time before them.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from connectory.limits.accounts import Account
from connectory.limits.told import Known, Told

_SAME: Final = 2.0  # seconds between two moments of one reset: vendors round, and answers take their time


def take_in(account: Account, told: Told, before: Known, granted: float) -> None:
    """Make an account as an answer says it is. `before` is what was known when its call ended, `granted` (epoch
    seconds) when that call began."""
    account.resize(told.limit, told.refill)
    left = _left(account, told)
    if left is None:
        return
    if account.budget.bucket is not None:
        _fill_bucket(account, left, fresh=before.ended <= granted and not account.leases)
    elif told.reset is not None:
        _left_until(account, left, told.reset, before)
    else:
        _use_up(account, left)


def _left(account: Account, told: Told) -> int | None:
    most = _most(account)
    if told.left is not None:
        return told.left
    return None if told.used is None or most is None else max(0, most - told.used)


def _most(account: Account) -> int | None:
    budget = account.budget
    return budget.burst or min((window.count for window in budget.windows), default=None)


def _fill_bucket(account: Account, left: int, *, fresh: bool) -> None:
    budget = account.budget
    assert budget.burst is not None
    said = account.now + max(0, budget.burst - left) / budget.refill
    ours = max(account.bucket_full(), account.now)
    account.refill_until(said if fresh else max(said, ours))


def _left_until(account: Account, left: int, reset: float, before: Known) -> None:
    """Within one reset what is left only falls, so the least of what was told is the latest."""
    longest = max((window.memory for window in account.budget.windows), default=math.inf)
    until = min(reset, account.now + longest)
    if until < before.until - _SAME or until <= account.now:
        return
    if before.left is not None and until <= before.until + _SAME:
        left, until = min(left, before.left), before.until
    account.remember(attrs.evolve(account.known, left=left, until=until))


def _use_up(account: Account, left: int) -> None:
    """Others have used what the vendor misses and we do not know of."""
    for window in account.budget.windows:
        unknown = window.count - left - account.used(window)
        if unknown > 0:
            account.count_unknown(window, unknown)
