"""The mock's front door: the token exchange, and whether a request carries its credential in the right place."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import attrs
import msgspec

from connectory.clock import Clock
from connectory.mock.exchange import Asked, Refused
from connectory.mock.reading import TEMPLATE, decode_body, template_pattern
from connectory.mock.shapes import Draft, moment
from connectory.plugins.kinds import Codec, Format
from connectory.spec.language import Auth, Spec, Token
from connectory.spec.words import Lifetime

HOUR: Final = 3600.0  # a token's life where the answer must say one and the spec says no number
_TOKEN_ALONE: Final = re.compile(r"\{\{\s*token\s*\}\}")
_NAME: Final = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@attrs.define
class Issued:
    """A token that was given out, and until when it is good (epoch seconds; None: until it is refused)."""

    text: str
    until: float | None
    good: bool = True


@attrs.define
class Door:
    """Gives out tokens and looks at credentials. Any secret is taken, as long as it stands where the spec says."""

    spec: Spec
    clock: Clock
    codecs: Mapping[str, Codec]
    formats: Mapping[str, Format]
    url: str = ""
    issued: list[Issued] = attrs.Factory(list)

    # The exchange -------------------------------------------------------------------------------------------------

    def exchange_for(self, asked: Asked) -> Token | None:
        """The token exchange that a request is for, if any."""
        for auth in self.spec.auth:
            token = auth.token
            if token is None or asked.method != ("GET" if token.get is not None else "POST"):
                continue
            address = urlsplit(TEMPLATE.sub("\0", str(token.get or token.post)))
            pattern = ".*" + "[^/]+".join(map(re.escape, address.path.split("\0")))
            held = dict(asked.query)
            constants = parse_qsl(address.query, keep_blank_values=True)
            if re.fullmatch(pattern, asked.path) and all(
                held.get(name) == value for name, value in constants if "\0" not in value
            ):
                return token
        return None

    def exchange(self, token: Token, asked: Asked) -> Draft:
        """A new token, where the spec says that it is found. Raises Refused for an exchange that lacks something."""
        body = decode_body(asked, self.formats)
        pairs = body.items() if isinstance(body, dict) else body if isinstance(body, list) else ()
        sent: Mapping[str, Any] = {**dict(asked.query), **dict(pairs)}
        self._check_all("query parameter", token.query, dict(asked.query))
        self._check_all("header", token.headers, asked.headers)
        self._check_all("field", token.fields, dict(asked.query) if token.body == "query" else sent)
        return self._answer(token, self._token(token, sent))

    def _check_all(self, what: str, wanted: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
        for name, template in wanted.items():
            held = sent.get(name)
            if held is None and self._optional(str(template)):
                continue
            if held is None or held == "" or not template_pattern(str(template)).fullmatch(str(held)):
                raise Refused("denied", f"the login lacks the {what} '{name}'", status=401)

    def _optional(self, template: str) -> bool:
        """Whether a text names a setting that need not be given: then it is left out."""
        settings = self.spec.settings
        named = [settings[name] for name in _NAME.findall(template) if name in settings]
        return any(not setting.required and setting.default is None for setting in named)

    def _token(self, token: Token, sent: Mapping[str, Any]) -> Issued:
        """The token that is still good, where another one must be asked for by `after_refusal`; else a new one."""
        again = {**token.after_refusal.fields, **token.after_refusal.query}
        forced = all(str(sent.get(name)) == str(value) for name, value in again.items())
        last = self.issued[-1] if self.issued else None
        now = self.clock.now()
        if again and not forced and last is not None and (last.until is None or now < last.until):
            return last
        life = self._life(token.lasts)
        made = Issued(self._text(token, now, life), None if life is None else now + life)
        self.issued.append(made)
        return made

    def _life(self, lasts: tuple[Lifetime, ...]) -> float | None:
        fixed = [float(one.fixed) for one in lasts if one.fixed is not None]
        if fixed:
            return min(fixed)
        return HOUR if lasts else None

    def _text(self, token: Token, now: float, life: float | None) -> str:
        number = len(self.issued) + 1
        if not any(one.jwt for one in token.lasts):
            return f"mock-token-{number:04d}-{int(now):x}"
        claims = {"sub": "mock", "jti": number, "exp": int(now + (life or HOUR))}
        parts = ({"alg": "none", "typ": "JWT"}, claims)
        coded = [base64.urlsafe_b64encode(msgspec.json.encode(part)).decode().rstrip("=") for part in parts]
        return ".".join([*coded, "mock"])

    def _answer(self, token: Token, issued: Issued) -> Draft:
        draft = Draft(status=200)
        until = issued.until if issued.until is not None else self.clock.now() + HOUR
        for name, place in token.keep.items():
            draft.say(place, self.url if "url" in name.lower() else f"mock-{name}", self.codecs)
        for one in token.lasts:
            if one.seconds is not None:
                draft.say(one.seconds, int(until - self.clock.now()), self.codecs)
            if one.until is not None:
                draft.say(one.until, moment(until), self.codecs)
        for name, place in token.rotates.items():
            draft.say(place, f"mock-{name}-{len(self.issued):04d}", self.codecs)
        draft.say(token.value, issued.text, self.codecs)
        return draft

    def expire_tokens(self) -> None:
        """From now on every token given out so far is refused."""
        for one in self.issued:
            one.good = False

    # The credential -----------------------------------------------------------------------------------------------

    def check(self, asked: Asked) -> None:
        """Raises Refused: `denied` without a credential, `expired` for a token that is not good (any more)."""
        if not self.spec.auth:
            return
        lacking: list[str] = []
        for auth in self.spec.auth:
            missing = list(self._missing(auth, asked))
            if not missing:
                self._check_token(auth, asked)
                return
            lacking.append(" and ".join(missing))
        raise Refused("denied", f"no credential: expected {', or '.join(lacking)}", status=401)

    def _missing(self, auth: Auth, asked: Asked) -> Iterator[str]:
        """What a request lacks of one alternative. What a signing plug-in adds cannot be known, so it is not missed."""
        for what, template, held in _places(auth, asked):
            if held is None and self._optional(template):
                continue
            if not held or not template_pattern(template).fullmatch(held):
                yield what

    def _check_token(self, auth: Auth, asked: Asked) -> None:
        if auth.token is None:
            return
        now = self.clock.now()
        for _, template, held in _places(auth, asked):
            if held is None or not _TOKEN_ALONE.search(template):
                continue
            text = held
            pattern = template_pattern(template).fullmatch(held)
            if pattern and pattern.groups():
                texts = TEMPLATE.findall(template)
                at = next(n for n, one in enumerate(texts) if _TOKEN_ALONE.fullmatch(one))
                text = pattern[at + 1]
            known = next((one for one in self.issued if one.text == text), None)
            if known is None:
                raise Refused("expired", "a token that was not given out here")
            if not known.good or (known.until is not None and now >= known.until):
                raise Refused("expired", "the token has expired")
            return

    @property
    def names(self) -> frozenset[str]:
        """Query parameters that carry a credential: links do not repeat them."""
        return frozenset(name for auth in self.spec.auth for name in auth.query)


def _places(auth: Auth, asked: Asked) -> Iterator[tuple[str, str, str | None]]:
    """Where a credential stands: in words, what it looks like, and what the request holds there."""
    authorization = asked.headers.get("Authorization")
    if auth.bearer is not None:
        yield "the header Authorization: Bearer ...", f"Bearer {auth.bearer}", authorization
    if auth.basic is not None:
        yield (
            "the header Authorization: Basic ...",
            f"{auth.basic.user}:{auth.basic.password}",
            _plain_basic(authorization),
        )
    for name, template in auth.headers.items():
        yield f"the header {name}", str(template), asked.headers.get(name)
    for name, template in auth.query.items():
        yield f"the query parameter '{name}'", str(template), asked.argument(name)
    for name, template in auth.cookies.items():
        yield f"the cookie '{name}'", str(template), asked.cookie(name)


def _plain_basic(header: str | None) -> str | None:
    if header is None or not header.startswith("Basic "):
        return None
    try:
        return base64.b64decode(header[6:], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
