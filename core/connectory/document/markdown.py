"""Classes of the language as Markdown: what each key takes, its default and its meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from connectory.document.examples import examples, title_of
from connectory.plugins import builtin
from connectory.recipes.recipe import Recipe, Source, Target
from connectory.recipes.running import courtesy
from connectory.spec import language, words
from connectory.spec.keys import keys_of, plugin_slot
from connectory.spec.places import AnswerPath
from connectory.spec.structure import FIELD_CLASSES
from connectory.spec.typeexpr import TypeExpr

_KINDS: Final[Mapping[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true, false",
    words.Template: "text with `{{ }}`",
    words.Texts: "anything; its texts with `{{ }}`",
    words.Anything: "anything",
    words.Regex: "regular expression",
    words.Duration: "duration: `30s`, `24h`, `30d`",
    words.Size: "size: `4MB`",
    courtesy.Share: "share: `80%`",
    courtesy.CallCount: "whole number",
    courtesy.Between: "hours: `20:00-06:00 Europe/Amsterdam`",
    words.CodecName: "[codec](#moments)",
    words.BodyFormat: "format",
    language.AnswerFormat: "format",
    language.StatusText: "status",
    language.Rate: "rate",
    AnswerPath: "[path](#paths)",
}


def classes(root: type) -> list[type]:
    """The class and those that it is made of, each behind the one that mentions it first; the small words come last."""
    found: list[type] = []
    _gather(root, found)
    return sorted(found, key=lambda cls: cls.__module__ == words.__name__ and cls not in FIELD_CLASSES)


def _gather(cls: type, found: list[type]) -> None:
    found.append(cls)
    for field in attrs.fields(attrs.resolve_types(cls)):
        for part in _parts(field.metadata.get("filled") or field.type):
            if _is_class(part) and part not in found:
                _gather(part, found)


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind):
        yield from _parts(part)


def _is_class(kind: Any) -> bool:
    ours = (language.__name__, words.__name__, Recipe.__module__)
    return isinstance(kind, type) and attrs.has(kind) and kind.__module__ in ours


def link(title: str) -> str:
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def section(cls: type) -> str:
    about = " ".join((cls.__doc__ or "").split())
    lines = [f"## {cls.__name__}", "", about, "", *keys_table(cls, title_of(cls))]
    slot = plugin_slot(cls)
    kinds = built_in(slot.metadata["plugin"]) if slot else {}
    for name, kind in kinds.items():
        if keys_of(kind.options):
            table = keys_table(kind.options, title_of(cls, name))
            lines += ["", f"With `use: {name}`: {kind.options.__doc__}", "", *table]
    plain = [f"`{name}`" for name, kind in kinds.items() if not keys_of(kind.options)]
    if plain:
        lines += ["", f"Kinds without keys of their own: {', '.join(plain)}."]
    return "\n".join(lines)


def built_in(table: str) -> Mapping[str, Any]:
    supply: Callable[[], Mapping[str, Any]] = getattr(builtin, f"connectory_{table}", dict)
    return supply()


def keys_table(cls: type, shown: str = "") -> list[str]:
    """A row for each key; `shown` is the name of the examples, where there are some."""
    fields = keys_of(attrs.resolve_types(cls))
    rows = [
        (f"`{key}`", _type_of(field), _default(field), field.metadata.get("about", "")) for key, field in fields.items()
    ]
    head = ("key", "what stands there", "default", "meaning")
    texts = examples().get(shown)
    if texts is None:
        return tabulate(head, rows)
    return tabulate((*head, "example"), [(*row, f"`{texts[key]}`") for row, key in zip(rows, fields, strict=True)])


def tabulate(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]


def _type_of(field: attrs.Attribute[Any]) -> str:
    if section := field.metadata.get("ref"):
        one = f"name from `{section}`"
        return f"{one}, or a list" if get_origin(field.type) is tuple else one
    if filled := field.metadata.get("filled"):
        return f"by name: {_said(filled)}"
    return _said(field.type)


def _said(kind: Any) -> str:
    """A type in words, with a link to its place."""
    origin, inner = get_origin(kind), [part for part in get_args(kind) if part is not NoneType]
    if set(inner) == set(get_args(TypeExpr)):
        return "[type](#types)"
    if origin in (Union, UnionType):
        return " or ".join(_said(part) for part in inner)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in inner)
    if origin is tuple:
        return f"{_said(inner[0])}, or a list"
    if origin is Mapping:
        return f"{'by path' if inner[0] is AnswerPath else 'by name'}: {_said(inner[1])}".replace(
            "name: by", "name and by"
        )
    if kind in (Source, Target):
        return link("Sources" if kind is Source else "Destinations")
    return link(kind.__name__) if _is_class(kind) else _KINDS[kind]


def _default(field: attrs.Attribute[Any]) -> str:
    value = field.default
    if value is attrs.NOTHING:
        return "*required*"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, AnswerPath) or type(value) in get_args(TypeExpr):
        return f"`{value}`"
    if isinstance(value, words.Slot):
        return next(f"`{{{key}: {held}}}`" for key, held in attrs.asdict(value).items() if held)
    return str(value) if isinstance(value, str | int | float) and value else ""


def chapter(title: str, *parts: str | list[str]) -> str:
    """A heading and what stands below it: prose, or the lines of a table."""
    return "\n\n".join(
        [f"## {title}", *("\n".join(part) if isinstance(part, list) else part.strip() for part in parts)]
    )


def first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0]
