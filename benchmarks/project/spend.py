"""Call as often as the limit lets, until some minutes of a quick clock are over: `python spend.py START SPEED MINUTES`

The clock begins at START of the machine's time and goes SPEED times as fast; the server has the same.
"""

import random
import sys
import time
from pathlib import Path

from connectory import connect
from connectory.connecting import Parts
from connectory.errors import LimitReached
from connectory.limits.sqlite import SqliteLedger

start, speed, minutes = map(float, sys.argv[1:])


class QuickClock:
    """The machine's, quicker; all processes and the server read the same."""

    def now(self) -> float:
        return start + (time.time() - start) * speed

    monotonic = now

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / speed)

    def random(self) -> float:
        return random.random()


clock = QuickClock()
parts = Parts(clock=clock, ledger=SqliteLedger(Path("ledger.sqlite"), clock))
with connect("scarce", parts=parts) as vendor:
    time.sleep(max(0.0, start - time.time()))
    number = 0
    while clock.now() < start + minutes * 60:
        number += 1
        try:
            vendor.things.get(id=number)
        except LimitReached:
            break
