"""What a request must satisfy before a byte of it is sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import SplitResult, unquote, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from connectory.errors import InputError
from connectory.messages import Request

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "trailer", "upgrade", "te"})


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether the host is this machine for certain: localhost, 127.0.0.0/8, ::1."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_url(request: Request, *, allow_http: bool) -> SplitResult:
    """The parts of the request's URL. Raises InputError where it cannot or may not be sent."""
    url = request.full_url
    if CONTROL.search(url):
        raise InputError(f"the URL of this {request.method} request holds a line break or control character")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InputError(f"the URL of this {request.method} request has a malformed host") from None
    if "@" in parts.netloc or "\\" in parts.netloc + parts.path:
        raise InputError(f"the URL of this {request.method} request holds a user name or a backslash")
    host = _check_authority(parts.scheme, parts.netloc)
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        raise InputError(f"http://{host} would send everything in the clear: use https, or set allow_http")
    if ("." in parts.path or "%" in parts.path) and any(
        unquote(segment) in (".", "..") for segment in parts.path.split("/")
    ):
        raise InputError(f"the path for {host} has a segment '.' or '..', which servers resolve in their own ways")
    return parts


@lru_cache(256)
def _check_authority(scheme: str, netloc: str) -> str:
    """The host. Raises InputError for what is none, or what urllib3 would dial differently."""
    try:
        parts = urlsplit(f"{scheme}://{netloc}")
        host, _ = parts.hostname or "", parts.port
        dialled = (parse_url(f"{scheme}://{netloc}/").host or "").strip("[]")
        host.encode("idna")
    except (ValueError, LocationParseError):
        raise InputError("a URL has a malformed host or port") from None
    if scheme not in ("http", "https") or not host:
        raise InputError("a URL must begin with https:// and a host")
    if dialled.lower() != host.lower():  # two parsers, two hosts: the classic way round an allow-list
        raise InputError("the host of a URL is ambiguous; write it in plain ASCII")
    return host


def check_method(method: str) -> None:
    """Raises InputError unless the method is a token, as HTTP demands."""
    if not TOKEN.fullmatch(method):
        raise InputError("the HTTP method must be one word, such as GET")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises InputError, naming the header and never its value, on what cannot be sent as it is."""
    for name, value in headers.items():
        if not TOKEN.fullmatch(name):
            raise InputError(f"{name!r} cannot be the name of a header")
        if name.lower() in FRAMING:
            raise InputError(f"header '{name}' is the transport's own and cannot be set")
        if CONTROL.search(value.replace("\t", "")):
            raise InputError(f"the value of header '{name}' holds a line break or control character")
        if value != value.strip():
            raise InputError(f"the value of header '{name}' begins or ends with a space")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            raise InputError(f"the value of header '{name}' has characters that no header can carry") from None
