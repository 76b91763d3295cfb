"""Cassettes: a file of vcrpy's format that people can read, and that says what is wrong with it at its line."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import vcr
from hypothesis import example, given
from hypothesis import strategies as st

from connectory.errors import SpecError
from connectory.testing.recorded.bodytext import readable
from connectory.testing.recorded.cassettes import (
    Cassette,
    Exchange,
    Recorded,
    cassette_file,
    label_of,
    read_cassette,
    safe_label,
    text_of,
    write_cassette,
)

EXCHANGE = Exchange(
    "GET",
    "https://api.shop.example/v1/orders?page=1",
    {"Accept": "application/json"},
    None,
    200,
    {"Content-Type": ("application/json",)},
    readable(b'{"total": 1.50, "items": [{"id": 1, "name": "caf\xc3\xa9"}]}').encode(),  # type: ignore[union-attr]
    "OK",
)
CASSETTE = Cassette(
    vendor="shop",
    operation="orders.list",
    label="2018",
    arguments={"year": 2018},
    settings={"api_key": "placeholder-api_key"},
    recorded=Recorded("shop 1.2", "own", "2026-05-20T18:25:43Z"),
    clock=1_779_301_543,
    parts={"operations/orders.list/get": "/v1/orders"},
    gives={"records": 1, "pages": 1},
    exchanges=(EXCHANGE,),
)


def write(tmp_path: Path, cassette: Cassette = CASSETTE) -> Path:
    file = cassette_file(tmp_path, cassette.vendor, cassette.operation, cassette.label)
    write_cassette(cassette, file)
    return file


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert file == tmp_path / "shop" / "orders.list[2018].yaml"
    assert read_cassette(file) == CASSETTE


def test_json_stands_on_lines_of_its_own_with_its_numbers_as_they_were_written(tmp_path: Path) -> None:
    text = write(tmp_path).read_text()
    assert '          {\n            "total": 1.50,\n' in text
    assert '"name": "café"' in text


def test_a_plain_vcrpy_loads_it(tmp_path: Path) -> None:
    with vcr.VCR().use_cassette(str(write(tmp_path)), record_mode="none") as plain:
        assert [request.uri for request in plain.requests] == [EXCHANGE.url]
        assert plain.responses[0]["body"]["string"] == EXCHANGE.answer


@given(
    st.binary() | st.text().map(str.encode) | st.sampled_from([b"~", b"null", b"", b"12", b" x\n", b"\n", b"a\r\nb"])
)
def test_any_body_survives_the_file(body: bytes) -> None:
    written = readable(body)
    kept = written.encode() if isinstance(written, str) else written
    exchange = attrs.evolve(EXCHANGE, body=kept or None, answer=kept)
    file = Path("/nowhere/x.yaml")
    cassette = attrs.evolve(CASSETTE, exchanges=(exchange,))
    assert _read_text(text_of(cassette), file).exchanges == (exchange,)


ARGUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["year", "ids", "body"]), ARGUMENTS))
@example({"number": "0478", "size": "1e3", "no": "no", "when": "2026-05-20", "none": "~", "hex": "0xff"})
def test_any_argument_survives_the_file(arguments: dict[str, object]) -> None:
    cassette = attrs.evolve(CASSETTE, arguments=arguments)
    assert _read_text(text_of(cassette), Path("/nowhere/x.yaml")).arguments == arguments


def _read_text(text: str, file: Path) -> Cassette:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / file.name
        place.write_text(text, encoding="utf-8", newline="\n")
        return read_cassette(place)


def test_the_same_conversation_is_the_same_file(tmp_path: Path) -> None:
    assert write(tmp_path / "one").read_bytes() == write(tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("find", "instead", "fault"),
    [
        ("version: 1", "version: 2", ":1:10 /version: expected 1, vcrpy's format, found '2'"),
        ("    operation: orders.list\n", "", ":4:5 /metadata/connectory: 'operation' is missing"),
        ("  connectory:", "  other:", ":3:3 /metadata: 'connectory' is missing: this cassette was not made by"),
        ("    clock:", "    clocks:", ": unknown key 'clocks'; did you mean 'clock'?"),
        ("        code: 200", "        code: two", "/status/code: expected a whole number, found 'two'"),
        ("      uri: https", "      - uri: https", ":"),
        ("    gives:\n      records: 1\n      pages: 1\n", "    gives: null\n", "/gives: expected a mapping"),
        ("      server: ", "      sever: ", "unknown key 'sever'; did you mean 'server'?"),
    ],
)
def test_a_hand_edited_file_is_refused_at_its_line(tmp_path: Path, find: str, instead: str, fault: str) -> None:
    file = write(tmp_path)
    text = file.read_text()
    if find not in text:
        find, instead = (
            find.replace("          server", "      server"),
            instead.replace("          sever", "      sever"),
        )
    assert find in text
    file.write_text(text.replace(find, instead, 1))
    with pytest.raises(SpecError) as caught:
        read_cassette(file)
    assert any(fault in str(one) for one in caught.value.faults), caught.value
    assert all(str(one).startswith(f"{file}:") for one in caught.value.faults)


def test_labels_are_names_that_every_file_system_takes() -> None:
    assert label_of({"year": 2018}) == "2018"
    assert label_of({"id": 7, "body": {"Name": "x", "City": "y"}}) == "7-Name+City"
    assert label_of({"items": [{"a": 1}, {"a": 2}]}) == "2 items"
    assert label_of({"filter": 'a/b:"c" <x>'}) == "a_b_c_ _x_"
    assert label_of({}) == ""
    assert len(safe_label("x" * 300)) <= 60
    assert safe_label("x" * 300) != safe_label("x" * 299)


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert sorted(p.name for p in file.parent.iterdir()) == [file.name]
