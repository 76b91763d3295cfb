"""Idle connections are bounded in number for the whole process, not only for each transport.

A program with a connector for each of a thousand tenants would come to the end of its descriptors (1,024 by default on
Linux) by connections that nobody uses.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final, Protocol

MOST_KEPT: Final = 128  # transports of a process that may keep connections open while they are idle


class Closable(Protocol):
    """What keeps connections open."""

    def close(self) -> None: ...


class Keeping:
    """Who used its connections lately. Beyond `most`, the one that has been idle for longest closes its own."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a forked child must: its parent's threads may have held the lock."""
        self._lock = threading.Lock()
        self._busy: weakref.WeakKeyDictionary[Closable, int] = weakref.WeakKeyDictionary()

    def begin(self, user: Closable) -> None:
        """An exchange of `user` begins. Call `end` when it is over."""
        with self._lock:
            self._busy[user] = self._busy.pop(user, 0) + 1  # to the end: the order is that of last use
            if len(self._busy) > self._most:
                self._close_oldest()

    def end(self, user: Closable) -> None:
        """The exchange is over."""
        with self._lock:
            if user in self._busy:
                self._busy[user] -= 1

    def _close_oldest(self) -> None:
        for user, exchanges in self._busy.items():
            if not exchanges:
                del self._busy[user]
                user.close()
                return


KEPT: Final = Keeping()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=KEPT.forget)
