"""What holds for each operation: its method, parameters, pages, batch, links, marks, document and examples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from connectory.errors import nearest
from connectory.plugins.registry import Registry
from connectory.spec.language import METHODS, STANDARD_VERBS, Link, Operation, Spec, effect
from connectory.spec.naming import snake
from connectory.spec.places import AnswerPath
from connectory.spec.structure import Path, Problem
from connectory.spec.typeexpr import ListOf, Named, TypeExpr
from connectory.spec.words import Field, Slot

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_SPOTS = ("path", "query", "headers", "fields", "variables")
_RESERVED = frozenset({"complete", "parents", "keep_results", "into"})


def check(spec: Spec, registry: Registry) -> Iterator[Problem]:
    """Every problem of every operation."""
    for name, operation in spec.operations.items():
        path: Path = ("operations", name)
        said = sum(getattr(operation, method) is not None for method in METHODS)
        if said != 1:
            yield path, f"exactly one of {', '.join(METHODS)} is needed", False
            continue
        yield from _name(spec, name, operation, path)
        yield from _parameters(operation, path)
        yield from _body(operation, path, registry)
        yield from _paging(spec, name, operation, path)
        yield from _batch(operation, path)
        yield from _links(spec, operation, path)
        yield from _marks(spec, operation, path)
        yield from _document(spec, operation, path)
        yield from _examples(spec, operation, path)
    yield from _verify(spec)


def _name(spec: Spec, name: str, operation: Operation, path: Path) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        yield path, f"'{name}' is no operation's name: write resource.verb in snake case, as 'students.list'", True
    if effect(name, operation) is None:
        verb = name.rsplit(".", 1)[-1]
        yield path, f"'{verb}' is no standard verb{nearest(verb, STANDARD_VERBS)}: say does: read, write or destroy", True
    if any(other.startswith(f"{name}.") for other in spec.operations):
        yield path, f"'{name}' is also the first part of other operations' names", True
    if not str(operation.address).startswith(("/", "{{", "http")):
        yield (*path, operation.method), "a path begins with '/'", False


def parameters_of(operation: Operation) -> dict[str, tuple[str, str, Field]]:
    """The caller's name -> place, wire name and field."""
    found: dict[str, tuple[str, str, Field]] = {}
    for wire in path_words(str(operation.address)):
        field = operation.path.get(wire, Field())
        found[field.as_ or snake(wire)] = ("path", wire, field)
    for spot in _SPOTS[1:]:
        for wire, field in getattr(operation, spot).items():
            found[field.as_ or snake(wire)] = (spot, wire, field)
    if operation.body is not None and (operation.batch is None or operation.batch.items is not None):
        found["body"] = ("body", "body", Field(type=operation.body))
    if operation.batch is not None and operation.batch.items is None:
        found["items"] = ("body", "items", Field(type=operation.body or Field().type))
    if operation.graphql is not None and operation.document is None:
        found["document"] = ("document", "document", Field())
        found["variables"] = ("variables", "variables", Field())
    return found


def path_words(address: str) -> list[str]:
    """The `{names}` in an address."""
    return re.findall(r"(?<!\{)\{([^{}]+)\}(?!\})", address)


def _parameters(operation: Operation, path: Path) -> Iterator[Problem]:
    in_path = path_words(str(operation.address))
    for wire in operation.path:
        if wire not in in_path:
            yield (*path, "path", wire), f"'{{{wire}}}' does not stand in the path{nearest(wire, in_path)}", True
    for wire in in_path:
        if not re.fullmatch(r"\w+", wire):
            yield (*path, operation.method), f"'{{{wire}}}' is no name: letters, digits and '_'", False
    named: list[tuple[str, Path]] = [(operation.path.get(w, Field()).as_ or snake(w), (*path, operation.method)) for w in in_path]
    for spot in _SPOTS[1:]:
        named += [(field.as_ or snake(wire), (*path, spot, wire)) for wire, field in getattr(operation, spot).items()]
    counts = Counter(name for name, _ in named)
    for name, place in named:
        if counts[name] > 1:
            yield place, f"two parameters are called '{name}' in Python: tell one apart with as", True
        if name in _RESERVED:
            yield place, f"'{name}' is a word of Connectory's own calls: rename it with as", True


def _body(operation: Operation, path: Path, registry: Registry) -> Iterator[Problem]:
    if operation.body is not None and operation.fields:
        yield (*path, "body"), "body and fields exclude each other: fields are the body", True
    if operation.graphql is None and operation.variables:
        yield (*path, "variables"), "variables belong to graphql", True
    if operation.graphql is None and operation.document is not None:
        yield (*path, "document"), "a document belongs to graphql", True
    if operation.graphql is not None and (operation.fields or operation.body is not None):
        yield path, "graphql takes variables, no body and no fields", False
    written = operation.wire.body
    builtin = ("json", "form", "query", "multipart")
    if written and "{{" not in written and written not in builtin and written not in registry.formats:
        yield (*path, "wire", "body"), f"no format '{written}'{nearest(written, [*builtin, *registry.formats])}", False


def _paging(spec: Spec, name: str, operation: Operation, path: Path) -> Iterator[Problem]:
    pager = spec.pagers.get(operation.pages) if operation.pages else None
    if pager is not None and operation.records is None and pager.records is None:
        yield (*path, "pages"), "neither the pager nor the operation says where the records are: add records", True
    if operation.records is not None and operation.record:
        yield (*path, "record"), "records and record exclude each other", True
    if pager is None:
        return
    if pager.size is not None and pager.largest is None:
        yield ("pagers", str(operation.pages), "size"), "a size is sent as largest: say largest", True
    own = {(spot, wire) for spot, wire, _ in parameters_of(operation).values()}
    for slot in _slots(pager):
        place = next((spot, getattr(slot, spot)) for spot in _SPOTS[1:] if getattr(slot, spot) is not None) if _slots_ok(slot) else None
        if place in own:
            yield (*path, place[0], place[1]) if place else path, f"'{place[1] if place else ''}' is the pager's own parameter", True


def _slots_ok(slot: Slot) -> bool:
    return any((slot.query, slot.headers, slot.fields, slot.variables))


def _slots(pager: Any) -> list[Slot]:
    held = [pager.size, *(getattr(pager.options, name, None) for name in ("page", "offset", "cursor"))]
    return [slot for slot in held if isinstance(slot, Slot)]


def _batch(operation: Operation, path: Path) -> Iterator[Problem]:
    batch = operation.batch
    if batch is None:
        if operation.results:
            yield (*path, "results"), "results tell of a batch: say batch", True
        return
    if batch.items is None:
        if not isinstance(operation.body, ListOf):
            yield (*path, "batch"), "a batch fills a list: say body: list of ..., or items: the list parameter", True
        return
    lists = {wire: field for _, wire, field in parameters_of(operation).values() if isinstance(field.type, ListOf)}
    if batch.items not in lists:
        yield (*path, "batch", "items"), f"no list parameter '{batch.items}'{nearest(batch.items, lists)}", False


def _fields_of(spec: Spec, expression: TypeExpr | None) -> Mapping[str, Field] | None:
    if isinstance(expression, ListOf):
        expression = expression.item
    return spec.types.get(expression.name) if isinstance(expression, Named) else None


def _links(spec: Spec, operation: Operation, path: Path) -> Iterator[Problem]:
    if operation.detail is not None:
        target = spec.operations.get(operation.detail.operation)
        given = parameters_of(operation)
        yield from _link(spec, operation.detail, target, operation.returns, (*path, "detail"), set(given))
    if operation.parent is not None:
        parent = spec.operations.get(operation.parent.operation)
        if parent is not None:
            yield from _link(spec, operation.parent, operation, parent.returns, (*path, "parent"), set())
    if operation.merge is not None and (read := spec.operations.get(operation.merge)) is not None:
        missing = set(path_words(str(read.address))) - set(path_words(str(operation.address)))
        if missing:
            yield (*path, "merge"), f"{operation.merge} needs '{sorted(missing)[0]}', which this path does not hold", False
        if operation.body is None and not operation.fields:
            yield (*path, "merge"), "there is nothing to merge: say body: part of ...", False


def _link(spec: Spec, link: Link, target: Operation | None, source: TypeExpr, path: Path, given: set[str]) -> Iterator[Problem]:
    if target is None or sum(getattr(target, method) is not None for method in METHODS) != 1:
        return
    known = {wire for _, wire, _ in parameters_of(target).values()}
    for wire, place in link.with_.items():
        if wire not in known:
            yield (*path, "with", wire), f"{link.operation} has no parameter '{wire}'{nearest(wire, known)}", True
        yield from _is_field(spec, source, place, (*path, "with", wire), given)
    for name, place in link.keep.items():
        yield from _is_field(spec, source, place, (*path, "keep", name), given)


def _is_field(spec: Spec, source: TypeExpr, place: AnswerPath, path: Path, given: set[str]) -> Iterator[Problem]:
    fields = _fields_of(spec, source)
    first = str(place.steps[0]) if place.steps else ""
    if fields is not None and first not in fields and first not in given:
        yield path, f"'{first}' is no field of {source}{nearest(first, fields)}", False


def _marks(spec: Spec, operation: Operation, path: Path) -> Iterator[Problem]:
    known = {wire for _, wire, _ in parameters_of(operation).values()}
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


_GRAPHQL_VARIABLE = re.compile(r"\$(\w+)\s*:")


def _document(spec: Spec, operation: Operation, path: Path) -> Iterator[Problem]:
    if operation.document is None:
        return
    wanted = set(_GRAPHQL_VARIABLE.findall(operation.document))
    pager = spec.pagers.get(operation.pages) if operation.pages else None
    slots = {slot.variables for slot in _slots(pager)} if pager else set()
    given = {*operation.variables, *operation.send.variables, *spec.send.variables, *(s for s in slots if s)}
    for name in sorted(wanted - given):
        yield (*path, "document"), f"the document's ${name} is filled by nothing{nearest(name, given)}", False
    for name in sorted(set(operation.variables) - wanted):
        yield (*path, "variables", name), f"the document has no ${name}{nearest(name, wanted)}", True


def _examples(spec: Spec, operation: Operation, path: Path) -> Iterator[Problem]:
    known = parameters_of(operation)
    pager = spec.pagers.get(operation.pages) if operation.pages else None
    records = operation.records or (pager.records if pager else None)
    for number, example in enumerate(operation.examples):
        here = (*path, "examples", number)
        for name in example.with_:
            if name not in known:
                yield (*here, "with", name), f"no argument '{name}'{nearest(name, known)}", True
        if example.status >= 300 or example.answer is None:
            continue
        paths = records.path if records else operation.record
        if paths and all(next(p.each(example.answer), None) is None and not p.many for p in paths):
            yield (*here, "answer"), f"'{paths[0]}' is not in this answer", True


def _verify(spec: Spec) -> Iterator[Problem]:
    operation = spec.operations.get(spec.verify) if spec.verify else None
    if operation is None:
        return
    needed = [name for name, (spot, _, field) in parameters_of(operation).items() if spot == "path" or (field.required and field.default is None)]
    if needed:
        yield ("verify",), f"'{spec.verify}' needs '{needed[0]}': a call without required arguments is wanted", False
