"""What a call takes of its limits: estimated before it leaves, told by its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from connectory.answers import Answer, find, to_number
from connectory.errors import ArgumentError
from connectory.limits.budgets import Budget
from connectory.limits.told import MOST, NOTHING, Told
from connectory.operation import Arguments, Plan
from connectory.outcomes import by_our_clock, find_moment
from connectory.plugins.kinds import Codec, PageRequest
from connectory.spec.expressions import ExpressionFault
from connectory.spec.language import Learn
from connectory.spec.naming import snake
from connectory.spec.words import Place


def costs_of(plan: Plan, names: Mapping[str, Any]) -> dict[str, int]:
    """What a call takes of the limits that its operation has `costs` for; 1 where an argument that it is computed of
    is not given. Raises ArgumentError where the arguments give no number."""
    return {limit: _cost(plan, limit, names) for limit in plan.costs}


def _cost(plan: Plan, limit: str, names: Mapping[str, Any]) -> int:
    try:
        value = plan.costs[limit].value_optional(names)
    except ExpressionFault as why:
        raise ArgumentError(f"{plan.name}: what it costs of '{limit}': {why}") from None
    number = 1 if value is None else to_number(value)
    if number is None or number > MOST:
        raise ArgumentError(f"{plan.name}: what it costs of '{limit}' is no number, but '{value}'")
    return max(1, math.ceil(number))


def named_arguments(
    plan: Plan, settings: Mapping[str, Any], arguments: Arguments, page: PageRequest | None
) -> dict[str, Any]:
    """What `costs` may name: settings, the arguments by their caller's names, and what the page's slots hold."""
    found = dict(settings)
    for parameter in plan.parameters.values():
        if parameter.spot in ("body", "document"):
            found[parameter.name] = getattr(arguments, parameter.spot)
        else:
            found[parameter.name] = getattr(arguments, parameter.spot).get(parameter.wire)
    for slot, value in page.slots if page else ():
        found[snake(slot.name)] = value
    return found


def priced(budgets: Sequence[Budget], costs: Mapping[str, int]) -> list[Budget]:
    """The budgets with what one call takes of each."""
    return [attrs.evolve(one, cost=costs[one.name]) if one.name in costs else one for one in budgets]


@attrs.frozen
class Teller:
    """Reads what answers tell of limits, by their names."""

    learns: Mapping[str, Learn]
    codecs: Mapping[str, Codec]

    def told(self, budgets: Sequence[Budget], answer: Answer, now: float) -> Mapping[str, Told]:
        """What an answer tells of these budgets, by their keys.

        `now` is our own time in epoch seconds: a moment is measured by the vendor's clock, where the answer has it.
        """
        if not self.learns:
            return NOTHING
        learns = self.learns
        return {one.key: self._told(learns[one.name], answer, now) for one in budgets if one.name in learns}

    def _told(self, learn: Learn, answer: Answer, now: float) -> Told:
        left, used = _number(learn.remaining, answer), _number(learn.used, answer)
        limit, cost = _number(learn.limit, answer), _number(learn.cost, answer)
        return Told(
            limit=None if limit is None else math.floor(limit),
            left=None if left is None else math.floor(left),
            used=None if used is None else math.ceil(used),
            reset=self._reset(learn.reset, answer, now),
            refill=_number(learn.refill, answer),
            cost=None if cost is None else math.ceil(cost),
        )

    def _reset(self, place: Place | None, answer: Answer, now: float) -> float | None:
        if place is None or place.codec is None:
            seconds = _number(place, answer)
            return None if seconds is None else now + seconds
        moment = find_moment(place, answer, self.codecs)
        return None if moment is None else by_our_clock(moment, answer, now)


NO_TELLER: Final = Teller({}, {})


def _number(place: Place | None, answer: Answer) -> float | None:
    """A number that a limit can have; None where there is none. Below nothing is nothing."""
    number = to_number(find(place, answer)) if place is not None else None
    return None if number is None or number > MOST else max(0.0, number)
