"""A Spec and a name -> a Plan: parameters, checks and judges of one operation, compiled once."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from connectory.errors import ArgumentError, nearest
from connectory.outcomes import Judge, compile_rules
from connectory.plugins.kinds import PagerKind
from connectory.plugins.registry import Registry
from connectory.spec.expressions import Expression, compile_expression
from connectory.spec.language import Does, Errors, Operation, Pager, Spec, effect
from connectory.spec.naming import snake
from connectory.spec.places import AnswerPath, parse_path
from connectory.spec.typeexpr import ANY, ListOf, MapOf, Named, Scalar, TypeExpr, named_types
from connectory.spec.words import Field, Records, Slot
from connectory.values.reading import Read, Readers
from connectory.values.writing import ValueFault, Write, Writers, write_plain_bytes


class DeprecatedWarning(UserWarning):
    """An operation or argument that the vendor gives up was used."""


Spot = Literal["path", "query", "headers", "fields", "variables", "body", "document"]
_WHOLE = (parse_path("."),)
SPOTS: tuple[Spot, ...] = ("path", "query", "headers", "fields", "variables")


@attrs.frozen
class Parameter:
    """One thing a caller may give: `name` is the caller's, `wire` the vendor's; `around` the text it stands in."""

    name: str
    wire: str
    spot: Spot
    field: Field
    write: Write
    around: Expression | None = None

    @property
    def required(self) -> bool:
        """Whether a call without it is refused."""
        return self.field.required and self.field.default is None


@attrs.frozen
class Styles:
    """How values are written, with the vendor's defaults filled in."""

    body: str
    answer: str
    lists: str
    objects: str
    datetime: str
    bools: str


@attrs.frozen
class Arguments:
    """Checked arguments, as wire values by place; absent ones are not in it."""

    path: Mapping[str, Any]
    query: Mapping[str, Any]
    headers: Mapping[str, Any]
    fields: Mapping[str, Any]
    variables: Mapping[str, Any]
    body: Any = None
    document: str | None = None


@attrs.frozen(eq=False)
class Plan:
    """Everything about one operation that does not change from call to call."""

    name: str
    operation: Operation
    does: Does
    repeatable: bool
    styles: Styles
    parameters: Mapping[str, Parameter]
    pager: Pager | None
    pager_kind: PagerKind | None
    records: Records | None
    read: Read | None
    item: Write | None
    items: str | None
    judges: tuple[Judge, ...]
    errors: Errors
    limits: tuple[str, ...]
    costs: Mapping[str, Expression] = attrs.Factory(dict)  # of its limits, where a call takes other than 1
    idempotency_key: Slot | None = None
    precise: bool = False  # its answers may hold fractions that no float is

    @property
    def many(self) -> bool:
        """Whether it yields records rather than one answer."""
        return self.records is not None

    @property
    def key(self) -> tuple[str, ...]:
        """Where the batched list goes: a parameter's wire name, or nothing for the whole body."""
        return (self.items,) if self.items else ()

    @property
    def items_name(self) -> str:
        """The caller's name of a batch's items."""
        return next((p.name for p in self.parameters.values() if p.wire == self.items), "items")


def styles_of(spec: Spec, operation: Operation, body: str) -> Styles:
    """The operation's exceptions over the vendor's over the built-in; `body` is the rendered `wire.body`."""

    def pick(name: str, default: str) -> str:
        chosen = getattr(operation.wire, name) or getattr(spec.wire, name)
        return str(chosen or default)

    return Styles(
        body=body or "json",
        answer=pick("answer", "json"),
        lists=pick("lists", "repeat"),
        objects=pick("objects", "brackets"),
        datetime=pick("datetime", "rfc3339"),
        bools=pick("bools", "true_false"),
    )


def readers_of(spec: Spec, registry: Registry, styles: Styles, *, iso_as_text: bool = False) -> Readers:
    """What reads the records of an operation."""
    textual = registry.formats[styles.answer].textual
    return Readers(spec.types, styles.datetime, registry.codecs, iso_as_text=iso_as_text, textual=textual)


def wire_body(spec: Spec, operation: Operation) -> str:
    """The text of `wire.body` that holds here, a template still."""
    return str(operation.wire.body or spec.wire.body or "json")


def path_names(address: str) -> tuple[str, ...]:
    """The `{names}` in an address, templates left aside."""
    return tuple(re.findall(r"(?<!\{)\{(\w+)\}(?!\})", address))


def whole_url(operation: Operation) -> bool:
    """Whether the address is one parameter, a URL that an answer told. Such a call carries no credentials."""
    address = str(operation.address)
    return address.startswith("{") and re.fullmatch(r"\{\w+\}", address) is not None


def make_plan(spec: Spec, registry: Registry, name: str, *, body: str = "json") -> Plan:
    """Compile one operation of a checked spec. `body` is how bodies are written, already rendered."""
    operation = spec.operations[name]
    effect_of = effect(name, operation)
    assert effect_of is not None  # checked when the spec was loaded
    does, repeatable = effect_of
    key = operation.idempotency_key or spec.idempotency_key if does == "write" and not operation.steps else None
    styles = styles_of(spec, operation, body)
    writers = Writers(spec.types, styles.datetime, registry.codecs)
    # A flow that reads gives what its last step gives.
    last = make_plan(spec, registry, operation.steps[-1].call) if operation.steps and does == "read" else None
    pager = spec.pagers[operation.pages] if operation.pages else None
    parameters = {p.name: p for p in _parameters(operation, writers, styles)}
    item_type = _item_type(operation, parameters)
    rules = (*operation.outcomes, *spec.outcomes)
    tables = ("graphql", "status") if operation.graphql is not None else ("status",)
    builtin = tuple(builtin_judge(registry, table) for table in tables)
    return Plan(
        name=name,
        operation=operation,
        does=does,
        repeatable=repeatable or key is not None,
        styles=styles,
        parameters=parameters,
        pager=pager,
        pager_kind=registry.pagers[pager.use] if pager else None,
        records=last.records if last else _records(operation, pager),
        read=last.read
        if last and operation.returns == ANY
        else readers_of(spec, registry, styles).of(operation.returns),
        item=writers.of(item_type) if item_type is not None else None,
        items=operation.batch.items if operation.batch else None,
        judges=(*compile_rules(rules, registry.outcomes, registry.codecs, does), *builtin),
        errors=operation.errors or spec.errors,
        limits=operation.limits or (() if operation.steps else limits_of_all(spec)),
        costs={limit: compile_expression(cost, registry.filters) for limit, cost in operation.costs.items()},
        idempotency_key=key,
        precise=styles.answer == "json" and _holds_decimals(spec.types, operation.returns, set()),
    )


def _holds_decimals(types: Mapping[str, Mapping[str, Field]], expression: TypeExpr, seen: set[str]) -> bool:
    """Whether a decimal stands anywhere in a type."""
    if isinstance(expression, ListOf | MapOf):
        return _holds_decimals(types, expression.item if isinstance(expression, ListOf) else expression.value, seen)
    if isinstance(expression, Scalar):
        return expression.name == "decimal"
    fresh = [named.name for named in named_types(expression) if named.name not in seen]
    seen.update(fresh)
    return any(_holds_decimals(types, field.type, seen) for name in fresh for field in types[name].values())


def _records(operation: Operation, pager: Pager | None) -> Records | None:
    """Where the records are: as the operation says, else as the pager does; None where there is one answer."""
    if pager is None:
        return operation.records
    return operation.records or pager.records or Records(path=_WHOLE)


def limits_of_all(spec: Spec) -> tuple[str, ...]:
    """The limits that hold for every operation that names none."""
    return tuple(name for name, limit in spec.limits.items() if limit.for_ == "all")


def builtin_judge(registry: Registry, table: str) -> Judge:
    """What one of the built-in tables says of an answer."""
    kind = registry.outcomes[table]
    options = kind.options()
    return lambda answer: kind.judge(options, answer)


def _parameters(operation: Operation, writers: Writers, styles: Styles) -> list[Parameter]:
    found: list[Parameter] = []
    for wire in path_names(str(operation.address)):
        field = attrs.evolve(operation.path.get(wire, Field(type=Scalar("str"))), required=True)
        found.append(Parameter(field.as_ or snake(wire), wire, "path", field, writers.of_field(field)))
    for spot in SPOTS[1:]:
        for wire, field in getattr(operation, spot).items():
            around = compile_expression(str(field.around)) if field.around else None
            found.append(Parameter(field.as_ or snake(wire), wire, spot, field, writers.of_field(field), around))
    if operation.body is not None and (operation.batch is None or operation.batch.items is not None):
        field = Field(type=operation.body, required=True)
        # Bytes as a whole body go out as they are; within JSON they are base64.
        plain = operation.body == Scalar("bytes") and styles.body != "json"
        found.append(Parameter("body", "body", "body", field, write_plain_bytes if plain else writers.of_field(field)))
    if operation.graphql is not None and operation.document is None:
        document = Field(type=Scalar("str"), required=True, about="GraphQL text")
        variables = Field(type=MapOf(ANY), about="values of its variables")
        found.append(Parameter("document", "document", "document", document, writers.of_field(document)))
        found.append(Parameter("variables", "variables", "variables", variables, writers.of_field(variables)))
    return found


def _item_type(operation: Operation, parameters: Mapping[str, Parameter]) -> TypeExpr | None:
    if operation.batch is None:
        return None
    if operation.batch.items is None:
        return operation.body.item if isinstance(operation.body, ListOf) else ANY
    field = next(p.field for p in parameters.values() if p.wire == operation.batch.items)
    return field.type.item if isinstance(field.type, ListOf) else ANY


def named_item_type(spec: Spec, plan: Plan) -> Mapping[str, Field]:
    """The fields of the batched item's type; empty when it is no named type."""
    expression = _item_type(plan.operation, plan.parameters)
    return spec.types[expression.name] if isinstance(expression, Named) else {}


def identifying_paths(
    types: Mapping[str, Mapping[str, Field]], fields: Mapping[str, Field], prefix: str = ""
) -> list[AnswerPath]:
    """Where an item says which record it is: its key, its unique fields, and the unique ones of objects inside it."""
    found: list[AnswerPath] = []
    for wire, field in fields.items():
        place = f'{prefix}"{wire}"' if "." in wire else f"{prefix}{wire}"
        if field.unique or (field.key and not prefix):
            found.append(parse_path(place))
        elif isinstance(field.type, Named) and prefix.count(".") < 3:
            found += identifying_paths(types, types[field.type.name], f"{place}.")
    return found


def bind(plan: Plan, given: Mapping[str, Any], *, filled: Sequence[str] = ()) -> Arguments:
    """Check a caller's arguments. Raises ArgumentError with every fault; nothing has been sent.

    `filled` are wire names that somebody else fills (the batched list), so they are not missed here.
    """
    faults: list[str] = []
    spots: dict[str, dict[str, Any]] = {spot: {} for spot in SPOTS}
    body: Any = None
    document: str | None = None
    for name in given:
        if name not in plan.parameters:
            faults.append(f"no argument '{name}'{nearest(name, plan.parameters)}{_known(plan)}")
    for parameter in plan.parameters.values():
        if parameter.wire in filled:
            continue
        value = given.get(parameter.name)
        if value is None and parameter.name in given and parameter.field.nullable:
            spots[parameter.spot][parameter.wire] = None
            continue
        if value is None:
            value = parameter.field.default
        if value is None:
            if parameter.required:
                faults.append(f"'{parameter.name}' is required{_about(parameter)}")
            continue
        try:
            written = _written(parameter, value)
        except ValueFault as fault:
            faults.append(f"'{parameter.name}': {fault}")
            continue
        if parameter.spot == "body":
            body = written
        elif parameter.spot == "document":
            document = written
        elif parameter.spot == "variables" and plan.operation.document is None:
            spots["variables"].update(written)
        else:
            spots[parameter.spot][parameter.wire] = written
    if faults:
        raise ArgumentError("\n".join(f"{plan.name}: {fault}" for fault in faults))
    _warn_deprecated(plan, given)
    return Arguments(**spots, body=body, document=document)


def _warn_deprecated(plan: Plan, given: Mapping[str, Any]) -> None:
    if plan.operation.deprecated:
        warnings.warn(f"{plan.name} is deprecated", DeprecatedWarning, stacklevel=4)
    for parameter in plan.parameters.values():
        if parameter.field.deprecated and given.get(parameter.name) is not None:
            said = f"{plan.name}: '{parameter.name}' is deprecated{_about(parameter)}"
            warnings.warn(said, DeprecatedWarning, stacklevel=4)


def _written(parameter: Parameter, value: Any) -> Any:
    written = parameter.write(value)
    # A record may be empty where the vendor fills it in; a filter, a path or a list of ids may not.
    may_be_empty = parameter.spot in ("fields", "body") or isinstance(parameter.field.type, Named)
    if written in ("", [], {}) and parameter.required and not may_be_empty:
        raise ValueFault("must not be empty")
    return written


def _known(plan: Plan) -> str:
    names = ", ".join(plan.parameters)
    return f" (it takes {names})" if names else " (it takes none)"


def _about(parameter: Parameter) -> str:
    return f": {parameter.field.about}" if parameter.field.about else ""
