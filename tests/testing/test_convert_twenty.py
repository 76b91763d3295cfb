"""The recordings of a real server are those that its exchanges make."""

from __future__ import annotations

from pathlib import Path

from connectory.plugins.registry import load_registry
from connectory.spec.load import load_spec
from connectory.testing.recorded.cassettes import read_cassette
from testing import convert_twenty


def test_each_recording_holds_answers_as_they_were_taken_on_the_wire() -> None:
    taken = {
        (e.exchange.method, e.exchange.status, len(e.exchange.answer) > 0)
        for e in [*convert_twenty.exchanges(), *convert_twenty.walk("people"), *convert_twenty.walk("companies")]
    }
    files = sorted((convert_twenty.ROOT / "cassettes" / "twenty").glob("*.yaml"))
    real = [cassette for file in files if (cassette := read_cassette(file)).recorded.server == convert_twenty.SERVER]
    assert len(real) > 150
    for cassette in real:
        for exchange in cassette.exchanges:
            assert (exchange.method, exchange.status, len(exchange.answer) > 0) in taken


def test_converting_again_changes_nothing(tmp_path: Path) -> None:
    registry = load_registry()
    loaded = load_spec(registry, "twenty")
    wanted = {"rest-people-create", "rest-people-get-one-not-found", "graphql-partial-failure"}
    plans = convert_twenty.plans_of(registry, loaded)
    for taken in convert_twenty.exchanges():
        if taken.name in wanted:
            made = convert_twenty.single(registry, loaded, plans, taken)
            assert made is not None
            file = convert_twenty.ROOT / "cassettes" / "twenty" / f"{made.name}.yaml"
            assert read_cassette(file).exchanges == made.exchanges
