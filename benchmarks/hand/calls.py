"""Many requests of one small object on one connection: `python calls.py BASE NUMBER`"""

import sys

import orjson
import urllib3

base, number = sys.argv[1:]
pool = urllib3.PoolManager()
for thing in range(int(number)):
    response = pool.request("GET", f"{base}/things/{thing}")
    if response.status != 200:
        raise SystemExit(f"{response.status}: {response.data[:200]!r}")
    assert orjson.loads(response.data)["id"] == thing
