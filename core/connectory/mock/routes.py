"""Which operation a request is for: method and path, then what else tells operations of one path apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import msgspec

from connectory.mock.checks import Checker
from connectory.mock.desks import Desk
from connectory.mock.exchange import Asked, Refused
from connectory.mock.reading import TEMPLATE, gather, template_pattern
from connectory.operation import Styles, path_names
from connectory.spec.language import Spec
from connectory.spec.words import Field

_PIECE: Final = re.compile(r"\{\{.*?\}\}|\{\w+\}")
MOST_NAMED: Final = 5  # paths that a 404 names


@attrs.frozen
class Route:
    """Where one operation is asked for. `literal` counts the letters that are fixed: the more, the surer."""

    desk: Desk
    method: str
    shown: str
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    constants: tuple[tuple[str, str], ...]
    literal: int

    def arguments(self, path: str) -> Mapping[str, str] | None:
        """The path arguments, decoded; None where the path is another."""
        found = self.pattern.fullmatch(path)
        return None if found is None else {n: unquote(v) for n, v in zip(self.names, found.groups(), strict=True)}


Found = tuple[Route, Mapping[str, str]]


@attrs.frozen
class Routes:
    """Every operation's route, and the paths below which the servers of the spec lie."""

    routes: Sequence[Route]
    prefixes: Sequence[re.Pattern[str]]
    checker: Checker

    def find(self, asked: Asked) -> Found:
        """The operation that a request is for, and its path arguments. Raises Refused for what is none."""
        for path in self._paths(asked.path):
            found = [
                (route, arguments)
                for route in self.routes
                if route.method == asked.method and (arguments := route.arguments(path)) is not None
            ]
            if found:
                return self._surest(found, asked)
        raise Refused("missing", self._nothing_there(asked), status=404)

    def _surest(self, found: Sequence[Found], asked: Asked) -> Found:
        """Of the operations that a path fits the one with the most fixed letters, then the one that the rest fits."""
        best = max(route.literal for route, _ in found)
        rivals = [one for one in found if one[0].literal == best]
        if rivals[0][0].desk.operation.graphql is not None:
            return _by_document(rivals, asked)
        return max(rivals, key=lambda rival: self._likeness(rival[0], asked)) if len(rivals) > 1 else rivals[0]

    def _likeness(self, route: Route, asked: Asked) -> int:
        """How well a request fits an operation; its constants and required parameters must be there."""
        held = dict(asked.query)
        score = 0
        for name, text in route.constants:
            fits = name in held and template_pattern(text).fullmatch(held[name]) is not None
            score += 10 if fits else -100
        for name, field in route.desk.operation.query.items():
            if field.around is not None and name in held:
                score += 5 if self._stands_in(name, field, held[name], route.desk.plan.styles) else -50
            if field.required and field.default is None:
                score += 2 if name in held else -20
            elif name in held:
                score += 1
        return score

    def _stands_in(self, name: str, field: Field, text: str, styles: Styles) -> bool:
        """Whether a value of the field's type stands in the text around it."""
        if not template_pattern(str(field.around)).fullmatch(text):
            return False
        value = gather(name, field, [(name, text)], styles)
        return not list(self.checker.faults(value, field.type))

    def _paths(self, path: str) -> Iterator[str]:
        """The path as it is, then without the folder of a server (`/v2` of `https://api.acme.example/v2`)."""
        yield path
        for prefix in self.prefixes:
            if found := prefix.match(path):
                yield path[found.end() :]

    def _nothing_there(self, asked: Asked) -> str:
        others = sorted({r.method for r in self.routes if r.arguments(asked.path) is not None})
        if others:
            return f"{asked.path} takes {' and '.join(others)}, not {asked.method}"
        ranked = sorted(self.routes, key=lambda route: -_alike(route.shown, asked.path))
        there = dict.fromkeys(f"{route.method} {route.shown} ({route.desk.name})" for route in ranked)
        more = f" and {len(there) - MOST_NAMED} more" if len(there) > MOST_NAMED else ""
        return f"nothing at {asked.method} {asked.path}; there is {', '.join(list(there)[:MOST_NAMED])}{more}"


def _alike(shown: str, path: str) -> float:
    """How much two paths look alike, from 0 to 1."""
    return SequenceMatcher(None, shown, path).ratio()


def make_routes(spec: Spec, desks: Mapping[str, Desk], checker: Checker) -> Routes:
    """The routes of a checked spec."""
    routes = [_route(desk) for desk in desks.values()]
    paths = [urlsplit(TEMPLATE.sub("x", str(text))).path.rstrip("/") for text in spec.servers.values()]
    texts = [str(text).split("://", 1)[-1].partition("/")[2].rstrip("/") for text in spec.servers.values()]
    prefixes = [re.compile("/" + _loose(text)) for text, path in zip(texts, paths, strict=True) if path and text]
    return Routes(sorted(routes, key=lambda route: -route.literal), prefixes, checker)


def _loose(text: str) -> str:
    """A pattern for a text in which settings stand for anything within a segment."""
    return "[^/]+".join(re.escape(part) for part in TEMPLATE.split(text))


def _route(desk: Desk) -> Route:
    operation = desk.operation
    method = "POST" if operation.graphql is not None else operation.method.upper()
    address = str(operation.address)
    path, _, query = address.partition("?")
    pieces = _PIECE.split(path)
    groups = ["([^/]+)" if not piece.startswith("{{") else "[^/]+" for piece in _PIECE.findall(path)]
    pattern = "".join(re.escape(a) + b for a, b in zip(pieces, [*groups, ""], strict=True))
    fixed = tuple(parse_qsl(query, keep_blank_values=True)) + tuple(
        (key, str(value)) for key, value in operation.send.query.items()
    )
    return Route(desk, method, path, re.compile(pattern), path_names(path), fixed, sum(map(len, pieces)))


def _by_document(rivals: Sequence[Found], asked: Asked) -> Found:
    try:
        sent: Any = msgspec.json.decode(asked.body)
    except msgspec.DecodeError:
        raise Refused("rejected", "the body is not JSON") from None
    document = sent.get("query") if isinstance(sent, dict) else None
    if not isinstance(document, str):
        raise Refused("rejected", "the body holds no GraphQL document: expected 'query'")
    for route, arguments in rivals:
        if route.desk.operation.document is not None and _plain(route.desk.operation.document) == _plain(document):
            return route, arguments
    free = next((one for one in rivals if one[0].desk.operation.document is None), None)
    if free is None:
        known = ", ".join(route.desk.name for route, _ in rivals[:MOST_NAMED])
        raise Refused("rejected", f"a GraphQL document that no operation of the spec sends (there are {known})")
    return free


def _plain(document: str) -> str:
    """A GraphQL document without its blanks and commas, which mean nothing there."""
    return re.sub(r"[\s,]+", " ", document).strip()
