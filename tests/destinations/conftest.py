"""Files for tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.duckdb"


@pytest.fixture
def path(file: Path) -> Iterator[Path]:
    """A file that stays open in this process, which makes opening it again quick."""
    with closing(duckdb.connect(str(file))):
        yield file


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for tests that make many tables."""
    file = tmp_path_factory.mktemp("shared") / "data.duckdb"
    with closing(duckdb.connect(str(file))):
        yield file
