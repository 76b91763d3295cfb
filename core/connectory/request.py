"""A Plan and its Arguments -> a Request: the one place where values become URL, query, headers and body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import attrs
import msgspec

from connectory.errors import ArgumentError, BadAnswer
from connectory.messages import Body, Request, encode_query, origin_of
from connectory.multipart import FilePart, Multipart
from connectory.operation import Arguments, Parameter, Plan, Styles, whole_url
from connectory.plugins.kinds import Format, PageRequest
from connectory.spec.words import Slot

_encode_json = msgspec.json.Encoder(decimal_format="number").encode


@attrs.frozen(repr=False)
class Constants:
    """What a spec sends with every call of an operation, rendered."""

    headers: Mapping[str, str] = attrs.Factory(dict)
    query: Mapping[str, str] = attrs.Factory(dict)
    cookies: Mapping[str, str] = attrs.Factory(dict)
    fields: Mapping[str, Any] = attrs.Factory(dict)
    variables: Mapping[str, Any] = attrs.Factory(dict)


def build(
    plan: Plan,
    url: str,
    arguments: Arguments,
    constants: Constants,
    formats: Mapping[str, Format],
    page: PageRequest | None = None,
) -> Request:
    """One request without credentials. `url` is the base joined with the address, its `{names}` not yet filled.

    Raises ArgumentError for a path argument that would leave its segment.
    """
    arguments = _with_constants(_with_slots(arguments, page), constants)
    query = list(_pairs(plan, "query", arguments.query))
    body, content_type = _body(plan, arguments, formats, query)
    usual = {"Accept": _accept(plan, formats), **({"Content-Type": content_type} if content_type else {})}
    if constants.cookies:
        usual["Cookie"] = cookie_header(constants.cookies)
    method = "POST" if plan.operation.graphql is not None else plan.operation.method.upper()
    request = Request(method, _fill_path(plan, url, arguments.path), tuple(query), usual, body)
    if arguments.headers:
        request = request.with_headers({k: to_text(v, plan.styles) for k, v in arguments.headers.items()})
    # Only who cuts a form into parts knows its boundary; any other media type the spec may know better.
    return request.with_headers({"Content-Type": content_type}) if isinstance(body, Multipart) else request


# RFC 6265, 4.1.1, and `%`: what is percent-encoded already stays as it is. Blanks, quotes, commas, `;` and `\` are not.
_COOKIE_OCTETS = "!#$%&'()*+-./:<=>?@[]^_`{|}~"


def cookie_header(cookies: Mapping[str, str]) -> str:
    """`a=1; b=2`; characters that no cookie can hold are percent-encoded."""
    return "; ".join(f"{name}={quote(value, safe=_COOKIE_OCTETS)}" for name, value in cookies.items())


def _accept(plan: Plan, formats: Mapping[str, Format]) -> str:
    media = formats[plan.styles.answer].media_type.split(";")[0]
    return media if plan.styles.answer == "json" else f"{media}, */*"


def _with_slots(arguments: Arguments, page: PageRequest | None) -> Arguments:
    if page is not None and page.alone:
        arguments = attrs.evolve(arguments, query={})
    for slot, value in page.slots if page else ():
        arguments = put(arguments, slot, value)
    return arguments


def put(arguments: Arguments, slot: Slot, value: Any) -> Arguments:
    """The same arguments with a value in a slot; a dotted body field reaches into objects."""
    if slot.query is not None:
        return attrs.evolve(arguments, query={**arguments.query, slot.query: value})
    if slot.headers is not None:
        return attrs.evolve(arguments, headers={**arguments.headers, slot.headers: value})
    if slot.variables is not None:
        return attrs.evolve(arguments, variables={**arguments.variables, slot.variables: value})
    assert slot.fields is not None  # the loader demands one of the four
    return attrs.evolve(arguments, fields=_with_nested(arguments.fields, slot.fields.split("."), value))


def _with_nested(fields: Mapping[str, Any], steps: list[str], value: Any) -> dict[str, Any]:
    first, *rest = steps
    held = fields.get(first)
    inner = _with_nested(held if isinstance(held, Mapping) else {}, rest, value) if rest else value
    return {**fields, first: inner}


def _with_constants(arguments: Arguments, constants: Constants) -> Arguments:
    """A caller's argument wins over a constant of the same name."""
    if not (constants.headers or constants.query or constants.fields or constants.variables):
        return arguments
    return attrs.evolve(
        arguments,
        headers={**constants.headers, **arguments.headers},
        query={**constants.query, **arguments.query},
        fields={**constants.fields, **arguments.fields},
        variables={**constants.variables, **arguments.variables},
    )


def _fill_path(plan: Plan, url: str, values: Mapping[str, Any]) -> str:
    if whole_url(plan.operation):
        return str(next(iter(values.values())))
    for wire, value in values.items():
        text = to_text(value, plan.styles)
        if text in ("", ".", "..") or "\x00" in text:
            raise ArgumentError(f"{plan.name}: '{wire}': {text!r} cannot stand in a path")
        # Nothing is safe: whatever the value holds, it stays one segment.
        url = url.replace("{" + wire + "}", quote(text, safe=""))
    return url


def _body(
    plan: Plan, arguments: Arguments, formats: Mapping[str, Format], query: list[tuple[str, str]]
) -> tuple[Body, str]:
    """The body's bytes and their media type; fields of a query-written body join `query`."""
    if plan.operation.graphql is not None:
        document = plan.operation.document or arguments.document
        return _encode_json({"query": document, "variables": dict(arguments.variables)}), "application/json"
    whole = arguments.body if arguments.body is not None else dict(arguments.fields) or None
    if whole is None:
        return None, ""
    match plan.styles.body:
        case "json":
            return _encode_json(whole), "application/json"
        case "query":
            query.extend(_pairs(plan, "fields", whole))
            return None, ""
        case "form":
            return encode_query(tuple(_pairs(plan, "fields", whole))).encode(), "application/x-www-form-urlencoded"
        case "multipart":
            return _multipart(plan, whole)
        case word:
            chosen = formats[word]
            assert chosen.write is not None  # checked when the spec was loaded
            try:
                return chosen.write(whole), chosen.media_type
            except ValueError as why:
                raise ArgumentError(f"{plan.name}: the body cannot be written as {word}: {why}") from None


def _multipart(plan: Plan, fields: Mapping[str, Any]) -> tuple[Body, str]:
    own = {p.wire: p.field.media for p in plan.parameters.values() if p.spot == "fields"}
    media = {name: kind for name, kind in own.items() if kind is not None and fields.get(name) is not None}
    files = {name: _file_part(value, media.get(name)) for name, value in fields.items() if isinstance(value, Path)}
    rest = {name: value for name, value in fields.items() if name not in files}
    typed = {name: to_text(rest[name], plan.styles) for name in media if name in rest}
    texts = {name: value for name, value in rest.items() if name not in typed}
    body = Multipart({**typed, **dict(_pairs(plan, "fields", texts))}, files, media)
    return body, body.content_type


def _file_part(file: Path, media: str | None) -> FilePart:
    return FilePart(file) if media is None else FilePart(file, content_type=media)


def _pairs(plan: Plan, spot: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Query or form pairs of some values, each in its own list style."""
    own = {p.wire: p for p in plan.parameters.values() if p.spot == spot}
    for name, value in values.items():
        parameter = own.get(name)
        for key, text in flatten(name, value, _style_of(parameter, plan.styles)):
            yield key, parameter.around.render({"value": text}) if parameter and parameter.around else text


def _style_of(parameter: Parameter | None, styles: Styles) -> Styles:
    lists = parameter.field.lists if parameter else None
    return attrs.evolve(styles, lists=lists) if lists else styles


_JOINERS = {"comma": ",", "pipe": "|", "space": " "}


def flatten(name: str, value: Any, styles: Styles) -> Iterator[tuple[str, str]]:
    """One value as query or form pairs: `a=1&a=2`, `a[]=1`, `a[b]=1` and so on. Null is not sent."""
    if value is None:
        return
    if isinstance(value, list):
        yield from _flatten_list(name, value, styles)
    elif isinstance(value, Mapping):
        if styles.objects == "json":
            yield name, _encode_json(value).decode()
            return
        for key, held in value.items():
            yield from flatten(f"{name}.{key}" if styles.objects == "dots" else f"{name}[{key}]", held, styles)
    else:
        yield name, to_text(value, styles)


def _flatten_list(name: str, values: Iterable[Any], styles: Styles) -> Iterator[tuple[str, str]]:
    kept = [value for value in values if value is not None]
    if styles.lists == "json":
        yield name, _encode_json(kept).decode()
    elif styles.lists in _JOINERS:
        yield name, _JOINERS[styles.lists].join(to_text(value, styles) for value in kept)
    else:
        for number, value in enumerate(kept):
            suffix = {"brackets": "[]", "indexed": f"[{number}]"}.get(styles.lists, "")
            yield from flatten(name + suffix, value, styles)


def to_text(value: Any, styles: Styles) -> str:
    """A single value as it stands in a path, query, header or form."""
    if isinstance(value, bool):
        return str(int(value)) if styles.bools == "one_zero" else str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping | list):
        return _encode_json(value).decode()
    return str(value)


def render_deep(value: Any, render: Callable[[str], str | None]) -> Any:
    """Templates at any depth of a YAML value, rendered; None where a text names what is not given."""
    if isinstance(value, str):
        return render(value) if "{{" in value else value
    if isinstance(value, dict):
        return {name: render_deep(held, render) for name, held in value.items()}
    if isinstance(value, list):
        return [render_deep(held, render) for held in value]
    return value


def at_next_url(plan: Plan, request: Request, url: str) -> Request:
    """The next page's own URL, relative ones resolved; only on the origin where the list began. Raises BadAnswer."""
    try:
        following = urldefrag(urljoin(request.full_url, url)).url
        same = origin_of(following) == request.origin and urlsplit(following).username is None
    except ValueError:
        following, same = "", False
    if not same:
        raise BadAnswer(f"{plan.name}: the next page's link leads away from {request.origin}; it is not followed")
    return attrs.evolve(request, url=following, query=())
