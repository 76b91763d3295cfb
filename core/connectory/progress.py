"""How far an operation made of steps has come: what a later process needs to go on at its step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs


@attrs.frozen
class Progress:
    """`step` is the next one to take, from 0. Only calls that change something count: what merely reads is asked again.

    `calls` are the operations of all steps, so that another flow is not taken for this one; `kept` is what the answers
    gave for later steps, and `told`, by the number of the step, the data of answers that say what became of items.
    `away`: the call of `step` may have left, and its answer is not known.
    """

    step: int
    calls: Sequence[str]
    kept: Mapping[str, Any] = attrs.Factory(dict)
    told: Mapping[str, Any] = attrs.Factory(dict)
    away: bool = False


class Course(Protocol):
    """Keeps the progress of one run through the steps, so that it survives the process."""

    def begun(self) -> Progress | None:
        """Where an earlier process was with the very same work; None: it is new."""

    def reach(self, progress: Progress) -> None:
        """The flow has come this far: on the disk when this returns."""


class Uncharted:
    """Nothing is kept: a process that ends takes its flow with it."""

    def begun(self) -> Progress | None:
        return None

    def reach(self, progress: Progress) -> None: ...
