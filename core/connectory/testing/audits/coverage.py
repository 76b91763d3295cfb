"""What of a spec its tests exercise, seen by running them: operations, credentials, outcomes, pages, batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path as File
from typing import Any, Final, Literal

import attrs

from connectory.errors import ConnectoryError
from connectory.plugins.registry import Registry
from connectory.spec.edits import node_at
from connectory.spec.load import Loaded
from connectory.spec.problems import Path
from connectory.spec.trees import Table, Text, as_written, locate
from connectory.testing.audits.tracing import Trace
from connectory.testing.cases import Case, cases_of
from connectory.testing.recorded.cassettes import read_cassette, tree_text
from connectory.testing.recorded.replaying import run_case

Source = Literal["server", "emulator", "mock", "example"]
"""What a test rests on: a recording of a real server, an emulator or a mock of this very spec, or an example."""
Kind = Literal["operation", "auth", "outcome", "pager", "batch"]

SOURCES: Final[tuple[Source, ...]] = ("server", "emulator", "mock", "example")  # the most telling first
KINDS: Final[Mapping[Kind, str]] = {
    "operation": "operations",
    "auth": "credentials",
    "outcome": "outcome rules",
    "pager": "pagers",
    "batch": "batches",
}


@attrs.frozen
class Fact:
    """Something that a spec says and a test may exercise; `by` are the tests that did, by what they rest on."""

    kind: Kind
    name: str
    line: int
    column: int
    by: Mapping[Source, Sequence[str]] = attrs.Factory(dict)

    @property
    def best(self) -> Source | None:
        """The most telling source; None where no test exercises it."""
        return next((source for source in SOURCES if self.by.get(source)), None)


@attrs.frozen
class Coverage:
    """The facts of a vendor's spec, its assumptions (line, place, why), and tests that fail: they exercise nothing."""

    vendor: str
    file: str
    facts: Sequence[Fact]
    assumed: Sequence[tuple[int, str, str]]
    failed: Sequence[str]

    def of(self, kind: Kind) -> Sequence[Fact]:
        """The facts of one kind."""
        return [fact for fact in self.facts if fact.kind == kind]

    @property
    def share(self) -> float:
        """Per cent of the operations that a test exercises."""
        operations = self.of("operation")
        return 100.0 * sum(fact.best is not None for fact in operations) / len(operations) if operations else 100.0


@attrs.frozen
class Run:
    """One test that passed, and what it used."""

    name: str
    source: Source
    operation: str
    trace: Trace


def coverage_of(registry: Registry, loaded: Loaded, cassettes: File) -> Coverage:
    """Run a spec's tests and see what they exercise."""
    runs: list[Run] = []
    failed: list[str] = []
    for case in cases_of(loaded, cassettes):
        if case.kind == "missing":
            continue
        trace = Trace()
        if _passes(registry, loaded, case, trace):
            runs.append(Run(case.name, source_of(case), case.operation, trace))
        else:
            failed.append(case.name)
    facts = [attrs.evolve(fact, by=_sorted(used, runs)) for fact, used in _facts(loaded)]
    return Coverage(loaded.spec.name, loaded.file, _united(facts), list(_assumed(loaded)), failed)


def _passes(registry: Registry, loaded: Loaded, case: Case, trace: Trace) -> bool:
    try:
        return not run_case(registry, loaded, case, watch=trace)
    except ConnectoryError:
        return False


def source_of(case: Case) -> Source:
    """What a case rests on, by what its cassette says of itself."""
    if case.file is None:
        return "example"
    server = read_cassette(case.file).recorded.server.lower()
    if server == "mock":
        return "mock"
    return "emulator" if "emulator" in server else "server"


Used = Callable[[Run], bool]


def _sorted(used: Used, runs: Iterable[Run]) -> dict[Source, list[str]]:
    by: dict[Source, list[str]] = {}
    for run in runs:
        if used(run):
            by.setdefault(run.source, []).append(run.name)
    return by


def _facts(loaded: Loaded) -> Iterator[tuple[Fact, Used]]:
    """Everything that can be exercised, each with how a run shows that it did."""
    spec = loaded.spec
    for name, operation in spec.operations.items():
        yield _fact(loaded, "operation", name, ("operations", name)), partial(_answered, name)
        for number in range(len(operation.outcomes)):
            path: Path = ("operations", name, "outcomes", number)
            yield _fact(loaded, "outcome", f"{name}: {_said(loaded, path)}", path), partial(_judged, path)
        if operation.batch is not None:
            path = ("operations", name, "batch")
            yield _fact(loaded, "batch", f"{name}: items taken", path), partial(_taken, name)
            yield _fact(loaded, "batch", f"{name}: items refused", path), partial(_refused, name)
    for number, auth in enumerate(spec.auth):
        path = as_written(loaded.tree, ("auth", number))
        yield _fact(loaded, "auth", _said(loaded, path), path), partial(_signed, number)
        if auth.token is not None:
            yield _fact(loaded, "auth", "token, exchanged", (*path, "token")), partial(_exchanged, 1)
            yield _fact(loaded, "auth", "token, renewed", (*path, "token")), partial(_exchanged, 2)
    for number in range(len(spec.outcomes)):
        path = ("outcomes", number)
        yield _fact(loaded, "outcome", _said(loaded, path), path), partial(_judged, path)
    for name in spec.pagers:
        yield _fact(loaded, "pager", name, ("pagers", name)), partial(_walked, name)


def _answered(name: str, run: Run) -> bool:
    return run.operation == name


def _judged(path: Path, run: Run) -> bool:
    return path in run.trace.rules


def _taken(name: str, run: Run) -> bool:
    return run.operation == name and bool(run.trace.answers[name]) and run.trace.accounts.get("delivered", 0) > 0


def _refused(name: str, run: Run) -> bool:
    return run.operation == name and run.trace.accounts.get("rejected", 0) > 0


def _signed(number: int, run: Run) -> bool:
    return number in run.trace.auth


def _exchanged(times: int, run: Run) -> bool:
    return run.trace.tokens >= times


def _walked(name: str, run: Run) -> bool:
    return run.trace.pages[name] > 1


def _fact(loaded: Loaded, kind: Kind, name: str, path: Path) -> Fact:
    _, line, column = locate(loaded.tree, path, at_key=True)
    return Fact(kind, name, line, column)


def _said(loaded: Loaded, path: Path) -> str:
    """What stands at a place, in one line."""
    text = tree_text(node_at(loaded.tree, as_written(loaded.tree, path)))
    return text if len(text) <= 90 else f"{text[:87]}..."


def _united(facts: Sequence[Fact]) -> list[Fact]:
    """What a family says once is one fact, but for its operations: each object's are tested by themselves."""
    told: dict[tuple[Any, ...], Fact] = {}
    for fact in facts:
        facet = fact.name if fact.kind in ("operation", "pager", "auth") else fact.name.rpartition(": items ")[2:]
        key = (fact.kind, fact.line, fact.column, facet if fact.kind != "outcome" else "")
        before = told.get(key)
        if before is None:
            told[key] = fact
        else:
            by = {source: [*before.by.get(source, ()), *fact.by.get(source, ())] for source in SOURCES}
            told[key] = attrs.evolve(before, by={source: names for source, names in by.items() if names})
    return list(told.values())


def _assumed(loaded: Loaded) -> Iterator[tuple[int, str, str]]:
    """What is not documented, once for a family."""
    notes = loaded.tree.get(Text("assumed"))
    if isinstance(notes, Table):
        lines: set[int] = set()
        for place, why in notes.items():
            if place.line not in lines:
                lines.add(place.line)
                yield place.line, str(place), str(why)
