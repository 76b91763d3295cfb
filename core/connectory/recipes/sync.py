"""Runs a recipe: rows in, chunks out, every row with a word in the end.

source (`opening`) -> change -> `flow`, cut to what the destination takes -> destination, with the state -> report
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from connectory.connecting import Parts
from connectory.destinations.destination import Destination
from connectory.errors import ArgumentError, ConnectoryError, DestinationError, InputError, SourceError
from connectory.limits.budgets import Restraint
from connectory.limits.costs import Gate, always_open
from connectory.recipes.checks import check_recipe
from connectory.recipes.context import Connectors, Context
from connectory.recipes.digest import changed_parts, digest_of
from connectory.recipes.flow import Flow, Stopped
from connectory.recipes.opening import open_source, open_target
from connectory.recipes.preparing import surroundings
from connectory.recipes.recipe import FromOperation, Recipe
from connectory.recipes.report import Observer, Progress, Report
from connectory.recipes.running.stopping import Stop, Times
from connectory.recipes.source import SourceReader, agree
from connectory.recipes.state import State, is_plan, read_state

__all__ = ["Observer", "Progress", "Report", "run_recipe"]

Span = tuple[str | None, str | None]


def run_recipe(
    file: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    profile: str | None = None,
    max_wait: float = 300.0,
    parts: Parts | None = None,
    root: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    observers: Sequence[Observer] = (),
    full_refresh: bool = False,
    keep_state: bool = False,
    span: Span | None = None,
    confirmed: bool = False,
    opener: Callable[[Context], SourceReader] = open_source,
) -> Report:
    """Run one recipe. Raises InputError before anything is sent; what happens later stands in the report's `error`.

    `settings` go before the recipe's own. Paths in the recipe are relative to `root`: its project, or its folder.
    `full_refresh` begins anew whatever was kept; `keep_state` goes on with what was kept though the recipe changed;
    `span` reads from one moment to another, and leaves the mark of the ordinary runs alone; `confirmed` says that
    an operation that destroys is meant; `opener` opens what is read instead of the recipe's own source.
    """
    parts = parts or Parts()
    file = Path(file)
    root, registry = surroundings(file, root)
    loaded = check_recipe(registry, file, root)
    parts = _courteous(parts, loaded.recipe)
    observer = _Observers([*observers, *([_Teller(on_progress)] if on_progress else [])])
    report = Report(loaded.recipe.name, destination=attrs.asdict(loaded.recipe.to.options))
    connectors = Connectors(root, parts, profile, max_wait, settings or {})
    connectors.on_wait = lambda vendor, seconds, why: _waits(report, observer, vendor, seconds, why)
    context = Context(
        loaded=loaded,
        root=root,
        registry=registry,
        parts=parts,
        connectors=connectors,
        now=parts.clock.now(),
        span=span,
        fresh=full_refresh,
        confirmed=confirmed,
        keep=keep_state,
        carries=True,
    )
    started = parts.clock.monotonic()
    try:
        _carry(context, opener, report, observer)
    finally:
        connectors.close()
        report.calls = connectors.calls
        report.took = parts.clock.monotonic() - started
    _check_sum(report)
    observer.ended(report)
    return report


def _carry(context: Context, opener: Callable[[Context], SourceReader], report: Report, observer: Observer) -> None:
    """Open both ends, carry the rows over, and let go of both."""
    with closing(opener(context)) as source, closing(open_target(context, source)) as destination:
        report.keys = getattr(destination, "keys", ()) or _keys(context.loaded.recipe) or source.keys
        server = _server(context) if opener is open_source else None
        flow = _begin(context, destination, report, observer, server)
        _run(source, flow, context.parts.gate)


def _keys(recipe: Recipe) -> tuple[str, ...]:
    return tuple(getattr(recipe.to.options, "key", ()))


def _courteous(parts: Parts, recipe: Recipe) -> Parts:
    """The parts of a run that leaves to others what its recipe says, and keeps to its hours."""
    parts = attrs.evolve(parts, restraint=Restraint(recipe.share, recipe.reserve))
    if recipe.between is None or parts.gate is not always_open:
        return parts
    return attrs.evolve(parts, gate=Times(parts.clock, Stop(), hours=recipe.between).gate)


def _begin(context: Context, destination: Destination, report: Report, observer: Observer, server: str | None) -> Flow:
    """Where this start goes on: what was left half done is finished first, then the state is read."""
    left = destination.resume()
    digest = digest_of(context.loaded.recipe, server)
    if context.fresh and (left is None or left.stopped is None):
        _forget(destination, digest)
    kept = None if context.fresh else destination.read_state()
    state = State({}) if kept is None else read_state(kept.state)
    run = state.run
    if kept is not None and not context.keep and (state.mark is not None or run is not None):
        _refuse_changed(report.recipe, changed_parts(state.recipe, digest))
    if run is not None and run.span != context.span and (context.span is not None or is_plan(run.span)):
        raise ArgumentError(f"{report.recipe}: run {run.id} is not at its end; let it end first, or use --full-refresh")
    report.run = uuid.uuid4().hex[:12] if run is None else run.id
    report.starts = 1 if run is None else run.starts + 1
    flow = Flow(destination, report, observer, State(digest, state.mark), context.span if run is None else run.span)
    flow.position = None if is_plan(context.span) else state.mark  # a plan has places of its own
    if context.fresh and getattr(context.loaded.recipe.to.options, "mode", None) == "append":
        warnings.warn(f"{report.recipe}: rows that were appended before will be there twice", UserWarning, stacklevel=2)
    if run is not None and kept is not None:
        flow.resume(run, kept)
        if run.span is not None and context.span is None:
            begin, end = run.span
            span = f"from {begin or 'the beginning'} to {end or 'now'}"
            warnings.warn(
                f"{report.recipe}: this start goes on with the read {span} that was not at its end; what is new comes"
                " with the next one",
                UserWarning,
                stacklevel=2,
            )
    if left is not None:
        flow.tell(left)
        report.error = left.stopped
    observer.began(report)
    if left is not None:
        observer.wrote(left)
    return flow


def _server(context: Context) -> str | None:
    """The base URL of the connector that is read."""
    options = context.loaded.recipe.from_.options
    if not isinstance(options, FromOperation):
        return None
    return context.connectors.get(options.connector, options.settings).engine.line.base


def _forget(destination: Destination, digest: Mapping[str, str]) -> None:
    """Begin anew in the destination too: a start that ends before its first row must not leave the old mark."""
    kept = destination.read_state()
    if kept is None:
        return
    try:
        old = read_state(kept.state)
    except DestinationError:  # no start goes on with it
        return
    if old.mark is not None or old.run is not None:
        destination.write([], State(digest).to_bytes())


def _refuse_changed(recipe: str, parts: Sequence[str]) -> None:
    if parts:
        raise ArgumentError(
            f"{recipe}: {' and '.join(parts)} changed since its state was written: --full-refresh reads everything"
            " anew, --keep-state goes on from where it was"
        )


def _run(source: SourceReader, flow: Flow, gate: Gate) -> None:
    report = flow.report
    try:
        if report.error is None:
            agree(source, flow.destination)
            for chunk in source.chunks(flow.position):
                flow.take(chunk)
                gate()
            flow.drain()
            report.mark = flow.base.mark if flow.span is not None else source.mark()
            ended = flow.destination.finish(State(flow.base.recipe, report.mark).to_bytes())
            if ended is not None:
                flow.tell(ended)
                flow.observer.wrote(ended)
                report.error = ended.stopped
            if report.error is None:
                source.forget()
    except Stopped:
        pass
    except InputError as why:
        # What is wrong in the recipe was found in a later chunk; "nothing was sent" would not be true.
        told = f"{why}; the first {report.came:,} rows were dealt with before"
        report.error = SourceError(told) if report.accounts.settled else why
    except ConnectoryError as why:
        report.error = why
    if report.error is not None:
        report.accounts.add("not_tried", report.accounts.read - report.accounts.settled)


def _check_sum(report: Report) -> None:
    if not report.accounts.balanced:
        report.error = DestinationError(f"the accounting does not add up: {report.accounts}")


def _waits(report: Report, observer: Observer, vendor: str, seconds: float, why: str) -> None:
    report.waited += seconds
    observer.waited(vendor, seconds, why)
    observer.progressed(Progress(report.accounts.read, report.pages, waiting=why, seconds=seconds))


class _Observers(Observer):
    """Several as one."""

    def __init__(self, all_: Sequence[Observer]) -> None:
        for name in ("began", "progressed", "waited", "wrote", "ended"):
            setattr(self, name, _each([getattr(one, name) for one in all_]))


def _each(told: Sequence[Callable[..., None]]) -> Callable[..., None]:
    def tell(*what: Any) -> None:
        for one in told:
            one(*what)

    return tell


class _Teller(Observer):
    """Passes progress on to a function."""

    def __init__(self, on_progress: Callable[[Progress], None]) -> None:
        self._on_progress = on_progress

    def progressed(self, progress: Progress) -> None:
        self._on_progress(progress)
