"""The records of a list into a PostgreSQL table by COPY, each page as CSV: `python to_postgres.py BASE ADDRESS`"""

import csv
import io
import sys
from typing import Any

import orjson
import psycopg
import urllib3

TABLE = """
CREATE TABLE records (id bigint, name text, email text, created timestamptz, updated timestamptz, active boolean,
    visits bigint, balance double precision, referrer text, note text, address jsonb, tags text[])
"""


def in_columns(record: dict[str, Any]) -> list[Any]:
    """Its values; an array as PostgreSQL writes one."""
    values = list(record.values())
    values[10] = orjson.dumps(values[10]).decode()
    values[11] = "{" + ",".join(values[11]) + "}"
    return values


base, address = sys.argv[1:]
pool = urllib3.PoolManager()
token = pool.request("GET", f"{base}/token", fields={"key": "secret"}).data.decode()
headers = {"Authorization": f"Bearer {token}"}
number, pages = 1, 1
with psycopg.connect(address) as connection:
    connection.execute("DROP TABLE IF EXISTS records")
    connection.execute(TABLE)
    with connection.cursor().copy(r"COPY records FROM STDIN (FORMAT csv, NULL '\N')") as copy:
        while number <= pages:
            response = pool.request(
                "GET", f"{base}/records", fields={"page": str(number), "size": "500"}, headers=headers
            )
            if response.status != 200:
                raise SystemExit(f"{response.status}: {response.data[:200]!r}")
            answer = orjson.loads(response.data)
            pages = answer["pages"]
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            for record in answer["records"]:
                if record["referrer"] is None:
                    record["referrer"] = r"\N"
                writer.writerow(in_columns(record))
            copy.write(text.getvalue())
            number += 1
