"""The recipes on one page, made from their classes.

Built-in kinds only; what plug-ins add is shown by `connectory schema --recipes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectory.document.markdown import built_in, chapter, keys_table
from connectory.recipes.recipe import SOURCES, VENDOR, Recipe, RecipeExample

PULL: Final = """\
name: orders
about: The orders of our shop, one row each, kept up to date
from: {connector: acme, operation: orders.list}
change: select * exclude (customer), upper(customer) as customer from records
to: {duckdb: data/shop.duckdb, table: orders, key: number, mode: merge}
"""
PUSH: Final = """\
name: new-orders
about: What the shop took by telephone; only what changed since it was last sent
from: {files: data/telephone/*.csv}
to: {connector: acme, operation: orders.create_many, changed_only: true, rejects: data/refused.jsonl}
"""
EXAMPLES: Final = (PULL, PUSH)

_HEAD: Final = f"""\
# The language of a recipe

One YAML file in `recipes/` says what comes from where, what changes, and where it goes. `connectory sync` runs it and
accounts for every row. This page lists every key; it is made from the program's own classes.

```yaml
{PULL}```

```yaml
{PUSH}```
"""


def make_recipes_page() -> str:
    """The whole page, in Markdown."""
    parts = [
        _HEAD,
        _class_chapter("Recipe", Recipe),
        _kinds_chapter("Sources", "from", SOURCES),
        _kinds_chapter("Destinations", "to", {**built_in("destinations"), "connector": VENDOR}),
        _class_chapter("RecipeExample", RecipeExample),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _class_chapter(title: str, cls: type) -> str:
    return chapter(title, (cls.__doc__ or "").strip(), keys_table(cls))


def _kinds_chapter(title: str, place: str, kinds: Mapping[str, Any]) -> str:
    parts: list[str | list[str]] = [f"One key of `{place}` names the kind; the kind's own keys stand beside it."]
    for word, kind in kinds.items():
        parts += [f"### {place}: {word}", (kind.options.__doc__ or "").strip(), keys_table(kind.options)]
    return chapter(title, *parts)
