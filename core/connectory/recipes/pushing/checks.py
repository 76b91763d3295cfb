"""Whether a recipe and the operation it pushes to fit: every fault at once, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectory.errors import Fault, nearest
from connectory.operation import Plan
from connectory.recipes.pushing.calls import item_type, place_of, record_fields, takes_objects, whole_of
from connectory.recipes.pushing.lookup import lookup_arguments
from connectory.recipes.pushing.rejects import FORMS
from connectory.recipes.pushing.removing import removal_row, share_of
from connectory.recipes.pushing.rows import Keys
from connectory.recipes.recipe import LoadedRecipe, ToOperation
from connectory.spec.language import Spec
from connectory.spec.naming import snake
from connectory.spec.typeexpr import Named
from connectory.values.shapes import Record
from connectory.values.writing import OPEN

Plans = Mapping[str, Plan]


def default_key(spec: Spec, plan: Plan) -> tuple[str, ...]:
    """The key of what is written: of the item's type, else the arguments in the address."""
    declared = tuple(name for name, field in record_fields(spec, plan).items() if field.key)
    return declared or tuple(p.wire for p in plan.parameters.values() if p.spot == "path")


def keys_of(options: ToOperation, spec: Spec, plan: Plan) -> Keys:
    """The fields that tell rows apart, where the recipe needs to."""
    needed = options.key or options.changed_only or options.mode != "upsert" or options.read_back
    return Keys(tuple(options.key) or default_key(spec, plan)) if needed else Keys(())


def filled_by_rows(plan: Plan, given: Mapping[str, Any]) -> Sequence[str]:
    """Wire names of what the rows must fill: the list of a batch, else all required arguments that are not given."""
    if plan.operation.batch is not None:
        return plan.key
    return [p.wire for p in plan.parameters.values() if p.required and p.name not in given]


def target_faults(loaded: LoadedRecipe, spec: Spec, plans: Plans, shape: Record | None = None) -> Iterator[Fault]:
    """Every fault of the recipe's `to` but those of its arguments. `plans` are those of the operations it names,
    `shape` what is known of the rows."""
    options: ToOperation = loaded.recipe.to.options
    for word in ("remove", "read_back"):
        name = getattr(options, word)
        if name is not None and name not in spec.operations:
            yield loaded.fault(("to", word), f"{spec.name}: no operation '{name}'{nearest(name, spec.operations)}")
    plan = plans.get(options.operation)
    if plan is None:
        return
    if plan.does == "read":
        yield loaded.fault(("to", "operation"), f"'{plan.name}' reads: a destination writes")
        return
    yield from _words(loaded, plan, options)
    yield from _keys(loaded, spec, plan, options, shape)
    yield from _mirror(loaded, spec, plans, options)
    yield from _read_back(loaded, spec, plans, options)
    if shape is not None and loaded.recipe.change is None:
        yield from _columns(loaded, spec, plan, options, shape)


def destroys(loaded: LoadedRecipe, plan: Plan) -> Iterator[Fault]:
    """The fault of an operation that destroys and that the recipe does not say is meant."""
    if plan.does == "destroy" and not loaded.recipe.to.options.destroys:
        words = f"'{plan.name}' destroys; say `destroys: true` beside it, or --yes, if that is meant"
        yield loaded.fault(("to", "operation"), words)


def _words(loaded: LoadedRecipe, plan: Plan, options: ToOperation) -> Iterator[Fault]:
    try:
        share_of(options.most_removed)
    except (ValueError, ZeroDivisionError):
        yield loaded.fault(("to", "most_removed"), f"expected a share such as 10%, found '{options.most_removed}'")
    if options.rejects is not None and Path(options.rejects).suffix.lower() not in FORMS:
        yield loaded.fault(("to", "rejects"), f"expected a file that ends in {' or '.join(FORMS)}")
    source = loaded.recipe.from_.options
    if options.rejects is not None and any(Path(options.rejects).match(one) for one in getattr(source, "files", ())):
        yield loaded.fault(("to", "rejects"), f"'{options.rejects}' is one of the files that the recipe reads")
    if options.remove is not None and options.mode != "mirror":
        yield loaded.fault(("to", "remove"), f"`remove` is for `mode: mirror`, and the mode is {options.mode}")
    if plan.operation.batch is None and plan.many:
        yield loaded.fault(("to", "operation"), f"'{plan.name}' answers with a list; rows cannot be pushed to it")


def _keys(loaded: LoadedRecipe, spec: Spec, plan: Plan, options: ToOperation, shape: Record | None) -> Iterator[Fault]:
    why = next(
        (
            word
            for word, used in {
                "changed_only": options.changed_only,
                "mode": options.mode != "upsert",
                "read_back": options.read_back,
            }.items()
            if used
        ),
        None,
    )
    names = keys_of(options, spec, plan).names
    if why is not None and not names:
        yield loaded.fault(("to", why), f"needs a `key`: '{plan.name}' says nothing that tells its items apart")
    for name in names:
        first = name.partition(".")[0]
        if shape is not None and loaded.recipe.change is None and _absent(loaded, name, first, shape):
            at = ("to", "key") if options.key else ("to", why or "operation")
            yield loaded.fault(at, f"the rows have no field '{name}'{nearest(name, shape.fields)}")


def _absent(loaded: LoadedRecipe, name: str, first: str, shape: Record) -> bool:
    """Whether a row surely lacks the field: a vendor's records may hold more than is declared."""
    return name not in shape.fields and first not in shape.fields and loaded.recipe.from_.kind != "connector"


def _mirror(loaded: LoadedRecipe, spec: Spec, plans: Plans, options: ToOperation) -> Iterator[Fault]:
    if options.mode != "mirror":
        return
    if options.remove is None:
        yield loaded.fault(("to", "mode"), "a mirror needs `remove`: the operation that removes a row")
    if getattr(loaded.recipe.from_.options, "since", None):
        words = "a mirror needs every row: with `since` all that did not change would count as gone"
        yield loaded.fault(("from", "since"), words)
    plan = plans.get(options.remove or "")
    if plan is None:
        return
    if plan.does != "destroy":
        yield loaded.fault(("to", "remove"), f"'{plan.name}' does not remove: it is no operation that destroys")
        return
    keys = keys_of(options, spec, plans[options.operation])
    row = removal_row(plan, keys, dict.fromkeys(keys.names, "x"), "x")
    kind = item_type(plan)
    if plan.operation.batch is not None and takes_objects(plan) and not isinstance(kind, Named):
        yield loaded.fault(("to", "remove"), f"nothing says what '{plan.name}' takes to remove a row")
    if plan.operation.batch is None and (
        lacks := [p.name for p in plan.parameters.values() if p.required and p.name not in row]
    ):
        yield loaded.fault(("to", "remove"), f"'{plan.name}' needs {', '.join(lacks)}, which the key does not give")


def _read_back(loaded: LoadedRecipe, spec: Spec, plans: Plans, options: ToOperation) -> Iterator[Fault]:
    plan = plans.get(options.read_back or "")
    if plan is None:
        return
    if plan.does != "read":
        yield loaded.fault(("to", "read_back"), f"'{plan.name}' does not read")
        return
    keys = keys_of(options, spec, plans[options.operation])
    given = lookup_arguments(plan, keys.names, dict.fromkeys(keys.names, "x"))
    lacks = [p.name for p in plan.parameters.values() if p.required and p.name not in given]
    if lacks or not given:
        wanted = ", ".join(lacks) or "an argument named like the key"
        words = f"'{plan.name}' cannot look a row up by {', '.join(keys.names) or 'a key'}: it needs {wanted}"
        yield loaded.fault(("to", "read_back"), words)


def _columns(loaded: LoadedRecipe, spec: Spec, plan: Plan, options: ToOperation, shape: Record) -> Iterator[Fault]:
    """Columns that are known beforehand, against what the operation takes."""
    wrong = [*_refused_columns(spec, plan, options, shape)]
    if loaded.recipe.from_.kind != "connector":  # a vendor's records may hold more than is declared
        wrong += _missing_columns(spec, plan, options, shape)
    yield from (loaded.fault(("to", "operation"), words) for words in wrong)


def _refused_columns(spec: Spec, plan: Plan, options: ToOperation, shape: Record) -> Iterator[str]:
    fields = record_fields(spec, plan)
    arguments = [p.wire for p in plan.parameters.values()]
    for column in shape.fields:
        if plan.operation.batch is None:
            name, beside = place_of(spec, plan, options.with_, column)
            if not beside:
                if name is None:
                    yield f"the rows' field '{column}' is no argument of '{plan.name}'{nearest(column, arguments)}"
                continue
        if not fields or not takes_objects(plan):
            continue
        if column not in fields and OPEN not in fields:
            yield f"'{plan.name}' takes no field '{column}'{nearest(column, fields)}"
        elif column in fields and fields[column].read_only:
            yield f"the rows' field '{column}' is set by the vendor; leave it out by a `change`"


def _missing_columns(spec: Spec, plan: Plan, options: ToOperation, shape: Record) -> Iterator[str]:
    whole = whole_of(plan, options.with_)
    if plan.operation.batch is not None or _whole_is_checked(plan, options):
        for name, field in record_fields(spec, plan).items():
            needed = field.required and field.default is None and not field.read_only and name != OPEN
            if needed and name not in shape.fields:
                yield f"'{plan.name}' needs the field '{name}', which the rows do not have"
    if plan.operation.batch is None:
        columns = {column for name in shape.fields for column in (name, snake(name))}
        for parameter in plan.parameters.values():
            given = parameter.name in options.with_ or parameter is whole
            if parameter.required and not given and not {parameter.name, parameter.wire} & columns:
                yield f"'{plan.name}' needs '{parameter.wire}', which the rows do not have"


def _whole_is_checked(plan: Plan, options: ToOperation) -> bool:
    """Whether the fields that a type requires must be in each row: not of one that is given in part."""
    whole = whole_of(plan, options.with_)
    return whole is not None and isinstance(whole.field.type, Named) and not whole.field.type.partial


def plans_of(options: ToOperation, spec: Spec, plan_of: Any) -> Plans:
    """The plans of the operations that a recipe names and that there are."""
    names = filter(None, (options.operation, options.remove, options.read_back))
    return {name: plan_of(name) for name in names if name in spec.operations}
