"""Texts in base64 inside other texts: of either alphabet, with padding or without."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import Final

_TO_URLSAFE: Final = str.maketrans("+/", "-_")


def unpacked(text: str) -> str | None:
    """The text that stands in base64, or None where none does."""
    bare = text.rstrip("=").translate(_TO_URLSAFE)
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4)).decode()
    except ValueError:
        return None


def packed(text: str, like: str) -> str:
    """A text in the alphabet in which `like` is written, with padding."""
    encode = urlsafe_b64encode if "-" in like or "_" in like else b64encode
    return encode(text.encode()).decode()
