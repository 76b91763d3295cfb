"""Which keys a class of the language takes: its attributes are the one list of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import attrs


def key_of(attribute: str) -> str:
    """The key of an attribute: `in_` is written `in`."""
    return attribute.removesuffix("_")


@cache
def keys_of(cls: type) -> Mapping[str, attrs.Attribute[Any]]:
    """The keys that may stand in a class, without the slot that holds a plug-in's options."""
    return {key_of(field.name): field for field in attrs.fields(cls) if "plugin" not in field.metadata}


def plugin_slot(cls: type) -> attrs.Attribute[Any] | None:
    """The attribute that holds a plug-in's options, of a class whose `use` names one of its kinds."""
    return next((field for field in attrs.fields(cls) if "plugin" in field.metadata), None)
