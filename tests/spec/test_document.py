"""The page on the language says everything that the classes say, and is the one in docs/."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from connectory.paging.kinds import PAGERS
from connectory.plugins.registry import load_registry
from connectory.recipes.recipe import Recipe, Source
from connectory.spec import language, words
from connectory.spec.document import EXAMPLE, make_document
from connectory.spec.filters import FILTERS
from connectory.spec.keys import keys_of
from connectory.spec.language import STANDARD_VERBS
from connectory.spec.typeexpr import MODIFIERS, SCALARS
from connectory.values.codecs import BUILT_IN
from spec.loading import load_text

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
CLASSES = [
    cls
    for module in (language, words)
    for cls in vars(module).values()
    if isinstance(cls, type) and attrs.has(cls) and cls.__module__ == module.__name__
]


@pytest.fixture(scope="module")
def page() -> str:
    return make_document()


def section(page: str, title: str) -> str:
    """What stands below a heading."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[1]


def test_the_page_in_docs_is_up_to_date(page: str) -> None:
    made = "python -m connectory.spec.document > docs/language.md"
    assert PAGE.read_text(encoding="utf-8") == page, f"make it again: {made}"


@pytest.mark.parametrize("cls", [*CLASSES, Recipe, Source], ids=lambda cls: cls.__name__)
def test_every_key_of_a_class_stands_in_its_section(page: str, cls: type) -> None:
    said = section(page, cls.__name__)
    for key, field in keys_of(cls).items():
        row = next((line for line in said.split("\n") if line.startswith(f"| `{key}` |")), None)
        assert row is not None, key
        assert field.metadata["about"].replace("|", "\\|") in row
        assert ("*required*" in row) == (field.default is attrs.NOTHING)


def test_every_built_in_word_stands_on_the_page(page: str) -> None:
    for title, known in {
        "Types": [*SCALARS, *MODIFIERS],
        "Moments": BUILT_IN,
        "Computed texts": FILTERS,
        "Verbs": STANDARD_VERBS,
        "Not built yet": [key for keys in language.LATER.values() for key in keys],
    }.items():
        assert not [name for name in known if f"`{name}`" not in section(page, title)]
    for name, kind in PAGERS.items():
        assert f"With `use: {name}`" in page
        assert not [key for key in keys_of(kind.options) if f"| `{key}` |" not in section(page, "Pager")]


def test_every_link_leads_to_a_heading(page: str) -> None:
    headings = {line.lstrip("#").strip().lower().replace(" ", "-") for line in page.split("\n") if line.startswith("#")}
    assert not set(re.findall(r"\]\(#([^)]+)\)", page)) - headings


def test_the_example_on_the_page_is_a_right_spec(tmp_path: Path) -> None:
    assert EXAMPLE in make_document()
    assert list(load_text(load_registry(), tmp_path, EXAMPLE).spec.operations) == ["orders.list", "orders.create_many"]
