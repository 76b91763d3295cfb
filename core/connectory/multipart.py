"""multipart/form-data (RFC 7578) read from disk piece by piece, the same bytes at every try."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from connectory.errors import ArgumentError

PIECE = 64 * 1024
MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(; *[\w!#$&^.+-]+=([\w!#$&^.+-]+|\"[^\"\r\n\\]*\"))*", re.ASCII)


def _known_type(_: object, __: object, value: str) -> None:
    if not MEDIA_TYPE.fullmatch(value):
        raise ArgumentError(f"{value!r} is not a media type such as text/csv")


@attrs.frozen
class FilePart:
    """A file of a form: on disk, or bytes at hand. `name` is what the server is told, by default the file's own;
    of either only the last component is sent, since a path is nobody's business.
    """

    source: Path | bytes = attrs.field(repr=lambda source: str(source) if isinstance(source, Path) else "<bytes>")
    name: str = ""
    content_type: str = attrs.field(default="application/octet-stream", validator=_known_type)

    @property
    def sent_name(self) -> str:
        """The file name sent. Raises ArgumentError where there is none."""
        name = self.name or (self.source.name if isinstance(self.source, Path) else "")
        base = re.split(r"[/\\]", name)[-1]
        if not base or base in (".", "..") or "\0" in base:
            raise ArgumentError(f"a file to upload needs a name, and {name!r} is none")
        return base


@attrs.frozen
class _Content:
    """What was seen of a part when the form was made. `digest` is a SHA-256."""

    source: Path | bytes
    size: int
    changed_ns: int
    digest: bytes


class Multipart:
    """A StreamedBody of form fields and files, in the order given, fields first. `media` are media types of fields.

    The boundary derives from all names, values and file contents, so a retry and a recording carry the same bytes,
    and no content can hold it by design. Files are read once here and once per try.
    Raises ArgumentError for a file that is missing or unreadable, here, or has changed, from `chunks`.
    """

    def __init__(
        self,
        fields: Mapping[str, str],
        files: Mapping[str, Path | FilePart],
        media: Mapping[str, str] | None = None,
    ) -> None:
        parts = {name: file if isinstance(file, FilePart) else FilePart(Path(file)) for name, file in files.items()}
        heads = [_field_head(name, (media or {}).get(name)) for name in fields]
        heads += [_file_head(name, part) for name, part in parts.items()]
        contents = [_look(value.encode()) for value in fields.values()] + [_look(p.source) for p in parts.values()]
        self._parts = tuple(zip([head.encode() for head in heads], contents, strict=True))
        self.boundary = _boundary(self._parts)
        self.content_type = f"multipart/form-data; boundary={self.boundary}"
        self._closing = f"--{self.boundary}--\r\n".encode()
        opening = len(self._opening)
        self._size = len(self._closing) + sum(opening + len(head) + c.size + 2 for head, c in self._parts)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"<Multipart {len(self._parts)} parts, {self._size} bytes>"

    def chunks(self) -> Iterator[bytes]:
        """The bytes from the start. Raises ArgumentError, before the first, for a file that is no longer the same."""
        for _, content in self._parts:
            _check_unchanged(content)
        return self._generate()

    @property
    def _opening(self) -> bytes:
        return f"--{self.boundary}\r\n".encode()

    def _generate(self) -> Iterator[bytes]:
        for head, content in self._parts:
            yield self._opening + head
            if isinstance(content.source, bytes):
                yield content.source
            else:
                with content.source.open("rb") as file:
                    while piece := file.read(PIECE):
                        yield piece
            yield b"\r\n"
        yield self._closing


def _escape(name: str) -> str:
    """A name between quotes, as browsers write it (https://html.spec.whatwg.org/#multipart-form-data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _field_head(name: str, media: str | None) -> str:
    kind = "" if media is None else f"Content-Type: {media}\r\n"
    return f'Content-Disposition: form-data; name="{_escape(name)}"\r\n{kind}\r\n'


def _file_head(name: str, part: FilePart) -> str:
    return (
        f'Content-Disposition: form-data; name="{_escape(name)}"; filename="{_escape(part.sent_name)}"\r\n'
        f"Content-Type: {part.content_type}\r\n\r\n"
    )


def _look(source: Path | bytes) -> _Content:
    if isinstance(source, bytes):
        return _Content(source, len(source), 0, hashlib.sha256(source).digest())
    try:
        with source.open("rb") as file:
            stat = source.stat()
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ArgumentError(f"the file {source} cannot be read: {error.strerror}") from None
    return _Content(source, stat.st_size, stat.st_mtime_ns, digest)


def _check_unchanged(content: _Content) -> None:
    """A new time stamp alone may be a mere touch: then the bytes decide."""
    if isinstance(content.source, bytes):
        return
    try:
        stat = content.source.stat()
    except OSError as error:
        raise ArgumentError(f"the file {content.source} cannot be read any more: {error.strerror}") from None
    if stat.st_size != content.size:
        raise ArgumentError(f"the file {content.source} had {content.size:,} bytes and now has {stat.st_size:,}")
    if stat.st_mtime_ns != content.changed_ns and _look(content.source).digest != content.digest:
        raise ArgumentError(f"the file {content.source} has changed since this upload was made")


def _boundary(parts: tuple[tuple[bytes, _Content], ...]) -> str:
    total = hashlib.sha256()
    for head, content in parts:
        total.update(len(head).to_bytes(8, "big") + head + content.digest)
    return f"connectory-{total.hexdigest()[:40]}"
