"""One example of each key of the language, read from `examples.yaml` as it is written there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from connectory.spec.layout import read_layout
from connectory.spec.yamltext import Table

FILE = Path(__file__).with_name("examples.yaml")


@cache
def examples() -> Mapping[str, Mapping[str, str]]:
    """Name of a class -> key -> `key: value`, as a spec would hold it."""
    text = FILE.read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = {}
    for name, keys in read_layout(text).entries:
        assert isinstance(keys.node, Table)
        found[str(name.node)] = {str(key.node): text[key.start : value.end] for key, value in keys.entries}
    return found


def title_of(cls: type, kind: str = "") -> str:
    """Under which name the examples of a class stand; `kind` is that of a plug-in whose options it is."""
    return f"{cls.__name__} {kind}".rstrip()
