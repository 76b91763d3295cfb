"""Recording: whole conversations over a real socket, with nothing in them that may not be kept."""

from __future__ import annotations

import base64
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest

from connectory.clock import ManualClock
from connectory.errors import ArgumentError, SettingError
from connectory.testing.recorded.cassettes import Cassette, cassette_file, read_cassette, text_of, write_cassette
from connectory.testing.recorded.cleaning import NotRecorded
from connectory.testing.recorded.finishing import accept
from connectory.testing.recorded.guarding import faults_in, faults_in_cassettes, redactor_of
from connectory.testing.recorded.keeping import is_changed, keep
from connectory.testing.recorded.recording import Target, Wanted, record
from connectory.testing.recorded.replaying import replay
from testing.library import AUTHORS, KEY, SPEC, Library, load, recorded, write_spec

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "pages": ("books.list", {"shelf": 1, "tags": ["a", "b"], "x_order": "title"}),
    "one": ("books.get", {"id": 3}),
    "create": ("books.create", {"body": {"title": "Émile", "price": "1.50", "added": "2026-01-01T00:00:00Z"}}),
    "next links": ("authors.list", {}),
    "batch": ("loans.upsert", {"loans": [{"id": "a", "book": 1}, {"id": "b", "book": 2}, {"id": "c", "book": 3}]}),
    "upload": ("covers.upload", {"file": {"name": "c.png", "content": b"\x89PNG\x00\xff"}, "note": "front"}),
    "form": ("notices.send", {"text": "closed & dark", "to": ["x@y.example", "z"]}),
    "graphql": ("graph.books", {"shelf": 7}),
}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write_spec(tmp_path)


@pytest.mark.parametrize("name", CALLS)
def test_what_was_recorded_plays_again_and_is_the_same_file(spec: Path, tmp_path: Path, name: str) -> None:
    operation, arguments = CALLS[name]
    with Library(refused={"b"}) as library:
        first = recorded(spec, library, operation, arguments)
        again = recorded(spec, library, operation, arguments)
    file, changed = keep(first, tmp_path / "cassettes")
    assert changed
    before = file.read_bytes()
    assert keep(again, tmp_path / "cassettes") == (file, False)
    assert file.read_bytes() == before
    assert replay(*load(spec), read_cassette(file)) == []


@pytest.mark.parametrize("name", CALLS)
def test_no_secret_is_kept_in_any_form(spec: Path, name: str) -> None:
    operation, arguments = CALLS[name]
    with Library() as library:
        text = text_of(recorded(spec, library, operation, arguments))
        url = library.url
    token = "token/1+secret=="
    for secret in (KEY, token):
        raw = secret.encode()
        forms = [secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], raw.hex()]
        forms += [base64.b64encode(before + raw).decode()[2 * len(before) : -4] for before in (b"", b"card:")]
        for form in forms:
            assert form not in text, form
    assert url not in text
    assert "https://main.library.example/api/" in text


def test_no_secret_is_logged(spec: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with Library() as library:
        recorded(spec, library, "authors.list")
    assert "authors.list" in caplog.text
    for secret in (KEY, quote(KEY), "token/1+secret==", quote("token/1+secret==", safe="")):
        assert secret not in caplog.text


def test_personal_values_are_stand_ins_wherever_they_stand(spec: Path) -> None:
    with Library() as library:
        text = text_of(recorded(spec, library, "authors.list"))
    for author in AUTHORS:
        assert str(author["email"]) not in text
        assert f'"{author["name"]}"' not in text


def test_a_conversation_with_refusals_renewal_and_repeats_is_recorded_whole(spec: Path) -> None:
    clock = ManualClock()
    registry, loaded = load(spec)
    with Library(clock=clock, uses=2) as library:
        library.fail(status=500, match="GET /api/v1/books")
        library.fail(status=429, match="GET /api/v1/books", headers={"Retry-After": "7"}, skip=1)
        server = f"{library.url}/api"
        target = Target(root=None, settings={"api_key": KEY}, server=server, environ={}, clock=clock)
        cassette = record(registry, loaded, Wanted(operation="books.list", arguments={}), target)
    statuses = [exchange.status for exchange in cassette.exchanges]
    assert {200, 401, 429, 500} <= set(statuses)
    assert sum("/token" in exchange.url for exchange in cassette.exchanges) > 1
    assert cassette.gives is not None
    assert cassette.gives["records"] == cassette.gives["total"] == 5
    assert replay(registry, loaded, cassette) == []


def test_errors_inside_200_are_kept_when_they_are_asked_for(spec: Path) -> None:
    with Library() as library:
        with pytest.raises(NotRecorded, match=r"ended in Rejected \(no such shelf\)"):
            recorded(spec, library, "graph.books", {"shelf": 13})
        cassette = recorded(spec, library, "graph.books", {"shelf": 13}, errors=True)
    assert cassette.gives is not None
    assert cassette.gives["error"] == "Rejected"
    assert replay(*load(spec), cassette) == []


def test_a_list_may_be_recorded_in_part(spec: Path) -> None:
    with Library() as library:
        cassette = recorded(spec, library, "books.list", limit=3)
    assert cassette.label == "first 3"
    assert cassette.gives is not None
    assert cassette.gives["records"] == 3
    assert replay(*load(spec), cassette) == []


def test_missing_credentials_are_named_and_nothing_is_sent(spec: Path) -> None:
    registry, loaded = load(spec)
    wanted = Wanted(operation="books.list", arguments={})
    with Library() as library:
        target = Target(root=None, server=f"{library.url}/api", environ={})
        with pytest.raises(SettingError, match="'api_key' is missing"):
            record(registry, loaded, wanted, target)
    assert library.exchanges == []


def test_two_calls_never_share_a_file(spec: Path, tmp_path: Path) -> None:
    with Library() as library:
        keep(recorded(spec, library, "books.get", {"id": 3}, label="one"), tmp_path)
        with pytest.raises(ArgumentError, match=r"holds another call \(id=3\): give --label"):
            keep(recorded(spec, library, "books.get", {"id": 4}, label="one"), tmp_path)
        with pytest.raises(ArgumentError, match="one file where case does not count"):
            keep(recorded(spec, library, "books.get", {"id": 4}, label="One"), tmp_path)


def test_a_changed_answer_changes_the_lines_that_changed(spec: Path, tmp_path: Path) -> None:
    with Library() as library:
        file, _ = keep(recorded(spec, library, "books.get", {"id": 3}), tmp_path)
        before = file.read_text().splitlines()
        library.books[2]["title"] = "Another"
        assert keep(recorded(spec, library, "books.get", {"id": 3}), tmp_path)[1]
    changed = {line.strip() for line in set(file.read_text().splitlines()) - set(before)}
    assert {'"title": "Another",', "title: Another"} <= changed
    assert len(changed) <= 6


def test_a_recording_too_long_for_a_cassette_is_refused(spec: Path) -> None:
    books = [{"id": n, "title": "x"} for n in range(1, 300)]
    with Library(books=books) as library, pytest.raises(NotRecorded, match="a cassette holds at most 100"):
        recorded(spec, library, "books.list")


def test_threads_that_record_do_not_mix_their_conversations(spec: Path) -> None:
    with Library() as library, ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda n: recorded(spec, library, "books.get", {"id": n}), [1, 2, 3, 4, 5]))
    for number, cassette in enumerate(made, start=1):
        assert [exchange.url.rpartition("/")[2] for exchange in cassette.exchanges] == ["token", str(number)]
        assert replay(*load(spec), cassette) == []


def test_git_tells_what_would_be_lost(spec: Path, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@y.example"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    with Library() as library:
        file, _ = keep(recorded(spec, library, "books.get", {"id": 3}), tmp_path / "cassettes")
    assert not is_changed(file)
    git("init")
    assert is_changed(file)
    git("add", "-A")
    git("commit", "-m", "x")
    assert not is_changed(file)
    file.write_text(file.read_text() + "# mine\n")
    assert is_changed(file)


def leaky(cassette: Cassette, **changes: Any) -> Cassette:
    """The cassette with the last exchange changed by hand."""
    *others, last = cassette.exchanges
    return attrs.evolve(cassette, exchanges=(*others, attrs.evolve(last, **changes)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"headers": {"X-Token": "s3cr3t"}}, "a credential stands here"),
        ({"answer_headers": {"Set-Cookie": ("session=s3cr3t",)}}, "a credential stands here"),
        ({"answer": b'{"jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIiwi.c2lnbmF0dXJl"}'}, "JSON Web Token"),
        ({"answer": b"canary-77aa"}, "a canary"),
        ({"answer": b'{"x": "' + base64.b64encode(b"user:canary-77aa and more") + b'"}'}, "a canary"),
        ({"url": "https://main.library.example/api/v1/books/3?next=canary%2D77aa"}, "a canary"),
        ({"answer": b"-----BEGIN RSA PRIVATE KEY-----"}, "a private key"),
        ({"answer": f'{{"echo": "{KEY}"}}'.encode()}, "a known secret"),
        ({"answer": quote(KEY).encode()}, "a known secret"),
        ({"answer": base64.b64encode(f"card:{KEY}".encode())}, "a known secret"),
    ],
)
def test_a_secret_in_a_cassette_is_found_at_its_line(
    spec: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    _, loaded = load(spec)
    with Library() as library:
        cassette = recorded(spec, library, "books.get", {"id": 3})
    file = cassette_file(tmp_path, "library", "books.get", "3")
    write_cassette(cassette, file)
    assert faults_in_cassettes(loaded, tmp_path, [KEY]) == []
    write_cassette(leaky(cassette, **changes), file)
    faults = faults_in_cassettes(loaded, tmp_path, [KEY])
    assert [said in fault.message for fault in faults] == [True]
    assert faults[0].line == read_cassette(file).exchanges[-1].line
    assert KEY not in str(faults[0])


def test_a_credential_in_a_query_is_found_where_the_spec_puts_it(spec: Path, tmp_path: Path) -> None:
    with Library() as library:
        cassette = recorded(spec, library, "books.get", {"id": 3})
    _, by_query = load(
        write_spec(tmp_path, SPEC.replace('headers: {X-Token: "{{ token }}"}', 'query: {key: "{{ token }}"}'))
    )
    bare = leaky(cassette, url=f"{cassette.exchanges[-1].url}?key=placeholder-token")
    assert list(faults_in(bare, by_query, redactor_of([]))) == []
    kept = leaky(cassette, url=f"{cassette.exchanges[-1].url}?key=s3cr3t")
    (fault,) = faults_in(kept, by_query, redactor_of([]))
    assert (fault.path, "s3cr3t" in str(fault)) == ("/interactions/1/request/uri (key)", False)


def test_what_a_recording_gives_by_the_spec_of_today_can_be_accepted(spec: Path) -> None:
    with Library() as library:
        cassette = recorded(spec, library, "books.get", {"id": 3})
    spec.write_text(SPEC.replace("added: datetime", "added: str"))
    registry, loaded = load(spec)
    assert replay(registry, loaded, cassette)
    mended = accept(registry, loaded, cassette)
    assert replay(registry, loaded, mended) == []
    spec.write_text(SPEC.replace('get: "/v1/books/{id}"', 'get: "/v2/books/{id}"'))
    with pytest.raises(NotRecorded, match="record it again"):
        accept(*load(spec), cassette)
