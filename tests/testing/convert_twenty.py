"""The exchanges recorded from a real Twenty server (`tests/data/twenty-recorded`), as cassettes.

    python tests/testing/convert_twenty.py        writes cassettes/twenty/

Each exchange is held against the operations of the spec: the arguments are read from its request, the call is made,
and the recorded answer is given where the request made is the one recorded. A request may differ by what the server
takes for granted (`depth=0`, `upsert=false`, no variables): the spec spells it out. Exchanges whose request the
recorder cut, and those that no operation makes, are left out.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from connectory.errors import ConnectoryError
from connectory.operation import Plan, path_names
from connectory.plugins.registry import Registry, load_registry
from connectory.secrets import Redactor
from connectory.spec.load import Loaded, load_spec
from connectory.testing.recorded.cassettes import Cassette, Exchange, Recorded
from connectory.testing.recorded.cleaning import NotRecorded
from connectory.testing.recorded.finishing import Raw, finish
from connectory.testing.recorded.keeping import keep
from connectory.testing.recorded.matching import Asked, compare
from connectory.testing.recorded.player import Deviation, Player, asked_by, response_of
from connectory.testing.recorded.replaying import played_call, prepared

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "tests" / "data" / "twenty-recorded"
SERVER = "twenty 2.19.0, fork import bf560173"
BASE = "https://api.twenty.com"
SETTINGS = {"api_key": "placeholder-api_key"}
GRANTED = {("depth", "0"), ("upsert", "false")}
GRANTED_FIELDS = {("variables", "{}"), ("dryRun", "false")}
CUT_REQUEST = re.compile(r"request body")
# Paging parameters are the engine's; what else the recorder asked for on purpose no operation of ours sends.
ENGINES = {"limit", "starting_after"}
PREFIXES = re.compile(r"^(rest|graphql)-((batch-)?(people|companies|notes|tasks|opportunities|metadata|person)-)?")


@attrs.frozen
class Taken:
    """One exchange as it was taken on the wire."""

    name: str
    method: str
    target: str
    body: Any
    exchange: Exchange
    cut: bool
    note: str

    def label(self, operation: str) -> str:
        """A short name: without the object's and the verb's."""
        verb = operation.rpartition(".")[2]
        short = PREFIXES.sub("", self.name) or self.name
        return "" if short == verb else short.removeprefix(f"{verb}-")


def exchanges() -> Iterator[Taken]:
    """The single exchanges."""
    for file in sorted(SOURCE.glob("*.json")):
        yield from _taken(file.stem, json.loads(file.read_text()))
    for line in (SOURCE / "more-exchanges.jsonl").read_text().splitlines():
        held = json.loads(line)
        yield from _taken(held["name"], held)


def walk(name: str) -> list[Taken]:
    """A list that was read to its end."""
    with gzip.open(SOURCE / f"{name}-all-pages.jsonl.gz", "rt") as lines:
        return [taken for line in lines for taken in _taken(name, json.loads(line))]


def _taken(name: str, held: Mapping[str, Any]) -> Iterator[Taken]:
    if "response" not in held or isinstance(held["request"]["body"], str):
        return
    request, response = held["request"], held["response"]
    headers: dict[str, tuple[str, ...]] = {}
    pairs = response["headers"].items() if isinstance(response["headers"], dict) else response["headers"]
    for header, value in pairs:
        headers[header] = (*headers.get(header, ()), value)
    body = request["body"]
    answer = response["body"]
    exchange = Exchange(
        method=request["method"],
        url=BASE + request["path"],
        headers={},
        body=None if body is None else json.dumps(body).encode(),
        status=response["status"],
        answer_headers=headers,
        answer=b"" if answer is None else json.dumps(answer, ensure_ascii=False).encode(),
    )
    note = held.get("recorder_note") or ""
    cut = bool(CUT_REQUEST.search(note) or "If-None-Match" in request["headers"])
    yield Taken(name, request["method"], request["path"], body, exchange, cut, note if "kept" in note else "")


Call = tuple[str, dict[str, Any], int | None]


def calls_for(loaded: Loaded, plans: Mapping[str, Plan], taken: Taken) -> Iterator[Call]:
    """The operations that may have made a request, with the arguments read from it and a limit of records."""
    parts = urlsplit(taken.target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name, plan in plans.items():
        operation = loaded.spec.operations[name]
        verb = "POST" if operation.graphql is not None else operation.method.upper()
        found = _path(str(operation.address), parts.path)
        if verb != taken.method or found is None:
            continue
        arguments = _from_query(plan, query)
        if arguments is None:
            continue
        arguments |= found
        if operation.graphql is not None:
            if operation.document is not None or not isinstance(taken.body, dict):
                continue
            arguments |= {"document": taken.body["query"]}
            arguments |= {"variables": taken.body["variables"]} if taken.body.get("variables") else {}
        elif taken.body is not None:
            arguments |= _from_body(plan, taken.body)
        limit = int(query["limit"]) if operation.pages and query.get("limit", "").isdecimal() else None
        yield name, arguments, limit or None


def _path(template: str, path: str) -> dict[str, Any] | None:
    pattern = re.escape(template)
    for name in path_names(template):
        pattern = pattern.replace(re.escape("{" + name + "}"), f"(?P<{name}>[^/]+)")
    found = re.fullmatch(pattern, path)
    return {name: unquote(text) for name, text in found.groupdict().items()} if found else None


def _from_query(plan: Plan, query: Mapping[str, str]) -> dict[str, Any] | None:
    """The arguments of query parameters; None where one is not the operation's."""
    arguments: dict[str, Any] = {}
    own = {p.wire: p for p in plan.parameters.values() if p.spot == "query"}
    constants = {name: str(value) for name, value in plan.operation.send.query.items()}
    for wire, text in query.items():
        if wire in own:
            value = _unwrapped(str(own[wire].field.around or ""), text)
            if value is None:
                return None
            arguments[own[wire].name] = _typed(value, str(own[wire].field.type))
        elif wire not in ENGINES and constants.get(wire) != text:
            return None
    return None if constants.keys() - query.keys() else arguments


def _unwrapped(around: str, text: str) -> str | None:
    if not around:
        return text
    before, _, after = around.partition("{{ value }}")
    fits = text.startswith(before) and text.endswith(after)
    return text[len(before) : len(text) - len(after) or None] if fits else None


def _typed(text: str, kind: str) -> Any:
    if kind.startswith("list of"):
        return json.loads(text) if text.startswith("[") else text.split(",")
    return {"true": True, "false": False}.get(text, int(text) if text.isdecimal() else text)


def _from_body(plan: Plan, body: Any) -> dict[str, Any]:
    if plan.operation.batch is not None and plan.operation.batch.items is None:
        return {"items": body}
    if plan.operation.body is not None:
        return {"body": body}
    names = {p.wire: p.name for p in plan.parameters.values() if p.spot == "fields"}
    return {names.get(wire, wire): value for wire, value in body.items()}


class Pool(Player):
    """Answers each request with the next exchange, where that is the one recorded; keeps what was asked."""

    def __init__(self, recorded: Sequence[Taken]) -> None:
        super().__init__((), "conversion")
        self.recorded = recorded
        self.kept: list[Exchange] = []
        self.granted: set[str] = set()

    def play_response(self, request: Any) -> dict[str, Any]:
        made = asked_by(request)
        granted = None if len(self.kept) == len(self.recorded) else granted_in(made, self.recorded[len(self.kept)])
        if granted is None:
            raise Deviation
        self.granted |= granted
        exchange = self.recorded[len(self.kept)].exchange
        whole = attrs.evolve(exchange, url=made.url, headers=made.headers, body=made.body)
        self.kept.append(whole)
        return response_of(whole)


def granted_in(made: Asked, taken: Taken) -> set[str] | None:
    """What a request says besides the one recorded and the server takes for granted; None for another request."""
    recorded = Asked(taken.method, taken.exchange.url, made.headers, taken.exchange.body)
    granted = set()
    for mismatch in compare(made, recorded):
        known = {"query": GRANTED, "body": GRANTED_FIELDS}.get(mismatch.spot, set())
        if mismatch.recorded or (mismatch.name, mismatch.made) not in known:
            return None
        granted.add(f"{mismatch.name}={mismatch.made}")
    return granted


def convert(
    registry: Registry, loaded: Loaded, recorded: Sequence[Taken], call: Call, label: str, note: str = ""
) -> Cassette | None:
    """The cassette of a call that these exchanges answer; None where it asks for something else."""
    operation, arguments, limit = call
    began = _moment(recorded[0])
    pool = Pool(recorded)
    with prepared(registry, loaded, operation, SETTINGS, began) as connector:
        gave, fault = played_call(pool, connector, operation, arguments, limit)
        bases = {"": connector.engine.line.base, **connector.engine.bases}
    if fault is not None or len(pool.kept) != len(recorded) or not gave:
        return None
    at = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    notes = [f"the recorder cut the answer: {taken.note}" for taken in recorded if taken.note]
    if pool.granted:
        notes.append(f"not in the request as it was sent: {', '.join(sorted(pool.granted))}, the server's own defaults")
    raw = Raw(
        operation=operation,
        arguments=arguments,
        label=label,
        limit=limit,
        exchanges=pool.kept,
        gave=gave,
        settings=SETTINGS,
        bases=bases,
        recorded=Recorded(SERVER, "loopback", at, "; ".join(filter(None, [*notes, note]))),
        clock=began,
    )
    return finish(registry, loaded, raw, Redactor())


def _moment(taken: Taken) -> int:
    date = taken.exchange.head.get("date")
    return int(parsedate_to_datetime(date).timestamp()) if date else 1_795_344_000


def everything(registry: Registry, loaded: Loaded) -> Iterator[Cassette | str]:
    """Every cassette that the exchanges make; a text for an exchange of which none came."""
    plans = plans_of(registry, loaded)
    people, companies = walk("people"), walk("companies")
    taken_alone = list(exchanges())
    yield convert(registry, loaded, people[:2], ("people.list", {}, 120), "first 120") or "people"
    yield convert(registry, loaded, companies, ("companies.list", {}, None), "all pages") or "companies"
    yield throttled(registry, loaded, taken_alone) or "throttled"
    for taken in taken_alone:
        yield single(registry, loaded, plans, taken) or taken.name


def plans_of(registry: Registry, loaded: Loaded) -> dict[str, Plan]:
    """Every operation, compiled."""
    with prepared(registry, loaded, next(iter(loaded.spec.operations)), SETTINGS, 0.0) as connector:
        return {name: connector.engine.plan(name) for name in loaded.spec.operations}


def throttled(registry: Registry, loaded: Loaded, alone: Sequence[Taken]) -> Cassette | None:
    """A refusal for too many calls, and the answer that the same request got at another time."""
    named = {taken.name: taken for taken in alone}
    pair = [named["rest-rate-limit-429"], named["rest-permission-readonly-get"]]
    note = "put together of two exchanges: the refusal, and the answer at another time"
    return convert(registry, loaded, pair, ("people.list", {}, 1), "throttled", note)


def single(registry: Registry, loaded: Loaded, plans: Mapping[str, Plan], taken: Taken) -> Cassette | None:
    """The cassette of one exchange, where an operation makes its request."""
    if taken.cut or taken.name == "rest-rate-limit-429":
        return None
    for call in calls_for(loaded, plans, taken):
        try:
            cassette = convert(registry, loaded, [taken], call, taken.label(call[0]))
        except (NotRecorded, ConnectoryError) as why:
            print(f"{taken.name}: {call[0]}: {why}", file=sys.stderr)
            continue
        if cassette is not None:
            return cassette
    return None


def main() -> None:
    registry = load_registry()
    loaded = load_spec(registry, "twenty")
    number, left = 0, []
    for made in everything(registry, loaded):
        if isinstance(made, str):
            left.append(made)
        else:
            keep(made, ROOT / "cassettes")
            number += 1
    print(f"{number} cassettes; no operation makes these: {', '.join(left)}")


if __name__ == "__main__":
    main()
