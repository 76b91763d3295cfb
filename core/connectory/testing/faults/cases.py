"""The fault tests of a spec: each fault that can happen to an operation, played by the mock, and what must follow."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs

from connectory.errors import Fault
from connectory.plugins.registry import Registry
from connectory.spec.load import Loaded
from connectory.testing.faults.bench import Bench, Ran
from connectory.testing.faults.subjects import Subject
from connectory.testing.faults.table import TROUBLES, Promise, Trouble
from connectory.testing.recorded.blame import fault_at

_ERRORS: Final = ("Denied", "LimitReached", "Missing", "Rejected", "UnknownOutcome", "BadAnswer", "PagingError")
_KEPT: Final = 2  # benches that a process keeps: the spec at work, and the one before


@attrs.frozen(eq=False)
class FaultCase:
    """One fault of one operation. `name` is `students.list[fault: 429 with a date]`."""

    vendor: str
    operation: str
    trouble: Trouble
    promise: Promise

    @property
    def name(self) -> str:
        return f"{self.operation}[fault: {self.trouble.name}]"


def fault_cases(registry: Registry, loaded: Loaded) -> Sequence[FaultCase]:
    """The faults that the spec's operations can meet. Of operations that are alike, the first stands for all."""
    bench = _bench(registry, loaded)
    found = []
    for subject in representatives(bench.subjects()):
        for trouble in TROUBLES:
            promise = trouble.promise(subject)
            if promise is not None:
                found.append(FaultCase(loaded.spec.name, subject.name, trouble, promise))
    return found


def representatives(subjects: Sequence[Subject]) -> Sequence[Subject]:
    """The first of each kind of operations that are alike in everything that a promise looks at."""
    kinds: dict[Any, Subject] = {}
    for subject in subjects:
        kinds.setdefault(_kind(subject), subject)
    return list(kinds.values())


def _kind(s: Subject) -> Any:
    """What the promises look at, the way of paging, the rules of its own, and how body and answer are written."""
    operation, plan = s.desk.operation, s.desk.plan
    facts = (s.does, s.repeatable, s.removes, s.signed, s.token, s.json, s.has_body, s.empty_is_good, s.own_throttle)
    batch = (s.batch, s.fits_five, s.harmless, s.reports, s.lists_items)
    wire = (operation.graphql is None, operation.pages, s.desk.act == "list", operation.merge is None, plan.styles)
    rules = tuple((rule.is_, rule.use, rule.status, bool(rule.body)) for rule in operation.outcomes)
    return facts, batch, wire, rules


def run_fault_case(registry: Registry, loaded: Loaded, case: FaultCase) -> Sequence[Fault]:
    """What is not as promised; nothing where the case passes."""
    bench = _bench(registry, loaded)
    with bench.lock:
        usual = bench.usual(case.operation)
        if usual.error:
            said = f"this call fails against a mock of the spec itself ({usual.error}): an example would show how"
            return [_fault(loaded, case, said)] if case.trouble.name == "none" else []
        ran = usual if case.trouble.name == "none" else bench.run(case.operation, case.trouble.faults(case.operation))
        return [_fault(loaded, case, said) for said in _broken(case, usual, ran)]


def _fault(loaded: Loaded, case: FaultCase, said: str) -> Fault:
    promise = f"; promised: {case.promise.gives}. {case.promise.says}"
    return fault_at(loaded, ("operations", case.operation), f"{case.trouble.about}: {said}{promise}")


def _broken(case: FaultCase, usual: Ran, ran: Ran) -> Iterator[str]:
    """In which ways the promise was not kept."""
    promise = case.promise
    yield from _as_given(promise.gives, usual, ran)
    wanted = (1 if promise.gives in _ERRORS else usual.calls) + (promise.more or 0)
    if promise.more is not None and ran.calls != wanted:
        yield f"{ran.calls} requests, not {wanted}"
    if promise.waits and ran.waited - usual.waited < promise.waits:
        yield f"it waited {ran.waited - usual.waited:.1f} s longer than usual, not {promise.waits:g}"
    if promise.gives == "the same" and not ran.reads and ran.held != usual.held:
        yield f"the vendor holds {ran.held} records afterwards, not {usual.held}"
    if promise.gives == "UnknownOutcome" and ran.held not in (usual.before, usual.held):
        yield f"the vendor holds {ran.held} records afterwards, neither {usual.before} nor {usual.held}"


def _as_given(gives: str, usual: Ran, ran: Ran) -> Iterator[str]:
    if gives in _ERRORS:
        if ran.error != gives:
            yield f"the call gave {ran.error or 'no error'}{_told(ran)}, not {gives}"
        return
    if ran.error:
        yield f"the call ended with {ran.error}{_told(ran)}"
        return
    if gives in ("bad rejected", "all rejected", "all unknown"):
        yield from _accounted(gives, usual, ran)
        return
    warned = "CountWarning" in ran.warns
    if warned != gives.endswith("with a warning") and gives != "one record twice":
        yield "a warning about the count" if warned else "no warning about the count"
    wanted = {"one record twice": usual.records + 1}.get(gives, usual.records)
    if gives.startswith("fewer records"):
        if ran.records >= usual.records:
            yield f"{ran.records} records, not fewer than {usual.records}"
    elif ran.records != wanted:
        yield f"{ran.records} records, not {wanted}"
    if gives == "the same" and ran.digest != usual.digest:
        yield f"what it gave is another: {ran.shown}, not {usual.shown}"
    if gives == "the same" and ran.accounts != usual.accounts:
        yield f"the accounting is {ran.accounts}, not {usual.accounts}"


def _accounted(gives: str, usual: Ran, ran: Ran) -> Iterator[str]:
    word = "unknown" if gives == "all unknown" else "rejected"
    total = usual.accounts.get("read", 0)
    bad = ran.bad if gives == "bad rejected" else total
    wanted = {"read": total, **({"delivered": total - bad} if total > bad else {}), word: bad}
    got = {name: count for name, count in ran.accounts.items() if count}
    if got != wanted:
        yield f"the accounting is {got}, not {wanted}"


def _told(ran: Ran) -> str:
    return f" ({ran.said})" if ran.said else ""


_benches: Final[dict[int, tuple[Loaded, Bench]]] = {}
_guard: Final = threading.Lock()


def _bench(registry: Registry, loaded: Loaded) -> Bench:
    """The mock of a spec, made once a process."""
    with _guard:
        held = _benches.pop(id(loaded), None)
        if held is None:
            held = (loaded, Bench.of(registry, loaded))
        _benches[id(loaded)] = held
        while len(_benches) > _KEPT:
            _, bench = _benches.pop(next(iter(_benches)))
            bench.close()
        return held[1]
