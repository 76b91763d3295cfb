"""Recorded conversations replayed and compared, as `pytest` does: `python replay.py FOLDER` of cassettes."""

import json
import sys
import time
from pathlib import Path

from connectory.plugins.registry import load_registry
from connectory.spec.load import load_spec
from connectory.testing.recorded.cassettes import cassettes_in, read_cassette
from connectory.testing.recorded.replaying import replay

registry = load_registry()
number = 0
for vendor in sorted(registry.packaged):
    loaded = load_spec(registry, vendor)
    for file in cassettes_in(Path(sys.argv[1]), vendor):
        cassette = read_cassette(file)
        if differences := replay(registry, loaded, cassette):
            raise SystemExit("\n".join(map(str, differences)))
        number += len(cassette.exchanges)
print(json.dumps({"exchanges": number, "a second": number / time.process_time()}))
