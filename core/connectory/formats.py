"""Bodies as text, tables, lines or XML: what `wire.body` and `wire.answer` may name besides forms.

A body that is a gzip or zip file, seen by its first bytes, is unpacked before it is read; `bytes` takes it as it is.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import attrs
import msgspec

from connectory.answers import Undecodable, read_fraction, read_json, read_json_precisely, read_text
from connectory.lines import split
from connectory.plugins.kinds import Format
from connectory.spec.places import EVERY
from connectory.spec.words import Records
from connectory.transport.decoding import GZIP_MAGIC, BadBody, Meter, decode
from connectory.transport.options import TransportOptions

_TSV: Final = "text/tab-separated-values"
_ZIP_MAGIC: Final = b"PK\x03\x04"
_LIMITS: Final = TransportOptions()
_encode_json = msgspec.json.Encoder(decimal_format="number").encode
Read = Callable[[bytes], Any]


def unpacked(read: Read) -> Read:
    """The same reader for bodies that may be files of one of the usual kinds of compression."""

    def read_unpacked(body: bytes) -> Any:
        if body.startswith(GZIP_MAGIC):
            return read(_gunzip(body))
        return read(_unzip(body) if body.startswith(_ZIP_MAGIC) else body)

    return read_unpacked


def _gunzip(body: bytes) -> bytes:
    try:
        return b"".join(decode([body], "gzip", Meter(_LIMITS.max_bytes, _LIMITS.max_ratio)))
    except BadBody as why:
        raise Undecodable(f"a gzip file that cannot be unpacked: {why}") from None


def _unzip(body: bytes) -> bytes:
    """The one file in a zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            if len(files) != 1:
                raise Undecodable(f"a zip archive of {len(files)} files: one was expected")
            if files[0].file_size > _LIMITS.max_bytes:
                raise Undecodable(f"a zip archive of more than the {_LIMITS.max_bytes:,} bytes allowed")
            with archive.open(files[0]) as opened:
                found = opened.read(_LIMITS.max_bytes + 1)
    except Undecodable:
        raise
    except Exception as why:  # every kind of compression and encryption has an error class of its own
        raise Undecodable(f"a zip archive that cannot be unpacked: {why}") from None
    if len(found) > _LIMITS.max_bytes:
        raise Undecodable(f"a zip archive of more than the {_LIMITS.max_bytes:,} bytes allowed")
    return found


def read_table(delimiter: str, body: bytes) -> list[dict[str, str | None]]:
    """The rows of a CSV (RFC 4180) or TSV text by the names in its first line; an empty cell is null."""
    lines = csv.reader(io.StringIO(read_text(body), newline=""), delimiter=delimiter, strict=True)
    try:
        names = next(lines, [])
        if len(set(names)) != len(names):
            raise Undecodable("a table whose first line names a column twice")
        return list(_rows(names, lines))
    except csv.Error as why:
        raise Undecodable(f"no table: line {lines.line_num}: {why}") from None


def _rows(names: list[str], lines: Any) -> Iterator[dict[str, str | None]]:
    for cells in lines:
        if not cells:
            continue
        if len(cells) != len(names):
            raise Undecodable(f"a table with {len(names)} columns and {len(cells)} cells in line {lines.line_num}")
        yield {name: cell or None for name, cell in zip(names, cells, strict=True)}


def write_table(delimiter: str, value: Any) -> bytes:
    """Objects as a table: a column for every name in the order met, nested values as JSON, null as nothing."""
    rows = _objects(value)
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    # The writer sees no need to quote a carriage return where lines end without one.
    careful = any("\r" in cell for cells in table for cell in cells)
    out = io.StringIO()
    lines = csv.writer(
        out, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL if careful else csv.QUOTE_MINIMAL
    )
    lines.writerows(table)
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode_json(value).decode()


def read_lines(body: bytes) -> list[Any]:
    """The values of a JSON Lines text; empty lines are passed over."""
    values = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip():
            try:
                values.append(read_json(line))
            except Undecodable as why:
                raise Undecodable(f"line {number}: {why}") from None
    return values


def write_lines(value: Any) -> bytes:
    """A list as JSON Lines, one value a line."""
    return b"".join(_encode_json(item) + b"\n" for item in (value if isinstance(value, list) else [value]))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    rows = value if isinstance(value, list) else [value]
    if not all(isinstance(row, Mapping) for row in rows):
        raise ValueError("expected objects, one a row")
    return rows


def read_xml(body: bytes) -> Any:
    """Elements as objects: attributes as `@name`, a text beside them as `#text`, an element that repeats as a list.

    Names are taken without their prefix. Raises Undecodable.
    """
    xmltodict = _xmltodict()
    try:
        return xmltodict.parse(body, process_namespaces=True, namespaces=_NoNamespaces())
    except Exception as why:  # expat's error class is of a private module
        raise Undecodable(f"not XML: {str(why).splitlines()[0]}") from None


class _NoNamespaces(dict[str, None]):
    """Every namespace is left out of the names."""

    def get(self, key: str, default: Any = None) -> Any:
        return None

    def __getitem__(self, key: str) -> None:
        return None


def write_xml(value: Any) -> bytes:
    """An object with one key, the root element, as XML; the reverse of `read_xml`."""
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ValueError("expected an object with one key, the root element")
    text: str = _xmltodict().unparse(value)
    return text.encode()


def _xmltodict() -> Any:
    import xmltodict  # an extra; the loader has seen that it is there

    return xmltodict


def _write_text(value: Any) -> bytes:
    return str(value).encode()


def _write_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray):
        raise ValueError("expected bytes")
    return bytes(value)


FORMATS: Final[Mapping[str, Format]] = {
    "json": Format("application/json", unpacked(read_json), _encode_json),
    "text": Format("text/plain; charset=utf-8", unpacked(read_text), _write_text),
    "bytes": Format("application/octet-stream", lambda body: body, _write_bytes),
    "csv": Format("text/csv", unpacked(partial(read_table, ",")), partial(write_table, ","), textual=True),
    "tsv": Format(_TSV, unpacked(partial(read_table, "\t")), partial(write_table, "\t"), textual=True),
    "ndjson": Format("application/x-ndjson", unpacked(read_lines), write_lines),
    "xml": Format("application/xml", unpacked(read_xml), write_xml, textual=True, needs="xmltodict"),
}
# For answers whose type names a decimal: none of its digits is lost.
PRECISE_JSON: Final = attrs.evolve(FORMATS["json"], read=unpacked(read_json_precisely))


def leaving_text(format: Format, where: Records) -> Format:
    """The format with records left as the text they came as; where they cannot be they are read as ever."""
    if format not in (FORMATS["json"], PRECISE_JSON) or len(where.path) > 1 or where.key_as or where.value_as:
        return format
    usual, float_hook = format.read, read_fraction if format == PRECISE_JSON else None
    steps = [step for step in where.path[0].steps if isinstance(step, str) and step != EVERY]
    if usual is None or len(steps) < len(where.path[0].steps):
        return format

    def read(body: bytes) -> Any:
        try:
            return split(body, steps, float_hook)
        except (ValueError, RecursionError):
            return usual(body)

    return attrs.evolve(format, read=read)
