"""Work done by several threads at once, its results taken in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Iterable[T], at_once: int, name: str) -> Iterator[R]:
    """`work(item)` for each item, in order, up to `at_once` of them under way and one more waiting.

    Left early or ended by an error it begins nothing more and waits for what is under way. Raises what `work` raises.
    """
    if at_once < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix=name) as pool:
        under_way: deque[Future[R]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(work, item))
                if len(under_way) > at_once:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
