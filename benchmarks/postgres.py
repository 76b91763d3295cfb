"""A PostgreSQL server for the time of a row: that of the tests, or the one that BENCHMARKS_POSTGRES names."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.measuring import ROOT, Undone


@contextmanager
def postgres() -> Iterator[str]:
    """Its connection string. Raises Undone where there is none."""
    if given := os.environ.get("BENCHMARKS_POSTGRES"):
        yield given
        return
    spec = importlib.util.spec_from_file_location("_benchmarks_postgres", ROOT / "tests" / "servers" / "postgres.py")
    assert spec is not None
    assert spec.loader is not None
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    try:
        server = servers.PostgresServer()
    except servers.NoPostgres as why:
        raise Undone(str(why)) from None
    with server:
        yield server.url()
