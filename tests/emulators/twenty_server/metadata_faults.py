"""How the metadata API refuses: unknown ids, and a third shape of error for input that fails validation."""

from __future__ import annotations

from emulators.exchange import Record
from emulators.twenty_server.model import named_id
from emulators.twenty_server.refusals import Refusal


def object_not_found() -> Refusal:
    return Refusal("Object metadata not found", 404, "Error", "OBJECT_METADATA_NOT_FOUND", graph_code="NOT_FOUND")


def field_not_found() -> Refusal:
    return Refusal("Field metadata not found", 404, "Error", "FIELD_METADATA_NOT_FOUND", graph_code="NOT_FOUND")


def fault(code: str, message: str, value: str) -> Record:
    return {"code": code, "value": value, "message": message, "userFriendlyMessage": message}


def name_fault(name: str) -> Record:
    text = "Name is not valid: it must start with lowercase letter and contain only alphanumeric letters"
    return fault("INVALID_FIELD_INPUT", text, name)


def taken_fault(name: str, kind: str) -> Record:
    text = f'Name "{name}" is not available as it is already used by another {kind}'
    return fault("NOT_AVAILABLE", text, name)


class ValidationError(Refusal):
    """A third shape of error: `message` and `errors` by kind of metadata."""

    def rest(self) -> Record:
        return self.rest_details


def validation_error(kind: str, doing: str, faults: list[Record], minimal: Record, views: int = 0) -> ValidationError:
    """`views` lists would have shown the field: each adds an error of its own."""
    message = f"Multiple validation errors occurred while {doing}"
    about = {"universalIdentifier": named_id("refused", *map(str, minimal.values())), **minimal}
    if kind == "fieldMetadata":
        about["objectMetadataUniversalIdentifier"] = named_id("universal")
    entry = {"status": "fail", "errors": faults, "flatEntityMinimalInformation": about}
    errors: Record = {kind: [entry | {"metadataName": kind, "type": "create"}]}
    if views:
        errors["viewField"] = [_view_error(number) for number in range(views)]
    body = {
        "statusCode": 400,
        "error": "METADATA_VALIDATION_ERROR",
        "message": message,
        "errors": errors,
        "summary": {"totalErrors": 1 + views, kind: 1} | ({"viewField": views} if views else {}),
        "userFriendlyMessage": "Many validation errors",
    }
    return ValidationError(
        message,
        sub_code="METADATA_VALIDATION_FAILED",
        friendly="Many validation errors",
        graph_code="METADATA_VALIDATION_FAILED",
        details={"errors": errors, "summary": body["summary"]},
        rest_details=body,
    )


def _view_error(number: int) -> Record:
    text = "Field metadata not found"
    return {
        "status": "fail",
        "errors": [{"code": "INVALID_VIEW_DATA", "message": text, "userFriendlyMessage": text}],
        "flatEntityMinimalInformation": {
            "universalIdentifier": named_id("view field", str(number)),
            "viewUniversalIdentifier": named_id("view", str(number)),
            "fieldMetadataUniversalIdentifier": named_id("refused"),
        },
        "metadataName": "viewField",
        "type": "create",
    }
