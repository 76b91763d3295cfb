"""The first rows of files that a sync has written, for a person."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from connectory.destinations.files_kept import plain_words, read_manifest
from connectory.destinations.files_paths import Format, Pattern, read_pattern


def count(path: str, root: Path, format: Format | None = None) -> tuple[int, int]:
    """How many rows and how many files there are. Raises DestinationError."""
    parts = _parts(read_pattern(path, format, root))
    return sum(parts.values()), len(parts)


def first_rows(path: str, root: Path, limit: int, format: Format | None = None) -> list[dict[str, Any]]:
    """Some rows, of the newest file that has any. Raises DestinationError."""
    pattern = read_pattern(path, format, root)
    with plain_words(pattern.folder):
        for place, rows in reversed(_parts(pattern).items()):
            if rows and (pattern.folder / place).exists():
                return list(islice(_rows(pattern.folder / place, pattern.format), limit))
    return []


def _parts(pattern: Pattern) -> dict[str, int]:
    with plain_words(pattern.folder):
        return dict(read_manifest(pattern.kept / f"{pattern.label}.manifest.json").parts)


def _rows(path: Path, format: Format) -> Iterator[dict[str, Any]]:
    if format == "parquet":
        from connectory.destinations.files_parquet import lines_of

        yield from map(msgspec.json.decode, lines_of(path))
    elif format == "jsonl":
        with path.open("rb") as lines:
            yield from map(msgspec.json.decode, lines)
    else:
        with path.open(encoding="utf-8", newline="") as table:
            yield from csv.DictReader(table)
