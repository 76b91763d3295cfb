"""A recipe file -> a checked Recipe, or every fault of it at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from cattrs import Converter
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError

from connectory.errors import ArgumentError, Fault, SpecError, nearest
from connectory.operation import Plan, bind
from connectory.plugins.registry import Registry
from connectory.spec.keys import keys_of
from connectory.spec.problems import Problem, problems_of
from connectory.spec.structure import make_converter
from connectory.spec.trees import Table, locate, read_tree
from connectory.spec.words import Anything, word

LATER: Mapping[str, tuple[str, ...]] = {
    "Recipe": ("change", "change_over", "example", "share", "reserve", "contract"),
    "Source": ("duckdb", "sqlite", "postgres", "query", "files", "since", "lookback", "from", "until"),
}


@attrs.frozen(kw_only=True)
class Source:
    """Where the rows come from: a list operation of a connector."""

    connector: str = word("the vendor")
    operation: str = word("one of its lists")
    with_: Mapping[str, Anything] = word("arguments", attrs.Factory(dict))
    settings: Mapping[str, Anything] = word("settings of the connector, no secrets", attrs.Factory(dict))
    complete: bool = word("complete each record by its detail call", False)
    parents: bool = word("once for each record of the parent operation", False)


@attrs.frozen(kw_only=True)
class Target:
    """Where the rows go: the key that names a kind of destination, and that kind's own keys beside it."""

    kind: str = word("the kind of destination")
    options: Any = attrs.field(default=None, metadata={"plugin": "destinations"})


@attrs.frozen(kw_only=True)
class Recipe:
    """One file: a source and a destination."""

    name: str = word("the recipe")
    about: str = word("one sentence", "")
    from_: Source = word("where the rows come from")
    to: Target = word("where they go")


@attrs.frozen
class LoadedRecipe:
    """A checked recipe and where it stands."""

    recipe: Recipe
    tree: Table
    file: Path

    def fault(self, path: tuple[str | int, ...], message: str, *, at_key: bool = False) -> Fault:
        """A fault at a place of this file."""
        file, line, column = locate(self.tree, path, at_key=at_key)
        return Fault(file, line, column, "/" + "/".join(map(str, path)), message)


def load_recipe(registry: Registry, file: Path) -> LoadedRecipe:
    """The recipe in a file. Raises SpecError with every fault, ArgumentError when there is no such file."""
    try:
        source = file.read_bytes()
    except OSError as why:
        raise ArgumentError(f"recipe {file}: {why.strerror}") from None
    tree = read_tree(source, str(file))
    converter = make_converter(registry)
    converter.register_structure_hook(Target, lambda node, _: _target(converter, registry, node))
    try:
        return LoadedRecipe(converter.structure(tree, Recipe), tree, file)
    except BaseValidationError as group:
        raise SpecError(_faults(tree, [_later(problem) for problem in problems_of(group)])) from None


def _target(converter: Converter, registry: Registry, node: Any) -> Target:
    if not isinstance(node, dict):
        raise ValueError("expected a mapping such as {duckdb: data/school.duckdb, table: students}")
    kinds = [key for key in node if key in registry.destinations]
    if len(kinds) != 1:
        if "connector" in node:
            raise ValueError("a connector as destination is not built yet")
        if len(kinds) > 1:
            raise ValueError(f"one destination, found {' and '.join(map(str, kinds))}")
        guess = next((hint for key in node if (hint := nearest(str(key), registry.destinations))), "")
        known = ", ".join(registry.destinations) or "none is installed"
        raise ValueError(f"no kind of destination named here{guess or f' (there are: {known})'}")
    options = registry.destinations[str(kinds[0])].options
    try:
        return Target(kind=str(kinds[0]), options=converter.structure(node, options))
    except BaseValidationError as group:
        for error in group.exceptions:
            if isinstance(error, ForbiddenExtraKeysError):
                error.others = tuple(keys_of(options))  # type: ignore[attr-defined]
        raise


def _later(problem: Problem) -> Problem:
    path, message, at_key = problem
    owner = {0: "Recipe", 1: "Source" if path and path[0] == "from" else ""}.get(len(path) - 1, "")
    if message.startswith("unknown key") and path and path[-1] in LATER.get(owner, ()):
        return path, f"'{path[-1]}' is not built yet", at_key
    return problem


def _faults(tree: Table, problems: list[Problem]) -> list[Fault]:
    faults = []
    for path, message, at_key in problems:
        file, line, column = locate(tree, path, at_key=at_key)
        faults.append(Fault(file, line, column, "/" + "/".join(map(str, path)), message))
    return sorted(faults, key=lambda fault: (fault.line, fault.column))


def check_source(loaded: LoadedRecipe, plan: Plan) -> None:
    """Whether the source is a list and its arguments are right. Raises SpecError pointing into the recipe."""
    source = loaded.recipe.from_
    faults = []
    if not plan.many:
        faults.append(loaded.fault(("from", "operation"), f"'{plan.name}' is no list"))
    if source.complete and plan.operation.detail is None:
        faults.append(loaded.fault(("from", "complete"), f"'{plan.name}' has no detail call"))
    if source.parents and plan.operation.parent is None:
        faults.append(loaded.fault(("from", "parents"), f"'{plan.name}' has no parent"))
    filled = tuple(plan.operation.parent.with_) if source.parents and plan.operation.parent else ()
    try:
        bind(plan, source.with_, filled=filled)
    except ArgumentError as why:
        faults += [loaded.fault(("from", "with"), line) for line in str(why).splitlines()]
    if faults:
        raise SpecError(faults)
