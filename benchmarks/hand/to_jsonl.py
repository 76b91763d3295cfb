"""The records of a list, one a line: what one writes by hand. `python to_jsonl.py BASE FILE`"""

import sys

import orjson
import urllib3

base, file = sys.argv[1:]
pool = urllib3.PoolManager()
token = pool.request("GET", f"{base}/token", fields={"key": "secret"}).data.decode()
headers = {"Authorization": f"Bearer {token}"}
number, pages = 1, 1
with open(file, "wb") as out:
    while number <= pages:
        response = pool.request("GET", f"{base}/records", fields={"page": str(number), "size": "500"}, headers=headers)
        if response.status != 200:
            raise SystemExit(f"{response.status}: {response.data[:200]!r}")
        answer = orjson.loads(response.data)
        pages = answer["pages"]
        for record in answer["records"]:
            out.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        number += 1
