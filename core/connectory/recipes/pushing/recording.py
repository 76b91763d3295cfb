"""Writes each request of a chunk into the journal before it leaves, and what became of it when it is over."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from connectory.delivery.accounts import ItemResult
from connectory.delivery.journal import Journal, Outcome


@attrs.define(eq=False)
class Recorder:
    """The `Watch` of one chunk. `numbers` are those that the rows which are sent have in it."""

    journal: Journal
    numbers: Sequence[int]
    _rows: Sequence[int] = attrs.field(init=False, default=())
    _away: bool = attrs.field(init=False, default=False)

    def key(self) -> str:
        return ""

    def going(self, rows: Sequence[int]) -> None:
        self._rows, self._away = [self.numbers[row - 1] for row in rows], False

    def flight(self, away: bool) -> None:
        if away and not self._away:
            self.journal.depart(self._rows)
        elif not away and self._away:
            self.journal.come_back()
        self._away = away

    def told(self, results: Sequence[ItemResult]) -> None:
        outcomes = list(map(self.outcome, results))
        if self._away or outcomes:
            self.journal.come_back(outcomes)
        self._away = False

    def outcome(self, result: ItemResult) -> Outcome:
        """What is written down of one row."""
        return Outcome(self.numbers[result.row - 1], result.word, result.words, result.code, result.status)
