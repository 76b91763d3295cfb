"""Peers, each in an environment of its own, doing the work of a row as their documentation shows."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import venv
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.measuring import HERE, ROOT, Check, Program, Stage

PLACE: Final = ROOT / ".venv" / "peers"
PEERS: Final = {
    "airbyte-cdk": ("airbyte-cdk==7.39.1",),
    "singer-sdk": ("singer-sdk==0.54.9",),
    "dlt": ("dlt[duckdb]==1.31.0",),
}
WITHIN: Final = 900  # seconds, to install one
QUIET: Final = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "DO_NOT_TRACK": "1"}


def make_environments() -> Mapping[str, str]:
    """Name to the Python of each peer that is installed or can be; says of the others why they are left out."""
    found = {}
    for name, wanted in PEERS.items():
        python = PLACE / name / "bin" / "python"
        done = PLACE / f"{name}.installed"
        if not done.exists() or done.read_text() != " ".join(wanted):
            print(f"installing {name}", file=sys.stderr)
            venv.create(PLACE / name, with_pip=True, clear=True)
            if why := _install(python, *wanted):
                print(f"{name} IS LEFT OUT, it cannot be installed: {why}", file=sys.stderr)
                continue
            done.write_text(" ".join(wanted))
        found[name] = str(python)
    return found


def _install(python: Path, *wanted: str) -> str:
    """Why it failed, or nothing."""
    command = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN)
    except subprocess.TimeoutExpired:
        return f"not done in {WITHIN} s"
    return (done.stderr.strip() or "pip failed").splitlines()[-1] if done.returncode else ""


def to_json_lines(stage: Stage, base: str, records: int) -> Mapping[str, Program]:
    """The list as lines of JSON: in a file, or on standard output as these protocols have it."""
    source = HERE / "peers"
    scripts = {
        "airbyte-cdk": f"exec $(dirname $0)/source-declarative-manifest read --config config.json "
        f"--catalog catalog.json --manifest-path {source}/airbyte.yaml > records.jsonl",
        "singer-sdk": f"exec $0 {source}/singer_list.py --config config.json > records.jsonl",
        "dlt": f"exec $0 {source}/dlt_list.py {base} jsonl out",
    }

    def prepare(folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({"base": base, "token": "7c9e6679f7425040"}))
        (folder / "catalog.json").write_text(json.dumps(CATALOG))

    return {
        name: Program(
            ["sh", "-c", scripts[name], python],
            _packed_lines(records) if name == "dlt" else _record_lines(records),
            prepare,
            QUIET,
        )
        for name, python in stage.peers.items()
    }


def to_duckdb(stage: Stage, base: str, records: int) -> Mapping[str, Program]:
    """The list into a DuckDB table, by the one of them that writes such a table itself."""

    def check(folder: Path) -> bool:
        import duckdb

        with closing(duckdb.connect(str(folder / "out.duckdb"), read_only=True)) as connection:
            return connection.execute("SELECT count(*) FROM bench.records").fetchone() == (records,)

    words = [str(HERE / "peers" / "dlt_list.py"), base, "duckdb", "out.duckdb"]
    return {
        name: Program([python, *words], check, environment=QUIET)
        for name, python in stage.peers.items()
        if name == "dlt"
    }


CATALOG: Final = {
    "streams": [
        {
            "stream": {"name": "records", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "overwrite",
        }
    ]
}


def _record_lines(number: int) -> Check:
    def check(folder: Path) -> bool:
        with (folder / "records.jsonl").open("rb") as lines:
            return sum(b'"RECORD"' in line for line in lines) == number

    return check


def _packed_lines(number: int) -> Check:
    def check(folder: Path) -> bool:
        found = 0
        for file in (folder / "out" / "bench" / "records").glob("*.jsonl.gz"):
            with gzip.open(file) as lines:
                found += sum(1 for _ in lines)
        return found == number

    return check
