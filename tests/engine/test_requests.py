"""Requests as they arrive: what a caller gives stays where it belongs, what the spec says goes out as it stands."""

from __future__ import annotations

from typing import Any

import pytest

from connectory.errors import ArgumentError, BadAnswer, InputError
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor

SERVERS = "servers: {production: https://api.acme.example}\n"
GET = (
    SERVERS
    + """
operations:
  files.get: {get: "/files/{name}/meta", query: {q: str}, headers: {X-Note: str}}
"""
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b", "/files/a%2Fb/meta"),
        ("../admin", "/files/..%2Fadmin/meta"),
        ("%2e%2e", "/files/%252e%252e/meta"),
        ("a?x=1#y", "/files/a%3Fx%3D1%23y/meta"),
        ("a\r\nHost: evil", "/files/a%0D%0AHost%3A%20evil/meta"),
        ("a\\b;c", "/files/a%5Cb%3Bc/meta"),
        ("{q}", "/files/%7Bq%7D/meta"),
        ("é", "/files/%C3%A9/meta"),
    ],
)
def test_a_path_argument_stays_one_segment(connecting: Connecting, vendor: Vendor, name: str, path: str) -> None:
    connecting(GET).files.get(name=name)
    assert vendor.requests()[0].path == path


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b", "\ud800"])
def test_a_path_argument_that_can_be_no_segment_is_refused(connecting: Connecting, vendor: Vendor, name: str) -> None:
    with pytest.raises(InputError):
        connecting(GET).files.get(name=name)
    assert vendor.requests() == []


@pytest.mark.parametrize("note", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "日本"])
def test_a_header_argument_cannot_add_headers(connecting: Connecting, vendor: Vendor, note: str) -> None:
    with pytest.raises(InputError, match="X-Note"):
        connecting(GET).files.get(name="a", x_note=note)
    assert vendor.requests() == []


def test_query_arguments_arrive_as_given(connecting: Connecting, vendor: Vendor) -> None:
    connecting(GET).files.get(name="a", q="a&b=c +%00\r\n/é")
    assert vendor.requests()[0].argument("q") == "a&b=c +%00\r\n/é"


def test_headers_of_the_spec_win_in_whatever_case_and_stand_once(connecting: Connecting, vendor: Vendor) -> None:
    spec = (
        SERVERS
        + """
send: {headers: {accept: application/vnd.api+json, content-type: application/vnd.api+json}}
operations: {things.create: {post: /things, fields: {n: int}}}
"""
    )
    connecting(spec).things.create(n=1)
    (asked,) = vendor.requests()
    assert asked.header("Accept") == asked.header("Content-Type") == "application/vnd.api+json"
    assert asked.json() == {"n": 1}


def test_a_forms_content_type_keeps_its_boundary(connecting: Connecting, vendor: Vendor, tmp_path: Any) -> None:
    spec = (
        SERVERS
        + """
send: {headers: {Content-Type: application/json}}
operations: {things.upload: {post: /things, wire: {body: multipart}, fields: {file: file!}}}
"""
    )
    (tmp_path / "a.csv").write_text("a,b\n")
    connecting(spec).things.upload(file=str(tmp_path / "a.csv"))
    assert vendor.requests()[0].header("Content-Type").startswith("multipart/form-data; boundary=")  # type: ignore[union-attr]


def test_cookies_arrive_as_they_are_and_cannot_add_others(connecting: Connecting, vendor: Vendor) -> None:
    spec = (
        SERVERS
        + """
settings: {session: secret!, tenant: str!}
auth: {cookies: {sid: "{{ session }}"}}
send: {cookies: {tenant: "{{ tenant }}"}}
operations: {things.get: {get: /things}}
"""
    )
    connecting(spec, session="dGVzdA==/+%20:x", tenant="a; admin=1\r\n,é").things.get()
    cookie = vendor.requests()[0].header("Cookie")
    assert cookie == "tenant=a%3B%20admin=1%0D%0A%2C%C3%A9; sid=dGVzdA==/+%20:x"


def test_basic_credentials(connecting: Connecting, vendor: Vendor) -> None:
    spec = (
        SERVERS
        + """
settings: {user: str!, password: secret!}
auth: {basic: {user: "{{ user }}", password: "{{ password }}"}}
operations: {things.get: {get: /things}}
"""
    )
    connecting(spec, user="Zoë", password="geheim:é").things.get()
    assert vendor.requests()[0].header("Authorization") == "Basic Wm/DqzpnZWhlaW06w6k="


NEXT = (
    SERVERS
    + """
settings: {api_key: secret!}
auth: {query: {key: "{{ api_key }}"}}
pagers: {links: {use: next_url, next: {link: next}, records: items}}
operations: {things.list: {get: /things, query: {sort: str}, pages: links}}
"""
)


def test_a_next_link_that_repeats_the_key_carries_it_once(connecting: Connecting, vendor: Vendor) -> None:
    """Vendors that take the key in the query often put it into their own links; two of it confuse some of them."""

    def reply(ask: Ask) -> Answer:
        if ask.argument("after") == "a+b%":
            return Answer.json({"items": [2]})
        link = f'<{ask.path}?sort=a,b&key=key-of-acme&after=a%2Bb%25#frag>; rel="next"'
        return Answer(200, b'{"items": [1]}', "application/json", (("Link", link),))

    vendor.reply = reply
    assert list(connecting(NEXT, api_key="key-of-acme").things.list()) == [1, 2]
    assert [value for name, value in vendor.requests()[1].query if name == "key"] == ["key-of-acme"]


@pytest.mark.parametrize(
    "link", ["https://evil.example/x", "//evil.example/x", "http://127.0.0.1:1/x", "file:///etc/passwd", "https://["]
)
def test_a_next_link_that_leads_away_is_not_followed(connecting: Connecting, vendor: Vendor, link: str) -> None:
    headers = (("Link", f'<{link}>; rel="next"'),)
    vendor.reply = lambda ask: Answer(200, b'{"items": [1]}', "application/json", headers)
    with pytest.raises(BadAnswer, match="leads away"):
        list(connecting(NEXT, api_key="key-of-acme").things.list())
    assert len(vendor.requests()) == 1


def test_a_next_link_with_a_user_name_is_not_followed(connecting: Connecting, vendor: Vendor) -> None:
    link = vendor.url.replace("//", "//someone@") + "/things?after=1"
    headers = (("Link", f'<{link}>; rel="next"'),)
    vendor.reply = lambda ask: Answer(200, b'{"items": [1]}', "application/json", headers)
    with pytest.raises(BadAnswer, match="leads away"):
        list(connecting(NEXT, api_key="key-of-acme").things.list())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object(), {"a": [float("nan")]}])
def test_what_json_cannot_hold_is_refused_and_never_sent_as_null(
    connecting: Connecting, vendor: Vendor, value: Any
) -> None:
    operations = "{things.create: {post: /things, body: any}, others.create: {post: /o, body: Open}}"
    spec = f'{SERVERS}operations: {operations}\ntypes: {{Open: {{"*": any}}}}'
    acme = connecting(spec)
    with pytest.raises(InputError):
        acme.things.create(body={"n": value})
    with pytest.raises(InputError):
        acme.others.create(body={"n": value})
    assert vendor.requests() == []


def test_integers_of_any_size_and_decimals_survive(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer(200, ask.body, "application/json")
    spec = SERVERS + "operations: {things.create: {post: /things, body: any}}"
    body = {"n": 2**70, "id": 10607302981934, "price": "9.90"}
    assert connecting(spec).things.create(body=body) == body


def test_graphql_errors_under_status_400_have_the_vendors_words(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.json({"errors": [{"message": "no field 'nam'"}], "data": None}, 400)
    spec = (
        SERVERS
        + """
errors: {message: errors.*.message}
operations: {graphql.query: {graphql: /graphql, does: read}}
"""
    )
    with pytest.raises(Exception, match="no field 'nam'") as caught:
        connecting(spec).graphql.query(document="{ a }")
    assert type(caught.value).__name__ == "Rejected"
    assert len(vendor.requests()) == 1


def test_bodies_of_bytes_and_text_go_out_as_they_are(connecting: Connecting, vendor: Vendor) -> None:
    spec = (
        SERVERS
        + """
operations:
  pictures.create: {post: /pictures, body: bytes, wire: {body: bytes}}
  notes.create: {post: /notes, body: str, wire: {body: text}}
"""
    )
    acme = connecting(spec)
    acme.pictures.create(body=b"\x89PNG\xff")
    acme.notes.create(body="a note: é")
    assert [exchange.body for exchange in vendor.requests()] == [b"\x89PNG\xff", "a note: é".encode()]
    assert [exchange.media_type for exchange in vendor.requests()] == ["application/octet-stream", "text/plain"]
    with pytest.raises(InputError):
        acme.pictures.create(body="text")


def test_every_wrong_argument_is_named_at_once(connecting: Connecting, vendor: Vendor) -> None:
    spec = "servers: {production: https://api.acme.example}\noperations:\n  things.get:\n"
    spec += "    {get: '/things/{id}', path: {id: int}, query: {kind: one of a | b, day: date!}}"
    with pytest.raises(ArgumentError) as caught:
        connecting(spec).things.get(id="five", kidn="a", kind="c")
    assert [name for name in ("'id'", "'kidn'", "'kind'", "'day'") if name not in str(caught.value)] == []
    assert vendor.requests() == []
