"""Every test runs as a new user of an empty machine without a network: own home, no settings, loopback only."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from reliability import sight
from servers.postgres import NoPostgres, PostgresServer

# A busy machine is slow, not wrong; pytest-timeout ends what hangs.
settings.register_profile("connectory", deadline=None, print_blob=True)
settings.load_profile("connectory")

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
FOLDERS = {
    "HOME": "",
    "USERPROFILE": "",
    "APPDATA": "AppData/Roaming",
    "LOCALAPPDATA": "AppData/Local",
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    sight(config, items)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of this session's own, for child processes too; no setting, secret or proxy of the real user is seen."""
    place = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith("CONNECTORY_") or name.upper() in PROXIES:
                patch.delenv(name)
        for name, folder in FOLDERS.items():
            (place / folder).mkdir(parents=True, exist_ok=True)
            patch.setenv(name, str(place / folder))
        yield place


@pytest.fixture(scope="session")
def postgres_server(home: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this process's own, started when the first test asks for it."""
    try:
        server = PostgresServer()
    except NoPostgres as why:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"NO POSTGRESQL HERE, so what goes into it is not tested: {why}")
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: PostgresServer) -> str:
    """A connection string of a superuser for the database `postgres` of that server."""
    return postgres_server.url()


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """A connection string for a database of the test's own."""
    return postgres_server.url(postgres_server.create())


class NetworkRefused(Exception):
    """A test asked for an address beyond this machine."""


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse every address but loopback; fail the test that asked for one, even where the refusal was swallowed."""
    refused: list[str] = []

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, *arguments: Any) -> Any:
            address = arguments[-1]  # sendto may have flags before it
            if self.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
                refused.append(f"{address[0]} port {address[1]}")
                raise NetworkRefused(refused[-1])
            return real(self, *arguments)

        return connect

    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and name.endswith((".invalid", ".test", ".example")):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")  # reserved: no network has them
        if name and not is_loopback(name):
            refused.append(name)
            raise NetworkRefused(name)
        return resolve(host, *arguments, **options)

    for method in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, method, guarded(getattr(socket.socket, method)))
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    if refused:
        pytest.fail(f"the test went beyond this machine: {', '.join(refused)}", pytrace=False)


def is_loopback(host: str) -> bool:
    """True for localhost, 127.0.0.0/8, ::1 and what stands for any address of this machine (empty, 0.0.0.0, ::)."""
    if host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
