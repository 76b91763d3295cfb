"""API keys: who may do what, until when, and how a missing or bad one is answered."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import attrs

WORKSPACE = "20202020-1c25-4d02-bf25-6aeccf7ea419"
HUNDRED_YEARS = 100 * 365 * 86_400


@attrs.frozen
class Rights:
    """What a key's role allows."""

    read: bool = True
    write: bool = True
    delete: bool = True
    data_model: bool = True


ADMIN = Rights()
WITHOUT_DATA_MODEL = Rights(data_model=False)
READ_ONLY = Rights(write=False, delete=False, data_model=False)
NOTHING = Rights(read=False, write=False, delete=False, data_model=False)


@attrs.define
class Key:
    """One API key. Times in epoch seconds."""

    id: str
    text: str
    name: str
    created: float
    expires: float
    rights: Rights = ADMIN
    revoked_at: float | None = None

    @property
    def actor(self) -> dict[str, Any]:
        """`createdBy` of what this key makes."""
        return {"source": "API", "workspaceMemberId": None, "name": self.name, "context": {}}


@attrs.frozen
class Rejection:
    """How a request without a good key is answered."""

    status: int
    message: str
    error: str

    def rest(self) -> dict[str, Any]:
        return {"statusCode": self.status, "messages": [self.message], "error": self.error}

    def graphql(self) -> dict[str, Any]:
        denied = self.error == "FORBIDDEN_EXCEPTION"
        text = "You do not have permission to perform this action."
        friendly = {"id": "q5OVn+", "message": text} if denied else UNAUTHENTICATED_FRIENDLY
        return {
            "message": self.message,
            "extensions": {
                "userFriendlyMessage": friendly,
                "subCode": self.error,
                "code": "FORBIDDEN" if denied else "UNAUTHENTICATED",
            },
        }


UNAUTHENTICATED_FRIENDLY = {"id": "z+7x/s", "message": "You must be authenticated to perform this action."}
MISSING = Rejection(403, "Missing authentication token", "FORBIDDEN_EXCEPTION")
INVALID = Rejection(401, "Token invalid.", "UNAUTHENTICATED")
EXPIRED = Rejection(401, "Token has expired.", "UNAUTHENTICATED")
REVOKED = Rejection(403, "This API Key is revoked", "FORBIDDEN_EXCEPTION")


def find_key(keys: dict[str, Key], authorization: str | None, now: float) -> Key | Rejection:
    """The good key of an Authorization header, or why there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return MISSING
    key = keys.get(token.strip())
    if key is None:
        return INVALID
    if key.revoked_at is not None:
        return REVOKED
    return EXPIRED if now >= key.expires else key


def json_web_token(key_id: str, issued: float, expires: float) -> str:
    """A key as the server makes it; who has it can read when it ends."""

    def encoded(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    claims = {
        "sub": WORKSPACE,
        "type": "API_KEY",
        "workspaceId": WORKSPACE,
        "iat": int(issued),
        "exp": int(expires),
        "jti": key_id,
    }
    head = encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    text = f"{head}.{encoded(json.dumps(claims).encode())}"
    return f"{text}.{encoded(hmac.digest(b'not a secret', text.encode(), hashlib.sha256))}"
