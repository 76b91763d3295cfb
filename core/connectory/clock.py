"""Time and chance, passed in so that nothing waits or rolls dice behind a test's back."""

from __future__ import annotations

import random
import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the engine knows of time. Every wait and every timestamp goes through one of these."""

    def now(self) -> float:
        """Wall time in epoch seconds (UTC)."""

    def monotonic(self) -> float:
        """Seconds that never jump, for measuring waits."""

    def sleep(self, seconds: float) -> None:
        """Wait; may be ended early by an interrupt."""

    def random(self) -> float:
        """A number in [0, 1), for jitter."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def random(self) -> float:
        return random.random()


class ManualClock:
    """A clock that moves only when somebody sleeps on it or winds it. Safe to share between threads."""

    def __init__(self, start: float = 1_800_000_000.0, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._elapsed = 0.0
        self._start = start
        self._random = random.Random(seed)
        self.slept: list[float] = []

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._elapsed += max(0.0, seconds)

    def wind(self, seconds: float) -> None:
        """Let time pass without anybody having waited."""
        with self._lock:
            self._elapsed += seconds

    def random(self) -> float:
        with self._lock:
            return self._random.random()
