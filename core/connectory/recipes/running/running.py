"""A recipe's run from the outside: alone, recorded, stopped when asked, and going on when a limit comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.connecting import Parts
from connectory.destinations.destination import Problem, Written
from connectory.errors import ConnectoryError, Interrupted, LimitReached
from connectory.limits.budgets import Window
from connectory.limits.costs import Costs
from connectory.limits.ledger import Ledger
from connectory.limits.sqlite import SqliteLedger
from connectory.recipes.context import Context
from connectory.recipes.opening import open_source
from connectory.recipes.preparing import surroundings
from connectory.recipes.recipe import Recipe, load_recipe
from connectory.recipes.report import Observer, Progress, Report
from connectory.recipes.running.locks import alone
from connectory.recipes.running.runs import RunLog, open_log
from connectory.recipes.running.stopping import Stop, StoppableClock, Times
from connectory.recipes.source import SourceReader
from connectory.recipes.sync import Span, run_recipe

_WRITE_EVERY: Final = 2.0  # seconds between two signs of life in the record of runs
_LEAST_PAUSE: Final = 1.0


@attrs.frozen(kw_only=True)
class Wishes:
    """How to run: `wait` for limits however long, stop at `until` (epoch seconds), and as in `run_recipe`."""

    settings: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    profile: str | None = None
    max_wait: float = 300.0
    wait: bool = False
    until: float | None = None
    confirmed: bool = False
    full_refresh: bool = False
    keep_state: bool = False
    span: Span | None = None
    opener: Callable[[Context], SourceReader] = open_source


@attrs.define
class Ended:
    """The end of a run in this process. `costs` and `took` are of all its starts here; `come_back` is when a limit
    lets it go on."""

    report: Report
    costs: Costs
    took: float
    come_back: float | None = None


@attrs.frozen
class Left:
    """What is left of one of the windows of a vendor's limit, and what this run may use of it."""

    vendor: str
    limit: str
    window: Window
    used: int
    left: int
    may_use: int


@attrs.frozen
class Gauge:
    """What a start costs, and what is left of the limits that it spends."""

    costs: Costs
    ledger: Ledger

    def left(self) -> list[Left]:
        """Every window of the limits spent so far, the longest first. Raises LedgerError."""
        found = []
        for (vendor, limit), budget in list(self.costs.budgets.items()):
            for spent in self.ledger.spent(budget).windows:
                may_use = max(0, budget.restraint.of(spent.window.count) - spent.used)
                found.append(Left(vendor, limit, spent.window, spent.used, spent.left, may_use))
        return sorted(found, key=lambda left: -left.window.seconds)


@attrs.define(eq=False)
class Watcher(Observer):
    """An observer that also hears of the waits between two starts."""

    def pausing(self, until: float, why: str) -> None:
        """A limit is used up: the run goes on at `until` (epoch seconds)."""

    def counting(self, gauge: Gauge) -> None:
        """A start begins; this shows what it costs."""


def run(
    file: Path,
    wishes: Wishes,
    *,
    root: Path | None = None,
    parts: Parts | None = None,
    stop: Stop | None = None,
    watchers: Sequence[Watcher] = (),
) -> Ended:
    """Run a recipe once, in as many starts as its limits make of it where `wishes.wait` says so.

    Raises InputError before anything is sent, RecipeBusy where the recipe runs already.
    """
    parts, stop = parts or Parts(), stop or Stop()
    clock = StoppableClock(parts.clock, stop)
    root, registry = surroundings(file, root)
    recipe = load_recipe(registry, file).recipe
    times = Times(clock, stop, wishes.until, recipe.between)
    ledger = parts.ledger or SqliteLedger(clock=clock)
    parts = attrs.evolve(parts, ledger=ledger, clock=clock, gate=times.gate)
    began = clock.monotonic()
    with alone(root, recipe.name, clock.now()):
        log = open_log(root, clock.now())
        total = Costs()
        while True:
            report, costs = _start(file, wishes, root, parts, recipe, log, stop, watchers)
            total = total.with_(costs)
            ended = Ended(report, total, clock.monotonic() - began)
            if not isinstance(report.error, LimitReached):
                return ended
            ended.come_back = times.come_back(report.error.until)
            if not wishes.wait or (wishes.until is not None and ended.come_back >= wishes.until):
                return ended
            try:
                _pause(clock, ended.come_back, str(report.error), total, watchers)
            except Interrupted as why:
                report.error = why
                return ended
            wishes = attrs.evolve(wishes, full_refresh=False, keep_state=False)


def _start(
    file: Path,
    wishes: Wishes,
    root: Path,
    parts: Parts,
    recipe: Recipe,
    log: RunLog,
    stop: Stop,
    watchers: Sequence[Watcher],
) -> tuple[Report, Costs]:
    """One start, recorded whatever becomes of it."""
    costs = Costs()
    parts = attrs.evolve(parts, costs=costs)
    recorder = Recorder(
        log, file, costs, parts.clock.now, parts.clock.monotonic, keep_rows=recipe.to.kind != "connector"
    )
    assert parts.ledger is not None
    for watcher in watchers:
        watcher.counting(Gauge(costs, parts.ledger))
    stop.when_leaving = recorder.left
    try:
        report = run_recipe(
            file,
            settings=wishes.settings,
            profile=wishes.profile,
            max_wait=wishes.max_wait,
            parts=parts,
            root=root,
            observers=[recorder, *watchers],
            confirmed=wishes.confirmed,
            full_refresh=wishes.full_refresh,
            keep_state=wishes.keep_state,
            span=wishes.span,
            opener=wishes.opener,
        )
    except BaseException as why:
        recorder.broke(why)
        raise
    return report, costs


def _pause(clock: StoppableClock, until: float, why: str, total: Costs, watchers: Sequence[Watcher]) -> None:
    asked = clock.now()
    until = max(until, asked + _LEAST_PAUSE)
    for watcher in watchers:
        watcher.pausing(until, why)
    try:
        clock.sleep_until(until)
    finally:
        total.waited("until the limit came back", clock.now() - asked)


@attrs.define(eq=False)
class Recorder(Observer):
    """Writes one start into the record of runs."""

    log: RunLog
    file: Path
    costs: Costs
    now: Callable[[], float]
    monotonic: Callable[[], float]
    keep_rows: bool
    _report: Report | None = None
    _number: int = 0
    _written: float = 0.0
    _told: int = 0

    def began(self, report: Report) -> None:
        self._number = self.log.began(report, self.file, self.now())
        self._report, self._written = report, self.monotonic()

    def progressed(self, progress: Progress) -> None:
        self._show_life()

    def wrote(self, written: Written) -> None:
        self._show_life(at_once=self.keep_rows and bool(written.problems))

    def ended(self, report: Report) -> None:
        self._end(report.exit_code, "" if report.error is None else str(report.error))

    def broke(self, why: BaseException) -> None:
        """It ended by an error that no report tells."""
        code = why.exit_code if isinstance(why, ConnectoryError) else 130 if isinstance(why, KeyboardInterrupt) else 1
        told = str(why) if isinstance(why, ConnectoryError) else type(why).__name__
        self._end(code, told)

    def left(self, exit_code: int) -> None:
        """The process leaves at once, in the middle of something."""
        self._end(exit_code, "interrupted while a request or a step of the destination was under way")

    def _show_life(self, *, at_once: bool = False) -> None:
        if self._report is not None and (at_once or self.monotonic() - self._written >= _WRITE_EVERY):
            self._written = self.monotonic()
            self.log.goes_on(self._report, self._number, self.costs, self.now(), self._untold(self._report))

    def _untold(self, report: Report) -> Sequence[Problem]:
        """Rows that were not taken and are not in the record yet; none where a journal keeps them."""
        told, self._told = self._told, len(report.problems)
        return report.problems[told:] if self.keep_rows else ()

    def _end(self, exit_code: int, error: str) -> None:
        if self._report is None:  # it never got as far as having an id: nothing was read
            return
        report, self._report = self._report, None
        self.log.ended(
            report,
            self._number,
            self.costs,
            self.now(),
            self._untold(report),
            exit_code=exit_code,
            error=error,
        )
