"""What became of every item: the words, the counts and the sum that must hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, overload

import attrs

from connectory.errors import ConnectoryError

Word = Literal["delivered", "unchanged", "invalid", "rejected", "unknown", "not_tried", "accepted"]
WORDS: Final[tuple[Word, ...]] = ("delivered", "unchanged", "invalid", "rejected", "unknown", "not_tried", "accepted")


@attrs.frozen
class ItemResult:
    """What became of one item. `row` counts from 1 in the order given; `words` and `code` are the vendor's (or, for
    invalid, ours); `id` is the vendor's id of it where it names one; `status` the HTTP status that told."""

    row: int
    item: Any
    word: Word
    id: Any = None
    words: str = ""
    code: str = ""
    status: int | None = None


@attrs.frozen(eq=False)
class Alike(Sequence[ItemResult]):
    """What became of items that all share one word and its reasons; the result of one is made when it is asked for."""

    rows: Sequence[int]
    items: Sequence[Any]
    word: Word
    words: str = ""
    code: str = ""
    status: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ItemResult]:
        return map(self._result, self.rows, self.items)

    @overload
    def __getitem__(self, place: int) -> ItemResult: ...

    @overload
    def __getitem__(self, place: slice) -> Alike: ...

    def __getitem__(self, place: int | slice) -> ItemResult | Alike:
        if isinstance(place, slice):
            return attrs.evolve(self, rows=self.rows[place], items=self.items[place])
        return self._result(self.rows[place], self.items[place])

    def _result(self, row: int, item: Any) -> ItemResult:
        return ItemResult(row, item, self.word, words=self.words, code=self.code, status=self.status)


@attrs.define
class Accounts:
    """Counts by word. `read` is the number of items taken from the source."""

    read: int = 0
    counts: dict[str, int] = attrs.Factory(lambda: dict.fromkeys(WORDS, 0))

    def add(self, word: Word, number: int = 1) -> None:
        """Count items that ended so."""
        self.counts[word] += number

    @property
    def settled(self) -> int:
        """How many items have a word."""
        return sum(self.counts.values())

    @property
    def balanced(self) -> bool:
        """Whether every item read has exactly one word."""
        return self.read == self.settled

    @property
    def clean(self) -> bool:
        """Whether nothing was refused, lost or left."""
        return not any(self.counts[word] for word in ("invalid", "rejected", "unknown", "not_tried"))

    def __str__(self) -> str:
        told = [f"{self.counts[w]:,} {w.replace('_', ' ')}" for w in WORDS if self.counts[w] or w == "delivered"]
        return f"{self.read:,} read = " + " + ".join(told)


@attrs.define
class Delivery:
    """The end of a batch call: the counts, and every item that was not simply delivered.

    `results` holds the delivered items' results too when they were asked for.
    """

    accounts: Accounts = attrs.Factory(Accounts)
    problems: list[ItemResult] = attrs.Factory(list)
    results: list[ItemResult] = attrs.Factory(list)
    calls: int = 0
    error: ConnectoryError | None = None

    def _of(self, word: Word) -> list[ItemResult]:
        return [result for result in self.problems if result.word == word]

    @property
    def read(self) -> int:
        return self.accounts.read

    @property
    def delivered(self) -> int:
        """How many the vendor took."""
        return self.accounts.counts["delivered"]

    @property
    def unchanged(self) -> int:
        """How many were the same there already."""
        return self.accounts.counts["unchanged"]

    @property
    def accepted(self) -> int:
        """How many the vendor queued without saying what becomes of them."""
        return self.accounts.counts["accepted"]

    @property
    def invalid(self) -> list[ItemResult]:
        """Items that break their type; they were kept back."""
        return self._of("invalid")

    @property
    def rejected(self) -> list[ItemResult]:
        """Items the vendor refused, with its words."""
        return self._of("rejected")

    @property
    def unknown(self) -> list[ItemResult]:
        """Items that were sent without an answer that can be trusted."""
        return self._of("unknown")

    @property
    def not_tried(self) -> list[ItemResult]:
        """Items that were not sent because the run stopped."""
        return self._of("not_tried")

    def __iter__(self) -> Iterator[ItemResult]:
        return iter(self.results)

    def __str__(self) -> str:
        return f"{self.accounts} ({self.calls} call{'' if self.calls == 1 else 's'})"
