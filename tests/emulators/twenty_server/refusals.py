"""What the server says when it refuses, in the words of both its APIs."""

from __future__ import annotations

from typing import Any

import attrs

GENERAL = "An error occurred."


@attrs.define
class Refusal(Exception):
    """A refused operation: how REST and how GraphQL tell it.

    `error` and `code` stand in the REST body, `sub_code`, `friendly` and `graph_code` in GraphQL's extensions;
    `details` are further keys of the extensions (GraphQL) or of the body (REST, `rest_details`).
    """

    message: str
    status: int = 400
    error: str = "BadRequestException"
    code: str = ""
    sub_code: str = "INVALID_ARGS_DATA"
    friendly: Any = GENERAL
    graph_code: str = "BAD_USER_INPUT"
    details: dict[str, Any] = attrs.field(factory=dict)
    rest_details: dict[str, Any] = attrs.field(factory=dict)
    headers: tuple[tuple[str, str], ...] = ()

    def rest(self) -> dict[str, Any]:
        body = {"statusCode": self.status, "error": self.error, "messages": [self.message], **self.rest_details}
        return body | ({"code": self.code} if self.code else {})

    def graphql(self) -> dict[str, Any]:
        extensions = {"subCode": self.sub_code} if self.sub_code else {}
        extensions |= {"userFriendlyMessage": self.friendly, **self.details, "code": self.graph_code}
        return {"message": self.message, "extensions": extensions}


def bad_value(message: str, friendly: str = GENERAL) -> Refusal:
    return Refusal(message, friendly=friendly)


def unknown_field(singular: str, name: str) -> Refusal:
    return Refusal(f'Object {singular} doesn\'t have any "{name}" field.')


def not_found() -> Refusal:
    return Refusal(
        "Record not found",
        404,
        "NotFoundException",
        sub_code="RECORD_NOT_FOUND",
        friendly="This record does not exist or has been deleted.",
        graph_code="NOT_FOUND",
    )


def duplicate(label: str, singular: str, record_id: str) -> Refusal:
    """REST does not say which record holds the value, GraphQL does."""
    return Refusal(
        "A duplicate entry was detected",
        sub_code="",
        friendly=f"This {label} value is already in use. Please check your data and try again.",
        details={"conflictingRecordId": record_id, "conflictingObjectNameSingular": singular},
    )


def ambiguous_upsert(matches: list[str]) -> Refusal:
    """`matches` are `field: value` texts."""
    message = (
        f"Multiple records found with the same unique field values for {', '.join(matches)}. "
        "Cannot determine which record to update."
    )
    return Refusal(message, sub_code="UPSERT_MULTIPLE_MATCHING_RECORDS_CONFLICT", friendly=message)


def too_many(most: int) -> Refusal:
    message = f"Maximum number of records to upsert is {most}."
    return Refusal(message, sub_code="TOO_MANY_RECORDS_TO_UPDATE", friendly=message)


def permission_denied(status: int = 400) -> Refusal:
    """400 on records, 403 on metadata."""
    return Refusal(
        "Entity performing the request does not have permission",
        status,
        "Error",
        "PERMISSION_DENIED",
        sub_code="PERMISSION_DENIED",
        friendly="User does not have permission.",
        graph_code="FORBIDDEN",
    )


def invalid_cursor(text: str) -> Refusal:
    return Refusal(f"Invalid cursor: {text}", sub_code="INVALID_CURSOR")


def cursor_of_other_order() -> Refusal:
    return Refusal("Invalid cursor", error="Error", code="INVALID_CURSOR", sub_code="INVALID_CURSOR")


def missing_argument(name: str, kind: str) -> Refusal:
    return Refusal(f'Missing required argument: "{name}" ({kind})', sub_code="INVALID_QUERY_INPUT")


def type_error(message: str) -> Refusal:
    """A JavaScript TypeError that the server passes on with status 400."""
    return Refusal(message, error="TypeError")
