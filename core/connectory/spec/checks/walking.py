"""Walks through a spec's values, saying where in the file each one stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from connectory.spec.structure import Path, key_of


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every attrs value below `value`, itself included, with its path."""
    if attrs.has(type(value)):
        yield path, value
        for field in attrs.fields(type(value)):
            step: Path = () if "plugin" in field.metadata else (key_of(field.name),)
            yield from walk(getattr(value, field.name), (*path, *step))
    elif isinstance(value, Mapping):
        for key, held in value.items():
            yield from walk(held, (*path, str(key)))
    elif isinstance(value, tuple):
        for number, held in enumerate(value):
            yield from walk(held, (*path, number))


def words_at(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts of one attribute: itself, its items or its values, at any depth."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, held in value.items():
            yield from words_at(held, (*path, str(key)))
    elif isinstance(value, tuple | list):
        for number, held in enumerate(value):
            yield from words_at(held, (*path, number))
