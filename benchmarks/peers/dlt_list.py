"""The records of a list by dlt, as its documentation shows: `python dlt_list.py BASE duckdb|jsonl FILE`"""

import sys

import dlt
from dlt.sources.helpers import requests
from dlt.sources.rest_api import rest_api_source

base, kind, place = sys.argv[1:]
token = requests.get(f"{base}/token", params={"key": "secret"}).text
source = rest_api_source(
    {
        "client": {
            "base_url": f"{base}/",
            "auth": {"type": "bearer", "token": token},
            "paginator": {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": "pages"},
        },
        "resources": [
            {
                "name": "records",
                "endpoint": {"path": "records", "params": {"size": 500}, "data_selector": "records"},
            }
        ],
    }
)
destination = dlt.destinations.duckdb(place) if kind == "duckdb" else dlt.destinations.filesystem(place)
pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench", pipelines_dir="pipelines")
pipeline.run(source, loader_file_format="jsonl" if kind == "jsonl" else None)
