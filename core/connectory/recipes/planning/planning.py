"""What a sync would do, without doing it: rows by what would become of them, calls, and when they would have gone.

A plan reads the source as a sync does and compares with what the vendor last accepted; nothing is sent or written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.auth.tokens import Token
from connectory.calls import Line
from connectory.connecting import Parts
from connectory.delivery.journal import Accepted
from connectory.errors import ArgumentError
from connectory.invoke import Engine
from connectory.limits.budgets import Restraint
from connectory.limits.costs import Costs
from connectory.limits.forecast import Forecast, forecast
from connectory.limits.sqlite import SqliteLedger
from connectory.operation import Plan as Operation
from connectory.recipes.context import Context
from connectory.recipes.opening import open_source, open_target
from connectory.recipes.planning.planfile import PlanHeader, PlanWriter, digest_of_file
from connectory.recipes.preparing import prepared
from connectory.recipes.pushing.opening import open_push
from connectory.recipes.pushing.push import Push
from connectory.recipes.reading.opening import open_operation
from connectory.recipes.recipe import FromOperation, Recipe, ToOperation
from connectory.recipes.running.running import Gauge, Left
from connectory.recipes.running.runs import read_runs
from connectory.recipes.running.runsfile import RunsError
from connectory.recipes.source import Row, SourceReader, fit_chunks
from connectory.recipes.state import load, read_state

USUAL: Final = 0.5  # seconds of a call where no run of the recipe tells better
_RUNS: Final = 5  # that are asked how long a call takes
_TOLD: Final = 5
_MISSING: Final = object()


@attrs.frozen(kw_only=True)
class Outlook:
    """What the calls cost: how many by what they are for, what is left of the limits they spend, and when they would
    have gone (epoch seconds) at `pace` seconds a call. `total` is None where nobody can tell."""

    calls: Mapping[str, int]
    known: bool
    left: Sequence[Left]
    pace: float
    measured: bool
    now: float
    ends: float
    waits: Mapping[str, float]

    @property
    def total(self) -> int | None:
        return sum(self.calls.values()) if self.known else None


@attrs.frozen(kw_only=True)
class Plan:
    """What a sync would do. `words` counts rows: add, change, again (the same once more), unchanged, invalid, held
    (refused before, and not changed since), remove; of a pull it is empty. `fields` counts how often a field changes.

    `cost` are the calls that making the plan took. `since` is where a pull would begin to read.
    """

    recipe: str
    pushes: bool
    read: int
    came: int
    words: Mapping[str, int]
    fields: Mapping[str, int]
    problems: Sequence[str]
    outlook: Outlook | None
    cost: int
    records: int | None = None
    since: Any = None
    warning: str = ""


def make_plan(
    file: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    profile: str | None = None,
    max_wait: float = 300.0,
    parts: Parts | None = None,
    root: Path | None = None,
    to: Path | None = None,
) -> Plan:
    """Plan a recipe. `to` is a file for the rows, which `apply` sends as they are.

    Raises InputError, and what the source or the journal raises.
    """
    costs, parts = Costs(), parts or Parts()
    parts = attrs.evolve(parts, costs=costs, ledger=parts.ledger or SqliteLedger(clock=parts.clock))
    with prepared(
        file, root=root, parts=parts, settings=settings or {}, profile=profile, max_wait=max_wait, confirmed=True
    ) as context:
        recipe = context.loaded.recipe
        if recipe.to.kind == "connector":
            return _plan_push(context, recipe.to.options, file, costs, to)
        if to is not None:
            raise ArgumentError(f"{recipe.name} writes no vendor: a plan of it cannot be applied, only synced")
        if recipe.from_.kind == "connector":
            return _plan_pull(context, recipe.from_.options, costs)
        return _plan_copy(context, costs)


# Pushes -------------------------------------------------------------------------------------------------------------


@attrs.define
class _Tally:
    """Rows sorted so far, over all chunks of the source."""

    push: Push
    words: Counter[str] = attrs.Factory(Counter)
    fields: Counter[str] = attrs.Factory(Counter)
    problems: list[str] = attrs.Factory(list)
    seen: dict[str, bytes] = attrs.Factory(dict)
    there: int = 0  # keys that the vendor has of us and the source too
    calls: int = 0

    def take(self, rows: Sequence[Row]) -> None:
        """Sort what one call of the destination would get."""
        sorted_ = self.push.sorter.sort(rows)
        going = 0
        self.there += len({key for key in sorted_.keys.values() if key in sorted_.accepted} - self.seen.keys())
        for parcel in sorted_.parcels:
            if parcel.key is not None and parcel.key in self.seen:
                same = self.seen[parcel.key] == parcel.hash
                self._count("unchanged" if same else "invalid", f"the key {parcel.key} came already, with other values")
                continue
            if parcel.key is not None:
                self.seen[parcel.key] = parcel.hash
            self._sort(parcel.row, parcel.hash, sorted_.accepted.get(parcel.key or ""))
            going += 1
        for number, fate in sorted_.fates.items():
            key = sorted_.keys.get(number)
            where = ": ".join(part for part in (key, fate.field) if part)
            word = "held" if fate.word != "invalid" and not fate.fresh and fate.word != "unchanged" else fate.word
            self._count(word, fate.words, where)
            if key is not None:
                self.seen.setdefault(key, sorted_.hashes[number])
        self.calls += _calls(self.push.courier.plan, going)

    def _sort(self, row: Row, hash_: bytes, before: Accepted | None) -> None:
        if before is None:
            self.words["add"] += 1
        elif before.hash == hash_:
            self.words["again"] += 1
        else:
            self.words["change"] += 1
            self.fields.update(changed_fields(load(before.row), row))

    def _count(self, word: str, words: str, field: str = "") -> None:
        self.words[word] += 1
        if word not in ("unchanged", "delivered") and len(self.problems) < _TOLD:
            self.problems.append(f"{word}: {f'{field}: ' if field else ''}{words}")


def changed_fields(before: Any, after: Row) -> Iterator[str]:
    """The fields in which two rows differ."""
    if not isinstance(before, Mapping):
        return
    for name in dict.fromkeys([*before, *after]):
        if before.get(name, _MISSING) != after.get(name, _MISSING):
            yield str(name)


def _calls(operation: Operation, rows: int) -> int:
    batch = operation.operation.batch
    return rows if batch is None else -(-rows // batch.largest)


def _plan_push(context: Context, options: ToOperation, file: Path, costs: Costs, to: Path | None) -> Plan:
    recipe = context.loaded.recipe
    source = open_source(context)
    try:
        push = open_push(context, options, source)
        try:
            position = _at_rest(recipe, push)
            tally, read, came = _Tally(push), 0, 0
            writer = PlanWriter(to) if to is not None else None
            try:
                for rows, before in _regrouped(source, position, push.rows_per_write):
                    named = push.courier.named(rows)
                    tally.take(named)
                    read, came = read + len(rows), came + before
                    if writer is not None:
                        writer.add(named)
                engine = context.connectors.get(options.connector, options.settings).engine
                plan = _pushed(context, push, engine, tally, read, came, costs)
                if writer is not None:
                    writer.finish(
                        PlanHeader(
                            recipe=recipe.name,
                            file=str(file.resolve()),
                            made=context.now,
                            digest=digest_of_file(file),
                            journal=push.journal.fingerprint(),
                            rows=read,
                            words=dict(plan.words),
                        )
                    )
            finally:
                if writer is not None:
                    writer.close()
        finally:
            push.journal.close()
    finally:
        source.close()
    return plan


def _at_rest(recipe: Recipe, push: Push) -> Any:
    """Where the next run would read. Raises ArgumentError while one is under way."""
    kept = push.read_state()
    state = None if kept is None else read_state(kept.state)
    if push.journal.under_way() is not None or (state is not None and state.run is not None):
        raise ArgumentError(f"{recipe.name}: a run is not at its end: let `connectory sync` end it, then plan")
    return None if state is None else state.mark


def _regrouped(source: SourceReader, position: Any, size: int | None) -> Iterator[tuple[Sequence[Row], int]]:
    """The rows as the destination would get them, and how many came before the change for them."""
    held: list[Row] = []
    came = 0
    fit_chunks(source, size)
    for chunk in source.chunks(position):
        came += len(chunk.rows) if chunk.came is None else chunk.came
        held += chunk.rows
        while held and (size is None or len(held) >= size):
            cut = len(held) if size is None else size
            yield held[:cut], came
            held, came = held[cut:], 0
    if held or came:
        yield held, came


def _pushed(context: Context, push: Push, engine: Engine, tally: _Tally, read: int, came: int, costs: Costs) -> Plan:
    recipe = context.loaded.recipe
    options, warning = recipe.to.options, ""
    operation = push.courier.plan
    calls = {"write": tally.calls}
    if operation.operation.merge is not None:
        calls["read first"] = tally.calls
    gone = push.journal.count_accepted() - tally.there if push.remover is not None else 0
    if gone and push.remover is not None:
        total = push.journal.count_accepted()
        if not tally.there or gone > push.remover.most * total:
            warning = (
                f"{gone:,} of {total:,} rows delivered are gone from the source, more than "
                f"most_removed ({options.most_removed}) allows: the sync would remove none and fail"
            )
            gone = 0
        tally.words["remove"] += gone
        calls["remove"] = _calls(push.remover.courier.plan, gone)
    return Plan(
        recipe=recipe.name,
        pushes=True,
        read=read,
        came=came,
        words={word: count for word, count in tally.words.items() if count},
        fields=dict(tally.fields.most_common()),
        problems=tally.problems,
        outlook=outlook_of(context, engine, [operation], calls, at_once=1),
        cost=costs.calls,
        warning=warning,
    )


# Pulls --------------------------------------------------------------------------------------------------------------


def _plan_pull(context: Context, options: FromOperation, costs: Costs) -> Plan:
    """By the vendor's own count, which costs one call."""
    recipe = context.loaded.recipe
    source = open_operation(context, options)
    mark = _mark(context, source)
    first = next(iter(source.chunks(mark)), None) if not options.parents else None
    total = first.total if first is not None else None
    engine, operation = source.wish.engine, source.wish.plan
    calls: dict[str, int] = {}
    used = [operation]
    if total is not None:
        largest = operation.pager.largest if operation.pager is not None else None
        calls["pages"] = max(1, -(-total // largest)) if largest else 1
        if options.complete and operation.operation.detail is not None:
            calls["details"] = total
            used.append(engine.plan(operation.operation.detail.operation))
    return Plan(
        recipe=recipe.name,
        pushes=False,
        read=0,
        came=0,
        words={},
        fields={},
        problems=(),
        outlook=outlook_of(context, engine, used, calls, at_once=engine.concurrency, known=total is not None),
        cost=costs.calls,
        records=total,
        since=mark.get("next") if isinstance(mark, Mapping) else None,
    )


def _mark(context: Context, source: SourceReader) -> Any:
    """Where the next run would begin, where the destination is there to know it. Raises ArgumentError while one is
    under way."""
    recipe = context.loaded.recipe
    file = getattr(recipe.to.options, "duckdb", None)
    if file is not None and not (context.root / file).exists():
        return None
    destination = open_target(context, source)
    try:
        kept = destination.read_state()
    finally:
        destination.close()
    state = None if kept is None else read_state(kept.state)
    if state is not None and state.run is not None:
        raise ArgumentError(f"{recipe.name}: run {state.run.id} is not at its end: `connectory sync` goes on with it")
    return None if state is None else state.mark


def _plan_copy(context: Context, costs: Costs) -> Plan:
    """No vendor is called: the rows are read and counted."""
    source = open_source(context)
    read = came = 0
    try:
        for chunk in source.chunks(None):
            read += len(chunk.rows)
            came += len(chunk.rows) if chunk.came is None else chunk.came
    finally:
        source.close()
    name = context.loaded.recipe.name
    return Plan(
        recipe=name,
        pushes=False,
        read=read,
        came=came,
        words={},
        fields={},
        problems=(),
        outlook=None,
        cost=costs.calls,
    )


# Calls and time -----------------------------------------------------------------------------------------------------


def outlook_of(
    context: Context,
    engine: Engine,
    operations: Sequence[Operation],
    calls: Mapping[str, int],
    *,
    at_once: int,
    known: bool = True,
) -> Outlook:
    """What so many calls cost of the limits, and when they would have gone, by the ledger's own rules."""
    recipe, ledger = context.loaded.recipe, engine.line.ledger
    restraint = Restraint(recipe.share, recipe.reserve)
    budgets = {budget.key: budget for operation in operations for budget in engine.purpose(operation).budgets}
    spent = [attrs.evolve(budget, restraint=restraint) for budget in budgets.values()]
    needed = {purpose: count for purpose, count in calls.items() if count}
    if needed and lacks_login(engine.line):
        needed = {"login": 1, **needed}
    pace = pace_of(context.root, recipe.name)
    now = engine.line.clock.now()
    histories = [ledger.history(budget) for budget in spent]
    told = Forecast(now, {})
    if needed and histories:
        told = forecast(histories, sum(needed.values()), seconds=pace or USUAL, at_once=at_once, hours=recipe.between)
    elif needed:
        told = Forecast(now + sum(needed.values()) * (pace or USUAL) / at_once, {})
    gauge = Gauge(Costs(budgets={(engine.spec.name, budget.name): budget for budget in spent}), ledger)
    return Outlook(
        calls=needed,
        known=known,
        left=gauge.left(),
        pace=pace or USUAL,
        measured=pace is not None,
        now=now,
        ends=told.ends,
        waits=told.waits,
    )


class _NoToken(Exception):
    """None is kept."""


def lacks_login(line: Line) -> bool:
    """Whether the first call has to get a token."""
    if line.token is None or line.token_key is None:
        return False

    def fetch() -> Token:
        raise _NoToken

    try:
        line.tokens.get_or_fetch(line.token_key, line.clock, fetch)
    except _NoToken:
        return True
    return False


def pace_of(root: Path, recipe: str) -> float | None:
    """Seconds that a call of the last runs took, waits left out; None where nobody knows."""
    try:
        runs = read_runs(root, recipe=recipe, most=_RUNS)
    except RunsError:
        return None
    calls = sum(run.calls for run in runs)
    if not calls:
        return None
    busy = sum(max(0.0, run.seconds - sum(run.waits.values())) for run in runs)
    return busy / calls
