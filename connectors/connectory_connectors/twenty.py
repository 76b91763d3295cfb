"""Twenty: its spec, and the discovery of a workspace's own objects.

They are read from the workspace's OpenAPI document, for which any valid key will do, else from its data model, which
needs the Data Model right. Sources: both as recorded from server 2.19.0, which takes `createdAt` and `deletedAt` though
the document leaves them out. Which fields are unique only the data model says, so it is asked too. How GraphQL shows
files is documented nowhere: they come over REST only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Any

import attrs

from connectory import BadAnswer, Denied, Discovered, Discoverer, Failed, PagingError, Rejected, hookimpl
from connectory.plugins.kinds import NoOptions
from connectory.spec.jsonschema import dig, reference_of, type_of, words_of
from connectory.spec.naming import capital
from connectory_connectors import spec_file

Json = Mapping[str, Any]
COMPOSITES = {
    "FullName": "firstName lastName",
    "Emails": "primaryEmail additionalEmails",
    "Phones": "primaryPhoneNumber primaryPhoneCountryCode primaryPhoneCallingCode additionalPhones",
    "Links": "primaryLinkUrl primaryLinkLabel secondaryLinks",
    "Address": "addressStreet1 addressStreet2 addressCity addressPostcode addressState addressCountry addressLat "
    "addressLng",
    "Currency": "amountMicros currencyCode",
    "RichText": "blocknote markdown",
    "Actor": "source workspaceMemberId name",
    "File": "fileId label extension url",
}
NAMED = {frozenset(names.split()): name for name, names in COMPOSITES.items()}
MODEL: dict[str, Json] = {  # kinds of field -> schemas as in the OpenAPI document
    **{kind: {"type": "number"} for kind in ("NUMBER", "NUMERIC", "POSITION")},
    **{kind: {"type": "string"} for kind in ("TEXT", "SELECT", "RATING")},
    **{kind: {"items": {"type": "string"}} for kind in ("ARRAY", "MULTI_SELECT")},
    **{kind: {"type": "string", "format": kind.lower().replace("_", "-")} for kind in ("UUID", "DATE", "DATE_TIME")},
    **{
        "BOOLEAN": {"type": "boolean"},
        "FILES": {"items": {"properties": {name: {} for name in COMPOSITES["File"].split()}}},
    },
    **{kind: {"properties": {name: {} for name in names.split()}} for kind, names in COMPOSITES.items()},
}
UNIQUE = {("person", "emails"), ("company", "domainName")}  # in every workspace, though not every key may ask
LARGEST = 1000  # a page of the 10,000 records that one version allows would be tens of megabytes


@attrs.frozen
class Found:
    """An object. `properties` are JSON schemas of its fields and relations; a request takes those not `read_only`."""

    plural: str
    singular: str
    properties: Mapping[str, Json]
    read_only: frozenset[str]


def discover_objects(_options: NoOptions, call: Callable[..., Any]) -> Discovered:
    """Every object of the workspace, standard and custom, and its largest page. Raises CallError."""
    refusals: list[Exception] = []

    def attempt(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (Rejected, Denied, Failed, BadAnswer) as why:
            refusals.append(why)
            return []

    document = attempt(lambda: call("GET", "/rest/open-api/core"))
    model = attempt(lambda: list(read_model(call)))
    things = list(in_document(document)) or [in_model(thing) for thing in model]
    if not things:
        raise refusals[0] if refusals else BadAnswer("neither the OpenAPI document nor the data model names an object")
    found = {capital(thing.singular): thing for thing in things}
    unique = {
        (thing["nameSingular"], f["name"]) for thing in model for f in active(thing) if f.get("isUnique")
    } | UNIQUE
    rows = [
        {"plural": thing.plural, "singular": thing.singular, "type": name, "selection": select(thing, found)}
        for name, thing in found.items()
    ]
    most = dig(document, "components", "parameters", "limit", "schema", "maximum")
    pagers = {"after": {"largest": min(most, LARGEST)}} if isinstance(most, int) and most > 0 else {}
    return Discovered(rows, {name: fields_of(thing, found, unique) for name, thing in found.items()}, pagers)


def in_document(document: Json) -> Iterator[Found]:
    """The objects that have a list call."""
    for path, item in dig(document, "paths").items():
        plural = path[1:]
        singular = next(iter(answered(dig(document, "paths", f"{path}/{{id}}"))), "")
        schemas = dig(document, "components", "schemas")
        properties = dig(schemas, reference_of(dig(answered(item), plural)), "properties")
        if plural.isidentifier() and singular.isidentifier() and properties:
            written = {*dig(schemas, capital(singular), "properties"), "id", "createdAt", "deletedAt"}
            yield Found(plural, singular, properties, frozenset(properties) - written)


def answered(item: Json) -> Any:
    """What stands in `data` of the answer to a GET."""
    answer = dig(item, "get", "responses", "200", "content", "application/json", "schema")
    return dig(answer, "properties", "data", "properties")


def read_model(call: Callable[..., Any]) -> Iterator[Json]:
    """The active objects of the data model, page by page; `data` is the list, or holds it in older versions."""
    cursor: str | None = None
    while True:
        page = call(
            "GET", "/rest/metadata/objects", {"limit": "1000", **({"starting_after": cursor} if cursor else {})}
        )
        data = dig(page, "data")
        yield from (thing for thing in dig(data, "objects") or data if thing.get("isActive", True))
        before, cursor = cursor, dig(page, "pageInfo", "endCursor")
        if not dig(page, "pageInfo", "hasNextPage"):
            return
        if not cursor or cursor == before:
            raise PagingError("the data model's pages do not go on")


def active(thing: Json) -> list[Json]:
    """The fields of an object that people can see."""
    return [field for field in thing.get("fields", ()) if field.get("isActive", True) and field["type"] != "TS_VECTOR"]


def in_model(thing: Json) -> Found:
    """An object of the data model, in the terms of the OpenAPI document."""
    properties: dict[str, Json] = {}
    for field in active(thing):
        name, kind, about = field["name"], field["type"], {"description": field.get("description")}
        if kind.endswith("RELATION"):
            other = str(dig(field, "relation", "targetObjectMetadata", "nameSingular") or "")  # not in every version
            target = {"$ref": capital(other) or "another object"}
            column = dig(field, "settings", "joinColumnName")
            properties |= {column: {"type": "string", "format": "uuid"}} if column else {}
            properties[name] = {"oneOf" if column else "items": [target] if column else target, **about}
        else:
            composite = "".join(word.capitalize() for word in kind.removesuffix("_V2").split("_"))
            values = {"enum": [option["value"] for option in field.get("options") or ()]}
            properties[name] = {**MODEL.get(composite, MODEL.get(kind, {})), **values, **about}
    lists = {name for name, schema in properties.items() if "items" in schema and reference_of(schema)}
    return Found(thing["namePlural"], thing["nameSingular"], properties, frozenset({"updatedAt", *lists}))


def fields_of(thing: Found, found: Mapping[str, Found], unique: set[tuple[str, str]]) -> dict[str, Any]:
    """Fields in the spec's form. A relation to one is told at its id: at its own name other forms are written."""
    fields: dict[str, Any] = {"*": "any"}
    named = {names: name for names, name in NAMED.items() if name not in found}  # an object's type hides a composite's
    for name, schema in thing.properties.items():
        if "oneOf" in schema or not name.isidentifier():
            continue
        beside = thing.properties.get(name.removesuffix("Id"), {})
        relation = beside if "oneOf" in beside else schema
        target = reference_of(relation).removesuffix("ForResponse")
        type_name, own = "any" if reference_of(schema) else type_of(schema, named), (thing.singular, name) in unique
        type_name = {("Emails", False): "PlainEmails", ("Links", True): "UniqueLinks"}.get((type_name, own), type_name)
        marks = {"key": name == "id", "unique": own and type_name.islower(), "read_only": name in thing.read_only}
        about = "; ".join(filter(None, [f"relation to {target}" if target else "", words_of(relation)]))
        fields[name] = {"type": type_name, **{mark: True for mark, holds in marks.items() if holds}, "about": about}
    return fields


def select(thing: Found, found: Mapping[str, Found]) -> str:
    """What GraphQL is asked for: scalars, the parts of composites, and of a relation to one its id and name."""
    words = []
    for name, schema in sorted(thing.properties.items()):
        if not name.isidentifier():  # it would say something else in a query
            continue
        parts = [part for part in dig(schema, "properties") if part.isidentifier()]
        if "oneOf" in schema:
            other = found.get(reference_of(schema).removesuffix("ForResponse"))
            named = other.properties if other else {}
            label = next((label for label in ("name", "title") if label in named), "")
            inner = " ".join(part for part in dig(named, label, "properties") if part.isidentifier())
            parts = ["id", f"{label} {{ {inner} }}" if inner else label]
        elif reference_of(schema) or dig(schema, "items", "properties"):
            continue
        words.append(f"{name} {{ {' '.join(filter(None, parts))} }}" if parts else name)
    return " ".join(words)


@hookimpl
def connectory_specs() -> Sequence[Traversable]:
    return [spec_file("twenty.yaml")]


@hookimpl
def connectory_discover() -> Mapping[str, Discoverer]:
    about = "the workspace's OpenAPI document, else its data model"
    return {"workspace_objects": Discoverer(NoOptions, discover_objects, about)}
