"""kill -9 at any moment of a push: after the last start the vendor has every row, and what is unknown is named."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

from connectory.recipes.pushing.replaying import held_rows
from connectory.recipes.pushing.rows import unpack_rows
from emulators.server import Emulator
from emulators.twelvetraits import TwelveTraits
from emulators.twelvetwenty import TwelveTwenty
from recipes.pusher import FEEDS

PUSHER = Path(__file__).with_name("pusher.py")
COUNT = 5_300
WRITES = "PUT|POST"


@attrs.define
class Pusher:
    """The process that forks runs, the project it runs in, and the vendor."""

    process: subprocess.Popen[str]
    root: Path
    vendor: Emulator

    def start(self) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == "ended\n"

    @property
    def report(self) -> dict[str, Any] | None:
        file = self.root / "report.json"
        return json.loads(file.read_text()) if file.exists() else None

    @property
    def at_its_end(self) -> bool:
        """Whether the journal says that the whole run was settled."""
        journal = self.root / ".connectory" / "journals" / "r.sqlite"
        if not journal.exists():
            return False
        with closing(sqlite3.connect(journal)) as db:
            return bool(db.execute("select under_way from state").fetchone() == (0,))

    def in_flight(self, name: str) -> set[str]:
        """Keys of the rows that the journal says were in a request when the process was killed."""
        journal = self.root / ".connectory" / "journals" / "r.sqlite"
        if not journal.exists():
            return set()
        with closing(sqlite3.connect(journal)) as db:
            rows = [number for (text,) in db.execute("select rows from flight") for number in json.loads(text)]
            packed = db.execute("select rows from chunk").fetchone()
        return {unpack_rows(packed[0])[0][number - 1][name] for number in rows} if rows else set()


@contextmanager
def pushing(feed: str, root: Path, vendor: Emulator, key: str, count: int = COUNT, keyed: str = "") -> Iterator[Pusher]:
    (root / "recipes").mkdir(parents=True)
    to = FEEDS[feed].replace("KEYED", keyed)
    (root / "recipes" / "r.yaml").write_text(f"name: r\nfrom: {{stdin: jsonl}}\nto: {to}\n")
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, str(PUSHER), feed, str(root), vendor.url, key, str(count)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    try:
        yield Pusher(process, root, vendor)
    finally:
        process.kill()
        process.communicate()


def kill(pusher: Pusher, chance: random.Random) -> None:
    """Start a run and kill it: with a request at the vendor's, or wherever it happens to be."""
    if chance.random() < 0.4:
        with pusher.vendor.hold(WRITES):
            child = pusher.start()
            try:
                pusher.vendor.wait_in_flight(1, 5.0)
            except TimeoutError:
                return pusher.wait()  # it had nothing left to send
            if chance.random() < 0.5:
                time.sleep(chance.random() * 0.01)
            os.kill(child, signal.SIGKILL)
    else:
        child = pusher.start()
        time.sleep(chance.random() * 0.4)
        if not pusher.at_its_end:  # a run that is over would only begin anew
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    pusher.wait()


def kill_and_finish(pusher: Pusher, kills: int, chance: random.Random, name: str) -> tuple[int, set[str]]:
    """Kill runs until one ends; how many were killed, and the rows that were in flight at a kill."""
    lost: set[str] = set()
    done = 0
    while done < kills and pusher.report is None:
        kill(pusher, chance)
        if pusher.report is None:
            done += 1
            lost |= pusher.in_flight(name)
    if pusher.report is None:
        pusher.start()
        pusher.wait()
    return done, lost


def events_survive(root: Path, kills: int, chance: random.Random) -> int:
    keyed = chance.choice(["", "changed_only: true"])
    with TwelveTwenty(delay=0.01) as vendor, pushing("events", root, vendor, vendor.api_key, keyed=keyed) as pusher:
        done, _ = kill_and_finish(pusher, kills, chance, "ExternalId")
        report = pusher.report
        assert report is not None
        assert (report["read"], report["counts"]["delivered"], report["code"]) == (COUNT, COUNT, 0), report
        assert set(vendor.calendar) == set(map(str, range(COUNT)))
        assert Counter(update.verb for update in vendor.updates)["create"] == COUNT
        return done


def logins_survive(root: Path, kills: int, chance: random.Random) -> int:
    with TwelveTraits(delay=0.01) as vendor, pushing("logins", root, vendor, vendor.api_key) as pusher:
        done, lost = kill_and_finish(pusher, kills, chance, "user_id")
        report = pusher.report
        assert report is not None
        unknown = {str(row["user_id"]) for row in held_rows(root, "r")}
        counts = report["counts"]
        assert (report["read"], counts["delivered"] + counts["unknown"]) == (COUNT, COUNT), report
        assert counts["unknown"] == len(unknown)
        taken = Counter(item["user_id"] for item in vendor.items["logins"])
        assert set(taken.values()) <= {1}, "nothing is sent twice"
        assert set(map(str, range(COUNT))) - set(taken) <= unknown, "nothing is lost without a word"
        assert unknown <= lost, "only rows of requests in flight at a kill"
        return done


@pytest.mark.parametrize("survive", [events_survive, logins_survive])
def test_a_push_survives_kills(tmp_path: Path, survive: Any) -> None:
    survive(tmp_path / "p", 5, random.Random(5))


def test_a_request_that_was_at_the_vendors_when_the_process_died_is_unknown(tmp_path: Path) -> None:
    with TwelveTraits() as vendor, pushing("logins", tmp_path, vendor, vendor.api_key, 1500) as pusher:
        with vendor.hold("POST"):
            child = pusher.start()
            vendor.wait_held(1)  # with all of its body, so that the vendor takes it all the same
            os.kill(child, signal.SIGKILL)
            pusher.wait()
        pusher.start()
        pusher.wait()
        assert pusher.report
        assert pusher.report["counts"] | {"delivered": 500, "unknown": 1000} == pusher.report["counts"]
        assert len(list(held_rows(tmp_path, "r"))) == 1000
        assert len(vendor.items["logins"]) == 1500, "the vendor took it all the same"


@pytest.mark.kills
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("survive", [events_survive, logins_survive])
def test_a_push_survives_200_kills(tmp_path: Path, survive: Any) -> None:
    chance = random.Random(200)
    done = rounds = 0
    while done < 200:
        rounds += 1
        done += survive(tmp_path / str(rounds), chance.randint(3, 12), chance)
