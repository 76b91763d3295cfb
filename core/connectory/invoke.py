"""Plans put to work over a Line: single calls, lists, details, read-merge-write and deliveries."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import attrs

from connectory.ahead import in_order
from connectory.answers import Answer, find, read_json
from connectory.calls import Line, Purpose, purpose_of
from connectory.errors import ArgumentError, BadAnswer, ConnectoryError, Missing, Rejected
from connectory.flows import Flow, Moved, answer_of, names_of, read_flow, refuse_raw, results_of
from connectory.formats import leaving_text
from connectory.limits.budgets import Budget
from connectory.lines import Lines
from connectory.messages import Request, Response
from connectory.nesting import linked
from connectory.operation import (
    SPOTS,
    Arguments,
    Plan,
    bind,
    identifying_paths,
    make_plan,
    named_item_type,
    whole_url,
    wire_body,
)
from connectory.outcomes import judge
from connectory.paging.walk import Trail, Walk, find_records, no_records
from connectory.plugins.kinds import Page, PageRequest, Verdict
from connectory.plugins.registry import Registry
from connectory.progress import Course, Progress
from connectory.request import Constants, at_next_url, build, put, render_deep
from connectory.spec.language import Send, Spec
from connectory.spec.places import MISSING
from connectory.spec.typeexpr import Scalar
from connectory.spending import costs_of, named_arguments, priced
from connectory.values.merging import lay_over
from connectory.values.writing import Write

if TYPE_CHECKING:  # what pushes need is imported with the first of them
    from connectory.delivery.accounts import ItemResult
    from connectory.delivery.batches import Batching, Watch

Given = Mapping[str, Any]
MOST_MERGES = 3  # times that a record is read and laid over, where somebody else changes it meanwhile


class VanishedWarning(UserWarning):
    """A record of a list was gone when its detail was asked for; it is left out."""


def new_key() -> str:
    """A key for an item that has none."""
    return str(uuid.uuid4())


@attrs.frozen(eq=False, repr=False)
class _Prepared:
    """What depends on a plan and the settings alone. `address` still holds the `{names}` of path parameters."""

    plan: Plan
    purpose: Purpose
    constants: Constants
    address: str


@attrs.define(eq=False, repr=False)
class Engine:
    """One vendor's operations, callable. Thread-safe: what changes is in the ledger, the token store and the pools."""

    spec: Spec
    registry: Registry
    line: Line
    settings: Mapping[str, Any]
    budgets: Mapping[str, Budget]
    bases: Mapping[str, str]
    concurrency: int
    make_key: Callable[[], str] = new_key
    _plans: dict[str, Plan] = attrs.Factory(dict)
    _prepared: dict[str, _Prepared] = attrs.Factory(dict)

    def plan(self, name: str) -> Plan:
        """The plan of an operation, compiled at its first use."""
        if name not in self._plans:
            body = self._render(wire_body(self.spec, self.spec.operations[name])) or "json"
            self._plans[name] = make_plan(self.spec, self.registry, name, body=body)
        return self._plans[name]

    def replan(self, plan: Plan) -> None:
        """Take this plan for its operation: one that is watched, for one."""
        self._plans[plan.name] = plan
        self._prepared.pop(plan.name, None)

    def _prepare(self, plan: Plan) -> _Prepared:
        """What every call of a plan has in common."""
        known = self._prepared.get(plan.name)
        if known is None or known.plan is not plan:
            budgets = [budget for name in plan.limits if (budget := self.budgets[name]).bounds]
            purpose = purpose_of(plan, budgets, self.registry.formats)
            address = self._render(str(plan.operation.address)) or ""
            known = self._prepared[plan.name] = _Prepared(plan, purpose, self._render_constants(plan), address)
        return known

    def _render(self, template: str) -> str | None:
        return self.line.render(template, self.settings)

    def url(self, plan: Plan) -> str:
        """Base and address joined; `{names}` of path parameters are not yet filled."""
        if whole_url(plan.operation):
            return str(plan.operation.address)
        base = self.bases[plan.operation.server] if plan.operation.server else self.line.base
        return self.line.settled(base).rstrip("/") + self._prepare(plan).address

    def constants(self, plan: Plan) -> Constants:
        """What vendor and operation always send."""
        return self._prepare(plan).constants

    def _render_constants(self, plan: Plan) -> Constants:
        """What vendor and operation always send; the operation's own win."""
        own, vendor = plan.operation.send, self.spec.send
        spots = {
            name: {**self.texts(vendor, name), **self.texts(own, name)}
            for name in ("headers", "query", "cookies", "fields", "variables")
        }
        has_body = plan.operation.method not in ("get", "delete") or bool(own.fields)
        return Constants(**{**spots, "fields": spots["fields"] if has_body else {}})

    def texts(self, send: Send, spot: str) -> dict[str, Any]:
        """What is sent in one place, rendered; what names a setting that is not given is left out."""
        rendered = {name: render_deep(value, self._render) for name, value in getattr(send, spot).items()}
        return {name: value for name, value in rendered.items() if value is not None}

    def purpose(self, plan: Plan) -> Purpose:
        """What a call of this plan spends and how it is judged."""
        return self._prepare(plan).purpose

    def counts_calls(self, plan: Plan) -> bool:
        """Whether a limit counts the calls of this plan, so that none should be made twice."""
        return any(self.budgets[name].windows for name in plan.limits)

    def request(self, plan: Plan, arguments: Arguments, page: PageRequest | None = None, key: str = "") -> Request:
        """The request of one call or page, without credentials. `key` makes it repeatable where the vendor takes one;
        without it a new one is made up. Every try of the request has the same."""
        if plan.idempotency_key is not None:
            arguments = put(arguments, plan.idempotency_key, key or self.make_key())
        for parameter in plan.parameters.values():
            if parameter.field.type == Scalar("secret") and parameter.spot in SPOTS:
                self.line.redactor.add(getattr(arguments, parameter.spot).get(parameter.wire) or "", passing=True)
        request = build(plan, self.url(plan), arguments, self.constants(plan), self.registry.formats, page)
        return request if page is None or page.url is None else at_next_url(plan, request, page.url)

    def exchange(self, plan: Plan, given: Given, into: BinaryIO | None = None) -> tuple[Verdict, Answer]:
        """One call: arguments checked, request built, sent and judged."""
        arguments = bind(plan, given)
        return self._send(self.purpose(plan), plan, arguments, into=into)

    def _send(
        self,
        purpose: Purpose,
        plan: Plan,
        arguments: Arguments,
        page: PageRequest | None = None,
        *,
        key: str = "",
        into: BinaryIO | None = None,
    ) -> tuple[Verdict, Answer]:
        """One request of a plan with all its tries; what it takes of the limits is known by its arguments."""
        if plan.costs:
            costs = costs_of(plan, named_arguments(plan, self.settings, arguments, page))
            purpose = attrs.evolve(purpose, budgets=priced(purpose.budgets, costs))
        return self.line.exchange(purpose, self.request(plan, arguments, page, key), into)

    def raw(self, plan: Plan, given: Given) -> Response:
        """One exchange, its answer undecoded; of a list the first page."""
        refuse_raw(plan)
        arguments = bind(plan, given)
        page = plan.pager_kind.first(plan.pager) if plan.pager and plan.pager_kind else None
        purpose = attrs.evolve(self.purpose(plan), undecoded=True)
        return self._send(purpose, plan, arguments, page)[1].response

    def perform(
        self,
        plan: Plan,
        given: Given,
        *,
        complete: bool = False,
        flight: Callable[[bool], None] | None = None,
        key: str = "",
        course: Course | None = None,
    ) -> tuple[str, Any]:
        """One call that is no list and no batch. Returns its word (`ok`, `accepted`, `unchanged`) and its record.

        `flight` is told when the call leaves, as `calls.Purpose` says; of a read, merge and write the write. `key` is
        what makes a single call repeatable, see `request`; `course` is where the progress of steps is kept.
        """
        if complete and plan.operation.detail is None:
            raise ArgumentError(f"{plan.name}: the spec names no detail call that completes its answer")
        with self._naming(plan):
            if plan.operation.steps:
                word, record = self._steps(plan, given, flight, course)
            elif plan.operation.merge is not None:
                word, record = self._merge(plan, given, flight)
            else:
                arguments = bind(plan, given)
                purpose = self.purpose(plan) if flight is None else attrs.evolve(self.purpose(plan), flight=flight)
                verdict, answer = self._send(purpose, plan, arguments, key=key)
                word, record = verdict.word, take_record(plan, answer)
        if complete and word != "unchanged":
            record = self._read_again(plan, given, record)
        return word, record

    def ask(self, plan: Plan, given: Given) -> Answer:
        """One call's good answer, for a flow."""
        return self.exchange(plan, given)[1]

    def _flow(self, plan: Plan, given: Given, begun: Progress | None) -> Flow:
        bind(plan, given)
        budgets = self.purpose(plan).budgets if plan.operation.limits else ()
        return Flow(self, plan, names_of(plan, given, self.settings), self.line, budgets, begun)

    def _steps(
        self, plan: Plan, given: Given, flight: Callable[[bool], None] | None, course: Course | None
    ) -> tuple[str, Any]:
        step, answer = self._flow(plan, given, course.begun() if course else None).run(flight, course)[-1]
        return "ok", take_record(self.plan(step.call), answer)

    def _read_again(self, plan: Plan, given: Given, record: Any) -> Any:
        """The record as it stands after a call, or what that call said of it where it cannot be found yet."""
        try:
            detail = self.detailed(plan, {**given, **(record if isinstance(record, dict) else {})}, record)
        except ConnectoryError as why:
            why.add_note(f"{plan.name} was done; only reading the record again failed")
            raise
        return record if detail is None else detail

    @contextmanager
    def _naming(self, plan: Plan) -> Iterator[None]:
        """Errors about an answer say whose it was."""
        try:
            yield
        except BadAnswer as why:
            why.vendor = why.vendor or self.spec.name
            why.operation = why.operation or plan.name
            raise

    def _merge(self, plan: Plan, given: Given, flight: Callable[[bool], None] | None) -> tuple[str, Any]:
        """Read the whole record, lay the caller's fields over it, write it back only when something differs.

        Where the spec says `if_match` and somebody changed the record meanwhile, all of that is done again.
        """
        for tries_left in reversed(range(MOST_MERGES)):
            try:
                return self._merge_once(plan, given, flight)
            except Rejected as why:
                if why.status != HTTPStatus.PRECONDITION_FAILED or plan.operation.if_match is None or not tries_left:
                    raise
        raise AssertionError("the last try raises")

    def _merge_once(self, plan: Plan, given: Given, flight: Callable[[bool], None] | None) -> tuple[str, Any]:
        assert plan.operation.merge is not None
        arguments = bind(plan, given)
        reader = self.plan(plan.operation.merge)
        read_given = {p.name: given[p.name] for p in reader.parameters.values() if p.name in given}
        exact = attrs.evolve(
            self.purpose(reader), format=attrs.evolve(self.registry.formats["json"], read=_read_exactly)
        )
        _, answer = self._send(exact, reader, bind(reader, read_given))
        before = take_record(reader, answer)
        if not isinstance(before, dict):
            raise BadAnswer(f"{plan.name}: {reader.name} answered no object to merge into")
        changes = arguments.body if arguments.body is not None else dict(arguments.fields)
        after = lay_over(
            before, changes, self.spec.types, plan.operation.body, self.registry.codecs, plan.styles.datetime
        )
        if after is None:
            return "unchanged", before
        whole = attrs.evolve(arguments, body=after, fields={}, headers={**arguments.headers, **_if_match(plan, answer)})
        purpose = attrs.evolve(self.purpose(plan), flight=flight)
        verdict, written = self._send(purpose, plan, whole)
        record = take_record(plan, written)
        return verdict.word, after if record is None else record  # an empty answer: what was written is the record

    def pages(self, plan: Plan, given: Given, most: int | None = None) -> Iterator[Page]:
        """The pages of a list, records as they came. `most` is how many records are wanted, where that is known."""
        for page, trail_of in self.walk(plan, given, most):
            if not plan.operation.steps or trail_of().progress is None:
                yield page

    def walk(
        self,
        plan: Plan,
        given: Given,
        most: int | None = None,
        start: Trail | None = None,
        known: Callable[[Sequence[Any]], bool] = lambda records: True,
        as_text: bool = False,
    ) -> Iterator[tuple[Page, Callable[[], Trail]]]:
        """The pages of a list and, at each, where the walk is behind it; `start` goes on with an earlier walk, whose
        last page held what is `known`. `as_text` leaves records as they came, where that can be."""
        with self._naming(plan):
            yield from self._walk(plan, given, most, start, known, as_text)

    def _walk(
        self,
        plan: Plan,
        given: Given,
        most: int | None,
        start: Trail | None,
        known: Callable[[Sequence[Any]], bool],
        as_text: bool,
    ) -> Iterator[tuple[Page, Callable[[], Trail]]]:
        assert plan.records is not None
        if plan.operation.steps:
            yield from self._walk_steps(plan, given, start)
            return
        arguments = bind(plan, given)
        purpose = self.purpose(plan)
        if as_text and (plan.pager_kind is None or plan.pager_kind.records is None):
            purpose = attrs.evolve(purpose, format=leaving_text(purpose.format, plan.records))
        if plan.pager is None or plan.pager_kind is None:
            _, answer = self._send(purpose, plan, arguments)
            found = find_records(plan.records, answer)
            if not isinstance(found, list | Lines):
                raise no_records(plan.name, plan.records, answer, found)
            yield Page(PageRequest(), plan.records, found, answer), lambda: Trail(None, pages=1, read=len(found))
            return
        pager = plan.pager
        if most is not None and pager.largest is not None and most < pager.largest:
            pager = attrs.evolve(pager, largest=most)
        walk = Walk(
            name=f"{self.spec.name} {plan.name}",
            pager=pager,
            kind=plan.pager_kind,
            where=plan.records,
            fetch=lambda asked: self._send(purpose, plan, arguments, asked)[1],
            ahead=self.concurrency if most is None else 1,
            start=start,
            known=known,
        )
        for page in walk.pages():
            yield page, lambda: walk.trail

    def _walk_steps(self, plan: Plan, given: Given, start: Trail | None) -> Iterator[tuple[Page, Callable[[], Trail]]]:
        """The list that is the last of some steps, as one page; before it an empty one where it may be gone on with."""
        assert plan.records is not None
        pages = []
        for one in self._flow(plan, given, start.progress if start else None).pages():
            if isinstance(one, Moved):
                yield (
                    Page(PageRequest(), plan.records, [], one.answer),
                    partial(Trail, PageRequest(), progress=one.progress),
                )
            else:
                pages.append(one)
        if pages:
            found = [record for page in pages for record in page.records]
            yield attrs.evolve(pages[-1], records=found), lambda: Trail(None, pages=1, read=len(found))

    def complete(self, plan: Plan, records: Iterable[Any], most: int | None = None) -> Iterator[Any]:
        """Each record laid under its detail, in order, as many at once as the limits allow; at most `most` of them."""
        rest, found = iter(records), 0
        while most is None or found < most:
            wanted = list(islice(rest, None if most is None else most - found))
            if not wanted:
                return
            for record in in_order(
                lambda one: self.detailed(plan, one, one), wanted, self.concurrency, "connectory-detail"
            ):
                if record is not None:
                    found += 1
                    yield record

    def detailed(self, plan: Plan, source: Mapping[str, Any], record: Any) -> Any:
        """The record under its detail; None where it is gone."""
        link = plan.operation.detail
        assert link is not None  # seen to before anything was sent
        given = linked(link, source, self.plan(link.operation))
        try:
            _, detail = self.perform(self.plan(link.operation), given)
        except Missing as why:
            warnings.warn(f"{plan.name}: {why}", VanishedWarning, stacklevel=2)
            return None
        if detail is None:
            raise BadAnswer(f"{link.operation} answered nothing", vendor=self.spec.name, operation=link.operation)
        return {**record, **detail} if isinstance(record, dict) and isinstance(detail, dict) else detail

    def deliver(self, plan: Plan, items: Iterable[Any], given: Given) -> Iterator[ItemResult | ConnectoryError]:
        """The result of every item of a batch operation; see `delivery.batches.deliver`."""
        from connectory.delivery.batches import Unwatched, deliver

        assert plan.item is not None
        return deliver(self._batching(plan, given, Unwatched(), plan.item), items)

    def deliver_written(
        self, plan: Plan, wires: Sequence[Any], given: Given, watch: Watch, *, only_new: bool = False
    ) -> Iterator[Sequence[ItemResult] | ConnectoryError]:
        """The same, some at a time, of items that are checked and as they stand on the wire.

        `watch` is told of every request; `only_new` says that what is there already is as good as sent.
        """
        from connectory.delivery.batches import as_it_is, deliver_together

        return deliver_together(self._batching(plan, given, watch, as_it_is, only_new=only_new), wires)

    def _batching(self, plan: Plan, given: Given, watch: Watch, write: Write, *, only_new: bool = False) -> Batching:
        from connectory.delivery.batches import Batching
        from connectory.delivery.results import read_results

        operation = plan.operation
        assert operation.batch is not None
        arguments = bind(plan, given, filled=plan.key)
        purpose = attrs.evolve(self.purpose(plan), flight=watch.flight)

        def send(wire: list[Any]) -> Answer:
            filled = _with_items(plan, arguments, wire)
            key = watch.key() if plan.idempotency_key is not None else ""
            return self._send(purpose, plan, filled, key=key)[1]

        def take_steps(wire: list[Any]) -> Answer:
            flow = self._flow(plan, {**given, plan.items_name: wire}, watch.begun())
            return answer_of(flow.run(watch.flight, watch))

        fields = named_item_type(self.spec, plan)
        assumed = f"operations/{plan.name}/batch/atomic" in self.spec.assumed
        return Batching(
            batch=operation.batch,
            kind=self.registry.batches[operation.batch.use],
            results=results_of(plan, given, self.settings),
            read=read_flow if operation.steps else read_results,
            write=write,
            fields=fields,
            identity=identifying_paths(self.spec.types, fields),
            send=take_steps if operation.steps else send,
            # Half of a job is another job: a refused one is not cut to find the offender.
            harmless=not operation.steps and (plan.repeatable or (operation.batch.atomic and not assumed)),
            make_key=self.make_key,
            destroys=plan.does == "destroy",
            only_new=only_new,
            watch=watch,
            queued=lambda answer: judge(plan.judges, answer).word == "accepted",
            redact=self.line.redactor.redact,
        )


def _read_exactly(body: bytes) -> Any:
    return read_json(body, exact=True)


def _with_items(plan: Plan, arguments: Arguments, wire: list[Any]) -> Arguments:
    assert plan.operation.batch is not None
    name = plan.operation.batch.items
    if name is None:
        return attrs.evolve(arguments, body=wire)
    spot = next(p.spot for p in plan.parameters.values() if p.wire == name)
    changes: dict[str, Any] = {spot: {**getattr(arguments, spot), name: wire}}
    return attrs.evolve(arguments, **changes)


def _if_match(plan: Plan, answer: Answer) -> dict[str, Any]:
    """The header that keeps a write from undoing what somebody else wrote since the record was read."""
    if plan.operation.if_match is None:
        return {}
    known = find(plan.operation.if_match, answer)
    if known is MISSING or known is None:
        raise BadAnswer(f"{plan.name}: the record read comes without what goes back as If-Match", status=answer.status)
    return {"If-Match": known}


def take_record(plan: Plan, answer: Answer) -> Any:
    """The record in an answer; None when it has no body, which is no answer to a read unless the status says so."""
    if not answer.response.body and answer.status == 200 and plan.does == "read" and plan.styles.answer == "json":
        raise BadAnswer(f"{plan.name}: the answer is empty", operation=plan.name, status=answer.status)
    if not plan.operation.record or not answer.response.body:
        return answer.data
    for path in plan.operation.record:
        found = path.find(answer.data)
        if found is not MISSING:
            return found
    paths = ", ".join(map(str, plan.operation.record))
    raise BadAnswer(f"{plan.name}: no record at '{paths}' in the answer", operation=plan.name, status=answer.status)
