"""Where the answer of a download is written, however many tries it takes."""

from __future__ import annotations

from typing import BinaryIO


class Sink:
    """An open file as one call sees it: what a try has written can be taken back, if the file can seek."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.tell() if file.seekable() else None
        self._written = False

    def seekable(self) -> bool:
        """False: only `undo` takes anything back."""
        return False

    def write(self, data: bytes) -> int:
        self._written = self._written or bool(data)
        return self._file.write(data)

    def undo(self) -> bool:
        """Take back what was written; whether nothing of it is left."""
        if self._written and self._start is not None:
            self._file.seek(self._start)
            self._file.truncate()
            self._written = False
        return not self._written
