"""Loads specs that tests write: from real files, by the loader's public functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from connectory.errors import Fault, SpecError
from connectory.plugins.registry import Registry, SpecFile
from connectory.spec.load import Discovered, Loaded, load_file

# A spec with one of everything small, to be broken by a test.
ACME = """\
name: acme
settings: {school: str!, api_key: secret!}
servers: {production: "https://{{ school }}.acme.example"}
auth: {bearer: "{{ api_key }}"}
limits: {daily: {rate: 5000/day}}
pagers:
  numbered: {use: page_number, page: page, size: size, largest: 100, records: rows, total_records: total}
operations:
  things.list: {get: /things, query: {year: int}, pages: numbered, returns: Thing}
  things.get: {get: "/things/{id}", path: {id: int64}, returns: Thing}
  things.create_many: {post: /things, body: list of Thing, batch: {largest: 10}, results: {key: Id}}
types:
  Thing: {Id: int64! key, Name: str, Changed: datetime}
"""


def load_text(
    registry: Registry, folder: Path, text: str | bytes, *, name: str = "acme", discovered: Discovered | None = None
) -> Loaded:
    """The spec in a text, which is written to `folder/name.yaml` first."""
    file = folder / f"{name}.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return load_file(registry, SpecFile(name, file, "a test"), discovered or Discovered())


def faults_of(registry: Registry, folder: Path, text: str | bytes, **more: Any) -> Sequence[Fault]:
    """Every fault that the loader finds; none when it loads."""
    try:
        load_text(registry, folder, text, **more)
    except SpecError as error:
        return error.faults
    return ()


def said(faults: Sequence[Fault]) -> list[str]:
    """Faults without their file: `3:5 /operations: unknown key 'x'`."""
    return [f"{fault.line}:{fault.column} {fault.path}: {fault.message}" for fault in faults]


def acme(changes: Mapping[str, str] | None = None, more: str = "") -> str:
    """ACME with some pieces replaced, and lines added at its end."""
    text = ACME
    for old, new in (changes or {}).items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    return text + dedent(more)
