"""Rows as PostgreSQL's COPY takes them, and which of them it refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, Final

import msgspec
import psycopg

from connectory.destinations import columns
from connectory.destinations.columns import Column, Leaf, Tree, quote
from connectory.destinations.scalars import DECLARED, Misfit

_CONTEXT: Final = re.compile(r"COPY \S+, line (\d+)(?:, column ([^:]*))?")
_encode = msgspec.json.Encoder(enc_hook=columns.write_special).encode


def copy_values(rows: Sequence[Mapping[str, Any]], listed: Sequence[Column]) -> Iterable[Sequence[Any]]:
    """The rows as COPY takes them."""
    wires = [column.wire for column in listed]
    special = [(place, writer) for place, column in enumerate(listed) if (writer := _writer(column.tree)) is not None]
    if not special:
        for row in rows:
            yield [row.get(wire) for wire in wires]
        return
    for row in rows:
        values = [row.get(wire) for wire in wires]
        for place, write in special:
            if values[place] is not None:
                values[place] = write(values[place])
        yield values


def _writer(tree: Tree) -> Callable[[Any], Any] | None:
    """What makes a value one that psycopg writes as the type's text; None where it does so by itself."""
    if not isinstance(tree, Leaf) or tree.type == columns.JSON:
        return _json_text
    if not tree.foreign:
        return None
    if tree.type.startswith("timestamp") and tree.type.endswith("without time zone"):
        return _in_utc
    return (lambda value: value) if tree.type.endswith("[]") else columns.as_text


def _json_text(value: Any) -> str:
    return bytes(_encode(value)).decode()


def _in_utc(value: Any) -> str:
    """PostgreSQL would leave the offset out without a word."""
    try:
        moment, _ = DECLARED[columns.MOMENT](value, columns.MOMENT)
    except Misfit:
        return str(value)  # PostgreSQL says what is wrong
    return str((moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment).isoformat())


def compared(side: str, column: Column) -> str:
    """A column for a comparison; not every type that others make has an equality."""
    name = f"{side}.{quote(column.name)}"
    return f"{name}::text" if columns.has_foreign(column.tree) else name


def refused_at(error: psycopg.DataError) -> tuple[int, str]:
    """Which row of a COPY, from 0, and which column the server could not read."""
    context = error.diag.context or ""
    found = _CONTEXT.search(context)
    if found is None:
        raise error
    return int(found[1]) - 1, found[2] or ""
