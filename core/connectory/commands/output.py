"""Records out: JSON lines, JSON, CSV, Parquet, or a table for people."""

from __future__ import annotations

import csv
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import msgspec

from connectory.commands.table import terminal_width, write_table
from connectory.errors import ArgumentError, DestinationError

Form = Literal["table", "json", "jsonl", "csv", "parquet"]
FORMS: Final[tuple[Form, ...]] = ("table", "json", "jsonl", "csv", "parquet")
Pages = Iterable[Sequence[Any]]

_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
_SPOOL = 16_000_000  # bytes kept in memory before a temporary file is used


def choose_form(output: str | None, to: str | None) -> Form:
    """What was asked for; else what the file's name says; else a table on a terminal and JSON lines elsewhere."""
    if output is not None:
        return next(form for form in FORMS if form == output)
    suffix = Path(to).suffix.lower().removeprefix(".") if to else ""
    named: Form | None = next((form for form in FORMS if form == suffix), None)
    if named is not None:
        return named
    return "table" if to is None and sys.stdout.isatty() else "jsonl"


def check_form(form: Form, to: str | None) -> None:
    """Refuse what cannot be written, before anything is sent. Raises ArgumentError."""
    if form != "parquet":
        return
    if to is None and sys.stdout.isatty():
        raise ArgumentError("Parquet is no text for a terminal: add --to FILE.parquet")
    _pyarrow()


def write_pages(pages: Pages, form: Form, out: BinaryIO) -> None:
    """Write records as they come; CSV and Parquet, whose columns are known only in the end, when all are there."""
    _WRITERS[form](pages, out)


def write_one(value: Any, form: Form, out: BinaryIO) -> None:
    """Write a single record or answer."""
    if isinstance(value, str) and form in ("table", "jsonl"):
        out.write(f"{value}\n".encode())
    elif form == "json":
        out.write(msgspec.json.format(_encode(value), indent=2) + b"\n")
    elif form == "table" and isinstance(value, Mapping):
        write_table(
            [[{"field": name, "value": held} for name, held in value.items()]], out, room=terminal_width(), told=False
        )
    else:
        write_pages([value if isinstance(value, list) else [value]], form, out)


def _write_table(pages: Pages, out: BinaryIO) -> None:
    write_table(pages, out, room=terminal_width())


def _write_lines(pages: Pages, out: BinaryIO) -> None:
    for page in pages:
        for record in page:
            out.write(_encode(record) + b"\n")
        out.flush()


def _write_json(pages: Pages, out: BinaryIO) -> None:
    before = b"[\n  "
    for page in pages:
        for record in page:
            out.write(before + _encode(record))
            before = b",\n  "
        out.flush()
    out.write(b"[]\n" if before.startswith(b"[") else b"\n]\n")


def _columns(record: Any) -> Mapping[str, Any]:
    return record if isinstance(record, Mapping) else {"value": record}


def _write_csv(pages: Pages, out: BinaryIO) -> None:
    """Nothing is flattened or left out: the heading holds every field of any record, nested values are JSON."""
    names: dict[str, None] = {}
    with tempfile.SpooledTemporaryFile(_SPOOL) as kept:
        for page in pages:
            for record in page:
                cells = {name: cell(value) for name, value in _columns(record).items()}
                names.update(dict.fromkeys(cells))
                kept.write(_encode(cells) + b"\n")
        kept.seek(0)
        text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
        try:
            writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
            if names:
                writer.writeheader()
            writer.writerows(msgspec.json.decode(line) for line in kept)
        finally:
            text.detach()


def cell(value: Any) -> str:
    """A value as the text of a CSV cell."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode(value).decode()


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise ArgumentError("Parquet needs pyarrow: pip install 'connectory[all]'") from None
    return pyarrow


def _write_parquet(pages: Pages, out: BinaryIO) -> None:
    """Column types are those of the values; a column whose values do not agree holds JSON texts."""
    pa = _pyarrow()
    from pyarrow import parquet

    rows = [dict(_columns(record)) for page in pages for record in page]
    names = dict.fromkeys(name for row in rows for name in row)
    arrays = {name: _column(pa, [row.get(name) for row in rows]) for name in names}
    parquet.write_table(pa.table(arrays), out)


def _column(pa: Any, values: list[Any]) -> Any:
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else cell(value) for value in values], pa.string())
    # A struct without fields (every object empty) cannot be written.
    return (
        array
        if not _hollow(pa, array.type)
        else pa.array([None if v is None else cell(v) for v in values], pa.string())
    )


def _hollow(pa: Any, kind: Any) -> bool:
    if pa.types.is_list(kind):
        return _hollow(pa, kind.value_type)
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_hollow(pa, kind.field(at).type) for at in range(kind.num_fields))
    return False


_WRITERS: Final[Mapping[Form, Callable[[Pages, BinaryIO], None]]] = {
    "table": _write_table,
    "json": _write_json,
    "jsonl": _write_lines,
    "csv": _write_csv,
    "parquet": _write_parquet,
}


@contextmanager
def open_output(to: str | None, *, keep_partial: bool = False) -> Iterator[BinaryIO]:
    """Standard output, or a file that appears when it is complete; `keep_partial` keeps what an error left of it.

    Raises ArgumentError where the file cannot be made, DestinationError where it cannot be written.
    """
    if to is None:
        out = sys.stdout.buffer
        yield out
        out.flush()
        return
    path = Path(to)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        file = part.open("wb")
    except OSError as why:
        raise ArgumentError(f"cannot write {to}: {why.strerror}") from None
    try:
        with file:
            yield file
    except BaseException:
        if keep_partial:
            part.replace(path)
        else:
            part.unlink()
        raise
    try:
        part.replace(path)
    except OSError as why:
        part.unlink()
        raise DestinationError(f"cannot write {to}: {why.strerror}") from None
