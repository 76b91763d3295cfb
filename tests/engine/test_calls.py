"""The life of a call where something goes wrong: whose fault it is, what is spent, and what may be sent again."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest

from connectory import Connector
from connectory.clock import ManualClock
from connectory.errors import Denied, Failed, LimitReached, Unavailable, UnknownOutcome
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor
from servers.fault_server import FaultServer, answer, call, read_request, send

TOKEN = """
settings: {api_key: {type: secret, required: true, obtain: the front desk}}
servers: {production: https://api.acme.example}
auth: {token: {post: /login, fields: {key: "{{ api_key }}"}, value: token}, bearer: "{{ token }}"}
errors: {message: error}
pagers: {all: {use: page_number, page: page, largest: 2, total_records: total, records: items}}
operations:
  things.list: {get: /things, pages: all, detail: {operation: things.get, with: {id: id}}}
  things.get: {get: "/things/{id}", path: {id: int}}
  things.push: {post: /things, body: list of Thing, batch: {largest: 2, atomic: true}}
types: {Thing: {id: int! key}}
"""
PLAIN = "servers: {production: https://api.acme.example}\n"


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_refused_login_is_no_refused_batch(connecting: Connecting, vendor: Vendor, status: int) -> None:
    vendor.reply = lambda ask: Answer.json({"error": "no such key"}, status)
    with pytest.raises(Denied, match=r"no such key.*the front desk") as caught:
        connecting(TOKEN, api_key="wrong-key").things.push([{"id": n} for n in range(5)])
    delivery = caught.value.delivery  # type: ignore[attr-defined]
    assert (len(delivery.rejected), len(delivery.not_tried)) == (0, 5)
    assert vendor.routes == ["POST /login"]


def test_a_login_without_a_token_stops_a_batch_before_it_is_sent(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.json({"tokn": "t"})
    with pytest.raises(Failed, match="without a token at 'token'") as caught:
        connecting(TOKEN, api_key="right-key").things.push([{"id": n} for n in range(5)])
    delivery = caught.value.delivery  # type: ignore[attr-defined]
    assert (len(delivery.unknown), len(delivery.not_tried)) == (0, 5)
    assert vendor.routes == ["POST /login"]


def test_a_login_that_is_gone_does_not_make_records_vanish(connecting: Connecting, vendor: Vendor) -> None:
    def reply(ask: Ask) -> Answer:
        if ask.path == "/login":
            first = len(vendor.requests("/login")) == 0
            return Answer.json({"token": "one"}) if first else Answer.json({"error": "moved"}, 404)
        if ask.path == "/things":
            return Answer.json({"total": 1, "items": [{"id": 1}]})
        return Answer.json({}, 401)

    vendor.reply = reply
    with pytest.raises(Denied, match="moved"):
        list(connecting(TOKEN, api_key="right-key").things.list(complete=True))


def test_the_login_after_a_refusal_says_so_whoever_makes_it(connecting: Connecting, vendor: Vendor) -> None:
    spec = TOKEN.replace("value: token", "value: token, after_refusal: {fields: {force: 'yes'}}")
    forced: list[Any] = []

    def reply(ask: Ask) -> Answer:
        if ask.path == "/login":
            forced.append(ask.json().get("force"))
            if len(forced) == 2:
                return Answer.json({"error": "later"}, 403)
            return Answer.json({"token": f"t{len(forced)}"})
        return Answer.json({"id": 1}, 200 if ask.header("Authorization") == "Bearer t3" else 401)

    vendor.reply = reply
    acme = connecting(spec, api_key="right-key")
    with pytest.raises(Denied):
        acme.things.get(id=1)
    assert acme.things.get(id=1) == {"id": 1}  # a new call, which itself has seen no refusal
    assert forced == [None, "yes", "yes"]


def test_servers_that_the_spec_names_get_the_credential(connecting: Connecting, vendor: Vendor) -> None:
    with Vendor(clock=vendor.clock) as files:
        spec = f"""
settings: {{api_key: secret!}}
servers: {{production: "{vendor.url}", files: "{files.url}/base"}}
auth: {{bearer: "{{{{ api_key }}}}"}}
operations:
  things.get: {{get: /things}}
  files.get: {{get: /files, server: files}}
"""
        acme = connecting(spec, api_key="key-of-acme", server=None)
        acme.things.get()
        acme.files.get()
        (asked,) = files.requests()
        assert (asked.path, asked.header("Authorization")) == ("/base/files", "Bearer key-of-acme")
        assert vendor.routes == ["GET /things"]


def test_each_hop_of_a_redirect_is_signed_and_spent(connecting: Connecting, vendor: Vendor) -> None:
    spec = """
settings: {api_key: secret!}
servers: {production: https://api.acme.example}
auth: {query: {key: "{{ api_key }}"}}
limits: {calls: {rate: 2/hour, concurrent: 1}}
operations: {things.get: {get: /old}}
"""

    def reply(ask: Ask) -> Answer:
        if ask.path == "/old":
            return Answer(302, headers=(("Location", "/new?page=1"),))
        return Answer.json({"found": ask.argument("key") == "key-of-acme"})

    vendor.reply = reply
    acme = connecting(spec, api_key="key-of-acme", max_wait=1)
    assert acme.things.get() == {"found": True}
    with pytest.raises(LimitReached):
        acme.things.get()


def test_a_redirect_to_another_origin_carries_nothing_there(connecting: Connecting, vendor: Vendor) -> None:
    with Vendor(clock=vendor.clock) as elsewhere:
        vendor.reply = lambda ask: Answer(302, headers=(("Location", f"{elsewhere.url}/things"),))
        spec = PLAIN + 'settings: {api_key: secret!}\nauth: {bearer: "{{ api_key }}"}\noperations: {a.get: {get: /a}}'
        with pytest.raises(Unavailable, match="not followed") as caught:
            connecting(spec, api_key="key-of-acme").a.get()
        assert not caught.value.retryable
        assert elsewhere.requests() == []
        assert len(vendor.requests()) == 1


def test_a_download_judged_not_ready_leaves_nothing_behind(connecting: Connecting, vendor: Vendor) -> None:
    spec = (
        PLAIN + "operations: {export.get: {get: /export, wire: {answer: text}, outcomes: [{status: 202, is: retry}]}}"
    )
    ready = iter([False, False, True])
    vendor.reply = lambda ask: Answer.text("the export") if next(ready) else Answer.text("not yet", 202)
    into = io.BytesIO(b"head:")
    into.seek(0, io.SEEK_END)
    connecting(spec).export.get.download(into)
    assert into.getvalue() == b"head:the export"


class Pipe(io.BytesIO):
    """A sink that takes nothing back, as a pipe is."""

    def seekable(self) -> bool:
        return False


def test_a_download_into_a_pipe_is_not_begun_twice(connecting: Connecting, clock: ManualClock) -> None:
    spec = PLAIN + "operations: {export.get: {get: /export, wire: {answer: bytes}}}"
    into = Pipe()
    with FaultServer() as server:
        server.play(read_request(), send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nthe e"))
        server.play(read_request(), send(answer(b"the export")))
        with pytest.raises(Unavailable, match="cannot be taken back"):
            connecting(spec, server=server.url).export.get.download(into)
    assert into.getvalue() == b"the e"


def test_a_download_into_a_pipe_is_tried_again_before_its_first_byte(connecting: Connecting, vendor: Vendor) -> None:
    spec = PLAIN + "operations: {export.get: {get: /export, wire: {answer: bytes}}}"
    vendor.fail(status=503)
    vendor.reply = lambda ask: Answer.text("the export")
    into = Pipe()
    connecting(spec).export.get.download(into)
    assert into.getvalue() == b"the export"


def test_an_answer_cut_without_a_sign_is_read_again(connecting: Connecting, clock: ManualClock) -> None:
    spec = PLAIN + "operations: {things.get: {get: /things}}"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    with FaultServer() as server:
        server.play(read_request(), send(head + b'{"id": 12'))
        server.play(read_request(), send(answer(b'{"id": 123}')))
        assert connecting(spec, server=server.url).things.get() == {"id": 123}
    assert len(clock.slept) == 1


def test_a_pause_that_nobody_named_is_bounded_by_max_wait_too(
    connecting: Connecting, vendor: Vendor, clock: ManualClock
) -> None:
    vendor.reply = lambda ask: Answer.text("slow down", 429)
    with pytest.raises(LimitReached) as caught:
        connecting(PLAIN + "operations: {things.get: {get: /things}}", max_wait=5).things.get()
    assert sum(clock.slept) <= 10
    assert max(clock.slept) <= 5
    assert caught.value.until > clock.now()
    assert caught.value.vendor == "acme"


def test_a_limit_of_ours_names_the_vendor(connecting: Connecting, vendor: Vendor) -> None:
    acme = connecting(PLAIN + "limits: {day: {rate: 1/day}}\noperations: {things.get: {get: /things}}")
    acme.things.get()
    with pytest.raises(LimitReached) as caught:
        acme.things.get()
    assert (caught.value.vendor, caught.value.limit) == ("acme", "day")


def test_a_call_given_up_on_counts_as_under_way_for_a_while(connecting: Connecting, clock: ManualClock) -> None:
    """The vendor may still be at work on it; another one would be one too many there."""
    spec = PLAIN + "limits: {one: {concurrent: 1}}\noperations: {things.get: {get: /things}}"
    with FaultServer() as server:
        server.play(read_request(), call(lambda: clock.wind(310)), send(b"HTTP/1.1 200 OK\r\nContent-"))
        server.play(read_request(), send(answer(b"{}")))
        connecting(spec, server=server.url).things.get()
    assert sum(clock.slept) > 15  # until its lease would have ended anyway


def test_deliveries_of_several_threads_count_their_own_calls(connecting: Connecting, vendor: Vendor) -> None:
    spec = PLAIN + "operations: {things.push: {post: /things, body: list of any, batch: {largest: 1}}}"
    acme: Connector = connecting(spec)
    counted: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: counted.append(acme.things.push([{"n": i} for i in range(n)]).calls))
        for n in (5, 6, 7, 8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counted) == [5, 6, 7, 8]
    assert acme.engine.line.calls == 26


def test_raw_shows_an_answer_that_cannot_be_decoded(connecting: Connecting, vendor: Vendor) -> None:
    vendor.reply = lambda ask: Answer.text("<html>maintenance</html>", content_type="text/html")
    response = connecting(PLAIN + "operations: {things.get: {get: /things}}").things.get.raw()
    assert response.body == b"<html>maintenance</html>"


def test_a_connection_that_had_been_closed_costs_no_pause(connecting: Connecting, clock: ManualClock) -> None:
    with FaultServer() as server:
        server.play(read_request(), send(answer(b"{}")), read_request())  # kept alive, then closed under the second
        server.play(read_request(), send(answer(b'{"id": 1}')))
        acme = connecting(PLAIN + "operations: {things.get: {get: /things}}", server=server.url)
        acme.things.get()
        assert acme.things.get() == {"id": 1}
    assert clock.slept == []


def test_a_write_on_a_connection_that_had_been_closed_is_not_repeated(
    connecting: Connecting, clock: ManualClock
) -> None:
    spec = PLAIN + "operations: {things.get: {get: /things}, things.create: {post: /things, fields: {n: int}}}"
    with FaultServer() as server:
        server.play(read_request(), send(answer(b"{}")), read_request())
        acme = connecting(spec, server=server.url)
        acme.things.get()
        with pytest.raises(UnknownOutcome):
            acme.things.create(n=1)
        assert len(server.requests) == 2


def test_an_upload_cut_short_is_sent_again_whole(connecting: Connecting, vendor: Vendor, tmp_path: Path) -> None:
    rules = "wire: {body: multipart}, fields: {file: file!}, repeatable: true"
    acme = connecting(PLAIN + f"operations: {{files.upload: {{post: /files, {rules}}}}}")
    (tmp_path / "a.csv").write_bytes(b"a,b\r\n" * 50_000)
    vendor.drop(times=1)
    acme.files.upload(file=str(tmp_path / "a.csv"))
    first, second = vendor.requests()
    assert first.body == second.body
    assert b"a,b\r\n" * 50_000 in second.body
