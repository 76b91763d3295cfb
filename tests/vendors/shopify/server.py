"""Shopify's GraphQL Admin API on loopback, as its documentation describes it, of the version 2025-07.

Sources, all under https://shopify.dev: /docs/api/admin-graphql (authentication, status and error codes),
/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant,
/docs/apps/build/apis/graphql-admin/rate-limits and /docs/api/usage/limits (calculated cost, the leaky bucket),
/docs/api/admin-graphql/2025-07/queries/products, /docs/api/admin-graphql/2025-07/mutations/metafieldsSet,
/docs/api/usage/bulk-operations/queries, /docs/api/admin-graphql/2025-07/objects/BulkOperation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import attrs

from emulators.exchange import Answer, Ask, Record, Refused
from emulators.server import Emulator

ACCESS_TOKEN = "shpat_0d1f5c1c2a"
CLIENT, CLIENT_SECRET = "app-client-id", "shpss_9a7d21"
MOST, RESTORED = 2000.0, 100.0  # points: the standard plan's bucket, and what comes back a second
MUTATION_COST = 10
NAME, FILES = "shop.myshopify.com", "storage.googleapis.com"

# The part of the schema that is served: of each root its kind, the types of its variables, and every name that may
# stand in its selection.
TYPES: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    "products": (
        "query",
        {"first": "Int!", "after": "String", "query": "String"},
        "first after query sortKey UPDATED_AT nodes id title status updatedAt pageInfo hasNextPage endCursor",
    ),
    "metafieldsSet": (
        "mutation",
        {"metafields": "[MetafieldsSetInput!]!"},
        "metafields id key userErrors field message code elementIndex",
    ),
    "bulkOperationRunQuery": (
        "mutation",
        {"query": "String!"},
        "query bulkOperation id status userErrors field message code",
    ),
    "node": ("query", {"id": "ID!"}, "id on BulkOperation status errorCode objectCount url"),
}

Resolver = Callable[[Mapping[str, Any]], tuple[Any, int]]


@attrs.define(eq=False, kw_only=True, slots=False)
class Shopify(Emulator):
    """Shopify: `url` stands for `https://shop.myshopify.com` and, told apart by Host, for the files of bulk exports."""

    products: list[Record] = attrs.field(factory=list)
    available: float = MOST
    """Points in the bucket, when it was last looked at."""
    most_a_query: int = 1000
    scopes: frozenset[str] = frozenset({"read_products", "write_products"})
    polls: int = 3
    """How often a bulk operation is still running when it is asked for."""
    bulk_ends: str = "COMPLETED"
    """What becomes of a bulk operation: COMPLETED, FAILED, CANCELED or EXPIRED."""
    bulk_finds: bool = True
    busy_until: float = 0.0
    """Until then an export that somebody else has started is under way."""

    metafields: dict[tuple[str, str, str], Record] = attrs.field(init=False, factory=dict)
    issued: list[str] = attrs.field(init=False, factory=list)
    bulks: dict[str, Record] = attrs.field(init=False, factory=dict)
    files: dict[str, bytes] = attrs.field(init=False, factory=dict)
    _good: set[str] = attrs.field(init=False, factory=set)
    _looked: float = attrs.field(init=False, default=0.0)

    def add_products(self, count: int) -> None:
        """So many products, each changed a minute after the one before."""
        for number in range(count):
            changed = datetime.fromtimestamp(1_790_000_000 + 60 * number, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            id = f"gid://shopify/Product/{1000 + number}"
            self.products.append({"id": id, "title": f"Hat {number}", "status": "ACTIVE", "updatedAt": changed})

    # One request --------------------------------------------------------------------------------------------------

    def answer(self, ask: Ask) -> Answer:
        if ask.header("Host") == FILES:
            return self._file(ask)
        if ask.header("Host") != NAME and "127.0.0.1" not in (ask.header("Host") or ""):
            raise Refused(Answer.json({"errors": "Not Found"}, 404))
        if ask.route == "POST /admin/oauth/access_token":
            return self._grant(ask)
        if ask.header("X-Shopify-Access-Token") not in self._good | {ACCESS_TOKEN}:
            words = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            raise Refused(Answer.json({"errors": words}, 401))
        if ask.route != "POST /admin/api/2025-07/graphql.json":
            raise Refused(Answer.json({"errors": "Not Found"}, 404))
        asked = ask.json()
        return self._execute(asked["query"], asked.get("variables") or {})

    def _grant(self, ask: Ask) -> Answer:
        wanted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": CLIENT_SECRET}
        if ask.media_type != "application/x-www-form-urlencoded" or dict(parse_qsl(ask.body.decode())) != wanted:
            raise Refused(Answer.json({"error": "invalid_client"}, 400))
        self.issued.append(f"shpca_{len(self.issued) + 1}")
        self._good = {self.issued[-1]}
        return Answer.json({"access_token": self.issued[-1], "scope": "write_products", "expires_in": 86399})

    def expire_tokens(self) -> None:
        self._good.clear()

    # GraphQL ------------------------------------------------------------------------------------------------------

    def _execute(self, document: str, variables: Mapping[str, Any]) -> Answer:
        head, root, body = parsed(document)
        if (problem := wrong_with(head, root, body, variables)) is not None:
            return self._errors(problem, "undefinedField")
        resolvers: Mapping[str, Resolver] = {
            "products": self._products,
            "metafieldsSet": self._set_metafields,
            "bulkOperationRunQuery": self._run_query,
            "node": self._node,
        }
        wanted = 2 + variables.get("first", 0) if root == "products" else MUTATION_COST if "mutation" in head else 1
        if wanted > self.most_a_query:
            return self._errors(
                f"Query cost is {wanted}, which exceeds the single query max", "MAX_COST_EXCEEDED", wanted
            )
        if wanted > self._refilled():
            return self._errors("Throttled", "THROTTLED", wanted)
        if "read_products" not in self.scopes:
            return self._errors(f"Access denied for {root} field.", "ACCESS_DENIED", wanted)
        data, cost = resolvers[root](variables)
        if root == "products":
            data = selected(data, body)
        self.available -= cost
        return Answer.json({"data": {root: data}, "extensions": self._cost(wanted, cost)})

    def _refilled(self) -> float:
        now = self.clock.now()
        self.available = min(MOST, self.available + RESTORED * max(0.0, now - (self._looked or now)))
        self._looked = now
        return self.available

    def _cost(self, wanted: int, cost: int | None) -> Record:
        status = {"maximumAvailable": MOST, "currentlyAvailable": int(self.available), "restoreRate": RESTORED}
        return {"cost": {"requestedQueryCost": wanted, "actualQueryCost": cost, "throttleStatus": status}}

    def _errors(self, message: str, code: str, wanted: int = 0) -> Answer:
        body = {"errors": [{"message": message, "extensions": {"code": code}}], "extensions": self._cost(wanted, None)}
        return Answer.json(body)

    def _products(self, variables: Mapping[str, Any]) -> tuple[Any, int]:
        rows = sorted(self.products, key=lambda one: one["updatedAt"])
        if query := variables.get("query"):
            term = re.fullmatch(r"updated_at:>='([^']+)'", query)
            rows = [one for one in rows if term and one["updatedAt"] >= term[1]]
        start = int(variables["after"]) if variables.get("after") else 0
        nodes = rows[start : start + variables["first"]]
        end = start + len(nodes)
        info = {"hasNextPage": end < len(rows), "endCursor": str(end) if nodes else None}
        return {"nodes": nodes, "pageInfo": info}, 2 + len(nodes)

    def _set_metafields(self, variables: Mapping[str, Any]) -> tuple[Any, int]:
        """All or nothing: what is wrong with each, and nothing is kept."""
        given: Sequence[Record] = variables["metafields"]
        errors = [error for index, one in enumerate(given) if (error := self._wrong(one, index)) is not None]
        if len(given) > 25:
            errors = [told("Exceeded the maximum metafields input limit of 25.", "LESS_THAN_OR_EQUAL_TO", None)]
        if not errors:
            self.metafields |= {(one["ownerId"], one["namespace"], one["key"]): one for one in given}
        kept = [] if errors else [{"id": f"gid://shopify/Metafield/{id(one)}", "key": one["key"]} for one in given]
        return {"metafields": kept or None, "userErrors": errors}, MUTATION_COST

    def _wrong(self, one: Record, index: int) -> Record | None:
        if all(one["ownerId"] != product["id"] for product in self.products):
            return told("Owner does not exist.", "INVALID", index, "ownerId")
        if one["type"] == "number_integer" and not re.fullmatch(r"-?\d+", one["value"]):
            return told("Value must be an integer.", "INVALID_VALUE", index, "value")
        return None

    # Bulk exports -------------------------------------------------------------------------------------------------

    def _run_query(self, variables: Mapping[str, Any]) -> tuple[Any, int]:
        running = any(bulk["status"] in ("CREATED", "RUNNING") for bulk in self.bulks.values())
        if running or self.clock.now() < self.busy_until:
            words = "A bulk query operation for this app and shop is already in progress."
            return refused_bulk(words, "OPERATION_IN_PROGRESS"), MUTATION_COST
        if not re.search(r"\bedges\b", variables["query"]):
            return refused_bulk("Bulk queries must contain at least one connection.", "INVALID"), MUTATION_COST
        id = f"gid://shopify/BulkOperation/{len(self.bulks) + 1}"
        self.bulks[id] = {"id": id, "status": "CREATED", "errorCode": None, "objectCount": "0", "url": None}
        self.bulks[id]["left"] = self.polls
        return {"bulkOperation": {"id": id, "status": "CREATED"}, "userErrors": []}, MUTATION_COST

    def _node(self, variables: Mapping[str, Any]) -> tuple[Any, int]:
        bulk = self.bulks.get(variables["id"])
        if bulk is None:
            return None, 1
        if bulk["left"] > 0:
            bulk["status"] = "RUNNING"
        elif bulk["status"] in ("CREATED", "RUNNING"):
            bulk |= self._completed() if self.bulk_ends == "COMPLETED" else {"status": self.bulk_ends}
        bulk["left"] -= 1
        return {name: value for name, value in bulk.items() if name != "left"}, 1

    def _completed(self) -> Record:
        """A file of lines, each object under the one that it belongs to; none where nothing was found."""
        lines: list[Record] = []
        for product in self.products if self.bulk_finds else []:
            lines.append({"id": product["id"], "title": product["title"]})
            variant = product["id"].replace("Product", "ProductVariant")
            lines.append({"id": variant, "price": "9.50", "__parentId": product["id"]})
        if not lines:
            return {"status": "COMPLETED"}
        path = f"/shopify-tiers-assets/bulk-{len(self.bulks)}.jsonl"
        self.files[path] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        url = f"https://{FILES}{path}?X-Goog-Signature=4f2c"
        return {"status": "COMPLETED", "objectCount": str(len(lines)), "url": url}

    def _file(self, ask: Ask) -> Answer:
        """A signed URL is its own credential; another one with it is refused."""
        if ask.header("X-Shopify-Access-Token") or ask.argument("X-Goog-Signature") != "4f2c":
            return Answer.text("<Error><Code>AccessDenied</Code></Error>", 403, "application/xml")
        return Answer(200, self.files[ask.path], "application/jsonl")


def parsed(document: str) -> tuple[str, str, str]:
    """What stands before the selection, the name of its one field, and the selection."""
    found = re.fullmatch(r"\s*((?:query|mutation)?[^{]*)\{\s*(\w+)(.*)\}\s*", document, re.DOTALL)
    if found is None or document.count("{") != document.count("}"):
        raise Refused(Answer.json({"errors": [{"message": "Parse error", "extensions": {"code": "parseError"}}]}))
    return found[1], found[2], found[3]


def wrong_with(head: str, root: str, body: str, variables: Mapping[str, Any]) -> str | None:
    """What the schema does not know of a document and its variables."""
    if root not in TYPES:
        return f"Field '{root}' doesn't exist on type 'QueryRoot'"
    kind, types, names = TYPES[root]
    declared = dict(re.findall(r"\$(\w+): ([\[\]\w!]+)", head))
    if head.partition("(")[0].strip() != kind or any(types.get(name) != said for name, said in declared.items()):
        return f"a {kind} takes {types}, not {declared}"
    if set(re.findall(r"\$(\w+)", body)) != set(declared) or not set(variables) <= set(declared):
        return "a variable is declared and not used, or used and not declared"
    if any(said.endswith("!") and variables.get(name) is None for name, said in declared.items()):
        return "a variable that must be given is not"
    unknown = set(re.findall(r"\w+", re.sub(r"\$\w+", "", body))) - set(names.split())
    return f"Field '{sorted(unknown)[0]}' doesn't exist" if unknown else None


def selected(data: Record, body: str) -> Record:
    """Of the nodes and of pageInfo what the document asks for."""
    asked = {name: inner.split() for name, inner in re.findall(r"(nodes|pageInfo) \{([^{}]*)\}", body)}
    made: Record = {}
    if "nodes" in asked:
        made["nodes"] = [{name: node[name] for name in asked["nodes"]} for node in data["nodes"]]
    if "pageInfo" in asked:
        made["pageInfo"] = {name: data["pageInfo"][name] for name in asked["pageInfo"]}
    return made


def told(message: str, code: str, index: int | None, *field: str) -> Record:
    return {"field": ["metafields", str(index), *field], "message": message, "code": code, "elementIndex": index}


def refused_bulk(message: str, code: str) -> Record:
    return {"bulkOperation": None, "userErrors": [{"field": ["query"], "message": message, "code": code}]}
