"""Items in, accounts out: check, cut, send; of a refused batch the offenders leave and the rest goes again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeGuard

import attrs
import msgspec

from connectory.answers import Answer
from connectory.delivery.accounts import Alike, ItemResult, Word
from connectory.delivery.results import Reading, read_results
from connectory.errors import (
    BadAnswer,
    ConnectoryError,
    Exists,
    Missing,
    PluginError,
    Rejected,
    UnknownOutcome,
    plugin_code,
)
from connectory.plugins.builtin import cut_chunks
from connectory.plugins.kinds import BatchKind
from connectory.progress import Course, Uncharted
from connectory.spec.language import Batch, Results
from connectory.spec.places import MISSING, AnswerPath
from connectory.spec.words import Field
from connectory.values.writing import ValueFault, Write

MOST_ROUNDS = 5  # times that offenders may be taken out of one batch before it is halved instead

_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


@attrs.frozen
class Item:
    """One item on its way: `given` as the caller gave it, `wire` as it is sent."""

    row: int
    given: Any
    wire: Any


@attrs.frozen(eq=False)
class Part:
    """Items that go together, by columns: their rows, each as the caller gave it, and as it is sent."""

    rows: Sequence[int]
    given: Sequence[Any]
    wires: Sequence[Any]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Part:
        return cls([item.row for item in items], [item.given for item in items], [item.wire for item in items])

    def __len__(self) -> int:
        return len(self.rows)

    def cut(self, some: slice) -> Part:
        """Those that stand there."""
        return Part(self.rows[some], self.given[some], self.wires[some])

    def without(self, positions: Collection[int]) -> Part:
        """All but those."""
        left = [position for position in range(len(self)) if position not in positions]
        return Part(*([column[position] for position in left] for column in (self.rows, self.given, self.wires)))

    def all(self, word: Word, **more: Any) -> Alike:
        """The results where all ended the same."""
        return Alike(self.rows, self.given, word, **more)

    def one(self, position: int, word: Word, **more: Any) -> ItemResult:
        """The result of one."""
        return ItemResult(self.rows[position], self.given[position], word, **more)


class Watch(Course, Protocol):
    """Is told of every request before and after it: what a journal is written by. May raise, which ends the work.

    Where a request is a flow of several, it is told of its steps too."""

    def going(self, rows: Sequence[int]) -> None:
        """The next request carries the items of these rows."""

    def key(self) -> str:
        """What makes the next request repeatable where the vendor takes a key: after a restart the same; empty: any."""

    def flight(self, away: bool) -> None:
        """True: it leaves now, or leaves again. False: it was surely not applied (refused for a limit, never sent)."""

    def told(self, results: Sequence[ItemResult]) -> None:
        """The request has ended; these items have their word. Its others go again, or were not tried."""


class Unwatched(Uncharted):
    """Nobody is told."""

    def going(self, rows: Sequence[int]) -> None: ...

    def key(self) -> str:
        return ""

    def flight(self, away: bool) -> None: ...

    def told(self, results: Sequence[ItemResult]) -> None: ...


@attrs.frozen
class Batching:
    """How the items of one operation travel. `send` does one call with a list of wire items and returns its answer.

    `harmless` says that part of a refused batch may be sent again: the call is sourced as atomic, or repeatable.
    `destroys` says that what is missing already is as good as removed, `only_new` that what is there already is as
    good as sent, `queued` whether an answer only says that the items wait at the vendor's, and `redact` takes secrets
    out of its words. `watch` is told of every request.
    """

    batch: Batch
    kind: BatchKind
    results: Sequence[Results]
    write: Write
    fields: Mapping[str, Field]
    identity: Sequence[AnswerPath]
    send: Callable[[list[Any]], Answer]
    harmless: bool
    make_key: Callable[[], str]
    destroys: bool = False
    only_new: bool = False
    watch: Watch = attrs.field(factory=Unwatched)
    queued: Callable[[Answer], bool] = lambda _: False
    redact: Callable[[str], str] = str
    read: Callable[[Sequence[Results], Answer, Sequence[Any], Callable[[str], str]], Reading] = read_results


class Stopped(Exception):
    """The run cannot go on; `cause` says why."""

    def __init__(self, cause: ConnectoryError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def deliver(batching: Batching, items: Iterable[Any]) -> Iterator[ItemResult | ConnectoryError]:
    """The result of every item, batch by batch, in the order in which they become known.

    When the vendor can no longer be used, the error comes once and every item left (what `items` still holds
    included) follows as not tried. Where `items` itself breaks, its error is raised when every item that came of it
    has its word.
    """
    for ended in deliver_together(batching, items):
        if isinstance(ended, ConnectoryError):
            yield ended
        else:
            yield from ended


def deliver_together(batching: Batching, items: Iterable[Any]) -> Iterator[Sequence[ItemResult] | ConnectoryError]:
    """The same, with the results of items that ended together in one."""
    invalid: list[ItemResult] = []
    broken: list[Exception] = []
    cutter = _Cutter(batching)
    if _are_sliced(items, batching):
        parts = _slices(items, batching.batch.largest)
    else:
        parts = cutter.parts(_checked(batching, _until_broken(items, broken), invalid))
    stopped: ConnectoryError | None = None
    for part in parts:
        if stopped is None and cutter.broken is not None:
            stopped = cutter.broken
            yield stopped
        if stopped is None and not broken:
            try:
                yield from _send_part(batching, part)
            except Stopped as stop:
                stopped = stop.cause
                yield stopped
        else:
            yield part.all("not_tried")
        yield from _drain(invalid)
    yield from _drain(invalid)
    if broken:
        raise broken[0]


def _are_sliced(items: Iterable[Any], batching: Batching) -> TypeGuard[list[Any]]:
    """Whether nothing has to be done for, or known of, each item before it is sent."""
    batch = batching.batch
    looked_at = batching.write is not as_it_is or batch.make_keys or RiseWarner(batching.fields).watches
    return isinstance(items, list) and not looked_at and batching.kind.cut is cut_chunks and batch.bytes is None


def _slices(items: list[Any], largest: int) -> Iterator[Part]:
    whole = Part(range(1, len(items) + 1), items, items)
    return (whole.cut(slice(start, start + largest)) for start in range(0, len(items), largest))


def as_it_is(item: Any) -> Any:
    """Writes items that were checked and written before."""
    return item


def _until_broken(items: Iterable[Any], broken: list[Exception]) -> Iterator[Any]:
    try:
        yield from items
    except Exception as why:  # whatever the caller's own source raises; it is raised again in the end
        broken.append(why)


class _Cutter:
    """Cuts items into chunks as the kind of batch does, and sees to it that each comes out once.

    `broken` is set when a plug-in raises, keeps items back, or gives others than it got. What it had and what would
    have come is one more chunk then, for its items need a word too.
    """

    def __init__(self, batching: Batching) -> None:
        self._kind, self._batch = batching.kind, batching.batch
        self._held: dict[int, Item] = {}
        self.broken: PluginError | None = None

    def parts(self, items: Iterator[tuple[Item, int]]) -> Iterator[Part]:
        try:
            with plugin_code(f"cutting batches by '{self._batch.use}'"):
                yield from map(Part.of, self._sound(items))
        except PluginError as why:
            self.broken = why
            yield Part.of([*self._held.values(), *(item for item, _ in items)])

    def _sound(self, items: Iterator[tuple[Item, int]]) -> Iterator[list[Item]]:
        for chunk in self._kind.cut(self._batch, self._noted(items)):
            rows = {item.row: item for item in chunk if isinstance(item, Item)}
            if len(rows) < len(chunk) or any(self._held.get(row) is not item for row, item in rows.items()):
                raise PluginError(f"cutting batches by '{self._batch.use}' gave an item twice, or one that is none")
            for row in rows:
                del self._held[row]
            yield chunk
        if self._held:
            raise PluginError(f"cutting batches by '{self._batch.use}' kept {len(self._held)} items back")

    def _noted(self, items: Iterator[tuple[Item, int]]) -> Iterator[tuple[Item, int]]:
        for item, weight in items:
            self._held[item.row] = item
            yield item, weight


def _drain(invalid: list[ItemResult]) -> Iterator[Sequence[ItemResult]]:
    if invalid:
        yield [*invalid]
        invalid.clear()


def _checked(batching: Batching, items: Iterable[Any], invalid: list[ItemResult]) -> Iterator[tuple[Item, int]]:
    weigh = batching.batch.bytes is not None
    warner = RiseWarner(batching.fields)
    for row, given in enumerate(items, 1):
        try:
            wire = batching.write(given)
        except ValueFault as fault:
            invalid.append(ItemResult(row, given, "invalid", words=str(fault), code="invalid"))
            continue
        if batching.batch.make_keys:
            wire = with_key(wire, batching.fields, batching.identity, batching.make_key)
        warner.look(row, wire)
        yield Item(row, given, wire), len(_encode(wire)) if weigh else 0


def with_key(
    wire: Any, fields: Mapping[str, Field], identity: Sequence[AnswerPath], make_key: Callable[[], str]
) -> Any:
    """The item with a made-up key where nothing in it identifies the record."""
    if not isinstance(wire, dict) or any(path.find(wire) not in (MISSING, None, "") for path in identity):
        return wire
    key = next((name for name, field in fields.items() if field.key), None)
    return wire if key is None else {key: make_key(), **wire}


class RiseWarner:
    """Warns once per run when a value that should only rise falls (`rises_with`)."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._watched = [(name, field.rises_with) for name, field in fields.items() if field.rises_with]
        self._last: dict[tuple[str, Any], Any] = {}

    @property
    def watches(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._watched)

    def look(self, row: int, wire: Any) -> None:
        """Compare one item with the last of its group."""
        for name, group in self._watched:
            value, member = wire.get(name), (name, wire.get(group))
            if value is None:
                continue
            if value < self._last.get(member, value):
                warnings.warn(
                    f"row {row}: {name} falls from {self._last[member]} to {value} for one {group}",
                    UserWarning,
                    stacklevel=2,
                )
            self._last[member] = value


@attrs.frozen
class _Ended:
    """One request is over: items that have their word, parts that go again (with how many rounds they had before),
    and the error after which nothing more can be sent; then none of them was tried."""

    results: Sequence[ItemResult]
    again: Sequence[tuple[Part, int]] = ()
    stopped: ConnectoryError | None = None


def _send_part(batching: Batching, part: Part) -> Iterator[Sequence[ItemResult]]:
    waiting = [(part, 0)]
    while waiting:
        (sent, rounds), *waiting = waiting
        batching.watch.going(sent.rows)
        ended = _send(batching, sent, rounds)
        batching.watch.told(ended.results if ended.stopped is None else ())
        yield ended.results
        if ended.stopped is not None:
            yield from (left.all("not_tried") for left, _ in waiting)
            raise Stopped(ended.stopped) from ended.stopped
        waiting = [*ended.again, *waiting]


def _send(batching: Batching, part: Part, rounds: int) -> _Ended:
    try:
        answer = batching.send(list(part.wires))
    except UnknownOutcome as why:
        return _Ended(part.all("unknown", words=str(why), status=why.status))
    except Missing as why:
        if batching.destroys and len(part) == 1:
            return _Ended(part.all("delivered", words="it was gone already", status=why.status))
        return _after_refusal(batching, part, why, rounds)
    except Exists as why:
        if batching.only_new and len(part) == 1:
            return _Ended(part.all("unchanged", words="it was there already", status=why.status))
        return _after_refusal(batching, part, why, rounds)
    except Rejected as why:
        return _after_refusal(batching, part, why, rounds)
    except BadAnswer as why:
        # A repeatable call whose answer cannot be read: it was sent, and nobody can say what became of it.
        return _Ended(part.all("unknown", words=str(why), status=why.status))
    except ConnectoryError as why:
        return _Ended(part.all("not_tried", words=str(why)), stopped=why)
    ended = _after_answer(batching, part, answer, rounds)
    return attrs.evolve(ended, results=_queued(ended.results)) if batching.queued(answer) else ended


def _queued(results: Sequence[ItemResult]) -> Sequence[ItemResult]:
    if isinstance(results, Alike):
        return attrs.evolve(results, word="accepted") if results.word == "delivered" else results
    return [attrs.evolve(one, word="accepted") if one.word == "delivered" else one for one in results]


def _after_answer(batching: Batching, part: Part, answer: Answer, rounds: int) -> _Ended:
    if not batching.results:
        return _Ended(part.all("delivered", status=answer.status))
    reading = batching.read(batching.results, answer, part.wires, batching.redact)
    if not reading.failures and not reading.strangers:
        return _Ended(_all_good(batching, part, reading, answer))
    if batching.batch.atomic:
        return _without_offenders(part, reading, answer, rounds)
    return _Ended(list(_item_by_item(batching, part, reading, answer)))


def _all_good(batching: Batching, part: Part, reading: Reading, answer: Answer) -> Sequence[ItemResult]:
    """Nothing failed. An answer that should name the items but names too few says nothing that can be trusted."""
    if not reading.listed and not reading.said:
        return part.all("delivered", status=answer.status)
    complete = not reading.listed or reading.entries >= len(part)
    named = f"{reading.entries} of {len(part)} items"
    silent = f"the vendor answered {answer.status} for {named} and does not name this one"
    results = []
    for position in range(len(part)):
        said = reading.said.get(position)
        known = said is not None or not reading.listed or (batching.batch.atomic and complete)
        if (known and complete) or (known and not batching.batch.atomic):
            results.append(part.one(position, "delivered", id=said.id if said else None, status=answer.status))
        else:
            results.append(part.one(position, "unknown", words=silent, status=answer.status))
    return results


def _without_offenders(part: Part, reading: Reading, answer: Answer, rounds: int) -> _Ended:
    """All or nothing, and some failed: those are rejected, the others were not written and go again."""
    failures = reading.failures
    results = [
        part.one(position, "rejected", words=said.words, code=said.code, status=answer.status)
        for position, said in failures.items()
    ]
    rest = part.without(failures)
    if not len(rest):
        return _Ended(results)
    if failures and rounds < MOST_ROUNDS:
        return _Ended(results, [(rest, rounds + 1)])
    if len(part) == 1:  # the failure fits no item, but can be about this one only
        said = reading.strangers[0]
        return _Ended(part.all("rejected", words=said.words, code=said.code, status=answer.status))
    return _Ended(results, _halves(rest, rounds))


def _item_by_item(batching: Batching, part: Part, reading: Reading, answer: Answer) -> Iterator[ItemResult]:
    silent_is_good = (
        all(spec.reports == "failures" for spec in batching.results if spec.count is None) and not reading.strangers
    )
    for position in range(len(part)):
        said = reading.said.get(position)
        if said is not None:
            word: Word = "delivered" if said.good else "rejected"
            yield part.one(position, word, id=said.id, words=said.words, code=said.code, status=answer.status)
        elif silent_is_good:
            yield part.one(position, "delivered", status=answer.status)
        else:
            words = "the vendor's answer does not name this item"
            yield part.one(position, "unknown", words=words, status=answer.status)


def _after_refusal(batching: Batching, part: Part, why: Rejected, rounds: int) -> _Ended:
    """The call as a whole was refused and nobody is named. Halving finds the offender where that does no harm."""
    too_large = why.status == 413  # RFC 9110, 15.5.14: the request was refused for its size, so nothing was done
    if len(part) > 1 and (batching.harmless or too_large):
        return _Ended([], _halves(part, rounds))
    alone = "" if len(part) == 1 else f" (one of {len(part)} items refused together)"
    return _Ended(part.all("rejected", words=(why.words or str(why)) + alone, code=why.code, status=why.status))


def _halves(part: Part, rounds: int) -> list[tuple[Part, int]]:
    middle = len(part) // 2
    halves = part.cut(slice(middle)), part.cut(slice(middle, None))
    return [(half, rounds) for half in halves if len(half)]
