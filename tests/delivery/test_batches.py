"""Batches against made-up vendors: whatever is refused, each item ends with the word it would have had alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.answers import Answer
from connectory.delivery.accounts import ItemResult
from connectory.delivery.batches import Batching, as_it_is, deliver, with_key
from connectory.delivery.results import PartialCountWarning
from connectory.errors import ConnectoryError, Denied, Rejected, UnknownOutcome
from connectory.messages import Headers, Response
from connectory.operation import identifying_paths
from connectory.plugins.builtin import connectory_batches
from connectory.spec.language import Batch, Results
from connectory.spec.places import parse_path
from connectory.spec.typeexpr import Named, Scalar
from connectory.spec.words import Anything, Field, Match, Place, Regex, Test
from connectory.values.writing import Writers

KEY = Match(item=parse_path("id"), result=parse_path("id"))
OK = {parse_path("ok"): Test(in_=(Anything(True),))}
BY_KEY = Results(key=KEY, ok=OK, message=parse_path("why"), reports="failures")
FIELDS = {"id": Field(type=Scalar("str"), required=True, key=True), "n": Field(type=Scalar("int"))}


def answer(body: Any) -> Answer:
    return Answer(Response(200, Headers({}), msgspec.json.encode(body)), body)


def batching(
    send: Callable[[list[Any]], Answer], results: tuple[Results, ...] = (), *, harmless: bool = True, **batch: Any
) -> Batching:
    return Batching(
        batch=Batch(**batch),
        kind=connectory_batches()["chunks"],
        results=results,
        write=Writers({"T": FIELDS}, "rfc3339", {})._named("T", False),
        fields=FIELDS,
        identity=(parse_path("id"),),
        send=send,
        harmless=harmless,
        make_key=lambda: "made",
    )


def words(results: list[ItemResult | ConnectoryError]) -> dict[str, str]:
    found = [r for r in results if isinstance(r, ItemResult)]
    assert len({r.row for r in found}) == len(found), "an item was told of twice"
    return {r.item["id"]: r.word for r in found}


class Atomic:
    """A vendor that writes all of a batch or nothing, and names the offenders inside HTTP 200."""

    def __init__(self, bad: set[str]) -> None:
        self.bad, self.written, self.calls = bad, list[str](), 0

    def __call__(self, items: list[Any]) -> Answer:
        self.calls += 1
        wrong = [item["id"] for item in items if item["id"] in self.bad]
        if wrong:
            return answer([{"id": one, "ok": False, "why": "bad"} for one in wrong])
        self.written += [item["id"] for item in items]
        return answer([{"id": item["id"], "ok": True} for item in reversed(items)])


@given(
    count=st.integers(0, 40),
    bad=st.sets(st.integers(0, 39)),
    largest=st.integers(1, 17),
    named=st.booleans(),
    denied=st.integers(1, 12),
)
def test_written_items_end_the_same_by_slices_as_one_by_one(
    count: int, bad: set[int], largest: int, named: bool, denied: int
) -> None:
    items = [{"id": str(n)} for n in range(count)]

    def told(given: Iterable[Any]) -> tuple[list[Any], list[list[Any]]]:
        asked: list[list[Any]] = []
        vendor = Atomic({str(n) for n in bad})

        def send(sent: list[Any]) -> Answer:
            asked.append(sent)
            if len(asked) == denied:
                raise Denied("no right")
            if not named and vendor.bad & {item["id"] for item in sent}:
                raise Rejected("refused", status=400)
            return vendor(sent)

        all_ = attrs.evolve(batching(send, (BY_KEY,) if named else (), largest=largest, atomic=True), write=as_it_is)
        return [str(one) if isinstance(one, Denied) else one for one in deliver(all_, given)], asked

    assert told(items) == told(iter(items))


@given(count=st.integers(0, 40), bad=st.sets(st.integers(0, 39)), largest=st.integers(1, 17))
def test_an_atomic_batch_ends_as_if_each_item_had_gone_alone(count: int, bad: set[int], largest: int) -> None:
    vendor = Atomic({str(n) for n in bad})
    results = list(
        deliver(batching(vendor, (BY_KEY,), largest=largest, atomic=True), ({"id": str(n)} for n in range(count)))
    )
    assert words(results) == {str(n): "rejected" if n in bad else "delivered" for n in range(count)}
    assert sorted(vendor.written) == sorted(str(n) for n in range(count) if n not in bad)
    assert vendor.calls <= 2 * -(-count // largest)


def test_one_bad_of_a_thousand_costs_one_more_call_and_keeps_the_vendors_words() -> None:
    vendor = Atomic({"500"})
    results = list(
        deliver(batching(vendor, (BY_KEY,), largest=1000, atomic=True), ({"id": str(n)} for n in range(1000)))
    )
    assert vendor.calls == 2
    (rejected,) = [r for r in results if isinstance(r, ItemResult) and r.word == "rejected"]
    assert (rejected.row, rejected.words) == (501, "bad")


@pytest.mark.parametrize("body", [[], [{"id": "0", "ok": True}]])
def test_an_answer_that_names_too_few_and_no_failure_is_unknown(body: Any) -> None:
    results = list(
        deliver(batching(lambda _: answer(body), (BY_KEY,), largest=10, atomic=True), [{"id": "0"}, {"id": "1"}])
    )
    assert set(words(results).values()) == {"unknown"}


@given(count=st.integers(1, 40), bad=st.sets(st.integers(0, 39)), largest=st.integers(1, 17))
def test_a_refusal_that_names_nobody_is_halved_down_to_the_offenders(count: int, bad: set[int], largest: int) -> None:
    def send(items: list[Any]) -> Answer:
        if any(int(item["id"]) in bad for item in items):
            raise Rejected("no", words="no", status=400)
        return answer({})

    results = list(deliver(batching(send, largest=largest, atomic=True), ({"id": str(n)} for n in range(count))))
    assert words(results) == {str(n): "rejected" if n in bad else "delivered" for n in range(count)}


def test_where_halving_could_write_twice_the_whole_batch_is_rejected() -> None:
    calls: list[int] = []

    def send(items: list[Any]) -> Answer:
        calls.append(len(items))
        raise Rejected("no", words="no", status=400)

    results = list(deliver(batching(send, harmless=False, largest=10, atomic=True), ({"id": str(n)} for n in range(4))))
    assert set(words(results).values()) == {"rejected"}
    assert calls == [4]


def test_a_batch_too_large_for_the_vendor_is_halved_even_where_repeats_are_not_allowed() -> None:
    def send(items: list[Any]) -> Answer:
        if len(items) > 3:
            raise Rejected("too large", words="too large", status=413)
        return answer({})

    results = list(deliver(batching(send, harmless=False, largest=10), ({"id": str(n)} for n in range(10))))
    assert set(words(results).values()) == {"delivered"}


@given(st.lists(st.sampled_from(["ok", "bad", "silent"]), min_size=1, max_size=30), st.integers(1, 9))
def test_item_by_item_each_has_its_own_word_and_silence_is_unknown(fates: list[str], largest: int) -> None:
    def send(items: list[Any]) -> Answer:
        told = [{"id": i["id"], "ok": fates[int(i["id"])] == "ok"} for i in items if fates[int(i["id"])] != "silent"]
        return answer(told)

    spec = Results(key=KEY, ok=OK)
    results = list(deliver(batching(send, (spec,), largest=largest), ({"id": str(n)} for n in range(len(fates)))))
    expected = {"ok": "delivered", "bad": "rejected", "silent": "unknown"}
    assert words(results) == {str(n): expected[fate] for n, fate in enumerate(fates)}


def test_a_lost_answer_makes_the_batch_unknown_and_the_run_goes_on() -> None:
    calls = 0

    def send(items: list[Any]) -> Answer:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise UnknownOutcome("lost")
        return answer({})

    results = list(deliver(batching(send, largest=2), ({"id": str(n)} for n in range(4))))
    assert words(results) == {"0": "unknown", "1": "unknown", "2": "delivered", "3": "delivered"}


def test_refused_credentials_stop_the_run_and_the_rest_is_not_tried() -> None:
    calls = 0

    def send(items: list[Any]) -> Answer:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Denied("no right")
        return answer({})

    results = list(deliver(batching(send, largest=2), ({"id": str(n)} for n in range(7))))
    assert [type(r) for r in results if not isinstance(r, ItemResult)] == [Denied]
    assert words(results) == {"0": "delivered", "1": "delivered", **dict.fromkeys("23456", "not_tried")}
    assert calls == 2


def test_items_that_break_their_type_are_kept_back_and_named() -> None:
    sent: list[Any] = []

    def send(items: list[Any]) -> Answer:
        sent.extend(items)
        return answer({})

    given_items = [{"id": "a"}, {"id": 5}, {"n": 1}, {"id": "d", "n": "x"}, {"id": "e", "m": 1}]
    results = [r for r in deliver(batching(send, largest=10), given_items) if isinstance(r, ItemResult)]
    assert sent == [{"id": "a"}]
    told = {r.row: r.words for r in results if r.word == "invalid"}
    assert told == {
        2: "id: expected a text, got 5",
        3: "id: is required",
        4: "n: expected an integer, got 'x'",
        5: "m: T has no such field",
    }


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(1, 5), st.integers(50, 400))
def test_chunks_keep_count_and_bytes(sizes: list[int], largest: int, most: int) -> None:
    bodies: list[list[Any]] = []

    def send(items: list[Any]) -> Answer:
        bodies.append(items)
        return answer({})

    items = [{"id": "x" * size} for size in sizes]
    list(deliver(batching(send, largest=largest, bytes=most), items))
    assert [item for body in bodies for item in body] == items
    assert all(len(body) <= largest and (len(body) == 1 or len(msgspec.json.encode(body)) <= most) for body in bodies)


def test_a_count_in_prose_is_a_cross_check_that_warns() -> None:
    spec = Results(count=Place(body=(parse_path("message"),), match=Regex("^([0-9]+)")))
    send = batching(lambda _: answer({"message": "1 actions have been ingested"}), (spec,), largest=10)
    with pytest.warns(PartialCountWarning, match="took 1 of 2"):
        assert set(words(list(deliver(send, [{"id": "a"}, {"id": "b"}]))).values()) == {"delivered"}


def test_a_key_is_made_only_where_nothing_identifies_the_record() -> None:
    types = {"Mail": {"address": Field(unique=True)}}
    fields = {"id": Field(key=True), "mail": Field(type=Named("Mail")), "n": Field()}
    identity = identifying_paths(types, fields)
    keyed = [
        with_key(item, fields, identity, lambda: "made")
        for item in ({"n": 1}, {"id": "x"}, {"mail": {"address": "a@b"}}, {"mail": {"address": ""}})
    ]
    assert keyed == [
        {"id": "made", "n": 1},
        {"id": "x"},
        {"mail": {"address": "a@b"}},
        {"id": "made", "mail": {"address": ""}},
    ]


def test_results_by_index_and_by_position() -> None:
    by_index = Results(
        at=parse_path("errors"), only="rejected", index=parse_path("at"), message=parse_path("why"), reports="failures"
    )
    send = batching(lambda _: answer({"errors": [{"at": 1, "why": "no"}]}), (by_index,), largest=10)
    assert words(list(deliver(send, [{"id": "a"}, {"id": "b"}]))) == {"a": "delivered", "b": "rejected"}
    by_position = Results(ok=OK)
    send = batching(lambda _: answer([{"ok": True}, {"ok": False}]), (by_position,), largest=10)
    assert words(list(deliver(send, [{"id": "a"}, {"id": "b"}]))) == {"a": "delivered", "b": "rejected"}
    send = batching(lambda _: answer([{"ok": True}]), (by_position,), largest=10)
    assert words(list(deliver(send, [{"id": "a"}, {"id": "b"}]))) == {"a": "unknown", "b": "unknown"}
