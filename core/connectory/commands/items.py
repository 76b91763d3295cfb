"""`--data`: a body, or the items of a batch, from the line itself, a file or standard input."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from connectory.errors import ArgumentError
from connectory.operation import Plan
from connectory.spec.words import Field
from connectory.values.texts import parse_row

STDIN = "-"
FORMATS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_decode = msgspec.json.Decoder(float_hook=Decimal).decode  # 0.1 stays 0.1, also in a field declared decimal
_PEEK = 65536


def read_body(data: str, stdin: BinaryIO) -> Any:
    """One JSON value. Raises ArgumentError."""
    if data == STDIN:
        return _json(stdin.read(), "standard input")
    if data.startswith("@"):
        with _open(data[1:]) as file:
            return _json(file.read(), data[1:])
    return _json(data.encode(), "--data")


def _json(text: bytes, where: str) -> Any:
    try:
        return _decode(text.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise ArgumentError(f"{where}: not JSON ({_plain(why)})") from None


def _plain(why: Exception) -> str:
    return "nested too deep" if isinstance(why, RecursionError) else str(why)


def _open(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except OSError as why:
        raise ArgumentError(f"cannot read {name}: {why.strerror}") from None


@contextmanager
def open_items(data: str, stdin: BinaryIO, fields: Mapping[str, Field]) -> Iterator[Iterable[Any]]:
    """The items of a batch, read as they are asked for. Raises ArgumentError.

    Everything is read once beforehand, so that a file that cannot be read to its end sends nothing; standard input is
    kept in a temporary file for that. `fields` are the item's, for the cells of a CSV file.
    """
    if data == STDIN:
        with tempfile.TemporaryFile() as kept:
            shutil.copyfileobj(stdin, kept)
            yield _items(kept, "standard input", _guess(kept), fields)
    elif data.startswith("@"):
        form = FORMATS.get(Path(data[1:]).suffix.lower())
        if form is None:
            raise ArgumentError(f"{data[1:]}: expected a file that ends in {', '.join(FORMATS)}")
        with _open(data[1:]) as file:
            yield _items(file, data[1:], form, fields)
    else:
        value = _json(data.encode(), "--data")
        yield value if isinstance(value, list) else [value]


def _guess(file: BinaryIO) -> str:
    """JSON where it begins so, Parquet by its magic word, JSON lines where there are several values, else CSV."""
    file.seek(0)
    start = file.read(_PEEK).removeprefix(b"\xef\xbb\xbf").lstrip()
    file.seek(0)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"["):
        return "json"
    return "jsonl" if start.startswith(b"{") or not start else "csv"


def _items(file: BinaryIO, name: str, form: str, fields: Mapping[str, Field]) -> Iterable[Any]:
    if form == "json":
        value = _json(file.read(), name)
        return value if isinstance(value, list) else [value]
    if form == "parquet":
        return _parquet(file, name)
    read = _lines if form == "jsonl" else _rows
    for _ in read(file, name, fields):
        pass
    return read(file, name, fields)


def _lines(file: BinaryIO, name: str, fields: Mapping[str, Field]) -> Iterator[Any]:
    file.seek(0)
    for number, line in enumerate(file, 1):
        if line.strip():
            yield _json(line, f"{name}:{number}")


def _rows(file: BinaryIO, name: str, fields: Mapping[str, Field]) -> Iterator[Any]:
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        rows = csv.reader(text, strict=True)
        heading = next(rows, [])
        if twice := [field for field, count in Counter(heading).items() if count > 1]:
            raise ArgumentError(f"{name}:1: the heading names '{twice[0]}' twice")
        for row in rows:
            if row and len(row) != len(heading):
                raise ArgumentError(f"{name}:{rows.line_num}: {len(row)} cells, but the heading has {len(heading)}")
            if row:
                yield parse_row(dict(zip(heading, row, strict=True)), fields)
    except (csv.Error, UnicodeDecodeError) as why:
        raise ArgumentError(f"{name}: not a CSV file in UTF-8 ({why})") from None
    finally:
        text.detach()


def _parquet(file: BinaryIO, name: str) -> Iterator[Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ArgumentError(f"{name}: reading Parquet needs pyarrow: pip install 'connectory[all]'") from None
    try:
        opened = parquet.ParquetFile(file)
    except pyarrow.ArrowInvalid as why:
        raise ArgumentError(f"{name}: not a Parquet file ({why})") from None
    rows = (row for batch in opened.iter_batches() for row in batch.to_pylist())
    return ({str(column): value for column, value in row.items() if value is not None} for row in rows)


def into_arguments(plan: Plan, data: Any) -> dict[str, Any]:
    """A body given as `--data` -> arguments: the whole body, or its fields by wire name or by the caller's."""
    if "body" in plan.parameters:
        return {"body": data}
    if not isinstance(data, dict):
        raise ArgumentError(f"{plan.name}: --data must be an object of its fields, got {type(data).__name__}")
    by_wire = {p.wire: p.name for p in plan.parameters.values() if p.spot in ("fields", "variables")}
    return {by_wire.get(str(name), str(name)): value for name, value in data.items()}
