"""Operations made of operations: one step after the other, polls included, with what is kept handed on.

A step is one call of an ordinary operation. What it may say is checked when the spec is loaded; a value that an answer
was to give and did not ends a read without records and leaves a write without a trustworthy answer.

How far it has come is told to whoever can keep it (`progress.Course`), so that a process that was killed in the middle
is followed by one that goes on at its step: the job that was made is polled, not made a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import attrs

from connectory.answers import Answer, find
from connectory.calls import Line
from connectory.delivery.results import Reading, read_results
from connectory.errors import ArgumentError, Failed, LimitReached, Rejected, Unavailable, UnknownOutcome
from connectory.limits.budgets import Budget
from connectory.limits.ledger import acquire
from connectory.messages import Headers, Response
from connectory.operation import Plan
from connectory.outcomes import conditions_hold
from connectory.plugins.kinds import Page
from connectory.progress import Course, Progress, Uncharted
from connectory.spec.expressions import compile_expression
from connectory.spec.language import Results, Step
from connectory.spec.places import MISSING, AnswerPath, parse_path
from connectory.spec.words import Conditions, Match

Names = Mapping[str, Any]


class Caller(Protocol):
    """What a flow needs of the engine."""

    def plan(self, name: str) -> Plan:
        """An operation by name."""

    def ask(self, plan: Plan, given: Names) -> Answer:
        """One call and its good answer."""

    def pages(self, plan: Plan, given: Names) -> Iterator[Page]:
        """The pages of a list."""


Flight = Callable[[bool], None]


class NothingMore(Exception):
    """An answer does not hold what the next step needs; `message` says what."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@attrs.frozen
class Moved:
    """A step that changes something is done; a read may be gone on with behind it."""

    answer: Answer
    progress: Progress


@attrs.define
class Flow:
    """One run through the steps of an operation. `names` are its arguments and settings, and what is kept.

    While it runs it counts as one call of `budgets`, which are the limits that it names itself. `begun` is how far an
    earlier run came, with which this one goes on.
    """

    caller: Caller
    plan: Plan
    names: dict[str, Any]
    line: Line
    budgets: Sequence[Budget]
    begun: Progress | None = None
    _asked: bool = False
    _kept: dict[str, Any] = attrs.Factory(dict)
    _told: dict[str, Any] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        if self.begun is not None and list(self.begun.calls) != self._calls:
            self.begun = None if self.plan.does == "read" else attrs.evolve(self.begun, away=True, step=0)
        if self.begun is not None:
            self._kept, self._told = dict(self.begun.kept), dict(self.begun.told)
            self.names |= self._kept

    @property
    def _calls(self) -> list[str]:
        return [step.call for step in self.plan.operation.steps]

    def pages(self) -> Iterator[Page | Moved]:
        """Take all steps; the pages of the last one, and before them what may be kept of the way there. No pages where
        a read ends early."""
        *steps, last = self.plan.operation.steps
        with self._under_way(None):
            try:
                for number, step in enumerate(steps):
                    if self._is_done(number, step):
                        continue
                    answer = self._take(step)
                    self._keep(step, answer)
                    if self._changes(step):
                        yield Moved(answer, self._progress(number + 1))
            except NothingMore:
                return
            yield from self.caller.pages(self.caller.plan(last.call), self._given(last))

    def run(self, flight: Flight | None = None, course: Course | None = None) -> list[tuple[Step, Answer]]:
        """Take all steps; the answers to those that say something. Raises Failed, Unavailable or UnknownOutcome before
        their end.

        `flight` is told that something is under way; that it is not, only where a limit kept the first call back.
        `course` is told of every step that changes something, before and after.
        """
        course = course or Uncharted()
        self._look_back()
        try:
            return self._run(flight, course)
        except Rejected as why:
            if self.begun is None:
                raise
            # Of what an earlier process began, the vendor knows no more (a job that it has forgotten, say).
            raise UnknownOutcome(f"{self.plan.name}: gone on with, and {why}", status=why.status) from why

    def _run(self, flight: Flight | None, course: Course) -> list[tuple[Step, Answer]]:
        answers = []
        with self._under_way(flight):
            for number, step in enumerate(self.plan.operation.steps):
                if self._is_done(number, step):
                    if str(number) in self._told:
                        answers.append((step, _answer_again(self._told[str(number)])))
                    continue
                changes = self._changes(step)
                if changes and not self.caller.plan(step.call).repeatable:
                    course.reach(self._progress(number, away=True))
                answer = self._take(step)
                answers.append((step, answer))
                try:
                    self._keep(step, answer)
                except NothingMore as why:
                    raise self._ended(why.message, answer) from None
                if changes:
                    if step.results or number + 1 == len(self._calls):
                        self._told[str(number)] = answer.data
                    course.reach(self._progress(number + 1))
        return answers

    def _look_back(self) -> None:
        """Where an earlier process ended within a call: that one again where it does no harm, else all of them."""
        if self.begun is None or not self.begun.away:
            return
        call = self._calls[self.begun.step]
        if self.begun.step and self.caller.plan(call).repeatable:
            return
        if not self.plan.repeatable:
            why = f"{self.plan.name}: the program ended while {call} was under way"
            raise UnknownOutcome(why, operation=self.plan.name)
        self.begun = None

    def _is_done(self, number: int, step: Step) -> bool:
        """Whether an earlier process took the step; what it read of the items is read again."""
        if self.begun is None or number >= self.begun.step:
            return False
        return self._changes(step) or not step.results

    def _changes(self, step: Step) -> bool:
        return self.caller.plan(step.call).does != "read"

    def _progress(self, step: int, *, away: bool = False) -> Progress:
        return Progress(step, self._calls, dict(self._kept), dict(self._told), away)

    @contextmanager
    def _under_way(self, flight: Flight | None) -> Iterator[None]:
        line = self.line
        longest = sum(step.at_most for step in self.plan.operation.steps if step.until) + line.lease_seconds
        lease = acquire(line.ledger, self.budgets, line.clock, line.max_wait, longest, line.on_wait)
        if flight is not None:
            flight(True)
        try:
            yield
        except LimitReached:
            if flight is not None and not self._asked and self.begun is None:
                flight(False)
            raise
        finally:
            line.ledger.release(lease)

    def _take(self, step: Step) -> Answer:
        """One step; where it polls, until it is over."""
        plan = self.caller.plan(step.call)
        ends = self.line.clock.monotonic() + step.at_most
        while True:
            answer = self._call(plan, self._given(step))
            self._asked = True
            if step.failed and conditions_hold(step.failed, answer.data):
                raise self._ended(f"{step.call} says {_found(step.failed, answer)}", answer)
            if not step.until or conditions_hold(step.until, answer.data):
                return answer
            if self.line.clock.monotonic() + step.every > ends:
                found = _found(step.until, answer)
                raise self._unfinished(f"{step.call} still says {found} after {step.at_most:.0f} s", answer)
            self.line.clock.sleep(step.every)

    def _call(self, plan: Plan, given: Names) -> Answer:
        """One call's answer; of a list all its records, in the answer of the last page."""
        if not plan.many:
            return self.caller.ask(plan, given)
        records: list[Any] = []
        answer: Answer | None = None
        for page in self.caller.pages(plan, given):
            records += page.records
            answer = page.answer
        assert answer is not None  # a list has one page at least
        return attrs.evolve(answer, data=records)

    def _given(self, step: Step) -> dict[str, Any]:
        """The arguments of a step, by the caller's names; one whose name has no value is left out."""
        by_wire = {p.wire: p.name for p in self.caller.plan(step.call).parameters.values()}
        filled = {by_wire[wire]: fill(held, self.names) for wire, held in step.with_.items()}
        return {name: value for name, value in filled.items() if value is not None}

    def _keep(self, step: Step, answer: Answer) -> None:
        for name, place in step.keep.items():
            found = find(place, answer)
            if found is MISSING or found is None:
                raise NothingMore(f"{step.call} answered without '{name}'")
            self.names[name] = self._kept[name] = found

    def _ended(self, why: str, answer: Answer) -> Failed | UnknownOutcome:
        """A read has failed; of a write nobody can say what was done before."""
        kind = Failed if self.plan.does == "read" else UnknownOutcome
        return kind(f"{self.plan.name}: {why}", operation=self.plan.name, status=answer.status)

    def _unfinished(self, why: str, answer: Answer) -> Unavailable | UnknownOutcome:
        message = f"{self.plan.name}: {why}"
        if self.plan.does == "read":
            return Unavailable(message, operation=self.plan.name, status=answer.status, retryable=True)
        return UnknownOutcome(message, operation=self.plan.name, status=answer.status)


def _answer_again(data: Any) -> Answer:
    """The answer that an earlier process had, as far as it was kept."""
    return Answer(Response(200, Headers(), b""), data)


def _found(conditions: Conditions, answer: Answer) -> str:
    """What stands where conditions look: `state: InProgress`."""
    found = ((path, path.find(answer.data)) for path in conditions)
    return ", ".join(f"{path}: {'nothing' if value is MISSING else value}" for path, value in found)


def fill(held: Any, names: Names) -> Any:
    """A value of `with`: a lone `{{ x }}` keeps its value, text round it makes it a text, None where x is not given."""
    if isinstance(held, str):
        return compile_expression(held).value_optional(names) if "{{" in held else held
    if isinstance(held, Mapping):
        filled = {name: fill(inner, names) for name, inner in held.items()}
        return {name: value for name, value in filled.items() if value is not None}
    if isinstance(held, list | tuple):
        return [fill(inner, names) for inner in held]
    return held


def names_of(plan: Plan, given: Names, settings: Names) -> dict[str, Any]:
    """What the texts of a flow see at its beginning: settings, and its parameters as given or by default."""
    defaults = {p.name: p.field.default for p in plan.parameters.values()}
    return {**settings, **defaults, **{name: value for name, value in given.items() if value is not None}}


def fill_results(results: Sequence[Results], names: Names) -> tuple[Results, ...]:
    """Results whose paths may name an argument of the flow, filled in: it is one name, whatever it holds."""

    def path(held: AnswerPath) -> AnswerPath:
        if "{{" not in held.text:
            return held
        name = compile_expression(held.text).render(names)
        quoted = name.replace("\\", r"\\").replace('"', r"\"")
        return parse_path(f'"{quoted}"')

    def filled(one: Results) -> Results:
        key = None if one.key is None else Match(item=path(one.key.item), result=path(one.key.result))
        others: dict[str, Any] = {
            name: path(held) for name in ("at", "index", "id", "message", "code") if (held := getattr(one, name))
        }
        return attrs.evolve(one, key=key, **others)

    return tuple(map(filled, results))


@attrs.frozen(repr=False)
class FlowAnswer(Answer):
    """The answer of the last step, and of each step what it says of the items."""

    told: tuple[tuple[int, Answer], ...] = attrs.field(kw_only=True)


def read_flow(
    results: Sequence[Results], answer: Answer, items: Sequence[Any], redact: Callable[[str], str] = str
) -> Reading:
    """What the answers of several steps say of each item, taken together. `results` are those of all steps in order;
    the answer says how many of them belong to each step."""
    assert isinstance(answer, FlowAnswer)
    readings, rest = [], list(results)
    for count, told in answer.told:
        own, rest = rest[:count], rest[count:]
        if own:
            readings.append(read_results(own, told, items, redact))
    said = {position: one for reading in readings for position, one in reading.said.items()}
    strangers = [one for reading in readings for one in reading.strangers]
    listed = any(reading.listed for reading in readings)
    return Reading(said, sum(reading.entries for reading in readings), strangers, listed)


def answer_of(told: Sequence[tuple[Step, Answer]]) -> FlowAnswer:
    """The answers of all steps as one."""
    last = told[-1][1]
    return FlowAnswer(last.response, last.data, told=tuple((len(step.results), answer) for step, answer in told))


def results_of(plan: Plan, given: Names, settings: Names) -> tuple[Results, ...]:
    """What the answers of a batch say of its items, of a flow those of all steps in order."""
    steps = plan.operation.steps
    if not steps:
        return plan.operation.results
    return fill_results([one for step in steps for one in step.results], names_of(plan, given, settings))


def refuse_raw(plan: Plan) -> None:
    """A flow has no single exchange. Raises ArgumentError."""
    if plan.operation.steps:
        raise ArgumentError(f"{plan.name}: several calls: there is no single exchange to show")
