"""What a recording must not hold, wherever a vendor puts it: tables, archives, token answers, new keys, links."""

from __future__ import annotations

import base64
import html
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import attrs
import pytest

from connectory.testing.recorded.cassettes import Cassette, text_of
from connectory.testing.recorded.cleaning import placeholder_token
from connectory.testing.recorded.guarding import faults_in, redactor_of
from connectory.testing.recorded.keeping import keep
from connectory.testing.recorded.recording import Target, Wanted, record
from connectory.testing.recorded.replaying import replay
from connectory.testing.recorded.standins import stand_in
from emulators.exchange import Answer, Ask
from emulators.server import Emulator
from testing.library import load, write_spec

SPEC = """\
name: library
settings:
  username: {type: str, required: true, about: user, example: someone}
  password: {type: secret, required: true, about: password, obtain: nowhere}
servers: {production: "https://library.example"}
auth: {bearer: "{{ token }}", token: {grant: password, post: /token}}
operations:
  people.list: {get: /people, records: data, returns: Person}
  people.table: {get: /people.csv, does: read, wire: {answer: csv}, records: ., returns: Person}
  people.lines: {get: /people.ndjson, does: read, wire: {answer: ndjson}, records: ., returns: Person}
  people.archive: {get: /people.zip, does: read, records: ., returns: Person}
  people.report: {get: /people.txt, does: read, wire: {answer: text}, returns: str}
  keys.create: {post: /keys, does: write, record: ., returns: Key}
types:
  Person: {id: int key, name: str personal, email: str personal}
  Key: {id: int, secret: secret}
"""
NAME, EMAIL = "Wilhelmina O'Fotheringay", "wilhelmina@private.example"
PEOPLE = [{"id": 1, "name": NAME, "email": EMAIL}, {"id": 2, "name": "Grete", "email": None}]
REFRESH, NEW_KEY = "refresh-live-9999", "brand-new-key-4242"
LINKS = [write(value) for value in (NAME, EMAIL) for write in (quote, quote_plus, html.escape)]
LINKS += [
    quote(EMAIL, safe="").lower(),
    f"https://library.example/people?next=%2Fpeople%3Femail%3D{quote(EMAIL, safe='')}",
]


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("people.json", content)
    return out.getvalue()


TABLE = f"id,name,email\n1,{NAME},{EMAIL}\n2,Grete,\n".encode()
BODIES: dict[str, tuple[str, bytes]] = {
    "/people": ("application/json", json.dumps({"data": PEOPLE, "links": LINKS}).encode()),
    "/people.csv": ("text/csv", TABLE),
    "/people.ndjson": ("application/x-ndjson", b"".join(json.dumps(row).encode() + b"\n" for row in PEOPLE)),
    "/people.zip": ("application/zip", zipped(json.dumps(PEOPLE).encode())),
    "/people.txt": ("text/plain", b"nobody is told of here"),
    "/keys": ("application/json", json.dumps({"id": 1, "secret": NEW_KEY}).encode()),
    "/token": (
        "application/json",
        json.dumps(
            {
                "access_token": "access-live-1234",
                "refresh_token": REFRESH,
                "id_token": "id-live-5678",
                "login": {"client_secret": "client-live-3456"},
                "handle": "4f7a9c2e5b8d1f3a6c",
                "token_type": "bearer",
                "scope": "read-all-people",
                "expires_in": 3600,
            }
        ).encode(),
    ),
}


@attrs.define(eq=False, kw_only=True, slots=False)
class Club(Emulator):
    """Answers the same to everybody."""

    def answer(self, ask: Ask) -> Answer:
        kind, body = BODIES[ask.path]
        return Answer(200, body, kind)


def recorded(folder: Path, operation: str) -> Cassette:
    """A cassette of one call that was seen to play."""
    registry, loaded = load(write_spec(folder, SPEC))
    with Club() as club:
        settings: dict[str, Any] = {"username": "someone", "password": "pass-live-0000"}
        target = Target(root=None, settings=settings, server=club.url, environ={})
        cassette = record(registry, loaded, Wanted(operation=operation, arguments={}), target)
    assert replay(registry, loaded, cassette) == []
    return cassette


@pytest.mark.parametrize("operation", ["people.list", "people.table", "people.lines", "people.archive"])
def test_no_personal_value_is_kept_whatever_a_body_is_written_in(tmp_path: Path, operation: str) -> None:
    cassette = recorded(tmp_path, operation)
    text = text_of(cassette)
    assert "ilhelmina" not in text
    assert "Grete" not in text
    assert stand_in(EMAIL) in text
    assert cassette.gives is not None
    assert cassette.gives["records"] == 2
    assert cassette.exchanges[-1].answer.find(b"PK") != 0


def test_a_table_keeps_its_columns_and_empty_cells(tmp_path: Path) -> None:
    names = [stand_in(value) for value in (NAME, EMAIL, "Grete")]
    table = recorded(tmp_path, "people.table").exchanges[-1].answer.decode()
    assert table == "id,name,email\n1,{},{}\n2,{},\n".format(*names)


def test_a_token_answer_keeps_no_token_that_the_spec_does_not_read(tmp_path: Path) -> None:
    cassette = recorded(tmp_path, "people.report")
    assert "live" not in text_of(cassette)
    answer = json.loads(cassette.exchanges[0].answer)
    assert answer["refresh_token"] == "placeholder-refresh_token"
    assert answer["login"] == {"client_secret": "placeholder-client_secret"}
    assert answer["handle"] == "placeholder-handle"
    assert (answer["token_type"], answer["scope"], answer["expires_in"]) == ("bearer", "read-all-people", 3600)


def test_a_new_key_in_an_answer_is_not_kept_and_is_found_where_it_was(tmp_path: Path) -> None:
    cassette = recorded(tmp_path, "keys.create")
    assert NEW_KEY not in text_of(cassette)
    _, loaded = load(write_spec(tmp_path, SPEC))
    assert list(faults_in(cassette, loaded, redactor_of([]))) == []
    *others, last = cassette.exchanges
    leaky = attrs.evolve(cassette, exchanges=(*others, attrs.evolve(last, answer=BODIES["/keys"][1])))
    (fault,) = faults_in(leaky, loaded, redactor_of([]))
    assert fault.message.startswith("'secret' is a secret by its type")
    assert fault.path == "/interactions/1/response/body"


def test_a_value_in_a_link_keeps_the_way_it_is_written(tmp_path: Path) -> None:
    links = json.loads(recorded(tmp_path, "people.list").exchanges[-1].answer)["links"]
    name, email = stand_in(NAME), stand_in(EMAIL)
    expected = [write(value) for value in (name, email) for write in (quote, quote_plus, html.escape)]
    expected += [quote(email, safe="").lower()]
    assert links[:-1] == expected
    assert links[-1].endswith(f"%3Femail%3D{quote(email, safe='')}")


def test_headers_are_kept_in_the_order_of_their_names(tmp_path: Path) -> None:
    for exchange in recorded(tmp_path, "people.list").exchanges:
        for headers in (exchange.headers, exchange.answer_headers):
            assert list(headers) == sorted(headers, key=str.lower)


def test_a_token_that_ends_later_does_not_make_a_recording_another_one(tmp_path: Path) -> None:
    def ending(moment: int) -> Cassette:
        claims = base64.urlsafe_b64encode(json.dumps({"exp": moment}).encode()).decode().rstrip("=")
        token = placeholder_token(f"eyJhbGciOiJub25lIn0.{claims}.c2ln", 1)
        first, last = cassette.exchanges
        first = attrs.evolve(first, answer=json.dumps({"access_token": token}).encode())
        last = attrs.evolve(last, headers={**last.headers, "Authorization": f"Bearer {token}"})
        return attrs.evolve(cassette, exchanges=(first, last))

    cassette = recorded(tmp_path, "people.list")
    assert keep(ending(1_800_000_000), tmp_path)[1]
    assert not keep(ending(1_800_009_000), tmp_path)[1]
    assert keep(cassette, tmp_path)[1]
