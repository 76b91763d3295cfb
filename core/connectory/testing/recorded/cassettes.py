"""One recorded call as a file: vcrpy's own format, readable, with where it came from and what it gave.

    version: 1
    metadata:
      connectory: {vendor, operation, arguments, settings, recorded, clock, spec, gives}
    interactions:
    - request: {method, uri, headers, body}
      response: {status, headers, body}

A plain vcrpy loads it. What is written is the same for the same conversation, so that git shows what a vendor changed.
"""

from __future__ import annotations

import re
import tempfile
from base64 import encodebytes
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import attrs
import yaml

from connectory.errors import ArgumentError, Fault, SpecError
from connectory.messages import Headers
from connectory.spec.yamltext import Node, as_data, plain_data
from connectory.testing.recorded.bodytext import UNWRITABLE, readable
from connectory.testing.recorded.cassettefile import read_document
from connectory.testing.recorded.files import KeptFile

MOST_EXCHANGES: Final = 100
SUFFIX: Final = ".yaml"
_LABEL: Final = re.compile(r"(?![ .])[\w.@+=, ~-]{1,100}(?<![ .])")
LONGEST_PART: Final = 140  # characters of a part of a spec that are kept whole


@attrs.frozen(repr=False)
class Exchange:
    """One request and its answer, without what changes from run to run. `line` is where the file holds it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    status: int
    answer_headers: Mapping[str, tuple[str, ...]]
    answer: bytes
    reason: str = ""
    line: int = attrs.field(default=0, eq=False)

    def __repr__(self) -> str:
        return f"<Exchange {self.method} {self.url.partition('?')[0]} {self.status}>"

    @property
    def head(self) -> Headers:
        """The answer's headers, found by name in any case."""
        return Headers([(name, value) for name, values in self.answer_headers.items() for value in values])


@attrs.frozen
class Recorded:
    """Where a conversation came from: what server, by which kind of address, and when (ISO 8601, UTC); `note` says what
    of it is not as it went over the wire."""

    server: str
    host: str = ""
    at: str = ""
    note: str = ""


@attrs.frozen(kw_only=True)
class Cassette:
    """A recorded call. `clock` is the moment at which it began, in epoch seconds; `gives` what the call gave;
    `limit` the number of records after which the caller stopped; `parts` the texts of the spec that it used, by
    their place."""

    vendor: str
    operation: str
    label: str = ""
    arguments: Mapping[str, Any] = attrs.Factory(dict)
    limit: int | None = None
    settings: Mapping[str, Any] = attrs.Factory(dict)
    recorded: Recorded = Recorded("")
    clock: float = 0.0
    parts: Mapping[str, str] = attrs.Factory(dict)
    gives: Mapping[str, Any] | None = None
    exchanges: tuple[Exchange, ...] = ()
    file: Path | None = attrs.field(default=None, eq=False)

    @property
    def name(self) -> str:
        """`students.list[2018]`, as its test is called."""
        return case_name(self.operation, self.label)


def case_name(operation: str, label: str) -> str:
    """The name of a recorded call."""
    return f"{operation}[{label}]" if label else operation


def cassette_file(folder: Path, vendor: str, operation: str, label: str) -> Path:
    """Where a call is kept: `cassettes/<vendor>/<operation>[<label>].yaml`."""
    return folder / vendor / f"{case_name(operation, label)}{SUFFIX}"


def label_of(arguments: Mapping[str, Any]) -> str:
    """A short name for arguments, fit for a file's name: `2018`, `42-true`, `3 items`; empty where there are none."""
    words = [word for value in arguments.values() if (word := _word(value))]
    return safe_label("-".join(words))


def label_for(arguments: Mapping[str, Any], limit: int | None) -> str:
    """The label of a call that ends after so many records."""
    label = label_of(arguments)
    return label if limit is None else f"{label} first {limit}".strip()


def _word(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case KeptFile():
            return str(value["name"])
        case Mapping():
            return "+".join(map(str, value))
        case list() | tuple():
            if len(value) == 1 and not isinstance(value[0], Mapping):
                return _word(value[0])
            return f"{len(value)} item{'' if len(value) == 1 else 's'}"
        case bytes():
            return f"{len(value)} bytes"
        case Path():
            return value.name
    return str(value)


def safe_label(label: str) -> str:
    """A label that every file system takes; a long one is cut and told apart by a digest."""
    clean = re.sub(r"[^\w.@+=, -]+", "_", label).strip(" .")
    if len(clean) <= 60:
        return clean
    return f"{clean[:50].rstrip()}~{sha256(label.encode()).hexdigest()[:8]}"


def check_label(label: str) -> None:
    """Raises ArgumentError for a label that could leave the vendor's folder, or that not every file system takes."""
    if label and not _LABEL.fullmatch(label):
        raise ArgumentError(
            f"label '{label}' cannot be in a file's name: expected at most 100 letters, digits, spaces or -_.,@+=~,"
            f" no space or dot first or last, such as '{safe_label(label) or 'one'}'"
        )


def read_cassette(file: Path) -> Cassette:
    """A cassette from its file. Raises SpecError with every fault, at its line."""
    document = read_document(file)
    meta = document.meta
    exchanges = tuple(Exchange(**each) for each in document.exchanges)
    if len(exchanges) > MOST_EXCHANGES:
        raise SpecError([Fault(str(file), 1, 1, "/interactions", too_many(len(exchanges)))])
    known = {field.name for field in attrs.fields(Cassette)} - {"recorded", "exchanges", "file", "parts"}
    return Cassette(
        **{name: value for name, value in meta.items() if name in known},
        recorded=Recorded(**meta["recorded"]),
        parts=meta["spec"]["parts"],
        exchanges=exchanges,
        file=file,
    )


def too_many(number: int) -> str:
    """What to say of a conversation that is too long for a cassette."""
    return f"{number} exchanges: a cassette holds at most {MOST_EXCHANGES}; record a call that needs fewer (a filter)"


def cassettes_in(folder: Path, vendor: str) -> list[Path]:
    """The files of a vendor's cassettes, by name."""
    return sorted((folder / vendor).glob(f"*{SUFFIX}"))


def text_of(cassette: Cassette) -> str:
    """The file of a cassette."""
    meta: dict[str, Any] = {"vendor": cassette.vendor, "operation": cassette.operation}
    if cassette.label:
        meta["label"] = cassette.label
    meta["arguments"] = _plain(cassette.arguments)
    if cassette.limit is not None:
        meta["limit"] = cassette.limit
    if cassette.settings:
        meta["settings"] = _plain(cassette.settings)
    meta["recorded"] = {name: said for name, said in attrs.asdict(cassette.recorded).items() if said}
    meta["clock"] = cassette.clock
    meta["spec"] = {"digest": digest_of(cassette.parts), "parts": dict(cassette.parts)}
    meta["gives"] = None if cassette.gives is None else _plain(cassette.gives)
    document = {
        "version": 1,
        "metadata": {"connectory": meta},
        "interactions": [_interaction(exchange) for exchange in cassette.exchanges],
    }
    return yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10**6)


def digest_of(parts: Mapping[str, str]) -> str:
    """The version of those parts of a spec."""
    return sha256("\n".join(f"{place}={text}" for place, text in parts.items()).encode()).hexdigest()[:16]


def _interaction(exchange: Exchange) -> dict[str, Any]:
    return {
        "request": {
            "method": exchange.method,
            "uri": exchange.url,
            "headers": {name: [value] for name, value in exchange.headers.items()},
            "body": None if exchange.body is None else readable(exchange.body),
        },
        "response": {
            "status": {"code": exchange.status, "message": exchange.reason},
            "headers": {name: list(values) for name, values in exchange.answer_headers.items()},
            "body": {"string": readable(exchange.answer)},
        },
    }


def _plain(value: Any) -> Any:
    """An argument as YAML has it: moments, days and exact numbers as texts, which every writer of ours takes."""
    match value:
        case Mapping():
            return {str(name): _plain(held) for name, held in value.items()}
        case list() | tuple():
            return [_plain(held) for held in value]
        case None | bool() | int() | float() | str() | bytes():
            return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def write_cassette(cassette: Cassette, file: Path) -> None:
    """Write the file, whole or not at all. Raises ArgumentError for a conversation that is too long."""
    if len(cassette.exchanges) > MOST_EXCHANGES:
        raise ArgumentError(f"{cassette.name}: {too_many(len(cassette.exchanges))}")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    part.write_text(text_of(cassette), encoding="utf-8", newline="\n")
    part.replace(file)


def as_kept(cassette: Cassette) -> Cassette:
    """The cassette as it will be read again: moments and exact numbers are texts then."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cassette.yaml"
        write_cassette(cassette, file)
        return attrs.evolve(read_cassette(file), file=cassette.file)


def twins(cassettes: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Files whose names differ by case alone: one file on other machines."""
    seen: dict[str, Path] = {}
    for file in cassettes:
        first = seen.setdefault(str(file).lower(), file)
        if first != file:
            yield first, file


def tree_text(node: Node) -> str:
    """A part of a spec on one line, as it is compared and shown: a long one by how many keys it has and a digest."""
    data = _telling(as_data(node))
    text = yaml.dump(data, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=10**6).strip()
    text = text.removesuffix("...").strip()
    if len(text) <= LONGEST_PART:
        return text
    number = f"{len(data)} keys, " if isinstance(data, dict) else ""
    return f"{number}digest {sha256(text.encode()).hexdigest()[:12]}"


def _telling(data: Any) -> Any:
    """Data of a spec without what is said about it only."""
    if isinstance(data, dict):
        return {name: _telling(held) for name, held in data.items() if name != "about"}
    return [_telling(held) for held in data] if isinstance(data, list) else data


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    if UNWRITABLE.search(value):
        style: str | None = '"'
    elif "\n" in value:
        style = "|"
    else:  # YAML 1.2, by which it is read, takes more texts for numbers than PyYAML does
        style = None if isinstance(plain_data(value), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _bytes(dumper: yaml.SafeDumper, value: bytes) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:binary", encodebytes(value).decode(), style="|")


_Dumper.add_representer(str, _text)
_Dumper.add_representer(bytes, _bytes)
