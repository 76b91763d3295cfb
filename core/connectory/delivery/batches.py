"""Items in, accounts out: check, cut, send; of a refused batch the offenders leave and the rest goes again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from connectory.answers import Answer
from connectory.delivery.accounts import ItemResult, Word
from connectory.delivery.results import Reading, read_results
from connectory.errors import BadAnswer, ConnectoryError, Missing, Rejected, UnknownOutcome
from connectory.plugins.kinds import BatchKind
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


@attrs.frozen
class Batching:
    """How the items of one operation travel. `send` does one call with a list of wire items and returns its answer.

    `harmless` says that part of a refused batch may be sent again: the call is sourced as atomic, or repeatable.
    `destroys` says that what is missing already is as good as removed, `queued` whether an answer only says that the
    items wait at the vendor's, and `redact` takes secrets out of its words.
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
    queued: Callable[[Answer], bool] = lambda _: False
    redact: Callable[[str], str] = str


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
    checked = _checked(batching, _until_broken(items, broken), invalid)
    stopped: ConnectoryError | None = None
    for chunk in batching.kind.cut(batching.batch, checked):
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


def _until_broken(items: Iterable[Any], broken: list[Exception]) -> Iterator[Any]:
    try:
        yield from items
    except Exception as why:  # whatever the caller's own source raises; it is raised again in the end
        broken.append(why)


def _drain(invalid: list[ItemResult]) -> Iterator[ItemResult]:
    yield from invalid
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


def _send_chunk(batching: Batching, chunk: list[Item], rounds: int = 0) -> Iterator[ItemResult]:
    try:
        answer = batching.send([item.wire for item in chunk])
    except UnknownOutcome as why:
        yield from (_result(item, "unknown", words=str(why), status=why.status) for item in chunk)
    except Missing as why:
        if batching.destroys and len(chunk) == 1:
            yield _result(chunk[0], "delivered", words="it was gone already", status=why.status)
        else:
            yield from _after_refusal(batching, chunk, why, rounds)
    except Rejected as why:
        yield from _after_refusal(batching, chunk, why, rounds)
    except BadAnswer as why:
        # A repeatable call whose answer cannot be read: it was sent, and nobody can say what became of it.
        yield from (_result(item, "unknown", words=str(why), status=why.status) for item in chunk)
    except ConnectoryError as why:
        yield from (_result(item, "not_tried", words=str(why)) for item in chunk)
        raise Stopped(why) from why
    else:
        queued = batching.queued(answer)
        for result in _after_answer(batching, chunk, answer, rounds):
            yield attrs.evolve(result, word="accepted") if queued and result.word == "delivered" else result


def _after_answer(batching: Batching, chunk: list[Item], answer: Answer, rounds: int) -> Iterator[ItemResult]:
    if not batching.results:
        yield from (_result(item, "delivered", status=answer.status) for item in chunk)
        return
    reading = read_results(batching.results, answer, [item.wire for item in chunk], batching.redact)
    if not reading.failures and not reading.strangers:
        yield from _all_good(batching, chunk, reading, answer)
    elif batching.batch.atomic:
        yield from _without_offenders(batching, chunk, reading, answer, rounds)
    else:
        yield from _item_by_item(batching, chunk, reading, answer)


def _all_good(batching: Batching, chunk: list[Item], reading: Reading, answer: Answer) -> Iterator[ItemResult]:
    """Nothing failed. An answer that should name the items but names too few says nothing that can be trusted."""
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


def _without_offenders(
    batching: Batching, chunk: list[Item], reading: Reading, answer: Answer, rounds: int
) -> Iterator[ItemResult]:
    """All or nothing, and some failed: those are rejected, the others were not written and go again."""
    failures = reading.failures
    for position, said in failures.items():
        yield _result(chunk[position], "rejected", words=said.words, code=said.code, status=answer.status)
    rest = [item for position, item in enumerate(chunk) if position not in failures]
    if not rest:
        return
    if failures and rounds < MOST_ROUNDS:
        yield from _send_chunk(batching, rest, rounds + 1)
    elif len(chunk) == 1:  # the failure fits no item, but can be about this one only
        said = reading.strangers[0]
        yield _result(chunk[0], "rejected", words=said.words, code=said.code, status=answer.status)
    else:
        yield from _halve(batching, rest, rounds)


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


def _after_refusal(batching: Batching, chunk: list[Item], why: Rejected, rounds: int) -> Iterator[ItemResult]:
    """The call as a whole was refused and nobody is named. Halving finds the offender where that does no harm."""
    too_large = why.status == 413  # RFC 9110, 15.5.14: the request was refused for its size, so nothing was done
    if len(chunk) > 1 and (batching.harmless or too_large):
        yield from _halve(batching, chunk, rounds)
        return
    alone = "" if len(chunk) == 1 else f" (one of {len(chunk)} items refused together)"
    yield from (
        _result(item, "rejected", words=(why.words or str(why)) + alone, code=why.code, status=why.status)
        for item in chunk
    )


def _halve(batching: Batching, chunk: list[Item], rounds: int) -> Iterator[ItemResult]:
    if len(chunk) == 1:
        yield from _send_chunk(batching, chunk, rounds)
        return
    middle = len(chunk) // 2
    halves = [chunk[:middle], chunk[middle:]]
    for number, half in enumerate(halves):
        try:
            yield from _send_chunk(batching, half, rounds)
        except Stopped:
            for left in halves[number + 1 :]:
                yield from (_result(item, "not_tried") for item in left)
            raise
