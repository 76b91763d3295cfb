"""What leads from one operation to another, or from a record field to a parameter: detail, parent, merge, marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectory.errors import nearest
from connectory.spec.checks.parameters import has_method, parameters_of, path_words
from connectory.spec.language import Link, Operation, Recursion, Spec
from connectory.spec.places import AnswerPath
from connectory.spec.problems import Path, Problem
from connectory.spec.typeexpr import ListOf, Named, TypeExpr
from connectory.spec.words import Field


def check(spec: Spec) -> Iterator[Problem]:
    """Every link and mark that names a parameter or field which is not there."""
    for name, operation in spec.operations.items():
        if has_method(operation):
            path: Path = ("operations", name)
            yield from _links(spec, operation, path)
            yield from _merge(spec, operation, path)
            yield from _marks(spec, operation, path)


def _fields_of(spec: Spec, expression: TypeExpr | None) -> Mapping[str, Field] | None:
    if isinstance(expression, ListOf):
        expression = expression.item
    return spec.types.get(expression.name) if isinstance(expression, Named) else None


def _links(spec: Spec, operation: Operation, path: Path) -> Iterator[Problem]:
    if operation.detail is not None and (target := spec.operations.get(operation.detail.operation)) is not None:
        given = set(parameters_of(operation))
        yield from _link(spec, operation.detail, target, operation.returns, (*path, "detail"), given)
    if operation.parent is not None and (parent := spec.operations.get(operation.parent.operation)) is not None:
        above = set(parent.parent.keep) if parent.parent is not None else set()
        yield from _link(spec, operation.parent, operation, parent.returns, (*path, "parent"), above)
    if operation.recurse is not None:
        yield from _link(spec, operation.recurse, operation, operation.returns, (*path, "recurse"), set())


def _link(
    spec: Spec, link: Link | Recursion, target: Operation, source: TypeExpr, path: Path, given: set[str]
) -> Iterator[Problem]:
    if not has_method(target):
        return
    known = {wire for _, wire, _ in parameters_of(target).values()}
    for wire, place in link.with_.items():
        if wire not in known:
            name = link.operation if isinstance(link, Link) else "it"
            yield (*path, "with", wire), f"{name} has no parameter '{wire}'{nearest(wire, known)}", True
        yield from _is_field(spec, source, place, (*path, "with", wire), given)
    for name, place in link.keep.items():
        yield from _is_field(spec, source, place, (*path, "keep", name), given)
    for place in link.when:
        yield from _is_field(spec, source, place, (*path, "when", str(place)), given, at_key=True)


def _is_field(
    spec: Spec, source: TypeExpr, place: AnswerPath, path: Path, given: set[str], at_key: bool = False
) -> Iterator[Problem]:
    fields = _fields_of(spec, source)
    first = str(place.steps[0]) if place.steps else ""
    if fields is not None and first not in fields and first not in given:
        yield path, f"'{first}' is no field of {source}{nearest(first, fields)}", at_key


def _merge(spec: Spec, operation: Operation, path: Path) -> Iterator[Problem]:
    if operation.if_match is not None and operation.merge is None:
        yield (*path, "if_match"), "'if_match' goes with merge", True
    read = spec.operations.get(operation.merge) if operation.merge is not None else None
    if read is None or not has_method(read):
        return
    missing = set(path_words(str(read.address))) - set(path_words(str(operation.address)))
    if missing:
        message = f"{operation.merge} needs '{sorted(missing)[0]}', which this path does not hold"
        yield (*path, "merge"), message, False
    if operation.body is None and not operation.fields:
        yield (*path, "merge"), "there is nothing to merge: say body: part of ...", False


def _marks(spec: Spec, operation: Operation, path: Path) -> Iterator[Problem]:
    known = {wire for _, wire, _ in parameters_of(operation).values()} if operation.marks else set()
    fields = _fields_of(spec, operation.returns)
    for field, mark in operation.marks.items():
        here = (*path, "marks", field)
        if mark.from_ is None and mark.until is None:
            yield here, "say from: the parameter for records changed since", False
        if fields is not None and field.partition(".")[0] not in fields:
            yield here, f"mark '{field}' is no field of {operation.returns}{nearest(field, fields)}", True
        for key, parameter in (("from", mark.from_), ("until", mark.until)):
            if parameter is not None and parameter not in known:
                yield (*here, key), f"no parameter '{parameter}'{nearest(parameter, known)}", False
