"""Ctrl-C and SIGTERM: a command ends soon, in order where it can."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

GRACE: Final = 1.0  # seconds that an interrupted command has to end by itself
_TOLD: Final = {signal.SIGINT: b"\ninterrupted\n", signal.SIGTERM: b"\nterminated\n"}
KEY: Final = "connectory.interrupts"  # where a command finds them in click's `Context.meta`


class Interrupts:
    """What became of the signals. `exit_code` is 0 until one comes, then 128 and its number.

    A command that can end in order sets `gently`, which is told the exit code instead of raising KeyboardInterrupt;
    `at_last` is called when it has not ended in time and the process is left in the middle of something.
    """

    def __init__(self) -> None:
        self.exit_code = 0
        self.gently: Callable[[int], None] | None = None
        self.at_last: Callable[[], None] | None = None

    @contextmanager
    def caught(self) -> Iterator[None]:
        """End the process soon after a signal, even where threads wait for an answer that may take minutes.

        The first one unwinds the command as usual; what has not ended by itself after `GRACE`, or at the second one,
        is left as it is. Nothing is half written by that: files appear when they are whole, databases have
        transactions, journals know what is under way, and a lease of the ledger ends with its holder.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._caught) for number in _TOLD}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = 128 + number
        os.write(2, _TOLD[signal.Signals(number)])
        for other in _TOLD:
            signal.signal(other, self._leave)
        watch = threading.Timer(GRACE, self._leave)
        watch.daemon = True
        watch.start()
        if self.gently is None:
            raise KeyboardInterrupt
        self.gently(self.exit_code)

    def _leave(self, *_: object) -> None:
        try:
            if self.at_last is not None:
                self.at_last()
        finally:
            os._exit(self.exit_code)
