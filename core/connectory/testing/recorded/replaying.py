"""A case, run: the real HTTP client up to the socket, vcrpy below it, no network, no waiting; and what differs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from connectory.auth.rotation import Rotation
from connectory.auth.tokens import TokenStore
from connectory.clock import ManualClock
from connectory.connecting import Parts, connect_spec, settings_of
from connectory.connector import Connector
from connectory.errors import ConnectoryError, Fault, InputError, SettingError
from connectory.plugins.registry import Registry
from connectory.secrets import Secret
from connectory.spec.load import Loaded
from connectory.spec.typeexpr import OneOf, Scalar
from connectory.testing.cases import Case
from connectory.testing.recorded.blame import TOKEN, Blame, Change, changes_since, fault_at
from connectory.testing.recorded.cassettes import Cassette, Exchange, read_cassette
from connectory.testing.recorded.examples import ExamplePlayer, check_example
from connectory.testing.recorded.files import with_files
from connectory.testing.recorded.matching import Asked
from connectory.testing.recorded.outcome import Gives, error_said, perform, refused_names
from connectory.testing.recorded.player import (
    Deviated,
    Deviation,
    NetworkUsed,
    Player,
    asked_of,
    network_blocked,
    open_cassette,
    replaying_transport,
)
from connectory.testing.recorded.taken import NoChance, Tally, taken

MOST_TOLD: Final = 12
PATIENCE: Final = 7 * 86400.0  # seconds of a manual clock that a recorded wait may take


@attrs.frozen
class Difference:
    """One way in which a test fails. `place` is the line of the spec that it comes from; `made` and `recorded` are what
    was asked or given now and then; `recording` is where the cassette says so; `changed` what of the spec is another
    than when the recording was made."""

    what: str
    place: Fault
    made: str = ""
    recorded: str = ""
    recording: str = ""
    changed: tuple[Change, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.place.file}:{self.place.line}:{self.place.column} {self.place.path}: {self.what}"]
        if self.made or self.recorded:
            lines += [f"    made:     {self.made or 'nothing'}", f"    recorded: {self.recorded or 'nothing'}"]
        if self.recording:
            lines.append(f"    in {self.recording}")
        if self.changed:
            lines += ["  the spec is another than the one recorded with:", *(f"    {each}" for each in self.changed)]
        return "\n".join(lines)


class Watch(Protocol):
    """Looks on while a case is run."""

    def before(self, connector: Connector, operation: str) -> None:
        """The call is about to be made."""

    def after(self, gives: Gives) -> None:
        """The call has ended."""


def run_case(registry: Registry, loaded: Loaded, case: Case, watch: Watch | None = None) -> Sequence[Difference]:
    """What differs from the recording, or from the example; nothing where the case passes.

    Raises SpecError for a cassette that is broken. A case without a cassette and an example has nothing to run.
    """
    if case.kind == "example":
        return _run_example(registry, loaded, case, watch)
    if case.file is None:
        return []
    return replay(registry, loaded, read_cassette(case.file), watch)


def replay(registry: Registry, loaded: Loaded, cassette: Cassette, watch: Watch | None = None) -> Sequence[Difference]:
    """Play a cassette and compare every request and what the call gives."""
    gone = _not_of_this_spec(loaded, cassette)
    if gone is not None:
        return [gone]
    played = play(registry, loaded, cassette, watch)
    found = [*played.differences, *(() if played.differences else _compare(loaded, played, cassette))]
    changed = tuple(changes_since(loaded, cassette.operation, cassette.parts))[:MOST_TOLD] if found else ()
    return [attrs.evolve(one, changed=changed if one is found[-1] else ()) for one in found]


@attrs.frozen
class Played:
    """A conversation that was played: what the call gave, and where it left the recording."""

    gives: Gives
    differences: tuple[Difference, ...]
    blame: Blame | None  # None where the settings were refused


def play(registry: Registry, loaded: Loaded, cassette: Cassette, watch: Watch | None = None) -> Played:
    """Make the call against the recorded answers."""
    try:
        return _play(registry, loaded, cassette, watch)
    except SettingError as why:
        return _refused(loaded, cassette, why)


def _refused(loaded: Loaded, cassette: Cassette, why: SettingError) -> Played:
    """A conversation that does not begin, for its settings are wrong; that may be what was recorded."""
    gives = {"refused": refused_names(why)}
    if cassette.gives is not None and "refused" in cassette.gives and not cassette.exchanges:
        return Played(gives, (), None)
    return Played(gives, (Difference(str(why), fault_at(loaded, ("settings",), "")),), None)


def _play(registry: Registry, loaded: Loaded, cassette: Cassette, watch: Watch | None) -> Played:
    player = Player(cassette.exchanges, cassette.name)
    with prepared(registry, loaded, cassette.operation, cassette.settings, cassette.clock) as connector:
        blame = Blame(loaded, connector.engine)
        with tempfile.TemporaryDirectory() as folder:
            arguments = with_files(connector.operation(cassette.operation).plan, cassette.arguments, Path(folder))
            refusals = "refused" in (cassette.gives or {})
            gives, fault = played_call(
                player, connector, cassette.operation, arguments, cassette.limit, watch=watch, refusals=refusals
            )
        gives |= taken(connector)
        where = _Where(cassette, blame)
        if player.deviated is not None:
            return Played(gives, tuple(where.deviation(player.deviated, player.position)), blame)
        if fault is not None:
            place = fault_at(loaded, ("operations", cassette.operation), "")
            return Played(gives, (Difference(fault, place, recording=where.file()),), blame)
        left = cassette.exchanges[player.position :]
        return Played(gives, tuple(where.unasked(left, gives)) if left else (), blame)


def played_call(
    player: Player,
    connector: Connector,
    operation: str,
    arguments: Mapping[str, Any],
    limit: int | None = None,
    *,
    watch: Watch | None = None,
    refusals: bool = False,
) -> tuple[Gives, str | None]:
    """Make a call under a player. Returns what it gave, and what broke it besides the vendor's answers."""
    if watch is not None:
        watch.before(connector, operation)
    try:
        with open_cassette(player), network_blocked():
            gives = perform(connector, operation, arguments, limit, refusals=refusals)
        if watch is not None:
            watch.after(gives)
        return gives, None
    except Deviation:
        return {}, None
    except (InputError, NetworkUsed) as why:
        return {}, f"{operation}: {why}"
    except Exception as why:  # of a plug-in, or ours: the request that led to it may say more
        return {}, f"{operation} raised {type(why).__name__}: {why}"


@contextmanager
def prepared(
    registry: Registry, loaded: Loaded, operation: str, settings: Mapping[str, Any], clock: float
) -> Iterator[Connector]:
    """A connector of a spec that asks one thing at a time, with placeholders for secrets and a clock that is moved."""
    manual = NoChance(clock)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        parts = Parts(
            clock=manual,
            ledger=Tally(manual),
            tokens=TokenStore(folder / "tokens"),
            rotation=Rotation(folder / "rotated"),
            transport=replaying_transport(),
            environ={},
            make_key=numbered_keys(operation),
        )
        given = stand_in_settings(loaded, settings)
        if "server" in settings:
            given["server"] = settings["server"]
        values = settings_of(loaded, registry, given, environ={})
        yield connect_spec(loaded, registry, values, parts=parts, max_wait=PATIENCE)


def numbered_keys(operation: str) -> Any:
    """Keys for items that have none: the same at every run, so that recording and test send the same."""
    import uuid
    from itertools import count

    numbers = count(1)
    return lambda: str(uuid.uuid5(uuid.NAMESPACE_URL, f"connectory:{operation}:{next(numbers)}"))


def placeholder(loaded: Loaded, name: str) -> str:
    """What stands in a cassette for a secret setting."""
    example = loaded.spec.settings[name].example
    return str(example) if example is not None else f"placeholder-{name}"


def stand_in_settings(loaded: Loaded, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings to replay with: those recorded, examples for what is required, placeholders for secrets."""
    values: dict[str, Any] = {"concurrent": 1}  # the order of requests is part of the recording
    for name, setting in loaded.spec.settings.items():
        if setting.value is not None:
            continue
        secret = setting.type == Scalar("secret")
        given = settings.get(name)
        if name not in settings and setting.required and setting.default is None:
            given = placeholder(loaded, name) if secret else _made_up(setting.type, setting.example)
        values[name] = Secret(str(given)) if secret and given is not None else given
    if not settings:
        values |= _credentials(loaded, values)
    return values


def _credentials(loaded: Loaded, values: Mapping[str, Any]) -> dict[str, Any]:
    """Where no required setting gives credentials, placeholders for those of the first alternative."""
    from connectory.spec.checks.vendor import auth_names

    if not loaded.spec.auth:
        return {}
    names = [sorted(auth_names(auth) & loaded.spec.settings.keys()) for auth in loaded.spec.auth]
    if any(all(values.get(name) is not None for name in used) for used in names):
        return {}
    secrets = [name for name in names[0] if loaded.spec.settings[name].type == Scalar("secret")]
    return {name: Secret(placeholder(loaded, name)) for name in secrets} | {
        name: _made_up(loaded.spec.settings[name].type, loaded.spec.settings[name].example)
        for name in names[0]
        if name not in secrets and values.get(name) is None and loaded.spec.settings[name].value is None
    }


def _made_up(kind: Any, example: Any) -> Any:
    if example is not None:
        return example
    if isinstance(kind, OneOf):
        return kind.values[0]
    return {"int": 1, "bool": True, "float": 1.0}.get(getattr(kind, "name", ""), "example")


def _not_of_this_spec(loaded: Loaded, cassette: Cassette) -> Difference | None:
    """What makes a cassette unplayable with this spec."""
    from connectory.errors import nearest

    file = str(cassette.file or cassette.name)
    if cassette.vendor != loaded.spec.name:
        place = fault_at(loaded, ("name",), "")
        return Difference(f"the cassette is of '{cassette.vendor}', not of '{loaded.spec.name}'", place, recording=file)
    if cassette.operation not in loaded.spec.operations:
        what = f"no operation '{cassette.operation}'{nearest(cassette.operation, loaded.spec.operations)}"
        place = fault_at(loaded, ("operations",), "")
        return Difference(f"{what}: its cassette is left over", place, recording=file)
    return None


@attrs.frozen
class _Where:
    """Turns what a player saw into differences."""

    cassette: Cassette
    blame: Blame

    def file(self, exchange: Exchange | None = None) -> str:
        """The cassette, and the line of an exchange."""
        file = str(self.cassette.file or self.cassette.name)
        return f"{file}:{exchange.line}" if exchange is not None and exchange.line else file

    def deviation(self, deviated: Deviated, position: int) -> Iterator[Difference]:
        """The differences of the request that left the recording."""
        made, operation = deviated.made, self.cassette.operation
        if deviated.recorded is None:
            what = f"a request was made that is not recorded, after all {position} that are"
            yield Difference(what, self.blame.walk(operation), made=made.line, recording=self.file())
            return
        recorded = asked_of(deviated.recorded)
        where = self.file(deviated.recorded)
        if self._is_another(made, recorded):
            what = f"request {position + 1} is another one than recorded"
            yield Difference(what, self._place(made, recorded), made.line, recorded.line, where)
            return
        for mismatch in deviated.mismatches[:MOST_TOLD]:
            place = self.blame.request(operation, made, mismatch)
            head = f"request {position + 1}, {made.method} {_bare(made.url)}"
            yield Difference(f"{head}: {mismatch.words}", place, mismatch.made, mismatch.recorded, where)

    def _is_another(self, made: Asked, recorded: Asked) -> bool:
        """Whether the two belong to different calls: then their parameters have nothing to do with each other."""
        was = self.blame.known(self.cassette.operation, recorded)
        return was is not None and self.blame.known(self.cassette.operation, made) != was

    def _place(self, made: Asked, recorded: Asked) -> Fault:
        operation = self.cassette.operation
        if TOKEN in (self.blame.known(operation, recorded), self.blame.known(operation, made)):
            return self.blame.token()
        return self.blame.walk(operation)

    def unasked(self, left: tuple[Exchange, ...], gives: Gives) -> Iterator[Difference]:
        """What was recorded and not asked for, and the error that kept the call from asking."""
        operation, number = self.cassette.operation, len(self.cassette.exchanges)
        what = f"{len(left)} of {number} recorded requests {'was' if len(left) == 1 else 'were'} not made"
        before = self.cassette.exchanges[: number - len(left)]
        in_token = bool(before) and self.blame.known(operation, asked_of(before[-1])) == TOKEN
        place = self.blame.token() if in_token else self.blame.walk(operation)
        ended = f"the call ended in {error_said(gives)}" if "error" in gives else ""
        recorded = f"request {number - len(left) + 1}, {asked_of(left[0]).line}"
        yield Difference(what, place, ended, recorded, self.file(left[0]))


def _bare(url: str) -> str:
    return url.partition("?")[0]


def _compare(loaded: Loaded, played: Played, cassette: Cassette) -> Iterator[Difference]:
    """What the call gave, against what it gave when it was recorded."""
    made, recorded = played.gives, cassette.gives or {}
    operation, blame = cassette.operation, played.blame
    if blame is None:
        if made != recorded:
            place = fault_at(loaded, ("settings",), "")
            yield Difference("what is said of the settings differs", place, str(made), str(recorded))
        return
    where = str(cassette.file or cassette.name)
    places: dict[str, Callable[[str], Fault]] = {
        "error": blame.outcome,
        "status": blame.outcome,
        "word": blame.outcome,
        "message": partial(blame.words, key="message"),
        "code": partial(blame.words, key="code"),
        "total": blame.total,
        "records": blame.records,
        "first": blame.records,
        "record": blame.records,
        "pages": blame.walk,
        "does": lambda name: blame.operation(name, "does"),
        "limits": blame.limits,
        "waited": blame.limits,
    }
    said = {
        "records": "the number of records differs",
        "total": "the vendor's total differs",
        "pages": "the number of pages differs",
        "first": "the first record differs",
        "record": "the record differs",
        "accounts": "the accounting of the items differs",
        "problems": "what is said of refused items differs",
        "ids": "the vendor's ids of the items differ",
        "misfits": "the values fit their declared types otherwise",
        "warns": "the warnings differ",
        "word": "what the answer means differs",
        "refused": "what is said of the arguments differs",
        "error": "the error differs",
        "message": "the vendor's words differ",
        "code": "the vendor's code differs",
        "does": "what it does differs",
        "limits": "the calls of each limit differ",
        "waited": "the seconds waited differ",
    }
    if made.get("error") != recorded.get("error"):
        place = blame.records(operation) if made.get("error") == "BadAnswer" else blame.outcome(operation)
        yield Difference(said["error"], place, error_said(made), error_said(recorded), where)
        return
    wanted = dict.fromkeys([*said, *recorded, *made])
    names = [name for name in wanted if name != "said" and made.get(name) != recorded.get(name)]
    if names == ["digest"]:
        what = "a record differs from those recorded, or their order does"
        yield Difference(what, blame.records(operation), str(made["digest"]), str(recorded["digest"]), where)
    for name in names:
        if name != "digest":
            find = places.get(name)
            place = find(operation) if find else blame.operation(operation, "results", "batch", "returns")
            yield Difference(
                said.get(name, f"'{name}' differs"), place, *_sides(made.get(name), recorded.get(name)), where
            )


def _sides(made: Any, recorded: Any) -> tuple[str, str]:
    """Two values, each in one line; of two objects only what differs."""
    if isinstance(made, dict) and isinstance(recorded, dict):
        names = [name for name in dict.fromkeys([*made, *recorded]) if made.get(name) != recorded.get(name)]
        return tuple(
            ", ".join(f"{name}: {one[name]!r}" for name in names if name in one) or "nothing"
            for one in (made, recorded)
        )  # type: ignore[return-value]
    return "nothing" if made is None else str(made), "nothing" if recorded is None else str(recorded)


def _run_example(registry: Registry, loaded: Loaded, case: Case, watch: Watch | None = None) -> list[Difference]:
    assert case.example is not None
    with prepared(registry, loaded, case.operation, {}, ManualClock().now()) as connector:
        player = ExamplePlayer(loaded, connector.engine, case.operation, case.example)
        try:
            with tempfile.TemporaryDirectory() as folder:
                plan = connector.operation(case.operation).plan
                arguments = with_files(plan, dict(case.example.with_), Path(folder))
                gives, fault = played_call(player, connector, case.operation, arguments, watch=watch)
        except ConnectoryError as why:
            gives, fault = {}, str(why)
        blame = Blame(loaded, connector.engine)
        if player.stray is not None:
            what = "the example knows no answer to this request"
            return [Difference(what, blame.operation(case.operation), made=player.stray.line)]
        if fault is not None:
            return [Difference(fault, case.place)]
        return [
            Difference(what, place or case.place, made=made, recorded=said)
            for what, place, made, said in check_example(blame, case.operation, case.example, gives, player)
        ]
