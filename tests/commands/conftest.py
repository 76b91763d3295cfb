"""A project with the shop's spec, the shop itself, and the command line run in that project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from commands.shop import KEY, Shop, write_project
from connectory import connecting
from connectory.commands.main import main

Cli = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("list", "--plugins")`: one command in an empty folder, as a new process would run it."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **options: Any) -> Result:
        connecting.load_registry.cache_clear()
        return CliRunner(catch_exceptions=False).invoke(main, list(words), prog_name="connectory", **options)

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder that commands run in, with the shop's spec."""
    write_project(tmp_path)
    return tmp_path


@pytest.fixture
def shop(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The shop, open; the environment says where it is and holds the key."""
    with Shop() as running:
        monkeypatch.setenv("CONNECTORY_SHOP_SERVER", running.url)
        monkeypatch.setenv("CONNECTORY_SHOP_API_KEY", KEY)
        yield running


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """`spawn("call", "shop", ...)`: a command as a process of its own, ended with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*words: str, **options: Any) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {**os.environ, "PYTHONPATH": path, **options.pop("env", {})}
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | options
        command = [sys.executable, "-m", "connectory.commands.main", *words]
        process: subprocess.Popen[bytes] = subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes)
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
