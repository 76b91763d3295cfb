"""A made-up vendor that has one of everything a recording must cope with, and its spec."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs

from connectory.plugins.registry import Registry, SpecFile, load_registry
from connectory.spec.load import Discovered, Loaded, load_file
from connectory.testing.recorded.cassettes import Cassette
from connectory.testing.recorded.recording import Target, Wanted, record
from emulators.exchange import Answer, Ask, Refused, Routes
from emulators.server import Emulator

KEY = "k9/Zü+q=7Lw 2x"
SPEC = """\
name: library
settings:
  api_key: {type: secret, required: true, about: key of a card, obtain: the counter gives it}
  branch: {type: str, default: main, example: main}
servers: {production: "https://{{ branch }}.library.example/api"}
auth:
  token:
    post: /token
    fields: {key: "{{ api_key }}"}
    value: access_token
    lasts: {seconds: expires_in}
  headers: {X-Token: "{{ token }}"}
send: {headers: {X-Client: reader}}
errors: {message: [error.message, errors.*.message], code: error.code}
pagers:
  numbered:
    use: page_number
    page: page
    size: per_page
    largest: 2
    total_records: total
    records: data
  linked: {use: next_url, next: links.next, records: data}
operations:
  books.list:
    get: /v1/books
    query:
      shelf: int
      tags: list of str
    headers: {X-Order: str}
    pages: numbered
    returns: Book
    examples: [{with: {shelf: 1}, answer: {total: 1, data: [{id: 1, title: Emma}]}}]
  books.get:
    get: "/v1/books/{id}"
    path: {id: int64}
    returns: Book
    examples: [{with: {id: 1}, answer: {id: 1, title: Emma, added: "2026-01-01T10:00:00Z"}}]
  books.create:
    post: /v1/books
    body: Book
    returns: Book
    examples: [{with: {body: {title: Emma}}, status: 201, answer: {id: 1, title: Emma}}]
  authors.list: {get: /v1/authors, pages: linked, returns: Author}
  loans.upsert:
    put: /v1/loans
    fields: {loans: list of Loan!}
    batch: {items: loans, largest: 2}
    results: {at: results, key: id, ok: {ok: true}, id: number, message: why}
  covers.upload:
    post: /v1/covers
    wire: {body: multipart}
    fields: {file: file!, note: str}
    record: cover
  notices.send:
    post: /v1/notices
    does: write
    wire: {body: form}
    fields: {text: str!, to: list of str}
  graph.books:
    graphql: /graphql
    does: read
    document: "query($shelf: Int) { books(shelf: $shelf) { id } }"
    variables: {shelf: int}
    record: data.books
types:
  Book: {id: int64 key read_only, title: str!, added: datetime, price: decimal, "*": any}
  Author: {id: int key, name: {type: str, personal: true}, email: {type: str, personal: true}}
  Loan: {id: str! key, book: int!}
"""

BOOKS = [{"id": n, "title": f"Book {n}", "added": f"2026-01-0{n}T10:00:00Z", "price": n + 0.5} for n in range(1, 6)]
AUTHORS = [
    {"id": n, "name": name, "email": f"{name.lower()}@people.example"} for n, name in enumerate(["Ada", "Grete"])
]


@attrs.define(eq=False, kw_only=True, slots=False)
class Library(Emulator):
    """The library: `url` stands for `https://{branch}.library.example`."""

    uses: int = 1000
    """Requests that a token is good for."""
    refused: set[str] = attrs.field(factory=set)
    books: list[dict[str, Any]] = attrs.field(factory=lambda: [dict(book) for book in BOOKS])
    _tokens: dict[str, int] = attrs.field(init=False, factory=dict)
    _routes: Routes = attrs.field(init=False, factory=Routes)

    def __attrs_post_init__(self) -> None:
        add = self._routes.add
        add("POST /api/token", self._token)
        add("GET /api/v1/books", self._list)
        add("GET /api/v1/books/{id}", self._get)
        add(
            "POST /api/v1/books",
            lambda ask, _: Answer.json({"id": 9, "added": "2026-01-09T10:00:00Z"} | ask.json(), 201),
        )
        add("GET /api/v1/authors", self._authors)
        add("PUT /api/v1/loans", self._loans)
        add("POST /api/v1/covers", lambda ask, _: Answer.json({"cover": {"bytes": len(ask.body)}}))
        add("POST /api/v1/notices", lambda ask, _: Answer.json({"sent": True}))
        add("POST /api/graphql", self._graph)

    def answer(self, ask: Ask) -> Answer:
        act, values = self._routes.find(ask.method, ask.path)
        if act != self._token:
            self._admit(ask.header("X-Token") or "")
        answer = act(ask, values)
        stamp = f"{self.clock.now():.3f}"
        return attrs.evolve(
            answer, headers=(*answer.headers, ("X-Request-Id", stamp), ("X-Rate-Left", str(len(self.exchanges))))
        )

    def _token(self, ask: Ask, _: dict[str, str]) -> Answer:
        if ask.json() != {"key": KEY}:
            raise Refused(Answer.json({"error": {"message": f"no card has {ask.json().get('key')}"}}, 401))
        token = f"token/{len(self._tokens) + 1}+secret=="
        self._tokens[token] = self.uses
        return Answer.json({"access_token": token, "expires_in": 3600})

    def _admit(self, token: str) -> None:
        if self._tokens.get(token, 0) < 1:
            raise Refused(Answer.json({"error": {"message": "token expired", "code": "expired"}}, 401))
        self._tokens[token] -= 1

    def _list(self, ask: Ask, _: dict[str, str]) -> Answer:
        size, page = int(ask.argument("per_page") or 2), int(ask.argument("page") or 1)
        return Answer.json({"total": len(self.books), "data": self.books[(page - 1) * size : page * size]})

    def _get(self, ask: Ask, values: dict[str, str]) -> Answer:
        for book in self.books:
            if str(book["id"]) == values["id"]:
                return Answer.json(book)
        raise Refused(Answer.json({"error": {"message": "no such book", "code": "gone"}}, 404))

    def _authors(self, ask: Ask, _: dict[str, str]) -> Answer:
        at = int(ask.argument("at") or 0)
        token = quote(ask.header("X-Token") or "", safe="")
        more = {"links": {"next": f"{self.url}/api/v1/authors?at={at + 1}&as={token}"}} if at + 1 < len(AUTHORS) else {}
        said = base64.b64encode(f"card:{KEY}".encode()).decode()
        return Answer.json({"data": [AUTHORS[at]], **more, "debug": {"basic": said, "quoted": quote(KEY)}})

    def _loans(self, ask: Ask, _: dict[str, str]) -> Answer:
        loans = ask.json()["loans"]
        results = []
        for number, loan in enumerate(loans):
            bad = loan["id"] in self.refused
            results.append({"id": loan["id"], "ok": not bad, "number": number, "why": "lent" if bad else ""})
        return Answer.json({"results": results})

    def _graph(self, ask: Ask, _: dict[str, str]) -> Answer:
        if ask.json()["variables"].get("shelf") == 13:
            return Answer.json({"data": None, "errors": [{"message": "no such shelf"}]})
        return Answer.json({"data": {"books": [{"id": 1}]}})


def write_spec(folder: Path, text: str = SPEC) -> Path:
    """The library's spec in a project."""
    file = folder / "specs" / "library.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def load(file: Path) -> tuple[Registry, Loaded]:
    """The registry and the spec of a file."""
    registry = load_registry()
    return registry, load_file(registry, SpecFile("library", file, "here"), Discovered())


def target(library: Library, **more: Any) -> Target:
    """The library as it is recorded."""
    return Target(root=None, settings={"api_key": KEY}, server=f"{library.url}/api", environ={}, **more)


def recorded(
    file: Path, library: Library, operation: str, arguments: dict[str, Any] | None = None, **more: Any
) -> Cassette:
    """A cassette of one call."""
    registry, loaded = load(file)
    wanted = Wanted(operation=operation, arguments=arguments or {}, **more)
    return record(registry, loaded, wanted, target(library))
