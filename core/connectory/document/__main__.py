"""`python -m connectory.document docs`: write the pages anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from connectory.document.language import make_language_page
from connectory.document.recipes import make_recipes_page
from connectory.testing.faults.page import faults_page

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "language.md": make_language_page,
    "recipes.md": make_recipes_page,
    "faults.md": faults_page,
}

if __name__ == "__main__":
    for name, make in PAGES.items():
        Path(sys.argv[1], name).write_text(make(), encoding="utf-8")
