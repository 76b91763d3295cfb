"""Pages that come fast, kept as one chunk: a state takes longer to keep than such a page to come.

Where calls are counted by a limit every page is kept by itself, so that a stop costs no call twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

import attrs

from connectory.clock import Clock
from connectory.destinations.destination import Problem
from connectory.lines import Lines
from connectory.recipes.source import Chunk, Position

TOGETHER: Final = 20_000  # rows: more makes no write to a table or file cheaper
LONGEST: Final = 0.2  # seconds that rows wait for others


@attrs.frozen
class Part:
    """What one step of a read gave; see `Chunk`. One that `waits` may be kept together with those that follow."""

    rows: Sequence[Any] = ()
    pages: int = 0
    left_out: Mapping[str, int] = attrs.Factory(dict)
    refused: Sequence[Problem] = ()
    waits: bool = True


@attrs.define
class Together:
    """Parts that wait a fifth of a second to be a chunk of `most` rows; with 1 none waits."""

    clock: Clock
    most: int
    parts: list[Part] = attrs.Factory(list)
    _rows: int = 0
    _since: float = 0.0

    def add(self, part: Part) -> bool:
        """Whether it is time to take them."""
        now = self.clock.monotonic()
        if not self.parts:
            self._since = now
        self.parts.append(part)
        self._rows += len(part.rows)
        return not part.waits or self._rows >= self.most or self.most == 1 or now - self._since >= LONGEST

    def take(self) -> Sequence[Part]:
        """All that wait."""
        parts, self.parts, self._rows = self.parts, [], 0
        return parts


def chunk_of(parts: Sequence[Part], position: Position, total: int | None) -> Chunk:
    """The parts as one chunk, behind which reading goes on at `position`."""
    left_out = Counter[str]()
    for part in parts:
        left_out.update(part.left_out)
    return Chunk(
        _joined([part.rows for part in parts if part.rows]),
        position,
        pages=sum(part.pages for part in parts),
        total=total,
        left_out={word: count for word, count in left_out.items() if count},
        refused=[problem for part in parts for problem in part.refused],
    )


def _joined(parts: Sequence[Sequence[Any]]) -> Sequence[Any]:
    if len(parts) == 1:
        return parts[0]
    texts = [rows for rows in parts if isinstance(rows, Lines)]
    return Lines.joined(texts) if texts and len(texts) == len(parts) else list(chain.from_iterable(parts))
