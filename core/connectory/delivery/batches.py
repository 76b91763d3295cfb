"""Items in, accounts out: check, cut, send; of a refused batch the offenders leave and the rest goes again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs
import msgspec

from connectory.answers import Answer
from connectory.delivery.accounts import ItemResult, Word
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
    invalid: list[ItemResult] = []
    broken: list[Exception] = []
    cutter = _Cutter(batching)
    checked = _checked(batching, _until_broken(items, broken), invalid)
    stopped: ConnectoryError | None = None
    for chunk in cutter.chunks(checked):
        if stopped is None and cutter.broken is not None:
            stopped = cutter.broken
            yield stopped
        if stopped is None and not broken:
            results = _send_chunk(batching, chunk)
            try:
                yield from results
            except Stopped as stop:
                stopped = stop.cause
                yield stopped
        else:
            yield from (_result(item, "not_tried") for item in chunk)
        yield from _drain(invalid)
    yield from _drain(invalid)
    if broken:
        raise broken[0]


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

    def chunks(self, items: Iterator[tuple[Item, int]]) -> Iterator[list[Item]]:
        try:
            with plugin_code(f"cutting batches by '{self._batch.use}'"):
                yield from self._sound(items)
        except PluginError as why:
            self.broken = why
            yield [*self._held.values(), *(item for item, _ in items)]

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


def _drain(invalid: list[ItemResult]) -> Iterator[ItemResult]:
    yield from invalid
    invalid.clear()


def _checked(batching: Batching, items: Iterable[Any], invalid: list[ItemResult]) -> Iterator[tuple[Item, int]]:
    weigh = batching.batch.bytes is not None
    warner = RiseWarner(batching.fields)
    if batching.write is as_it_is and not (weigh or batching.batch.make_keys or warner.watches):
        yield from ((Item(row, given, given), 0) for row, given in enumerate(items, 1))
        return
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


def _result(item: Item, word: Word, **more: Any) -> ItemResult:
    return ItemResult(item.row, item.given, word, **more)


@attrs.frozen
class _Ended:
    """One request is over: items that have their word, parts that go again (with how many rounds they had before),
    and the error after which nothing more can be sent."""

    results: Sequence[ItemResult]
    again: Sequence[tuple[list[Item], int]] = ()
    stopped: ConnectoryError | None = None


def _send_chunk(batching: Batching, chunk: list[Item]) -> Iterator[ItemResult]:
    waiting = [(chunk, 0)]
    while waiting:
        (items, rounds), *waiting = waiting
        batching.watch.going([item.row for item in items])
        ended = _send(batching, items, rounds)
        batching.watch.told([result for result in ended.results if result.word != "not_tried"])
        yield from ended.results
        if ended.stopped is not None:
            yield from (_result(item, "not_tried") for left, _ in waiting for item in left)
            raise Stopped(ended.stopped) from ended.stopped
        waiting = [*ended.again, *waiting]


def _send(batching: Batching, items: list[Item], rounds: int) -> _Ended:
    try:
        answer = batching.send([item.wire for item in items])
    except UnknownOutcome as why:
        return _Ended([_result(item, "unknown", words=str(why), status=why.status) for item in items])
    except Missing as why:
        if batching.destroys and len(items) == 1:
            return _Ended([_result(items[0], "delivered", words="it was gone already", status=why.status)])
        return _after_refusal(batching, items, why, rounds)
    except Exists as why:
        if batching.only_new and len(items) == 1:
            return _Ended([_result(items[0], "unchanged", words="it was there already", status=why.status)])
        return _after_refusal(batching, items, why, rounds)
    except Rejected as why:
        return _after_refusal(batching, items, why, rounds)
    except BadAnswer as why:
        # A repeatable call whose answer cannot be read: it was sent, and nobody can say what became of it.
        return _Ended([_result(item, "unknown", words=str(why), status=why.status) for item in items])
    except ConnectoryError as why:
        return _Ended([_result(item, "not_tried", words=str(why)) for item in items], stopped=why)
    ended = _after_answer(batching, items, answer, rounds)
    if not batching.queued(answer):
        return ended
    results = [attrs.evolve(one, word="accepted") if one.word == "delivered" else one for one in ended.results]
    return attrs.evolve(ended, results=results)


def _after_answer(batching: Batching, chunk: list[Item], answer: Answer, rounds: int) -> _Ended:
    if not batching.results:
        return _Ended([_result(item, "delivered", status=answer.status) for item in chunk])
    reading = batching.read(batching.results, answer, [item.wire for item in chunk], batching.redact)
    if not reading.failures and not reading.strangers:
        return _Ended(list(_all_good(batching, chunk, reading, answer)))
    if batching.batch.atomic:
        return _without_offenders(chunk, reading, answer, rounds)
    return _Ended(list(_item_by_item(batching, chunk, reading, answer)))


def _all_good(batching: Batching, chunk: list[Item], reading: Reading, answer: Answer) -> Iterator[ItemResult]:
    """Nothing failed. An answer that should name the items but names too few says nothing that can be trusted."""
    if not reading.listed and not reading.said:
        yield from [ItemResult(item.row, item.given, "delivered", status=answer.status) for item in chunk]
        return
    complete = not reading.listed or reading.entries >= len(chunk)
    for position, item in enumerate(chunk):
        said = reading.said.get(position)
        known = said is not None or not reading.listed or (batching.batch.atomic and complete)
        if (known and complete) or (known and not batching.batch.atomic):
            yield _result(item, "delivered", id=said.id if said else None, status=answer.status)
        else:
            named = f"{reading.entries} of {len(chunk)} items and does not name this one"
            words = f"the vendor answered {answer.status} for {named}"
            yield _result(item, "unknown", words=words, status=answer.status)


def _without_offenders(chunk: list[Item], reading: Reading, answer: Answer, rounds: int) -> _Ended:
    """All or nothing, and some failed: those are rejected, the others were not written and go again."""
    failures = reading.failures
    results = [
        _result(chunk[position], "rejected", words=said.words, code=said.code, status=answer.status)
        for position, said in failures.items()
    ]
    rest = [item for position, item in enumerate(chunk) if position not in failures]
    if not rest:
        return _Ended(results)
    if failures and rounds < MOST_ROUNDS:
        return _Ended(results, [(rest, rounds + 1)])
    if len(chunk) == 1:  # the failure fits no item, but can be about this one only
        said = reading.strangers[0]
        return _Ended([_result(chunk[0], "rejected", words=said.words, code=said.code, status=answer.status)])
    return _Ended(results, _halves(rest, rounds))


def _item_by_item(batching: Batching, chunk: list[Item], reading: Reading, answer: Answer) -> Iterator[ItemResult]:
    silent_is_good = (
        all(spec.reports == "failures" for spec in batching.results if spec.count is None) and not reading.strangers
    )
    for position, item in enumerate(chunk):
        said = reading.said.get(position)
        if said is not None:
            word: Word = "delivered" if said.good else "rejected"
            yield _result(item, word, id=said.id, words=said.words, code=said.code, status=answer.status)
        elif silent_is_good:
            yield _result(item, "delivered", status=answer.status)
        else:
            yield _result(item, "unknown", words="the vendor's answer does not name this item", status=answer.status)


def _after_refusal(batching: Batching, chunk: list[Item], why: Rejected, rounds: int) -> _Ended:
    """The call as a whole was refused and nobody is named. Halving finds the offender where that does no harm."""
    too_large = why.status == 413  # RFC 9110, 15.5.14: the request was refused for its size, so nothing was done
    if len(chunk) > 1 and (batching.harmless or too_large):
        return _Ended([], _halves(chunk, rounds))
    alone = "" if len(chunk) == 1 else f" (one of {len(chunk)} items refused together)"
    words = (why.words or str(why)) + alone
    return _Ended([_result(item, "rejected", words=words, code=why.code, status=why.status) for item in chunk])


def _halves(chunk: list[Item], rounds: int) -> list[tuple[list[Item], int]]:
    middle = len(chunk) // 2
    return [(half, rounds) for half in (chunk[:middle], chunk[middle:]) if half]
