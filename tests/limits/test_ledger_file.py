"""The ledger's file: whose it is, and what happens when it is broken, foreign, too new, gone or out of reach."""

from __future__ import annotations

import os
import sqlite3
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectory.errors import LimitReached
from connectory.limits.budgets import DAY, Budget, Window, parse_rate
from connectory.limits.ledger import Lease, LedgerError, LedgerWarning, Ticket, Wait, acquire
from connectory.limits.sqlite import SqliteLedger
from connectory.limits.told import Told
from limits.conftest import SetClock

LEASE = 300.0
MIXED = Budget("key", "mixed", (parse_rate("3/minute"), parse_rate("50/day")), concurrent=2)


def ask(ledger: SqliteLedger, budget: Budget = MIXED) -> Lease | Wait:
    ticket = Ticket()
    got = ledger.try_acquire([budget], ticket, LEASE)
    if isinstance(got, Wait):
        ledger.withdraw(ticket)
    return got


def spend(ledger: SqliteLedger, budget: Budget = MIXED) -> None:
    got = ask(ledger, budget)
    assert isinstance(got, Lease), got
    ledger.release(got)


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=["umask 000", "umask 022", "umask 777"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {place.name: oct(stat.S_IMODE(place.stat().st_mode)) for place in sorted([folder, *folder.iterdir()])}


@pytest.mark.usefixtures("umask")
def test_files_and_folder_are_for_their_user_alone(path: Path, clock: SetClock) -> None:
    with SqliteLedger(path, clock) as ledger:
        spend(ledger)
        assert modes(path.parent) == {
            "state": "0o700",
            "ledger.sqlite": "0o600",
            "ledger.sqlite-shm": "0o600",
            "ledger.sqlite-wal": "0o600",
            "ledger.sqlite.lock": "0o600",
        }


def test_a_file_that_others_can_read_is_closed_to_them(path: Path, clock: SetClock) -> None:
    with SqliteLedger(path, clock) as ledger:
        spend(ledger)
    path.chmod(0o644)
    with SqliteLedger(path, clock) as ledger:
        spend(ledger)
        assert set(modes(path.parent).values()) == {"0o700", "0o600"}


def test_a_folder_that_was_there_is_left_as_it_is(tmp_path: Path, clock: SetClock) -> None:
    tmp_path.chmod(0o755)
    with SqliteLedger(tmp_path / "ledger.sqlite", clock) as ledger:
        spend(ledger)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_without_a_path_it_lies_in_the_users_state_folder(home: Path, clock: SetClock) -> None:
    folder = home / ".local" / "state" / "connectory"
    folder.mkdir(mode=0o755, exist_ok=True)
    with SqliteLedger(clock=clock) as ledger:
        spend(ledger, Budget("default place", "default place", concurrent=1))
        assert ledger.path == folder / "ledger.sqlite"
        assert set(modes(folder).values()) == {"0o700", "0o600"}


# Broken ---------------------------------------------------------------------------------------------------------------


def scribble(path: Path) -> None:
    path.write_bytes(b"not a ledger at all, but a longer text than that" * 200)


def cut(path: Path) -> None:
    os.truncate(path, 5000)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def overwrite_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))


def drop_a_table(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("DROP TABLE finish")
    db.close()


@pytest.mark.parametrize("harm", [scribble, cut, empty, overwrite_pages, drop_a_table])
def test_a_broken_file_is_moved_aside_and_everything_counts_as_spent(
    harm: Callable[[Path], None], path: Path, clock: SetClock
) -> None:
    with SqliteLedger(path, clock) as ledger:
        spend(ledger)
    harm(path)
    broken = path.read_bytes()
    bucket = Budget("bucket", "bucket", (parse_rate("1/second"),), burst=60)
    calendar = Budget("calendar", "calendar", (parse_rate("5/day", "Europe/Amsterdam"),))
    with SqliteLedger(path, clock) as ledger:
        with pytest.warns(LedgerWarning, match=r"was broken and has been moved to .*every limit counts as used up now"):
            wait = ask(ledger)
        assert isinstance(wait, Wait)
        assert wait.seconds == pytest.approx(DAY)
        (aside,) = path.parent.glob("ledger.sqlite.broken-2027*Z")
        assert aside.read_bytes() == broken
        for budget, seconds in [(bucket, 1.0), (calendar, calendar.days[0].next_day(clock.now()) - clock.now())]:
            wait = ask(ledger, budget)
            assert isinstance(wait, Wait)
            assert wait.seconds == pytest.approx(seconds)
        busy = Budget("busy", "busy", concurrent=3)
        assert isinstance(ask(ledger, busy), Wait)  # somebody may hold a permit that the lost file knew of
        clock.wind(601)
        spend(ledger, busy)
        clock.wind(DAY)
        spend(ledger)
        spend(ledger, bucket)
        spend(ledger, calendar)


def test_a_429_in_a_ledger_begun_anew_does_not_make_it_trusting(path: Path, clock: SetClock) -> None:
    path.parent.mkdir()
    path.touch()
    with SqliteLedger(path, clock) as ledger:
        with pytest.warns(LedgerWarning):
            ledger.hold("key", clock.now() + 1)
        clock.wind(2)
        assert isinstance(ask(ledger), Wait)


def test_deleting_the_file_begins_afresh(path: Path, clock: SetClock) -> None:
    with SqliteLedger(path, clock) as ledger:
        for _ in range(3):
            spend(ledger)
        assert isinstance(ask(ledger), Wait)
        path.unlink()  # and its log is left behind, with what was spent in it
        spend(ledger)
        assert ledger.spent(MIXED).windows[0].used == 1


def test_a_file_that_breaks_under_way_is_noticed(path: Path, clock: SetClock) -> None:
    with SqliteLedger(path, clock) as ledger, SqliteLedger(path, clock) as other:
        spend(ledger)
        spend(other)
        ledger.close()  # so that one connection has nothing of the file in memory
        scribble(path)
        with pytest.warns(LedgerWarning, match="was broken"):
            assert isinstance(ask(ledger), Wait)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert isinstance(ask(other), Wait)  # it finds the new file, and breaks no second one
        assert len(list(path.parent.glob("*.broken-*"))) == 1 + len(list(path.parent.glob("*.broken-*-wal")))


def test_breaking_again_within_a_second_loses_no_file(path: Path, clock: SetClock) -> None:
    with SqliteLedger(path, clock) as ledger:
        spend(ledger)
        for _ in range(3):
            ledger.close()
            scribble(path)
            with pytest.warns(LedgerWarning):
                ledger.spent(MIXED)
    assert len(list(path.parent.glob("ledger.sqlite.broken-*"))) == 3


# Not ours -------------------------------------------------------------------------------------------------------------


def test_a_ledger_of_a_newer_format_is_refused_and_left_alone(path: Path, clock: SetClock) -> None:
    with SqliteLedger(path, clock) as ledger:
        spend(ledger)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=7")
    db.close()
    content = path.read_bytes()
    with SqliteLedger(path, clock) as ledger, pytest.raises(LedgerError, match=r"newer Connectory \(format 7.*Update"):
        acquire(ledger, [MIXED], clock, None, LEASE)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(path: Path, clock: SetClock) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE precious (thing)")
    db.close()
    content = path.read_bytes()
    with SqliteLedger(path, clock) as ledger, pytest.raises(LedgerError, match="another program's database"):
        ask(ledger)
    assert path.read_bytes() == content


def test_without_a_place_for_the_ledger_nothing_is_called(tmp_path: Path, clock: SetClock) -> None:
    (tmp_path / "file").touch()
    with (
        SqliteLedger(tmp_path / "file" / "ledger.sqlite", clock) as ledger,
        pytest.raises(LedgerError, match=r"cannot be used: .*No call is made without it"),
    ):
        acquire(ledger, [MIXED], clock, None, LEASE)


def test_a_permit_that_cannot_be_given_back_is_told_and_ends_by_itself(path: Path, clock: SetClock) -> None:
    with SqliteLedger(path, clock) as ledger:
        got = ask(ledger)
        assert isinstance(got, Lease)
        db = sqlite3.connect(path)
        db.execute("ALTER TABLE lease RENAME TO hidden")
        with pytest.warns(LedgerWarning, match="a permit was not given back and ends by itself"):
            ledger.release(got)
        db.execute("ALTER TABLE hidden RENAME TO lease")
        db.close()
        assert ledger.spent(MIXED).in_flight == 1
        clock.wind(LEASE + 1)
        assert ledger.spent(MIXED).in_flight == 0


# Size -----------------------------------------------------------------------------------------------------------------


def size(path: Path) -> int:
    return sum(place.stat().st_size for place in path.parent.iterdir())


def test_a_window_remembers_no_more_calls_than_it_holds(path: Path, clock: SetClock) -> None:
    budget = Budget("key", "key", (parse_rate("200/hour"),))
    with SqliteLedger(path, clock) as ledger:
        sizes = []
        for _ in range(4):
            for _ in range(300):
                spend(ledger, budget)
                clock.wind(18.1)
            ledger.close()
            sizes.append(size(path))
    assert sizes[3] == sizes[1]


def test_keys_that_nobody_uses_any_more_are_forgotten(path: Path, clock: SetClock) -> None:
    with SqliteLedger(path, clock) as ledger:
        spend(ledger)
        ledger.close()
        bare = size(path)
        for number in range(1000):
            spend(ledger, Budget(f"a long key of some user's {number}", "k", (parse_rate("50/minute"),)))
        ledger.close()
        full = size(path)
        held = Budget("held", "held", (parse_rate("1/second"),))
        ledger.hold("held", clock.now() + 30 * DAY)
        clock.wind(DAY)
        for _ in range(20):  # a few go at every start
            spend(ledger)
            clock.wind(120)
            ledger.close()
        assert full > 2 * bare
        assert size(path) < 1.3 * bare
        assert isinstance(ask(ledger, held), Wait)


def test_a_ledger_of_the_format_before_goes_on_with_what_it_knows(path: Path, clock: SetClock) -> None:
    budget = Budget("k", "minute", (Window(1, 60.0),))
    with SqliteLedger(path, clock) as ledger:
        ledger.release(acquire(ledger, [budget], clock, 0, 30))
    db = sqlite3.connect(path)
    db.executescript(
        "DROP TABLE told; ALTER TABLE lease DROP COLUMN cost; ALTER TABLE lease DROP COLUMN granted;"
        "ALTER TABLE ticket DROP COLUMN cost; PRAGMA user_version=1;"
    )
    db.close()
    with SqliteLedger(path, clock) as ledger:
        with pytest.raises(LimitReached, match="1 a minute are used up"):
            acquire(ledger, [budget], clock, 0, 30)
        clock.sleep(61)
        ledger.release(acquire(ledger, [budget], clock, 0, 30), told={"k": Told(limit=5)})
    with SqliteLedger(path, clock) as ledger:
        assert ledger.spent(budget).windows[0].left == 4
