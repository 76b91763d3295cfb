"""Recorded requests by urllib3, answered by vcrpy, compared with nothing: `python replay.py FILE...`"""

import json
import sys
import time

import urllib3
import vcr

number = 0
for file in sys.argv[1:]:
    pool = urllib3.PoolManager(retries=False)
    with vcr.VCR().use_cassette(file, record_mode="none") as cassette:
        for request in cassette.requests:
            pool.request(request.method, request.url, body=request.body, headers=request.headers, redirect=False)
            number += 1
    pool.clear()
print(json.dumps({"exchanges": number, "a second": number / time.process_time()}))
