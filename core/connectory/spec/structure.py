"""A YAML tree -> frozen values of the language, every fault at once with its path.

The same converter serves specs, recipes and the options of plug-ins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import AttributeValidationNote, BaseValidationError, ForbiddenExtraKeysError, IterableValidationNote

from connectory.errors import nearest
from connectory.limits.budgets import parse_rate
from connectory.outcomes import parse_statuses
from connectory.plugins.registry import Registry
from connectory.spec import language, words
from connectory.spec.keys import key_of, keys_of, plugin_slot
from connectory.spec.places import AnswerPath, parse_path
from connectory.spec.problems import AtKey
from connectory.spec.typeexpr import ListOf, OneOf, Scalar, TypeExpr, parse_field, parse_type
from connectory.spec.yamltext import Node, Table, Text, as_data, parse_bool, parse_float, parse_int, plain_data
from connectory.values.codecs import find_codec

T = TypeVar("T")

# A scalar or a list that stands where a class is expected fills these attributes of it.
SHORT_FORMS: Final[Mapping[type, tuple[str, ...]]] = {
    words.Place: ("body",),
    words.Slot: ("query",),
    words.Records: ("path",),
    words.Match: ("item", "result"),
    words.Test: ("in_",),
    words.Lifetime: ("fixed",),
    language.Discover: ("use",),
    language.Link: ("operation",),
}
# A text that stands where one of these is expected is a field expression: `TYPE[!] [modifiers] [= default]`.
FIELD_CLASSES: Final[tuple[type, ...]] = (words.Field, words.Setting)


def make_converter(registry: Registry) -> cattrs.Converter:
    """A new converter for one set of plug-ins."""
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, parse in _TEXTS.items():
        converter.register_structure_hook(kind, partial(_from_text, parse))
    for kind, check in _named_by_plugins(registry).items():
        converter.register_structure_hook(kind, partial(_from_text, _checked(check)))
    converter.register_structure_hook(words.Anything, lambda node, _: as_data(node))
    converter.register_structure_hook(words.Texts, lambda node, _: as_data(node))
    converter.register_structure_hook_func(_is_any_of_types(TypeExpr), partial(_from_text, parse_type))
    converter.register_structure_hook_func(partial(_has_origin, Literal), _one_of_words)
    converter.register_structure_hook_factory(partial(_has_origin, tuple), partial(_tuple_hook, converter))
    converter.register_structure_hook_factory(partial(_has_origin, Mapping), partial(_mapping_hook, converter))
    converter.register_structure_hook_factory(attrs.has, partial(_class_hook, converter, registry))
    return converter


@lru_cache(maxsize=8)
def shared_converter(registry: Registry) -> cattrs.Converter:
    """The converter that all loads with one registry share: it learns the language once. Not to be changed."""
    return make_converter(registry)


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
    except (re.error, OverflowError, RecursionError) as why:
        raise ValueError(f"'{text}' is no regular expression: {why}") from None
    return words.Regex(str(text))


def _checked(parse: Callable[[str], Any]) -> Callable[[str], str]:
    """Keeps the text as it was written, once it is known that it can be read."""

    def check(text: str) -> str:
        parse(text)
        return str(text)

    return check


def _path(text: str) -> AnswerPath:
    if isinstance(text, Text) and text.plain and plain_data(text) is None:
        raise ValueError("expected a path, found nothing: write it in quotes if a field is called so")
    return parse_path(text)


_TEXTS: Final[Mapping[Any, Callable[[str], Any]]] = {
    str: _plain,
    int: parse_int,
    float: parse_float,
    bool: parse_bool,
    words.Template: _plain,
    words.Regex: _regex,
    words.Duration: words.parse_duration,
    words.Size: words.parse_size,
    language.Rate: _checked(parse_rate),
    language.StatusText: _checked(parse_statuses),
    AnswerPath: _path,
}


def _named_by_plugins(registry: Registry) -> Mapping[Any, Callable[[str], Any]]:
    """The kinds of text that plug-ins supply, each with the check that it is supplied. The check raises ValueError."""

    def format_in(known: Iterable[str]) -> Callable[[str], None]:
        def check(text: str) -> None:
            if text not in known and "{{" not in text:
                there = f" (there are {', '.join(sorted({*known}))}; a plug-in may bring others)"
                raise ValueError(f"no format '{text}'{nearest(text, known) or there}")
            needed = registry.formats[text].needs if text in registry.formats else ""
            if needed and find_spec(needed) is None:
                raise ValueError(f"'{text}' needs the package {needed}: pip install 'connectory[{text}]'")

        return check

    return {
        words.CodecName: partial(find_codec, known=registry.codecs),
        words.BodyFormat: format_in((*words.BODY_FORMATS, *registry.formats)),
        language.AnswerFormat: format_in(registry.formats),
    }


def _has_origin(origin: Any, kind: Any) -> bool:
    return get_origin(kind) is origin


def _is_any_of_types(union: Any) -> Callable[[Any], bool]:
    members = set(get_args(union))
    return lambda kind: set(get_args(kind)) - {type(None)} == members


def _one_of_words(node: Any, kind: Any) -> Any:
    allowed = get_args(kind)
    if node in allowed:
        return str(node)
    said = _kind_of_node(node)
    raise ValueError(f"expected one of {', '.join(allowed)}, found {said}{nearest(str(node), allowed)}")


def _later(converter: cattrs.Converter, kind: Any) -> Callable[[Any], Any]:
    """Structures nodes as `kind`. How is found out at the first of them: a file uses few words of the language."""
    hook: Callable[[Any, Any], Any] | None = None

    def structure(node: Any) -> Any:
        nonlocal hook
        hook = hook or converter.get_structure_hook(kind)
        return hook(node, kind)

    return structure


def _tuple_hook(converter: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    (item, *_) = get_args(kind)
    each, one = _later(converter, list[item]), _later(converter, item)  # type: ignore[valid-type]

    def structure(node: Any, _: Any) -> Any:
        """One item may stand where a list does."""
        return tuple(each(node)) if isinstance(node, list) else (one(node),)

    return structure


def _mapping_hook(converter: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    key_of_text, value_of_node = (_later(converter, part) for part in get_args(kind))

    def structure(node: Any, _: Any) -> Any:
        if not isinstance(node, dict):
            raise ValueError(f"expected a mapping, found {_kind_of_node(node)}")
        found: dict[Any, Any] = {}
        wrong: list[Exception] = []
        for text, held in node.items():
            part = "key"
            try:
                key = key_of_text(text)
                part = "value"
                found[key] = value_of_node(held)
            except Exception as why:
                why.add_note(IterableValidationNote(f"While structuring mapping {part} {text}", text, kind))
                wrong.append(why)
        if wrong:
            raise cattrs.IterableValidationError(f"While structuring {kind}", wrong, kind)
        return found

    return structure


def _class_hook(converter: cattrs.Converter, registry: Registry, cls: Any) -> Callable[[Any, Any], Any]:
    plugin = plugin_slot(cls)
    build = _builder(converter, cls)
    short = _short_form(converter, cls)

    def structure(node: Any, _: Any) -> Any:
        if not isinstance(node, dict):
            if short is not None:
                return short(node)
            raise ValueError(f"expected a mapping, found {_kind_of_node(node)}")
        if cls in FIELD_CLASSES:
            return _with_typed_values(build(node), node)
        if plugin is None:
            return build(node)
        return _with_options(converter, cls, build, getattr(registry, plugin.metadata["plugin"]), node)

    return structure


def _builder(converter: cattrs.Converter, cls: Any) -> Callable[[Mapping[str, Any]], Any]:
    """What makes a value of a class from a mapping. It raises ClassValidationError with every fault, as cattrs does.

    cattrs would write and compile a function for each class that the language names, which took a tenth of a start.
    """
    fields = keys_of(attrs.resolve_types(cls))
    hooks = {key: _later(converter, field.type) for key, field in fields.items()}
    required = [key for key, field in fields.items() if field.default is attrs.NOTHING]

    def build(node: Mapping[str, Any]) -> Any:
        values: dict[str, Any] = {}
        wrong: list[Exception] = []
        for key, held in node.items():
            if key in fields:
                try:
                    values[fields[key].alias or key] = hooks[key](held)
                except Exception as why:
                    wrong.append(_noted(why, cls, fields[key].name))
        wrong += [_noted(KeyError(key), cls, fields[key].name) for key in required if key not in node]
        if extra := node.keys() - fields.keys():
            wrong.append(ForbiddenExtraKeysError("", cls, extra))
        try:
            if not wrong:
                return cls(**values)
        except Exception as why:
            wrong.append(why)
        raise cattrs.ClassValidationError(f"While structuring {cls.__name__}", wrong, cls)

    return build


def _short_form(converter: cattrs.Converter, cls: Any) -> Callable[[Any], Any] | None:
    """How a scalar or a list becomes a value of the class; None where only a mapping may stand."""
    if cls in FIELD_CLASSES:
        return partial(_from_field_expression, cls)
    names = SHORT_FORMS.get(cls)
    if names is None:
        return None
    if plugin_slot(cls) is not None:
        return lambda node: converter.structure(Table({Text(key_of(name)): node for name in names}), cls)
    kinds = {name: getattr(attrs.fields(attrs.resolve_types(cls)), name).type for name in names}
    return lambda node: cls(**{name: converter.structure(node, kind) for name, kind in kinds.items()})


def _from_field_expression(cls: type, node: Any) -> Any:
    said = _from_text(parse_field, node, None)
    modifiers: dict[str, Any] = dict.fromkeys(said.modifiers, True)
    wrong = sorted(said.modifiers - keys_of(cls).keys())
    if wrong:
        raise ValueError(f"a {cls.__name__.lower()} takes no '{wrong[0]}'")
    default = None if said.default is None else _as_type_says(said.type, Text(said.default))
    return cls(type=said.type, required=said.required, default=default, **modifiers)


def _with_typed_values(field: Any, node: Mapping[str, Any]) -> Any:
    """A field or setting with its default and example as its type reads them: `default: 0478` of a str stays so."""
    said = {key: _as_type_says(field.type, node[key]) for key in ("default", "example") if key in node}
    return attrs.evolve(field, **said) if said else field


_TEXTUAL: Final = frozenset(["str", "secret", "uuid", "url", "date", "time", "datetime", "file"])


def _as_type_says(kind: TypeExpr, node: Node) -> Any:
    if isinstance(kind, ListOf) and isinstance(node, list):
        return [_as_type_says(kind.item, item) for item in node]
    value = as_data(node)
    textual = (isinstance(kind, Scalar) and kind.name in _TEXTUAL) or (isinstance(kind, OneOf) and kind.base == "str")
    return str(node) if textual and isinstance(node, str) and value is not None else value


def _with_options(
    converter: cattrs.Converter, cls: Any, build: Any, table: Mapping[str, Any], node: dict[str, Any]
) -> Any:
    """A class whose `use` names a plug-in's kind: the keys beside it are that kind's own."""
    known = keys_of(cls)
    own = {key: value for key, value in node.items() if key in known}
    rest = {key: value for key, value in node.items() if key not in known}
    wrong: list[Exception] = []
    built: Any = None
    options: Any = None
    try:
        built = build(own)
    except BaseValidationError as group:
        wrong.extend(group.exceptions)
    use = node.get("use", known["use"].default)
    if isinstance(use, str) and use in table:
        try:
            options = converter.structure(rest, table[use].options)
        except BaseValidationError as group:
            wrong.extend(clear for error in group.exceptions for clear in _explain_options(error, cls, use, table))
    elif isinstance(use, str):
        wrong.append(_noted(ValueError(_no_kind(cls, use, table)), cls, "use"))
    else:
        wrong.extend(_unclaimed(rest, cls, table))
    if wrong:
        raise cattrs.ClassValidationError(f"While structuring {cls.__name__}", wrong, cls)
    return attrs.evolve(built, options=options)


def _no_kind(cls: type, use: str, table: Mapping[str, Any]) -> str:
    there = f" (there are {', '.join(table)})" if table else " (none is installed)"
    return f"no kind of {cls.__name__.lower()} is called '{use}'{nearest(use, table) or there}"


def _owners(key: str, table: Mapping[str, Any]) -> list[str]:
    return [word for word, kind in table.items() if key in keys_of(kind.options)]


def _explain_options(error: Exception, cls: type, use: str, table: Mapping[str, Any]) -> Iterator[Exception]:
    """The same error, or for keys that the kind has not, one each that says whose they are."""
    if not isinstance(error, ForbiddenExtraKeysError):
        yield error
        return
    for extra in sorted(error.extra_fields):
        if owners := _owners(extra, table):
            yield _noted(AtKey(f"'{extra}' is an option of '{owners[0]}', not of '{use}'"), cls, extra)
        else:
            yield _extra_key(extra, cls, keys_of(table[use].options))


def _unclaimed(rest: Iterable[str], cls: type, table: Mapping[str, Any]) -> Iterator[Exception]:
    """Keys beside a `use` that is not there: options of some kind, or of none."""
    optional = keys_of(cls)["use"].default is not attrs.NOTHING
    for extra in rest:
        owners = _owners(extra, table)
        if owners and optional:
            yield _noted(AtKey(f"'{extra}' is an option of '{owners[0]}': say use: {owners[0]}"), cls, extra)
        elif not owners:
            yield _extra_key(extra, cls, [key for kind in table.values() for key in keys_of(kind.options)])


def _extra_key(extra: str, cls: type, others: Iterable[str]) -> ForbiddenExtraKeysError:
    error = ForbiddenExtraKeysError("", cls, {extra})
    error.others = tuple(others)  # type: ignore[attr-defined]
    return error


def _noted(error: Exception, cls: type, name: str) -> Exception:
    error.add_note(AttributeValidationNote(f"While structuring {name}", name, cls))
    return error
