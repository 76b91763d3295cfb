"""Secrets on their way through the engine: to the vendor, and to nowhere else."""

from __future__ import annotations

import io
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from connectory.errors import ConnectoryError, InputError, PluginError
from emulators.exchange import Answer, Ask
from engine.conftest import Connecting, Vendor

KEY = "key-of-acme-4711/+="
SERVERS = "servers: {production: https://api.acme.example}\nerrors: {message: error, code: code}\n"


BEARER = SERVERS + 'settings: {api_key: secret!}\nauth: {bearer: "{{ api_key }}"}\noperations: {a.get: {get: /a}}'


def everything(error: BaseException) -> str:
    """All that an error shows, its causes and its frames' variables too."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown = "".join(told.format())
    return shown + repr(vars(error))


def echo(ask: Ask) -> Answer:
    """A vendor that repeats everything it was sent."""
    said = f"{ask.query} {ask.headers} {ask.body.decode()}"
    return Answer.json({"error": f"no: {said}", "code": ask.argument("key") or "none"}, 400)


@pytest.mark.parametrize(
    "use",
    [
        'auth: {bearer: "{{ api_key }}"}',
        'auth: {query: {key: "{{ api_key }}"}}',
        'auth: {headers: {X-Key: "{{ api_key }}"}}',
        'auth: {cookies: {sid: "{{ api_key }}"}}',
        'auth: {basic: {user: someone, password: "{{ api_key }}"}}',
        'send: {query: {key: "{{ api_key }}"}}',
        'send: {headers: {X-Key: "{{ api_key }}"}}',
        'send: {cookies: {sid: "{{ api_key }}"}}',
        'auth: {token: {get: /login, query: {key: "{{ api_key }}"}, value: token}, bearer: "{{ token }}"}',
    ],
)
@pytest.mark.parametrize("anonymous", ["true", "false"])
def test_a_key_shows_in_no_error_log_or_frame(
    connecting: Connecting, vendor: Vendor, caplog: pytest.LogCaptureFixture, use: str, anonymous: str
) -> None:
    spec = f"{SERVERS}settings: {{api_key: secret!}}\n{use}\n"
    spec += f"operations: {{things.get: {{get: /things, anonymous: {anonymous}, query: {{q: str}}}}}}"
    vendor.reply = echo
    caplog.set_level(logging.DEBUG)
    acme = connecting(spec, api_key=KEY)
    with pytest.raises(ConnectoryError) as caught:
        acme.things.get(q="x")
    shown = everything(caught.value) + caplog.text + repr(acme) + repr(acme.engine.line) + repr(acme.things.get)
    leaks = [line[:300] for line in shown.splitlines() if "key-of-acme" in line]
    assert leaks == []


def test_an_argument_that_is_a_secret_is_hidden_too(
    connecting: Connecting, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    spec = SERVERS + "operations: {login.run: {post: /login, does: write, query: {password: {type: secret, least: 6}}}}"
    vendor.reply = echo
    caplog.set_level(logging.DEBUG)
    run = connecting(spec).login.run
    for wrong in (47114711, "4711", "geheim-4711"):
        with pytest.raises(ConnectoryError) as caught:
            run(password=wrong)
        assert "4711" not in f"{caught.value} {vars(caught.value)}"
    assert "4711" not in caplog.text
    assert [exchange.argument("password") for exchange in vendor.requests()] == ["geheim-4711"]


@pytest.mark.parametrize("length", [480, 495, 1980, 1995])
@pytest.mark.parametrize("errors", ["", "errors: {message: error}"])
def test_words_cut_short_hide_a_key_at_the_cut(
    connecting: Connecting, vendor: Vendor, length: int, errors: str
) -> None:
    words = "x" * length + KEY
    vendor.reply = lambda ask: Answer.json({"error": words}, 400) if errors else Answer.text(words, 400)
    spec = f"""
servers: {{production: https://api.acme.example}}
{errors}
settings: {{api_key: secret!}}
auth: {{bearer: "{{{{ api_key }}}}"}}
operations: {{things.get: {{get: /things}}}}
"""
    with pytest.raises(ConnectoryError) as caught:
        connecting(spec, api_key=KEY).things.get()
    assert "xk" not in str(caught.value)


def test_a_token_is_hidden_however_many_there_were(connecting: Connecting, vendor: Vendor) -> None:
    spec = (
        SERVERS
        + """
settings: {api_key: secret!}
auth:
  token: {post: /login, fields: {key: "{{ api_key }}"}, value: token, lasts: 1h, keep: {session: sid}}
  bearer: "{{ token }}"
  headers: {X-Sid: "{{ kept.session }}"}
operations: {things.get: {get: /things}}
"""
    )
    made = 0

    def reply(ask: Ask) -> Answer:
        nonlocal made
        if ask.path == "/login":
            made += 1
            return Answer.json({"token": f"token-number-{made}", "sid": f"session-number-{made}"})
        return echo(ask)

    vendor.reply = reply
    acme = connecting(spec, api_key=KEY)
    for _ in range(60):
        with pytest.raises(ConnectoryError) as caught:
            acme.things.get()
        assert "number-" not in f"{caught.value} {vars(caught.value)}"
        vendor.clock.wind(3600)  # type: ignore[attr-defined]
    assert made == 60
    assert repr(acme.engine.line.redactor) == "<Redactor of 51 secrets>"  # the key, and the newest of the others


def test_a_signing_plugin_that_breaks_shows_no_secret(connecting: Connecting, vendor: Vendor, tmp_path: Path) -> None:
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "breaking.py").write_text(
        """
import attrs
from connectory import AuthKind, Template, hookimpl, word

@attrs.frozen
class Breaking:
    secret: Template = word("what signs", names="auth")

def sign(options, request, now):
    raise ValueError(f"cannot sign with {options.secret}")

@hookimpl
def connectory_auth():
    return {"breaking": AuthKind(options=Breaking, sign=sign, about="breaks")}
"""
    )
    spec = f"""{SERVERS}settings: {{api_key: secret!}}
auth: {{use: breaking, secret: "{{{{ api_key }}}}"}}
operations: {{things.get: {{get: /things}}, things.push: {{post: /things, body: list of any, batch: {{largest: 1}}}}}}
"""
    acme = connecting(spec, api_key=KEY)
    with pytest.raises(PluginError, match="breaking") as caught:
        acme.things.get()
    assert "4711" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(PluginError) as again:
        acme.things.push([{"n": 1}, {"n": 2}])
    assert len(again.value.delivery.not_tried) == 2  # type: ignore[attr-defined]
    assert vendor.requests() == []


def test_a_key_with_a_line_break_is_refused_and_not_shown(connecting: Connecting, vendor: Vendor) -> None:
    spec = BEARER
    with pytest.raises(InputError) as caught:
        connecting(spec, api_key="key-4711\r\nX-Evil: 1").a.get()
    assert "4711" not in str(caught.value)
    assert vendor.requests() == []


def test_a_download_that_is_refused_shows_no_key(connecting: Connecting, vendor: Vendor) -> None:
    spec = BEARER.replace("bearer: ", "query: ").replace('"{{ api_key }}"', '{key: "{{ api_key }}"}')
    vendor.reply = echo
    into = io.BytesIO()
    with pytest.raises(ConnectoryError) as caught:
        connecting(spec, api_key=KEY).a.get.download(into)
    shown = everything(caught.value)
    assert "key-of-acme" not in shown
    assert into.getvalue() == b""


def test_nothing_of_the_engine_shows_settings_by_repr(connecting: Connecting) -> None:
    spec = BEARER.replace("auth: {bearer: ", "send: {headers: {X-Key: ").replace('}}"}', '}}"}}')
    engine = connecting(spec, api_key=KEY).engine
    constants = engine.constants(engine.plan("a.get"))
    held: list[Any] = [engine, engine.settings, engine.line, engine.line.credentials, constants]
    assert "4711" not in " ".join(map(repr, held))
