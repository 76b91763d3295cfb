"""A day's work with a secret that can be recognised: it is where the vendor wants it, and nowhere else."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from commands.conftest import Spawn
from emulators.twelvetwenty import TwelveTwenty

KEY = "canary/of+the school=5e1f09ba"
"""Every writing of it differs: it holds what URLs and forms must escape."""
EVENT = {
    "ExternalId": "algebra-1",
    "UserId": 10607302981934,
    "TypeId": 1,
    "StartTime": "2026-05-20T18:25:43Z",
    "EndTime": "2026-05-20T19:25:43Z",
    "Title": "Algebra",
}
RECIPES = {
    "pull": "from: {connector: 12twenty, operation: students.list}\nto: {duckdb: school.duckdb, table: students}\n",
    "files": "from: {connector: 12twenty, operation: students.list}\nto: {files: out/students.csv}\n",
    "push": "from: {files: [events.jsonl]}\nto: {connector: 12twenty, operation: calendar_events.upsert}\n",
}


def writings(secret: str) -> set[bytes]:
    """The secret in clear, percent-encoded, as a form has it, in base64 at every offset, in hexadecimal."""
    raw = secret.encode()
    packed = {base64.b64encode(b"x" * start + raw)[4:-4] for start in range(3)}
    return {raw, quote(secret).encode(), quote(secret, safe="").encode(), raw.hex().encode(), *packed} | {
        quote(secret, safe="").replace("%20", "+").encode()
    }


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine of one's own below a folder: home, temporary files, and a umask that closes nothing."""
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def test_a_key_is_nowhere_and_a_token_in_one_file_for_its_user_alone(
    spawn: Spawn, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "recipes").mkdir()
    (place / "connectory.toml").touch()
    for name, text in RECIPES.items():
        (place / "recipes" / f"{name}.yaml").write_text(f"name: {name}\n{text}")
    (place / "events.jsonl").write_text(json.dumps(EVENT) + "\n{}\n")
    with TwelveTwenty(api_key=KEY) as vendor:
        monkeypatch.setenv("CONNECTORY_12TWENTY_SERVER", vendor.url)
        monkeypatch.setenv("CONNECTORY_12TWENTY_API_KEY", KEY)
        monkeypatch.setenv("CONNECTORY_12TWENTY_SCHOOL", "hilltop")

        def run(*words: str, hold: str = "") -> bytes:
            process = spawn(*words)
            out, told = process.communicate(timeout=60)
            return out + told

        told = [
            run("--debug", "sync", "pull", "files", "push"),
            run("runs"),
            run("--debug", "sync", "push", "--dry-run"),
        ]
        told += [run("--debug", "record", "12twenty", "documentation.get"), run("plan", "push", "--out", "push.plan")]
        vendor.fail(times=1, status=403, match="/students")
        told.append(run("--debug", "call", "12twenty", "students.list", "--max-wait", "0s"))
        with vendor.hold("/students"):
            process = spawn("--debug", "sync", "pull")
            vendor.wait_in_flight(1, timeout=40)
            title = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            process.send_signal(signal.SIGINT)
            told += [title, b"".join(process.communicate(timeout=30))]
        tokens = [e.answer for e in vendor.exchanges if "generateAuthenticationToken" in e.path]
    shown = b"".join(told)
    files = [file for file in place.rglob("*") if file.is_file()]
    for written in writings(KEY):
        assert written not in shown
        assert not [file for file in files if written in file.read_bytes()]
    assert not [token for token in tokens if token in shown]
    keeping = [file for file in files if any(token in file.read_bytes() for token in tokens)]
    assert [file.stat().st_mode & 0o777 for file in keeping] == [0o600]
    assert keeping[0].parent.stat().st_mode & 0o777 == 0o700
