"""Vendors that none of the packaged ones resembles: their YAML alone makes them work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from connectory.connecting import open_spec
from connectory.errors import InputError, PagingError, Rejected
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor

ROOT = Path(__file__).parents[2]


def blocks(file: str, language: str, containing: str) -> str:
    """The one fenced block of a document that holds a text."""
    found = re.findall(rf"```{language}\n(.*?)```", (ROOT / file).read_text("utf-8"), re.DOTALL)
    (block,) = [block for block in found if containing in block]
    return str(block)


def library(ask: Ask) -> Answer:
    """The library of the README: 120 books, searched by an offset in a JSON body."""
    if ask.header("X-Library-Key") != "card-key":
        return Answer.json({"error": {"text": "no such card", "code": "C1"}}, 401)
    if ask.route == "POST /v1/search":
        asked = ask.json()
        books = [{"isbn": f"978-{n}", "title": asked.get("title"), "added": 1_700_000_000 + n} for n in range(120)]
        return Answer.json({"found": 120, "books": books[asked["start"] : asked["start"] + asked["count"]]})
    if ask.route == "GET /v1/books/978-7":
        return Answer.json({"isbn": "978-7", "added": 1_700_000_000, "shelf": "B2"})
    if ask.route == "POST /v1/loans":
        return Answer.json({"error": {"text": "the book is out", "code": "L7"}}, 422)
    return Answer.json({}, 404)


def test_the_readmes_fifth_vendor(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = library
    books = connecting(blocks("README.md", "yaml", "name: library"), api_key="card-key")
    found = list(books.books.search(title="Moby", after="2026-01-31"))
    assert [book["isbn"] for book in found] == [f"978-{n}" for n in range(120)]
    assert found[0]["added"].isoformat() == "2023-11-14T22:13:20+00:00"
    asked = sorted((exchange.json() for exchange in vendor.requests("search")), key=lambda body: int(body["start"]))
    sent = {"title": "Moby", "after": "2026-01-31", "count": 50}
    assert asked == [{**sent, "start": start} for start in (0, 50, 100)]
    assert books.books.search(title="Moby").total == 120
    assert books.books.get(isbn="978-7")["shelf"] == "B2"
    with pytest.raises(Rejected, match="the book is out") as caught:
        books.loans.create(isbn="978-7", until="2026-12-01T00:00:00Z")
    assert caught.value.code == "L7"


def test_the_readmes_fifth_vendor_notices_a_lost_book(connecting: Connecting, vendor: Vendor) -> None:
    def reply(ask: Ask) -> Answer:
        answer = json.loads(library(ask).body)
        answer["books"] = [book for book in answer["books"] if book["isbn"] != "978-60"]
        return Answer.json(answer)

    vendor.reply = reply
    books = connecting(blocks("README.md", "yaml", "name: library"), api_key="card-key")
    with pytest.raises(PagingError, match=r"120 records, its pages held 119"):
        list(books.books.search())


CURSOR = """
servers: {production: https://api.acme.example}
pagers:
  by_header:
    use: cursor
    cursor: {headers: X-After}
    next: {header: X-Next}
    size: {headers: X-Count}
    largest: 2
    records: .
operations: {things.list: {get: /things, pages: by_header}}
"""


def test_a_cursor_in_a_header_is_sent_back_in_a_header(connecting: Connecting, vendor: Vendor) -> None:
    def reply(ask: Ask) -> Answer:
        start, count = int((ask.header("X-After") or "c0")[1:]), int(ask.header("X-Count") or 0)
        more = (("X-Next", f"c{start + count}"),) if start + count < 5 else ()
        body = json.dumps([{"id": n} for n in range(start, min(5, start + count))]).encode()
        return Answer(200, body, "application/json", more)

    vendor.reply = reply
    things = connecting(CURSOR).things.list()
    assert [thing["id"] for thing in things] == [0, 1, 2, 3, 4]
    assert [exchange.header("X-After") for exchange in vendor.requests()] == [None, "c2", "c4"]
    assert things.first() == {"id": 0}
    assert vendor.requests()[-1].header("X-Count") == "1"


def test_a_cursor_that_never_changes_is_an_error(connecting: Connecting, vendor: Vendor) -> None:
    ids = iter(range(100))
    vendor.reply = lambda ask: Answer(200, b'[{"id": %d}]' % next(ids), "application/json", (("X-Next", "same"),))
    with pytest.raises(PagingError, match="repeats a cursor"):
        list(connecting(CURSOR).things.list())
    assert len(vendor.requests()) <= 3


def test_next_links_in_the_body_lead_on_whatever_their_form(connecting: Connecting, vendor: Vendor) -> None:
    spec = """
servers: {production: https://api.acme.example}
pagers: {links: {use: next_url, next: paging.next, records: data}}
operations: {things.list: {get: /v2/things, query: {kind: str}, pages: links}}
"""

    def reply(ask: Ask) -> Answer:
        following = {None: "?kind=a&at=2", "2": "/v2/things?kind=a&at=3", "3": f"{vendor.url}/v2/more?at=4", "4": None}
        at = ask.argument("at")
        return Answer.json({"data": [at], "paging": {"next": following[at]}})

    vendor.reply = reply
    assert list(connecting(spec).things.list(kind="a")) == [None, "2", "3", "4"]
    assert [exchange.path for exchange in vendor.requests()] == ["/v2/things"] * 3 + ["/v2/more"]


def test_cookies_carry_a_session_that_a_login_gave(connecting: Connecting, vendor: Vendor) -> None:
    spec = """
settings: {user: str!, password: secret!}
servers: {production: https://api.acme.example}
auth:
  token:
    post: /login
    fields: {user: "{{ user }}", password: "{{ password }}"}
    body: form
    value: {header: X-Session}
  cookies: {session: "{{ token }}"}
operations: {things.get: {get: /things}}
"""

    def reply(ask: Ask) -> Answer:
        if ask.path == "/login":
            good = ask.body == b"user=me&password=let%20me%20in"
            return Answer(200 if good else 403, headers=(("X-Session", "s/1=="),))
        return Answer.json({"cookie": ask.header("Cookie")})

    vendor.reply = reply
    assert connecting(spec, user="me", password="let me in").things.get() == {"cookie": "session=s/1=="}


def test_several_servers_each_get_their_own_calls(connecting: Connecting, vendor: Vendor, tmp_path: Path) -> None:
    with Vendor(clock=vendor.clock) as uploads:
        spec = f"""
settings: {{region: str = eu}}
servers: {{production: "{vendor.url}/{{{{ region }}}}", uploads: "{uploads.url}", sandbox: "{vendor.url}/sandbox"}}
operations:
  things.get: {{get: "/things/{{id}}"}}
  files.upload: {{post: /files, server: uploads, wire: {{body: multipart}}, fields: {{file: file!}}}}
"""
        (tmp_path / "a.csv").write_text("a\n")
        acme = connecting(spec, server=None)
        acme.things.get(id="1")
        acme.files.upload(file=str(tmp_path / "a.csv"))
        connecting(spec, server="sandbox", region="us").things.get(id="2")
        assert vendor.routes == ["GET /eu/things/1", "GET /sandbox/things/2"]
        assert [exchange.route for exchange in uploads.requests()] == ["POST /files"]
        with pytest.raises(InputError, match="did you mean 'sandbox'"):
            connecting(spec, server="sandbx")
        elsewhere = connecting(spec, server=f"{vendor.url}/mock")
        elsewhere.files.upload(file=str(tmp_path / "a.csv"))
        assert vendor.routes[-1] == "POST /mock/files"


def test_the_readmes_spec_is_loaded_as_it_stands(connecting: Connecting, tmp_path: Path) -> None:
    connecting(blocks("README.md", "yaml", "name: library"), api_key="card-key")
    loaded: Any = open_spec("library", tmp_path)
    assert set(loaded.spec.operations) == {"books.search", "books.get", "loans.create"}
