"""Any emulator as a program: `python -m emulators.twelvetwenty --port 0 --set students=500`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import attrs

from connectory.clock import SystemClock
from emulators.server import Emulator


class WoundClock(SystemClock):
    """The machine's time plus what `POST /_wind?seconds=` added."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return super().now() + self._ahead

    def wind(self, seconds: float) -> None:
        self._ahead += seconds


def knob(text: str) -> tuple[str, Any]:
    """`concurrent=3`: the value is JSON where it can be read as such, else text."""
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def run(vendor: type[Emulator], arguments: list[str] | None = None) -> None:
    """Serve until a signal ends it (or the end of standard input); the first line of stdout is the URL."""
    parser = argparse.ArgumentParser(description=f"{vendor.__doc__}\nControls: GET /_log, POST /_wind, POST /_fail.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, help="JSON Lines to start with instead of generated records")
    parser.add_argument("--set", type=knob, action="append", default=[], metavar="KNOB=VALUE", dest="knobs")
    parser.add_argument("--while-stdin", action="store_true", help="end when standard input ends, with the parent")
    options = parser.parse_args(arguments)
    knobs = dict(options.knobs) | ({"data": options.data} if options.data else {})
    known = {field.name for field in attrs.fields(vendor) if field.init}
    if unknown := knobs.keys() - known:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with vendor(clock=WoundClock(), port=options.port, **knobs) as running:
        print(running.url, flush=True)
        if options.while_stdin:
            threading.Thread(target=set_at_end_of_input, args=(ended,), daemon=True).start()
        ended.wait()


def set_at_end_of_input(ended: threading.Event) -> None:
    while os.read(0, 1024):  # not sys.stdin: its lock would be held when a signal ends the program
        pass
    ended.set()
