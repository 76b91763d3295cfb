"""A stranger's codecs and formats: what they may raise and give is checked where they are called, in many places."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import attrs

from connectory.errors import PluginError, plugin_code
from connectory.plugins.kinds import Codec, Format

_SCALARS = str | int | float


def guard(word: str, kind: Any) -> Any:
    """The same codec or format, whose functions raise ValueError or PluginError and nothing else; other kinds as are.

    Those are called in one place each, and checked there.
    """
    if isinstance(kind, Codec):
        read = _checked(f"the codec '{word}'", kind.read, datetime)
        return attrs.evolve(kind, read=_aware(word, read), write=_checked(f"the codec '{word}'", kind.write, _SCALARS))
    if isinstance(kind, Format):
        read_body = kind.read and _checked(f"the format '{word}'", kind.read, object)
        return attrs.evolve(
            kind, read=read_body, write=kind.write and _checked(f"the format '{word}'", kind.write, bytes)
        )
    return kind


def _checked(what: str, function: Callable[[Any], Any], gives: Any) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        with plugin_code(what, gives, may_raise=ValueError) as told:
            return told(function(value))

    return checked


def _aware(word: str, read: Callable[[Any], datetime]) -> Callable[[Any], datetime]:
    def checked(value: Any) -> datetime:
        moment = read(value)
        if moment.tzinfo is None:
            raise PluginError(f"the codec '{word}' gave a datetime without a zone")
        return moment

    return checked
