"""Tokens that a vendor hands out and that end: by age on the emulator's clock, by use, or by decree."""

from __future__ import annotations

import base64
import hashlib

import attrs


@attrs.define
class Token:
    """One token: when it was made (epoch seconds), how often it was used, whether it was revoked."""

    value: str
    made: float
    used: int = 0
    revoked: bool = False


def base64_token(seed: str, number: int) -> str:
    """An opaque token that holds `/`, `+` and `=`: what breaks a client that decodes or strips it."""
    for salt in range(10_000):
        text = base64.b64encode(hashlib.sha512(f"{seed}/{number}/{salt}".encode()).digest()).decode()
        if "/" in text and "+" in text and text.endswith("="):
            return text
    raise AssertionError("no such text in 10,000 tries")


def hex_token(seed: str, number: int) -> str:
    """A long lower-case hex text."""
    return hashlib.sha512(f"{seed}/{number}".encode()).hexdigest()


@attrs.define
class TokenDesk:
    """Every token handed out so far, newest last."""

    tokens: list[Token] = attrs.field(factory=list)

    def issue(self, value: str, now: float) -> Token:
        token = Token(value, now)
        self.tokens.append(token)
        return token

    def refusal(self, value: str, now: float, seconds: float, calls: int | None) -> str | None:
        """Why this token is not good for one more call, or None; a good call is counted."""
        token = next((known for known in reversed(self.tokens) if known.value == value), None)
        if token is None:
            return "unknown token"
        if token.revoked:
            return "token revoked"
        if now - token.made >= seconds:
            return "token expired"
        if calls is not None and token.used >= calls:
            return "token used up"
        token.used += 1
        return None

    def revoke(self) -> None:
        """From now on every token handed out so far is refused."""
        for token in self.tokens:
            token.revoked = True
