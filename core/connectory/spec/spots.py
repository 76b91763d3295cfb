"""Every word of a spec as it is written: where it stands, and what the language expects there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, get_args, get_origin

import attrs

from connectory.plugins.registry import Registry
from connectory.spec.keys import keys_of, plugin_slot
from connectory.spec.language import Spec
from connectory.spec.places import AnswerPath
from connectory.spec.problems import Path
from connectory.spec.trees import Array, Node, Table, Text


@attrs.frozen
class Spot:
    """A key of the language, a free key or a scalar, where it stands.

    `place` is the class and key that it belongs to, `kind` the type that is expected there, `field` the attribute.
    """

    path: Path
    text: Text
    place: str
    kind: Any
    field: attrs.Attribute[Any] | None = None
    is_key: bool = False


def keys_in(registry: Registry, tree: Table) -> Iterator[Spot]:
    """Every key of the language in a spec; free names are none."""
    return (spot for spot in spots_in(registry, tree) if spot.is_key and spot.field is not None)


def scalars_in(registry: Registry, tree: Table) -> Iterator[Spot]:
    """Every scalar value in a spec."""
    return (spot for spot in spots_in(registry, tree) if not spot.is_key)


def free_keys_in(registry: Registry, tree: Table) -> Iterator[Spot]:
    """Every key that the language does not fix: names, wire names, paths; their `place` is the key above them."""
    return (spot for spot in spots_in(registry, tree) if spot.is_key and spot.field is None)


def spots_in(
    registry: Registry, node: Node, kind: Any = Spec, path: Path = (), place: str = "", field: Any = None
) -> Iterator[Spot]:
    """Everything written in a tree. `kind` is a type as annotations of the language have them."""
    kind = without_none(kind)
    many = get_origin(kind) is tuple
    kind = get_args(kind)[0] if many else kind
    if isinstance(node, Text):
        yield Spot(path, node, place, kind, field)
    elif isinstance(node, Array):
        for number, item in enumerate(node):
            yield from spots_in(registry, item, kind if many else Any, (*path, number), place, field)
    elif isinstance(kind, type) and attrs.has(kind) and kind is not AnswerPath:
        name, fields = fields_of(registry, kind, node)
        for key, value in node.items():
            inner, here = fields[str(key)], (*path, str(key))
            yield Spot(here, key, f"{name}.{key}", kind, inner, is_key=True)
            filled = inner.metadata.get("filled")
            wanted = mapping_of(filled) if filled else inner.type
            yield from spots_in(registry, value, wanted, here, f"{name}.{key}", inner)
    else:
        wanted = get_args(kind)[1] if get_origin(kind) is Mapping else Any
        for key, value in node.items():
            yield Spot((*path, str(key)), key, place, wanted, is_key=True)
            yield from spots_in(registry, value, wanted, (*path, str(key)), place, field)


def fields_of(
    registry: Registry, kind: type, node: Mapping[Any, Any]
) -> tuple[str, Mapping[str, attrs.Attribute[Any]]]:
    """What a mapping of a class is called, and the keys it may hold, in the order of the language."""
    attrs.resolve_types(kind)
    name, fields = kind.__name__, keys_of(kind)
    slot = plugin_slot(kind)
    table = getattr(registry, slot.metadata["plugin"]) if slot else {}
    use = node.get("use", fields["use"].default if "use" in fields else None)
    if isinstance(use, str) and use in table:
        options = attrs.resolve_types(table[use].options)
        return f"{name}({use})", {**fields, **keys_of(options)}
    return name, fields


def mapping_of(kind: Any) -> Any:
    """The type of a mapping from names to values of a type."""
    return Mapping[str, kind]


def without_none(kind: Any) -> Any:
    """The type that `kind | None` is of besides; any other type as it is."""
    parts = [part for part in get_args(kind) if part is not NoneType]
    return parts[0] if NoneType in get_args(kind) and len(parts) == 1 else kind
