"""A request -> the arguments of an operation: query, form and multipart undone, as the spec's wire words say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

import attrs
import msgspec

from connectory.answers import to_number
from connectory.mock.exchange import Asked, Refused
from connectory.operation import SPOTS, Plan, Styles
from connectory.plugins.kinds import Format
from connectory.spec.naming import snake
from connectory.spec.typeexpr import Either, ListOf, MapOf, Named, OneOf, Scalar, TypeExpr
from connectory.spec.words import Field, Slot

_SEPARATORS = {"comma": ",", "pipe": "|", "space": " "}
_INTEGERS = ("int", "byte", "int16", "int32", "int64")
TEMPLATE = re.compile(r"\{\{.*?\}\}")

Pairs = Iterable[tuple[str, str]]


@attrs.frozen
class Heard:
    """What a request holds, by place. `fields` are those of a body that is an object; `body` is the whole of it."""

    path: Mapping[str, Any]
    query: Mapping[str, Any]
    headers: Mapping[str, Any]
    fields: Mapping[str, Any]
    variables: Mapping[str, Any]
    body: Any
    asked: Asked

    def names(self, plan: Plan) -> dict[str, Any]:
        """What a computed text of the operation may name, as it came: arguments, and the page's size."""
        found: dict[str, Any] = {}
        for parameter in plan.parameters.values():
            if parameter.spot in SPOTS:
                found[parameter.name] = getattr(self, parameter.spot).get(parameter.wire)
        found.update({"body": self.body, "items": self.body} if plan.operation.body is not None else {})
        size = plan.pager.size if plan.pager is not None else None
        return found if size is None else {**found, snake(size.name): to_number(self.slot(size))}

    def slot(self, slot: Slot) -> Any:
        """What stands in a slot of a pager; None when nothing."""
        if slot.query is not None:
            return self.asked.argument(slot.query)
        if slot.headers is not None:
            return self.asked.headers.get(slot.headers)
        held: Any = self.variables if slot.variables is not None else self.body
        steps = [slot.variables] if slot.variables is not None else str(slot.fields).split(".")
        for step in steps:
            held = held.get(step) if isinstance(held, Mapping) else None
        return held

    def spot(self, name: str) -> Mapping[str, Any]:
        """The arguments at one place of the request: path, query, headers, fields or variables."""
        found: Mapping[str, Any] = getattr(self, name)
        return found


def decode_body(asked: Asked, formats: Mapping[str, Format]) -> Any:
    """The body by its media type: JSON, form pairs, multipart parts, text; None without one. Raises Refused."""
    if not asked.body:
        return None
    media = asked.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if media == "application/x-www-form-urlencoded":
        return parse_qsl(asked.body.decode("utf-8", "replace"), keep_blank_values=True)
    if media.startswith("multipart/"):
        return _parts(asked)
    if media == "application/json" or media.endswith("+json") or not media:
        try:
            return msgspec.json.decode(asked.body)
        except (msgspec.DecodeError, RecursionError):
            raise Refused("rejected", "the body is not JSON") from None
    chosen = next((one for one in formats.values() if one.media_type.split(";")[0] == media and one.read), None)
    if chosen is None or chosen.read is None:
        return asked.body
    try:
        return chosen.read(asked.body)
    except ValueError:
        raise Refused("rejected", f"the body is not {media}") from None


def _parts(asked: Asked) -> dict[str, Any]:
    """Parts of a multipart body by name: files as bytes, the rest as texts."""
    head = f"Content-Type: {asked.headers.get('Content-Type', '')}\r\n\r\n".encode()
    found: dict[str, Any] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + asked.body).iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        data = content if isinstance(content, bytes) else b""
        found[str(name)] = data if part.get_filename() is not None else data.decode("utf-8", "replace")
    if not found:
        raise Refused("rejected", "the body holds no parts")
    return found


def gather(name: str, field: Field, pairs: Pairs, styles: Styles) -> Any:
    """One parameter out of query or form pairs, in its declared type; None when it is not there."""
    styles = attrs.evolve(styles, lists=field.lists) if field.lists else styles
    texts = [(key, _inside(field, text)) for key, text in pairs]
    return _gather(name, field.type, texts, styles)


def _inside(field: Field, text: str) -> str:
    """The value within the text that it stands in (`id[in]:[{{ value }}]`)."""
    if field.around is None:
        return text
    found = template_pattern(str(field.around)).fullmatch(text)
    return found[1] if found else text


def template_pattern(template: str) -> re.Pattern[str]:
    """What a rendered template looks like; each `{{ }}` is a group."""
    return re.compile("(.*)".join(re.escape(part) for part in TEMPLATE.split(template)), re.DOTALL)


def _gather(name: str, kind: TypeExpr, pairs: list[tuple[str, str]], styles: Styles) -> Any:
    plain = [text for key, text in pairs if key == name]
    if isinstance(kind, ListOf):
        return _gather_list(name, kind.item, pairs, plain, styles)
    if plain:
        return coerce(plain[-1], kind, styles)
    if isinstance(kind, Named | MapOf | Either) or kind == Scalar("any"):
        return _gather_object(name, pairs, styles)
    return None


def _gather_list(name: str, item: TypeExpr, pairs: list[tuple[str, str]], plain: list[str], styles: Styles) -> Any:
    if styles.lists == "json":
        return _json_or_text(plain[-1]) if plain else None
    if styles.lists in _SEPARATORS:
        if not plain:
            return None
        return [coerce(text, item, styles) for text in plain[-1].split(_SEPARATORS[styles.lists])] if plain[-1] else []
    opened = re.compile(re.escape(name) + (r"\[\d*\]" if styles.lists in ("brackets", "indexed") else ""))
    texts = [text for key, text in pairs if opened.fullmatch(key)]
    return [coerce(text, item, styles) for text in texts] if texts else None


def _gather_object(name: str, pairs: list[tuple[str, str]], styles: Styles) -> Any:
    pattern = re.escape(name) + (r"\.([^.]+)" if styles.objects == "dots" else r"\[([^\]]+)\]")
    found = {match[1]: text for key, text in pairs if (match := re.fullmatch(pattern, key))}
    return found or None


def coerce(text: str, kind: TypeExpr, styles: Styles) -> Any:
    """The text as a value of its type; the text itself where it is none, which the checks then say."""
    match kind:
        case Scalar(name=name) if name in _INTEGERS:
            return int(text) if re.fullmatch(r"-?\d+", text) else text
        case OneOf(base="int"):
            return int(text) if re.fullmatch(r"-?\d+", text) else text
        case Scalar(name="float" | "decimal", codec=None):
            return float(text) if re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", text) else text
        case Scalar(name="bool"):
            words = {"1": True, "0": False} if styles.bools == "one_zero" else {"true": True, "false": False}
            return words.get(text, text)
        case Named() | MapOf() | ListOf() | Either() | Scalar(name="any"):
            return _json_or_text(text)
    return text


def _json_or_text(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError):
        return text
