"""Where a redirect may lead: the same origin, for requests that only read."""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin, urlsplit

import attrs

from connectory.messages import Request, Response, origin_of
from connectory.transport.failures import TransportFailure

REDIRECTS = frozenset({301, 302, 303, 307, 308})


def follow(request: Request, response: Response) -> Request | None:
    """The request that a redirect asks for, or None where `response` is no redirect.

    Only GET and HEAD are followed, and only to the same scheme, host and port, since the request carries the
    credential. Raises TransportFailure (kind "redirect") for any other. The caller bounds the number of hops.
    """
    if response.status not in REDIRECTS:
        return None
    if request.method.upper() not in ("GET", "HEAD"):
        raise _refusal(request, response, f"answers {request.method} with a redirect, which only GET and HEAD follow")
    location = response.headers.get("Location", "").strip()
    if not location:
        raise _refusal(request, response, "answers with a redirect that leads nowhere")
    try:
        target = urldefrag(urljoin(request.full_url, location)).url
        parts = urlsplit(target)
        origin = origin_of(target)
    except ValueError:
        raise _refusal(request, response, "redirects to something that is no web address") from None
    if origin != request.origin or parts.username is not None:
        raise _refusal(request, response, f"redirects to {origin}, which is not {request.origin}; not followed")
    if target == request.full_url:
        raise _refusal(request, response, "redirects to itself")
    return attrs.evolve(request, url=target, query=())


def _refusal(request: Request, response: Response, message: str) -> TransportFailure:
    host = urlsplit(request.url).netloc.rpartition("@")[2]
    return TransportFailure(message, kind="redirect", sent="maybe", host=host, status=response.status)
