"""What holds for each operation: its method, parameters, body, pages, batch and document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import attrs

from connectory.errors import nearest
from connectory.multipart import MEDIA_TYPE
from connectory.spec.checks.parameters import SPOTS, parameters_of, path_words
from connectory.spec.language import METHODS, STANDARD_VERBS, Batch, Operation, Pager, Spec, effect
from connectory.spec.naming import snake
from connectory.spec.problems import Path, Problem
from connectory.spec.typeexpr import ListOf, Named, Scalar
from connectory.spec.words import Field, Slot

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_RESERVED: Final = frozenset({"complete", "parents", "recurse", "keep_results", "into"})


@attrs.frozen
class _Case:
    """One operation, where it stands, what a caller may give to it, and how it is paged."""

    spec: Spec
    name: str
    operation: Operation
    path: Path
    parameters: dict[str, tuple[str, str, Field]]
    pager: Pager | None


def check(spec: Spec) -> Iterator[Problem]:
    """Every problem of every operation by itself."""
    resources = {part for name in spec.operations for part in _ancestors(name)}
    for name, operation in spec.operations.items():
        path: Path = ("operations", name)
        said = sum(getattr(operation, method) is not None for method in METHODS) + bool(operation.steps)
        if said != 1:
            yield path, f"exactly one of {', '.join(METHODS)} and steps is needed", False
            continue
        pager = spec.pagers.get(operation.pages) if operation.pages else None
        case = _Case(spec, name, operation, path, parameters_of(operation), pager)
        yield from _name(case, resources)
        yield from _parameters(case)
        yield from _body(case)
        yield from _paging(case)
        yield from _batch(case)
        yield from _document(case)
        yield from _costs(case)
    yield from _verify(spec)


def _costs(case: _Case) -> Iterator[Problem]:
    spent = case.operation.limits or [name for name, limit in case.spec.limits.items() if limit.for_ == "all"]
    for name, cost in case.operation.costs.items():
        place = (*case.path, "costs", name)
        if name not in case.spec.limits:
            yield place, f"no limit '{name}'{nearest(name, case.spec.limits)}", True
        elif case.operation.steps:
            yield place, "the steps spend, each by its own operation: say there what it costs", True
        elif name not in spent:
            yield place, f"this operation does not spend '{name}': add it to its limits", True
        if "{{" not in cost and not re.fullmatch(r"[1-9]\d*", cost):
            yield place, f"'{cost}' is no cost: write a whole number above 0, or compute it", False


def _ancestors(name: str) -> Iterator[str]:
    """`a` and `a.b` of `a.b.c`."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _name(case: _Case, resources: set[str]) -> Iterator[Problem]:
    name = case.name
    if not _NAME.fullmatch(name):
        yield case.path, f"'{name}' is no operation's name: write resource.verb in snake case, as 'students.list'", True
    if effect(name, case.operation) is None:
        verb = name.rsplit(".", 1)[-1]
        hint = nearest(verb, STANDARD_VERBS)
        yield case.path, f"'{verb}' is no standard verb{hint}: say does: read, write or destroy", True
    if name in resources:
        yield case.path, f"'{name}' is also the first part of other operations' names", True
    yield from _address(case)
    if re.search(r"[{}]", re.sub(r"\{\{.*?\}\}|\{[^{}]+\}", "", str(case.operation.address), flags=re.DOTALL)):
        yield (*case.path, case.operation.method), "a brace stands alone: write a parameter as {name}", False


def _address(case: _Case) -> Iterator[Problem]:
    operation, address = case.operation, str(case.operation.address)
    if operation.steps or address.startswith(("/", "{{", "http")):
        return
    whole = re.fullmatch(r"\{(\w+)\}", address)
    if whole is None:
        yield (*case.path, operation.method), "a path begins with '/'", False
    elif operation.path.get(whole[1], Field()).type != Scalar("url") or not operation.anonymous:
        message = "a whole URL as address: say path: {" + whole[1] + ": url} and anonymous: true"
        yield (*case.path, operation.method), message, False


def _parameters(case: _Case) -> Iterator[Problem]:
    operation, path = case.operation, case.path
    in_path = path_words(str(operation.address))
    for wire in operation.path:
        if wire not in in_path:
            yield (*path, "path", wire), f"'{{{wire}}}' does not stand in the path{nearest(wire, in_path)}", True
    for wire in in_path:
        if not re.fullmatch(r"\w+", wire):
            message = f"'{{{wire}}}' is no name: letters, digits and '_'"
            yield (*path, operation.method), message, False
    yield from _field_words(case)
    named = list(_callers_names(operation, in_path, path))
    counts = Counter(name for name, _ in named)
    for name, place in named:
        if counts[name] > 1:
            yield place, f"two parameters are called '{name}' in Python: tell one apart with as", True
        if name in _RESERVED:
            yield place, f"'{name}' is a word of Connectory's own calls: rename it with as", True


def _field_words(case: _Case) -> Iterator[Problem]:
    """Words of a parameter that mean nothing where it is sent."""
    operation, path = case.operation, case.path
    body = operation.wire.body or case.spec.wire.body
    for spot in SPOTS:
        for wire, field in getattr(operation, spot).items():
            if field.nullable and spot not in ("fields", "variables"):
                message = f"there is no null in {_PLACES[spot]}: nullable belongs to fields, variables and types"
                yield (*path, spot, wire), message, False
            if field.media is not None and (spot != "fields" or body != "multipart"):
                yield (*path, spot, wire, "media"), "media belongs to fields of a multipart body (wire: body)", True
            elif field.media is not None and not MEDIA_TYPE.fullmatch(field.media):
                message = f"'{field.media}' is no media type: write one such as text/csv"
                yield (*path, spot, wire, "media"), message, False


_PLACES: Final = {"path": "a path", "query": "a query", "headers": "a header"}


def _callers_names(operation: Operation, in_path: list[str], path: Path) -> Iterator[tuple[str, Path]]:
    for wire in in_path:
        yield operation.path.get(wire, Field()).as_ or snake(wire), (*path, operation.method)
    for spot in SPOTS[1:]:
        for wire, field in getattr(operation, spot).items():
            yield field.as_ or snake(wire), (*path, spot, wire)


def _body(case: _Case) -> Iterator[Problem]:
    operation, path = case.operation, case.path
    if operation.body is not None and operation.fields:
        yield (*path, "body"), "body and fields exclude each other: fields are the body", True
    if operation.graphql is None and operation.variables:
        yield (*path, "variables"), "variables belong to graphql", True
    if operation.graphql is None and operation.document is not None:
        yield (*path, "document"), "a document belongs to graphql", True
    slot = operation.idempotency_key or (case.spec.idempotency_key if effect(case.name, operation) else None)
    if slot is not None and (effect(case.name, operation) or ("read", True))[0] == "write":
        yield from _key_slot(case, slot)
    if operation.graphql is not None and (operation.fields or operation.body is not None):
        yield path, "graphql takes variables, no body and no fields", False


def _key_slot(case: _Case, slot: Slot) -> Iterator[Problem]:
    """A key that would not be sent makes nothing repeatable."""
    operation = case.operation
    own = operation.idempotency_key is not None
    place: Path = (*case.path, "idempotency_key") if own else ("idempotency_key",)
    if slot.fields is not None and (operation.body is not None or operation.graphql is not None):
        yield place, f"{case.name} has no fields that the key could stand among", False
    if slot.variables is not None and operation.graphql is None:
        yield place, f"{case.name} has no variables that the key could stand among", False


def _paging(case: _Case) -> Iterator[Problem]:
    operation, path, pager = case.operation, case.path, case.pager
    if operation.records is not None and operation.record:
        yield (*path, "record"), "records and record exclude each other", True
    if pager is None:
        return
    if operation.records is None and pager.records is None:
        yield (*path, "pages"), "neither the pager nor the operation says where the records are: add records", True
    if operation.record:
        yield (*path, "record"), "pages bring many records, record is for one", True
    if pager.size is not None and pager.largest is None:
        yield ("pagers", str(operation.pages), "size"), "a size is sent as largest: say largest", True
    own = {(spot, wire) for spot, wire, _ in case.parameters.values()}
    for slot in _slots(pager):
        place = _spot_of(slot)
        if place in own:
            yield (*path, *place), f"'{place[1]}' is the pager's own parameter", True


def _slots(pager: Pager) -> list[Slot]:
    """Every parameter that the pager fills, whatever its kind."""
    options = [getattr(pager.options, f.name) for f in attrs.fields(type(pager.options))] if pager.options else []
    return [held for held in (pager.size, *options) if isinstance(held, Slot)]


def _spot_of(slot: Slot) -> tuple[str, str]:
    return next(((spot, wire) for spot in SPOTS[1:] if (wire := getattr(slot, spot)) is not None), ("", ""))


def _batch(case: _Case) -> Iterator[Problem]:
    operation, path, batch = case.operation, case.path, case.operation.batch
    if batch is None:
        if operation.results:
            yield (*path, "results"), "results tell of a batch: say batch", True
        return
    yield from _batched_list(case, batch)
    fields = _item_fields(case, batch)
    for number, results in enumerate(operation.results):
        key = results.key.item if results.key else None
        if fields and "*" not in fields and key and key.steps and str(key.steps[0]) not in fields:
            message = f"'{key}' is no field of the items{nearest(str(key), fields)}"
            yield (*path, "results", number, "key"), message, False


def _batched_list(case: _Case, batch: Batch) -> Iterator[Problem]:
    if batch.items is None:
        if not isinstance(case.operation.body, ListOf):
            message = "a batch fills a list: say body: list of ..., or items: the list parameter"
            yield (*case.path, "batch"), message, True
        return
    lists = {wire for _, wire, field in case.parameters.values() if isinstance(field.type, ListOf)}
    if batch.items not in lists:
        message = f"no list parameter '{batch.items}'{nearest(batch.items, lists)}"
        yield (*case.path, "batch", "items"), message, False


def _item_fields(case: _Case, batch: Batch) -> Any:
    """The fields of what is batched, where its type says them."""
    wanted = "items" if batch.items is None else batch.items
    for _, wire, field in case.parameters.values():
        if wire == wanted and isinstance(field.type, ListOf) and isinstance(field.type.item, Named):
            return case.spec.types.get(field.type.item.name)
    return None


_GRAPHQL_VARIABLE: Final = re.compile(r"\$(\w+)\s*:")


def _document(case: _Case) -> Iterator[Problem]:
    operation, path = case.operation, case.path
    if operation.document is None:
        return
    wanted = set(_GRAPHQL_VARIABLE.findall(operation.document))
    slots = {slot.variables for slot in _slots(case.pager) if slot.variables} if case.pager else set()
    given = {*operation.variables, *operation.send.variables, *case.spec.send.variables, *slots}
    for name in sorted(wanted - given):
        yield (*path, "document"), f"the document's ${name} is filled by nothing{nearest(name, given)}", False
    for name in sorted(set(operation.variables) - wanted):
        yield (*path, "variables", name), f"the document has no ${name}{nearest(name, wanted)}", True


def _verify(spec: Spec) -> Iterator[Problem]:
    operation = spec.operations.get(spec.verify) if spec.verify else None
    if operation is None:
        return
    parameters = parameters_of(operation).items()
    needed = [
        name for name, (spot, _, field) in parameters if spot == "path" or (field.required and field.default is None)
    ]
    if needed:
        message = f"'{spec.verify}' needs '{needed[0]}': a call without required arguments is wanted"
        yield ("verify",), message, False
