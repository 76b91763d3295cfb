"""The life of one request at the mock, top to bottom: route, trouble, limits, credential, arguments, work, answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import attrs
import msgspec

from connectory.clock import Clock, SystemClock
from connectory.errors import ArgumentError, nearest
from connectory.messages import encode_query
from connectory.mock.arguments import Hearing
from connectory.mock.batches import Batches, identity, items_of
from connectory.mock.checks import Checker
from connectory.mock.credentials import Door
from connectory.mock.desks import Desk, make_desks
from connectory.mock.exchange import Asked, Refused, Reply, Served
from connectory.mock.fakes import Fakes
from connectory.mock.faults import Fault, Schedule, positions
from connectory.mock.limits import NO_COSTS, Counter, Gate
from connectory.mock.listener import Listener
from connectory.mock.lists import Lists
from connectory.mock.reading import Heard
from connectory.mock.refusals import Refusing
from connectory.mock.repeats import Repeats
from connectory.mock.routes import make_routes
from connectory.mock.shapes import Draft
from connectory.mock.singles import Singles
from connectory.mock.store import Record, Store
from connectory.operation import Plan
from connectory.plugins.registry import Registry
from connectory.spec.expressions import expression_names
from connectory.spec.language import Spec, Token
from connectory.spec.load import Loaded
from connectory.spec.typeexpr import Scalar
from connectory.spec.words import Field
from connectory.spending import costs_of

log = logging.getLogger("connectory")

RECORDS: Final = 12  # that a list begins with
EXCHANGE: Final = "token exchange"
_HTML: Final = b"<!doctype html><html><body><h1>Please log in</h1></body></html>"

Hit = Mapping[str, Fault]


class MockServer:
    """A vendor on loopback, from its spec: `with MockServer(loaded, registry) as mock: ... mock.url`.

    `data` holds records by resource (`students`), in place of examples and made-up ones; `records` is how many a list
    begins with. `faults` go wrong on demand. Times are those of `clock`. With `keep`, a file, what is written stays
    there for the next run. With `refuse_large` a page larger than `largest` is refused, else it is cut down.
    `on_served` is told of every request. Raises ArgumentError for data of no list, and for a kept file that is none.
    """

    def __init__(
        self,
        loaded: Loaded,
        registry: Registry,
        *,
        data: Mapping[str, Iterable[Record]] | None = None,
        faults: Sequence[Fault] = (),
        clock: Clock | None = None,
        port: int = 0,
        records: int = RECORDS,
        keep: Path | None = None,
        refuse_large: bool = False,
        on_served: Callable[[Served], None] | None = None,
    ) -> None:
        spec = loaded.spec
        self.spec = spec
        self.clock = clock or SystemClock()
        self.registry = registry
        self.served: list[Served] = []
        self.bad_items: set[bytes] = set()
        self._port = port
        self._on_served = on_served
        self._lock = threading.RLock()
        self._listener: Listener | None = None
        codecs, datetime = registry.codecs, str(spec.wire.datetime or "rfc3339")
        self.desks = make_desks(spec, registry)
        checker = Checker(spec.types, datetime, codecs)
        self._secret_paths = _have_secrets(spec)
        self._hearing = Hearing(checker, registry.formats)
        self._routes = make_routes(spec, self.desks, checker)
        fakes = Fakes(spec.types, datetime, codecs)
        self.store = Store(spec, self.desks, fakes, codecs, datetime, self.clock, records, {}, keep)
        self.fill(data or {})
        self.door = Door(spec, self.clock, codecs, registry.formats)
        self.gate = Gate({name: Counter.of(name, limit) for name, limit in spec.limits.items()}, self.clock)
        self._lists = Lists(codecs, datetime, refuse_large)
        self._singles = Singles(self.store, fakes)
        self._batches = Batches(self.store, checker, codecs, self._why_bad)
        self._repeats = Repeats()
        self.schedule = Schedule(list(faults))
        try:
            self.store.load()
        except ValueError as why:
            raise ArgumentError(str(why)) from None

    # Life ---------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        if self._listener is None:
            raise RuntimeError("the mock is not running: use it in a with statement")
        return self._listener.url

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def start(self) -> Self:
        """Listen. Raises OSError where the port is taken."""
        self._listener = Listener(self._port, self._serve, self.clock.now)
        self.door.url = self._listener.url
        return self

    def close(self) -> None:
        """Stop listening and cut what is open."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def refuse(self, items: Iterable[Any]) -> None:
        """From now on these items of batches are refused, as they are sent."""
        self.bad_items |= {identity(item) for item in items}

    def reset(self, *faults: Fault) -> None:
        """As it was at the start, with other faults: for many cases on one server."""
        with self._lock:
            self.store.clear()
            self.bad_items.clear()
            self.served.clear()
            self.door.issued.clear()
            self._lists.clear()
            self._repeats.clear()
            self.gate.counters = {name: Counter.of(name, limit) for name, limit in self.spec.limits.items()}
            self.schedule.plan(*faults)

    @property
    def main_list(self) -> str | None:
        """The resource of the vendor's main list: the first that is paged, else the first there is."""
        found = _main_list(self.desks)
        return found.shelf if found else None

    @property
    def main_operation(self) -> str | None:
        """An operation to begin with: the main list, where it asks for nothing."""
        found = _main_list(self.desks)
        free = found is not None and not any(p.required for p in found.plan.parameters.values())
        return found.name if found is not None and free else None

    def fields_of(self, resource: str) -> Mapping[str, Field]:
        """The declared fields of a resource's records."""
        kinds = [desk.type_name for desk in self.desks.values() if resource in (desk.shelf, desk.name)]
        return next((self.spec.types[kind] for kind in kinds if kind), {})

    def check_resource(self, name: str) -> None:
        """Raises ArgumentError, with the nearest right name, for records of nothing."""
        known = {desk.shelf for desk in self.desks.values()}
        if name and name not in known and name not in self.desks:
            raise ArgumentError(f"no records '{name}'{nearest(name, known)} (there are {', '.join(sorted(known))})")

    def fill(self, data: Mapping[str, Iterable[Record]]) -> None:
        """Records by resource, in place of examples and made-up ones, on shelves that are not in use yet."""
        for name, rows in data.items():
            self.check_resource(name)
            shelf = self.desks[name].shelf if name in self.desks else name
            self.store.data[shelf] = [dict(row) for row in rows]

    def rows(self, operation: str, *scope: str) -> list[Record]:
        """The records that an operation is about, as they stand now."""
        with self._lock:
            desk = self.desks[operation]
            return self.store.shelf(desk, scope).all(scope)

    # One request --------------------------------------------------------------------------------------------------

    def _serve(self, asked: Asked) -> tuple[Reply | None, int | None]:
        """The answer (None: cut the connection), and how much of its body is sent (None: all)."""
        try:
            return self._served_truly(asked)
        except Exception as why:  # a request must have an answer, also where the mock is at fault
            log.exception("the mock failed at %s %s", asked.method, self._shown(asked))
            words = f"the mock itself failed ({type(why).__name__}: {why}): please report it"
            return self._log(asked, "", 0, Reply.json({"error": words}, 500), words), None

    def _served_truly(self, asked: Asked) -> tuple[Reply | None, int | None]:
        with self._lock:
            token = self.door.exchange_for(asked)
        if token is not None:
            return self._log(asked, EXCHANGE, 0, self._exchange(token, asked)), None
        try:
            route, path = self._routes.find(asked)
        except Refused as refused:
            return self._log(asked, "", 0, self._refusal(None, refused), refused.words), None
        desk = route.desk
        with self._lock:
            number, hit = self.schedule.turn(desk.name)
        if "slow" in hit:
            self.clock.sleep(hit["slow"].number("seconds", 1.0))
        reply, part = self._answer(desk, asked, path, hit)
        return self._log(asked, desk.name, number, reply, ", ".join(hit)), part

    def _log(self, asked: Asked, operation: str, number: int, reply: Reply | None, said: str = "") -> Reply | None:
        status = reply.status if reply is not None else 0
        served = Served(self.clock.now(), asked.method, self._shown(asked), operation, number, status, said)
        self.served.append(served)
        if self._on_served is not None:
            self._on_served(served)
        return reply

    def _shown(self, asked: Asked) -> str:
        """The path, unless a secret may stand in it."""
        return "(a path that may hold a secret)" if self._secret_paths else asked.path

    def _exchange(self, token: Token, asked: Asked) -> Reply:
        """A login: it spends the limits that hold for all, like any other call."""
        names = [name for name, limit in self.spec.limits.items() if limit.for_ == "all"]
        with self._lock:
            throttled = self.gate.enter(names)
            if throttled is not None:
                return self._refusal(None, Refused("throttled", throttled.words), throttled.wait)
            try:
                draft = self.door.exchange(token, asked)
            except Refused as refused:
                return self._refusal(None, refused)
            finally:
                self.gate.leave(names)
        return self._reply(draft, token.reads)

    def _answer(self, desk: Desk, asked: Asked, path: Mapping[str, str], hit: Hit) -> tuple[Reply | None, int | None]:
        """The truth, unless a fault stands before or behind it."""
        drop = hit.get("drop")
        if drop is not None and drop.options.get("applied") != "true":
            return None, None
        told = self._trouble(desk, hit)
        if told is not None:
            return told, None
        reply = self._within_limits(desk, asked, path, hit)
        if drop is not None:
            return None, None
        if "truncate" in hit:
            return reply, len(reply.body) // 2
        return _spoilt(reply, hit), None

    def _trouble(self, desk: Desk, hit: Hit) -> Reply | None:
        """A refusal that a fault demands, in place of all work."""
        if "expire-token" in hit:
            self.door.expire_tokens()
        for fault in hit.values():
            status = fault.status
            if status is not None:
                return self._with_wait(self._status(desk, status), fault)
            if fault.kind == "throttle":
                plain = self._refusal(desk.plan, Refused("throttled", "too many requests"), fault.wait)
                return self._with_wait(plain, fault)
            if fault.kind == "refuse":
                return self._refusal(desk.plan, Refused("denied", "these credentials are refused", status=401))
            if fault.kind == "too-large":
                return self._status(desk, 413)
        return None

    def _status(self, desk: Desk, status: int) -> Reply:
        words = f"the mock was told to answer {status}"
        return self._reply(self._refusing(desk.plan).plain(Refused("", words, status=status)), "json")

    def _with_wait(self, reply: Reply, fault: Fault) -> Reply:
        """The answer with the time to wait that the fault says, as seconds or as a date."""
        headers = {name: value for name, value in reply.headers.items() if name != "Retry-After"}
        if "retry-date" in fault.options:
            at = self.clock.now() + fault.number("retry-date", 0.0)
            return attrs.evolve(reply, headers={**headers, "Retry-After": formatdate(at, usegmt=True)})
        if "retry-after" in fault.options and fault.status is not None:
            return attrs.evolve(reply, headers={**headers, "Retry-After": fault.options["retry-after"]})
        return reply

    def _within_limits(self, desk: Desk, asked: Asked, path: Mapping[str, str], hit: Hit) -> Reply:
        names = desk.plan.limits
        with self._lock:
            costs = self._costs(desk, asked, path)
            throttled = self.gate.enter(names, costs)
        if throttled is not None:
            return self._refusal(desk.plan, Refused("throttled", throttled.words), throttled.wait)
        try:
            with self._lock:
                draft = self._work(desk, asked, path, hit)
                self.gate.tell(names, costs, draft, self.registry.codecs)
                return self._reply(draft, desk.plan.styles.answer)
        except Refused as refused:
            return self._refusal(desk.plan, refused)
        finally:
            with self._lock:
                self.gate.leave(names)

    def _costs(self, desk: Desk, asked: Asked, path: Mapping[str, str]) -> Mapping[str, int]:
        """What a request takes of limits, by what it asks for; 1 of each where it asks for nothing that can be read."""
        if not desk.plan.costs:
            return NO_COSTS
        try:
            heard = self._hearing.read(desk, self._lists.whole(desk, asked), path)
            return costs_of(desk.plan, heard.names(desk.plan))
        except (Refused, ArgumentError):
            return NO_COSTS

    def _work(self, desk: Desk, asked: Asked, path: Mapping[str, str], hit: Hit) -> Draft:
        """Credential, arguments, and the operation itself. Raises Refused."""
        if not desk.operation.anonymous:
            self.door.check(asked)
        heard = self._hearing.read(desk, self._lists.whole(desk, asked), path)
        return self._repeats.answer(desk, heard, lambda: self._done(desk, heard, hit))

    def _done(self, desk: Desk, heard: Heard, hit: Hit) -> Draft:
        """The operation itself."""
        scope = tuple(str(heard.path[name]) for name in desk.scope)
        if desk.operation.batch is not None and desk.plan.does != "read":
            return self._batch(desk, scope, heard, hit)
        self._hearing.check(desk, heard)
        if desk.act == "list":
            shelf = self.store.shelf(desk, scope)
            if "insert-record" in hit and shelf.all(scope):
                shelf.all(scope).insert(0, _newcomer(shelf.all(scope), shelf.key))
            return self._lists.answer(desk, shelf, shelf.all(scope), heard, self._own_url(heard.asked), hit)
        draft = self._singles.answer(desk, scope, heard)
        if desk.plan.does != "read":
            self.store.save()
        return draft

    def _batch(self, desk: Desk, scope: tuple[str, ...], heard: Heard, hit: Hit) -> Draft:
        batch = desk.operation.batch
        self._hearing.check(desk, heard, without=batch.items if batch else None)
        if "bad-items" in hit:
            items = items_of(desk, heard)
            chosen = positions(hit["bad-items"].options.get("items", "first"), len(items))
            self.bad_items |= {identity(items[at]) for at in chosen}
        draft = self._batches.answer(desk, scope, heard)
        self.store.save()
        return draft

    def _why_bad(self, item: Any) -> str:
        return "the mock was told to refuse this one" if identity(item) in self.bad_items else ""

    # Answers ------------------------------------------------------------------------------------------------------

    def _own_url(self, asked: Asked) -> str:
        """The request's own URL, for links; without the credential that it may hold."""
        pairs = tuple(pair for pair in asked.query if pair[0] not in self.door.names)
        host = asked.headers.get("Host") or urlsplit(self.url).netloc
        return f"http://{host}{asked.path}{'?' + encode_query(pairs) if pairs else ''}"

    def _refusing(self, plan: Plan | None) -> Refusing:
        """Without a plan no operation is known."""
        some = plan or next(iter(self.desks.values())).plan
        own: Sequence[Any] = some.operation.outcomes
        return Refusing(some, (*own, *self.spec.outcomes), self.registry.codecs, known=plan is not None)

    def _refusal(self, plan: Plan | None, refused: Refused, wait: float | None = None) -> Reply:
        return self._reply(self._refusing(plan).answer(refused, wait), "json")

    def _reply(self, draft: Draft, form: str) -> Reply:
        if draft.body is None:
            return Reply(draft.status, b"", draft.headers)
        chosen = self.registry.formats[form]
        if chosen.write is None:
            words = f"the format '{form}' can be read and not written, so the mock cannot answer in it"
            return Reply.json({"error": words}, 501)
        body = draft.body.encode() if form == "bytes" and isinstance(draft.body, str) else draft.body
        return Reply(draft.status, chosen.write(body), {"Content-Type": chosen.media_type, **draft.headers})


def _have_secrets(spec: Spec) -> bool:
    """Whether a path of the spec is made with a secret."""
    secret = {name for name, setting in spec.settings.items() if setting.type == Scalar("secret")}
    tokens = [auth.token for auth in spec.auth if auth.token is not None]
    texts = [str(operation.address) for operation in spec.operations.values()]
    texts += [str(token.get or token.post) for token in tokens]
    return any(expression_names(text) & secret for text in texts if "{{" in text)


def _spoilt(reply: Reply, hit: Hit) -> Reply:
    if "html" in hit:
        return Reply(200, _HTML, {"Content-Type": "text/html; charset=utf-8"})
    if "not-json" in hit:
        return attrs.evolve(reply, body=b"{oops" + reply.body[:20])
    if "empty" in hit:
        return attrs.evolve(reply, body=b"")
    return reply


def _newcomer(rows: Sequence[Record], key: str) -> Record:
    """A copy of the first record under a key that nobody else has."""
    held = rows[0].get(key)
    numbers = [number for one in rows if isinstance(number := one.get(key), int)]
    fresh: Any = max(numbers, default=0) + 1 if isinstance(held, int) else f"new-{len(rows)}"
    return {**msgspec.json.decode(msgspec.json.encode(rows[0])), key: fresh}


def _main_list(desks: Mapping[str, Desk]) -> Desk | None:
    lists = [desk for desk in desks.values() if desk.act == "list" and not desk.scope]
    return next(iter([*(desk for desk in lists if desk.plan.pager), *lists]), None)
