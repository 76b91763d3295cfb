"""Rows that a recipe holds back, sent again after mending, or decided upon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from connectory.connecting import Parts
from connectory.delivery.accounts import Accounts
from connectory.delivery.journal import Held, read_held
from connectory.delivery.journalfile import journal_path
from connectory.destinations.destination import Problem, Written
from connectory.errors import ArgumentError, ConnectoryError
from connectory.limits.budgets import Restraint
from connectory.recipes.context import Connectors, Context
from connectory.recipes.preparing import surroundings
from connectory.recipes.pushing.calls import Row, record_fields
from connectory.recipes.pushing.opening import open_target_operation
from connectory.recipes.pushing.push import Push
from connectory.recipes.pushing.rejects import FORMS, RejectsFile, told
from connectory.recipes.recipe import LoadedRecipe, ToOperation, load_recipe
from connectory.recipes.state import load

Decision = Literal["resend", "drop"]
Again = tuple[Row, int | None]


@attrs.define
class Replayed:
    """The end of a replay. `settled` rows were held no longer when it began; `dropped` are taken as arrived;
    `undecided` wait for a decision; `held` is how many rows are held in the end."""

    recipe: str
    accounts: Accounts = attrs.Factory(Accounts)
    problems: list[Problem] = attrs.Factory(list)
    settled: int = 0
    dropped: int = 0
    undecided: int = 0
    held: int = 0
    calls: int = 0
    error: ConnectoryError | None = None

    @property
    def exit_code(self) -> int:
        """0 when all is delivered, 3 when some rows are still held back, else the error's own."""
        if self.error is not None:
            return self.error.exit_code
        return 0 if self.accounts.clean and not self.held else 3


def held_rows(root: Path, recipe: str) -> Iterator[Mapping[str, Any]]:
    """The rows that a recipe of the project holds back, as its rejects file has them: what a table of them is made of.
    A run may be under way. Raises JournalError."""
    return map(told, read_held(journal_path(root, recipe)))


def replay(
    file: str | Path,
    mended: Path | None = None,
    *,
    unknown: Decision | None = None,
    settings: Mapping[str, Any] | None = None,
    profile: str | None = None,
    max_wait: float = 300.0,
    parts: Parts | None = None,
    root: Path | None = None,
    on_wait: Callable[[str, float, str], None] | None = None,
) -> Replayed:
    """Send what a recipe holds back. Raises InputError before anything is sent.

    The rows are those of `mended`, else of the recipe's rejects file, else as they were. Rows of unknown outcome stay,
    unless `unknown` decides upon them, and then upon them alone: `resend` sends them again, `drop` takes them as
    arrived.
    """
    parts = parts or Parts()
    file = Path(file)
    root, registry = surroundings(file, root)
    loaded = load_recipe(registry, file)
    parts = attrs.evolve(parts, restraint=Restraint(loaded.recipe.share, loaded.recipe.reserve))
    options = pushing_options(loaded)
    connectors = Connectors(root, parts, profile, max_wait, settings or {}, on_wait)
    context = Context(
        loaded=loaded, root=root, registry=registry, parts=parts, connectors=connectors, now=parts.clock.now(),
        confirmed=True,
    )  # fmt: skip
    report = Replayed(loaded.recipe.name)
    rejects = root / options.rejects if options.rejects is not None and unknown is None else None
    if mended is None and rejects is not None and rejects.exists():
        mended = rejects
    own = mended is not None and rejects is not None and mended.resolve() == rejects.resolve()
    try:
        push = open_target_operation(context, options)
        try:
            unsent = _replay(push, _source(context, push, mended), unknown, report)
            if own and unsent is not None:
                push.rewrite_rejects(unsent)
            report.held = push.journal.count_held()
        finally:
            push.close(rejects=not own)  # else what was mended there stands until it is used
    finally:
        report.calls = connectors.calls
        connectors.close()
    return report


def pushing_options(loaded: LoadedRecipe) -> ToOperation:
    """The `to` of a recipe that pushes. Raises SpecError for one that does not."""
    options = loaded.recipe.to.options
    if not isinstance(options, ToOperation):
        raise ArgumentError(
            f"{loaded.recipe.name} writes to {loaded.recipe.to.kind}: only what a vendor refuses is held"
        )
    return options


def _source(context: Context, push: Push, mended: Path | None) -> Sequence[Again] | None:
    """The rows of the mended file; None for those of the journal."""
    if mended is None:
        return None
    if mended.suffix.lower() not in FORMS:
        raise ArgumentError(f"{mended}: expected a file that ends in {' or '.join(FORMS)}")
    options = pushing_options(context.loaded)
    spec = context.connectors.get(options.connector, options.settings).engine.spec
    return list(RejectsFile(mended, record_fields(spec, push.courier.plan)).read())


def _replay(
    push: Push, mended: Sequence[Again] | None, unknown: Decision | None, report: Replayed
) -> Sequence[Again] | None:
    """Send them. Those of the mended file that are still to be sent; None where that is not known."""
    left = push.resume()
    if left is not None and left.stopped is not None:
        report.error = left.stopped
        return None
    held = {one.id: one for one in push.journal.held()}
    undecided = {id_ for id_, one in held.items() if one.word == "unknown"}
    if unknown == "drop":
        report.dropped = push.drop(held[id_] for id_ in undecided)
        return None
    again = list(_again(mended, held, undecided, unknown, report))
    size = push.rows_per_write
    report.accounts.read = len(again)
    unsent: Sequence[Again] | None = ()
    try:
        for start in range(0, len(again), size):
            part = again[start : start + size]
            written = push.replay([row for row, _ in part], [id_ for _, id_ in part])
            _count(report, written)
            if written.stopped is not None:
                report.error = written.stopped
                # The journal has the rows of this part, and sends them first: those it holds as well stay mended.
                unsent = [*((row, id_) for row, id_ in part if id_ is not None), *again[start + size :]]
                break
    except ConnectoryError as why:
        report.error, unsent = why, None
    report.accounts.add("not_tried", report.accounts.read - report.accounts.settled)
    if unsent is None:
        return None
    return [*((row, id_) for row, id_ in mended or () if id_ in undecided), *unsent]


def _again(
    mended: Sequence[Again] | None,
    held: Mapping[int, Held],
    undecided: set[int],
    unknown: Decision | None,
    report: Replayed,
) -> Iterator[Again]:
    """What is sent: of the file's rows those that are still held, or new."""
    if unknown is None:
        report.undecided = len(undecided)
    rows = mended if mended is not None else [(load(one.row), id_) for id_, one in held.items()]
    for row, id_ in rows:
        if id_ is not None and id_ not in held:
            report.settled += 1
        elif (id_ in undecided) == (unknown is not None):
            yield row, id_


def _count(report: Replayed, written: Written) -> None:
    for word, count in written.counts.items():
        report.accounts.add(word, count)  # type: ignore[arg-type]
    report.problems += written.problems
