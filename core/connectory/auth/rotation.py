"""Secrets that an exchange replaces (a refresh token, once used), kept before the answer's token is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import attrs
import msgspec
import platformdirs

from connectory.answers import Answer, find
from connectory.auth.tokens import TokenKey
from connectory.private_files import read_private_file, write_private_file
from connectory.secrets import Hidden
from connectory.spec.words import Place

log = logging.getLogger("connectory")

VERSION = 1


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    key: str
    values: dict[str, str]


@attrs.define(eq=False, repr=False)
class Rotation:
    """The newest value of each secret that a vendor replaces, by whose it is.

    `folder` is `rotated` in the user's state folder unless given: these are no cache, since the vendor gives them
    once. They belong to the settings as given: another configured secret, or another server, finds none of them.
    """

    folder: Path | None = None
    _memory: dict[str, dict[str, str]] = attrs.Factory(dict)

    def newest(self, key: TokenKey) -> Mapping[str, str]:
        """The values kept for a key; empty where the settings themselves are the newest. Raises OSError where the
        file is there and cannot be used: sending an old secret instead may make the vendor end the new one too."""
        raw = read_private_file(self._file(key))
        if raw is None:
            return Hidden(self._memory.get(key.digest, {}))
        try:
            kept = msgspec.json.decode(raw, type=_Kept)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise OSError(0, "damaged") from None
        if kept.version != VERSION or kept.key != key.digest:
            raise OSError(0, "of another version")
        return Hidden(kept.values)

    def keep(self, key: TokenKey, values: Mapping[str, str]) -> None:
        """Keep these beside what is kept already, or in place of what cannot be read. Where the disk refuses they live
        in memory, with a warning."""
        try:
            known = {**self.newest(key), **values}
        except OSError:
            known = dict(values)
        self._memory[key.digest] = known
        try:
            write_private_file(self._file(key), msgspec.json.encode(_Kept(VERSION, key.digest, known)))
        except OSError as why:
            log.warning(
                "%s: the new %s cannot be kept (%s); once this process ends, the vendor will want a new login",
                *(key.vendor, " and ".join(values), why.strerror),
            )

    def _file(self, key: TokenKey) -> Path:
        if self.folder is None:
            self.folder = platformdirs.user_state_path("connectory") / "rotated"
        return self.folder / f"{key.digest}.json"


def rotated_values(places: Mapping[str, Place], answer: Answer) -> dict[str, str]:
    """The new secrets in an answer; one that is not there stays as it is."""
    found = {name: find(place, answer) for name, place in places.items()}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}
