"""Rows by their columns: what is made of whole columns needs no object for each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, overload


class Table(Sequence[dict[str, Any]]):
    """Rows that all have the same columns, of which there is at least one. To look at a row makes all.

    Raises ValueError for columns that are not as many as their names, or not of one length.
    """

    def __init__(self, names: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
        if len(names) != len(columns) or len(set(map(len, columns))) != 1:
            raise ValueError(f"{len(names)} names of {len(columns)} columns, {len(set(map(len, columns)))} lengths")
        self.names = names
        self.columns = columns
        self._made: list[dict[str, Any]] | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All of them."""
        if self._made is None:
            self._made = list(map(dict, map(zip, repeat(self.names), zip(*self.columns, strict=True))))
        return self._made

    def __len__(self) -> int:
        return len(self.columns[0])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[dict[str, Any]]: ...

    def __getitem__(self, place: int | slice) -> dict[str, Any] | Sequence[dict[str, Any]]:
        if isinstance(place, slice):
            wanted = range(len(self))[place]
            if wanted == range(len(self)):
                return self
            if not wanted:
                return ()
        return self.rows[place]
