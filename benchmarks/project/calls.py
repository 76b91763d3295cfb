"""Many calls of one small operation on one connection: `python calls.py SPEC NUMBER`"""

import sys

from connectory import connect

spec, number = sys.argv[1:]
with connect(spec) as vendor:
    get = vendor.things.get
    for thing in range(int(number)):
        assert get(id=thing)["id"] == thing
