"""A caller's fields laid over a record as it was read, nothing else touched."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectory.plugins.kinds import Codec
from connectory.spec.typeexpr import ANY, ListOf, Named, Scalar, TypeExpr
from connectory.spec.words import Field
from connectory.values.codecs import find_codec, to_moment

Types = Mapping[str, Mapping[str, Field]]


def lay_over(
    before: dict[str, Any],
    changes: Mapping[str, Any],
    types: Types,
    expression: TypeExpr | None,
    codecs: Mapping[str, Codec],
    datetime: str,
) -> dict[str, Any] | None:
    """The record with the changes in it, or None when nothing differs. All other fields stay exactly as they came.

    A change that only writes differently what is there (the same moment, the same referenced record) is none.
    """
    fields = types.get(expression.name, {}) if isinstance(expression, Named) else {}
    differing = {
        name: value
        for name, value in changes.items()
        if name not in before
        or not _same(before[name], value, fields[name].type if name in fields else ANY, types, codecs, datetime)
    }
    return {**before, **differing} if differing else None


def _same(old: Any, new: Any, kind: TypeExpr, types: Types, codecs: Mapping[str, Codec], datetime: str) -> bool:
    if old is None or new is None:
        return old is new
    match kind:
        case Scalar(name="datetime", codec=codec):
            reader = find_codec(codec or datetime, codecs)
            try:
                return to_moment(old, reader) == to_moment(new, reader)
            except (ValueError, OverflowError):
                return bool(old == new)
        case ListOf(item=item) if isinstance(old, list) and isinstance(new, list):
            pairs = zip(old, new, strict=False)
            return len(old) == len(new) and all(_same(o, n, item, types, codecs, datetime) for o, n in pairs)
        case Named(name=name) if isinstance(old, dict) and isinstance(new, dict):
            reference = next((wire for wire, field in types[name].items() if field.reference), None)
            if reference is not None:
                return bool(old.get(reference) == new.get(reference))
    if _is_number(old) and _is_number(new):
        return Decimal(str(old)) == Decimal(str(new))
    return type(old) is type(new) and bool(old == new)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
