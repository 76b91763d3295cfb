"""The workspace's own OpenAPI documents, written from its data model in the recorded shape."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from emulators.twenty_server.model import Field, Model, ObjectType, capital

Schema = dict[str, Any]

FIXED: Schema = json.loads(Path(__file__).with_name("openapi.json").read_text(encoding="utf-8"))
"""What is the same in every workspace: parameters, responses, security, the paths' forms, the metadata document."""

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
ID: Schema = {"type": "string", "format": "uuid"}
SOURCES = ["EMAIL", "CALENDAR", "WORKFLOW", "AGENT", "API", "IMPORT", "MANUAL", "SYSTEM", "WEBHOOK"]


def of(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


SIMPLE: dict[str, Schema] = {
    "TEXT": TEXT,
    "UUID": ID,
    "DATE_TIME": {"type": "string", "format": "date-time"},
    "DATE": {"type": "string", "format": "date"},
    "POSITION": NUMBER,
    "NUMERIC": NUMBER,
    "BOOLEAN": {"type": "boolean"},
    "RAW_JSON": {"type": "object"},
    "ARRAY": listed(TEXT),
    "FULL_NAME": of(firstName=TEXT, lastName=TEXT),
    "EMAILS": of(primaryEmail=TEXT, additionalEmails=listed({"type": "string", "format": "email"})),
    "LINKS": of(
        primaryLinkLabel=TEXT,
        primaryLinkUrl=TEXT,
        secondaryLinks=listed(
            {
                "type": "object",
                "description": "A secondary link",
                "properties": {"url": {"type": "string", "format": "uri"}, "label": TEXT},
            }
        ),
    ),
    "PHONES": of(
        additionalPhones=listed(of(number=TEXT, countryCode=TEXT, callingCode=TEXT)),
        primaryPhoneCountryCode=TEXT,
        primaryPhoneCallingCode=TEXT,
        primaryPhoneNumber=TEXT,
    ),
    "CURRENCY": of(amountMicros=NUMBER, currencyCode=TEXT),
    "ADDRESS": of(
        addressStreet1=TEXT,
        addressStreet2=TEXT,
        addressCity=TEXT,
        addressPostcode=TEXT,
        addressState=TEXT,
        addressCountry=TEXT,
        addressLat=NUMBER,
        addressLng=NUMBER,
    ),
    "RICH_TEXT": of(blocknote=TEXT, markdown=TEXT),
}
EXAMPLES: dict[str, Any] = {
    "FULL_NAME": {"firstName": "Frieda", "lastName": "Greenfelder"},
    "EMAILS": {"primaryEmail": "frieda@example.com", "additionalEmails": None},
    "LINKS": {"primaryLinkLabel": "", "primaryLinkUrl": "https://example.com", "secondaryLinks": []},
    "PHONES": {
        "primaryPhoneNumber": "06 10 20 30 40",
        "primaryPhoneCallingCode": "+33",
        "primaryPhoneCountryCode": "FR",
        "additionalPhones": [],
    },
    "CURRENCY": {"amountMicros": "903000000", "currencyCode": "EUR"},
}


def field_schema(field: Field, *, answered: bool) -> Schema:
    """A column's schema; an answer tells more of actors and files than a request may say."""
    if field.is_relation:
        return dict(ID)
    if field.type == "NUMBER":
        schema: Schema = {"type": "number" if field.fractional else "integer"}
    elif field.type in ("SELECT", "RATING"):
        schema = {"type": "string", "enum": list(field.options)}
    elif field.type == "MULTI_SELECT":
        schema = listed({"type": "string", "enum": list(field.options)})
    elif field.type == "ACTOR":
        more = {"workspaceMemberId": ID, "name": TEXT} if answered else {}
        schema = of(source={"type": "string", "enum": SOURCES}, **more)
    elif field.type == "FILES":
        more = {"extension": TEXT, "url": TEXT} if answered else {}
        schema = listed(of(fileId=ID, label=TEXT, **more))
    else:
        schema = copy.deepcopy(SIMPLE[field.type])
    return schema | _described(field.description)


def _described(text: str) -> Schema:
    return {"description": text} if text else {}


def schemas_of(thing: ObjectType) -> dict[str, Schema]:
    """`Person`, `PersonForUpdate` and `PersonForResponse`."""
    written = [
        (column, field)
        for column, field in thing.columns()
        if field.name not in ("id", "createdAt", "updatedAt", "deletedAt") and field.type != "TS_VECTOR"
    ]
    read = [(column, field) for column, field in thing.columns() if field.type != "TS_VECTOR"]
    about: Schema = {"type": "object"} | _described(thing.description)
    properties = {column: field_schema(field, answered=False) for column, field in written}
    answer = {column: field_schema(field, answered=True) for column, field in read}
    answer |= {field.name: _relation_schema(field) for field in thing.relations()}
    required = [field.name for field in thing.fields.values() if field.required]
    body: Schema = about | {"properties": properties, "example": _example(thing)}
    return {
        thing.type_name: body | ({"required": required} if required else {}),
        f"{thing.type_name}ForUpdate": about | {"properties": properties, "example": _example(thing)},
        f"{thing.type_name}ForResponse": about | {"properties": answer},
    }


def _relation_schema(field: Field) -> Schema:
    reference = {"$ref": f"#/components/schemas/{capital(field.target)}ForResponse"}
    schema: Schema = listed(reference) if field.to_many else {"type": "object", "oneOf": [reference]}
    return schema | _described(field.description)


def _example(thing: ObjectType) -> Schema:
    example: Schema = {}
    for field in thing.fields.values():
        if field.type in EXAMPLES:
            example[field.name] = EXAMPLES[field.type]
        elif field.type == "TEXT" and field.name == "name":
            example[field.name] = f"{thing.label_singular} name"
        elif field.type == "SELECT":
            example[field.name] = field.options[0]
        elif field.type == "MULTI_SELECT":
            example[field.name] = [field.options[0]]
        elif field.required:
            example[field.name] = {} if field.type == "RAW_JSON" else None
    return example


def core_document(model: Model, url: str) -> Schema:
    """`GET /rest/open-api/core` for a good key."""
    things = sorted((t for t in model.objects.values() if t.active), key=lambda thing: thing.plural.lower())
    document = _frame(url, "/rest/", FIXED["core_limit"])
    document["components"]["schemas"] = {n: schema for thing in things for n, schema in schemas_of(thing).items()}
    document["paths"] = {"/open-api/core": _own_path(url)}
    for thing in things:
        document["paths"] |= _filled(FIXED["object_paths"], thing)
    document["webhooks"] = {name: hook for thing in things for name, hook in _webhooks(thing).items()}
    document["tags"] = _tags(thing.plural for thing in things)
    return document


def metadata_document(url: str) -> Schema:
    """`GET /rest/open-api/metadata`: objects and fields (the recorded one has views and more besides)."""
    document = _frame(url, "/rest/metadata", FIXED["metadata_limit"])
    document["components"]["schemas"] = FIXED["metadata_schemas"]
    document["paths"] = {"/open-api/metadata": _own_path(url), **FIXED["metadata_paths"]}
    document["tags"] = _tags(["objects", "fields", "webhooks", "apiKeys"])
    return document


def skeleton(url: str, base: str) -> Schema:
    """The document without a key: nothing of the workspace in it. Its exact form is assumed."""
    document = _frame(url, base, FIXED["core_limit"])
    document["components"]["schemas"] = {}
    name = "metadata" if "metadata" in base else "core"
    document["paths"] = {f"/open-api/{name}": _own_path(url)}
    document["tags"] = _tags([])
    return document


def _frame(url: str, base: str, limit: Schema) -> Schema:
    components = copy.deepcopy(FIXED["components"])
    components["parameters"]["limit"] = limit
    return {
        "openapi": FIXED["openapi"],
        "info": FIXED["info"],
        "servers": [{"url": f"{url}{base}", "description": "Production Development"}],
        "components": components,
        "security": FIXED["security"],
        "externalDocs": FIXED["externalDocs"],
    }


def _tags(plurals: Iterable[str]) -> list[Schema]:
    tags = [{"name": name, "description": f"Object `{capital(name)}`"} for name in plurals]
    return [{"name": "General", "description": "General requests"}, *tags]


def _own_path(url: str) -> Schema:
    return {"get": FIXED["own_path"] | {"servers": [{"url": url}]}}


def _filled(template: Schema, thing: ObjectType) -> Schema:
    """The template's `gadget`, `gadgets`, `Gadget` and `Gadgets` replaced by the object's names."""
    names: dict[str, Callable[[ObjectType], str]] = {
        "<Plural>": lambda it: capital(it.plural),
        "<plural>": lambda it: it.plural,
        "<Singular>": lambda it: it.type_name,
        "<singular>": lambda it: it.singular,
    }
    text = json.dumps(template)
    for mark, name in names.items():
        text = text.replace(mark, name(thing))
    filled: Schema = json.loads(text)
    return filled


def _webhooks(thing: ObjectType) -> Schema:
    return _filled(FIXED["object_webhooks"], thing)
