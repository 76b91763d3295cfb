"""One login for all threads and processes, renewed in time, kept where only its user can read it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectory.auth.tokens import Token, TokenKey, TokenStore
from connectory.clock import ManualClock, SystemClock
from connectory.secrets import Secret

CANARY = "Hush-canary-4711"
HOUR = 3600.0

posix = pytest.mark.skipif(os.name != "posix", reason="modes, owners and signals are of POSIX")
as_user = pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="nothing is forbidden to root")


def make_key(**changes: Any) -> TokenKey:
    facts = {"vendor": "acme", "server": "https://acme.test", "alternative": 0, "secrets": {"api_key": "k"}}
    return TokenKey.of(**{**facts, **changes})


KEY = make_key()


class Vendor:
    """Gives out token-1, token-2, ...; `lasts` None means until refused."""

    def __init__(self, clock: ManualClock, lasts: float | None = HOUR) -> None:
        self.clock = clock
        self.lasts = lasts
        self.exchanges = 0

    def __call__(self) -> Token:
        self.exchanges += 1
        now = self.clock.now()
        ends = None if self.lasts is None else now + self.lasts
        return Token(Secret(f"token-{self.exchanges}"), now, ends, {"instance": "https://eu.acme.test"})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "connectory" / "tokens"


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def shown(token: Token) -> str:
    return token.value.reveal()


def file_of(folder: Path) -> Path:
    (file,) = folder.glob("*.json")
    return file


# The life of a token


def test_a_token_of_an_hour_is_good_at_59_minutes_and_renewed_before_60(clock: ManualClock, folder: Path) -> None:
    vendor, store = Vendor(clock), TokenStore(folder)
    assert shown(store.get_or_fetch(KEY, clock, vendor)) == "token-1"
    clock.wind(59 * 60)
    assert shown(store.get_or_fetch(KEY, clock, vendor)) == "token-1"
    clock.wind(31)
    assert shown(store.get_or_fetch(KEY, clock, vendor)) == "token-2"
    assert vendor.exchanges == 2


@pytest.mark.parametrize(("lasts", "good_until"), [(86_400.0, 86_370.0), (150.0, 120.0), (100.0, 80.0), (5.0, 4.0)])
def test_the_margin_is_thirty_seconds_or_a_fifth_of_a_short_life(lasts: float, good_until: float) -> None:
    token = Token(Secret("t"), 1000.0, 1000.0 + lasts)
    assert token.is_good(1000.0 + good_until - 0.01)
    assert not token.is_good(1000.0 + good_until + 0.01)


def test_a_token_without_an_end_is_good_until_refused(clock: ManualClock, folder: Path) -> None:
    vendor, store = Vendor(clock, lasts=None), TokenStore(folder)
    token = store.get_or_fetch(KEY, clock, vendor)
    clock.wind(10 * 365 * 86_400)
    assert store.get_or_fetch(KEY, clock, vendor) == token
    assert shown(store.get_or_fetch(KEY, clock, vendor, refused=token)) == "token-2"


@pytest.mark.parametrize("lasts", [0.0, -10.0])
def test_a_token_that_is_over_at_once_is_given_and_not_kept_in_use(
    lasts: float, clock: ManualClock, folder: Path
) -> None:
    vendor, store = Vendor(clock, lasts), TokenStore(folder)
    assert shown(store.get_or_fetch(KEY, clock, vendor)) == "token-1"
    assert shown(store.get_or_fetch(KEY, clock, vendor)) == "token-2"


@given(moves=st.lists(st.floats(-2 * HOUR, 2 * HOUR), max_size=12), lasts=st.floats(1.0, 3 * HOUR))
def test_wherever_the_clock_jumps_a_token_given_seems_good_or_is_new(moves: list[float], lasts: float) -> None:
    clock = ManualClock()
    vendor, store = Vendor(clock, lasts), TokenStore(Path("/dev/null/nowhere"))
    for move in moves:
        clock.wind(move)
        before = vendor.exchanges
        token = store.get_or_fetch(KEY, clock, vendor)
        assert token.is_good(clock.now()) or vendor.exchanges == before + 1


def test_a_clock_set_back_distrusts_what_it_kept_in_the_future(clock: ManualClock, folder: Path) -> None:
    vendor = Vendor(clock)
    TokenStore(folder).get_or_fetch(KEY, clock, vendor)
    clock.wind(-59)
    assert shown(TokenStore(folder).get_or_fetch(KEY, clock, vendor)) == "token-1"
    clock.wind(-2)
    assert shown(TokenStore(folder).get_or_fetch(KEY, clock, vendor)) == "token-2"


# Refused tokens


def test_a_refused_token_is_renewed_once_for_all_who_had_it(clock: ManualClock, folder: Path) -> None:
    vendor, mine, theirs = Vendor(clock), TokenStore(folder), TokenStore(folder)
    old = mine.get_or_fetch(KEY, clock, vendor)
    assert theirs.get_or_fetch(KEY, clock, vendor) == old
    new = mine.get_or_fetch(KEY, clock, vendor, refused=old)
    assert shown(new) == "token-2"
    assert theirs.get_or_fetch(KEY, clock, vendor) == old  # nobody has told it yet
    assert theirs.get_or_fetch(KEY, clock, vendor, refused=old) == new
    assert mine.get_or_fetch(KEY, clock, vendor, refused=old) == new
    assert vendor.exchanges == 2


def test_a_vendor_that_gives_the_refused_token_again_is_asked_once(clock: ManualClock, folder: Path) -> None:
    stubborn = Vendor(clock)

    def fetch() -> Token:
        return attrs.evolve(stubborn(), value=Secret("always the same"))

    store = TokenStore(folder)
    first = store.get_or_fetch(KEY, clock, fetch)
    again = store.get_or_fetch(KEY, clock, fetch, refused=first)
    assert shown(again) == "always the same"
    assert store.get_or_fetch(KEY, clock, fetch, refused=first) == again
    assert stubborn.exchanges == 2


def test_a_hundred_threads_refused_at_once_make_one_exchange(clock: ManualClock, folder: Path) -> None:
    vendor, store = Vendor(clock), TokenStore(folder)
    old = store.get_or_fetch(KEY, clock, vendor)
    results = in_threads(100, lambda: shown(store.get_or_fetch(KEY, clock, vendor, refused=old)))
    assert results == ["token-2"] * 100
    assert vendor.exchanges == 2


# Threads and connectors


def in_threads(count: int, work: Callable[[], Any], release: Callable[[], None] = lambda: None) -> list[Any]:
    """What `count` threads get by working at once; errors too. `release` is called when all are running."""
    results: list[Any] = []
    start = threading.Barrier(count + 1)

    def run() -> None:
        start.wait()
        try:
            results.append(work())
        except Exception as why:
            results.append(why)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    start.wait()
    release()
    for thread in threads:
        thread.join(60)
    assert len(results) == count
    return results


def test_threads_that_wait_for_a_failing_login_share_its_failure(clock: ManualClock, folder: Path) -> None:
    store, exchanges, go = TokenStore(folder), [], threading.Event()

    def fetch() -> Token:
        exchanges.append(1)
        go.wait(60)
        raise PermissionError("wrong key")

    def release() -> None:
        until(lambda: waiting_in("get_or_fetch") == 19)
        go.set()

    results = in_threads(20, lambda: store.get_or_fetch(KEY, clock, fetch), release)
    assert [str(result) for result in results] == ["wrong key"] * 20
    assert len(exchanges) == 1


def test_after_an_interrupted_login_the_next_in_line_logs_in(clock: ManualClock, folder: Path) -> None:
    store, vendor, go = TokenStore(folder), Vendor(clock), threading.Event()
    interrupted = threading.Event()

    def fetch() -> Token:
        if not interrupted.is_set():
            interrupted.set()
            go.wait(60)
            raise SystemExit  # as Ctrl-C would: no failure of the login
        return vendor()

    def work() -> Any:
        try:
            return shown(store.get_or_fetch(KEY, clock, fetch))
        except SystemExit:
            return "interrupted"

    def release() -> None:
        until(lambda: waiting_in("get_or_fetch") == 4)
        go.set()

    assert sorted(in_threads(5, work, release)) == ["interrupted", *["token-1"] * 4]
    assert vendor.exchanges == 1


def test_patience_with_another_thread_ends(clock: ManualClock, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, vendor, hangs, go = TokenStore(folder, patience=0.02), Vendor(clock), threading.Event(), threading.Event()

    def hang() -> Token:
        hangs.set()
        go.wait(60)
        return vendor()

    stuck = threading.Thread(target=store.get_or_fetch, args=(KEY, clock, hang), daemon=True)
    stuck.start()
    hangs.wait(60)
    assert shown(store.get_or_fetch(KEY, clock, vendor)) == "token-1"
    assert "waited 0.02 s for another thread's login" in caplog.text
    go.set()
    stuck.join(60)


def waiting_in(function: str) -> int:
    """How many threads wait for an event directly in a function."""
    stacks = [traceback.extract_stack(frame) for frame in sys._current_frames().values()]
    names = [[frame.name for frame in stack] for stack in stacks]
    return sum(1 for stack in names if stack[-3:] == [function, "wait", "wait"])


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(30_000):
        if condition():
            return
        pause.wait(0.002)
    pytest.fail("it did not come to pass within a minute")


def test_different_vendors_servers_secrets_and_alternatives_never_share(clock: ManualClock, folder: Path) -> None:
    vendor, store = Vendor(clock), TokenStore(folder)
    keys = [
        KEY,
        make_key(vendor="acme2"),
        make_key(server="https://acme.test/eu"),
        make_key(alternative=1),
        make_key(secrets={"api_key": "changed"}),
        make_key(secrets={}),
        make_key(secrets={"api_ke": "yk"}),
        make_key(secrets={"api_key": "k", "login": "ann"}),
        make_key(vendor="acme\x00https://acme.test"),
    ]
    tokens = [shown(store.get_or_fetch(key, clock, vendor)) for key in keys]
    assert len(set(tokens)) == len(keys)
    assert [shown(TokenStore(folder).get_or_fetch(key, clock, vendor)) for key in keys] == tokens


def test_the_order_of_settings_makes_no_other_key() -> None:
    one, other = make_key(secrets={"a": "1", "b": "2"}), make_key(secrets={"b": "2", "a": "1"})
    assert one == other
    assert one.digest == other.digest


# Files


def test_tokens_are_kept_between_processes_with_all_they_hold(clock: ManualClock, folder: Path) -> None:
    vendor = Vendor(clock)
    token = TokenStore(folder).get_or_fetch(KEY, clock, vendor)
    again = TokenStore(folder).get_or_fetch(KEY, clock, vendor)
    assert again == token
    assert again.kept == {"instance": "https://eu.acme.test"}
    assert vendor.exchanges == 1


def test_the_usual_place_is_the_users_cache_folder(clock: ManualClock, home: Path) -> None:
    TokenStore().get_or_fetch(make_key(vendor="usual place"), clock, Vendor(clock))
    assert list(home.glob("**/connectory/**/tokens/*.json"))


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277])
def test_files_are_0600_in_folders_0700_whatever_the_umask(umask: int, clock: ManualClock, folder: Path) -> None:
    os.umask(umask)
    TokenStore(folder).get_or_fetch(KEY, clock, Vendor(clock))
    os.umask(0o022)
    modes = {path.relative_to(folder.parent.parent): path.stat().st_mode & 0o777 for path in folder.parent.rglob("*")}
    assert {mode for path, mode in modes.items() if path.suffix} == {0o600}
    assert len(modes) == 3  # folder, token, lock: no temporary file is left
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700


@posix
def test_a_folder_that_stands_open_is_closed(clock: ManualClock, folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    TokenStore(folder).get_or_fetch(KEY, clock, Vendor(clock))
    assert folder.stat().st_mode & 0o777 == 0o700


def change(**values: Any) -> Callable[[bytes], bytes]:
    return lambda raw: json.dumps({**json.loads(raw), **values}).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: b"",
        lambda raw: raw[:-1],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"\x00" * len(raw),
        lambda raw: b"\xff\xfe" + raw,
        lambda raw: b"[" * 100_000,
        lambda raw: b'{"kept": ' + b"[" * 100_000,
        lambda raw: b" " * 2_000_000 + raw,
        lambda raw: b"[]",
        lambda raw: b"null",
        change(version=2),
        change(version=None),
        change(value=7),
        change(value=""),
        change(exchange=""),
        change(obtained_at="yesterday"),
        change(expires_at=[]),
        change(kept={"a": 1}),
        change(key="0" * 64),
    ],
)
def test_a_spoilt_file_is_passed_over_and_written_anew(
    spoil: Callable[[bytes], bytes], clock: ManualClock, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vendor = Vendor(clock)
    TokenStore(folder).get_or_fetch(KEY, clock, vendor)
    file = file_of(folder)
    file.write_bytes(spoil(file.read_bytes()))
    assert shown(TokenStore(folder).get_or_fetch(KEY, clock, vendor)) == "token-2"
    assert shown(TokenStore(folder).get_or_fetch(KEY, clock, vendor)) == "token-2"
    assert "token-" not in caplog.text
    assert caplog.text.count("is passed over: damaged, or of another version") == 1


@given(raw=st.binary(max_size=200))
def test_no_content_of_a_file_breaks_anything(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, clock = tmp_path_factory.getbasetemp() / "any" / "tokens", ManualClock()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{KEY.digest}.json"
    file.write_bytes(raw)
    file.chmod(0o600)
    assert shown(TokenStore(folder).get_or_fetch(KEY, clock, Vendor(clock))) == "token-1"


@posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o606, 0o000])
def test_a_file_that_others_may_read_or_the_user_may_not_is_passed_over(
    mode: int, clock: ManualClock, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if mode == 0 and os.geteuid() == 0:
        pytest.skip("root reads everything")
    vendor = Vendor(clock)
    TokenStore(folder).get_or_fetch(KEY, clock, vendor)
    file_of(folder).chmod(mode)
    assert shown(TokenStore(folder).get_or_fetch(KEY, clock, vendor)) == "token-2"
    assert file_of(folder).stat().st_mode & 0o777 == 0o600
    assert "is passed over" in caplog.text


@posix
def test_a_link_in_place_of_the_file_is_not_followed(clock: ManualClock, folder: Path, tmp_path: Path) -> None:
    vendor = Vendor(clock)
    TokenStore(folder).get_or_fetch(KEY, clock, vendor)
    elsewhere = file_of(folder).rename(tmp_path / "elsewhere.json")
    (folder / f"{KEY.digest}.json").symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    assert shown(TokenStore(folder).get_or_fetch(KEY, clock, vendor)) == "token-2"
    assert elsewhere.read_bytes() == before
    assert not file_of(folder).is_symlink()


@posix
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_token_and_no_hang(
    make: Callable[[Path], None], clock: ManualClock, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir(parents=True)
    make(folder / f"{KEY.digest}.json")
    assert shown(TokenStore(folder).get_or_fetch(KEY, clock, Vendor(clock))) == "token-1"
    assert "is passed over" in caplog.text


def test_without_a_folder_tokens_live_in_memory_and_that_is_said_once(
    clock: ManualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    vendor, store = Vendor(clock), TokenStore(tmp_path / "file" / "connectory" / "tokens")
    token = store.get_or_fetch(KEY, clock, vendor)
    assert store.get_or_fetch(KEY, clock, vendor) == token
    assert shown(store.get_or_fetch(KEY, clock, vendor, refused=token)) == "token-2"
    assert vendor.exchanges == 2
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "tokens are kept in memory only" in warnings[0]


@as_user
def test_a_folder_that_cannot_be_written_still_gives_what_it_holds(clock: ManualClock, folder: Path) -> None:
    vendor = Vendor(clock)
    TokenStore(folder).get_or_fetch(KEY, clock, vendor)
    folder.chmod(0o500)
    assert shown(TokenStore(folder).get_or_fetch(KEY, clock, vendor)) == "token-1"


@posix
def test_a_disk_that_is_full_leaves_the_token_in_memory(folder: Path) -> None:
    done = run_script(
        """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        store = TokenStore(folder)
        token = store.get_or_fetch(KEY, SystemClock(), lambda: Token(Secret("t1"), SystemClock().now()))
        print(token.value.reveal(), store.get_or_fetch(KEY, SystemClock(), lambda: 1 / 0) == token)
        """,
        folder,
    )
    assert done.stdout.split() == ["t1", "True"], done.stderr
    assert "kept in memory only" in done.stderr
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


# Processes

PRELUDE = """
import os, sys, textwrap
from pathlib import Path
from connectory.auth.tokens import Token, TokenKey, TokenStore
from connectory.clock import SystemClock
from connectory.secrets import Secret

folder = Path(sys.argv[1])
KEY = TokenKey.of(vendor="acme", server="https://acme.test", alternative=0, secrets={"api_key": "k"})

class Telling(SystemClock):
    told = False
    def sleep(self, seconds):
        if not self.told:
            print("waiting", flush=True)
            self.told = True
        super().sleep(seconds)

def fetch():
    print("fetching", flush=True)
    sys.stdin.readline()
    return Token(Secret(f"token-of-{os.getpid()}"), SystemClock().now(), SystemClock().now() + 3600)
"""
ASK = "print(TokenStore(folder).get_or_fetch(KEY, Telling(), fetch).value.reveal(), flush=True)"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def run_script(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    lines = script.strip("\n").split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip())
    code = PRELUDE + "\n".join(line[margin:] for line in lines)
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + ASK, str(folder)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_eight_processes_make_one_exchange(folder: Path, processes: list[subprocess.Popen[str]]) -> None:
    processes += [start(folder) for _ in range(8)]
    first = {process: line_of(process) for process in processes}
    assert sorted(first.values()) == ["fetching", *["waiting"] * 7]
    leader = next(process for process, said in first.items() if said == "fetching")
    assert leader.stdin is not None
    leader.stdin.write("\n")
    leader.stdin.flush()
    assert {line_of(process) for process in processes} == {f"token-of-{leader.pid}"}


@posix
def test_a_killed_process_blocks_nobody(folder: Path, processes: list[subprocess.Popen[str]]) -> None:
    holder, waiter = start(folder), None
    processes.append(holder)
    assert line_of(holder) == "fetching"
    waiter = start(folder)
    processes.append(waiter)
    assert line_of(waiter) == "waiting"
    holder.send_signal(signal.SIGKILL)
    assert line_of(waiter) == "fetching"
    assert waiter.stdin is not None
    waiter.stdin.write("\n")
    waiter.stdin.flush()
    assert line_of(waiter) == f"token-of-{waiter.pid}"


@posix
def test_what_a_process_killed_in_writing_left_is_swept_away(clock: ManualClock, folder: Path) -> None:
    vendor = Vendor(clock)
    token = TokenStore(folder).get_or_fetch(KEY, clock, vendor)
    left = folder / f"{KEY.digest}.abc123.new"
    left.write_text("half a tok")
    TokenStore(folder).get_or_fetch(KEY, clock, vendor, refused=token)
    assert not left.exists()


def test_patience_with_another_process_ends_on_the_clock_that_is_passed_in(
    clock: ManualClock, folder: Path, processes: list[subprocess.Popen[str]], caplog: pytest.LogCaptureFixture
) -> None:
    processes.append(start(folder))
    assert line_of(processes[0]) == "fetching"
    token = TokenStore(folder, patience=60).get_or_fetch(KEY, clock, Vendor(clock))
    assert shown(token) == "token-1"
    assert 60 <= sum(clock.slept) < 61
    assert "waited 60 s for another process's login" in caplog.text


def test_two_stores_of_one_process_make_one_exchange(folder: Path) -> None:
    clock, fetching, go = SystemClock(), threading.Event(), threading.Event()
    exchanges: list[int] = []

    def fetch() -> Token:
        exchanges.append(1)
        fetching.set()
        go.wait(60)
        return Token(Secret("one"), clock.now(), clock.now() + HOUR)

    class Waiting(SystemClock):
        def sleep(self, seconds: float) -> None:
            go.set()
            super().sleep(seconds)

    def other() -> Token:
        fetching.wait(60)
        return TokenStore(folder).get_or_fetch(KEY, Waiting(), fetch)

    results: list[Token] = []
    thread = threading.Thread(target=lambda: results.append(other()))
    thread.start()
    results.append(TokenStore(folder).get_or_fetch(KEY, clock, fetch))
    thread.join(60)
    assert [shown(token) for token in results] == ["one", "one"]
    assert len(exchanges) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_in_the_middle_of_a_login_waits_for_its_parent_as_another_process(folder: Path) -> None:
    done = run_script(
        """
        import threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tried here
        store, fetching, go = TokenStore(folder), threading.Event(), threading.Event()
        reader, writer = os.pipe()

        class Telling(SystemClock):
            def sleep(self, seconds):
                os.write(writer, b"waiting ")
                super().sleep(seconds)

        def slow():
            fetching.set()
            go.wait()
            return Token(Secret("parent's"), SystemClock().now())

        thread = threading.Thread(target=lambda: store.get_or_fetch(KEY, SystemClock(), slow), daemon=True)
        thread.start()
        fetching.wait()
        child = os.fork()
        if not child:
            token = store.get_or_fetch(KEY, Telling(), lambda: Token(Secret("child's"), SystemClock().now()))
            os.write(writer, token.value.reveal().encode())
            os._exit(0)
        os.close(writer)
        os.read(reader, 8)
        go.set()
        thread.join()
        os.waitpid(child, 0)
        print(os.read(reader, 9999).decode().split()[-1])
        """,
        folder,
    )
    assert done.stdout.strip() == "parent's", done.stderr


# Canaries


def test_a_token_shows_itself_nowhere(clock: ManualClock, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = make_key(secrets={"api_key": CANARY})
    store = TokenStore(folder)

    def fetch() -> Token:
        return Token(Secret(CANARY), clock.now(), None, {"session": CANARY})

    token = store.get_or_fetch(key, clock, fetch)
    read = TokenStore(folder).get_or_fetch(key, clock, fetch)

    def fail() -> Token:
        raise ConnectionError("vendor is down")

    with pytest.raises(ConnectionError) as error:
        store.get_or_fetch(key, clock, fail, refused=token)
    trace = error.value.__traceback__.tb_next if error.value.__traceback__ else None
    report = "".join(traceback.TracebackException(type(error.value), error.value, trace, capture_locals=True).format())
    assert "get_or_fetch" in report
    said = [report, repr(token), repr(read), str(key), repr(store), key.digest, repr(vars(store)), caplog.text]
    assert not [text for text in said if CANARY in text]
    kept = [path for path in folder.rglob("*") if CANARY in path.name or CANARY.encode() in path.read_bytes()]
    assert kept == [file_of(folder)]
