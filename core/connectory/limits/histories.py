"""What an account knows of the past, as a forecast needs it."""

from __future__ import annotations

from connectory.limits.accounts import Account
from connectory.limits.budgets import Window
from connectory.limits.forecast import History


def read_history(account: Account) -> History:
    """What is known of a budget; calls under way as if they ended now."""
    budget = account.budget
    full = 0.0
    if budget.bucket is not None:
        full = max(account.bucket_full(), account.now) + account.under_way() / budget.refill
    return History(
        budget=budget,
        now=account.now,
        held_until=account.held,
        ended=tuple(_ended(account, window) for window in budget.rolling),
        days=tuple(account.day_used(window) for window in budget.days),
        bucket_full=full,
    )


def _ended(account: Account, window: Window) -> tuple[tuple[float, int], ...]:
    rows = account.db.execute(
        "SELECT at, count FROM finish WHERE budget=? AND span=? AND at>? ORDER BY number",
        (account.id, window.seconds, account.now - window.seconds),
    ).fetchall()
    return (*rows, (account.now, account.under_way(window.count))) if account.costs else tuple(rows)
