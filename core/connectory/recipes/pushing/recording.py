"""Writes each request of a chunk into the journal before it leaves, and what became of it when it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from connectory.delivery.accounts import Alike, ItemResult
from connectory.delivery.journal import Journal, Outcome
from connectory.progress import Progress


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
        self._rows, self._away = self.numbers_of(rows), False
        if self.begun() is None and self.journal.progress() is not None:
            self.journal.come_back()  # a request that goes on in parts

    def flight(self, away: bool) -> None:
        if away and not self._away:
            self.journal.depart(self._rows)
        elif not away and self._away:
            self.journal.come_back()
        self._away = away

    def told(self, results: Sequence[ItemResult]) -> None:
        outcomes = self.outcomes(results)
        if outcomes or (self._away and self.begun() is None):  # else it stopped between steps, and is gone on with
            self.journal.come_back(outcomes)
        self._away = False

    def begun(self) -> Progress | None:
        found = self.journal.progress()
        return found[1] if found is not None and list(found[0]) == list(self._rows) else None

    def reach(self, progress: Progress) -> None:
        self.journal.reach(self._rows, progress)

    def numbers_of(self, rows: Sequence[int]) -> Sequence[int]:
        """The numbers of some of those that are sent."""
        if isinstance(rows, range):
            return self.numbers[rows.start - 1 : rows.stop - 1]
        return [self.numbers[row - 1] for row in rows]

    def outcomes(self, results: Sequence[ItemResult]) -> Mapping[int, Outcome]:
        """What is written down of rows, by their numbers."""
        if isinstance(results, Alike):
            outcome = Outcome(results.word, results.words, results.code, results.status)
            return dict.fromkeys(self.numbers_of(results.rows), outcome)
        return {self.numbers[one.row - 1]: Outcome(one.word, one.words, one.code, one.status) for one in results}
