"""A change in SQL by DuckDB alone: `python change.py SOURCE FILE`"""

import sys

import duckdb

source, file = sys.argv[1:]
connection = duckdb.connect(file)
connection.execute("SET TimeZone = 'UTC'")
connection.execute(f"ATTACH '{source}' AS source (READ_ONLY)")
connection.execute("""
CREATE TABLE changed AS
SELECT id, upper(name) AS name, email, date_trunc('day', created) AS day, visits * balance AS worth,
    address.city AS city, len(tags) AS tags
FROM source.records WHERE active
""")
connection.close()
