"""A YAML tree -> frozen values of the language, every fault at once with its path.

The same converter serves specs, recipes and the options of plug-ins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from connectory.errors import nearest
from connectory.outcomes import parse_statuses
from connectory.plugins.registry import Registry
from connectory.spec import language, words
from connectory.spec.places import AnswerPath, parse_path
from connectory.spec.typeexpr import TypeExpr, parse_field, parse_type
from connectory.spec.yamltext import as_data, parse_bool, parse_float, parse_int, plain_data

T = TypeVar("T")
Path = tuple[str | int, ...]
Problem = tuple[Path, str, bool]  # path in the tree, what is wrong, whether the key itself is meant


def key_of(attribute: str) -> str:
    """The key of an attribute: `in_` is written `in`."""
    return attribute.removesuffix("_")


def keys_of(cls: type) -> dict[str, attrs.Attribute[Any]]:
    """The keys that may stand in a class, without the slot that holds a plug-in's options."""
    return {key_of(field.name): field for field in attrs.fields(cls) if "plugin" not in field.metadata}


def make_converter(registry: Registry) -> cattrs.Converter:
    """The converter of one set of plug-ins."""
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, parse in _TEXTS.items():
        converter.register_structure_hook(kind, partial(_from_text, parse))
    converter.register_structure_hook(words.Anything, lambda node, _: as_data(node))
    converter.register_structure_hook(words.Texts, lambda node, _: as_data(node))
    converter.register_structure_hook_func(_is_any_of_types(TypeExpr), partial(_from_text, parse_type))
    converter.register_structure_hook_func(lambda kind: get_origin(kind) is Literal, _one_of_words)
    converter.register_structure_hook_factory(lambda kind: get_origin(kind) is tuple, partial(_tuple_hook, converter))
    converter.register_structure_hook_factory(_is_mapping, partial(_mapping_hook, converter))
    converter.register_structure_hook_factory(attrs.has, partial(_class_hook, converter, registry))
    return converter


def problems_of(error: BaseException, path: Path = ()) -> Iterator[Problem]:
    """Everything that a failed structuring says, with the path in the tree."""
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            yield from problems_of(inner, (*path, *_step_of(inner)))
    elif isinstance(error, ForbiddenExtraKeysError):
        for extra in sorted(map(str, error.extra_fields)):
            yield (*path, extra), _unknown_key(extra, error.cl, getattr(error, "others", ())), True
    elif isinstance(error, KeyError) and path and not isinstance(error.args[0], Mapping):
        yield path[:-1], f"'{path[-1]}' is missing", False
    else:
        yield path, str(error), False


def _step_of(error: BaseException) -> Path:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (key_of(note.name),)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


def _unknown_key(extra: str, cls: type, others: Sequence[str]) -> str:
    name = cls.__name__
    if extra in language.LATER.get(name, ()):
        return f"'{extra}' is not built yet"
    hint = nearest(extra, [*keys_of(cls), *others])
    places = _places_of(extra)
    if not hint and places:
        return f"unknown key '{extra}' here; it belongs in {places}"
    return f"unknown key '{extra}'{hint}"


def _places_of(key: str) -> str:
    owners = [
        cls.__name__.lower()
        for cls in [*vars(language).values(), *vars(words).values()]
        if isinstance(cls, type) and attrs.has(cls) and key in keys_of(cls)
    ]
    unique = sorted(set(owners))
    return " or ".join(f"'{owner}'" for owner in unique) if len(unique) <= 3 else ""


def _kind_of_node(node: Any) -> str:
    return "a mapping" if isinstance(node, dict) else "a list" if isinstance(node, list) else f"'{node}'"


def _from_text(parse: Callable[[str], T], node: Any, _kind: Any) -> T:
    if not isinstance(node, str):
        raise ValueError(f"expected a text, found {_kind_of_node(node)}")
    return parse(node)


def _plain(text: str) -> str:
    return str(text)


def _regex(text: str) -> words.Regex:
    try:
        re.compile(text)
    except re.error as why:
        raise ValueError(f"'{text}' is no regular expression: {why}") from None
    return words.Regex(str(text))


def _statuses(text: str) -> str:
    parse_statuses(text)
    return str(text)


_TEXTS: Mapping[Any, Callable[[str], Any]] = {
    str: _plain,
    int: parse_int,
    float: parse_float,
    bool: parse_bool,
    words.Template: _plain,
    words.Regex: _regex,
    words.Duration: words.parse_duration,
    words.Size: words.parse_size,
    words.CodecName: _plain,
    words.BodyFormat: _plain,
    language.StatusText: _statuses,
    AnswerPath: parse_path,
}


def _is_any_of_types(union: Any) -> Callable[[Any], bool]:
    members = set(get_args(union))
    return lambda kind: kind is union or (bool(get_args(kind)) and set(get_args(kind)) == members)


def _one_of_words(node: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if node in allowed:
        return str(node)
    said = _kind_of_node(node)
    raise ValueError(f"expected one of {', '.join(allowed)}, found {said}{nearest(str(node), allowed)}")


def _tuple_hook(converter: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    (item, *_) = get_args(kind)

    def structure(node: Any, _: Any) -> Any:
        """One item may stand where a list does."""
        if isinstance(node, list):
            return tuple(converter.structure(node, list[item]))  # type: ignore[valid-type]
        return (converter.structure(node, item),)

    return structure


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is not None and issubclass(get_origin(kind), Mapping) if isinstance(get_origin(kind), type) else False


def _mapping_hook(converter: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    keys, values = get_args(kind)

    def structure(node: Any, _: Any) -> Any:
        if not isinstance(node, dict):
            raise ValueError(f"expected a mapping, found {_kind_of_node(node)}")
        return converter.structure(node, dict[keys, values])  # type: ignore[valid-type]

    return structure


def _class_hook(converter: cattrs.Converter, registry: Registry, cls: Any) -> Callable[[Any, Any], Any]:
    renames: dict[str, Any] = {f.name: override(rename=key_of(f.name)) for f in attrs.fields(cls) if f.name.endswith("_")}
    plugin = next((f for f in attrs.fields(cls) if "plugin" in f.metadata), None)
    if plugin is not None:
        renames[plugin.name] = override(omit=True)
    build = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=plugin is None, **renames)
    short = SHORT_FORMS.get(cls)

    def structure(node: Any, kind: Any) -> Any:
        if short is not None and not isinstance(node, dict):
            return short(converter, node)
        if not isinstance(node, dict):
            raise ValueError(f"expected a mapping, found {_kind_of_node(node)}")
        if plugin is None:
            return build(node, kind)
        table = getattr(registry, plugin.metadata["plugin"])
        return _with_options(converter, cls, build, table, node)

    return structure


def _with_options(converter: cattrs.Converter, cls: Any, build: Any, table: Mapping[str, Any], node: dict[str, Any]) -> Any:
    """A class whose `use` names a plug-in's kind: the keys beside it are that kind's own."""
    known = keys_of(cls)
    own = {key: value for key, value in node.items() if key in known}
    rest = {key: value for key, value in node.items() if key not in known}
    wrong: list[Exception] = []
    built = options = None
    try:
        built = build(own, cls)
    except BaseValidationError as group:
        wrong.extend(group.exceptions)
    use = node.get("use", getattr(built, "use", None))
    if isinstance(use, str) and use not in table:
        wrong.append(_noted(ValueError(f"no {cls.__name__.lower()} '{use}'{nearest(use, table)}"), cls, "use"))
    elif isinstance(use, str):
        try:
            options = converter.structure(rest, table[use].options)
        except BaseValidationError as group:
            wrong.extend(_explain_option(error, cls, use, table) for error in group.exceptions)
    elif rest:
        extra = ForbiddenExtraKeysError("", cls, set(rest))
        wrong.append(extra)
    if wrong:
        raise cattrs.ClassValidationError(f"While structuring {cls.__name__}", wrong, cls)
    return attrs.evolve(built, options=options)


def _explain_option(error: Exception, cls: type, use: str, table: Mapping[str, Any]) -> Exception:
    if not isinstance(error, ForbiddenExtraKeysError):
        return error
    (extra, *_) = sorted(error.extra_fields)
    owners = [word for word, kind in table.items() if word != use and extra in keys_of(kind.options)]
    if len(error.extra_fields) == 1 and owners:
        return _noted(ValueError(f"'{extra}' is an option of '{owners[0]}', not of '{use}'"), cls, extra)
    clearer = ForbiddenExtraKeysError("", cls, error.extra_fields)
    clearer.others = tuple(keys_of(table[use].options))  # type: ignore[attr-defined]
    return clearer


def _noted(error: Exception, cls: type, name: str) -> Exception:
    error.add_note(AttributeValidationNote(f"While structuring {name}", name, cls))
    return error


def _short_field(converter: cattrs.Converter, node: Any) -> Any:
    said = _from_text(parse_field, node, None)
    default = None if said.default is None else plain_data(said.default)
    return words.Field(type=said.type, required=said.required, default=default, **dict.fromkeys(said.modifiers, True))


def _short_setting(converter: cattrs.Converter, node: Any) -> Any:
    said = _from_text(parse_field, node, None)
    if said.modifiers:
        raise ValueError(f"a setting takes no '{sorted(said.modifiers)[0]}'")
    return words.Setting(type=said.type, required=said.required, default=None if said.default is None else plain_data(said.default))


def _short_place(converter: cattrs.Converter, node: Any) -> Any:
    return words.Place(body=converter.structure(node, tuple[AnswerPath, ...]))


def _short_records(converter: cattrs.Converter, node: Any) -> Any:
    return words.Records(path=converter.structure(node, tuple[AnswerPath, ...]))


def _short_match(converter: cattrs.Converter, node: Any) -> Any:
    path = _from_text(parse_path, node, None)
    return words.Match(item=path, result=path)


def _short_test(converter: cattrs.Converter, node: Any) -> Any:
    return words.Test(in_=converter.structure(node, tuple[words.Anything, ...]))


def _short_link(converter: cattrs.Converter, node: Any) -> Any:
    return language.Link(operation=_from_text(_plain, node, None))


SHORT_FORMS: Mapping[type, Callable[[cattrs.Converter, Any], Any]] = {
    words.Field: _short_field,
    words.Setting: _short_setting,
    words.Place: _short_place,
    words.Records: _short_records,
    words.Match: _short_match,
    words.Test: _short_test,
    words.Slot: lambda converter, node: words.Slot(query=_from_text(_plain, node, None)),
    words.Lifetime: lambda converter, node: words.Lifetime(fixed=_from_text(words.parse_duration, node, None)),
    language.Discover: lambda converter, node: converter.structure({"use": node}, language.Discover),
    language.Link: _short_link,
}
