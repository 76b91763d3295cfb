"""What a sync needs of the place where records go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import attrs

from connectory.errors import ConnectoryError

Contract = Literal["evolve", "freeze", "discard_row", "discard_value"]
ProblemWord = Literal["invalid", "rejected", "unknown", "not_tried"]


@attrs.frozen
class Problem:
    """A row that was not taken. `word` is invalid, rejected, unknown or not_tried.

    `row` is the row as it was handed over, `field` the field it is about (where one is known), `reason` ours or the
    vendor's words, `code` its code, `status` the HTTP status that told, `attempts` how often it was sent, and
    `repeatable` whether sending it again does no harm.
    """

    row: Mapping[str, Any]
    field: str
    reason: str
    word: ProblemWord = "invalid"
    code: str = ""
    status: int | None = None
    attempts: int = 0
    repeatable: bool = True


@attrs.frozen
class Written:
    """What became of one chunk. Every row of it is in one of these:
    `delivered + accepted + unchanged + len(problems)` is the number of its rows.

    `removed` counts what was taken away there besides, `dropped` the values that a contract left out of delivered rows,
    by field. `stopped` is the error that ended the work inside the chunk.
    """

    delivered: int
    unchanged: int = 0
    problems: tuple[Problem, ...] = ()
    accepted: int = 0
    removed: int = 0
    stopped: ConnectoryError | None = None
    dropped: Mapping[str, int] = attrs.Factory(dict)

    @property
    def counts(self) -> dict[str, int]:
        """Rows by word."""
        counts = Counter[str](delivered=self.delivered, unchanged=self.unchanged, accepted=self.accepted)
        counts.update(problem.word for problem in self.problems)
        return {word: count for word, count in counts.items() if count}


@attrs.frozen
class Kept:
    """A state, and the counts of the chunk that was written with it, with what `resume` has done for it since."""

    state: bytes
    counts: Mapping[str, int] = attrs.Factory(dict)


class Destination(Protocol):
    """One open table, file or operation. Not shared between threads."""

    @property
    def rows_per_write(self) -> int | None:
        """How many rows a chunk should have; None: as they come."""

    def resume(self) -> Written | None:
        """Finish what a killed run left half done; what became of it. None: nothing was left."""

    def write(self, rows: Sequence[Mapping[str, Any]], state: bytes | None = None) -> Written:
        """Take one chunk; `state` is kept in one step with it, beside the counts of what is returned.

        Tables take a chunk all or nothing apart from invalid rows. Raises DestinationError when it was not taken.
        """

    def read_state(self) -> Kept | None:
        """What the last `write` or `finish` kept, or None."""

    def finish(self, state: bytes | None = None) -> Written | None:
        """Every row was written: make a `replace` visible in one step, remove what a `mirror` no longer has.

        Returns what was done besides, if anything. Raises DestinationError.
        """

    def close(self) -> None:
        """Let go of it. An unfinished `replace` leaves what was there before."""


@runtime_checkable
class TakesText(Protocol):
    """A destination that may be given `Lines`, and then looks at none of them."""

    takes_text: bool


@runtime_checkable
class TakesColumns(Protocol):
    """A destination that may be given a `Table`."""

    takes_columns: bool


@runtime_checkable
class TakesRelation(Protocol):
    """A destination that may be given a `Relation`."""

    def takes_relation(self, kinds: Mapping[str, Any]) -> bool:
        """Whether it does so without a look at its rows, where the columns are of these DuckDB types."""
