"""What can go wrong on the wire, and which of it: urllib3's and http.client's errors -> one TransportFailure."""

from __future__ import annotations

import http.client
import re
import ssl
from typing import Literal, get_args

from urllib3 import exceptions

from connectory.transport.wire import Exchange, MalformedAnswer

Kind = Literal[
    "refused",  # nothing listens there
    "unreachable",  # no route, or the machine allows no connection
    "dns",  # the host's name does not resolve
    "tls",  # certificate or protocol: never cured by trying again
    "timeout",  # silence for too long: connecting, sending or reading
    "deadline",  # bytes kept coming, but the exchange as a whole took too long
    "reset",  # the connection was cut by the other side
    "stale",  # a kept-alive connection that had been closed: at once on a new one
    "truncated",  # the answer ends too early
    "corrupt",  # damaged on the way: checksum, junk after the end
    "bad_encoding",  # a coding that was not asked for, or not what it says
    "too_large",  # above the bounds, or a bomb
    "malformed",  # not HTTP
    "proxy",  # the proxy refuses or fails
    "redirect",  # sent on to where we do not follow
    "upload",  # our own body could not be read, or changed meanwhile
]
KINDS: tuple[Kind, ...] = get_args(Kind)
LASTING = frozenset({"tls", "bad_encoding", "too_large", "redirect", "upload"})
"""Kinds that the same request would meet again."""


TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")  # the words of http.client


class TransportFailure(Exception):
    """An exchange that brought no whole answer.

    `sent` is "no" where the vendor surely did not get the request, else "maybe". `repeatable` hints that the same
    request may well pass if sent again (whether it may be is the caller's to know). `status` is there when the
    answer had begun. The message names the host, never path, query, header values or bodies.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: Kind,
        sent: Literal["no", "maybe"],
        host: str = "",
        status: int | None = None,
        repeatable: bool | None = None,
    ) -> None:
        super().__init__(f"{host}: {message}" if host else message)
        self.kind: Kind = kind
        self.sent: Literal["no", "maybe"] = sent
        self.host = host
        self.status = status
        self.repeatable = kind not in LASTING if repeatable is None else repeatable


def diagnose(error: Exception, exchange: Exchange, status: int | None = None) -> TransportFailure:
    """The failure that an error of the layers below means for this exchange; `status` if the answer had begun."""
    kind, words = describe(error)
    unconnected = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError, exceptions.ProxyError)
    sent: Literal["no", "maybe"] = "maybe" if exchange.writing and not isinstance(error, unconnected) else "no"
    repeatable: bool | None = None
    if exchange.over():
        kind, words = "deadline", f"not finished within {exchange.options.deadline:g} s"
    elif kind == "timeout" and sent == "maybe":
        words = f"no byte within {exchange.options.read_timeout:g} s"
    elif kind == "timeout":
        words = f"no connection within {exchange.options.connect_timeout:g} s"
    elif kind == "reset" and exchange.reused and not exchange.answered:
        kind, words = "stale", "a connection kept from earlier had been closed"
    elif refusal := TUNNEL_REFUSED.search(words_of(error)):
        kind, words = "proxy", f"refuses to connect (status {refusal[1]})"
        repeatable = refusal[1] in ("502", "503", "504")
    if kind == "proxy":
        words = f"the proxy {exchange.via}: {words}"
    elif exchange.via:
        words = f"{words} (by way of the proxy {exchange.via})"
    return TransportFailure(words, kind=kind, sent=sent, host=exchange.host, status=status, repeatable=repeatable)


def words_of(error: BaseException) -> str:
    """The text of the innermost error, which the outer ones only wrap."""
    inner = error.args[-1] if error.args else ""
    return words_of(inner) if isinstance(inner, BaseException) else str(inner)


def describe(error: BaseException) -> tuple[Kind, str]:
    """The kind of an error of the layers below, and words for it that hold nothing secret."""
    match error:
        case exceptions.ProxyError():
            return "proxy", describe(error.original_error)[1]
        case exceptions.NameResolutionError():
            return "dns", "the name does not resolve"
        case exceptions.NewConnectionError():
            return _connecting(error.__cause__)
        case exceptions.ConnectTimeoutError() | exceptions.ReadTimeoutError() | TimeoutError():
            return "timeout", "no answer within the time allowed"
        case exceptions.ClosedPoolError():
            return "unreachable", "the transport was closed meanwhile"
        case exceptions.ProtocolError() | exceptions.SSLError() if error.args and isinstance(
            error.args[-1], BaseException
        ):
            return describe(error.args[-1])
        case ssl.SSLError():
            return _tls(error)
        case http.client.RemoteDisconnected():
            return "reset", "the connection was closed without an answer"
        case http.client.IncompleteRead():
            return "truncated", "the answer ends too early"
        case MalformedAnswer():
            return "malformed", str(error)
        case http.client.LineTooLong():
            return "malformed", "a line of the answer's head is too long"
        case OSError():
            return "reset", f"the connection was cut ({_errno_words(error)})"
    if str(error).startswith("got more than"):  # http.client has no class of its own for it
        return "malformed", "the answer has too many headers"
    return "malformed", f"the answer is not HTTP ({type(error).__name__})"


def _connecting(cause: BaseException | None) -> tuple[Kind, str]:
    if isinstance(cause, ConnectionRefusedError):
        return "refused", "connection refused"
    words = _errno_words(cause) if isinstance(cause, OSError) else "no connection"
    return "unreachable", f"no connection ({words})"


def _errno_words(error: OSError) -> str:
    return error.strerror or type(error).__name__


VERIFY_CODES = {
    9: "the certificate is not valid yet (is this machine's clock right?)",
    10: "the certificate has expired",
    18: "the certificate is self-signed; if it is yours, name its file in SSL_CERT_FILE",
    19: "the certificate's chain ends in a self-signed one that this machine does not trust; "
    "if it is yours, name its file in SSL_CERT_FILE",
    20: "the certificate's issuer is not known here; name the file of its CA in SSL_CERT_FILE",
    21: "the certificate's issuer is not known here; name the file of its CA in SSL_CERT_FILE",
    23: "the certificate was revoked",
    62: "the certificate is for another host",
    64: "the certificate is for another address",
}
"""OpenSSL's X509_V_ERR_*: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/"""


def _tls(error: ssl.SSLError) -> tuple[Kind, str]:
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = VERIFY_CODES.get(error.verify_code) or f"the certificate is refused ({error.verify_message})"
        return "tls", f"TLS: {words}"
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or reason == "UNEXPECTED_EOF_WHILE_READING":
        return "reset", "the connection was closed in the middle of TLS"
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "tls", "TLS: the port does not speak TLS (is it http?)"
    return "tls", f"TLS: handshake or record failed ({reason.lower().replace('_', ' ') or type(error).__name__})"
