"""Requests signed with a shared secret (HMAC, RFC 2104)."""

import base64
import hmac
from typing import Literal

import attrs

from connectory import AuthKind, Request, Template, hookimpl, word

Part = Literal["timestamp", "method", "target", "body"]


@attrs.frozen
class Hmac:
    """Sign every request with a shared secret."""

    secret: Template = word("what signs", names="auth")
    signature: str = word("header that carries the signature")
    timestamp: str | None = word("header that carries the time", None)
    message: tuple[Part, ...] = word("what is signed, in order", ("timestamp", "method", "target", "body"))
    digest: Literal["sha256", "sha512"] = word("hash", "sha256")
    encode: Literal["hex", "base64"] = word("how the signature is written", "hex")


def sign(options: Hmac, request: Request, now: float) -> Request:
    parts = {"timestamp": str(int(now)), "method": request.method, "target": request.target}
    mac = hmac.new(options.secret.encode(), digestmod=options.digest)
    for part in options.message:
        for piece in request.chunks() if part == "body" else [parts[part].encode()]:
            mac.update(piece)
    text = mac.hexdigest() if options.encode == "hex" else base64.b64encode(mac.digest()).decode()
    stamp = {options.timestamp: parts["timestamp"]} if options.timestamp else {}
    return request.with_headers({options.signature: text, **stamp})


@hookimpl
def connectory_auth() -> dict[str, AuthKind]:
    return {"hmac": AuthKind(options=Hmac, sign=sign, about="signed with a shared secret")}
