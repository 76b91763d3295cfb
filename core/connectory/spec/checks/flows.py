"""What holds for operations made of steps, and for chains of parents: each can be called, and comes to an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from connectory.errors import nearest
from connectory.spec.checks.parameters import has_method, parameters_of
from connectory.spec.language import Operation, Spec, Step
from connectory.spec.problems import Path, Problem

# What only makes sense where there is one request.
_NOT_OF_FLOWS: Final = (
    *("body", "path", "query", "headers", "variables", "document", "send", "wire", "server", "anonymous", "pages"),
    *("records", "record", "results", "marks", "detail", "parent", "recurse", "merge", "outcomes", "errors"),
)
_OF_POLLS: Final = ("every", "at_most")


def check(spec: Spec) -> Iterator[Problem]:
    """Every step that cannot be taken, and every circle."""
    for name, operation in spec.operations.items():
        path: Path = ("operations", name)
        if operation.steps:
            yield from _keys(operation, path)
            yield from _steps(spec, operation, path)
        elif operation.parent is not None:
            yield from _parents(spec, name, path)


def _keys(operation: Operation, path: Path) -> Iterator[Problem]:
    usual = Operation()
    for key in _NOT_OF_FLOWS:
        if getattr(operation, key) != getattr(usual, key):
            hint = ": its parameters are fields" if key in ("path", "query", "headers", "variables", "body") else ""
            yield (*path, key), f"'{key}' goes with a method, not with steps{hint}", True


def _steps(spec: Spec, operation: Operation, path: Path) -> Iterator[Problem]:
    kept: set[str] = set(parameters_of(operation))
    for number, step in enumerate(operation.steps):
        here: Path = (*path, "steps", number)
        target = spec.operations.get(step.call)
        if target is not None and target.steps:
            circle = " (a circle)" if target is operation else ""
            yield (*here, "call"), f"'{step.call}' is made of steps itself{circle}: call what it calls", False
        elif target is not None and has_method(target):
            yield from _arguments(step, target, here)
        yield from _polls(step, here)
        if step.results and operation.batch is None:
            yield (*here, "results"), "results tell of a batch: say batch", True
        for name in step.keep:
            if name in kept:
                yield (*here, "keep", name), f"'{name}' has a value already: choose another name", True
            kept.add(name)
    if operation.batch is not None and not any(step.results for step in operation.steps):
        yield (*path, "batch"), "no step says what became of each item: add results to one", True


def _arguments(step: Step, target: Operation, path: Path) -> Iterator[Problem]:
    known = {wire: (spot, field) for spot, wire, field in parameters_of(target).values()}
    for wire in step.with_:
        if wire not in known:
            yield (*path, "with", wire), f"{step.call} has no parameter '{wire}'{nearest(wire, known)}", True
    for wire, (spot, field) in known.items():
        needed = (field.required or spot in ("path", "body")) and field.default is None
        if needed and wire not in step.with_:
            yield path, f"{step.call} needs '{wire}': say it in with", False


def _polls(step: Step, path: Path) -> Iterator[Problem]:
    fields = attrs.fields_dict(Step)
    for key in _OF_POLLS:
        if not step.until and getattr(step, key) != fields[key].default:
            yield (*path, key), f"'{key}' goes with until", True
    if step.every <= 0:
        yield (*path, "every"), "polls need a pause between them", False


def _parents(spec: Spec, name: str, path: Path) -> Iterator[Problem]:
    seen, here = [name], name
    while (link := spec.operations[here].parent) is not None and link.operation in spec.operations:
        here = link.operation
        if here in seen:
            yield (*path, "parent"), f"a circle of parents: {' -> '.join([*seen, here])}", False
            return
        seen.append(here)
