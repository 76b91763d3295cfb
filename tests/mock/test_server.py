"""The mock as clients of any kind meet it: routes, credentials, limits, checks, writes, refusals and faults."""

from __future__ import annotations

import base64
import json
import socket
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectory.clock import ManualClock
from connectory.errors import ArgumentError, Denied, Exists, Missing, Unavailable, UnknownOutcome
from connectory.mock import Fault, parse_fault
from mock.conftest import Stage, Staging, staged, write_spec

Sent = tuple[int, dict[str, str], Any]


def send(stage: Stage, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None) -> Sent:
    """What any client gets: status, headers in lower case, and the decoded body."""
    connection = HTTPConnection(stage.mock.url.removeprefix("http://"), timeout=10)
    text = None if body is None else body if isinstance(body, str | bytes) else json.dumps(body)
    usual = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, target, text, {**usual, **(headers or {})})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, {n.lower(): v for n, v in answer.getheaders()}, json.loads(raw) if raw else None


THINGS = """
servers: {production: "https://api.acme.example/v2/{{ region }}"}
settings: {region: str = eu}
errors: {message: error.text, code: error.code, fields: error.fields}
operations:
  things.list: {get: /things, records: items, returns: Thing}
  things.get: {get: "/things/{id}", path: {id: int}, returns: Thing}
  things.create: {post: /things, body: Thing, returns: Thing}
  things.update: {patch: "/things/{id}", path: {id: int}, body: part of Thing, returns: Thing}
  things.replace: {put: "/things/{id}", path: {id: int}, body: Thing, returns: Thing}
  things.delete: {delete: "/things/{id}", path: {id: int}}
  things.count: {get: /things/count, does: read, record: n, returns: int, examples: [{answer: {n: 3}}]}
types:
  Thing:
    id: int key read_only
    name: str!
    size: {type: int, least: 1, most: 9}
    colour: one of red | blue
    code: {type: str, unique: true, pattern: "[A-Z]{3}"}
    made: datetime read_only
"""


def test_an_unknown_path_is_answered_by_what_there_is(staging: Staging) -> None:
    status, _, body = send(staging(THINGS), "GET", "/thing")
    assert status == 404
    assert "GET /things (things.list)" in body["error"]["text"]


def test_another_method_is_answered_by_those_that_are_taken(staging: Staging) -> None:
    status, _, body = send(staging(THINGS), "PUT", "/things")
    assert (status, body["error"]["text"]) == (404, "/things takes GET and POST, not PUT")


def test_an_unknown_path_is_missing_where_calls_have_errors_inside_a_success(staging: Staging) -> None:
    spec = """
servers: {production: "https://api.acme.example"}
errors: {message: ["errors.*.message"]}
outcomes: [{status: 200, body: {errors.*.code: GONE}, is: missing}]
operations:
  things.get:
    graphql: /graphql
    does: read
    document: "query { thing { id } }"
    record: data.thing
    examples: [{answer: {data: {thing: {id: 1}}}}]
"""
    status, _, body = send(staging(spec), "GET", "/nothing")
    assert status == 404
    assert "nothing at GET /nothing" in body["errors"][0]["message"]


def test_a_path_below_a_servers_own_folder_is_found_as_well(staging: Staging) -> None:
    stage = staging(THINGS)
    assert send(stage, "GET", "/v2/us/things")[0] == 200
    assert send(stage, "GET", "/things/count")[2] == {"n": 3}


def test_a_record_lives_as_the_spec_says(staging: Staging) -> None:
    stage = staging(THINGS, records=2)
    things = stage.connector.things
    made = things.create(body={"name": "kite", "size": 3, "code": "ABC"})
    assert made["made"].timestamp() == stage.clock.now()
    assert things.get(id=made["id"]) == made
    things.update(id=made["id"], body={"size": 4})
    assert things.get(id=made["id"])["size"] == 4
    things.replace(id=made["id"], body={"name": "glider"})
    after = things.get(id=made["id"])
    assert (after["name"], "size" in after, after["made"]) == ("glider", False, made["made"])
    things.delete(id=made["id"])
    with pytest.raises(Missing, match="there is no things"):
        things.get(id=made["id"])


def test_a_unique_value_that_is_taken_is_refused(staging: Staging) -> None:
    things = staging(THINGS, records=0).connector.things
    things.create(body={"name": "a", "code": "ABC"})
    with pytest.raises(Exists, match="code"):
        things.create(body={"name": "b", "code": "ABC"})


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "name", "is required"),
        ({"name": 1}, "name", "must be a text"),
        ({"name": "a", "size": 10}, "size", "must not be above 9"),
        ({"name": "a", "size": "3"}, "size", "must be a whole number"),
        ({"name": "a", "colour": "green"}, "colour", "must be one of red, blue"),
        ({"name": "a", "code": "abc"}, "code", "must look like [A-Z]{3}"),
        ({"name": "a", "id": 5}, "id", "is read-only"),
        ({"name": "a", "shape": "round"}, "shape", "is no field that is known here"),
    ],
)
def test_a_body_that_breaks_its_type_is_refused_where_the_spec_looks_for_the_words(
    staging: Staging, body: Any, field: str, words: str
) -> None:
    status, _, answer = send(staging(THINGS), "POST", "/things", body)
    assert (status, answer["error"]["code"]) == (400, "REJECTED")
    assert answer["error"]["fields"] == {field: words}


def test_a_body_that_is_no_json_is_refused(staging: Staging) -> None:
    assert send(staging(THINGS), "POST", "/things", "{oops")[0] == 400
    assert send(staging(THINGS), "POST", "/things")[2]["error"]["text"] == "the body is missing"


CHUNKS = b'c\r\n{"name": "ki\r\n', b'4\r\nte"}\r\n', b"0\r\n", b"\r\n"


@pytest.mark.parametrize("sent", range(1, len(CHUNKS) + 1))
def test_a_body_in_chunks_is_taken_whole_or_not_at_all(staging: Staging, sent: int) -> None:
    stage = staging(THINGS, records=0)
    host, port = stage.mock.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"POST /things HTTP/1.1\r\nHost: acme\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"".join(CHUNKS[:sent]))
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(1000)
    whole = sent == len(CHUNKS)
    assert answer.startswith(b"HTTP/1.1 201") if whole else answer == b""
    assert [row["name"] for row in stage.mock.rows("things.create")] == ["kite"] * whole


# Credentials ------------------------------------------------------------------------------------------------------

SIGNED = """
settings: {key: secret!}
servers: {production: https://api.acme.example}
auth: AUTH
operations: {things.list: {get: /things, records: .}}
"""
PLACES: dict[str, tuple[dict[str, str], str]] = {
    '{bearer: "{{ key }}"}': ({"Authorization": "Bearer any"}, ""),
    '{basic: {user: api, password: "{{ key }}"}}': (
        {"Authorization": "Basic " + base64.b64encode(b"api:any").decode()},
        "",
    ),
    '{headers: {X-Key: "key={{ key }}"}}': ({"X-Key": "key=any"}, ""),
    '{query: {api_key: "{{ key }}"}}': ({}, "?api_key=any"),
    '{cookies: {session: "{{ key }}"}}': ({"Cookie": "other=1; session=any"}, ""),
}


@pytest.mark.parametrize("auth", PLACES)
def test_a_credential_must_stand_in_its_place_and_may_be_anything(staging: Staging, auth: str) -> None:
    stage = staging(SIGNED.replace("AUTH", auth), settings={"key": "my-own-secret"})
    headers, query = PLACES[auth]
    assert send(stage, "GET", f"/things{query}", headers=headers)[0] == 200
    status, _, body = send(stage, "GET", "/things", headers={"X-Other": "any"})
    assert (status, "no credential: expected" in str(body)) == (403, True)
    assert len(list(stage.connector.things.list())) > 0
    assert "my-own-secret" not in repr(stage.mock.served)


def test_a_link_does_not_repeat_the_credential_of_its_request(staging: Staging) -> None:
    spec = SIGNED.replace("AUTH", '{query: {api_key: "{{ key }}"}}').replace("records: .", "pages: links")
    spec += "pagers: {links: {use: next_url, next: next, size: count, largest: 2, records: items}}\n"
    stage = staging(spec, settings={"key": "my-own-secret"}, records=3)
    link = send(stage, "GET", "/things?api_key=any&count=2")[2]["next"]
    assert "count=2" in link
    assert "api_key" not in link
    assert len(list(stage.connector.things.list())) == 3


TOKEN = """
settings: {key: secret!}
servers: {production: https://api.acme.example}
auth:
  token: {post: /login, body: form, fields: {key: "{{ key }}"}, value: data.token, lasts: LASTS}
  headers: {X-Token: "{{ token }}"}
operations: {things.list: {get: /things, records: .}}
"""


@pytest.mark.parametrize(
    "lasts", ["90m", "{seconds: data.expires_in}", "{until: {body: data.until, codec: unix}}", "{jwt: true}"]
)
def test_a_token_is_given_out_lives_as_long_as_is_said_and_is_renewed(staging: Staging, lasts: str) -> None:
    stage = staging(TOKEN.replace("LASTS", lasts), settings={"key": "my-own-secret"})
    list(stage.connector.things.list())
    list(stage.connector.things.list())
    assert [one.operation for one in stage.mock.served] == ["token exchange", "things.list", "things.list"]
    stage.clock.wind(2 * 3600)
    list(stage.connector.things.list())
    assert [one.status for one in stage.mock.served] == [200] * 5


def test_a_login_that_lacks_its_secret_and_a_token_that_is_none_are_refused(staging: Staging) -> None:
    stage = staging(TOKEN.replace("LASTS", "1h"), settings={"key": "my-own-secret"})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert send(stage, "POST", "/login", "other=1", form)[0] == 403
    assert send(stage, "GET", "/things", headers={"X-Token": "made-up"})[0] == 401
    token = send(stage, "POST", "/login", "key=any", form)[2]["data"]["token"]
    assert send(stage, "GET", "/things", headers={"X-Token": token})[0] == 200
    stage.clock.wind(3601)
    assert send(stage, "GET", "/things", headers={"X-Token": token})[0] == 401


GRANT = """
settings: {client_id: str!, client_secret: secret!, refresh_token: secret!}
servers: {production: https://api.acme.example}
auth:
  token: {post: /oauth/token, grant: GRANT, client: CLIENT}
  bearer: "{{ token }}"
operations: {things.list: {get: /things, records: .}}
"""


@pytest.mark.parametrize("client", ["form", "basic"])
@pytest.mark.parametrize("grant", ["client_credentials", "refresh_token"])
def test_oauth2_grants_are_given(staging: Staging, grant: str, client: str) -> None:
    spec = GRANT.replace("GRANT", grant).replace("CLIENT", client)
    if grant == "client_credentials":
        spec = spec.replace(", refresh_token: secret!", "")
    given = {"client_id": "me", "client_secret": "some-secret", "refresh_token": "some-refresh"}
    settings = {name: value for name, value in given.items() if f"{name}:" in spec}
    stage = staging(spec, settings=settings)
    for _ in range(2):
        assert len(list(stage.connector.things.list())) > 0
        stage.clock.wind(4000)
    assert [one.status for one in stage.mock.served] == [200] * 4
    assert send(stage, "POST", "/oauth/token", "a=b", {"Content-Type": "application/x-www-form-urlencoded"})[0] == 403


def test_a_secret_in_a_path_is_kept_out_of_the_log(staging: Staging) -> None:
    spec = """
settings: {key: secret!}
servers: {production: https://api.acme.example}
operations: {things.list: {get: "/bot{{ key }}/things", records: .}}
"""
    stage = staging(spec, settings={"key": "my-own-secret"})
    assert len(list(stage.connector.things.list())) > 0
    assert "my-own-secret" not in repr(stage.mock.served)


def test_a_failure_of_the_mock_itself_is_an_answer(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = staging(THINGS)
    monkeypatch.setattr(stage.mock, "_lists", None)
    status, _, body = send(stage, "GET", "/things")
    assert (status, "the mock itself failed" in body["error"]) == (500, True)


# Limits -----------------------------------------------------------------------------------------------------------

LIMITED = """
servers: {production: https://api.acme.example}
limits: {own: LIMIT}
outcomes: [{status: 420, is: throttled, wait: {header: X-Wait}}]
operations: {things.list: {get: /things, records: .}}
"""


@pytest.mark.parametrize(
    ("limit", "free", "wait"),
    [
        ("{rate: 3/minute}", 3, 60),
        ("{gap: 2s}", 1, 2),
        ("{rate: 1/second, burst: 4}", 4, 1),
        ("{rate: 2/day, zone: UTC}", 2, 57_600),
    ],
)
def test_a_limit_is_kept_and_what_is_beyond_it_refused_as_the_spec_says(
    staging: Staging, limit: str, free: int, wait: float
) -> None:
    stage = staging(LIMITED.replace("LIMIT", limit))
    statuses = [send(stage, "GET", "/things") for _ in range(free + 1)]
    assert [status for status, _, _ in statuses] == [200] * free + [420]
    assert float(statuses[-1][1]["x-wait"]) == pytest.approx(wait, abs=1)
    stage.clock.wind(wait + 1)
    assert send(stage, "GET", "/things")[0] == 200


def test_a_client_that_keeps_the_limits_is_never_refused(staging: Staging) -> None:
    stage = staging(LIMITED.replace("LIMIT", "{rate: [3/minute, 12/5m], gap: 1s, concurrent: 1}"))
    for _ in range(25):
        list(stage.connector.things.list())
    assert {one.status for one in stage.mock.served} == {200}
    assert stage.clock.monotonic() >= 600


def test_more_requests_at_once_than_allowed_are_refused(staging: Staging) -> None:
    stage = staging(LIMITED.replace("LIMIT", "{concurrent: 1}"))
    assert stage.mock.gate.enter(["own"]) is None  # one request is at work
    assert send(stage, "GET", "/things")[0] == 420
    stage.mock.gate.leave(["own"])
    assert send(stage, "GET", "/things")[0] == 200


# Batches ----------------------------------------------------------------------------------------------------------

BATCH = """
servers: {production: https://api.acme.example}
operations:
  things.upsert_many: {put: /things, body: list of Thing, batch: {largest: LARGEST, atomic: ATOMIC}, results: RESULTS}
types: {Thing: {ref: str! key, size: int}}
"""
REPORTS = {
    "all by key": "{at: results, key: ref, ok: {good: true}, id: id, message: why, code: code}",
    "all by index": "{at: results, index: n, ok: {state: [ok, done]}, message: why.text}",
    "all by position": "{at: ., ok: {error: {exists: false}}, message: error}",
    "failures only": "{at: failed, key: {item: ref, result: a.ref}, only: rejected, reports: failures, message: why}",
    "failures by index": "{at: failed, index: n, only: rejected, reports: failures}",
    "two lists": "[{at: good, key: ref, only: delivered}, {at: bad, key: ref, only: rejected, message: why}]",
}


@pytest.mark.parametrize("results", REPORTS.values(), ids=REPORTS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_pattern_of_bad_items_is_accounted_for(tmp_path: Path, results: str, data: Any) -> None:
    count = data.draw(st.integers(1, 12))
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    atomic = data.draw(st.booleans()) and "position" not in results
    largest = data.draw(st.sampled_from([1, 3, 100]))
    spec = BATCH.replace("RESULTS", results).replace("ATOMIC", str(atomic).lower()).replace("LARGEST", str(largest))
    write_spec(tmp_path, spec)
    items = [{"ref": f"r{n}", "size": n} for n in range(count)]
    with staged("acme", tmp_path, tmp_path, records=0) as stage:
        stage.mock.refuse(items[n] for n in bad)
        delivery = stage.connector.things.upsert_many(items)
        assert {result.row - 1 for result in delivery.rejected} == bad
        assert delivery.delivered == count - len(bad)
        held = [row["ref"] for row in stage.mock.rows("things.upsert_many")]
        assert sorted(held) == sorted(f"r{n}" for n in range(count) if n not in bad)


@pytest.mark.parametrize("atomic", [True, False])
def test_one_bad_item_keeps_all_of_an_atomic_batch_out(staging: Staging, atomic: bool) -> None:
    spec = BATCH.replace("RESULTS", REPORTS["all by key"]).replace("ATOMIC", str(atomic).lower())
    stage = staging(spec.replace("LARGEST", "5"), records=0)
    stage.mock.refuse([{"ref": "bad"}])
    send(stage, "PUT", "/things", [{"ref": "good"}, {"ref": "bad"}])
    assert [row["ref"] for row in stage.mock.rows("things.upsert_many")] == ([] if atomic else ["good"])


def test_a_number_of_items_taken_is_written_into_the_vendors_own_words(staging: Staging) -> None:
    spec = """
servers: {production: https://api.acme.example}
operations:
  things.push:
    post: /things
    fields: {things: list of any!}
    batch: {items: things, largest: 3}
    results: {count: {body: said, match: '([0-9]+) of'}}
    examples: [{with: {things: [{a: 1}]}, answer: {said: took 1 of them, ok: true}}]
"""
    stage = staging(spec)
    assert stage.connector.things.push([{"a": n} for n in range(2)]).delivered == 2
    body = {"things": [{"a": 1}, {"a": 2}]}
    assert send(stage, "POST", "/things", body)[2] == {"said": "took 2 of them", "ok": True}
    assert send(stage, "POST", "/things", {"things": [{}] * 4})[0] == 413


# Wire -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lists", ["repeat", "comma", "pipe", "space", "brackets", "indexed", "json"])
@pytest.mark.parametrize("body", ["form", "query", "json"])
def test_values_are_read_as_the_spec_writes_them(staging: Staging, lists: str, body: str) -> None:
    spec = f"""
servers: {{production: https://api.acme.example}}
wire: {{lists: {lists}, body: {body}, bools: one_zero, datetime: unix}}
operations:
  things.create:
    post: /things
    fields: {{names: list of str!, sizes: list of int, good: bool, at: datetime, name: str}}
"""
    stage = staging(spec)
    names = ["a", "c&d"] if lists == "space" else ["a b", "c&d"]
    stage.connector.things.create(names=names, sizes=[1, 2], good=True, at="2026-05-20T00:00:00Z", name="é")
    (row,) = stage.mock.rows("things.create")
    said = {name: row[name] for name in ("names", "sizes", "name")}
    assert said == {"names": names, "sizes": [1, 2], "name": "é"}
    assert row["good"] in (True, 1)
    assert int(row["at"]) == 1_779_235_200


def test_a_file_arrives_in_a_multipart_body(staging: Staging, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    spec = """
servers: {production: https://api.acme.example}
operations:
  files.upload:
    post: /files
    wire: {body: multipart}
    fields: {file: file!, name: str!}
    examples: [{answer: {ok: 1}}]
"""
    stage = staging(spec)
    assert stage.connector.files.upload(file=tmp_path / "a.csv", name="x") == {"ok": 1}
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na\r\n--b--\r\n'
    status, _, body = send(stage, "POST", "/files", part, {"Content-Type": "multipart/form-data; boundary=b"})
    assert (status, body) == (400, {"error": "name: is required"})


def test_operations_of_one_path_are_told_apart_by_what_else_they_send(staging: Staging) -> None:
    spec = """
servers: {production: https://api.acme.example}
operations:
  things.create: {post: /things, fields: {name: str}, examples: [{answer: {what: create}}]}
  things.merge:
    post: /things
    does: write
    send: {query: {mode: merge}}
    fields: {name: str}
    examples: [{answer: {what: merge}}]
  things.remove_many:
    delete: /things
    does: destroy
    query: {filter: {type: list of uuid, required: true, as: ids, lists: comma, around: "id[in]:[{{ value }}]"}}
    batch: {items: filter, largest: 5}
  things.remove_where: {delete: /things, does: destroy, query: {filter: str!}, examples: [{answer: {}}]}
"""
    stage = staging(spec)
    things = stage.connector.things
    things.create(name="a")
    things.merge(name="a")
    things.remove_where(filter="name[eq]:a")
    things.remove_many(["20202020-b000-4485-94de-70c2a98daef2"])
    asked = [one.operation for one in stage.mock.served]
    assert asked == ["things.create", "things.merge", "things.remove_where", "things.remove_many"]


# Faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("expire-token@3", Fault("expire-token", 3, 3)),
        ("429@5:retry-after=2", Fault("429", 5, 5, {"retry-after": "2"})),
        ("500@2..4", Fault("500", 2, 4)),
        ("503@2..", Fault("503", 2, None)),
        ("slow:seconds=3", Fault("slow", 1, None, {"seconds": "3"})),
        ("drop@1:applied=true,on=things.create", Fault("drop", 1, 1, {"applied": "true"}, "things.create")),
        ("bad-items@2:items=0+3", Fault("bad-items", 2, 2, {"items": "0+3"})),
    ],
)
def test_a_fault_is_read(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("expire-tokn@3", "did you mean 'expire-token'"),
        ("200@1", "write 400 to 599"),
        ("429@5:retry-aftr=2", "did you mean 'retry-after'"),
        ("429@5:retry-after=soon", "is no number of seconds"),
        ("500@4..2", "counted from 1"),
        ("500@0", "counted from 1"),
        ("drop@1:applied=maybe", "applied is true or false"),
        ("bad-items@1:items=some", "items is first, last, several, all"),
        ("drop 4", "is no fault"),
        ("", "is no fault"),
    ],
)
def test_a_fault_that_is_none_is_refused_with_the_nearest_word(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        parse_fault(text)


def test_faults_hit_the_calls_that_they_name(staging: Staging, clock: ManualClock) -> None:
    faults = [parse_fault(text) for text in ("500@2", "drop@3", "slow@4:seconds=30", "404@1:on=things.count")]
    stage = staging(THINGS, faults=faults, clock=clock)
    for _ in range(3):
        list(stage.connector.things.list())
    assert [one.status for one in stage.mock.served] == [200, 500, 0, 200, 200]
    assert clock.monotonic() > 30
    with pytest.raises(Missing, match="told to answer 404"):
        stage.connector.things.count()
    assert stage.connector.things.count() == 3


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_write_that_is_cut_after_the_work_is_done_once(staging: Staging) -> None:
    stage = staging(THINGS, records=0, faults=[parse_fault("drop@1:applied=true")])
    with pytest.raises(UnknownOutcome):
        stage.connector.things.create(body={"name": "a"})
    assert len(stage.mock.rows("things.create")) == 1


def test_a_mock_that_is_ill_for_ever_ends_the_call(staging: Staging) -> None:
    stage = staging(THINGS, faults=[parse_fault("503")])
    with pytest.raises(Unavailable):
        list(stage.connector.things.list())


def test_refused_credentials_end_the_call(staging: Staging) -> None:
    stage = staging(THINGS, faults=[parse_fault("refuse@1")])
    with pytest.raises(Denied):
        list(stage.connector.things.list())


# Data -------------------------------------------------------------------------------------------------------------


def test_data_of_ones_own_takes_the_place_of_what_is_made_up(staging: Staging) -> None:
    stage = staging(THINGS, data={"things": [{"id": 7, "name": "own"}]})
    assert [one["name"] for one in stage.connector.things.list()] == ["own"]
    assert stage.connector.things.create(body={"name": "next"})["id"] == 8
    with pytest.raises(ArgumentError, match="did you mean 'things'"):
        staging(THINGS, data={"thing": []})


def test_what_is_kept_is_there_again_and_only_for_its_user(staging: Staging, tmp_path: Path) -> None:
    keep = tmp_path / "kept.json"
    first = staging(THINGS, records=1, keep=keep)
    made = first.connector.things.create(body={"name": "kept"})
    assert keep.stat().st_mode & 0o777 == 0o600
    second = staging(THINGS, records=1, keep=keep)
    assert second.connector.things.get(id=made["id"])["name"] == "kept"
    keep.write_text("{}")
    with pytest.raises(ArgumentError, match="no file that a mock kept"):
        staging(THINGS, keep=keep)


def test_made_up_records_are_the_same_every_time_and_fit_their_types(staging: Staging) -> None:
    found = [send(staging(THINGS, records=9), "GET", "/things")[2]["items"] for _ in range(2)]
    assert found[0] == found[1]
    assert len({one["id"] for one in found[0]}) == 9
    assert all(1 <= one["size"] <= 9 and one["colour"] in ("red", "blue") for one in found[0])


def test_keys_are_written_as_the_examples_write_them(staging: Staging) -> None:
    spec = """
servers: {production: https://api.acme.example}
operations:
  phases.list: {get: /phases, records: ., returns: Phase, examples: [{answer: [{id: "7", name: first}]}]}
  projects.add: {post: /projects, does: write, fields: {name: str!}, examples: [{answer: {id: "17"}}]}
types: {Phase: {id: str! key, name: str}}
"""
    acme = staging(spec, records=2).connector
    assert [one["id"] for one in acme.phases.list()] == ["7", "1001"]
    assert acme.projects.add(name="a") == {"id": "1001"}


def test_a_spec_that_says_next_to_nothing_is_served_all_the_same(staging: Staging) -> None:
    spec = """
servers: {production: https://api.acme.example}
pagers: {p: {use: page_number, page: page, records: items, total_pages: pages}}
operations:
  things.list: {get: /things, pages: p, detail: {operation: things.get, with: {id: Id}}}
  things.get: {get: "/things/{id}"}
  words.get: {get: /words, wire: {answer: text}}
  jobs.run: {post: /jobs, does: write, fields: {name: str!}}
"""
    stage = staging(spec, records=45)
    found = list(stage.connector.things.list())
    assert len(found) == 45
    assert stage.connector.things.get(id=str(found[3]["Id"])) == found[3]
    assert "words.get" in stage.connector.words.get()
    stage.connector.jobs.run(name="x")
    assert "name: is required" in str(send(stage, "POST", "/jobs", {})[2])


def test_a_write_that_comes_again_under_its_key_is_answered_as_the_first_time(staging: Staging) -> None:
    stage = staging(f"idempotency_key: {{headers: X-Once}}\n{THINGS.strip()}")
    once = {"X-Once": "k1"}
    first = send(stage, "POST", "/things", {"name": "a"}, once)
    held = len(stage.mock.rows("things.list"))
    assert send(stage, "POST", "/things", {"name": "a"}, once)[2] == first[2]
    assert len(stage.mock.rows("things.list")) == held
    status, _, body = send(stage, "POST", "/things", {"name": "b"}, once)
    assert (status, body["error"]["text"]) == (400, "this idempotency key came with another body before")
    assert send(stage, "POST", "/things", {"name": "a"}, {"X-Once": "k2"})[2]["id"] != first[2]["id"]


def test_what_a_list_asks_for_by_default_leaves_nothing_out(staging: Staging) -> None:
    stage = staging(THINGS.replace("{get: /things, rec", "{get: /things, query: {colour: str = any}, rec"))
    assert len(list(stage.connector.things.list())) == len(stage.mock.rows("things.list")) > 0
    assert {thing["colour"] for thing in stage.connector.things.list(colour="red")} == {"red"}
