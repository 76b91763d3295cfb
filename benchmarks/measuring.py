"""Programs run by turns, and what each took: CPU time, wall time and peak memory of the whole process."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Literal
from urllib.request import urlopen

import attrs

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CONNECTORY = (sys.executable, "-m", "connectory.commands.main")

Measure = Literal["cpu", "wall", "peak"]
Check = Callable[[Path], bool]
Usage = Mapping[str, float]  # cpu and wall in seconds, peak in bytes; with what the program said of itself


class Undone(Exception):
    """A program did not do its work, so what it took means nothing."""


@attrs.frozen
class Program:
    """What is run in a new folder: a copy of benchmarks/project with our spec and recipes."""

    words: Sequence[str]
    check: Check = lambda folder: True  # whether its work is done, in that folder
    prepare: Callable[[Path], object] = lambda folder: None  # before it is run, there
    environment: Mapping[str, str] = {}
    speaks: bool = False  # its last line is JSON, measured by itself


def settings(base: str, connector: str = "bench") -> dict[str, str]:
    """Of that connector, as the environment gives them."""
    prefix = f"CONNECTORY_{connector.upper()}"
    keys = {"bench": "KEY", "fanned": "KEY", "12traits": "API_KEY"}
    key = {f"{prefix}_{keys[connector]}": "secret"} if connector in keys else {}
    return {**key, f"{prefix}_SERVER": base}


def by_hand(name: str, *words: str) -> list[str]:
    """The words that run a program of benchmarks/hand."""
    return [sys.executable, str(HERE / "hand" / f"{name}.py"), *words]


def ours(name: str, *words: str) -> list[str]:
    """The words that run a program of benchmarks/project, which calls Connectory from Python."""
    return [sys.executable, f"{name}.py", *words]


@attrs.frozen
class Spread:
    """A median with the smallest and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))


@attrs.frozen
class Result:
    """One row measured: the ratio (or the figure) that its bar is about, and what each side took."""

    ratio: Spread
    sides: Mapping[str, Mapping[str, Spread]] = {}  # ours, by hand, peers: measure to spread
    server: float | None = None  # the largest share of its wall time that the server was busy for a side
    points: Mapping[str, float] = {}  # what the ratio is made of, where that is not sides


@attrs.frozen
class Row:
    """A row of the table: what is done, compared with what, and the bar."""

    name: str
    short: str  # for the picture
    work: str
    compared: str
    at_most: float
    run: Callable[[Stage], Result]
    measure: str = "CPU"
    unit: str = "×"
    least: bool = False  # the bar is the least, not the most


@attrs.define
class Stage:
    """What rows run on: the loopback vendor, a folder to work in, and how much is asked."""

    address: str
    folder: Path
    rounds: int
    quick: bool = False
    peers: Mapping[str, str] = {}  # name to the Python of its environment

    def size(self, number: int) -> int:
        """So many, or a tenth of them where it must be quick."""
        return number // 10 if self.quick else number

    def base(self, records: int, milliseconds: int = 0) -> str:
        """Where the vendor has so many records and answers after that time."""
        return f"{self.address}/{records}/{milliseconds}"

    def server_cpu(self) -> float:
        """Seconds of CPU that the vendor has used so far."""
        with urlopen(f"{self.address}/usage") as answer:
            return float(json.load(answer)["cpu"])

    def run(self, program: Program) -> Usage:
        """Run it once in a new folder. Raises Undone."""
        folder = self.new_folder()
        program.prepare(folder)
        report = self.folder / "usage.json"
        before = self.server_cpu()
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(HERE / "launch.py"), str(report), *program.words],
            cwd=folder,
            env={**os.environ, **self.own_places(), **program.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not program.check(folder):
            raise Undone(
                f"{' '.join(program.words)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        usage: dict[str, float] = json.loads(report.read_text())
        usage["server"] = (self.server_cpu() - before) / usage["wall"]
        return usage | (json.loads(done.stdout.splitlines()[-1]) if program.speaks else {})

    def new_folder(self) -> Path:
        """A copy of benchmarks/project, in the place of the one before."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(HERE / "project", folder))

    def own_places(self) -> Mapping[str, str]:
        """Nothing of the user's is read, and nothing is left there."""
        home = str(self.folder / "home")
        return {"HOME": home} | {f"XDG_{name}_HOME": f"{home}/{name}" for name in ("STATE", "CACHE", "CONFIG", "DATA")}


def sides_of(runs: Sequence[Usage]) -> Mapping[str, Spread]:
    """What a side took in all its rounds."""
    return {key: Spread.of([each[key] for each in runs]) for key in runs[0] if key != "server"}


def alternate(
    stage: Stage, mine: Program, other: Program, measure: Measure = "cpu", peers: Mapping[str, Program] = {}
) -> Result:
    """Each side once a round; the ratio is that of two neighbours, so that a loaded machine slows both."""
    programs = {"ours": mine, "by hand": other, **peers}
    rounds = [{name: stage.run(program) for name, program in programs.items()} for _ in range(stage.rounds)]
    sides = {name: sides_of([each[name] for each in rounds]) for name in programs}
    ratios = [each["ours"][measure] / each["by hand"][measure] for each in rounds]
    busy = max(median(each[name]["server"] for each in rounds) for name in programs)
    return Result(Spread.of(ratios), sides, busy)


@contextmanager
def vendor() -> Iterator[str]:
    """The loopback vendor in its own process; its address.

    Our byte code is made first, as pip makes it when a package is installed: where none may be written
    (PYTHONDONTWRITEBYTECODE), every start would compile the sources again, and only ours.
    """
    for folder in ("core", "connectors"):
        compileall.compile_dir(ROOT / folder, quiet=1)
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def ceiling(address: str, seconds: float = 1.0) -> Mapping[str, float]:
    """What the vendor can give to one who only reads: pages and megabytes a second."""
    import socket

    host, port = address.removeprefix("http://").split(":")
    request = b"GET /200000/0/records?page=7 HTTP/1.1\r\nAuthorization: Bearer 7c9e6679f7425040\r\n\r\n"
    pages, octets = 0, 0
    with socket.create_connection((host, int(port))) as connection:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            connection.sendall(request)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            left = length - len(head.partition(b"\r\n\r\n")[2])
            while left > 0:
                left -= len(connection.recv(1 << 20))
            pages, octets = pages + 1, octets + length
    return {"pages_per_second": pages / seconds, "megabytes_per_second": octets / seconds / 1e6}


def machine() -> Mapping[str, Any]:
    """What it was measured on."""
    model = ""
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else ""
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "python": sys.version.split()[0],
        "system": os.uname().sysname,
    }
