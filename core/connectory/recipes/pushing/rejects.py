"""The file of rows held back: each row's own fields and why it was refused. Mended there, it is read again by a replay.

`_held` is the row's number in the journal; `_run`, `_word`, `_code`, `_words`, `_attempts`, `_repeatable` and `_when`
say what became of it. Other fields are the row's. In a CSV file lists and objects are JSON.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from connectory.delivery.journal import Held
from connectory.errors import ArgumentError, DestinationError
from connectory.recipes.state import load
from connectory.spec.words import Field
from connectory.values.texts import parse_row

MARK: Final = "_held"
ABOUT: Final = (MARK, "_run", "_word", "_code", "_words", "_attempts", "_repeatable", "_when")
FORMS: Final = (".jsonl", ".csv")
Mended = tuple[Mapping[str, Any], int | None]  # a row, and the number under which the journal holds it
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@attrs.frozen
class RejectsFile:
    """The file of one recipe, `.jsonl` or `.csv`; its folder is made. `fields` are the item's, for cells of CSV."""

    path: Path
    fields: Mapping[str, Field] = attrs.Factory(dict)

    @property
    def beside(self) -> Path:
        """Where the rows are put while the file holds what somebody mended."""
        return self.path.with_name(f"{self.path.name}.new")

    def update(self, held: Iterable[Held], before: str | None) -> str | None:
        """Put the rows there, unless the file was mended since it had the digest `before`: then they go beside it.

        The digest of what stands in the file now, None where it was left alone. Raises DestinationError.
        """
        text = self._text(map(told, held))
        found = self._found()
        if found is None or _digest(found) in (before, _digest(text)):
            return self._replace(text)
        if not self.beside.exists() or self.beside.read_bytes() != text:
            self._put(self.beside, text)
            warnings.warn(
                f"{self.path} was changed since it was written, and stays as it is for a replay; the rows that are held"
                f" now are in {self.beside.name}",
                UserWarning,
                stacklevel=2,
            )
        return None

    def rewrite(self, held: Iterable[Held], unsent: Sequence[Mended]) -> str:
        """Put the rows there, those that were mended but not sent as they were mended. Raises DestinationError.

        The digest of the file without what is mended in it.
        """
        rows = [told(one) for one in held]
        digest = _digest(self._text(rows))
        mended = {id_: row for row, id_ in unsent if id_ is not None}
        rows = [_with_values(row, mended[row[MARK]]) if row[MARK] in mended else row for row in rows]
        self._replace(self._text([*rows, *(dict(row) for row, id_ in unsent if id_ is None)]))
        return digest

    def _text(self, rows: Iterable[dict[str, Any]]) -> bytes:
        if self.path.suffix.lower() == ".csv":
            return _csv(list(rows))
        return b"".join(_encode(row) + b"\n" for row in rows)

    def _found(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as why:
            raise self._fault(why) from why

    def _replace(self, text: bytes) -> str:
        self._put(self.path, text)
        self.beside.unlink(missing_ok=True)
        return _digest(text)

    def _put(self, path: Path, text: bytes) -> None:
        """Put a file there in one step, readable by its user alone."""
        fresh = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as why:
            raise self._fault(why) from why

    def _fault(self, why: OSError) -> DestinationError:
        return DestinationError(f"rejects {self.path}: {why.strerror}; the journal holds the rows all the same")

    def read(self) -> Iterator[tuple[dict[str, Any], int | None]]:
        """The rows, and the numbers that the journal gave them. Raises ArgumentError where it cannot be read."""
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as why:
            raise ArgumentError(f"{self.path}: {getattr(why, 'strerror', None) or 'not UTF-8'}") from None
        read = self._cells if self.path.suffix.lower() == ".csv" else self._lines
        for place, row in read(text):
            number = row.get(MARK)
            if number is not None and not str(number).isdecimal():
                raise ArgumentError(f"{self.path}:{place}: {MARK} is the row's number in the journal, found {number!r}")
            rest = {name: value for name, value in row.items() if name not in ABOUT}
            yield rest, int(number) if number is not None else None

    def _lines(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for place, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                row = _decode(line.encode())
            except msgspec.DecodeError as why:
                raise ArgumentError(f"{self.path}:{place}: not JSON ({why})") from None
            if not isinstance(row, dict):
                raise ArgumentError(f"{self.path}:{place}: expected an object")
            yield place, row

    def _cells(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            heading = next(rows, [])
            for row in rows:
                if row and len(row) != len(heading):
                    raise ArgumentError(
                        f"{self.path}:{rows.line_num}: {len(row)} cells, the heading has {len(heading)}"
                    )
                if row:
                    yield rows.line_num, parse_row(dict(zip(heading, row, strict=True)), self.fields)
        except csv.Error as why:
            raise ArgumentError(f"{self.path}:{rows.line_num}: not a CSV file ({why})") from None


def told(held: Held) -> dict[str, Any]:
    """A held row with what is known of it, as the file and the list show it."""
    row = msgspec.to_builtins(load(held.row), builtin_types=(Decimal,), enc_hook=str)
    values = row if isinstance(row, Mapping) else {"_row": row}
    moment = datetime.fromtimestamp(held.at, UTC).isoformat(timespec="seconds")
    words = f"{held.field}: {held.words}" if held.field else held.words
    about = (held.id, held.run, held.word, held.code, words, held.attempts, held.repeatable, moment)
    return {**values, **dict(zip(ABOUT, about, strict=True))}


def _with_values(row: Mapping[str, Any], mended: Mapping[str, Any]) -> dict[str, Any]:
    return {**mended, **{name: row[name] for name in ABOUT}}


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _csv(rows: list[dict[str, Any]]) -> bytes:
    heading = list(dict.fromkeys([*(name for row in rows for name in row if name not in ABOUT), *ABOUT]))
    text = io.StringIO(newline="")
    written = csv.writer(text, lineterminator="\n")
    written.writerow(heading)
    written.writerows([_cell(row.get(name)) for name in heading] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode(value).decode().strip('"')
