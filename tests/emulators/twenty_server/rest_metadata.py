"""The metadata API over REST: `/rest/metadata/…`, in the older or the newer envelope."""

from __future__ import annotations

from typing import Any, Protocol

import attrs

from emulators.exchange import Answer, Ask, Record
from emulators.twenty_server.answers import answer_json, body_json
from emulators.twenty_server.keys import WORKSPACE, Key
from emulators.twenty_server.metadata import (
    OWN_APPLICATION,
    change_field,
    change_object,
    drop_field,
    drop_object,
    make_field,
    make_object,
    show_field,
    show_object,
)
from emulators.twenty_server.metadata_faults import field_not_found, object_not_found
from emulators.twenty_server.model import Field, ObjectType
from emulators.twenty_server.refusals import Refusal, permission_denied
from emulators.twenty_server.rest_records import UUID, Workspace
from emulators.twenty_server.values import iso

MOST = 1000


class MetadataWorkspace(Workspace, Protocol):
    """What the metadata API needs beside that."""

    direct_metadata: bool
    webhooks: list[Record]
    keys: dict[str, Key]

    def now(self) -> float: ...


@attrs.frozen
class MetadataRestApi:
    """For one request with a good key. Costs no token."""

    workspace: MetadataWorkspace
    ask: Ask
    key: Key

    def answer(self) -> Answer:
        """Raises Refusal."""
        path = self.ask.path.removeprefix("/rest").removeprefix("/metadata").strip("/")
        kind, _, item = path.partition("/")
        if kind == "apiKeys":
            return self._api_keys()
        if not self.key.rights.data_model:
            raise permission_denied(403)
        if kind == "webhooks":
            return self._webhooks(item)
        if kind not in ("objects", "fields") or "/" in item:
            # Wording assumed.
            raise Refusal(f"Query path '{self.ask.path}' invalid. Metadata path must be /objects or /fields")
        if not item:
            return self._list(kind) if self.ask.method in ("GET", "HEAD") else self._make(kind)
        if not UUID.fullmatch(item):
            raise Refusal(f"'{item}' is not a valid UUID")
        return self._object(item) if kind == "objects" else self._field(item)

    # Lists -----------------------------------------------------------------------------------------------------------

    def _list(self, kind: str) -> Answer:
        """By id, descending, as recorded. Cursors are plain ids."""
        objects = self.workspace.model.objects.values()
        shown = (
            [show_object(thing) for thing in objects]
            if kind == "objects"
            else [show_field(thing, field) for thing in objects for field in thing.fields.values()]
        )
        shown.sort(key=lambda item: str(item["id"]), reverse=True)
        page, more = self._page(shown)
        info = {
            "hasNextPage": more,
            "startCursor": page[0]["id"] if page else None,
            "endCursor": page[-1]["id"] if page else None,
        }
        data: Any = page if self.workspace.direct_metadata else {kind: page}
        return answer_json({"data": data, "pageInfo": info, "totalCount": len(shown)})

    def _page(self, shown: list[Record]) -> tuple[list[Record], bool]:
        text = self.ask.argument("limit")
        if text is not None and not text.isdigit():
            raise Refusal(f"limit '{text}' is invalid. Should be an integer")
        limit = MOST if text is None else min(int(text), MOST)
        after, before = self.ask.argument("starting_after"), self.ask.argument("ending_before")
        if after is not None and before is not None:
            raise Refusal("Only one of starting_after and ending_before can be provided")  # wording assumed
        if before is not None:
            rest = shown[: self._index(shown, before)]
            return rest[-limit:] if limit else [], len(rest) > limit
        rest = shown if after is None else shown[self._index(shown, after) + 1 :]
        return rest[:limit], len(rest) > limit

    def _index(self, shown: list[Record], cursor: str) -> int:
        found = next((at for at, item in enumerate(shown) if item["id"] == cursor), None)
        if found is None:
            raise Refusal(f"Invalid cursor: {cursor}")  # wording assumed
        return found

    # One -------------------------------------------------------------------------------------------------------------

    def _make(self, kind: str) -> Answer:
        body = self._body()
        if kind == "objects":
            thing = make_object(self.workspace, body, self.workspace.now())
            shown = {"imageIdentifierFieldMetadataId": None} | show_object(thing)
            return self._shown("createOneObject", shown, 201)
        thing, field = make_field(self.workspace, body, self.workspace.now())
        return self._shown("createOneField", {"defaultValue": None, "options": None} | show_field(thing, field), 201)

    def _object(self, object_id: str) -> Answer:
        thing = self.workspace.model.by_id(object_id)
        if thing is None:
            raise object_not_found()
        if self.ask.method in ("GET", "HEAD"):
            return self._shown("object", show_object(thing))
        if self.ask.method == "DELETE":
            drop_object(self.workspace, thing)
            return self._shown("deleteOneObject", {"id": object_id})
        change_object(thing, self._body(), self.workspace.now())
        return self._shown("updateOneObject", show_object(thing))

    def _field(self, field_id: str) -> Answer:
        thing, field = self._find_field(field_id)
        if self.ask.method in ("GET", "HEAD"):
            return self._shown("field", show_field(thing, field))
        if self.ask.method == "DELETE":
            drop_field(self.workspace, thing, field)
            return self._shown("deleteOneField", {"id": field_id})
        change_field(field, self._body(), self.workspace.now())
        return self._shown("updateOneField", show_field(thing, field))

    def _find_field(self, field_id: str) -> tuple[ObjectType, Field]:
        found = self.workspace.model.field_by_id(field_id)
        if found is None:
            raise field_not_found()
        return found

    def _shown(self, name: str, entity: Record, status: int = 200) -> Answer:
        return answer_json({"data": entity if self.workspace.direct_metadata else {name: entity}}, status)

    def _body(self) -> Record:
        body = body_json(self.ask)
        return body if isinstance(body, dict) else {}

    # Keys and webhooks: raw, without an envelope ---------------------------------------------------------------------

    def _api_keys(self) -> Answer:
        if self.ask.method not in ("GET", "HEAD"):
            raise Refusal("This endpoint requires a session access token", error="Error", code="FORBIDDEN_EXCEPTION")
        return answer_json([show_key(key) for key in self.workspace.keys.values()])

    def _webhooks(self, item: str) -> Answer:
        hooks = self.workspace.webhooks
        if not item:
            if self.ask.method in ("GET", "HEAD"):
                return answer_json(hooks)
            hooks.append(make_webhook(self.workspace, self._body()))
            return answer_json(hooks[-1], 201)
        found = next((hook for hook in hooks if hook["id"] == item), None)
        if found is None:
            raise Refusal("Webhook not found", 404, "Error", "WEBHOOK_NOT_FOUND")  # wording assumed
        if self.ask.method == "DELETE":
            hooks.remove(found)
        elif self.ask.method in ("PATCH", "PUT"):
            found |= self._body() | {"id": item, "updatedAt": iso(self.workspace.now())}
        return answer_json(found)


def show_key(key: Key) -> Record:
    return {
        "workspaceId": WORKSPACE,
        "id": key.id,
        "name": key.name,
        "expiresAt": iso(key.expires),
        "revokedAt": iso(key.revoked_at) if key.revoked_at is not None else None,
        "createdAt": iso(key.created),
        "updatedAt": iso(key.created),
    }


def make_webhook(workspace: MetadataWorkspace, body: Record) -> Record:
    """Deliveries are not emulated."""
    if not isinstance(body.get("targetUrl"), str):
        raise Refusal("targetUrl must be a URL address")  # wording assumed
    now = iso(workspace.now())
    return {
        "id": workspace.store.new_id(),
        "targetUrl": body["targetUrl"],
        "operations": body.get("operations") or ["*.*"],
        "description": body.get("description"),
        "secret": body.get("secret") or workspace.store.new_id(),
        "workspaceId": WORKSPACE,
        "applicationId": OWN_APPLICATION,
        "createdAt": now,
        "updatedAt": now,
        "deletedAt": None,
    }
