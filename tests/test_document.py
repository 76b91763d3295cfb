"""The pages that are made from classes say everything that the classes say, and are the ones in docs/."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from connectory.document.__main__ import PAGES
from connectory.document.examples import examples
from connectory.document.language import EXAMPLE, make_language_page
from connectory.document.recipes import EXAMPLES, make_recipes_page
from connectory.paging.kinds import PAGERS
from connectory.plugins.kinds import Discovered, Discoverer, NoOptions
from connectory.plugins.registry import load_registry
from connectory.recipes.recipe import SOURCES, Recipe, RecipeExample, load_recipe, target_kinds
from connectory.spec import language, words
from connectory.spec.filters import FILTERS
from connectory.spec.keys import keys_of
from connectory.spec.language import STANDARD_VERBS
from connectory.spec.structure import make_converter
from connectory.spec.trees import Text, read_tree
from connectory.spec.typeexpr import MODIFIERS, SCALARS
from connectory.values.codecs import BUILT_IN
from spec.loading import load_text

DOCS = Path(__file__).parents[1] / "docs"
CLASSES = [
    cls
    for module in (language, words)
    for cls in vars(module).values()
    if isinstance(cls, type) and attrs.has(cls) and cls.__module__ == module.__name__
]


@pytest.fixture(scope="module")
def page() -> str:
    return make_language_page()


def section(page: str, title: str) -> str:
    """What stands below a heading."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[1]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_in_docs_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "make it: python -m connectory.document docs"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_key_of_a_class_stands_in_its_section(page: str, cls: type) -> None:
    said = section(page, cls.__name__)
    for key, field in keys_of(cls).items():
        row = next((line for line in said.split("\n") if line.startswith(f"| `{key}` |")), None)
        assert row is not None, key
        assert field.metadata["about"].replace("|", "\\|") in row
        assert ("*required*" in row) == (field.default is attrs.NOTHING)


@pytest.mark.parametrize("title", [cls.__name__ for cls in CLASSES] + [f"Pager {kind}" for kind in PAGERS])
def test_every_key_has_an_example_that_is_right(page: str, title: str) -> None:
    """They stand in core/connectory/document/examples.yaml."""
    kind = title.partition(" ")[2]
    cls = PAGERS[kind].options if kind else next(one for one in CLASSES if one.__name__ == title)
    fields = keys_of(attrs.resolve_types(cls))
    shown = examples().get(title, {})
    assert list(shown) == list(fields), "an example of each key, in the order of the class"
    mine = Discoverer(NoOptions, lambda options, call: Discovered((), {}), "")
    converter = make_converter(attrs.evolve(load_registry(), discover={"my_plugin": mine}))
    for key, text in shown.items():
        assert f"`{text}` |".replace(" | ", " \\| ") in section(page, title.split()[0])
        tree = read_tree(text.encode(), "examples.yaml")
        converter.structure(tree[Text(key)], fields[key].type or object)


def test_every_built_in_word_stands_on_the_page(page: str) -> None:
    for title, known in {
        "Types": [*SCALARS, *MODIFIERS],
        "Moments": BUILT_IN,
        "Computed texts": FILTERS,
        "Verbs": STANDARD_VERBS,
    }.items():
        assert not [name for name in known if f"`{name}`" not in section(page, title)]
    for name, kind in PAGERS.items():
        assert f"With `use: {name}`" in page
        assert not [key for key in keys_of(kind.options) if f"| `{key}` |" not in section(page, "Pager")]


def test_every_link_leads_to_a_heading(page: str) -> None:
    headings = {line.lstrip("#").strip().lower().replace(" ", "-") for line in page.split("\n") if line.startswith("#")}
    assert not set(re.findall(r"\]\(#([^)]+)\)", page)) - headings


def test_the_example_on_the_page_is_a_right_spec(tmp_path: Path) -> None:
    assert EXAMPLE in make_language_page()
    assert list(load_text(load_registry(), tmp_path, EXAMPLE).spec.operations) == ["orders.list", "orders.create_many"]


@pytest.mark.parametrize("cls", [Recipe, RecipeExample], ids=lambda cls: cls.__name__)
def test_every_key_of_a_recipe_stands_on_its_page(cls: type) -> None:
    assert not missing_keys(cls, section(make_recipes_page(), cls.__name__))


def test_every_kind_of_source_and_destination_stands_there_with_its_keys() -> None:
    page = make_recipes_page()
    for place, kinds in (("from", SOURCES), ("to", target_kinds(load_registry()))):
        for word, kind in kinds.items():
            said = re.search(rf"^### {place}: {word}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
            assert said, word
            assert not missing_keys(kind.options, said[1])


def missing_keys(cls: type, said: str) -> list[str]:
    return [key for key in keys_of(cls) if f"| `{key}` |" not in said]


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_recipes_on_the_page_are_right(tmp_path: Path, text: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(text)
    assert load_recipe(load_registry(), file).recipe.name
