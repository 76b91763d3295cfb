"""Faults on demand: answers and lost connections that a test asks for."""

from __future__ import annotations

import re

import attrs

from emulators.exchange import Answer, Ask


@attrs.define(eq=False)
class Fault:
    """What happens to the next requests that match. `times` counts down; `skip` lets so many pass first.

    `answer` None drops the connection; `part` is how many bytes of the true answer's body are sent before that
    (None: nothing at all, not even a status).
    """

    match: re.Pattern[str]
    times: int
    answer: Answer | None
    after_applying: bool
    skip: int = 0
    part: int | None = None

    def takes(self, ask: Ask) -> bool:
        """Whether this request is hit; counts it."""
        if self.times <= 0 or not self.match.search(ask.route):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True
