"""Whether a row of unknown outcome arrived: the recipe's `read_back` operation is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from connectory.delivery.journal import Accepted
from connectory.errors import Missing
from connectory.invoke import Engine
from connectory.operation import Plan
from connectory.recipes.pushing.calls import Courier, Row
from connectory.recipes.pushing.rows import Keys, Parcel
from connectory.recipes.state import load
from connectory.spec.naming import snake
from connectory.spec.typeexpr import Named, TypeExpr
from connectory.values.merging import lay_over


@attrs.frozen
class Found:
    """`delivered`: it is there. `open`: it is not there, so that it may go again. `unknown`: nobody can tell."""

    word: Literal["delivered", "open", "unknown"]
    words: str = ""


@attrs.frozen(eq=False)
class Lookup:
    """Looks a record up by the key of a row."""

    engine: Engine
    plan: Plan
    courier: Courier
    keys: Keys

    def look(self, parcel: Parcel, before: Accepted | None) -> Found:
        """Ask the vendor. `before` is what it last took under this key. Raises CallError, LimitReached."""
        record = next(self._records(parcel.row), None)
        if record is None:
            return Found("open")
        if self._holds(record, parcel.wire):
            return Found("delivered", f"{self.plan.name} shows that it arrived")
        if before is not None and self._holds(record, self.courier.wire(load(before.row))):
            return Found("open")
        return Found("unknown", f"{self.plan.name} shows a record of this key that differs from what was sent")

    def _records(self, row: Row) -> Iterator[Mapping[str, Any]]:
        given = lookup_arguments(self.plan, self.keys.names, row)
        if not self.plan.many:
            try:
                _, record = self.engine.perform(self.plan, given)
            except Missing:
                return
            if isinstance(record, Mapping):
                yield record
            return
        for page in self.engine.pages(self.plan, given):
            yield from (record for record in page.records if self._is(record, row))

    def _is(self, record: Any, row: Row) -> bool:
        pairs = [(path.find(record), path.find(row)) for path in self.keys.paths]
        return all(str(theirs) == str(ours) for theirs, ours in pairs)

    def _holds(self, record: Mapping[str, Any], wire: Any) -> bool:
        """Whether everything that was sent stands in the record, which may hold more at any depth."""
        fields, kind = self.courier.fields(wire)
        return self._stands(record, fields, kind)

    def _stands(self, record: Mapping[str, Any], sent: Mapping[str, Any], kind: TypeExpr | None) -> bool:
        types = self.engine.spec.types
        declared = types[kind.name] if isinstance(kind, Named) else {}
        for name, value in sent.items():
            there = record.get(name)
            inner = declared[name].type if name in declared else None
            if isinstance(value, Mapping) and isinstance(there, Mapping):
                if not self._stands(there, value, inner):
                    return False
            elif value is not None or there is not None:
                codecs, style = self.engine.registry.codecs, self.courier.plan.styles.datetime
                if lay_over({name: there}, {name: value}, types, kind, codecs, style) is not None:
                    return False
        return True


def lookup_arguments(plan: Plan, names: tuple[str, ...], row: Row) -> dict[str, Any]:
    """The arguments of a look-up, filled from the key fields of a row that they are named after."""
    given = {}
    for name in names:
        last = name.rpartition(".")[2]
        for parameter in plan.parameters.values():
            if name in row and (last in (parameter.wire, parameter.name) or snake(last) == parameter.name):
                given[parameter.name] = row[name]
    return given
