"""Tokens kept in memory and in files of their user alone: one exchange, however many threads and processes ask."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import msgspec
import platformdirs

from connectory.clock import Clock
from connectory.private_files import make_private_folder, read_private_file, write_private_file
from connectory.secrets import Secret

if TYPE_CHECKING:
    import filelock

log = logging.getLogger("connectory")

VERSION = 1
MARGIN = 30.0  # seconds before its end in which a token is not used any more, or a fifth of a short life

_AHEAD = 60.0  # a token from further in the future was kept under a clock that has since been set back
_POLL = 0.05  # seconds between two looks at another process's lock
_MOST_REFUSED = 1000  # refused tokens remembered, by their exchange


@attrs.frozen
class TokenKey:
    """Whose token it is. The fingerprint is of all settings, so a changed secret finds no old token."""

    vendor: str
    server: str
    alternative: int
    fingerprint: str = attrs.field(repr=False)

    @classmethod
    def of(cls, *, vendor: str, server: str, alternative: int, secrets: Mapping[str, str]) -> TokenKey:
        """The key of a vendor, its server's base URL, the number of the alternative of `auth`, and all settings."""
        return cls(vendor, server, alternative, _digest(sorted(secrets.items())))

    @property
    def digest(self) -> str:
        """The name of the token's file, which tells nothing."""
        return _digest([self.vendor, self.server, self.alternative, self.fingerprint])


def _digest(parts: object) -> str:
    # No salt of the machine: whoever can list the folder (0700) can read the tokens in it.
    return hashlib.sha256(b"connectory token\0" + json.dumps(parts).encode()).hexdigest()


@attrs.frozen
class Token:
    """A credential; moments are epoch seconds, `expires_at` is None where only a refusal ends it.

    `kept` are further values of the same answer. `exchange` names the exchange that gave it; the store fills it in.
    """

    value: Secret
    obtained_at: float
    expires_at: float | None = None
    kept: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    exchange: str = ""

    def is_good(self, now: float) -> bool:
        """Whether it should still be used: not in its last 30 seconds (of a life under 150 s: its last fifth).

        One from more than a minute in the future is not, since the clock that it was kept under was wrong.
        """
        if self.obtained_at > now + _AHEAD:
            return False
        if self.expires_at is None:
            return True
        return now < self.expires_at - min(MARGIN, 0.2 * (self.expires_at - self.obtained_at))


class TokenStore:
    """The tokens of one user on this machine. Share one between threads; processes meet in the folder.

    `folder` is `tokens` in the user's cache folder unless given; it is 0700 and its files 0600 whatever the umask. A
    file that is damaged, of another version, of another user or open to others is passed over and written anew. Where
    the folder cannot be used, tokens live in memory, with a warning. `patience` is the longest wait, in seconds, for
    the exchange of another thread or process; then this one makes its own.
    """

    def __init__(self, folder: Path | None = None, *, patience: float = 330.0) -> None:
        self._folder = folder
        self._patience = patience
        self._guard = threading.Lock()
        self._flights: dict[str, _Flight] = {}
        self._memory: dict[str, Token] = {}
        self._refused: dict[str, None] = {}  # in the order of refusal
        self._said: set[str] = set()
        self._pid = os.getpid()

    def get_or_fetch(
        self, key: TokenKey, clock: Clock, fetch: Callable[[], Token], refused: Token | None = None
    ) -> Token:
        """The token of a key: a good one that is kept, else what `fetch` exchanges, once for all who ask meanwhile.

        `refused` is a token from here that the vendor would not take: this store never gives that one again.
        Raises what `fetch` raises, in every thread that waited for it.
        """
        digest = key.digest
        if self._pid != os.getpid():  # forked: the threads that lead the flights or hold the lock are not in here
            self._guard, self._flights, self._pid = threading.Lock(), {}, os.getpid()
        if refused is not None:
            self._refuse(refused)
        while True:
            token = self._memory.get(digest)
            if token is not None and self._fits(token, clock.now()):
                return token
            flight, leads = self._board(digest)
            if leads:
                return self._lead(flight, digest, clock, fetch)
            if not flight.landed.wait(self._patience):
                self._say(f"waited {self._patience:g} s for another thread's login; this one logs in for itself")
                return self._exchange(digest, fetch)
            if flight.error is not None:
                raise flight.error
            if flight.token is not None and flight.token.exchange not in self._refused:
                return flight.token

    def put(self, key: TokenKey, token: Token) -> None:
        """Keep a token that was got otherwise, as by a person's consent, in place of the one before."""
        token = attrs.evolve(token, exchange=uuid.uuid4().hex)
        self._memory[key.digest] = token
        self._write(key.digest, token)

    def _refuse(self, token: Token) -> None:
        with self._guard:
            self._refused[token.exchange] = None
            while len(self._refused) > _MOST_REFUSED:
                del self._refused[next(iter(self._refused))]

    def _fits(self, token: Token, now: float) -> bool:
        return token.is_good(now) and token.exchange not in self._refused

    def _board(self, digest: str) -> tuple[_Flight, bool]:
        """The flight under way, or a new one that the caller leads."""
        with self._guard:
            flight = self._flights.get(digest)
            if flight is not None:
                return flight, False
            self._flights[digest] = flight = _Flight()
            return flight, True

    def _lead(self, flight: _Flight, digest: str, clock: Clock, fetch: Callable[[], Token]) -> Token:
        try:
            flight.token = self._stored(digest, clock) or self._in_turn(digest, clock, fetch)
            return flight.token
        except Exception as why:
            flight.error = why
            raise
        finally:  # after an interrupt there is neither token nor error, and one of the waiting leads the next flight
            with self._guard:
                self._flights.pop(digest, None)
            flight.landed.set()

    def _in_turn(self, digest: str, clock: Clock, fetch: Callable[[], Token]) -> Token:
        """Exchange while no other process does; what another one stored meanwhile is taken instead."""
        lock = self._open_lock(digest)
        deadline = clock.monotonic() + self._patience
        try:
            while lock is not None and not self._try(lock):
                if clock.monotonic() >= deadline:
                    self._say(f"waited {self._patience:g} s for another process's login; this one logs in for itself")
                    break
                clock.sleep(_POLL * (1 + clock.random()))
            return self._stored(digest, clock) or self._exchange(digest, fetch)
        finally:
            if lock is not None:
                lock.release()

    def _exchange(self, digest: str, fetch: Callable[[], Token]) -> Token:
        token = attrs.evolve(fetch(), exchange=uuid.uuid4().hex)
        self._memory[digest] = token
        self._write(digest, token)
        return token

    def _stored(self, digest: str, clock: Clock) -> Token | None:
        """A token of memory or file that can be used instead of exchanging."""
        for token in (self._memory.get(digest), self._read(digest)):
            if token is not None and self._fits(token, clock.now()):
                self._memory[digest] = token
                return token
        return None

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = platformdirs.user_cache_path("connectory") / "tokens"
        return self._folder

    def _open_lock(self, digest: str) -> filelock.BaseFileLock | None:
        """The lock between processes, which the system frees when its holder dies. None without a usable folder."""
        import filelock  # here, since many calls need no login

        try:
            make_private_folder(self._place())
            return filelock.FileLock(self._place() / f"{digest}.lock", mode=0o600)
        except OSError as why:
            self._say(f"tokens are kept in memory only: {why}")
            return None

    def _try(self, lock: filelock.BaseFileLock) -> bool:
        import filelock

        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        except (OSError, NotImplementedError) as why:  # a file system without locks, or not ours to write on
            self._say(f"logins of several processes cannot be joined: {lock.lock_file}: {why}")
        return True

    def _read(self, digest: str) -> Token | None:
        file = self._place() / f"{digest}.json"
        try:
            raw = read_private_file(file)
            return None if raw is None else _decoded(raw, digest)
        except OSError as why:
            self._say(f"token file {file} is passed over: {why.strerror}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._say(f"token file {file} is passed over: damaged, or of another version")
        return None

    def _write(self, digest: str, token: Token) -> None:
        """Replace the token's file as a whole, or say that it cannot be kept."""
        try:
            write_private_file(self._place() / f"{digest}.json", _encoded(token, digest))
        except OSError as why:
            self._say(f"tokens are kept in memory only: {why}")

    def _say(self, message: str) -> None:
        """A warning, once."""
        if message not in self._said:
            self._said.add(message)
            log.warning("%s", message)


class _Flight:
    """One exchange under way in this process, and who waits for it."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.token: Token | None = None
        self.error: Exception | None = None


class _Kept(msgspec.Struct):
    """A token as it stands in its file."""

    version: int
    key: str
    value: str
    obtained_at: float
    expires_at: float | None
    kept: dict[str, str]
    exchange: str

    def __repr__(self) -> str:
        return f"<token of {self.obtained_at}>"


def _encoded(token: Token, digest: str) -> bytes:
    return msgspec.json.encode(
        _Kept(
            version=VERSION,
            key=digest,
            value=token.value.reveal(),
            obtained_at=token.obtained_at,
            expires_at=token.expires_at,
            kept=dict(token.kept),
            exchange=token.exchange,
        )
    )


def _decoded(raw: bytes, digest: str) -> Token:
    """Raises msgspec.DecodeError for a file that this version has not written for this key."""
    kept = msgspec.json.decode(raw, type=_Kept)
    if kept.version != VERSION or kept.key != digest or not kept.value or not kept.exchange:
        raise msgspec.ValidationError("another version or key")
    return Token(Secret(kept.value), kept.obtained_at, kept.expires_at, kept.kept, kept.exchange)
