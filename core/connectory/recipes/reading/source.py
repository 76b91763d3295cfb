"""A vendor's list operation as a source that can be left behind any chunk, and gone on with by another process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from connectory.recipes.reading.places import Place, place_from_json
from connectory.recipes.reading.steps import Reading, Wish, readers
from connectory.recipes.source import Chunk, Position
from connectory.spec.typeexpr import Named
from connectory.values.shapes import Record

__all__ = ["OperationSource", "Wish"]


@attrs.define
class OperationSource:
    """The records of one list operation."""

    wish: Wish
    as_text: bool = False
    _reading: Reading | None = None

    @property
    def shape(self) -> Record | None:
        shape = readers(self.wish, iso_as_text=False).shape(self.wish.plan.operation.returns)
        return shape if isinstance(shape, Record) else None

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that identify a record, as its type says."""
        kind = self.wish.plan.operation.returns
        fields = self.wish.engine.spec.types[kind.name] if isinstance(kind, Named) else {}
        return tuple(name for name, field in fields.items() if field.key)

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """Pages, or details in small numbers; see `SourceReader`."""
        place = _place(position, self.wish)
        self._reading = Reading.at(self.wish, self.keys, place, as_text=self.as_text)
        yield from self._reading.chunks()

    def mark(self) -> Any:
        """What the next run needs to know; None where every run reads everything."""
        return None if self._reading is None else self._reading.mark()

    def forget(self) -> None:
        """Nothing is kept besides."""

    def close(self) -> None:
        """The connector is closed by the run."""


def _place(position: Position, wish: Wish) -> Place:
    if position is not None and "next" not in position:
        return place_from_json(position)
    begun = Place(began=wish.engine.line.clock.now(), span=wish.span)
    return begun if position is None else attrs.evolve(begun, mark=position["next"], near=position["near"])
