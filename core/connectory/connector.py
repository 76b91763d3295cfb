"""`connect("vendor")` and what it gives: operations as attributes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from connectory.errors import ArgumentError, ConnectoryError, nearest
from connectory.invoke import Engine
from connectory.messages import Response
from connectory.operation import Plan
from connectory.records import Records, check_arguments

if TYPE_CHECKING:
    from connectory.delivery.accounts import Delivery, ItemResult
    from connectory.discovery import Summary


class Call:
    """One operation, callable. What it takes and gives stands in `help(...)`."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    @property
    def plan(self) -> Plan:
        """The compiled operation."""
        return self._engine.plan(self._name)

    def __call__(self, *args: Any, **given: Any) -> Any:
        """A list gives Records, a batch a Delivery, anything else the record or answer."""
        plan = self.plan
        given = self._positional(plan, args, given)
        if plan.operation.batch is not None:
            return self._deliver(plan, given)
        complete = bool(given.pop("complete", False))
        if plan.many:
            parents = bool(given.pop("parents", False))
            recurse = bool(given.pop("recurse", False))
            check_arguments(plan, given, parents=parents)
            return Records(self._engine, plan, given, complete, parents, recurse=recurse)
        _, record = self._engine.perform(plan, given, complete=complete)
        return record if plan.read is None or record is None else plan.read(record)

    def raw(self, *args: Any, **given: Any) -> Response:
        """One exchange, its answer undecoded; of a list the first page."""
        return self._engine.raw(self.plan, self._positional(self.plan, args, given))

    def download(self, into: BinaryIO, **given: Any) -> None:
        """One call whose answer is streamed into an open file."""
        self._engine.exchange(self.plan, given, into)

    def results(self, items: Iterable[Any], **given: Any) -> Iterator[ItemResult]:
        """The result of every item as it becomes known, for streams too long to keep. Raises where the run stops,
        after every item that was left has come as `not_tried`."""
        stopped: ConnectoryError | None = None
        from connectory.delivery.accounts import ItemResult

        for result in self._engine.deliver(self.plan, _checked_items(items), given):
            if isinstance(result, ItemResult):
                yield result
            else:
                stopped = result
        if stopped is not None:
            raise stopped

    def _deliver(self, plan: Plan, given: dict[str, Any]) -> Delivery:
        from connectory.delivery.accounts import Delivery

        name = plan.items_name
        if name not in given:
            raise ArgumentError(f"{plan.name}: '{name}' is required: the items to send, any iterable")
        items = _checked_items(given.pop(name))
        keep = bool(given.pop("keep_results", True))
        delivery = Delivery()
        before = self._engine.line.tally.here
        try:
            for result in self.results(_counted(items, delivery), **given):
                delivery.accounts.add(result.word)
                if result.word not in ("delivered", "unchanged", "accepted"):
                    delivery.problems.append(result)
                if keep:
                    delivery.results.append(result)
        except ConnectoryError as why:
            delivery.error = why
            why.delivery = delivery  # type: ignore[attr-defined]
            raise
        except Exception as why:  # the caller's own source
            why.add_note(f"{plan.name}: {delivery.accounts}")
            raise
        finally:
            delivery.calls = self._engine.line.tally.here - before
        return delivery

    def _positional(self, plan: Plan, args: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
        if not args:
            return dict(given)
        if len(args) > 1:
            raise ArgumentError(f"{plan.name}: one argument may stand without its name, got {len(args)}")
        name = (
            plan.items_name
            if plan.operation.batch
            else "body"
            if "body" in plan.parameters
            else next(iter(plan.parameters), None)
        )
        if name is None or name in given:
            raise ArgumentError(f"{plan.name}: takes no argument without a name here")
        return {name: args[0], **given}

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        from connectory.describe import describe_plan

        return describe_plan(self._engine.spec, self.plan)

    @property
    def __signature__(self) -> inspect.Signature:
        kinds = [
            inspect.Parameter(
                p.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if p.required else p.field.default,
                annotation=str(p.field.type),
            )
            for p in sorted(self.plan.parameters.values(), key=lambda p: not p.required)
        ]
        return inspect.Signature(kinds)

    def __repr__(self) -> str:
        return f"<{self._engine.spec.name} {self._name}>"


def _checked_items(items: Any) -> Iterable[Any]:
    if isinstance(items, Mapping | str | bytes) or not isinstance(items, Iterable):
        raise ArgumentError(f"expected the items to send, any iterable of them, got {type(items).__name__}")
    return items


def _counted(items: Iterable[Any], delivery: Delivery) -> Iterator[Any]:
    for item in items:
        delivery.accounts.read += 1
        yield item


class Namespace:
    """The operations below one name: `school.students`."""

    def __init__(self, engine: Engine, prefix: str) -> None:
        self._engine = engine
        self._prefix = prefix

    def _names(self) -> dict[str, str]:
        """The next word of every operation below here -> a whole name that has it."""
        start = f"{self._prefix}." if self._prefix else ""
        return {
            name[len(start) :].partition(".")[0]: name
            for name in self._engine.spec.operations
            if name.startswith(start)
        }

    def __getattr__(self, word: str) -> Any:
        if word.startswith("__"):
            raise AttributeError(word)
        full = f"{self._prefix}.{word}" if self._prefix else word
        if full in self._engine.spec.operations:
            return Call(self._engine, full)
        if word in self._names():
            return Namespace(self._engine, full)
        known = self._names()
        raise ArgumentError(
            f"{self._engine.spec.name}: no operation '{full}'{nearest(word, known)} "
            f"(there are {', '.join(sorted(known))})"
        )

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._names()])

    def __repr__(self) -> str:
        return f"<{self._engine.spec.name} {self._prefix or 'connector'}: {', '.join(sorted(self._names()))}>"


class Connector(Namespace):
    """A vendor, connected. Use it as a context manager, or `close()` it. Safe to share between threads."""

    def __init__(self, engine: Engine, discoveries: Path | None = None) -> None:
        super().__init__(engine, "")
        self._discoveries = discoveries

    @property
    def engine(self) -> Engine:
        """The machinery below, for programs that choose operations by name."""
        return self._engine

    def operation(self, name: str) -> Call:
        """An operation by its whole name. Raises ArgumentError with the nearest right one."""
        if name not in self._engine.spec.operations:
            raise ArgumentError(
                f"{self._engine.spec.name}: no operation '{name}'{nearest(name, self._engine.spec.operations)}"
            )
        return Call(self._engine, name)

    def verify(self) -> None:
        """Prove the credentials by the cheap call that the spec names. Raises Denied where they are refused, and
        ArgumentError where the spec names no such call."""
        name = self._engine.spec.verify
        if name is None:
            raise ArgumentError(f"{self._engine.spec.name}: the spec names no call that proves the credentials")
        answer = self.operation(name)()
        if isinstance(answer, Records):
            answer.first()

    def discover(self) -> Summary:
        """Ask the workspace for its own objects and keep them in the project; the next `connect` has them as
        operations. Raises CallError, LimitReached or PluginError, and what was kept before stays in use."""
        from connectory.discovery import discover

        if self._discoveries is None:
            raise ArgumentError(f"{self._engine.spec.name}: this connector was made without a place for discoveries")
        return discover(self._engine, self._discoveries)

    def close(self) -> None:
        """Let go of connections."""
        self._engine.line.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
