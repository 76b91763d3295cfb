"""Which alternative of `auth` is used, the token it needs, and where the credential goes on a request."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import attrs
import msgspec

from connectory.answers import Answer, find, to_number
from connectory.auth.tokens import Token as KeptToken
from connectory.errors import BadAnswer, ConnectoryError, Denied, PluginError
from connectory.messages import Request, encode_query
from connectory.outcomes import by_our_clock, find_moment
from connectory.plugins.kinds import AuthKind, Codec
from connectory.request import cookie_header
from connectory.secrets import Hidden, Secret
from connectory.spec.language import Auth, Token
from connectory.spec.places import MISSING
from connectory.spec.words import Lifetime

Render = Callable[[str, Mapping[str, Any]], str | None]  # a template and names -> text; None when a name is not given


@attrs.frozen(eq=False, repr=False)
class Credentials:
    """One alternative of `auth`, ready to sign with. Without any, requests go as they are."""

    auth: Auth | None
    kind: AuthKind | None
    settings: Mapping[str, Any]
    render: Render

    def sign(self, request: Request, token: KeptToken | None, now: float) -> Request:
        """The request with the credential where the vendor wants it."""
        if self.auth is None:
            return request
        names = self._names(token)
        request = request.with_headers(self._headers(names))
        query = self._rendered(self.auth.query, names)
        if query:
            request = _without(request, query).with_query(query)
        cookies = self._rendered(self.auth.cookies, names)
        if cookies:
            before = request.headers.get("Cookie")
            request = request.with_headers({"Cookie": "; ".join(filter(None, [before, cookie_header(cookies)]))})
        if self.kind is not None:
            request = self._sign_by_kind(self.kind, request, names, now)
        return request

    def _sign_by_kind(self, kind: AuthKind, request: Request, names: Mapping[str, Any], now: float) -> Request:
        try:
            signed: object = kind.sign(self._options(names), request, now)
            if isinstance(signed, Request):
                return signed
            fault = f"returned {type(signed).__name__}, not a Request"
        except ConnectoryError:
            raise
        except Exception as why:  # a stranger's code may raise anything, and quote what it signs with
            fault = f"raised {type(why).__name__}"
        assert self.auth is not None
        raise PluginError(f"signing by '{self.auth.use}' {fault}")

    def _names(self, token: KeptToken | None) -> Mapping[str, Any]:
        if token is None:
            return self.settings
        return Hidden({**self.settings, "token": token.value.reveal(), "kept": dict(token.kept)})

    def _rendered(self, templates: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, str]:
        texts = {name: self.render(str(template), names) for name, template in templates.items()}
        return {name: text for name, text in texts.items() if text is not None}

    def _headers(self, names: Mapping[str, Any]) -> dict[str, str]:
        assert self.auth is not None
        headers = self._rendered(self.auth.headers, names)
        if self.auth.bearer is not None:
            headers["Authorization"] = f"Bearer {self.render(str(self.auth.bearer), names)}"
        if self.auth.basic is not None:
            basic = self.auth.basic
            user, password = (self.render(str(text), names) or "" for text in (basic.user, basic.password))
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        return headers

    def _options(self, names: Mapping[str, Any]) -> Any:
        assert self.auth is not None
        changes = {}
        for field in attrs.fields(type(self.auth.options)):
            value = getattr(self.auth.options, field.name)
            if isinstance(value, str) and "{{" in value:
                changes[field.alias] = self.render(value, names)
        return attrs.evolve(self.auth.options, **changes)


def _without(request: Request, names: Mapping[str, str]) -> Request:
    """The request without these parameters in its URL: vendors put them into their own links too."""
    address, mark, own = request.url.partition("?")
    kept = [pair for pair in own.split("&") if unquote_plus(pair.partition("=")[0]) not in names]
    return attrs.evolve(request, url=address + (mark if kept else "") + "&".join(kept)) if mark else request


def token_request(token: Token, url: str, settings: Mapping[str, Any], render: Render, *, refused: bool) -> Request:
    """The request of an exchange at `url`. A field or parameter whose setting is not given is left out."""

    def rendered(templates: Mapping[str, Any]) -> dict[str, str]:
        texts = {name: render(str(template), settings) for name, template in templates.items()}
        return {name: text for name, text in texts.items() if text is not None}

    more = token.after_refusal if refused else None
    query = rendered({**token.query, **(more.query if more else {})})
    fields = rendered({**token.fields, **(more.fields if more else {})})
    headers = {"Accept": "*/*" if token.reads == "text" else "application/json"}
    headers |= rendered({**token.headers, **(more.headers if more else {})})
    body: bytes | None = None
    if fields and token.body == "json":
        body, headers["Content-Type"] = msgspec.json.encode(fields), "application/json"
    elif fields and token.body == "form":
        body = encode_query(tuple(fields.items())).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif fields:
        query |= fields
    return Request("GET" if token.get is not None else "POST", url, tuple(query.items()), headers, body)


def read_token(token: Token, answer: Answer, codecs: Mapping[str, Codec], now: float, vendor: str) -> KeptToken:
    """The token in an answer. Raises BadAnswer when there is none, Denied when it has expired already."""
    value = find(token.value, answer)
    text = value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if value is MISSING or not text:
        places = ", ".join(map(str, token.value.body)) or token.value.header or ""
        said = f"answered {answer.status} without a token at '{places}'"
        raise BadAnswer(f"{vendor}: the token exchange {said}", vendor=vendor, status=answer.status)
    if any(ord(char) < 33 or ord(char) > 126 for char in text):
        said = "answered what cannot be a token: it holds spaces or control characters"
        raise BadAnswer(f"{vendor}: the token exchange {said}", vendor=vendor, status=answer.status)
    expires = earliest_end(token.lasts, answer, codecs, now, text)
    if expires is not None and expires <= now:
        said = "gave a token that has expired already"
        raise Denied(f"{vendor}: the token exchange {said}", vendor=vendor, status=answer.status)
    kept = {name: found for name, place in token.keep.items() if isinstance(found := find(place, answer), str | int)}
    return KeptToken(value=Secret(text), obtained_at=now, expires_at=expires, kept={k: str(v) for k, v in kept.items()})


def earliest_end(
    lasts: tuple[Lifetime, ...], answer: Answer, codecs: Mapping[str, Codec], now: float, token: str
) -> float | None:
    """When a token ends, in epoch seconds: the earliest of the facts that are known; None when none is."""
    ends = [end for lifetime in lasts if (end := _end_of(lifetime, answer, codecs, now, token)) is not None]
    return min(ends, default=None)


def _end_of(lifetime: Lifetime, answer: Answer, codecs: Mapping[str, Codec], now: float, token: str) -> float | None:
    if lifetime.fixed is not None:
        return now + lifetime.fixed
    if lifetime.seconds is not None:
        seconds = to_number(find(lifetime.seconds, answer))
        return None if seconds is None else now + seconds
    if lifetime.jwt:
        moment = _jwt_end(token)
    else:
        moment = find_moment(lifetime.until, answer, codecs) if lifetime.until is not None else None
    return None if moment is None else by_our_clock(moment, answer, now)


def _jwt_end(token: str) -> float | None:
    """`exp` of a JSON Web Token (RFC 7519); it is read, not verified: the vendor does that."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, msgspec.DecodeError):
        return None
    return to_number(claims.get("exp")) if isinstance(claims, dict) else None


def moment_text(moment: float) -> str:
    """`2026-05-20 18:25 UTC`, for people."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
