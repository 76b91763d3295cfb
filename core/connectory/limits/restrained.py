"""Callers that leave a part of a limit to others: a queue of their own behind everybody else's.

Such a caller looks at the same rows as all others, but by smaller windows. While it has no room in them it waits in a
queue that only those see who leave as much, so that nobody is kept from the part that is left to him. Once it has room
it stands in the common queue like everybody.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from connectory.limits.accounts import Account, Lack, open_account
from connectory.limits.budgets import Budget
from connectory.limits.instants import Instant
from connectory.limits.ledger import Ticket


@attrs.frozen
class Restrained:
    """The queue of those who leave as much of a budget, and why its own caller has to wait in it."""

    queue: Account
    lack: Lack | None


def open_restrained(account: Account, instant: Instant, ticket: Ticket | None) -> Restrained | None:
    """How an account stands for a caller that leaves a part of it; None where it leaves nothing."""
    own = account.budget.restrained
    if own is None:
        return None
    queue = open_account(account.db, Budget(own.key, own.name), instant)
    queue.read_queue(ticket)
    lacks = _view(account, own, queue).lacks()
    return Restrained(queue, max(map(_in_words, lacks), key=lambda lack: lack.seconds, default=None))


def _view(account: Account, own: Budget, queue: Account) -> Account:
    """The rows of the common account, counted by smaller windows and behind those in the queue."""
    return Account(account.db, own, account.id, account.now, 0.0, costs=account.costs, queue=queue.queue)


def _in_words(lack: Lack) -> Lack:
    return Lack(lack.seconds, f"{lack.why}, and the rest of the limit is left for others")


def all_restrained(accounts: list[Account], instant: Instant, ticket: Ticket | None) -> Iterator[Restrained]:
    """Those of several accounts of which the caller leaves a part."""
    for account in accounts:
        restrained = open_restrained(account, instant, ticket)
        if restrained is not None:
            yield restrained
