"""The arguments of a request, read by place and held against what the spec declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from connectory.mock.checks import Checker
from connectory.mock.desks import Desk
from connectory.mock.exchange import Asked, Refused
from connectory.mock.reading import Heard, decode_body, gather
from connectory.plugins.kinds import Format
from connectory.spec.typeexpr import ANY, Scalar


@attrs.frozen
class Hearing:
    """Reads and checks the arguments of one spec's operations."""

    checker: Checker
    formats: Mapping[str, Format]

    def read(self, desk: Desk, asked: Asked, path: Mapping[str, str]) -> Heard:
        body = decode_body(asked, self.formats)
        operation, pairs = desk.operation, asked.query
        variables: Any = {}
        if operation.graphql is not None:
            variables = body.get("variables") if isinstance(body, dict) else None
        in_body = [pair for pair in body if isinstance(pair, tuple)] if isinstance(body, list) else []
        fields = self._fields(desk, body, in_body or list(pairs))
        return Heard(
            path={name: self._path_value(desk, name, text) for name, text in path.items()},
            query=_gathered(desk, operation.query, pairs),
            headers={name: held for name in operation.headers if (held := asked.headers.get(name)) is not None},
            fields=fields,
            variables=variables if isinstance(variables, dict) else {},
            body=fields if in_body else body,
            asked=asked,
        )

    def _fields(self, desk: Desk, body: Any, pairs: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
        """Body fields: out of an object, or out of form and query pairs, where they are texts."""
        if not isinstance(body, dict) or desk.plan.styles.body == "multipart":
            known = body if isinstance(body, dict) else {}
            texts = [(name, text) for name, text in known.items() if isinstance(text, str)]
            return {**known, **_gathered(desk, desk.operation.fields, texts or list(pairs))}
        return body

    def _path_value(self, desk: Desk, name: str, text: str) -> Any:
        field = desk.operation.path.get(name)
        return text if field is None else gather(name, field, [(name, text)], desk.plan.styles)

    def check(self, desk: Desk, heard: Heard, without: str | None = None) -> None:
        """Raises Refused with everything that is wrong with the arguments."""
        faults: list[tuple[str, str]] = []
        for spot in ("path", "query", "headers"):
            fields = {n: f for n, f in getattr(desk.operation, spot).items() if n != without}
            held = {name: value for name, value in heard.spot(spot).items() if name in fields}
            faults += self.checker.object(held, fields)
        if desk.operation.graphql is not None:
            faults += self._of_variables(desk, heard, without)
        elif desk.operation.body is not None and not (desk.operation.batch and without is None):
            faults += self._of_body(desk, heard)
        elif desk.operation.fields:
            fields = {name: field for name, field in desk.operation.fields.items() if name != without}
            held = {name: value for name, value in heard.fields.items() if name in fields}
            faults += self.checker.object(held, {name: _plain(field) for name, field in fields.items()})
        if faults:
            words = "; ".join(f"{at}: {wrong}" if at else wrong for at, wrong in faults)
            raise Refused("rejected", words, dict(faults))

    def _of_variables(self, desk: Desk, heard: Heard, without: str | None) -> Iterable[tuple[str, str]]:
        fields = {name: field for name, field in desk.operation.variables.items() if name != without}
        held = {name: value for name, value in heard.variables.items() if name in fields}
        return self.checker.object(held, fields)

    def _of_body(self, desk: Desk, heard: Heard) -> Iterable[tuple[str, str]]:
        kind, operation = desk.operation.body, desk.operation
        assert kind is not None  # it was looked at before
        if heard.body is None:
            return [("", "the body is missing")]
        # A record that was read first is sent back whole, with what is read-only in it.
        whole = operation.merge is not None
        body = _without_nulls(heard.body) if whole else heard.body
        return self.checker.faults(body, kind, lenient=whole) if kind != Scalar("bytes") else []


def _gathered(desk: Desk, fields: Mapping[str, Any], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    pairs = list(pairs)
    found = {name: gather(name, field, pairs, desk.plan.styles) for name, field in fields.items()}
    return {name: value for name, value in found.items() if value is not None}


def _plain(field: Any) -> Any:
    """A field of a form, where a file is whatever part came."""
    return attrs.evolve(field, type=ANY) if field.type == Scalar("file") else field


def _without_nulls(body: Any) -> Any:
    """A record that was read and is sent back may hold nulls where nothing is."""
    return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body
