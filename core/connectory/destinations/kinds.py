"""The built-in kinds of destination: their keys in a recipe's `to`, and how each is opened.

What a kind needs is imported when one is opened: the base package does without any database.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from connectory.destinations.destination import Destination
from connectory.errors import DestinationError
from connectory.plugins.kinds import DestinationKind
from connectory.spec.words import word
from connectory.values.shapes import Record


@attrs.frozen(kw_only=True)
class DuckDBTarget:
    """A table of an embedded DuckDB file."""

    duckdb: str = word("the file; made when it is not there")
    table: str = word("the table, `people` or `crm.people`")
    key: tuple[str, ...] = word("fields that tell rows apart; default: the key of the record's type", ())
    mode: Literal["append", "replace", "merge"] = word(
        "merge by key, append, or replace in one step at the end", "append"
    )


def open_duckdb_target(
    options: DuckDBTarget, *, shape: Record | None, keys: tuple[str, ...], run: str, root: Path
) -> Destination:
    """The table that a recipe names. `keys` are the record type's own. Raises DestinationError."""
    try:
        from connectory.destinations.duckdb import open_duckdb
    except ImportError:
        raise DestinationError("a DuckDB table needs the package duckdb: pip install 'connectory[duckdb]'") from None
    return open_duckdb(root / options.duckdb, options.table, shape, options.key or keys, options.mode, run)


DESTINATIONS: Mapping[str, DestinationKind] = {
    "duckdb": DestinationKind(DuckDBTarget, open_duckdb_target, "a table of an embedded DuckDB file")
}
