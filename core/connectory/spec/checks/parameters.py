"""What a caller may give to an operation, as far as the spec alone says it."""

from __future__ import annotations

import re
from typing import Final

from connectory.spec.language import METHODS, Operation
from connectory.spec.naming import snake
from connectory.spec.words import Field

SPOTS: Final = ("path", "query", "headers", "fields", "variables")


def has_method(operation: Operation) -> bool:
    """Whether there is a method, and so an address, or steps in place of one."""
    return bool(operation.steps) or any(getattr(operation, method) is not None for method in METHODS)


def parameters_of(operation: Operation) -> dict[str, tuple[str, str, Field]]:
    """The caller's name -> place, wire name and field; nothing for an operation without a method."""
    if not has_method(operation):
        return {}
    found: dict[str, tuple[str, str, Field]] = {}
    for wire in path_words(str(operation.address)):
        field = operation.path.get(wire, Field())
        found[field.as_ or snake(wire)] = ("path", wire, field)
    for spot in SPOTS[1:]:
        for wire, field in getattr(operation, spot).items():
            found[field.as_ or snake(wire)] = (spot, wire, field)
    if operation.body is not None and (operation.batch is None or operation.batch.items is not None):
        found["body"] = ("body", "body", Field(type=operation.body))
    if operation.batch is not None and operation.batch.items is None:
        found["items"] = ("body", "items", Field(type=operation.body or Field().type))
    if operation.graphql is not None and operation.document is None:
        found["document"] = ("document", "document", Field())
        found["variables"] = ("variables", "variables", Field())
    return found


def path_words(address: str) -> list[str]:
    """The `{names}` in an address."""
    return re.findall(r"(?<!\{)\{([^{}]+)\}(?!\})", address)
