"""Defaults and the arguments of examples are what their types say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectory.plugins.registry import Registry
from connectory.spec.checks.parameters import parameters_of
from connectory.spec.language import Operation, Spec
from connectory.spec.problems import Path, Problem
from connectory.spec.words import Field, Setting
from connectory.values.writing import ValueFault, Writers


def check(spec: Spec, registry: Registry, nodes: Sequence[tuple[Path, Any]]) -> Iterator[Problem]:
    """Every value that its type refuses. The types that the spec names must all be there."""
    writers: dict[str, Writers] = {}

    def writers_of(operation: Operation | None) -> Writers:
        chosen = operation.wire.datetime if operation else None
        codec = str(chosen or spec.wire.datetime or "rfc3339")
        if codec not in writers:
            writers[codec] = Writers(spec.types, codec, registry.codecs)
        return writers[codec]

    for path, value in nodes:
        if isinstance(value, Field | Setting) and value.default is not None:
            operation = spec.operations.get(str(path[1])) if path[0] == "operations" else None
            field = value if isinstance(value, Field) else Field(type=value.type, pattern=value.pattern)
            yield from _value(writers_of(operation), field, value.default, (*path, "default"))
    for name, operation in spec.operations.items():
        for number, example in enumerate(operation.examples):
            here: Path = ("operations", name, "examples", number, "with")
            yield from _arguments(writers_of(operation), operation, example.with_, here)


def _arguments(writers: Writers, operation: Operation, given: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    known = parameters_of(operation)
    for name, value in given.items():
        if name in known:
            yield from _value(writers, known[name][2], value, (*path, name))


def _value(writers: Writers, field: Field, value: Any, path: Path) -> Iterator[Problem]:
    try:
        writers.of_field(field)(value)
    except ValueFault as fault:
        yield (*path, *fault.path), f"{fault.reason}", False
