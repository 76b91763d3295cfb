"""Arguments that are files: a cassette keeps their name and contents, a call is given paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from connectory.errors import ArgumentError
from connectory.operation import Plan
from connectory.spec.typeexpr import Scalar

SAMPLE: Final = b"id,value\n1,2\n"
"""What stands in a file that an example names and nobody has."""


def with_files(plan: Plan, arguments: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The arguments of a call: paths stay, other files are written into a folder, texts of `bytes` become bytes."""
    given = dict(arguments)
    for parameter in plan.parameters.values():
        value = given.get(parameter.name)
        if value is None:
            continue
        if parameter.field.type == Scalar("file"):
            given[parameter.name] = _written(value, folder)
        elif parameter.field.type == Scalar("bytes") and isinstance(value, str):
            given[parameter.name] = value.encode()
    return given


def _written(value: Any, folder: Path) -> Path:
    if isinstance(value, Path):
        return value
    name, content = (value.get("name"), value.get("content")) if isinstance(value, Mapping) else (value, SAMPLE)
    file = folder / Path(str(name)).name
    file.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    return file


class KeptFile(dict[str, Any]):
    """A file among the arguments that a cassette keeps: `name` and `content`, which are no fields of a record."""


def without_files(plan: Plan, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as a cassette keeps them. Raises ArgumentError for a file that cannot be read."""
    kept = dict(arguments)
    for parameter in plan.parameters.values():
        value = kept.get(parameter.name)
        if value is not None and parameter.field.type == Scalar("file"):
            kept[parameter.name] = _kept(Path(value))
    return kept


def _kept(file: Path) -> KeptFile:
    try:
        content = file.read_bytes()
    except OSError as why:
        raise ArgumentError(f"cannot read {file}: {why.strerror}") from None
    try:
        return KeptFile(name=file.name, content=content.decode())
    except UnicodeDecodeError:
        return KeptFile(name=file.name, content=content)
