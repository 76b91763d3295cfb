"""Runs a recipe: pages in, chunks out, every row with a word in the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from connectory.connecting import Parts, connect, load_registry, open_project
from connectory.connector import Connector
from connectory.delivery.accounts import Accounts
from connectory.destinations.destination import Destination, Problem
from connectory.errors import ArgumentError, ConnectoryError, DestinationError, SpecError
from connectory.invoke import Engine
from connectory.operation import Plan
from connectory.recipes.recipe import LoadedRecipe, check_source, load_recipe
from connectory.records import Records
from connectory.spec.typeexpr import Named
from connectory.values.reading import Readers
from connectory.values.shapes import Record

KEPT_PROBLEMS = 1000  # rows not taken whose reasons are kept in the report; all are counted


@attrs.frozen
class Progress:
    """How far a sync is. `total` is what the vendor says there is; `waiting` says why nothing moves just now."""

    rows: int
    pages: int
    total: int | None = None
    waiting: str = ""
    seconds: float = 0.0


@attrs.define
class Report:
    """The end of a sync: the accounting, what was not taken and why, and the error that stopped it, if any."""

    recipe: str
    run: str
    accounts: Accounts = attrs.Factory(Accounts)
    pages: int = 0
    calls: int = 0
    waited: float = 0.0
    took: float = 0.0
    problems: list[Problem] = attrs.Factory(list)
    error: ConnectoryError | None = None
    destination: Mapping[str, Any] = attrs.Factory(dict)

    @property
    def exit_code(self) -> int:
        """0 all delivered, 3 finished with some rows refused, else the error's own."""
        if self.error is not None:
            return self.error.exit_code
        return 0 if self.accounts.clean else 3


def run_recipe(
    file: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    profile: str | None = None,
    max_wait: float = 300.0,
    parts: Parts | None = None,
    root: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Run one recipe. Raises InputError before anything is sent; what happens later stands in the report's `error`.

    `settings` go before the recipe's own. Paths in the recipe are relative to `root`: its project, or its folder.
    """
    parts = parts or Parts()
    file = Path(file)
    project = open_project(file.resolve().parent)
    root = root or (project.root if project else file.resolve().parent)
    registry = load_registry(project.root if project else None)
    loaded = load_recipe(registry, file)
    source = loaded.recipe.from_.options
    given = {**source.settings, **(settings or {})}
    with connect(source.connector, profile=profile, project=root, max_wait=max_wait, parts=parts, **given) as connector:
        records = _records(loaded, connector)
        report = Report(loaded.recipe.name, uuid.uuid4().hex[:12])
        kind = registry.destinations[loaded.recipe.to.kind]
        shape, keys = _shape(connector.engine, records.plan), _keys(connector.engine, records.plan)
        destination = kind.open(loaded.recipe.to.options, shape=shape, keys=keys, run=report.run, root=root)
        report.destination = attrs.asdict(loaded.recipe.to.options)
        _run(records, destination, report, parts, connector.engine, on_progress or (lambda _: None))
    return report


def _records(loaded: LoadedRecipe, connector: Connector) -> Records:
    source = loaded.recipe.from_.options
    try:
        plan = connector.operation(source.operation).plan
    except ArgumentError as why:
        raise SpecError([loaded.fault(("from", "operation"), str(why))]) from None
    check_source(loaded, plan)
    return Records(connector.engine, plan, dict(source.with_), source.complete, source.parents)


def _readers(engine: Engine, plan: Plan, *, iso_as_text: bool) -> Readers:
    return Readers(engine.spec.types, plan.styles.datetime, engine.registry.codecs, iso_as_text=iso_as_text)


def _shape(engine: Engine, plan: Plan) -> Record | None:
    shape = _readers(engine, plan, iso_as_text=False).shape(plan.operation.returns)
    return shape if isinstance(shape, Record) else None


def _keys(engine: Engine, plan: Plan) -> tuple[str, ...]:
    """The fields that identify a record, as its type says."""
    kind = plan.operation.returns
    fields = engine.spec.types[kind.name] if isinstance(kind, Named) else {}
    return tuple(name for name, field in fields.items() if field.key)


def _run(
    records: Records,
    destination: Destination,
    report: Report,
    parts: Parts,
    engine: Engine,
    tell: Callable[[Progress], None],
) -> None:
    started = parts.clock.monotonic()
    read = _readers(engine, records.plan, iso_as_text=True).of(records.plan.operation.returns)

    def waits(seconds: float, why: str) -> None:
        report.waited += seconds
        tell(Progress(report.accounts.read, report.pages, waiting=why, seconds=seconds))

    engine.line.on_wait = waits
    try:
        total: int | None = None
        for page in records.raw_pages():
            report.pages += 1
            report.accounts.read += len(page)
            _write(destination, page if read is None else [read(row) for row in page], report)
            total = records.stated_total if total is None else total
            tell(Progress(report.accounts.read, report.pages, total))
        destination.finish()
    except ConnectoryError as why:
        report.error = why
        report.accounts.add("not_tried", report.accounts.read - report.accounts.settled)
    finally:
        destination.close()
        report.took = parts.clock.monotonic() - started
        report.calls = engine.line.calls
    if not report.accounts.balanced:
        report.error = DestinationError(f"the accounting does not add up: {report.accounts}")


def _write(destination: Destination, rows: Sequence[Mapping[str, Any]], report: Report) -> None:
    written = destination.write(rows)
    for word, count in written.counts.items():
        report.accounts.add(word, count)  # type: ignore[arg-type]
    report.problems.extend(written.problems[: max(0, KEPT_PROBLEMS - len(report.problems))])
