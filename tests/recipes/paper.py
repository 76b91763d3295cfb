"""A vendor on paper: a list in memory, paged in every way, filtered by a mark, completed by details. No sockets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

import attrs

from connectory import LimitReached, Parts
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.connecting import load_registry
from connectory.limits.memory import MemoryLedger
from connectory.messages import Headers, Request, Response
from connectory.recipes.checks import check_recipe
from connectory.recipes.context import Connectors, Context
from connectory.recipes.reading.opening import open_operation
from connectory.recipes.reading.source import OperationSource

SPEC = """
name: paper
servers: {here: "https://paper.example"}
limits: {all: {LIMIT}}
pagers:
  by_number: {use: page_number, page: page, size: size, largest: SIZE, total_records: total, records: items}
  by_number_blind: {use: page_number, page: page, size: size, largest: SIZE, records: items}
  by_offset: {use: offset, offset: skip, size: size, largest: SIZE, total_records: total, records: items}
  by_cursor: {use: cursor, cursor: after, next: next, size: size, largest: SIZE, total_records: total, records: items}
  by_last: {use: last_record, cursor: behind, field: id, size: size, largest: SIZE, records: items}
  by_url: {use: next_url, next: link, size: size, largest: SIZE, total_records: total, records: items}
operations:
  things.list:
    get: /things
    query: {since: datetime, until: datetime}
    pages: PAGER
    returns: Thing
    marks: {changed: {from: since, until: until, inclusive: INCLUSIVE}}
    detail: {operation: things.get, with: {id: id}}
  things.get: {get: "/things/{id}", path: {id: int64}, returns: Thing}
types:
  Thing: {id: int64! key, changed: datetime, name: str, more: str}
"""


@attrs.define(eq=False)
class Paper:
    """The transport and the vendor behind it. `before(call)` is called with the number of each call, and may raise."""

    clock: ManualClock
    inclusive: bool = True
    items: dict[int, dict[str, Any]] = attrs.Factory(dict)
    pages: Counter[str] = attrs.Factory(Counter)
    details: Counter[int] = attrs.Factory(Counter)
    calls: int = 0
    before: Callable[[int], None] = lambda call: None

    def send(self, request: Request, *, into: BinaryIO | None = None) -> Response:
        self.calls += 1
        self.before(self.calls)
        path = urlsplit(request.url)
        query = {name: values[0] for name, values in parse_qs(path.query).items()} | dict(request.query)
        if path.path == "/things":
            self.pages[json.dumps(query, sort_keys=True)] += 1
            body: Any = self.page(query)
        else:
            id = int(path.path.rpartition("/")[2])
            self.details[id] += 1
            body = {**self.items[id], "more": "all"}
        return Response(200, Headers({"Content-Type": "application/json"}), json.dumps(body).encode(), request.url)

    def close(self) -> None:
        """There is nothing to close."""

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        """One page, in order of the ids."""
        since, until = (datetime.fromisoformat(query[end]) if end in query else None for end in ("since", "until"))
        size = int(query["size"])
        found = [item for _, item in sorted(self.items.items()) if self._wanted(item, since, until)]
        if "behind" in query:
            start = sum(1 for item in found if item["id"] <= int(query["behind"]))
        else:
            start = int(query.get("skip", query.get("after", 0))) + (int(query.get("page", 1)) - 1) * size
        items = found[start : start + size]
        answer: dict[str, Any] = {"total": len(found), "items": items}
        if start + size < len(found):
            rest = "&".join(f"{name}={value}" for name, value in query.items() if name != "after")
            answer |= {"next": start + size, "link": f"/things?{rest}&after={start + size}"}
        return answer

    def _wanted(self, item: dict[str, Any], since: datetime | None, until: datetime | None) -> bool:
        changed = datetime.fromisoformat(item["changed"])
        late = since is None or changed > since or (self.inclusive and changed == since)
        return late and (until is None or changed < until)


def open_paper(folder: Path, pager: str, size: int, recipe: str, *, inclusive: bool = True, rate: str = "") -> PaperRun:
    """A project with this vendor alone, and a recipe in it."""
    limit = f"concurrent: 3, advised: 1{f', rate: {rate}' if rate else ''}"
    text = SPEC.replace("SIZE", str(size)).replace("PAGER", pager).replace("INCLUSIVE", str(inclusive).lower())
    text = text.replace("LIMIT", limit)
    (folder / "specs").mkdir(exist_ok=True)
    (folder / "specs" / "paper.yaml").write_text(text)
    (folder / "connectory.toml").touch()
    file = folder / "r.yaml"
    file.write_text(recipe)
    clock = ManualClock()
    paper = Paper(clock, inclusive)
    tokens = TokenStore(folder / "tokens")
    return PaperRun(folder, file, paper, Parts(clock, MemoryLedger(clock), tokens, transport=paper, environ={}))


@attrs.define(eq=False)
class PaperRun:
    """The recipe, to be opened for each start anew."""

    folder: Path
    file: Path
    paper: Paper
    parts: Parts
    _context: Context | None = None

    def source(self, concurrent: int = 1, together: int = 1, *, as_text: bool = False) -> OperationSource:
        """The source as a new process would open it; the connector is made once."""
        if self._context is None:
            registry = load_registry(self.folder)
            self._context = Context(
                loaded=check_recipe(registry, self.file, self.folder),
                root=self.folder,
                registry=registry,
                parts=self.parts,
                connectors=Connectors(self.folder, self.parts, given={"concurrent": concurrent}),
            )
        source = open_operation(self._context, self._context.loaded.recipe.from_.options)
        return attrs.evolve(source, wish=attrs.evolve(source.wish, together=together), as_text=as_text)


def limit_at(numbers: set[int]) -> Callable[[int], None]:
    """Refuse these calls, each once, as a limit that is used up does: nothing was sent."""

    def before(call: int) -> None:
        if call in numbers:
            raise LimitReached("used up", until=0.0)

    return before
