"""The YAML of a cassette, read with the place of everything: what is wrong is told at its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.errors import Fault, SpecError, nearest
from connectory.spec.yamltext import Array, Node, Table, Text, as_data, parse_int, read_yaml

_META: Final[Mapping[str, type | tuple[type, ...]]] = {
    "vendor": str,
    "operation": str,
    "label": str,
    "arguments": dict,
    "limit": int,
    "settings": dict,
    "recorded": dict,
    "clock": (int, float),
    "spec": dict,
    "gives": dict,
}
_RECORDED: Final = ("server", "host", "at", "note")
_MAY_LACK: Final = frozenset({"label", "limit", "settings"})
_SAID: Final = {
    str: "a text",
    int: "a whole number",
    dict: "a mapping",
    (int, float): "a number",
}


@attrs.frozen
class Document:
    """What a file holds: `connectory`'s metadata, and the keywords of its exchanges."""

    meta: Mapping[str, Any]
    exchanges: tuple[Mapping[str, Any], ...]


def read_document(file: Path) -> Document:
    """Read and check a file. Raises SpecError with every fault."""
    try:
        source = file.read_bytes()
    except OSError as why:
        raise SpecError([Fault(str(file), 1, 1, "", f"the file cannot be read: {why.strerror}")]) from None
    tree = read_yaml(source, str(file), binary=True)
    reader = _Reader(str(file))
    document = reader.document(tree)
    if reader.faults:
        raise SpecError(reader.faults)
    return document


@attrs.frozen
class _Reader:
    file: str
    faults: list[Fault] = attrs.Factory(list)

    def document(self, tree: Node) -> Document:
        root = self.table(tree, "", "a cassette: version, metadata, interactions")
        version = self.take(root, "version", "")
        if isinstance(version, Text) and version != "1":
            self.fault(version, "/version", f"expected 1, vcrpy's format, found '{version}'")
        block = self.table(self.take(root, "metadata", ""), "/metadata", "a mapping with 'connectory'")
        meta = self.meta(self.table(self.take(block, "connectory", "/metadata"), "/metadata/connectory", "a mapping"))
        found = self.take(root, "interactions", "")
        if found is not None and not isinstance(found, Array):
            self.fault(found, "/interactions", "expected a list of exchanges")
        rows = found if isinstance(found, Array) else []
        return Document(meta, tuple(self.exchange(row, f"/interactions/{n}") for n, row in enumerate(rows)))

    def meta(self, table: Table) -> dict[str, Any]:
        place = "/metadata/connectory"
        for key in table:
            if key not in _META:
                self.fault(key, f"{place}/{key}", f"unknown key '{key}'{nearest(key, _META)}")
        read: dict[str, Any] = {}
        for name, kind in _META.items():
            if name not in table:
                if name not in _MAY_LACK:
                    self.fault(table, place, f"'{name}' is missing")
                continue
            node = table[Text(name)]
            read[name] = self.data(node, f"{place}/{name}")
            if not isinstance(read[name], kind):
                self.fault(node, f"{place}/{name}", f"expected {_SAID[kind]}")
        if isinstance(read.get("recorded"), dict):
            self._recorded(table, read["recorded"], place)
        if isinstance(read.get("spec"), dict) and not isinstance(read["spec"].get("parts"), dict):
            self.fault(table[Text("spec")], f"{place}/spec", "expected digest and parts")
        return read

    def _recorded(self, table: Table, said: Mapping[str, Any], place: str) -> None:
        node = table[Text("recorded")]
        for key in said:
            if key not in _RECORDED:
                self.fault(node, f"{place}/recorded", f"unknown key '{key}'{nearest(key, _RECORDED)}")
        if not isinstance(said.get("server"), str):
            self.fault(node, f"{place}/recorded", "'server' is missing: what was recorded")

    def exchange(self, node: Node, place: str) -> dict[str, Any]:
        row = self.table(node, place, "request and response")
        request = self.table(self.take(row, "request", place), f"{place}/request", "method, uri, headers, body")
        response = self.table(self.take(row, "response", place), f"{place}/response", "status, headers, body")
        status = self.table(self.take(response, "status", f"{place}/response"), f"{place}/response/status", "code")
        body = self.table(self.take(response, "body", f"{place}/response"), f"{place}/response/body", "string")
        asked, answered = f"{place}/request", f"{place}/response"
        headers = self.headers(self.take(request, "headers", asked), f"{asked}/headers")
        return {
            "method": self.text(self.take(request, "method", asked), f"{asked}/method"),
            "url": self.text(self.take(request, "uri", asked), f"{asked}/uri"),
            "headers": {name: ", ".join(values) for name, values in headers.items()},
            "body": self.body(request.get(Text("body")), f"{asked}/body"),
            "status": self.number(self.take(status, "code", f"{answered}/status"), f"{answered}/status/code"),
            "reason": str(status.get(Text("message"), "")),
            "answer_headers": self.headers(self.take(response, "headers", answered), f"{answered}/headers"),
            "answer": self.body(body.get(Text("string")), f"{answered}/body/string") or b"",
            "line": node.line,
        }

    def headers(self, node: Node | None, place: str) -> dict[str, tuple[str, ...]]:
        read: dict[str, tuple[str, ...]] = {}
        for name, values in self.table(node, place, "header names with lists of values").items():
            if isinstance(values, Table):
                self.fault(values, f"{place}/{name}", "expected a list of texts")
            else:
                read[str(name)] = (str(values),) if isinstance(values, Text) else tuple(map(str, values))
        return read

    def body(self, node: Node | None, place: str) -> bytes | None:
        if node is None:
            return None
        if not isinstance(node, Text):
            self.fault(node, place, "expected a text (JSON stands in a block behind '|')")
            return None
        if node.binary:
            data = self.data(node, place)
            return data if isinstance(data, bytes) else None
        return None if node.plain and as_data(node) is None else str(node).encode()

    def table(self, node: Node | None, place: str, what: str) -> Table:
        if isinstance(node, Table):
            return node
        if node is not None:
            self.fault(node, place, f"expected {what}")
        return Table()

    def take(self, table: Table, name: str, place: str) -> Node | None:
        node = table.get(Text(name))
        if node is None and (table or not place):
            self.fault(table, place, f"'{name}' is missing{self._hint(name, place)}")
        return node

    def _hint(self, name: str, place: str) -> str:
        wanted = name == "connectory" or (name == "metadata" and not place)
        return ": this cassette was not made by `connectory record`" if wanted else ""

    def text(self, node: Node | None, place: str) -> str:
        if node is not None and not isinstance(node, Text):
            self.fault(node, place, "expected a text")
        return str(node) if isinstance(node, Text) else ""

    def number(self, node: Node | None, place: str) -> int:
        return self._converted(node, place, parse_int, 0)

    def data(self, node: Node, place: str) -> Any:
        try:
            return as_data(node)
        except ValueError:
            self.fault(node, place, "what stands behind '!!binary' is no base64")
            return None

    def _converted(self, node: Node | None, place: str, convert: Callable[[str], int], instead: int) -> int:
        text = self.text(node, place)
        try:
            return convert(text) if node is not None else instead
        except ValueError as why:
            if isinstance(node, Text):
                self.fault(node, place, str(why))
            return instead

    def fault(self, node: Node, place: str, message: str) -> None:
        self.faults.append(Fault(self.file, max(node.line, 1), max(node.column, 1), place, message))
