"""The table of docs/reliability.md: which faults there are, what is promised, and the tests that show it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
TEST = re.compile(r"\[`(?P<name>[^`]+)`\]\(\.\./(?P<file>[^)]+)\)")
CELL = re.compile(r"(?<!\\)\|")
COLLECTED = pytest.StashKey[frozenset[str]]()
"""The ids of all tests that this session collected, before any were deselected."""


@attrs.frozen
class Row:
    """One line of a table. `tests` are ids as pytest has them, relative to the repository; `[...]` may be left out."""

    line: int
    section: str
    fault: str
    promise: str
    tests: tuple[str, ...]
    unread: str
    """What stands in the last cell beside its tests."""


def read_rows(page: Path = PAGE) -> Iterator[Row]:
    """The rows of all tables on a page. Raises ValueError on one that has not three cells."""
    section = ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("|") and not line.startswith(("| fault |", "| --- |")):
            cells = [cell.strip() for cell in CELL.split(line)[1:-1]]
            if len(cells) != 3:
                raise ValueError(f"{page.name}:{number}: expected three cells, found {len(cells)}")
            fault, promise, shown = cells
            tests = tuple(f"{found['file']}::{found['name']}" for found in TEST.finditer(shown))
            yield Row(number, section, fault, promise, tests, TEST.sub("", shown).strip(", "))


def sight(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what was collected, and mark the tests of the table."""
    config.stash[COLLECTED] = frozenset(name for item in items for name in names_of(item.nodeid))
    tabled = {test for row in read_rows() for test in row.tests}
    for item in items:
        if not tabled.isdisjoint(names_of(item.nodeid)):
            item.add_marker("reliability")


def names_of(node: str) -> tuple[str, str]:
    """What a row may call a test: its id, or that without its parameters."""
    return node, node.partition("[")[0]
