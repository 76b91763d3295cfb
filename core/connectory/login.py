"""A person's consent, once: by a page in the browser (RFC 6749, 4.1, with PKCE, RFC 7636) or a code shown (RFC 8628).

What comes of it is kept as any token is; from then on the refresh token renews it without the person.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from connectory.calls import Line, Purpose
from connectory.errors import ArgumentError, BadAnswer, Denied, Rejected
from connectory.messages import Request, encode_query
from connectory.spec.language import Errors, Token
from connectory.spec.places import parse_path
from connectory.spec.words import Place, Template

PATIENCE: Final = 300.0  # seconds in which a person should have consented
_POLL_EVERY: Final = 5.0  # RFC 8628, 3.5: where the vendor names no interval
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_ERRORS: Final = Errors(
    message=(Place(body=(parse_path("error_description"),)), Place(body=(parse_path("error"),))),
    code=(Place(body=(parse_path("error"),)),),
)
_THANKS: Final = b"<!doctype html><title>Connectory</title><p>%s You may close this page.</p>"

Tell = Callable[[str], None]


def log_in_by_page(line: Line, open_page: Tell, *, port: int = 0, patience: float = PATIENCE) -> None:
    """Send a person to the vendor's page and take the answer on loopback, then keep the tokens.

    `open_page` is given the page's URL. `port` is that of the redirect URL `http://127.0.0.1:PORT/callback`, where the
    vendor wants it registered. Raises ArgumentError where the spec offers no page, Denied where the person or the
    vendor refuses, or nobody answers in `patience` seconds.
    """
    token = _consenting(line, "authorize")
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(24)
    with _Callback(port) as callback:
        asked = {
            "response_type": "code",
            "client_id": _client(line, token).get("client_id", ""),
            "redirect_uri": callback.url,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("="),
            "code_challenge_method": "S256",
            **_scope(token),
        }
        page = line.render(str(token.authorize), line.credentials.settings) or ""
        open_page(page + ("&" if "?" in page else "?") + urlencode(asked))
        answer = callback.wait(patience)
        redirect = callback.url
    if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
        raise Denied(f"{line.vendor}: the answer does not belong to this login", vendor=line.vendor)
    if "code" not in answer:
        why = answer.get("error_description") or answer.get("error") or "without a reason"
        raise Denied(f"{line.vendor}: the login was refused: {line.redactor.redact(why)}", vendor=line.vendor)
    given = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": redirect}
    _finish(line, token, {**given, "code_verifier": verifier})


def log_in_by_device(line: Line, tell: Tell, *, patience: float = PATIENCE) -> None:
    """Show a code that a person types in on any device, and wait until the vendor has taken it.

    `tell` is given what the person has to do. Raises like `log_in_by_page`.
    """
    token = _consenting(line, "device")
    started = _ask_device_code(line, token)
    tell(f"open {started['verification_uri']} and enter the code {started['user_code']}")
    pause = float(started.get("interval") or _POLL_EVERY)
    ends = line.clock.monotonic() + min(patience, float(started.get("expires_in") or patience))
    while line.clock.monotonic() < ends:
        line.clock.sleep(pause)
        try:
            return _finish(line, token, {"grant_type": _DEVICE_GRANT, "device_code": started["device_code"]})
        except Denied as why:
            cause = why.__cause__
            code = cause.code if isinstance(cause, Rejected) else ""
            if code == "slow_down":
                pause += 5.0  # RFC 8628, 3.5
            elif code != "authorization_pending":
                raise
    raise Denied(f"{line.vendor}: nobody entered the code in time", vendor=line.vendor)


def _consenting(line: Line, key: str) -> Token:
    if line.token is None or getattr(line.token, key) is None:
        way = "a page" if key == "authorize" else "a code"
        raise ArgumentError(f"{line.vendor}: the spec offers no login by {way}")
    return line.token


def _client(line: Line, token: Token) -> dict[str, str]:
    """The fields that say which client asks, as they stand in the exchange."""
    names = ("client_id", "client_secret")
    texts = {
        name: line.render(str(token.fields.get(name) or f"{{{{ {name} }}}}"), line.credentials.settings)
        for name in names
        if name in token.fields or (name == "client_id" and name in line.credentials.settings)
    }
    return {name: text for name, text in texts.items() if text is not None}


def _scope(token: Token) -> dict[str, str]:
    return {"scope": " ".join(token.scopes)} if token.scopes else {}


def _ask_device_code(line: Line, token: Token) -> Mapping[str, Any]:
    fields = {"client_id": _client(line, token).get("client_id", ""), **_scope(token)}
    url = line.address(str(token.device), line.credentials.settings)
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    request = Request("POST", url, (), headers, encode_query(tuple(fields.items())).encode())
    purpose = Purpose(
        operation="login",
        judges=line.judges,
        errors=_ERRORS,
        budgets=line.token_budgets,
        repeatable=True,
        format=line.formats["json"],
        anonymous=True,
    )
    _, answer = line.exchange(purpose, request)
    needed = ("device_code", "user_code", "verification_uri")
    if not isinstance(answer.data, dict) or any(not isinstance(answer.data.get(name), str) for name in needed):
        raise BadAnswer(f"{line.vendor}: the login answered without {', '.join(needed)}", vendor=line.vendor)
    line.redactor.add(answer.data["device_code"], passing=True)
    return answer.data


def _finish(line: Line, token: Token, given: Mapping[str, str]) -> None:
    """Exchange what the consent gave for tokens, and keep them."""
    assert line.token_key is not None
    for name in ("code", "code_verifier"):
        line.redactor.add(given.get(name, ""), passing=True)
    names = {f"consent_{name}": value for name, value in given.items()}
    kept = {name: text for name, text in token.fields.items() if name not in ("grant_type", "refresh_token", "scope")}
    asked = attrs.evolve(token, fields={**kept, **{name: Template(f"{{{{ consent_{name} }}}}") for name in given}})
    line.tokens.put(line.token_key, line.ask_token(asked, {**line.credentials.settings, **names}, _ERRORS))


class _Callback:
    """The end of a redirect on loopback: takes the query of the first request for /callback."""

    def __init__(self, port: int) -> None:
        self._answered = threading.Event()
        self._answer: dict[str, str] = {}
        callback = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0  # a browser opens connections ahead and says nothing on them

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path != "/callback" or callback._answered.is_set():
                    self.send_error(404)
                    return
                callback._answer = dict(parse_qsl(parts.query))
                said = b"Logged in." if "code" in callback._answer else b"The login was refused."
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(_THANKS % said)
                callback._answered.set()

            def log_message(self, *_: object) -> None:
                """Its query holds a code."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as why:
            raise ArgumentError(f"port {port} cannot be listened on: {why.strerror}") from None
        self._server.daemon_threads, self._server.block_on_close = True, False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/callback"

    def wait(self, patience: float) -> Mapping[str, str]:
        """The query of the answer. Raises Denied where none comes."""
        if not self._answered.wait(patience):
            raise Denied(f"nobody has logged in within {patience:.0f} s")
        return self._answer

    def __enter__(self) -> _Callback:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
