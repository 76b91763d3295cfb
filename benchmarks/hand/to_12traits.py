"""The rows of a Parquet file to 12traits, a thousand a request, unchecked: `python to_12traits.py BASE FILE`"""

import sys

import orjson
import pyarrow.parquet
import urllib3

base, file = sys.argv[1:]
pool = urllib3.PoolManager()
headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
accepted = 0
for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=1000):
    rows = batch.to_pylist()
    for row in rows:
        row["timestamp"] = row["timestamp"].strftime("%Y-%m-%d %H:%M:%S")
    response = pool.request("POST", f"{base}/v1/purchases", body=orjson.dumps({"purchases": rows}), headers=headers)
    if response.status != 201:
        raise SystemExit(f"{response.status}: {response.data[:200]!r}")
    accepted += int(orjson.loads(response.data)["message"].split()[0])
print(accepted)
