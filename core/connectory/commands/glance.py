"""The first rows of a table that a sync has filled."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from connectory.commands.messages import note

ROWS: Final = 5


def glance(destination: Mapping[str, Any], root: Path) -> None:
    """Print a few rows to stdout, where the destination is an embedded database; else do nothing.

    `destination` are a recipe's `to` options, `root` is what its paths are relative to.
    """
    if "duckdb" not in destination:
        return
    import duckdb

    from connectory.commands.table import write_table

    path = root / str(destination["duckdb"])
    table = str(destination["table"])
    if not path.exists():
        return
    name = ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))
    with duckdb.connect(str(path), read_only=True) as database:
        count = database.sql(f"select count(*) from {name}").fetchall()[0][0]
        found = database.sql(f"select * from {name} limit {ROWS}")
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    note(f"table {table} in {path} holds {count:,} row{'' if count == 1 else 's'}; the first of them:")
    write_table([rows], sys.stdout.buffer, count_rows=False)
