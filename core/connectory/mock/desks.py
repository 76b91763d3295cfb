"""What each operation does, as the mock serves it: which records it is about, and what it does to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import attrs

from connectory.operation import Plan, make_plan, path_names, wire_body
from connectory.plugins.registry import Registry
from connectory.spec.language import Example, Operation, Spec
from connectory.spec.naming import snake
from connectory.spec.typeexpr import ListOf, Named, TypeExpr
from connectory.spec.words import Field

Act = Literal["list", "get", "create", "upsert", "update", "replace", "delete", "restore", "other"]
Spot = tuple[str, str]  # place in the request and name on the wire

_BY_VERB: Final[Mapping[str, Act]] = {
    "list": "list", "search": "list", "query": "list", "find": "list", "all": "list", "get": "get", "read": "get",
    "create": "create", "add": "create", "push": "create", "insert": "create", "upsert": "upsert", "update": "update",
    "patch": "update", "replace": "replace", "put": "replace", "delete": "delete", "remove": "delete",
    "restore": "restore",
}  # fmt: skip


@attrs.frozen(eq=False)
class Desk:
    """One operation. `shelf` names the records that it is about, `scope` the path parameters that choose among them.

    `key` is where a request names the one record that it is about; `where` the field of the record that is named.
    """

    name: str
    operation: Operation
    plan: Plan
    act: Act
    type_name: str | None
    shelf: str
    scope: tuple[str, ...]
    key: Spot | None
    free_filter: bool
    types: Mapping[str, Mapping[str, Field]]

    @property
    def example(self) -> Example | None:
        """The first example of a success."""
        return next((one for one in self.operation.examples if one.status < 300), None)

    @property
    def answer(self) -> Any:
        """The answer of that example."""
        return self.example.answer if self.example else None


def verb_of(name: str) -> str:
    """The first word of an operation's last part: `update` of `people.update_many`, `create` of `graphql.create_x`."""
    return name.rpartition(".")[2].partition("_")[0]


def resource_of(name: str) -> str:
    """What an operation is about, by its name: `people` of `people.list`."""
    return name.rpartition(".")[0]


def type_of(operation: Operation) -> str | None:
    """The record type of an operation: what it answers with, else what it takes."""
    kinds: list[TypeExpr] = [operation.returns]
    if operation.body is not None:
        kinds.append(operation.body)
    kinds += [field.type for spot in (operation.fields, operation.variables) for field in spot.values()]
    return next((name for kind in kinds if (name := named(kind)) is not None), None)


def named(kind: TypeExpr) -> str | None:
    """The type that an expression names, through a list."""
    while isinstance(kind, ListOf):
        kind = kind.item
    return kind.name if isinstance(kind, Named) else None


def act_of(operation: Operation, name: str, does: str) -> Act:
    """What an operation does to its records: by its verb, else by its method."""
    word = _BY_VERB.get(verb_of(name))
    if operation.batch is not None and does != "read":
        by_method: Act = (
            "delete" if operation.method == "delete" else "upsert" if operation.method == "put" else "create"
        )
        return word if word in ("create", "upsert", "update", "replace", "delete") else by_method
    if does == "read":
        return "list" if is_list(operation) else "get" if word == "get" or operation.document else "other"
    return word if word is not None and word not in ("list", "get") else "other"


def make_desks(spec: Spec, registry: Registry) -> dict[str, Desk]:
    """Every operation of a checked spec."""
    shelves = _shelves(spec)
    scopes = _scopes(spec, shelves)
    return {name: _desk(spec, registry, name, shelves[name], scopes) for name in spec.operations}


def _desk(spec: Spec, registry: Registry, name: str, shelf: str, scopes: Mapping[str, tuple[str, ...]]) -> Desk:
    operation = spec.operations[name]
    body = wire_body(spec, operation)
    plan = make_plan(spec, registry, name, body="json" if "{{" in body else body)
    act = act_of(operation, name, plan.does)
    scope = tuple(one for one in scopes.get(shelf, ()) if f"{{{one}}}" in str(operation.address))
    free = act in ("update", "delete", "restore") and "where" in name.rpartition(".")[2].split("_")
    return Desk(
        name=name,
        operation=operation,
        plan=plan,
        act=act,
        type_name=type_of(operation),
        shelf=shelf,
        scope=scope,
        key=_key_spot(plan, scope, act),
        free_filter=free,
        types=spec.types,
    )


def _key_spot(plan: Plan, scope: tuple[str, ...], act: Act) -> Spot | None:
    """Where a request names one record: the last path parameter beside the scope, else a parameter called id."""
    in_path = [p for p in plan.parameters.values() if p.spot == "path" and p.wire not in scope]
    if in_path:
        return "path", in_path[-1].wire
    if act in ("list", "create", "upsert"):
        return None
    for parameter in plan.parameters.values():
        if parameter.name in ("id", "key") and parameter.spot in ("query", "fields", "variables", "headers"):
            return parameter.spot, parameter.wire
    return None


def _shelves(spec: Spec) -> dict[str, str]:
    """The records that each operation is about: those of its resource, its own where type or place say otherwise."""
    types = {name: type_of(operation) for name, operation in spec.operations.items()}
    primary = {resource: _primary(spec, resource, types) for resource in dict.fromkeys(map(resource_of, types))}
    rest = {name for name, operation in spec.operations.items() if operation.graphql is None}
    found = {name: _rest_shelf(spec, name, types, primary) for name in rest}
    by_type: dict[str, list[str]] = {}
    for name in spec.operations:
        kind = types[name]
        if name in rest and kind is not None and found[name] == resource_of(name):
            by_type.setdefault(kind, [])
            if found[name] not in by_type[kind]:
                by_type[kind].append(found[name])
    for name in types:
        if name not in rest:
            found[name] = _graphql_shelf(name, types, by_type)
    return found


def _primary(spec: Spec, resource: str, types: Mapping[str, str | None]) -> tuple[str | None, tuple[str, ...]]:
    """The type of a resource's records, and the path parameters of its list."""
    names = [name for name in spec.operations if resource_of(name) == resource]
    ranked = sorted(names, key=lambda name: _RANK.get(verb_of(name), len(_RANK)))
    kind = next((types[name] for name in ranked if types[name] is not None), None)
    lists = next((name for name in ranked if is_list(spec.operations[name])), None)
    return kind, path_names(str(spec.operations[lists].address)) if lists else ()


_RANK: Final[Mapping[str, int]] = {"list": 0, "get": 1, "create": 2}


def is_list(operation: Operation) -> bool:
    """Whether it yields many records."""
    return operation.pages is not None or operation.records is not None


def _rest_shelf(
    spec: Spec,
    name: str,
    types: Mapping[str, str | None],
    primary: Mapping[str, tuple[str | None, tuple[str, ...]]],
) -> str:
    operation, resource = spec.operations[name], resource_of(name)
    kind, parameters = primary[resource]
    of_its_own = types[name] != kind and not (types[name] is None and verb_of(name) in _BY_VERB)
    elsewhere = is_list(operation) and path_names(str(operation.address)) != parameters
    return name if of_its_own or elsewhere else resource


def _graphql_shelf(name: str, types: Mapping[str, str | None], by_type: Mapping[str, list[str]]) -> str:
    kind = types[name] or _type_of_sibling(name, types)
    if kind is None:
        return resource_of(name) if verb_of(name) == "list" else name
    shelves = by_type.get(kind, [])
    return shelves[0] if len(shelves) == 1 else kind


def _type_of_sibling(name: str, types: Mapping[str, str | None]) -> str | None:
    """The type of another operation on the same noun: `delete_person` is about what `create_person` takes."""
    noun = name.rpartition(".")[2].partition("_")[2]
    siblings = (other for other in types if resource_of(other) == resource_of(name))
    kinds = [types[other] for other in siblings if noun and other.rpartition(".")[2].partition("_")[2] == noun]
    return next(filter(None, kinds), None)


def _scopes(spec: Spec, shelves: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """By shelf: the path parameters of its list, which choose among its records."""
    return {
        shelves[name]: path_names(str(operation.address))
        for name, operation in reversed(list(spec.operations.items()))
        if is_list(operation) and operation.graphql is None
    }


def hinted_fields(spec: Spec, desks: Mapping[str, Desk], shelf: str) -> Iterator[tuple[str, bool]]:
    """Fields that the spec names of a shelf's records outside of types, and whether they identify them."""
    for desk in desks.values():
        links = [desk.operation.detail] if desk.shelf == shelf and is_list(desk.operation) else []
        if desk.operation.parent and desks[desk.operation.parent.operation].shelf == shelf:
            links.append(desk.operation.parent)
        for link in filter(None, links):
            yield from ((str(path.steps[0]), True) for path in link.with_.values() if len(path.steps) == 1)
        if desk.shelf == shelf:
            yield from ((name, False) for name in desk.operation.marks)
            after = getattr(desk.plan.pager.options, "field", None) if desk.plan.pager else None
            if after is not None and len(after.steps) == 1:
                yield str(after.steps[0]), False


def key_field(spec: Spec, desks: Mapping[str, Desk], shelf: str, shown: Mapping[str, Any]) -> str:
    """The field that tells records apart: the type's key, a field that links use, what a path is named for."""
    own = [desk for desk in desks.values() if desk.shelf == shelf]
    fields: Mapping[str, Field] = next((spec.types[d.type_name] for d in own if d.type_name), {})
    declared = next((wire for wire, field in fields.items() if field.key), None)
    if declared is not None:
        return declared
    linked = next((name for name, is_key in hinted_fields(spec, desks, shelf) if is_key), None)
    in_paths = [desk.key[1] for desk in own if desk.key is not None]
    correlated = [str(r.key.item.steps[0]) for d in own for r in d.operation.results if r.key and r.key.item.steps]
    there = {**{name: None for name in fields}, **shown}
    named_so = {snake(name): name for name in reversed(list(there))}
    guesses = [named_so.get(snake(word)) for word in (*in_paths, *correlated, "id")]
    return linked or next(filter(None, guesses), None) or next(iter(in_paths), None) or "id"
