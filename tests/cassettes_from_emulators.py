"""Record every conversation with the emulated vendors anew: `python tests/cassettes_from_emulators.py [VENDOR]...`.

Made again, nothing changes: clocks are moved by hand and the emulators' records are always the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from connectory.connecting import load_registry
from connectory.errors import ArgumentError, ConnectoryError
from connectory.spec.load import load_spec
from connectory.testing.recorded.cassettes import Cassette, cassette_file, cassettes_in, read_cassette
from connectory.testing.recorded.keeping import keep
from conversations.talk import Vendor, recorded

FOLDER = Path(__file__).resolve().parent.parent / "cassettes"
MODULES = {"12build": "twelvebuild", "12traits": "twelvetraits", "12twenty": "twelvetwenty", "twenty": "twenty"}


def main(names: Sequence[str]) -> int:
    """Record, tell what changed, and remove what nobody says any more. Returns the exit code."""
    failed = 0
    for name in names or MODULES:
        vendor: Vendor = import_module(f"conversations.{MODULES[name]}").VENDOR
        failed += record_all(vendor, FOLDER)
    return 1 if failed else 0


def record_all(vendor: Vendor, folder: Path) -> int:
    """Record all of a vendor's conversations into a folder. Returns how many could not be."""
    registry = load_registry(None)
    loaded = load_spec(registry, vendor.name)
    written: set[Path] = set()
    failed = changed = 0
    for talk in vendor.talks:
        try:
            cassette = recorded(registry, loaded, vendor, talk)
            file, is_new = kept(cassette, folder)
        except ConnectoryError as why:
            failed += 1
            print(f"failed  {vendor.name} {talk.operation} {talk.label or ''}: {why}", file=sys.stderr)
            continue
        if file in written:
            print(f"twice   {file.name}", file=sys.stderr)
            failed += 1
        written.add(file)
        changed += is_new
    for file in cassettes_in(folder, vendor.name):
        if file not in written and not failed and read_cassette(file).recorded.server == vendor.said:
            file.unlink()
            changed += 1
    print(f"{vendor.name}: {len(written)} recordings, {changed} changed, {failed} failed")
    return failed


def kept(cassette: Cassette, folder: Path) -> tuple[Path, bool]:
    """Keep a cassette, also where another call had its name; whether that changed anything."""
    try:
        return keep(cassette, folder)
    except ArgumentError:
        cassette_file(folder, cassette.vendor, cassette.operation, cassette.label).unlink()
        return keep(cassette, folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
