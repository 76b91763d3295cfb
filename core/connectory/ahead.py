"""Work done by several threads at once, its results taken in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import TypeVar

from connectory.clock import Clock

T = TypeVar("T")
R = TypeVar("R")

_LOOK_EVERY = 0.5  # seconds of a wait between two looks whether anybody still wants its result
_unwanted: ContextVar[threading.Event | None] = ContextVar("unwanted", default=None)


class Abandoned(BaseException):
    """Ends a wait whose result nobody wants any more. Like an interrupt, it is no error of the work."""


class LeavableClock:
    """A clock whose waits end when the work of `in_order` that they belong to has been left."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def random(self) -> float:
        return self._clock.random()

    def sleep(self, seconds: float) -> None:
        """Raises Abandoned."""
        unwanted = _unwanted.get()
        if unwanted is None:
            self._clock.sleep(seconds)
            return
        while not unwanted.is_set():
            self._clock.sleep(min(seconds, _LOOK_EVERY))
            seconds -= _LOOK_EVERY
            if seconds <= 0:
                return
        raise Abandoned


def in_order(work: Callable[[T], R], items: Iterable[T], at_once: int, name: str) -> Iterator[R]:
    """`work(item)` for each item, in order, up to `at_once` of them under way and as many done or waiting: those that
    end together find the next ones without whoever takes the results.

    Left early or ended by an error it begins nothing more, ends the waits of what is under way, and returns when that
    is done. Raises what `work` raises.
    """
    if at_once < 2:
        yield from map(work, items)
        return
    unwanted = threading.Event()

    def leavable(item: T) -> R:
        _unwanted.set(unwanted)
        return work(item)

    with ThreadPoolExecutor(at_once, thread_name_prefix=name) as pool:
        under_way: deque[Future[R]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(leavable, item))
                if len(under_way) >= 2 * at_once:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            unwanted.set()
            for future in under_way:
                future.cancel()
