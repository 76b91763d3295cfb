"""The objects that an account of HubSpot has made for itself, from their schemas; the known ones stay beside them.

Source: https://developers.hubspot.com/docs/api-reference (crm-object-schemas/v3/schemas).
"""

from collections.abc import Callable, Mapping
from typing import Any

from connectory import Discovered, Discoverer, hookimpl
from connectory.plugins.kinds import NoOptions
from connectory.spec.naming import capital


def discover_schemas(_options: NoOptions, call: Callable[..., Any]) -> Discovered:
    """The account's own kinds of objects by their full names. Raises CallError."""
    rows = []
    types: dict[str, Mapping[str, Any]] = {}
    for schema in call("GET", "/crm-object-schemas/v3/schemas")["results"]:
        name = schema["fullyQualifiedName"]
        rows.append({"plural": name, "changed": "hs_lastmodifieddate", "type": capital(name)})
        types[capital(name)] = {
            "id": "str! key",
            "properties": f"{capital(name)}Properties",
            **dict.fromkeys(("createdAt", "updatedAt"), "datetime"),
            "*": "any",
        }
        properties = {each["name"]: {"type": "str", "about": each["label"]} for each in schema["properties"]}
        types[f"{capital(name)}Properties"] = {**properties, "*": "any"}
    return Discovered(rows, types)


@hookimpl
def connectory_discover() -> Mapping[str, Discoverer]:
    return {"account_schemas": Discoverer(NoOptions, discover_schemas, "the schemas of the account's own objects")}
