"""The records of a list by the Singer SDK, onto standard output: `python singer_list.py --config FILE`"""

import requests
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BasePageNumberPaginator


class Pages(BasePageNumberPaginator):
    def has_more(self, response):
        return self.current_value < response.json()["pages"]


class Records(RESTStream):
    name = "records"
    path = "/records"
    primary_keys = ("id",)
    records_jsonpath = "$.records[*]"
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("name", th.StringType),
        th.Property("email", th.StringType),
        th.Property("created", th.DateTimeType),
        th.Property("updated", th.DateTimeType),
        th.Property("active", th.BooleanType),
        th.Property("visits", th.IntegerType),
        th.Property("balance", th.NumberType),
        th.Property("referrer", th.StringType),
        th.Property("note", th.StringType),
        th.Property(
            "address", th.ObjectType(*(th.Property(part, th.StringType) for part in ("street", "city", "country")))
        ),
        th.Property("tags", th.ArrayType(th.StringType)),
    ).to_dict()

    @property
    def url_base(self):
        return self.config["base"]

    @property
    def http_headers(self):
        if not hasattr(self, "_token"):
            self._token = requests.get(f"{self.url_base}/token", params={"key": "secret"}).text
        return {"Authorization": f"Bearer {self._token}"}

    def get_new_paginator(self):
        return Pages(start_value=1)

    def get_url_params(self, context, next_page_token):
        return {"page": next_page_token or 1, "size": 500}


class BenchTap(Tap):
    name = "tap-bench"
    config_jsonschema = th.PropertiesList(th.Property("base", th.StringType, required=True)).to_dict()

    def discover_streams(self):
        return [Records(tap=self)]


if __name__ == "__main__":
    BenchTap.cli()
