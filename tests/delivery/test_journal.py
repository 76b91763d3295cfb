"""The journal's file: whole, private, never silently new, and on the disk before a request leaves."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory.delivery.journal import Accepted, Chunk, Held, Journal, Outcome, Settled, open_journal, read_held
from connectory.delivery.journalfile import JournalError, journal_path

CHUNK = Chunk("rows", "things.push", b"[1,2,3]", b"state")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path, "exams")


def held(key: str | None, **more: Any) -> Held:
    base = Held(
        key=key,
        hash=b"h",
        run="r",
        at=1.0,
        word="rejected",
        field="",
        words="no",
        code="",
        status=400,
        attempts=1,
        repeatable=True,
        row=b"{}",
    )
    return attrs.evolve(base, **more)


def left_by_a_killed_process(journal: Journal) -> Journal:
    """The same file, opened by the next process."""
    path = journal.path
    journal.close()
    return open_journal(path)


def test_its_file_is_for_its_user_alone(path: Path) -> None:
    open_journal(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]


def test_what_is_under_way_is_found_again_with_what_is_known_of_it(path: Path) -> None:
    journal = open_journal(path)
    journal.hand_over(CHUNK)
    journal = left_by_a_killed_process(journal)
    assert journal.under_way() is None, "no request had left"
    journal.hand_over(CHUNK)
    journal.depart([1, 2])
    journal.come_back({1: Outcome("rejected", "no", status=400), 2: Outcome("open")})
    journal.depart([2, 3])
    journal = left_by_a_killed_process(journal)
    left = journal.under_way()
    assert left is not None
    assert left.chunk == CHUNK
    assert (left.outcomes[1].word, left.outcomes[2].word, left.in_flight) == ("rejected", "open", frozenset({2, 3}))
    journal.settle(Settled(state=b"behind", counts={"delivered": 3}))
    assert (journal.under_way(), journal.read_state()) == (None, (b"behind", {"delivered": 3}))
    journal.close()


def test_every_commit_is_synced(path: Path) -> None:
    journal = open_journal(path)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: the log is synced with each commit
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()


def test_a_newer_row_of_a_key_takes_the_number_of_the_held_one_and_no_number_is_used_again(path: Path) -> None:
    journal = open_journal(path)
    journal.settle(Settled(held=[held("a"), held(None), held(None)]))
    journal.settle(Settled(held=[held("a", words="still no"), held("b", id=2)]))
    assert [(one.id, one.key, one.words) for one in read_held(path)] == [
        (1, "a", "still no"),
        (2, "b", "no"),
        (3, None, "no"),
    ]
    journal.settle(Settled(released=[3]))
    journal.settle(Settled(held=[held(None)]))
    assert [one.id for one in journal.held()] == [1, 2, 4]
    journal.close()


def test_keys_are_gone_when_a_whole_pass_did_not_see_them(path: Path) -> None:
    journal = open_journal(path)
    taken = [Accepted(key, b"h", b"{}", None, journal.pass_) for key in "abc"]
    journal.settle(Settled(accepted=taken))
    assert journal.count_gone() == 0
    journal.finish(b"state")
    journal.settle(Settled(seen=["a"], state=b"s"))
    journal = left_by_a_killed_process(journal)
    assert [one.key for one in journal.gone("", 10)] == ["b", "c"], "the pass goes on over a restart"
    journal.close()


def test_a_second_process_is_refused(path: Path) -> None:
    journal = open_journal(path)
    with pytest.raises(JournalError, match="is in use"):
        open_journal(path)
    journal.close()
    open_journal(path).close()


@pytest.mark.parametrize("harm", ["empty", "cut", "scribbled", "text", "foreign", "newer", "gone but its log"])
def test_a_file_that_is_no_sound_journal_is_an_error_and_stays_as_it_is(path: Path, harm: str) -> None:
    journal = open_journal(path)
    journal.settle(Settled(accepted=[Accepted(str(n), b"h", b"x" * 500, None, "p") for n in range(200)]))
    journal.close()
    whole = path.read_bytes()
    if harm == "empty":
        path.write_bytes(b"")
    elif harm == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif harm == "scribbled":
        path.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    elif harm == "text":
        path.write_text("no database at all, whatever its name says " * 50)
    elif harm == "gone but its log":
        path.with_name(path.name + "-wal").write_bytes(whole)
        path.unlink()
    else:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA application_id=7" if harm == "foreign" else "PRAGMA user_version=99")
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(JournalError) as caught:
        open_journal(path)
    assert str(path) in str(caught.value)
    assert ("later Connectory" if harm == "newer" else "Nothing is sent without it") in str(caught.value)
    assert (path.read_bytes() if path.exists() else None) == before
