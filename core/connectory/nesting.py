"""Lists inside of lists: what a record of one list fills in of another's arguments, or of its own again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from connectory.errors import BadAnswer, PagingError
from connectory.operation import Plan
from connectory.outcomes import conditions_hold
from connectory.plugins.kinds import Page
from connectory.spec.language import Link, Recursion
from connectory.spec.places import MISSING
from connectory.spec.typeexpr import Scalar

Given = Mapping[str, Any]
# Arguments of a list, what is kept of the record that it is inside of, and how many levels down that is.
Inside = tuple[Given, Mapping[str, Any], int]
MOST_LEVELS: Final = 100


class Lists(Protocol):
    """What is needed of the engine."""

    def plan(self, name: str) -> Plan:
        """An operation by name."""

    def pages(self, plan: Plan, given: Given) -> Iterator[Page]:
        """The pages of a list."""


def for_parents(lists: Lists, plan: Plan, given: Given) -> Iterator[tuple[Given, Mapping[str, Any]]]:
    """The arguments of a list once for each parent record, with the parent's fields that are kept."""
    link = plan.operation.parent
    assert link is not None  # seen to before anything was sent
    parent = lists.plan(link.operation)
    above = for_parents(lists, parent, {}) if needs_parents(parent) else [({}, {})]
    for asked, told in above:
        for page in lists.pages(parent, asked):
            for record in page.records:
                if conditions_hold(link.when, record):
                    filled, kept = for_parent(plan, {**record, **told})
                    yield {**given, **filled}, kept


def for_parent(plan: Plan, record: Any) -> tuple[Given, Mapping[str, Any]]:
    """The arguments that a parent record fills, and its fields that are kept."""
    link = plan.operation.parent
    assert link is not None
    return linked(link, record, plan), kept_of(link, record)


def inside(plan: Plan, records: Iterable[Any], outer: Inside) -> list[Inside]:
    """What has to be asked for to read what is inside of these records of the list `outer`. Raises PagingError
    where it goes deeper than anybody nests."""
    link = plan.operation.recurse
    assert link is not None  # seen to before anything was sent
    given, told, depth = outer
    found: list[Inside] = [
        ({**given, **linked(link, record, plan)}, {**told, **kept_of(link, record)}, depth + 1)
        for record in records
        if conditions_hold(link.when, record)
    ]
    if found and depth >= MOST_LEVELS:
        raise PagingError(f"{plan.name}: more than {MOST_LEVELS} levels inside each other: they may run in circles")
    return found


def needs_parents(plan: Plan) -> bool:
    """Whether a list that is somebody's parent is itself read once for each of its own parents."""
    link = plan.operation.parent
    return link is not None and any(p.required and p.wire in link.with_ for p in plan.parameters.values())


def kept_of(link: Link | Recursion, record: Any) -> dict[str, Any]:
    """The fields of a record that go into those read for it; null where it has them not."""
    kept = {name: path.find(record) for name, path in link.keep.items()}
    return {name: None if value is MISSING else value for name, value in kept.items()}


def linked(link: Link | Recursion, record: Mapping[str, Any], target: Plan) -> dict[str, Any]:
    """Arguments of the linked operation, taken from a record."""
    by_wire = {p.wire: p for p in target.parameters.values()}
    given: dict[str, Any] = {}
    for wire, path in link.with_.items():
        value = path.find(record)
        if value is MISSING or value is None:
            raise BadAnswer(f"{target.name}: the record holds no '{path}' to look it up by")
        parameter = by_wire[wire]
        # An id that is a number in the record is the same id as text in a path.
        number = type(value) is int and parameter.field.type == Scalar("str")
        given[parameter.name] = str(value) if number else value
    return given
