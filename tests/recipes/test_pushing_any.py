"""Any pattern of refusals, lost answers, stops and kills: the accounts are those of sending one by one."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import attrs
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from connectory.answers import Answer
from connectory.clock import ManualClock
from connectory.delivery.accounts import ItemResult
from connectory.delivery.batches import Batching, Watch, as_it_is, deliver_together
from connectory.delivery.journal import open_journal
from connectory.destinations.destination import Written
from connectory.errors import ConnectoryError, Denied, Rejected, UnknownOutcome
from connectory.messages import Headers, Response
from connectory.plugins.builtin import connectory_batches
from connectory.recipes.pushing.push import Push
from connectory.recipes.pushing.rows import Keys, Sorter, pack_rows, unpack_rows
from connectory.recipes.state import Run, State
from connectory.spec.language import Batch, Results
from connectory.spec.places import parse_path
from connectory.spec.typeexpr import TypeExpr
from connectory.spec.words import Anything, Match, Test
from connectory.table import Table

Event = Literal["answer", "lost", "never arrived", "denied", "killed before", "killed after", "throttled"]
EVENTS: tuple[Event, ...] = ("answer", "lost", "never arrived", "denied", "killed before", "killed after", "throttled")
NAMED = Results(
    key=Match(item=parse_path("id"), result=parse_path("id")),
    ok={parse_path("ok"): Test(in_=(Anything(True),))},
    reports="failures",
)


class Killed(BaseException):
    """The process is no more: nothing that follows in it happens."""


@attrs.define
class Vendor:
    """Writes all of a batch or nothing; `events` say what happens to each request in turn."""

    bad: set[int]
    named: bool
    events: Iterator[Event]
    taken: Counter[int] = attrs.Factory(Counter)
    unsure: set[int] = attrs.Factory(set)

    def ask(self, ids: Sequence[int], flight: Any, *, repeatable: bool) -> Answer:
        event = next(self.events, "answer")
        flight(True)
        if event == "throttled":
            flight(False)
            flight(True)
        if event == "denied":
            flight(False)
            raise Denied("no right")
        if event in ("killed before", "killed after", "lost", "never arrived"):
            self.unsure |= set(ids)
        if event == "killed before":
            raise Killed
        applied = event != "never arrived" and not self.bad & set(ids)
        self.taken.update(ids if applied else ())
        if event == "killed after":
            raise Killed
        if event in ("lost", "never arrived"):
            if not repeatable:
                raise UnknownOutcome("no answer")
            return self.ask(ids, flight, repeatable=True)  # what the engine does of itself
        if self.bad & set(ids):
            if not self.named:
                raise Rejected("refused", status=400)
            failures = [{"id": one, "ok": False} for one in ids if one in self.bad]
            return Answer(Response(200, Headers({}), msgspec.json.encode(failures)), failures)
        told = [{"id": one, "ok": True} for one in ids] if self.named else {}
        return Answer(Response(200, Headers({}), msgspec.json.encode(told)), told)


@attrs.define
class FakeCourier:
    vendor: Vendor
    largest: int
    repeatable: bool
    wholesale: bool

    @property
    def plan(self) -> Any:
        batch = SimpleNamespace(largest=self.largest)
        return SimpleNamespace(name="things.push", repeatable=self.repeatable, operation=SimpleNamespace(batch=batch))

    def wire(self, row: Mapping[str, Any]) -> Any:
        return dict(row)

    def wires(self, rows: Sequence[Any]) -> list[Any] | None:
        return list(map(self.wire, rows)) if self.wholesale else None

    def content(self, wire: Any) -> Any:
        return wire

    def fields(self, wire: Any) -> tuple[Mapping[str, Any], TypeExpr | None]:
        return wire, None

    def named(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        return rows

    def send(self, wires: Sequence[Any], watch: Watch) -> Iterator[Sequence[ItemResult] | ConnectoryError]:
        def send(items: list[Any]) -> Answer:
            return self.vendor.ask([item["id"] for item in items], watch.flight, repeatable=self.repeatable)

        return deliver_together(
            Batching(
                batch=Batch(largest=self.largest, atomic=True),
                kind=connectory_batches()["chunks"],
                results=(NAMED,) if self.vendor.named else (),
                write=as_it_is if self.wholesale else lambda item: item,
                fields={},
                identity=(),
                send=send,
                harmless=True,
                make_key=str,
                watch=watch,
            ),
            wires,
        )


def starts(path: Path, rows: Sequence[Mapping[str, Any]], courier: FakeCourier, keyed: bool) -> Counter[str]:
    """Start the push again until it ends, as the loop does; the words of all rows."""
    for _ in range(200):
        journal = open_journal(path)
        push = Push(journal, Sorter(courier, journal, Keys(("id",) if keyed else ())), ManualClock())
        try:
            if (counts := start(push, rows, courier.largest, by_columns=courier.wholesale)) is not None:
                return counts
        except Killed:
            pass
        finally:
            push.close()
    raise AssertionError("it never ends")


def start(push: Push, rows: Sequence[Mapping[str, Any]], largest: int, *, by_columns: bool) -> Counter[str] | None:
    left = push.resume()
    if left is not None and left.stopped is not None:
        return None
    kept = push.read_state()
    position, counts = 0, Counter[str]()
    if kept is not None:
        position = int(msgspec.json.decode(kept.state)["run"]["position"])
        counts.update(msgspec.json.decode(kept.state)["run"]["counts"])
        counts.update(kept.counts)
    while position < len(rows):
        chunk = rows[position : position + largest * 2]
        position += len(chunk)
        run = Run(id="run", position=position, counts=dict(counts))
        given = Table(("id",), ([row["id"] for row in chunk],)) if by_columns else chunk
        written: Written = push.write(given, State({}, run=run).to_bytes())
        assert written.delivered + written.unchanged + len(written.problems) == len(chunk)
        if written.stopped is not None:
            return None
        counts.update(written.counts)
    return counts


@settings(max_examples=60)
@given(
    count=st.integers(0, 14),
    bad=st.sets(st.integers(0, 13), max_size=4),
    largest=st.integers(1, 5),
    named=st.booleans(),
    repeatable=st.booleans(),
    keyed=st.booleans(),
    wholesale=st.booleans(),
    events=st.lists(st.sampled_from(EVENTS), max_size=12),
)
def test_every_row_ends_as_if_it_had_gone_alone_or_is_known_to_be_unknown(
    count: int,
    bad: set[int],
    largest: int,
    named: bool,
    repeatable: bool,
    keyed: bool,
    wholesale: bool,
    events: list[Event],
) -> None:
    vendor = Vendor(bad, named, iter(events))
    rows = [{"id": number} for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journals" / "r.sqlite"
        counts = starts(path, rows, FakeCourier(vendor, largest, repeatable, wholesale), keyed)
        journal = open_journal(path)
        held = {msgspec.json.decode(one.row)["id"]: one.word for one in journal.held()}
        journal.close()
    assert counts.total() == count
    unknown = {id_ for id_, word in held.items() if word == "unknown"}
    assert held == {id_: "unknown" if id_ in unknown else "rejected" for id_ in (bad & set(range(count))) | unknown}
    assert (counts["unknown"], counts["rejected"]) == (len(unknown), len(held) - len(unknown))
    good = set(range(count)) - bad
    assert good - unknown <= set(vendor.taken) <= good
    if repeatable:
        assert not unknown
    else:
        assert unknown <= vendor.unsure
        assert set(vendor.taken.values()) <= {1}
        assert vendor.unsure <= unknown, "every row whose answer was lost is unknown"


@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from("abc$"), st.integers() | st.floats(allow_nan=False) | st.text() | st.dates())
        | st.lists(st.integers(), max_size=2)
        | st.integers()
        | st.text(max_size=2)
    ),
    held=st.booleans(),
)
def test_rows_of_any_kind_are_found_again_as_they_were_kept(rows: list[Any], held: bool) -> None:
    ids = [None if number % 2 else number for number, _ in enumerate(rows)] if held else None
    back, replaced = unpack_rows(pack_rows(rows, ids))
    assert (list(back), replaced) == (rows, ids)


@given(
    rows=st.lists(
        st.fixed_dictionaries({"a": st.integers() | st.binary(), "b": st.datetimes() | st.dates() | st.text()}),
        min_size=1,
    )
)
def test_a_table_is_kept_as_its_rows_are(rows: list[dict[str, Any]]) -> None:
    table = Table(("a", "b"), ([row["a"] for row in rows], [row["b"] for row in rows]))
    assert unpack_rows(pack_rows(table, None)) == (rows, None)
    assert unpack_rows(pack_rows(table, [None] * len(rows))) == (rows, [None] * len(rows))
