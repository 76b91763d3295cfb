"""The records of a list into a DuckDB table with typed columns: `python to_duckdb.py BASE FILE`

Of the ways in that were tried (pyarrow from dicts, whole pages and `unnest`), lines in a file that DuckDB reads with
given types took the least CPU.
"""

import sys
import tempfile

import duckdb
import orjson
import urllib3

COLUMNS = {
    "id": "BIGINT",
    "name": "VARCHAR",
    "email": "VARCHAR",
    "created": "TIMESTAMPTZ",
    "updated": "TIMESTAMPTZ",
    "active": "BOOLEAN",
    "visits": "BIGINT",
    "balance": "DOUBLE",
    "referrer": "VARCHAR",
    "note": "VARCHAR",
    "address": "STRUCT(street VARCHAR, city VARCHAR, country VARCHAR)",
    "tags": "VARCHAR[]",
}

base, file = sys.argv[1:]
pool = urllib3.PoolManager()
token = pool.request("GET", f"{base}/token", fields={"key": "secret"}).data.decode()
headers = {"Authorization": f"Bearer {token}"}
number, pages = 1, 1
with tempfile.NamedTemporaryFile(suffix=".jsonl", dir=".") as lines:
    while number <= pages:
        response = pool.request("GET", f"{base}/records", fields={"page": str(number), "size": "500"}, headers=headers)
        if response.status != 200:
            raise SystemExit(f"{response.status}: {response.data[:200]!r}")
        answer = orjson.loads(response.data)
        pages = answer["pages"]
        for record in answer["records"]:
            lines.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        number += 1
    lines.flush()
    connection = duckdb.connect(file)
    connection.execute(f"CREATE TABLE records ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
    connection.execute(
        f"INSERT INTO records SELECT * FROM read_json('{lines.name}', format='newline_delimited', columns={COLUMNS})"
    )
    connection.close()
