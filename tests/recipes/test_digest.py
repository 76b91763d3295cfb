"""What of a recipe its state depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectory.connecting import load_registry
from connectory.recipes.digest import changed_parts, digest_of
from connectory.recipes.recipe import load_recipe

RECIPE = """
name: r
from: {connector: twenty, operation: people.list, with: {filter: x}, since: updatedAt}
to: {duckdb: x.duckdb, table: people, key: id, mode: merge}
"""


def digest(folder: Path, text: str) -> dict[str, str]:
    file = folder / "r.yaml"
    file.write_text(text)
    return dict(digest_of(load_recipe(load_registry(), file).recipe))


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("name: r", "name: other", []),
        ("since: updatedAt", "since: updatedAt, lookback: 1h", []),
        ("since: updatedAt", "since: updatedAt, complete: false", []),
        ("mode: merge", "mode: append", []),
        ("filter: x", "filter: y", ["/from/with"]),
        ("key: id", "key: name", ["/to/key"]),
        ("since: updatedAt", "since: createdAt, complete: true", ["/from/complete", "/from/since"]),
        ("to:", "change: select * from records\nto:", ["/change"]),
    ],
)
def test_only_what_says_which_rows_there_are_makes_a_state_another_ones(
    tmp_path: Path, before: str, after: str, changed: list[str]
) -> None:
    assert sorted(changed_parts(digest(tmp_path, RECIPE), digest(tmp_path, RECIPE.replace(before, after)))) == changed


def test_nothing_of_a_recipe_can_be_read_in_its_digest_and_defaults_are_not_in_it(tmp_path: Path) -> None:
    found = digest(tmp_path, RECIPE)
    assert set(found) == {
        *("/from/connector", "/from/operation", "/from/with", "/from/since"),
        "/to/key",
    }
    assert "people" not in str(found)
