"""The bounds of one exchange: how long, how large, how many connections."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

import attrs

MIB = 1024 * 1024


@cache
def user_agent() -> str:
    """`connectory/1.2.0 python/3.11.7`: who is calling, for the vendor's log."""
    try:
        version = f"/{metadata.version('connectory')}"
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        version = ""
    return f"connectory{version} python/{platform.python_version()}"


@attrs.frozen
class TransportOptions:
    """Times are in seconds, sizes in bytes of the decompressed body.

    `deadline` bounds one exchange as a whole, from the first byte out to the last byte in; `read_timeout` only the
    silence between two bytes. `max_bytes` bounds a body held in memory, `max_download` one streamed to a file.
    `max_ratio` is how many times its wire size a body over 8 MiB may unfold to. `pool_size` is the number of
    connections kept per host: the calls that the limits allow at once. A connection idle for longer than `max_idle`
    is not used again, since a firewall may have forgotten it without a word.
    """

    connect_timeout: float = attrs.field(default=10.0, validator=attrs.validators.gt(0))
    read_timeout: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    deadline: float = attrs.field(default=300.0, validator=attrs.validators.gt(0))
    max_bytes: int = attrs.field(default=256 * MIB, validator=attrs.validators.gt(0))
    max_download: int = attrs.field(default=8192 * MIB, validator=attrs.validators.gt(0))
    max_ratio: int = attrs.field(default=200, validator=attrs.validators.gt(0))
    pool_size: int = attrs.field(default=10, validator=attrs.validators.gt(0))
    max_idle: float = attrs.field(default=60.0, validator=attrs.validators.ge(0))
    user_agent: str = attrs.field(factory=user_agent)
    allow_http: bool = False
