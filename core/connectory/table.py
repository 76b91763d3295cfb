"""Rows as what they lie in: columns of Python values, or a table of a DuckDB. What is made of all together needs no
object for each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, overload


class Unmade(Sequence[Any]):
    """Rows of which no Python objects are made until somebody looks at one; then all are."""

    _made: Sequence[Any] | None = None

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def _make(self) -> Sequence[Any]:
        """All of them as objects."""

    @property
    def rows(self) -> Sequence[Any]:
        """All of them."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            wanted = range(len(self))[place]
            if wanted == range(len(self)):
                return self
            if not wanted:
                return ()
        return self.rows[place]


class Table(Unmade):
    """Rows that all have the same columns, of which there is at least one.

    Raises ValueError for columns that are not as many as their names, or not of one length.
    """

    def __init__(self, names: Sequence[str], columns: Sequence[Sequence[Any]]) -> None:
        if len(names) != len(columns) or len(set(map(len, columns))) != 1:
            raise ValueError(f"{len(names)} names of {len(columns)} columns, {len(set(map(len, columns)))} lengths")
        self.names = names
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def _make(self) -> list[dict[str, Any]]:
        return list(map(dict, map(zip, repeat(self.names), zip(*self.columns, strict=True))))


class Relation(Unmade):
    """Rows that lie in a DuckDB, until whoever gave them goes on. Another DuckDB can take them over by the Arrow stream
    that they are; `read` makes Python objects of them.

    `kinds` are the columns' types, as DuckDB's Python types.
    """

    _count: int | None = None

    def __init__(self, relation: Any, read: Callable[[], Sequence[Mapping[str, Any]]]) -> None:
        self.kinds: Mapping[str, Any] = dict(zip(relation.columns, relation.types, strict=True))
        self._relation = relation
        self._read = read

    def __len__(self) -> int:
        if self._count is None:
            self._count = len(self._relation)
        return self._count

    def _make(self) -> Sequence[Mapping[str, Any]]:
        return self._read()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The rows for another DuckDB, which asks for them in this way (the Arrow PyCapsule interface)."""
        return self._relation.__arrow_c_stream__(requested_schema)
