"""Texts with `{{ }}`: compiled once, rendered with the values of their names.

    {{ school }}  {{ kept.instance_url }}       a name, or a name in a mapping
    {{ api_key.split('-')[-1] }}  {{ 2 + first }}  {{ since | date('%d.%m.%Y') }}

The first line's kind is read here; everything else is parsed by Jinja2, cut down to what `sandbox` lists. Jinja2 is
imported only for texts that need it: it costs a tenth of a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import attrs

from connectory.spec.filters import FILTERS
from connectory.spec.pieces import MAX_RESULT, RESERVED, ExpressionFault, Lookup, Piece, kind_of, names_nothing

__all__ = ["Expression", "ExpressionFault", "compile_expression", "expression_names"]

MAX_SOURCE: Final = 2_000  # characters between {{ and }}

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PATH: Final = re.compile(rf"\s*({_NAME}(?:\.{_NAME})*)\s*")
_OPENING: Final = re.compile(r"\{[{%#]")
# Up to the }} that stands in no quotes. Nothing is tried twice, so no text takes long.
_INNER: Final = re.compile(r"""((?:[^'"}]|'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|\}(?!\}))*+)\}\}""", re.DOTALL)


@attrs.frozen
class Expression:
    """A compiled text. `names` are those that must have values, `paths` the same with their dots (`kept.url`)."""

    source: str
    names: frozenset[str]
    paths: frozenset[str]
    _pieces: tuple[str | Piece, ...] = attrs.field(eq=False, repr=False)

    def unknown(self, known: Collection[str]) -> tuple[ExpressionFault, ...]:
        """A fault for each name that is not in `known`; a dotted entry of `known` closes the mapping it names."""
        closed = {entry.partition(".")[0] for entry in known if "." in entry}
        faults = []
        for piece in self._pieces:
            for path, offset in {} if isinstance(piece, str) else piece.places.items():
                root = path.partition(".")[0]
                if path not in known and (root in closed or root not in known):
                    faults.append(ExpressionFault(names_nothing(path, known), offset))
        return tuple(faults)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text.

        Raises `ExpressionFault` for names without value, for what cannot be computed or be part of a text, and
        where the text grows too large.
        """
        parts: list[str] = []
        size = 0
        for piece in self._pieces:
            part = piece if isinstance(piece, str) else _as_text(piece.value(values), piece)
            parts.append(part)
            size += len(part)
            if size > MAX_RESULT:
                raise ExpressionFault(f"the text grows beyond {MAX_RESULT:,} characters")
        return "".join(parts)

    def value(self, values: Mapping[str, Any]) -> Any:
        """What a lone `{{ }}` stands for, with its own type; any other text as `render` gives it."""
        if len(self._pieces) == 1 and not isinstance(self._pieces[0], str):
            return self._pieces[0].value(values)
        return self.render(values)

    def render_optional(self, values: Mapping[str, Any]) -> str | None:
        """The text, or None where a name in it is not given or is None: then the text is not sent."""
        return None if self._lacks(values) else self.render(values)

    def value_optional(self, values: Mapping[str, Any]) -> Any:
        """Like `value`, but None where a name in it is not given or is None."""
        return None if self._lacks(values) else self.value(values)

    def _lacks(self, values: Mapping[str, Any]) -> bool:
        for path in self.paths:
            found: Any = values
            for step in path.split("."):
                found = found.get(step) if isinstance(found, Mapping) else None
                if found is None:
                    return True
        return False


def compile_expression(text: str, filters: Mapping[str, Callable[..., Any]] = FILTERS) -> Expression:
    """Compile a text; `filters` join the built-in ones. Raises `ExpressionFault` for anything that can never work."""
    pieces = tuple(_pieces(text, {**FILTERS, **filters} if filters is not FILTERS else FILTERS))
    paths = frozenset(path for piece in pieces if not isinstance(piece, str) for path in piece.places)
    return Expression(str(text), frozenset(path.partition(".")[0] for path in paths), paths, pieces)


def expression_names(text: str) -> frozenset[str]:
    """The names that a text uses, whatever its filters. Raises `ExpressionFault` where it cannot be read."""
    pieces = _pieces(text, None)
    return frozenset(path.partition(".")[0] for piece in pieces if not isinstance(piece, str) for path in piece.places)


def _pieces(text: str, filters: Mapping[str, Callable[..., Any]] | None) -> Iterator[str | Piece]:
    done = 0
    while opening := _OPENING.search(text, done):
        begin = opening.start()
        if opening[0] != "{{":
            what = "statements ({% %})" if opening[0] == "{%" else "comments ({# #})"
            raise ExpressionFault(f"{what} are not allowed: only '{{{{ }}}}' computes", begin)
        inner = _INNER.match(text, begin + 2)
        if inner is None:
            raise ExpressionFault("'{{' has no '}}'", begin)
        if begin > done:
            yield str(text[done:begin])
        yield _piece(inner[1], begin + 2, filters)
        done = inner.end()
    if done < len(text) or not text:
        yield str(text[done:])


def _piece(source: str, offset: int, filters: Mapping[str, Callable[..., Any]] | None) -> Piece:
    if len(source) > MAX_SOURCE:
        raise ExpressionFault(f"more than {MAX_SOURCE:,} characters between '{{{{' and '}}}}'", offset)
    if source[:1] in ("-", "+") or source[-1:] in ("-", "+"):
        raise ExpressionFault("no '-' or '+' may touch the braces: write a space between", offset)
    found = _PATH.fullmatch(source)
    if found and not RESERVED.intersection(found[1].split(".")):
        private = next((step for step in found[1].split(".") if step.startswith("_")), None)
        if private is not None:
            raise ExpressionFault(f"'{private}' cannot be used: names begin with a letter", offset + found.start(1))
        return Lookup(found[1], offset + found.start(1))
    from connectory.spec.sandbox import Computation  # imports Jinja2

    return Computation.of(source, offset, filters)


def _as_text(value: Any, piece: Piece) -> str:
    """A value inside a text, as the wire writes it: `true`, `2026-05-20T18:25:43Z`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, int | float | Decimal | UUID | date | time) and not isinstance(value, datetime):
        try:
            return str(value)
        except ValueError:  # more digits than Python writes
            pass
    raise ExpressionFault(f"{piece} is {kind_of(value)}: that cannot be part of a text", piece.offset)
