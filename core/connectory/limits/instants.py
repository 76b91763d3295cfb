"""Both clocks at one moment: what the ledger goes by when one of them is set."""

from __future__ import annotations

from typing import Final

import attrs

from connectory.clock import Clock

STEP: Final = 0.1  # seconds that the clocks may differ without one of them having been set


@attrs.frozen
class Instant:
    """Both clocks, read together."""

    wall: float
    mono: float


def read_instant(clock: Clock) -> Instant:
    """Both clocks; read again when something came between the two."""
    before = clock.monotonic()
    for _ in range(100):
        wall, after = clock.now(), clock.monotonic()
        if after - before < STEP / 10:
            break
        before = after
    else:
        wall = clock.now()
    return Instant(wall, before)
