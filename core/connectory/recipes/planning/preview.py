"""A sync without its end: the first rows are read and changed, and the first request is made but not sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NoReturn

import attrs

from connectory.calls import Line
from connectory.connecting import Parts
from connectory.delivery.batches import Unwatched
from connectory.errors import ConnectoryError
from connectory.limits.costs import Costs
from connectory.messages import Request
from connectory.recipes.opening import open_source
from connectory.recipes.preparing import prepared
from connectory.recipes.pushing.opening import open_push
from connectory.recipes.pushing.push import Push
from connectory.recipes.source import Row, SourceReader, fit_chunks
from connectory.recipes.state import read_state
from connectory.secrets import Redactor

_MOST_CHUNKS: Final = 50  # looked at for the first row


class _Made(ConnectoryError):
    """The request was made, and is not sent."""

    def __init__(self, request: Request) -> None:
        super().__init__("a dry run sends nothing")
        self.request = request


@attrs.frozen
class Shown:
    """A request for people: secrets are taken out. `body` is its text; None where it has none."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str | None


@attrs.frozen(kw_only=True)
class Preview:
    """What the first rows come to. `words` counts them: `sent`, and of those kept back `unchanged` and `invalid`;
    for a table they are `to write`. `came` counts them before the recipe's change, where it has one, and `total` is how
    many rows the source says it has in all."""

    recipe: str
    rows: Sequence[Row]
    came: int | None
    total: int | None
    words: Mapping[str, int]
    problems: Sequence[str] = ()
    request: Shown | None = None
    calls: int = 0

    @property
    def exit_code(self) -> int:
        """0, or 3 where a row of these would not be taken."""
        return 3 if self.problems else 0


def preview(
    file: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    profile: str | None = None,
    max_wait: float = 300.0,
    parts: Parts | None = None,
    root: Path | None = None,
) -> Preview:
    """Read the first rows of a recipe and show what would become of them. Nothing is written or sent but what reading
    takes. Raises InputError, and what the source raises."""
    costs = Costs()
    parts = attrs.evolve(parts or Parts(), costs=costs)
    with prepared(
        file, root=root, parts=parts, settings=settings or {}, profile=profile, max_wait=max_wait, confirmed=True
    ) as context:
        recipe = context.loaded.recipe
        source = open_source(context)
        try:
            if recipe.to.kind != "connector":
                rows, came, total = _first_rows(source, None)
                unkeyed = sum(
                    any(row.get(key) is None for key in getattr(recipe.to.options, "key", ())) for row in rows
                )
                words = {"to write": len(rows) - unkeyed, "invalid": unkeyed}
                return Preview(
                    recipe=recipe.name,
                    rows=rows,
                    came=came,
                    total=total,
                    words={word: count for word, count in words.items() if count},
                    problems=[f"invalid: the key is missing in {unkeyed:,} rows"] if unkeyed else [],
                    calls=costs.calls,
                )
            push = open_push(context, recipe.to.options, source)
            try:
                fit_chunks(source, push.rows_per_write)
                rows, came, total = _first_rows(source, position_of(push))
                vendor = context.connectors.get(recipe.to.options.connector, recipe.to.options.settings)
                shown = _show(push, vendor.engine.line, rows)
            finally:
                push.journal.close()
            return attrs.evolve(shown, recipe=recipe.name, came=came, total=total, calls=costs.calls)
        finally:
            source.close()


def position_of(push: Push) -> Any:
    """Where the next start would read."""
    kept = push.read_state()
    if kept is None:
        return None
    state = read_state(kept.state)
    return state.mark if state.run is None else state.run.position


def _first_rows(source: SourceReader, position: Any) -> tuple[Sequence[Row], int | None, int | None]:
    """The first rows, how many they were before a change (None: there is none), and how many there are in all.

    What the source keeps so that a run can go on is let go of, unless an unfinished run will.
    """
    rows: Sequence[Row] = ()
    came, total = None, None
    for chunk in islice(source.chunks(position), _MOST_CHUNKS):
        if chunk.came is not None:
            came = (came or 0) + chunk.came
        total = chunk.total if total is None else total
        rows = chunk.rows
        if rows:
            break
    if position is None:
        source.forget()
    return rows, came, total


def _show(push: Push, line: Line, rows: Sequence[Row]) -> Preview:
    named = push.courier.named(rows[: push.rows_per_write])
    sorted_ = push.sorter.sort(named)
    words = Counter(fate.word for fate in sorted_.fates.values())
    words["to send"] = len(sorted_.parcels)
    refused = [fate for fate in sorted_.fates.values() if fate.word not in ("unchanged", "delivered")]
    return Preview(
        recipe="",
        rows=named,
        came=None,
        total=None,
        words={word: count for word, count in words.items() if count},
        problems=[f"{fate.word}: {f'{fate.field}: ' if fate.field else ''}{fate.words}" for fate in refused],
        request=first_request(push, line, [parcel.wire for parcel in sorted_.parcels]),
    )


def first_request(push: Push, line: Line, wires: Sequence[Any]) -> Shown | None:
    """The first write that these rows make; None where nothing would be written. What must be read before, is read."""
    line.preview = _made
    try:
        for result in push.courier.send(wires, Unwatched()):
            if isinstance(result, _Made):
                return _shown(result.request, line.redactor)
            if isinstance(result, ConnectoryError):
                raise result
    finally:
        line.preview = None
    return None


def _made(request: Request) -> NoReturn:
    raise _Made(request)


def _shown(request: Request, redactor: Redactor) -> Shown:
    body = request.body
    if body is not None and not isinstance(body, bytes):
        text: str | None = f"{len(body):,} bytes of {body.content_type}"
    else:
        text = None if body is None else redactor.redact(body.decode("utf-8", "replace"))
    headers = {name: redactor.redact(value) for name, value in request.headers.items()}
    return Shown(request.method, redactor.redact(request.full_url), headers, text)


def columns_of(rows: Sequence[Row]) -> Iterator[str]:
    """The names of the fields of some rows."""
    yield from dict.fromkeys(name for row in rows for name in row)
