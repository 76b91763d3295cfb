"""The pytest plug-in: a project's specs are test files, each recorded call and each example of them a test.

It is loaded in every project in which Connectory is installed, so it imports nothing until a spec is met.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

MARKS: Final = {
    "recorded": "a recorded call of a vendor, replayed below the HTTP client",
    "example": "an example of a spec or a recipe",
    "faults": "what a spec promises when the vendor fails",
    "secrets": "no recording holds a secret",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("connectory", "recorded tests of vendors' specs")
    group.addoption(
        "--record",
        action="store_true",
        default=False,
        help="record the selected calls that read anew, where their credentials are given, and then replay them",
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, about in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {about}")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A `specs/*.yaml` or `recipes/*.yaml` of a project of ours; another's file of that name is left alone."""
    if file_path.suffix != ".yaml" or file_path.parent.name not in ("specs", "recipes") or file_path.name[0] in "_.":
        return None
    from connectory.testing import collecting

    return collecting.collect(file_path, parent)
