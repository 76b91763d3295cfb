"""Plants every mistake in a spec, one at a time, and finds the test that notices it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Final, Literal

import attrs

from connectory.connecting import discovery_file, load_registry, open_project
from connectory.errors import SpecError
from connectory.plugins.registry import Registry, SpecFile
from connectory.spec.edits import node_at, with_node
from connectory.spec.language import Spec, effect
from connectory.spec.load import Discovered, Loaded, load_tree, read_discovered
from connectory.spec.trees import Array, Table, Text, copy_place, read_tree
from connectory.testing.audits.mutants import Mutant, mutants_of
from connectory.testing.audits.touched import touched
from connectory.testing.cases import Case, cases_of
from connectory.testing.recorded.cassettes import Cassette, read_cassette
from connectory.testing.recorded.replaying import replay, run_case

LONGEST: Final = 20.0  # seconds of work that one mutant may take: a page walk without an end is noticed too
_CHUNK: Final = 8  # mutants that a worker is handed at once

Fate = Literal["refused", "same", "killed", "survived"]
"""The loader refuses it; it means the same as before; a test fails; nothing notices it."""


@attrs.frozen
class Verdict:
    """What became of one mutant: killed `by` which test (of what `kind`)."""

    key: str
    line: int
    fate: Fate
    by: str = ""
    kind: str = ""


@attrs.frozen
class Subject:
    """What is to be mutated: a vendor of a project, and where its cassettes are."""

    vendor: str
    project: Path | None
    cassettes: Path


class TooLong(BaseException):
    """A mutant ran into `LONGEST`. No error of ours: nothing may take it for the vendor's."""


class Hunt:
    """The tests of one vendor, to be run against one mutant after another."""

    def __init__(self, subject: Subject) -> None:
        home = open_project(subject.project) if subject.project else None
        self.registry: Registry = load_registry(home.root if home else None)
        self.source: SpecFile = self.registry.specs[subject.vendor]
        self.discovered: Discovered = read_discovered(discovery_file(home, subject.vendor))
        self.tree = read_tree(self.source.file.read_bytes(), str(self.source.file))
        self.mutants: Sequence[Mutant] = list(mutants_of(self.registry, self.tree))
        self.whole = self.load(self.tree)
        self.cases: dict[str, list[Case]] = {}
        for case in cases_of(self.whole, subject.cassettes):
            self.cases.setdefault(case.operation, []).append(case)
        self._kills: Counter[str] = Counter()
        self._narrow = lru_cache(maxsize=64)(self._load_narrow)

    def load(self, tree: Table) -> Loaded:
        """A spec from its tree. Raises SpecError."""
        return load_tree(self.registry, tree, self.source, self.discovered)

    def verdict(self, mutant: Mutant) -> Verdict:
        """What becomes of a mutant."""
        try:
            with limited(LONGEST):
                return self._verdict(mutant)
        except TooLong:
            return _told(mutant, "killed", "no end", "time")

    def failing(self) -> Iterator[str]:
        """The tests that fail without any mutant: they would prove nothing."""
        for cases in self.cases.values():
            yield from (case.name for case in cases if self._fails(self.whole, case))

    def _verdict(self, mutant: Mutant) -> Verdict:
        tried: set[str] = set()
        for rows in _rows_for(mutant, self.tree):
            before = self._narrow(rows)
            if before is None:
                continue
            try:
                after = self.load(_narrowed(mutant.tree, rows))
            except SpecError:
                return _told(mutant, "refused")
            if rows is None and _meaning(before.spec) == _meaning(after.spec):
                return _told(mutant, "same")
            names = [name for name in touched(before.spec, after.spec) if name not in tried]
            tried.update(names)
            for case in self._likely(names):
                if self._fails(after, case):
                    self._kills[case.name] += 1
                    return _told(mutant, "killed", case.name, case.kind)
        return _told(mutant, "survived")

    def _likely(self, names: Sequence[str]) -> list[Case]:
        """The tests of these operations, those first that noticed most until now."""
        found = [case for name in names for case in self.cases.get(name, ()) if case.kind != "missing"]
        return sorted(found, key=lambda case: -self._kills[case.name])

    def _fails(self, loaded: Loaded, case: Case) -> bool:
        try:
            if case.kind == "recorded" and case.file is not None:
                return bool(replay(self.registry, loaded, _read(case.file)))
            return bool(run_case(self.registry, loaded, case))
        except Exception:  # whatever it raises is noticed
            return True

    def _load_narrow(self, rows: Rows) -> Loaded | None:
        try:
            return self.load(_narrowed(self.tree, rows)) if rows is not None else self.whole
        except SpecError:
            return None  # it needs all its objects: only the whole file can be mutated


def _meaning(spec: Spec) -> tuple[Spec, list[str]]:
    """A spec as far as it means something: the order of a family's objects does not, nor whether it is said of an
    operation what it does by default; the order of servers does, for the first is the default."""
    families = {
        name: attrs.evolve(family, known=tuple(sorted(family.known, key=repr)))
        for name, family in spec.families.items()
    }
    operations = {}
    for name, operation in spec.operations.items():
        does, repeatable = effect(name, operation) or (operation.does, operation.repeatable)
        operations[name] = attrs.evolve(operation, does=does, repeatable=repeatable)
    return attrs.evolve(spec, families=families, operations=operations), list(spec.servers)


Rows = tuple[tuple[str, int], ...] | None  # family to the one row that is kept; None: all of them


def _rows_for(mutant: Mutant, tree: Table) -> Iterator[Rows]:
    """How a family is written out: for one object first, which is quicker; for all where that one notices nothing."""
    families = tree.get(Text("families"))
    if isinstance(families, Table):
        path = mutant.path
        in_row = len(path) > 3 and path[0] == "families" and path[2] == "known" and isinstance(path[3], int)
        all_rows = len(path) > 1 and path[0] == "families" and len(path) < 5 and path[2:3] == ("known",)
        if not all_rows:
            yield tuple(
                (str(name), int(path[3]) if in_row and str(path[1]) == name else 0)
                for name, family in families.items()
                if isinstance(family, Table) and isinstance(family.get(Text("known")), Array)
            )
    yield None


def _narrowed(tree: Table, rows: Rows) -> Table:
    for family, row in rows or ():
        try:
            known = node_at(tree, ("families", family, "known"))
        except LookupError:
            continue
        if isinstance(known, Array) and row < len(known):
            narrow = with_node(tree, ("families", family, "known"), copy_place(Array([known[row]]), known))
            assert isinstance(narrow, Table)
            tree = narrow
    return tree


def _told(mutant: Mutant, fate: Fate, by: str = "", kind: str = "") -> Verdict:
    return Verdict(mutant.key, mutant.line, fate, by, kind)


@lru_cache(maxsize=4096)
def _read(file: Path) -> Cassette:
    return read_cassette(file)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TooLong in this, the main thread, when it takes more of the processor's time.

    It is raised again and again, since a callback of the interpreter's may swallow it.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def judge(subject: Subject, numbers: Sequence[int], workers: int | None = None) -> Iterator[Verdict]:
    """The verdicts on mutants, by their number, in that order; by as many processes as there are processors."""
    count = min(workers or os.cpu_count() or 1, len(numbers) // _CHUNK + 1)
    if count == 1:
        hunt = hunt_of(subject)
        yield from (hunt.verdict(hunt.mutants[number]) for number in numbers)
        return
    chunks = [numbers[at : at + _CHUNK] for at in range(0, len(numbers), _CHUNK)]
    with ProcessPoolExecutor(count, mp_context=get_context("fork")) as pool:
        for verdicts in pool.map(_judge_some, [subject] * len(chunks), chunks):
            yield from verdicts


@lru_cache(maxsize=4)
def hunt_of(subject: Subject) -> Hunt:
    """The hunt of a vendor, prepared once a process; forked workers inherit it."""
    return Hunt(subject)


def _judge_some(subject: Subject, numbers: Sequence[int]) -> list[Verdict]:
    hunt = hunt_of(subject)
    return [hunt.verdict(hunt.mutants[number]) for number in numbers]
