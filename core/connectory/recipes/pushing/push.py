"""A vendor's write operation as a destination: every row handed over is delivered, or held back with its reason.

What is under way stands in the journal before each request and after each answer. A start after a kill goes on there:
rows with a word keep it; those that no request held are sent; those in a request without an answer are sent again
where that does no harm, else looked up where the recipe says how (`read_back`), else `unknown` and held for a decision.
When the vendor cannot be used any more, the chunk stays in the journal, and the next start begins with what is left.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import ClassVar, Final

import attrs

from connectory.clock import Clock
from connectory.delivery.accounts import Alike, ItemResult
from connectory.delivery.journal import Accepted, Chunk, Held, Journal, Kind, Outcome, Settled, UnderWay, beside
from connectory.destinations.destination import Kept, Problem, Written
from connectory.errors import ConnectoryError, DestinationError
from connectory.recipes.pushing.calls import ROWS_OF_SINGLE_CALLS, Courier, Row, fingerprint
from connectory.recipes.pushing.lookup import Lookup
from connectory.recipes.pushing.recording import Recorder
from connectory.recipes.pushing.rejects import Mended, RejectsFile
from connectory.recipes.pushing.removing import Remover
from connectory.recipes.pushing.rows import (
    GOOD,
    TWICE,
    Fate,
    Parcel,
    Plain,
    Sorted,
    Sorter,
    follow,
    keepable,
    pack_rows,
    unpack_rows,
)
from connectory.recipes.state import dump, read_state

_AT_LEAST: Final = 1000  # rows of a chunk where many of them may be unchanged, so that calls are full all the same
_MOST_CALLS: Final = 10  # and how many calls such a chunk may take
_REJECTS: Final = "rejects"  # the note of the digest of the rejects file as it was last written
_LOST: Final = "the program ended while the request was under way"


@attrs.frozen
class Binding:
    """Where the rows go from now on; `forget` what was taken elsewhere."""

    target: str
    forget: bool


@attrs.define(eq=False)
class Push:
    """One open recipe of a vendor's operation. Made by `opening.open_push`."""

    journal: Journal
    sorter: Sorter
    clock: Clock
    lookup: Lookup | None = None
    remover: Remover | None = None
    rejects: RejectsFile | None = None
    fresh: bool = False
    binding: Binding | None = None  # written with the first rows: to look and send nothing binds nobody
    takes_columns: ClassVar[bool] = True

    @property
    def courier(self) -> Courier:
        """Who takes the rows there."""
        return self.sorter.courier

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that tell rows apart."""
        return self.sorter.keys.names

    @property
    def rows_per_write(self) -> int:
        """Full calls, with something to spare where many rows may be unchanged."""
        batch = self.courier.plan.operation.batch
        if batch is None:
            return ROWS_OF_SINGLE_CALLS
        if not self.sorter.changed_only:
            return batch.largest
        calls = min(_MOST_CALLS, -(-_AT_LEAST // batch.largest))
        return batch.largest * calls

    # The protocol of destinations -------------------------------------------------------------------------------

    def resume(self) -> Written | None:
        """Finish the chunk that an earlier start left; what became of all of its rows."""
        left = self.journal.under_way()
        written = None
        if left is not None:
            written = self._resume(left)
            if written.stopped is not None:
                return written
        if self.fresh:
            self.journal.begin_anew()
        return written

    def write(self, rows: Sequence[Row], state: bytes | None = None) -> Written:
        """One chunk; see `Destination`. Raises JournalError where nothing can be written down."""
        return self._take(self.courier.named(rows), state, "rows")

    def read_state(self) -> Kept | None:
        """What was kept with the last chunk that is settled, or at the end."""
        kept = self.journal.read_state()
        return Kept(*kept) if kept else None

    def finish(self, state: bytes | None = None) -> Written | None:
        """Every row is settled: a mirror removes what the source no longer has."""
        ended = self.remover.remove(self.journal) if self.remover else None
        if ended is None or not ended.unfinished:
            self.journal.finish(state)
        self._write_rejects()
        return ended.written if ended else None

    def close(self, *, rejects: bool = True) -> None:
        """Let go of the journal; `rejects` are written as they are now."""
        try:
            if rejects:
                self._write_rejects()
        finally:
            self.journal.close()

    # Rows held back ---------------------------------------------------------------------------------------------

    def replay(self, rows: Sequence[Row], held: Sequence[int | None]) -> Written:
        """Send rows that were held back, mended or not. `held` are the ids under which the journal holds them."""
        return self._take(list(rows), None, "replay", held)

    def drop(self, rows: Iterable[Held]) -> int:
        """Take rows of unknown outcome as arrived; how many."""
        dropped = list(rows)
        accepted = [
            Accepted(held.key, held.hash, held.row, None, self.journal.pass_)
            for held in dropped
            if held.key is not None and held.hash is not None
        ]
        self.journal.settle(Settled(accepted=accepted, released=[held.id for held in dropped]))
        return len(dropped)

    def rewrite_rejects(self, unsent: Sequence[Mended]) -> None:
        """The mended file was read: it holds from now on what is held, and those of its rows that were not sent."""
        assert self.rejects is not None
        self.journal.keep_note(_REJECTS, self.rejects.rewrite(self.journal.held(), unsent))

    # One chunk ----------------------------------------------------------------------------------------------------

    def _take(
        self, rows: Sequence[Row], state: bytes | None, kind: Kind, held: Sequence[int | None] | None = None
    ) -> Written:
        if self.binding is not None and rows:
            self.journal.bind(self.binding.target, forget=self.binding.forget)
            self.binding = None
        sorted_ = self.sorter.sort(rows, held)
        fates = dict(sorted_.fates)
        stopped = None
        if sorted_.parcels:
            self.journal.hand_over(Chunk(kind, self.courier.plan.name, pack_rows(rows, held), state))
            stopped = self._send(sorted_.parcels, sorted_, fates)
        return self._end(rows, sorted_, fates, state, stopped, held)

    def _resume(self, left: UnderWay) -> Written:
        chunk = left.chunk
        if chunk.kind == "remove":
            if self.remover is None:
                raise DestinationError(f"a removal by {chunk.operation} is under way, and the recipe no longer mirrors")
            return self.remover.resume(self.journal, left)
        if chunk.operation != self.courier.plan.name:
            raise DestinationError(
                f"rows are under way to {chunk.operation}, and the recipe now says {self.courier.plan.name}: let them "
                "end first, with the recipe as it was"
            )
        rows, held = unpack_rows(chunk.rows)
        sorted_ = self.sorter.sort(rows, held)
        fates = {**sorted_.fates, **{row: _fate(one) for row, one in left.outcomes.items() if one.word != "open"}}
        begun = self.journal.progress()  # of an operation made of steps: it is gone on with
        again = self.courier.plan.repeatable or (begun is not None and set(begun[0]) == left.in_flight)
        lost = [row for row in sorted(left.in_flight) if row not in fates]
        if not again and lost:
            outcome = Outcome("unknown", _LOST, attempts=1)
            self.journal.come_back(dict.fromkeys(lost, outcome))
            fates.update(dict.fromkeys(lost, _fate(outcome)))
        parcels = [
            attrs.evolve(parcel, attempts=parcel.attempts + (parcel.number in left.in_flight))
            for parcel in sorted_.parcels
            if parcel.number not in fates
        ]
        # What was in one request goes again as that request, by its key, before anything else.
        first = [parcel for parcel in parcels if parcel.number in left.in_flight]
        stopped = self._deliver(first, fates) if first else None
        if stopped is None:
            stopped = self._send([parcel for parcel in parcels if parcel.number not in left.in_flight], sorted_, fates)
        written = self._end(rows, sorted_, fates, chunk.state, stopped, held)
        if chunk.kind == "replay":  # it belongs to no run: of its rows only the error is told
            return Written(0, stopped=written.stopped)
        return written

    def _send(self, parcels: Sequence[Parcel], sorted_: Sorted, fates: dict[int, Fate]) -> ConnectoryError | None:
        """Send parcels, and once more those that turn out not to have arrived. The error that stopped it, if any."""
        stopped = self._deliver(parcels, fates)
        if stopped is not None or self.lookup is None:
            return stopped
        unsure = [parcel for parcel in sorted_.parcels if fates[parcel.number].word == "unknown"]
        absent = []
        for parcel in unsure:
            try:
                found = self.lookup.look(parcel, sorted_.accepted.get(parcel.key or ""))
            except ConnectoryError as why:
                return why
            outcome = attrs.evolve(_outcome(fates[parcel.number]), word=found.word, words=found.words)
            self.journal.come_back({parcel.number: outcome})
            if found.word == "open":
                before = fates.pop(parcel.number)
                absent.append(attrs.evolve(parcel, attempts=before.attempts))
            else:
                fates[parcel.number] = attrs.evolve(fates[parcel.number], word=found.word, words=found.words)
        return self._deliver(absent, fates)

    def _deliver(self, parcels: Sequence[Parcel], fates: dict[int, Fate]) -> ConnectoryError | None:
        if isinstance(parcels, Plain):
            recorder, wires = _Recorder(self.journal, parcels.numbers, {}, fates), parcels.wires
        else:
            earlier = {parcel.number: parcel.attempts for parcel in parcels}
            recorder, wires = _Recorder(self.journal, list(earlier), earlier, fates), [one.wire for one in parcels]
        stopped = None
        for results in self.courier.send(wires, recorder):
            if isinstance(results, ConnectoryError):
                stopped = results
        return stopped

    def _end(
        self,
        rows: Sequence[Row],
        sorted_: Sorted,
        fates: Mapping[int, Fate],
        state: bytes | None,
        stopped: ConnectoryError | None,
        held: Sequence[int | None] | None,
    ) -> Written:
        """Account for a chunk and settle it; one that was stopped stays in the journal."""
        fates = follow(sorted_.twins, fates)
        if stopped is not None:
            self.journal.keep()
            return attrs.evolve(self._written(rows, fates, stopped), stopped=stopped)
        written = self._written(rows, fates, None)
        self.journal.settle(self._settled(rows, sorted_, fates, state, written, held or ()))
        return written

    def _written(self, rows: Sequence[Row], fates: Mapping[int, Fate], stopped: ConnectoryError | None) -> Written:
        not_tried = Fate("not_tried", str(stopped or ""))
        ends = [fates.get(number, not_tried) for number in range(1, len(rows) + 1)]
        counts = Counter(fate.word for fate in ends)
        pairs = () if GOOD.issuperset(counts) else zip(rows, ends, strict=True)
        problems = tuple(self._problem(row, fate) for row, fate in pairs if fate.word not in GOOD)
        return Written(counts["delivered"], counts["unchanged"], problems, counts["accepted"])

    def _problem(self, row: Row, fate: Fate) -> Problem:
        return Problem(
            row=row,
            field=fate.field,
            reason=fate.words,
            word=fate.word,  # type: ignore[arg-type]
            code=fate.code,
            status=fate.status,
            attempts=fate.attempts,
            repeatable=fate.word != "unknown" or self.courier.plan.repeatable,
        )

    def _settled(
        self,
        rows: Sequence[Row],
        sorted_: Sorted,
        fates: Mapping[int, Fate],
        state: bytes | None,
        written: Written,
        replaced: Sequence[int | None],
    ) -> Settled:
        """What follows from a chunk, for the journal. `replaced` are the ids of the held rows that these stand for."""
        if not sorted_.keys and not written.problems and not replaced:
            return Settled(state=state, counts=written.counts)
        run = self._run_of(state) if written.problems else ""
        sent = {parcel.number: parcel for parcel in sorted_.parcels}
        accepted, held, released = [], [], []
        bad = {sorted_.keys.get(n) for n, fate in fates.items() if fate.word not in GOOD and fate.code != TWICE}
        firsts: dict[str, bytes] = {}  # of each key whose row is held here
        for number, fate in sorted(fates.items()):
            key, parcel = sorted_.keys.get(number), sent.get(number)
            hash_ = sorted_.hashes[number]
            before = sorted_.held.get(key, ()) if key is not None else ()
            before_id = replaced[number - 1] if replaced else None
            if fate.word in GOOD:
                if parcel is not None and key is not None:
                    mended = next((one.hash for one in before if one.id == parcel.held), None)
                    kept = dump(rows[number - 1])
                    accepted.append(Accepted(key, parcel.hash, kept, fate.id, self.journal.pass_, mended))
                if key not in bad:
                    released += [one.id for one in before if _replaced(one, hash_, before_id)]
                if before_id is not None:
                    released.append(before_id)
            elif fate.fresh:
                if key is not None:
                    taken = [one for one in before if one.key == key and (one.run == run or before_id)]
                    further = any(one.id != before_id and one.hash != hash_ for one in taken)
                    if fate.code == TWICE or further or firsts.setdefault(key, hash_) != hash_:
                        key = beside(key, hash_)
                    released += [one.id for one in before if one.hash == hash_ and one.key != key]
                held.append(self._held(rows[number - 1], key, hash_, fate, run, before_id))
        seen = [key for n, key in sorted_.keys.items() if self.remover is not None or fates[n].word == "unchanged"]
        return Settled(state=state, counts=written.counts, accepted=accepted, seen=seen, held=held, released=released)

    def _held(self, row: Row, key: str | None, hash_: bytes, fate: Fate, run: str, before_id: int | None) -> Held:
        kept = keepable(row)
        if key is None and self.sorter.keys.names:  # the same row without a key comes again in the next run
            key = f"#{fingerprint(kept).hex()}"
        return Held(
            id=before_id or 0,
            key=key,
            hash=hash_ or None,
            run=run,
            at=self.clock.now(),
            word=fate.word,
            field=fate.field,
            words=fate.words,
            code=fate.code,
            status=fate.status,
            attempts=fate.attempts,
            repeatable=fate.word != "unknown" or self.courier.plan.repeatable,
            row=kept,
        )

    def _run_of(self, state: bytes | None) -> str:
        run = read_state(state).run if state is not None else None
        return run.id if run is not None else self.journal.pass_

    def _write_rejects(self) -> None:
        if self.rejects is not None:
            digest = self.rejects.update(self.journal.held(), self.journal.note(_REJECTS))
            if digest is not None:
                self.journal.keep_note(_REJECTS, digest)


_KEYS: Final = uuid.UUID("5a1c6d0e-7c3b-5d55-9f0e-3d1f0c8a7b21")


@attrs.define(eq=False)
class _Recorder(Recorder):
    """Counts how often each row was sent, and keeps what became of it. `earlier` tells how often it was before."""

    earlier: Mapping[int, int]
    fates: dict[int, Fate]
    _tries: Counter[int] = attrs.field(init=False, factory=Counter)
    _alike: dict[Hashable, tuple[Fate, Outcome]] = attrs.field(init=False, factory=dict)

    def key(self) -> str:
        """Known by the chunk and its rows, which a restart finds in the journal."""
        return str(uuid.uuid5(_KEYS, f"{self.journal.chunk_id}/{','.join(map(str, self._rows))}"))

    def flight(self, away: bool) -> None:
        if away:
            self._tries.update(self._rows)
        super().flight(away)

    def outcomes(self, results: Sequence[ItemResult]) -> Mapping[int, Outcome]:
        if isinstance(results, Alike):
            numbers = self.numbers_of(results.rows)
            attempts = set(map(self._attempts, numbers))
            if len(attempts) == 1:
                fate, outcome = self._ending(results[0], *attempts)
                self.fates.update(dict.fromkeys(numbers, fate))
                return dict.fromkeys(numbers, outcome)
        found = {}
        for one in results:
            number = self.numbers[one.row - 1]
            self.fates[number], found[number] = self._ending(one, self._attempts(number))
        return found

    def _attempts(self, number: int) -> int:
        return self.earlier.get(number, 0) + self._tries[number]

    def _ending(self, result: ItemResult, attempts: int) -> tuple[Fate, Outcome]:
        """What became of a row. Rows without an id of the vendor's share one: nearly all of a call's are alike."""
        said = (result.word, result.words, result.code, result.status, attempts)
        if result.id is None and said in self._alike:
            return self._alike[said]
        fate = Fate(result.word, result.words, "", result.code, result.status, result.id, attempts)
        ending = fate, _outcome(fate)
        if result.id is None:
            self._alike[said] = ending
        return ending


def _replaced(held: Held, hash_: bytes, before_id: int | None) -> bool:
    """Whether a good row of its key stands for a held one. Of a replay it may have been mended to another's key."""
    return held.hash == hash_ or (before_id in (None, held.id) and held.code != TWICE)


def _outcome(fate: Fate) -> Outcome:
    return Outcome(fate.word, fate.words, fate.code, fate.status, fate.id, fate.attempts)


def _fate(outcome: Outcome) -> Fate:
    return Fate(outcome.word, outcome.words, "", outcome.code, outcome.status, outcome.id, outcome.attempts)
