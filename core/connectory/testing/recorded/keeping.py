"""Recordings on disk: one that says the same stays as it is, and nothing is lost that git does not have."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.errors import ArgumentError, SpecError
from connectory.testing.recorded.cassettes import Cassette, as_kept, cassette_file, read_cassette, twins, write_cassette

_TOKEN: Final = re.compile(r"\beyJ[\w-]+\.eyJ[\w-]+\.placeholder\b")
"""A JSON Web Token that a recording put there: it tells when the real one ended."""


def keep(cassette: Cassette, folder: Path) -> tuple[Path, bool]:
    """Write a cassette where it belongs. Returns the file, and whether it changed: one that says the same stays.

    Raises ArgumentError where the file holds another call, or its name differs from another's by case alone.
    """
    file = cassette_file(folder, cassette.vendor, cassette.operation, cassette.label)
    for first, second in twins([*sorted(file.parent.glob("*.yaml")), file]):
        if file in (first, second):
            raise ArgumentError(f"{second.name} and {first.name} are one file where case does not count: give --label")
    before = _before(file)
    if before is not None:
        if dict(before.arguments) != as_kept(cassette).arguments:
            raise ArgumentError(
                f"{file} holds another call ({_short(before.arguments)}): give --label for a name of its own"
            )
        if _telling(before) == _telling(cassette):
            return file, False
    write_cassette(cassette, file)
    return file, True


def _before(file: Path) -> Cassette | None:
    """What stands in the file; a broken one is written anew."""
    if not file.exists():
        return None
    try:
        return read_cassette(file)
    except SpecError:
        return None


def _telling(cassette: Cassette) -> Cassette:
    """The cassette without what differs at every recording: when it was made, its tokens end, counters in headers."""
    kept = as_kept(cassette)
    exchanges = tuple(
        attrs.evolve(
            exchange,
            url=_TOKEN.sub("token", exchange.url),
            headers={name: _TOKEN.sub("token", value) for name, value in exchange.headers.items()},
            body=None if exchange.body is None else _without_tokens(exchange.body),
            answer=_without_tokens(exchange.answer),
            answer_headers={
                name: values for name, values in exchange.answer_headers.items() if not _counts(name, values)
            },
        )
        for exchange in kept.exchanges
    )
    return attrs.evolve(kept, clock=0.0, recorded=attrs.evolve(kept.recorded, at=""), exchanges=exchanges)


def _without_tokens(body: bytes) -> bytes:
    return _TOKEN.sub("token", body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _counts(name: str, values: tuple[str, ...]) -> bool:
    """Whether a header counts or dates, as those of limits do."""
    low = name.lower()
    return (
        low not in ("content-type", "link", "location")
        and "rate" in low
        and all(value[:1].isdigit() for value in values)
    )


def _short(arguments: Mapping[str, Any]) -> str:
    text = ", ".join(f"{name}={value}" for name, value in arguments.items()) or "no arguments"
    return text if len(text) <= 80 else f"{text[:77]}..."


def is_changed(file: Path) -> bool:
    """Whether git sees a file as changed, new ones too: what stands there is nowhere else."""
    if not file.exists():
        return False
    command = ["git", "-C", str(file.parent), "status", "--porcelain", "--", file.name]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())
