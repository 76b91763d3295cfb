"""Requests out, responses in: the only package that imports urllib3."""

from connectory.transport.client import Transport, UrllibTransport
from connectory.transport.failures import KINDS, Kind, TransportFailure
from connectory.transport.options import TransportOptions
from connectory.transport.redirects import follow
from connectory.transport.sanity import is_loopback

__all__ = [
    "KINDS",
    "Kind",
    "Transport",
    "TransportFailure",
    "TransportOptions",
    "UrllibTransport",
    "follow",
    "is_loopback",
]
