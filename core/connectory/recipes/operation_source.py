"""A vendor's list operation as a source: pages, details, parents."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from connectory.errors import ArgumentError
from connectory.invoke import Engine
from connectory.operation import Plan, readers_of
from connectory.recipes.context import Context
from connectory.recipes.recipe import FromOperation, check_source
from connectory.recipes.source import Chunk, Position
from connectory.records import Records
from connectory.spec.typeexpr import Named
from connectory.values.reading import Readers
from connectory.values.shapes import Record


@attrs.define
class OperationSource:
    """The records of one list operation."""

    engine: Engine
    plan: Plan
    options: FromOperation

    @property
    def shape(self) -> Record | None:
        shape = self._readers(iso_as_text=False).shape(self.plan.operation.returns)
        return shape if isinstance(shape, Record) else None

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that identify a record, as its type says."""
        kind = self.plan.operation.returns
        fields = self.engine.spec.types[kind.name] if isinstance(kind, Named) else {}
        return tuple(name for name, field in fields.items() if field.key)

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """A chunk for each page."""
        options = self.options
        records = Records(self.engine, self.plan, dict(options.with_), options.complete, options.parents)
        read = self._readers(iso_as_text=True).of(self.plan.operation.returns)
        for page in records.raw_pages():
            rows = page if read is None else [read(row) for row in page]
            yield Chunk(rows, None, pages=1, total=records.stated_total)

    def mark(self) -> None:
        """Every run reads everything."""

    def forget(self) -> None:
        """Nothing is kept besides."""

    def close(self) -> None:
        """The connector is closed by the run."""

    def _readers(self, *, iso_as_text: bool) -> Readers:
        return readers_of(self.engine.spec, self.engine.registry, self.plan.styles, iso_as_text=iso_as_text)


def open_operation(context: Context, options: FromOperation) -> OperationSource:
    """The source that a recipe names. Raises InputError; nothing is sent."""
    connector = context.connectors.get(options.connector, options.settings)
    try:
        plan = connector.operation(options.operation).plan
    except ArgumentError as why:
        raise context.wrong(("from", "operation"), str(why)) from None
    check_source(context.loaded, plan)
    return OperationSource(connector.engine, plan, options)
