"""The tests of a spec: one for each recorded call, and for each example that no recording stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import attrs

from connectory.errors import Fault
from connectory.spec.language import Example, Operation
from connectory.spec.load import Loaded
from connectory.testing.recorded.blame import fault_at
from connectory.testing.recorded.cassettes import SUFFIX, case_name, cassettes_in, label_of, safe_label

Kind = Literal["recorded", "example", "missing"]

_STEM: Final = re.compile(r"(?P<operation>[^\[\]]+)(\[(?P<label>.*)\])?")


@attrs.frozen
class Case:
    """One test. `recorded`: `file` is its cassette; `example`: what the spec shows; `missing`: there is neither."""

    vendor: str
    operation: str
    label: str
    kind: Kind
    place: Fault
    file: Path | None = None
    example: Example | None = None

    @property
    def name(self) -> str:
        """`students.list[2018]`."""
        return case_name(self.operation, self.label)


def cases_of(loaded: Loaded, cassettes: Path) -> Sequence[Case]:
    """The cases of a spec, operation by operation; a recording stands for the example of the same name.

    A cassette of an operation that the spec does not have is a case too: it fails.
    """
    recorded: dict[str, dict[str, Path]] = {}
    for file in cassettes_in(cassettes, loaded.spec.name):
        operation, label = named(file)
        recorded.setdefault(operation, {})[label] = file
    found: list[Case] = []
    for name, known in loaded.spec.operations.items():
        found += _of_operation(loaded, name, known, recorded.pop(name, {}))
    place = fault_at(loaded, ("operations",), "")
    for gone, files in recorded.items():
        found += [Case(loaded.spec.name, gone, label, "recorded", place, file) for label, file in files.items()]
    return found


def named(file: Path) -> tuple[str, str]:
    """Operation and label, by a cassette's name."""
    found = _STEM.fullmatch(file.name.removesuffix(SUFFIX))
    return (found["operation"], found["label"] or "") if found else (file.stem, "")


def _of_operation(loaded: Loaded, name: str, operation: Operation, files: dict[str, Path]) -> list[Case]:
    vendor, path = loaded.spec.name, ("operations", name)
    place = fault_at(loaded, path, "")
    found = [Case(vendor, name, label, "recorded", place, file) for label, file in files.items()]
    for number, (label, example) in enumerate(labelled(operation.examples)):
        if label not in files:
            at = fault_at(loaded, (*path, "examples", number), "", at_key=False)
            found.append(Case(vendor, name, label, "example", at, example=example))
    return found or [Case(vendor, name, "", "missing", place)]


def labelled(examples: Sequence[Example]) -> list[tuple[str, Example]]:
    """Each example with a name of its own: by its arguments, by its status where that is an error, else by number."""
    taken: dict[str, Example] = {}
    for number, example in enumerate(examples, start=1):
        label = label_of(example.with_)
        if example.status >= 400:
            label = safe_label(f"{label} {example.status}" if label else str(example.status))
        taken[label if label not in taken else f"{label or 'example'} {number}"] = example
    return list(taken.items())
