"""Rows sorted before anything is sent: which go, which are as the vendor has them already, which are held back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Literal, overload

import attrs
import msgspec

from connectory.delivery.journal import Accepted, Held, Journal
from connectory.recipes.exact import pack, unpack
from connectory.recipes.pushing.calls import Courier, Row, fingerprint
from connectory.recipes.state import dump, load
from connectory.spec.places import MISSING, AnswerPath, parse_path
from connectory.table import Table
from connectory.values.writing import ValueFault

Mode = Literal["upsert", "create_only", "update_only", "mirror"]
TWICE = "duplicate"  # code of a row whose key came before with other values
GOOD = frozenset({"delivered", "accepted", "unchanged"})


@attrs.frozen
class Fate:
    """What became of one row. `fresh`: we learnt it now, so that it is to be kept."""

    word: str
    words: str = ""
    field: str = ""
    code: str = ""
    status: int | None = None
    id: Any = None
    attempts: int = 0
    fresh: bool = True


@attrs.frozen
class Parcel:
    """A row that is sent. `held` is the held row that it replaces, `attempts` how often that was sent."""

    number: int
    row: Row
    wire: Any
    key: str | None
    hash: bytes
    held: int | None = None
    attempts: int = 0


@attrs.frozen(eq=False)
class Plain(Sequence[Parcel]):
    """The parcels of a chunk that goes as it is, of whose rows nothing is known singly; each is made when it is asked
    for."""

    rows: Sequence[Row]
    wires: Sequence[Any]

    @property
    def numbers(self) -> range:
        """Of all of them."""
        return range(1, len(self.rows) + 1)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Parcel: ...

    @overload
    def __getitem__(self, place: slice) -> list[Parcel]: ...

    def __getitem__(self, place: int | slice) -> Parcel | list[Parcel]:
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        return Parcel(self.numbers[place], self.rows[place], self.wires[place], None, b"")


@attrs.frozen
class Sorted:
    """One chunk: what is sent, what is settled without, every row's hash, and its key where it is known, and what
    the journal holds under these keys. `twins` are rows that equal an earlier one of the chunk, with its number."""

    parcels: Sequence[Parcel]
    fates: Mapping[int, Fate]
    keys: Mapping[int, str]
    hashes: Mapping[int, bytes]
    accepted: Mapping[str, Accepted]
    held: Mapping[str, Sequence[Held]]
    twins: Mapping[int, int]


@attrs.define
class _Seen:
    """What single rows say, by their numbers."""

    wires: dict[int, Any] = attrs.Factory(dict)
    keys: dict[int, str] = attrs.Factory(dict)
    hashes: dict[int, bytes] = attrs.Factory(dict)
    fates: dict[int, Fate] = attrs.Factory(dict)


@attrs.frozen
class Keys:
    """The fields that tell rows apart; none where nothing has to be known of single rows."""

    names: tuple[str, ...]
    paths: tuple[AnswerPath, ...] = attrs.field(init=False)

    @paths.default
    def _paths(self) -> tuple[AnswerPath, ...]:
        return tuple(map(_path, self.names))

    def of(self, row: Row) -> str | None:
        """The key as a text, the same for a number, a day or a UUID and for its text: the type of a column may change
        between two readings, and a file of rejects has none. Raises ValueFault where a field is missing or null."""
        if not self.names:
            return None
        values = []
        for name, path in zip(self.names, self.paths, strict=True):
            value = row[name] if name in row else path.find(row)
            if value is MISSING or value is None or value == "":
                raise ValueFault("is part of the key and is missing", (name,))
            values.append(_text(value))
        return dump(values if len(values) > 1 else values[0]).decode()


def _text(value: Any) -> str:
    plain = msgspec.to_builtins(value, builtin_types=(Decimal,), enc_hook=str)  # as in a file of rejects
    if isinstance(plain, float):
        plain = Decimal(repr(plain))
    if isinstance(plain, Decimal):
        return f"{plain:f}"
    return plain if isinstance(plain, str) else dump(plain).decode()


def _path(name: str) -> AnswerPath:
    try:
        return parse_path(name)
    except ValueError:
        return parse_path(f'"{name}"')


@attrs.define(eq=False)
class Sorter:
    """The rules of one recipe.

    A key twice in one reading of the source: the first row counts; another one that equals it is `unchanged`, or held
    back as the first is; one that differs is `invalid`, since nobody can say which of them is right.
    """

    courier: Courier
    journal: Journal
    keys: Keys
    mode: Mode = "upsert"
    changed_only: bool = False
    _undecided: Counter[bytes] | None = None

    def sort(self, rows: Sequence[Row], held: Sequence[int | None] | None = None) -> Sorted:
        """Sort one chunk. `held` are the ids of held rows that these replace; None: rows of the source."""
        wires = self.courier.wires(rows)
        if held is None and wires is not None and not self.keys.names and not self._undecided_rows():
            return Sorted(Plain(rows, wires), {}, {}, dict.fromkeys(range(1, len(rows) + 1), b""), {}, {}, {})
        seen = self._look(rows, wires)
        known = list(dict.fromkeys(seen.keys.values()))
        accepted = self.journal.accepted(known) if known else {}
        kept = self.journal.held_under(known) if known and self.journal.count_held() else {}
        fates = dict(seen.fates)
        if held is None:
            fates.update(_mended(seen, accepted))
        parcels = []
        first: dict[str, int] = {}  # the first rows of their keys
        twins: dict[int, int] = {}
        for number, wire in seen.wires.items():
            key, hash_ = seen.keys.get(number), seen.hashes[number]
            replaces = held[number - 1] if held is not None else None
            if key is None:
                if held is None and self._waits_for_a_decision(rows[number - 1]):
                    fates[number] = Fate("unknown", "the same row is held for a decision", fresh=False)
                    continue
                parcels.append(Parcel(number, rows[number - 1], wire, None, hash_, replaces))
                continue
            there, before = accepted.get(key), kept.get(key, ())
            fate = None
            if key in first:
                same = seen.hashes[first[key]] == hash_
                fate = _twice(key, same=same)
                twins.update({number: first[key]} if same else {})
            fate = fate or (self._of_source(key, hash_, there, before) if held is None else None)
            fate = fate or self._of_any(hash_, there)
            if fate is None or fate.word != "invalid":
                first.setdefault(key, number)
            if fate is not None:
                fates[number] = fate
                continue
            attempts = next((one.attempts for one in before if replaces == one.id or one.hash == hash_), 0)
            parcels.append(Parcel(number, rows[number - 1], wire, key, hash_, replaces, attempts))
        return Sorted(parcels, follow(twins, fates), seen.keys, seen.hashes, accepted, kept, twins)

    def _waits_for_a_decision(self, row: Row) -> bool:
        """Whether a row that nothing tells apart is the same as one whose answer was lost before this start, and that
        may not be sent twice."""
        undecided = self._undecided_rows()
        if not undecided or undecided[kept := keepable(row)] <= 0:
            return False
        undecided[kept] -= 1
        return True

    def _undecided_rows(self) -> Counter[bytes]:
        """Rows without a key whose answer was lost before this start, and how often each may still come."""
        if self._undecided is None:
            once = not self.courier.plan.repeatable and self.journal.count_held() > 0
            held = self.journal.held() if once else ()
            self._undecided = Counter(one.row for one in held if one.key is None and one.word == "unknown")
        return self._undecided

    def _look(self, rows: Sequence[Row], wires: Sequence[Any] | None) -> _Seen:
        """Each row by itself: its key, and what is sent of it or why it cannot be."""
        seen = _Seen()
        for number, row in enumerate(rows, 1):
            try:
                key = self.keys.of(row)
                if key is not None:
                    seen.keys[number] = key
                wire = self.courier.wire(row) if wires is None else wires[number - 1]
                seen.hashes[number] = fingerprint(self.courier.content(wire)) if key is not None else b""
                seen.wires[number] = wire
            except ValueFault as fault:
                code = "key" if self.keys.names and number not in seen.keys else "invalid"
                seen.fates[number] = Fate("invalid", fault.reason, "/".join(map(str, fault.path)), code)
            except OSError as why:
                seen.fates[number] = Fate("invalid", f"{why.filename}: {why.strerror}", code="invalid")
            if number in seen.fates:
                seen.hashes[number] = fingerprint(keepable(row))
        return seen

    def _of_source(self, key: str, hash_: bytes, there: Accepted | None, held: Sequence[Held]) -> Fate | None:
        """The fate of a row of the source that needs no request; None: it may go."""
        same = next((one for one in held if one.hash == hash_), None)
        if there is not None and self._came(there):
            is_there = hash_ in (there.hash, there.mended)
            return _held_back(same) if same is not None and not is_there else _twice(key, same=is_there)
        waits = next((one for one in held if one.word == "unknown"), None)
        if waits is not None and not self.courier.plan.repeatable:
            return attrs.evolve(_held_back(waits), words="a row of this key is held for a decision: " + waits.words)
        if self.changed_only and there is not None and hash_ in (there.hash, there.mended):
            return Fate("unchanged", fresh=False)
        return _held_back(same) if same is not None and self._stays_held(same) else None

    def _came(self, there: Accepted) -> bool:
        """Whether the source had this key already in this pass. What is only created, and there, is as good as any."""
        seen = there.pass_ if self.mode == "create_only" else there.seen
        return seen == self.journal.pass_

    def _of_any(self, hash_: bytes, there: Accepted | None) -> Fate | None:
        """The same for any row, one that was held back as well."""
        same = self.changed_only and there is not None and there.hash == hash_
        barred = (self.mode == "create_only" and there is not None) or (self.mode == "update_only" and there is None)
        return Fate("unchanged", fresh=False) if same or barred else None

    def _stays_held(self, held: Held) -> bool:
        """Whether the same row is not tried again: it was refused, and nothing of it has changed."""
        return held.code == TWICE or (self.changed_only and held.word == "rejected")


def _mended(seen: _Seen, accepted: Mapping[str, Accepted]) -> dict[int, Fate]:
    """Invalid rows in whose place somebody's mended ones were taken are as good as there."""
    there = {number: accepted.get(seen.keys.get(number, "")) for number in seen.fates}
    return {
        number: Fate("unchanged", fresh=False)
        for number, one in there.items()
        if one is not None and one.mended == seen.hashes[number]
    }


def follow(twins: Mapping[int, int], fates: Mapping[int, Fate]) -> dict[int, Fate]:
    """The fates, where a row that is held back takes those that equal it along."""
    bad = {twin: fates[first] for twin, first in twins.items() if first in fates and fates[first].word not in GOOD}
    return {**fates, **{twin: attrs.evolve(fate, fresh=False) for twin, fate in bad.items()}}


def _twice(key: str, *, same: bool) -> Fate:
    if same:
        return Fate("unchanged", fresh=False)
    return Fate(
        "invalid", f"the key {key} came already in this run, with other values; the first row counts", code=TWICE
    )


def _held_back(held: Held) -> Fate:
    return Fate(held.word, held.words, held.field, held.code, held.status, None, held.attempts, fresh=False)


def keepable(row: Any) -> bytes:
    """A row as bytes. What no vendor could be sent, such as a row that is no object, is kept as its text."""
    try:
        return dump(row)
    except TypeError:
        return dump(
            {str(name): _or_text(value) for name, value in row.items()} if isinstance(row, Mapping) else str(row)
        )


def _or_text(value: Any) -> Any:
    try:
        dump(value)
    except TypeError:
        return str(value)
    return value


def pack_rows(rows: Sequence[Row], held: Sequence[int | None] | None) -> bytes:
    """Rows as they are kept while they are under way, with the ids of the held rows that they replace: by columns where
    all rows of the source have the same, else as JSON."""
    table = _table_of(rows) if held is None else None
    if table is not None:
        with suppress(TypeError, ValueError):  # what only a text of it can be kept of
            return pack([table.names, *table.columns])
    return b"[" + b",".join([dump(held), *map(keepable, rows)]) + b"]"


def unpack_rows(packed: bytes) -> tuple[Sequence[Row], list[int | None] | None]:
    """What `pack_rows` was given."""
    if not packed.startswith(b"["):  # with which nothing that is packed begins
        names, *columns = unpack(packed)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], None
    held, *rows = load(packed)
    return rows, held


def _table_of(rows: Sequence[Row]) -> Table | None:
    """Rows by their columns, where all have the same."""
    if isinstance(rows, Table):
        return rows
    names = tuple(rows[0]) if {dict}.issuperset(map(type, rows)) and rows else ()
    if not names or not {names}.issuperset(map(tuple, rows)):
        return None
    return Table(names, list(zip(*map(_values, rows), strict=True)))


def _values(row: Row) -> Iterable[Any]:
    return row.values()
