"""What a sync needs of the place where records go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs


@attrs.frozen
class InvalidRow:
    """A row that the destination cannot take: the row as read, the field and why."""

    row: Mapping[str, Any]
    field: str
    reason: str


@attrs.frozen
class Written:
    """What became of one chunk: `delivered + unchanged + len(invalid)` is the number of its rows."""

    delivered: int
    unchanged: int = 0
    invalid: tuple[InvalidRow, ...] = ()


class Destination(Protocol):
    """One open table (or file). Not shared between threads."""

    def write(self, rows: Sequence[Mapping[str, Any]], state: bytes | None = None) -> Written:
        """Take one chunk, all or nothing apart from invalid rows; `state` is kept in the same transaction.

        Raises DestinationError when the chunk was not taken.
        """

    def read_state(self) -> bytes | None:
        """What the last `write` or `finish` of this table kept, or None."""

    def finish(self, state: bytes | None = None) -> None:
        """Every row was written: make a `replace` visible in one step. Raises DestinationError."""

    def close(self) -> None:
        """Let go of it. An unfinished `replace` leaves what was there before."""
