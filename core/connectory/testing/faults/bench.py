"""Where fault tests run: one mock a spec, its lists made short, and the real client over a real socket."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import attrs

from connectory.auth.rotation import Rotation
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.connecting import Parts, connect_spec
from connectory.connector import Connector
from connectory.errors import ConnectoryError
from connectory.limits.memory import MemoryLedger
from connectory.mock import MockServer
from connectory.mock.batches import item_type
from connectory.mock.desks import Desk
from connectory.mock.fakes import Fakes
from connectory.mock.faults import Fault
from connectory.plugins.registry import Registry
from connectory.spec.language import Limit, Pager
from connectory.spec.load import Loaded
from connectory.spec.typeexpr import ANY, TEXT, ListOf, Named, Scalar, TypeExpr
from connectory.testing.faults.subjects import FIVE, Subject
from connectory.testing.recorded.files import with_files
from connectory.testing.recorded.outcome import perform
from connectory.testing.recorded.replaying import stand_in_settings
from connectory.transport.client import UrllibTransport
from connectory.transport.options import TransportOptions

PAGE: Final = 3  # records a page, where the spec says a largest one
RECORDS: Final = 8  # three pages of them
MANY: Final = 45  # where pages are longer, since the spec says no largest one, or filters leave few of them
PATIENCE: Final = 3600.0  # seconds that a call may wait
_FIRST_NEW: Final = 900  # the number of the first record that is made up to be sent


@attrs.frozen
class Ran:
    """One call: what it gave, how many requests of its operation came in, how long it waited, and what the vendor holds
    of its records before and afterwards."""

    error: str = ""
    said: str = ""
    records: int = 0
    digest: str = ""
    shown: str = ""
    accounts: Mapping[str, int] = attrs.Factory(dict)
    warns: Sequence[str] = ()
    calls: int = 0
    waited: float = 0.0
    before: int = 0
    held: int = 0
    bad: int = 0
    reads: bool = False


@attrs.define(eq=False)
class Bench:
    """A mock of a spec with short pages, and what each call usually gives."""

    registry: Registry
    loaded: Loaded
    mock: MockServer
    clock: ManualClock
    transport: UrllibTransport
    fakes: Fakes
    records: int
    folder: Path = attrs.Factory(lambda: Path(tempfile.mkdtemp(prefix="connectory-faults-")))
    lock: threading.RLock = attrs.Factory(threading.RLock)
    _runs: int = 0
    _usual: dict[str, Ran] = attrs.Factory(dict)
    _given: dict[str, Mapping[str, Any]] = attrs.Factory(dict)
    _many: set[str] = attrs.Factory(set)

    @classmethod
    def of(cls, registry: Registry, loaded: Loaded) -> Bench:
        """A bench. Its mock listens from the first call on."""
        spec = loaded.spec
        pagers = {name: _short(pager) for name, pager in spec.pagers.items()}
        limits = {name: _free(limit) for name, limit in spec.limits.items()}
        short = attrs.evolve(loaded, spec=attrs.evolve(spec, pagers=pagers, limits=limits))
        bound = all(pager.largest is not None for pager in spec.pagers.values())
        clock = ManualClock()
        mock = MockServer(short, registry, clock=clock, records=RECORDS if bound else MANY)
        fakes = Fakes(spec.types, str(spec.wire.datetime or "rfc3339"), registry.codecs)
        bench = cls(registry, short, mock, clock, _transport(), fakes, mock.store.count)
        atexit.register(bench.close)
        return bench

    def close(self) -> None:
        """Let go of the mock."""
        atexit.unregister(self.close)
        self.mock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def subjects(self) -> Sequence[Subject]:
        """Every operation that the mock can answer. One made of others is none: each of its steps is one."""
        formats = self.registry.formats
        found = []
        for desk in self.mock.desks.values():
            elsewhere = str(desk.operation.address).startswith(("{", "http"))
            unasked = desk.operation.deprecated or bool(desk.operation.steps)
            if formats[desk.plan.styles.answer].write is None or unasked or elsewhere:
                continue
            rows = desk.act != "delete" or bool(desk.scope) or bool(self.mock.rows(desk.name))
            found.append(Subject(desk, self.loaded.spec, self.registry, rows))
        return found

    def usual(self, operation: str) -> Ran:
        """What the call gives when nothing goes wrong. Of several ways to make it, the first that works."""
        if operation not in self._usual:
            ran = Ran()
            self.mock.reset()
            self.mock.store.count = self.records
            for given in self._ways(self.mock.desks[operation]):
                self._given[operation] = given
                ran = self.run(operation, [])
                if not ran.error and self.mock.desks[operation].plan.pager is not None and ran.calls < PAGE:
                    self._many.add(operation)
                    ran = self.run(operation, [])
                if not ran.error:
                    break
            self._usual[operation] = ran
        return self._usual[operation]

    def run(self, operation: str, faults: Sequence[Fault]) -> Ran:
        """Make the call, from a fresh start, with these faults."""
        if not self.mock.running:
            self.mock.start()
        self.mock.reset(*faults)
        self.mock.store.count = MANY if operation in self._many else self.records
        desk = self.mock.desks[operation]
        given = self._given[operation]
        before = self._held(desk, given)
        begun = self.clock.now()
        self._runs += 1
        folder = self.folder / str(self._runs)
        folder.mkdir()
        connector = self._connector(folder)
        try:
            gives = perform(connector, operation, with_files(connector.operation(operation).plan, given, folder))
        except ConnectoryError as why:
            gives = {"error": type(why).__name__, "said": str(why)}
        return Ran(
            error=str(gives.get("error", "")),
            said=str(gives.get("said") or gives.get("message") or ""),
            records=int(gives.get("records", 0)),
            digest=str(gives.get("digest", "")) if desk.plan.does == "read" else "",
            shown=str(gives.get("first", gives.get("record", gives.get("word"))))[:200],
            accounts=gives.get("accounts", {}),
            warns=gives.get("warns", ()),
            calls=sum(one.operation == operation for one in self.mock.served),
            waited=self.clock.now() - begun,
            before=before,
            held=self._held(desk, given),
            bad=len(self.mock.bad_items),
            reads=desk.plan.does == "read",
        )

    def _connector(self, folder: Path) -> Connector:
        parts = Parts(
            clock=self.clock,
            ledger=MemoryLedger(self.clock),
            tokens=TokenStore(folder / "tokens"),
            rotation=Rotation(folder / "rotation"),
            transport=self.transport,
            environ={},
        )
        settings = {**stand_in_settings(self.loaded, {}), "server": self.mock.url}
        return connect_spec(self.loaded, self.registry, settings, parts=parts, max_wait=PATIENCE)

    def _held(self, desk: Desk, given: Mapping[str, Any]) -> int:
        names = {p.wire: p.name for p in desk.plan.parameters.values()}
        scope = tuple(str(given.get(names[wire], "")) for wire in desk.scope)
        return len(self.mock.rows(desk.name, *scope))

    # Arguments ----------------------------------------------------------------------------------------------------

    def _ways(self, desk: Desk) -> Sequence[Mapping[str, Any]]:
        """Arguments to make the call with: those of the example, then made-up ones."""
        made = {p.name: self._made(desk, p.wire, p.spot, p.field) for p in desk.plan.parameters.values() if p.required}
        shown: dict[str, Any] = dict(desk.example.with_) if desk.example else {}
        if desk.act == "list":
            needed = {p.name for p in desk.plan.parameters.values() if p.required}
            shown = {name: value for name, value in shown.items() if name in needed}
        if desk.operation.batch is not None:
            name = next((p.name for p in desk.plan.parameters.values() if p.wire == desk.plan.items), "items")
            made[name] = shown[name] = self._items(desk)
        return [{**made, **shown}, made]

    def _made(self, desk: Desk, wire: str, spot: str, field: Any) -> Any:
        if desk.key == (spot, wire):
            rows = self.mock.rows(desk.name) if not desk.scope else []
            held = rows[0].get(self.mock.store.shelves[desk.shelf].key) if rows else None
            if held is not None:
                return str(held) if field.type == TEXT else held
        if field.example is not None:
            return field.example
        if field.pattern is not None:
            return self.fakes.field(wire, field, 1)
        early = isinstance(field.type, Scalar) and field.type.name in ("date", "datetime")  # before every record
        return self._sendable(field.type, wire, -_FIRST_NEW if early else 0)

    def _items(self, desk: Desk) -> list[Any]:
        """Five items, or as many as one call takes: a fault hits one call."""
        batch = desk.operation.batch
        count = FIVE if batch is None else min(FIVE, batch.largest)
        kind = item_type(desk)
        if not isinstance(kind, Named):
            rows = self.mock.rows(desk.name)
            key = self.mock.store.shelves[desk.shelf].key
            keys = [row.get(key) for row in rows][:count]
            if len(keys) == count and kind != ANY:
                return keys
            if kind == ANY:
                return [{key: _FIRST_NEW + number} for number in range(count)]
            return [self._sendable(kind, desk.name, number) for number in range(count)]
        return [self._sendable(kind, kind.name, number) for number in range(count)]

    def _sendable(self, kind: TypeExpr, name: str, number: int) -> Any:
        """A made-up value as a caller gives it: nothing read-only, and exact numbers."""
        if kind == Scalar("file"):
            return "made-up.csv"
        value = self._writable(kind, self.fakes.value(kind, name, _FIRST_NEW + number))
        return {"id": _FIRST_NEW + number} if value is None else _exact(value)

    def _writable(self, kind: TypeExpr, value: Any) -> Any:
        if isinstance(kind, ListOf) and isinstance(value, list):
            return [self._writable(kind.item, one) for one in value]
        if not isinstance(kind, Named) or not isinstance(value, dict):
            return value
        fields = self.loaded.spec.types[kind.name]
        return {
            wire: self._writable(fields[wire].type, held)
            for wire, held in value.items()
            if not fields[wire].read_only and held is not None
        }


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {name: _exact(held) for name, held in value.items()}
    return [_exact(one) for one in value] if isinstance(value, list) else value


def _short(pager: Pager) -> Pager:
    """The pager with pages that a few records fill."""
    return attrs.evolve(pager, largest=PAGE if pager.largest is not None else None, cap=None)


def _free(limit: Limit) -> Limit:
    """The limit without what a few calls may use up: a call a day would end every case at its second try."""
    return attrs.evolve(limit, rate=(), burst=None, zone=None)


_transports: Final[list[UrllibTransport]] = []


def _transport() -> UrllibTransport:
    """One for the process: reading the machine's authorities takes longer than many calls."""
    if not _transports:
        _transports.append(UrllibTransport(TransportOptions(allow_http=True)))
    return _transports[0]
