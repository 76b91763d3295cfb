"""What no recording may hold: known secrets in any form, credentials as they are, tokens by their looks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from connectory.errors import Fault, SpecError
from connectory.secrets import MASK, SHORTEST, Redactor
from connectory.spec.load import Loaded
from connectory.spec.typeexpr import Scalar
from connectory.testing.recorded.base64text import unpacked
from connectory.testing.recorded.blame import related
from connectory.testing.recorded.cassettes import Cassette, Exchange, cassettes_in, read_cassette
from connectory.testing.recorded.matching import SIGNED
from connectory.testing.recorded.standins import StandIns

PLACEHOLDER: Final = "placeholder"
_CREDENTIALS: Final = ("authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token")
_ANSWERED: Final = ("set-cookie", "www-authenticate-token", "x-auth-token")
_LOOKS: Final = re.compile(
    r"(?P<a_JSON_Web_Token>\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})"
    r"|(?P<a_private_key>-----BEGIN [A-Z ]*PRIVATE KEY-----)"
    r"|(?P<the_key_of_a_cloud>\b(?:AKIA|ASIA)[0-9A-Z]{16}\b)"
    r"|(?P<the_token_of_a_code_host>\bgh[pousr]_[A-Za-z0-9]{36}\b)"
    r"|(?P<a_live_key>\b[sr]k_live_[A-Za-z0-9]{16,}\b)"
    r"|(?P<the_token_of_a_chat>\bxox[abprs]-[A-Za-z0-9-]{10,})"
    r"|(?P<a_canary>(?i:\bcanary[-_]))"
)
_BLOB: Final = re.compile(r"(?<![A-Za-z0-9+/_-])(?![0-9a-f]{8}-)[A-Za-z0-9+/_-]{24,}={0,2}")  # but no UUID


def faults_in_cassettes(loaded: Loaded, folder: Path, secrets: Iterable[str] = ()) -> list[Fault]:
    """What the cassettes of a vendor hold that they may not; `secrets` are further ones that are known."""
    redactor = redactor_of(secrets)
    found: list[Fault] = []
    for file in cassettes_in(folder, loaded.spec.name):
        try:
            cassette = read_cassette(file)
        except SpecError as why:
            found += why.faults
            continue
        found += faults_in(cassette, loaded, redactor)
        text = file.read_text(encoding="utf-8")
        if text != redactor.redact(text) and not any(fault.file == str(file) for fault in found):
            found.append(Fault(str(file), _line(text, redactor.redact(text)), 1, "", "a known secret stands here"))
    return found


def redactor_of(secrets: Iterable[str]) -> Redactor:
    """A redactor of these secrets."""
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    return redactor


def _line(text: str, redacted: str) -> int:
    """The first line that differs."""
    pairs = zip(text.split("\n"), redacted.split("\n"), strict=False)
    return next((number for number, (one, other) in enumerate(pairs, start=1) if one != other), 1)


def faults_in(cassette: Cassette, loaded: Loaded, redactor: Redactor) -> Iterator[Fault]:
    """What one cassette holds that it may not, each at the line of its exchange. No value is repeated."""
    file = str(cassette.file or cassette.name)
    for name, value in cassette.settings.items():
        setting = loaded.spec.settings.get(name)
        if setting is not None and setting.type == Scalar("secret") and not is_placeholder(str(value), setting.example):
            yield Fault(file, 1, 1, f"/metadata/connectory/settings/{name}", "a secret stands here, not a placeholder")
    typed = StandIns(loaded.spec, related(loaded.spec, cassette.operation))
    own, examples = _credential_names(loaded), _examples(loaded)
    for number, exchange in enumerate(cassette.exchanges):
        for name in _typed_secrets(exchange, typed, examples):
            what = f"'{name}' is a secret by its type, and no placeholder stands here"
            yield Fault(file, exchange.line or 1, 1, f"/interactions/{number}/response/body", what)
        for place, what in _in_exchange(exchange, own, examples, redactor):
            yield Fault(file, exchange.line or 1, 1, f"/interactions/{number}/{place}", what)
    for what in _in_text(_said(cassette), redactor):
        yield Fault(file, 1, 1, "/metadata/connectory", what)


def _examples(loaded: Loaded) -> set[str]:
    """What stands for secret settings by the spec's own word."""
    return {str(s.example) for s in loaded.spec.settings.values() if s.type == Scalar("secret") and s.example}


def _typed_secrets(exchange: Exchange, typed: StandIns, examples: set[str]) -> Iterator[str]:
    """The names of the fields of a JSON answer that their type calls secret and that hold one."""
    try:
        data = msgspec.json.decode(exchange.answer) if exchange.answer else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    for name, value in typed.secrets_in(data):
        masked = len(value) < SHORTEST or not value.strip("*\u2022.xX")
        if not masked and value not in examples and not is_placeholder(value):
            yield name


def _said(cassette: Cassette) -> str:
    return msgspec.json.encode([cassette.arguments, cassette.gives], enc_hook=str).decode()


def is_placeholder(value: str, example: Any = None) -> bool:
    """Whether a value is what a recording puts in place of a secret."""
    return PLACEHOLDER in value or SIGNED in value or value in ("", MASK) or value == str(example)


def _in_exchange(
    exchange: Exchange, own: Mapping[str, set[str]], examples: set[str], redactor: Redactor
) -> Iterator[tuple[str, str]]:
    """What one exchange holds, by its place; `own` is where this vendor wants its credentials."""
    for name, value in exchange.headers.items():
        if name.lower() in own["headers"] and not _holds_placeholder(value, examples):
            yield f"request/headers/{name}", "a credential stands here, not a placeholder"
    for name, value in parse_qsl(urlsplit(exchange.url).query, keep_blank_values=True):
        if name in own["query"] and not _holds_placeholder(value, examples):
            yield f"request/uri ({name})", "a credential stands here, not a placeholder"
    for name, values in exchange.answer_headers.items():
        if name.lower() in _ANSWERED and not all(is_placeholder(value) for value in values):
            yield f"response/headers/{name}", "a credential stands here, not a placeholder"
    texts = {
        "request/uri": exchange.url,
        "request/headers": "\n".join(exchange.headers.values()),
        "request/body": (exchange.body or b"").decode("utf-8", "replace"),
        "response/headers": "\n".join(value for values in exchange.answer_headers.values() for value in values),
        "response/body": exchange.answer.decode("utf-8", "replace"),
    }
    for place, text in texts.items():
        yield from ((place, what) for what in _in_text(text, redactor))


def _credential_names(loaded: Loaded) -> dict[str, set[str]]:
    """Where this vendor wants its credentials."""
    headers, query = set(_CREDENTIALS), set()
    for auth in loaded.spec.auth:
        headers |= {name.lower() for name in auth.headers}
        query |= set(auth.query)
    return {"headers": headers, "query": query}


def _holds_placeholder(value: str, examples: set[str]) -> bool:
    if is_placeholder(value) or any(example in value for example in examples):
        return True
    scheme, _, rest = value.partition(" ")
    return scheme.lower() == "basic" and any(
        is_placeholder(text) or any(example in text for example in examples) for text in _unpacked(rest)
    )


def _in_text(text: str, redactor: Redactor) -> Iterator[str]:
    if redactor.redact(text) != text:
        yield "a known secret stands here"
        return
    forms = [text, "\n".join(_unpacked(text)), *([unquote(text)] if "%" in text else [])]
    for found in _LOOKS.finditer("\n".join(forms)):
        if not is_placeholder(found[0]) and not _is_our_token(found[0]):
            yield f"what looks like {str(found.lastgroup).replace('_', ' ')} stands here"
            return


def _unpacked(text: str) -> Iterator[str]:
    """Texts that stand in base64."""
    for found in _BLOB.finditer(text):
        if inner := unpacked(found[0]):
            yield inner


def _is_our_token(text: str) -> bool:
    """Whether a JSON Web Token is one that a recording put there."""
    return any(PLACEHOLDER in part for part in (text, *_unpacked(text.replace(".", " "))))
