"""OAuth2 as its RFCs say it (6749, 7636, 8628), against an authorization server on loopback written from them."""

from __future__ import annotations

import base64
import hashlib
import logging
import socket
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import attrs
import pytest

from connectory import Denied, Failed, Parts, SpecError
from connectory.auth.rotation import Rotation
from connectory.clock import ManualClock
from connectory.login import log_in_by_device, log_in_by_page
from connectory.transport.client import UrllibTransport
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor, clock, connecting, parts, vendor

__all__ = ["clock", "connecting", "parts", "vendor"]  # fixtures

CLIENT = ("cli-4711", "Hush-canary-secret")
SPEC = """
settings: {{client_id: str!, client_secret: secret, {settings}}}
servers: {{production: https://api.acme.example}}
auth:
  token: {{grant: {grant}, post: /oauth/token{more}}}
  bearer: "{{{{ token }}}}"
operations: {{things.list: {{get: /things, records: .}}}}
"""


def spec(grant: str, settings: str = "", more: str = "") -> str:
    return SPEC.format(grant=grant, settings=settings, more=more)


@attrs.define
class Server:
    """An authorization server and the API behind it. A refresh token is good once."""

    lasts: int = 3600
    refresh: str = "refresh-0"
    access: str = ""
    challenge: str = ""
    pending: int = 0
    rotates: bool = True
    asked: list[dict[str, str]] = attrs.Factory(list)
    issued: int = 0

    def __call__(self, ask: Ask) -> Answer:
        if ask.route == "GET /things":
            return Answer.json(
                [{"id": 1}] if ask.header("Authorization") == f"Bearer {self.access}" else {},
                200 if ask.header("Authorization") == f"Bearer {self.access}" else 401,
            )
        form = dict(parse_qsl(ask.body.decode()))
        if ask.route == "POST /oauth/device":
            answer = {
                "device_code": "dev-1234567",
                "user_code": "WDJB-MJHT",
                "verification_uri": "https://acme.example/device",
            }
            return Answer.json({**answer, "expires_in": 600, "interval": 5})
        assert ask.media_type == "application/x-www-form-urlencoded"
        self.asked.append({**form, "authorization": ask.header("Authorization") or ""})
        refusal = self.refuses(form, ask)
        return Answer.json({"error": refusal}, 400) if refusal else Answer.json(self.issue())

    def refuses(self, form: dict[str, str], ask: Ask) -> str:
        basic = "Basic " + base64.b64encode(":".join(CLIENT).encode()).decode()
        named = (form.get("client_id"), form.get("client_secret")) == CLIENT or ask.header("Authorization") == basic
        match form.get("grant_type"):
            case "client_credentials":
                return "" if named else "invalid_client"
            case "password":
                return "" if (form.get("username"), form.get("password")) == ("ann", "pw-canary-1") else "invalid_grant"
            case "refresh_token":
                return "" if named and form.get("refresh_token") == self.refresh else "invalid_grant"
            case "authorization_code":
                verifier = form.get("code_verifier", "").encode()
                proof = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).decode().rstrip("=")
                return "" if form.get("code") == "code-1" and proof == self.challenge else "invalid_grant"
            case "urn:ietf:params:oauth:grant-type:device_code":
                self.pending -= 1
                return "authorization_pending" if self.pending >= 0 else ""
        return "unsupported_grant_type"

    def issue(self) -> dict[str, Any]:
        self.issued += 1
        self.access = f"access-{self.issued}"
        if not self.rotates:
            return {"access_token": self.access, "token_type": "Bearer", "expires_in": self.lasts}
        self.refresh = f"refresh-{self.issued}"
        return {"access_token": self.access, "expires_in": self.lasts, "refresh_token": self.refresh}


@pytest.fixture
def server(vendor: Vendor) -> Server:
    vendor.reply = server = Server()
    return server


def test_client_credentials_go_as_fields_with_the_scopes(connecting: Connecting, server: Server) -> None:
    acme = connecting(
        spec("client_credentials", more=", scopes: [read, write], fields: {audience: api}"),
        client_id=CLIENT[0],
        client_secret=CLIENT[1],
    )
    assert list(acme.things.list()) == [{"id": 1}]
    (asked,) = server.asked
    assert asked == {
        **{"grant_type": "client_credentials", "client_id": CLIENT[0], "client_secret": CLIENT[1]},
        **{"scope": "read write", "audience": "api", "authorization": ""},
    }


def test_client_credentials_go_as_a_basic_header_where_the_vendor_wants_that(
    connecting: Connecting, server: Server
) -> None:
    acme = connecting(spec("client_credentials", more=", client: basic"), client_id=CLIENT[0], client_secret=CLIENT[1])
    assert list(acme.things.list()) == [{"id": 1}]
    assert server.asked[0].keys() == {"grant_type", "authorization"}


def test_a_password_is_exchanged(connecting: Connecting, server: Server) -> None:
    settings = "username: str!, password: secret!"
    acme = connecting(
        spec("password", settings), client_id=CLIENT[0], username="ann", password="pw-canary-1", client_secret=None
    )
    assert list(acme.things.list()) == [{"id": 1}]
    assert "client_secret" not in server.asked[0]


REFRESH = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "refresh_token": "refresh-0"}


def test_a_refresh_token_that_is_replaced_is_never_sent_twice(
    connecting: Connecting, server: Server, clock: ManualClock, parts: Parts, tmp_path: Path
) -> None:
    kept = attrs.evolve(parts, rotation=Rotation(tmp_path / "state" / "rotated"))
    for _ in range(3):  # each time as a new process
        acme = connecting(spec("refresh_token", "refresh_token: secret!"), parts=kept, **REFRESH)
        assert list(acme.things.list()) == [{"id": 1}]
        clock.wind(3600)
    assert [asked["refresh_token"] for asked in server.asked] == ["refresh-0", "refresh-1", "refresh-2"]
    (file,) = (tmp_path / "state" / "rotated").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_another_configured_refresh_token_finds_nothing_of_the_old_one(
    connecting: Connecting, server: Server, clock: ManualClock, parts: Parts, tmp_path: Path
) -> None:
    kept = attrs.evolve(parts, rotation=Rotation(tmp_path / "rotated"))
    list(connecting(spec("refresh_token", "refresh_token: secret!"), parts=kept, **REFRESH).things.list())
    server.refresh = "refresh-new"
    given = {**REFRESH, "refresh_token": "refresh-new"}
    list(connecting(spec("refresh_token", "refresh_token: secret!"), parts=kept, **given).things.list())
    assert server.asked[-1]["refresh_token"] == "refresh-new"


def test_a_vendor_that_replaces_nothing_gets_the_same_refresh_token_again(
    connecting: Connecting, server: Server, clock: ManualClock, parts: Parts, tmp_path: Path
) -> None:
    server.rotates = False
    kept = attrs.evolve(parts, rotation=Rotation(tmp_path / "rotated"))
    acme = connecting(spec("refresh_token", "refresh_token: secret!"), parts=kept, **REFRESH)
    for _ in range(2):
        list(acme.things.list())
        clock.wind(3600)
    assert [asked["refresh_token"] for asked in server.asked] == ["refresh-0", "refresh-0"]


def test_rotated_secrets_that_cannot_be_read_are_not_replaced_by_old_ones(
    connecting: Connecting, server: Server, clock: ManualClock, parts: Parts, tmp_path: Path
) -> None:
    kept = attrs.evolve(parts, rotation=Rotation(tmp_path / "rotated"))
    acme = connecting(spec("refresh_token", "refresh_token: secret!"), parts=kept, **REFRESH)
    list(acme.things.list())
    (file,) = (tmp_path / "rotated").iterdir()
    file.write_bytes(b"{")
    clock.wind(3600)
    with pytest.raises(Denied, match="cannot be used: damaged"):
        list(acme.things.list())
    assert len(server.asked) == 1


CONSENT = ", authorize: https://acme.example/authorize?prompt=consent, device: /oauth/device, scopes: [a, b]"


def consent(server: Server, **changes: str) -> Callable[[str], None]:
    """A person who consents in a browser."""

    def open_page(page: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        assert (asked["prompt"], asked["scope"], asked["response_type"]) == ("consent", "a b", "code")
        assert asked["code_challenge_method"] == "S256"
        server.challenge = asked["code_challenge"]
        answer = {"code": "code-1", "state": asked["state"], **changes}
        back = asked["redirect_uri"] + "?" + urlencode({name: value for name, value in answer.items() if value})
        threading.Thread(target=lambda: urllib.request.urlopen(back).read(), daemon=True).start()

    return open_page


def test_a_person_consents_once_and_the_tokens_are_renewed_from_then_on(
    connecting: Connecting, server: Server, clock: ManualClock, parts: Parts, tmp_path: Path, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    kept = attrs.evolve(parts, rotation=Rotation(tmp_path / "rotated"))
    acme = connecting(
        spec("authorization_code", "refresh_token: secret", CONSENT),
        parts=kept,
        client_id=CLIENT[0],
        client_secret=CLIENT[1],
    )
    with pytest.raises(Denied, match=r"nobody has logged in yet\. log in again: connectory login acme"):
        list(acme.things.list())
    log_in_by_page(acme.engine.line, consent(server))
    assert list(acme.things.list()) == [{"id": 1}]
    clock.wind(3600)
    assert list(acme.things.list()) == [{"id": 1}]
    assert [asked["grant_type"] for asked in server.asked] == ["authorization_code", "refresh_token"]
    assert server.asked[0]["redirect_uri"].startswith("http://127.0.0.1:")
    assert not [word for word in (*CLIENT[1:], "access-1", "refresh-1", "code-1") if word in caplog.text]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": "somebody-elses"}, "does not belong to this login"),
        ({"code": "", "error": "access_denied"}, "refused: access_denied"),
        ({"code": "forged"}, "invalid_grant"),
    ],
)
def test_an_answer_that_is_not_the_consent_asked_for_is_refused(
    connecting: Connecting, server: Server, changes: dict[str, str], message: str
) -> None:
    acme = connecting(
        spec("authorization_code", "refresh_token: secret", CONSENT), client_id=CLIENT[0], client_secret=CLIENT[1]
    )
    with pytest.raises(Denied, match=message):
        log_in_by_page(acme.engine.line, consent(server, **changes))
    assert server.issued == 0


def test_a_code_is_typed_in_on_another_device(
    connecting: Connecting, server: Server, clock: ManualClock, parts: Parts, tmp_path: Path
) -> None:
    server.pending = 3
    kept = attrs.evolve(parts, rotation=Rotation(tmp_path / "rotated"))
    acme = connecting(
        spec("authorization_code", "refresh_token: secret", CONSENT),
        parts=kept,
        client_id=CLIENT[0],
        client_secret=CLIENT[1],
    )
    told: list[str] = []
    log_in_by_device(acme.engine.line, told.append)
    assert told == ["open https://acme.example/device and enter the code WDJB-MJHT"]
    assert clock.slept.count(5.0) == 4
    assert list(acme.things.list()) == [{"id": 1}]


def test_a_code_that_nobody_types_in_ends(connecting: Connecting, server: Server) -> None:
    server.pending = 1_000
    acme = connecting(
        spec("authorization_code", "refresh_token: secret", CONSENT), client_id=CLIENT[0], client_secret=CLIENT[1]
    )
    with pytest.raises(Denied, match="nobody entered the code in time"):
        log_in_by_device(acme.engine.line, lambda _: None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (spec("refresh_token"), "6:18 /auth/token/grant: refresh_token needs the setting refresh_token"),
        (spec("authorization_code", "refresh_token: secret"), "6:18 /auth/token/grant: authorization_code needs auth"),
        (
            spec("client_credentials", more=", device: /d"),
            "6:18 /auth/token/grant: client_credentials takes neither authorize nor device",
        ),
        (spec("implicit"), "expected one of client_credentials, password, refresh_token, authorization_code"),
        (
            spec("x").replace("grant: x", "scopes: [a], value: t"),
            "6:11 /auth/token/scopes: 'scopes' goes with grant",
        ),
        (
            spec("client_credentials", more=", rotates: {client_id: x}"),
            "'client_id' is no secret: only a secret is replaced",
        ),
        (spec("client_credentials", more=", rotates: {client_secrt: x}"), "did you mean 'client_secret'?"),
    ],
)
def test_a_grant_that_cannot_work_is_a_fault_of_the_spec(connecting: Connecting, text: str, fault: str) -> None:
    with pytest.raises(SpecError) as caught:
        connecting(text)
    assert fault in str(caught.value)


INSTANCE = """
settings: {client_id: str!, client_secret: secret}
servers: {production: "{{ kept.instance_url }}/v1"}
auth:
  token: {grant: client_credentials, post: "https://login.acme.example/oauth/token", keep: {instance_url: instance_url}}
  bearer: "{{ token }}"
operations: {things.list: {get: /things, records: .}}
"""


@attrs.define
class Sent:
    """A transport that carries everything to the loopback server and remembers where it was meant to go."""

    inner: Any
    url: str
    hosts: list[str] = attrs.Factory(list)

    def send(self, request: Any, *, into: Any = None) -> Any:
        self.hosts.append(request.origin)
        parts = urlsplit(request.url)
        return self.inner.send(attrs.evolve(request, url=self.url + parts.path), into=into)

    def close(self) -> None:
        self.inner.close()


def test_the_login_tells_the_server(connecting: Connecting, server: Server, vendor: Vendor, parts: Parts) -> None:
    def reply(ask: Ask) -> Answer:
        if ask.route == "POST /oauth/token":
            return Answer.json({**server.issue(), "instance_url": "https://eu7.acme.example"})
        return Answer.json([{"id": 1}], 200 if ask.header("Authorization") == f"Bearer {server.access}" else 401)

    vendor.reply = reply
    sent = Sent(UrllibTransport(), vendor.url)
    acme = connecting(
        INSTANCE, parts=attrs.evolve(parts, transport=sent), server=None, client_id=CLIENT[0], client_secret=CLIENT[1]
    )
    assert list(acme.things.list()) == [{"id": 1}]
    assert sent.hosts == ["https://login.acme.example:443", "https://eu7.acme.example:443"]
    assert vendor.routes == ["POST /oauth/token", "GET /v1/things"]


def test_a_run_pointed_elsewhere_asks_for_its_token_there_too(connecting: Connecting, server: Server) -> None:
    acme = connecting(INSTANCE, client_id=CLIENT[0], client_secret=CLIENT[1])
    assert list(acme.things.list()) == [{"id": 1}]


def test_a_login_that_tells_no_server_ends_the_call(
    connecting: Connecting, server: Server, vendor: Vendor, parts: Parts
) -> None:
    sent = Sent(UrllibTransport(), vendor.url)
    acme = connecting(
        INSTANCE, parts=attrs.evolve(parts, transport=sent), server=None, client_id=CLIENT[0], client_secret=CLIENT[1]
    )
    with pytest.raises(Failed, match="the login told no server's address"):
        list(acme.things.list())
    assert sent.hosts == ["https://login.acme.example:443"]


def test_a_login_that_tells_the_server_needs_a_whole_url_of_its_own(connecting: Connecting) -> None:
    with pytest.raises(SpecError, match="server 'production' is told by this answer, so the request needs a whole URL"):
        connecting(INSTANCE.replace("https://login.acme.example", ""))
    with pytest.raises(SpecError, match=r"\{\{ kept.instance \}\} names nothing"):
        connecting(INSTANCE.replace("kept.instance_url", "kept.instance"))


def test_a_login_mends_what_was_damaged(connecting: Connecting, server: Server, parts: Parts, tmp_path: Path) -> None:
    kept = attrs.evolve(parts, rotation=Rotation(tmp_path / "rotated"))
    settings = {"client_id": CLIENT[0], "client_secret": CLIENT[1]}
    acme = connecting(spec("authorization_code", "refresh_token: secret", CONSENT), parts=kept, **settings)
    log_in_by_page(acme.engine.line, consent(server))
    (file,) = (tmp_path / "rotated").iterdir()
    file.write_bytes(b"{")
    log_in_by_page(acme.engine.line, consent(server))
    assert list(acme.things.list()) == [{"id": 1}]


def test_a_connection_that_a_browser_opens_ahead_holds_up_nothing(
    connecting: Connecting, server: Server, parts: Parts, tmp_path: Path
) -> None:
    kept = attrs.evolve(parts, rotation=Rotation(tmp_path / "rotated"))
    settings = {"client_id": CLIENT[0], "client_secret": CLIENT[1]}
    acme = connecting(spec("authorization_code", "refresh_token: secret", CONSENT), parts=kept, **settings)
    idle: list[socket.socket] = []

    def open_page(page: str) -> None:
        back = urlsplit(parse_qs(urlsplit(page).query)["redirect_uri"][0])
        idle.append(socket.create_connection((back.hostname or "", back.port or 0)))
        consent(server)(page)

    log_in_by_page(acme.engine.line, open_page, patience=20)
    assert list(acme.things.list()) == [{"id": 1}]
    idle[0].close()


def test_what_the_vendor_says_of_a_refused_consent_shows_neither_code_nor_proof(
    connecting: Connecting, vendor: Vendor, server: Server
) -> None:
    def reply(ask: Ask) -> Answer:
        form = dict(parse_qsl(ask.body.decode()))
        said = f"code {form['code']} with {form['code_verifier']}"
        return Answer.json({"error": "invalid_grant", "error_description": said}, 400)

    acme = connecting(
        spec("authorization_code", "refresh_token: secret", CONSENT), client_id=CLIENT[0], client_secret=CLIENT[1]
    )
    vendor.reply = reply
    with pytest.raises(Denied) as caught:
        log_in_by_page(acme.engine.line, consent(server, code="THE-CODE-123"))
    assert "code *** with ***" in str(caught.value)
