"""The objects that an organisation has made for itself in Salesforce, with their fields, from its describe calls.

Source: https://developer.salesforce.com/docs (REST API Developer Guide: Describe Global, sObject Describe).
"""

from collections.abc import Callable, Mapping
from typing import Any

from connectory import Discovered, Discoverer, hookimpl
from connectory.plugins.kinds import NoOptions

TYPES = {"boolean": "bool", "int": "int", "double": "float", "date": "date", "datetime": "datetime", "address": "any"}


def describe(_options: NoOptions, call: Callable[..., Any]) -> Discovered:
    """Every custom object that may be queried, one call for each. Raises CallError."""
    rows, types = [], {}
    for each in call("GET", "/sobjects")["sobjects"]:
        if each["custom"] and each["queryable"]:
            fields = call("GET", f"/sobjects/{each['name']}/describe")["fields"]
            named = ", ".join(field["name"] for field in fields)
            rows.append({"name": each["name"], "resource": each["name"].lower(), "fields": named})
            types[each["name"]] = {**{field["name"]: field_of(field) for field in fields}, "*": "any"}
    return Discovered(rows, types)


def field_of(field: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "type": TYPES.get(field["type"], "str"),
        "key": field["type"] == "id",
        "read_only": not field["createable"] and not field["updateable"],
        "about": field["label"],
    }


@hookimpl
def connectory_discover() -> Mapping[str, Discoverer]:
    return {"describe": Discoverer(NoOptions, describe, "the organisation's own objects, by its describe calls")}
