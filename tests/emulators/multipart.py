"""multipart/form-data taken apart byte for byte (the standard library's reader is made for mail)."""

from __future__ import annotations

from email.message import Message
from email.parser import HeaderParser

import attrs


@attrs.frozen
class Part:
    """One part of a form: its name, its file name ('' when it has none), its type and its bytes."""

    name: str
    filename: str
    content_type: str
    content: bytes


def parts_of(content_type: str, body: bytes) -> list[Part]:
    """The parts in order. Raises ValueError when this is no well-formed multipart/form-data."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if header.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise ValueError("not multipart/form-data with a boundary")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("ascii"))
    if len(pieces) < 2 or pieces[-1].strip() != b"--":
        raise ValueError("the closing boundary is missing")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, found, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not found:
        raise ValueError("a part without headers")
    headers = HeaderParser().parsestr(head.decode("utf-8"))
    name = headers.get_param("name", header="Content-Disposition")
    if headers.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise ValueError("a part that is no form-data or has no name")
    return Part(name, headers.get_filename() or "", headers.get_content_type(), content)
