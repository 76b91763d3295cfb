"""Writes that come again under the key of their first time: they are answered as then, and nothing is done twice."""

from __future__ import annotations

import copy
from collections.abc import Callable

import attrs

from connectory.mock.desks import Desk
from connectory.mock.exchange import Refused
from connectory.mock.reading import Heard
from connectory.mock.shapes import Draft


@attrs.define
class Repeats:
    """What was answered to each key of an operation, where the spec says that writes carry one (`idempotency_key`)."""

    _answered: dict[tuple[str, str], tuple[bytes, Draft]] = attrs.Factory(dict)

    def answer(self, desk: Desk, heard: Heard, work: Callable[[], Draft]) -> Draft:
        """What `work` makes, or made when the key came first. Raises Refused for a key that came with another body."""
        slot = desk.plan.idempotency_key
        key = heard.slot(slot) if slot is not None else None
        if key is None:
            return work()
        place = (desk.name, str(key))
        if place in self._answered:
            body, draft = self._answered[place]
            if body != heard.asked.body:
                raise Refused("rejected", "this idempotency key came with another body before")
            return draft
        draft = copy.deepcopy(work())
        self._answered[place] = (heard.asked.body, draft)
        return draft

    def clear(self) -> None:
        """As it was in the beginning."""
        self._answered.clear()
