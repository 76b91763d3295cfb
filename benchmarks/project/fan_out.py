"""How long a list takes from its first request to its last record, with a token at hand: `python fan_out.py RECORDS`"""

import json
import sys
import time

from connectory import connect

with connect("fanned", concurrent=3) as vendor:
    next(iter(vendor.records.list()))
    began = time.monotonic()
    number = sum(1 for _ in vendor.records.list())
    seconds = time.monotonic() - began
    assert number == int(sys.argv[1]), number
print(json.dumps({"seconds": seconds}))
