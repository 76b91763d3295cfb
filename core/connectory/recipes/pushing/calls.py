"""Rows to a vendor's operation: many a call where it takes batches, else one a call."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
import msgspec

from connectory.delivery.accounts import ItemResult, Word
from connectory.delivery.batches import Watch, with_key
from connectory.errors import (
    ArgumentError,
    BadAnswer,
    ConnectoryError,
    Exists,
    Missing,
    Rejected,
    UnknownOutcome,
    nearest,
)
from connectory.invoke import Engine
from connectory.operation import Arguments, Parameter, Plan, bind, identifying_paths, named_item_type
from connectory.spec.language import Spec
from connectory.spec.naming import snake
from connectory.spec.typeexpr import ANY, Either, ListOf, MapOf, Named, Scalar, TypeExpr
from connectory.spec.words import Field
from connectory.values.wholesale import Wholesale
from connectory.values.writing import OPEN, ValueFault, Writers

Row = Mapping[str, Any]
ROWS_OF_SINGLE_CALLS: Final = 50  # that are handed over together where each is a call of its own
_BESIDE: Final = ("path", "query", "headers")


class Courier(Protocol):
    """Takes rows to one operation."""

    @property
    def plan(self) -> Plan: ...

    def wire(self, row: Row) -> Any:
        """The row as it is sent. Raises ValueFault where it breaks its type."""

    def wires(self, rows: Sequence[Row]) -> Sequence[Any] | None:
        """All rows as they are sent, where that can be told at once; None: ask for each."""

    def content(self, wire: Any) -> Any:
        """What of it the vendor gets to see, as JSON values: two rows with the same content are the same to it."""

    def fields(self, wire: Any) -> tuple[Mapping[str, Any], TypeExpr | None]:
        """The fields of the record that it writes, and their type."""

    def named(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows with made-up keys, where the vendor's records can be told apart by nothing else."""

    def send(self, wires: Sequence[Any], watch: Watch) -> Iterator[Sequence[ItemResult] | ConnectoryError]:
        """What became of each, numbered from 1, some at a time. An error comes where nothing more can be sent."""


def courier_of(engine: Engine, plan: Plan, given: Mapping[str, Any], root: Path, *, only_new: bool = False) -> Courier:
    """The courier of an operation. `given` are the arguments that are the same for every row, `root` is what paths of
    files are relative to, `only_new` says that what is there already is as good as sent."""
    if plan.operation.batch is not None:
        return BatchCourier(engine, plan, given, only_new)
    return SingleCourier(engine, plan, given, root, only_new)


@attrs.frozen(eq=False)
class BatchCourier:
    """Many rows a call."""

    engine: Engine
    plan: Plan
    given: Mapping[str, Any]
    only_new: bool
    _objects: bool = attrs.field(init=False)
    _texts: tuple[str, ...] = attrs.field(init=False)
    _wholesale: Wholesale | None = attrs.field(init=False)

    @_objects.default
    def _takes_objects(self) -> bool:
        return takes_objects(self.plan)

    @_texts.default
    def _text_fields(self) -> tuple[str, ...]:
        return text_fields(self.engine.spec, self.plan)

    @_wholesale.default
    def _wholesale_of(self) -> Wholesale | None:
        types = self.engine.spec.types
        writers = Writers(types, self.plan.styles.datetime, self.engine.registry.codecs)
        return Wholesale.of(item_type(self.plan), types, writers)

    def wires(self, rows: Sequence[Row]) -> Sequence[Any] | None:
        return self._wholesale.write(rows) if self._wholesale is not None else None

    def wire(self, row: Row) -> Any:
        assert self.plan.item is not None
        return self.plan.item(_numbers_as_texts(row, self._texts) if self._objects else _only_value(row))

    def content(self, wire: Any) -> Any:
        return [wire, self.given] if self.given else wire

    def fields(self, wire: Any) -> tuple[Mapping[str, Any], TypeExpr | None]:
        return (wire if isinstance(wire, Mapping) else {}), item_type(self.plan)

    def named(self, rows: Sequence[Row]) -> Sequence[Row]:
        assert self.plan.operation.batch is not None
        if not self.plan.operation.batch.make_keys:
            return rows
        fields = named_item_type(self.engine.spec, self.plan)
        identity = identifying_paths(self.engine.spec.types, fields)
        return [with_key(dict(row), fields, identity, _new_key) for row in rows]

    def send(self, wires: Sequence[Any], watch: Watch) -> Iterator[Sequence[ItemResult] | ConnectoryError]:
        return self.engine.deliver_written(self.plan, wires, self.given, watch, only_new=self.only_new)


@attrs.frozen(eq=False)
class Sending:
    """One call: its arguments as a caller gives them, and as they are written."""

    given: Mapping[str, Any]
    arguments: Arguments


@attrs.frozen(eq=False)
class SingleCourier:
    """One row a call: path, query, fields and body are filled from its fields."""

    engine: Engine
    plan: Plan
    constants: Mapping[str, Any]
    root: Path
    only_new: bool
    _whole: Parameter | None = attrs.field(init=False)
    _texts: tuple[str, ...] = attrs.field(init=False)
    _places: dict[str, tuple[str | None, bool]] = attrs.field(init=False, factory=dict)  # of the columns met so far

    @_whole.default
    def _whole_of(self) -> Parameter | None:
        return whole_of(self.plan, self.constants)

    @_texts.default
    def _text_fields(self) -> tuple[str, ...]:
        return text_fields(self.engine.spec, self.plan)

    def wires(self, rows: Sequence[Row]) -> None:
        """Each is a call of its own."""

    def wire(self, row: Row) -> Sending:
        given = self._spread(row)
        try:
            return Sending(given, bind(self.plan, given))
        except ArgumentError as why:
            raise _as_fault(self.plan, why) from None

    def content(self, wire: Sending) -> Any:
        return attrs.asdict(wire.arguments)

    def fields(self, wire: Sending) -> tuple[Mapping[str, Any], TypeExpr | None]:
        arguments = wire.arguments
        if isinstance(arguments.body, Mapping):
            return arguments.body, self.plan.operation.body
        whole = self._whole
        if whole is None:
            return arguments.fields, None
        return getattr(arguments, whole.spot).get(whole.wire) or {}, whole.field.type

    def named(self, rows: Sequence[Row]) -> Sequence[Row]:
        return rows

    def _spread(self, row: Row) -> dict[str, Any]:
        """The arguments that a row's fields make."""
        given = dict(self.constants)
        whole = self._whole
        rest: dict[str, Any] = {}
        for column, value in row.items():
            if column not in self._places:
                self._places[column] = place_of(self.engine.spec, self.plan, self.constants, column)
            name, beside = self._places[column]
            if name is not None:
                given[name] = self._fitting(name, value)
            if beside:
                rest[column] = value
            elif name is None:
                known = [p.wire for p in self.plan.parameters.values()]
                raise ValueFault(f"is no argument of {self.plan.name}{nearest(column, known)}", (column,))
        if whole is not None and (rest or whole.required):
            given[whole.name] = _numbers_as_texts(rest, self._texts)
        return given

    def _fitting(self, name: str, value: Any) -> Any:
        """A file's path from the project's folder on; a whole number as its digits where a text is wanted."""
        kind = self.plan.parameters[name].field.type
        if kind == Scalar("file") and isinstance(value, str | Path):
            return self.root / value
        return str(value) if kind == Scalar("str") and type(value) is int else value

    def send(self, wires: Sequence[Any], watch: Watch) -> Iterator[Sequence[ItemResult] | ConnectoryError]:
        for number, sending in enumerate(wires, 1):
            watch.going([number])
            result = self._send(number, sending, watch)
            if isinstance(result, ItemResult):
                watch.told([result])
                yield [result]
                continue
            watch.told([])
            yield [ItemResult(left, None, "not_tried") for left in range(number, len(wires) + 1)]
            yield result
            return

    def _send(self, number: int, sending: Sending, watch: Watch) -> ItemResult | ConnectoryError:
        def ended(word: Word, why: ConnectoryError | None = None, words: str = "", **more: Any) -> ItemResult:
            status, code = getattr(why, "status", None), getattr(why, "code", "")
            return ItemResult(number, None, word, words=words or str(why or ""), code=code, status=status, **more)

        try:
            word, record = self.engine.perform(
                self.plan, sending.given, flight=watch.flight, key=watch.key(), course=watch
            )
        except Missing as why:
            if self.plan.does == "destroy":
                return ended("delivered", why, "it was gone already")
            return ended("rejected", why, why.words)
        except Exists as why:
            if self.only_new:
                return ended("unchanged", why, "it was there already")
            return ended("rejected", why, why.words)
        except Rejected as why:
            return ended("rejected", why, why.words)
        except (UnknownOutcome, BadAnswer) as why:
            return ended("unknown", why)
        except ArgumentError as why:  # what only the request shows, such as a path that would leave its place
            return ended("invalid", why)
        except ConnectoryError as why:
            return why
        told: Word = "delivered" if word == "ok" else "accepted" if word == "accepted" else "unchanged"
        return ended(told, id=_id_in(record))


def _new_key() -> str:
    import uuid

    return str(uuid.uuid4())


def _id_in(record: Any) -> Any:
    """The vendor's id in an answer: what it calls `id`, in any case."""
    if not isinstance(record, Mapping):
        return None
    return next((value for name, value in record.items() if str(name).lower() == "id"), None)


def _only_value(row: Row) -> Any:
    """The one value of a row, for operations whose items are no objects (a list of ids)."""
    if len(row) != 1:
        raise ValueFault(f"expected a row of one field, the item itself; found {len(row)}")
    return next(iter(row.values()))


def takes_objects(plan: Plan) -> bool:
    """Whether an item of a batch is an object rather than a bare value."""
    kind = item_type(plan)
    return kind is None or kind == ANY or isinstance(kind, Named | MapOf | Either)


def item_type(plan: Plan) -> TypeExpr | None:
    """The type of one item of a batch."""
    batch = plan.operation.batch
    if batch is None:
        return None
    if batch.items is None:
        kind = plan.operation.body
    else:
        kind = next(p.field.type for p in plan.parameters.values() if p.wire == batch.items)
    return kind.item if isinstance(kind, ListOf) else ANY


def text_fields(spec: Spec, plan: Plan) -> tuple[str, ...]:
    """The fields of what the operation writes that are texts."""
    return tuple(name for name, field in record_fields(spec, plan).items() if field.type == Scalar("str"))


def _numbers_as_texts(row: Row, texts: Sequence[str]) -> Row:
    """The row with whole numbers as their digits where a text is wanted: a table's column of them tells no more."""
    numbers = {name: str(row[name]) for name in texts if type(row.get(name)) is int}
    return {**row, **numbers} if numbers else row


def record_fields(spec: Spec, plan: Plan) -> Mapping[str, Field]:
    """The declared fields of what the operation writes; empty where they are not declared."""
    kind = item_type(plan) if plan.operation.batch is not None else plan.operation.body
    if kind is None:
        whole = whole_of(plan, {})
        kind = whole.field.type if whole else None
    return spec.types[kind.name] if isinstance(kind, Named) else {}


def whole_of(plan: Plan, constants: Mapping[str, Any]) -> Parameter | None:
    """The argument that takes the fields of a row which are no arguments themselves: the body, or the one object."""
    if "body" in constants:
        return None
    if (body := plan.parameters.get("body")) is not None and body.spot == "body":
        return body
    objects = [
        p
        for p in plan.parameters.values()
        if p.spot in ("fields", "variables") and isinstance(p.field.type, Named) and p.name not in constants
    ]
    return objects[0] if len(objects) == 1 else None


def place_of(spec: Spec, plan: Plan, constants: Mapping[str, Any], column: str) -> tuple[str | None, bool]:
    """Where a field of a row goes: the argument it is (None: none), and whether it goes into the body as well."""
    whole = whole_of(plan, constants)
    own = next((p for p in plan.parameters.values() if p is not whole and _is(p, column, constants)), None)
    if whole is None:
        return (own.name if own else None), False
    kind = whole.field.type
    declared = spec.types[kind.name] if isinstance(kind, Named) else {}
    if own is None:
        return None, True
    inside = declared.get(column)
    twice = inside is not None and not inside.read_only and column != OPEN and inside.required
    return own.name, twice


def _is(parameter: Parameter, column: str, constants: Mapping[str, Any]) -> bool:
    if parameter.name in constants:
        return False
    if column in (parameter.wire, parameter.name):
        return True
    return parameter.spot in _BESIDE and snake(column) == parameter.name


def _as_fault(plan: Plan, why: ArgumentError) -> ValueFault:
    lines = [line.removeprefix(f"{plan.name}: ") for line in str(why).splitlines()]
    named = re.match(r"'([^']+)'(?:: (?P<path>[^:]+))?", lines[0])
    if named is None or len(lines) > 1:
        return ValueFault("; ".join(lines))
    return ValueFault(lines[0][named.end(1) + 1 :].lstrip(": "), (named[1],))


def fingerprint(content: Any) -> bytes:
    """16 bytes that differ where two contents do, whatever the order of their names. Files count by what they hold."""
    text = _canonical(content)
    return hashlib.blake2b(text, digest_size=16).digest()


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        with value.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return str(value)


_canonical: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number", enc_hook=_plain).encode
