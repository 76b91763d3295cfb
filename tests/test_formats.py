"""Bodies that are no JSON: tables, lines, XML and packed files, read and written as the spec declares them."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory import BadAnswer, Rejected, SpecError
from connectory.answers import Undecodable
from connectory.formats import FORMATS
from emulators.exchange import Answer
from engine.conftest import Connecting, Vendor, clock, connecting, parts, vendor

__all__ = ["clock", "connecting", "parts", "vendor"]  # fixtures

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), min_size=1)
NAMES = st.lists(WORDS, min_size=1, max_size=4, unique=True)
CELLS = st.one_of(st.none(), WORDS)


@pytest.mark.parametrize("word", ["csv", "tsv"])
@given(data=st.data())
def test_a_table_comes_back_as_it_was_written(word: str, data: st.DataObject) -> None:
    names = data.draw(NAMES)
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, CELLS)), min_size=1))
    if len(names) == 1:
        rows = [row for row in rows if row[names[0]] is not None]  # a line of one empty cell is an empty line
    written, read = FORMATS[word].write, FORMATS[word].read
    assert written
    assert read
    assert read(written(rows)) == (rows if rows else [])


@given(values=st.lists(st.recursive(st.none() | st.integers() | st.text() | st.booleans(), st.lists)))
def test_lines_come_back_as_they_were_written(values: list[Any]) -> None:
    written, read = FORMATS["ndjson"].write, FORMATS["ndjson"].read
    assert written
    assert read
    assert read(written(values)) == values


def zipped(*files: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for number, body in enumerate(files):
            archive.writestr(f"part{number}.csv", body)
    return out.getvalue()


METHODS = {
    "damaged deflate": zipfile.ZIP_DEFLATED,
    "damaged bzip2": zipfile.ZIP_BZIP2,
    "damaged lzma": zipfile.ZIP_LZMA,
}


def damaged(method: int) -> bytes:
    """An archive whose directory is whole, but not what it leads to."""
    body = zipped(bytes(range(256)), method=method)
    start = 30 + len("part0.csv") + 4  # behind the local header and the first bytes, which say how to go on
    return body[:start] + b"\xff" * 16 + body[start + 16 :]


TABLE = b'id,name,since,paid,tags\n007,"Ann, the first",2026-05-20T18:25:43Z,12.50,a\n8,,,,\n'


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zipped], ids=["plain", "gzip", "zip"])
def test_a_table_is_read_as_its_type_says_however_it_is_packed(
    connecting: Connecting, vendor: Vendor, pack: Any
) -> None:
    vendor.reply = lambda ask: Answer(200, pack(TABLE), "text/csv")
    acme = connecting("""
servers: {production: https://api.acme.example}
wire: {answer: csv}
operations: {people.list: {get: /people.csv, records: ., returns: Person}}
types: {Person: {id: int! key, name: str, since: datetime, paid: decimal, tags: list of str}}
""")
    first, second = acme.people.list()
    assert (first["id"], first["name"], first["paid"], first["tags"]) == (7, "Ann, the first", Decimal("12.50"), ["a"])
    assert first["since"].isoformat() == "2026-05-20T18:25:43+00:00"
    assert second == {"id": 8, "name": None, "since": None, "paid": None, "tags": None}
    assert vendor.requests()[0].header("Accept") == "text/csv, */*"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"a,a\n1,2\n", "names a column twice"),
        (b"a,b\n1\n", "2 columns and 1 cells in line 2"),
        (b'a\n"1\n', "line 2"),
        (b"\xff", "not UTF-8"),
        (gzip.compress(b"a\n1\n")[:-9], "gzip file that cannot be unpacked"),
        (zipped(b"a\n", b"b\n"), "zip archive of 2 files"),
        (zipped(b"a\n")[:-30], "zip archive that cannot be unpacked"),
        *((damaged(method), "zip archive that cannot be unpacked") for method in METHODS.values()),
    ],
    ids=["twice", "ragged", "open quote", "no text", "cut gzip", "two files", "cut zip", *METHODS],
)
def test_what_is_no_table_is_an_error_and_never_no_rows(body: bytes, message: str) -> None:
    read = FORMATS["csv"].read
    assert read
    with pytest.raises(Undecodable, match=message):
        read(body)


def test_a_file_that_unpacks_without_end_is_refused() -> None:
    read = FORMATS["csv"].read
    assert read
    with pytest.raises(Undecodable, match="unfolds to more than"):
        read(gzip.compress(b"a" * 50_000_000))


def test_what_goes_wrong_is_told_in_json_whatever_the_format_of_answers(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.json({"error": {"text": "no such year"}}, 422)
    acme = connecting("""
servers: {production: https://api.acme.example}
errors: {message: error.text}
operations: {people.list: {get: /people.csv, records: ., wire: {answer: csv}}}
""")
    with pytest.raises(Rejected, match="no such year"):
        list(acme.people.list())


def test_a_batch_travels_as_a_table(connecting: Connecting, vendor: Vendor) -> None:
    acme = connecting("""
servers: {production: https://api.acme.example}
operations:
  rows.push: {put: /rows, body: list of Row, wire: {body: csv}, batch: {largest: 2}}
types: {Row: {id: int! key, name: str, tags: list of str}}
""")
    delivery = acme.rows.push([{"id": 1, "name": 'a "b"'}, {"id": 2, "tags": ["x"]}, {"id": 3}])
    assert delivery.delivered == 3
    bodies = [exchange.body for exchange in vendor.requests()]
    assert bodies == [b'id,name,tags\n1,"a ""b""",\n2,,"[""x""]"\n', b"id\n3\n"]
    assert vendor.requests()[0].media_type == "text/csv"


XML = """<?xml version="1.0"?>
<o:orders xmlns:o="urn:o" xmlns="urn:d"><o:order no="1"><total>2.5</total><line>a</line></o:order>
<o:order no="2"><total/><line>b</line><line>c</line></o:order></o:orders>"""


def test_xml_is_read_by_the_same_words(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.text(XML, content_type="application/xml")
    acme = connecting("""
servers: {production: https://api.acme.example}
wire: {answer: xml}
operations: {orders.list: {get: /orders, records: orders.order, returns: Order}}
types: {Order: {"@no": {type: int, required: true, key: true, as: no}, total: float, line: list of str}}
""")
    assert list(acme.orders.list()) == [
        {"@no": 1, "total": 2.5, "line": ["a"]},
        {"@no": 2, "total": None, "line": ["b", "c"]},
    ]


@pytest.mark.parametrize("body", ["<a>", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "{}"])
def test_xml_that_is_broken_or_brings_entities_is_refused(connecting: Connecting, vendor: Vendor, body: str) -> None:
    vendor.reply = lambda ask: Answer.text(body, content_type="application/xml")
    acme = connecting("""
servers: {production: https://api.acme.example}
operations: {orders.get: {get: /orders, wire: {answer: xml}}}
""")
    with pytest.raises(BadAnswer, match="not XML"):
        acme.orders.get()


def test_xml_is_written_from_an_object(connecting: Connecting, vendor: Vendor) -> None:
    acme = connecting("""
servers: {production: https://api.acme.example}
operations: {orders.create: {post: /orders, body: map of any, wire: {body: xml}}}
""")
    acme.orders.create(body={"order": {"@no": "1", "line": ["a", "b & c"]}})
    (sent,) = vendor.requests()
    assert sent.body.decode().split("\n", 1)[1] == '<order no="1"><line>a</line><line>b &amp; c</line></order>'


def test_lines_of_json_are_records(connecting: Connecting, vendor: Vendor) -> None:
    lines = [{"id": 9_007_199_254_740_993}, {"id": 2}]
    vendor.reply = lambda ask: Answer.text("\n".join(map(json.dumps, lines)) + "\n\n")
    acme = connecting("""
servers: {production: https://api.acme.example}
operations: {rows.list: {get: /rows, wire: {answer: ndjson}, records: .}}
""")
    assert list(acme.rows.list()) == lines


def test_a_format_whose_package_is_missing_says_which(connecting: Connecting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xmltodict", None)
    monkeypatch.setattr("connectory.spec.structure.find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r"'xml' needs the package xmltodict: pip install 'connectory\[xml\]'"):
        connecting("""
servers: {production: https://api.acme.example}
operations: {orders.get: {get: /orders, wire: {answer: xml}}}
""")
