"""Objects and fields as the metadata API shows them, and how they are made, changed and removed."""

from __future__ import annotations

import re
from typing import Any

from emulators.exchange import Record
from emulators.twenty_server import openapi
from emulators.twenty_server.keys import WORKSPACE
from emulators.twenty_server.metadata_faults import fault, name_fault, object_not_found, taken_fault, validation_error
from emulators.twenty_server.model import (
    READ_ONLY_FIELDS,
    SYSTEM_FIELDS,
    Field,
    Model,
    ObjectType,
    label_of,
    named_id,
)
from emulators.twenty_server.refusals import Refusal
from emulators.twenty_server.rest_records import Workspace
from emulators.twenty_server.values import empty_value, iso

# What an API key makes belongs to the workspace's own application.
OWN_APPLICATION = "8ee8d53b-9721-47f7-a1f7-8e5442c0b750"
NAME = re.compile(r"[a-z][a-zA-Z0-9]*")
FIELD_TYPES = frozenset(openapi.FIXED["metadata_schemas"]["Field"]["properties"]["type"]["enum"])
# The objects that people see first; the others are the server's own.
MAIN = ("person", "company", "opportunity", "note", "task")
RATINGS = tuple(f"RATING_{number}" for number in range(1, 6))


# Showing -------------------------------------------------------------------------------------------------------------


def show_field(thing: ObjectType, field: Field) -> Record:
    """A field as lists show it: what is null is left out."""
    system = field.name in SYSTEM_FIELDS
    shown = {
        "id": field.id,
        "universalIdentifier": named_id("universal", thing.singular, field.name),
        "applicationId": field.application,
        "type": field.type,
        "name": field.name,
        "label": field.label,
        "description": field.description,
        "icon": field.icon,
        "isActive": field.active,
        "isSystem": system,
        "isUIEditable": field.name not in READ_ONLY_FIELDS,
        "isUIReadOnly": field.name in READ_ONLY_FIELDS,
        "isNullable": field.nullable,
        "isUnique": field.unique,
        "defaultValue": _default(field),
        "options": field.option_details or _options(thing, field),
        "settings": _settings(thing, field),
        "workspaceId": WORKSPACE,
        "objectMetadataId": thing.id,
        "isLabelSyncedWithName": False,
        "createdAt": iso(field.created),
        "updatedAt": iso(field.updated),
    }
    if field.type == "MORPH_RELATION":
        shown["morphId"] = named_id("morph", thing.singular)
    return {name: value for name, value in shown.items() if value is not None}


def _default(field: Field) -> Any:
    if field.name == "id":
        return "uuid"
    if field.name in ("createdAt", "updatedAt"):
        return "now"
    if field.type == "POSITION":
        return 0
    if field.type == "ACTOR":
        return {"name": "'System'", "source": "'MANUAL'", "workspaceMemberId": None}
    if field.type == "BOOLEAN" and field.default is None:
        return False
    return f"'{field.default}'" if isinstance(field.default, str) else field.default


def _options(thing: ObjectType, field: Field) -> list[Record] | None:
    if not field.options:
        return None
    labels = [text.removeprefix("RATING_").replace("_", " ").capitalize() for text in field.options]
    return [
        {"id": named_id(thing.singular, field.name, value), "label": label, "value": value, "position": place}
        | ({} if field.type == "RATING" else {"color": "sky"})
        for place, (value, label) in enumerate(zip(field.options, labels, strict=True))
    ]


def _settings(thing: ObjectType, field: Field) -> Record | None:
    if field.settings is not None:
        return field.settings
    if field.type == "DATE_TIME" and not thing.custom:
        return {"displayFormat": "RELATIVE"}
    if field.to_many:
        through = {"junctionTargetFieldId": named_id(field.target, field.through)} if field.through else {}
        return {"relationType": "ONE_TO_MANY", **through}
    if field.is_relation:
        on_delete = "CASCADE" if field.type == "MORPH_RELATION" else "SET_NULL"
        return {"onDelete": on_delete, "relationType": "MANY_TO_ONE", "joinColumnName": field.column}
    return {"maxNumberOfValues": 1} if field.single else None


def show_object(thing: ObjectType) -> Record:
    """An object with all its fields."""
    label_field = thing.fields.get("name") or thing.fields.get("title") or thing.fields["id"]
    shown = {
        "id": thing.id,
        "universalIdentifier": named_id("universal", thing.singular),
        "applicationId": thing.application,
        "nameSingular": thing.singular,
        "namePlural": thing.plural,
        "labelSingular": thing.label_singular,
        "labelPlural": thing.label_plural,
        "description": thing.description,
        "icon": thing.icon,
        "shortcut": thing.type_name[0] if thing.singular in MAIN else None,
        "isRemote": False,
        "isActive": thing.active,
        "isSystem": not thing.custom and thing.singular not in MAIN,
        "isUIEditable": True,
        "isUICreatable": thing.custom or thing.singular in MAIN,
        "isUIReadOnly": False,
        "isSearchable": thing.custom or thing.singular in MAIN,
        "isLabelSyncedWithName": False,
        "workspaceId": WORKSPACE,
        "labelIdentifierFieldMetadataId": label_field.id,
        "imageIdentifierFieldMetadataId": thing.fields["avatarFile"].id if "avatarFile" in thing.fields else None,
        "duplicateCriteria": PERSON_CRITERIA if thing.singular == "person" else None,
        "createdAt": iso(thing.created),
        "updatedAt": iso(thing.updated),
        "fields": [show_field(thing, field) for field in thing.fields.values()],
    }
    return {name: value for name, value in shown.items() if value is not None}


PERSON_CRITERIA = [["nameFirstName", "nameLastName"], ["linkedinLinkPrimaryLinkUrl"], ["emailsPrimaryEmail"]]


# Changing ------------------------------------------------------------------------------------------------------------


def make_object(workspace: Workspace, body: Record, now: float) -> ObjectType:
    """Raises Refusal. The faults' wording is recorded for fields; for objects it follows them."""
    singular, plural = str(body.get("nameSingular", "")), str(body.get("namePlural", ""))
    faults = [
        *(name_fault(name) for name in (singular, plural) if not NAME.fullmatch(name)),
        *(taken_fault(name, "object") for name in (singular, plural) if _object_name_taken(workspace.model, name)),
    ]
    if faults:
        minimal = {"nameSingular": singular, "namePlural": plural}
        raise validation_error("objectMetadata", "creating object", faults, minimal)
    thing = workspace.model.add_object(
        singular,
        plural,
        now,
        label_singular=str(body.get("labelSingular") or ""),
        label_plural=str(body.get("labelPlural") or ""),
        description=body.get("description") or "",
        icon=body.get("icon"),
        application=OWN_APPLICATION,
    )
    fit_records(workspace)
    return thing


def _object_name_taken(model: Model, name: str) -> bool:
    return any(name in (thing.singular, thing.plural) for thing in model.objects.values())


def make_field(workspace: Workspace, body: Record, now: float) -> tuple[ObjectType, Field]:
    """Raises Refusal."""
    thing = workspace.model.by_id(str(body.get("objectMetadataId")))
    if thing is None:
        raise object_not_found()
    name, kind = str(body.get("name", "")), str(body.get("type", ""))
    faults = [] if NAME.fullmatch(name) else [name_fault(name)]
    if name in thing.fields or thing.by_column(name):
        faults.append(taken_fault(name, "field"))
    if kind not in FIELD_TYPES:
        faults.append(fault("INVALID_FIELD_INPUT", f"Unsupported field type {kind}", kind))  # wording assumed
    if faults:
        raise validation_error("fieldMetadata", "creating fields", faults, {"name": name}, views=2)
    field = Field(name, kind, named_id(thing.singular, name, "field"), str(body.get("label") or label_of(name)))
    _describe(field, body)
    field.unique = body.get("isUnique") is True
    field.application, field.created, field.updated = OWN_APPLICATION, now, now
    if kind == "RATING":
        field.options = RATINGS
    if kind in ("RELATION", "MORPH_RELATION"):
        _relate(workspace.model, thing, field, body)
    thing.fields[name] = field
    fit_records(workspace)
    return thing, field


def _relate(model: Model, thing: ObjectType, field: Field, body: Record) -> None:
    """`relationCreationPayload` and its keys are assumed: no source here shows how a relation is made."""
    wish = body.get("relationCreationPayload") or {}
    other = model.by_id(str(wish.get("targetObjectMetadataId")))
    if other is None:
        raise object_not_found()
    back = Field(_back_name(thing, other, wish), "RELATION", named_id(other.singular, thing.singular, field.name))
    back.label = str(wish.get("targetFieldLabel") or label_of(back.name))
    back.icon, back.application = wish.get("targetFieldIcon"), OWN_APPLICATION
    back.created = back.updated = field.created
    many, one = (field, back) if wish.get("type") == "ONE_TO_MANY" else (back, field)
    many.target, one.target = (other, thing)[many is back].singular, (other, thing)[one is back].singular
    many.inverse = one.name
    other.fields[back.name] = back


def _back_name(thing: ObjectType, other: ObjectType, wish: Record) -> str:
    words = re.findall(r"[A-Za-z0-9]+", str(wish.get("targetFieldLabel") or ""))
    plain = thing.singular if wish.get("type") == "ONE_TO_MANY" else thing.plural
    name = words[0].lower() + "".join(word.capitalize() for word in words[1:]) if words else plain
    return name if name not in other.fields else f"{name}Of{thing.type_name}"


def change_object(thing: ObjectType, body: Record, now: float) -> None:
    if isinstance(body.get("isActive"), bool):
        thing.active = body["isActive"]
    thing.label_singular = str(body.get("labelSingular") or thing.label_singular)
    thing.label_plural = str(body.get("labelPlural") or thing.label_plural)
    thing.description = body.get("description", thing.description)
    thing.icon = body.get("icon", thing.icon)
    thing.updated = now


def change_field(field: Field, body: Record, now: float) -> None:
    field.label = str(body.get("label") or field.label)
    if isinstance(body.get("isActive"), bool):
        field.active = body["isActive"]
    _describe(field, body)
    field.updated = now


def _describe(field: Field, body: Record) -> None:
    field.description = body.get("description", field.description)
    field.icon = body.get("icon", field.icon if field.updated else None)
    field.nullable = body.get("isNullable", field.nullable)
    field.settings = body.get("settings", field.settings)
    default = body.get("defaultValue", field.default)
    field.default = default.strip("'") if isinstance(default, str) else default
    if isinstance(body.get("options"), list):
        details = [{"id": named_id(field.id, str(option.get("value"))), **option} for option in body["options"]]
        field.option_details, field.options = details, tuple(str(option.get("value")) for option in details)


def drop_object(workspace: Workspace, thing: ObjectType) -> None:
    if not thing.custom:
        # Wording and code assumed.
        raise Refusal("Standard objects cannot be deleted", error="Error", code="OBJECT_MUTATION_NOT_ALLOWED")
    workspace.model.remove_object(thing)
    workspace.store.tables.pop(thing.singular, None)
    fit_records(workspace)


def drop_field(workspace: Workspace, thing: ObjectType, field: Field) -> None:
    if field.application != OWN_APPLICATION:
        # Wording and code assumed.
        raise Refusal("Standard fields cannot be deleted", error="Error", code="FIELD_MUTATION_NOT_ALLOWED")
    del thing.fields[field.name]
    for other in workspace.model.objects.values():
        for back in [f for f in other.relations() if f.target == thing.singular and f.inverse == field.name]:
            del other.fields[back.name]
    fit_records(workspace)


def fit_records(workspace: Workspace) -> None:
    """Give every record the columns that the model has now, new ones with their empty value."""
    for thing in workspace.model.objects.values():
        columns = dict(thing.columns())
        for record in workspace.store.table(thing).values():
            for column, field in columns.items():
                if column not in record:
                    record[column] = empty_value(field)
            for column in record.keys() - columns.keys():
                del record[column]
