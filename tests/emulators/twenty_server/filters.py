"""Filters: REST's text form is parsed into GraphQL's nested form, and that is matched against records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from emulators.exchange import Record
from emulators.twenty_server.model import Field, Model, ObjectType
from emulators.twenty_server.refusals import Refusal, bad_value, unknown_field
from emulators.twenty_server.values import COMPOSITES, EMPTY, moment_of

COMPARATORS = (
    *("eq", "neq", "in", "containsAny", "is", "gt", "gte", "lt", "lte", "startsWith", "endsWith", "like", "ilike"),
)
CONJUNCTIONS = ("and", "or", "not")
Match = Callable[[Record], bool]
Find = Callable[[str, str], Record | None]


# REST's text ---------------------------------------------------------------------------------------------------------


def parse_filter(text: str, thing: ObjectType) -> dict[str, Any]:
    """`or(name[eq]:"x",age[gt]:3)` as `{"or": [{"name": {"eq": "x"}}, {"age": {"gt": 3}}]}`. Raises Refusal."""
    _check_brackets(text)
    conditions = [_parse_condition(part, thing) for part in _split(text)]
    return conditions[0] if len(conditions) == 1 else {"and": conditions}


def _check_brackets(text: str) -> None:
    outside = re.sub(r'"[^"]*"', "", text)
    missing = outside.count("(") - outside.count(")")
    if missing:
        kind, count = ("close" if missing > 0 else "open"), abs(missing)
        words = f"{kind} bracket{' is' if count == 1 else 's are'}"
        raise Refusal(f"'filter' invalid. {count} {words} missing in the query")


def _split(text: str) -> list[str]:
    """Cut at the commas outside quotes, parentheses and square brackets."""
    parts, start, depth, quoted = [], 0, 0, False
    for at, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif not quoted:
            depth += (character in "([") - (character in ")]")
            if character == "," and depth == 0:
                parts.append(text[start:at])
                start = at + 1
    return [*parts, text[start:]]


def _parse_condition(text: str, thing: ObjectType) -> dict[str, Any]:
    group = re.fullmatch(r"(and|or|not)\((.*)\)", text.strip(), re.DOTALL)
    if group:
        inner = [_parse_condition(part, thing) for part in _split(group[2])]
        if group[1] == "not":
            if len(inner) != 1:
                raise Refusal(f"'filter' invalid. 'not' takes one condition, found {len(inner)}")  # wording assumed
            return {"not": inner[0]}
        return {group[1]: inner}
    return _parse_comparison(text.strip(), thing)


def _parse_comparison(text: str, thing: ObjectType) -> dict[str, Any]:
    found = re.fullmatch(r"([^\[\]]+)\[([^\]]*)\]:(.*)", text, re.DOTALL)
    if not found:
        raise Refusal(f"'filter' invalid for '{text}'. eg: price[gte]:10")
    path, comparator, value = found.groups()
    if comparator not in COMPARATORS:
        raise Refusal(f"'filter' invalid for '{text}', comparator {comparator} not in {', '.join(COMPARATORS)}")
    kind = _kind_at(thing, path.split("."))
    nested: Any = {comparator: _rest_value(value, comparator, kind, text)}
    for name in reversed(path.split(".")):
        nested = {name: nested}
    return dict(nested)


def _kind_at(thing: ObjectType, path: list[str]) -> str:
    """The type of a simple field, `NUMBER` for a number within a composite, else TEXT."""
    field = thing.by_column(path[0])
    if field is None or len(path) == 1:
        return "UUID" if field is not None and field.is_relation else field.type if field else "TEXT"
    part = EMPTY.get(field.type)
    return "NUMBER" if isinstance(part, dict) and part.get(path[1], "") is None else "TEXT"


def _rest_value(text: str, comparator: str, kind: str, whole: str) -> Any:
    if comparator in ("in", "containsAny"):
        if not (text.startswith("[") and text.endswith("]")):
            raise Refusal(f"'filter' invalid for '{whole}'. Should be an array, eg: [1,2]")  # wording assumed
        return [_typed(_unquoted(item), kind) for item in text[1:-1].split(",")]  # at every comma, quoted or not
    if comparator == "is":
        if _unquoted(text) not in ("NULL", "NOT_NULL"):
            raise Refusal(f"'filter' invalid for '{whole}'. eg: deletedAt[is]:NULL")  # wording assumed
        return _unquoted(text)
    return _typed(_unquoted(text), kind)


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _typed(text: str, kind: str) -> Any:
    if kind in ("NUMBER", "NUMERIC", "POSITION", "CURRENCY"):
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text
    return text == "true" if kind == "BOOLEAN" else text


# Matching ------------------------------------------------------------------------------------------------------------


def mentions(condition: Any, name: str) -> bool:
    """Whether a field occurs anywhere in a filter."""
    if isinstance(condition, dict):
        return any(key == name or mentions(value, name) for key, value in condition.items())
    return isinstance(condition, list) and any(mentions(item, name) for item in condition)


@attrs.frozen
class Matcher:
    """Filters become functions of a record. `find` looks up a related record by object and id."""

    model: Model
    find: Find

    def compiled(self, thing: ObjectType, condition: dict[str, Any] | None) -> Match:
        """Raises Refusal when the filter names a field that is not there."""
        if condition is not None and not isinstance(condition, dict):
            raise bad_value("Invalid filter: expected an object")  # wording assumed
        checks = [check for key, value in (condition or {}).items() for check in self._entry(thing, key, value)]
        return lambda record: all(check(record) for check in checks)

    def _entry(self, thing: ObjectType, key: str, value: Any) -> Iterator[Match]:
        if key in CONJUNCTIONS:
            yield self._group(thing, key, value)
            return
        field = thing.by_column(key)
        if field is not None:
            yield from self._column(field, key, value)
            return
        relation = thing.fields.get(key)
        if relation is None or relation.to_many or not isinstance(value, dict):
            raise unknown_field(thing.singular, key)
        yield self._related(relation, value)

    def _group(self, thing: ObjectType, key: str, value: Any) -> Match:
        items = value if isinstance(value, list) else [value]
        inner = [self.compiled(thing, item) for item in items]
        if key == "or":
            return lambda record: any(check(record) for check in inner)
        if key == "not":
            return lambda record: not all(check(record) for check in inner)
        return lambda record: all(check(record) for check in inner)

    def _related(self, relation: Field, value: dict[str, Any]) -> Match:
        other = self.model.objects[relation.target]
        check = self.compiled(other, value)

        def matches(record: Record) -> bool:
            related_id = record.get(relation.column)
            related = self.find(other.singular, related_id) if related_id else None
            return related is not None and check(related)

        return matches

    def _column(self, field: Field, column: str, value: Any) -> Iterator[Match]:
        if not isinstance(value, dict):
            raise bad_value(f'Invalid filter value for field "{column}"')  # wording assumed
        if field.type not in COMPOSITES:
            for comparator, operand in value.items():
                yield _compared(field, comparator, operand, lambda record: record.get(column))
            return
        for part, comparisons in value.items():
            if part not in EMPTY[field.type]:
                raise bad_value(f'Sub field "{part}" not found in composite type: {field.type}')  # wording assumed
            if not isinstance(comparisons, dict):
                raise bad_value(f'Invalid filter value for field "{column}.{part}"')  # wording assumed
            for comparator, operand in comparisons.items():
                yield _compared(field, comparator, operand, _part_getter(column, part))


def _part_getter(column: str, part: str) -> Callable[[Record], Any]:
    return lambda record: (record.get(column) or {}).get(part)


def _compared(field: Field, comparator: str, operand: Any, get: Callable[[Record], Any]) -> Match:
    if comparator == "is":
        wanted = operand == "NULL"
        # An empty text is kept as NULL by the server and answered as "".
        return lambda record: (get(record) in (None, "")) is wanted
    compare = COMPARE.get(comparator)
    if compare is None:
        raise bad_value(f'Operator "{comparator}" is not supported')  # wording assumed
    if field.type == "DATE_TIME":
        expected = [_moment(item) for item in operand] if isinstance(operand, list) else _moment(operand)
        return lambda record: (value := get(record)) is not None and _safely(compare, _moment(value), expected)
    if field.type == "UUID" or field.is_relation:
        _check_uuids(operand)
    return lambda record: (value := get(record)) is not None and _safely(compare, value, operand)


def _safely(compare: Callable[[Any, Any], bool], value: Any, operand: Any) -> bool:
    try:
        return compare(value, operand)
    except TypeError:
        return False


def _moment(value: Any) -> int:
    """Milliseconds: the server compares by them."""
    try:
        return round(moment_of(value) * 1000)
    except ValueError:
        raise bad_value(f'invalid input syntax for type timestamp with time zone: "{value}"') from None


def _check_uuids(operand: Any) -> None:
    for item in operand if isinstance(operand, list) else [operand]:
        if not isinstance(item, str) or not re.fullmatch(r"[0-9a-fA-F-]{36}", item):
            raise bad_value(f'invalid input syntax for type uuid: "{item}"')  # wording assumed


def _like(value: Any, pattern: str, flags: int = 0) -> bool:
    pieces = [{"%": ".*", "_": "."}.get(piece, re.escape(piece)) for piece in re.split(r"([%_])", pattern)]
    return re.fullmatch("".join(pieces), str(value), re.DOTALL | flags) is not None


def _contains_any(value: Any, operand: Any) -> bool:
    return isinstance(value, list) and any(item in value for item in operand)


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, operand: value == operand,
    "neq": lambda value, operand: value != operand,
    "in": lambda value, operand: value in operand,
    "containsAny": _contains_any,
    "gt": lambda value, operand: value > operand,
    "gte": lambda value, operand: value >= operand,
    "lt": lambda value, operand: value < operand,
    "lte": lambda value, operand: value <= operand,
    "startsWith": lambda value, operand: str(value).startswith(operand),
    "endsWith": lambda value, operand: str(value).endswith(operand),
    "like": _like,
    "ilike": lambda value, operand: _like(value, operand, re.IGNORECASE),
}
