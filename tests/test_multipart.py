"""Forms with files: what a server's parser reads back is what was given, and every try carries the same bytes."""

from __future__ import annotations

import os
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.errors import ArgumentError
from connectory.messages import StreamedBody
from connectory.multipart import FilePart, Multipart


def bytes_of(form: Multipart) -> bytes:
    return b"".join(form.chunks())


def parts_of(form: Multipart) -> list[tuple[str, str | None, str, bytes]]:
    """Name, file name, media type and content of each part, as the standard library's parser reads them."""
    message = BytesParser(policy=HTTP).parsebytes(
        f"Content-Type: {form.content_type}\r\n\r\n".encode() + bytes_of(form)
    )
    payload = message.get_payload()
    assert isinstance(payload, list)
    return [read_part(part) for part in payload if isinstance(part, Message)]


def read_part(part: Message) -> tuple[str, str | None, str, bytes]:
    name = part.get_param("name", header="content-disposition")
    content = part.get_payload(decode=True)
    assert isinstance(name, str)
    assert isinstance(content, bytes)
    return name, part.get_filename(), part.get_content_type(), content


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_bytes(b'id,name\r\n1,"O\x27Hara, ""Jo"""\n2,\x00\xff\r\r\n\n' * 40_000)
    return path


def test_fields_and_files_arrive_in_order(file: Path) -> None:
    form = Multipart({"kind": "people", "note": "a\nb"}, {"file": file, "second": FilePart(b"{}", "x.json", "text/x")})
    assert parts_of(form) == [
        ("kind", None, "text/plain", b"people"),
        ("note", None, "text/plain", b"a\nb"),
        ("file", "people.csv", "application/octet-stream", file.read_bytes()),
        ("second", "x.json", "text/x", b"{}"),
    ]


def test_the_exact_bytes_of_a_small_form() -> None:
    form = Multipart({"a": "1"}, {"f": FilePart(b"x,y", "r.csv", "text/csv")})
    mark = f"--{form.boundary}"
    assert bytes_of(form).decode() == (
        f'{mark}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        f'{mark}\r\nContent-Disposition: form-data; name="f"; filename="r.csv"\r\nContent-Type: text/csv\r\n\r\nx,y\r\n'
        f"{mark}--\r\n"
    )
    assert form.content_type == f"multipart/form-data; boundary={form.boundary}"
    assert isinstance(form, StreamedBody)


def test_an_empty_form_is_still_one() -> None:
    form = Multipart({}, {})
    assert bytes_of(form) == f"--{form.boundary}--\r\n".encode()


@given(
    fields=st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4),
    files=st.dictionaries(st.text(max_size=8), st.binary(max_size=200), max_size=3),
)
def test_the_length_is_known_and_no_content_breaks_the_frame(fields: dict[str, str], files: dict[str, bytes]) -> None:
    form = Multipart(fields, {name: FilePart(content, "f") for name, content in files.items()})
    whole = bytes_of(form)
    assert len(whole) == len(form)
    assert whole == bytes_of(form)
    assert whole.count(form.boundary.encode()) == len(fields) + len(files) + 1


@pytest.mark.parametrize("name", ['a"; filename="evil', "a\r\nX-Evil: 1", "\xe9\u20ac", "a\\b", "", "a'b"])
def test_a_name_cannot_leave_its_quotes(name: str) -> None:
    form = Multipart({name: "v"}, {name: FilePart(b"", "f" + name.replace("\\", ""))})
    heads = [part.split(b"\r\n\r\n")[0] for part in bytes_of(form).split(form.boundary.encode())[1:-1]]
    assert [head.count(b"\r\n") for head in heads] == [1, 2]
    for head in heads:
        quoted = head.decode().split('name="')[1].split('"')[0]
        assert unquote(quoted) == name


@pytest.mark.parametrize(
    ("given_name", "sent"),
    [
        ("secret/folder/a.csv", "a.csv"),
        (r"C:\Users\me\a.csv", "a.csv"),
        ("../../a.csv", "a.csv"),
        ("a b.csv", "a b.csv"),
    ],
)
def test_only_the_base_name_is_told(given_name: str, sent: str) -> None:
    form = Multipart({}, {"file": FilePart(b"x", given_name)})
    assert f'filename="{sent}"'.encode() in bytes_of(form)
    assert b"secret" not in bytes_of(form)


@pytest.mark.parametrize("name", ["", "folder/", "..", "a\0b"])
def test_a_file_needs_a_name(name: str) -> None:
    with pytest.raises(ArgumentError, match="needs a name"):
        Multipart({}, {"file": FilePart(b"x", name)})


@pytest.mark.parametrize("kind", ["", "csv", "text/csv\r\nX-Evil: 1", "text/csv, x", "text/csv; charset"])
def test_a_media_type_is_checked(kind: str) -> None:
    with pytest.raises(ArgumentError, match="is not a media type"):
        FilePart(b"x", "a", kind)


def test_a_media_type_may_have_parameters() -> None:
    assert FilePart(b"x", "a", "text/csv; charset=utf-8; header=present").content_type.endswith("present")


class TestBoundary:
    def test_equal_forms_are_equal_to_the_byte(self, file: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        copy = tmp_path / "elsewhere" / file.name
        copy.write_bytes(file.read_bytes())
        assert bytes_of(Multipart({"a": "1"}, {"f": file})) == bytes_of(Multipart({"a": "1"}, {"f": copy}))

    def test_any_difference_changes_it(self, file: Path) -> None:
        forms = [
            Multipart({}, {"f": file}),
            Multipart({}, {"g": file}),
            Multipart({"a": "1"}, {"f": file}),
            Multipart({"a": "2"}, {"f": file}),
            Multipart({}, {"f": FilePart(file, "other.csv")}),
            Multipart({}, {"f": FilePart(file.read_bytes()[:-1] + b"x", file.name)}),
        ]
        assert len({form.boundary for form in forms}) == len(forms)

    def test_content_cannot_foresee_it(self) -> None:
        """Knowing every name and length, but not the hash that holds the content itself, nobody can forge a part."""
        content = b"x" * 200
        foreseen = Multipart({}, {"f": FilePart(content, "f")}).boundary
        forged = f"\r\n--{foreseen}--\r\n".encode().ljust(200, b"x")
        assert Multipart({}, {"f": FilePart(forged, "f")}).boundary != foreseen


class TestFilesThatAreNotThere:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ArgumentError, match=r"none\.csv cannot be read: No such file"):
            Multipart({}, {"f": tmp_path / "none.csv"})

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ArgumentError, match="cannot be read"):
            Multipart({}, {"f": tmp_path})

    def test_gone_before_the_second_try(self, file: Path) -> None:
        form = Multipart({}, {"f": file})
        bytes_of(form)
        file.unlink()
        with pytest.raises(ArgumentError, match="cannot be read any more"):
            form.chunks()


class TestFilesThatChange:
    def test_another_size_is_noticed_before_the_first_byte(self, file: Path) -> None:
        form = Multipart({}, {"f": file})
        bytes_of(form)
        with file.open("ab") as more:
            more.write(b"3,late\n")
        with pytest.raises(ArgumentError, match=r"had [\d,]+ bytes and now has"):
            form.chunks()

    def test_other_bytes_of_the_same_size_are_noticed(self, file: Path) -> None:
        form = Multipart({}, {"f": file})
        file.write_bytes(b"x" * file.stat().st_size)
        os.utime(file, ns=(1, 1))
        with pytest.raises(ArgumentError, match="has changed"):
            form.chunks()

    def test_a_mere_touch_is_no_change(self, file: Path) -> None:
        form = Multipart({}, {"f": file})
        before = bytes_of(form)
        os.utime(file, ns=(1, 1))
        assert bytes_of(form) == before


def test_a_file_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    form = Multipart({}, {"f": path})
    chunks = form.chunks()
    assert max(len(next(chunks)) for _ in range(50)) <= 64 * 1024
    assert len(form) > path.stat().st_size
