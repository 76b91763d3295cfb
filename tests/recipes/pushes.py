"""Recipes that push rows which a test has in its hand: the real loop, destination, journal and vendor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory import Parts
from connectory.recipes import opening
from connectory.recipes.pushing.replaying import Replayed, replay
from connectory.recipes.report import Report
from connectory.recipes.source import Chunk
from connectory.recipes.sync import run_recipe
from connectory.table import Table
from connectory.values.shapes import Record

Row = Mapping[str, Any]


@attrs.define
class RowsSource:
    """Rows in chunks of `size`, by `columns` where the destination takes them so; the position is the
    number of rows before it. Some chunk may break."""

    rows: Sequence[Row]
    size: int = 700
    shape: Record | None = None
    keys: tuple[str, ...] = ()
    columns: bool = False
    by_columns: bool = False

    def chunks(self, position: Any) -> Iterator[Chunk]:
        for start in range(position or 0, len(self.rows), self.size):
            rows = self.rows[start : start + self.size]
            yield Chunk(
                as_table(rows) if self.columns and self.by_columns else rows,
                start + len(rows),
                pages=1,
                total=len(self.rows),
            )

    def mark(self) -> None:
        """Every run reads everything."""

    def forget(self) -> None: ...

    def close(self) -> None: ...


def as_table(rows: Sequence[Row]) -> Table:
    """Rows that all have the same fields."""
    return Table(tuple(rows[0]), tuple(zip(*(row.values() for row in rows), strict=True)))


@attrs.define
class Pushes:
    """A project with one recipe, `from` whose place the test's rows come."""

    root: Path
    parts: Parts
    to: str
    settings: Mapping[str, Any]
    patch: pytest.MonkeyPatch

    @property
    def file(self) -> Path:
        file = self.root / "recipes" / "r.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"name: r\nfrom: {{stdin: jsonl}}\nto: {self.to}\n")
        return file

    @property
    def journal(self) -> Path:
        return self.root / ".connectory" / "journals" / "r.sqlite"

    def run(
        self,
        rows: Sequence[Row],
        *,
        size: int = 700,
        shape: Record | None = None,
        columns: bool = False,
        **options: Any,
    ) -> Report:
        """One start of the recipe on these rows."""
        self.patch.setitem(opening.SOURCES, "stdin", lambda *_: RowsSource(rows, size, shape, columns=columns))
        return run_recipe(self.file, settings=self.settings, parts=self.parts, root=self.root, **options)


def again(pushed: Pushes, **options: Any) -> Replayed:
    """One replay of what the recipe holds back."""
    return replay(pushed.file, settings=pushed.settings, parts=pushed.parts, root=pushed.root, **options)
