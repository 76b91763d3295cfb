"""What can be known of a recipe before anything runs: all its faults at once, each at its place.

`check_recipe` is what `sync`, `plan` and `check` do first. A kind of source or destination has a function in `SOURCES`
or `TARGETS` here that yields the faults of its keys; nothing is sent, and no setting is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.connecting import UNIVERSAL, open_spec
from connectory.describe import plan_of
from connectory.errors import ArgumentError, Fault, SpecError, nearest
from connectory.operation import Plan
from connectory.plugins.registry import Registry
from connectory.recipes.reading.marks import MarkField, names_in
from connectory.recipes.recipe import Draft, FromOperation, LoadedRecipe, ToOperation, draft_recipe
from connectory.recipes.templates import template_faults
from connectory.spec.language import Spec
from connectory.spec.trees import read_tree
from connectory.spec.typeexpr import Named, Scalar, TypeExpr
from connectory.spec.words import Field
from connectory.values.reading import Readers
from connectory.values.shapes import Record
from connectory.values.writing import ValueFault

Path_ = tuple[str | int, ...]


@attrs.frozen
class Subject:
    """A recipe under check: what it says, the plug-ins, and the project whose specs it names."""

    loaded: LoadedRecipe
    registry: Registry
    root: Path | None

    def fault(self, path: Path_, message: str, *, at_key: bool = False) -> Fault:
        """A fault at a place of the recipe."""
        return self.loaded.fault(path, message, at_key=at_key)


def check_recipe(registry: Registry, file: Path, root: Path | None) -> LoadedRecipe:
    """The recipe in a file, found without fault. Raises SpecError with every fault of it and of the specs it names,
    ArgumentError when there is no such file."""
    draft = draft_recipe(registry, file)
    faults = [*draft.faults, *_namesakes(draft.loaded, root), *_meaning(draft, registry, root)]
    if faults:
        order = sorted(dict.fromkeys(faults), key=lambda fault: (fault.file, fault.line, fault.column))
        raise SpecError(order)
    return draft.loaded


def advice(loaded: LoadedRecipe) -> str:
    """What is right and yet may not be meant: records that each run makes anew. Empty where there is nothing to say."""
    target, source = loaded.recipe.to.options, loaded.recipe.from_.options
    if not isinstance(target, ToOperation) or target.mode != "upsert" or target.changed_only:
        return ""
    if not target.operation.rpartition(".")[2].startswith("create") or getattr(source, "since", None) is not None:
        return ""
    only = f"{target.operation} makes a record of each row that is sent, and every run sends all rows"
    return f"{only}: with key and changed_only: true (or mode: create_only) each goes once"


def _namesakes(loaded: LoadedRecipe, root: Path | None) -> Iterator[Fault]:
    """Another recipe of the same name: they would share what is kept of their runs, and remove each other's rows."""
    name = loaded.recipe.name
    folders = {loaded.file.resolve().parent, *([(root / "recipes").resolve()] if root else [])}
    files = sorted(file for folder in folders for file in folder.glob("*.y*ml") if not file.name.startswith("_"))
    for file in files:
        if name and file != loaded.file.resolve() and _name_of(file, name) == name:
            yield loaded.fault(("name",), f"'{name}' is the name of {file} as well: every recipe has its own")


def _name_of(file: Path, sought: str) -> str | None:
    """The name of a recipe, where it may be the one sought; None for what is no recipe or cannot be read."""
    try:
        source = file.read_bytes()
        tree = read_tree(source, str(file)) if sought.encode() in source else {}
    except (OSError, SpecError):
        return None
    keys = {str(key): value for key, value in tree.items()}
    return str(keys["name"]) if "name" in keys and {"from", "to"} & keys.keys() else None


def _meaning(draft: Draft, registry: Registry, root: Path | None) -> Iterator[Fault]:
    """Faults beyond the shape of the file, of those parts that could be read."""
    subject = Subject(draft.loaded, registry, root)
    recipe = draft.loaded.recipe
    for kind, table in ((recipe.from_.kind, SOURCES), (recipe.to.kind, TARGETS)):
        if kind in table:
            yield from table[kind](subject)
    if recipe.to.kind in registry.destinations:
        yield from _destination(subject)
    yield from _keys(subject)
    yield from _change(subject)


def _change(subject: Subject) -> Iterator[Fault]:
    """Faults of the SQL, and examples that it does not meet."""
    if not {"change", "lookups", "change_over", "examples"} & subject.loaded.tree.keys():
        return
    from connectory.recipes.changing.change import check_change
    from connectory.recipes.changing.examples import example_faults

    try:
        faults = check_change(subject.loaded)
    except ArgumentError as why:  # DuckDB is not installed
        faults = [subject.fault(("change",), str(why))]
    yield from faults or example_faults(subject.loaded, subject.registry, subject.root)


def _spec(subject: Subject, part: str, vendor: str) -> tuple[Spec | None, list[Fault]]:
    try:
        return open_spec(vendor, subject.root).spec, []
    except ArgumentError as why:
        return None, [subject.fault((part, "connector"), str(why))]
    except SpecError as why:
        return None, list(why.faults)


def plan_named(
    subject: Subject, part: str, vendor: str, operation: str
) -> tuple[Spec | None, Plan | None, list[Fault]]:
    """The spec and plan that a part of a recipe names, or what is wrong with the names."""
    spec, faults = _spec(subject, part, vendor)
    if spec is None:
        return None, None, faults
    if operation not in spec.operations:
        said = f"{vendor}: no operation '{operation}'{nearest(operation, spec.operations)}"
        return spec, None, [subject.fault((part, "operation"), said)]
    return spec, plan_of(spec, subject.registry, operation), []


def settings_faults(subject: Subject, part: str, spec: Spec, settings: Mapping[str, Any]) -> Iterator[Fault]:
    """Settings that the vendor does not have, and secrets, which do not stand in a recipe."""
    for name in settings:
        known = [*spec.settings, *UNIVERSAL]
        if name not in known:
            said = f"no setting '{name}'{nearest(name, known)}"
            yield subject.fault((part, "settings", name), said, at_key=True)
        elif name in spec.settings and spec.settings[name].type == Scalar("secret"):
            said = f"'{name}' is a secret: it stands in the environment, the project's connectory.toml or a reference"
            yield subject.fault((part, "settings", name), said, at_key=True)


def argument_faults(
    subject: Subject, part: str, spec: Spec, plan: Plan, given: Mapping[str, Any], filled: frozenset[str]
) -> Iterator[Fault]:
    """Arguments that the operation does not take, wrong values, and required ones that are not there.

    `filled` are wire names that somebody else fills: the parent, the mark, the rows.
    """
    known = {name: held for name, held in plan.parameters.items() if held.wire not in filled}
    public = {name for name, setting in spec.settings.items() if setting.type != Scalar("secret")}
    for name, value in given.items():
        path = (part, "with", name)
        if name not in known:
            if name in plan.parameters:
                yield subject.fault(path, f"'{name}' is filled from elsewhere", at_key=True)
            else:
                takes = f" (it takes {', '.join(known)})" if known else " (it takes none)"
                yield subject.fault(
                    path, f"{plan.name}: no argument '{name}'{nearest(name, known)}{takes}", at_key=True
                )
            continue
        wrong = list(template_faults(value, path, public, subject.registry.filters))
        yield from (subject.fault(where, said) for where, said in wrong)
        if not wrong and not names_in(value):
            try:
                known[name].write(value)
            except ValueFault as why:
                yield subject.fault(path, f"'{name}': {why}")
    for name, parameter in known.items():
        if parameter.required and given.get(name) is None:
            about = f": {parameter.field.about}" if parameter.field.about else ""
            yield subject.fault((part, "with"), f"{plan.name}: '{name}' is required{about}")


def _from_operation(subject: Subject) -> Iterator[Fault]:
    source: FromOperation = subject.loaded.recipe.from_.options
    spec, plan, faults = plan_named(subject, "from", source.connector, source.operation)
    yield from faults
    if spec is not None:
        yield from settings_faults(subject, "from", spec, source.settings)
    if spec is None or plan is None:
        return
    if not plan.many:
        yield subject.fault(("from", "operation"), f"'{plan.name}' is no list")
        return
    if source.complete and plan.operation.detail is None:
        yield subject.fault(("from", "complete"), f"'{plan.name}' has no detail call")
    if source.parents and plan.operation.parent is None:
        yield subject.fault(("from", "parents"), f"'{plan.name}' has no parent")
    if source.recurse and plan.operation.recurse is None:
        yield subject.fault(
            ("from", "recurse"), f"nothing is inside of the records of '{plan.name}': it has no recurse"
        )
    link = plan.operation.parent if source.parents else None
    filled = frozenset(link.with_) if link is not None else frozenset[str]()
    yield from argument_faults(subject, "from", spec, plan, source.with_, filled | _filled_by_mark(source, plan))
    yield from _mark_faults(subject, spec, plan, source)


def _filled_by_mark(source: FromOperation, plan: Plan) -> frozenset[str]:
    """Wire names that the mark fills whatever the caller gives. A beginning that the vendor requires must be given for
    the first run, when there is no mark."""
    mark = plan.operation.marks.get(source.since or "")
    if mark is None or "since" in names_in(source.with_):
        return frozenset()
    required = any(held.required for held in plan.parameters.values() if held.wire == mark.from_)
    filled = {mark.from_} if "given" not in names_in(mark.as_) and not required else set()
    return frozenset(name for name in (*filled, mark.until) if name is not None)


def _mark_faults(subject: Subject, spec: Spec, plan: Plan, source: FromOperation) -> Iterator[Fault]:
    used = names_in(source.with_) & {"since", "until"}
    if source.since is None:
        for key, given in (("lookback", source.lookback), ("window", source.window)):
            if given:
                yield subject.fault(("from", key), f"'{key}' goes with `since`", at_key=True)
        for name in sorted(used):
            yield subject.fault(("from", "with"), f"'{name}' is known only with `since: FIELD`")
        return
    fields = fields_of(spec, plan.operation.returns)
    root = source.since.partition(".")[0]
    if fields and root not in fields and "*" not in fields:
        said = f"'{source.since}' is no field of {plan.operation.returns}{nearest(root, fields)}"
        yield subject.fault(("from", "since"), said)
        return
    mode = getattr(subject.loaded.recipe.to.options, "mode", None)
    if mode in ("replace", "mirror"):
        said = f"`mode: {mode}` needs every record in every run: use another mode, or leave `since` out"
        yield subject.fault(("from", "since"), said)
    field = mark_field(spec, plan, source.since, subject.registry)
    if source.lookback and field.kind in ("number", "text"):
        yield subject.fault(("from", "lookback"), f"'{source.since}' is no moment or day: there is no time before it")
    mark = plan.operation.marks.get(source.since)
    ends = mark is not None and (mark.until is not None or "until" in names_in(mark.as_))
    if source.window and not ends and "until" not in used:
        said = f"{plan.name} takes no end of a span of '{source.since}': it cannot be read in pieces"
        yield subject.fault(("from", "window"), said)


def mark_field(spec: Spec, plan: Plan, name: str, registry: Registry) -> MarkField:
    """The field of a mark, as the type of the records declares it."""
    fields = fields_of(spec, plan.operation.returns)
    declared = fields.get(name)
    return MarkField.of(name, declared.type if declared else Scalar("any"), plan.styles.datetime, registry.codecs)


def fields_of(spec: Spec, expression: TypeExpr) -> Mapping[str, Field]:
    """The fields that a type declares; none where it is no named type."""
    return spec.types[expression.name] if isinstance(expression, Named) else {}


def _to_operation(subject: Subject) -> Iterator[Fault]:
    from connectory.recipes.pushing.checks import filled_by_rows, plans_of, target_faults

    target: ToOperation = subject.loaded.recipe.to.options
    spec, plan, faults = plan_named(subject, "to", target.connector, target.operation)
    yield from faults
    if spec is not None:
        yield from settings_faults(subject, "to", spec, target.settings)
    if spec is None or plan is None:
        return
    plans = plans_of(target, spec, partial(plan_of, spec, subject.registry))
    yield from target_faults(subject.loaded, spec, plans, _shape_of_source(subject))
    if plan.does != "read":
        filled = frozenset(filled_by_rows(plan, target.with_))
        yield from argument_faults(subject, "to", spec, plan, target.with_, filled)


def _shape_of_source(subject: Subject) -> Record | None:
    """What a vendor declares of the records that are read."""
    source = subject.loaded.recipe.from_.options
    if not isinstance(source, FromOperation) or source.parents:
        return None
    spec, plan, _ = plan_named(subject, "from", source.connector, source.operation)
    if spec is None or plan is None:
        return None
    readers = Readers(spec.types, plan.styles.datetime, subject.registry.codecs)
    shape = readers.shape(plan.operation.returns)
    return shape if isinstance(shape, Record) else None


def _destination(subject: Subject) -> Iterator[Fault]:
    """What the kind of destination itself finds wrong."""
    target = subject.loaded.recipe.to
    for key, said in subject.registry.destinations[target.kind].check(target.options):
        yield subject.fault(("to", key), said)


def _keys(subject: Subject) -> Iterator[Fault]:
    """Keys of a table that the records do not have, where nothing changes the records on their way."""
    recipe = subject.loaded.recipe
    source = recipe.from_.options
    if recipe.change is not None or not isinstance(source, FromOperation) or isinstance(recipe.to.options, ToOperation):
        return
    spec, plan, _ = plan_named(subject, "from", source.connector, source.operation)
    if spec is None or plan is None:
        return
    fields = fields_of(spec, plan.operation.returns)
    keys = getattr(recipe.to.options, "key", ())
    links = (source.parents and plan.operation.parent, source.recurse and plan.operation.recurse)
    kept = {name for link in links if link for name in link.keep}
    if fields and "*" not in fields:
        for number, key in enumerate(keys):
            if key not in fields and key not in kept:
                said = f"'{key}' is no field of {plan.operation.returns}{nearest(key, fields)}"
                yield subject.fault(("to", "key", number), said)
    own = [name for name, field in fields.items() if field.key]
    if getattr(recipe.to.options, "mode", None) == "merge" and not keys and not own:
        yield subject.fault(("to", "mode"), f"merging needs a key: {plan.operation.returns} declares none")


SOURCES: Final[Mapping[str, Callable[[Subject], Iterator[Fault]]]] = {"connector": _from_operation}
TARGETS: Final[Mapping[str, Callable[[Subject], Iterator[Fault]]]] = {"connector": _to_operation}
