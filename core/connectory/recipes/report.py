"""What a run tells: how far it is while it goes, and its accounts in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from connectory.delivery.accounts import Accounts
from connectory.destinations.destination import Problem, Written
from connectory.errors import ConnectoryError


@attrs.frozen
class Progress:
    """How far a sync is. `total` is what the vendor says there is; `waiting` says why nothing moves just now."""

    rows: int
    pages: int
    total: int | None = None
    waiting: str = ""
    seconds: float = 0.0


@attrs.define
class Report:
    """The end of a sync: the accounting, what was not taken and why, and the error that stopped it, if any.

    `accounts`, `came` (rows before the change), `left_out` (records that were no rows of this run, by the reason) and
    `pages` are of the whole run, which may have taken several
    `starts`; `earlier` is how many of the rows read were settled or held before this start. Calls, waits and
    problems are of this start, and so is `dropped`: values that a contract left out of delivered rows, by field.
    `keys` are the fields that tell rows apart, where they are known.
    """

    recipe: str
    run: str = ""
    accounts: Accounts = attrs.Factory(Accounts)
    came: int = 0
    left_out: Counter[str] = attrs.Factory(Counter)
    pages: int = 0
    starts: int = 1
    earlier: int = 0
    removed: int = 0
    dropped: dict[str, int] = attrs.Factory(dict)
    calls: int = 0
    waited: float = 0.0
    took: float = 0.0
    problems: list[Problem] = attrs.Factory(list)
    error: ConnectoryError | None = None
    mark: Any = None
    changes: bool = False
    keys: Sequence[str] = ()
    destination: Mapping[str, Any] = attrs.Factory(dict)

    @property
    def exit_code(self) -> int:
        """0 all delivered, 3 finished with some rows refused, else the error's own."""
        if self.error is not None:
            return self.error.exit_code
        return 0 if self.accounts.clean else 3


class Observer:
    """Is told what a run does, by the thread that runs it. Each method may be overridden; none may raise."""

    def began(self, report: Report) -> None:
        """The run has its id; nothing is read yet in this start. `report.starts` is above 1 where it goes on."""

    def progressed(self, progress: Progress) -> None:
        """Rows were written, or a wait begins."""

    def waited(self, vendor: str, seconds: float, why: str) -> None:
        """A wait begins. Told by whichever thread waits."""

    def wrote(self, written: Written) -> None:
        """A chunk was taken, or what an earlier start left undone."""

    def ended(self, report: Report) -> None:
        """The start is over, well or not."""
