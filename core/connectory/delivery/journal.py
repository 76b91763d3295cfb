"""The journal of one recipe that writes to a vendor: what is under way, what the vendor took, what is held back.

One SQLite file, 0600. `synchronous=FULL`: what is under way is on the disk before a request leaves, and what became of
it right after the answer, so that neither a killed process nor a power cut loses a row or sends one that must not be
sent twice. Rows are kept as blobs of bytes that only the caller understands: a chunk is one, so a million rows cost a
few statements for each request.

A file that is damaged, of a later version, or no journal is an error and stays as it is: what was sent is known
nowhere else, so a new one is never begun in its place.
"""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal

import attrs
import msgspec
from filelock import FileLock, Timeout

from connectory.delivery.journalfile import JournalError, connect, create, prepare_folder, unusable
from connectory.progress import Progress

_STEPS: Final = "steps"  # the note of how far a flow in flight has come
_MANY: Final = 500  # values in one statement; SQLite allows 999 in its oldest builds

Kind = Literal["rows", "replay", "remove"]
_encode = msgspec.json.Encoder(enc_hook=str).encode
_decode = msgspec.json.decode


@attrs.frozen
class Outcome:
    """What became of a row, or of many alike. `open`: it did not arrive, and may go again."""

    word: str
    words: str = ""
    code: str = ""
    status: int | None = None
    id: Any = None
    attempts: int = 0


@attrs.frozen
class Chunk:
    """Rows that are handed over together: `rows` as the caller wrote them, `state` to keep once all are settled."""

    kind: Kind
    operation: str
    rows: bytes
    state: bytes | None = None
    id: str = attrs.field(factory=lambda: uuid.uuid4().hex)


@attrs.frozen
class UnderWay:
    """What a killed, interrupted or stopped process left: the chunk, what is known of its rows by number, and the
    numbers of those that were in a request of which nothing is known."""

    chunk: Chunk
    outcomes: Mapping[int, Outcome]
    in_flight: frozenset[int]


@attrs.frozen
class Accepted:
    """What the vendor last took under a key. `id` is the vendor's own, where it told; `pass_` when it was sent;
    `mended` the hash of the source's row in whose place somebody's mended one was taken; `seen` the pass in which the
    source had the key last (as the journal says)."""

    key: str
    hash: bytes
    row: bytes
    id: Any
    pass_: str
    mended: bytes | None = None
    seen: str = ""


@attrs.frozen(kw_only=True)
class Held:
    """A row kept back. `id` is the journal's (0: not yet there), `at` epoch seconds; the rest as in `Problem`."""

    key: str | None
    hash: bytes | None
    run: str
    at: float
    word: str
    field: str
    words: str
    code: str
    status: int | None
    attempts: int
    repeatable: bool
    row: bytes
    id: int = 0


@attrs.frozen(kw_only=True)
class Settled:
    """What changes in one step when a chunk is done. `released` are ids of rows held no longer, `seen` keys that the
    source still has, `removed` keys taken away at the vendor's. `counts` belong to `state`; None keeps the old one."""

    state: bytes | None = None
    counts: Mapping[str, int] = attrs.Factory(dict)
    accepted: Sequence[Accepted] = ()
    seen: Sequence[str] = ()
    held: Sequence[Held] = ()
    released: Sequence[int] = ()
    removed: Sequence[str] = ()


class Journal:
    """An open journal; one process at a time has it. Made by `open_journal`.

    A pass is one whole reading of the source, over as many starts as it takes.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: FileLock) -> None:
        self.path = path
        self._db = db
        self.chunk_id = ""
        self._lock = lock
        self._chunk: Chunk | None = None  # handed over, not yet written down
        self._written = bool(db.execute("SELECT 1 FROM chunk").fetchone())
        self.pass_ = self._pass()

    # The state --------------------------------------------------------------------------------------------------

    def read_state(self) -> tuple[bytes, dict[str, int]] | None:
        """The state kept last, and the counts kept with it."""
        with self._plain_words():
            found = self._db.execute("SELECT state, counts FROM state").fetchone()
            return (found[0], _decode(found[1])) if found else None

    def finish(self, state: bytes | None) -> None:
        """The source was read to its end and every row is settled: the next row begins another pass."""
        with self._step() as db:
            self._keep_state(db, state, {}, under_way=False)
            self.pass_ = self._new_pass(db)

    def begin_anew(self) -> None:
        """The source is read from its beginning, whatever was read before: no position of an earlier pass is left."""
        with self._step() as db:
            db.execute("DELETE FROM state")
            self.pass_ = self._new_pass(db)

    def _pass(self) -> str:
        """The pass under way, where a state says that one is."""
        with self._step() as db:
            found = db.execute("SELECT value FROM note WHERE name = 'pass'").fetchone()
            going_on = db.execute("SELECT 1 FROM state WHERE under_way UNION SELECT 1 FROM chunk").fetchone()
            return found[0] if found and going_on else self._new_pass(db)

    def _new_pass(self, db: sqlite3.Connection) -> str:
        name = uuid.uuid4().hex[:12]
        db.execute("INSERT OR REPLACE INTO note VALUES ('pass', ?)", (name,))
        return name

    def _keep_state(
        self, db: sqlite3.Connection, state: bytes | None, counts: Mapping[str, int], *, under_way: bool
    ) -> None:
        db.execute("DELETE FROM state")
        if state is not None:
            db.execute("INSERT INTO state VALUES (?, ?, ?)", (state, _encode(counts).decode(), under_way))

    @property
    def target(self) -> str | None:
        """Where the rows of this journal went; None: nowhere yet."""
        return self.note("target")

    def bind(self, target: str, *, forget: bool) -> None:
        """From now on the rows go there; `forget` that anything was taken elsewhere."""
        with self._step() as db:
            db.execute("INSERT OR REPLACE INTO note VALUES ('target', ?)", (target,))
            if forget:
                db.execute("DELETE FROM accepted")

    def note(self, name: str) -> str | None:
        """What was noted under a name."""
        with self._plain_words():
            found = self._db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
            return str(found[0]) if found else None

    def keep_note(self, name: str, value: str) -> None:
        """Note something about this recipe, in place of what was noted under the name."""
        with self._step() as db:
            db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))

    # A chunk under way ------------------------------------------------------------------------------------------

    def under_way(self) -> UnderWay | None:
        """What is not settled yet."""
        with self._plain_words():
            found = self._db.execute("SELECT kind, operation, rows, state, id FROM chunk").fetchone()
            if found is None:
                return None
            chunk = Chunk(*found)
            self.chunk_id = chunk.id
            outcomes: dict[int, Outcome] = {}
            for (text,) in self._db.execute("SELECT outcomes FROM outcome ORDER BY id"):
                outcomes.update(_unpacked(text))
            flights = self._db.execute("SELECT rows FROM flight").fetchall()
            return UnderWay(chunk, outcomes, frozenset(row for (rows,) in flights for row in _decode(rows)))

    def hand_over(self, chunk: Chunk) -> None:
        """These rows are next. They are written down with the first request, or by `keep`."""
        self._chunk, self.chunk_id = chunk, chunk.id

    def keep(self) -> None:
        """Write down what was handed over, though no request has left: the next start goes on with it."""
        with self._step() as db:
            self._write_chunk(db)

    def depart(self, rows: Sequence[int]) -> None:
        """A request with these rows leaves as soon as this returns."""
        with self._step() as db:
            self._write_chunk(db)
            db.execute("INSERT INTO flight VALUES (?)", (_encode(list(rows)).decode(),))

    def come_back(self, outcomes: Mapping[int, Outcome] | None = None) -> None:
        """No request is in flight any more, and this became of rows, by their numbers (from 1) in the chunk."""
        with self._step() as db:
            db.execute("DELETE FROM flight")
            db.execute("DELETE FROM note WHERE name = ?", (_STEPS,))
            if outcomes:
                self._write_chunk(db)
                db.execute("INSERT INTO outcome (outcomes) VALUES (?)", (_packed(outcomes),))

    def reach(self, rows: Sequence[int], progress: Progress) -> None:
        """The steps of the request with these rows have come this far. Forgotten when no request is in flight."""
        self.keep_note(_STEPS, _encode([list(rows), attrs.asdict(progress)]).decode())

    def progress(self) -> tuple[Sequence[int], Progress] | None:
        """The rows of the request whose steps were taken last, and how far that came; None: none is in flight."""
        found = self.note(_STEPS)
        if not found:
            return None
        rows, progress = _decode(found)
        return rows, Progress(**progress)

    def _write_chunk(self, db: sqlite3.Connection) -> None:
        if self._written or self._chunk is None:
            return
        chunk = self._chunk
        values = (chunk.kind, chunk.operation, chunk.rows, chunk.state, chunk.id)
        db.execute("INSERT INTO chunk VALUES (?, ?, ?, ?, ?)", values)
        self._written = True

    def settle(self, settled: Settled) -> None:
        """Every row of the chunk has its word: keep what follows from that, and the state, in one step."""
        with self._step() as db:
            if self._written:
                for table in ("chunk", "flight", "outcome"):
                    db.execute(f"DELETE FROM {table}")
                db.execute("DELETE FROM note WHERE name = ?", (_STEPS,))
            if settled.state is not None:
                self._keep_state(db, settled.state, settled.counts, under_way=True)
            db.executemany("DELETE FROM held WHERE id = ?", [(id_,) for id_ in settled.released])
            db.executemany(
                "INSERT OR REPLACE INTO accepted VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (a.key, a.hash, a.row, _encode(a.id).decode(), a.pass_, self.pass_, a.mended)
                    for a in settled.accepted
                ],
            )
            if settled.seen:
                seen = [(self.pass_, key) for key in settled.seen]
                db.executemany("UPDATE accepted SET seen = ? WHERE key = ?", seen)
            db.executemany("DELETE FROM accepted WHERE key = ?", [(key,) for key in settled.removed])
            for held in settled.held:
                _hold(db, held)
        self._chunk, self._written = None, False

    # What the vendor took, and what is held back ------------------------------------------------------------------

    def accepted(self, keys: Sequence[str]) -> dict[str, Accepted]:
        """What the vendor last took under these keys, where it took anything."""
        found = self._by_keys(f"SELECT {_ACCEPTED} FROM accepted WHERE key IN", keys)
        return {one.key: one for one in map(_accepted, found)}

    def count_accepted(self) -> int:
        """How many keys the vendor has of us."""
        return self._number("SELECT count(*) FROM accepted")

    def count_gone(self) -> int:
        """How many of them the source has no longer, as far as this pass was read."""
        return self._number("SELECT count(*) FROM accepted WHERE seen <> ?", self.pass_)

    def gone(self, after: str, most: int) -> list[Accepted]:
        """Some of those, in the order of their keys."""
        with self._plain_words():
            found = self._db.execute(
                f"SELECT {_ACCEPTED} FROM accepted WHERE seen <> ? AND key > ? ORDER BY key LIMIT ?",
                (self.pass_, after, most),
            ).fetchall()
            return list(map(_accepted, found))

    def count_held(self) -> int:
        """How many rows are held back."""
        return self._number("SELECT count(*) FROM held")

    def held_under(self, keys: Sequence[str]) -> dict[str, list[Held]]:
        """The rows held back under each of these keys, the one of the key itself first, then those `beside` it."""
        found: dict[str, list[Held]] = {}
        columns = ", ".join(f"held.{name}" for name in _HELD.split(", "))
        with self._plain_words():
            for start in range(0, len(keys), _MANY):
                part = keys[start : start + _MANY]
                marks = ", ".join(["(?)"] * len(part))
                rows = self._db.execute(
                    f"WITH wanted (name) AS (VALUES {marks}) SELECT wanted.name, {columns} FROM wanted JOIN held "
                    "ON held.key = wanted.name OR (held.key > wanted.name || '#' AND held.key < wanted.name || '$') "
                    "ORDER BY held.key",
                    part,
                )
                for name, *values in rows.fetchall():
                    found.setdefault(name, []).append(_held(values))
        return found

    def held(self) -> Iterator[Held]:
        """Every row held back, the oldest first."""
        with self._plain_words():
            yield from map(_held, self._db.execute(f"SELECT {_HELD} FROM held ORDER BY id").fetchall())

    def fingerprint(self) -> str:
        """What the vendor last took, and what is held back, as a text that differs when either does."""
        digest = hashlib.sha256()
        with self._plain_words():
            for key, hash_ in self._db.execute("SELECT key, hash FROM accepted ORDER BY key"):
                digest.update(_encode([key, hash_]))
            for id_, key, hash_, word in self._db.execute("SELECT id, key, hash, word FROM held ORDER BY id"):
                digest.update(_encode([id_, key, hash_, word]))
        return digest.hexdigest()

    def close(self) -> None:
        """Let go of it."""
        self._db.close()
        self._lock.release()

    def _by_keys(self, statement: str, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        with self._plain_words():
            for start in range(0, len(keys), _MANY):
                part = keys[start : start + _MANY]
                marks = ", ".join("?" * len(part))
                yield from self._db.execute(f"{statement} ({marks})", part).fetchall()

    def _number(self, statement: str, *values: str) -> int:
        with self._plain_words():
            return int(self._db.execute(statement, values).fetchone()[0])

    @contextmanager
    def _step(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on the disk when it ends, or nothing of it."""
        with self._plain_words():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _plain_words(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, msgspec.DecodeError) as why:
            raise unusable(self.path, str(why)) from why


_ACCEPTED: Final = "key, hash, row, id, pass, mended, seen"
_HELD: Final = "id, key, hash, run, at, word, field, words, code, status, attempts, repeatable, row"


def _accepted(row: Sequence[Any]) -> Accepted:
    key, hash_, kept, id_, *rest = row
    return Accepted(key, hash_, kept, _decode(id_), *rest)


def _held(row: Sequence[Any]) -> Held:
    values = dict(zip(_HELD.split(", "), row, strict=True))
    return Held(**{**values, "repeatable": bool(values["repeatable"])})


def _hold(db: sqlite3.Connection, held: Held) -> None:
    """Hold a row. It takes the place, and the number, of the one of its key or of the one that it was sent for."""
    if held.key is not None:
        earlier = db.execute("SELECT id FROM held WHERE key = ?", (held.key,)).fetchone()
        held = attrs.evolve(held, id=held.id or (earlier[0] if earlier else 0))
        db.execute("DELETE FROM held WHERE key = ? AND id <> ?", (held.key, held.id))
    values = attrs.asdict(held)
    names = [name for name in _HELD.split(", ") if name != "id" or held.id]
    marks = ", ".join("?" * len(names))
    db.execute(f"INSERT OR REPLACE INTO held ({', '.join(names)}) VALUES ({marks})", [values[name] for name in names])


def beside(key: str, hash_: bytes) -> str:
    """The key under which a further row of a key is held."""
    return f"{key}#{hash_.hex()}"


def _packed(outcomes: Mapping[int, Outcome]) -> str:
    """Outcomes that say the same are written once, with their rows and ids: most of a call's do."""
    together: dict[tuple[Any, ...], list[tuple[int, Any]]] = {}
    for one, some in groupby(outcomes.items(), itemgetter(1)):
        said = (one.word, one.words, one.code, one.status, one.attempts)
        together.setdefault(said, []).extend((row, one.id) for row, _ in some)
    return _encode(list(together.items())).decode()


def _unpacked(text: str) -> Iterator[tuple[int, Outcome]]:
    for (word, words, code, status, attempts), rows in _decode(text):
        yield from ((row, Outcome(word, words, code, status, id_, attempts)) for row, id_ in rows)


def open_journal(path: Path) -> Journal:
    """The journal there, made where there is none. Raises JournalError."""
    try:
        prepare_folder(path.parent)
        path.parent.chmod(0o700)
        lock = FileLock(f"{path}.lock", timeout=0, mode=0o600)
        lock.acquire()
    except Timeout:
        raise JournalError(f"the journal at {path} is in use: another run of this recipe, or a replay") from None
    except OSError as why:
        raise unusable(path, why.strerror or str(why)) from why
    try:
        if not path.exists():
            create(path)
        db = connect(path)
    except JournalError:
        lock.release()
        raise
    except (OSError, sqlite3.Error) as why:
        lock.release()
        raise unusable(path, str(why)) from why
    try:
        return Journal(path, db, lock)
    except BaseException:
        db.close()
        lock.release()
        raise


def read_held(path: Path) -> Iterator[Held]:
    """The rows held back in a journal that a run may have open. Nothing where there is no journal."""
    if not path.exists():
        return
    try:
        db = connect(path)
        try:
            yield from map(_held, db.execute(f"SELECT {_HELD} FROM held ORDER BY id").fetchall())
        finally:
            db.close()
    except sqlite3.Error as why:
        raise unusable(path, str(why)) from why
