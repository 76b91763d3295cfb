"""A recipe's `to` that names a vendor, opened as a destination."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectory.connector import Connector
from connectory.delivery.journal import Journal, open_journal
from connectory.delivery.journalfile import journal_path
from connectory.errors import ArgumentError, SpecError, nearest
from connectory.invoke import Engine
from connectory.operation import Plan, bind
from connectory.recipes.context import Context
from connectory.recipes.pushing.calls import courier_of, record_fields
from connectory.recipes.pushing.checks import destroys, filled_by_rows, keys_of, plans_of, target_faults
from connectory.recipes.pushing.lookup import Lookup
from connectory.recipes.pushing.push import Binding, Push
from connectory.recipes.pushing.rejects import RejectsFile
from connectory.recipes.pushing.removing import Remover, share_of
from connectory.recipes.pushing.rows import Sorter
from connectory.recipes.recipe import ToOperation
from connectory.recipes.source import SourceReader
from connectory.recipes.templates import names_at, public_settings, render_arguments
from connectory.values.shapes import Record


def open_push(context: Context, options: ToOperation, source: SourceReader) -> Push:
    """The destination. Raises SpecError with every fault, JournalError where the journal cannot be used."""
    return open_target_operation(context, options, source.shape)


def open_target_operation(context: Context, options: ToOperation, shape: Record | None = None) -> Push:
    """The same for rows that come from elsewhere than the recipe's source."""
    connector = context.connectors.get(options.connector, options.settings)
    engine = connector.engine
    if options.operation not in engine.spec.operations:
        known = nearest(options.operation, engine.spec.operations)
        raise context.wrong(("to", "operation"), f"{engine.spec.name}: no operation '{options.operation}'{known}")
    plans = plans_of(options, engine.spec, engine.plan)
    plan = plans[options.operation]
    faults = [*target_faults(context.loaded, engine.spec, plans, shape)]
    if not context.confirmed:
        faults += destroys(context.loaded, plan)
    if faults:
        raise SpecError(faults)
    given = _arguments(context, connector, plan, options)
    journal = open_journal(journal_path(context.root, context.loaded.recipe.name))
    try:
        target = f"{plan.name} at {engine.url(plan)}"
        binding = _binding(context, journal, target)
    except BaseException:
        journal.close()
        raise
    keys = keys_of(options, engine.spec, plan)
    only_new = options.mode == "create_only"
    courier = courier_of(engine, plan, given, context.root, only_new=only_new)
    sorter = Sorter(courier, journal, keys, options.mode, options.changed_only)
    looked_up = plans.get(options.read_back or "")
    rejects = RejectsFile(context.root / options.rejects, record_fields(engine.spec, plan)) if options.rejects else None
    return Push(
        journal=journal,
        sorter=sorter,
        clock=context.parts.clock,
        lookup=Lookup(engine, looked_up, courier, keys) if looked_up is not None else None,
        remover=_remover(context, engine, options, plans, sorter) if options.mode == "mirror" else None,
        rejects=rejects,
        fresh=context.fresh,
        binding=binding,
    )


def _binding(context: Context, journal: Journal, target: str) -> Binding | None:
    """Where the journal's rows go from now on; None: where they went before.

    What one place took says nothing of another: a sandbox and the real one, say. Raises ArgumentError.
    """
    before = journal.target
    if before == target:
        return None
    if before is not None and not context.keep:
        name = context.loaded.recipe.name
        left = journal.under_way() is not None or journal.count_held() > 0
        if left or not context.fresh:
            more = " (what is held back or under way has to be settled there first)" if left else ""
            raise ArgumentError(
                f"{name}: its rows went to {before}, and now to {target}: --full-refresh sends everything there{more}, "
                "--keep-state goes on as if it were the same place"
            )
    return Binding(target, forget=before is not None and not context.keep)


def _arguments(context: Context, connector: Connector, plan: Plan, options: ToOperation) -> Mapping[str, Any]:
    """The arguments that are the same for every row, their texts computed."""
    names = {**public_settings(connector), **names_at(datetime.fromtimestamp(context.now, UTC))}
    try:
        given = render_arguments(plan, options.with_, names, connector.engine.registry.filters)
        bind(plan, given, filled=filled_by_rows(plan, given))
    except ArgumentError as why:
        raise context.wrong(("to", "with"), str(why)) from None
    return given


def _remover(context: Context, engine: Engine, options: ToOperation, plans: Any, sorter: Sorter) -> Remover:
    courier = courier_of(engine, plans[options.remove], {}, context.root)
    return Remover(courier, sorter.keys, share_of(options.most_removed))
