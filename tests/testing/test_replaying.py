"""Replaying bites: whatever of a spec changes a request, a walk, a batch or an outcome fails, and its line is named."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory.testing.cases import cases_of
from connectory.testing.recorded.cassettes import Cassette, Exchange
from connectory.testing.recorded.keeping import keep
from connectory.testing.recorded.matching import SIGNED, Asked, compare
from connectory.testing.recorded.player import NetworkUsed, network_blocked
from connectory.testing.recorded.replaying import replay, run_case
from testing.library import SPEC, Library, load, recorded, write_spec

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "books.list": ("books.list", {"shelf": 1, "tags": ["a", "b"], "x_order": "title"}),
    "books.get": ("books.get", {"id": 3}),
    "books.create": ("books.create", {"body": {"title": "Emma"}}),
    "authors.list": ("authors.list", {}),
    "loans.upsert": ("loans.upsert", {"loans": [{"id": x, "book": 1} for x in "abcd"]}),
    "covers.upload": ("covers.upload", {"file": {"name": "c.png", "content": b"\x00"}, "note": "front"}),
    "notices.send": ("notices.send", {"text": "closed", "to": ["x", "y"]}),
    "graph.books": ("graph.books", {"shelf": 7}),
    "missing": ("books.get", {"id": 99}),
}


@pytest.fixture(scope="module")
def cassettes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cassette]:
    spec = write_spec(tmp_path_factory.mktemp("recorded"))
    with Library(refused={"b"}) as library:
        return {
            name: recorded(spec, library, operation, arguments, errors=name == "missing")
            for name, (operation, arguments) in CALLS.items()
        }


# What is changed in the spec, in which recording it shows, what is said, and the text at whose line.
BROKEN = [
    ("get: /v1/books\n", "get: /v1/book\n", "books.list", "the path differs", "get: /v1/book\n"),
    ("post: /v1/books\n", "put: /v1/books\n", "books.create", "the method differs", "put: /v1/books\n"),
    ("https://{{ branch }}", "http://{{ branch }}", "books.get", "the scheme differs", "servers:"),
    (".library.example", ".library.example.org", "books.get", "the host differs", "servers:"),
    ("page: page\n", "page: pg\n", "books.list", "query 'page' was recorded and not made", "page: pg\n"),
    ("size: per_page\n", "size: size\n", "books.list", "query 'size' was made and not recorded", "size: size\n"),
    ("largest: 2\n", "largest: 3\n", "books.list", "query 'per_page' differs", "size: per_page\n"),
    ("tags: list of str\n", "tags: {type: list of str, lists: comma}\n", "books.list", "query 'tags' differs", "tags:"),
    ("shelf: int\n", "shelf: {type: int, default: 4}\n", "graph.books", "", ""),
    ("X-Client: reader", "X-Client: writer", "books.get", "header 'X-Client' differs", "X-Client: writer"),
    ("X-Client: reader", "X-Klient: reader", "books.get", "header 'X-Klient' was made", "X-Klient: reader"),
    ('X-Token: "{{ token }}"', 'X-Tokens: "{{ token }}"', "books.get", "header 'X-Tokens' was made", "X-Tokens:"),
    ('X-Token: "{{ token }}"', 'X-Token: "T {{ token }}"', "books.get", "header 'X-Token' differs", "X-Token:"),
    (
        'key: "{{ api_key }}"',
        'card: "{{ api_key }}"',
        "books.get",
        "body 'card' was made and not recorded",
        "fields: {card",
    ),
    ("post: /token", "post: /tokens", "books.get", "the path differs", "post: /tokens"),
    ("value: access_token", "value: token", "books.get", "the call ended in Failed", "token:"),
    (
        "loans: list of Loan!}\n    batch: {items: loans",
        "lent: {type: list of Loan, required: true, as: loans}}\n    batch: {items: lent",
        "loans.upsert",
        "body 'lent' was made and not recorded",
        "fields: {lent",
    ),
    ("largest: 2}\n    results", "largest: 3}\n    results", "loans.upsert", "body 'loans' differs", "batch: {items"),
    ("{at: results", "{at: result", "loans.upsert", "the accounting of the items differs", "results: {"),
    ("ok: {ok: true}", "ok: {ok: false}", "loans.upsert", "the accounting of the items differs", "results: {"),
    ("message: why", "message: reason", "loans.upsert", "what is said of refused items differs", "results: {"),
    ("wire: {body: multipart}", "wire: {body: form}", "covers.upload", "header 'Content-Type' differs", ""),
    ("wire: {body: form}", "wire: {body: json}", "notices.send", "header 'Content-Type' differs", "wire: {body: json}"),
    ("$shelf) { id }", "$shelf) { id title }", "graph.books", "body 'query' differs", "document:"),
    ("record: data.books", "record: data.book", "graph.books", "no record at 'data.book'", "record: data.book"),
    ("links.next, records: data", "links.next, records: items", "authors.list", "BadAnswer", "linked:"),
    ("    total_records: total\n", "", "books.list", "the vendor's total differs", "numbered:"),
    ("next: links.next", "next: links.more", "authors.list", "1 of 3 recorded requests was not made", "linked:"),
    ("added: datetime", "added: str", "books.get", "the record differs", ""),
    ("id: int64 key read_only", "id: str key read_only", "books.get", "the values fit their declared types", ""),
    ("message: [error.message", "message: [error.text", "missing", "the vendor's words differ", "errors:"),
    ("does: write\n", "does: destroy\n", "notices.send", "what it does differs", "does: destroy"),
    ("\npagers:", "\nlimits: {card: {gap: 2s}}\npagers:", "authors.list", "the calls of each limit differ", ""),
    ("\npagers:", "\nlimits: {card: {gap: 2s}}\npagers:", "authors.list", "the seconds waited differ", ""),
    ("code: error.code", "code: error.number", "missing", "the vendor's code differs", "errors:"),
]


def lines_of(text: str, part: str) -> range:
    """The lines on which a part of a text stands, and the one above it."""
    first = text[: text.index(part.strip("\n"))].count("\n") + 1
    return range(first - 1, first + part.strip("\n").count("\n") + 1)


@pytest.mark.parametrize(("find", "instead", "name", "said", "at"), BROKEN, ids=[row[1].strip() for row in BROKEN])
def test_a_broken_spec_fails_and_its_line_is_named(
    tmp_path: Path, cassettes: dict[str, Cassette], find: str, instead: str, name: str, said: str, at: str
) -> None:
    assert SPEC.count(find) >= 1
    text = SPEC.replace(find, instead, 1)
    file = write_spec(tmp_path, text)
    registry, loaded = load(file)
    found = replay(registry, loaded, cassettes[name])
    if not said:
        assert found == []
        return
    told = "\n".join(map(str, found))
    assert said in told
    if instead:  # where the spec was broken, by what changed since the recording
        assert any(f"{file}:{line}:" in told for line in lines_of(text, instead))
    if at:
        number = text[: text.index(at)].count("\n") + 1
        assert found[0].place.line == number, told


def test_an_unbroken_spec_passes(tmp_path: Path, cassettes: dict[str, Cassette]) -> None:
    registry, loaded = load(write_spec(tmp_path))
    for cassette in cassettes.values():
        assert replay(registry, loaded, cassette) == []


def test_what_is_said_of_a_spec_changes_nothing(tmp_path: Path, cassettes: dict[str, Cassette]) -> None:
    registry, loaded = load(write_spec(tmp_path, SPEC.replace("name: library", "name: library\nabout: Books")))
    assert replay(registry, loaded, cassettes["books.list"]) == []


def test_the_difference_shows_both_requests_side_by_side(tmp_path: Path, cassettes: dict[str, Cassette]) -> None:
    file = write_spec(tmp_path, SPEC.replace("largest: 2\n", "largest: 3\n"))
    (difference, *_) = replay(*load(file), cassettes["books.list"])
    assert str(difference).splitlines()[1:3] == ["    made:     3", "    recorded: 2"]
    assert [str(change).partition(" ")[2] for change in difference.changed] == ["/pagers/numbered/largest: was 2, is 3"]


def test_a_request_that_is_not_recorded_fails(tmp_path: Path, cassettes: dict[str, Cassette]) -> None:
    registry, loaded = load(write_spec(tmp_path))
    whole = cassettes["books.list"]
    (found,) = replay(registry, loaded, attrs.evolve(whole, exchanges=whole.exchanges[:-1]))
    assert "a request was made that is not recorded, after all 3 that are" in found.what
    assert found.place.path == "/pagers/numbered"


def test_exchanges_in_another_order_fail(tmp_path: Path, cassettes: dict[str, Cassette]) -> None:
    registry, loaded = load(write_spec(tmp_path))
    token, one, two, three = cassettes["books.list"].exchanges
    assert replay(registry, loaded, attrs.evolve(cassettes["books.list"], exchanges=(token, two, one, three)))


def test_records_in_another_order_fail(tmp_path: Path, cassettes: dict[str, Cassette]) -> None:
    registry, loaded = load(write_spec(tmp_path))
    *others, last = cassettes["books.list"].exchanges
    assert b'"Book 5"' in last.answer
    changed = attrs.evolve(last, answer=last.answer.replace(b'"Book 5"', b'"Book 6"'))
    (found,) = replay(registry, loaded, attrs.evolve(cassettes["books.list"], exchanges=(*others, changed)))
    assert "a record differs from those recorded, or their order does" in found.what


def test_nothing_waits_and_nothing_reaches_the_network(
    tmp_path: Path, cassettes: dict[str, Cassette], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("time.sleep", refuse)
    registry, loaded = load(write_spec(tmp_path))
    assert replay(registry, loaded, cassettes["books.list"]) == []


def test_threads_replay_each_their_own(tmp_path: Path, cassettes: dict[str, Cassette]) -> None:
    registry, loaded = load(write_spec(tmp_path))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda cassette: replay(registry, loaded, cassette), [*cassettes.values()] * 4))
    assert found == [[]] * len(found)


def test_an_operation_without_a_recording_is_tested_by_its_example(
    tmp_path: Path, cassettes: dict[str, Cassette]
) -> None:
    registry, loaded = load(write_spec(tmp_path))
    keep(cassettes["books.get"], tmp_path / "cassettes")
    cases = {case.name: case.kind for case in cases_of(loaded, tmp_path / "cassettes")}
    assert cases["books.get[3]"] == "recorded"
    assert cases["books.get[1]"] == cases["books.list[1]"] == cases["books.create[title]"] == "example"
    assert cases["authors.list"] == "missing"
    for case in cases_of(loaded, tmp_path / "cassettes"):
        assert run_case(registry, loaded, case) == []


@pytest.mark.parametrize(
    ("find", "instead", "said"),
    [
        ('added: "2026-01-01T10:00:00Z"', "added: yesterday", "at 'added': declared datetime, got a text"),
        ("answer: {id: 1, title: Emma, added", "answer: {id: x, title: Emma, added", "declared int64, got a text"),
        ("id: 1, title: Emma}]", "id: 1, title: 2}]", "at 'title': declared str, got a number"),
        ("status: 201, answer", "status: 500, answer", ""),
        (
            "errors: {message",
            "outcomes: [{status: 201, is: failed}]\nerrors: {message",
            "the example's answer ends in an",
        ),
    ],
)
def test_an_example_that_does_not_hold_fails_at_its_line(tmp_path: Path, find: str, instead: str, said: str) -> None:
    assert find in SPEC
    file = write_spec(tmp_path, SPEC.replace(find, instead))
    registry, loaded = load(file)
    found = [d for case in cases_of(loaded, tmp_path) for d in run_case(registry, loaded, case)]
    assert bool(found) == bool(said)
    if said:
        assert said in str(found[0])
        assert f"{file}:" in str(found[0])


def test_a_cassette_of_an_operation_that_is_gone_fails(tmp_path: Path, cassettes: dict[str, Cassette]) -> None:
    keep(cassettes["graph.books"], tmp_path / "cassettes")
    registry, loaded = load(write_spec(tmp_path, SPEC.replace("graph.books:", "graph.book:")))
    (case,) = [case for case in cases_of(loaded, tmp_path / "cassettes") if case.kind == "recorded"]
    (found,) = run_case(registry, loaded, case)
    assert "no operation 'graph.books'; did you mean 'graph.book'?: its cassette is left over" in found.what


def asked(method: str = "POST", url: str = "https://x.example/a", body: bytes = b"", **headers: str) -> Asked:
    return Asked(method, url, {name.replace("_", "-"): value for name, value in headers.items()}, body or None)


FORM, JSON, TEXT = "application/x-www-form-urlencoded", "application/json", "text/plain"


@pytest.mark.parametrize(
    ("made", "recorded"),
    [
        (asked(url="https://x.example/a?b=1&a=2&a=1"), asked(url="https://x.example/a?a=1&a=2&b=1")),
        (asked(url="https://x.example/a?b=a%20b"), asked(url="https://x.example/a?b=a+b")),
        (asked(accept="x"), asked(Accept="x")),
        (asked(body=b'{"a": 1, "b": [1.0]}', content_type=JSON), asked(body=b'{"b":[1.0],"a":1}', content_type=JSON)),
        (asked(body=b"a=1&b=2", content_type=FORM), asked(body=b"b=2&a=1", content_type=FORM)),
        (asked(X_Sign="abc"), asked(X_Sign=SIGNED)),
    ],
)
def test_what_means_the_same_is_the_same(made: Asked, recorded: Asked) -> None:
    assert compare(made, recorded) == []


@pytest.mark.parametrize(
    ("made", "recorded", "said"),
    [
        (asked(url="https://x.example/a?a=1"), asked(url="https://x.example/a?a=1&a=1"), "query 'a' differs"),
        (asked(url="https://x.example/a%2Fb"), asked(url="https://x.example/a/b"), "the path differs"),
        (asked(url="https://x.example/a?a="), asked(url="https://x.example/a"), "query 'a' was made and not recorded"),
        (asked(), asked(X_Sign=SIGNED), "header 'X-Sign' was recorded and not made"),
        (asked(body=b'{"a": 1}'), asked(body=b'{"a": true}'), "body 'a' differs"),
        (asked(body=b'{"a": [1]}'), asked(body=b'{"a": [1, 2]}'), "body 'a' differs"),
        (asked(body=b'{"a": {"b": 1}}'), asked(body=b'{"a": {}}'), "body 'a.b' was made and not recorded"),
        (asked(body=b"a=1", content_type=FORM), asked(body=b"a=2", content_type=FORM), "form field 'a' differs"),
        (asked(body=b"text"), asked(body=b"texts"), "the body differs"),
        (
            asked(body=b"1", content_type="text/plain"),
            asked(body=b"1.0", content_type="text/plain"),
            "the body differs",
        ),
        (asked(body=b'{"a": 1}'), asked(body=b'{"a": 1.0}'), "body 'a' differs"),
        (asked(url="https://x.example/a?a=%FF"), asked(url="https://x.example/a?a=%FE"), "query 'a' differs"),
        (asked(body=b"a=%FF", content_type=FORM), asked(body=b"a=%FE", content_type=FORM), "form field 'a' differs"),
        (asked(), asked(body=b"x"), "the body was recorded and not made"),
    ],
)
def test_what_means_something_else_is_told(made: Asked, recorded: Asked, said: str) -> None:
    assert [mismatch.words for mismatch in compare(made, recorded)] == [said]


def test_a_replay_sends_no_datagram_and_looks_up_no_name() -> None:
    nowhere = ("127.0.0.1", 9)
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        asks: list[Callable[[], object]] = [
            lambda: datagrams.sendto(b"x", nowhere),
            lambda: datagrams.sendmsg([b"x"], (), 0, nowhere),
            lambda: socket.gethostbyname("localhost"),
            lambda: socket.gethostbyname_ex("localhost"),
        ]
        for ask in asks:
            with network_blocked(), pytest.raises(NetworkUsed):
                ask()


def multipart(boundary: str, *parts: str) -> bytes:
    pieces = [f"--{boundary}\r\n{part}\r\n" for part in parts]
    return ("".join(pieces) + f"--{boundary}--\r\n").encode()


def test_forms_with_files_are_compared_whatever_their_boundary() -> None:
    kind = "multipart/form-data"
    note = 'Content-Disposition: form-data; name="note"\r\n\r\nfront'
    file = 'Content-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n1,2'
    one = asked(body=multipart("x1", note, file), content_type=kind)
    assert compare(one, asked(body=multipart("y2", note, file), content_type=kind)) == []
    other = asked(body=multipart("y2", note, file.replace("1,2", "1,3")), content_type=kind)
    (mismatch,) = compare(one, other)
    assert mismatch.words == "form part 'file' differs"
    assert (mismatch.made, mismatch.recorded) == ("a.csv, text/csv: 1,2", "a.csv, text/csv: 1,3")
    assert compare(one, asked(body=multipart("y2", file), content_type=kind))[0].name == "note"


def test_an_exchange_shows_no_query() -> None:
    assert "secret" not in repr(Exchange("GET", "https://x.example/?key=secret", {}, None, 200, {}, b""))
